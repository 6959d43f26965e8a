/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies inside the bodies of If, Loop, Scan and SequenceMap, each value under the address that
 * ub_get takes, K in place of an iteration.
 */
#include "api/api.h"

#include <string.h>

typedef struct lister {
    ubp_inner_list *list;
    ubp_arena *arena;
    ub_error *err;
} lister;

/* A place in the tree of bodies. */
typedef struct place {
    const ubp_graph *body;
    const char *prefix; /* "LOOP/K/" */
    const char *holder; /* the node of the model's graph around it */
    int depth;
} place;

static ub_status add_value(lister *l, const place *p, int32_t v, const char *type)
{
    const ubp_value *value = &p->body->values[v];
    ubp_inner_list *list = l->list;
    if (!*value->name || strlen(p->prefix) + strlen(value->name) >= UBP_ADDRESS_SIZE)
        return UB_OK;
    UBP_TRY(ubp_grow((void **)&list->items, &list->cap, list->n, sizeof *list->items, l->err));
    ub_inner *row = &list->items[list->n];
    *row = (ub_inner){.address = ubp_arena_printf(l->arena, "%s%s", p->prefix, value->name),
                      .type = type,
                      .holder = p->holder,
                      .depth = p->depth,
                      .kind = value->kind,
                      .dtype = value->dtype,
                      .rank = value->rank};
    if (!row->address)
        return ubp_fail_memory(l->err, strlen(p->prefix));
    memcpy(row->dims, value->dims, sizeof row->dims);
    list->n++;
    return UB_OK;
}

/* "then" of "then_branch" before a slash; an iteration where there is one body only. */
static const char *step_text(const char *attr)
{
    return strcmp(attr, "then_branch") == 0   ? "then"
           : strcmp(attr, "else_branch") == 0 ? "else"
           : strcmp(attr, "body") == 0        ? "K"
                                              : NULL;
}

static ub_status list_body(lister *l, const place *p);

/* The bodies of one node of a graph whose addresses begin with prefix. */
static ub_status list_node(lister *l, const ubp_graph *g, const ubp_node *n, const place *around)
{
    for (int a = 0; a < n->n_attrs; a++) {
        const char *step = n->attrs[a].kind == UBP_ATTR_GRAPH ? step_text(n->attrs[a].name) : NULL;
        const char *title = ubp_node_title(g, n);
        if (!step || !*title || strlen(around->prefix) + strlen(title) >= UBP_ADDRESS_SIZE)
            continue;
        const place p = {.body = n->attrs[a].graph,
                         .prefix =
                             ubp_arena_printf(l->arena, "%s%s/%s/", around->prefix, title, step),
                         .holder = around->holder ? around->holder : title,
                         .depth = around->depth + 1};
        if (!p.prefix)
            return ubp_fail_memory(l->err, strlen(title));
        UBP_TRY(list_body(l, &p));
    }
    return UB_OK;
}

/* As deep as bodies nest, which load/ bounds. */
static ub_status list_body(lister *l, const place *p)
{
    for (int i = 0; i < p->body->n_formal; i++)
        UBP_TRY(add_value(l, p, p->body->inputs[i], ""));
    for (size_t i = 0; i < p->body->n_nodes; i++) {
        const ubp_node *n = &p->body->nodes[i];
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] >= 0)
                UBP_TRY(add_value(l, p, n->out[k], n->op_type));
        UBP_TRY(list_node(l, p->body, n, p));
    }
    return UB_OK;
}

ub_status ubp_inner_values(ubp_inner_list *out, const ubp_graph *g, ubp_arena *arena, ub_error *err)
{
    lister l = {.list = out, .arena = arena, .err = err};
    const place top = {.prefix = ""};
    for (size_t i = 0; i < g->n_nodes; i++)
        UBP_TRY(list_node(&l, g, &g->nodes[i], &top));
    return UB_OK;
}
