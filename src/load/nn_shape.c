/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for builders of layers: sizes that are given in braces, dims that must be known, channels
 * last and first. Also inputs, and the layers that only change shapes.
 */
#include "load/nn.h"

#include <string.h>

/* ---- Sizes ------------------------------------------------------------------------------------
 */

int ubp_nn_shape_rank(const int64_t *shape)
{
    int n = 0;
    while (n < UB_NN_AXES && shape[n] != 0)
        n++;
    return n;
}

bool ubp_nn_axes(ubp_nn_call *c, const char *what, const int64_t *given, int n, int64_t def,
                 int64_t least, int64_t *out)
{
    int last = n;
    while (last > 0 && given[last - 1] == 0)
        last--;
    for (int i = 0; i < n; i++) {
        out[i] = last == 0 ? def : last == 1 ? given[0] : given[i];
        if (out[i] == UB_NN_ZERO && least == 0)
            out[i] = 0;
        if (out[i] < least || out[i] > INT32_MAX || (last > 1 && last < n)) {
            ubp_nn_fail(c, UB_ERR_ARGUMENT,
                        "%s: one number or %d, each at least %lld, were expected", what, n,
                        (long long)least);
            return false;
        }
    }
    return !ubp_nn_failed(c);
}

bool ubp_nn_want(ubp_nn_call *c, const char *what, int64_t value)
{
    if (value < 1 || value > INT32_MAX)
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "%s is %lld, at least 1 was expected", what,
                    (long long)value);
    return !ubp_nn_failed(c);
}

bool ubp_nn_known(ubp_nn_call *c, int axis, int64_t *out)
{
    *out = axis >= 0 && axis < c->rank ? c->dims[axis] : -1;
    if (*out >= 0)
        return !ubp_nn_failed(c);
    char text[UBP_SHAPE_TEXT];
    ubp_nn_fail(c, UB_ERR_SHAPE, "its input is %s, but the size of axis %d must be known",
                ubp_nn_shape_text(text, c->rank, c->dims), axis);
    return false;
}

/* ---- Nodes ------------------------------------------------------------------------------------
 */

int32_t ubp_nn_node(ubp_nn_call *c, const char *op, int32_t x, int n_attrs, const ubp_attr *attrs)
{
    return ubp_emit_node(c->e, op, 1, &x, n_attrs, attrs);
}

int32_t ubp_nn_to_first(ubp_nn_call *c, int32_t v, int rank)
{
    int64_t perm[UB_MAX_RANK] = {0, rank - 1};
    for (int i = 2; i < rank; i++)
        perm[i] = i - 1;
    return ubp_emit_transpose(c->e, v, rank, perm);
}

int32_t ubp_nn_to_last(ubp_nn_call *c, int32_t v, int rank)
{
    int64_t perm[UB_MAX_RANK] = {0};
    for (int i = 1; i < rank - 1; i++)
        perm[i] = i + 1;
    perm[rank - 1] = 1;
    return ubp_emit_transpose(c->e, v, rank, perm);
}

int32_t ubp_nn_reshape(ubp_nn_call *c, int32_t v, int rank, const int64_t *dims)
{
    return ubp_emit_2(c->e, "Reshape", v, ubp_emit_ints(c->e, dims, rank));
}

/* ---- Input ------------------------------------------------------------------------------------
 */

static ub_status add_input(ub_nn *net, int32_t value, const char *name, ub_error *err)
{
    ubp_graph *g = net->g;
    const size_t n = (size_t)g->n_inputs;
    int32_t *inputs = ubp_arena_array(&g->arena, n + 1, sizeof(int32_t));
    const char **names = ubp_arena_array(&g->arena, n + 1, sizeof(char *));
    if (!inputs || !names)
        return ubp_fail_memory(err, n * sizeof(char *));
    if (n > 0) {
        memcpy(inputs, g->inputs, n * sizeof(int32_t));
        memcpy(names, g->input_names, n * sizeof(char *));
    }
    inputs[n] = value;
    names[n] = name;
    g->inputs = inputs;
    g->input_names = names;
    g->n_inputs++;
    return UB_OK;
}

/* The input's dims: those of a sample, and the samples at batch_axis. */
static bool input_dims(ubp_nn_call *c, const ub_nn_input *a)
{
    const int n = ubp_nn_shape_rank(a->shape);
    c->rank = n + 1;
    c->dtype = a->dtype ? ub_dtype_from_name(a->dtype) : UB_F32;
    if (ub_dtype_size(c->dtype) == 0)
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "there is no dtype '%.40s'", a->dtype ? a->dtype : "");
    else if (a->batch_axis < 0 || a->batch_axis > n)
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "batch_axis is %d, 0 to %d was expected", a->batch_axis, n);
    for (int i = 0, k = 0; i < c->rank && !ubp_nn_failed(c); i++) {
        c->dims[i] = i == a->batch_axis ? -1 : a->shape[k++];
        if (c->dims[i] < -1)
            ubp_nn_fail(c, UB_ERR_ARGUMENT, "a size of the shape is %lld", (long long)c->dims[i]);
    }
    return !ubp_nn_failed(c);
}

void ubp_nn_build_input(ubp_nn_call *c)
{
    const ub_nn_input *a = c->args;
    int32_t value = UBP_NO_VALUE;
    if (!input_dims(c, a))
        return;
    if (ubp_table_find(&c->net->g->value_names, c->name) >= 0) {
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "another value has this name");
        return;
    }
    c->e->status = ubp_graph_value(c->net->g, c->name, &value, c->e->err);
    if (!ubp_nn_failed(c))
        c->e->status = add_input(c->net, value, c->name, c->e->err);
    if (ubp_nn_failed(c))
        return;
    ubp_value *v = &c->net->g->values[value];
    v->is_input = true;
    v->dtype = c->dtype;
    v->rank = c->rank;
    memcpy(v->dims, c->dims, sizeof(v->dims));
    v->dim_names[a->batch_axis] = "batch";
    c->out[c->n_out++] = value;
}

/* ---- Flatten, Reshape, Unflatten ---------------------------------------------------------------
 */

/* The product of dims from to last, -1 when one is free; false: it overflows. */
static bool product(const int64_t *dims, int from, int last, int64_t *out)
{
    *out = 1;
    for (int i = from; i <= last; i++)
        if (dims[i] < 0)
            *out = -1;
    for (int i = from; i <= last && *out >= 0; i++)
        if (!ubp_mul_i64(*out, dims[i], out))
            return false;
    return true;
}

/* Axes first to last become one. */
static void flatten(ubp_nn_call *c, int first, int last)
{
    int64_t dims[UB_MAX_RANK], want[UB_MAX_RANK];
    int n = 0, n_free = 0;
    for (int i = 0; i < c->rank; i++) {
        if (i > first && i <= last)
            continue;
        dims[n] = c->dims[i];
        if (i == first && !product(c->dims, first, last, &dims[n])) {
            ubp_nn_fail(c, UB_ERR_SHAPE, "its output would be too large");
            return;
        }
        want[n] = i < first ? 0 : dims[n];
        n_free += want[n] < 0;
        n++;
    }
    if (n_free > 1) {
        ubp_nn_expect(c, "at most one free size from the axes that become one on");
        return;
    }
    ubp_nn_give(c, ubp_nn_reshape(c, c->x, n, want), n, dims);
}

void ubp_nn_build_keras_flatten(ubp_nn_call *c)
{
    const int64_t one = 1, dims[] = {-1, 1};
    if (c->rank == 1)
        ubp_nn_give(c, ubp_emit_unsqueeze(c->e, c->x, &one, 1), 2, dims);
    else
        flatten(c, 1, c->rank - 1);
}

void ubp_nn_build_torch_flatten(ubp_nn_call *c)
{
    const ub_torch_flat *a = c->args;
    const int first = a->start_dim == 0  ? 1
                      : a->start_dim < 0 ? a->start_dim + c->rank
                                         : a->start_dim;
    const int last = a->end_dim <= 0 ? c->rank + (a->end_dim < 0 ? a->end_dim : -1) : a->end_dim;
    if (first < 1 || last < first || last >= c->rank) {
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "start_dim %d and end_dim %d of %d axes", a->start_dim,
                    a->end_dim, c->rank);
        return;
    }
    flatten(c, first, last);
}

/* Puts the number that -1 stands for into shape[n], where it can be known. */
static bool complete(ubp_nn_call *c, int64_t *shape, int n, int64_t count)
{
    int64_t rest = 1;
    int free_at = -1;
    bool fits = n > 0;
    for (int i = 0; i < n && fits; i++) {
        if (shape[i] == -1 && free_at < 0)
            free_at = i;
        else
            fits = shape[i] > 0 && ubp_mul_i64(rest, shape[i], &rest);
    }
    if (fits && count >= 0)
        fits = free_at < 0 ? rest == count : count % rest == 0;
    if (fits && count >= 0 && free_at >= 0)
        shape[free_at] = count / rest;
    if (fits)
        return true;
    char a[UBP_SHAPE_TEXT], b[UBP_SHAPE_TEXT];
    ubp_nn_fail(c, UB_ERR_SHAPE, "its input is %s, which cannot become %s for each sample",
                ubp_nn_shape_text(a, c->rank, c->dims), ubp_nn_shape_text(b, n, shape));
    return false;
}

void ubp_nn_build_reshape(ubp_nn_call *c)
{
    const ub_nn_shape *a = c->args;
    int64_t dims[UB_MAX_RANK] = {c->dims[0]}, want[UB_MAX_RANK] = {0}, count = 0;
    const int n = ubp_nn_shape_rank(a->shape);
    memcpy(dims + 1, a->shape, (size_t)n * sizeof(int64_t));
    if (!product(c->dims, 1, c->rank - 1, &count) || !complete(c, dims + 1, n, count)) {
        ubp_nn_fail(c, UB_ERR_SHAPE, "its output would be too large");
        return;
    }
    memcpy(want + 1, dims + 1, (size_t)n * sizeof(int64_t));
    ubp_nn_give(c, ubp_nn_reshape(c, c->x, n + 1, want), n + 1, dims);
}

void ubp_nn_build_unflatten(ubp_nn_call *c)
{
    const ub_torch_unflat *a = c->args;
    int64_t dims[UB_MAX_RANK], want[UB_MAX_RANK];
    const int at = a->dim == 0 ? 1 : a->dim < 0 ? a->dim + c->rank : a->dim;
    const int n = ubp_nn_shape_rank(a->unflattened_size);
    int m = 0;
    if (at < 1 || at >= c->rank || c->rank + n > UB_MAX_RANK) {
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "dim %d of %d axes", a->dim, c->rank);
        return;
    }
    for (int i = 0; i < c->rank; i++) {
        memcpy(&dims[m], i == at ? a->unflattened_size : &c->dims[i],
               (size_t)(i == at ? n : 1) * sizeof(int64_t));
        if (i == at && !complete(c, &dims[m], n, c->dims[at]))
            return;
        m += i == at ? n : 1;
    }
    for (int i = 0; i < m; i++) /* what stands before keeps its dims, what is free follows */
        want[i] = i < at ? 0 : dims[i];
    ubp_nn_give(c, ubp_nn_reshape(c, c->x, m, want), m, dims);
}
