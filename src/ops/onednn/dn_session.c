/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernels of one session share: oneDNN's engine and stream, primitives by their spec, and
 * packed weights. Primitives and weights live as long as a kernel refers to them: a constant's
 * address may be used again once the plan it belongs to is gone.
 */
#include "ops/onednn/onednn.h"

#include <string.h>

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
#define VERSION                                                                                    \
    "oneDNN " TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." TEXT(DNNL_VERSION_PATCH)

const char *ubp_onednn_version(void)
{
    unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
    const unsigned avx2 = dnnl_cpu_isa_avx2, avx512 = dnnl_cpu_isa_avx512_core;
    if ((isa & avx512) == avx512)
        return VERSION " (AVX-512)";
    if ((isa & avx2) == avx2)
        return VERSION " (AVX2)";
    return isa == dnnl_cpu_isa_sse41 ? VERSION " (SSE4.1)" : VERSION;
}

ub_status ubp_onednn_new(ubp_onednn **out, ub_error *err)
{
    enum { LEAST = 8, MOST = 64 };
    *out = NULL;
#ifndef _OPENMP
    /* Primitives are made for a fixed number of threads, which takes OpenMP to say. */
    (void)err;
    return UB_OK;
#endif
    ubp_onednn *d = ubp_calloc(1, sizeof *d);
    if (!d)
        return ubp_fail_memory(err, sizeof *d);
    if (pthread_mutex_init(&d->lock, NULL) != 0) {
        ubp_free(d);
        return ubp_fail(err, UB_ERR_INTERNAL, "the system gives no lock");
    }
    int cores = ubp_core_count();
    d->cores = cores < UBP_DN_THREADS ? cores : UBP_DN_THREADS;
    d->team = cores < LEAST ? LEAST : cores > MOST ? MOST : cores;
    dnnl_status_t st = dnnl_engine_create(&d->engine, dnnl_cpu, 0);
    if (st == dnnl_success)
        st = dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags);
    if (st != dnnl_success) {
        ubp_onednn_free(d);
        return ubp_fail(err, UB_ERR_INTERNAL, "oneDNN gives no CPU engine (status %d)", (int)st);
    }
    *out = d;
    return UB_OK;
}

static void prim_free(ubp_dn_prim *p)
{
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    if (p->desc)
        dnnl_primitive_desc_destroy(p->desc);
    ubp_free(p);
}

static void packed_free(ubp_onednn *d, ubp_dn_packed *p)
{
    ubp_dn_desc_free(p->desc);
    ubp_pages_give(&d->pages, p->data);
    ubp_free(p);
}

void ubp_onednn_free(ubp_onednn *d)
{
    if (!d)
        return;
    while (d->prims) {
        ubp_dn_prim *p = d->prims;
        d->prims = p->next;
        prim_free(p);
    }
    while (d->packed) {
        ubp_dn_packed *p = d->packed;
        d->packed = p->next;
        packed_free(d, p);
    }
    if (d->stream)
        dnnl_stream_destroy(d->stream);
    if (d->engine)
        dnnl_engine_destroy(d->engine);
    pthread_mutex_destroy(&d->lock);
    ubp_free(d);
}

ub_status ubp_dn_fail(const ubp_call *call, dnnl_status_t status, const char *doing)
{
    if (status == dnnl_out_of_memory)
        return ubp_op_fail(call, UB_ERR_MEMORY, "oneDNN ran out of memory while %s", doing);
    return ubp_op_fail(call, UB_ERR_INTERNAL, "oneDNN failed while %s (status %d)", doing,
                       (int)status);
}

/* ---- Primitives -------------------------------------------------------------------------------
 */

static ubp_dn_const query(const ubp_dn_prim *p, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(p->desc, what, 0);
}

/* Fills in what a kernel asks of its primitive. */
static void describe(ubp_dn_prim *p)
{
    const char *name = NULL;
    p->src = query(p, dnnl_query_src_md);
    p->weights = query(p, dnnl_query_weights_md);
    p->dst = query(p, dnnl_query_dst_md);
    p->scratch = query(p, dnnl_query_scratchpad_md);
    p->bias =
        p->spec.bias.rank ? dnnl_primitive_desc_query_md(p->desc, dnnl_query_weights_md, 1) : NULL;
    p->scratch_bytes = p->scratch ? dnnl_memory_desc_get_size(p->scratch) : 0;
    if (dnnl_primitive_desc_query(p->desc, dnnl_query_impl_info_str, 0, (void *)&name) ==
            dnnl_success &&
        name) {
        size_t n = strlen(name);
        n = n < UBP_DN_NAME ? n : UBP_DN_NAME - 1;
        memcpy(p->name, name, n);
    }
}

static dnnl_status_t prim_new(ubp_dn_prim *p, const ubp_onednn *d, bool (*takes)(const char *name))
{
    int old = ubp_threads_enter((int)p->spec.threads);
    dnnl_status_t st = ubp_dn_find(&p->desc, d->engine, &p->spec, takes);
    ubp_threads_leave(old);
    return st;
}

/* Code is generated here: most of what a primitive costs, and many are only compared. */
ub_status ubp_dn_prim_ready(ubp_onednn *d, ubp_dn_prim *p, const ubp_call *call)
{
    dnnl_status_t st = dnnl_success;
    if (p->primitive)
        return UB_OK;
    pthread_mutex_lock(&d->lock);
    if (!p->primitive) {
        dnnl_primitive_t made = NULL;
        int old = ubp_threads_enter((int)p->spec.threads);
        st = dnnl_primitive_create(&made, p->desc);
        ubp_threads_leave(old);
        p->primitive = made;
    }
    pthread_mutex_unlock(&d->lock);
    return st == dnnl_success ? UB_OK : ubp_dn_fail(call, st, "preparing a kernel");
}

ub_status ubp_dn_prim_get(ubp_dn_prim **out, ubp_onednn *d, const ubp_dn_spec *spec,
                          bool (*takes)(const char *name), const ubp_call *call)
{
    *out = NULL;
    for (ubp_dn_prim *p = d->prims; p; p = p->next) {
        if (memcmp(&p->spec, spec, sizeof *spec) == 0) {
            p->refs++;
            *out = p;
            return UB_OK;
        }
    }
    ubp_dn_prim *p = ubp_calloc(1, sizeof *p);
    if (!p)
        return ubp_fail_memory(call->err, sizeof *p);
    p->spec = *spec;
    dnnl_status_t st = prim_new(p, d, takes);
    if (st != dnnl_success || !p->desc) {
        prim_free(p);
        return st == dnnl_success ? UBP_DECLINED : ubp_dn_fail(call, st, "preparing a kernel");
    }
    describe(p);
    p->refs = 1;
    p->next = d->prims;
    d->prims = p;
    *out = p;
    return UB_OK;
}

void ubp_dn_prim_release(ubp_onednn *d, ubp_dn_prim *p)
{
    if (!p || --p->refs > 0)
        return;
    for (ubp_dn_prim **at = &d->prims; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    prim_free(p);
}

/* ---- Packed weights -----------------------------------------------------------------------------
 */

static dnnl_status_t pack(ubp_dn_packed *p, const ubp_onednn *d)
{
    ubp_dn_desc plain = NULL;
    dnnl_memory_t from = NULL, to = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_status_t st = ubp_dn_desc_new(&plain, &p->shape);
    if (st == dnnl_success)
        st = ubp_dn_memory_new(&from, d->engine, plain, (void *)(uintptr_t)p->from);
    if (st == dnnl_success)
        st = ubp_dn_memory_new(&to, d->engine, p->desc, p->data);
    if (st == dnnl_success)
        st = ubp_dn_reorder_new(&reorder, d->engine, plain, p->desc);
    if (st == dnnl_success) {
        dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
        st = dnnl_primitive_execute(reorder, d->stream, 2, args);
    }
    if (reorder)
        dnnl_primitive_destroy(reorder);
    if (from)
        dnnl_memory_destroy(from);
    if (to)
        dnnl_memory_destroy(to);
    ubp_dn_desc_free(plain);
    return st;
}

static ub_status packed_get(ubp_dn_packed **out, ubp_onednn *d, const void *from,
                            const ubp_dn_operand *shape, ubp_dn_const to, const ubp_call *call)
{
    for (ubp_dn_packed *p = d->packed; p; p = p->next) {
        if (p->from == from && memcmp(&p->shape, shape, sizeof *shape) == 0 &&
            dnnl_memory_desc_equal(p->desc, to)) {
            p->refs++;
            *out = p;
            return UB_OK;
        }
    }
    size_t bytes = dnnl_memory_desc_get_size(to);
    ubp_dn_packed *p = ubp_calloc(1, sizeof *p);
    if (!p)
        return ubp_fail_memory(call->err, sizeof *p);
    p->from = from;
    p->shape = *shape;
    dnnl_status_t st = ubp_dn_desc_copy(&p->desc, to);
    if (st == dnnl_success && !(p->data = ubp_pages_take(&d->pages, bytes)))
        st = dnnl_out_of_memory;
    if (st == dnnl_success)
        st = pack(p, d);
    if (st != dnnl_success) {
        packed_free(d, p);
        return ubp_dn_fail(call, st, "packing weights");
    }
    p->refs = 1;
    p->next = d->packed;
    d->packed = p;
    *out = p;
    return UB_OK;
}

ub_status ubp_dn_packed_get(ubp_dn_packed **out, ubp_onednn *d, const void *from,
                            const ubp_dn_operand *shape, ubp_dn_const to, const ubp_call *call)
{
    pthread_mutex_lock(&d->lock);
    const ub_status st = packed_get(out, d, from, shape, to, call);
    pthread_mutex_unlock(&d->lock);
    return st;
}

void ubp_dn_packed_release(ubp_onednn *d, ubp_dn_packed *p)
{
    if (!p || --p->refs > 0)
        return;
    for (ubp_dn_packed **at = &d->packed; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    packed_free(d, p);
}
