/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BatchNormalization in float32 with known statistics, channels-last: a factor and a shift for each
 * channel, worked out once (ops/affine.h), and the elementwise operators behind it, block by block
 * of pixels while they lie in the cache. Plain C; the same loops as the reference kernels'.
 */
#include "ops/onednn/onednn.h"

#include <string.h>

typedef struct work {
    const ubp_fast *f;
    const ubp_call *call;
    const float *src; /* [rows][channels] */
    bool askew;       /* what a caller gave may lie at any address */
    float *dst;
    int64_t rows, block; /* block: rows in one */
    _Atomic int status;
} work;

/* Blocks [begin, end). */
static void run_blocks(void *arg, int64_t begin, int64_t end)
{
    work *w = arg;
    const ubp_affine *by = &w->f->by;
    for (int64_t b = begin; b < end && !w->status; b++) {
        const int64_t first = b * w->block, left = w->rows - first;
        const int64_t n = left < w->block ? left : w->block, at = first * by->channels;
        const float *src = w->src + at;
        if (w->askew) {
            memcpy(w->dst + at, (const char *)w->src + (size_t)at * sizeof *src,
                   (size_t)(n * by->channels) * sizeof *src);
            src = w->dst + at;
        }
        ubp_affine_rows(by, src, w->dst + at, n);
        const ub_status st = ubp_dn_run_posts(w->f, w->call, 0, w->dst + at, n * by->channels, 1);
        if (st != UB_OK)
            w->status = (int)st;
    }
}

static ub_status run(ubp_fast *f, const ubp_call *call, void *scratch)
{
    enum { BLOCK = 4096, GRAIN = 16384 }; /* elements */
    const int64_t c = f->by.channels;
    work w = {.f = f,
              .call = call,
              .src = call->in[0]->data,
              .askew = !ubp_tensor_is_aligned(call->in[0]),
              .dst = call->out[0]->data,
              .rows = ub_tensor_count(call->out[0]) / c,
              .block = BLOCK / c + 1};
    (void)scratch;
    ubp_parallel(call->run->threads, (w.rows + w.block - 1) / w.block, GRAIN / (w.block * c) + 1,
                 run_blocks, &w);
    return w.status ? ubp_op_fail(call, (ub_status)w.status, "an elementwise kernel failed")
                    : UB_OK;
}

static bool is_channels_last(const ub_tensor *t)
{
    ub_tensor like = *t;
    ubp_dn_channels_last(&like);
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] > 1 && t->strides[i] != like.strides[i])
            return false;
    return true;
}

ub_status ubp_dn_batch_norm(ubp_fast *f, const ubp_dn_request *r)
{
    enum { PARAMS = 5 };
    const ubp_call *call = r->call;
    const ubp_norm_attr *a = call->attr;
    const ub_tensor *x = call->in[0];
    if (x->dtype != UB_F32 || x->rank < 2 || a->training_mode || ub_tensor_count(x) == 0 ||
        !is_channels_last(x) || (r->n_posts > 0 && r->posts[0].kind != UBP_POST_OP) ||
        !ubp_dn_take_posts(f, r->posts, 0, r->n_posts))
        return UBP_DECLINED;
    for (int i = 1; i < PARAMS; i++)
        if (!call->in[i]->data || call->in[i]->dtype != UB_F32)
            return UBP_DECLINED;
    const int64_t c = x->dims[1];
    size_t bytes;
    if (!ubp_mul_size((size_t)c, 2 * sizeof(float), &bytes))
        return ubp_fail_memory(call->err, SIZE_MAX);
    f->numbers = ubp_malloc_aligned(bytes);
    if (!f->numbers)
        return ubp_fail_memory(call->err, bytes);
    ubp_affine_fill(f->numbers, f->numbers + c, c, (double)a->epsilon, call->in[1], call->in[2],
                    call->in[3], call->in[4]);
    f->by = (ubp_affine){.channels = c, .factor = f->numbers, .shift = f->numbers + c};
    f->run = run;
    ubp_dn_channels_last(call->out[0]);
    return UB_OK;
}
