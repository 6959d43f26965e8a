/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ConstantOfShape, Range: tensors made from a few numbers. Follows ONNX opsets 25 and 27.
 */
#include <math.h>

#include "ops/move.h"

/* ---- ConstantOfShape ---------------------------------------------------------------------------
 */

typedef struct constant_attr {
    ub_dtype dtype;
    union {
        unsigned char bytes[8];
        uint64_t aligned;
    } value;
} constant_attr;

static ub_status constant_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    constant_attr *a = attr;
    const ubp_attr *value = ubp_node_attr(node, "value");
    (void)arena;
    a->dtype = UB_F32;
    if (!value)
        return UB_OK;
    if (value->kind != UBP_ATTR_TENSOR || ub_tensor_count(value->tensor) != 1)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (ConstantOfShape): value is not one element",
                        node->name);
    a->dtype = value->tensor->dtype;
    size_t size = ub_dtype_size(a->dtype);
    if (size == 0 || size > sizeof a->value)
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "node '%s' (ConstantOfShape): a value of type %s",
                        node->name, ub_dtype_name(a->dtype));
    ubp_copy_element(a->value.bytes, value->tensor->data, size);
    return UB_OK;
}

static ub_status constant_infer(const ubp_call *c)
{
    int64_t dims[UB_MAX_RANK];
    char text[UBP_SHAPE_TEXT];
    int rank;
    UBP_TRY(ubp_in_ints(c, 0, dims, &rank, UB_MAX_RANK));
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0)
            return ubp_op_fail(c, UB_ERR_SHAPE, "the shape %s has a negative dim",
                               ubp_shape_text(text, rank, dims));
    return ubp_set_out(c, 0, ((const constant_attr *)c->attr)->dtype, rank, dims);
}

static ub_status constant_ref(const ubp_call *c)
{
    const constant_attr *attr = c->attr;
    const ub_tensor *out = c->out[0];
    ub_tensor value = ubp_repeated(out->dtype, out->rank, out->dims, attr->value.bytes);
    ubp_run_move(c->run, out, &value);
    return UB_OK;
}

static void constant_batch(ubp_batch *b)
{
    if (ubp_samples_plain(b, 0, 0, "a shape made from the samples"))
        ubp_samples_grown(b, 0);
}

const ubp_op ubp_op_constant_of_shape = {
    .name = "ConstantOfShape",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(constant_attr),
    .attrs = constant_attrs,
    .infer = constant_infer,
    .batch = constant_batch,
    .ref = constant_ref,
};

/* ---- Range -------------------------------------------------------------------------------------
 */

static ub_status range_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    int64_t *stash = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "stash_type", 1, stash, err));
    if (*stash != 1)
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "node '%s' (Range): stash_type %lld, expected 1",
                        node->name, (long long)*stash);
    return UB_OK;
}

static ub_status range_count_ints(const ubp_call *c, int64_t *count)
{
    int64_t start = ubp_read_i64(c->in[0]->data, c->in[0]->dtype);
    int64_t limit = ubp_read_i64(c->in[1]->data, c->in[1]->dtype);
    int64_t delta = ubp_read_i64(c->in[2]->data, c->in[2]->dtype);
    uint64_t way = 0, step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    if (delta == 0)
        return ubp_op_fail(c, UB_ERR_SHAPE, "a Range with a delta of 0");
    if (delta > 0 && limit > start)
        way = (uint64_t)limit - (uint64_t)start;
    if (delta < 0 && limit < start)
        way = (uint64_t)start - (uint64_t)limit;
    uint64_t n = way / step + (way % step != 0);
    if (n > INT64_MAX)
        return ubp_op_fail(c, UB_ERR_SHAPE, "a Range of %llu elements", (unsigned long long)n);
    *count = (int64_t)n;
    return UB_OK;
}

static ub_status range_count_floats(const ubp_call *c, int64_t *count)
{
    double start = ubp_read_f64(c->in[0]->data, c->in[0]->dtype);
    double limit = ubp_read_f64(c->in[1]->data, c->in[1]->dtype);
    double delta = ubp_read_f64(c->in[2]->data, c->in[2]->dtype);
    double n = ceil((limit - start) / delta);
    if (delta == 0 || !(n < 0x1p62))
        return ubp_op_fail(c, UB_ERR_SHAPE, "a Range from %g to %g by %g has no end", start, limit,
                           delta);
    *count = n > 0 ? (int64_t)n : 0;
    return UB_OK;
}

static ub_status range_infer(const ubp_call *c)
{
    ub_dtype dtype = c->in[0]->dtype;
    for (int i = 0; i < 3; i++) {
        UBP_TRY(ubp_want_same_dtype(c, 0, i));
        if (ub_tensor_count(c->in[i]) != 1)
            return ubp_op_fail(c, UB_ERR_SHAPE, "input %d has %lld elements, expected one", i,
                               (long long)ub_tensor_count(c->in[i]));
    }
    if (!ubp_is_float(dtype) && !ubp_is_signed(dtype))
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "a Range of %s", ub_dtype_name(dtype));
    for (int i = 0; i < 3; i++)
        if (!c->in[i]->data)
            return UBP_NEEDS_DATA;
    int64_t count;
    if (ubp_is_float(dtype))
        UBP_TRY(range_count_floats(c, &count));
    else
        UBP_TRY(range_count_ints(c, &count));
    return ubp_set_out(c, 0, dtype, 1, &count);
}

static ub_status range_ref(const ubp_call *c)
{
    const ub_tensor *out = c->out[0];
    ub_dtype dtype = out->dtype;
    char *dst = out->data; /* [n] */
    int64_t n = out->dims[0], size = (int64_t)ub_dtype_size(dtype);
    if (!ubp_is_float(dtype)) {
        int64_t v = ubp_read_i64(c->in[0]->data, dtype);
        int64_t delta = ubp_read_i64(c->in[2]->data, dtype);
        for (int64_t i = 0; i < n; i++, v += i < n ? delta : 0)
            ubp_write_i64(dst + i * size, dtype, v);
        return UB_OK;
    }
    double start = ubp_read_f64(c->in[0]->data, dtype);
    double delta = ubp_read_f64(c->in[2]->data, dtype);
    for (int64_t i = 0; i < n; i++) {
        double v = dtype == UB_F64 ? start + (double)i * delta
                                   : (double)((float)start + (float)i * (float)delta);
        ubp_write_f64(dst + i * size, dtype, v);
    }
    return UB_OK;
}

/* A Range that is as long as the batch, counting from 0, numbers its rows. */
static void range_batch(ubp_batch *b)
{
    const ubp_call *c = b->call;
    ubp_samples *out = &b->out[0];
    if (!ubp_samples_plain(b, 0, 2, "a Range made from the samples"))
        return;
    ubp_samples_grown(b, 0);
    if (out->kind == UBP_SAMPLES_NONE && (b->in[0].sized || b->in[2].sized))
        ubp_samples_couple(b, 0, "counts from the number of samples");
    if (out->kind != UBP_SAMPLES_AXIS)
        return;
    bool plain = c->in[0]->data && c->in[2]->data && !b->in[0].sized && !b->in[2].sized &&
                 ubp_read_f64(c->in[0]->data, c->in[0]->dtype) == 0 &&
                 ubp_read_f64(c->in[2]->data, c->in[2]->dtype) == 1;
    if (plain && out->inner == 1)
        out->positional = true;
    else
        ubp_samples_couple(b, 0, "numbers that count on over the samples");
}

const ubp_op ubp_op_range = {
    .name = "Range",
    .domain = "",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(int64_t),
    .attrs = range_attrs,
    .infer = range_infer,
    .batch = range_batch,
    .ref = range_ref,
};
