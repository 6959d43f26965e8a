/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ModelProto and GraphProto. A graph is walked twice: first weights, inputs and what the file says
 * of values, then nodes, so that each node meets its inputs with their dtypes and ranks known.
 */
#include "load/onnx.h"

#include <string.h>

enum {
    M_PRODUCER_NAME = 2,
    M_PRODUCER_VERSION = 3,
    M_GRAPH = 7,
    M_OPSET_IMPORT = 8,
    M_FUNCTIONS = 25
};
enum {
    G_NODE = 1,
    G_INITIALIZER = 5,
    G_INPUT = 11,
    G_OUTPUT = 12,
    G_VALUE_INFO = 13,
    G_SPARSE_INITIALIZER = 15
};
enum { VI_NAME = 1, VI_TYPE = 2 };
enum { SPARSE_VALUES = 1 };
enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2 };

/* ---- Values ---------------------------------------------------------------------------------- */

ub_status ubp_onnx_value(ubp_onnx_scope *s, const char *name, int32_t *out)
{
    const size_t before = s->g->n_values;
    UBP_TRY(ubp_graph_value(s->g, name, out, s->onnx->err));
    if (s->g->n_values == before)
        return UB_OK;
    const int32_t info = ubp_table_find(&s->info_names, name);
    if (info < 0)
        return UB_OK;
    return ubp_onnx_type(&s->g->values[*out], s->infos[info], &s->g->arena, s->onnx->err);
}

ub_status ubp_onnx_set_constant(ubp_onnx_scope *s, int32_t value, const ub_tensor *t)
{
    ubp_value *v = &s->g->values[value];
    if (v->constant || v->is_input || v->producer != UBP_NO_NODE)
        return ubp_fail(s->onnx->err, UB_ERR_FILE, "value '%s' is given twice", v->name);
    ub_tensor *copy = ubp_arena_alloc(&s->g->arena, sizeof(*copy));
    if (!copy)
        return ubp_fail_memory(s->onnx->err, sizeof(*copy));
    *copy = *t;
    v->constant = copy;
    v->dtype = t->dtype;
    v->rank = t->rank;
    memcpy(v->dims, t->dims, sizeof(v->dims));
    memset(v->dim_names, 0, sizeof(v->dim_names));
    return UB_OK;
}

/* ---- ValueInfoProto -------------------------------------------------------------------------- */

/* Remembers what the file says of a value; *name is its name in the arena. */
static ub_status read_info(ubp_onnx_scope *s, ubp_proto message, const char **name)
{
    ub_error *err = s->onnx->err;
    ubp_proto type = {0};
    *name = "";
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&message, &f, &more, err));
        if (!more)
            break;
        if (f.number == VI_NAME) {
            UBP_TRY(ubp_onnx_string(&message, &f, &s->g->arena, name, err));
        } else if (f.number == VI_TYPE) {
            UBP_TRY(ubp_onnx_want(&message, &f, 2, err));
            type = ubp_proto_sub(&message, &f);
        }
    }
    UBP_TRY(ubp_onnx_rename(s->onnx, &s->g->arena, name));
    if (!type.base || !**name || ubp_table_find(&s->info_names, *name) >= 0)
        return UB_OK;
    UBP_TRY(ubp_grow((void **)&s->infos, &s->cap_infos, s->n_infos, sizeof(ubp_proto), err));
    s->infos[s->n_infos] = type;
    return ubp_table_add(&s->info_names, *name, (int32_t)s->n_infos++, err);
}

/* A growing list of names, one for inputs and one for outputs. */
typedef struct names {
    const char **items;
    size_t n, cap;
} names;

static ub_status add_name(names *list, const char *name, ub_error *err)
{
    UBP_TRY(ubp_grow((void **)&list->items, &list->cap, list->n, sizeof(char *), err));
    list->items[list->n++] = name;
    return UB_OK;
}

/* ---- Weights --------------------------------------------------------------------------------- */

/* Walking from weight to weight reads a few bytes beside each, but the kernel maps up to 2 MB
 * around them where the file is in its cache. 350 MB of 300 weights: 360 MB resident without this,
 * under 20 MB with it (Linux 6.18). */
static void pass_by(ubp_onnx *o, const ubp_onnx_weight *w)
{
    enum { LARGE = 1 << 14, MANY = 8 };
    if (w->raw.size < LARGE || ++o->n_large < MANY)
        return;
    ubp_map_advise(o->loaded->file, UBP_MAP_FORGET);
    o->n_large = 0;
}

static ub_status add_initializer(ubp_onnx_scope *s, ubp_proto message)
{
    ubp_onnx *o = s->onnx;
    ubp_onnx_weight w;
    int32_t value = UBP_NO_VALUE;
    UBP_TRY(ubp_onnx_weight_parse(&w, message, &s->g->arena, o->err));
    pass_by(o, &w);
    if (!*w.name)
        return UB_OK; /* nothing can read it */
    UBP_TRY(ubp_onnx_rename(o, &s->g->arena, &w.name));
    UBP_TRY(ubp_graph_value(s->g, w.name, &value, o->err));
    UBP_TRY(ubp_onnx_constant(s, &w, value, w.name));
    if (s->depth > 0)
        return UB_OK;
    UBP_TRY(ubp_grow((void **)&o->initializers, &o->cap_initializers, o->n_initializers,
                     sizeof(char *), o->err));
    o->initializers[o->n_initializers++] = s->g->values[value].name;
    return UB_OK;
}

/* A sparse weight is given by a node of an operator nobody has: refused only if it is needed. */
static ub_status add_sparse(ubp_onnx_scope *s, ubp_proto message)
{
    ubp_onnx *o = s->onnx;
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&message, &f, &more, o->err));
        if (!more)
            return UB_OK;
        if (f.number != SPARSE_VALUES)
            continue;
        UBP_TRY(ubp_onnx_want(&message, &f, 2, o->err));
        ubp_onnx_weight w;
        int32_t value = UBP_NO_VALUE;
        UBP_TRY(ubp_onnx_weight_parse(&w, ubp_proto_sub(&message, &f), &s->g->arena, o->err));
        if (!*w.name)
            continue;
        UBP_TRY(ubp_onnx_rename(o, &s->g->arena, &w.name));
        UBP_TRY(ubp_graph_value(s->g, w.name, &value, o->err));
        const ubp_node node = {.name = w.name,
                               .op_type = "sparse initializer",
                               .domain = "",
                               .n_out = 1,
                               .out = &value};
        UBP_TRY(ubp_graph_node(s->g, &node, NULL, o->err));
    }
}

/* ---- GraphProto ------------------------------------------------------------------------------ */

/* *nodes becomes the part of p that holds the nodes: the second walk need not pass the weights. */
static ub_status read_values(ubp_onnx_scope *s, ubp_proto p, names *inputs, names *outputs,
                             ubp_proto *nodes)
{
    ub_error *err = s->onnx->err;
    *nodes = (ubp_proto){p.base, p.at, p.at};
    for (;;) {
        ubp_proto_field f = {0};
        const char *name = NULL;
        const uint8_t *before = p.at;
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, err));
        if (!more)
            return UB_OK;
        switch (f.number) {
        case G_NODE:
        case G_INITIALIZER:
        case G_SPARSE_INITIALIZER:
        case G_INPUT:
        case G_OUTPUT:
        case G_VALUE_INFO:
            UBP_TRY(ubp_onnx_want(&p, &f, 2, err));
            break;
        default:
            continue;
        }
        const ubp_proto sub = ubp_proto_sub(&p, &f);
        if (f.number == G_NODE) {
            nodes->at = nodes->at == nodes->end ? before : nodes->at;
            nodes->end = p.at;
        } else if (f.number == G_INITIALIZER)
            UBP_TRY(add_initializer(s, sub));
        else if (f.number == G_SPARSE_INITIALIZER)
            UBP_TRY(add_sparse(s, sub));
        else
            UBP_TRY(read_info(s, sub, &name));
        if (f.number == G_INPUT)
            UBP_TRY(add_name(inputs, name, err));
        if (f.number == G_OUTPUT)
            UBP_TRY(add_name(outputs, name, err));
    }
}

static ub_status alloc_ports(ubp_graph *g, size_t n, int32_t **values, const char ***port_names,
                             ub_error *err)
{
    *values = ubp_arena_array(&g->arena, n, sizeof(int32_t));
    *port_names = ubp_arena_array(&g->arena, n, sizeof(char *));
    return *values && *port_names ? UB_OK : ubp_fail_memory(err, n * sizeof(char *));
}

/* Files before IR version 4 list weights as inputs too; later ones may, as defaults. Both are
 * weights here. */
static ub_status set_inputs(ubp_onnx_scope *s, const names *list)
{
    ubp_graph *g = s->g;
    UBP_TRY(alloc_ports(g, list->n, &g->inputs, &g->input_names, s->onnx->err));
    for (size_t i = 0; i < list->n; i++) {
        int32_t value = UBP_NO_VALUE;
        UBP_TRY(ubp_onnx_value(s, list->items[i], &value));
        ubp_value *v = &g->values[value];
        if (v->is_input)
            return ubp_fail(s->onnx->err, UB_ERR_FILE, "the graph has two inputs '%s'", v->name);
        if (v->constant || v->producer != UBP_NO_NODE)
            continue;
        v->is_input = true;
        g->inputs[g->n_inputs] = value;
        g->input_names[g->n_inputs++] = v->name;
    }
    return UB_OK;
}

static ub_status set_outputs(ubp_onnx_scope *s, const names *list)
{
    ubp_graph *g = s->g;
    UBP_TRY(alloc_ports(g, list->n, &g->outputs, &g->output_names, s->onnx->err));
    for (size_t i = 0; i < list->n; i++) {
        if (!*list->items[i])
            return ubp_fail(s->onnx->err, UB_ERR_FILE, "output %zu of the graph has no name", i);
        UBP_TRY(ubp_onnx_value(s, list->items[i], &g->outputs[g->n_outputs]));
        g->output_names[g->n_outputs++] = list->items[i];
    }
    return UB_OK;
}

static ub_status read_nodes(ubp_onnx_scope *s, ubp_proto p)
{
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, s->onnx->err));
        if (!more)
            return UB_OK;
        if (f.number == G_NODE)
            UBP_TRY(ubp_onnx_node(s, ubp_proto_sub(&p, &f)));
    }
}

static ub_status read_graph(ubp_onnx_scope *s, ubp_proto p, names *inputs, names *outputs)
{
    ubp_proto nodes;
    UBP_TRY(read_values(s, p, inputs, outputs, &nodes));
    UBP_TRY(set_inputs(s, inputs));
    UBP_TRY(read_nodes(s, nodes));
    UBP_TRY(set_outputs(s, outputs));
    return ubp_graph_sort(s->g, s->onnx->err);
}

ub_status ubp_onnx_graph(ubp_onnx *o, ubp_graph *g, ubp_proto message, int depth)
{
    ubp_onnx_scope s = {.onnx = o, .g = g, .depth = depth};
    names inputs = {0}, outputs = {0};
    if (depth > UBP_ONNX_MAX_DEPTH)
        return ubp_fail(o->err, UB_ERR_UNSUPPORTED,
                        "bodies of If, Loop or Scan are nested more than %d deep",
                        UBP_ONNX_MAX_DEPTH);
    const ub_status status = read_graph(&s, message, &inputs, &outputs);
    ubp_free(inputs.items);
    ubp_free(outputs.items);
    ubp_free(s.infos);
    ubp_free(s.facts);
    ubp_table_release(&s.info_names);
    return status;
}

/* ---- ModelProto ------------------------------------------------------------------------------ */

ub_status ubp_onnx_read_opset(ubp_onnx *o, ubp_onnx_imports *to, ubp_proto message,
                              ubp_arena *arena)
{
    const char *domain = "";
    int64_t version = 0;
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&message, &f, &more, o->err));
        if (!more)
            break;
        if (f.number == OPSET_DOMAIN) {
            UBP_TRY(ubp_onnx_string(&message, &f, arena, &domain, o->err));
        } else if (f.number == OPSET_VERSION) {
            UBP_TRY(ubp_onnx_want(&message, &f, 0, o->err));
            version = (int64_t)f.value;
        }
    }
    if (*domain && strcmp(domain, "ai.onnx") != 0) {
        const bool sane = version > 0 && version < INT32_MAX; /* untrusted; for messages only */
        return ubp_table_add(&to->domains, domain, sane ? (int32_t)version : 0, o->err);
    }
    if (to->opset && to->opset != version)
        return ubp_fail(o->err, UB_ERR_FILE, "the model imports two opsets, %lld and %lld",
                        (long long)to->opset, (long long)version);
    to->opset = version;
    return UB_OK;
}

/* The fields of the model but the graph, which is only located. */
static ub_status read_model(ubp_onnx *o, ubp_proto p, ubp_proto *graph)
{
    ubp_graph *g = o->loaded->graph;
    const char *name = "", *version = "";
    for (;;) {
        ubp_proto_field f = {0};
        bool more = false;
        UBP_TRY(ubp_proto_next(&p, &f, &more, o->err));
        if (!more)
            break;
        if (f.number == M_GRAPH || f.number == M_OPSET_IMPORT || f.number == M_FUNCTIONS)
            UBP_TRY(ubp_onnx_want(&p, &f, 2, o->err));
        if (f.number == M_PRODUCER_NAME)
            UBP_TRY(ubp_onnx_string(&p, &f, &g->arena, &name, o->err));
        else if (f.number == M_PRODUCER_VERSION)
            UBP_TRY(ubp_onnx_string(&p, &f, &g->arena, &version, o->err));
        else if (f.number == M_OPSET_IMPORT)
            UBP_TRY(ubp_onnx_read_opset(o, &o->imports, ubp_proto_sub(&p, &f), &g->arena));
        else if (f.number == M_FUNCTIONS)
            UBP_TRY(ubp_onnx_function(o, ubp_proto_sub(&p, &f), &g->arena));
        else if (f.number == M_GRAPH && graph->base)
            return ubp_fail(o->err, UB_ERR_FILE, "the model holds two graphs");
        else if (f.number == M_GRAPH)
            *graph = ubp_proto_sub(&p, &f);
    }
    g->producer = ubp_arena_printf(&g->arena, "%s%s%s", name, *version ? " " : "", version);
    return g->producer ? UB_OK : ubp_fail_memory(o->err, strlen(name));
}

ub_status ubp_onnx_check_opset(const ubp_onnx *o, int64_t opset)
{
    if (opset < 0)
        return ubp_fail(o->err, UB_ERR_FILE, "damaged file: the model uses opset %lld",
                        (long long)opset);
    if (opset > UBP_ONNX_OPSET_MAX)
        return ubp_fail(o->err, UB_ERR_UNSUPPORTED,
                        "the model uses opset %lld, newer than the %d that is known",
                        (long long)opset, UBP_ONNX_OPSET_MAX);
    return UB_OK;
}

/* The layer finder wants the meta of nodes in their sorted order. */
static ub_status find_layers(ubp_onnx *o, const char *producer)
{
    ubp_graph *g = o->loaded->graph;
    ubp_onnx_meta *sorted = ubp_calloc(g->n_nodes, sizeof(*sorted));
    if (!sorted)
        return ubp_fail_memory(o->err, g->n_nodes * sizeof(*sorted));
    for (size_t i = 0; i < g->n_nodes; i++)
        if ((size_t)g->nodes[i].order < o->n_meta)
            sorted[i] = o->meta[g->nodes[i].order];
    const ub_status status =
        ubp_onnx_layers(g, producer, sorted, o->initializers, o->n_initializers, o->err);
    ubp_free(sorted);
    return status;
}

static ub_status load(ubp_onnx *o, const uint8_t *bytes, size_t size)
{
    ubp_proto graph = {0};
    UBP_TRY(ubp_graph_new(&o->loaded->graph, o->err));
    UBP_TRY(read_model(o, (ubp_proto){bytes, bytes, bytes + size}, &graph));
    if (!graph.base)
        return ubp_fail(o->err, UB_ERR_FILE, "not an ONNX model: there is no graph in it");
    UBP_TRY(ubp_onnx_check_opset(o, o->imports.opset));
    UBP_TRY(ubp_onnx_graph(o, o->loaded->graph, graph, 0));
    ubp_onnx_kinds(o->loaded->graph);
    return find_layers(o, o->loaded->graph->producer);
}

ub_status ubp_load_onnx(ubp_loaded *out, const char *folder, const uint8_t *bytes, size_t size,
                        ub_error *err)
{
    ubp_onnx o = {.loaded = out, .folder = folder, .err = err};
    const ub_status status = load(&o, bytes, size);
    for (size_t i = 0; i < out->n_external; i++)
        ubp_free(o.external[i]);
    ubp_free(o.external);
    ubp_free(o.real_folder);
    ubp_free(o.initializers);
    ubp_free(o.meta);
    ubp_free(o.function_bodies);
    ubp_table_release(&o.functions);
    ubp_table_release(&o.prefixes);
    ubp_table_release(&o.imports.domains);
    return status;
}
