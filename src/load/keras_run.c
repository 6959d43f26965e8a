/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a model's calls in order, each after those it reads. A nested model is run anew for every
 * call of it. The walk keeps its own stack; nested models recurse, which is bounded.
 *
 * Where a call is counted: in a configuration, the calls of a layer are numbered from 0, but those
 * of a nested Functional model from 1 in output_layers; Keras 2 counts nested models from 1
 * everywhere.
 */
#include "load/keras.h"

#include <stdlib.h>
#include <string.h>

/* ---- References ------------------------------------------------------------------------------ */

/* An output of a call. */
typedef struct reference {
    size_t layer;
    int node, port;
} reference;

/* [name, node, port] to a reference; false when there is no such call. */
static bool find_reference(const ubp_keras_run *run, const json_t *list, bool keras2, bool is_end,
                           reference *out)
{
    const char *name = json_string_value(json_array_get(list, 0));
    const json_t *node = json_array_get(list, 1), *port = json_array_get(list, 2);
    const int32_t at = name ? ubp_table_find(&run->model->names, name) : -1;
    if (at < 0 || !json_is_integer(node) || !json_is_integer(port))
        return false;
    const ubp_keras_layer *l = &run->model->layers[at];
    json_int_t index = json_integer_value(node);
    if (l->model && (keras2 || (is_end && !l->model->sequential)))
        index--;
    if (index < 0 || index >= l->n_nodes || json_integer_value(port) < 0 ||
        json_integer_value(port) >= UBP_KERAS_PORTS)
        return false;
    *out = (reference){(size_t)at, (int)index, (int)json_integer_value(port)};
    return true;
}

/* The list that names a tensor, or NULL when the value is none. */
static const json_t *history_of(const json_t *value, const ubp_keras_run *run, bool lists)
{
    if (json_is_object(value) &&
        strcmp(ubp_keras_text(value, "class_name", ""), "__keras_tensor__") == 0)
        return json_object_get(json_object_get(value, "config"), "keras_history");
    if (lists && run && json_array_size(value) >= 3 && json_array_size(value) <= 4 &&
        json_is_integer(json_array_get(value, 1)) && json_is_integer(json_array_get(value, 2))) {
        const char *name = json_string_value(json_array_get(value, 0));
        return name && ubp_table_find(&run->model->names, name) >= 0 ? value : NULL;
    }
    return NULL;
}

/* Keras 2 writes the calls as lists. */
static bool writes_lists(const json_t *node)
{
    return json_is_array(node);
}

bool ubp_keras_is_tensor(const ubp_keras_call *c, const json_t *value)
{
    return history_of(value, c->run, c->args == NULL) != NULL;
}

static ub_status fail_reference(const ubp_keras *k, const ubp_keras_run *run, const json_t *list)
{
    const char *name = json_string_value(json_array_get(list, 0));
    return ubp_fail(k->err, UB_ERR_FILE,
                    "damaged file: model '%s' reads an output of '%.200s' that does not exist",
                    *run->model->path ? run->model->path : "(the whole)", name ? name : "?");
}

/* ---- What a call waits for ------------------------------------------------------------------- */

/* Visits the tensors of a call's arguments. */
typedef struct scan {
    const ubp_keras *k;
    const ubp_keras_run *run;
    bool lists;
    int count;
    int unmet; /* the first result that is not there yet, or -1 */
    ub_status status;
} scan;

static void scan_value(scan *s, const json_t *value, int depth)
{
    reference at;
    const json_t *history = history_of(value, s->run, s->lists);
    if (s->status != UB_OK || s->unmet >= 0)
        return;
    if (history) {
        if (!find_reference(s->run, history, s->k->keras2, false, &at))
            s->status = fail_reference(s->k, s->run, history);
        else if (!s->run->results[s->run->first[at.layer] + at.node].out)
            s->unmet = s->run->first[at.layer] + at.node;
        if (++s->count > 2 * UBP_KERAS_PORTS)
            s->status =
                ubp_fail(s->k->err, UB_ERR_UNSUPPORTED,
                         "a layer is called with more than %d tensors", 2 * UBP_KERAS_PORTS);
        /* Keras 2 has the other arguments behind the first tensor. */
        if (history == value)
            scan_value(s, json_array_get(value, 3), depth + 1);
        return;
    }
    if (depth > UBP_KERAS_DEPTH ||
        (json_is_object(value) && json_object_get(value, "class_name") &&
         strcmp(ubp_keras_text(value, "class_name", ""), "__numpy__") == 0))
        return;
    if (json_is_array(value))
        for (size_t i = 0; i < json_array_size(value); i++)
            scan_value(s, json_array_get(value, i), depth + 1);
    if (json_is_object(value))
        for (void *i = json_object_iter((json_t *)(uintptr_t)value); i;
             i = json_object_iter_next((json_t *)(uintptr_t)value, i))
            scan_value(s, json_object_iter_value(i), depth + 1);
}

/* ---- Arguments ------------------------------------------------------------------------------- */

const json_t *ubp_keras_arg(const ubp_keras_call *c, int place, const char *name)
{
    const json_t *v = name ? ubp_keras_get(c->kwargs, name) : NULL;
    if (!v && place >= 0)
        v = json_array_get(c->args, (size_t)place);
    return v && !json_is_null(v) ? v : NULL;
}

static kt result_of(ubp_keras_call *c, const json_t *value, const json_t *history)
{
    reference at;
    if (!find_reference(c->run, history, c->k->keras2, false, &at)) {
        c->k->status = fail_reference(c->k, c->run, history);
        return (kt){.value = UBP_NO_VALUE};
    }
    const ubp_keras_results *r = &c->run->results[c->run->first[at.layer] + at.node];
    if (at.port >= r->n_out) {
        c->k->status = fail_reference(c->k, c->run, history);
        return (kt){.value = UBP_NO_VALUE};
    }
    kt out = r->out[at.port];
    const json_t *shape = json_object_get(json_object_get(value, "config"), "shape");
    if (json_is_array(shape))
        out.shape = shape;
    return out;
}

/* Numbers in lists: the dims, then the values. */
static bool list_dims(const json_t *value, int *rank, int64_t *dims)
{
    for (*rank = 0; json_is_array(value); value = json_array_get(value, 0)) {
        if (*rank >= UB_MAX_RANK)
            return false;
        dims[(*rank)++] = (int64_t)json_array_size(value);
    }
    return true;
}

static bool list_values(const json_t *value, int rank, const int64_t *dims, double *out, size_t *n)
{
    if (rank == 0) {
        if (!json_is_number(value) && !json_is_boolean(value))
            return false;
        out[(*n)++] = json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
        return true;
    }
    if (json_array_size(value) != (size_t)dims[0])
        return false;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!list_values(json_array_get(value, i), rank - 1, dims + 1, out, n))
            return false;
    return true;
}

static kt numbers_of(ubp_keras_call *c, const json_t *value, ub_dtype dtype)
{
    int rank = 0;
    int64_t dims[UB_MAX_RANK];
    size_t count = 1, n = 0;
    if (!list_dims(value, &rank, dims)) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "an argument of more than %d axes", UB_MAX_RANK);
        return (kt){.value = UBP_NO_VALUE};
    }
    for (int i = 0; i < rank; i++)
        if (!ubp_mul_size(count, (size_t)dims[i], &count) || count > (1u << 24))
            count = 0;
    double *values = ubp_arena_array(&c->k->arena, count + 1, sizeof(double));
    if (!values || count == 0 || !list_values(value, rank, dims, values, &n)) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "an argument is neither a tensor nor numbers");
        return (kt){.value = UBP_NO_VALUE};
    }
    return ubp_k_array(c, dtype, rank, dims, values);
}

kt ubp_keras_tensor(ubp_keras_call *c, const json_t *value, ub_dtype dtype)
{
    const json_t *history = history_of(value, c->run, c->args == NULL);
    const char *class = ubp_keras_text(value, "class_name", "");
    if (c->k->status != UB_OK)
        return (kt){.value = UBP_NO_VALUE};
    if (history)
        return result_of(c, value, history);
    if (strcmp(class, "__numpy__") == 0 || strcmp(class, "__tensor__") == 0) {
        const json_t *config = json_object_get(value, "config");
        ub_dtype of = ub_dtype_from_name(ubp_keras_text(config, "dtype", "float32"));
        if (of == UB_UNDEFINED || of == UB_STRING)
            of = dtype;
        return numbers_of(c, json_object_get(config, "value"), of);
    }
    /* A real number beside integers makes floats of them. */
    if (json_is_real(value) && !ubp_is_float(dtype))
        dtype = UB_F32;
    return numbers_of(c, value, dtype);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_tensors(ubp_keras_call *c, const json_t *value, kt *out, int n, int most, int depth)
{
    const char *keys[UBP_KERAS_PORTS];
    int n_keys = 0;
    if (c->k->status != UB_OK || !value || json_is_null(value) || depth > UBP_KERAS_DEPTH)
        return n;
    if (n >= most) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "more than %d tensors in an argument", most);
        return n;
    }
    if (ubp_keras_is_tensor(c, value)) {
        out[n] = ubp_keras_tensor(c, value, UB_F32);
        return n + 1;
    }
    for (size_t i = 0; i < json_array_size(value); i++)
        n = add_tensors(c, json_array_get(value, i), out, n, most, depth + 1);
    if (!json_is_object(value))
        return n;
    /* Keras flattens dictionaries in the order of their keys. */
    json_t *object = (json_t *)(uintptr_t)value;
    for (void *i = json_object_iter(object); i && n_keys < UBP_KERAS_PORTS;
         i = json_object_iter_next(object, i))
        keys[n_keys++] = json_object_iter_key(i);
    qsort(keys, (size_t)n_keys, sizeof(keys[0]), compare_keys);
    for (int i = 0; i < n_keys; i++)
        n = add_tensors(c, json_object_get(value, keys[i]), out, n, most, depth + 1);
    return n;
}

int ubp_keras_tensors(ubp_keras_call *c, const json_t *value, kt *out, int most)
{
    return add_tensors(c, value, out, 0, most, 0);
}

/* Sets c->x, args, kwargs from a node of the configuration. */
static void read_arguments(ubp_keras_call *c, const json_t *node)
{
    if (writes_lists(node)) {
        const json_t *first = json_array_get(node, 0);
        c->kwargs = json_is_object(json_array_get(first, 3)) ? json_array_get(first, 3) : NULL;
        c->n_x = ubp_keras_tensors(c, node, c->x, UBP_KERAS_PORTS);
        return;
    }
    c->args = json_object_get(node, "args");
    c->kwargs = json_object_get(node, "kwargs");
    c->n_x = ubp_keras_tensors(c, json_array_get(c->args, 0), c->x, UBP_KERAS_PORTS);
    static const char *const names[] = {"inputs", "x", "sequences", "query", "x1"};
    for (int i = 0; i < UBP_COUNT(names) && json_array_size(c->args) == 0 && c->n_x == 0; i++)
        c->n_x = ubp_keras_tensors(c, ubp_keras_get(c->kwargs, names[i]), c->x, UBP_KERAS_PORTS);
}

/* ---- One call -------------------------------------------------------------------------------- */

/* All tensors it was called with but masks, for the layer's inputs. */
static int list_inputs(ubp_keras_call *c, kt *out)
{
    int n = 0;
    json_t *kwargs = (json_t *)(uintptr_t)c->kwargs;
    if (json_array_size(c->args) > 1) {
        n = add_tensors(c, c->args, out, 0, UBP_KERAS_PORTS, 0);
    } else {
        memcpy(out, c->x, (size_t)c->n_x * sizeof(kt));
        n = c->n_x;
    }
    if (!c->run)
        return n;
    const bool first_by_name = c->args && json_array_size(c->args) == 0;
    if (first_by_name)
        n = 0;
    for (void *i = json_object_iter(kwargs); i; i = json_object_iter_next(kwargs, i))
        if (!strstr(json_object_iter_key(i), "mask"))
            n = add_tensors(c, json_object_iter_value(i), out, n, UBP_KERAS_PORTS, 0);
    return n;
}

static ub_status keep_values(ubp_keras *k, int32_t **out, const kt *list, int n)
{
    *out = ubp_arena_array(&k->g->arena, (size_t)n, sizeof(int32_t));
    if (!*out)
        return ubp_fail_memory(k->err, (size_t)n);
    for (int i = 0; i < n; i++)
        (*out)[i] = list[i].value;
    return UB_OK;
}

/* Values made in the call get names; a layer that gives its input gets a value of its own. */
static ub_status name_outputs(ubp_keras_call *c, int32_t first_node)
{
    ubp_graph *g = c->k->g;
    for (int i = 0; i < c->n_out; i++) {
        const ubp_value *v = &g->values[c->out[i].value];
        if (c->layer->model)
            continue;
        if (v->producer < first_node || *v->name) {
            ubp_keras_mask *mask = c->out[i].mask;
            c->out[i] = ubp_k_one(c, "Identity", c->out[i]);
            c->out[i].mask = mask;
            UBP_TRY(c->k->status);
        }
        const char *name = c->n_out == 1 ? ubp_arena_printf(&g->arena, "%s/output", c->name)
                                         : ubp_arena_printf(&g->arena, "%s/output%d", c->name, i);
        if (!name)
            return ubp_fail_memory(c->k->err, strlen(c->name));
        if (ubp_table_find(&g->value_names, name) >= 0)
            return ubp_fail(c->k->err, UB_ERR_FILE, "damaged file: two values are called '%s'",
                            name);
        UBP_TRY(ubp_table_add(&g->value_names, name, c->out[i].value, c->k->err));
        g->values[c->out[i].value].name = name;
    }
    return UB_OK;
}

static void pass_masks(ubp_keras_call *c)
{
    if (c->layer->model || c->layer->is_op || !ubp_keras_passes_mask(c->layer->type) || c->n_x == 0)
        return;
    for (int i = 0; i < c->n_out; i++)
        if (!c->out[i].mask)
            c->out[i].mask = c->x[0].mask;
}

/* Training is asked for by name: what a layer then does is not what a saved model gives. */
static void refuse_training(ubp_keras_call *c)
{
    static const char *const differ[] = {
        "Dropout",         "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
        "GaussianDropout", "GaussianNoise",    "AlphaDropout",     "BatchNormalization"};
    if (!json_is_true(json_object_get(c->kwargs, "training")))
        return;
    for (int i = 0; i < UBP_COUNT(differ); i++)
        if (strcmp(c->layer->type, differ[i]) == 0 || c->layer->model)
            ubp_keras_fail(c, UB_ERR_UNSUPPORTED,
                           "is called with training=True, where results are random or depend on"
                           " the other samples; save the model without it");
}

/* A class of the user's, maybe with the name of one of Keras': its module is null or not Keras'. An
 * .h5 says no modules; classes have their package before the name there. */
static bool is_custom(const json_t *entry)
{
    const json_t *module = json_object_get(entry, "module");
    const char *name = json_string_value(module);
    if (name && strncmp(name, "tf_", 3) == 0) /* Keras 2 beside Keras 3 */
        name += 3;
    return module &&
           !(name && strncmp(name, "keras", 5) == 0 && (name[5] == '.' || name[5] == '\0'));
}

/* A class that there is no builder for, or whose builder is not meant. */
static void refuse_class(ubp_keras_call *c)
{
    const char *registered = ubp_keras_text(c->layer->entry, "registered_name", c->layer->type);
    if (strcmp(c->layer->type, "Lambda") == 0)
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED,
                       "it holds marshalled Python code, which is never run; use keras.ops in place"
                       " of Lambda, or export the model as ONNX");
    else if (strchr(registered, '>') || is_custom(c->layer->entry))
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED,
                       "it is of the custom class %.100s, whose code is not in the file; export the"
                       " model as ONNX",
                       registered);
    else
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED,
                       c->layer->is_op ? "the operation %.100s is not supported"
                                       : "layers of class %.100s are not supported",
                       c->layer->type);
}

static void build_nodes(ubp_keras_call *c, int depth)
{
    ubp_keras_layer *l = c->layer;
    if (l->model) {
        c->k->status = ubp_keras_run_model(c->k, l->model, c->x, c->n_x, c->out, &c->n_out, depth);
        return;
    }
    const ubp_keras_builder build =
        l->is_op ? ubp_keras_find_op(l->type) : ubp_keras_find_layer(l->type);
    if (!build || is_custom(l->entry)) {
        refuse_class(c);
        return;
    }
    refuse_training(c);
    if (c->k->status == UB_OK)
        build(c);
}

/* Everything of one call but its own memory. */
static ub_status build_recorded(ubp_keras_call *c, int depth)
{
    ubp_keras *k = c->k;
    kt inputs[UBP_KERAS_PORTS];
    const int n_in = list_inputs(c, inputs);
    const int32_t parent = k->parent, first = (int32_t)k->g->n_nodes;
    const char *node_name = k->node_name;
    UBP_TRY(k->status);
    UBP_TRY(
        ubp_grow((void **)&k->records, &k->cap_records, k->n_records, sizeof(*k->records), k->err));
    const size_t at = k->n_records++;
    k->records[at] = (ubp_keras_record){.path = c->layer->path,
                                        .name = c->name,
                                        .type = c->layer->type,
                                        .depth = parent < 0 ? 1 : k->records[parent].depth + 1,
                                        .parent = parent,
                                        .n_in = n_in};
    k->parent = (int32_t)at;
    k->node_name = c->name;
    build_nodes(c, depth);
    UBP_TRY(k->status);
    pass_masks(c);
    UBP_TRY(name_outputs(c, first));
    k->parent = parent;
    k->node_name = node_name;
    ubp_keras_record *r = &k->records[at];
    const char *hash = strrchr(c->name, '#');
    r->call = strlen(c->name) > strlen(c->layer->path) && hash ? atoi(hash + 1) : 0;
    r->first = first;
    r->last = (int32_t)k->g->n_nodes;
    r->n_out = c->n_out;
    UBP_TRY(keep_values(k, &r->in, inputs, n_in));
    return keep_values(k, &r->out, c->out, c->n_out);
}

ub_status ubp_keras_build(ubp_keras_call *c, int depth)
{
    if (++c->k->n_calls > UBP_KERAS_MAX_CALLS)
        return ubp_fail(c->k->err, UB_ERR_UNSUPPORTED, "the model calls more than %d layers",
                        UBP_KERAS_MAX_CALLS);
    if (!c->name)
        return ubp_fail_memory(c->k->err, strlen(c->layer->path));
    c->config = c->layer->config;
    c->compute = c->layer->compute;
    return build_recorded(c, depth);
}

void ubp_keras_build_inner(ubp_keras_call *outer, ubp_keras_layer *layer, const kt *x, int n_x,
                           kt *out, int *n_out)
{
    ubp_keras_call *c = ubp_calloc(1, sizeof(*c));
    *n_out = 0;
    if (!c) {
        outer->k->status = ubp_fail_memory(outer->k->err, sizeof(*c));
        return;
    }
    *c = (ubp_keras_call){.k = outer->k,
                          .layer = layer,
                          .config = layer->config,
                          .name = outer->name,
                          .compute = layer->compute,
                          .n_x = n_x};
    memcpy(c->x, x, (size_t)n_x * sizeof(kt));
    if (outer->k->status == UB_OK)
        build_nodes(c, UBP_KERAS_DEPTH);
    if (outer->k->status == UB_OK) {
        memcpy(out, c->out, (size_t)c->n_out * sizeof(kt));
        *n_out = c->n_out;
    }
    ubp_free(c);
}

/* ---- Models ---------------------------------------------------------------------------------- */

static const char *call_name(ubp_keras *k, const ubp_keras_layer *l, int number)
{
    return number == 0 ? l->path : ubp_arena_printf(&k->g->arena, "%s#%d", l->path, number);
}

static ub_status run_sequential(ubp_keras *k, const ubp_keras_run *run, kt *out, int *n_out,
                                int depth)
{
    kt x = run->inputs[0];
    for (size_t i = 0; i < run->model->n; i++) {
        ubp_keras_layer *l = &run->model->layers[i];
        if (strcmp(l->type, "InputLayer") == 0)
            continue;
        ubp_keras_call *c = ubp_calloc(1, sizeof(*c));
        if (!c)
            return ubp_fail_memory(k->err, sizeof(*c));
        c->k = k;
        c->layer = l;
        c->name = call_name(k, l, run->number);
        c->x[0] = x;
        c->n_x = 1;
        ub_status status = ubp_keras_build(c, depth);
        if (status == UB_OK && c->n_out != 1 && i + 1 < run->model->n)
            status = ubp_fail(k->err, UB_ERR_FILE,
                              "layer '%s' (%s) has %d outputs inside a Sequential model", l->path,
                              l->type, c->n_out);
        x = c->out[0];
        x.shape = NULL;
        memcpy(out, c->out, (size_t)c->n_out * sizeof(kt));
        *n_out = c->n_out;
        ubp_free(c);
        UBP_TRY(status);
    }
    if (*n_out == 0) {
        out[0] = x;
        *n_out = 1;
    }
    return UB_OK;
}

/* Builds a call whose arguments are there, and keeps its outputs. */
static ub_status run_call(ubp_keras *k, ubp_keras_run *run, size_t layer, int node, int depth)
{
    ubp_keras_layer *l = &run->model->layers[layer];
    ubp_keras_results *r = &run->results[run->first[layer] + node];
    ubp_keras_call *c = ubp_calloc(1, sizeof(*c));
    if (!c)
        return ubp_fail_memory(k->err, sizeof(*c));
    c->k = k;
    c->layer = l;
    c->name = call_name(k, l, run->number * l->n_nodes + node);
    c->run = run;
    read_arguments(c, json_array_get(json_object_get(l->entry, "inbound_nodes"), (size_t)node));
    ub_status status = k->status == UB_OK ? ubp_keras_build(c, depth) : k->status;
    if (status == UB_OK) {
        r->out = ubp_arena_array(&k->arena, (size_t)c->n_out + 1, sizeof(kt));
        r->n_out = c->n_out;
        if (!r->out)
            status = ubp_fail_memory(k->err, sizeof(kt));
        else
            memcpy(r->out, c->out, (size_t)c->n_out * sizeof(kt));
    }
    ubp_free(c);
    return status;
}

/* The layer of result number `at`. */
static size_t layer_of(const ubp_keras_run *run, int at)
{
    size_t low = 0, high = run->model->n;
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (run->first[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Runs result number `root` and what it waits for. */
static ub_status run_with_needs(ubp_keras *k, ubp_keras_run *run, int root, int *stack, bool *open,
                                int depth)
{
    int n = 0;
    stack[n++] = root;
    open[root] = true;
    while (n > 0) {
        const int at = stack[n - 1];
        const size_t layer = layer_of(run, at);
        const ubp_keras_layer *l = &run->model->layers[layer];
        const json_t *nodes = json_object_get(l->entry, "inbound_nodes");
        const json_t *node = json_array_get(nodes, (size_t)(at - run->first[layer]));
        if (strcmp(l->type, "InputLayer") == 0)
            return ubp_fail(k->err, UB_ERR_FILE,
                            "damaged file: input '%s' is not among the model's input_layers",
                            l->path);
        scan s = {.k = k, .run = run, .lists = writes_lists(node), .unmet = -1};
        scan_value(&s, node, 0);
        UBP_TRY(s.status);
        if (s.unmet < 0) {
            UBP_TRY(run_call(k, run, layer, at - run->first[layer], depth));
            n--;
        } else if (open[s.unmet]) {
            return ubp_fail(k->err, UB_ERR_FILE, "damaged file: layer '%s' reads its own output",
                            run->model->layers[layer_of(run, s.unmet)].path);
        } else {
            open[s.unmet] = true;
            stack[n++] = s.unmet;
        }
    }
    return UB_OK;
}

/* Ends of a model: ["in", 0, 0], a list of those, or an object of them; flat, in Keras' order. */
static ub_status list_ends(ubp_keras *k, const ubp_keras_run *run, const json_t *ends,
                           reference *out, int *n, int depth)
{
    if (json_is_string(json_array_get(ends, 0))) {
        if (*n >= UBP_KERAS_PORTS || !find_reference(run, ends, k->keras2, true, &out[*n]))
            return fail_reference(k, run, ends);
        ++*n;
        return UB_OK;
    }
    if (depth > UBP_KERAS_DEPTH)
        return UB_OK;
    for (size_t i = 0; i < json_array_size(ends); i++)
        UBP_TRY(list_ends(k, run, json_array_get(ends, i), out, n, depth + 1));
    if (!json_is_object(ends))
        return UB_OK;
    const char *keys[UBP_KERAS_PORTS];
    int n_keys = 0;
    json_t *object = (json_t *)(uintptr_t)ends;
    for (void *i = json_object_iter(object); i && n_keys < UBP_KERAS_PORTS;
         i = json_object_iter_next(object, i))
        keys[n_keys++] = json_object_iter_key(i);
    qsort(keys, (size_t)n_keys, sizeof(keys[0]), compare_keys);
    for (int i = 0; i < n_keys; i++)
        UBP_TRY(list_ends(k, run, json_object_get(ends, keys[i]), out, n, depth + 1));
    return UB_OK;
}

static ub_status set_inputs(ubp_keras *k, ubp_keras_run *run)
{
    reference ends[UBP_KERAS_PORTS];
    int n = 0;
    UBP_TRY(list_ends(k, run, json_object_get(run->model->config, "input_layers"), ends, &n, 0));
    if (n != run->n_inputs)
        return ubp_fail(k->err, UB_ERR_FILE, "model '%s' has %d inputs, but is called with %d",
                        run->model->path, n, run->n_inputs);
    for (int i = 0; i < n; i++) {
        ubp_keras_results *r = &run->results[run->first[ends[i].layer] + ends[i].node];
        r->out = ubp_arena_array(&k->arena, 1, sizeof(kt));
        if (!r->out)
            return ubp_fail_memory(k->err, sizeof(kt));
        r->out[0] = run->inputs[i];
        r->n_out = 1;
    }
    return UB_OK;
}

static ub_status give_outputs(ubp_keras *k, const ubp_keras_run *run, kt *out, int *n_out)
{
    reference ends[UBP_KERAS_PORTS];
    int n = 0;
    UBP_TRY(list_ends(k, run, json_object_get(run->model->config, "output_layers"), ends, &n, 0));
    for (int i = 0; i < n; i++) {
        const ubp_keras_results *r = &run->results[run->first[ends[i].layer] + ends[i].node];
        if (!r->out || ends[i].port >= r->n_out)
            return ubp_fail(k->err, UB_ERR_FILE,
                            "damaged file: an output of model '%s' does not exist",
                            run->model->path);
        out[i] = r->out[ends[i].port];
        out[i].shape = NULL;
    }
    *n_out = n;
    return UB_OK;
}

static ub_status run_functional(ubp_keras *k, ubp_keras_run *run, kt *out, int *n_out, int depth)
{
    ubp_keras_model *m = run->model;
    int total = 0;
    run->first = ubp_arena_array(&k->arena, m->n + 1, sizeof(int));
    if (!run->first)
        return ubp_fail_memory(k->err, m->n * sizeof(int));
    for (size_t i = 0; i < m->n; i++) {
        run->first[i] = total;
        if (__builtin_add_overflow(total, m->layers[i].n_nodes, &total))
            return ubp_fail(k->err, UB_ERR_UNSUPPORTED, "too many calls of layers");
    }
    const size_t n = (size_t)total;
    run->results = ubp_arena_array(&k->arena, n, sizeof(ubp_keras_results));
    int *stack = ubp_arena_array(&k->arena, n, sizeof(int));
    bool *open = ubp_arena_array(&k->arena, n, sizeof(bool));
    if (!run->results || !stack || !open)
        return ubp_fail_memory(k->err, n * sizeof(ubp_keras_results));
    UBP_TRY(set_inputs(k, run));
    for (int i = 0; i < total; i++)
        if (!run->results[i].out)
            UBP_TRY(run_with_needs(k, run, i, stack, open, depth));
    return give_outputs(k, run, out, n_out);
}

ub_status ubp_keras_run_model(ubp_keras *k, ubp_keras_model *m, const kt *inputs, int n_inputs,
                              kt *out, int *n_out, int depth)
{
    ubp_keras_run run = {.model = m, .inputs = inputs, .n_inputs = n_inputs};
    *n_out = 0;
    if (depth > UBP_KERAS_DEPTH)
        return ubp_fail(k->err, UB_ERR_UNSUPPORTED, "models are nested more than %d deep",
                        UBP_KERAS_DEPTH);
    if (n_inputs < 1)
        return ubp_fail(k->err, UB_ERR_FILE, "model '%s' is called without a tensor", m->path);
    run.number = m->n_runs++;
    if (m->sequential)
        return run_sequential(k, &run, out, n_out, depth + 1);
    return run_functional(k, &run, out, n_out, depth + 1);
}
