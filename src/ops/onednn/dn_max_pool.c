/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MaxPool over float32 images in channels-last, 1 to 3 spatial dims, without indices. In plain C,
 * because oneDNN's lets a NaN vanish; equal to the reference kernel in every bit.
 *
 * src [N][D][H][W][C], dst [N][OD][OH][OW][C]: each pixel of dst is the maximum of whole pixels of
 * src, channel by channel. NaN wins, then the first of equals; a window on nothing gives -inf.
 */
#include "ops/onednn/onednn.h"

#include <math.h>
#include <string.h>

/* Wider vectors where the processor has them; a maximum has the same bits in any. Not with
 * sanitizers, which do not know ifuncs. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) &&       \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

struct ubp_dn_pooling {
    /* Depth, height, width; a dim that is not there is 1. */
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], begin[3];
    int64_t channels;
};

typedef struct pooling {
    const ubp_dn_pooling *p;
    const float *src;
    float *dst;
} pooling;

CLONES static void raise(float *restrict best, const float *restrict v, int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        const float b = best[c], x = v[c];
        best[c] = x <= b || b != b ? b : x;
    }
}

/* Taps [*first, *last) of the window at output index o that lie inside the image. */
static void inside(const ubp_dn_pooling *p, int d, int64_t o, int64_t *first, int64_t *last)
{
    int64_t start = o * p->stride[d] - p->begin[d], step = p->dilation[d];
    int64_t room = p->in[d] - start; /* taps t with start + t*step in [0, in) */
    *first = start < 0 ? (-start + step - 1) / step : 0;
    *last = room > 0 ? (room + step - 1) / step : 0;
    if (*last > p->kernel[d])
        *last = p->kernel[d];
}

static void pool_pixel(const pooling *a, const float *image, int64_t od, int64_t oh, int64_t ow,
                       float *dst)
{
    const ubp_dn_pooling *p = a->p;
    int64_t d0, d1, h0, h1, w0, w1;
    inside(p, 0, od, &d0, &d1);
    inside(p, 1, oh, &h0, &h1);
    inside(p, 2, ow, &w0, &w1);
    for (int64_t c = 0; c < p->channels; c++)
        dst[c] = -INFINITY;
    for (int64_t kd = d0; kd < d1; kd++) {
        int64_t d = od * p->stride[0] - p->begin[0] + kd * p->dilation[0];
        for (int64_t kh = h0; kh < h1; kh++) {
            int64_t h = oh * p->stride[1] - p->begin[1] + kh * p->dilation[1];
            for (int64_t kw = w0; kw < w1; kw++) {
                int64_t w = ow * p->stride[2] - p->begin[2] + kw * p->dilation[2];
                raise(dst, image + ((d * p->in[1] + h) * p->in[2] + w) * p->channels, p->channels);
            }
        }
    }
}

/* Output lines [begin, end) of all samples together. */
static void pool_lines(void *arg, int64_t begin, int64_t end)
{
    const pooling *a = arg;
    const ubp_dn_pooling *p = a->p;
    int64_t each = p->in[0] * p->in[1] * p->in[2] * p->channels;
    for (int64_t i = begin; i < end; i++) {
        int64_t oh = i % p->out[1], od = i / p->out[1] % p->out[0];
        const float *image = a->src + i / (p->out[1] * p->out[0]) * each;
        float *line = a->dst + i * p->out[2] * p->channels;
        for (int64_t ow = 0; ow < p->out[2]; ow++)
            pool_pixel(a, image, od, oh, ow, line + ow * p->channels);
    }
}

static ub_status run_max_pool(ubp_fast *f, const ubp_call *call, void *scratch)
{
    enum { WORTH = 1 << 14 }; /* comparisons that pay for waking a thread */
    const ubp_dn_pooling *p = f->pooling;
    pooling a = {.p = p, .src = call->in[0]->data, .dst = call->out[0]->data};
    int64_t line = p->out[2] * p->channels * p->kernel[0] * p->kernel[1] * p->kernel[2];
    (void)scratch;
    ubp_run_parallel(call->run, f->items * p->out[0] * p->out[1], WORTH / (line + 1) + 1,
                     pool_lines, &a);
    return UB_OK;
}

ub_status ubp_dn_max_pool(ubp_fast *f, const ubp_dn_request *r)
{
    const ubp_call *call = r->call;
    const ub_tensor *x = call->in[0];
    ubp_window win;
    if (x->dtype != UB_F32 || x->rank < 3 || x->rank > 2 + UBP_DN_SPATIAL || r->n_posts > 0 ||
        ubp_has_out(call, 1) || ub_tensor_count(x) == 0 || ub_tensor_count(call->out[0]) == 0)
        return UBP_DECLINED;
    UBP_TRY(ubp_pool_window(call, &win));
    ubp_dn_pooling *p = ubp_calloc(1, sizeof *p);
    if (!p)
        return ubp_fail_memory(call->err, sizeof *p);
    for (int i = 0; i < 3; i++)
        p->in[i] = p->out[i] = p->kernel[i] = p->stride[i] = p->dilation[i] = 1;
    for (int i = 0; i < win.n; i++) {
        int d = 3 - win.n + i;
        p->in[d] = win.in[i];
        p->out[d] = win.out[i];
        p->kernel[d] = win.kernel[i];
        p->stride[d] = win.stride[i];
        p->dilation[d] = win.dilation[i];
        p->begin[d] = win.begin[i];
    }
    p->channels = x->dims[1];
    f->pooling = p;
    f->run = run_max_pool;
    f->items = x->dims[0];
    ubp_dn_channels_last(&r->want[0]);
    ubp_dn_channels_last(call->out[0]);
    return UB_OK;
}
