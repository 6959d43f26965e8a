/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ub_model: opening a file, and what can be asked of it without running anything.
 */
#include "api/api.h"
#include "load/nn.h"

#include <string.h>

static void fill_port(ub_port *p, const ubp_graph *g, const char *name, int32_t value, int axis)
{
    const ubp_value *v = &g->values[value];
    *p = (ub_port){
        .name = name, .dtype = v->dtype, .rank = v->rank, .batch_axis = axis, .kind = v->kind};
    for (int a = 0; a < v->rank; a++) {
        p->dims[a] = v->dims[a];
        p->dim_names[a] = v->dim_names[a];
    }
}

static ub_status fill_ports(ub_model *m, ub_error *err)
{
    const ubp_graph *g = m->graph;
    size_t ni = (size_t)g->n_inputs + 1, no = (size_t)g->n_outputs + 1;
    m->inputs = ubp_arena_array(&m->arena, ni, sizeof *m->inputs);
    m->outputs = ubp_arena_array(&m->arena, no, sizeof *m->outputs);
    int *axes = ubp_arena_array(&m->arena, ni, sizeof *axes);
    if (!m->inputs || !m->outputs || !axes)
        return ubp_fail_memory(err, ni * sizeof *m->inputs);
    ubp_input_axes(g, axes);
    m->fixed_batch = -1;
    for (int i = 0; i < g->n_inputs; i++) {
        fill_port(&m->inputs[i], g, g->input_names[i], g->inputs[i], axes[i]);
        const ub_port *p = &m->inputs[i];
        if (axes[i] >= 0 && axes[i] < p->rank && p->dims[axes[i]] > 0)
            m->fixed_batch = p->dims[axes[i]];
    }
    for (int i = 0; i < g->n_outputs; i++)
        fill_port(&m->outputs[i], g, g->output_names[i], g->outputs[i],
                  ubp_value_axis(g, g->outputs[i]));
    return UB_OK;
}

/* Elements of the weights that the layer's nodes read, each counted once. */
static int64_t count_params(const ubp_graph *g, const ubp_layer *l, int32_t *seen, int32_t mark)
{
    int64_t total = 0;
    for (int i = 0; i < l->n_nodes; i++) {
        const ubp_node *n = &g->nodes[l->nodes[i]];
        for (int k = 0; k < n->n_in; k++) {
            int32_t v = n->in[k];
            if (v < 0 || !g->values[v].constant || !ubp_is_float(g->values[v].constant->dtype) ||
                g->values[v].constant->rank == 0 || seen[v] == mark)
                continue;
            seen[v] = mark;
            total += ub_tensor_count(g->values[v].constant);
        }
    }
    return total;
}

static ub_status fill_layers(ub_model *m, ub_error *err)
{
    const ubp_graph *g = m->graph;
    m->layers = ubp_arena_array(&m->arena, g->n_layers + 1, sizeof *m->layers);
    int32_t *seen = ubp_calloc(g->n_values + 1, sizeof *seen);
    if (!m->layers || !seen) {
        ubp_free(seen);
        return ubp_fail_memory(err, g->n_layers * sizeof *m->layers);
    }
    for (size_t i = 0; i < g->n_layers; i++) {
        const ubp_layer *l = &g->layers[i];
        m->layers[i] = (ub_layer){.name = l->name,
                                  .type = l->type,
                                  .depth = l->depth,
                                  .is_node = l->is_node,
                                  .n_inputs = l->n_in,
                                  .n_outputs = l->n_out,
                                  .n_params = count_params(g, l, seen, (int32_t)i + 1),
                                  .missing = l->no_out ? l->no_out : l->no_in};
    }
    ubp_free(seen);
    return UB_OK;
}

static ub_status fill_unsupported(ub_model *m, ub_error *err)
{
    ubp_text list = {0};
    ub_status st = ubp_unknown_ops(&list, m->graph, NULL, err);
    m->unsupported = list.s ? ubp_arena_strdup(&m->arena, list.s) : "";
    if (st == UB_OK && !m->unsupported)
        st = ubp_fail_memory(err, list.len);
    ubp_text_free(&list);
    return st;
}

/* What is said of a loaded model; it is freed on failure. */
static ub_status finish(ub_model **out, ub_model *m, ub_status st, ub_error *err)
{
    m->graph = m->loaded.graph;
    if (st == UB_OK)
        st = fill_ports(m, err);
    if (st == UB_OK)
        st = fill_layers(m, err);
    if (st == UB_OK)
        st = fill_unsupported(m, err);
    if (st != UB_OK) {
        ub_model_free(m);
        return st;
    }
    *out = m;
    return UB_OK;
}

static ub_status open_path(ub_model **out, const char *path, const ub_open_options *o,
                           ub_error *err)
{
    ub_model *m = ubp_calloc(1, sizeof *m);
    if (!m)
        return ubp_fail_memory(err, sizeof *m);
    ub_status st = ubp_load(&m->loaded, path, NULL, 0, err);
    if (st == UB_OK && o->weights)
        st = ubp_weights_apply(&m->loaded, o->weights, false, &m->note, err);
    if (st == UB_OK && m->note.failed)
        st = ubp_fail_memory(err, m->note.len);
    return finish(out, m, st, err);
}

ub_status ub_open_with(ub_model **out, const char *path, const ub_open_options *options,
                       ub_error *err)
{
    ub_open_options o = UB_OPEN_OPTIONS_INIT;
    *out = NULL;
    if (options) /* a caller built against an older header has a shorter struct */
        memcpy(&o, options, options->size_of < sizeof o ? options->size_of : sizeof o);
    ub_status st = open_path(out, path, &o, err);
    if (st != UB_OK && err && !strstr(err->message, path))
        ubp_error_prefix(err, "%s", path);
    return st;
}

ub_status ub_open(ub_model **out, const char *path, ub_error *err)
{
    return ub_open_with(out, path, NULL, err);
}

ub_status ub_open_memory(ub_model **out, const void *bytes, size_t size, ub_error *err)
{
    *out = NULL;
    ub_model *m = ubp_calloc(1, sizeof *m);
    if (!m)
        return ubp_fail_memory(err, sizeof *m);
    return finish(out, m, ubp_load(&m->loaded, NULL, bytes, size, err), err);
}

ub_status ub_nn_model(ub_model **out, ub_nn *net, ub_error *err)
{
    *out = NULL;
    ub_model *m = ubp_calloc(1, sizeof *m);
    ub_status st = m ? ubp_nn_finish(&m->loaded, net, err) : ubp_fail_memory(err, sizeof *m);
    ub_nn_free(net);
    return m ? finish(out, m, st, err) : st;
}

const char *ub_model_note(const ub_model *m)
{
    return m->note.s ? m->note.s : "";
}

void ub_model_free(ub_model *m)
{
    if (!m)
        return;
    ubp_loaded_release(&m->loaded);
    ubp_arena_release(&m->arena);
    ubp_text_free(&m->note);
    ubp_free(m);
}

int ub_model_input_count(const ub_model *m)
{
    return m->graph->n_inputs;
}

int ub_model_output_count(const ub_model *m)
{
    return m->graph->n_outputs;
}

const ub_port *ub_model_input(const ub_model *m, int i)
{
    return i < 0 || i >= m->graph->n_inputs ? NULL : &m->inputs[i];
}

const ub_port *ub_model_output(const ub_model *m, int i)
{
    return i < 0 || i >= m->graph->n_outputs ? NULL : &m->outputs[i];
}

int ub_model_layer_count(const ub_model *m)
{
    return (int)m->graph->n_layers;
}

const ub_layer *ub_model_layer(const ub_model *m, int i)
{
    return i < 0 || (size_t)i >= m->graph->n_layers ? NULL : &m->layers[i];
}

const char *ub_model_unsupported(const ub_model *m)
{
    return m->unsupported;
}
