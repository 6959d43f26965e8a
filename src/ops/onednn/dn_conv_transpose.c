/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ConvTranspose in float32 whose windows do not overlap (kernel equal to stride, nothing cut off),
 * as decoders use it to double their pictures. Every output pixel comes from one input pixel: the
 * product of a sample's pixels [pixels][C] with the weights [C][taps * M] (dn_matmul.c, which keeps
 * the bits), its rows then spread over the output. Channels-last on both sides.
 */
#include "ops/onednn/onednn.h"
#include "ops/product.h"

#include <string.h>

struct ubp_dn_spread {
    ubp_product product; /* of one sample: [pixels][C], [C][taps * M], [pixels][taps * M] */
    float *weights;      /* [C][taps][M] */
    int n;               /* spatial dims */
    int64_t in[UBP_DN_SPATIAL], kernel[UBP_DN_SPATIAL];
    int64_t m, taps, samples;
    size_t src_item, dst_item; /* bytes */
    size_t result;             /* dst_item, so that what lies behind is aligned */
};

void ubp_dn_spread_free(ubp_dn_spread *s)
{
    if (!s)
        return;
    ubp_product_free(&s->product);
    ubp_free(s->weights);
    ubp_free(s);
}

/* ---- Running -----------------------------------------------------------------------------------
 */

typedef struct lines {
    const ubp_dn_spread *s;
    const float *c;   /* [pixels][taps][M] */
    const char *bias; /* [M] floats, perhaps not aligned, or NULL */
    float *dst;       /* [out...][M] */
} lines;

/* n pixels of `run` floats each, `step` apart, behind one another; the bias to each M of them. */
static void spread_line(float *dst, const float *src, int64_t n, int64_t run, int64_t step,
                        const char *bias, int64_t m)
{
    for (int64_t i = 0; i < n; i++, dst += run, src += step) {
        if (!bias)
            memcpy(dst, src, (size_t)run * sizeof *dst);
        for (int64_t k = 0; bias && k < run; k += m)
            for (int64_t j = 0; j < m; j++) {
                float b;
                memcpy(&b, bias + (size_t)j * sizeof b, sizeof b);
                dst[k + j] = src[k + j] + b;
            }
    }
}

/* Input lines [begin, end): a line goes to as many output lines as there are taps above the last
 * spatial dim. */
static void spread_lines(void *arg, int64_t begin, int64_t end)
{
    const lines *l = arg;
    const ubp_dn_spread *s = l->s;
    const int last = s->n - 1;
    const int64_t width = s->in[last], run = s->kernel[last] * s->m, step = s->taps * s->m;
    const int64_t upper = s->taps / s->kernel[last];
    for (int64_t line = begin; line < end; line++) {
        for (int64_t tap = 0; tap < upper; tap++) {
            /* Where the output line is: index i * kernel + tap of every upper dim. */
            int64_t at = 0, scale = 1, i = line, t = tap;
            for (int d = last - 1; d >= 0; d--) {
                at += ((i % s->in[d]) * s->kernel[d] + t % s->kernel[d]) * scale;
                scale *= s->in[d] * s->kernel[d];
                i /= s->in[d];
                t /= s->kernel[d];
            }
            spread_line(l->dst + at * width * run, l->c + line * width * step + tap * run, width,
                        run, step, l->bias, s->m);
        }
    }
}

static ub_status run_sample(const ubp_dn_spread *s, const ubp_call *call, int64_t i, char *scratch)
{
    enum { GRAIN = 1 << 14 };
    const char *pixels = (const char *)call->in[0]->data + (size_t)i * s->src_item;
    UBP_TRY(ubp_product_run(&s->product, call, pixels, NULL, scratch, scratch + s->result));
    lines l = {.s = s,
               .c = (const float *)(void *)scratch,
               .bias = ubp_has_in(call, 2) ? call->in[2]->data : NULL,
               .dst = (float *)(void *)((char *)call->out[0]->data + (size_t)i * s->dst_item)};
    const int64_t line = s->in[s->n - 1] * s->taps * s->m;
    ubp_parallel(call->run->threads, s->product.a.dims[0] / s->in[s->n - 1], GRAIN / line + 1,
                 spread_lines, &l);
    return UB_OK;
}

static ub_status run(ubp_fast *f, const ubp_call *call, void *scratch)
{
    for (int64_t i = 0; i < f->spread->samples; i++) {
        if (ubp_run_cancelled(call->run))
            return UBP_CANCELLED(call);
        UBP_TRY(run_sample(f->spread, call, i, scratch));
    }
    return UB_OK;
}

/* ---- Preparing ---------------------------------------------------------------------------------
 */

/* Whether every output pixel has one input pixel and one tap. */
static bool is_spread(const ubp_window *win)
{
    if (win->group != 1 || win->n > UBP_DN_SPATIAL)
        return false;
    for (int i = 0; i < win->n; i++)
        if (win->kernel[i] != win->stride[i] || (win->dilation[i] != 1 && win->kernel[i] > 1) ||
            win->begin[i] || win->end[i] || win->out[i] != win->in[i] * win->kernel[i])
            return false;
    return true;
}

/* weights[c][tap][m] = w[c][m][tap] */
static ub_status turn_weights(ubp_dn_spread *s, const ub_tensor *w, ub_error *err)
{
    const size_t bytes = ubp_tensor_bytes(w);
    ub_tensor from = {.dtype = UB_F32, .rank = 3, .dims = {w->dims[0], s->taps, s->m}}, to;
    const int64_t size = (int64_t)sizeof(float);
    s->weights = ubp_malloc_aligned(bytes);
    if (!s->weights)
        return ubp_fail_memory(err, bytes);
    to = from;
    ubp_tensor_set_strides(&to);
    to.data = s->weights;
    from.data = w->data;
    from.strides[0] = s->taps * s->m * size;
    from.strides[1] = size;
    from.strides[2] = s->taps * size;
    ubp_tensor_move(&to, &from);
    return UB_OK;
}

static ub_status prepare(ubp_dn_spread *s, const ubp_fast *f, const ubp_call *call)
{
    const ub_tensor *x = call->in[0], *w = call->in[1];
    int64_t pixels = 1;
    for (int i = 0; i < s->n; i++)
        pixels *= s->in[i]; /* fits: the tensor exists */
    ubp_product *p = &s->product;
    p->a = (ub_tensor){.dtype = UB_F32, .rank = 2, .dims = {pixels, x->dims[1]}};
    p->b = (ub_tensor){.dtype = UB_F32, .rank = 2, .dims = {x->dims[1], s->taps * s->m}};
    ubp_tensor_set_strides(&p->a);
    ubp_tensor_set_strides(&p->b);
    UBP_TRY(turn_weights(s, w, call->err));
    p->b.data = s->weights;
    UBP_TRY(ubp_product_prepare(p, f->d, 0, call->node, call->err));
    s->src_item = ubp_tensor_bytes(&p->a);
    s->dst_item = ubp_tensor_bytes(&p->c);
    s->result = (s->dst_item + 63) / 64 * 64;
    return UB_OK;
}

ub_status ubp_dn_conv_transpose(ubp_fast *f, const ubp_dn_request *r)
{
    const ubp_call *call = r->call;
    const ub_tensor *x = call->in[0], *w = call->in[1];
    const bool bias = ubp_has_in(call, 2);
    ubp_window win;
    if (x->dtype != UB_F32 || r->n_posts || !w->data || !ub_tensor_is_contiguous(w) ||
        ub_tensor_count(call->out[0]) == 0 || ub_tensor_count(w) == 0)
        return UBP_DECLINED;
    UBP_TRY(ubp_conv_transpose_window(call, &win));
    if (!is_spread(&win))
        return UBP_DECLINED;
    ubp_dn_spread *s = f->spread = ubp_calloc(1, sizeof *s);
    if (!s)
        return ubp_fail_memory(call->err, sizeof *s);
    s->n = win.n;
    s->taps = 1;
    s->m = w->dims[1];
    s->samples = x->dims[0];
    for (int i = 0; i < win.n; i++) {
        s->in[i] = win.in[i];
        s->kernel[i] = win.kernel[i];
        s->taps *= win.kernel[i];
    }
    UBP_TRY(prepare(s, f, call));
    if (!ubp_add_size(s->result, s->product.scratch, &f->own_scratch))
        return ubp_fail_memory(call->err, SIZE_MAX);
    f->run = run;
    ubp_dn_channels_last(&r->want[0]);
    r->want[1] = *w;
    if (bias)
        ubp_tensor_set_strides(&r->want[2]);
    ubp_dn_channels_last(call->out[0]);
    return UB_OK;
}
