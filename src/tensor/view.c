/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views: other dims and strides on the same elements. Nothing is copied and, for views by value,
 * nothing allocated. `view` may be `t` itself. A view by value keeps t's buffer without counting
 * it; ubp_tensor_handle makes a counted one.
 */
#include "tensor/tensor.h"

#include <inttypes.h>
#include <string.h>

static void drop_axis(ub_tensor *t, int axis)
{
    for (int i = axis; i + 1 < t->rank; i++) {
        t->dims[i] = t->dims[i + 1];
        t->strides[i] = t->strides[i + 1];
    }
    t->rank--;
}

static ub_status check_axis(const ub_tensor *t, int *axis, ub_error *err)
{
    int64_t at = *axis;
    if (!ubp_normalize_axis(&at, t->rank))
        return ubp_fail(err, UB_ERR_ARGUMENT, "axis %d is out of bounds for %d dimensions", *axis,
                        t->rank);
    *axis = (int)at;
    return UB_OK;
}

ub_status ubp_tensor_handle(ub_tensor **out, const ub_tensor *view, ub_error *err)
{
    *out = NULL;
    ub_tensor *t = ubp_malloc(sizeof(*t));
    if (!t)
        return ubp_fail_memory(err, sizeof(*t));
    *t = *view;
    ubp_buffer_ref(t->buffer);
    *out = t;
    return UB_OK;
}

ub_status ub_tensor_wrap(ub_tensor *view, void *data, ub_dtype dtype, int rank, const int64_t *dims,
                         ub_error *err)
{
    if (ub_dtype_size(dtype) == 0)
        return ubp_fail(err, UB_ERR_SHAPE, "element type %s cannot be held in a tensor",
                        ub_dtype_name(dtype));
    UBP_TRY(ubp_tensor_describe(view, dtype, rank, dims, err));
    view->data = data;
    return UB_OK;
}

ub_status ub_tensor_at(ub_tensor *view, const ub_tensor *t, int64_t i, ub_error *err)
{
    if (t->rank == 0)
        return ubp_fail(err, UB_ERR_ARGUMENT, "too many indices: 1 for 0 dimensions");
    int64_t dim = t->dims[0];
    if (i < -dim || i >= dim)
        return ubp_fail(err, UB_ERR_ARGUMENT,
                        "index %" PRId64 " is out of bounds for axis 0 with size %" PRId64, i, dim);
    void *data = (char *)t->data + (i < 0 ? i + dim : i) * t->strides[0];
    size_t rest = (size_t)(t->rank - 1);
    memmove(view->dims, t->dims + 1, rest * sizeof(t->dims[0]));
    memmove(view->strides, t->strides + 1, rest * sizeof(t->strides[0]));
    view->dtype = t->dtype;
    view->rank = (int)rest;
    view->data = data;
    view->buffer = t->buffer;
    return UB_OK;
}

/* A bound of a slice over dim elements, Python's PySlice_AdjustIndices. */
static int64_t clip_bound(int64_t bound, int64_t dim, bool backwards)
{
    if (bound < 0) {
        bound += dim;
        if (bound < 0)
            return backwards ? -1 : 0;
    }
    if (bound >= dim)
        return backwards ? dim - 1 : dim;
    return bound;
}

ub_status ub_tensor_slice(ub_tensor *view, const ub_tensor *t, int axis, int64_t start,
                          int64_t stop, int64_t step, ub_error *err)
{
    UBP_TRY(check_axis(t, &axis, err));
    if (step == 0)
        return ubp_fail(err, UB_ERR_ARGUMENT, "slice step is 0, expected another number");
    if (step == UB_SLICE_NONE)
        step = 1;
    int64_t dim = t->dims[axis];
    bool backwards = step < 0;
    int64_t first =
        start == UB_SLICE_NONE ? (backwards ? dim - 1 : 0) : clip_bound(start, dim, backwards);
    int64_t past =
        stop == UB_SLICE_NONE ? (backwards ? -1 : dim) : clip_bound(stop, dim, backwards);
    int64_t count = 0;
    if (backwards && past < first)
        count = (first - past - 1) / -step + 1;
    else if (!backwards && first < past)
        count = (past - first - 1) / step + 1;
    ub_tensor sliced = *t;
    if (count > 0)
        sliced.data = (char *)t->data + first * t->strides[axis];
    sliced.dims[axis] = count;
    /* With one element or none the stride is never used, and may not fit. */
    if (count > 1)
        sliced.strides[axis] = t->strides[axis] * step;
    *view = sliced;
    return UB_OK;
}

ub_status ub_tensor_permute(ub_tensor *view, const ub_tensor *t, const int *axes, ub_error *err)
{
    ub_tensor permuted = *t;
    unsigned seen = 0;
    for (int i = 0; i < t->rank; i++) {
        int axis = axes ? axes[i] : t->rank - 1 - i;
        UBP_TRY(check_axis(t, &axis, err));
        if (seen & (1u << axis))
            return ubp_fail(err, UB_ERR_ARGUMENT, "axis %d is named twice in a permutation of %d",
                            axis, t->rank);
        seen |= 1u << axis;
        permuted.dims[i] = t->dims[axis];
        permuted.strides[i] = t->strides[axis];
    }
    *view = permuted;
    return UB_OK;
}

ub_status ub_tensor_squeeze(ub_tensor *view, const ub_tensor *t, int axis, ub_error *err)
{
    ub_tensor squeezed = *t;
    if (axis == UB_ALL_AXES) {
        for (int i = t->rank - 1; i >= 0; i--)
            if (t->dims[i] == 1)
                drop_axis(&squeezed, i);
    } else {
        UBP_TRY(check_axis(t, &axis, err));
        if (t->dims[axis] != 1)
            return ubp_fail(err, UB_ERR_SHAPE,
                            "cannot squeeze axis %d: its size is %" PRId64 ", expected 1", axis,
                            t->dims[axis]);
        drop_axis(&squeezed, axis);
    }
    *view = squeezed;
    return UB_OK;
}

ub_status ub_tensor_expand_dims(ub_tensor *view, const ub_tensor *t, int axis, ub_error *err)
{
    int64_t at = axis;
    if (!ubp_normalize_axis(&at, t->rank + 1))
        return ubp_fail(err, UB_ERR_ARGUMENT, "axis %d is out of bounds for %d dimensions", axis,
                        t->rank + 1);
    if (t->rank == UB_MAX_RANK)
        return ubp_fail(err, UB_ERR_SHAPE, "%d dimensions found, 0 to %d expected", t->rank + 1,
                        (int)UB_MAX_RANK);
    ub_tensor expanded = *t;
    for (int i = t->rank; i > at; i--) {
        expanded.dims[i] = expanded.dims[i - 1];
        expanded.strides[i] = expanded.strides[i - 1];
    }
    expanded.dims[at] = 1;
    expanded.strides[at] = 0;
    expanded.rank++;
    *view = expanded;
    return UB_OK;
}

ub_status ub_tensor_broadcast(ub_tensor *view, const ub_tensor *t, int rank, const int64_t *dims,
                              ub_error *err)
{
    ub_tensor wide;
    UBP_TRY(ubp_tensor_describe(&wide, t->dtype, rank, dims, err));
    bool fits = t->rank <= rank;
    for (int i = 0; i < rank && fits; i++) {
        int at = i - (rank - t->rank);
        bool repeats = at < 0 || (t->dims[at] == 1 && dims[i] != 1);
        fits = repeats || t->dims[at] == dims[i];
        wide.strides[i] = repeats ? 0 : t->strides[at];
    }
    if (!fits) {
        char from[UBP_SHAPE_TEXT], to[UBP_SHAPE_TEXT];
        return ubp_fail(err, UB_ERR_SHAPE, "shape %s cannot be broadcast to %s",
                        ubp_shape_text(from, t->rank, t->dims), ubp_shape_text(to, rank, dims));
    }
    wide.data = t->data;
    wide.buffer = t->buffer;
    *view = wide;
    return UB_OK;
}
