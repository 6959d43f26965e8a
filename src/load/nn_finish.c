/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The complete network: its outputs, its layers with the values that cross their borders, the
 * values of its weights.
 */
#include "load/nn.h"

#include <string.h>

/* ---- Outputs -----------------------------------------------------------------------------------
 */

/* The name of the layer that gives the value, "lstm:out1" for another output of it, or that of the
 * input. NULL: out of memory. */
static const char *output_name(const ub_nn *net, int32_t value)
{
    for (size_t i = 0; i < net->n_records; i++)
        for (int k = 0; k < net->records[i].n_out; k++) {
            const ubp_nn_record *r = &net->records[i];
            if (r->out && r->out[k] == value)
                return k == 0 ? r->name : ubp_arena_printf(&net->g->arena, "%s:out%d", r->name, k);
        }
    return net->g->values[value].name;
}

static ub_status set_outputs(ub_nn *net, ub_error *err)
{
    ubp_graph *g = net->g;
    const int32_t *list = net->n_outputs > 0 ? net->outputs : &net->last;
    const size_t n = net->n_outputs > 0 ? net->n_outputs : 1;
    if (net->last == UBP_NO_VALUE)
        return ubp_fail(err, UB_ERR_ARGUMENT, "the network has no layers");
    g->outputs = ubp_arena_array(&g->arena, n, sizeof(int32_t));
    g->output_names = ubp_arena_array(&g->arena, n, sizeof(char *));
    if (!g->outputs || !g->output_names)
        return ubp_fail_memory(err, n * sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        g->outputs[i] = list[i];
        g->output_names[i] = output_name(net, list[i]);
        if (!g->output_names[i])
            return ubp_fail_memory(err, 1);
    }
    g->n_outputs = (int)n;
    return UB_OK;
}

/* ---- Borders of layers that hold others ---------------------------------------------------------
 */

typedef struct border {
    const ubp_graph *g;
    int32_t first, last; /* nodes first to last - 1 are inside */
    int32_t *list;
    int n;
} border;

static bool is_inside(const border *b, int32_t value)
{
    const int32_t p = b->g->values[value].producer;
    return p >= b->first && p < b->last;
}

static void add_once(border *b, int32_t value)
{
    for (int i = 0; i < b->n; i++)
        if (b->list[i] == value)
            return;
    b->list[b->n++] = value;
}

/* Values that nodes inside read and others give. Shapes that are made up are constants. */
static void find_inputs(border *b)
{
    for (int32_t i = b->first; i < b->last; i++)
        for (int k = 0; k < b->g->nodes[i].n_in; k++) {
            const int32_t v = b->g->nodes[i].in[k];
            if (v != UBP_NO_VALUE && !b->g->values[v].constant && !is_inside(b, v))
                add_once(b, v);
        }
}

/* Values made inside that others read, or that the model gives; else the last one made. */
static void find_outputs(border *b)
{
    for (int32_t i = b->last; i < (int32_t)b->g->n_nodes; i++)
        for (int k = 0; k < b->g->nodes[i].n_in; k++) {
            const int32_t v = b->g->nodes[i].in[k];
            if (v != UBP_NO_VALUE && is_inside(b, v))
                add_once(b, v);
        }
    for (int i = 0; i < b->g->n_outputs; i++)
        if (is_inside(b, b->g->outputs[i]))
            add_once(b, b->g->outputs[i]);
    if (b->n == 0 && b->last > b->first)
        add_once(b, b->g->nodes[b->last - 1].out[0]);
}

static ub_status find_border(const ub_nn *net, ubp_nn_record *r, ub_error *err)
{
    size_t most = 1;
    for (size_t i = 0; i < net->g->n_nodes; i++)
        most += (size_t)net->g->nodes[i].n_in + (size_t)net->g->nodes[i].n_out;
    int32_t *in = ubp_arena_array(&net->g->arena, most, sizeof(int32_t));
    int32_t *out = ubp_arena_array(&net->g->arena, most, sizeof(int32_t));
    if (!in || !out)
        return ubp_fail_memory(err, most * sizeof(int32_t));
    border b = {net->g, r->first, r->last, in, 0};
    find_inputs(&b);
    r->in = in;
    r->n_in = b.n;
    b = (border){net->g, r->first, r->last, out, 0};
    find_outputs(&b);
    r->out = out;
    r->n_out = b.n;
    return UB_OK;
}

/* ---- Layers ------------------------------------------------------------------------------------
 */

static ub_status write_layer(ub_nn *net, size_t i, ub_error *err)
{
    ubp_nn_record *r = &net->records[i];
    if (!r->in)
        UBP_TRY(find_border(net, r, err));
    const size_t n = (size_t)(r->last - r->first);
    int32_t *nodes = ubp_arena_array(&net->g->arena, n + 1, sizeof(int32_t));
    if (!nodes)
        return ubp_fail_memory(err, n);
    for (size_t k = 0; k < n; k++) {
        nodes[k] = r->first + (int32_t)k;
        net->g->nodes[nodes[k]].layer = (int32_t)i; /* inner layers come later */
    }
    net->g->layers[i] = (ubp_layer){.path = r->name,
                                    .name = r->name,
                                    .type = r->type,
                                    .depth = r->depth,
                                    .is_node = r->is_node,
                                    .parent = r->parent,
                                    .n_in = r->n_in,
                                    .n_out = r->n_out,
                                    .n_nodes = (int)n,
                                    .in = r->in,
                                    .out = r->out,
                                    .nodes = nodes};
    return ubp_table_add(&net->g->layer_names, r->name, (int32_t)i, err);
}

static ub_status write_layers(ub_nn *net, ub_error *err)
{
    ubp_graph *g = net->g;
    g->layers = ubp_arena_array(&g->arena, net->n_records + 1, sizeof(ubp_layer));
    if (!g->layers)
        return ubp_fail_memory(err, net->n_records * sizeof(ubp_layer));
    g->n_layers = net->n_records;
    for (size_t i = 0; i < net->n_records; i++)
        UBP_TRY(write_layer(net, i, err));
    return UB_OK;
}

ub_status ubp_nn_finish(ubp_loaded *out, ub_nn *net, ub_error *err)
{
    if (!net)
        return ubp_fail_memory(err, sizeof(*net));
    if (net->emit.status != UB_OK) {
        if (err)
            *err = net->error;
        return net->emit.status;
    }
    if (net->parent >= 0)
        return ubp_fail(err, UB_ERR_ARGUMENT, "layer '%s' (%s) has no ub_nn_end()",
                        net->records[net->parent].name, net->records[net->parent].type);
    UBP_TRY(set_outputs(net, err));
    /* Nodes were added after what they read: sorting keeps their places. */
    UBP_TRY(ubp_graph_sort(net->g, err));
    UBP_TRY(write_layers(net, err));
    UBP_TRY(ubp_nn_fill_weights(net, err));
    net->g->producer = "unbatch";
    *out = net->loaded;
    net->loaded = (ubp_loaded){0};
    net->g = NULL;
    return UB_OK;
}
