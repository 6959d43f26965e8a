/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ConvTranspose in any number of spatial dims. Each input pixel is multiplied with the weights of
 * every tap (a matrix product that sums over channels), and the results are added to the output
 * pixels they fall on: o = i * stride - begin + tap * dilation. Order of additions of one output:
 * for each tap in row-major order the sum over channels (gemm.h); then the bias. ONNX:
 * ConvTranspose-22.
 */
#include "ops/conv.h"

#include "ops/follow.h"
#include "ops/window.h"

#include <string.h>

/* ---- Shape ----------------------------------------------------------------------------------- */

/* One spatial dim: pads and output from the attributes, as the specification says: output_shape
 * wins over auto_pad's in * stride, which wins over pads. */
static ub_status resolve_dim(const ubp_call *call, const ubp_conv_attr *a, int i, ubp_window *win)
{
    int64_t span = (win->kernel[i] - 1) * win->dilation[i] + 1;
    bool same = a->auto_pad == UBP_PAD_SAME_UPPER || a->auto_pad == UBP_PAD_SAME_LOWER;
    int64_t whole, in = win->in[i];
    if (in > INT64_MAX >> 28 || !ubp_add_i64(win->stride[i] * (in - 1), span, &whole))
        return ubp_op_fail(call, UB_ERR_SHAPE, "dimension of size %lld", (long long)in);
    whole += a->n_output_padding ? a->output_padding[i] : 0;
    if (same || a->n_output_shape) {
        int64_t extra = a->n_output_shape - win->n; /* some files give N and C too */
        win->out[i] = a->n_output_shape ? a->output_shape[i + extra] : in * win->stride[i];
        int64_t total = whole > win->out[i] ? whole - win->out[i] : 0;
        win->begin[i] = a->auto_pad == UBP_PAD_SAME_UPPER ? total / 2 : total - total / 2;
        win->end[i] = total - win->begin[i];
    } else {
        if (a->n_pads && a->auto_pad == UBP_PAD_NOTSET) {
            win->begin[i] = a->pads[i];
            win->end[i] = a->pads[win->n + i];
        }
        win->out[i] = whole - win->begin[i] - win->end[i];
    }
    if (win->out[i] < 1)
        return ubp_op_fail(call, UB_ERR_SHAPE, "spatial dim %d of the output would be %lld", i,
                           (long long)win->out[i]);
    return UB_OK;
}

ub_status ubp_conv_transpose_window(const ubp_call *call, ubp_window *win)
{
    const ubp_conv_attr *a = call->attr;
    const ubp_window_attr attr = {.n_kernel = a->n_kernel,
                                  .n_strides = a->n_strides,
                                  .n_dilations = a->n_dilations,
                                  .n_pads = a->n_pads};
    UBP_TRY(ubp_want_rank(call, 0, 3, UB_MAX_RANK));
    const ub_tensor *x = call->in[0], *w = call->in[1];
    UBP_TRY(ubp_want_rank(call, 1, x->rank, x->rank));
    *win = (ubp_window){.n = x->rank - 2, .group = a->group};
    UBP_TRY(ubp_window_counts(call, &attr, win->n));
    if ((a->n_output_padding && a->n_output_padding != win->n) ||
        (a->n_output_shape && a->n_output_shape != win->n && a->n_output_shape != win->n + 2))
        return ubp_op_fail(call, UB_ERR_SHAPE,
                           "output_padding and output_shape must have %d numbers", win->n);
    if (w->dims[0] != x->dims[1] || x->dims[1] % a->group != 0)
        return ubp_op_fail(call, UB_ERR_SHAPE,
                           "%lld channels and weights (%lld, ...) do not fit %lld groups",
                           (long long)x->dims[1], (long long)w->dims[0], (long long)a->group);
    for (int i = 0; i < win->n; i++) {
        win->in[i] = x->dims[2 + i];
        win->kernel[i] = w->dims[2 + i];
        win->stride[i] = a->n_strides ? a->strides[i] : 1;
        win->dilation[i] = a->n_dilations ? a->dilations[i] : 1;
        if (win->kernel[i] < 1 || (a->n_kernel && a->kernel_shape[i] != win->kernel[i]) ||
            win->in[i] < 1)
            return ubp_op_fail(call, UB_ERR_SHAPE,
                               "spatial dim %d: input %lld, weights %lld, kernel_shape %lld", i,
                               (long long)win->in[i], (long long)win->kernel[i],
                               (long long)(a->n_kernel ? a->kernel_shape[i] : win->kernel[i]));
        UBP_TRY(resolve_dim(call, a, i, win));
    }
    return UB_OK;
}

static ub_status conv_transpose_infer(const ubp_call *call)
{
    ubp_window win;
    int64_t dims[UB_MAX_RANK], m;
    UBP_TRY(ubp_want_float(call, 0));
    UBP_TRY(ubp_want_same_dtype(call, 0, 1));
    UBP_TRY(ubp_conv_transpose_window(call, &win));
    const ub_tensor *x = call->in[0];
    if (!ubp_mul_i64(call->in[1]->dims[1], win.group, &m))
        return ubp_op_fail(call, UB_ERR_SHAPE, "too many output channels");
    if (ubp_has_in(call, 2)) {
        UBP_TRY(ubp_want_same_dtype(call, 0, 2));
        UBP_TRY(ubp_want_rank(call, 2, 1, 1));
        if (call->in[2]->dims[0] != m)
            return ubp_op_fail(call, UB_ERR_SHAPE, "the bias has %lld elements, expected %lld",
                               (long long)call->in[2]->dims[0], (long long)m);
    }
    int rank = ubp_conv_dims(&win, x->dims[0], m, dims);
    return ubp_set_out(call, 0, x->dtype, rank, dims);
}

/* ---- Samples --------------------------------------------------------------------------------- */

/* Input channels of sample s only reach its own output channels when no group holds two samples. */
static void follow_channels(ubp_follow *f, int i, int64_t in_group, int64_t out_group)
{
    const ubp_samples *s = &f->b->in[i];
    if (in_group > 0 && s->inner % in_group == 0)
        ubp_follow_to(f, 1, s->outer, s->inner / in_group * out_group);
    else
        ubp_samples_couple(f->b, 0, "convolution sums over the batch axis");
}

static void conv_transpose_batch(ubp_batch *b)
{
    ubp_window win;
    ubp_follow f = ubp_follow_begin(b, 0);
    if (ubp_conv_transpose_window(b->call, &win) != UB_OK) {
        ubp_samples_couple(b, 0, "convolution of a shape that does not fit");
        return;
    }
    int64_t in_group = b->call->in[0]->dims[1] / win.group, out_group = b->call->in[1]->dims[1];
    if (ubp_follow_has(&f, 0)) {
        int axis = b->in[0].axis, d = axis - 2;
        if (axis == 1)
            follow_channels(&f, 0, in_group, out_group);
        else if (axis == 0 || (win.kernel[d] == 1 && win.stride[d] == 1 && win.begin[d] == 0 &&
                               win.out[d] == win.in[d]))
            ubp_follow_input(&f, 0, axis);
        else
            ubp_samples_couple(b, 0, "convolution along the batch axis");
    }
    if (ubp_follow_has(&f, 1)) {
        if (b->in[1].axis == 0)
            follow_channels(&f, 1, in_group, out_group);
        else if (b->in[1].axis == 1)
            ubp_follow_to(&f, 1, b->in[1].outer * win.group, b->in[1].inner);
        else
            ubp_samples_couple(b, 0, "convolution weights mix samples");
    }
    if (ubp_follow_has(&f, 2))
        ubp_follow_input(&f, 2, 1);
    for (int i = 0; i < b->call->n_in; i++)
        ubp_follow_data(b, 0, i);
    ubp_follow_end(&f);
}

/* ---- Running --------------------------------------------------------------------------------- */

/* A unit is one output channel of one sample: what its weights make of the input, for each tap. */
typedef struct transpose {
    const ubp_window *win;
    bool wide;                     /* double, else float */
    int64_t size;                  /* of an element */
    int64_t c, m;                  /* input and output channels of a group */
    int64_t taps, in, out;         /* products of kernel, in, out */
    int64_t step[UBP_MAX_SPATIAL]; /* elements from one output index to the next */
    int64_t first;                 /* unit of the chunk's first */
    const char *src, *weights;     /* [n][group][c][in...], [group][c][m][kernel...] */
    const char *bias;              /* [group][m] or NULL */
    char *columns;                 /* [units][taps][in...] */
    char *dst;                     /* [n][group][m][out...] */
} transpose;

static void locate(const ubp_gemm_job *job, int64_t item, ubp_gemm *g)
{
    const transpose *t = job->arg;
    int64_t unit = t->first + item;
    int64_t m = unit % t->m, image = unit / t->m, group = image % t->win->group;
    g->a = t->weights + (group * t->c * t->m + m) * t->taps * t->size;
    g->b = t->src + image * t->c * t->in * t->size;
    g->c = t->columns + item * t->taps * t->in * t->size;
}

/* Adds a row of n input pixels of one tap to the output: out[first + i * stride] for those inside
 * [0, limit). */
#define ADD_ROW(T)                                                                                 \
    static void add_row_##T(const T *src, T *dst, int64_t n, int64_t first, int64_t stride,        \
                            int64_t limit)                                                         \
    {                                                                                              \
        int64_t i = first < 0 ? (-first + stride - 1) / stride : 0;                                \
        for (; i < n && first + i * stride < limit; i++)                                           \
            dst[first + i * stride] += src[i];                                                     \
    }                                                                                              \
    static void finish_##T(T *dst, int64_t n, T bias)                                              \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++)                                                            \
            dst[i] += bias;                                                                        \
    }
ADD_ROW(float)
ADD_ROW(double)
#undef ADD_ROW

/* One tap (its place in k) of one unit. */
static void add_tap(const transpose *t, const int64_t *k, const char *src, char *dst)
{
    const ubp_window *win = t->win;
    const int last = win->n - 1;
    int64_t i[UBP_MAX_SPATIAL] = {0};
    int64_t first = k[last] * win->dilation[last] - win->begin[last];
    for (bool more = true; more; src += win->in[last] * t->size) {
        int64_t row = 0;
        bool inside = true;
        for (int d = 0; d < last; d++) {
            int64_t o = i[d] * win->stride[d] + k[d] * win->dilation[d] - win->begin[d];
            inside = inside && o >= 0 && o < win->out[d];
            row += inside ? o * t->step[d] : 0;
        }
        if (inside && t->wide)
            add_row_double((const double *)(const void *)src, (double *)(void *)dst + row,
                           win->in[last], first, win->stride[last], win->out[last]);
        else if (inside)
            add_row_float((const float *)(const void *)src, (float *)(void *)dst + row,
                          win->in[last], first, win->stride[last], win->out[last]);
        int d = last - 1;
        while (d >= 0 && ++i[d] == win->in[d])
            i[d--] = 0;
        more = d >= 0;
    }
}

static void add_units(void *arg, int64_t begin, int64_t end)
{
    const transpose *t = arg;
    for (int64_t u = begin; u < end; u++) {
        int64_t unit = t->first + u, k[UBP_MAX_SPATIAL] = {0};
        int64_t channel = unit % (t->m * t->win->group);
        char *dst = t->dst + unit * t->out * t->size;
        memset(dst, 0, (size_t)(t->out * t->size));
        for (int64_t tap = 0; tap < t->taps; tap++) {
            add_tap(t, k, t->columns + (u * t->taps + tap) * t->in * t->size, dst);
            for (int d = t->win->n - 1; d >= 0 && ++k[d] == t->win->kernel[d]; d--)
                k[d] = 0;
        }
        if (t->bias && t->wide)
            finish_double((double *)(void *)dst, t->out,
                          ((const double *)(const void *)t->bias)[channel]);
        else if (t->bias)
            finish_float((float *)(void *)dst, t->out,
                         ((const float *)(const void *)t->bias)[channel]);
    }
}

static ub_status run_units(const ubp_call *call, transpose *t, int64_t units)
{
    enum { BUDGET = 1 << 22 }; /* elements of `columns` at a time, if one unit fits */
    int64_t each, chunk, wanted;
    if (!ubp_mul_i64(t->taps, t->in, &each))
        return ubp_fail_memory(call->err, SIZE_MAX);
    chunk = BUDGET / each + 1 < units ? BUDGET / each + 1 : units;
    if (!ubp_mul_i64(chunk, each, &wanted) || !ubp_mul_i64(wanted, t->size, &wanted))
        return ubp_fail_memory(call->err, SIZE_MAX);
    t->columns = ubp_run_scratch(call, (size_t)wanted);
    if (!t->columns)
        return UB_ERR_MEMORY;
    for (t->first = 0; t->first < units; t->first += chunk) {
        ubp_gemm_job job = {.dtype = call->in[0]->dtype,
                            .items = units - t->first < chunk ? units - t->first : chunk,
                            .gemm = {.m = t->taps,
                                     .n = t->in,
                                     .k = t->c,
                                     .a_row = 1,
                                     .a_col = t->m * t->taps,
                                     .b_row = t->in,
                                     .b_col = 1,
                                     .c_row = t->in,
                                     .c_col = 1},
                            .locate = locate,
                            .arg = t};
        if (ubp_run_cancelled(call->run))
            return UBP_CANCELLED(call);
        ubp_gemm_run(call->run, &job);
        ubp_run_parallel(call->run, job.items, 16384 / each + 1, add_units, t);
    }
    return UB_OK;
}

static ub_status conv_transpose_ref(const ubp_call *call)
{
    ubp_window win;
    const ub_tensor *x = call->in[0], *w = call->in[1], *y = call->out[0];
    UBP_TRY(ubp_conv_transpose_window(call, &win));
    if (ub_tensor_count(y) == 0)
        return UB_OK;
    transpose t = {.win = &win,
                   .wide = x->dtype == UB_F64,
                   .size = (int64_t)ub_dtype_size(x->dtype),
                   .c = x->dims[1] / win.group,
                   .m = w->dims[1],
                   .taps = 1,
                   .in = 1,
                   .out = 1,
                   .src = x->data,
                   .weights = w->data,
                   .bias = ubp_has_in(call, 2) ? call->in[2]->data : NULL,
                   .dst = y->data};
    for (int d = win.n - 1; d >= 0; d--) {
        t.step[d] = t.out;
        t.taps *= win.kernel[d];
        t.in *= win.in[d];
        t.out *= win.out[d];
    }
    return run_units(call, &t, y->dims[0] * y->dims[1]);
}

static int64_t conv_transpose_macs(const ubp_call *call)
{
    const ub_tensor *w = call->in[1];
    return w->dims[0] ? ub_tensor_count(call->in[0]) * (ub_tensor_count(w) / w->dims[0]) : 0;
}

const ubp_op ubp_op_ConvTranspose = {
    .name = "ConvTranspose",
    .domain = "",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(ubp_conv_attr),
    .attrs = ubp_conv_attrs,
    .infer = conv_transpose_infer,
    .batch = conv_transpose_batch,
    .ref = conv_transpose_ref,
    .macs = conv_transpose_macs,
};
