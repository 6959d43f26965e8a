/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A prepared kernel, whatever its operator: which file serves the call, its memory objects, packing
 * weights on the first run, and the elementwise operators that follow.
 *
 * Posts: the exponentials of oneDNN's own have other bits than ours, so the reference kernel of the
 * operator runs over each sample right after it was computed, while it lies in the cache. A factor
 * and a shift for each channel are the same product and sum inside the primitive. Relu and
 * Clip have the same bits inside the primitive but for one thing: they are vmaxps and vminps, which
 * turn a NaN into a number. These two raise the processor's "invalid" mark when they meet one, and
 * so does any arithmetic that makes one. The mark is looked at after each such primitive; if it is
 * up, everything is run again with posts as passes of their own (exec/run.c).
 */
#include "ops/onednn/onednn.h"

#include <string.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* ---- Layouts ----------------------------------------------------------------------------------
 */

bool ubp_dn_operand_of(ubp_dn_operand *o, const ub_tensor *t)
{
    enum { SIZE = 4 };
    int64_t count = 1, low, high;
    memset(o, 0, sizeof *o);
    if (t->rank < 1 || t->rank > UBP_DN_RANK || t->dtype != UB_F32)
        return false;
    /* Kernels count in 32 bits here and there. */
    if (!ubp_tensor_extent(t, &low, &high) || low < 0 || high > INT32_MAX)
        return false;
    o->rank = t->rank;
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] <= 0 || !ubp_mul_i64(count, t->dims[i], &count))
            return false;
        if (t->dims[i] > 1 && (t->strides[i] <= 0 || t->strides[i] % SIZE != 0))
            return false;
        o->dims[i] = t->dims[i];
        o->strides[i] = t->strides[i] / SIZE;
    }
    /* The stride of a dim of 1 means nothing; this value keeps specs equal and oneDNN content. */
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] > 1)
            continue;
        o->strides[i] = 1;
        for (int k = i + 1; k < t->rank; k++)
            if (o->strides[k] * o->dims[k] > o->strides[i])
                o->strides[i] = o->strides[k] * o->dims[k];
    }
    return true;
}

void ubp_dn_channels_last(ub_tensor *t)
{
    int64_t stride = (int64_t)ub_dtype_size(t->dtype);
    t->strides[1] = stride;
    stride *= t->dims[1];
    for (int i = t->rank - 1; i >= 2; i--) {
        t->strides[i] = stride;
        stride *= t->dims[i];
    }
    t->strides[0] = stride;
}

bool ubp_dn_operand_of_image(ubp_dn_operand *o, const ub_tensor *t)
{
    ub_tensor one = *t;
    one.dims[0] = 1;
    ubp_dn_channels_last(&one);
    if (!ubp_dn_operand_of(o, &one))
        return false;
    /* Also where a dim of 1 leaves the choice: one channel would else be taken for planes. */
    for (int i = 0; i < one.rank; i++)
        o->strides[i] = one.strides[i] / (int64_t)sizeof(float);
    return true;
}

/* ---- Posts ------------------------------------------------------------------------------------
 */

bool ubp_dn_take_posts(ubp_fast *f, const ubp_post *posts, int first, int n)
{
    f->n_posts = 0;
    for (int i = first; i < n; i++) {
        const ubp_op *op = posts[i].op;
        if (posts[i].kind == UBP_POST_AFFINE && i == 0) {
            f->posts[f->n_posts++] = posts[i];
            continue;
        }
        if (posts[i].kind != UBP_POST_OP || f->n_posts == UBP_DN_POSTS ||
            !(op->flags & UBP_CHEAP) || !(op->flags & UBP_STRIDED))
            return false;
        if (op->max_in != 1 && strcmp(op->name, "Clip") != 0)
            return false;
        f->posts[f->n_posts++] = posts[i];
    }
    return true;
}

/* Over [rows][channels]. */
typedef struct affine {
    const ubp_affine *by;
    float *data;
} affine;

static void affine_rows(void *arg, int64_t begin, int64_t end)
{
    const affine *a = arg;
    float *from = a->data + begin * a->by->channels;
    ubp_affine_rows(a->by, from, from, end - begin);
}

static void run_affine(const ubp_affine *by, void *data, int64_t count, int threads)
{
    enum { GRAIN = 16384 };
    affine a = {.by = by, .data = data};
    ubp_parallel(threads, count / by->channels, GRAIN / by->channels + 1, affine_rows, &a);
}

/* An elementwise operator over `count` elements. */
static ub_status run_post(const ubp_call *call, const ubp_post *post, void *data, int64_t count,
                          const ubp_run *run)
{
    const bool clip = post->op->max_in != 1;
    float bounds[2] = {(float)post->lo, (float)post->hi};
    ub_tensor flat = {.dtype = UB_F32, .rank = 1, .dims = {count}, .strides = {4}};
    ub_tensor low = {.dtype = UB_F32, .data = &bounds[0]}, high = low, dst;
    flat.data = data;
    high.data = &bounds[1];
    dst = flat;
    const ub_tensor *in[3] = {&flat, &low, &high};
    ub_tensor *out[1] = {&dst};
    const ubp_call one = {.op = post->op,
                          .node = call->node,
                          .attr = post->attr,
                          .n_in = clip ? 3 : 1,
                          .n_out = 1,
                          .in = in,
                          .out = out,
                          .run = run,
                          .err = NULL};
    return post->op->ref(&one);
}

ub_status ubp_dn_run_posts(const ubp_fast *f, const ubp_call *call, int first, void *data,
                           int64_t count, int threads)
{
    ubp_run run = *call->run;
    run.threads = threads;
    run.scratch = NULL; /* shared by all threads; elementwise kernels need none */
    for (int i = first; i < f->n_posts; i++) {
        const ubp_post *post = &f->posts[i];
        if (post->kind == UBP_POST_AFFINE)
            run_affine(&post->affine, data, count, threads);
        else
            UBP_TRY(run_post(call, post, data, count, &run));
    }
    return UB_OK;
}

ubp_dn_prim *ubp_dn_prim_now(const ubp_fast *f, const ubp_call *call)
{
    return f->acting && !call->run->careful ? f->acting : f->prim;
}

/* ---- Preparing ----------------------------------------------------------------------------------
 */

static void release(const ubp_dn_bound *b)
{
    if (b->memory)
        dnnl_memory_destroy(b->memory);
}

void ubp_fast_free(ubp_fast *f)
{
    if (!f)
        return;
    for (int i = 0; i < f->n_slots; i++) {
        release(&f->slots[i].src);
        release(&f->slots[i].dst);
        release(&f->slots[i].scratch);
    }
    ubp_free(f->slots);
    release(&f->weights);
    release(&f->bias);
    release(&f->affine[0]);
    release(&f->affine[1]);
    ubp_dn_packed_release(f->d, f->packed);
    ubp_dn_prim_release(f->d, f->acting);
    ubp_dn_prim_release(f->d, f->prim);
    ubp_free(f->pooling);
    ubp_free(f->numbers);
    ubp_dn_rnn_free(f->rnn);
    ubp_dn_spread_free(f->spread);
    ubp_free(f);
}

/* The sums of these start at their first product and take the others in the order of the weights;
 * partial ones are kept as they are. (9,000 runs of 1,100 random convolutions, made for other
 * batches and threads: no bit differed.) */
bool ubp_dn_one_chain(const ubp_dn_prim *p)
{
    static const char *const family[] = {"jit:avx2",     "jit_1x1:avx2",  "jit_dw:avx2",
                                         "jit:sse41",    "jit_1x1:sse41", "jit_dw:sse41",
                                         "jit_dw:avx512"};
    for (int i = 0; i < UBP_COUNT(family); i++)
        if (strncmp(p->name, family[i], strlen(family[i])) == 0)
            return true;
    return false;
}

bool ubp_dn_cuts_by_weights(void)
{
    const long least = 512L * 1024;
    return DNNL_VERSION_MAJOR == 2 && sysconf(_SC_LEVEL2_CACHE_SIZE) >= least;
}

/* What is packed is compared. */
static bool fits_any_cores(const ubp_dn_prim *p)
{
    return ubp_dn_one_chain(p) ||
           (strncmp(p->name, "brgconv_1x1:", 12) == 0 && ubp_dn_cuts_by_weights());
}

ub_status ubp_dn_trade(ubp_fast *f, const ubp_dn_spec *spec, bool (*takes)(const char *name),
                       bool *traded, const ubp_call *call)
{
    ubp_dn_prim *other = NULL;
    *traded = false;
    ub_status st = ubp_dn_prim_get(&other, f->d, spec, takes, call);
    if (st != UB_OK)
        return st == UBP_DECLINED ? UB_OK : st;
    const bool blocks = spec->src.block != f->prim->spec.src.block;
    if (strcmp(other->name, f->prim->name) == 0 &&
        (blocks || dnnl_memory_desc_equal(other->weights, f->prim->weights))) {
        ubp_dn_prim *old = f->prim;
        f->prim = other;
        other = old;
        *traded = true;
    }
    ubp_dn_prim_release(f->d, other);
    return UB_OK;
}

ub_status ubp_dn_fit_cores(ubp_fast *f, bool (*takes)(const char *name), const ubp_call *call)
{
    ubp_dn_spec spec = f->prim->spec;
    bool traded;
    if (!fits_any_cores(f->prim) || spec.threads <= f->d->cores)
        return UB_OK;
    spec.threads = f->d->cores;
    return ubp_dn_trade(f, &spec, takes, &traded, call);
}

/* Scratch memory, once prim, items and the layouts are set. */
static ub_status fast_size(ubp_fast *f, size_t *scratch, const ubp_call *call)
{
    const size_t align = 64, most = (size_t)64 << 20;
    size_t bytes = f->src_bytes;
    if (!ubp_add_size(bytes, f->dst_bytes, &bytes) ||
        !ubp_add_size(bytes, f->prim->scratch_bytes, &bytes) ||
        !ubp_add_size(bytes, 3 * align, &bytes))
        return ubp_fail_memory(call->err, SIZE_MAX);
    f->src_bytes = (f->src_bytes + align - 1) / align * align;
    f->dst_bytes = (f->dst_bytes + align - 1) / align * align;
    f->slot_bytes = bytes / align * align;
    f->team = f->items < f->d->team ? (int)f->items : f->d->team;
    if (f->blocked) /* room for one, which all threads share */
        f->team = 1;
    while (f->team > 1 && f->slot_bytes > most / (size_t)f->team)
        f->team--;
    *scratch = f->slot_bytes * (size_t)f->team;
    return UB_OK;
}

ub_status ubp_dn_fast_new(ubp_fast **out, ubp_onednn *d, const ubp_dn_request *r, size_t *scratch)
{
    static const struct {
        const char *op;
        ub_status (*prepare)(ubp_fast *f, const ubp_dn_request *r);
    } served[] = {{"Conv", ubp_dn_conv},
                  {"ConvTranspose", ubp_dn_conv_transpose},
                  {"MatMul", ubp_dn_matmul},
                  {"Gemm", ubp_dn_matmul},
                  {"MaxPool", ubp_dn_max_pool},
                  {"AveragePool", ubp_dn_average_pool},
                  {"GlobalAveragePool", ubp_dn_average_pool},
                  {"LayerNormalization", ubp_dn_layer_norm},
                  {"BatchNormalization", ubp_dn_batch_norm},
                  {"LSTM", ubp_dn_rnn},
                  {"GRU", ubp_dn_rnn},
                  {"RNN", ubp_dn_rnn}};
    const ubp_call *call = r->call;
    *out = NULL;
    *scratch = 0;
    if (!d || call->op->domain[0] != '\0')
        return UBP_DECLINED;
    for (int i = 0; i < UBP_COUNT(served); i++) {
        if (strcmp(call->op->name, served[i].op) != 0)
            continue;
        ubp_fast *f = ubp_calloc(1, sizeof *f);
        if (!f)
            return ubp_fail_memory(call->err, sizeof *f);
        f->d = d;
        f->threads = r->threads;
        ub_status st = served[i].prepare(f, r);
        *scratch = f->own_scratch;
        if (st == UB_OK && f->prim)
            st = fast_size(f, scratch, call);
        if (st != UB_OK) {
            ubp_fast_free(f);
            return st;
        }
        *out = f;
        return UB_OK;
    }
    return UBP_DECLINED;
}

ub_status ubp_fast_prepare(ubp_fast **out, ubp_onednn *d, const ubp_call *call,
                           const ubp_post *posts, int n_posts, int threads, ub_tensor *want,
                           size_t *scratch)
{
    const ubp_dn_request r = {
        .call = call, .posts = posts, .n_posts = n_posts, .want = want, .threads = threads};
    return ubp_dn_fast_new(out, d, &r, scratch);
}

const char *ubp_fast_kernel(const ubp_fast *f)
{
    return f->prim     ? f->prim->name
           : f->rnn    ? "recurrent, brg"
           : f->spread ? "spread, brg"
                       : "channels-last";
}

/* ---- Running ------------------------------------------------------------------------------------
 */

dnnl_status_t ubp_dn_bind(ubp_dn_bound *b, const void *data)
{
    if (b->data == data)
        return dnnl_success;
    const dnnl_status_t st = dnnl_memory_set_data_handle(b->memory, (void *)(uintptr_t)data);
    b->data = st == dnnl_success ? data : NULL;
    return st;
}

/* Weights and bias; the first run packs the weights. */
static ub_status bind_weights(ubp_fast *f, const ubp_call *call)
{
    ubp_dn_prim *p = f->prim;
    dnnl_status_t st = dnnl_success;
    if (!p->spec.weights.rank)
        return UB_OK;
    if (f->constant && !f->packed)
        UBP_TRY(ubp_dn_packed_get(&f->packed, f->d, call->in[1]->data, &f->weights_shape,
                                  p->weights, call));
    if (!f->weights.memory)
        st = ubp_dn_memory_new(&f->weights.memory, f->d->engine, p->weights, DNNL_MEMORY_NONE);
    if (st == dnnl_success && p->bias && !f->bias.memory)
        st = ubp_dn_memory_new(&f->bias.memory, f->d->engine, p->bias, DNNL_MEMORY_NONE);
    if (st == dnnl_success)
        st = ubp_dn_bind(&f->weights, f->packed ? f->packed->data : call->in[1]->data);
    if (st == dnnl_success && p->bias)
        st = ubp_dn_bind(&f->bias, f->row ? f->row : call->in[2]->data);
    return st == dnnl_success ? UB_OK : ubp_dn_fail(call, st, "binding weights");
}

/* Factor and shift, where primitives have them inside. */
static ub_status bind_affine(ubp_fast *f, const ubp_call *call)
{
    ubp_dn_desc d = NULL;
    const ubp_dn_prim *p = f->acting ? f->acting : f->prim;
    if (!p->spec.affine || f->affine[1].memory)
        return UB_OK;
    const ubp_dn_operand o = ubp_dn_channels(&p->spec);
    dnnl_status_t st = ubp_dn_desc_new(&d, &o);
    for (int i = 0; i < 2 && st == dnnl_success; i++) {
        if (!f->affine[i].memory)
            st = ubp_dn_memory_new(&f->affine[i].memory, f->d->engine, d, DNNL_MEMORY_NONE);
        if (st == dnnl_success)
            st = ubp_dn_bind(&f->affine[i], i ? f->by.shift : f->by.factor);
    }
    ubp_dn_desc_free(d);
    return st == dnnl_success ? UB_OK : ubp_dn_fail(call, st, "binding factors");
}

static dnnl_status_t slot_new(ubp_dn_slot *slot, const ubp_fast *f)
{
    const ubp_dn_prim *p = f->prim;
    dnnl_engine_t e = f->d->engine;
    dnnl_status_t st = ubp_dn_memory_new(&slot->src.memory, e, p->src, DNNL_MEMORY_NONE);
    if (st == dnnl_success)
        st = ubp_dn_memory_new(&slot->dst.memory, e, p->dst, DNNL_MEMORY_NONE);
    if (st == dnnl_success && p->scratch_bytes)
        st = ubp_dn_memory_new(&slot->scratch.memory, e, p->scratch, DNNL_MEMORY_NONE);
    return st;
}

ub_status ubp_dn_fast_bind(ubp_fast *f, const ubp_call *call, int n)
{
    UBP_TRY(ubp_dn_prim_ready(f->d, ubp_dn_prim_now(f, call), call));
    UBP_TRY(bind_weights(f, call));
    UBP_TRY(bind_affine(f, call));
    if (n <= f->n_slots)
        return UB_OK;
    ubp_dn_slot *slots = ubp_realloc(f->slots, (size_t)n * sizeof *slots);
    if (!slots)
        return ubp_fail_memory(call->err, (size_t)n * sizeof *slots);
    f->slots = slots;
    while (f->n_slots < n) {
        ubp_dn_slot *slot = &slots[f->n_slots];
        memset(slot, 0, sizeof *slot);
        f->n_slots++;
        dnnl_status_t st = slot_new(slot, f);
        if (st != dnnl_success)
            return ubp_dn_fail(call, st, "making memory objects");
    }
    return UB_OK;
}

static dnnl_status_t execute(const ubp_fast *f, const ubp_dn_prim *p, const ubp_dn_slot *slot)
{
    dnnl_exec_arg_t args[7];
    int n = 0;
    args[n++] = (dnnl_exec_arg_t){DNNL_ARG_SRC, slot->src.memory};
    args[n++] = (dnnl_exec_arg_t){DNNL_ARG_DST, slot->dst.memory};
    const bool norm = p->spec.kind == UBP_DN_LAYER_NORM;
    if (f->weights.memory)
        args[n++] = (dnnl_exec_arg_t){norm ? DNNL_ARG_SCALE : DNNL_ARG_WEIGHTS, f->weights.memory};
    if (f->bias.memory)
        args[n++] = (dnnl_exec_arg_t){norm ? DNNL_ARG_SHIFT : DNNL_ARG_BIAS, f->bias.memory};
    for (int i = 0; i < 2 && p->spec.affine; i++)
        args[n++] = (dnnl_exec_arg_t){DNNL_ARG_ATTR_MULTIPLE_POST_OP(i) | DNNL_ARG_SRC_1,
                                      f->affine[i].memory};
    if (slot->scratch.memory)
        args[n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, slot->scratch.memory};
    return dnnl_primitive_execute(p->primitive, f->d->stream, n, args);
}

dnnl_status_t ubp_dn_execute(const ubp_fast *f, const ubp_dn_prim *p, const ubp_dn_slot *slot,
                             int threads)
{
    dnnl_status_t st = dnnl_success;
#ifdef _OPENMP
    if (omp_in_parallel()) /* then oneDNN keeps to the calling thread */
        return execute(f, p, slot);
#endif
    /* Some implementations ask OpenMP how many threads there are, others start as many as they were
     * created for: both must be told. More than they were created for would overrun scratch. */
    if (threads > (int)p->spec.threads)
        threads = (int)p->spec.threads;
    int old = ubp_threads_enter(threads);
#pragma omp teams num_teams(1) thread_limit(threads) shared(st)
    st = execute(f, p, slot);
    ubp_threads_leave(old);
    return st;
}

bool ubp_fast_watches(const ubp_fast *f)
{
    return f->acting && f->acting->spec.act;
}

ub_status ubp_fast_ready(ubp_fast *f, const ubp_call *call)
{
    return f->prim ? ubp_dn_fast_bind(f, call, 1) : UB_OK;
}

ub_status ubp_fast_run(ubp_fast *f, const ubp_call *call, void *scratch)
{
    return f->run(f, call, scratch);
}
