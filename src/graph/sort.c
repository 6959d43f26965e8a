/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topological order. Nodes are visited in file order, each after what it reads; so a file that is
 * in order stays as it is. The walk keeps its own stack: the depth of a graph is the file's choice.
 *
 * A body (If, Loop, Scan) may read names of the graph around it. Such a name counts as read by the
 * node that holds the body, and is handed on outwards until a graph gives it.
 */
#include "graph/graph.h"

#include <string.h>

typedef enum mark { UNSEEN, OPEN, DONE } mark;

/* A node whose reads are being visited. */
typedef struct frame {
    int32_t node;
    int next;       /* input to visit next */
    int attr, name; /* then: captured name of the body in this attribute */
} frame;

typedef struct sorter {
    ubp_graph *g;
    ub_error *err;
    uint8_t *marks; /* [n_nodes] mark */
    frame *stack;   /* [n_nodes] */
    int32_t *order; /* [n_nodes] old numbers in new order */
    size_t depth, done;
    const char **captured;
    size_t n_captured, cap_captured;
    ubp_table captured_names;
} sorter;

/* ---- What a node reads ---------------------------------------------------------------------- */

static ub_status fail_not_given(const ubp_node *n, const char *name, ub_error *err)
{
    char label[300];
    return ubp_fail(err, UB_ERR_FILE, "node %s reads '%s', which nothing in the model gives",
                    ubp_node_label(n, label, sizeof(label)), name);
}

/* Notes that this body needs a name from outside; an error when there is no outside. */
static ub_status capture(sorter *s, const ubp_node *n, const char *name)
{
    if (!s->g->is_body)
        return fail_not_given(n, name, s->err);
    if (ubp_table_find(&s->captured_names, name) >= 0)
        return UB_OK;
    UBP_TRY(
        ubp_grow((void **)&s->captured, &s->cap_captured, s->n_captured, sizeof(char *), s->err));
    s->captured[s->n_captured] = name;
    return ubp_table_add(&s->captured_names, name, (int32_t)s->n_captured++, s->err);
}

/* The node that gives value v, UBP_NO_NODE for inputs, weights and captured values. */
static ub_status producer_of(sorter *s, const ubp_node *n, int32_t v, int32_t *out)
{
    const ubp_value *value = &s->g->values[v];
    *out = value->producer;
    if (value->producer == UBP_NO_NODE && !value->is_input && !value->constant)
        return capture(s, n, value->name);
    return UB_OK;
}

/* The next read of the node of f: its inputs first, then what its bodies capture. *from: the node
 * that gives it; *more false when there is none left. */
static ub_status next_read(sorter *s, frame *f, int32_t *from, bool *more)
{
    const ubp_node *n = &s->g->nodes[f->node];
    *from = UBP_NO_NODE;
    *more = true;
    if (f->next < n->n_in) {
        const int32_t v = n->in[f->next++];
        return v == UBP_NO_VALUE ? UB_OK : producer_of(s, n, v, from);
    }
    for (; f->attr < n->n_attrs; f->attr++, f->name = 0) {
        const ubp_attr *a = &n->attrs[f->attr];
        if (a->kind != UBP_ATTR_GRAPH || f->name >= a->graph->n_captured)
            continue;
        const char *name = a->graph->captured[f->name++];
        const int32_t v = ubp_table_find(&s->g->value_names, name);
        return v == UBP_NO_VALUE ? capture(s, n, name) : producer_of(s, n, v, from);
    }
    *more = false;
    return UB_OK;
}

/* ---- The walk ------------------------------------------------------------------------------- */

static ub_status visit(sorter *s, int32_t root)
{
    s->stack[s->depth++] = (frame){.node = root};
    s->marks[root] = OPEN;
    while (s->depth > 0) {
        frame *f = &s->stack[s->depth - 1];
        int32_t from = UBP_NO_NODE;
        bool more = false;
        UBP_TRY(next_read(s, f, &from, &more));
        if (!more) {
            s->marks[f->node] = DONE;
            s->order[s->done++] = f->node;
            s->depth--;
            continue;
        }
        if (from == UBP_NO_NODE || s->marks[from] == DONE)
            continue;
        if (s->marks[from] == OPEN) {
            char label[300];
            return ubp_fail(s->err, UB_ERR_FILE, "the graph has a cycle through node %s",
                            ubp_node_label(&s->g->nodes[from], label, sizeof(label)));
        }
        s->marks[from] = OPEN;
        s->stack[s->depth++] = (frame){.node = from};
    }
    return UB_OK;
}

static ub_status check_outputs(sorter *s)
{
    const ubp_graph *g = s->g;
    for (int i = 0; i < g->n_outputs; i++) {
        const ubp_value *v = &g->values[g->outputs[i]];
        if (v->producer != UBP_NO_NODE || v->is_input || v->constant)
            continue;
        if (!g->is_body)
            return ubp_fail(s->err, UB_ERR_FILE,
                            "output '%s' of the model is given by no node of it", v->name);
        UBP_TRY(capture(s, NULL, v->name));
    }
    return UB_OK;
}

/* ---- The new order -------------------------------------------------------------------------- */

static ub_status apply(sorter *s)
{
    ubp_graph *g = s->g;
    if (g->n_nodes > 0) {
        ubp_node *sorted = ubp_malloc(g->n_nodes * sizeof(ubp_node));
        if (!sorted)
            return ubp_fail_memory(s->err, g->n_nodes * sizeof(ubp_node));
        for (size_t i = 0; i < g->n_nodes; i++)
            sorted[i] = g->nodes[s->order[i]];
        ubp_free(g->nodes);
        g->nodes = sorted;
        g->cap_nodes = g->n_nodes;
    }
    ubp_table_release(&g->node_names);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const ubp_node *n = &g->nodes[i];
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] != UBP_NO_VALUE)
                g->values[n->out[k]].producer = (int32_t)i;
        if (*n->name && !n->helper)
            UBP_TRY(ubp_table_add(&g->node_names, n->name, (int32_t)i, s->err));
    }
    g->captured = ubp_arena_array(&g->arena, s->n_captured, sizeof(char *));
    if (!g->captured)
        return ubp_fail_memory(s->err, s->n_captured * sizeof(char *));
    if (s->n_captured > 0)
        memcpy(g->captured, s->captured, s->n_captured * sizeof(char *));
    g->n_captured = (int)s->n_captured;
    return UB_OK;
}

static ub_status sort(sorter *s)
{
    const size_t n = s->g->n_nodes;
    s->marks = ubp_calloc(n, 1);
    s->stack = ubp_calloc(n, sizeof(frame));
    s->order = ubp_calloc(n, sizeof(int32_t));
    if (!s->marks || !s->stack || !s->order)
        return ubp_fail_memory(s->err, n * (1 + sizeof(frame) + sizeof(int32_t)));
    for (size_t i = 0; i < n; i++)
        if (s->marks[i] == UNSEEN)
            UBP_TRY(visit(s, (int32_t)i));
    UBP_TRY(check_outputs(s));
    return apply(s);
}

ub_status ubp_graph_sort(ubp_graph *g, ub_error *err)
{
    sorter s = {.g = g, .err = err};
    const ub_status status = sort(&s);
    ubp_free(s.marks);
    ubp_free(s.stack);
    ubp_free(s.order);
    ubp_free(s.captured);
    ubp_table_release(&s.captured_names);
    return status == UB_OK ? ubp_graph_close(g, err) : status;
}
