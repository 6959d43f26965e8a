/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multi-head attention in both conventions, written out: softmax(q k^T / sqrt(d)) v, heads side by
 * side. Inside, tensors are (batch, heads, steps, d).
 */
#include "load/nn.h"

#include <math.h>
#include <string.h>

/* Sizes of one attention. */
typedef struct attention {
    int64_t heads, key_dim, value_dim;
} attention;

/* (B, T, heads * d) to (B, heads, T, d) */
static int32_t split_heads(ubp_nn_call *c, int32_t x, int64_t heads, int64_t d)
{
    const int64_t dims[] = {0, 0, heads, d}, perm[] = {0, 2, 1, 3};
    return ubp_emit_transpose(c->e, ubp_nn_reshape(c, x, 4, dims), 4, perm);
}

/* All three (B, T, heads * d); the result too. *weights: (B, heads, T, S). */
static int32_t attend(ubp_nn_call *c, const attention *a, int32_t q, int32_t k, int32_t v,
                      int32_t *weights)
{
    const ubp_attr last = ubp_emit_int("axis", -1);
    const int64_t perm[] = {0, 2, 1, 3}, dims[] = {0, 0, a->heads * a->value_dim};
    const int32_t scale = ubp_emit_number(c->e, UB_F32, 1 / sqrt((double)a->key_dim));
    q = ubp_emit_2(c->e, "Mul", split_heads(c, q, a->heads, a->key_dim), scale);
    k = ubp_emit_swap(c->e, split_heads(c, k, a->heads, a->key_dim), 4, 2, 3);
    v = split_heads(c, v, a->heads, a->value_dim);
    *weights = ubp_nn_node(c, "Softmax", ubp_emit_2(c->e, "MatMul", q, k), 1, &last);
    const int32_t mixed = ubp_emit_2(c->e, "MatMul", *weights, v);
    return ubp_nn_reshape(c, ubp_emit_transpose(c->e, mixed, 4, perm), 3, dims);
}

/* The last dim of a value of rank 3; 0: refused. */
static int64_t features_of(ubp_nn_call *c, int32_t value)
{
    const ubp_value *v = &c->net->g->values[value];
    char text[UBP_SHAPE_TEXT];
    if (v->rank == 3 && v->dims[2] > 0)
        return v->dims[2];
    ubp_nn_fail(c, UB_ERR_SHAPE, "its input is %s, expected three axes with features last",
                ubp_nn_shape_text(text, v->rank, v->dims));
    return 0;
}

/* ---- Keras ------------------------------------------------------------------------------------
 */

/* Projects (B, T, in) to (B, T, heads * d): kernel (in, heads, d), bias (heads, d). */
static int32_t project(ubp_nn_call *c, const char *const *names, int32_t x, int64_t heads,
                       int64_t d, bool no_bias)
{
    const int64_t in = features_of(c, x), dims[] = {in, heads, d}, flat[] = {in, heads * d};
    if (in == 0)
        return UBP_NO_VALUE;
    const int32_t kernel = ubp_nn_weight_new(c, names[0], 3, dims, ubp_nn_glorot(3, dims));
    const int32_t y = ubp_emit_2(c->e, "MatMul", x, ubp_emit_reshape(c->e, kernel, 2, flat));
    if (no_bias)
        return y;
    const int32_t bias = ubp_nn_weight_new(c, names[1], 2, dims + 1, ubp_nn_fill(0));
    return ubp_emit_2(c->e, "Add", y, ubp_emit_reshape(c->e, bias, 1, flat + 1));
}

/* (B, T, heads * d) to (B, T, out): kernel (heads, d, out). */
static int32_t project_back(ubp_nn_call *c, int32_t x, const attention *a, int64_t out,
                            bool no_bias)
{
    const int64_t dims[] = {a->heads, a->value_dim, out}, flat[] = {a->heads * a->value_dim, out};
    const int32_t kernel =
        ubp_nn_weight_new(c, "attention_output/kernel", 3, dims, ubp_nn_glorot(3, dims));
    const int32_t y = ubp_emit_2(c->e, "MatMul", x, ubp_emit_reshape(c->e, kernel, 2, flat));
    if (no_bias)
        return y;
    return ubp_emit_2(c->e, "Add", y,
                      ubp_nn_weight_new(c, "attention_output/bias", 1, &out, ubp_nn_fill(0)));
}

void ubp_nn_build_keras_attention(ubp_nn_call *c)
{
    static const char *const q_names[] = {"query/kernel", "query/bias"};
    static const char *const k_names[] = {"key/kernel", "key/bias"};
    static const char *const v_names[] = {"value/kernel", "value/bias"};
    const ub_keras_attention *a = c->args;
    const attention t = {a->num_heads, a->key_dim, a->value_dim ? a->value_dim : a->key_dim};
    int32_t value = c->x, weights;
    if (!ubp_nn_want(c, "num_heads", t.heads) || !ubp_nn_want(c, "key_dim", t.key_dim) ||
        !ubp_nn_want(c, "value_dim", t.value_dim))
        return;
    if (a->value.net && ubp_nn_take(c, a->value))
        value = a->value.value;
    const int32_t key = a->key.net && ubp_nn_take(c, a->key) ? a->key.value : value;
    const int64_t out = features_of(c, c->x);
    const int32_t q = project(c, q_names, c->x, t.heads, t.key_dim, a->no_bias);
    const int32_t k = project(c, k_names, key, t.heads, t.key_dim, a->no_bias);
    const int32_t v = project(c, v_names, value, t.heads, t.value_dim, a->no_bias);
    const int32_t y = attend(c, &t, q, k, v, &weights);
    ubp_nn_give(c, project_back(c, y, &t, out, a->no_bias), 0, NULL);
}

/* ---- PyTorch ----------------------------------------------------------------------------------
 */

/* (T, B, E) to (B, T, E), where the batch is not first already. */
static int32_t batch_first(ubp_nn_call *c, const ub_torch_attention *a, int32_t x)
{
    return a->batch_first ? x : ubp_emit_swap(c->e, x, 3, 0, 1);
}

/* x W^T + b */
static int32_t linear(ubp_nn_call *c, int32_t x, int32_t weight, int32_t bias)
{
    const int32_t y = ubp_emit_2(c->e, "MatMul", x, ubp_emit_swap(c->e, weight, 2, 0, 1));
    return bias == UBP_NO_VALUE ? y : ubp_emit_2(c->e, "Add", y, bias);
}

/* One third of a weight, or nothing. */
static void split_three(ubp_nn_call *c, int32_t v, int32_t *parts)
{
    const ubp_attr attrs[] = {ubp_emit_int("axis", 0), ubp_emit_int("num_outputs", 3)};
    parts[0] = parts[1] = parts[2] = UBP_NO_VALUE;
    if (v != UBP_NO_VALUE)
        ubp_emit_many(c->e, "Split", 1, &v, 2, attrs, 3, parts);
}

static bool check_torch(ubp_nn_call *c, const ub_torch_attention *a, const int32_t *in)
{
    if (!ubp_nn_want(c, "embed_dim", a->embed_dim) || !ubp_nn_want(c, "num_heads", a->num_heads))
        return false;
    if (a->embed_dim % a->num_heads != 0)
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "%lld heads do not divide embed_dim %lld",
                    (long long)a->num_heads, (long long)a->embed_dim);
    for (int i = 0; i < 3 && !ubp_nn_failed(c); i++) {
        const int64_t found = features_of(c, in[i]);
        if (found != a->embed_dim)
            ubp_nn_fail(c, UB_ERR_SHAPE, "query, key and value have %lld features, expected %lld",
                        (long long)found, (long long)a->embed_dim);
    }
    return !ubp_nn_failed(c);
}

/* Weights averaged over the heads, as need_weights gives them: (batch, T, S). */
static void give_weights(ubp_nn_call *c, int32_t weights, const ubp_value *key, int batch_axis)
{
    const int64_t heads = 1;
    const int64_t dims[] = {c->dims[batch_axis], c->dims[1 - batch_axis],
                            key->dims[1 - batch_axis]};
    ubp_nn_give(c, ubp_emit_reduce(c->e, "ReduceMean", weights, &heads, 1, false), 3, dims);
}

void ubp_nn_build_torch_attention(ubp_nn_call *c)
{
    const ub_torch_attention *a = c->args;
    const int64_t e = a->embed_dim, dims[] = {3 * e, e}, square[] = {e, e}, triple = 3 * e;
    int32_t in[3] = {c->x, c->x, c->x}, weights[3], biases[3], p[3], scores = UBP_NO_VALUE;
    if (a->key.net && ubp_nn_take(c, a->key))
        in[1] = in[2] = a->key.value;
    if (a->value.net && ubp_nn_take(c, a->value))
        in[2] = a->value.value;
    if (ubp_nn_failed(c) || !check_torch(c, a, in))
        return;
    const attention t = {a->num_heads, e / a->num_heads, e / a->num_heads};
    const ubp_nn_init xavier = ubp_nn_uniform(sqrt(6 / (4 * (double)e)));
    split_three(c, ubp_nn_weight_new(c, "in_proj_weight", 2, dims, xavier), weights);
    split_three(c,
                a->no_bias ? UBP_NO_VALUE
                           : ubp_nn_weight_new(c, "in_proj_bias", 1, &triple, ubp_nn_fill(0)),
                biases);
    const int32_t back = ubp_nn_weight_new(c, "out_proj.weight", 2, square, ubp_nn_kaiming(e));
    const int32_t bias =
        a->no_bias ? UBP_NO_VALUE : ubp_nn_weight_new(c, "out_proj.bias", 1, &e, ubp_nn_fill(0));
    for (int i = 0; i < 3; i++)
        p[i] = linear(c, batch_first(c, a, in[i]), weights[i], biases[i]);
    const int32_t y = linear(c, attend(c, &t, p[0], p[1], p[2], &scores), back, bias);
    ubp_nn_give(c, batch_first(c, a, y), 0, NULL);
    give_weights(c, scores, &c->net->g->values[in[1]], a->batch_first ? 0 : 1);
}
