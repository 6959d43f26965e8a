/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv in float32, 1 to 3 spatial dims, groups, dilation, any pads: one primitive for one sample,
 * run over the batch (dn_items.c). Source and result are channels-last, but a source of up to 4
 * channels may come in planes. Weights must be constant; they are packed on the first run.
 */
#include "ops/onednn/onednn.h"

#include <string.h>

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

/* Implementations by the family names of oneDNN. Not taken: ref (slow), winograd (inexact), ip. */
static bool takes_jit(const char *name)
{
    return begins(name, "jit:avx512") || begins(name, "jit_1x1:avx512") ||
           begins(name, "jit_dw:avx512");
}

static bool takes_any(const char *name)
{
    return begins(name, "brgconv") || begins(name, "brdgmm") || begins(name, "jit:") ||
           begins(name, "jit_1x1:") || begins(name, "jit_dw:") || strstr(name, "gemm:jit");
}

/* What finds the implementation of p again, with other attributes or numbers. */
typedef bool (*taker)(const char *name);

static taker takes_like(const ubp_dn_prim *p)
{
    return takes_jit(p->name) ? takes_jit : takes_any;
}

/* Where adding to dst inside the primitive equals adding afterwards: the sum is made in registers
 * first. The others start their accumulators with what dst holds. */
static bool sums_last(const char *name)
{
    return begins(name, "brgconv_1x1:") || begins(name, "jit_1x1:avx2");
}

static void fill_window(ubp_dn_spec *s, const ubp_window *win)
{
    s->n = win->n;
    for (int i = 0; i < win->n; i++) {
        s->kernel[i] = win->kernel[i];
        s->stride[i] = win->stride[i];
        s->dilation[i] = win->dilation[i] - 1; /* oneDNN counts the gaps */
        s->begin[i] = win->begin[i];
        s->end[i] = win->end[i];
    }
}

/* (M, C/g, ...) becomes (g, M/g, C/g, ...) when there are groups. */
static bool fill_weights(ubp_dn_operand *o, const ub_tensor *w, int64_t group)
{
    if (!ubp_dn_operand_of(o, w))
        return false;
    if (group == 1)
        return true;
    if (o->rank == UBP_DN_RANK)
        return false;
    memmove(o->dims + 2, o->dims + 1, (size_t)(o->rank - 1) * sizeof *o->dims);
    memmove(o->strides + 2, o->strides + 1, (size_t)(o->rank - 1) * sizeof *o->strides);
    o->dims[1] = o->dims[0] / group;
    o->dims[0] = group;
    o->strides[1] = o->strides[0];
    o->strides[0] *= o->dims[1];
    o->rank++;
    return true;
}

/* Few channels in planes are cheaper to bring together here, a sample at a time and by all threads,
 * than by a copy of the batch before. */
static bool in_planes(const ub_tensor *x)
{
    enum { FEW = 4 };
    ub_tensor t = *x;
    if (x->dims[1] < 2 || x->dims[1] > FEW)
        return false;
    ubp_tensor_set_strides(&t);
    for (int i = 0; i < x->rank; i++)
        if (x->dims[i] > 1 && x->strides[i] != t.strides[i])
            return false;
    return true;
}

static int64_t work(const ubp_window *win, const ub_tensor *w)
{
    int64_t n = ub_tensor_count(w);
    for (int i = 0; i < win->n; i++)
        if (!ubp_mul_i64(n, win->out[i], &n))
            return INT64_MAX;
    return n;
}

/* The primitive: for little work the simpler kernels, whose calls cost less. */
static ub_status pick(ubp_fast *f, const ubp_dn_spec *spec, int64_t macs, const ubp_call *call)
{
    enum { SMALL = 4000000, LIGHT = 400000 };
    f->light = macs < LIGHT;
    ub_status st = UBP_DECLINED;
    if (macs < SMALL)
        st = ubp_dn_prim_get(&f->prim, f->d, spec, takes_jit, call);
    if (st == UBP_DECLINED)
        st = ubp_dn_prim_get(&f->prim, f->d, spec, takes_any, call);
    if (st == UB_OK)
        f->serial = strstr(f->prim->name, "gemm") != NULL;
    return st;
}

/* An activation of exactly the reference kernel's bits. */
static bool act_of(ubp_dn_spec *with, const ubp_post *post)
{
    const float lo = (float)post->lo, hi = (float)post->hi;
    int32_t bits;
    if (post->kind != UBP_POST_OP)
        return false;
    if (strcmp(post->op->name, "Relu") == 0) {
        with->act = dnnl_eltwise_relu;
    } else if (strcmp(post->op->name, "Clip") == 0 && lo <= hi) {
        with->act = dnnl_eltwise_clip;
        memcpy(&bits, &lo, sizeof bits);
        with->act_alpha = bits;
        memcpy(&bits, &hi, sizeof bits);
        with->act_beta = bits;
    }
    return with->act != 0;
}

/* The primitive with n posts inside, if it is otherwise the one that serves the call. */
static ub_status try_acting(ubp_fast *f, const ubp_dn_spec *with, int n, const ubp_call *call)
{
    const ub_status st = ubp_dn_prim_get(&f->acting, f->d, with, takes_like(f->prim), call);
    if (st != UB_OK)
        return st == UBP_DECLINED ? UB_OK : st;
    const ubp_dn_prim *a = f->acting, *p = f->prim;
    f->n_inside = n;
    if (strcmp(a->name, p->name) == 0 && dnnl_memory_desc_equal(a->weights, p->weights) &&
        a->scratch_bytes == p->scratch_bytes)
        return UB_OK;
    ubp_dn_prim_release(f->d, f->acting);
    f->acting = NULL;
    return UB_OK;
}

/* The first posts inside: a factor and a shift, an activation, or both. */
static ub_status pick_acting(ubp_fast *f, const ubp_call *call)
{
    ubp_dn_spec with = f->prim->spec;
    if (DNNL_VERSION_MAJOR != 2 || f->serial || f->n_posts == 0)
        return UB_OK;
    const int n = f->posts[0].kind == UBP_POST_AFFINE;
    with.affine = with.affine || n;
    if (n < f->n_posts && act_of(&with, &f->posts[n]))
        UBP_TRY(try_acting(f, &with, n + 1, call));
    with.act = with.act_alpha = with.act_beta = 0;
    return f->acting || !n ? UB_OK : try_acting(f, &with, n, call);
}

/* A residual is added inside only if that picks the same blocks as without: the same
 * implementation and the same packed weights tell, and the block of input channels, which else
 * could move a sum, hangs on these alone. */
static ub_status pick_with_sum(ubp_fast *f, const ubp_dn_spec *spec, int64_t macs,
                               const ubp_call *call)
{
    ubp_dn_spec with = *spec;
    with.sum = 1;
    with.affine = f->by.channels > 0;
    if (!ubp_dn_cuts_by_weights())
        return UBP_DECLINED;
    UBP_TRY(pick(f, spec, macs, call));
    ubp_dn_prim *plain = f->prim;
    f->prim = NULL;
    ub_status st = sums_last(plain->name) ? pick(f, &with, macs, call) : UBP_DECLINED;
    if (st == UB_OK && (strcmp(f->prim->name, plain->name) != 0 ||
                        !dnnl_memory_desc_equal(f->prim->weights, plain->weights)))
        st = UBP_DECLINED;
    ubp_dn_prim_release(f->d, plain);
    return st;
}

/* Some scratch grows with the threads a primitive is made for; the number then comes down, by the
 * same rule wherever this runs. */
static ub_status pick_threads(ubp_fast *f, ubp_dn_spec *spec, bool sum, int64_t macs,
                              const ubp_call *call)
{
    const size_t most = (size_t)4 << 20;
    bool window = false;
    for (int i = 0; i < UBP_DN_SPATIAL; i++)
        window = window || spec->kernel[i] > 1;
    for (int threads = window ? UBP_DN_WINDOW_THREADS : UBP_DN_THREADS;; threads /= 4) {
        spec->threads = threads;
        UBP_TRY(sum ? pick_with_sum(f, spec, macs, call) : pick(f, spec, macs, call));
        if (f->prim->scratch_bytes <= most || threads <= 2)
            return ubp_dn_fit_cores(f, takes_like(f->prim), call);
        ubp_dn_prim_release(f->d, f->prim);
        f->prim = NULL;
    }
}

static int64_t count_of(const ubp_dn_operand *o)
{
    int64_t n = 1;
    for (int64_t i = 0; i < o->rank; i++)
        n *= o->dims[i]; /* fits: the extent was checked */
    return n;
}

/* Before AVX-512 a kernel takes 8 channels of many pixels at a time. In an image of channels-last
 * these lie far apart, often in the same few sets of the cache; with much work a value it pays to
 * bring the image to blocks of 8 channels and the result back. */
static ub_status pick_blocks(ubp_fast *f, int64_t macs, const ubp_call *call)
{
    enum { MACS = 128 };
    ubp_dn_spec with = f->prim->spec;
    const bool window = with.kernel[0] > 1 || with.kernel[1] > 1 || with.kernel[2] > 1;
    if (!(begins(f->prim->name, "jit:avx2") || begins(f->prim->name, "jit:sse41")) || !window ||
        with.sum || f->light || f->weights_shape.rank != with.src.rank || with.src.dims[0] != 1 ||
        with.src.dims[1] % UBP_DN_BLOCK || with.dst.dims[1] % UBP_DN_BLOCK ||
        macs / MACS < count_of(&with.src) + count_of(&with.dst))
        return UB_OK;
    with.src.block = with.dst.block = UBP_DN_BLOCK;
    return ubp_dn_trade(f, &with, takes_any, &f->blocked, call);
}

/* Samples of so little work that calls would cost as much: one call for the whole batch, where the
 * kernel adds in one chain, as it must with a single block of input channels. */
static ub_status pick_whole(ubp_fast *f, int64_t n, const ubp_call *call)
{
    enum { BLOCK = 16 };
    ubp_dn_spec with = f->prim->spec;
    bool whole;
    const int64_t src = count_of(&with.src), dst = count_of(&with.dst);
    const bool one_block = with.src.dims[1] <= BLOCK && begins(f->prim->name, "jit:avx512");
    if (!f->light || f->serial || n < 2 || !(one_block || ubp_dn_one_chain(f->prim)) ||
        n > INT32_MAX / (src > dst ? src : dst))
        return UB_OK;
    with.src.dims[0] = with.dst.dims[0] = n;
    with.threads = f->d->cores;
    UBP_TRY(ubp_dn_trade(f, &with, takes_like(f->prim), &whole, call));
    f->light = !whole;
    return UB_OK;
}

/* The primitive, and how it is run over the batch. */
static ub_status pick_all(ubp_fast *f, ubp_dn_spec *spec, bool sum, int64_t macs,
                          const ubp_call *call)
{
    const ub_tensor *x = call->in[0];
    UBP_TRY(pick_threads(f, spec, sum, macs, call));
    UBP_TRY(pick_blocks(f, macs, call));
    if (!in_planes(x) && spec->src.dims[0] == 1)
        UBP_TRY(pick_whole(f, x->dims[0], call));
    return pick_acting(f, call);
}

static void fill_items(ubp_fast *f, const ub_tensor *x, ub_tensor *want)
{
    const ubp_dn_spec *spec = &f->prim->spec;
    f->run = ubp_dn_run_items;
    f->items = x->dims[0] / spec->src.dims[0];
    f->src_item = (size_t)count_of(&spec->src) * sizeof(float);
    f->dst_item = (size_t)count_of(&spec->dst) * sizeof(float);
    f->post_count = count_of(&spec->dst);
    f->constant = true;
    if (f->blocked) {
        f->src_bytes = f->src_item;
        f->dst_bytes = f->dst_item;
    }
    if (spec->src.dims[0] == 1 && in_planes(x)) {
        f->interleave = x->dims[1];
        f->plane = ub_tensor_count(x) / x->dims[0] / x->dims[1];
        f->src_bytes = f->src_item;
    } else {
        ubp_dn_channels_last(want);
    }
}

ub_status ubp_dn_conv(ubp_fast *f, const ubp_dn_request *r)
{
    const ubp_call *call = r->call;
    const ub_tensor *x = call->in[0], *w = call->in[1];
    const bool bias = ubp_has_in(call, 2);
    const bool affine = r->n_posts > 0 && r->posts[0].kind == UBP_POST_AFFINE;
    const bool sum = r->n_posts > affine && r->posts[affine].kind == UBP_POST_SUM;
    ubp_dn_spec spec;
    ubp_window win;
    memset(&spec, 0, sizeof spec);
    if (x->dtype != UB_F32 || x->rank < 3 || x->rank > 2 + UBP_DN_SPATIAL || !w->data ||
        x->dims[0] < 1 || !ubp_dn_take_posts(f, r->posts, sum ? affine + 1 : 0, r->n_posts))
        return UBP_DECLINED;
    if (affine)
        f->by = r->posts[0].affine;
    UBP_TRY(ubp_conv_window(call, &win));
    spec.kind = UBP_DN_CONV;
    fill_window(&spec, &win);
    ub_tensor plain = *w;
    if (!ubp_dn_operand_of_image(&spec.src, x) || !ubp_dn_operand_of_image(&spec.dst, call->out[0]))
        return UBP_DECLINED;
    const int64_t at_once = UBP_DN_CONV_SAMPLES(x->dims[0]);
    spec.src.dims[0] = spec.dst.dims[0] = at_once;
    if (!fill_weights(&f->weights_shape, &plain, win.group)) {
        ubp_tensor_set_strides(&plain);
        if (!fill_weights(&f->weights_shape, &plain, win.group))
            return UBP_DECLINED;
    }
    spec.weights = f->weights_shape;
    memset(spec.weights.strides, 0, sizeof spec.weights.strides);
    if (bias)
        spec.bias = (ubp_dn_operand){.rank = 1, .dims = {w->dims[0]}, .strides = {1}};
    UBP_TRY(pick_all(f, &spec, sum, work(&win, w), call));
    fill_items(f, x, &r->want[0]);
    r->want[1] = plain;
    if (bias)
        ubp_tensor_set_strides(&r->want[2]);
    ubp_dn_channels_last(call->out[0]);
    return UB_OK;
}
