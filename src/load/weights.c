/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights from another file than the model's: each array of a .safetensors or .npz file takes the
 * place of the constant of its name. Where an exporter has changed or renamed weights, the file's
 * would not mean what the graph does with them: then none is replaced.
 */
#include "load/load.h"

#include <stdio.h>
#include <string.h>

enum { MOST_LISTED = 4 };

/* ---- The arrays of a file ---------------------------------------------------------------------
 */

/* One of the two is not NULL. */
typedef struct arrays {
    ub_npz *npz;
    ub_safetensors *tensors;
} arrays;

static ub_status arrays_open(arrays *a, const char *path, ub_error *err)
{
    static const char zip[] = "PK";
    ub_buffer *file = NULL;
    UBP_TRY(ubp_map_file(&file, path, err));
    const bool is_zip = file->size >= 4 && memcmp(file->data, zip, 2) == 0;
    ubp_buffer_unref(file);
    return is_zip ? ub_npz_load(&a->npz, path, err) : ub_safetensors_load(&a->tensors, path, err);
}

static void arrays_close(arrays *a)
{
    ub_npz_free(a->npz);
    ub_safetensors_free(a->tensors);
}

static int arrays_count(const arrays *a)
{
    return a->npz ? ub_npz_count(a->npz) : ub_safetensors_count(a->tensors);
}

static const char *arrays_name(const arrays *a, int i)
{
    return a->npz ? ub_npz_name(a->npz, i) : ub_safetensors_name(a->tensors, i);
}

static const ub_tensor *arrays_tensor(const arrays *a, int i)
{
    return a->npz ? ub_npz_tensor(a->npz, i) : ub_safetensors_tensor(a->tensors, i);
}

/* ---- One file meets one model ------------------------------------------------------------------
 */

typedef struct meeting {
    ubp_loaded *loaded;
    ubp_graph *g;
    const char *path;
    arrays file;
    ubp_table names;  /* of the file's arrays */
    bool *read;       /* [n_values] by a node of the graph */
    bool *replaced;   /* [n_values] */
    ubp_text unknown; /* names that the model does not have */
    int n_unknown, n_replaced;
    int n_integers; /* unknown ones that hold no floats: num_batches_tracked and the like */
    ub_error *err;
} meeting;

static const ub_tensor *model_weight(const ubp_graph *g, const char *name, int32_t *value)
{
    *value = ubp_table_find(&g->value_names, name);
    return *value >= 0 ? g->values[*value].constant : NULL;
}

/* Adds a name to a list of at most MOST_LISTED. */
static void list_name(ubp_text *t, int count, const char *name)
{
    if (count < MOST_LISTED)
        ubp_text_addf(t, "%s'%.120s'", count > 0 ? ", " : "", name);
    else if (count == MOST_LISTED)
        ubp_text_add(t, ", ...");
}

/* ---- Weights that an exporter changed ----------------------------------------------------------
 */

/* A layer whose output is not in the file because something was folded into it: its weight is not
 * the framework's, whether it kept its name (dynamo) or not (TorchScript). */
static ub_status check_folded(const meeting *m)
{
    char name[4200];
    for (size_t i = 0; i < m->g->n_layers; i++) {
        const ubp_layer *l = &m->g->layers[i];
        if (!l->no_out || !strstr(l->no_out, "folded") ||
            snprintf(name, sizeof(name), "%s.weight", l->path) >= (int)sizeof(name) ||
            ubp_table_find(&m->names, name) < 0)
            continue;
        int32_t value;
        if (model_weight(m->g, name, &value) && l->n_nodes > 0)
            continue;
        return ubp_fail(m->err, UB_ERR_UNSUPPORTED,
                        "the weights of '%.200s' cannot be replaced: %s", l->path, l->no_out);
    }
    return UB_OK;
}

/* "onnx::MatMul_406", "val_12": exporters call weights so that they transposed or computed. */
static bool is_made_up(const char *name)
{
    return strncmp(name, "onnx::", 6) == 0 ||
           (strncmp(name, "val_", 4) == 0 && strspn(name + 4, "0123456789") == strlen(name + 4));
}

/* A weight of the model that an exporter made from the file's array `t`, perhaps. */
static const ubp_value *find_changed(const meeting *m, const ub_tensor *t)
{
    const int64_t count = ub_tensor_count(t);
    for (size_t i = 0; i < m->g->n_values && t->rank > 1; i++) {
        const ubp_value *v = &m->g->values[i];
        if (v->constant && m->read[i] && is_made_up(v->name) && ubp_is_float(v->dtype) &&
            v->rank > 1 && ub_tensor_count(v->constant) == count)
            return v;
    }
    return NULL;
}

/* An array without a counterpart. */
static ub_status note_unknown(meeting *m, const char *name, const ub_tensor *t)
{
    char a[UBP_SHAPE_TEXT], b[UBP_SHAPE_TEXT];
    const ubp_value *v = find_changed(m, t);
    list_name(&m->unknown, m->n_unknown++, name);
    m->n_integers += !ubp_is_float(t->dtype);
    if (!v)
        return UB_OK;
    return ubp_fail(m->err, UB_ERR_UNSUPPORTED,
                    "'%.120s' %s cannot be replaced: the exporter seems to have made '%.120s' %s of"
                    " it; export with do_constant_folding=False (dynamo=False) or optimize=False"
                    " (dynamo=True), or use .pt2",
                    name, ubp_shape_text(a, t->rank, t->dims), v->name,
                    ubp_shape_text(b, v->rank, v->dims));
}

/* ---- Replacing ---------------------------------------------------------------------------------
 */

static ub_status check_fit(const meeting *m, const char *name, const ub_tensor *t,
                           const ub_tensor *old)
{
    char a[UBP_SHAPE_TEXT], b[UBP_SHAPE_TEXT];
    const bool floats = ubp_is_float(t->dtype) && ubp_is_float(old->dtype);
    if (ubp_same_dims(t, old) && (t->dtype == old->dtype || floats))
        return UB_OK;
    return ubp_fail(m->err, UB_ERR_SHAPE, "'%.200s' is %s %s, the model has %s %s", name,
                    ub_dtype_name(t->dtype), ubp_shape_text(a, t->rank, t->dims),
                    ub_dtype_name(old->dtype), ubp_shape_text(b, old->rank, old->dims));
}

/* The graph keeps a view; what it views lives as long as the loaded file. */
static ub_status keep(meeting *m, const ub_tensor *t)
{
    ubp_loaded *l = m->loaded;
    if (!t->buffer || (l->n_external > 0 && l->external[l->n_external - 1] == t->buffer))
        return UB_OK;
    UBP_TRY(ubp_grow((void **)&l->external, &l->cap_external, l->n_external, sizeof(ub_buffer *),
                     m->err));
    ubp_buffer_ref(t->buffer);
    l->external[l->n_external++] = t->buffer;
    return UB_OK;
}

static ub_status replace(meeting *m, int32_t value, const ub_tensor *t)
{
    ubp_value *v = &m->g->values[value];
    ub_tensor *made = NULL, *copy = ubp_arena_alloc(&m->g->arena, sizeof(*copy));
    if (!copy)
        return ubp_fail_memory(m->err, sizeof(*copy));
    if (t->dtype != v->constant->dtype)
        UBP_TRY(ub_tensor_cast(&made, t, v->constant->dtype, m->err));
    else if (!ub_tensor_is_contiguous(t))
        UBP_TRY(ub_tensor_copy(&made, t, m->err));
    *copy = made ? *made : *t;
    const ub_status status = keep(m, copy);
    ub_tensor_free(made);
    if (status != UB_OK)
        return status;
    v->constant = copy;
    m->replaced[value] = true;
    m->n_replaced++;
    return UB_OK;
}

static ub_status replace_all(meeting *m)
{
    for (int i = 0; i < arrays_count(&m->file); i++) {
        const char *name = arrays_name(&m->file, i);
        const ub_tensor *t = arrays_tensor(&m->file, i);
        int32_t value;
        const ub_tensor *old = model_weight(m->g, name, &value);
        if (!old) {
            UBP_TRY(note_unknown(m, name, t));
            continue;
        }
        UBP_TRY(check_fit(m, name, t, old));
        UBP_TRY(replace(m, value, t));
    }
    return UB_OK;
}

/* ---- What is left over -------------------------------------------------------------------------
 */

/* Whether users would call it a weight: a named list, matrix or more of floats that is used. */
static bool is_weight(const meeting *m, size_t i)
{
    const ubp_value *v = &m->g->values[i];
    return v->constant && m->read[i] && *v->name && ubp_is_float(v->dtype) && v->rank > 0;
}

/* Names of weights that the file does not have. */
static int list_kept(const meeting *m, ubp_text *t)
{
    int n = 0;
    for (size_t i = 0; i < m->g->n_values; i++)
        if (!m->replaced[i] && is_weight(m, i))
            list_name(t, n++, m->g->values[i].name);
    return n;
}

/* The weight that ends as the name does or differs from it by a little, or NULL. */
static const char *find_near(const meeting *m, const char *name)
{
    enum { LIMIT = 6 };
    const char *best = NULL;
    int best_distance = LIMIT;
    for (size_t i = 0; i < m->g->n_values; i++) {
        if (!is_weight(m, i))
            continue;
        const char *other = m->g->values[i].name;
        const size_t a = strlen(name), b = strlen(other);
        const char *end = a > b ? name + (a - b) : name;
        const char *other_end = b > a ? other + (b - a) : other;
        const int distance = strcmp(end, other_end) == 0 ? 0 : ubp_distance(name, other, LIMIT);
        if (distance < best_distance) {
            best = other;
            best_distance = distance;
        }
    }
    return best;
}

static ub_status fail_nothing(const meeting *m)
{
    ubp_text t = {0};
    int n = 0;
    for (int i = 0; i < arrays_count(&m->file) && n < MOST_LISTED; i++) {
        const char *near = find_near(m, arrays_name(&m->file, i));
        if (near)
            ubp_text_addf(&t, "%s'%.120s' is near '%.120s'", n++ ? ", " : "; ",
                          arrays_name(&m->file, i), near);
    }
    if (n == 0) {
        ubp_text_addf(&t, "; the file has %s; the model has ",
                      m->unknown.s ? m->unknown.s : "none");
        if (list_kept(m, &t) == 0)
            ubp_text_add(&t, "none");
    }
    const ub_status status =
        t.failed ? ubp_fail_memory(m->err, t.len)
                 : ubp_fail(m->err, UB_ERR_ARGUMENT,
                            "no array has the name of a weight of the model%s", t.s);
    ubp_text_free(&t);
    return status;
}

/* Notes what has no counterpart; strict: refuses it. */
static ub_status report(const meeting *m, bool strict, ubp_text *note)
{
    ubp_text kept = {0};
    const int n_kept = list_kept(m, &kept);
    ub_status status = UB_OK;
    if (m->n_replaced == 0 && (n_kept > 0 || !strict))
        status = fail_nothing(m);
    else if (strict && n_kept > 0)
        status = ubp_fail(m->err, UB_ERR_ARGUMENT, "%d weights of the model are not in it: %s",
                          n_kept, kept.s ? kept.s : "");
    else if (strict && m->n_unknown > m->n_integers)
        status = ubp_fail(m->err, UB_ERR_ARGUMENT,
                          "%d of its arrays are no weights of the model:"
                          " %s",
                          m->n_unknown, m->unknown.s ? m->unknown.s : "");
    if (status == UB_OK && note) {
        ubp_text_addf(note, "%d weights from %s", m->n_replaced, m->path);
        if (m->n_unknown > 0)
            ubp_text_addf(note, "; %d of its arrays are not in the model: %s", m->n_unknown,
                          m->unknown.s ? m->unknown.s : "");
        if (n_kept > 0)
            ubp_text_addf(note, "; %d of the model's weights are not in it and stay: %s", n_kept,
                          kept.s ? kept.s : "");
    }
    ubp_text_free(&kept);
    return status;
}

/* ---- All of it ---------------------------------------------------------------------------------
 */

static ub_status prepare(meeting *m)
{
    const ubp_graph *g = m->g;
    UBP_TRY(arrays_open(&m->file, m->path, m->err));
    m->read = ubp_calloc(g->n_values + 1, sizeof(bool));
    m->replaced = ubp_calloc(g->n_values + 1, sizeof(bool));
    if (!m->read || !m->replaced)
        return ubp_fail_memory(m->err, g->n_values);
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_in; k++)
            if (g->nodes[i].in[k] != UBP_NO_VALUE)
                m->read[g->nodes[i].in[k]] = true;
    for (int i = 0; i < arrays_count(&m->file); i++)
        UBP_TRY(ubp_table_add(&m->names, arrays_name(&m->file, i), i, m->err));
    return UB_OK;
}

ub_status ubp_weights_apply(ubp_loaded *loaded, const char *path, bool strict, ubp_text *note,
                            ub_error *err)
{
    meeting m = {.loaded = loaded, .g = loaded->graph, .path = path, .err = err};
    ub_status status = prepare(&m);
    if (status == UB_OK)
        status = check_folded(&m);
    if (status == UB_OK)
        status = replace_all(&m);
    if (status == UB_OK)
        status = report(&m, strict, note);
    if (status != UB_OK && err && !strstr(err->message, path))
        ubp_error_prefix(err, "weights '%s'", path);
    ubp_text_free(&m.unknown);
    ubp_table_release(&m.names);
    ubp_free(m.read);
    ubp_free(m.replaced);
    arrays_close(&m.file);
    return status;
}
