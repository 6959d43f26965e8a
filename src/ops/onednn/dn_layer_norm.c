/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LayerNormalization in float32 over the last dims, rows as they come: each row's sums are its own,
 * in an order that only its length decides.
 */
#include "ops/onednn/onednn.h"

#include <string.h>

static bool takes(const char *name)
{
    return strncmp(name, "simple_layer_normalization", 26) == 0 || strncmp(name, "jit", 3) == 0;
}

/* Scale or B, given for each element of a row. */
static bool one_row(const ub_tensor *t, const ub_tensor *x, int axis)
{
    if (t->dtype != UB_F32 || t->rank != x->rank - axis)
        return false;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != x->dims[axis + i])
            return false;
    return true;
}

ub_status ubp_dn_layer_norm(ubp_fast *f, const ubp_dn_request *r)
{
    const ubp_call *call = r->call;
    const ubp_norm_attr *attr = call->attr;
    const ub_tensor *x = call->in[0];
    const bool shift = ubp_has_in(call, 2);
    int64_t axis = attr->axis, rows = 1, n = 1;
    ubp_dn_spec spec;
    if (x->dtype != UB_F32 || ub_tensor_count(x) == 0 || r->n_posts > 0 || ubp_has_out(call, 1) ||
        ubp_has_out(call, 2) || !ubp_normalize_axis(&axis, x->rank) ||
        !one_row(call->in[1], x, (int)axis) || (shift && !one_row(call->in[2], x, (int)axis)))
        return UBP_DECLINED;
    for (int i = 0; i < x->rank; i++)
        *(i < axis ? &rows : &n) *= x->dims[i]; /* fits: the tensor exists */
    if (rows > INT32_MAX / 4 / n)
        return UBP_DECLINED;
    memset(&spec, 0, sizeof spec);
    spec.kind = UBP_DN_LAYER_NORM;
    spec.threads = UBP_DN_THREADS;
    memcpy(&spec.epsilon, &attr->epsilon, sizeof attr->epsilon);
    spec.src = (ubp_dn_operand){.rank = 2, .dims = {rows, n}, .strides = {n, 1}};
    spec.dst = spec.src;
    spec.weights = (ubp_dn_operand){.rank = 1, .dims = {n}, .strides = {1}};
    if (shift)
        spec.bias = spec.weights;
    UBP_TRY(ubp_dn_prim_get(&f->prim, f->d, &spec, takes, call));
    f->run = ubp_dn_run_whole;
    f->items = 1;
    for (int i = 0; i < 2 + shift; i++)
        ubp_tensor_set_strides(&r->want[i]);
    ubp_tensor_set_strides(call->out[0]);
    return UB_OK;
}
