/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan outputs: rows that come one by one become a tensor. Where their number is known the memory
 * is made at once, else it doubles. And the way back: one row of a tensor, as a view.
 */
#include "exec/flow.h"

#include <string.h>

static ub_status make_room(const ubp_flow *f, ubp_stack *s, const ub_tensor *row, int64_t room)
{
    int64_t dims[UB_MAX_RANK + 1];
    ubp_item *more;
    int64_t cap = s->cap ? s->cap : room > 0 ? room : 4;
    if (row->rank + 1 > UB_MAX_RANK)
        return ubp_flow_fail(f, UB_ERR_SHAPE,
                             "a scan output of %d dimensions has no place for one"
                             " more",
                             row->rank);
    if (s->rows && !ubp_mul_i64(s->cap, 2, &cap))
        return ubp_fail_memory(f->err, SIZE_MAX);
    dims[0] = cap;
    memcpy(dims + 1, row->dims, (size_t)row->rank * sizeof *dims);
    UBP_TRY(ubp_runner_tensor(f->r, &more, row->dtype, row->rank + 1, dims, f->err));
    if (s->rows) {
        ub_tensor from = *s->rows->tensor, to = *more->tensor;
        from.dims[0] = to.dims[0] = s->n;
        ubp_tensor_move(&to, &from);
        ubp_item_free(s->rows);
    }
    s->rows = more;
    s->cap = cap;
    return UB_OK;
}

static bool same_map(const ubp_samples *a, const ubp_samples *b)
{
    return a->kind == b->kind && a->axis == b->axis && a->outer == b->outer &&
           a->inner == b->inner && a->sized == b->sized && a->positional == b->positional;
}

ub_status ubp_stack_add(const ubp_flow *f, ubp_stack *s, const ubp_item *row, int64_t room)
{
    const ub_tensor *t = NULL;
    ub_tensor slot;
    char a[UBP_SHAPE_TEXT], b[UBP_SHAPE_TEXT];
    UBP_TRY(ubp_flow_tensor(f, row, "a scan output", &t));
    if (s->n == s->cap)
        UBP_TRY(make_room(f, s, t, room));
    UBP_TRY(ub_tensor_at(&slot, s->rows->tensor, 0, f->err));
    if (!ubp_same_dims(&slot, t) || slot.dtype != t->dtype)
        return ubp_flow_fail(f, UB_ERR_SHAPE,
                             "a scan output was %s %s, then %s %s in iteration %lld: rows of one"
                             " tensor must be alike",
                             ub_dtype_name(slot.dtype), ubp_shape_text(a, slot.rank, slot.dims),
                             ub_dtype_name(t->dtype), ubp_shape_text(b, t->rank, t->dims),
                             (long long)s->n);
    if (slot.data)
        slot.data = (char *)slot.data + s->n * s->rows->tensor->strides[0];
    ubp_tensor_move(&slot, t);
    if (s->n == 0)
        s->map = row->samples;
    else if (!same_map(&s->map, &row->samples))
        ubp_flow_couple(f, &s->map, "the samples lie elsewhere in each iteration");
    if (row->samples.coupled)
        ubp_flow_couple(f, &s->map, row->samples.why);
    s->n++;
    return UB_OK;
}

/* No rows: dtype and the other dims are those that the body's output has in the file. */
static ub_status make_empty(const ubp_flow *f, ubp_stack *s, const ubp_value *like)
{
    int64_t dims[UB_MAX_RANK + 1] = {0};
    if (like->dtype == UB_UNDEFINED || ub_dtype_size(like->dtype) == 0 ||
        like->rank + 1 > UB_MAX_RANK)
        return ubp_flow_fail(f, UB_ERR_SHAPE,
                             "ran no iteration, and the file does not say what its output '%s' is",
                             like->name);
    for (int a = 0; a < like->rank; a++)
        dims[a + 1] = like->dims[a] < 0 ? 0 : like->dims[a];
    s->map = UBP_NO_SAMPLES;
    return ubp_runner_tensor(f->r, &s->rows, like->dtype, (like->rank < 0 ? 0 : like->rank) + 1,
                             dims, f->err);
}

ub_status ubp_stack_finish(const ubp_flow *f, ubp_stack *s, ubp_item **out, const ubp_value *like,
                           int64_t axis, bool reversed)
{
    int axes[UB_MAX_RANK];
    ub_tensor view, turned;
    if (!s->rows)
        UBP_TRY(make_empty(f, s, like));
    view = *s->rows->tensor;
    view.dims[0] = s->n;
    if (!ubp_normalize_axis(&axis, view.rank))
        return ubp_flow_fail(f, UB_ERR_SHAPE, "scan output axis %lld is outside of %d dimensions",
                             (long long)axis, view.rank);
    if (reversed)
        UBP_TRY(ub_tensor_slice(&view, &view, 0, UB_SLICE_NONE, UB_SLICE_NONE, -1, f->err));
    for (int a = 0; a < view.rank; a++)
        axes[a] = a == axis ? 0 : a < axis ? a + 1 : a;
    UBP_TRY(ub_tensor_permute(&turned, &view, axes, f->err));
    turned.buffer = s->rows->tensor->buffer;
    ubp_samples map = s->map;
    if (map.kind == UBP_SAMPLES_AXIS)
        map.axis += map.axis >= axis;
    UBP_TRY(ubp_item_view(out, &turned, &map, f->err));
    (*out)->live = s->rows->live; /* the bytes go with it */
    (*out)->bytes = s->rows->bytes;
    s->rows->live = NULL;
    ubp_stack_release(s);
    return UB_OK;
}

void ubp_stack_release(ubp_stack *s)
{
    ubp_item_free(s->rows);
    *s = (ubp_stack){0};
}

ub_status ubp_flow_row(const ubp_flow *f, const ubp_item *from, int axis, int64_t i, ubp_item **out)
{
    ub_tensor view = *from->tensor;
    ubp_samples map = from->samples;
    if (view.data)
        view.data = (char *)view.data + i * view.strides[axis];
    for (int a = axis; a + 1 < view.rank; a++) {
        view.dims[a] = view.dims[a + 1];
        view.strides[a] = view.strides[a + 1];
    }
    view.rank--;
    if (map.kind == UBP_SAMPLES_AXIS && map.axis == axis) {
        map.kind = UBP_SAMPLES_NONE;
        ubp_flow_couple(f, &map, "it runs over the samples");
    } else if (map.kind == UBP_SAMPLES_AXIS && map.axis > axis) {
        map.axis--;
    }
    return ubp_item_view(out, &view, &map, f->err);
}
