/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens Keras' files: the .h5 of Keras 1 to 3, and the archive .keras of Keras 2 and 3. In: the
 * bytes; out: a graph with the layers by their names. Nothing in a file runs: Lambda layers and
 * custom classes are refused by name.
 */
#include "load/keras.h"

#include <stdio.h>
#include <string.h>

/* ---- Inputs ---------------------------------------------------------------------------------- */

/* An input of the model: (batch, ...), as `shape` says. */
static ub_status add_input(ubp_keras *k, const char *name, const json_t *shape, const char *dtype,
                           kt *out)
{
    ubp_graph *g = k->g;
    const size_t rank = json_array_size(shape);
    const ub_dtype type = ub_dtype_from_name(dtype);
    if (type == UB_UNDEFINED || type == UB_STRING)
        return ubp_fail(k->err, UB_ERR_UNSUPPORTED, "input '%.200s' has the dtype '%.60s'", name,
                        dtype);
    if (!json_is_array(shape) || rank < 1 || rank > UB_MAX_RANK)
        return ubp_fail(k->err, UB_ERR_UNSUPPORTED,
                        "input '%.200s' has no shape in the file; build the model with an Input"
                        " layer and save it again",
                        name);
    if (ubp_table_find(&g->value_names, name) >= 0)
        return ubp_fail(k->err, UB_ERR_FILE, "damaged file: two inputs are called '%.200s'", name);
    *out = (kt){.rank = (int)rank, .dtype = type, .shape = shape};
    UBP_TRY(ubp_graph_value(g, name, &out->value, k->err));
    ubp_value *v = &g->values[out->value];
    v->is_input = true;
    v->dtype = type;
    v->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(shape, i);
        const json_int_t size = json_is_integer(dim) ? json_integer_value(dim) : -1;
        v->dims[i] = i > 0 && size >= 0 ? size : -1;
    }
    v->dim_names[0] = "batch";
    return UB_OK;
}

/* Keras 3 calls it batch_shape, Keras 2 batch_input_shape, both without it shape. */
static const json_t *shape_of(const json_t *config)
{
    const json_t *shape = ubp_keras_get(config, "batch_shape");
    return shape ? shape : ubp_keras_get(config, "batch_input_shape");
}

static ub_status add_layer_input(ubp_keras *k, const ubp_keras_layer *l, kt *out)
{
    const json_t *dtype = ubp_keras_get(l->config, "dtype");
    const char *name = json_is_object(dtype)
                           ? ubp_keras_text(ubp_keras_get(dtype, "config"), "name", "float32")
                           : ubp_keras_text(l->config, "dtype", "float32");
    if (ubp_keras_flag(l->config, "sparse", false) || ubp_keras_flag(l->config, "ragged", false))
        return ubp_fail(k->err, UB_ERR_UNSUPPORTED, "input '%s' is sparse or ragged", l->path);
    return add_input(k, l->name, shape_of(l->config), name, out);
}

/* The one input of a Sequential model: its InputLayer's, or what its first layer was built for. */
static ub_status add_sequential_input(ubp_keras *k, const ubp_keras_model *m, const json_t *entry,
                                      kt *out)
{
    const ubp_keras_layer *first = m->n > 0 ? &m->layers[0] : NULL;
    const char *dtype = "float32";
    if (!first)
        return ubp_fail(k->err, UB_ERR_FILE, "the model has no layers");
    if (strcmp(first->type, "InputLayer") == 0)
        return add_layer_input(k, first, out);
    const json_t *shape = shape_of(first->config);
    if (!shape)
        shape = ubp_keras_get(m->config, "build_input_shape");
    if (!shape)
        shape = ubp_keras_get(ubp_keras_get(entry, "build_config"), "input_shape");
    /* A first layer that is a model has its own input. */
    for (; !shape && first->model && first->model->n > 0; first = &first->model->layers[0])
        shape = shape_of(first->model->layers[0].config);
    return add_input(k, "input", shape, dtype, out);
}

/* Collects [name, 0, 0] of input_layers in Keras' order of them. */
static ub_status add_functional_inputs(ubp_keras *k, const ubp_keras_model *m, const json_t *ends,
                                       kt *out, int *n, int depth)
{
    const char *name = json_string_value(json_array_get(ends, 0));
    if (name) {
        const int32_t at = ubp_table_find(&m->names, name);
        if (at < 0 || strcmp(m->layers[at].type, "InputLayer") != 0 || *n >= UBP_KERAS_PORTS)
            return ubp_fail(k->err, UB_ERR_FILE, "damaged file: input '%.200s' is no InputLayer",
                            name);
        return add_layer_input(k, &m->layers[at], &out[(*n)++]);
    }
    if (depth > UBP_KERAS_DEPTH)
        return UB_OK;
    for (size_t i = 0; i < json_array_size(ends); i++)
        UBP_TRY(add_functional_inputs(k, m, json_array_get(ends, i), out, n, depth + 1));
    /* Keras sorts the keys of dictionaries. */
    const char *last = "";
    for (size_t i = 0; i < json_object_size(ends); i++) {
        const char *least = NULL;
        json_t *object = (json_t *)(uintptr_t)ends;
        for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
            const char *key = json_object_iter_key(it);
            if (strcmp(key, last) > 0 && (!least || strcmp(key, least) < 0))
                least = key;
        }
        if (least)
            UBP_TRY(add_functional_inputs(k, m, json_object_get(ends, least), out, n, depth + 1));
        last = least ? least : last;
    }
    return UB_OK;
}

static ub_status set_ports(ubp_keras *k, const kt *list, int n, int32_t **values,
                           const char ***names)
{
    ubp_graph *g = k->g;
    *values = ubp_arena_array(&g->arena, (size_t)n, sizeof(int32_t));
    *names = ubp_arena_array(&g->arena, (size_t)n, sizeof(char *));
    if (!*values || !*names)
        return ubp_fail_memory(k->err, (size_t)n);
    for (int i = 0; i < n; i++) {
        (*values)[i] = list[i].value;
        (*names)[i] = g->values[list[i].value].name;
    }
    return UB_OK;
}

/* Outputs are called after their layers where that layer has one. */
static ub_status name_outputs(ubp_keras *k)
{
    ubp_graph *g = k->g;
    for (int i = 0; i < g->n_outputs; i++)
        for (size_t j = 0; j < k->n_records; j++)
            if (k->records[j].parent < 0 && k->records[j].n_out == 1 &&
                k->records[j].out[0] == g->outputs[i])
                g->output_names[i] = k->records[j].name;
    return UB_OK;
}

/* ---- Layers ---------------------------------------------------------------------------------- */

static void write_layer(const ubp_keras *k, ubp_layer *l, const ubp_keras_record *r,
                        const int32_t *place)
{
    *l = (ubp_layer){.path = r->path,
                     .name = r->name,
                     .type = r->type,
                     .call = r->call,
                     .depth = r->depth,
                     .parent = r->parent,
                     .n_in = r->n_in,
                     .n_out = r->n_out,
                     .in = r->in,
                     .out = r->out,
                     .n_nodes = r->last - r->first};
    l->nodes = place + r->first;
    for (int32_t i = r->first; i < r->last; i++) {
        const int32_t owner = k->g->nodes[place[i]].layer;
        if (owner < 0 || k->records[owner].depth <= r->depth)
            k->g->nodes[place[i]].layer = (int32_t)(r - k->records);
    }
}

static ub_status write_layers(ubp_keras *k)
{
    ubp_graph *g = k->g;
    int32_t *place = ubp_arena_array(&g->arena, g->n_nodes, sizeof(int32_t));
    g->layers = ubp_arena_array(&g->arena, k->n_records, sizeof(ubp_layer));
    if (!place || !g->layers)
        return ubp_fail_memory(k->err, k->n_records * sizeof(ubp_layer));
    for (size_t i = 0; i < g->n_nodes; i++)
        place[g->nodes[i].order] = (int32_t)i;
    for (size_t i = 0; i < k->n_records; i++) {
        write_layer(k, &g->layers[i], &k->records[i], place);
        UBP_TRY(ubp_table_add(&g->layer_names, g->layers[i].name, (int32_t)i, k->err));
    }
    g->n_layers = k->n_records;
    for (size_t i = 0; i < g->n_layers; i++) {
        if (g->layers[i].call != 0)
            continue;
        const char *alias = ubp_arena_printf(&g->arena, "%s#0", g->layers[i].path);
        if (!alias)
            return ubp_fail_memory(k->err, strlen(g->layers[i].path));
        UBP_TRY(ubp_table_add(&g->layer_names, alias, (int32_t)i, k->err));
    }
    return UB_OK;
}

/* ---- The model ------------------------------------------------------------------------------- */

static ub_status build(ubp_keras *k, const json_t *entry)
{
    ubp_graph *g = k->g;
    ubp_keras_model *m;
    kt *in = ubp_arena_array(&k->arena, UBP_KERAS_PORTS, sizeof(kt));
    kt *out = ubp_arena_array(&k->arena, UBP_KERAS_PORTS, sizeof(kt));
    int n_in = 0, n_out = 0;
    if (!in || !out)
        return ubp_fail_memory(k->err, UBP_KERAS_PORTS * sizeof(kt));
    UBP_TRY(ubp_keras_read_model(k, &m, entry, NULL, 0));
    if (m->sequential) {
        UBP_TRY(add_sequential_input(k, m, entry, in));
        n_in = 1;
    } else {
        UBP_TRY(
            add_functional_inputs(k, m, json_object_get(m->config, "input_layers"), in, &n_in, 0));
    }
    UBP_TRY(set_ports(k, in, n_in, &g->inputs, &g->input_names));
    g->n_inputs = n_in;
    UBP_TRY(ubp_keras_run_model(k, m, in, n_in, out, &n_out, 0));
    UBP_TRY(set_ports(k, out, n_out, &g->outputs, &g->output_names));
    g->n_outputs = n_out;
    UBP_TRY(name_outputs(k));
    UBP_TRY(ubp_graph_sort(g, k->err));
    return write_layers(k);
}

static ub_status start(ubp_keras *k, const char *version)
{
    UBP_TRY(ubp_graph_new(&k->loaded->graph, k->err));
    k->g = k->loaded->graph;
    k->node_name = "";
    k->parent = -1;
    k->keras2 = version[0] == '1' || version[0] == '2';
    k->g->producer = ubp_arena_printf(&k->g->arena, "keras %.40s", version);
    return k->g->producer ? UB_OK : ubp_fail_memory(k->err, 1);
}

static ub_status parse_json(ubp_keras *k, json_t **out, const char *text, size_t size,
                            const char *what)
{
    json_error_t error;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (*out)
        return UB_OK;
    return ubp_fail(k->err, UB_ERR_FILE, "damaged file: %s is no JSON (line %d: %.160s)", what,
                    error.line, error.text);
}

static void finish(ubp_keras *k)
{
    ubp_keras_release_models(k);
    ubp_arena_release(&k->arena);
    ubp_hdf5_close(k->h5);
    ubp_free(k->records);
}

/* ---- .h5 ------------------------------------------------------------------------------------- */

static ub_status load_h5(ubp_keras *k, const void *bytes, size_t size, json_t **json)
{
    char *config, *version;
    UBP_TRY(ubp_hdf5_open(&k->h5, bytes, size, k->err));
    UBP_TRY(ubp_hdf5_string(&config, k->h5, "", "model_config", &k->arena, k->err));
    if (!config)
        return ubp_fail(k->err, UB_ERR_UNSUPPORTED,
                        ubp_hdf5_find(k->h5, "layers") == UBP_HDF5_GROUP ||
                                ubp_hdf5_find(k->h5, "_layer_checkpoint_dependencies") ==
                                    UBP_HDF5_GROUP
                            ? "an HDF5 file of weights alone (save_weights): there is no network in"
                              " it; save the whole model"
                            : "an HDF5 file without a Keras model (it has no attribute"
                              " 'model_config')");
    UBP_TRY(ubp_hdf5_string(&version, k->h5, "", "keras_version", &k->arena, k->err));
    if (!version)
        UBP_TRY(
            ubp_hdf5_string(&version, k->h5, "model_weights", "keras_version", &k->arena, k->err));
    UBP_TRY(start(k, version ? version : "1"));
    k->legacy = true;
    k->vars_root = "layers";
    UBP_TRY(parse_json(k, json, config, strlen(config), "model_config"));
    return build(k, *json);
}

ub_status ubp_load_keras_h5(ubp_loaded *out, const void *bytes, size_t size, ub_error *err)
{
    ubp_keras k = {.loaded = out, .err = err};
    json_t *json = NULL;
    const ub_status status = load_h5(&k, bytes, size, &json);
    finish(&k);
    json_decref(json);
    return status;
}

/* ---- .keras ---------------------------------------------------------------------------------- */

enum { MAX_CONFIG = 1 << 28 }; /* bytes of config.json */

/* A member of the archive, as text for json; NULL when there is none. */
static ub_status read_member(ubp_keras *k, const ubp_zip *z, const char *name, size_t most,
                             ub_buffer **out)
{
    const int at = ubp_zip_find(z, name);
    *out = NULL;
    return at < 0 ? UB_OK : ubp_zip_member(out, z, at, most, k->err);
}

/* A member as JSON; *out NULL when there is none. */
static ub_status read_json(ubp_keras *k, const ubp_zip *z, const char *name, json_t **out)
{
    ub_buffer *text;
    *out = NULL;
    UBP_TRY(read_member(k, z, name, MAX_CONFIG, &text));
    if (!text)
        return UB_OK;
    const ub_status status = parse_json(k, out, text->data, text->size, name);
    ubp_buffer_unref(text);
    return status;
}

/* Weights are views of this member: it lives as long as the graph. */
static ub_status open_weights(ubp_keras *k, const ubp_zip *z)
{
    ubp_loaded *l = k->loaded;
    size_t most = k->loaded->file->size;
    ub_buffer *bytes;
    if (ubp_zip_find(z, "model.weights.json") >= 0)
        return ubp_fail(k->err, UB_ERR_UNSUPPORTED,
                        "the weights are in several files (model.weights.json); save the model"
                        " without max_shard_size");
    /* Deflate packs at most 1032 to 1. */
    if (!ubp_mul_size(most, 1032, &most))
        most = SIZE_MAX;
    UBP_TRY(ubp_grow((void **)&l->external, &l->cap_external, l->n_external, sizeof(ub_buffer *),
                     k->err));
    UBP_TRY(read_member(k, z, "model.weights.h5", most, &bytes));
    if (!bytes)
        return ubp_fail(k->err, UB_ERR_FILE, "there is no model.weights.h5 in the archive");
    l->external[l->n_external++] = bytes;
    return ubp_hdf5_open(&k->h5, bytes->data, bytes->size, k->err);
}

static ub_status load_archive(ubp_keras *k, const ubp_zip *z, json_t **config, json_t **metadata)
{
    UBP_TRY(read_json(k, z, "config.json", config));
    if (!*config)
        return ubp_fail(k->err, UB_ERR_FILE,
                        "there is no config.json in the archive: it has weights without a network");
    UBP_TRY(read_json(k, z, "metadata.json", metadata));
    UBP_TRY(start(k, ubp_keras_text(*metadata, "keras_version", "3")));
    UBP_TRY(open_weights(k, z));
    k->vars_root = ubp_hdf5_find(k->h5, "_layer_checkpoint_dependencies") == UBP_HDF5_GROUP
                       ? "_layer_checkpoint_dependencies"
                       : "layers";
    return build(k, *config);
}

bool ubp_keras_is(const ubp_zip *z)
{
    return ubp_zip_find(z, "model.weights.h5") >= 0 || ubp_zip_find(z, "model.weights.json") >= 0;
}

ub_status ubp_load_keras(ubp_loaded *out, const ubp_zip *z, ub_error *err)
{
    ubp_keras k = {.loaded = out, .err = err};
    json_t *config = NULL, *metadata = NULL;
    const ub_status status = load_archive(&k, z, &config, &metadata);
    finish(&k);
    json_decref(config);
    json_decref(metadata);
    return status;
}
