/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers of an ONNX file: the module tree of the framework, where the exporter left traces of it,
 * else the nodes under their own names. In: a sorted graph, metadata of its nodes, the names of
 * weights. Out: g->layers, node->layer, g->layer_names. Time and memory grow with nodes times depth
 * of modules.
 */
#include "load/onnx_layers.h"

#include <string.h>

/* ---- Shared by the files of the finder ------------------------------------------------------- */

void *ubp_finder_array(ubp_finder *f, size_t count, size_t size)
{
    void *p = ubp_arena_array(&f->arena, count, size);
    if (!p)
        ubp_fail_memory(f->err, count);
    return p;
}

ub_status ubp_module_find(ubp_finder *f, const char *path, int32_t *out)
{
    *out = ubp_table_find(&f->module_ids, path);
    if (*out >= 0)
        return UB_OK;
    const char *copy = ubp_arena_strdup(&f->arena, path);
    if (!copy)
        return ubp_fail_memory(f->err, strlen(path));
    UBP_TRY(
        ubp_grow((void **)&f->modules, &f->cap_modules, f->n_modules, sizeof(*f->modules), f->err));
    *out = (int32_t)f->n_modules;
    f->modules[f->n_modules++] = (ubp_module){.path = copy, .type = ""};
    return ubp_table_add(&f->module_ids, copy, *out, f->err);
}

bool ubp_path_within(const char *path, const char *ancestor)
{
    const size_t n = strlen(ancestor);
    return strncmp(path, ancestor, n) == 0 && (path[n] == '.' || path[n] == '\0');
}

ub_status ubp_scope_add(ubp_finder *f, int32_t module, int32_t mark)
{
    UBP_TRY(ubp_grow((void **)&f->scopes, &f->cap_scopes, f->n_scopes, sizeof(*f->scopes), f->err));
    f->scopes[f->n_scopes++] = (ubp_scope){.module = module, .mark = mark, .call = -1};
    return UB_OK;
}

const ubp_module *ubp_node_module(const ubp_finder *f, int32_t node)
{
    const int32_t n = f->n_scoped[node];
    return n > 0 ? &f->modules[f->scopes[f->scope_at[node] + (size_t)n - 1].module] : NULL;
}

bool ubp_is_op(const ubp_node *n, const char *const *ops, int count)
{
    if (*n->domain)
        return false;
    for (int i = 0; i < count; i++)
        if (strcmp(n->op_type, ops[i]) == 0)
            return true;
    return false;
}

/* ---- Nodes without a place ------------------------------------------------------------------- */

/* What a node reads and what reads it may not be what it was in the framework. */
static void doubt_edges(ubp_finder *f, int32_t node)
{
    const ubp_node *n = &f->g->nodes[node];
    for (size_t r = f->read_first[node]; r < f->read_first[node + 1]; r++)
        f->edges[r] = UBP_EDGE_FUSED;
    for (int k = 0; k < n->n_out; k++)
        for (size_t u = n->out[k] == UBP_NO_VALUE ? 0 : f->use_first[n->out[k]];
             n->out[k] != UBP_NO_VALUE && u < f->use_first[n->out[k] + 1]; u++)
            f->edges[f->use_reads[u]] = UBP_EDGE_FUSED;
}

/* A data node without metadata between two nodes of one module belongs to it too: otherwise it
 * would cut the module's run of nodes in two, and each half would pass for a call. Where the two
 * are of different modules, it may belong to either. Plain hand-overs (Identity) need no place.
 * What this may add is bounded by what the file itself says. */
static ub_status place_between(ubp_finder *f, int32_t node, int32_t before, int32_t after,
                               size_t *allowed)
{
    const ubp_scope *a = &f->scopes[f->scope_at[before]], *b = &f->scopes[f->scope_at[after]];
    const int32_t n_a = f->n_scoped[before], n_b = f->n_scoped[after];
    int32_t n = 0;
    while (n < n_a && n < n_b && a[n].module == b[n].module)
        n++;
    /* Two nodes of one operator module are more likely two calls of it. */
    if (n > 0 && n == n_a && n == n_b &&
        strncmp(f->modules[a[n - 1].module].type, "torch.nn.", strlen("torch.nn.")) == 0)
        n--;
    if (n < n_a || n < n_b)
        doubt_edges(f, node);
    if (n == 0 || (size_t)n > *allowed)
        return UB_OK;
    *allowed -= (size_t)n;
    f->scope_at[node] = f->n_scopes;
    f->n_scoped[node] = n;
    for (int32_t i = 0; i < n; i++)
        UBP_TRY(ubp_scope_add(f, f->scopes[f->scope_at[before] + (size_t)i].module, UBP_ANY_MARK));
    return UB_OK;
}

static ub_status place_unscoped(ubp_finder *f)
{
    static const char *const identity[] = {"Identity"};
    const int32_t n_nodes = (int32_t)f->g->n_nodes;
    size_t allowed = f->n_scopes + f->g->n_nodes;
    int32_t before = -1;
    for (int32_t i = 0; i < n_nodes; i++) {
        if (f->node_flow[i] != UBP_FLOW_DATA)
            continue;
        if (f->n_scoped[i] >= 0) {
            before = i;
            continue;
        }
        int32_t after = i + 1;
        while (after < n_nodes && (f->n_scoped[after] < 0 || f->node_flow[after] != UBP_FLOW_DATA))
            after++;
        for (; before >= 0 && after < n_nodes && i < after; i++)
            if (f->n_scoped[i] < 0 && f->node_flow[i] == UBP_FLOW_DATA &&
                !ubp_is_op(&f->g->nodes[i], identity, UBP_COUNT(identity)))
                UBP_TRY(place_between(f, i, before, after, &allowed));
        i = after - 1;
    }
    return UB_OK;
}

static void find_parents(ubp_finder *f)
{
    for (size_t i = 0; i < f->g->n_nodes; i++)
        for (int32_t j = 0; f->node_flow[i] == UBP_FLOW_DATA && j + 1 < f->n_scoped[i]; j++)
            f->modules[f->scopes[f->scope_at[i] + (size_t)j].module].has_children = true;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static ub_status prepare(ubp_finder *f)
{
    const size_t n_nodes = f->g->n_nodes, n_values = f->g->n_values;
    f->scope_at = ubp_finder_array(f, n_nodes, sizeof(size_t));
    f->n_scoped = ubp_finder_array(f, n_nodes, sizeof(int32_t));
    f->node_stamp = ubp_finder_array(f, n_nodes, sizeof(int32_t));
    f->node_pos = ubp_finder_array(f, n_nodes, sizeof(int32_t));
    f->made_stamp = ubp_finder_array(f, n_values, sizeof(int32_t));
    f->read_stamp = ubp_finder_array(f, n_values, sizeof(int32_t));
    const bool all = f->scope_at && f->n_scoped && f->node_stamp && f->node_pos && f->made_stamp &&
                     f->read_stamp;
    return all ? UB_OK : UB_ERR_MEMORY;
}

static ub_status find_layers(ubp_finder *f)
{
    bool known = true;
    UBP_TRY(prepare(f));
    if (f->dynamo)
        UBP_TRY(ubp_scopes_dynamo(f, &known));
    else
        UBP_TRY(ubp_scopes_torchscript(f));
    if (!known)
        return ubp_layers_of_nodes(f->g, f->err);
    UBP_TRY(ubp_flow_find(f));
    find_parents(f);
    UBP_TRY(ubp_merged_find(f));
    UBP_TRY(place_unscoped(f));
    find_parents(f);
    UBP_TRY(ubp_calls_find(f));
    UBP_TRY(ubp_folded_find(f));
    return ubp_layers_write(f);
}

/* "pytorch", perhaps with a version behind it. */
static bool is_pytorch(const char *producer)
{
    static const char name[] = "pytorch";
    const size_t n = sizeof(name) - 1;
    return strncmp(producer, name, n) == 0 && (producer[n] == '\0' || producer[n] == ' ');
}

ub_status ubp_onnx_layers(ubp_graph *g, const char *producer_name, const ubp_onnx_meta *meta,
                          const char *const *initializers, size_t n_initializers, ub_error *err)
{
    bool dynamo = false, slashes = false;
    for (size_t i = 0; i < g->n_nodes; i++) {
        dynamo |= meta[i].name_scopes != NULL;
        slashes |= g->nodes[i].name[0] == '/';
    }
    if (!dynamo && !(slashes && is_pytorch(producer_name)))
        return ubp_layers_of_nodes(g, err);

    ubp_finder f = {.g = g,
                    .meta = meta,
                    .initializers = initializers,
                    .n_initializers = n_initializers,
                    .dynamo = dynamo,
                    .err = err};
    const ub_status status = find_layers(&f);
    ubp_table_release(&f.module_ids);
    ubp_free(f.modules);
    ubp_free(f.scopes);
    ubp_free(f.calls);
    ubp_free(f.folded);
    ubp_arena_release(&f.arena);
    return status;
}
