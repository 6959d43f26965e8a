/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's indexing. Integers, slices, None and ... give a view. Index arrays and masks give a copy:
 * their shapes broadcast together, and the dims of that stand in the result where the arrays stood
 * in the index, or first when something else stands between them (NumPy user guide, "Advanced
 * indexing"; numpy/_core/src/multiarray/mapping.c). Next to arrays an integer counts as an array.
 */
#include "tensor/strided.h"

#include <inttypes.h>
#include <string.h>

/* One index array or mask: for each of its positions a number of bytes to go. */
typedef struct part {
    const ub_tensor *array; /* borrowed */
    int axis;               /* the first axis it indexes */
    int rank;               /* dims of what it broadcasts as */
    int64_t dims[UB_MAX_RANK];
    ub_tensor *offsets; /* owned: int64 of these dims, row-major */
} part;

typedef struct selection {
    const ub_tensor *t;
    ub_error *err;
    int ellipsis_axes; /* axes ... stands for */
    bool has_arrays;   /* of at least one dim, or 0-d booleans */
    bool wants_copy;   /* a 0-d integer array was among the indices */
    int axis;          /* next axis of t */
    int64_t start;     /* bytes from t->data */
    ub_tensor kept;    /* dims and strides of the axes that are not indexed by arrays */
    enum { NONE_YET, RUNNING, ENDED, SPLIT } run; /* of arrays and integers in the index */
    int joint_at;   /* where among kept's dims the dims of the arrays go */
    int joint_rank; /* the broadcast dims of the arrays */
    int64_t joint_dims[UB_MAX_RANK];
    int n_parts;
    part parts[UB_MAX_RANK]; /* each takes at least one axis */
} selection;

/* ---- What the items ask for --------------------------------------------------------------------
 */

static bool is_mask(const ub_index_item *item)
{
    return item->kind == UB_INDEX_ARRAY && item->array->dtype == UB_BOOL;
}

static int axes_taken(const ub_index_item *item)
{
    if (item->kind == UB_INDEX_ELLIPSIS || item->kind == UB_INDEX_NEWAXIS)
        return 0;
    return is_mask(item) ? item->array->rank : 1;
}

/* Counts axes and arrays; checks what can be checked without looking at dims. */
static ub_status survey(selection *s, const ub_index_item *items, int n)
{
    int taken = 0, ellipses = 0;
    for (int i = 0; i < n; i++) {
        const ub_tensor *array = items[i].array;
        if (items[i].kind == UB_INDEX_ELLIPSIS && ++ellipses > 1)
            return ubp_fail(s->err, UB_ERR_ARGUMENT,
                            "index has more than one '...', expected at most one");
        if (items[i].kind == UB_INDEX_ARRAY) {
            if (!array)
                return ubp_fail(s->err, UB_ERR_ARGUMENT, "index item %d has no array", i);
            UBP_TRY(ubp_tensor_need_data(array, s->err));
            /* Python's [] has no type of its own: an empty array of any type will do. */
            if (!is_mask(&items[i]) && !ubp_is_integer(array->dtype) && ub_tensor_count(array) > 0)
                return ubp_fail(s->err, UB_ERR_ARGUMENT,
                                "index array is of %s, expected integers or bool",
                                ub_dtype_name(array->dtype));
            if (is_mask(&items[i]) || array->rank > 0)
                s->has_arrays = true;
            else
                s->wants_copy = true;
        }
        int more = axes_taken(&items[i]);
        taken = taken > INT32_MAX - more ? INT32_MAX : taken + more;
    }
    if (taken > s->t->rank)
        return ubp_fail(s->err, UB_ERR_ARGUMENT, "too many indices: %d for %d dimensions", taken,
                        s->t->rank);
    s->ellipsis_axes = ellipses ? s->t->rank - taken : 0;
    return UB_OK;
}

/* ---- Integers, slices, None, ... ---------------------------------------------------------------
 */

static ub_status fail_bounds(ub_error *err, int64_t index, int axis, int64_t dim)
{
    return ubp_fail(err, UB_ERR_ARGUMENT,
                    "index %" PRId64 " is out of bounds for axis %d with size %" PRId64, index,
                    axis, dim);
}

static ub_status keep_dim(selection *s, int64_t dim, int64_t stride)
{
    if (s->kept.rank == UB_MAX_RANK)
        return ubp_fail(s->err, UB_ERR_ARGUMENT, "the index gives over %d dimensions",
                        (int)UB_MAX_RANK);
    s->kept.dims[s->kept.rank] = dim;
    s->kept.strides[s->kept.rank++] = stride;
    return UB_OK;
}

static ub_status keep_axes(selection *s, int n)
{
    for (int i = 0; i < n; i++, s->axis++)
        UBP_TRY(keep_dim(s, s->t->dims[s->axis], s->t->strides[s->axis]));
    return UB_OK;
}

static ub_status keep_slice(selection *s, const ub_index_item *item)
{
    ub_tensor sliced;
    UBP_TRY(ub_tensor_slice(&sliced, s->t, s->axis, item->start, item->stop, item->step, s->err));
    s->start += (char *)sliced.data - (char *)s->t->data;
    UBP_TRY(keep_dim(s, sliced.dims[s->axis], sliced.strides[s->axis]));
    s->axis++;
    return UB_OK;
}

static ub_status take_integer(selection *s, int64_t value)
{
    int64_t dim = s->t->dims[s->axis];
    if (value < -dim || value >= dim)
        return fail_bounds(s->err, value, s->axis, dim);
    s->start += (value < 0 ? value + dim : value) * s->t->strides[s->axis];
    s->axis++;
    return UB_OK;
}

/* ---- Arrays -------------------------------------------------------------------------------------
 */

static int64_t count_true(const ub_tensor *mask)
{
    const uint8_t *at = mask->data;
    int64_t n = ub_tensor_count(mask), count = 0;
    for (int64_t i = 0; i < n; i++)
        count += at[i] != 0;
    return count;
}

static ub_status join_dims(selection *s, int rank, const int64_t *dims)
{
    if (ubp_broadcast_dims(&s->joint_rank, s->joint_dims, s->joint_rank, s->joint_dims, rank, dims))
        return UB_OK;
    char ours[UBP_SHAPE_TEXT], theirs[UBP_SHAPE_TEXT];
    return ubp_fail(s->err, UB_ERR_ARGUMENT,
                    "index array of shape %s cannot be broadcast with those before it, of shape %s",
                    ubp_shape_text(theirs, rank, dims),
                    ubp_shape_text(ours, s->joint_rank, s->joint_dims));
}

/* A mask picks as a list of the positions that are true. */
static ub_status survey_mask(selection *s, part *p)
{
    const ub_tensor *mask = p->array;
    for (int i = 0; i < mask->rank; i++) {
        int64_t dim = s->t->dims[s->axis + i];
        /* NumPy lets an empty mask pass on any axis. */
        if (mask->dims[i] != dim && mask->dims[i] != 0)
            return ubp_fail(s->err, UB_ERR_ARGUMENT,
                            "mask has size %" PRId64 " where axis %d has size %" PRId64,
                            mask->dims[i], s->axis + i, dim);
    }
    ub_tensor *dense = NULL;
    UBP_TRY(ub_tensor_copy(&dense, mask, s->err));
    p->rank = 1;
    p->dims[0] = count_true(dense);
    ub_tensor_free(dense);
    return UB_OK;
}

static ub_status take_array(selection *s, const ub_tensor *array)
{
    if (array->rank == 0 && array->dtype == UB_BOOL) {
        int64_t dim = ubp_read_i64(array->data, UB_BOOL);
        return join_dims(s, 1, &dim);
    }
    if (array->rank == 0)
        return take_integer(s, ubp_read_i64(array->data, array->dtype));
    part *p = &s->parts[s->n_parts++];
    p->array = array;
    p->axis = s->axis;
    p->rank = array->rank;
    memcpy(p->dims, array->dims, sizeof(p->dims));
    if (array->dtype == UB_BOOL)
        UBP_TRY(survey_mask(s, p));
    s->axis += array->dtype == UB_BOOL ? array->rank : 1;
    return join_dims(s, p->rank, p->dims);
}

/* Follows where the arrays' dims go: with arrays, integers and arrays are of one kind. */
static void follow_run(selection *s, const ub_index_item *item)
{
    bool of_run = item->kind == UB_INDEX_INT || item->kind == UB_INDEX_ARRAY;
    if (of_run && s->run == NONE_YET) {
        s->run = RUNNING;
        s->joint_at = s->kept.rank;
    } else if (of_run && s->run == ENDED) {
        s->run = SPLIT;
        s->joint_at = 0;
    } else if (!of_run && s->run == RUNNING) {
        s->run = ENDED;
    }
}

static ub_status take_item(selection *s, const ub_index_item *item)
{
    follow_run(s, item);
    switch (item->kind) {
    case UB_INDEX_INT:
        return take_integer(s, item->value);
    case UB_INDEX_SLICE:
        return keep_slice(s, item);
    case UB_INDEX_ELLIPSIS:
        return keep_axes(s, s->ellipsis_axes);
    case UB_INDEX_NEWAXIS:
        return keep_dim(s, 1, 0);
    case UB_INDEX_ARRAY:
        return take_array(s, item->array);
    }
    return ubp_fail(s->err, UB_ERR_ARGUMENT, "index item of unknown kind %d", (int)item->kind);
}

/* ---- Offsets of what the arrays pick ------------------------------------------------------------
 */

static ub_status mask_offsets(const selection *s, part *p)
{
    UBP_TRY(ubp_tensor_make(&p->offsets, UB_I64, 1, p->dims, s->err));
    ub_tensor *dense = NULL;
    UBP_TRY(ub_tensor_copy(&dense, p->array, s->err));
    const int64_t *strides = s->t->strides + p->axis;
    const uint8_t *bit = dense->data;
    int64_t *out = p->offsets->data;
    int64_t index[UB_MAX_RANK] = {0}, row = 0;
    int last = dense->rank - 1, axis = 0;
    while (p->dims[0] > 0 && axis >= 0) {
        for (int64_t i = 0; i < dense->dims[last]; i++)
            if (*bit++)
                *out++ = row + i * strides[last];
        for (axis = last - 1; axis >= 0; axis--) {
            row += strides[axis];
            if (++index[axis] < dense->dims[axis])
                break;
            row -= strides[axis] * dense->dims[axis];
            index[axis] = 0;
        }
    }
    ub_tensor_free(dense);
    return UB_OK;
}

static ub_status integer_offsets(const selection *s, part *p)
{
    UBP_TRY(ub_tensor_cast(&p->offsets, p->array, UB_I64, s->err));
    int64_t dim = s->t->dims[p->axis], stride = s->t->strides[p->axis];
    int64_t *at = p->offsets->data, n = ub_tensor_count(p->offsets);
    for (int64_t i = 0; i < n; i++) {
        if (at[i] < -dim || at[i] >= dim)
            return fail_bounds(s->err, at[i], p->axis, dim);
        at[i] = (at[i] < 0 ? at[i] + dim : at[i]) * stride;
    }
    return UB_OK;
}

/* sum[...] += what the part has there, broadcast. */
static void add_offsets(const ub_tensor *sum, const ub_tensor *part_view)
{
    int64_t n = ub_tensor_count(sum), index[UB_MAX_RANK] = {0};
    int64_t *out = sum->data;
    const char *at = part_view->data;
    for (int64_t i = 0; i < n; i++) {
        out[i] += *(const int64_t *)(const void *)at;
        for (int axis = sum->rank - 1; axis >= 0; axis--) {
            at += part_view->strides[axis];
            if (++index[axis] < sum->dims[axis])
                break;
            at -= part_view->strides[axis] * sum->dims[axis];
            index[axis] = 0;
        }
    }
}

/* The offsets of all joint positions, row-major. */
static ub_status joint_offsets(ub_tensor **out, selection *s)
{
    for (int i = 0; i < s->n_parts; i++) {
        part *p = &s->parts[i];
        UBP_TRY(p->array->dtype == UB_BOOL ? mask_offsets(s, p) : integer_offsets(s, p));
    }
    part *first = &s->parts[0];
    if (s->n_parts == 1 && first->rank == s->joint_rank &&
        memcmp(first->dims, s->joint_dims, (size_t)first->rank * sizeof(first->dims[0])) == 0) {
        *out = first->offsets;
        first->offsets = NULL;
        return UB_OK;
    }
    UBP_TRY(ub_tensor_new(out, UB_I64, s->joint_rank, s->joint_dims, s->err));
    for (int i = 0; i < s->n_parts; i++) {
        ub_tensor view;
        UBP_TRY(
            ub_tensor_broadcast(&view, s->parts[i].offsets, s->joint_rank, s->joint_dims, s->err));
        add_offsets(*out, &view);
    }
    return UB_OK;
}

/* ---- The result ---------------------------------------------------------------------------------
 */

/* Copies n blocks that lie together: dst row-major, src where offsets say. */
static void gather_items(char *dst, const char *src, const int64_t *offsets, int64_t n, size_t item)
{
    switch (item) {
    case 1:
        for (int64_t i = 0; i < n; i++)
            dst[i] = src[offsets[i]];
        break;
    case 2:
        for (int64_t i = 0; i < n; i++)
            memcpy(dst + i * 2, src + offsets[i], 2);
        break;
    case 4:
        for (int64_t i = 0; i < n; i++)
            memcpy(dst + i * 4, src + offsets[i], 4);
        break;
    case 8:
        for (int64_t i = 0; i < n; i++)
            memcpy(dst + i * 8, src + offsets[i], 8);
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            memcpy(dst + (size_t)i * item, src + offsets[i], item);
        break;
    }
}

/* dst: [kept dims before joint_at][joint dims][other kept dims], not empty. */
static void gather(const selection *s, const ub_tensor *dst, const int64_t *offsets)
{
    int before = s->joint_at, behind = s->kept.rank - before;
    ubp_move inner;
    ubp_move_prepare(&inner, behind, s->kept.dims + before, dst->strides + before + s->joint_rank,
                     s->kept.strides + before, ub_dtype_size(dst->dtype));
    int64_t block = (int64_t)ub_dtype_size(dst->dtype), n = 1;
    for (int i = before; i < s->kept.rank; i++)
        block *= s->kept.dims[i];
    for (int i = 0; i < s->joint_rank; i++)
        n *= s->joint_dims[i];
    char *to = dst->data;
    const char *from = (const char *)s->t->data + s->start;
    int64_t index[UB_MAX_RANK] = {0};
    for (;;) {
        if (inner.rank == 0 && inner.src_start == 0)
            gather_items(to, from, offsets, n, (size_t)block);
        else
            for (int64_t i = 0; i < n; i++)
                ubp_move_run(&inner, to + i * block, from + offsets[i]);
        to += n * block;
        int axis = before - 1;
        for (; axis >= 0; axis--) {
            from += s->kept.strides[axis];
            if (++index[axis] < s->kept.dims[axis])
                break;
            from -= s->kept.strides[axis] * s->kept.dims[axis];
            index[axis] = 0;
        }
        if (axis < 0)
            return;
    }
}

static ub_status make_gathered(ub_tensor **out, selection *s)
{
    int rank = s->kept.rank + s->joint_rank;
    if (rank > UB_MAX_RANK)
        return ubp_fail(s->err, UB_ERR_ARGUMENT,
                        "the index gives %d dimensions, at most %d expected", rank,
                        (int)UB_MAX_RANK);
    int64_t dims[UB_MAX_RANK];
    bool picks_nothing = false;
    for (int i = 0, joint = 0, kept = 0; i < rank; i++)
        dims[i] = i >= s->joint_at && joint < s->joint_rank ? s->joint_dims[joint++]
                                                            : s->kept.dims[kept++];
    for (int i = 0; i < s->joint_rank; i++)
        picks_nothing = picks_nothing || s->joint_dims[i] == 0;
    UBP_TRY(ubp_tensor_need_data(s->t, s->err));
    UBP_TRY(ubp_tensor_make(out, s->t->dtype, rank, dims, s->err));
    if (picks_nothing)
        return UB_OK; /* NumPy does not look at the other arrays' values then */
    ub_tensor *offsets = NULL;
    ub_status status = joint_offsets(&offsets, s);
    if (status == UB_OK && ub_tensor_count(*out) > 0)
        gather(s, *out, offsets->data);
    ub_tensor_free(offsets);
    return status == UB_OK ? ubp_strings_own(out, s->err) : status;
}

static ub_status make_result(ub_tensor **out, selection *s)
{
    if (s->has_arrays)
        return make_gathered(out, s);
    s->kept.data = s->start ? (char *)s->t->data + s->start : s->t->data;
    s->kept.buffer = s->t->buffer;
    return s->wants_copy ? ub_tensor_copy(out, &s->kept, s->err)
                         : ubp_tensor_handle(out, &s->kept, s->err);
}

static ub_status select_items(ub_tensor **out, selection *s, const ub_index_item *items, int n)
{
    UBP_TRY(survey(s, items, n));
    for (int i = 0; i < n; i++)
        UBP_TRY(take_item(s, &items[i]));
    UBP_TRY(keep_axes(s, s->t->rank - s->axis));
    return make_result(out, s);
}

ub_status ub_tensor_index_items(ub_tensor **out, const ub_tensor *t, const ub_index_item *items,
                                int n_items, ub_error *err)
{
    *out = NULL;
    selection s = {.t = t, .err = err, .kept = {.dtype = t->dtype}};
    ub_status status = select_items(out, &s, items, n_items);
    for (int i = 0; i < s.n_parts; i++)
        ub_tensor_free(s.parts[i].offsets);
    if (status != UB_OK) {
        ub_tensor_free(*out);
        *out = NULL;
    }
    return status;
}

ub_status ub_tensor_index(ub_tensor **out, const ub_tensor *t, const char *text, ub_error *err)
{
    *out = NULL;
    ubp_index index;
    UBP_TRY(ubp_index_parse(&index, text, err));
    ub_status status = ub_tensor_index_items(out, t, index.items, index.n, err);
    ubp_index_release(&index);
    return status;
}
