/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building a graph: values by name, made-up constants, nodes. What goes in is copied into the
 * graph, so the caller's arrays may be temporary; strings of nodes and attributes are not copied.
 * Numbers of values and nodes are int32_t: more than that is refused.
 */
#include "graph/graph.h"

#include <stdio.h>
#include <string.h>

enum { MAX_ITEMS = INT32_MAX };

/* ---- Life ------------------------------------------------------------------------------------ */

ub_status ubp_graph_new(ubp_graph **out, ub_error *err)
{
    *out = ubp_calloc(1, sizeof(ubp_graph));
    if (!*out)
        return ubp_fail_memory(err, sizeof(ubp_graph));
    (*out)->producer = "";
    return UB_OK;
}

static void release(ubp_graph *g)
{
    ubp_table_release(&g->value_names);
    ubp_table_release(&g->node_names);
    ubp_table_release(&g->layer_names);
    ubp_arena_release(&g->arena);
    ubp_free(g->values);
    ubp_free(g->nodes);
    ubp_free(g);
}

/* Bodies nest as deep as the file says, so the graphs still to free are kept in a list. */
void ubp_graph_free(ubp_graph *g)
{
    if (g)
        g->next_body = NULL;
    while (g) {
        ubp_graph *rest = g->next_body;
        for (ubp_graph *b = g->bodies; b;) {
            ubp_graph *next = b->next_body;
            b->next_body = rest;
            rest = b;
            b = next;
        }
        release(g);
        g = rest;
    }
}

ub_status ubp_graph_body(ubp_graph *g, ubp_graph **out, ub_error *err)
{
    UBP_TRY(ubp_graph_new(out, err));
    (*out)->is_body = true;
    (*out)->next_body = g->bodies;
    g->bodies = *out;
    return UB_OK;
}

/* ---- Values ---------------------------------------------------------------------------------- */

ub_status ubp_graph_value(ubp_graph *g, const char *name, int32_t *out, ub_error *err)
{
    *out = *name ? ubp_table_find(&g->value_names, name) : UBP_NO_VALUE;
    if (*out != UBP_NO_VALUE)
        return UB_OK;
    if (g->n_values >= MAX_ITEMS)
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "the model has more than %d values", MAX_ITEMS);
    const char *copy = "";
    if (*name && !(copy = ubp_arena_strdup(&g->arena, name)))
        return ubp_fail_memory(err, strlen(name));
    UBP_TRY(ubp_grow((void **)&g->values, &g->cap_values, g->n_values, sizeof(ubp_value), err));
    const int32_t number = (int32_t)g->n_values;
    if (*name)
        UBP_TRY(ubp_table_add(&g->value_names, copy, number, err));
    g->values[g->n_values++] = (ubp_value){.name = copy,
                                           .dtype = UB_UNDEFINED,
                                           .rank = -1,
                                           .producer = UBP_NO_NODE,
                                           .producer_out = -1};
    *out = number;
    return UB_OK;
}

ub_status ubp_graph_constant(ubp_graph *g, const ub_tensor *t, int32_t *out, ub_error *err)
{
    const size_t bytes = ubp_tensor_bytes(t);
    ub_tensor *copy = ubp_arena_alloc(&g->arena, sizeof(*copy));
    void *data = ubp_arena_alloc(&g->arena, bytes);
    if (!copy || !data)
        return ubp_fail_memory(err, bytes);
    *copy = *t;
    copy->buffer = NULL;
    copy->data = data;
    ubp_tensor_set_strides(copy);
    ubp_tensor_move(copy, t);

    UBP_TRY(ubp_graph_value(g, "", out, err));
    ubp_value *v = &g->values[*out];
    v->constant = copy;
    v->dtype = t->dtype;
    v->rank = t->rank;
    memcpy(v->dims, t->dims, sizeof(v->dims));
    return UB_OK;
}

ub_status ubp_graph_ints(ubp_graph *g, const int64_t *v, int n, int32_t *out, ub_error *err)
{
    ub_tensor t = {0};
    const int64_t count = n;
    UBP_TRY(ubp_tensor_describe(&t, UB_I64, n < 0 ? 0 : 1, &count, err));
    t.data = (void *)(uintptr_t)v; /* only read */
    return ubp_graph_constant(g, &t, out, err);
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

const char *ubp_node_label(const ubp_node *n, char *text, size_t size)
{
    if (*n->name)
        snprintf(text, size, "'%s' (%s)", n->name, n->op_type);
    else
        snprintf(text, size, "number %d (%s)", (int)n->order, n->op_type);
    return text;
}

/* Who gives the value already: "node 'a' (Add)", "an input of the model", "an initializer". */
static ub_status fail_given_twice(const ubp_graph *g, const ubp_node *node, const ubp_value *v,
                                  ub_error *err)
{
    char label[300], other[300];
    const char *what = v->is_input ? "an input" : "a weight";
    if (v->producer != UBP_NO_NODE)
        what = ubp_node_label(&g->nodes[v->producer], other, sizeof(other));
    return ubp_fail(err, UB_ERR_FILE, "value '%s' is given twice: by node %s and by %s%s", v->name,
                    ubp_node_label(node, label, sizeof(label)),
                    v->producer != UBP_NO_NODE ? "node " : "", what);
}

/* A copy of n values in the arena. */
static ub_status copy_list(ubp_graph *g, const int32_t **list, int n, ub_error *err)
{
    const size_t bytes = (size_t)n * sizeof(int32_t);
    int32_t *copy = ubp_arena_alloc(&g->arena, bytes);
    if (!copy)
        return ubp_fail_memory(err, bytes);
    if (n > 0)
        memcpy(copy, *list, bytes);
    *list = copy;
    return UB_OK;
}

static ub_status copy_attrs(ubp_graph *g, ubp_node *node, ub_error *err)
{
    const size_t bytes = (size_t)node->n_attrs * sizeof(ubp_attr);
    ubp_attr *copy = ubp_arena_alloc(&g->arena, bytes);
    if (!copy)
        return ubp_fail_memory(err, bytes);
    if (bytes > 0)
        memcpy(copy, node->attrs, bytes);
    node->attrs = copy;
    return UB_OK;
}

ub_status ubp_graph_node(ubp_graph *g, const ubp_node *node, int32_t *out, ub_error *err)
{
    if (g->n_nodes >= MAX_ITEMS)
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "the model has more than %d nodes", MAX_ITEMS);
    const int32_t number = (int32_t)g->n_nodes;
    ubp_node n = *node;
    n.order = number;
    n.layer = -1;
    UBP_TRY(copy_list(g, &n.in, n.n_in, err));
    UBP_TRY(copy_list(g, &n.out, n.n_out, err));
    UBP_TRY(copy_attrs(g, &n, err));
    UBP_TRY(ubp_grow((void **)&g->nodes, &g->cap_nodes, g->n_nodes, sizeof(ubp_node), err));
    g->nodes[g->n_nodes++] = n;
    for (int k = 0; k < n.n_out; k++) {
        if (n.out[k] == UBP_NO_VALUE)
            continue;
        ubp_value *v = &g->values[n.out[k]];
        if (v->producer != UBP_NO_NODE || v->is_input || v->constant)
            return fail_given_twice(g, &n, v, err);
        v->producer = number;
        v->producer_out = k;
    }
    if (out)
        *out = number;
    return UB_OK;
}

const char *ubp_node_title(const ubp_graph *g, const ubp_node *n)
{
    if (n->name[0] || n->n_out == 0 || n->out[0] < 0)
        return n->name;
    return g->values[n->out[0]].name;
}

const ubp_attr *ubp_node_attr(const ubp_node *n, const char *name)
{
    for (int i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, name) == 0)
            return &n->attrs[i];
    return NULL;
}
