/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for making nodes of our operators. See emit.h.
 */
#include "load/emit.h"

#include <string.h>

#include "ops/ops.h"

static bool keep(ubp_emit *e, ub_status status)
{
    if (e->status == UB_OK)
        e->status = status;
    return e->status == UB_OK;
}

/* ---- Nodes ------------------------------------------------------------------------------------
 */

static void make_outputs(ubp_emit *e, int n_out, int32_t *out)
{
    for (int k = 0; k < n_out; k++)
        out[k] = UBP_NO_VALUE;
    for (int k = 0; k < n_out && e->status == UB_OK; k++)
        keep(e, ubp_graph_value(e->g, "", &out[k], e->err));
}

static void add_node(ubp_emit *e, ubp_node *n)
{
    n->name = e->name;
    if (e->status == UB_OK)
        keep(e, ubp_graph_node(e->g, n, NULL, e->err));
}

void ubp_emit_many(ubp_emit *e, const char *op, int n_in, const int32_t *in, int n_attrs,
                   const ubp_attr *attrs, int n_out, int32_t *out)
{
    make_outputs(e, n_out, out);
    while (n_in > 0 && in[n_in - 1] == UBP_NO_VALUE)
        n_in--;
    ubp_node n = {.op_type = op,
                  .domain = "",
                  .op = ubp_op_find(op, ""),
                  .n_in = n_in,
                  .n_out = n_out,
                  .in = in,
                  .out = out,
                  .n_attrs = n_attrs,
                  .attrs = attrs};
    add_node(e, &n);
}

void ubp_emit_unknown(ubp_emit *e, const char *what, const char *domain, int n_in,
                      const int32_t *in, int n_out, int32_t *out)
{
    make_outputs(e, n_out, out);
    ubp_node n = {
        .op_type = what, .domain = domain, .n_in = n_in, .n_out = n_out, .in = in, .out = out};
    add_node(e, &n);
}

int32_t ubp_emit_node(ubp_emit *e, const char *op, int n_in, const int32_t *in, int n_attrs,
                      const ubp_attr *attrs)
{
    int32_t out = UBP_NO_VALUE;
    ubp_emit_many(e, op, n_in, in, n_attrs, attrs, 1, &out);
    return e->status == UB_OK ? out : UBP_NO_VALUE;
}

int32_t ubp_emit_1(ubp_emit *e, const char *op, int32_t a)
{
    return ubp_emit_node(e, op, 1, &a, 0, NULL);
}

int32_t ubp_emit_2(ubp_emit *e, const char *op, int32_t a, int32_t b)
{
    const int32_t in[] = {a, b};
    return ubp_emit_node(e, op, 2, in, 0, NULL);
}

int32_t ubp_emit_3(ubp_emit *e, const char *op, int32_t a, int32_t b, int32_t c)
{
    const int32_t in[] = {a, b, c};
    return ubp_emit_node(e, op, 3, in, 0, NULL);
}

/* ---- Attributes -------------------------------------------------------------------------------
 */

ubp_attr ubp_emit_int(const char *name, int64_t v)
{
    return (ubp_attr){.name = name, .kind = UBP_ATTR_INT, .i = v, .s = ""};
}

ubp_attr ubp_emit_float(const char *name, double v)
{
    return (ubp_attr){.name = name, .kind = UBP_ATTR_FLOAT, .f = v, .s = ""};
}

ubp_attr ubp_emit_string(const char *name, const char *v)
{
    return (ubp_attr){.name = name, .kind = UBP_ATTR_STRING, .s = v, .s_size = strlen(v)};
}

ubp_attr ubp_emit_list(ubp_emit *e, const char *name, const int64_t *v, int n)
{
    ubp_attr a = {.name = name, .kind = UBP_ATTR_INTS, .s = "", .n = (size_t)n};
    int64_t *copy = ubp_arena_array(&e->g->arena, (size_t)n, sizeof(*copy));
    if (!copy) {
        keep(e, ubp_fail_memory(e->err, (size_t)n * sizeof(*copy)));
        a.n = 0;
    } else if (n > 0) {
        memcpy(copy, v, (size_t)n * sizeof(*copy));
    }
    a.ints = copy;
    return a;
}

/* ---- Constants --------------------------------------------------------------------------------
 */

/* A constant from elements that lie row-major at data, which is only read. */
static int32_t constant(ubp_emit *e, ub_dtype dtype, int rank, int64_t count, const void *data)
{
    int32_t out = UBP_NO_VALUE;
    ub_tensor t = {0};
    if (e->status != UB_OK || !keep(e, ubp_tensor_describe(&t, dtype, rank, &count, e->err)))
        return UBP_NO_VALUE;
    t.data = (void *)(uintptr_t)data;
    keep(e, ubp_graph_constant(e->g, &t, &out, e->err));
    return out;
}

int32_t ubp_emit_number(ubp_emit *e, ub_dtype dtype, double v)
{
    int64_t element = 0;
    if (ub_dtype_size(dtype) == 0)
        dtype = UB_F32;
    ubp_write_f64(&element, dtype, v);
    return constant(e, dtype, 0, 1, &element);
}

int32_t ubp_emit_integer(ubp_emit *e, ub_dtype dtype, int64_t v)
{
    int64_t element = 0;
    if (ub_dtype_size(dtype) == 0)
        dtype = UB_I64;
    ubp_write_i64(&element, dtype, v);
    return constant(e, dtype, 0, 1, &element);
}

int32_t ubp_emit_ints(ubp_emit *e, const int64_t *v, int n)
{
    return constant(e, UB_I64, 1, n, v);
}

int32_t ubp_emit_floats(ubp_emit *e, const float *v, int64_t n)
{
    return constant(e, UB_F32, 1, n, v);
}

int32_t ubp_emit_full(ubp_emit *e, int32_t scalar, int rank, const int64_t *dims)
{
    return ubp_emit_2(e, "Expand", scalar, ubp_emit_ints(e, dims, rank));
}

/* ---- Common nodes -----------------------------------------------------------------------------
 */

int32_t ubp_emit_cast(ubp_emit *e, int32_t v, ub_dtype to)
{
    const ubp_attr a = ubp_emit_int("to", to);
    return ubp_emit_node(e, "Cast", 1, &v, 1, &a);
}

int32_t ubp_emit_transpose(ubp_emit *e, int32_t v, int rank, const int64_t *perm)
{
    const ubp_attr a = ubp_emit_list(e, "perm", perm, rank);
    return ubp_emit_node(e, "Transpose", 1, &v, 1, &a);
}

int32_t ubp_emit_swap(ubp_emit *e, int32_t v, int rank, int a, int b)
{
    int64_t perm[UB_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = i == a ? b : i == b ? a : i;
    return ubp_emit_transpose(e, v, rank, perm);
}

int32_t ubp_emit_reshape(ubp_emit *e, int32_t v, int rank, const int64_t *dims)
{
    bool zero = false;
    for (int i = 0; i < rank; i++)
        zero |= dims[i] == 0;
    const int32_t in[] = {v, ubp_emit_ints(e, dims, rank)};
    const ubp_attr a = ubp_emit_int("allowzero", 1);
    return ubp_emit_node(e, "Reshape", 2, in, zero, &a);
}

int32_t ubp_emit_unsqueeze(ubp_emit *e, int32_t v, const int64_t *axes, int n)
{
    return ubp_emit_2(e, "Unsqueeze", v, ubp_emit_ints(e, axes, n));
}

int32_t ubp_emit_squeeze(ubp_emit *e, int32_t v, const int64_t *axes, int n)
{
    return ubp_emit_2(e, "Squeeze", v, ubp_emit_ints(e, axes, n));
}

int32_t ubp_emit_slice(ubp_emit *e, int32_t v, int axis, int64_t start, int64_t end, int64_t step)
{
    const int64_t at = axis;
    const int32_t in[] = {v, ubp_emit_ints(e, &start, 1), ubp_emit_ints(e, &end, 1),
                          ubp_emit_ints(e, &at, 1), ubp_emit_ints(e, &step, 1)};
    return ubp_emit_node(e, "Slice", 5, in, 0, NULL);
}

int32_t ubp_emit_concat(ubp_emit *e, const int32_t *v, int n, int axis)
{
    const ubp_attr a = ubp_emit_int("axis", axis);
    return ubp_emit_node(e, "Concat", n, v, 1, &a);
}

int32_t ubp_emit_reduce(ubp_emit *e, const char *op, int32_t v, const int64_t *axes, int n,
                        bool keepdims)
{
    const int32_t in[] = {v, axes ? ubp_emit_ints(e, axes, n) : UBP_NO_VALUE};
    const ubp_attr a = ubp_emit_int("keepdims", keepdims);
    return ubp_emit_node(e, op, 2, in, 1, &a);
}

int32_t ubp_emit_size(ubp_emit *e, int32_t v, int axis)
{
    const ubp_attr a[] = {ubp_emit_int("start", axis), ubp_emit_int("end", axis + 1)};
    return ubp_emit_node(e, "Shape", 1, &v, 2, a);
}

int32_t ubp_emit_shape(ubp_emit *e, int32_t v)
{
    return ubp_emit_1(e, "Shape", v);
}

/* ---- Names ------------------------------------------------------------------------------------
 */

/* The name, or the first of name_2, name_3 ... that is free. */
static const char *free_name(ubp_emit *e, const char *name)
{
    const char *tried = ubp_arena_strdup(&e->g->arena, name);
    for (int i = 2; tried && ubp_table_find(&e->g->value_names, tried) >= 0; i++)
        tried = ubp_arena_printf(&e->g->arena, "%s_%d", name, i);
    return tried;
}

int32_t ubp_emit_named(ubp_emit *e, int32_t v, const char *name)
{
    if (e->status != UB_OK || v == UBP_NO_VALUE || !*name)
        return v;
    const ubp_value *old = &e->g->values[v];
    if (*old->name || old->constant || old->is_input || old->producer == UBP_NO_NODE)
        v = ubp_emit_1(e, "Identity", v);
    const char *unique = free_name(e, name);
    if (!unique)
        keep(e, ubp_fail_memory(e->err, strlen(name)));
    if (e->status != UB_OK)
        return UBP_NO_VALUE;
    e->g->values[v].name = unique;
    keep(e, ubp_table_add(&e->g->value_names, unique, v, e->err));
    return v;
}
