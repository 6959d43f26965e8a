/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slices and samples: which samples the first index of a slice takes, and the sample-first form of
 * a value wherever its batch is stored.
 */
#include "api/api.h"

#include <stdlib.h>
#include <string.h>

/* The item that indexes the samples, or -1 when all of them may be touched. */
static int sample_item(const ubp_index *ix)
{
    int i = 0;
    while (i < ix->n && ix->items[i].kind == UB_INDEX_NEWAXIS)
        i++;
    if (i == ix->n || ix->items[i].kind == UB_INDEX_ELLIPSIS)
        return -1;
    if (ix->items[i].kind == UB_INDEX_ARRAY) {
        const ub_tensor *a = ix->items[i].array;
        if (a->dtype == UB_BOOL && a->rank != 1)
            return -1;
    }
    return i;
}

/* NumPy's slice over n: first index, step and how many. */
static void resolve_slice(const ub_index_item *it, int64_t n, int64_t *start, int64_t *step,
                          int64_t *count)
{
    int64_t s = it->step == UB_SLICE_NONE ? 1 : it->step;
    int64_t low = s > 0 ? 0 : -1, high = s > 0 ? n : n - 1;
    int64_t b = s > 0 ? low : high, e = s > 0 ? high : low;
    if (it->start != UB_SLICE_NONE)
        b = it->start < 0 ? it->start + n : it->start;
    if (it->stop != UB_SLICE_NONE)
        e = it->stop < 0 ? it->stop + n : it->stop;
    b = b < low ? low : b > high ? high : b;
    e = e < low ? low : e > high ? high : e;
    int64_t span = s > 0 ? e - b : b - e;
    uint64_t width = s > 0 ? (uint64_t)s : (uint64_t) - (s + 1) + 1;
    *start = b;
    *step = s;
    *count = span <= 0 ? 0 : (int64_t)(((uint64_t)span - 1) / width) + 1;
}

static ub_status check_sample(int64_t *i, int64_t n, ub_error *err)
{
    int64_t asked = *i;
    if (*i < 0)
        *i += n;
    if (*i >= 0 && *i < n)
        return UB_OK;
    return ubp_fail(err, UB_ERR_ARGUMENT,
                    "sample %lld is out of range: the batch has %lld sample%s", (long long)asked,
                    (long long)n, n == 1 ? "" : "s");
}

/* Element k of a one- or more-dimensional index array, row-major. */
static int64_t array_at(const ub_tensor *a, int64_t k)
{
    const char *p = a->data;
    for (int d = a->rank - 1; d >= 0; d--) {
        p += k % a->dims[d] * a->strides[d];
        k /= a->dims[d];
    }
    return ubp_read_i64(p, a->dtype);
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static ub_status pick_array(ubp_pick *out, const ub_tensor *a, int64_t n, ub_error *err)
{
    int64_t count = ub_tensor_count(a), k = 0;
    bool mask = a->dtype == UB_BOOL;
    if (mask && count != n)
        return ubp_fail(err, UB_ERR_ARGUMENT,
                        "the mask has %lld entries, the batch has %lld samples", (long long)count,
                        (long long)n);
    out->list = ubp_calloc((size_t)count + 1, sizeof *out->list);
    if (!out->list)
        return ubp_fail_memory(err, (size_t)count * sizeof *out->list);
    for (int64_t i = 0; i < count; i++) {
        int64_t v = array_at(a, i);
        if (mask && v)
            out->list[k++] = i;
        if (mask)
            continue;
        UBP_TRY(check_sample(&v, n, err));
        out->list[k++] = v;
    }
    qsort(out->list, (size_t)k, sizeof *out->list, by_number);
    for (int64_t i = 0; i < k; i++)
        if (i == 0 || out->list[i] != out->list[i - 1])
            out->list[out->count++] = out->list[i];
    return UB_OK;
}

ub_status ubp_pick_samples(ubp_pick *out, const ubp_index *ix, int64_t n, ub_error *err)
{
    *out = (ubp_pick){0};
    int at = sample_item(ix);
    const ub_index_item whole = {
        .kind = UB_INDEX_SLICE, .start = UB_SLICE_NONE, .stop = UB_SLICE_NONE, .step = 1};
    const ub_index_item *it = at < 0 ? &whole : &ix->items[at];
    if (it->kind == UB_INDEX_ARRAY)
        return pick_array(out, it->array, n, err);
    int64_t start = it->value, step = 1, count = 1;
    if (it->kind == UB_INDEX_SLICE && it->step == 0)
        return ubp_fail(err, UB_ERR_ARGUMENT, "slice step is 0, expected another number");
    if (it->kind == UB_INDEX_INT)
        UBP_TRY(check_sample(&start, n, err));
    else
        resolve_slice(it, n, &start, &step, &count);
    size_t bytes;
    if (!ubp_mul_size((size_t)count + 1, sizeof *out->list, &bytes))
        return ubp_fail_memory(err, SIZE_MAX);
    out->list = ubp_malloc(bytes);
    if (!out->list)
        return ubp_fail_memory(err, bytes);
    out->count = count;
    for (int64_t i = 0; i < count; i++)
        out->list[step > 0 ? i : count - 1 - i] = start + i * step;
    return UB_OK;
}

void ubp_pick_release(ubp_pick *p)
{
    ubp_free(p->list);
    *p = (ubp_pick){0};
}

static int64_t position(const ubp_pick *p, int64_t sample)
{
    const int64_t *at = bsearch(&sample, p->list, (size_t)p->count, sizeof *p->list, by_number);
    return at ? at - p->list : 0;
}

/* An index array that counts in picked samples. */
static ub_status rewrite_array(ubp_index *ix, int item, const ubp_pick *p, int64_t n, ub_error *err)
{
    const ub_tensor *a = ix->items[item].array;
    int64_t count = ub_tensor_count(a);
    ub_tensor *made;
    bool mask = a->dtype == UB_BOOL;
    UBP_TRY(ub_tensor_new(&made, UB_I64, mask ? 1 : a->rank, mask ? &p->count : a->dims, err));
    int64_t *to = made->data;
    for (int64_t i = 0; i < (mask ? p->count : count); i++) {
        int64_t v = mask ? p->list[i] : array_at(a, i);
        to[i] = position(p, v < 0 ? v + n : v);
    }
    ub_tensor_free(ix->arrays[item]);
    ix->arrays[item] = made;
    ix->items[item].array = made;
    return UB_OK;
}

ub_status ubp_pick_rewrite(ubp_index *ix, const ubp_pick *p, int64_t n, ub_error *err)
{
    int at = sample_item(ix);
    if (at < 0)
        return UB_OK;
    ub_index_item *it = &ix->items[at];
    if (it->kind == UB_INDEX_INT) {
        it->value = 0;
    } else if (it->kind == UB_INDEX_SLICE) {
        it->step = it->step != UB_SLICE_NONE && it->step < 0 ? -1 : 1;
        it->start = it->stop = UB_SLICE_NONE;
    } else {
        return rewrite_array(ix, at, p, n, err);
    }
    return UB_OK;
}

ub_status ubp_samples_split(ub_tensor *view, const ub_tensor *t, const ubp_samples *s, int64_t n,
                            ub_error *err)
{
    if (t->rank + 2 > UB_MAX_RANK)
        return ubp_fail(err, UB_ERR_SHAPE, "a value of %d dimensions is too deep to pick samples",
                        t->rank);
    *view = *t;
    view->rank = t->rank + 2;
    int a = s->axis;
    for (int d = a + 1; d < t->rank; d++) {
        view->dims[d + 2] = t->dims[d];
        view->strides[d + 2] = t->strides[d];
    }
    int64_t stride = t->strides[a];
    view->dims[a] = s->outer;
    view->dims[a + 1] = n;
    view->dims[a + 2] = s->inner;
    /* Strides of axes of length 1 do not matter; the products stay inside the tensor otherwise. */
    view->strides[a + 2] = stride;
    view->strides[a + 1] = n > 1 ? stride * s->inner : stride;
    view->strides[a] = s->outer > 1 ? stride * s->inner * n : stride;
    return UB_OK;
}

ub_status ubp_samples_first(ub_tensor **out, const ub_tensor *t, const ubp_samples *s, int64_t n,
                            ub_error *err)
{
    ub_tensor split, view;
    UBP_TRY(ubp_samples_split(&split, t, s, n, err));
    int a = s->axis, axes[UB_MAX_RANK], k = 0;
    axes[k++] = a + 1;
    for (int d = 0; d < split.rank; d++)
        if (d != a + 1)
            axes[k++] = d;
    UBP_TRY(ub_tensor_permute(&view, &split, axes, err));
    view.buffer = t->buffer;
    /* Now (n, before..., outer, inner, after...): outer and inner become one axis, or none. */
    int64_t dims[UB_MAX_RANK];
    int rank = 0;
    for (int d = 0; d < view.rank; d++) {
        if (d == a + 1 && s->outer * s->inner != 1)
            dims[rank++] = s->outer * s->inner;
        if (d != a + 1 && d != a + 2)
            dims[rank++] = view.dims[d];
    }
    return ub_tensor_reshape(out, &view, rank, dims, err);
}

ub_status ubp_take_rows(ub_tensor **out, const ub_tensor *t, int axis, const int64_t *rows,
                        int64_t count, ub_error *err)
{
    bool even = true;
    for (int64_t i = 2; i < count && even; i++)
        even = rows[i] - rows[i - 1] == rows[1] - rows[0];
    if (even) {
        ub_tensor view = *t;
        int64_t first = count ? rows[0] : 0;
        view.dims[axis] = count;
        if (count)
            view.data = t->data ? (char *)t->data + first * t->strides[axis] : NULL;
        if (count > 1)
            view.strides[axis] = t->strides[axis] * (rows[1] - rows[0]);
        return ubp_tensor_handle(out, &view, err);
    }
    ub_tensor list;
    ub_index_item items[UB_MAX_RANK];
    UBP_TRY(ub_tensor_wrap(&list, (void *)(uintptr_t)rows, UB_I64, 1, &count, err));
    for (int d = 0; d <= axis; d++)
        items[d] = (ub_index_item){.kind = UB_INDEX_SLICE,
                                   .start = UB_SLICE_NONE,
                                   .stop = UB_SLICE_NONE,
                                   .step = UB_SLICE_NONE};
    items[axis] = (ub_index_item){.kind = UB_INDEX_ARRAY, .array = &list};
    return ub_tensor_index_items(out, t, items, axis + 1, err);
}
