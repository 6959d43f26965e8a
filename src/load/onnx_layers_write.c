/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last step of the layer finder: calls and folded modules become the graph's layers, in the
 * order in which they begin, with their borders, their names, and, where a value is not in the
 * file, the reason instead.
 */
#include "load/onnx_layers.h"

#include <stdlib.h>
#include <string.h>

static const char KEEP_DYNAMO[] =
    "export with optimize=False (torch.onnx.export(..., dynamo=True)) or use .pt2";
static const char KEEP_TORCHSCRIPT[] =
    "export with torch.onnx.export(..., dynamo=True, optimize=False) or use .pt2";

/* Something that becomes a layer: a call, a piece of a call, or a folded module. */
typedef struct entry {
    int32_t node, depth; /* where it begins; outer modules first */
    int32_t call, piece; /* piece -1: the whole call */
    int32_t folded;      /* or -1 */
} entry;

typedef struct writer {
    ubp_finder *f;
    entry *entries;
    size_t n_entries, cap_entries;
    bool *uncertain; /* [n_modules] its calls cannot be counted */
    int32_t **nodes; /* [n_calls] all nodes of each, in the graph's arena */
    int32_t *n_nodes;
} writer;

static ub_status text_or_memory(const ubp_finder *f, const char *text)
{
    return text ? UB_OK : ubp_fail_memory(f->err, 1);
}

/* ---- Nodes that are not data --------------------------------------------------------------------
 */

static ub_status add_empty_call(ubp_finder *f, int32_t node, int32_t j)
{
    ubp_scope *s = &f->scopes[f->scope_at[node] + (size_t)j];
    ubp_module *m = &f->modules[s->module];
    ubp_module_call c = {.module = s->module,
                         .index = m->n_calls++,
                         .parent = j > 0 ? s[-1].call : -1,
                         .depth = j + 1,
                         .first_node = node,
                         .mark = UBP_ANY_MARK,
                         .repeats = 1,
                         .layer = -1};
    c.no_in = c.no_out = ubp_arena_printf(&f->g->arena,
                                          "module '%s' does nothing in this file but arithmetic on"
                                          " constants and shapes",
                                          m->path);
    UBP_TRY(text_or_memory(f, c.no_in));
    UBP_TRY(ubp_grow((void **)&f->calls, &f->cap_calls, f->n_calls, sizeof(c), f->err));
    s->call = (int32_t)f->n_calls;
    f->calls[f->n_calls++] = c;
    return UB_OK;
}

/* Shapes and constants belong to the call that runs, else to the module's next one, else to its
 * last one. */
static ub_status place_rest(ubp_finder *f)
{
    int32_t *next = ubp_finder_array(f, f->n_calls, sizeof(int32_t)); /* call of the same module */
    int32_t *first = ubp_finder_array(f, f->n_modules, sizeof(int32_t));
    int32_t *current = ubp_finder_array(f, f->n_modules, sizeof(int32_t));
    int64_t *seen_at = ubp_finder_array(f, f->n_modules, sizeof(int64_t));
    if (!next || !first || !current || !seen_at)
        return UB_ERR_MEMORY;
    for (size_t m = 0; m < f->n_modules; m++)
        first[m] = current[m] = -1;
    for (int32_t c = (int32_t)f->n_calls - 1; c >= 0; c--) {
        next[c] = first[f->calls[c].module];
        first[f->calls[c].module] = c;
    }
    int64_t turn = 0;
    for (int32_t i = 0; i < (int32_t)f->g->n_nodes; i++) {
        const bool data = f->node_flow[i] == UBP_FLOW_DATA;
        turn += data;
        for (int32_t j = 0; j < f->n_scoped[i]; j++) {
            ubp_scope *s = &f->scopes[f->scope_at[i] + (size_t)j];
            const int32_t m = s->module;
            if (data) {
                current[m] = s->call;
                seen_at[m] = turn;
                continue;
            }
            const int32_t coming = current[m] < 0 ? first[m] : next[current[m]];
            s->call = coming >= 0 && (current[m] < 0 || seen_at[m] != turn) ? coming : current[m];
            if (s->call >= 0)
                continue;
            UBP_TRY(add_empty_call(f, i, j));
            first[m] = current[m] = s->call;
        }
    }
    return UB_OK;
}

static ub_status list_all_nodes(writer *w)
{
    ubp_finder *f = w->f;
    w->nodes = ubp_finder_array(f, f->n_calls, sizeof(int32_t *));
    w->n_nodes = ubp_finder_array(f, f->n_calls, sizeof(int32_t));
    if (!w->nodes || !w->n_nodes)
        return UB_ERR_MEMORY;
    for (size_t s = 0; s < f->n_scopes; s++)
        if (f->scopes[s].call >= 0)
            w->n_nodes[f->scopes[s].call]++;
    for (size_t c = 0; c < f->n_calls; c++) {
        w->nodes[c] = ubp_arena_array(&f->g->arena, (size_t)w->n_nodes[c], sizeof(int32_t));
        if (!w->nodes[c])
            return ubp_fail_memory(f->err, (size_t)w->n_nodes[c]);
        w->n_nodes[c] = 0;
    }
    for (size_t i = 0; i < f->g->n_nodes; i++)
        for (int32_t j = 0; j < f->n_scoped[i]; j++) {
            const int32_t c = f->scopes[f->scope_at[i] + (size_t)j].call;
            if (c >= 0)
                w->nodes[c][w->n_nodes[c]++] = (int32_t)i;
        }
    return UB_OK;
}

/* ---- What becomes a layer, in which order
 * -------------------------------------------------------- */

static ub_status add_entry(writer *w, entry e)
{
    UBP_TRY(
        ubp_grow((void **)&w->entries, &w->cap_entries, w->n_entries, sizeof(entry), w->f->err));
    w->entries[w->n_entries++] = e;
    return UB_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    if (x->folded != y->folded)
        return x->folded > y->folded ? -1 : 1; /* the convolution before its norm */
    if (x->call != y->call)
        return x->call < y->call ? -1 : 1;
    return x->piece < y->piece ? -1 : x->piece > y->piece;
}

static ub_status list_entries(writer *w)
{
    ubp_finder *f = w->f;
    w->uncertain = ubp_finder_array(f, f->n_modules, sizeof(bool));
    if (!w->uncertain)
        return UB_ERR_MEMORY;
    for (int32_t c = 0; c < (int32_t)f->n_calls; c++) {
        const ubp_module_call *call = &f->calls[c];
        const bool alone = f->modules[call->module].n_calls == 1;
        entry e = {call->first_node, call->depth, c, -1, -1};
        UBP_TRY(add_entry(w, e));
        w->uncertain[call->module] |= call->repeats > 1;
        if (!alone || call->uneven)
            continue;
        const size_t length = call->n_nodes / (size_t)call->repeats;
        for (e.piece = 0; call->repeats > 1 && e.piece < call->repeats; e.piece++) {
            e.node = f->call_nodes[call->nodes + (size_t)e.piece * length];
            UBP_TRY(add_entry(w, e));
        }
    }
    for (int32_t k = 0; k < (int32_t)f->n_folded; k++) {
        const ubp_folded *folded = &f->folded[k];
        UBP_TRY(add_entry(w, (entry){folded->node, folded->depth, -1, -1, k}));
    }
    if (w->n_entries > 0)
        qsort(w->entries, w->n_entries, sizeof(entry), compare_entries);
    for (size_t i = 0; i < w->n_entries; i++)
        if (w->entries[i].call >= 0 && w->entries[i].piece < 0)
            f->calls[w->entries[i].call].layer = (int32_t)i;
    return UB_OK;
}

/* ---- Reasons
 * ------------------------------------------------------------------------------------- */

/* A module that is one operator with weights reads what it is given, wherever that was made. */
static bool is_operator(const ubp_finder *f, const ubp_module_call *c)
{
    const ubp_module *m = &f->modules[c->module];
    if (m->has_children)
        return false;
    if (*m->type)
        return strncmp(m->type, "torch.nn.modules.", strlen("torch.nn.modules.")) == 0;
    for (size_t i = 0; i < c->n_nodes; i++) {
        const int32_t node = f->call_nodes[c->nodes + i];
        for (size_t r = f->read_first[node]; r < f->read_first[node + 1]; r++) {
            const ubp_value *v = &f->g->values[f->reads[r]];
            if (v->constant && ubp_path_within(v->name, m->path))
                return true;
        }
    }
    return false;
}

/* Whether an operator module has no views of its own that could have been fused away. */
static bool ends_plainly(const ubp_finder *f, const ubp_module_call *c, int32_t node)
{
    const char *type = f->modules[c->module].type, *path = f->modules[c->module].path;
    if (c->n_nodes == 1 || strncmp(type, "torch.nn.modules.linear.", 24) == 0)
        return true;
    for (size_t r = f->read_first[node]; r < f->read_first[node + 1] && !*type; r++)
        if (f->g->values[f->reads[r]].constant &&
            ubp_path_within(f->g->values[f->reads[r]].name, path))
            return true; /* its bias */
    return false;
}

/* Whether a value is surely what the call gave: that of an operator with weights or of torch.nn, or
 * of a Sequential that ends in one. */
static bool is_sure_output(const ubp_finder *f, const ubp_module_call *c, int32_t value)
{
    const int32_t node = f->g->values[value].producer;
    const int32_t last = node == UBP_NO_NODE ? -1 : f->n_scoped[node] - 1;
    for (int32_t j = last; j >= c->depth - 1; j--) {
        const ubp_module_call *inner = &f->calls[f->scopes[f->scope_at[node] + (size_t)j].call];
        if (j == last ? !is_operator(f, inner) || !ends_plainly(f, inner, node)
                      : !ubp_call_is_sequential(f, inner))
            return false;
    }
    return last >= c->depth - 1;
}

static ub_status explain_doubts(const ubp_finder *f, ubp_layer *l, const ubp_border *b,
                                const ubp_module_call *c)
{
    char label[300];
    const char *keep = f->dynamo ? KEEP_DYNAMO : KEEP_TORCHSCRIPT;
    if (b->doubt_in >= 0 && !l->no_in &&
        !(b->doubt_in_kind == UBP_EDGE_SHARED && is_operator(f, c))) {
        ubp_node_label(&f->g->nodes[b->doubt_in], label, sizeof(label));
        l->no_in =
            b->doubt_in_kind == UBP_EDGE_SHARED
                ? ubp_arena_printf(&f->g->arena,
                                   "the input of '%s' is not certain in this file: what node %s"
                                   " reads was merged with an equal operation elsewhere; %s",
                                   l->path, label, keep)
                : ubp_arena_printf(&f->g->arena,
                                   "the input of '%s' is not certain in this file: an operation"
                                   " was fused with another at node %s; %s",
                                   l->path, label, keep);
        UBP_TRY(text_or_memory(f, l->no_in));
    }
    if (b->doubt_out >= 0 && !l->no_out && !(b->n_out == 1 && is_sure_output(f, c, b->out[0]))) {
        ubp_node_label(&f->g->nodes[b->doubt_out], label, sizeof(label));
        l->no_out = ubp_arena_printf(&f->g->arena,
                                     "the output of '%s' is not certain in this file: an operation"
                                     " was fused with another at node %s; %s",
                                     l->path, label, keep);
        UBP_TRY(text_or_memory(f, l->no_out));
    }
    return UB_OK;
}

/* A recurrent module whose sequence nothing uses has lost it; wrappers around it may well give
 * only h. */
static ub_status explain_sequence(const ubp_finder *f, ubp_layer *l, const ubp_border *b,
                                  const ubp_module_call *c)
{
    const ubp_module *m = &f->modules[c->module];
    const bool wrapper =
        *m->type ? strncmp(m->type, "torch.nn.modules.rnn.", 21) != 0 : m->has_children;
    if (!b->no_sequence || wrapper || l->no_out)
        return UB_OK;
    l->no_out = ubp_arena_printf(&f->g->arena,
                                 "the output of '%s' (its sequence) is not in this file: nothing"
                                 " uses it; of its last states there is '%s'",
                                 l->path, f->g->values[b->out[0]].name);
    return text_or_memory(f, l->no_out);
}

static bool same_inputs(const ubp_border *a, const ubp_border *b)
{
    return a->n_in == b->n_in &&
           (a->n_in == 0 || memcmp(a->in, b->in, (size_t)a->n_in * sizeof(int32_t)) == 0);
}

/* A run that may be one call or several in a row. */
static ub_status explain_repeats(writer *w, ubp_layer *l, const ubp_border *b,
                                 const ubp_module_call *c)
{
    ubp_finder *f = w->f;
    ubp_border first = {0};
    const size_t length = c->n_nodes / (size_t)c->repeats;
    if (f->modules[c->module].n_calls > 1 || c->uneven) {
        l->no_in = l->no_out = ubp_arena_printf(
            &f->g->arena, "this file does not tell the calls of '%s' apart: use .pt2", l->path);
        return text_or_memory(f, l->no_in);
    }
    l->no_out = ubp_arena_printf(
        &f->g->arena,
        "the output of '%s' is not certain in this file, which does not say whether '%s' was called"
        " once or %d times in a row: if %d times, ask for '%s#0' to '%s#%d'; else use .pt2",
        l->path, l->path, (int)c->repeats, (int)c->repeats, l->path, l->path, (int)c->repeats - 1);
    UBP_TRY(text_or_memory(f, l->no_out));
    UBP_TRY(ubp_border_find(f, &first, f->call_nodes + c->nodes, length));
    if (!same_inputs(&first, b))
        l->no_in = l->no_out;
    return UB_OK;
}

/* ---- One layer
 * ----------------------------------------------------------------------------------- */

/* "torch.nn.modules.conv.Conv2d" -> "Conv2d". */
static ub_status short_type(const ubp_finder *f, const char **out, const char *type)
{
    const char *dot = strrchr(type, '.');
    *out = ubp_arena_strdup(&f->g->arena, dot ? dot + 1 : type);
    return text_or_memory(f, *out);
}

static ub_status name_layer(const ubp_finder *f, ubp_layer *l, bool numbered)
{
    l->name = numbered ? ubp_arena_printf(&f->g->arena, "%s#%d", l->path, l->call) : l->path;
    return text_or_memory(f, l->name);
}

static void set_border(ubp_layer *l, const ubp_border *b)
{
    l->n_in = l->no_in ? 0 : b->n_in;
    l->n_out = l->no_out ? 0 : b->n_out;
    l->in = b->in;
    l->out = b->out;
}

static ub_status write_call(writer *w, ubp_layer *l, const entry *e)
{
    ubp_finder *f = w->f;
    const ubp_module_call *c = &f->calls[e->call];
    const ubp_module *m = &f->modules[c->module];
    const size_t length = c->n_nodes / (size_t)c->repeats;
    const int32_t *nodes = f->call_nodes + c->nodes;
    ubp_border b;
    *l = (ubp_layer){.call = c->index,
                     .depth = c->depth,
                     .parent = c->parent < 0 ? -1 : f->calls[c->parent].layer,
                     .no_in = c->no_in,
                     .no_out = c->no_out};
    l->path = ubp_arena_strdup(&f->g->arena, m->path);
    UBP_TRY(text_or_memory(f, l->path));
    if (!*m->type && c->n_nodes == 1 && !m->has_children)
        l->type = f->g->nodes[nodes[0]].op_type;
    else
        UBP_TRY(short_type(f, &l->type, m->type));
    if (e->piece >= 0) {
        l->call = e->piece;
        l->nodes = nodes + (size_t)e->piece * length;
        l->n_nodes = (int)length;
        int32_t *copy = ubp_arena_array(&f->g->arena, length, sizeof(int32_t));
        if (!copy)
            return ubp_fail_memory(f->err, length);
        memcpy(copy, l->nodes, length * sizeof(int32_t));
        l->nodes = copy;
        UBP_TRY(ubp_border_find(f, &b, l->nodes, length));
    } else {
        l->nodes = w->nodes[e->call];
        l->n_nodes = w->n_nodes[e->call];
        UBP_TRY(ubp_border_find(f, &b, nodes, c->n_nodes));
        if (w->uncertain[c->module])
            UBP_TRY(explain_repeats(w, l, &b, c));
    }
    UBP_TRY(explain_doubts(f, l, &b, c));
    UBP_TRY(explain_sequence(f, l, &b, c));
    set_border(l, &b);
    return name_layer(f, l, c->index > 0 || e->piece >= 0);
}

static ub_status write_folded(writer *w, ubp_layer *l, const entry *e)
{
    const ubp_finder *f = w->f;
    const ubp_folded *folded = &f->folded[e->folded];
    *l = (ubp_layer){.path = folded->path,
                     .type = folded->type,
                     .call = folded->index,
                     .depth = folded->depth,
                     .parent = folded->parent < 0 ? -1 : f->calls[folded->parent].layer,
                     .no_in = folded->no_in,
                     .no_out = folded->no_out};
    int32_t *in = ubp_arena_alloc(&f->g->arena, sizeof(int32_t));
    if (!in)
        return ubp_fail_memory(f->err, sizeof(int32_t));
    *in = folded->in;
    set_border(l, &(ubp_border){.in = in, .n_in = 1, .out = in});
    l->nodes = in;
    return name_layer(f, l, folded->index > 0);
}

/* ---- Names
 * --------------------------------------------------------------------------------------- */

static ub_status add_alias(ubp_graph *g, const char *format_path, const char *between, int number,
                           int32_t layer, ub_error *err)
{
    const char *name = ubp_arena_printf(&g->arena, "%s%s%d", format_path, between, number);
    if (!name)
        return ubp_fail_memory(err, strlen(format_path));
    return ubp_table_add(&g->layer_names, name, layer, err);
}

/* Real names first, so that no alias takes one. The first call is also path#0; a later one of
 * TorchScript may also be a module of its own, called path_1. */
static ub_status write_names(writer *w)
{
    ubp_finder *f = w->f;
    ubp_graph *g = f->g;
    for (size_t i = 0; i < g->n_layers; i++)
        UBP_TRY(ubp_table_add(&g->layer_names, g->layers[i].name, (int32_t)i, f->err));
    for (size_t i = 0; i < g->n_layers; i++) {
        const ubp_layer *l = &g->layers[i];
        const int32_t call = w->entries[i].call;
        if (l->call == 0 && w->entries[i].piece < 0)
            UBP_TRY(add_alias(g, l->path, "#", 0, (int32_t)i, f->err));
        if (call >= 0 && f->calls[call].mark > 0 && f->calls[call].n_marks == 1)
            UBP_TRY(add_alias(g, l->path, "_", f->calls[call].mark, (int32_t)i, f->err));
    }
    return UB_OK;
}

static ub_status write_layers(writer *w)
{
    ubp_finder *f = w->f;
    ubp_graph *g = f->g;
    UBP_TRY(list_all_nodes(w));
    UBP_TRY(list_entries(w));
    g->layers = ubp_arena_array(&g->arena, w->n_entries, sizeof(ubp_layer));
    if (!g->layers)
        return ubp_fail_memory(f->err, w->n_entries * sizeof(ubp_layer));
    for (size_t i = 0; i < w->n_entries; i++) {
        if (w->entries[i].folded >= 0)
            UBP_TRY(write_folded(w, &g->layers[i], &w->entries[i]));
        else
            UBP_TRY(write_call(w, &g->layers[i], &w->entries[i]));
    }
    g->n_layers = w->n_entries;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const int32_t n = f->n_scoped[i];
        const int32_t call = n > 0 ? f->scopes[f->scope_at[i] + (size_t)n - 1].call : -1;
        g->nodes[i].layer = call < 0 ? -1 : f->calls[call].layer;
    }
    return write_names(w);
}

ub_status ubp_layers_write(ubp_finder *f)
{
    writer w = {.f = f};
    ub_status status = place_rest(f);
    if (status == UB_OK)
        status = write_layers(&w);
    ubp_free(w.entries);
    return status;
}
