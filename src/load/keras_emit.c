/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for building nodes: each adds one node of ONNX's newest semantics (or none, where nothing
 * is to be done) and gives its output with rank and dtype. After a failure they do nothing.
 */
#include "load/keras.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const kt none = {.value = UBP_NO_VALUE};

/* ---- Failing --------------------------------------------------------------------------------- */

void ubp_keras_fail(ubp_keras_call *c, ub_status code, const char *fmt, ...)
{
    char text[600];
    va_list args;
    if (c->k->status != UB_OK)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    c->k->status =
        ubp_fail(c->k->err, code, "layer '%s' (%s): %s", c->layer->path, c->layer->type, text);
}

/* Keeps a failure of the graph. */
static bool good(ubp_keras_call *c, ub_status status)
{
    if (c->k->status == UB_OK)
        c->k->status = status;
    return c->k->status == UB_OK;
}

static void *keep(ubp_keras_call *c, const void *data, size_t bytes)
{
    void *copy = ubp_arena_alloc(&c->k->g->arena, bytes);
    if (!copy)
        good(c, ubp_fail_memory(c->k->err, bytes));
    else if (bytes > 0)
        memcpy(copy, data, bytes);
    return copy;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

/* Lists and texts of attributes into the graph's arena. */
static bool keep_attrs(ubp_keras_call *c, ubp_attr *out, const ubp_attr *attrs, int n)
{
    for (int i = 0; i < n; i++) {
        out[i] = attrs[i];
        if (attrs[i].kind == UBP_ATTR_INTS &&
            !(out[i].ints = keep(c, attrs[i].ints, attrs[i].n * sizeof(int64_t))))
            return false;
        if (attrs[i].kind == UBP_ATTR_FLOATS &&
            !(out[i].floats = keep(c, attrs[i].floats, attrs[i].n * sizeof(double))))
            return false;
        if (attrs[i].kind == UBP_ATTR_STRINGS &&
            !(out[i].strings = keep(c, attrs[i].strings, attrs[i].n * sizeof(char *))))
            return false;
        if (attrs[i].kind == UBP_ATTR_STRING &&
            !(out[i].s = keep(c, attrs[i].s, attrs[i].s_size + 1)))
            return false;
    }
    return true;
}

void ubp_k_node_outputs(ubp_keras_call *c, const char *op, int n_in, const kt *in, int n_attrs,
                        const ubp_attr *attrs, int n_out, kt *out)
{
    ubp_graph *g = c->k->g;
    int32_t ins[UBP_KERAS_PORTS], outs[UBP_KERAS_PORTS];
    ubp_attr kept[12];
    for (int i = 0; i < n_out; i++)
        out[i].value = UBP_NO_VALUE;
    if (c->k->status != UB_OK)
        return;
    if (n_in > UBP_KERAS_PORTS || n_out > UBP_KERAS_PORTS || n_attrs > UBP_COUNT(kept)) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "more than %d tensors at once", UBP_KERAS_PORTS);
        return;
    }
    for (int i = 0; i < n_out; i++) {
        if (!good(c, ubp_graph_value(g, "", &outs[i], c->k->err)))
            return;
        g->values[outs[i]].dtype = out[i].dtype;
    }
    for (int i = 0; i < n_in; i++)
        ins[i] = in[i].value;
    if (!keep_attrs(c, kept, attrs, n_attrs))
        return;
    const ubp_node node = {.name = c->k->node_name,
                           .op_type = op,
                           .domain = "",
                           .op = ubp_op_find(op, ""),
                           .n_in = n_in,
                           .n_out = n_out,
                           .in = ins,
                           .out = outs,
                           .n_attrs = n_attrs,
                           .attrs = kept,
                           .helper = true};
    if (!node.op) {
        ubp_keras_fail(c, UB_ERR_INTERNAL, "there is no operator %s", op);
        return;
    }
    if (good(c, ubp_graph_node(g, &node, NULL, c->k->err)))
        for (int i = 0; i < n_out; i++)
            out[i].value = outs[i];
}

kt ubp_k_node(ubp_keras_call *c, const char *op, int rank, ub_dtype dtype, int n_in, const kt *in,
              int n_attrs, const ubp_attr *attrs)
{
    kt out = {.rank = rank, .dtype = dtype};
    if (rank > UB_MAX_RANK)
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "a tensor of %d axes", rank);
    ubp_k_node_outputs(c, op, n_in, in, n_attrs, attrs, 1, &out);
    return out;
}

kt ubp_k_one_with(ubp_keras_call *c, const char *op, kt a, int n_attrs, const ubp_attr *attrs)
{
    return ubp_k_node(c, op, a.rank, a.dtype, 1, &a, n_attrs, attrs);
}

kt ubp_k_one(ubp_keras_call *c, const char *op, kt a)
{
    return ubp_k_one_with(c, op, a, 0, NULL);
}

/* ---- Constants ------------------------------------------------------------------------------- */

kt ubp_k_array(ubp_keras_call *c, ub_dtype dtype, int rank, const int64_t *dims,
               const double *values)
{
    ub_tensor *t = NULL;
    kt out = {.value = UBP_NO_VALUE, .rank = rank, .dtype = dtype};
    if (c->k->status != UB_OK || !good(c, ubp_tensor_make(&t, dtype, rank, dims, c->k->err)))
        return none;
    const int64_t n = ub_tensor_count(t);
    for (int64_t i = 0; i < n; i++)
        ubp_write_f64((char *)t->data + (size_t)i * ub_dtype_size(dtype), dtype, values[i]);
    good(c, ubp_graph_constant(c->k->g, t, &out.value, c->k->err));
    ub_tensor_free(t);
    return out;
}

kt ubp_k_number(ubp_keras_call *c, ub_dtype dtype, double value)
{
    return ubp_k_array(c, dtype, 0, NULL, &value);
}

kt ubp_k_numbers(ubp_keras_call *c, ub_dtype dtype, int n, const double *values)
{
    const int64_t dims[1] = {n};
    return ubp_k_array(c, dtype, 1, dims, values);
}

kt ubp_k_ints(ubp_keras_call *c, int n, const int64_t *values)
{
    kt out = {.value = UBP_NO_VALUE, .rank = 1, .dtype = UB_I64};
    if (c->k->status == UB_OK)
        good(c, ubp_graph_ints(c->k->g, values, n, &out.value, c->k->err));
    return out;
}

/* ---- Elementwise ----------------------------------------------------------------------------- */

kt ubp_k_cast(ubp_keras_call *c, kt a, ub_dtype dtype)
{
    if (a.dtype == dtype)
        return a;
    kt out = ubp_k_node(c, "Cast", a.rank, dtype, 1, &a, 1,
                        (ubp_attr[]){ubp_k_int("to", (int64_t)dtype)});
    out.mask = a.mask;
    return out;
}

/* Of two dtypes the one that holds both: floats over integers over bool, then by size. */
static ub_dtype wider(ub_dtype a, ub_dtype b)
{
    const bool float_a = ubp_is_float(a), float_b = ubp_is_float(b);
    if (a == b || b == UB_BOOL)
        return a;
    if (a == UB_BOOL)
        return b;
    if (float_a != float_b)
        return float_a ? a : b;
    const size_t size_a = ub_dtype_size(a), size_b = ub_dtype_size(b);
    if (size_a == size_b) /* float16 with bfloat16, or signed with unsigned */
        return float_a ? UB_F32 : size_a == 1 ? UB_I16 : size_a == 2 ? UB_I32 : UB_I64;
    return size_a > size_b ? a : b;
}

static int broadcast_rank(kt a, kt b)
{
    return a.rank > b.rank ? a.rank : b.rank;
}

kt ubp_k_two(ubp_keras_call *c, const char *op, kt a, kt b)
{
    const ub_dtype dtype = wider(a.dtype, b.dtype);
    const kt in[2] = {ubp_k_cast(c, a, dtype), ubp_k_cast(c, b, dtype)};
    return ubp_k_node(c, op, broadcast_rank(a, b), dtype, 2, in, 0, NULL);
}

kt ubp_k_compare(ubp_keras_call *c, const char *op, kt a, kt b)
{
    kt out;
    const ub_dtype dtype = wider(a.dtype, b.dtype);
    const kt in[2] = {ubp_k_cast(c, a, dtype), ubp_k_cast(c, b, dtype)};
    out = ubp_k_node(c, op, broadcast_rank(a, b), UB_BOOL, 2, in, 0, NULL);
    return out;
}

kt ubp_k_not(ubp_keras_call *c, kt a)
{
    return ubp_k_one(c, "Not", a);
}

kt ubp_k_where(ubp_keras_call *c, kt condition, kt a, kt b)
{
    const ub_dtype dtype = wider(a.dtype, b.dtype);
    const kt in[3] = {condition, ubp_k_cast(c, a, dtype), ubp_k_cast(c, b, dtype)};
    const int rank = broadcast_rank(a, b);
    return ubp_k_node(c, "Where", condition.rank > rank ? condition.rank : rank, dtype, 3, in, 0,
                      NULL);
}

kt ubp_k_with(ubp_keras_call *c, const char *op, kt a, double number)
{
    return ubp_k_two(c, op, a, ubp_k_number(c, a.dtype, number));
}

kt ubp_k_clip(ubp_keras_call *c, kt a, double low, double high)
{
    kt in[3] = {a, none, none};
    if (!isnan(low))
        in[1] = ubp_k_number(c, a.dtype, low);
    if (!isnan(high))
        in[2] = ubp_k_number(c, a.dtype, high);
    return ubp_k_node(c, "Clip", a.rank, a.dtype, 3, in, 0, NULL);
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

int ubp_k_axis(ubp_keras_call *c, int64_t axis, int rank)
{
    if (ubp_normalize_axis(&axis, rank))
        return (int)axis;
    ubp_keras_fail(c, UB_ERR_SHAPE, "axis %lld of a tensor of %d axes", (long long)axis, rank);
    return 0;
}

kt ubp_k_transpose(ubp_keras_call *c, kt a, const int64_t *perm)
{
    bool moves = false;
    for (int i = 0; i < a.rank; i++)
        moves |= perm[i] != i;
    if (!moves)
        return a;
    return ubp_k_one_with(c, "Transpose", a, 1, (ubp_attr[]){ubp_k_list("perm", a.rank, perm)});
}

kt ubp_k_move_axis(ubp_keras_call *c, kt a, int from, int to)
{
    int64_t perm[UB_MAX_RANK];
    int n = 0;
    for (int i = 0; i < a.rank && i < UB_MAX_RANK; i++)
        if (i != from)
            perm[n++] = i;
    for (int i = n; i > to; i--)
        perm[i] = perm[i - 1];
    perm[to] = from;
    return ubp_k_transpose(c, a, perm);
}

kt ubp_k_swap_last(ubp_keras_call *c, kt a)
{
    return a.rank < 2 ? a : ubp_k_move_axis(c, a, a.rank - 2, a.rank - 1);
}

kt ubp_k_reshape(ubp_keras_call *c, kt a, int n, const int64_t *dims)
{
    const kt in[2] = {a, ubp_k_ints(c, n, dims)};
    return ubp_k_node(c, "Reshape", n, a.dtype, 2, in, 0, NULL);
}

kt ubp_k_unsqueeze(ubp_keras_call *c, kt a, int axis)
{
    const int64_t at = axis < 0 ? axis + a.rank + 1 : axis;
    const kt in[2] = {a, ubp_k_ints(c, 1, &at)};
    return ubp_k_node(c, "Unsqueeze", a.rank + 1, a.dtype, 2, in, 0, NULL);
}

kt ubp_k_squeeze(ubp_keras_call *c, kt a, int axis)
{
    const int64_t at = axis < 0 ? axis + a.rank : axis;
    const kt in[2] = {a, ubp_k_ints(c, 1, &at)};
    return ubp_k_node(c, "Squeeze", a.rank - 1, a.dtype, 2, in, 0, NULL);
}

kt ubp_k_reduce(ubp_keras_call *c, const char *op, kt a, int n_axes, const int64_t *axes,
                bool keep_dims)
{
    const kt in[2] = {a, ubp_k_ints(c, n_axes, axes)};
    return ubp_k_node(c, op, keep_dims ? a.rank : a.rank - n_axes, a.dtype, 2, in, 1,
                      (ubp_attr[]){ubp_k_int("keepdims", keep_dims)});
}

kt ubp_k_concat(ubp_keras_call *c, int n, const kt *parts, int axis)
{
    kt in[UBP_KERAS_PORTS];
    ub_dtype dtype = n > 0 ? parts[0].dtype : UB_F32;
    for (int i = 1; i < n && i < UBP_KERAS_PORTS; i++)
        dtype = wider(dtype, parts[i].dtype);
    for (int i = 0; i < n && i < UBP_KERAS_PORTS; i++)
        in[i] = ubp_k_cast(c, parts[i], dtype);
    return ubp_k_node(c, "Concat", parts[0].rank, dtype, n, in, 1,
                      (ubp_attr[]){ubp_k_int("axis", axis)});
}

kt ubp_k_slice(ubp_keras_call *c, kt a, int axis, int64_t start, int64_t end, int64_t step)
{
    const int64_t at = axis;
    const kt in[5] = {a, ubp_k_ints(c, 1, &start), ubp_k_ints(c, 1, &end), ubp_k_ints(c, 1, &at),
                      ubp_k_ints(c, 1, &step)};
    return ubp_k_node(c, "Slice", a.rank, a.dtype, 5, in, 0, NULL);
}

kt ubp_k_flip(ubp_keras_call *c, kt a, int axis)
{
    return ubp_k_slice(c, a, axis, -1, INT64_MIN, -1);
}

kt ubp_k_gather(ubp_keras_call *c, kt a, kt index, int axis)
{
    const kt in[2] = {a, index};
    return ubp_k_node(c, "Gather", a.rank - 1 + index.rank, a.dtype, 2, in, 1,
                      (ubp_attr[]){ubp_k_int("axis", axis)});
}

kt ubp_k_pad(ubp_keras_call *c, kt a, const int64_t *pads)
{
    const kt in[2] = {a, ubp_k_ints(c, 2 * a.rank, pads)};
    return ubp_k_node(c, "Pad", a.rank, a.dtype, 2, in, 0, NULL);
}

kt ubp_k_shape(ubp_keras_call *c, kt a)
{
    return ubp_k_node(c, "Shape", 1, UB_I64, 1, &a, 0, NULL);
}

kt ubp_k_dim(ubp_keras_call *c, kt a, int axis)
{
    return ubp_k_node(c, "Shape", 1, UB_I64, 1, &a, 2,
                      (ubp_attr[]){ubp_k_int("start", axis), ubp_k_int("end", axis + 1)});
}

kt ubp_k_to_first(ubp_keras_call *c, kt a, bool last)
{
    return last && a.rank > 2 ? ubp_k_move_axis(c, a, a.rank - 1, 1) : a;
}

kt ubp_k_to_last(ubp_keras_call *c, kt a, bool last)
{
    return last && a.rank > 2 ? ubp_k_move_axis(c, a, 1, a.rank - 1) : a;
}

/* ---- Products -------------------------------------------------------------------------------- */

kt ubp_k_matmul(ubp_keras_call *c, kt a, kt b)
{
    kt out = ubp_k_two(c, "MatMul", a, b);
    if (a.rank == 1 || b.rank == 1)
        out.rank--;
    return out;
}

kt ubp_k_einsum(ubp_keras_call *c, const char *equation, int n, const kt *in, int rank)
{
    return ubp_k_node(c, "Einsum", rank, in[0].dtype, n, in, 1,
                      (ubp_attr[]){ubp_k_string("equation", equation)});
}

kt ubp_k_softmax(ubp_keras_call *c, kt a, int axis)
{
    return ubp_k_one_with(c, "Softmax", a, 1, (ubp_attr[]){ubp_k_int("axis", axis)});
}

/* ---- Calls ----------------------------------------------------------------------------------- */

void ubp_k_give(ubp_keras_call *c, kt out)
{
    c->out[0] = out;
    c->n_out = 1;
}

kt ubp_k_input(ubp_keras_call *c)
{
    if (c->n_x < 1) {
        ubp_keras_fail(c, UB_ERR_FILE, "is called without a tensor");
        return none;
    }
    return ubp_k_cast(c, c->x[0], c->compute);
}

kt ubp_k_input_as_is(ubp_keras_call *c, int i)
{
    if (i >= c->n_x) {
        ubp_keras_fail(c, UB_ERR_FILE, "is called with %d tensors", c->n_x);
        return none;
    }
    return ubp_is_float(c->x[i].dtype) ? ubp_k_cast(c, c->x[i], c->compute) : c->x[i];
}

int64_t ubp_k_known_dim(ubp_keras_call *c, kt a, int axis)
{
    const json_t *shape = a.shape;
    if (!shape)
        shape = ubp_keras_get(ubp_keras_get(c->layer->entry, "build_config"), "input_shape");
    const json_t *dim = json_array_get(shape, (size_t)axis);
    if (json_array_size(shape) == (size_t)a.rank && json_is_integer(dim) &&
        json_integer_value(dim) > 0)
        return json_integer_value(dim);
    ubp_keras_fail(c, UB_ERR_UNSUPPORTED,
                   "it needs the size of axis %d of its input, which the file does not say", axis);
    return 1;
}

kt ubp_k_filled(ubp_keras_call *c, ub_dtype dtype, int64_t n, double value)
{
    double *values =
        n < 0 || n > 1 << 24 ? NULL : ubp_arena_array(&c->k->arena, (size_t)n, sizeof(double));
    if (!values) {
        ubp_keras_fail(c, UB_ERR_MEMORY, "cannot make %lld numbers", (long long)n);
        return none;
    }
    for (int64_t i = 0; i < n; i++)
        values[i] = value;
    return ubp_k_numbers(c, dtype, (int)n, values);
}

/* ---- Masks ----------------------------------------------------------------------------------- */

kt ubp_k_mask(ubp_keras_call *c, ubp_keras_mask *mask)
{
    if (!mask)
        return none;
    kt out = {.value = mask->value, .rank = mask->rank, .dtype = UB_BOOL};
    if (mask->value != UBP_NO_VALUE)
        return out;
    const kt source = {.value = mask->source, .rank = mask->rank, .dtype = mask->dtype};
    const int64_t last = -1;
    out = ubp_k_not(c,
                    ubp_k_compare(c, "Equal", source, ubp_k_number(c, source.dtype, mask->number)));
    if (mask->whole_feature) {
        out = ubp_k_reduce(c, "ReduceMax", ubp_k_cast(c, out, UB_I32), 1, &last, false);
        out = ubp_k_cast(c, out, UB_BOOL);
        mask->rank--;
    }
    mask->value = out.value;
    return out;
}

ubp_keras_mask *ubp_k_new_mask(ubp_keras_call *c, kt value)
{
    ubp_keras_mask *m = ubp_arena_alloc(&c->k->arena, sizeof(*m));
    if (!m)
        good(c, ubp_fail_memory(c->k->err, sizeof(*m)));
    else
        *m = (ubp_keras_mask){.value = value.value, .rank = value.rank};
    return m;
}

kt ubp_k_mask_of(ubp_keras_call *c, const char *name, kt of)
{
    const json_t *given = ubp_keras_arg(c, -1, name);
    if (given && ubp_keras_is_tensor(c, given))
        return ubp_k_cast(c, ubp_keras_tensor(c, given, UB_BOOL), UB_BOOL);
    return ubp_k_mask(c, of.mask);
}
