/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention. Projections are matrix products over the variables reshaped to matrices; heads are
 * axis 1 of the scores (N, heads, T, S).
 */
#include "load/keras.h"

#include <math.h>
#include <string.h>

static const kt none = {.value = UBP_NO_VALUE};

/* ---- Masks: bool, True where a position counts ----------------------------------------------- */

static kt both(ubp_keras_call *c, kt a, kt b)
{
    return a.value == UBP_NO_VALUE ? b : b.value == UBP_NO_VALUE ? a : ubp_k_two(c, "And", a, b);
}

/* 0, 1, ... up to the size of an axis, as int64. */
static kt count_axis(ubp_keras_call *c, kt t, int axis)
{
    const kt in[3] = {ubp_k_number(c, UB_I64, 0), ubp_k_squeeze(c, ubp_k_dim(c, t, axis), 0),
                      ubp_k_number(c, UB_I64, 1)};
    return ubp_k_node(c, "Range", 1, UB_I64, 3, in, 0, NULL);
}

/* (1, T, S): a query sees no later key, and none `window` or more away. */
static kt position_mask(ubp_keras_call *c, kt query, kt value, bool causal, int64_t window)
{
    kt mask = none;
    if (!causal && window <= 0)
        return none;
    const kt rows = ubp_k_unsqueeze(c, count_axis(c, query, 1), 1);
    const kt columns = ubp_k_unsqueeze(c, count_axis(c, value, 1), 0);
    if (causal)
        mask = ubp_k_compare(c, "GreaterOrEqual", rows, columns);
    if (window > 0) {
        const kt apart = ubp_k_one(c, "Abs", ubp_k_two(c, "Sub", rows, columns));
        mask =
            both(c, mask, ubp_k_compare(c, "Less", apart, ubp_k_number(c, UB_I64, (double)window)));
    }
    return ubp_k_unsqueeze(c, mask, 0);
}

/* (N, T, S) of all that limits a call, or none. */
static kt attention_mask(ubp_keras_call *c, kt query, kt value, const json_t *key, kt key_tensor)
{
    const json_t *given = ubp_keras_arg(c, -1, "attention_mask");
    const bool causal = json_is_true(ubp_keras_arg(c, -1, "use_causal_mask"));
    kt mask = none;
    const kt of_query = ubp_k_mask_of(c, "query_mask", query);
    const kt of_value = ubp_k_mask_of(c, "value_mask", value);
    const kt of_key = key ? ubp_k_mask_of(c, "key_mask", key_tensor) : none;
    if (of_query.value != UBP_NO_VALUE)
        mask = ubp_k_unsqueeze(c, of_query, -1);
    if (of_value.value != UBP_NO_VALUE)
        mask = both(c, mask, ubp_k_unsqueeze(c, of_value, 1));
    if (of_key.value != UBP_NO_VALUE)
        mask = both(c, mask, ubp_k_unsqueeze(c, of_key, 1));
    mask =
        both(c, mask,
             position_mask(c, query, value, causal, ubp_keras_int(c->config, "sliding_window", 0)));
    if (given && ubp_keras_is_tensor(c, given))
        mask = both(c, mask, ubp_k_cast(c, ubp_keras_tensor(c, given, UB_BOOL), UB_BOOL));
    return mask;
}

/* Softmax where the mask says. Where nothing counts in a row, Keras gives zeros; or, from its fused
 * attention, the same share to all. */
static kt masked_softmax(ubp_keras_call *c, kt scores, kt mask, bool fused)
{
    if (mask.value == UBP_NO_VALUE)
        return ubp_k_softmax(c, scores, -1);
    while (mask.rank < scores.rank && !ubp_keras_failed(c))
        mask = ubp_k_unsqueeze(c, mask, mask.rank - 2);
    const double low = scores.dtype == UB_F16 ? -3e4 : fused ? -2e38 : -1e9;
    const kt kept = ubp_k_where(c, mask, scores, ubp_k_number(c, scores.dtype, low));
    const kt shares = ubp_k_softmax(c, kept, -1);
    return fused ? shares : ubp_k_where(c, mask, shares, ubp_k_number(c, scores.dtype, 0));
}

/* ---- Multi-head ------------------------------------------------------------------------------ */

/* x (N, T, D) by a kernel (D, heads, size): (N, heads, T, size). */
static kt project(ubp_keras_call *c, kt x, const char *sub, const char *part, int64_t *size)
{
    const kt kernel = ubp_keras_weight(c, sub, part, 0, "kernel");
    if (!ubp_keras_failed(c) && kernel.rank != 3)
        ubp_keras_fail(c, UB_ERR_FILE, "its %s kernel has %d axes, expected 3", part, kernel.rank);
    const int64_t heads = ubp_keras_dim(c, kernel, 1);
    const int64_t flat[2] = {0, -1}, all[1] = {-1}, perm[4] = {0, 2, 1, 3};
    *size = ubp_keras_dim(c, kernel, 2);
    kt y = ubp_k_matmul(c, x, ubp_k_reshape(c, kernel, 2, flat));
    if (ubp_keras_flag(c->config, "use_bias", true)) {
        const kt bias = ubp_keras_weight(c, sub, part, 1, "bias");
        y = ubp_k_two(c, "Add", y, ubp_k_reshape(c, bias, 1, all));
    }
    const int64_t split[4] = {0, 0, heads, *size};
    return ubp_k_transpose(c, ubp_k_reshape(c, y, 4, split), perm);
}

/* (N, heads, T, size) by a kernel (heads, size, D...). */
static kt project_back(ubp_keras_call *c, kt x)
{
    const kt kernel = ubp_keras_weight(c, "output_dense", "attention_output", 0, "kernel");
    const int64_t perm[4] = {0, 2, 1, 3}, join[3] = {0, 0, -1};
    if (!ubp_keras_failed(c) && kernel.rank != 3)
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "output_shape of %d axes", kernel.rank - 2);
    const int64_t flat[2] = {-1, ubp_keras_dim(c, kernel, 2)};
    kt y = ubp_k_reshape(c, ubp_k_transpose(c, x, perm), 3, join);
    y = ubp_k_matmul(c, y, ubp_k_reshape(c, kernel, 2, flat));
    if (ubp_keras_flag(c->config, "use_bias", true))
        y = ubp_k_two(c, "Add", y,
                      ubp_keras_weight(c, "output_dense", "attention_output", 1, "bias"));
    return y;
}

/* Each of the key's heads serves `times` of the query's, one after the other. */
static kt repeat_heads(ubp_keras_call *c, kt t, int64_t times, int64_t size)
{
    const int64_t shape[5] = {1, 1, times, 1, 1}, join[4] = {0, -1, 0, size};
    if (times == 1)
        return t;
    const kt wide = ubp_k_unsqueeze(c, t, 2);
    const kt in[2] = {wide, ubp_k_ints(c, 5, shape)};
    const kt tiled = ubp_k_node(c, "Tile", 5, t.dtype, 2, in, 0, NULL);
    /* (N, heads, times, S, size) to (N, heads * times, S, size) */
    const kt dims_in[3] = {ubp_k_slice(c, ubp_k_shape(c, t), 0, 0, 1, 1),
                           ubp_k_ints(c, 1, join + 1),
                           ubp_k_slice(c, ubp_k_shape(c, t), 0, 2, 4, 1)};
    const kt to_in[2] = {tiled, ubp_k_concat(c, 3, dims_in, 0)};
    return ubp_k_node(c, "Reshape", 4, t.dtype, 2, to_in, 0, NULL);
}

/* Whether the attention is over axis 1 of (N, T, D). */
static bool is_plain(const ubp_keras_call *c, kt query, kt value)
{
    const json_t *axes = ubp_keras_get(c->config, "attention_axes");
    int64_t axis = 1;
    if (axes && !ubp_keras_ints(axes, 1, &axis))
        return false;
    return query.rank == 3 && value.rank == 3 && (axis == 1 || axis == -2);
}

static void attend(ubp_keras_call *c, bool grouped)
{
    const json_t *of_value = ubp_keras_arg(c, 1, "value"), *of_key = ubp_keras_arg(c, 2, "key");
    const kt query = ubp_k_input(c);
    kt value = query, key, scores;
    int64_t size = 1, key_size = 1, value_size = 1;
    if (of_value)
        value = ubp_k_cast(c, ubp_keras_tensor(c, of_value, c->compute), c->compute);
    else if (c->n_x > 1)
        value = ubp_k_cast(c, c->x[1], c->compute);
    key = of_key ? ubp_k_cast(c, ubp_keras_tensor(c, of_key, c->compute), c->compute) : value;
    if (ubp_keras_failed(c))
        return;
    if (!is_plain(c, query, value)) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED,
                       "attention over more than one axis, or over tensors of %d axes, is not"
                       " supported",
                       query.rank);
        return;
    }
    const kt mask = attention_mask(c, query, value, of_key, key);
    kt q = project(c, query, "query_dense", "query", &size);
    kt k = project(c, key, "key_dense", "key", &key_size);
    kt v = project(c, value, "value_dense", "value", &value_size);
    if (grouped) {
        const int64_t heads = ubp_keras_int(c->config, "num_query_heads", 1);
        const int64_t shared = ubp_keras_int(c->config, "num_key_value_heads", 1);
        const int64_t times = shared > 0 && heads % shared == 0 ? heads / shared : 1;
        k = repeat_heads(c, k, times, key_size);
        v = repeat_heads(c, v, times, value_size);
    }
    q = ubp_k_with(c, "Mul", q, 1 / sqrt((double)size));
    const bool wants_scores = json_is_true(ubp_keras_arg(c, -1, "return_attention_scores"));
    const bool fused =
        !c->k->keras2 && !wants_scores && ubp_keras_number(c->config, "dropout", 0) == 0;
    scores = masked_softmax(c, ubp_k_matmul(c, q, ubp_k_swap_last(c, k)), mask, fused);
    kt y = ubp_k_matmul(c, scores, v);
    if (ubp_keras_flag(c->config, "use_gate", false)) {
        const kt gate = project(c, query, "gate_dense", "gate", &size);
        y = ubp_k_two(c, "Mul", y, ubp_k_one(c, "Sigmoid", gate));
    }
    c->out[0] = project_back(c, y);
    c->out[1] = scores;
    c->out[0].mask = query.mask;
    c->n_out = wants_scores ? 2 : 1;
}

UBP_KERAS_BUILDER(multi_head_attention)
{
    attend(c, false);
}

UBP_KERAS_BUILDER(grouped_query_attention)
{
    attend(c, true);
}

/* ---- Attention, AdditiveAttention ------------------------------------------------------------ */

/* sum of scale * tanh(q + k) over features: (N, T, S). */
static kt additive_scores(ubp_keras_call *c, kt q, kt k, kt inner, kt outer)
{
    const int64_t last = -1;
    kt sum = ubp_k_two(c, "Add", ubp_k_unsqueeze(c, q, 2), ubp_k_unsqueeze(c, k, 1));
    if (inner.value != UBP_NO_VALUE)
        sum = ubp_k_two(c, "Mul", sum, inner);
    sum = ubp_k_one(c, "Tanh", sum);
    if (outer.value != UBP_NO_VALUE)
        sum = ubp_k_two(c, "Mul", sum, outer);
    return ubp_k_reduce(c, "ReduceSum", sum, 1, &last, false);
}

static kt dot_scores(ubp_keras_call *c, kt q, kt k)
{
    const bool scaled = ubp_keras_flag(c->config, "use_scale", false);
    const bool concat = strcmp(ubp_keras_text(c->config, "score_mode", "dot"), "concat") == 0;
    const kt scale = scaled ? ubp_keras_weight(c, "", NULL, 0, "scale") : none;
    if (concat) {
        const kt outer = ubp_keras_weight(c, "", NULL, scaled, "concat_score_weight");
        return ubp_k_two(c, "Mul", additive_scores(c, q, k, scale, none), outer);
    }
    const kt scores = ubp_k_matmul(c, q, ubp_k_swap_last(c, k));
    return scaled ? ubp_k_two(c, "Mul", scores, scale) : scores;
}

/* The mask of input i: given in a list, or its own. */
static kt listed_mask(ubp_keras_call *c, int i)
{
    const json_t *given = json_array_get(ubp_keras_arg(c, 1, "mask"), (size_t)i);
    if (given && ubp_keras_is_tensor(c, given))
        return ubp_k_cast(c, ubp_keras_tensor(c, given, UB_BOOL), UB_BOOL);
    return ubp_k_mask(c, c->x[i].mask);
}

static void attend_list(ubp_keras_call *c, bool additive)
{
    if (c->n_x < 2 || c->n_x > 3 || c->x[0].rank != 3) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED,
                       "it is called with %d tensors, expected query, value"
                       " and key of 3 axes",
                       c->n_x);
        return;
    }
    const kt q = ubp_k_cast(c, c->x[0], c->compute), v = ubp_k_cast(c, c->x[1], c->compute);
    const kt k = c->n_x > 2 ? ubp_k_cast(c, c->x[2], c->compute) : v;
    const bool causal = json_is_true(ubp_keras_arg(c, -1, "use_causal_mask")) ||
                        ubp_keras_flag(c->config, "causal", false);
    const kt of_query = listed_mask(c, 0), of_value = listed_mask(c, 1);
    kt mask = of_value.value == UBP_NO_VALUE ? none : ubp_k_unsqueeze(c, of_value, 1);
    mask = both(c, mask, position_mask(c, q, v, causal, 0));
    kt scores = additive ? additive_scores(c, q, k, none,
                                           ubp_keras_flag(c->config, "use_scale", true)
                                               ? ubp_keras_weight(c, "", NULL, 0, "scale")
                                               : none)
                         : dot_scores(c, q, k);
    if (mask.value != UBP_NO_VALUE) {
        const double low = scores.dtype == UB_F16 ? 65504 : 1e9;
        scores = ubp_k_where(c, mask, scores, ubp_k_with(c, "Sub", scores, low));
    }
    c->out[1] = ubp_k_softmax(c, scores, -1);
    kt y = ubp_k_matmul(c, c->out[1], v);
    if (of_query.value != UBP_NO_VALUE)
        y = ubp_k_where(c, ubp_k_unsqueeze(c, of_query, -1), y, ubp_k_number(c, y.dtype, 0));
    y.mask = c->x[0].mask;
    c->out[0] = y;
    c->n_out = json_is_true(ubp_keras_arg(c, -1, "return_attention_scores")) ? 2 : 1;
}

UBP_KERAS_BUILDER(attention)
{
    attend_list(c, false);
}

UBP_KERAS_BUILDER(additive_attention)
{
    attend_list(c, true);
}
