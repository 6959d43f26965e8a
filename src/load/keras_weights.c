/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Variables of layers, as constants of the graph named "<layer>/<variable>": views of the file,
 * unchanged. A .keras archive has them by place (keras_config.c says where), and the layer's name
 * beside them to check it; an .h5 has them by name, in the order in which Keras lists them.
 */
#include "load/keras.h"

#include <stdio.h>
#include <string.h>

/* The variables of one top-level layer in an .h5. */
struct ubp_keras_group {
    struct ubp_keras_group *next;
    const char *name; /* of the layer */
    char **names;     /* [n] as the file has them: paths in the group */
    bool *used;       /* [n] */
    size_t n;
};

/* ---- By place -------------------------------------------------------------------------------- */

/* The path of variables under the layer: "layers/dense/vars"; false when it is too long. */
static bool vars_path(char *out, size_t size, const ubp_keras_layer *l, const char *sub)
{
    const int n = snprintf(out, size, "%s%s%s/vars", l->store, *sub ? "/" : "", sub);
    return n > 0 && (size_t)n < size;
}

/* Keras says whose variables these are, since 3.6. */
static ub_status check_owner(ubp_keras *k, ubp_keras_layer *l)
{
    char path[1024];
    char *name = NULL;
    if (l->checked || !vars_path(path, sizeof(path), l, ""))
        return UB_OK;
    l->checked = true;
    UBP_TRY(ubp_hdf5_string(&name, k->h5, path, "name", &k->arena, k->err));
    if (name && strcmp(name, l->name) != 0)
        return ubp_fail(k->err, UB_ERR_FILE,
                        "damaged file: the variables of layer '%s' should be at '%s', which has"
                        " those of '%s'",
                        l->path, path, name);
    return UB_OK;
}

static bool place_of(const ubp_keras *k, const ubp_keras_layer *l, const char *sub, int index,
                     char *out, size_t size)
{
    char vars[1000], hidden[200];
    if (!vars_path(vars, sizeof(vars), l, sub))
        return false;
    snprintf(out, size, "%s/%d", vars, index);
    if (ubp_hdf5_find(k->h5, out) == UBP_HDF5_DATASET)
        return true;
    /* Before Keras 3.7 parts of a layer were found under their private names. */
    snprintf(hidden, sizeof(hidden), "_%.150s", sub);
    if (!*sub || !vars_path(vars, sizeof(vars), l, hidden))
        return false;
    snprintf(out, size, "%s/%d", vars, index);
    return ubp_hdf5_find(k->h5, out) == UBP_HDF5_DATASET;
}

/* ---- By name --------------------------------------------------------------------------------- */

static ub_status find_group(ubp_keras *k, const char *name, struct ubp_keras_group **out)
{
    char path[1024];
    for (*out = k->groups; *out; *out = (*out)->next)
        if (strcmp((*out)->name, name) == 0)
            return UB_OK;
    struct ubp_keras_group *g = ubp_arena_alloc(&k->arena, sizeof(*g));
    if (!g)
        return ubp_fail_memory(k->err, sizeof(*g));
    g->name = name;
    /* Files of weights alone have no group around them. */
    snprintf(path, sizeof(path), "model_weights/%.900s", name);
    UBP_TRY(ubp_hdf5_strings(&g->names, &g->n, k->h5, path, "weight_names", &k->arena, k->err));
    g->used = ubp_arena_alloc(&k->arena, g->n);
    if (!g->used)
        return ubp_fail_memory(k->err, g->n);
    g->next = k->groups;
    k->groups = *out = g;
    return UB_OK;
}

/* Whether the last component of a variable's name is this; Keras 2 puts ":0" behind it. */
static bool ends_in(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    const size_t n = strlen(name);
    return strncmp(last, name, n) == 0 && (last[n] == '\0' || last[n] == ':');
}

static bool is_nameless(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strncmp(slash ? slash + 1 : path, "variable", 8) == 0;
}

/* Whether the components of parts are in path, in their order. */
static bool has_parts(const char *path, const char *parts)
{
    while (*parts) {
        const size_t n = strcspn(parts, "/");
        bool found = false;
        while (*path && !found) {
            const size_t m = strcspn(path, "/");
            found = m == n && memcmp(path, parts, n) == 0;
            path += m + (path[m] == '/');
        }
        if (!found)
            return false;
        parts += n + (parts[n] == '/');
    }
    return true;
}

/* The variable's dataset in an .h5: of those with its name that no other took, the first that has
 * the layer's and the part's names too. */
static ub_status name_of(ubp_keras *k, const ubp_keras_layer *l, const char *part, const char *name,
                         char *out, size_t size, bool *found)
{
    struct ubp_keras_group *g;
    char parts[1024];
    *found = false;
    UBP_TRY(find_group(k, l->group, &g));
    snprintf(parts, sizeof(parts), "%.800s%s%.200s", l->parts, *l->parts && *part ? "/" : "", part);
    for (size_t i = 0; i < g->n && !*found; i++) {
        if (g->used[i] || !ends_in(g->names[i], name) || !has_parts(g->names[i], parts))
            continue;
        snprintf(out, size, "model_weights/%.400s/%.500s", g->name, g->names[i]);
        g->used[i] = *found = true;
    }
    /* A layer's only variable may have no name of its own: "variable", "variable_1". */
    if (!*found && g->n == 1 && !g->used[0] && !*parts && is_nameless(g->names[0])) {
        snprintf(out, size, "model_weights/%.400s/%.500s", g->name, g->names[0]);
        g->used[0] = *found = true;
    }
    return UB_OK;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static ub_status locate(ubp_keras *k, ubp_keras_layer *l, const char *sub, const char *part,
                        int index, const char *name, char *out, size_t size)
{
    bool found;
    if (k->legacy) {
        UBP_TRY(name_of(k, l, part, name, out, size, &found));
    } else {
        UBP_TRY(check_owner(k, l));
        found = place_of(k, l, sub, index, out, size);
    }
    if (found)
        return UB_OK;
    return ubp_fail(k->err, UB_ERR_FILE, "the file has no variable '%s%s%s' of layer '%s' (%s)",
                    part, *part ? "/" : "", name, l->path, l->type);
}

static ub_status read_weight(ubp_keras_call *c, const char *sub, const char *part, int index,
                             const char *name, int32_t *out)
{
    ubp_keras *k = c->k;
    char path[1024], *title;
    title =
        ubp_arena_printf(&k->g->arena, "%s/%s%s%s", c->layer->path, part, *part ? "/" : "", name);
    if (!title)
        return ubp_fail_memory(k->err, strlen(c->layer->path));
    *out = ubp_table_find(&k->g->value_names, title);
    if (*out >= 0 && k->g->values[*out].constant)
        return UB_OK;
    ub_tensor *t = ubp_arena_alloc(&k->g->arena, sizeof(*t));
    if (!t)
        return ubp_fail_memory(k->err, sizeof(*t));
    UBP_TRY(locate(k, c->layer, sub, part, index, name, path, sizeof(path)));
    UBP_TRY(ubp_hdf5_tensor(t, k->h5, path, &k->g->arena, k->err));
    UBP_TRY(ubp_graph_value(k->g, title, out, k->err));
    ubp_value *v = &k->g->values[*out];
    if (v->producer != UBP_NO_NODE || v->is_input || v->constant)
        return ubp_fail(k->err, UB_ERR_FILE, "damaged file: two values are called '%s'", title);
    v->constant = t;
    v->dtype = t->dtype;
    v->rank = t->rank;
    memcpy(v->dims, t->dims, sizeof(v->dims));
    return UB_OK;
}

kt ubp_keras_weight(ubp_keras_call *c, const char *sub, const char *part, int index,
                    const char *name)
{
    int32_t value = UBP_NO_VALUE;
    if (c->k->status == UB_OK)
        c->k->status = read_weight(c, sub, part ? part : "", index, name, &value);
    if (c->k->status != UB_OK)
        return (kt){.value = UBP_NO_VALUE};
    const ubp_value *v = &c->k->g->values[value];
    const kt out = {.value = value, .rank = v->rank, .dtype = v->dtype};
    return ubp_is_float(v->dtype) ? ubp_k_cast(c, out, c->compute) : out;
}

bool ubp_keras_has_weight(ubp_keras_call *c, const char *sub, int index)
{
    char path[1024];
    return !c->k->legacy && place_of(c->k, c->layer, sub, index, path, sizeof(path));
}

int64_t ubp_keras_dim(const ubp_keras_call *c, kt t, int axis)
{
    if (c->k->status != UB_OK || t.value < 0)
        return 1;
    /* Through a Cast the dims are those of what it reads. */
    const ubp_value *v = &c->k->g->values[t.value];
    while (!v->constant && v->producer >= 0 && c->k->g->nodes[v->producer].n_in == 1)
        v = &c->k->g->values[c->k->g->nodes[v->producer].in[0]];
    if (axis < 0)
        axis += v->rank;
    return v->constant && axis >= 0 && axis < v->rank ? v->dims[axis] : 1;
}
