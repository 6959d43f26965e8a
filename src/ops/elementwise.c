/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walker of the elementwise families: broadcasting (NumPy's and ONNX's rules), axes joined into
 * long rows in the destination's memory order, elements shared out to threads. Each element is
 * computed on its own, so cuts and order change no bits.
 */
#include "ops/elementwise.h"

#include <string.h>

/* Below this many elements a second thread costs more than it brings. */
enum { GRAIN = 1 << 14, SHORT_ROW = 8 };

/* The loops to do: axis 0 outermost, the last one is the row. */
typedef struct walk {
    int n_operands, rank;
    int64_t dims[UB_MAX_RANK];
    int64_t strides[UBP_EW_OPERANDS][UB_MAX_RANK]; /* bytes; 0 where an operand broadcasts */
    char *base[UBP_EW_OPERANDS];
    ubp_ew_fn fn;
    const void *arg;
} walk;

/* Takes the axes of size over 1, with every operand's strides over them. */
static void walk_axes(walk *w, const ub_tensor *const *operands)
{
    const ub_tensor *dst = operands[0];
    for (int axis = 0; axis < dst->rank; axis++) {
        if (dst->dims[axis] == 1)
            continue;
        w->dims[w->rank] = dst->dims[axis];
        for (int o = 0; o < w->n_operands; o++) {
            const ub_tensor *t = operands[o];
            int own = axis - (dst->rank - t->rank);
            w->strides[o][w->rank] = own >= 0 && t->dims[own] != 1 ? t->strides[own] : 0;
        }
        w->rank++;
    }
}

static int64_t magnitude(int64_t v)
{
    return v < 0 ? -v : v;
}

static void swap_axes(walk *w, int a, int b)
{
    int64_t d = w->dims[a];
    w->dims[a] = w->dims[b];
    w->dims[b] = d;
    for (int o = 0; o < w->n_operands; o++) {
        int64_t s = w->strides[o][a];
        w->strides[o][a] = w->strides[o][b];
        w->strides[o][b] = s;
    }
}

/* Largest stride of the destination outermost: memory is walked in order whatever the layout. */
static void walk_sort(walk *w)
{
    for (int i = 1; i < w->rank; i++)
        for (int j = i; j > 0; j--) {
            if (magnitude(w->strides[0][j - 1]) >= magnitude(w->strides[0][j]))
                break;
            swap_axes(w, j - 1, j);
        }
}

/* Joins neighbouring axes that every operand crosses with one stride. */
static void walk_join(walk *w)
{
    int last = 0; /* axes 0..last are done */
    for (int axis = 1; axis < w->rank; axis++) {
        bool joins = true;
        for (int o = 0; o < w->n_operands; o++)
            joins = joins && w->strides[o][last] == w->strides[o][axis] * w->dims[axis];
        if (joins) {
            w->dims[last] *= w->dims[axis];
        } else {
            last++;
            w->dims[last] = w->dims[axis];
        }
        for (int o = 0; o < w->n_operands; o++)
            w->strides[o][last] = w->strides[o][axis];
    }
    if (w->rank > 0)
        w->rank = last + 1;
    /* Three numbers a row are not worth a call: walk across the rows instead. */
    if (w->rank > 1 && w->dims[w->rank - 1] < SHORT_ROW &&
        w->dims[w->rank - 2] > w->dims[w->rank - 1])
        swap_axes(w, w->rank - 2, w->rank - 1);
}

/* Elements [begin, end) in the order of the walk. */
static void walk_part(void *arg, int64_t begin, int64_t end)
{
    const walk *w = arg;
    int64_t index[UB_MAX_RANK], step[UBP_EW_OPERANDS], rest = begin;
    char *p[UBP_EW_OPERANDS];
    const int row = w->rank - 1;
    for (int axis = row; axis >= 0; axis--) {
        index[axis] = rest % w->dims[axis];
        rest /= w->dims[axis];
    }
    for (int o = 0; o < w->n_operands; o++) {
        p[o] = w->base[o];
        for (int axis = 0; axis <= row; axis++)
            p[o] += index[axis] * w->strides[o][axis];
        step[o] = w->strides[o][row];
    }
    while (begin < end) {
        int64_t n = w->dims[row] - index[row];
        if (n > end - begin)
            n = end - begin;
        w->fn(p, step, n, w->arg);
        begin += n;
        if (begin >= end)
            return;
        for (int o = 0; o < w->n_operands; o++)
            p[o] -= index[row] * step[o];
        index[row] = 0;
        for (int axis = row - 1; axis >= 0; axis--) {
            for (int o = 0; o < w->n_operands; o++)
                p[o] += w->strides[o][axis];
            if (++index[axis] < w->dims[axis])
                break;
            for (int o = 0; o < w->n_operands; o++)
                p[o] -= w->dims[axis] * w->strides[o][axis];
            index[axis] = 0;
        }
    }
}

void ubp_ew_walk(const ubp_run *run, int n_operands, const ub_tensor *const *operands, ubp_ew_fn fn,
                 const void *arg)
{
    walk w = {.n_operands = n_operands, .fn = fn, .arg = arg};
    int64_t count = ub_tensor_count(operands[0]);
    if (count == 0)
        return;
    for (int o = 0; o < n_operands; o++)
        w.base[o] = operands[o]->data;
    walk_axes(&w, operands);
    walk_sort(&w);
    walk_join(&w);
    if (w.rank == 0) {
        w.dims[0] = 1;
        w.rank = 1;
    }
    ubp_run_parallel(run, count, GRAIN, walk_part, &w);
}

ubp_ew_fn ubp_ew_kernel(const ubp_ew_kernels *k, ub_dtype dtype)
{
    if (dtype == UB_F16 || dtype == UB_BF16)
        dtype = UB_F32;
    return (int)dtype >= 0 && (int)dtype < UBP_EW_DTYPES ? k->fn[dtype] : NULL;
}

static ub_status want_kernel(const ubp_call *c, const ubp_ew_kernels *k)
{
    if (ubp_ew_kernel(k, c->in[0]->dtype))
        return UB_OK;
    return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "input 0 is %s, which this operator does not take",
                       ub_dtype_name(c->in[0]->dtype));
}

ub_status ubp_ew_dims(const ubp_call *c, int *rank, int64_t *dims)
{
    *rank = 0;
    for (int i = 0; i < c->n_in; i++) {
        const ub_tensor *t = c->in[i];
        int64_t before[UB_MAX_RANK];
        int rank_before = *rank;
        if (!t)
            return ubp_op_fail(c, UB_ERR_FILE, "input %d is missing", i);
        memcpy(before, dims, sizeof(int64_t) * (size_t)rank_before);
        if (ubp_broadcast_dims(rank, dims, rank_before, before, t->rank, t->dims))
            continue;
        char a[UBP_SHAPE_TEXT], b[UBP_SHAPE_TEXT];
        return ubp_op_fail(
            c, UB_ERR_SHAPE, "input %d has shape %s, which does not broadcast with %s", i,
            ubp_shape_text(b, t->rank, t->dims), ubp_shape_text(a, rank_before, before));
    }
    return UB_OK;
}

ub_status ubp_ew_infer(const ubp_call *c, const ubp_ew_kernels *k, ub_dtype out)
{
    int rank;
    int64_t dims[UB_MAX_RANK];
    for (int i = 1; i < c->n_in; i++)
        UBP_TRY(ubp_want_same_dtype(c, 0, i));
    UBP_TRY(ubp_ew_dims(c, &rank, dims));
    UBP_TRY(want_kernel(c, k));
    return ubp_set_out(c, 0, out == UB_UNDEFINED ? c->in[0]->dtype : out, rank, dims);
}

ub_status ubp_ew_infer_first(const ubp_call *c, const ubp_ew_kernels *k, ub_dtype out)
{
    const ub_tensor *t = c->in[0];
    if (!t)
        return ubp_op_fail(c, UB_ERR_FILE, "input 0 is missing");
    UBP_TRY(want_kernel(c, k));
    return ubp_set_out(c, 0, out == UB_UNDEFINED ? t->dtype : out, t->rank, t->dims);
}

ub_status ubp_ew_ref(const ubp_call *c, const ubp_ew_kernels *k)
{
    const ub_tensor *operands[UBP_EW_OPERANDS] = {c->out[0]};
    ubp_ew_fn fn = ubp_ew_kernel(k, c->in[0]->dtype);
    for (int i = 0; i < c->n_in; i++)
        operands[i + 1] = c->in[i];
    ubp_ew_walk(c->run, c->n_in + 1, operands, fn, c->attr);
    return UB_OK;
}

ub_status ubp_ew_convert(const ubp_call *c, const ub_tensor *t, ub_dtype dtype, ub_tensor *out)
{
    *out = *t;
    if (t->dtype == dtype)
        return UB_OK;
    UBP_TRY(ubp_tensor_describe(out, dtype, t->rank, t->dims, c->err));
    out->data = ubp_run_scratch(c, ubp_tensor_bytes(out));
    return out->data ? ub_tensor_copy_into(out, t, c->err) : UB_ERR_MEMORY;
}
