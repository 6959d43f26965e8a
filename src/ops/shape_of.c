/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shape, Size: the dims of a tensor as int64 values. Its elements are never read. Follows ONNX
 * opset 25.
 */
#include "ops/move.h"

typedef struct shape_attr {
    int64_t start, end;
} shape_attr;

static ub_status shape_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    shape_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "start", 0, &a->start, err));
    return ubp_attr_int(node, "end", INT64_MAX, &a->end, err);
}

static int64_t clamp_axis(int64_t axis, int rank)
{
    if (axis < 0)
        axis += rank;
    return axis < 0 ? 0 : axis > rank ? rank : axis;
}

/* The axes [*first, *last) whose dims are the output; out-of-range bounds are clamped. */
static void shape_axes(const ubp_call *c, int *first, int *last)
{
    const shape_attr *attr = c->attr;
    int rank = c->in[0]->rank;
    *first = (int)clamp_axis(attr->start, rank);
    *last = (int)clamp_axis(attr->end, rank);
    if (*last < *first)
        *last = *first;
}

static ub_status shape_infer(const ubp_call *c)
{
    int first, last;
    shape_axes(c, &first, &last);
    int64_t count = last - first;
    return ubp_set_out(c, 0, UB_I64, 1, &count);
}

static ub_status shape_ref(const ubp_call *c)
{
    int first, last;
    shape_axes(c, &first, &last);
    int64_t *dst = c->out[0]->data; /* [last - first] */
    for (int i = first; i < last; i++)
        dst[i - first] = c->in[0]->dims[i];
    return UB_OK;
}

/* Counts samples only where the batch's own dim is among those asked for. */
static void shape_batch(ubp_batch *b)
{
    int first, last;
    ubp_batch_shape_only(b);
    shape_axes(b->call, &first, &last);
    const ubp_samples *map = &b->in[0];
    if (map->kind == UBP_SAMPLES_AXIS && !map->coupled && (map->axis < first || map->axis >= last))
        b->out[0].sized = false;
}

const ubp_op ubp_op_shape = {
    .name = "Shape",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_SHAPE_ONLY,
    .attr_size = sizeof(shape_attr),
    .attrs = shape_attrs,
    .infer = shape_infer,
    .batch = shape_batch,
    .ref = shape_ref,
};

static ub_status size_infer(const ubp_call *c)
{
    return ubp_set_out(c, 0, UB_I64, 0, NULL);
}

static ub_status size_ref(const ubp_call *c)
{
    *(int64_t *)c->out[0]->data = ub_tensor_count(c->in[0]);
    return UB_OK;
}

const ubp_op ubp_op_size = {
    .name = "Size",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_SHAPE_ONLY,
    .infer = size_infer,
    .batch = ubp_batch_shape_only,
    .ref = size_ref,
};
