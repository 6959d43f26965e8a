/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scopes of torch.onnx.export(..., dynamo=False). A node is named "/layer1/layer1.0/conv1/Conv":
 * one component per module, then the operator. A component is the end of the module's dotted path
 * from its last part that is not a number on (torch/onnx/_internal: _unqualified_variable_name), so
 * what lies between two components has to be found: by the names of the weights, or by rule.
 *
 * Later calls of the innermost module get _1, _2, ... behind their component; the exporter makes
 * the whole text before the operator unique (torch/csrc/jit/passes/onnx/naming.cpp).
 */
#include "load/onnx_layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A module path that is known from weights: "a.b.weight" tells of "a" and "a.b". */
typedef struct known {
    const char *path;
    const char *end; /* what a component would say of it */
} known;

typedef struct resolver {
    ubp_finder *f;
    ubp_table known_ids;
    known *known; /* sorted by end, then path */
    size_t n_known, cap_known;
    ubp_table called; /* paths of modules that have components, as far as rules tell */
    bool by_rule;     /* the first pass, which finds those */
    ubp_table memo;   /* text up to a component -> steps[] */
    struct step *steps;
    size_t n_steps, cap_steps;
} resolver;

/* One component of a name, resolved. */
typedef struct step {
    int32_t module; /* -1: no place could be found */
    int32_t mark;
} step;

/* ---- Paths known from weights ---------------------------------------------------------------- */

static const char *path_end(const char *path)
{
    const char *at = path + strlen(path);
    for (;;) {
        bool digits = true;
        const char *stop = at;
        while (at > path && at[-1] != '.')
            at--;
        for (const char *c = at; c < stop; c++)
            digits &= *c >= '0' && *c <= '9';
        if (!digits || at == path)
            return at;
        at--;
    }
}

static int compare_known(const void *a, const void *b)
{
    const known *x = a, *y = b;
    const int order = strcmp(x->end, y->end);
    return order ? order : strcmp(x->path, y->path);
}

static ub_status add_known(resolver *r, const char *path)
{
    ub_error *err = r->f->err;
    if (ubp_table_find(&r->known_ids, path) >= 0)
        return UB_OK;
    const char *copy = ubp_arena_strdup(&r->f->arena, path);
    if (!copy)
        return ubp_fail_memory(err, strlen(path));
    UBP_TRY(ubp_grow((void **)&r->known, &r->cap_known, r->n_known, sizeof(known), err));
    r->known[r->n_known] = (known){copy, path_end(copy)};
    return ubp_table_add(&r->known_ids, copy, (int32_t)r->n_known++, err);
}

static ub_status find_known(resolver *r)
{
    char path[UBP_MAX_PATH];
    for (size_t i = 0; i < r->f->n_initializers; i++) {
        const char *name = r->f->initializers[i];
        int dots = 0;
        if (strlen(name) >= sizeof(path) || strchr(name, '/'))
            continue; /* a value's name, not a weight's */
        for (const char *c = name; *c; c++)
            dots += *c == '.';
        if (dots > UBP_MAX_SCOPES)
            continue;
        for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
            memcpy(path, name, (size_t)(dot - name));
            path[dot - name] = '\0';
            UBP_TRY(add_known(r, path));
        }
    }
    if (r->n_known > 0)
        qsort(r->known, r->n_known, sizeof(known), compare_known);
    return UB_OK;
}

/* Whether a module on the way from parent (its length; 0: the model) down to path has a component
 * of its own in some name: then the component for path stands inside that, and not inside parent.
 */
static bool has_called_between(const resolver *r, const char *path, size_t parent)
{
    char between[UBP_MAX_PATH];
    for (const char *dot = strchr(path + parent + (parent > 0), '.'); dot;
         dot = strchr(dot + 1, '.')) {
        memcpy(between, path, (size_t)(dot - path));
        between[dot - path] = '\0';
        if (ubp_table_find(&r->called, between) >= 0)
            return true;
    }
    return false;
}

/* The one known path that starts with `prefix` ("parent.", or ""), of which a component would say
 * `end`, and before which only containers stand that are never called (ModuleDict); else NULL. */
static const char *known_inside(const resolver *r, const char *prefix, const char *end)
{
    enum { MAX_TRIED = 64 };
    const size_t n = strlen(prefix);
    const char *found = NULL;
    size_t low = 0, high = r->n_known;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(r->known[middle].end, end);
        if (order < 0 || (order == 0 && strcmp(r->known[middle].path, prefix) < 0))
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; i < r->n_known; i++) {
        const known *k = &r->known[i];
        if (strcmp(k->end, end) != 0 || strncmp(k->path, prefix, n) != 0)
            return found;
        if (i - low == MAX_TRIED)
            return NULL;
        if (has_called_between(r, k->path, n > 0 ? n - 1 : 0))
            continue;
        if (found)
            return NULL;
        found = k->path;
    }
    return found;
}

/* ---- One component --------------------------------------------------------------------------- */

/* parent.end, or, for a child of a Sequential (which repeats its parent: layer1/layer1.0),
 * parent's path continued. false: too long. */
static bool join(char *path, const char *parent, const char *previous, const char *end,
                 bool continued)
{
    const size_t n = strlen(parent), n_previous = strlen(previous);
    int length = 0;
    if (continued)
        length = snprintf(path, UBP_MAX_PATH, "%.*s%s", (int)(n - n_previous), parent, end);
    else
        length = snprintf(path, UBP_MAX_PATH, "%s%s%s", parent, *parent ? "." : "", end);
    return length < UBP_MAX_PATH;
}

static bool continues(const char *parent, const char *previous, const char *end)
{
    const size_t n = strlen(parent), m = strlen(previous);
    return m > 0 && m <= n && strcmp(parent + n - m, previous) == 0 &&
           strncmp(end, previous, m) == 0 && end[m] == '.';
}

/* The path that weights tell of, into path; false when they do not. */
static bool by_weights(const resolver *r, char *path, const char *parent, const char *previous,
                       const char *end)
{
    if (join(path, parent, previous, end, false) && ubp_table_find(&r->known_ids, path) >= 0)
        return true;
    if (continues(parent, previous, end) && join(path, parent, previous, end, true) &&
        ubp_table_find(&r->known_ids, path) >= 0)
        return true;
    if (!join(path, parent, "", "", false)) /* "parent." */
        return false;
    const char *found = r->by_rule ? NULL : known_inside(r, path, end);
    if (!found)
        return false;
    memcpy(path, found, strlen(found) + 1);
    return true;
}

/* "fc1_1" -> "fc1", 1. */
static bool strip_mark(const char *component, char *base, int32_t *mark)
{
    const char *bar = strrchr(component, '_');
    if (!bar || bar == component || !bar[1] || strlen(bar + 1) > 8)
        return false;
    for (const char *c = bar + 1; *c; c++)
        if (*c < '0' || *c > '9')
            return false;
    memcpy(base, component, (size_t)(bar - component));
    base[bar - component] = '\0';
    *mark = (int32_t)atoi(bar + 1);
    return true;
}

/* Path and mark of a component below parent; last: a mark may stand behind it. */
static ub_status resolve(resolver *r, step *out, const char *parent, const char *previous,
                         const char *component, bool last)
{
    char path[UBP_MAX_PATH], base[UBP_MAX_PATH];
    int32_t mark = 0;
    const bool marked = last && strip_mark(component, base, &mark);
    *out = (step){-1, UBP_ANY_MARK};
    bool found = by_weights(r, path, parent, previous, component);
    if (found)
        mark = 0;
    else
        found = marked && by_weights(r, path, parent, previous, base);
    /* No weights to go by: relu_1 is a later call of relu if there was a relu. */
    if (!found && marked && join(path, parent, previous, base, continues(parent, previous, base)))
        found = ubp_table_find(&r->f->module_ids, path) >= 0;
    if (!found) {
        mark = 0;
        if (!join(path, parent, previous, component, continues(parent, previous, component)))
            return UB_OK;
    }
    out->mark = last ? mark : UBP_ANY_MARK;
    return ubp_module_find(r->f, path, &out->module);
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* The step for the text of a name up to a component; worked out once. key: the text behind a byte
 * that says whether the component is the last. */
static ub_status find_step(resolver *r, step *out, const char *key, int32_t parent,
                           const char *previous, const char *component, bool last)
{
    ub_error *err = r->f->err;
    const int32_t id = ubp_table_find(&r->memo, key);
    if (id >= 0) {
        *out = r->steps[id];
        return UB_OK;
    }
    const char *parent_path = parent < 0 ? "" : r->f->modules[parent].path;
    UBP_TRY(resolve(r, out, parent_path, previous, component, last));
    const char *copy = ubp_arena_strdup(&r->f->arena, key);
    if (!copy)
        return ubp_fail_memory(err, strlen(key));
    UBP_TRY(ubp_grow((void **)&r->steps, &r->cap_steps, r->n_steps, sizeof(step), err));
    r->steps[r->n_steps] = *out;
    return ubp_table_add(&r->memo, copy, (int32_t)r->n_steps++, err);
}

/* Cuts "/a/b/Op" at its slashes, in place. -1: not such a name. */
static int cut(char *name, char **parts)
{
    int n = 0;
    for (char *at = name; at; n++) {
        if (n == UBP_MAX_SCOPES)
            return -1;
        *at++ = '\0';
        parts[n] = at;
        at = strchr(at, '/');
        if (at == parts[n] || !*parts[n])
            return -1;
    }
    return n - 1; /* the operator is no module */
}

static ub_status add_scopes(resolver *r, size_t node)
{
    ubp_finder *f = r->f;
    const char *name = f->g->nodes[node].name;
    char text[UBP_MAX_PATH], key[UBP_MAX_PATH + 1];
    char *parts[UBP_MAX_SCOPES];
    f->n_scoped[node] = -1;
    if (name[0] != '/' || strlen(name) >= sizeof(text))
        return UB_OK;
    memcpy(text, name, strlen(name) + 1);
    const int n = cut(text, parts);
    if (n < 0)
        return UB_OK;
    f->scope_at[node] = f->n_scopes;
    int32_t parent = -1;
    for (int i = 0; i < n; i++) {
        const size_t length = (size_t)(parts[i] - text) + strlen(parts[i]);
        const bool last = i == n - 1;
        step s;
        key[0] = last ? '.' : '/';
        memcpy(key + 1, name, length);
        key[1 + length] = '\0';
        UBP_TRY(find_step(r, &s, key, parent, i > 0 ? parts[i - 1] : "", parts[i], last));
        if (s.module < 0) {
            f->n_scopes = f->scope_at[node];
            return UB_OK;
        }
        UBP_TRY(ubp_scope_add(f, s.module, s.mark));
        parent = s.module;
    }
    f->n_scoped[node] = n;
    return UB_OK;
}

/* Forgets a pass over the names. */
static void reset(resolver *r)
{
    ubp_table_release(&r->memo);
    r->n_steps = 0;
}

/* First by rule alone, to learn which modules are called; then for good. */
static ub_status find_scopes(resolver *r)
{
    ubp_finder *f = r->f;
    UBP_TRY(find_known(r));
    r->by_rule = true;
    for (size_t i = 0; i < f->g->n_nodes; i++)
        UBP_TRY(add_scopes(r, i));
    for (size_t m = 0; m < f->n_modules; m++)
        UBP_TRY(ubp_table_add(&r->called, f->modules[m].path, 0, f->err));
    reset(r);
    ubp_table_release(&f->module_ids);
    f->n_modules = f->n_scopes = 0;
    r->by_rule = false;
    for (size_t i = 0; i < f->g->n_nodes; i++)
        UBP_TRY(add_scopes(r, i));
    return UB_OK;
}

ub_status ubp_scopes_torchscript(ubp_finder *f)
{
    resolver r = {.f = f};
    const ub_status status = find_scopes(&r);
    reset(&r);
    ubp_table_release(&r.known_ids);
    ubp_table_release(&r.called);
    ubp_free(r.known);
    ubp_free(r.steps);
    return status;
}
