/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers over features: Dense, EinsumDense, Embedding, those that merge several tensors, those that
 * do nothing when a model is used, and wrappers.
 */
#include "load/keras.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- Products -------------------------------------------------------------------------------- */

static kt activate(ubp_keras_call *c, kt y)
{
    return ubp_k_activation(c, json_object_get(c->config, "activation"), y);
}

UBP_KERAS_BUILDER(dense)
{
    const kt x = ubp_k_input(c), kernel = ubp_keras_weight(c, "", NULL, 0, "kernel");
    if (!ubp_keras_flag(c->config, "use_bias", true)) {
        ubp_k_give(c, activate(c, ubp_k_matmul(c, x, kernel)));
        return;
    }
    const kt bias = ubp_keras_weight(c, "", NULL, 1, "bias");
    const kt in[3] = {x, kernel, bias};
    ubp_k_give(c, activate(c, x.rank == 2 ? ubp_k_node(c, "Gemm", 2, x.dtype, 3, in, 0, NULL)
                                          : ubp_k_two(c, "Add", ubp_k_matmul(c, x, kernel), bias)));
}

/* The rank of an equation's result: letters behind "->", and what "..." stands for. */
static int einsum_rank(const char *equation, int rank)
{
    const char *arrow = strstr(equation, "->"), *comma = strchr(equation, ',');
    int letters = 0, first = 0;
    for (const char *s = equation; comma && s < comma; s++)
        first += isalpha((unsigned char)*s) != 0;
    for (const char *s = arrow ? arrow : ""; *s; s++)
        letters += isalpha((unsigned char)*s) != 0;
    return arrow && strstr(arrow, "...") ? letters + rank - first : letters;
}

UBP_KERAS_BUILDER(einsum_dense)
{
    const char *equation = ubp_keras_text(c->config, "equation", "");
    const kt x = ubp_k_input(c), kernel = ubp_keras_weight(c, "", NULL, 0, "kernel");
    const kt in[2] = {x, kernel};
    if (!strstr(equation, "->")) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "the equation '%.100s' has no '->'", equation);
        return;
    }
    kt y = ubp_k_einsum(c, equation, 2, in, einsum_rank(equation, x.rank));
    if (ubp_keras_get(c->config, "bias_axes"))
        y = ubp_k_two(c, "Add", y, ubp_keras_weight(c, "", NULL, 1, "bias"));
    ubp_k_give(c, activate(c, y));
}

/* A factor for each channel: of keras.applications' ConvNeXt. */
UBP_KERAS_BUILDER(layer_scale)
{
    ubp_k_give(c, ubp_k_two(c, "Mul", ubp_k_input(c), ubp_keras_weight(c, "", NULL, 0, "gamma")));
}

/* x + y * scale: of keras.applications' InceptionResNetV2. */
UBP_KERAS_BUILDER(custom_scale)
{
    const double scale = ubp_keras_number(c->config, "scale", 1);
    if (c->n_x != 2) {
        ubp_keras_fail(c, UB_ERR_FILE, "it is called with %d tensors, expected 2", c->n_x);
        return;
    }
    const kt x = ubp_k_input(c), y = ubp_k_input_as_is(c, 1);
    ubp_k_give(c, ubp_k_two(c, "Add", x, ubp_k_with(c, "Mul", y, scale)));
}

/* ---- Embedding, Masking ---------------------------------------------------------------------- */

static ubp_keras_mask *mask_rule(ubp_keras_call *c, kt source, double number, bool whole)
{
    ubp_keras_mask *m = ubp_k_new_mask(c, (kt){.value = UBP_NO_VALUE, .rank = source.rank});
    if (m) {
        m->source = source.value;
        m->dtype = source.dtype;
        m->number = number;
        m->whole_feature = whole;
    }
    return m;
}

UBP_KERAS_BUILDER(embedding)
{
    const kt table = ubp_keras_weight(c, "", NULL, 0, "embeddings");
    if (c->n_x < 1) {
        ubp_keras_fail(c, UB_ERR_FILE, "is called without a tensor");
        return;
    }
    const kt x = c->x[0];
    const kt index = x.dtype == UB_I64 ? x : ubp_k_cast(c, x, UB_I32);
    kt y = ubp_k_gather(c, table, index, 0);
    if (ubp_keras_flag(c->config, "mask_zero", false))
        y.mask = mask_rule(c, x, 0, false);
    ubp_k_give(c, y);
}

UBP_KERAS_BUILDER(masking)
{
    const kt x = ubp_k_input(c);
    const double number = ubp_keras_number(c->config, "mask_value", 0);
    ubp_keras_mask *mask = mask_rule(c, x, number, true);
    const kt steps = ubp_k_mask(c, mask);
    kt y = ubp_k_where(c, ubp_k_unsqueeze(c, steps, -1), x, ubp_k_number(c, x.dtype, 0));
    y.mask = mask;
    ubp_k_give(c, y);
}

/* ---- Merging --------------------------------------------------------------------------------- */

/* All inputs with the same number of axes: Keras adds axes behind the batch. */
static int equal_ranks(ubp_keras_call *c, kt *out)
{
    int rank = 0;
    for (int i = 0; i < c->n_x; i++) {
        out[i] = ubp_k_input_as_is(c, i);
        rank = out[i].rank > rank ? out[i].rank : rank;
    }
    for (int i = 0; i < c->n_x; i++)
        while (out[i].rank < rank && !ubp_keras_failed(c))
            out[i] = ubp_k_unsqueeze(c, out[i], 1);
    if (c->n_x < 1)
        ubp_keras_fail(c, UB_ERR_FILE, "is called without a tensor");
    return c->n_x;
}

/* A mask of the result when all inputs have one: where any of them counts. */
static void merge_masks(ubp_keras_call *c, kt *y)
{
    for (int i = 0; i < c->n_x; i++)
        if (!c->x[i].mask)
            return;
    kt all = ubp_k_mask(c, c->x[0].mask);
    for (int i = 1; i < c->n_x; i++)
        if (c->x[i].mask != c->x[0].mask)
            all = ubp_k_two(c, "Or", all, ubp_k_mask(c, c->x[i].mask));
    y->mask = ubp_k_new_mask(c, all);
}

static void merge(ubp_keras_call *c, const char *op)
{
    kt in[UBP_KERAS_PORTS];
    const int n = equal_ranks(c, in);
    kt y = in[0];
    for (int i = 1; i < n; i++)
        y = ubp_k_two(c, op, y, in[i]);
    if (strcmp(c->layer->type, "Average") == 0)
        y = ubp_k_with(c, "Div", ubp_k_cast(c, y, c->compute), n);
    y.mask = NULL;
    merge_masks(c, &y);
    ubp_k_give(c, y);
}

UBP_KERAS_BUILDER(add)
{
    merge(c, "Add");
}

UBP_KERAS_BUILDER(subtract)
{
    merge(c, "Sub");
}

UBP_KERAS_BUILDER(multiply)
{
    merge(c, "Mul");
}

UBP_KERAS_BUILDER(maximum)
{
    merge(c, "Max");
}

UBP_KERAS_BUILDER(minimum)
{
    merge(c, "Min");
}

/* Steps count where any feature does; an input without a mask counts everywhere. */
static void concatenate_masks(ubp_keras_call *c, const kt *in, int axis, kt *y)
{
    kt parts[UBP_KERAS_PORTS];
    const int64_t last = -1;
    bool any = false;
    for (int i = 0; i < c->n_x; i++)
        any |= c->x[i].mask != NULL;
    if (!any || y->rank < 2)
        return;
    for (int i = 0; i < c->n_x; i++) {
        const kt zeros = ubp_k_cast(c, ubp_k_compare(c, "Equal", in[i], in[i]),
                                    UB_BOOL); /* false for NaN alone */
        const kt mask = c->x[i].mask ? ubp_k_mask(c, c->x[i].mask) : zeros;
        parts[i] = c->x[i].mask ? ubp_k_two(c, "And", ubp_k_unsqueeze(c, mask, -1), zeros) : zeros;
        parts[i] = ubp_k_cast(c, parts[i], UB_I32);
    }
    const kt joined = ubp_k_concat(c, c->n_x, parts, axis);
    const kt steps = ubp_k_reduce(c, "ReduceMax", joined, 1, &last, false);
    y->mask = ubp_k_new_mask(c, ubp_k_cast(c, steps, UB_BOOL));
}

UBP_KERAS_BUILDER(concatenate)
{
    kt in[UBP_KERAS_PORTS];
    for (int i = 0; i < c->n_x; i++)
        in[i] = ubp_k_input_as_is(c, i);
    if (c->n_x < 1) {
        ubp_keras_fail(c, UB_ERR_FILE, "is called without a tensor");
        return;
    }
    const int axis = ubp_k_axis(c, ubp_keras_int(c->config, "axis", -1), in[0].rank);
    kt y = ubp_k_concat(c, c->n_x, in, axis);
    concatenate_masks(c, in, axis, &y);
    ubp_k_give(c, y);
}

/* x over its norm along one axis, as Dot's normalize says. */
static kt unit(ubp_keras_call *c, kt x, int axis)
{
    const int64_t axes = axis;
    const kt norm = ubp_k_reduce(c, "ReduceL2", x, 1, &axes, true);
    return ubp_k_two(c, "Div", x, ubp_k_two(c, "Max", norm, ubp_k_number(c, x.dtype, 1e-12)));
}

/* The sum over one axis of each, sample by sample: an Einsum. */
UBP_KERAS_BUILDER(dot)
{
    char equation[80];
    int64_t axes[2];
    int n = 0;
    if (c->n_x != 2 || !ubp_keras_ints(json_object_get(c->config, "axes"), 2, axes)) {
        ubp_keras_fail(c, UB_ERR_FILE, "it needs two tensors and one axis of each");
        return;
    }
    kt in[2] = {ubp_k_input_as_is(c, 0), ubp_k_input_as_is(c, 1)};
    const int a = ubp_k_axis(c, axes[0], in[0].rank), b = ubp_k_axis(c, axes[1], in[1].rank);
    if (ubp_keras_failed(c))
        return;
    if (ubp_keras_flag(c->config, "normalize", false)) {
        in[0] = unit(c, in[0], a);
        in[1] = unit(c, in[1], b);
    }
    if (in[0].rank + in[1].rank > 24 || a == 0 || b == 0) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "axes %d and %d", a, b);
        return;
    }
    char first[28] = "A", second[28] = "A", out[56] = "A";
    for (int i = 1; i < in[0].rank; i++)
        first[i] = i == a ? 'Z' : (char)('B' + n++);
    for (int i = 1; i < in[1].rank; i++)
        second[i] = i == b ? 'Z' : (char)('B' + n++);
    for (int i = 0; i < n; i++)
        out[i + 1] = (char)('B' + i);
    snprintf(equation, sizeof(equation), "%.24s,%.24s->%.24s", first, second, out);
    kt y = ubp_k_einsum(c, equation, 2, in, n + 1);
    ubp_k_give(c, n == 0 ? ubp_k_unsqueeze(c, y, 1) : y);
}

/* ---- Nothing --------------------------------------------------------------------------------- */

/* Dropout and its kin, and image augmentation, act in training only. */
UBP_KERAS_BUILDER(nothing)
{
    for (int i = 0; i < c->n_x; i++)
        c->out[i] = ubp_k_input_as_is(c, i);
    c->n_out = c->n_x;
}

/* ---- Wrappers -------------------------------------------------------------------------------- */

/* The layer in "layer", with the archive's name for it. */
static bool inner_layer(ubp_keras_call *c, ubp_keras_layer *out)
{
    const json_t *entry = ubp_keras_get(c->config, "layer");
    if (c->k->status == UB_OK)
        c->k->status = ubp_keras_inner_layer(c->k, out, c->layer, entry, "layer", false);
    return c->k->status == UB_OK;
}

UBP_KERAS_BUILDER(wrapper)
{
    ubp_keras_layer layer;
    kt x[UBP_KERAS_PORTS];
    for (int i = 0; i < c->n_x; i++)
        x[i] = c->x[i];
    if (inner_layer(c, &layer))
        ubp_keras_build_inner(c, &layer, x, c->n_x, c->out, &c->n_out);
}

/* Time is folded into the batch, so that the inner layer sees (N*T, ...). */
UBP_KERAS_BUILDER(time_distributed)
{
    ubp_keras_layer layer;
    const kt x = ubp_k_input_as_is(c, 0);
    const int64_t minus = -1;
    int n = 0;
    if (!inner_layer(c, &layer))
        return;
    if (x.rank < 3) {
        ubp_keras_fail(c, UB_ERR_SHAPE, "its input has %d axes, expected 3 or more", x.rank);
        return;
    }
    const kt shape = ubp_k_shape(c, x);
    const kt rest[2] = {ubp_k_ints(c, 1, &minus), ubp_k_slice(c, shape, 0, 2, INT64_MAX, 1)};
    const kt fold_in[2] = {x, ubp_k_concat(c, 2, rest, 0)};
    kt folded = ubp_k_node(c, "Reshape", x.rank - 1, x.dtype, 2, fold_in, 0, NULL);
    ubp_keras_build_inner(c, &layer, &folded, 1, c->out, &n);
    if (ubp_keras_failed(c))
        return;
    for (int i = 0; i < n; i++) {
        const kt y = c->out[i];
        const kt parts[2] = {ubp_k_slice(c, shape, 0, 0, 2, 1),
                             ubp_k_slice(c, ubp_k_shape(c, y), 0, 1, INT64_MAX, 1)};
        const kt in[2] = {y, ubp_k_concat(c, 2, parts, 0)};
        c->out[i] = ubp_k_node(c, "Reshape", y.rank + 1, y.dtype, 2, in, 0, NULL);
    }
    c->n_out = n;
}
