/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a plan: bind the slots to memory, call the kernels in order. Apart from the buffers that
 * wanted values are returned in, nothing is allocated once the workspace has grown to its size.
 */
#include "exec/exec.h"

#include <unistd.h>

void ubp_workspace_release(ubp_workspace *w)
{
    ubp_free(w->memory);
    *w = (ubp_workspace){0};
}

ub_status ubp_memory_check(size_t need, size_t limit, ub_error *err)
{
    if (limit == 0) {
        long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
        limit = pages > 0 && size > 0 ? (size_t)pages * (size_t)size : SIZE_MAX;
    }
    if (need <= limit)
        return UB_OK;
    return ubp_fail(err, UB_ERR_MEMORY, "this run needs %.1f MB, the limit is %.1f MB",
                    (double)need / 1e6, (double)limit / 1e6);
}

static ub_status reserve(ubp_workspace *w, size_t size, ub_error *err)
{
    if (size <= w->size)
        return UB_OK;
    ubp_workspace_release(w);
    w->memory = ubp_malloc_aligned(size);
    if (!w->memory)
        return ubp_fail_memory(err, size);
    w->size = size;
    return UB_OK;
}

/* Buffers of the wanted values: first all that are idle, for a new one may take their place. */
static ub_status bind_own(ubp_plan *p, ubp_pool *pool, ub_error *err)
{
    for (size_t i = 0; i < p->n_slots; i++)
        if (p->slots[i].place == UBP_PLACE_OWN)
            UBP_TRY(ubp_pool_reuse(&p->slots[i].t.buffer, pool, p->slots[i].bytes, err));
    for (size_t i = 0; i < p->n_slots; i++) {
        ubp_slot *s = &p->slots[i];
        if (s->place != UBP_PLACE_OWN)
            continue;
        if (!s->t.buffer)
            UBP_TRY(ubp_pool_buffer(&s->t.buffer, pool, s->bytes, err));
        s->t.data = s->t.buffer->data;
    }
    return UB_OK;
}

/* Gives every slot its address for this run. */
static ub_status bind(ubp_plan *p, const ubp_given *given, ubp_workspace *w, ubp_pool *pool,
                      ub_error *err)
{
    UBP_TRY(bind_own(p, pool, err));
    for (size_t i = 0; i < p->n_slots; i++) {
        ubp_slot *s = &p->slots[i];
        if (s->place == UBP_PLACE_ARENA && s->first >= 0) {
            s->t.data = (char *)w->memory + s->offset;
        } else if (s->place == UBP_PLACE_GIVEN) {
            s->t.data = given[s->given].tensor->data;
        }
    }
    for (size_t i = 0; i < p->n_slots; i++) {
        ubp_slot *s = &p->slots[i];
        if (s->place == UBP_PLACE_VIEW)
            s->t.data = (char *)p->slots[s->root].t.data + s->offset;
    }
    return UB_OK;
}

static void unbind(ubp_plan *p)
{
    for (size_t i = 0; i < p->n_slots; i++) {
        ubp_buffer_unref(p->slots[i].t.buffer);
        p->slots[i].t.buffer = NULL;
    }
}

static ub_status step(const ubp_plan_step *s, const ubp_run *run, void *scratch, ub_error *err)
{
    if (!s->node) {
        ubp_tensor_move(s->out_tensors[0], s->in_tensors[0]);
        return UB_OK;
    }
    if (s->chain)
        return ubp_chain_run(s, run, scratch, err);
    if (s->heads)
        return ubp_heads_run(s, run, scratch, err);
    ubp_call call = {.op = s->node->op,
                     .node = s->node,
                     .attr = s->attr,
                     .n_in = s->n_in,
                     .n_out = s->n_out,
                     .in = s->in_tensors,
                     .out = s->out_tensors,
                     .run = run,
                     .err = err};
    if (s->fast)
        return ubp_fast_run(s->fast, &call, scratch);
    ub_status st = ubp_op_run(&call);
    ubp_arena_reset(run->scratch);
    return st;
}

/* The processor's "invalid" mark over the steps of a run: whose kernels need it looked at. */
typedef struct watch {
    bool marked;  /* the mark may be up already, from what ran before */
    bool pending; /* it was lowered, and kernels that raise it ran since */
    int threads;
} watch;

/* A team of more than two may lose threads, and their marks, to a smaller one: look at once. */
enum { SAFE_TEAM = 2 };

/* Both return whether a NaN may have been lost. */
static bool look_before(watch *w, bool watches)
{
    if (watches) {
        if (w->marked)
            ubp_invalid_raised(w->threads);
        w->marked = false;
        return false;
    }
    const bool raised = w->pending && ubp_invalid_raised(w->threads);
    w->pending = false;
    w->marked = true;
    return raised;
}

static bool look_behind(watch *w, bool watches)
{
    if (watches && w->threads > SAFE_TEAM)
        return ubp_invalid_raised(w->threads);
    w->pending = w->pending || watches;
    return false;
}

/* *lost: a kernel may have turned a NaN into a number; what was computed is void. */
static ub_status run_steps(ubp_plan *p, const ubp_control *c, void *scratch, bool *lost,
                           ub_error *err)
{
    watch w = {.marked = true, .threads = c->run.threads};
    *lost = false;
    for (size_t i = 0; i < p->n_steps && !*lost; i++) {
        const ubp_fast *fast = p->steps[i].fast;
        const bool watches = fast && ubp_fast_watches(fast) && !c->run.careful;
        if (ubp_run_cancelled(&c->run))
            return ubp_fail(err, UB_ERR_CANCELLED, "interrupted");
        /* A prepared kernel that does not watch leaves the mark alone, or makes a NaN that the next
         * one would notice. */
        if (watches || !fast)
            *lost = look_before(&w, watches);
        double start = c->step_ms ? ubp_now_ms() : 0;
        UBP_TRY(step(&p->steps[i], &c->run, scratch, err));
        if (c->step_ms)
            c->step_ms[i] = ubp_now_ms() - start;
        *lost = look_behind(&w, watches) || *lost;
        if (c->progress)
            c->progress((double)(i + 1) / (double)p->n_steps, c->payload);
    }
    if (w.pending && !*lost)
        *lost = ubp_invalid_raised(w.threads);
    return UB_OK;
}

/* A handle the caller keeps: shares the slot's own buffer, copies what belongs to others. */
static ub_status result(ub_tensor **out, const ubp_plan *p, int32_t slot, const ubp_given *given,
                        ub_error *err)
{
    const ubp_slot *s = &p->slots[slot], *root = &p->slots[s->root];
    ub_tensor view = s->t;
    if (root->place == UBP_PLACE_OWN)
        view.buffer = root->t.buffer;
    else if (root->place == UBP_PLACE_GIVEN)
        view.buffer = given[root->given].tensor->buffer;
    if (view.buffer)
        return ubp_tensor_handle(out, &view, err);
    return ub_tensor_copy(out, &view, err);
}

ub_status ubp_plan_run(ub_tensor **results, ubp_plan *p, const ubp_given *given, ubp_workspace *w,
                       const ubp_control *control, ub_error *err)
{
    size_t need = 0;
    if (!ubp_add_size(p->arena_bytes, p->scratch_bytes, &need) ||
        !ubp_add_size(need, p->own_bytes, &need))
        need = SIZE_MAX;
    UBP_TRY(ubp_memory_check(need, control->memory_limit, err));
    if (control->pool && control->memory_limit) /* checked: the limit is not less */
        ubp_pool_bound(control->pool, control->memory_limit - p->arena_bytes - p->scratch_bytes);
    UBP_TRY(reserve(w, p->arena_bytes + p->scratch_bytes, err));
    int threads = ubp_threads_enter(control->run.threads);
    ub_status st = bind(p, given, w, control->pool, err);
    /* No memory at all: every value is a view of an input. */
    void *scratch = w->memory ? (char *)w->memory + p->arena_bytes : NULL;
    ubp_control c = *control;
    c.run.careful = p->careful;
    bool lost = false;
    if (st == UB_OK)
        st = run_steps(p, &c, scratch, &lost, err);
    if (st == UB_OK && lost) {
        p->careful = c.run.careful = true;
        st = run_steps(p, &c, scratch, &lost, err);
    }
    ubp_threads_leave(threads);
    for (int i = 0; i < p->n_wanted; i++)
        results[i] = NULL;
    for (int i = 0; i < p->n_wanted && st == UB_OK; i++)
        st = result(&results[i], p, p->wanted[i], given, err);
    if (st != UB_OK)
        for (int i = 0; i < p->n_wanted; i++) {
            ub_tensor_free(results[i]);
            results[i] = NULL;
        }
    unbind(p);
    return st;
}
