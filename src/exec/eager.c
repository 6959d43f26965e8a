/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running step by step, for models whose shapes hang on data (NonZero, a Reshape to a computed
 * shape): each node in turn has its shapes worked out from the tensors at hand, its outputs made,
 * its kernel run, and its inputs let go after their last use. The samples are followed the same
 * way.
 */
#include "exec/exec.h"

#include <string.h>

typedef struct eager {
    const ubp_ask *ask;
    const ubp_control *control;
    ubp_arena arena;
    ubp_facts *facts;     /* what was known beforehand: constants and maps */
    ub_tensor **values;   /* [n_values] owned handles of computed values */
    ub_tensor *borrowed;  /* [n_values] given values and constants */
    bool *have_borrowed;  /* [n_values] */
    ubp_samples *samples; /* [n_values] */
    int32_t *uses;        /* [n_values] reads still to come, wanted counted */
    size_t live;          /* bytes of computed values */
    ub_error *err;
} eager;

static const ub_tensor *value_of(const eager *e, int32_t v)
{
    if (v < 0)
        return NULL;
    return e->have_borrowed[v] ? &e->borrowed[v] : e->values[v];
}

static void let_go(eager *e, int32_t v)
{
    if (v < 0 || --e->uses[v] > 0 || !e->values[v])
        return;
    e->live -= ubp_tensor_bytes(e->values[v]);
    ub_tensor_free(e->values[v]);
    e->values[v] = NULL;
}

/* Memory for the outputs whose shapes were just worked out. */
static ub_status make_outputs(eager *e, const ubp_node *n, ub_tensor *shapes, ub_tensor **out)
{
    for (int k = 0; k < n->n_out; k++) {
        if (!out[k])
            continue;
        size_t bytes = ubp_tensor_bytes(&shapes[k]), need;
        if (!ubp_add_size(e->live, bytes, &need))
            need = SIZE_MAX;
        UBP_TRY(ubp_memory_check(need, e->control->memory_limit, e->err));
        UBP_TRY(ub_tensor_new(&e->values[n->out[k]], shapes[k].dtype, shapes[k].rank,
                              shapes[k].dims, e->err));
        e->live += bytes;
        out[k] = e->values[n->out[k]];
    }
    return UB_OK;
}

/* Whether every output is a constant already. */
static bool folded(const eager *e, const ubp_node *n)
{
    bool all = true;
    for (int k = 0; k < n->n_out && all; k++)
        all = n->out[k] < 0 || e->have_borrowed[n->out[k]];
    return all;
}

static ub_status visit(eager *e, int32_t index, ubp_arena *arena)
{
    const ubp_node *n = &e->ask->graph->nodes[index];
    if (folded(e, n)) {
        for (int i = 0; i < n->n_in; i++)
            let_go(e, n->in[i]);
        return UB_OK;
    }
    size_t ni = (size_t)n->n_in + 1, no = (size_t)n->n_out + 1;
    const ub_tensor **in = ubp_arena_array(arena, ni, sizeof *in);
    ub_tensor **out = ubp_arena_array(arena, no, sizeof *out);
    ub_tensor *shapes = ubp_arena_array(arena, no, sizeof *shapes);
    ubp_samples *s_in = ubp_arena_array(arena, ni, sizeof *s_in);
    ubp_samples *s_out = ubp_arena_array(arena, no, sizeof *s_out);
    if (!in || !out || !shapes || !s_in || !s_out)
        return ubp_fail_memory(e->err, no * sizeof *shapes);
    for (int i = 0; i < n->n_in; i++) {
        in[i] = value_of(e, n->in[i]);
        s_in[i] = n->in[i] >= 0 ? e->samples[n->in[i]]
                                : (ubp_samples){.outer = 1, .inner = 1, .culprit = UBP_NO_NODE};
        if (n->in[i] >= 0 && !in[i])
            return ubp_fail(e->err, UB_ERR_INTERNAL, "value '%s' is read before it is computed",
                            e->ask->graph->values[n->in[i]].name);
    }
    for (int k = 0; k < n->n_out; k++)
        out[k] = n->out[k] >= 0 && e->uses[n->out[k]] > 0 && !e->have_borrowed[n->out[k]]
                     ? &shapes[k]
                     : NULL;
    ubp_call call = {.op = n->op,
                     .node = n,
                     .n_in = n->n_in,
                     .n_out = n->n_out,
                     .in = in,
                     .out = out,
                     .run = &e->control->run,
                     .err = e->err};
    UBP_TRY(ubp_node_attrs(&call.attr, n, arena, e->err));
    ub_status st = n->op->infer(&call);
    if (st == UBP_NEEDS_DATA)
        return ubp_fail(e->err, UB_ERR_INTERNAL, "node '%s' (%s): its shape cannot be worked out",
                        n->name, n->op_type);
    UBP_TRY(st);
    UBP_TRY(make_outputs(e, n, shapes, out));
    ubp_node_samples(&call, index, e->ask->n, s_in, NULL, s_out);
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0 && !e->facts->values[n->out[k]].known)
            e->samples[n->out[k]] = s_out[k];
    st = ubp_op_run(&call);
    ubp_arena_reset(e->control->run.scratch);
    for (int i = 0; i < n->n_in; i++)
        let_go(e, n->in[i]);
    return st;
}

static ub_status start(eager *e, int32_t *nodes, int n_nodes)
{
    const ubp_graph *g = e->ask->graph;
    for (size_t i = 0; i < g->n_values; i++) {
        const ubp_fact *fact = &e->facts->values[i];
        e->samples[i] = fact->samples;
        if (fact->known && fact->t.data) {
            e->borrowed[i] = fact->t;
            e->have_borrowed[i] = true;
        }
    }
    for (int i = 0; i < e->ask->n_given; i++) {
        const ubp_given *given = &e->ask->given[i];
        e->borrowed[given->value] = *given->tensor;
        e->have_borrowed[given->value] = true;
        if (!given->tensor->data && ub_tensor_count(given->tensor) > 0)
            return ubp_fail(e->err, UB_ERR_UNSUPPORTED,
                            "shapes of this model hang on data: give real inputs");
    }
    for (int i = 0; i < n_nodes; i++)
        for (int k = 0; k < g->nodes[nodes[i]].n_in; k++)
            if (g->nodes[nodes[i]].in[k] >= 0)
                e->uses[g->nodes[nodes[i]].in[k]]++;
    for (int i = 0; i < e->ask->n_wanted; i++)
        e->uses[e->ask->wanted[i]]++;
    return UB_OK;
}

static ub_status finish(eager *e, ub_tensor **results, ubp_samples *samples)
{
    for (int i = 0; i < e->ask->n_wanted; i++) {
        int32_t v = e->ask->wanted[i];
        const ub_tensor *t = value_of(e, v);
        samples[i] = e->samples[v];
        if (t->buffer)
            UBP_TRY(ubp_tensor_handle(&results[i], t, e->err));
        else
            UBP_TRY(ub_tensor_copy(&results[i], t, e->err));
    }
    return UB_OK;
}

ub_status ubp_eager_run(ub_tensor **results, ubp_samples *samples, const ubp_ask *ask,
                        const ubp_control *control, ub_error *err)
{
    eager e = {.ask = ask, .control = control, .err = err};
    size_t n = ask->graph->n_values + 1;
    int32_t *nodes = NULL;
    int n_nodes = 0;
    e.values = ubp_arena_array(&e.arena, n, sizeof *e.values);
    e.borrowed = ubp_arena_array(&e.arena, n, sizeof *e.borrowed);
    e.have_borrowed = ubp_arena_array(&e.arena, n, sizeof *e.have_borrowed);
    e.samples = ubp_arena_array(&e.arena, n, sizeof *e.samples);
    e.uses = ubp_arena_array(&e.arena, n, sizeof *e.uses);
    memset(results, 0, (size_t)ask->n_wanted * sizeof *results);
    bool room = e.values && e.borrowed && e.have_borrowed && e.samples && e.uses;
    ub_status st = room ? ubp_cone(ask, &nodes, &n_nodes, &e.arena, err)
                        : ubp_fail_memory(err, n * sizeof *e.borrowed);
    ubp_ask known = *ask;
    known.partial = true;
    if (st == UB_OK)
        st = ubp_facts_new(&e.facts, &known, err);
    if (st == UB_OK)
        st = start(&e, nodes, n_nodes);
    int threads = ubp_threads_enter(control->run.threads);
    for (int i = 0; i < n_nodes && st == UB_OK; i++) {
        ubp_arena arena = {0};
        st = ubp_run_cancelled(&control->run) ? ubp_fail(err, UB_ERR_CANCELLED, "interrupted")
                                              : visit(&e, nodes[i], &arena);
        ubp_arena_release(&arena);
        if (st == UB_OK && control->progress)
            control->progress((double)(i + 1) / (double)n_nodes, control->payload);
    }
    ubp_threads_leave(threads);
    if (st == UB_OK)
        st = finish(&e, results, samples);
    for (size_t i = 0; room && i < ask->graph->n_values; i++)
        ub_tensor_free(e.values[i]);
    for (int i = 0; i < ask->n_wanted && st != UB_OK; i++) {
        ub_tensor_free(results[i]);
        results[i] = NULL;
    }
    ubp_facts_free(e.facts);
    ubp_arena_release(&e.arena);
    return st;
}
