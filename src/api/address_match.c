/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns: "layer3.*", "**:in[0]", "@outputs". In: a pattern and a graph; out: addresses in the
 * model's order. A pattern stands for what is there: layers whose value is not in the file are
 * passed over, unless it matches nothing else; then the reason is the error.
 */
#include "api/address.h"

#include <string.h>

enum { MAX_PATTERN = 1024 };

/* ---- Globs ----------------------------------------------------------------------------------- */

/* Where in the pattern a beginning of the name may have led: one mark per position. `*` may stand
 * for nothing, so a mark before it is also one behind it. At most pattern * name steps. */
typedef struct marks {
    bool at[MAX_PATTERN + 1];
} marks;

static size_t star_size(const char *pattern)
{
    return *pattern != '*' ? 0 : pattern[1] == '*' ? 2 : 1;
}

static void skip_stars(marks *m, const char *pattern, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (m->at[i] && pattern[i] == '*')
            m->at[i + star_size(pattern + i)] = true;
}

static void step(marks *to, const marks *from, const char *pattern, size_t n, char c)
{
    memset(to, 0, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (!from->at[i])
            continue;
        const size_t star = star_size(pattern + i);
        if (star == 2 || (star == 1 && c != '.' && c != '/'))
            to->at[i] = true;
        if (star == 0 && pattern[i] == c)
            to->at[i + 1] = true;
    }
    skip_stars(to, pattern, n);
}

/* `*`: any run of characters but '.' and '/'; `**`: any run; everything else is itself. */
static bool glob(const char *pattern, size_t n, const char *name)
{
    marks a, b;
    memset(&a, 0, n + 1);
    a.at[0] = true;
    skip_stars(&a, pattern, n);
    for (; *name; name += 2) {
        step(&b, &a, pattern, n, name[0]);
        if (!name[1])
            return b.at[n];
        step(&a, &b, pattern, n, name[1]);
    }
    return a.at[n];
}

/* ---- The list -------------------------------------------------------------------------------- */

void ubp_address_list_release(ubp_address_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        ubp_free(list->items[i]);
    ubp_free(list->items);
    *list = (ubp_address_list){0};
}

/* Adds name and what stood behind the pattern. */
static ub_status add(ubp_address_list *list, const char *name, const char *tail, ub_error *err)
{
    const size_t n = strlen(name), m = strlen(tail);
    UBP_TRY(ubp_grow((void **)&list->items, &list->cap, list->n, sizeof(char *), err));
    char *item = ubp_malloc(n + m + 1);
    if (!item)
        return ubp_fail_memory(err, n + m + 1);
    memcpy(item, name, n);
    memcpy(item + n, tail, m + 1);
    list->items[list->n++] = item;
    return UB_OK;
}

/* ---- What a pattern may stand for --------------------------------------------------------------
 */

typedef struct matcher {
    ubp_address_list *out;
    const ubp_graph *g;
    const char *pattern;
    ubp_address_parts parts;
    const char *tail;    /* side and slice */
    const char *missing; /* why the first match that was passed over is not there */
    bool passed_over;
    ub_error *err;
} matcher;

/* A module that may have been called once or several times has a layer for either case: only who
 * counts its calls by hand knows which are right. */
static bool is_guess(const ubp_graph *g, const ubp_layer *l)
{
    char name[1024];
    const size_t n = strlen(l->path);
    if (n + 3 > sizeof(name) || strcmp(l->name, l->path) == 0)
        return false;
    memcpy(name, l->path, n);
    memcpy(name + n, "#0", 3);
    const int32_t first = ubp_table_find(&g->layer_names, name);
    return first >= 0 && strcmp(g->layers[first].name, name) == 0;
}

static ub_status match_layers(matcher *m)
{
    const ubp_graph *g = m->g;
    const bool by_call = memchr(m->pattern, '#', m->parts.name_size) != NULL;
    for (size_t i = 0; i < g->n_layers; i++) {
        const ubp_layer *l = &g->layers[i];
        if (!glob(m->pattern, m->parts.name_size, l->name))
            continue;
        const char *missing = m->parts.is_input ? l->no_in : l->no_out;
        const int count = m->parts.is_input ? l->n_in : l->n_out;
        if (!missing && m->parts.port < count && (by_call || !is_guess(g, l))) {
            UBP_TRY(add(m->out, l->name, m->tail, m->err));
            continue;
        }
        m->passed_over = true;
        if (missing && !m->missing)
            m->missing = missing;
    }
    return UB_OK;
}

static ub_status match_nodes(matcher *m)
{
    const ubp_graph *g = m->g;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const ubp_node *n = &g->nodes[i];
        if (n->helper || !*n->name || ubp_table_find(&g->node_names, n->name) != (int32_t)i ||
            !glob(m->pattern, m->parts.name_size, n->name))
            continue;
        if (m->parts.port < (m->parts.is_input ? n->n_in : n->n_out))
            UBP_TRY(add(m->out, n->name, m->tail, m->err));
        else
            m->passed_over = true;
    }
    return UB_OK;
}

static ub_status match_values(matcher *m)
{
    const ubp_graph *g = m->g;
    for (size_t i = 0; i < g->n_values && !m->parts.is_input && m->parts.port == 0; i++)
        if (*g->values[i].name && glob(m->pattern, m->parts.name_size, g->values[i].name))
            UBP_TRY(add(m->out, g->values[i].name, m->tail, m->err));
    return UB_OK;
}

static ub_status match_glob(matcher *m)
{
    UBP_TRY(match_layers(m));
    if (m->out->n == 0 && !m->passed_over)
        UBP_TRY(match_nodes(m));
    if (m->out->n == 0 && !m->passed_over)
        UBP_TRY(match_values(m));
    if (m->out->n > 0)
        return UB_OK;
    if (m->missing)
        return ubp_fail(m->err, UB_ERR_UNSUPPORTED, "%s", m->missing);
    if (m->passed_over)
        return ubp_fail(m->err, UB_ERR_ARGUMENT, "nothing that matches '%.300s' has such a value",
                        m->pattern);
    return ubp_fail(m->err, UB_ERR_ARGUMENT,
                    "no layer, node or tensor matches '%.300s' (* stops at '.' and '/', ** does"
                    " not); `unbatch summary MODEL` lists all layers",
                    m->pattern);
}

/* @inputs, @outputs. A layer of the same name would hide the tensor. */
static ub_status match_ports(matcher *m, const char *const *names, const int32_t *values, int n)
{
    if (m->parts.is_input || m->parts.port > 0)
        return ubp_fail(m->err, UB_ERR_ARGUMENT,
                        "'%.300s': inputs and outputs are tensors, which"
                        " have no :in and one :out",
                        m->pattern);
    for (int i = 0; i < n; i++) {
        ubp_address at;
        UBP_TRY(add(m->out, names[i], m->tail, m->err));
        UBP_TRY(ubp_address_parse(&at, m->g, m->out->items[m->out->n - 1], m->err));
        if (at.value != values[i])
            return ubp_fail(m->err, UB_ERR_ARGUMENT,
                            "'%.300s' is a layer too, and a layer goes before a tensor: ask for"
                            " inputs and outputs by name",
                            names[i]);
    }
    return UB_OK;
}

static bool is_word(const matcher *m, const char *word)
{
    return strlen(word) == m->parts.name_size && memcmp(m->pattern, word, m->parts.name_size) == 0;
}

static ub_status match(matcher *m)
{
    const ubp_graph *g = m->g;
    ubp_address exact;
    const ub_status status = ubp_address_parse(&exact, g, m->pattern, NULL);
    if (status == UB_OK)
        return add(m->out, m->pattern, "", m->err);
    if (is_word(m, "@inputs"))
        return match_ports(m, g->input_names, g->inputs, g->n_inputs);
    if (is_word(m, "@outputs"))
        return match_ports(m, g->output_names, g->outputs, g->n_outputs);
    if (status != UB_ERR_ARGUMENT || !memchr(m->pattern, '*', m->parts.name_size))
        return ubp_address_parse(&exact, g, m->pattern, m->err);
    if (m->parts.name_size > MAX_PATTERN)
        return ubp_fail(m->err, UB_ERR_ARGUMENT, "a pattern longer than %d characters",
                        MAX_PATTERN);
    return match_glob(m);
}

ub_status ubp_address_match(ubp_address_list *out, const ubp_graph *g, const char *pattern,
                            ub_error *err)
{
    matcher m = {
        .out = out, .g = g, .pattern = pattern, .parts = ubp_address_split(pattern), .err = err};
    *out = (ubp_address_list){0};
    m.tail = pattern + m.parts.name_size;
    const ub_status status = match(&m);
    if (status != UB_OK)
        ubp_address_list_release(out);
    return status;
}
