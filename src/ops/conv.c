/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv in any number of spatial dims. Per sample and group it is the product of the weights
 * [M/g][C/g * taps] with the matrix [C/g * taps][pixels] of what each tap sees, which is gathered
 * panel by panel and never stored whole. Order of additions of one pixel: channels, then taps in
 * row-major order, in the blocks of gemm.h; then the bias. ONNX: Conv-22.
 */
#include "ops/conv.h"

#include "ops/follow.h"

#include <string.h>

/* ---- Samples --------------------------------------------------------------------------------- */

/* The image's samples are on its channels: those of a dynamic convolution, x (1, N*C, H, W) with
 * weights (N*M, C, ...) and a multiple of N groups. Channel c is of sample c/inner % N, so a group
 * must not hold channels of two samples; its output channels are then of that sample. */
static bool follow_channels(ubp_follow *f, int x, const ub_tensor *xt, const ub_tensor *wt,
                            int64_t group)
{
    const ubp_samples *s = &f->b->in[x];
    int64_t in_group = xt->dims[1] / group, out_group = wt->dims[0] / group;
    if (in_group == 0 || s->inner % in_group != 0)
        return false;
    ubp_follow_to(f, 1, s->outer, s->inner / in_group * out_group);
    return true;
}

void ubp_conv_follow(ubp_batch *batch, int x, int w, int b, const ubp_window *win)
{
    const ub_tensor *xt = batch->call->in[x], *wt = batch->call->in[w];
    ubp_follow f = ubp_follow_begin(batch, 0);
    if (ubp_follow_has(&f, x)) {
        int axis = batch->in[x].axis, d = axis - 2;
        if (axis == 0)
            ubp_follow_input(&f, x, 0);
        else if (axis == 1) {
            if (!follow_channels(&f, x, xt, wt, win->group))
                ubp_samples_couple(batch, 0, "convolution sums over the batch axis");
        } else if (win->kernel[d] == 1 && win->stride[d] == 1 && win->begin[d] == 0 &&
                   win->end[d] == 0)
            ubp_follow_input(&f, x, axis);
        else
            ubp_samples_couple(batch, 0, "convolution along the batch axis");
    }
    const int parameters[2] = {w, b};
    for (int i = 0; i < 2; i++) {
        int p = parameters[i];
        if (p < 0 || !ubp_follow_has(&f, p))
            continue;
        if (batch->in[p].axis == 0)
            ubp_follow_input(&f, p, 1); /* its rows are output channels */
        else
            ubp_samples_couple(batch, 0, "convolution weights mix samples");
    }
    ubp_follow_data(batch, 0, x);
    ubp_follow_data(batch, 0, w);
    ubp_follow_end(&f);
}

/* ---- Running --------------------------------------------------------------------------------- */

/* What all tiles of a convolution share. */
typedef struct conv {
    const ubp_window *win;
    int64_t size;                  /* of an element */
    int64_t c, m;                  /* channels and output channels of a group */
    int64_t pixels, taps;          /* products of out and of kernel */
    int64_t plane;                 /* product of in */
    int64_t step[UBP_MAX_SPATIAL]; /* elements from one index of a spatial dim to the next */
    const char *src, *weights,
        *bias; /* [n][group][c][in...], [group][m][c][kernel...], [group][m] */
    char *dst; /* [n][group][m][out...] */
} conv;

/* The pixels of a panel: where their windows begin in the image. */
typedef struct pixels {
    int64_t at[UBP_MAX_SPATIAL][UBP_GEMM_NR]; /* index in each spatial dim, before 0 in the pad */
    int64_t offset[UBP_GEMM_NR];              /* elements from the channel's first */
    bool inside;                              /* no window of the panel touches the pad */
    bool run;                                 /* the offsets rise by one */
} pixels;

static void find_pixels(const conv *v, int64_t first, int64_t count, pixels *p)
{
    const ubp_window *win = v->win;
    int64_t o[UBP_MAX_SPATIAL];
    for (int d = win->n - 1; d >= 0; d--) {
        o[d] = first % win->out[d];
        first /= win->out[d];
    }
    p->inside = p->run = true;
    for (int64_t j = 0; j < count; j++) {
        p->offset[j] = 0;
        for (int d = 0; d < win->n; d++) {
            int64_t at = o[d] * win->stride[d] - win->begin[d];
            int64_t last = at + (win->kernel[d] - 1) * win->dilation[d];
            p->at[d][j] = at;
            p->offset[j] += at * v->step[d];
            p->inside = p->inside && at >= 0 && last < win->in[d];
        }
        p->run = p->run && p->offset[j] == p->offset[0] + j;
        for (int d = win->n - 1; d >= 0 && ++o[d] == win->out[d]; d--)
            o[d] = 0;
    }
}

/* A tap: its channel and place in the kernel, as offsets in the image. */
typedef struct tap {
    int64_t k[UBP_MAX_SPATIAL];  /* place in the kernel */
    int64_t at[UBP_MAX_SPATIAL]; /* k * dilation */
    int64_t channel;
    int64_t offset; /* elements from the image's first to channel and place */
} tap;

static void tap_place(const conv *v, tap *t)
{
    t->offset = t->channel * v->plane;
    for (int d = 0; d < v->win->n; d++) {
        t->at[d] = t->k[d] * v->win->dilation[d];
        t->offset += t->at[d] * v->step[d];
    }
}

static void tap_find(const conv *v, int64_t k, tap *t)
{
    t->channel = k / v->taps;
    k %= v->taps;
    for (int d = v->win->n - 1; d >= 0; d--) {
        t->k[d] = k % v->win->kernel[d];
        k /= v->win->kernel[d];
    }
    tap_place(v, t);
}

static void tap_next(const conv *v, tap *t)
{
    int d = v->win->n - 1;
    while (d >= 0 && ++t->k[d] == v->win->kernel[d])
        t->k[d--] = 0;
    t->channel += d < 0;
    tap_place(v, t);
}

/* Which pixels of the panel the tap sees inside the image. */
static void seen(const conv *v, const pixels *p, const tap *t, int64_t count, bool *inside)
{
    for (int64_t j = 0; j < count; j++)
        inside[j] = true;
    for (int d = 0; d < v->win->n; d++)
        for (int64_t j = 0; j < count; j++)
            inside[j] &= (uint64_t)(p->at[d][j] + t->at[d]) < (uint64_t)v->win->in[d];
}

#define GATHER(T, COLS)                                                                            \
    static void gather_##T(const conv *v, const T *src, const pixels *p, const tap *t,             \
                           int64_t count, T *row)                                                  \
    {                                                                                              \
        bool inside[COLS];                                                                         \
        if (p->inside && p->run) {                                                                 \
            memcpy(row, src + t->offset + p->offset[0], (size_t)count * sizeof(T));                \
        } else if (p->inside) {                                                                    \
            for (int64_t j = 0; j < count; j++)                                                    \
                row[j] = src[t->offset + p->offset[j]];                                            \
        } else {                                                                                   \
            seen(v, p, t, count, inside);                                                          \
            for (int64_t j = 0; j < count; j++)                                                    \
                row[j] = inside[j] ? src[t->offset + p->offset[j]] : 0;                            \
        }                                                                                          \
        for (int64_t j = count; j < (COLS); j++)                                                   \
            row[j] = 0;                                                                            \
    }
/* Elements are only moved: floats go as integers of their size. */
GATHER(uint32_t, UBP_GEMM_NR)
GATHER(uint64_t, UBP_GEMM_NR / 2)
#undef GATHER

static void conv_pack(const ubp_gemm *g, int64_t k0, int64_t kn, int64_t n0, int64_t nn,
                      void *panel)
{
    const conv *v = g->arg;
    pixels p;
    tap t;
    find_pixels(v, n0, nn, &p);
    tap_find(v, k0, &t);
    for (int64_t k = 0; k < kn; k++, tap_next(v, &t)) {
        if (v->size == 4)
            gather_uint32_t(v, g->b, &p, &t, nn, (uint32_t *)panel + k * UBP_GEMM_NR);
        else
            gather_uint64_t(v, g->b, &p, &t, nn, (uint64_t *)panel + k * (UBP_GEMM_NR / 2));
    }
}

/* Item n * group + g. */
static void conv_locate(const ubp_gemm_job *job, int64_t item, ubp_gemm *g)
{
    const conv *v = job->arg;
    int64_t group = item % v->win->group;
    g->a = v->weights + group * v->m * v->c * v->taps * v->size;
    g->b = v->src + item * v->c * v->plane * v->size;
    g->c = v->dst + item * v->m * v->pixels * v->size;
    g->bias = v->bias ? v->bias + group * v->m * v->size : NULL;
}

/* ---- Depthwise ------------------------------------------------------------------------------- */

/* With one input channel a group there is little to gain from a matrix product: each tap of the
 * kernel is added to a whole row of the output at a time. The order of additions of one output is
 * that of the product, less the taps in the pads. */
#define ADD_TAP(T)                                                                                 \
    static void add_tap_##T(const T *restrict src, int64_t stride, T weight, T *restrict dst,      \
                            int64_t n)                                                             \
    {                                                                                              \
        if (stride == 1) {                                                                         \
            for (int64_t i = 0; i < n; i++)                                                        \
                dst[i] += src[i] * weight;                                                         \
        } else {                                                                                   \
            for (int64_t i = 0; i < n; i++)                                                        \
                dst[i] += src[i * stride] * weight;                                                \
        }                                                                                          \
    }
ADD_TAP(float)
ADD_TAP(double)
#undef ADD_TAP

/* One tap over a row of outputs: o holds the row's place in the output. */
static void add_tap(const conv *v, const tap *t, const int64_t *o, const char *src,
                    const char *weight, char *dst)
{
    const ubp_window *win = v->win;
    const int last = win->n - 1;
    const int64_t stride = win->stride[last], at = t->at[last] - win->begin[last];
    int64_t offset = 0;
    for (int d = 0; d < last; d++) {
        int64_t i = o[d] * win->stride[d] - win->begin[d] + t->at[d];
        if (i < 0 || i >= win->in[d])
            return;
        offset += i * v->step[d];
    }
    int64_t first = at < 0 ? (-at + stride - 1) / stride : 0;
    int64_t end = at < win->in[last] ? (win->in[last] - at - 1) / stride + 1 : 0;
    end = end < win->out[last] ? end : win->out[last];
    if (first >= end)
        return;
    offset += at + first * stride;
    if (v->size == 4)
        add_tap_float((const float *)(const void *)src + offset, stride,
                      *(const float *)(const void *)weight, (float *)(void *)dst + first,
                      end - first);
    else
        add_tap_double((const double *)(const void *)src + offset, stride,
                       *(const double *)(const void *)weight, (double *)(void *)dst + first,
                       end - first);
}

/* Rows of the output, n * M * (pixels of a channel / pixels of a row) of them. */
static void depthwise_rows(void *arg, int64_t begin, int64_t end)
{
    const conv *v = arg;
    const ubp_window *win = v->win;
    const int64_t n = win->out[win->n - 1], rows = v->pixels / n;
    for (int64_t row = begin; row < end; row++) {
        int64_t o[UBP_MAX_SPATIAL], rest = row % rows, plane = row / rows;
        int64_t channel = plane % (v->m * win->group);
        char *dst = v->dst + row * n * v->size;
        tap t;
        for (int d = win->n - 2; d >= 0; d--) {
            o[d] = rest % win->out[d];
            rest /= win->out[d];
        }
        memset(dst, 0, (size_t)(n * v->size));
        tap_find(v, 0, &t);
        for (int64_t k = 0; k < v->taps; k++, tap_next(v, &t))
            add_tap(v, &t, o, v->src + plane / v->m * v->plane * v->size,
                    v->weights + (channel * v->taps + k) * v->size, dst);
        for (int64_t i = 0; i < n && v->bias; i++) {
            if (v->size == 4)
                ((float *)(void *)dst)[i] += ((const float *)(const void *)v->bias)[channel];
            else
                ((double *)(void *)dst)[i] += ((const double *)(const void *)v->bias)[channel];
        }
    }
}

/* ---- Conv ------------------------------------------------------------------------------------ */

void ubp_conv_run(const ubp_run *run, const ubp_window *win, ub_dtype dtype, int64_t n, int64_t c,
                  int64_t m, const void *src, const void *weights, const void *bias, void *dst)
{
    conv v = {.win = win,
              .size = (int64_t)ub_dtype_size(dtype),
              .c = c / win->group,
              .m = m / win->group,
              .pixels = 1,
              .taps = 1,
              .plane = 1,
              .src = src,
              .weights = weights,
              .bias = bias,
              .dst = dst};
    for (int d = win->n - 1; d >= 0; d--) {
        v.step[d] = v.plane;
        v.plane *= win->in[d];
        v.pixels *= win->out[d];
        v.taps *= win->kernel[d];
    }
    if (v.c == 1 && v.m <= 4 && ubp_is_float(dtype)) {
        int64_t row = win->out[win->n - 1];
        ubp_run_parallel(run, n * m * (v.pixels / row), 2048 / row + 1, depthwise_rows, &v);
        return;
    }
    ubp_gemm_job job = {.dtype = dtype,
                        .items = n * win->group,
                        .gemm = {.m = v.m,
                                 .n = v.pixels,
                                 .k = v.c * v.taps,
                                 .a_row = v.c * v.taps,
                                 .a_col = 1,
                                 .c_row = v.pixels,
                                 .c_col = 1,
                                 .pack = conv_pack,
                                 .arg = &v},
                        .locate = conv_locate,
                        .arg = &v};
    ubp_gemm_run(run, &job);
}

static ub_status conv_infer(const ubp_call *call)
{
    ubp_window win;
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(ubp_want_float(call, 0));
    UBP_TRY(ubp_want_same_dtype(call, 0, 1));
    UBP_TRY(ubp_conv_window(call, &win));
    const ub_tensor *x = call->in[0], *w = call->in[1];
    if (ubp_has_in(call, 2)) {
        UBP_TRY(ubp_want_same_dtype(call, 0, 2));
        UBP_TRY(ubp_want_rank(call, 2, 1, 1));
        if (call->in[2]->dims[0] != w->dims[0])
            return ubp_op_fail(call, UB_ERR_SHAPE, "the bias has %lld elements, expected %lld",
                               (long long)call->in[2]->dims[0], (long long)w->dims[0]);
    }
    int rank = ubp_conv_dims(&win, x->dims[0], w->dims[0], dims);
    return ubp_set_out(call, 0, x->dtype, rank, dims);
}

static void conv_batch(ubp_batch *b)
{
    ubp_window win;
    if (ubp_conv_window(b->call, &win) == UB_OK)
        ubp_conv_follow(b, 0, 1, 2, &win);
    else
        ubp_samples_couple(b, 0, "convolution of a shape that does not fit");
}

static ub_status conv_ref(const ubp_call *call)
{
    ubp_window win;
    const ub_tensor *x = call->in[0], *w = call->in[1];
    if (ubp_run_cancelled(call->run))
        return UBP_CANCELLED(call);
    UBP_TRY(ubp_conv_window(call, &win));
    if (ub_tensor_count(call->out[0]) == 0)
        return UB_OK;
    ubp_conv_run(call->run, &win, x->dtype, x->dims[0], x->dims[1], w->dims[0], x->data, w->data,
                 ubp_has_in(call, 2) ? call->in[2]->data : NULL, call->out[0]->data);
    return UB_OK;
}

static int64_t conv_macs(const ubp_call *call)
{
    const ub_tensor *w = call->in[1];
    return w->dims[0] ? ub_tensor_count(call->out[0]) * (ub_tensor_count(w) / w->dims[0]) : 0;
}

const ubp_op ubp_op_Conv = {
    .name = "Conv",
    .domain = "",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(ubp_conv_attr),
    .attrs = ubp_conv_attrs,
    .infer = conv_infer,
    .batch = conv_batch,
    .ref = conv_ref,
    .macs = conv_macs,
};
