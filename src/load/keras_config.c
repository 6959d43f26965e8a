/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model's configuration: JSON to models and layers, with where the archive keeps each layer's
 * variables. That place is not the layer's name: layers of a class are numbered in the order of the
 * configuration. The JSON stays; strings of it are borrowed.
 */
#include "load/keras.h"

#include <ctype.h>
#include <string.h>

/* ---- Members --------------------------------------------------------------------------------- */

const json_t *ubp_keras_get(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    return v && !json_is_null(v) ? v : NULL;
}

const char *ubp_keras_text(const json_t *object, const char *name, const char *def)
{
    const char *s = json_string_value(json_object_get(object, name));
    return s ? s : def;
}

bool ubp_keras_flag(const json_t *object, const char *name, bool def)
{
    const json_t *v = ubp_keras_get(object, name);
    return !v ? def : json_is_boolean(v) ? json_is_true(v) : json_number_value(v) != 0;
}

double ubp_keras_number(const json_t *object, const char *name, double def)
{
    const json_t *v = ubp_keras_get(object, name);
    return v && json_is_number(v) ? json_number_value(v) : def;
}

int64_t ubp_keras_int(const json_t *object, const char *name, int64_t def)
{
    const json_t *v = ubp_keras_get(object, name);
    return v && json_is_integer(v) ? json_integer_value(v) : def;
}

bool ubp_keras_ints(const json_t *value, int n, int64_t *out)
{
    const bool is_list = json_is_array(value);
    if (is_list && json_array_size(value) == 1 && n > 1)
        value = json_array_get(value, 0);
    else if (is_list && json_array_size(value) != (size_t)n)
        return false;
    for (int i = 0; i < n; i++) {
        const json_t *v = json_is_array(value) ? json_array_get(value, (size_t)i) : value;
        if (!json_is_integer(v))
            return false;
        out[i] = json_integer_value(v);
    }
    return true;
}

/* ---- Dtypes ---------------------------------------------------------------------------------- */

ub_status ubp_keras_policy(ubp_keras *k, const json_t *dtype, const char *path, ub_dtype *out)
{
    const char *class = ubp_keras_text(dtype, "class_name", "");
    const char *name = json_string_value(dtype);
    *out = UB_F32;
    if (!dtype)
        return UB_OK;
    if (json_is_object(dtype)) {
        if (strcmp(class, "DTypePolicy") != 0 && strcmp(class, "Policy") != 0)
            return ubp_fail(k->err, UB_ERR_UNSUPPORTED,
                            "layer '%s' has the dtype policy %s; only float32, float64, float16,"
                            " bfloat16 and the mixed ones are known",
                            path, class);
        name = ubp_keras_text(ubp_keras_get(dtype, "config"), "name", "float32");
    }
    if (!name)
        return UB_OK;
    if (strncmp(name, "mixed_", 6) == 0)
        name += 6;
    *out = ub_dtype_from_name(name);
    if (*out == UB_UNDEFINED || *out == UB_STRING)
        return ubp_fail(k->err, UB_ERR_UNSUPPORTED, "layer '%s' has the dtype '%.60s'", path, name);
    return UB_OK;
}

/* ---- Where variables are --------------------------------------------------------------------- */

/* Keras' to_snake_case: "Conv2DTranspose" -> "conv2d_transpose", "PReLU" -> "p_re_lu". */
static void snake_case(const char *class, char *out, size_t size)
{
    char a[256];
    size_t n = 0, m = 0;
    for (const char *s = class; *s && n + 2 < sizeof(a); s++) {
        const bool word = isalnum((unsigned char)*s) || *s == '_';
        /* (.)([A-Z][a-z]+) -> \1_\2 */
        if (word && n > 0 && isupper((unsigned char)s[0]) && islower((unsigned char)s[1]))
            a[n++] = '_';
        if (word)
            a[n++] = *s;
    }
    a[n] = '\0';
    for (size_t i = 0; i < n && m + 2 < size; i++) {
        /* ([a-z])([A-Z]) -> \1_\2 */
        if (i > 0 && islower((unsigned char)a[i - 1]) && isupper((unsigned char)a[i]))
            out[m++] = '_';
        out[m++] = (char)tolower((unsigned char)a[i]);
    }
    out[m] = '\0';
}

static ub_status need(ubp_keras *k, const void *p)
{
    return p ? UB_OK : ubp_fail_memory(k->err, 1);
}

/* "a" and "b" to "a/b", without the slash where one is empty. */
static const char *join(ubp_keras *k, const char *a, const char *b)
{
    return ubp_arena_printf(&k->g->arena, "%s%s%s", a, *a && *b ? "/" : "", b);
}

/* ---- Layers ---------------------------------------------------------------------------------- */

/* Operations on tensors have a module under keras.src.ops; an .h5 has no modules, but layers whose
 * names operations have too have "trainable" in their configuration. */
static bool is_operation(const ubp_keras *k, const json_t *entry, const char *type)
{
    const char *module = ubp_keras_text(entry, "module", NULL);
    const json_t *config = ubp_keras_get(entry, "config");
    if (strcmp(type, "TFOpLambda") == 0 || strcmp(type, "SlicingOpLambda") == 0)
        return true;
    if (module)
        return strstr(module, ".ops.") != NULL;
    if (!ubp_keras_find_op(type) && ubp_keras_find_layer(type))
        return false;
    return k->legacy && !k->keras2 && !json_object_get(config, "trainable") &&
           !json_object_get(config, "layers") && strcmp(type, "InputLayer") != 0;
}

static bool is_model(const json_t *config, const char *type)
{
    return json_is_array(json_object_get(config, "layers")) || strcmp(type, "Sequential") == 0 ||
           strcmp(type, "Functional") == 0 || strcmp(type, "Model") == 0;
}

/* Counts of layers by class, to name their places. */
typedef struct counter {
    ubp_table table;
    int *counts;
    size_t n, cap;
} counter;

static ub_status count_class(ubp_keras *k, counter *count, const char *type, int *number)
{
    char *snake = ubp_arena_alloc(&k->arena, 600);
    UBP_TRY(need(k, snake));
    snake_case(type, snake, 600);
    int32_t at = ubp_table_find(&count->table, snake);
    if (at < 0) {
        UBP_TRY(ubp_grow((void **)&count->counts, &count->cap, count->n, sizeof(int), k->err));
        at = (int32_t)count->n;
        count->counts[count->n++] = 0;
        UBP_TRY(ubp_table_add(&count->table, snake, at, k->err));
    }
    *number = count->counts[at]++;
    return UB_OK;
}

static ub_status place_layer(ubp_keras *k, ubp_keras_layer *l, const ubp_keras_model *m,
                             counter *count)
{
    char snake[600];
    int number = 0;
    if (l->is_op || (m->sequential && strcmp(l->type, "InputLayer") == 0)) {
        l->store = "";
        return UB_OK;
    }
    /* Exported as GroupQueryAttention, written under the name of the class. */
    const char *class =
        strcmp(l->type, "GroupQueryAttention") == 0 ? "GroupedQueryAttention" : l->type;
    UBP_TRY(count_class(k, count, class, &number));
    snake_case(class, snake, sizeof(snake));
    const char *root = join(k, m->store, k->vars_root);
    UBP_TRY(need(k, root));
    l->store = number == 0 ? ubp_arena_printf(&k->g->arena, "%s/%s", root, snake)
                           : ubp_arena_printf(&k->g->arena, "%s/%s_%d", root, snake, number);
    return need(k, l->store);
}

static ub_status read_layer(ubp_keras *k, ubp_keras_layer *l, const json_t *entry,
                            const ubp_keras_model *m, counter *count, int depth)
{
    l->entry = entry;
    l->config = ubp_keras_get(entry, "config");
    l->type = ubp_keras_text(entry, "class_name", NULL);
    l->name = ubp_keras_text(entry, "name", ubp_keras_text(l->config, "name", NULL));
    if (!l->type || !l->name || !*l->name || !json_is_object(l->config))
        return ubp_fail(k->err, UB_ERR_FILE,
                        "damaged file: a layer of the configuration has no name or no class");
    l->path = join(k, m->path, l->name);
    l->type = ubp_arena_strdup(&k->g->arena, l->type); /* the JSON goes, the graph stays */
    UBP_TRY(need(k, l->path));
    UBP_TRY(need(k, l->type));
    l->is_op = is_operation(k, entry, l->type);
    l->group = *m->path ? m->group : l->name;
    l->parts = *m->path ? l->name : ""; /* names need not have those of the models around it */
    l->n_nodes = (int)json_array_size(json_object_get(entry, "inbound_nodes"));
    if (strcmp(l->type, "InputLayer") == 0)
        l->n_nodes = 1;
    UBP_TRY(place_layer(k, l, m, count));
    if (!l->is_op && is_model(l->config, l->type))
        return ubp_keras_read_model(k, &l->model, entry, l, depth + 1);
    if (!l->is_op && strcmp(l->type, "InputLayer") != 0)
        return ubp_keras_policy(k, ubp_keras_get(l->config, "dtype"), l->path, &l->compute);
    l->compute = UB_F32;
    return UB_OK;
}

ub_status ubp_keras_inner_layer(ubp_keras *k, ubp_keras_layer *out, const ubp_keras_layer *outer,
                                const json_t *entry, const char *attribute, bool named)
{
    *out = (ubp_keras_layer){.entry = entry, .config = ubp_keras_get(entry, "config")};
    out->type = ubp_keras_text(entry, "class_name", NULL);
    out->name = ubp_keras_text(out->config, "name", attribute);
    if (!out->type || !json_is_object(out->config))
        return ubp_fail(k->err, UB_ERR_FILE, "damaged file: layer '%s' has no inner layer",
                        outer->path);
    out->path = join(k, outer->path, out->name);
    out->store = join(k, outer->store, attribute);
    out->group = outer->group;
    out->parts = named ? join(k, outer->parts, out->name) : outer->parts;
    out->n_nodes = 1;
    if (!out->path || !out->store || !out->parts)
        return ubp_fail_memory(k->err, 1);
    if (is_model(out->config, out->type))
        return ubp_fail(k->err, UB_ERR_UNSUPPORTED,
                        "layer '%s' (%s) wraps a model, which is not"
                        " supported",
                        outer->path, outer->type);
    return ubp_keras_policy(k, ubp_keras_get(out->config, "dtype"), out->path, &out->compute);
}

/* ---- Models ---------------------------------------------------------------------------------- */

static ub_status read_layers(ubp_keras *k, ubp_keras_model *m, const json_t *list, int depth)
{
    counter count = {0};
    ub_status status = UB_OK;
    for (size_t i = 0; i < m->n && status == UB_OK; i++) {
        ubp_keras_layer *l = &m->layers[i];
        status = read_layer(k, l, json_array_get(list, i), m, &count, depth);
        if (status == UB_OK && ubp_table_find(&m->names, l->name) >= 0)
            status =
                ubp_fail(k->err, UB_ERR_FILE, "damaged file: two layers are called '%s'", l->path);
        if (status == UB_OK)
            status = ubp_table_add(&m->names, l->name, (int32_t)i, k->err);
    }
    ubp_table_release(&count.table);
    ubp_free(count.counts);
    return status;
}

ub_status ubp_keras_read_model(ubp_keras *k, ubp_keras_model **out, const json_t *entry,
                               const ubp_keras_layer *layer, int depth)
{
    const char *type = ubp_keras_text(entry, "class_name", "");
    const json_t *config = ubp_keras_get(entry, "config");
    /* Keras 1 and early Keras 2: the list of layers is the whole configuration. */
    const json_t *list = json_is_array(config) ? config : json_object_get(config, "layers");
    if (depth > UBP_KERAS_DEPTH)
        return ubp_fail(k->err, UB_ERR_UNSUPPORTED, "models are nested more than %d deep",
                        UBP_KERAS_DEPTH);
    if (!json_is_array(list))
        return ubp_fail(k->err, UB_ERR_UNSUPPORTED,
                        "%s%s%s is a subclassed model (class %.100s): the file has its weights but"
                        " not how its layers are connected; build the model as Functional or"
                        " Sequential, or export it as ONNX",
                        layer ? "layer '" : "this", layer ? layer->path : "", layer ? "'" : "",
                        *type ? type : "unknown");
    ubp_keras_model *m = ubp_calloc(1, sizeof(*m));
    if (!m)
        return ubp_fail_memory(k->err, sizeof(*m));
    m->next = k->models;
    k->models = *out = m;
    m->config = config;
    m->sequential = strcmp(type, "Sequential") == 0;
    m->path = layer ? layer->path : "";
    m->store = layer ? layer->store : "";
    m->parts = layer ? layer->parts : "";
    m->group = layer ? layer->group : "";
    m->n = json_array_size(list);
    m->layers = ubp_arena_array(&k->g->arena, m->n, sizeof(ubp_keras_layer));
    if (!m->layers)
        return ubp_fail_memory(k->err, m->n * sizeof(ubp_keras_layer));
    return read_layers(k, m, list, depth);
}

void ubp_keras_release_models(ubp_keras *k)
{
    while (k->models) {
        ubp_keras_model *m = k->models;
        k->models = m->next;
        ubp_table_release(&m->names);
        ubp_free(m);
    }
}
