/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MaxPool, AveragePool and LpPool: a window slides over each plane (n, c) of an image (N, C, ...)
 * of any number of spatial dims. Taps are visited in row-major order; sums are kept in double.
 * ONNX: MaxPool-22, AveragePool-22, LpPool-22.
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
    if (ubp_has_out(b->call, 1) && b->in[0].kind == UBP_SAMPLES_AXIS)
        ubp_samples_couple(b, 1, "MaxPool's indices count through the whole batch");
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct pool pool;

/* The window of one pixel, cut to the image: taps [first, last) of each dim, as indices of dims. */
typedef struct cut {
    int64_t at[UBP_MAX_SPATIAL];    /* image index of the first tap inside */
    int64_t count[UBP_MAX_SPATIAL]; /* taps inside */
    int64_t taps;                   /* product of count */
    int64_t padded;                 /* taps inside the image or its pads */
} cut;

struct pool {
    ubp_window win;
    const ubp_pool_attr *attr;
    ub_dtype dtype;
    int64_t plane, pixels;          /* products of in and out */
    int64_t step[UBP_MAX_SPATIAL];  /* elements from one image index to the next */
    int64_t order[UBP_MAX_SPATIAL]; /* the same in the layout of Indices */
    const char *src;                /* [planes][in...] */
    char *dst;                      /* [planes][out...] */
    int64_t *indices;               /* [planes][out...] or NULL */
    /* Pools one window of a plane into dst[pixel]. */
    void (*window)(const pool *p, int64_t plane, int64_t pixel, const cut *c);
};

static void cut_dim(const ubp_window *win, int d, int64_t o, cut *c)
{
    int64_t step = win->dilation[d];
    int64_t begin = o * win->stride[d] - win->begin[d];
    int64_t skip = begin < 0 ? (-begin + step - 1) / step : 0;
    int64_t first = begin + skip * step;
    int64_t room = win->in[d] - first;                       /* from the first tap inside */
    int64_t reach = win->in[d] + win->end[d] - begin;        /* with the pads */
    int64_t count = room > 0 ? (room - 1) / step + 1 : 0;    /* that the image has room for */
    int64_t padded = reach > 0 ? (reach - 1) / step + 1 : 0; /* that image and pads do */
    if (count > win->kernel[d] - skip)
        count = win->kernel[d] - skip;
    if (padded > win->kernel[d])
        padded = win->kernel[d];
    c->at[d] = first;
    c->count[d] = count > 0 ? count : 0;
    c->taps *= c->count[d];
    c->padded *= padded;
}

static void pool_planes(void *arg, int64_t begin, int64_t end)
{
    const pool *p = arg;
    const ubp_window *win = &p->win;
    for (int64_t plane = begin; plane < end; plane++) {
        int64_t o[UBP_MAX_SPATIAL] = {0};
        for (int64_t pixel = 0; pixel < p->pixels; pixel++) {
            cut c = {.taps = 1, .padded = 1};
            for (int d = 0; d < win->n; d++)
                cut_dim(win, d, o[d], &c);
            p->window(p, plane, pixel, &c);
            for (int d = win->n - 1; d >= 0 && ++o[d] == win->out[d]; d--)
                o[d] = 0;
        }
    }
}

/* Steps through the rows of a window (its innermost dim is a row); false after the last. */
static bool next_row(const pool *p, const cut *c, int64_t *tap)
{
    for (int d = p->win.n - 2; d >= 0; d--) {
        if (++tap[d] < c->count[d])
            return true;
        tap[d] = 0;
    }
    return false;
}

/* Elements from the plane's first to the row's first, in the given strides. */
static int64_t row_offset(const pool *p, const cut *c, const int64_t *tap, const int64_t *step)
{
    int last = p->win.n - 1;
    int64_t offset = c->at[last] * step[last];
    for (int d = 0; d < last; d++)
        offset += (c->at[d] + tap[d] * p->win.dilation[d]) * step[d];
    return offset;
}

/* The first of equal maxima counts; NaN wins, as in NumPy and PyTorch. A window that sees only
 * padding gives the lowest value and index -1. */
#define MAX_WINDOW(T, LOWEST)                                                                      \
    static void max_##T(const pool *p, int64_t plane, int64_t pixel, const cut *c)                 \
    {                                                                                              \
        const T *src = (const T *)(const void *)p->src + plane * p->plane;                         \
        const int last = p->win.n - 1;                                                             \
        const int64_t step = p->win.dilation[last];                                                \
        int64_t tap[UBP_MAX_SPATIAL] = {0}, index = -1;                                            \
        T best = (T)(LOWEST);                                                                      \
        bool more = c->taps > 0;                                                                   \
        for (; more; more = next_row(p, c, tap)) {                                                 \
            const T *row = src + row_offset(p, c, tap, p->step);                                   \
            for (int64_t i = 0; i < c->count[last]; i++) {                                         \
                T v = row[i * step];                                                               \
                if (index >= 0 && !(v > best) && !(v != v && best == best))                        \
                    continue;                                                                      \
                best = v;                                                                          \
                index = row_offset(p, c, tap, p->order) + i * step * p->order[last];               \
            }                                                                                      \
        }                                                                                          \
        ((T *)(void *)p->dst)[plane * p->pixels + pixel] = best;                                   \
        if (p->indices)                                                                            \
            p->indices[plane * p->pixels + pixel] = index < 0 ? -1 : plane * p->plane + index;     \
    }
MAX_WINDOW(float, -INFINITY)
MAX_WINDOW(double, -INFINITY)
MAX_WINDOW(int8_t, INT8_MIN)
MAX_WINDOW(uint8_t, 0)
#undef MAX_WINDOW

static double powered(double x, int64_t p)
{
    double y = fabs(x), r = 1;
    if (p > 4)
        return pow(y, (double)p);
    for (int64_t i = 0; i < p; i++)
        r *= y;
    return r;
}

/* Sum over the window of f(x), with f = x or |x|^power. */
#define SUM_WINDOW(T)                                                                              \
    static double sum_##T(const pool *p, int64_t plane, const cut *c, int64_t power)               \
    {                                                                                              \
        const T *src = (const T *)(const void *)p->src + plane * p->plane;                         \
        const int last = p->win.n - 1;                                                             \
        const int64_t step = p->win.dilation[last];                                                \
        int64_t tap[UBP_MAX_SPATIAL] = {0};                                                        \
        double sum = 0;                                                                            \
        bool more = c->taps > 0;                                                                   \
        for (; more; more = next_row(p, c, tap)) {                                                 \
            const T *row = src + row_offset(p, c, tap, p->step);                                   \
            for (int64_t i = 0; i < c->count[last]; i++)                                           \
                sum += power ? powered((double)row[i * step], power) : (double)row[i * step];      \
        }                                                                                          \
        return sum;                                                                                \
    }
SUM_WINDOW(float)
SUM_WINDOW(double)
#undef SUM_WINDOW

static double sum_window(const pool *p, int64_t plane, const cut *c, int64_t power)
{
    return p->dtype == UB_F64 ? sum_double(p, plane, c, power) : sum_float(p, plane, c, power);
}

static void put(const pool *p, int64_t plane, int64_t pixel, double v)
{
    int64_t at = plane * p->pixels + pixel;
    if (p->dtype == UB_F64)
        ((double *)(void *)p->dst)[at] = v;
    else
        ((float *)(void *)p->dst)[at] = (float)v;
}

static void average_window(const pool *p, int64_t plane, int64_t pixel, const cut *c)
{
    int64_t count = p->attr->count_include_pad ? c->padded : c->taps;
    put(p, plane, pixel, sum_window(p, plane, c, 0) / (double)count);
}

static void lp_window(const pool *p, int64_t plane, int64_t pixel, const cut *c)
{
    double sum = sum_window(p, plane, c, p->attr->p);
    if (p->attr->p == 2)
        sum = sqrt(sum);
    else if (p->attr->p != 1)
        sum = pow(sum, 1.0 / (double)p->attr->p);
    put(p, plane, pixel, sum);
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

static ub_status run_pool(const ubp_call *call,
                          void (*window)(const pool *, int64_t, int64_t, const cut *))
{
    const ub_tensor *x = call->in[0];
    pool p = {.attr = call->attr, .dtype = x->dtype, .plane = 1, .pixels = 1, .window = window};
    if (ubp_run_cancelled(call->run))
        return UBP_CANCELLED(call);
    UBP_TRY(ubp_pool_window(call, &p.win));
    if (ub_tensor_count(call->out[0]) == 0)
        return UB_OK;
    for (int d = p.win.n - 1; d >= 0; d--) {
        p.step[d] = p.plane;
        p.plane *= p.win.in[d];
        p.pixels *= p.win.out[d];
    }
    index_order(&p);
    p.src = x->data;
    p.dst = call->out[0]->data;
    p.indices = ubp_has_out(call, 1) ? call->out[1]->data : NULL;
    ubp_run_parallel(call->run, x->dims[0] * x->dims[1], 4096 / p.pixels + 1, pool_planes, &p);
    return UB_OK;
}

static ub_status max_pool_ref(const ubp_call *call)
{
    switch (call->in[0]->dtype) {
    case UB_F64:
        return run_pool(call, max_double);
    case UB_I8:
        return run_pool(call, max_int8_t);
    case UB_U8:
        return run_pool(call, max_uint8_t);
    default:
        return run_pool(call, max_float);
    }
}

static ub_status average_pool_ref(const ubp_call *call)
{
    return run_pool(call, average_window);
}

static ub_status lp_pool_ref(const ubp_call *call)
{
    return run_pool(call, lp_window);
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
