/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for rewriting one node: change its inputs and attributes, put constants and helper nodes
 * before it. Helper nodes carry the node's name, so that they count as part of it.
 */
#include "load/onnx.h"

#include <string.h>

int32_t ubp_rw_in(const ubp_rewrite *rw, int k)
{
    return k < rw->node.n_in ? rw->in[k] : UBP_NO_VALUE;
}

ub_status ubp_rw_set_in(ubp_rewrite *rw, int k, int32_t value)
{
    if (k >= rw->node.n_in) {
        int32_t *in = ubp_arena_array(&rw->g->arena, (size_t)k + 1, sizeof(*in));
        if (!in)
            return ubp_fail_memory(rw->err, ((size_t)k + 1) * sizeof(*in));
        for (int i = 0; i < k; i++)
            in[i] = ubp_rw_in(rw, i);
        rw->node.in = rw->in = in;
        rw->node.n_in = k + 1;
    }
    rw->in[k] = value;
    return UB_OK;
}

void ubp_rw_drop(ubp_rewrite *rw, const char *attr)
{
    int n = 0;
    for (int i = 0; i < rw->node.n_attrs; i++)
        if (strcmp(rw->attrs[i].name, attr) != 0)
            rw->attrs[n++] = rw->attrs[i];
    rw->node.n_attrs = n;
}

static ub_status set_attr(ubp_rewrite *rw, const ubp_attr *attr)
{
    ubp_rw_drop(rw, attr->name);
    const int n = rw->node.n_attrs;
    ubp_attr *attrs = ubp_arena_array(&rw->g->arena, (size_t)n + 1, sizeof(*attrs));
    if (!attrs)
        return ubp_fail_memory(rw->err, sizeof(*attrs));
    if (n > 0)
        memcpy(attrs, rw->attrs, (size_t)n * sizeof(*attrs));
    attrs[n] = *attr;
    rw->node.attrs = rw->attrs = attrs;
    rw->node.n_attrs = n + 1;
    return UB_OK;
}

ub_status ubp_rw_set_int(ubp_rewrite *rw, const char *attr, int64_t value)
{
    return set_attr(rw, &(ubp_attr){.name = attr, .kind = UBP_ATTR_INT, .i = value, .s = ""});
}

ub_status ubp_rw_set_float(ubp_rewrite *rw, const char *attr, float value)
{
    return set_attr(rw,
                    &(ubp_attr){.name = attr, .kind = UBP_ATTR_FLOAT, .f = (double)value, .s = ""});
}

ub_status ubp_rw_set_string(ubp_rewrite *rw, const char *attr, const char *value)
{
    return set_attr(
        rw,
        &(ubp_attr){.name = attr, .kind = UBP_ATTR_STRING, .s = value, .s_size = strlen(value)});
}

ub_status ubp_rw_ints_to_in(ubp_rewrite *rw, const char *attr, int k)
{
    const int64_t *v = NULL;
    int n = 0;
    int32_t value = UBP_NO_VALUE;
    UBP_TRY(ubp_attr_ints(&rw->node, attr, &v, &n, rw->err));
    if (n < 0)
        return UB_OK;
    UBP_TRY(ubp_graph_ints(rw->g, v, n, &value, rw->err));
    ubp_rw_drop(rw, attr);
    return ubp_rw_set_in(rw, k, value);
}

ub_status ubp_rw_scalar(ubp_rewrite *rw, double number, int32_t *out)
{
    const ub_dtype dtype = ubp_onnx_fact_of(rw->s, ubp_rw_in(rw, 0)).dtype;
    int64_t storage = 0;
    ub_tensor t = {0};
    UBP_TRY(ubp_tensor_describe(&t, dtype == UB_UNDEFINED ? UB_F32 : dtype, 0, NULL, rw->err));
    if (ub_dtype_size(t.dtype) == 0)
        return ubp_fail(rw->err, UB_ERR_FILE, "node '%s' (%s) has an input of %s", rw->node.name,
                        rw->node.op_type, ub_dtype_name(t.dtype));
    t.data = &storage;
    ubp_write_f64(t.data, t.dtype, number);
    UBP_TRY(ubp_graph_constant(rw->g, &t, out, rw->err));
    if (dtype != UB_UNDEFINED)
        return UB_OK;
    const int32_t in[] = {*out, ubp_rw_in(rw, 0)};
    return ubp_rw_helper(rw, "CastLike", 2, in, NULL, 0, out);
}

ub_status ubp_rw_floats(ubp_rewrite *rw, const double *v, int n, int32_t *out)
{
    float data[UB_MAX_RANK];
    const int64_t dim = n;
    ub_tensor t = {0};
    if (n < 0 || n > UB_MAX_RANK)
        return ubp_fail(rw->err, UB_ERR_FILE,
                        "node '%s' (%s) has a list of %d numbers, expected"
                        " at most %d",
                        rw->node.name, rw->node.op_type, n, UB_MAX_RANK);
    for (int i = 0; i < n; i++)
        data[i] = (float)v[i];
    UBP_TRY(ubp_tensor_describe(&t, UB_F32, 1, &dim, rw->err));
    t.data = data;
    return ubp_graph_constant(rw->g, &t, out, rw->err);
}

ub_status ubp_rw_helper(ubp_rewrite *rw, const char *op_type, int n_in, const int32_t *in,
                        const ubp_attr *attrs, int n_attrs, int32_t *out)
{
    UBP_TRY(ubp_graph_value(rw->g, "", out, rw->err));
    const ubp_node node = {.name = rw->node.name,
                           .op_type = op_type,
                           .domain = "",
                           .op = ubp_op_find(op_type, ""),
                           .n_in = n_in,
                           .n_out = 1,
                           .in = in,
                           .out = out,
                           .n_attrs = n_attrs,
                           .attrs = attrs,
                           .helper = true};
    UBP_TRY(ubp_graph_node(rw->g, &node, NULL, rw->err));
    return ubp_onnx_fact_note(rw->s, &node);
}

void ubp_rw_refuse(ubp_rewrite *rw, const char *what)
{
    rw->node.op_type = what;
    rw->refused = true;
}
