/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slice, Split: parts of a tensor along its axes, as views. Follows ONNX opsets 13 and 18; bounds
 * are clamped as Slice's documentation says, which for a negative step differs from NumPy.
 */
#include "ops/move.h"

/* ---- Slice -------------------------------------------------------------------------------------
 */

/* Per axis of the input: indices start, start + step, ... */
typedef struct slice_spec {
    int64_t start[UB_MAX_RANK], step[UB_MAX_RANK], count[UB_MAX_RANK];
    bool cut[UB_MAX_RANK]; /* named by the node */
} slice_spec;

static void slice_axis(slice_spec *s, int axis, int64_t dim, int64_t start, int64_t end,
                       int64_t step)
{
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
    start += start < 0 ? dim : 0;
    end += end < 0 ? dim : 0;
    start = start < 0 ? 0 : start > high ? high : start;
    end = end < low ? low : end > high ? high : end;
    uint64_t way = 0, stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    if (dim > 0 && (step > 0 ? end > start : end < start))
        way = (uint64_t)(step > 0 ? end - start : start - end);
    s->start[axis] = start;
    s->count[axis] = way == 0 ? 0 : (int64_t)((way - 1) / stride) + 1;
    s->step[axis] = step;
    s->cut[axis] = true;
}

static ub_status slice_parse(const ubp_call *c, slice_spec *s)
{
    const ub_tensor *in = c->in[0];
    int64_t starts[UB_MAX_RANK], ends[UB_MAX_RANK], axes[UB_MAX_RANK], steps[UB_MAX_RANK];
    int count, n;
    UBP_TRY(ubp_in_ints(c, 1, starts, &count, UB_MAX_RANK));
    UBP_TRY(ubp_in_ints(c, 2, ends, &n, UB_MAX_RANK));
    if (n != count)
        return ubp_op_fail(c, UB_ERR_SHAPE, "%d starts but %d ends", count, n);
    for (int i = 0; i < UB_MAX_RANK; i++) {
        axes[i] = i;
        steps[i] = 1;
    }
    n = count;
    if (ubp_has_in(c, 3))
        UBP_TRY(ubp_in_ints(c, 3, axes, &n, UB_MAX_RANK));
    if (n != count || count > in->rank)
        return ubp_op_fail(c, UB_ERR_SHAPE, "%d starts for %d axes of an input that has %d", count,
                           n, in->rank);
    if (ubp_has_in(c, 4))
        UBP_TRY(ubp_in_ints(c, 4, steps, &n, UB_MAX_RANK));
    if (n != count)
        return ubp_op_fail(c, UB_ERR_SHAPE, "%d starts but %d steps", count, n);
    for (int i = 0; i < in->rank; i++) {
        s->start[i] = 0;
        s->step[i] = 1;
        s->count[i] = in->dims[i];
        s->cut[i] = false;
    }
    for (int i = 0; i < count; i++) {
        int axis = 0;
        UBP_TRY(ubp_want_axis(c, axes[i], in->rank, &axis));
        if (s->cut[axis])
            return ubp_op_fail(c, UB_ERR_SHAPE, "axis %d is sliced twice", axis);
        if (steps[i] == 0)
            return ubp_op_fail(c, UB_ERR_SHAPE, "axis %d is sliced with a step of 0", axis);
        slice_axis(s, axis, in->dims[axis], starts[i], ends[i], steps[i]);
    }
    return UB_OK;
}

static ub_status slice_infer(const ubp_call *c)
{
    slice_spec s;
    UBP_TRY(slice_parse(c, &s));
    return ubp_set_out(c, 0, c->in[0]->dtype, c->in[0]->rank, s.count);
}

static bool slice_view(const ubp_call *c, int k, int64_t *offset)
{
    const ub_tensor *in = c->in[0];
    slice_spec s;
    if (slice_parse(c, &s) != UB_OK)
        return false;
    *offset = 0;
    if (ub_tensor_count(c->out[k]) == 0)
        return true;
    for (int i = 0; i < in->rank; i++) {
        *offset += s.start[i] * in->strides[i];
        /* Alone, an entry has no next one: the step may be anything. */
        c->out[k]->strides[i] = in->strides[i] * (s.count[i] > 1 ? s.step[i] : 1);
    }
    return true;
}

/* Where the samples are after indices start, start + step, ... of their axis were kept. True when
 * every sample keeps the same share of its entries. */
static bool slice_samples(ubp_samples *map, int64_t n, int64_t start, int64_t step, int64_t count)
{
    int64_t block = n * map->inner;
    if (step == 1 && block > 0 && start % block == 0 && count % block == 0 && count > 0) {
        map->outer = count / block;
        return true;
    }
    /* The same entries of every sample's run of `inner`. */
    bool even = step > 0 && map->inner % step == 0 && start < step;
    if (even && count == map->outer * n * (map->inner / step)) {
        map->inner /= step;
        return true;
    }
    return step == 1 && start == 0 && count == map->outer * block;
}

static void slice_batch(ubp_batch *b)
{
    const ubp_call *c = b->call;
    const ubp_samples *map = &b->in[0];
    ubp_samples *out = &b->out[0];
    slice_spec s;
    if (!ubp_samples_plain(b, 1, 4, "bounds made from the samples"))
        return;
    ubp_samples_words(b, 0, 0);
    if (slice_parse(c, &s) != UB_OK) {
        ubp_samples_couple(b, 0, "bounds that are not known beforehand");
        return;
    }
    for (int i = 0; i < c->in[0]->rank; i++) {
        bool batch = map->kind == UBP_SAMPLES_AXIS && map->axis == i;
        if (!batch && s.cut[i] && s.start[i] != 0 && b->in[1].sized)
            ubp_samples_couple(b, 0, "Slice starts at the number of samples");
    }
    if (map->kind == UBP_SAMPLES_AXIS) {
        int axis = map->axis;
        ubp_samples_axis(b, 0, 0, axis);
        if (!slice_samples(out, b->n, s.start[axis], s.step[axis], s.count[axis])) {
            out->kind = UBP_SAMPLES_NONE;
            ubp_samples_couple(b, 0, "Slice picks single samples");
            return;
        }
    }
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_slice = {
    .name = "Slice",
    .domain = "",
    .min_in = 3,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .infer = slice_infer,
    .batch = slice_batch,
    .view = slice_view,
    .ref = ubp_ref_from_view,
};

/* ---- Split -------------------------------------------------------------------------------------
 */

typedef struct split_attr {
    int64_t axis, parts; /* parts: 0 when not said */
} split_attr;

static ub_status split_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    split_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "axis", 0, &a->axis, err));
    return ubp_attr_int(node, "num_outputs", 0, &a->parts, err);
}

/* Part k is `count` indices of the axis from `start`. */
static ub_status split_part(const ubp_call *c, int k, int *axis, int64_t *start, int64_t *count)
{
    const split_attr *attr = c->attr;
    const ub_tensor *in = c->in[0];
    UBP_TRY(ubp_want_axis(c, attr->axis, in->rank, axis));
    int64_t dim = in->dims[*axis], n = c->n_out;
    if (ubp_has_in(c, 1)) {
        const ub_tensor *sizes = c->in[1];
        UBP_TRY(ubp_want_index(c, 1));
        UBP_TRY(ubp_want_rank(c, 1, 1, 1));
        if (sizes->dims[0] != n)
            return ubp_op_fail(c, UB_ERR_SHAPE, "%lld sizes for %lld outputs",
                               (long long)sizes->dims[0], (long long)n);
        if (!sizes->data)
            return UBP_NEEDS_DATA;
        int64_t sum = 0;
        for (int64_t i = 0; i < n; i++) {
            int64_t size = ubp_read_i64((char *)sizes->data + i * sizes->strides[0], sizes->dtype);
            if (i == k) {
                *start = sum;
                *count = size;
            }
            if (size < 0 || !ubp_add_i64(sum, size, &sum) || sum > dim)
                return ubp_op_fail(c, UB_ERR_SHAPE,
                                   "part %lld of %lld entries does not fit into axis %d of %lld",
                                   (long long)i, (long long)size, *axis, (long long)dim);
        }
        if (sum != dim)
            return ubp_op_fail(c, UB_ERR_SHAPE, "the parts add up to %lld, axis %d has %lld",
                               (long long)sum, *axis, (long long)dim);
        return UB_OK;
    }
    if (attr->parts != 0 && attr->parts != n)
        return ubp_op_fail(c, UB_ERR_SHAPE, "num_outputs is %lld for %lld outputs",
                           (long long)attr->parts, (long long)n);
    int64_t each = dim / n + (dim % n != 0);
    *start = each * k < dim ? each * k : dim;
    *count = dim - *start < each ? dim - *start : each;
    return UB_OK;
}

static ub_status split_infer(const ubp_call *c)
{
    const ub_tensor *in = c->in[0];
    UBP_TRY(ubp_want_rank(c, 0, 1, UB_MAX_RANK));
    for (int k = 0; k < c->n_out; k++) {
        int axis = 0;
        int64_t start = 0, count = 0;
        UBP_TRY(split_part(c, k, &axis, &start, &count));
        ub_tensor part = ubp_part(in, axis, 0, 1, count);
        UBP_TRY(ubp_set_out(c, k, in->dtype, in->rank, part.dims));
    }
    return UB_OK;
}

static bool split_view(const ubp_call *c, int k, int64_t *offset)
{
    const ub_tensor *in = c->in[0];
    int axis = 0;
    int64_t start = 0, count = 0;
    if (split_part(c, k, &axis, &start, &count) != UB_OK)
        return false;
    *offset = count > 0 ? start * in->strides[axis] : 0;
    for (int i = 0; i < in->rank; i++)
        c->out[k]->strides[i] = in->strides[i];
    return true;
}

static void split_batch(ubp_batch *b)
{
    const ubp_samples *map = &b->in[0];
    if (!ubp_samples_plain(b, 1, 1, "sizes made from the samples"))
        return;
    for (int k = 0; k < b->call->n_out; k++) {
        int axis = 0;
        int64_t start = 0, count = 0;
        ubp_samples_words(b, k, 0);
        if (split_part(b->call, k, &axis, &start, &count) != UB_OK) {
            ubp_samples_couple(b, k, "sizes that are not known beforehand");
            continue;
        }
        if (map->kind == UBP_SAMPLES_AXIS) {
            ubp_samples_axis(b, k, 0, map->axis);
            if (axis == map->axis && !slice_samples(&b->out[k], b->n, start, 1, count)) {
                b->out[k].kind = UBP_SAMPLES_NONE;
                ubp_samples_couple(b, k, "Split picks single samples");
                continue;
            }
        }
        ubp_samples_fit(b, k);
    }
}

const ubp_op ubp_op_split = {
    .name = "Split",
    .domain = "",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 127,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(split_attr),
    .attrs = split_attrs,
    .infer = split_infer,
    .batch = split_batch,
    .view = split_view,
    .ref = ubp_ref_from_view,
};
