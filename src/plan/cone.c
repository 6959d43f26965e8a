/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pruning: the nodes that the wanted values hang on. A backward walk over producers with a stack of
 * its own (no recursion: depth is the file's), then the marked nodes in the graph's order.
 */
#include "plan/plan.h"

typedef struct walk {
    const ubp_ask *ask;
    bool *value_seen, *node_seen, *given;
    int32_t *stack;
    size_t depth;
} walk;

static void push(walk *w, int32_t value)
{
    if (value < 0 || w->value_seen[value])
        return;
    w->value_seen[value] = true;
    w->stack[w->depth++] = value;
}

/* Every op in the cone that is not known, one line. */
static ub_status refuse_unknown(const walk *w, ub_error *err)
{
    ubp_text list = {0};
    ub_status st = ubp_unknown_ops(&list, w->ask->graph, w->node_seen, err);
    if (st == UB_OK && list.len)
        st = ubp_fail(err, UB_ERR_UNSUPPORTED, "not supported: %s", list.s);
    ubp_text_free(&list);
    return st;
}

/* Model inputs in the cone that nobody gave. */
static ub_status refuse_missing(const walk *w, ub_error *err)
{
    const ubp_graph *g = w->ask->graph;
    for (int i = 0; i < g->n_inputs; i++) {
        int32_t v = g->inputs[i];
        if (w->value_seen[v] && !w->given[v] && !g->values[v].constant)
            return ubp_fail(err, UB_ERR_ARGUMENT, "input '%s' is needed and was not given",
                            g->values[v].name);
    }
    return UB_OK;
}

ub_status ubp_cone(const ubp_ask *ask, int32_t **out, int *count, ubp_arena *arena, ub_error *err)
{
    const ubp_graph *g = ask->graph;
    walk w = {.ask = ask};
    w.value_seen = ubp_arena_array(arena, g->n_values + 1, sizeof *w.value_seen);
    w.node_seen = ubp_arena_array(arena, g->n_nodes + 1, sizeof *w.node_seen);
    w.given = ubp_arena_array(arena, g->n_values + 1, sizeof *w.given);
    w.stack = ubp_arena_array(arena, g->n_values + 1, sizeof *w.stack);
    int32_t *nodes = ubp_arena_array(arena, g->n_nodes + 1, sizeof *nodes);
    if (!w.value_seen || !w.node_seen || !w.stack || !nodes || !w.given)
        return ubp_fail_memory(err, g->n_values * sizeof *w.stack);
    for (int i = 0; i < ask->n_given; i++)
        w.given[ask->given[i].value] = true;
    for (int i = 0; i < ask->n_wanted; i++)
        push(&w, ask->wanted[i]);
    while (w.depth > 0) {
        int32_t v = w.stack[--w.depth];
        int32_t p = g->values[v].producer;
        if (w.given[v] || g->values[v].constant || p < 0 || w.node_seen[p])
            continue;
        w.node_seen[p] = true;
        for (int i = 0; i < g->nodes[p].n_in; i++)
            push(&w, g->nodes[p].in[i]);
    }
    int n = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (w.node_seen[i])
            nodes[n++] = (int32_t)i;
    *out = nodes;
    *count = n;
    if (ask->partial)
        return UB_OK;
    UBP_TRY(refuse_unknown(&w, err));
    return refuse_missing(&w, err);
}
