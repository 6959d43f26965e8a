/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closing bodies: what a body reads of the graph around it becomes an input, of the node that holds
 * it and of the body itself, so that pruning, shapes, samples and running see one kind of input.
 * All bodies of a node get the same list, in the same order.
 */
#include "graph/graph.h"

#include <string.h>

/* The names that the bodies of one node capture, each once. */
typedef struct captures {
    ubp_table seen;
    const char **names; /* [n], owned; the names are the bodies' */
    size_t n, cap;
} captures;

static ub_status collect(captures *c, const ubp_node *n, ub_error *err)
{
    for (int i = 0; i < n->n_attrs; i++) {
        const ubp_graph *body = n->attrs[i].kind == UBP_ATTR_GRAPH ? n->attrs[i].graph : NULL;
        for (int k = 0; body && k < body->n_captured; k++) {
            const char *name = body->captured[k];
            if (ubp_table_find(&c->seen, name) >= 0)
                continue;
            UBP_TRY(ubp_grow((void **)&c->names, &c->cap, c->n, sizeof(char *), err));
            c->names[c->n] = name;
            UBP_TRY(ubp_table_add(&c->seen, name, (int32_t)c->n++, err));
        }
    }
    return UB_OK;
}

/* The value inside the body that stands for a captured name: that of the name, or, where this body
 * has one of its own under it, one that nothing reads. */
static ub_status inner_value(ubp_graph *body, const char *name, int32_t *out, ub_error *err)
{
    UBP_TRY(ubp_graph_value(body, name, out, err));
    const ubp_value *v = &body->values[*out];
    if (v->producer != UBP_NO_NODE || v->is_input || v->constant)
        UBP_TRY(ubp_graph_value(body, "", out, err));
    body->values[*out].is_input = true;
    return UB_OK;
}

/* A constant given to input k of the body, and handed on to the bodies in it. As deep as bodies
 * nest, which load/ bounds. */
static void push_constant(ubp_graph *body, int k, const ub_tensor *t)
{
    const int32_t value = body->inputs[k];
    ubp_value *v = &body->values[value];
    v->constant = t;
    v->dtype = t->dtype;
    v->rank = t->rank;
    memcpy(v->dims, t->dims, sizeof v->dims);
    for (size_t i = 0; i < body->n_nodes; i++) {
        const ubp_node *n = &body->nodes[i];
        for (int c = 0; c < n->n_captured; c++)
            for (int a = 0; a < n->n_attrs && n->in[n->n_in - n->n_captured + c] == value; a++)
                if (n->attrs[a].kind == UBP_ATTR_GRAPH)
                    push_constant(n->attrs[a].graph, n->attrs[a].graph->n_formal + c, t);
    }
}

/* Puts the captured names behind the body's own inputs. */
static ub_status extend_body(ubp_graph *body, const captures *c, ub_error *err)
{
    const size_t n = (size_t)body->n_inputs + c->n;
    int32_t *inputs = ubp_arena_array(&body->arena, n, sizeof(int32_t));
    const char **names = ubp_arena_array(&body->arena, n, sizeof(char *));
    if (!inputs || !names)
        return ubp_fail_memory(err, n * sizeof(char *));
    for (int i = 0; i < body->n_inputs; i++) {
        inputs[i] = body->inputs[i];
        names[i] = body->input_names[i];
    }
    for (size_t i = 0; i < c->n; i++) {
        UBP_TRY(inner_value(body, c->names[i], &inputs[(size_t)body->n_inputs + i], err));
        names[(size_t)body->n_inputs + i] = c->names[i];
    }
    body->n_formal = body->n_inputs;
    body->inputs = inputs;
    body->input_names = names;
    body->n_inputs = (int)n;
    return UB_OK;
}

static ub_status extend_node(ubp_graph *g, size_t index, const captures *c, ub_error *err)
{
    const ubp_node *n = &g->nodes[index];
    const size_t total = (size_t)n->n_in + c->n;
    if (total > INT32_MAX)
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "the bodies of node '%s' read too much", n->name);
    int32_t *in = ubp_arena_array(&g->arena, total, sizeof(int32_t));
    if (!in)
        return ubp_fail_memory(err, total * sizeof(int32_t));
    for (int i = 0; i < n->n_in; i++)
        in[i] = n->in[i];
    for (size_t i = 0; i < c->n; i++)
        UBP_TRY(ubp_graph_value(g, c->names[i], &in[(size_t)n->n_in + i], err));
    for (int a = 0; a < n->n_attrs; a++) {
        if (n->attrs[a].kind != UBP_ATTR_GRAPH)
            continue;
        UBP_TRY(extend_body(n->attrs[a].graph, c, err));
        for (size_t i = 0; i < c->n; i++)
            if (g->values[in[(size_t)n->n_in + i]].constant)
                push_constant(n->attrs[a].graph, n->attrs[a].graph->n_formal + (int)i,
                              g->values[in[(size_t)n->n_in + i]].constant);
    }
    g->nodes[index].in = in;
    g->nodes[index].n_in = (int)total;
    g->nodes[index].n_captured = (int)c->n;
    return UB_OK;
}

ub_status ubp_graph_close(ubp_graph *g, ub_error *err)
{
    ub_status st = UB_OK;
    for (size_t i = 0; i < g->n_nodes && st == UB_OK; i++) {
        captures c = {0};
        bool has_body = false;
        for (int a = 0; a < g->nodes[i].n_attrs; a++)
            has_body = has_body || g->nodes[i].attrs[a].kind == UBP_ATTR_GRAPH;
        if (!has_body)
            continue;
        st = collect(&c, &g->nodes[i], err);
        if (st == UB_OK)
            st = extend_node(g, i, &c, err);
        ubp_table_release(&c.seen);
        ubp_free(c.names);
    }
    return st;
}
