/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MaxPool, AveragePool and LpPool: a window slides over each plane (n, c) of an image (N, C, ...)
 * of any number of spatial dims. The taps of a window are taken in row-major order; sums are kept
 * in double. ONNX: MaxPool-22, AveragePool-22, LpPool-22.
 */
#include "ops/window.h"

#include <math.h>
#include <string.h>

static ub_status pool_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    ubp_pool_attr *a = attr;
    const int max = UBP_MAX_SPATIAL;
    int64_t ceil_mode, include;
    (void)arena;
    UBP_TRY(ubp_window_auto_pad(node, &a->auto_pad, err));
    UBP_TRY(ubp_attr_int(node, "ceil_mode", 0, &ceil_mode, err));
    UBP_TRY(ubp_attr_int(node, "count_include_pad", 0, &include, err));
    UBP_TRY(ubp_attr_int(node, "storage_order", 0, &a->storage_order, err));
    UBP_TRY(ubp_attr_int(node, "plane_indices", 0, &a->plane_indices, err));
    UBP_TRY(ubp_attr_int(node, "p", 2, &a->p, err));
    a->ceil_mode = ceil_mode != 0;
    a->count_include_pad = include != 0;
    UBP_TRY(ubp_window_ints(node, "kernel_shape", max, 1, a->kernel_shape, &a->n_kernel, err));
    UBP_TRY(ubp_window_ints(node, "strides", max, 1, a->strides, &a->n_strides, err));
    UBP_TRY(ubp_window_ints(node, "dilations", max, 1, a->dilations, &a->n_dilations, err));
    UBP_TRY(ubp_window_ints(node, "pads", 2 * max, 0, a->pads, &a->n_pads, err));
    if (a->n_kernel == 0)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): attribute 'kernel_shape' is missing",
                        node->name, node->op_type);
    if (a->p < 1)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): p is %lld, expected at least 1",
                        node->name, node->op_type, (long long)a->p);
    return UB_OK;
}

ub_status ubp_pool_window(const ubp_call *call, ubp_window *win)
{
    const ubp_pool_attr *a = call->attr;
    const ubp_window_attr attr = {.auto_pad = a->auto_pad,
                                  .ceil_mode = a->ceil_mode,
                                  .n_kernel = a->n_kernel,
                                  .n_strides = a->n_strides,
                                  .n_dilations = a->n_dilations,
                                  .n_pads = a->n_pads,
                                  .strides = a->strides,
                                  .dilations = a->dilations,
                                  .pads = a->pads};
    UBP_TRY(ubp_want_rank(call, 0, 3, UB_MAX_RANK));
    const ub_tensor *x = call->in[0];
    memset(win, 0, sizeof *win);
    win->n = x->rank - 2;
    win->group = 1;
    UBP_TRY(ubp_window_counts(call, &attr, win->n));
    memcpy(win->in, x->dims + 2, (size_t)win->n * sizeof *win->in);
    memcpy(win->kernel, a->kernel_shape, (size_t)win->n * sizeof *win->kernel);
    return ubp_window_resolve(call, &attr, win);
}

static ub_status infer_image(const ubp_call *call, int k, ub_dtype dtype)
{
    ubp_window win;
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(ubp_pool_window(call, &win));
    memcpy(dims, call->in[0]->dims, 2 * sizeof *dims);
    memcpy(dims + 2, win.out, (size_t)win.n * sizeof *dims);
    return ubp_set_out(call, k, dtype, win.n + 2, dims);
}

static ub_status pool_infer(const ubp_call *call)
{
    UBP_TRY(ubp_want_float(call, 0));
    return infer_image(call, 0, call->in[0]->dtype);
}

static ub_status max_pool_infer(const ubp_call *call)
{
    ub_dtype dtype = call->in[0]->dtype;
    if (!ubp_is_float(dtype) && dtype != UB_I8 && dtype != UB_U8)
        return ubp_op_fail(call, UB_ERR_UNSUPPORTED,
                           "maxima of %s are not supported (floats, int8 and uint8 are)",
                           ub_dtype_name(dtype));
    UBP_TRY(infer_image(call, 0, dtype));
    return infer_image(call, 1, UB_I64);
}

/* Planes stay apart, so samples on the first two axes (folded or not) are followed; so they are on
 * a spatial axis that the window leaves as it is. */
static void pool_batch(ubp_batch *b)
{
    const ubp_pool_attr *attr = b->call->attr;
    ubp_window win;
    int d = b->in[0].axis - 2;
    bool along = b->in[0].kind == UBP_SAMPLES_AXIS && d >= 0;
    if (along && ubp_pool_window(b->call, &win) == UB_OK)
        along = win.kernel[d] != 1 || win.stride[d] != 1 || win.begin[d] != 0 || win.end[d] != 0;
    for (int k = 0; k < b->call->n_out; k++) {
        if (along)
            ubp_samples_couple(b, k, "pooling along the batch axis");
        else
            ubp_samples_like(b, k, 0, 0);
        if (b->in[0].sized)
            ubp_samples_couple(b, k, "uses the number of samples as data");
    }
    if (ubp_has_out(b->call, 1) && b->in[0].kind == UBP_SAMPLES_AXIS && !attr->plane_indices)
        ubp_samples_couple(b, 1, "MaxPool's indices count through the whole batch");
}

/* ---- Running --------------------------------------------------------------------------------- */

/* A row is all outputs along the last spatial dim. Tap after tap of the window, in row-major order,
 * goes to every output of the row that sees it. */
typedef struct pool {
    ubp_window win;
    const ubp_pool_attr *attr;
    ub_dtype dtype;
    int64_t plane, rows;            /* product of in; of out but the last */
    int64_t step[UBP_MAX_SPATIAL];  /* elements from one image index to the next */
    int64_t order[UBP_MAX_SPATIAL]; /* the same in the layout of Indices */
    const char *src;                /* [planes][in...] */
    char *dst;                      /* [planes][out...] */
    int64_t *indices;               /* [planes][out...] or NULL */
    double *sums;                   /* [planes][out...] scratch of AveragePool and LpPool */
    void (*row)(const struct pool *p, int64_t plane, int64_t row);
} pool;

/* One tap of the window over a row. */
typedef struct tap {
    int64_t k[UBP_MAX_SPATIAL];                          /* place in the window */
    int64_t low[UBP_MAX_SPATIAL], high[UBP_MAX_SPATIAL]; /* places that see the image */
    int64_t o[UBP_MAX_SPATIAL]; /* output indices of the row; the last is not used */
    int64_t src, index;         /* of the element that output 0 of the row would see */
    int64_t first, last;        /* outputs [first, last) see the image */
    int64_t seen, padded;       /* taps of the dims but the last inside image; image and pads */
} tap;

/* The k in [0, kernel) for which begin + k * step lies in [0, limit): [*low, *high). */
static void places(int64_t begin, int64_t step, int64_t limit, int64_t kernel, int64_t *low,
                   int64_t *high)
{
    *low = begin < 0 ? (-begin + step - 1) / step : 0;
    *high = limit > begin ? (limit - begin - 1) / step + 1 : 0;
    *high = *high < kernel ? *high : kernel;
    *low = *low < *high ? *low : *high;
}

/* Taps along dim d that output o sees inside the image, or inside image and pads. */
static int64_t taps_along(const ubp_window *win, int d, int64_t o, bool pads)
{
    int64_t low, high, begin = o * win->stride[d] - win->begin[d];
    if (pads)
        places(begin + win->begin[d], win->dilation[d], win->in[d] + win->begin[d] + win->end[d],
               win->kernel[d], &low, &high);
    else
        places(begin, win->dilation[d], win->in[d], win->kernel[d], &low, &high);
    return high - low;
}

/* The first tap of a row; false when no window of the row sees the image. */
static bool tap_begin(const pool *p, int64_t row, tap *t)
{
    const ubp_window *win = &p->win;
    const int last = win->n - 1;
    bool any = true;
    *t = (tap){.seen = 1, .padded = 1};
    for (int d = last; d >= 0; d--) {
        int64_t begin = -win->begin[d], reach = win->in[d];
        if (d < last) {
            t->o[d] = row % win->out[d];
            row /= win->out[d];
            begin += t->o[d] * win->stride[d];
            t->seen *= taps_along(win, d, t->o[d], false);
            t->padded *= taps_along(win, d, t->o[d], true);
            places(begin, win->dilation[d], reach, win->kernel[d], &t->low[d], &t->high[d]);
        } else {
            int64_t unused; /* the first output sees most on the right, the last on the left */
            places(begin, win->dilation[d], reach, win->kernel[d], &unused, &t->high[d]);
            places(begin + (win->out[d] - 1) * win->stride[d], win->dilation[d], INT64_MAX / 2,
                   win->kernel[d], &t->low[d], &unused);
        }
        t->k[d] = t->low[d];
        any = any && t->low[d] < t->high[d];
    }
    return any;
}

/* Where the tap lies; false when the row does not see the image there. */
static bool tap_place(const pool *p, tap *t)
{
    const ubp_window *win = &p->win;
    const int last = win->n - 1;
    int64_t at = t->k[last] * win->dilation[last] - win->begin[last], stride = win->stride[last];
    t->src = at * p->step[last];
    t->index = at * p->order[last];
    for (int d = 0; d < last; d++) {
        int64_t i = t->o[d] * win->stride[d] - win->begin[d] + t->k[d] * win->dilation[d];
        if (i < 0 || i >= win->in[d])
            return false;
        t->src += i * p->step[d];
        t->index += i * p->order[d];
    }
    t->first = at < 0 ? (-at + stride - 1) / stride : 0;
    t->last = at < win->in[last] ? (win->in[last] - at - 1) / stride + 1 : 0;
    if (t->last > win->out[last])
        t->last = win->out[last];
    return t->first < t->last;
}

static bool tap_next(const pool *p, tap *t)
{
    for (int d = p->win.n - 1; d >= 0; d--) {
        if (++t->k[d] < t->high[d])
            return true;
        t->k[d] = t->low[d];
    }
    return false;
}

/* The first of equal maxima counts; NaN wins, as in NumPy and PyTorch. A window that sees only
 * padding gives the lowest value and index -1. */
#define MAX_ROW(T, LOWEST)                                                                         \
    static void max_##T(const pool *p, int64_t plane, int64_t row)                                 \
    {                                                                                              \
        const int last = p->win.n - 1;                                                             \
        const int64_t n = p->win.out[last], stride = p->win.stride[last];                          \
        const int64_t at = (plane * p->rows + row) * n;                                            \
        const int64_t first = p->attr->plane_indices ? 0 : plane * p->plane;                       \
        T *best = (T *)(void *)p->dst + at;                                                        \
        int64_t *index = p->indices ? p->indices + at : NULL;                                      \
        tap t;                                                                                     \
        bool more = tap_begin(p, row, &t);                                                         \
        for (int64_t i = 0; i < n; i++) {                                                          \
            best[i] = (T)(LOWEST);                                                                 \
            if (index)                                                                             \
                index[i] = -1;                                                                     \
        }                                                                                          \
        for (; more; more = tap_next(p, &t)) {                                                     \
            if (!tap_place(p, &t))                                                                 \
                continue;                                                                          \
            const T *src = (const T *)(const void *)p->src + plane * p->plane + t.src;             \
            for (int64_t i = t.first; i < t.last && !index; i++) {                                 \
                T v = src[i * stride];                                                             \
                best[i] = ((v > best[i]) | (v != v)) ? v : best[i];                                \
            }                                                                                      \
            for (int64_t i = t.first; i < t.last && index; i++) {                                  \
                T v = src[i * stride];                                                             \
                if (index[i] >= 0 && !(v > best[i]) && !(v != v && best[i] == best[i]))            \
                    continue;                                                                      \
                best[i] = v;                                                                       \
                index[i] = first + t.index + i * stride * p->order[last];                          \
            }                                                                                      \
        }                                                                                          \
    }
MAX_ROW(float, -INFINITY)
MAX_ROW(double, -INFINITY)
MAX_ROW(int8_t, INT8_MIN)
MAX_ROW(uint8_t, 0)
#undef MAX_ROW

static double powered(double x, int64_t p)
{
    double y = fabs(x);
    return p == 1 ? y : p == 2 ? y * y : pow(y, (double)p);
}

/* Sums of x, or of |x|^power, over the windows of a row. */
#define SUM_ROW(T)                                                                                 \
    static void sum_##T(const pool *p, int64_t plane, int64_t row, int64_t power, double *sum)     \
    {                                                                                              \
        const int64_t n = p->win.out[p->win.n - 1], stride = p->win.stride[p->win.n - 1];          \
        tap t;                                                                                     \
        bool more = tap_begin(p, row, &t);                                                         \
        for (int64_t i = 0; i < n; i++)                                                            \
            sum[i] = 0;                                                                            \
        for (; more; more = tap_next(p, &t)) {                                                     \
            if (!tap_place(p, &t))                                                                 \
                continue;                                                                          \
            const T *src = (const T *)(const void *)p->src + plane * p->plane + t.src;             \
            for (int64_t i = t.first; i < t.last && power; i++)                                    \
                sum[i] += powered((double)src[i * stride], power);                                 \
            for (int64_t i = t.first; i < t.last && !power; i++)                                   \
                sum[i] += (double)src[i * stride];                                                 \
        }                                                                                          \
    }
SUM_ROW(float)
SUM_ROW(double)
#undef SUM_ROW

static double *sum_row(const pool *p, int64_t plane, int64_t row, int64_t power)
{
    double *sum = p->sums + (plane * p->rows + row) * p->win.out[p->win.n - 1];
    if (p->dtype == UB_F64)
        sum_double(p, plane, row, power, sum);
    else
        sum_float(p, plane, row, power, sum);
    return sum;
}

static void put(const pool *p, int64_t at, double v)
{
    if (p->dtype == UB_F64)
        ((double *)(void *)p->dst)[at] = v;
    else
        ((float *)(void *)p->dst)[at] = (float)v;
}

static void average_row(const pool *p, int64_t plane, int64_t row)
{
    const int64_t n = p->win.out[p->win.n - 1];
    const double *sum = sum_row(p, plane, row, 0);
    const bool pads = p->attr->count_include_pad;
    tap t;
    tap_begin(p, row, &t);
    for (int64_t i = 0; i < n; i++) {
        int64_t count = (pads ? t.padded : t.seen) * taps_along(&p->win, p->win.n - 1, i, pads);
        put(p, (plane * p->rows + row) * n + i, sum[i] / (double)count);
    }
}

static void lp_row(const pool *p, int64_t plane, int64_t row)
{
    const int64_t n = p->win.out[p->win.n - 1], power = p->attr->p;
    const double *sum = sum_row(p, plane, row, power);
    for (int64_t i = 0; i < n; i++)
        put(p, (plane * p->rows + row) * n + i,
            power == 1   ? sum[i]
            : power == 2 ? sqrt(sum[i])
                         : pow(sum[i], 1.0 / (double)power));
}

static void run_rows(void *arg, int64_t begin, int64_t end)
{
    const pool *p = arg;
    for (int64_t i = begin; i < end; i++)
        p->row(p, i / p->rows, i % p->rows);
}

/* Strides of an image in the order of storage_order: 0 row-major, 1 the first dim fastest. */
static void index_order(pool *p)
{
    int64_t at = 1;
    for (int i = 0; i < p->win.n; i++) {
        int d = p->attr->storage_order ? i : p->win.n - 1 - i;
        p->order[d] = at;
        at *= p->win.in[d];
    }
}

static ub_status run_pool(const ubp_call *call, bool sums,
                          void (*row)(const pool *, int64_t, int64_t))
{
    const ub_tensor *x = call->in[0], *y = call->out[0];
    pool p = {.attr = call->attr, .dtype = x->dtype, .plane = 1, .rows = 1, .row = row};
    int64_t count = ub_tensor_count(y);
    size_t size;
    if (ubp_run_cancelled(call->run))
        return UBP_CANCELLED(call);
    UBP_TRY(ubp_pool_window(call, &p.win));
    if (count == 0)
        return UB_OK;
    for (int d = p.win.n - 1; d >= 0; d--) {
        p.step[d] = p.plane;
        p.plane *= p.win.in[d];
        p.rows *= d < p.win.n - 1 ? p.win.out[d] : 1;
    }
    index_order(&p);
    p.src = x->data;
    p.dst = y->data;
    p.indices = ubp_has_out(call, 1) ? call->out[1]->data : NULL;
    if (sums) {
        if (!ubp_mul_size((size_t)count, sizeof *p.sums, &size))
            return ubp_fail_memory(call->err, SIZE_MAX);
        p.sums = ubp_run_scratch(call, size);
        if (!p.sums)
            return UB_ERR_MEMORY;
    }
    int64_t n = y->dims[y->rank - 1];
    ubp_run_parallel(call->run, count / n, 1024 / n + 1, run_rows, &p);
    return UB_OK;
}

static ub_status max_pool_ref(const ubp_call *call)
{
    switch (call->in[0]->dtype) {
    case UB_F64:
        return run_pool(call, false, max_double);
    case UB_I8:
        return run_pool(call, false, max_int8_t);
    case UB_U8:
        return run_pool(call, false, max_uint8_t);
    default:
        return run_pool(call, false, max_float);
    }
}

static ub_status average_pool_ref(const ubp_call *call)
{
    return run_pool(call, true, average_row);
}

static ub_status lp_pool_ref(const ubp_call *call)
{
    return run_pool(call, true, lp_row);
}

#define POOL(NAME, OUTPUTS, INFER, REF)                                                            \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .min_in = 1,                                                                               \
        .max_in = 1,                                                                               \
        .min_out = 1,                                                                              \
        .max_out = OUTPUTS,                                                                        \
        .flags = UBP_WIDEN,                                                                        \
        .attr_size = sizeof(ubp_pool_attr),                                                        \
        .attrs = pool_attrs,                                                                       \
        .infer = INFER,                                                                            \
        .batch = pool_batch,                                                                       \
        .ref = REF,                                                                                \
    }
POOL(MaxPool, 2, max_pool_infer, max_pool_ref);
POOL(AveragePool, 1, pool_infer, average_pool_ref);
POOL(LpPool, 1, pool_infer, lp_pool_ref);
