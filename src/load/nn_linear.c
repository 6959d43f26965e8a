/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dense layers, embeddings, dropout, sums and concatenations.
 */
#include "load/nn.h"

#include <stdio.h>
#include <string.h>

/* ---- Dense, Linear ----------------------------------------------------------------------------
 */

/* x's last axis becomes n. */
static void give_features(ubp_nn_call *c, int32_t y, int64_t n)
{
    int64_t dims[UB_MAX_RANK];
    memcpy(dims, c->dims, sizeof(dims));
    dims[c->rank - 1] = n;
    ubp_nn_give(c, y, c->rank, dims);
}

static bool check_rank(ubp_nn_call *c)
{
    if (c->rank >= 2)
        return true;
    ubp_nn_expect(c, "(batch, ..., features)");
    return false;
}

void ubp_nn_build_dense(ubp_nn_call *c)
{
    const ub_keras_units *a = c->args;
    int64_t dims[2] = {0, a->units};
    if (!check_rank(c) || !ubp_nn_want(c, "units", a->units) ||
        !ubp_nn_known(c, c->rank - 1, &dims[0]))
        return;
    const int32_t kernel = ubp_nn_weight_new(c, "kernel", 2, dims, ubp_nn_glorot(2, dims));
    int32_t y = ubp_emit_2(c->e, "MatMul", c->x, kernel);
    if (!a->no_bias)
        y = ubp_emit_2(c->e, "Add", y, ubp_nn_weight_new(c, "bias", 1, &dims[1], ubp_nn_fill(0)));
    give_features(c, ubp_nn_activate(c, y, a->activation), a->units);
}

void ubp_nn_build_linear(ubp_nn_call *c)
{
    const ub_torch_features *a = c->args;
    const int64_t dims[2] = {a->out_features, a->in_features};
    int64_t found;
    if (!check_rank(c) || !ubp_nn_want(c, "in_features", a->in_features) ||
        !ubp_nn_want(c, "out_features", a->out_features) || !ubp_nn_known(c, c->rank - 1, &found))
        return;
    if (found != a->in_features) {
        char text[UBP_SHAPE_TEXT];
        ubp_nn_fail(c, UB_ERR_SHAPE, "its input is %s with %lld features, expected %lld",
                    ubp_nn_shape_text(text, c->rank, c->dims), (long long)found,
                    (long long)a->in_features);
        return;
    }
    const ubp_nn_init init = ubp_nn_kaiming(a->in_features);
    const int32_t weight = ubp_nn_weight_new(c, "weight", 2, dims, init);
    const int32_t bias =
        a->no_bias ? UBP_NO_VALUE : ubp_nn_weight_new(c, "bias", 1, &dims[0], init);
    const ubp_attr attr = ubp_emit_int("transB", 1);
    const int32_t in[] = {c->x, weight, bias};
    int32_t y;
    if (c->rank == 2) {
        y = ubp_emit_node(c->e, "Gemm", 3, in, 1, &attr);
    } else {
        y = ubp_emit_2(c->e, "MatMul", c->x, ubp_emit_swap(c->e, weight, 2, 0, 1));
        if (bias != UBP_NO_VALUE)
            y = ubp_emit_2(c->e, "Add", y, bias);
    }
    give_features(c, y, a->out_features);
}

/* ---- Dropout, Embedding -----------------------------------------------------------------------
 */

void ubp_nn_build_dropout(ubp_nn_call *c)
{
    const ub_nn_dropout *a = c->args;
    if (!(a->rate >= 0 && a->rate <= 1)) {
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "rate is %g, 0 to 1 was expected", a->rate);
        return;
    }
    ubp_nn_give(c, ubp_emit_1(c->e, "Identity", c->x), 0, NULL);
}

/* Keras takes floats for numbers of rows too, and cuts them. */
void ubp_nn_build_embedding(ubp_nn_call *c)
{
    const ub_nn_embedding *a = c->args;
    const bool keras = ubp_nn_is_keras(c);
    const int64_t rows[2] = {a->input_dim, a->output_dim};
    int64_t dims[UB_MAX_RANK];
    if (!ubp_nn_want(c, "the number of rows", rows[0]) ||
        !ubp_nn_want(c, "the size of a row", rows[1]))
        return;
    if (c->rank + 1 > UB_MAX_RANK || (!keras && !ubp_is_integer(c->dtype))) {
        ubp_nn_fail(c, UB_ERR_SHAPE, "its input is %s, integers were expected: .dtype = \"int64\"",
                    ub_dtype_name(c->dtype));
        return;
    }
    ubp_nn_init init = {.start = UBP_NN_NORMAL, .a = 1};
    if (keras)
        init = ubp_nn_uniform(0.05);
    const int32_t table = ubp_nn_weight_new(c, keras ? "embeddings" : "weight", 2, rows, init);
    const int32_t ids =
        c->dtype == UB_I64 || c->dtype == UB_I32 ? c->x : ubp_emit_cast(c->e, c->x, UB_I64);
    memcpy(dims, c->dims, sizeof(dims));
    dims[c->rank] = rows[1];
    c->dtype = UB_F32;
    ubp_nn_give(c, ubp_emit_2(c->e, "Gather", table, ids), c->rank + 1, dims);
}

/* ---- Add, Concatenate --------------------------------------------------------------------------
 */

/* Takes all values; their shapes into shapes[]. Returns how many, 0: refused. */
static int take_all(ubp_nn_call *c, const ub_nn_merge *a, int32_t *values)
{
    int n = 0;
    while (n < UB_NN_INPUTS && a->of[n].net)
        n++;
    if (n < 2)
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "%d values, at least two were expected: {x, y}", n);
    for (int i = 0; i < n && !ubp_nn_failed(c); i++) {
        if (!ubp_nn_take(c, a->of[i]))
            return 0;
        values[i] = a->of[i].value;
    }
    if (ubp_nn_failed(c))
        return 0;
    const ubp_value *first = &c->net->g->values[values[0]];
    c->x = values[0];
    c->rank = first->rank;
    c->dtype = first->dtype;
    memcpy(c->dims, first->dims, sizeof(c->dims));
    return n;
}

static void fail_pair(ubp_nn_call *c, const ubp_value *v, const char *what)
{
    char a[UBP_SHAPE_TEXT], b[UBP_SHAPE_TEXT];
    ubp_nn_fail(c, UB_ERR_SHAPE, "%s and %s cannot be %s", ubp_nn_shape_text(a, c->rank, c->dims),
                ubp_nn_shape_text(b, v->rank, v->dims), what);
}

/* c->dims broadcast with those of v; a free dim stays one, the other side then fits or not when it
 * is known. */
static bool broadcast(ubp_nn_call *c, const ubp_value *v)
{
    int64_t dims[UB_MAX_RANK];
    const int rank = c->rank > v->rank ? c->rank : v->rank;
    for (int i = 1; i <= rank; i++) {
        const int64_t x = i <= c->rank ? c->dims[c->rank - i] : 1;
        const int64_t y = i <= v->rank ? v->dims[v->rank - i] : 1;
        if (x >= 0 && y >= 0 && x != y && x != 1 && y != 1) {
            fail_pair(c, v, "added");
            return false;
        }
        dims[rank - i] = x == 1 ? y : y == 1 ? x : x < 0 ? y : x;
        if (x < 0 && y < 0)
            dims[rank - i] = -1;
    }
    c->rank = rank;
    memcpy(c->dims, dims, (size_t)rank * sizeof(int64_t));
    return true;
}

static void build_sum(ubp_nn_call *c, const int32_t *values, int n)
{
    int32_t sum = values[0];
    for (int i = 1; i < n; i++) {
        if (!broadcast(c, &c->net->g->values[values[i]]))
            return;
        sum = ubp_emit_2(c->e, "Add", sum, values[i]);
    }
    ubp_nn_give(c, sum, 0, NULL);
}

static void build_join(ubp_nn_call *c, const int32_t *values, int n, int axis)
{
    if (axis < 0)
        axis += c->rank;
    if (axis < 1 || axis >= c->rank) {
        ubp_nn_fail(c, UB_ERR_ARGUMENT,
                    "axis %d of %d axes: axis 0, where the samples are, cannot be joined", axis,
                    c->rank);
        return;
    }
    for (int i = 1; i < n; i++) {
        const ubp_value *v = &c->net->g->values[values[i]];
        bool fits = v->rank == c->rank;
        for (int k = 0; k < c->rank && fits; k++)
            fits = k == axis || v->dims[k] < 0 || c->dims[k] < 0 || v->dims[k] == c->dims[k];
        if (!fits) {
            fail_pair(c, v, "joined");
            return;
        }
        if (v->dims[axis] < 0)
            c->dims[axis] = -1;
        else if (c->dims[axis] >= 0 && !ubp_add_i64(c->dims[axis], v->dims[axis], &c->dims[axis]))
            fail_pair(c, v, "joined");
    }
    ubp_nn_give(c, ubp_emit_concat(c->e, values, n, axis), 0, NULL);
}

void ubp_nn_build_merge(ubp_nn_call *c)
{
    const ub_nn_merge *a = c->args;
    int32_t values[UB_NN_INPUTS];
    const int n = take_all(c, a, values);
    if (n == 0)
        return;
    if (strcmp(c->kind->op, "Add") == 0)
        build_sum(c, values, n);
    else if (a->axis == 0 && !ubp_nn_is_keras(c))
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "along which axis? .axis = 1 joins channels");
    else
        build_join(c, values, n, a->axis == 0 ? -1 : a->axis);
}
