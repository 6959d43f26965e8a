/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ub_summarize: every layer's shapes, cost and sample map, worked out without running anything.
 * What hangs on data or on an unknown op stays unknown; the rest is answered.
 */
#include "api/api.h"

#include <string.h>

struct ub_summary {
    ubp_arena arena;
    ub_row *rows;
    int n;
    ubp_inner_list inner;
    ubp_arena text; /* of inner */
};

/* A file may nest long names in long names. */
static const size_t most_text = (size_t)256 << 20;

/* A model input nobody gave, in its own shape, free dims 1. */
static ub_status default_input(ubp_given *out, const ub_model *m, int i, ubp_arena *arena,
                               ub_error *err)
{
    const ub_port *p = &m->inputs[i];
    if (p->kind != UB_KIND_TENSOR) { /* a list has no shape */
        *out = (ubp_given){.value = m->graph->inputs[i], .batch_axis = -1};
        return UB_OK;
    }
    if (p->rank < 0 || p->dtype == UB_UNDEFINED)
        return ubp_fail(err, UB_ERR_ARGUMENT,
                        "the file does not say the shape of input '%s': give one", p->name);
    int64_t dims[UB_MAX_RANK];
    for (int a = 0; a < p->rank; a++)
        dims[a] = p->dims[a] < 0 ? 1 : p->dims[a];
    ub_tensor *t = ubp_arena_alloc(arena, sizeof *t);
    if (!t)
        return ubp_fail_memory(err, sizeof *t);
    UBP_TRY(ubp_tensor_describe(t, p->dtype, p->rank, dims, err));
    *out = (ubp_given){.value = m->graph->inputs[i], .tensor = t, .batch_axis = p->batch_axis};
    return UB_OK;
}

/* A model whose batch is fixed is described as it runs: by one block of samples. */
static ub_status one_block(ubp_given *given, int64_t block, ubp_arena *arena, ub_error *err)
{
    const ub_tensor *t = given->tensor;
    if (!t || given->batch_axis < 0 || given->batch_axis >= t->rank || block <= 0 ||
        t->dims[given->batch_axis] == block)
        return UB_OK;
    ub_tensor *shape = ubp_arena_alloc(arena, sizeof *shape);
    if (!shape)
        return ubp_fail_memory(err, sizeof *shape);
    int64_t dims[UB_MAX_RANK];
    memcpy(dims, t->dims, sizeof dims);
    dims[given->batch_axis] = block;
    UBP_TRY(ubp_tensor_describe(shape, t->dtype, t->rank, dims, err));
    given->tensor = shape;
    return UB_OK;
}

/* The session's given values and defaults for the rest. */
static ub_status all_given(const ub_session *s, ubp_ask *ask, ubp_arena *arena, ub_error *err)
{
    const ub_model *m = s->model;
    size_t cap = s->n_given + (size_t)m->graph->n_inputs + 1;
    ubp_given *given = ubp_arena_array(arena, cap, sizeof *given);
    if (!given)
        return ubp_fail_memory(err, cap * sizeof *given);
    int n = 0;
    for (size_t i = 0; i < s->n_given; i++)
        given[n++] = s->given[i];
    for (int i = 0; i < m->graph->n_inputs; i++) {
        bool found = false;
        for (size_t k = 0; k < s->n_given && !found; k++)
            found = s->given[k].value == m->graph->inputs[i];
        if (!found)
            UBP_TRY(default_input(&given[n++], m, i, arena, err));
    }
    ask->given = given;
    ask->n_given = n;
    for (int i = 0; i < n; i++) {
        UBP_TRY(one_block(&given[i], m->fixed_batch, arena, err));
        if (given[i].tensor && given[i].batch_axis >= 0 &&
            given[i].batch_axis < given[i].tensor->rank)
            ask->n = given[i].tensor->dims[given[i].batch_axis];
    }
    return UB_OK;
}

/* Everything a layer may show. */
static ub_status all_wanted(const ubp_graph *g, ubp_ask *ask, ubp_arena *arena, ub_error *err)
{
    size_t cap = (size_t)g->n_outputs + 1;
    for (size_t i = 0; i < g->n_layers; i++)
        cap += (size_t)g->layers[i].n_out + (size_t)g->layers[i].n_in;
    int32_t *wanted = ubp_arena_array(arena, cap, sizeof *wanted);
    if (!wanted)
        return ubp_fail_memory(err, cap * sizeof *wanted);
    int n = 0;
    for (int i = 0; i < g->n_outputs; i++)
        wanted[n++] = g->outputs[i];
    for (size_t i = 0; i < g->n_layers; i++) {
        for (int k = 0; k < g->layers[i].n_out; k++)
            wanted[n++] = g->layers[i].out[k];
        for (int k = 0; k < g->layers[i].n_in; k++)
            wanted[n++] = g->layers[i].in[k];
    }
    ask->wanted = wanted;
    ask->n_wanted = n;
    return UB_OK;
}

static bool node_known(const ubp_facts *f, const ubp_node *n)
{
    bool known = n->op != NULL;
    for (int i = 0; i < n->n_in && known; i++)
        known = n->in[i] < 0 || f->values[n->in[i]].known;
    for (int k = 0; k < n->n_out && known; k++)
        known = n->out[k] < 0 || f->values[n->out[k]].known;
    return known;
}

/* Multiply-accumulates of one node; false when its shapes are not known. */
static ub_status node_macs(int64_t *out, bool *known, const ubp_graph *g, ubp_facts *f,
                           int32_t index, ub_error *err)
{
    const ubp_node *n = &g->nodes[index];
    *known = node_known(f, n);
    *out = 0;
    if (!*known || !n->op->macs)
        return UB_OK;
    ubp_arena arena = {0};
    const ub_tensor **in = ubp_arena_array(&arena, (size_t)n->n_in + 1, sizeof *in);
    ub_tensor **to = ubp_arena_array(&arena, (size_t)n->n_out + 1, sizeof *to);
    if (!in || !to) {
        ubp_arena_release(&arena);
        return ubp_fail_memory(err, sizeof *in);
    }
    for (int i = 0; i < n->n_in; i++)
        in[i] = n->in[i] < 0 ? NULL : &f->values[n->in[i]].t;
    for (int k = 0; k < n->n_out; k++)
        to[k] = n->out[k] < 0 ? NULL : &f->values[n->out[k]].t;
    ubp_call call = {.op = n->op,
                     .node = n,
                     .attr = f->attrs[index],
                     .n_in = n->n_in,
                     .n_out = n->n_out,
                     .in = in,
                     .out = to,
                     .err = err};
    *out = n->op->macs(&call);
    ubp_arena_release(&arena);
    return UB_OK;
}

static void port_row(ub_tensor *out, const ubp_facts *f, int n, const int32_t *values)
{
    *out = (ub_tensor){.rank = -1};
    if (n < 1 || !f->values[values[0]].known)
        return;
    *out = f->values[values[0]].t;
    out->data = NULL;
    out->buffer = NULL;
}

static ub_status fill_row(ub_summary *sum, ub_row *row, const ub_session *s, ubp_facts *f, size_t i,
                          const int64_t *macs, const bool *known, ub_error *err)
{
    const ubp_graph *g = s->model->graph;
    const ubp_layer *l = &g->layers[i];
    *row = (ub_row){.layer = &s->model->layers[i], .batch_axis = -1, .batch_inner = 1};
    port_row(&row->in, f, l->n_in, l->in);
    port_row(&row->out, f, l->n_out, l->out);
    for (int k = 0; k < l->n_nodes; k++)
        if (row->macs >= 0 &&
            (!known[l->nodes[k]] || !ubp_add_i64(row->macs, macs[l->nodes[k]], &row->macs)))
            row->macs = -1;
    if (l->n_out < 1 || !f->values[l->out[0]].known)
        return UB_OK;
    const ubp_samples *map = &f->values[l->out[0]].samples;
    if (map->kind == UBP_SAMPLES_AXIS) {
        row->batch_axis = map->axis;
        row->batch_inner = map->inner * map->outer;
    }
    if (map->coupled && map->culprit >= 0) {
        const ubp_node *n = &g->nodes[map->culprit];
        row->mixed = ubp_arena_printf(&sum->arena, "node '%s' (%s): %s", ubp_node_title(g, n),
                                      n->op_type, map->why ? map->why : "mixes samples");
        if (!row->mixed)
            return ubp_fail_memory(err, 256);
    }
    return UB_OK;
}

static ub_status fill_rows(ub_summary *sum, const ub_session *s, ubp_facts *f, ub_error *err)
{
    const ubp_graph *g = s->model->graph;
    int64_t *macs = ubp_arena_array(&sum->arena, g->n_nodes + 1, sizeof *macs);
    bool *known = ubp_arena_array(&sum->arena, g->n_nodes + 1, sizeof *known);
    sum->rows = ubp_arena_array(&sum->arena, g->n_layers + 1, sizeof *sum->rows);
    if (!sum->rows || !macs || !known)
        return ubp_fail_memory(err, g->n_layers * sizeof *sum->rows);
    for (size_t i = 0; i < g->n_nodes; i++)
        UBP_TRY(node_macs(&macs[i], &known[i], g, f, (int32_t)i, err));
    for (size_t i = 0; i < g->n_layers; i++)
        UBP_TRY(fill_row(sum, &sum->rows[i], s, f, i, macs, known, err));
    sum->n = (int)g->n_layers;
    return UB_OK;
}

ub_status ub_summarize(ub_summary **out, ub_session *s, ub_error *err)
{
    *out = NULL;
    ub_summary *sum = ubp_calloc(1, sizeof *sum);
    if (!sum)
        return ubp_fail_memory(err, sizeof *sum);
    sum->text.cap = most_text;
    ubp_ask ask = {.graph = s->model->graph,
                   .n = 1,
                   .fixed_batch = s->model->fixed_batch >= 0,
                   .partial = true,
                   .run = &s->run};
    ubp_facts *f = NULL;
    ub_status st = all_given(s, &ask, &sum->arena, err);
    if (st == UB_OK)
        st = all_wanted(ask.graph, &ask, &sum->arena, err);
    if (st == UB_OK)
        st = ubp_facts_new(&f, &ask, err);
    if (st == UB_OK)
        st = fill_rows(sum, s, f, err);
    if (st == UB_OK)
        st = ubp_inner_values(&sum->inner, ask.graph, &sum->text, err);
    ubp_facts_free(f);
    if (st != UB_OK) {
        ub_summary_free(sum);
        return st;
    }
    *out = sum;
    return UB_OK;
}

void ub_summary_free(ub_summary *sum)
{
    if (!sum)
        return;
    ubp_arena_release(&sum->arena);
    ubp_arena_release(&sum->text);
    ubp_free(sum->inner.items);
    ubp_free(sum);
}

int ub_summary_count(const ub_summary *sum)
{
    return sum->n;
}

const ub_row *ub_summary_row(const ub_summary *sum, int i)
{
    return i < 0 || i >= sum->n ? NULL : &sum->rows[i];
}

int ub_summary_inner_count(const ub_summary *sum)
{
    return (int)sum->inner.n;
}

const ub_inner *ub_summary_inner(const ub_summary *sum, int i)
{
    return i < 0 || (size_t)i >= sum->inner.n ? NULL : &sum->inner.items[i];
}
