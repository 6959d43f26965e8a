/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers of files that know no modules (tf2onnx, Keras on torch, tools of all kinds): every named
 * node is one, under its own name. A node that was rewritten into several is still one layer.
 */
#include "load/onnx_layers.h"

#include <string.h>

/* One file node: nodes first .. first + n - 1 of the graph. */
typedef struct group {
    const ubp_graph *g;
    int32_t first, n;
} group;

/* The nodes made from one of the file: one node, and helpers of the same name around it. */
static group next_group(const ubp_graph *g, int32_t first)
{
    group out = {g, first, 1};
    bool main_seen = !g->nodes[first].helper;
    while (first + out.n < (int32_t)g->n_nodes) {
        const ubp_node *n = &g->nodes[first + out.n];
        if (strcmp(n->name, g->nodes[first].name) != 0 || !*n->name || (!n->helper && main_seen))
            break;
        main_seen |= !n->helper;
        out.n++;
    }
    return out;
}

static bool made_inside(const group *p, int32_t value)
{
    const int32_t producer = p->g->values[value].producer;
    return producer >= p->first && producer < p->first + p->n;
}

static bool is_listed(const int32_t *list, int n, int32_t value)
{
    for (int i = 0; i < n; i++)
        if (list[i] == value)
            return true;
    return false;
}

/* What it reads, weights aside. A node with very many inputs may name one twice. */
static int list_inputs(const group *p, int32_t *to)
{
    enum { MAX_CHECKED = 64 };
    int count = 0;
    for (int32_t i = p->first; i < p->first + p->n; i++) {
        const ubp_node *n = &p->g->nodes[i];
        for (int k = 0; k < n->n_in; k++) {
            const int32_t v = n->in[k];
            if (v == UBP_NO_VALUE || p->g->values[v].constant || made_inside(p, v) ||
                is_listed(to, count < MAX_CHECKED ? count : MAX_CHECKED, v))
                continue;
            to[count++] = v;
        }
    }
    return count;
}

/* What the file says it makes; values between the parts of a rewritten node have no names. */
static int list_outputs(const group *p, int32_t *to)
{
    int count = 0;
    for (int32_t i = p->first; i < p->first + p->n; i++) {
        const ubp_node *n = &p->g->nodes[i];
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] != UBP_NO_VALUE && *p->g->values[n->out[k]].name)
                to[count++] = n->out[k];
    }
    return count;
}

static ub_status write_layer(ubp_graph *g, const group *p, ubp_layer *l, ub_error *err)
{
    size_t n_in = 0, n_out = 0;
    const ubp_node *named = &g->nodes[p->first];
    for (int32_t i = p->first; i < p->first + p->n; i++) {
        n_in += (size_t)g->nodes[i].n_in;
        n_out += (size_t)g->nodes[i].n_out;
        if (!g->nodes[i].helper)
            named = &g->nodes[i];
    }
    int32_t *in = ubp_arena_array(&g->arena, n_in, sizeof(int32_t));
    int32_t *out = ubp_arena_array(&g->arena, n_out, sizeof(int32_t));
    int32_t *nodes = ubp_arena_array(&g->arena, (size_t)p->n, sizeof(int32_t));
    if (!in || !out || !nodes)
        return ubp_fail_memory(err, (n_in + n_out + (size_t)p->n) * sizeof(int32_t));
    for (int32_t i = 0; i < p->n; i++)
        nodes[i] = p->first + i;
    *l = (ubp_layer){.path = named->name,
                     .name = named->name,
                     .type = named->op_type,
                     .depth = 1,
                     .is_node = true,
                     .parent = -1,
                     .n_in = list_inputs(p, in),
                     .n_out = list_outputs(p, out),
                     .n_nodes = p->n,
                     .in = in,
                     .out = out,
                     .nodes = nodes};
    return UB_OK;
}

/* The second node of a name is "name#1". n_same: of each layer, how many more have its name. */
static ub_status name_layer(ubp_graph *g, ubp_layer *l, int32_t number, int *n_same, ub_error *err)
{
    const int32_t same = ubp_table_find(&g->layer_names, l->name);
    if (same >= 0) {
        l->call = ++n_same[same];
        l->name = ubp_arena_printf(&g->arena, "%s#%d", l->path, l->call);
        if (!l->name)
            return ubp_fail_memory(err, strlen(l->path));
    }
    return ubp_table_add(&g->layer_names, l->name, number, err);
}

ub_status ubp_layers_of_nodes(ubp_graph *g, ub_error *err)
{
    int *n_same = ubp_calloc(g->n_nodes, sizeof(int));
    ub_status status = n_same ? UB_OK : ubp_fail_memory(err, g->n_nodes * sizeof(int));
    g->layers = ubp_arena_array(&g->arena, g->n_nodes, sizeof(ubp_layer));
    if (!g->layers && status == UB_OK)
        status = ubp_fail_memory(err, g->n_nodes * sizeof(ubp_layer));
    for (int32_t i = 0; i < (int32_t)g->n_nodes && status == UB_OK;) {
        const group p = next_group(g, i);
        i += p.n;
        if (!*g->nodes[p.first].name)
            continue;
        ubp_layer *l = &g->layers[g->n_layers];
        status = write_layer(g, &p, l, err);
        if (status == UB_OK)
            status = name_layer(g, l, (int32_t)g->n_layers, n_same, err);
        for (int32_t k = p.first; k < i && status == UB_OK; k++)
            g->nodes[k].layer = (int32_t)g->n_layers;
        g->n_layers += status == UB_OK;
    }
    ubp_free(n_same);
    return status;
}
