/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NonZero, Compress: elements picked by their own value or by a condition. How many there are is
 * only known from the data. Follows ONNX opsets 13 and 28.
 */
#include "ops/move.h"

/* ---- NonZero -----------------------------------------------------------------------------------
 */

static bool is_zero(const void *p, ub_dtype dtype)
{
    return ubp_is_float(dtype) || ubp_is_narrow_float(dtype) ? ubp_read_f64(p, dtype) == 0
                                                             : ubp_read_i64(p, dtype) == 0;
}

/* The indices of what is not zero into dst [rank][n], or only how many there are (dst NULL). */
static int64_t non_zeros(const ub_tensor *t, int64_t *dst, int64_t n)
{
    int64_t at[UB_MAX_RANK] = {0}, found = 0;
    for (int64_t i = ub_tensor_count(t); i > 0; i--) {
        const char *p = t->data;
        for (int a = 0; a < t->rank; a++)
            p += at[a] * t->strides[a];
        if (!is_zero(p, t->dtype)) {
            for (int a = 0; dst && a < t->rank; a++)
                dst[a * n + found] = at[a];
            found++;
        }
        ubp_next_index(at, t->rank, t->dims);
    }
    return found;
}

static ub_status non_zero_infer(const ubp_call *c)
{
    const ub_tensor *in = c->in[0];
    if (in->dtype == UB_STRING)
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "input 0 is string; numbers are supported");
    if (!in->data && ub_tensor_count(in) > 0)
        return UBP_NEEDS_DATA;
    int64_t dims[2] = {in->rank, non_zeros(in, NULL, 0)};
    return ubp_set_out(c, 0, UB_I64, 2, dims);
}

static ub_status non_zero_ref(const ubp_call *c)
{
    non_zeros(c->in[0], c->out[0]->data, c->out[0]->dims[1]);
    return UB_OK;
}

static void non_zero_batch(ubp_batch *b)
{
    if (ubp_samples_plain(b, 0, 0, "NonZero lists what all samples have together"))
        ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_non_zero = {
    .name = "NonZero",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = non_zero_infer,
    .batch = non_zero_batch,
    .ref = non_zero_ref,
};

/* ---- Compress ----------------------------------------------------------------------------------
 */

typedef struct compress_attr {
    int64_t axis;
    bool flat; /* no axis: the elements as one line */
} compress_attr;

static ub_status compress_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    compress_attr *a = attr;
    (void)arena;
    a->flat = !ubp_node_attr(node, "axis");
    return ubp_attr_int(node, "axis", 0, &a->axis, err);
}

static bool compress_keeps(const ub_tensor *condition, int64_t i)
{
    return *((const char *)condition->data + i * condition->strides[0]) != 0;
}

static ub_status compress_infer(const ubp_call *c)
{
    const compress_attr *attr = c->attr;
    const ub_tensor *in = c->in[0], *condition = c->in[1];
    int axis = 0;
    UBP_TRY(ubp_want_rank(c, 1, 1, 1));
    if (condition->dtype != UB_BOOL)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input 1 is %s, expected bool",
                           ub_dtype_name(condition->dtype));
    if (!attr->flat)
        UBP_TRY(ubp_want_axis(c, attr->axis, in->rank, &axis));
    if (!condition->data && condition->dims[0] > 0)
        return UBP_NEEDS_DATA;
    int64_t kept = 0, dim = attr->flat ? ub_tensor_count(in) : in->dims[axis];
    for (int64_t i = 0; i < condition->dims[0]; i++) {
        if (!compress_keeps(condition, i))
            continue;
        if (i >= dim)
            return ubp_op_fail(c, UB_ERR_SHAPE, "the condition keeps entry %lld of %lld",
                               (long long)i, (long long)dim);
        kept++;
    }
    if (attr->flat)
        return ubp_set_out(c, 0, in->dtype, 1, &kept);
    ub_tensor part = ubp_part(in, axis, 0, 1, kept);
    return ubp_set_out(c, 0, in->dtype, in->rank, part.dims);
}

static ub_status compress_ref(const ubp_call *c)
{
    const compress_attr *attr = c->attr;
    const ub_tensor *in = c->in[0], *condition = c->in[1];
    int axis = 0;
    if (!attr->flat)
        UBP_TRY(ubp_want_axis(c, attr->axis, in->rank, &axis));
    if (ub_tensor_count(c->out[0]) == 0)
        return UB_OK;
    int64_t len = attr->flat ? ub_tensor_count(in) : in->dims[axis];
    int64_t before = attr->flat ? 1 : ubp_span(in->dims, 0, axis);
    size_t run = ub_dtype_size(in->dtype) *
                 (size_t)(attr->flat ? 1 : ubp_span(in->dims, axis + 1, in->rank));
    const char *src = in->data; /* [before][len][run] */
    char *dst = c->out[0]->data;
    int64_t given = condition->dims[0] < len ? condition->dims[0] : len;
    for (int64_t i = 0; i < before; i++)
        for (int64_t t = 0; t < given; t++)
            if (compress_keeps(condition, t)) {
                ubp_copy_element(dst, src + (size_t)(i * len + t) * run, run);
                dst += run;
            }
    return UB_OK;
}

static void compress_batch(ubp_batch *b)
{
    const compress_attr *attr = b->call->attr;
    int axis = 0;
    if (!ubp_samples_plain(b, 1, 1, "Compress keeps what the samples say together"))
        return;
    if (ubp_has_samples(b, 0)) {
        if (!attr->flat && ubp_want_axis(b->call, attr->axis, b->call->in[0]->rank, &axis) != UB_OK)
            return;
        if (attr->flat || axis == b->in[0].axis) {
            ubp_samples_couple(b, 0, "Compress picks samples by number");
            return;
        }
    }
    ubp_samples_keep(b, 0, 0);
}

const ubp_op ubp_op_compress = {
    .name = "Compress",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(compress_attr),
    .attrs = compress_attrs,
    .infer = compress_infer,
    .batch = compress_batch,
    .ref = compress_ref,
};
