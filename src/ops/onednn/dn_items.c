/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a kernel that was made for one sample over a batch. As many samples as there are threads
 * go side by side, one thread each; what is left over is shared by all threads, a sample at a time.
 * Both use the same primitive, so a sample's bits do not depend on which it was.
 *
 * A source of few channels in planes, as pictures come, is brought to channels-last on the way, and
 * where the primitive works on blocks of channels, to and from these.
 */
#include "ops/onednn/onednn.h"

#ifdef _OPENMP
#include <omp.h>
#endif

typedef struct items {
    ubp_fast *f;
    const ubp_dn_prim *prim;
    const ubp_call *call;
    char *scratch;
    int threads; /* for one sample */
    _Atomic int status;
} items;

/* dst[pixel][channel] = src[channel][pixel] */
static void interleave(float *dst, const float *src, int64_t channels, int64_t plane, int64_t begin,
                       int64_t end)
{
    if (channels == 3) {
        for (int64_t i = begin; i < end; i++) {
            dst[3 * i] = src[i];
            dst[3 * i + 1] = src[plane + i];
            dst[3 * i + 2] = src[2 * plane + i];
        }
        return;
    }
    for (int64_t i = begin; i < end; i++)
        for (int64_t c = 0; c < channels; c++)
            dst[i * channels + c] = src[c * plane + i];
}

typedef struct planes {
    float *dst;       /* [plane][channels] */
    const float *src; /* [channels][plane] */
    int64_t channels, plane;
} planes;

static void interleave_part(void *arg, int64_t begin, int64_t end)
{
    const planes *p = arg;
    interleave(p->dst, p->src, p->channels, p->plane, begin, end);
}

/* One sample on the memory objects of slot k. */
static ub_status run_item(const items *it, int64_t i, int k, int threads)
{
    enum { GRAIN = 1 << 13 };
    const ubp_fast *f = it->f;
    ubp_dn_slot *slot = &f->slots[k];
    char *own = it->scratch + (size_t)k * f->slot_bytes;
    char *src = (char *)it->call->in[0]->data + (size_t)i * f->src_item;
    char *dst = (char *)it->call->out[0]->data + (size_t)i * f->dst_item;
    char *result = f->blocked ? own + f->src_bytes : dst;
    if (f->interleave) {
        planes p = {.dst = (float *)(void *)own,
                    .src = (const float *)(const void *)src,
                    .channels = f->interleave,
                    .plane = f->plane};
        ubp_parallel(threads, f->plane, GRAIN, interleave_part, &p);
        src = own;
    } else if (f->blocked) {
        const ubp_dn_image image = ubp_dn_image_of(&it->prim->spec.src);
        ubp_dn_to_blocks((float *)(void *)own, (const float *)(const void *)src, &image, threads);
        src = own;
    }
    dnnl_status_t st = ubp_dn_bind(&slot->src, src);
    if (st == dnnl_success)
        st = ubp_dn_bind(&slot->dst, result);
    if (st == dnnl_success && slot->scratch.memory)
        st = ubp_dn_bind(&slot->scratch, own + f->src_bytes + f->dst_bytes);
    if (st == dnnl_success)
        st = ubp_dn_execute(f, it->prim, slot, f->serial ? 1 : threads);
    if (st != dnnl_success)
        return st == dnnl_out_of_memory ? UB_ERR_MEMORY : UB_ERR_INTERNAL;
    if (f->blocked) {
        const ubp_dn_image image = ubp_dn_image_of(&it->prim->spec.dst);
        ubp_dn_from_blocks((float *)(void *)dst, (const float *)(void *)result, &image, threads);
    }
    return ubp_dn_run_posts(f, it->call, it->prim == f->acting ? f->n_inside : 0, dst,
                            f->post_count, threads);
}

/* Samples [begin, end), each by one thread. */
static void run_part(void *arg, int64_t begin, int64_t end)
{
    items *it = arg;
    int k = 0;
#ifdef _OPENMP
    k = omp_get_thread_num();
#endif
    for (int64_t i = begin; i < end; i++) {
        ub_status st = ubp_run_cancelled(it->call->run) ? UB_ERR_CANCELLED : run_item(it, i, k, 1);
        if (st != UB_OK) {
            it->status = (int)st;
            return;
        }
    }
}

static ub_status failed(const items *it, ub_status st)
{
    if (st == UB_ERR_CANCELLED)
        return UBP_CANCELLED(it->call);
    return ubp_dn_fail(it->call, st == UB_ERR_MEMORY ? dnnl_out_of_memory : dnnl_runtime_error,
                       "running a kernel");
}

ub_status ubp_dn_run_items(ubp_fast *f, const ubp_call *call, void *scratch)
{
    items it = {.f = f, .prim = ubp_dn_prim_now(f, call), .call = call, .scratch = scratch};
    int threads = call->run->threads > 0 ? call->run->threads : 1;
    int team = threads < f->team ? threads : f->team;
    UBP_TRY(ubp_dn_fast_bind(f, call, team));
    int64_t side = team > 1 ? f->items : 0;
    if (!f->light && !f->serial && side > 0)
        side -= side % team; /* the rest is worth all threads */
    if (side > 0)
        ubp_parallel(team, side, 1, run_part, &it);
    ub_status st = (ub_status)it.status;
    for (int64_t i = side; i < f->items && st == UB_OK; i++)
        st = ubp_run_cancelled(call->run) ? UB_ERR_CANCELLED
                                          : run_item(&it, i, 0, f->light ? 1 : threads);
    return st == UB_OK ? UB_OK : failed(&it, st);
}

ub_status ubp_dn_run_whole(ubp_fast *f, const ubp_call *call, void *scratch)
{
    int threads = call->run->threads > 0 ? call->run->threads : 1;
    UBP_TRY(ubp_dn_fast_bind(f, call, 1));
    ubp_dn_slot *slot = &f->slots[0];
    dnnl_status_t st = ubp_dn_bind(&slot->src, call->in[0]->data);
    if (st == dnnl_success)
        st = ubp_dn_bind(&slot->dst, call->out[0]->data);
    if (st == dnnl_success && slot->scratch.memory)
        st = ubp_dn_bind(&slot->scratch, scratch);
    if (st == dnnl_success)
        st = ubp_dn_execute(f, f->prim, slot, threads);
    if (st != dnnl_success)
        return ubp_dn_fail(call, st, "running a kernel");
    return ubp_dn_run_posts(f, call, 0, call->out[0]->data, f->post_count, threads);
}
