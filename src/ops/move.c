/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying for the operators that only move elements: strided copies on several threads, parts of
 * a view, integer inputs. Element sizes only, no dtypes.
 */
#include <string.h>

#include "ops/move.h"

/* Bytes worth a thread of its own: measured, a thread starts in about 5 us, which moves 64 KB. */
enum { GRAIN_BYTES = 256 * 1024 };

ub_tensor ubp_part(const ub_tensor *t, int axis, int64_t start, int64_t step, int64_t count)
{
    ub_tensor part = *t;
    part.dims[axis] = count;
    if (count > 0 && t->data)
        part.data = (char *)t->data + start * t->strides[axis];
    if (count > 1)
        part.strides[axis] = t->strides[axis] * step;
    return part;
}

ub_tensor ubp_repeated(ub_dtype dtype, int rank, const int64_t *dims, const void *value)
{
    ub_tensor t = {.dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++)
        t.dims[i] = dims[i];
    t.data = (void *)(uintptr_t)value;
    return t;
}

typedef struct move_job {
    const ub_tensor *dst, *src;
    int axis;
} move_job;

static void move_range(void *arg, int64_t begin, int64_t end)
{
    const move_job *job = arg;
    ub_tensor dst = ubp_part(job->dst, job->axis, begin, 1, end - begin);
    ub_tensor src = ubp_part(job->src, job->axis, begin, 1, end - begin);
    ubp_tensor_move(&dst, &src);
}

/* The outermost axis in memory that is long enough to be shared out, else the longest. */
static int shared_axis(const ub_tensor *dst)
{
    enum { ENOUGH = 8 };
    int axis = -1, longest = 0;
    for (int i = 0; i < dst->rank; i++) {
        longest = dst->dims[i] > dst->dims[longest] ? i : longest;
        if (dst->dims[i] >= ENOUGH && (axis < 0 || dst->strides[i] > dst->strides[axis]))
            axis = i;
    }
    return axis < 0 ? longest : axis;
}

void ubp_run_move(const ubp_run *run, const ub_tensor *dst, const ub_tensor *src)
{
    int64_t bytes = ub_tensor_count(dst) * (int64_t)ub_dtype_size(dst->dtype);
    if (bytes == 0)
        return;
    const int axis = shared_axis(dst);
    if (!run || run->threads < 2 || bytes < 2 * GRAIN_BYTES || dst->rank == 0) {
        ubp_tensor_move(dst, src);
        return;
    }
    move_job job = {dst, src, axis};
    int64_t per_index = bytes / dst->dims[axis];
    ubp_run_parallel(run, dst->dims[axis], GRAIN_BYTES / (per_index + 1) + 1, move_range, &job);
}

ub_status ubp_ref_from_view(const ubp_call *c)
{
    for (int k = 0; k < c->n_out; k++) {
        if (!c->out[k])
            continue;
        /* view() writes the strides of the view into out[k]: keep its own. */
        ub_tensor dst = *c->out[k];
        int64_t offset = 0;
        bool viewed = c->op->view(c, k, &offset);
        ub_tensor src = *c->out[k];
        *c->out[k] = dst;
        if (!viewed)
            return ubp_op_fail(c, UB_ERR_INTERNAL, "input 0 gave no view");
        if (ub_tensor_count(&dst) == 0)
            continue;
        src.data = (char *)c->in[0]->data + offset;
        ubp_run_move(c->run, &dst, &src);
    }
    return UB_OK;
}

int64_t ubp_span(const int64_t *dims, int first, int last)
{
    int64_t n = 1;
    for (int i = first; i < last; i++)
        if (!ubp_mul_i64(n, dims[i], &n))
            n = INT64_MAX;
    for (int i = first; i < last; i++)
        if (dims[i] == 0)
            n = 0;
    return n;
}

ub_status ubp_want_axis(const ubp_call *c, int64_t axis, int rank, int *out)
{
    if (!ubp_normalize_axis(&axis, rank))
        return ubp_op_fail(c, UB_ERR_SHAPE, "axis %lld is outside -%d..%d", (long long)axis, rank,
                           rank - 1);
    *out = (int)axis;
    return UB_OK;
}

ub_status ubp_want_index(const ubp_call *c, int in)
{
    ub_dtype d = c->in[in]->dtype;
    if (d != UB_I64 && d != UB_I32)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input %d is %s, expected int64 or int32", in,
                           ub_dtype_name(d));
    return UB_OK;
}

ub_status ubp_index_data(const ubp_call *c, int in, int64_t **out)
{
    const ub_tensor *t = c->in[in];
    int64_t n = ub_tensor_count(t);
    ub_tensor wide;
    UBP_TRY(ubp_tensor_describe(&wide, t->dtype, t->rank, t->dims, c->err));
    size_t bytes = (size_t)n * sizeof(int64_t);
    int64_t *v = ubp_run_scratch(c, bytes ? bytes : 1);
    if (!v)
        return UB_ERR_MEMORY;
    wide.data = v;
    if (n > 0)
        ubp_tensor_move(&wide, t);
    if (t->dtype == UB_I32) /* widened in place, from the end */
        for (int64_t i = n; i-- > 0;) {
            int32_t x;
            memcpy(&x, (char *)v + i * 4, 4);
            v[i] = x;
        }
    *out = v;
    return UB_OK;
}

ub_status ubp_want_in_bounds(const ubp_call *c, int64_t *idx, int64_t n, int64_t dim, int axis)
{
    for (int64_t i = 0; i < n; i++) {
        if (idx[i] < -dim || idx[i] >= dim)
            return ubp_op_fail(c, UB_ERR_SHAPE,
                               "index %lld is outside axis %d, which has %lld entries",
                               (long long)idx[i], axis, (long long)dim);
        if (idx[i] < 0)
            idx[i] += dim;
    }
    return UB_OK;
}

ub_status ubp_dense_input(const ubp_call *c, int in, ub_tensor *dense, void **owned)
{
    const ub_tensor *t = c->in[in];
    *owned = NULL;
    *dense = *t;
    if (ub_tensor_is_contiguous(t) || ub_tensor_count(t) == 0)
        return UB_OK;
    UBP_TRY(ubp_tensor_describe(dense, t->dtype, t->rank, t->dims, c->err));
    *owned = ubp_malloc_aligned(ubp_tensor_bytes(dense));
    if (!*owned)
        return ubp_fail_memory(c->err, ubp_tensor_bytes(dense));
    dense->data = *owned;
    ubp_tensor_move(dense, t);
    return UB_OK;
}

static const uint64_t sign_bit = (uint64_t)1 << 63;

static uint64_t order_float(double v)
{
    uint64_t bits;
    if (v != v)
        return UINT64_MAX;
    v = v == 0 ? 0 : v;
    memcpy(&bits, &v, sizeof bits);
    return bits & sign_bit ? ~bits : bits | sign_bit;
}

void ubp_order_keys(uint64_t *keys, const void *src, int64_t stride, int64_t n, ub_dtype dtype)
{
    const char *p = src;
    if (dtype == UB_F32)
        for (int64_t i = 0; i < n; i++)
            keys[i] = order_float((double)*(const float *)(const void *)(p + i * stride));
    else if (ubp_is_float(dtype))
        for (int64_t i = 0; i < n; i++)
            keys[i] = order_float(ubp_read_f64(p + i * stride, dtype));
    else
        for (int64_t i = 0; i < n; i++)
            keys[i] = (uint64_t)ubp_read_i64(p + i * stride, dtype) ^
                      (ubp_is_signed(dtype) ? sign_bit : 0);
}
