/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses: text and graph in, one value out. Names may hold any character, so the text is cut
 * from its end, and the longest name that exists wins: the whole text, then without its slice, then
 * without its side. A name is a layer's, else a node's, else a tensor's.
 */
#include "api/address.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- Text ----------------------------------------------------------------------------------- */

/* Where the bracket that closes at the end of the text opens; NULL: there is none, or nothing
 * before it. */
static const char *find_slice(const char *text)
{
    const size_t n = strlen(text);
    int open = 1;
    if (n == 0 || text[n - 1] != ']')
        return NULL;
    for (size_t i = n - 1; i > 1; i--) {
        open += text[i - 1] == ']';
        open -= text[i - 1] == '[';
        if (open == 0)
            return text + i - 1;
    }
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The number that text[from .. to) spells; INT_MAX when it is too large. */
static int read_number(const char *text, size_t from, size_t to)
{
    int64_t number = 0;
    for (size_t i = from; i < to && number < INT_MAX; i++)
        number = number * 10 + (text[i] - '0');
    return number < INT_MAX ? (int)number : INT_MAX;
}

ubp_address_parts ubp_address_split(const char *text)
{
    ubp_address_parts p = {.slice = find_slice(text)};
    const size_t n = p.slice ? (size_t)(p.slice - text) : strlen(text);
    size_t digits = n;
    p.name_size = n;
    while (digits > 0 && is_digit(text[digits - 1]))
        digits--;
    p.is_input = digits > 3 && memcmp(text + digits - 3, ":in", 3) == 0;
    const bool is_output = digits > 4 && memcmp(text + digits - 4, ":out", 4) == 0;
    if (p.is_input || is_output) {
        p.name_size = digits - (p.is_input ? 3 : 4);
        p.side_size = n - p.name_size;
        p.port = read_number(text, digits, n);
    }
    return p;
}

/* ---- Names ---------------------------------------------------------------------------------- */

typedef enum kind { NOTHING, LAYER, NODE, VALUE } kind;

/* An output may have a name besides its value's. */
static int32_t find_port(const ubp_graph *g, const char *name)
{
    for (int i = 0; i < g->n_outputs; i++)
        if (strcmp(g->output_names[i], name) == 0)
            return g->outputs[i];
    for (int i = 0; i < g->n_inputs; i++)
        if (strcmp(g->input_names[i], name) == 0)
            return g->inputs[i];
    return -1;
}

static kind find_name(const ubp_graph *g, const char *name, int32_t *index)
{
    if ((*index = ubp_table_find(&g->layer_names, name)) >= 0)
        return LAYER;
    if ((*index = ubp_table_find(&g->node_names, name)) >= 0)
        return NODE;
    if ((*index = ubp_table_find(&g->value_names, name)) >= 0)
        return VALUE;
    return (*index = find_port(g, name)) >= 0 ? VALUE : NOTHING;
}

/* "fc1#7" where fc1 is called less often. */
static ub_status check_call(const ubp_graph *g, char *name, ub_error *err)
{
    char *hash = strrchr(name, '#');
    if (!hash || !hash[1] || hash == name)
        return UB_OK;
    for (const char *c = hash + 1; *c; c++)
        if (!is_digit(*c))
            return UB_OK;
    *hash = '\0';
    const int32_t layer = ubp_table_find(&g->layer_names, name);
    *hash = '#';
    if (layer < 0)
        return UB_OK;
    const char *path = g->layers[layer].path;
    int calls = 0;
    for (size_t i = 0; i < g->n_layers; i++)
        if (strcmp(g->layers[i].path, path) == 0 && g->layers[i].call >= calls)
            calls = g->layers[i].call + 1;
    if (calls == 1)
        return ubp_fail(err, UB_ERR_ARGUMENT, "'%.300s' is called once: there is no #%.20s", path,
                        hash + 1);
    return ubp_fail(err, UB_ERR_ARGUMENT,
                    "'%.300s' is called %d times, #0 to #%d: there is no #%.20s", path, calls,
                    calls - 1, hash + 1);
}

/* ---- Ports ---------------------------------------------------------------------------------- */

static ub_status fail_port(const char *what, const char *name, bool is_input, int count, int port,
                           ub_error *err)
{
    const char *side = is_input ? "in" : "out";
    if (count == 0)
        return ubp_fail(err, UB_ERR_ARGUMENT, "%s '%.300s' has no %sputs", what, name, side);
    if (count == 1)
        return ubp_fail(err, UB_ERR_ARGUMENT, "%s '%.300s' has one %sput: there is no :%s%d", what,
                        name, side, side, port);
    return ubp_fail(err, UB_ERR_ARGUMENT,
                    "%s '%.300s' has %d %sputs, :%s0 to :%s%d: there is no :%s%d", what, name,
                    count, side, side, side, count - 1, side, port);
}

static ub_status pick_of_layer(ubp_address *a, const ubp_graph *g, ub_error *err)
{
    const ubp_layer *l = &g->layers[a->layer];
    const char *missing = a->is_input ? l->no_in : l->no_out;
    const int count = a->is_input ? l->n_in : l->n_out;
    if (missing)
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "%s", missing);
    if (a->port >= count)
        return fail_port("layer", l->name, a->is_input, count, a->port, err);
    a->value = (a->is_input ? l->in : l->out)[a->port];
    return UB_OK;
}

/* The nodes that a node of the file was rewritten into: itself, and helpers of its name next to
 * it. */
static void find_group(const ubp_graph *g, int32_t node, int32_t *first, int32_t *last)
{
    const char *name = g->nodes[node].name;
    *first = *last = node;
    while (*first > 0 && g->nodes[*first - 1].helper &&
           strcmp(g->nodes[*first - 1].name, name) == 0)
        --*first;
    while (*last + 1 < (int32_t)g->n_nodes && g->nodes[*last + 1].helper &&
           strcmp(g->nodes[*last + 1].name, name) == 0)
        ++*last;
}

/* Whether a value is on the node's own border, as the file has it: what lies between the parts of a
 * rewritten node, and constants made for them, have no names. */
static bool is_own_port(const ubp_graph *g, int32_t v, bool is_input, int32_t first, int32_t last)
{
    if (v == UBP_NO_VALUE)
        return false;
    if (first == last)
        return true;
    const int32_t producer = g->values[v].producer;
    return *g->values[v].name &&
           !(is_input && producer != UBP_NO_NODE && producer >= first && producer <= last);
}

/* Finds port number a->port among those of one node; *count: ports met so far. */
static void look_at_ports(ubp_address *a, const ubp_graph *g, int32_t node, int32_t first,
                          int32_t last, int *count)
{
    const ubp_node *n = &g->nodes[node];
    const int n_ports = a->is_input ? n->n_in - n->n_captured : n->n_out;
    for (int k = 0; k < n_ports; k++) {
        const int32_t v = (a->is_input ? n->in : n->out)[k];
        if (is_own_port(g, v, a->is_input, first, last) && (*count)++ == a->port)
            a->value = v;
    }
}

/* Inputs in the order of the parts; of the outputs those of the node itself come first, then what
 * else has a name (the weights of an attention). */
static ub_status pick_of_node(ubp_address *a, const ubp_graph *g, ub_error *err)
{
    int32_t first = 0, last = 0;
    int count = 0;
    find_group(g, a->node, &first, &last);
    if (!a->is_input)
        look_at_ports(a, g, a->node, first, last, &count);
    for (int32_t i = first; i <= last; i++)
        if (a->is_input || i != a->node)
            look_at_ports(a, g, i, first, last, &count);
    if (a->port < count)
        return UB_OK;
    return fail_port("node", g->nodes[a->node].name, a->is_input, count, a->port, err);
}

static ub_status pick_of_value(ubp_address *a, const ubp_graph *g, int32_t value, ub_error *err)
{
    a->value = value;
    if (a->is_input || a->port > 0)
        return ubp_fail(err, UB_ERR_ARGUMENT,
                        "'%.300s' is a tensor: it has no :%s%d, only layers and nodes have",
                        g->values[value].name, a->is_input ? "in" : "out", a->port);
    return UB_OK;
}

static ub_status pick(ubp_address *a, const ubp_graph *g, kind what, int32_t index, ub_error *err)
{
    if (what == LAYER) {
        a->layer = index;
        return pick_of_layer(a, g, err);
    }
    if (what == NODE) {
        a->node = index;
        return pick_of_node(a, g, err);
    }
    return pick_of_value(a, g, index, err);
}

/* A value of a body is the tap's; what the model's graph is asked for is the node around it. */
static ub_status pick_inside(ubp_address *a, const ubp_graph *g, kind what, int32_t index,
                             ub_error *err)
{
    const int32_t outer = a->value;
    UBP_TRY(pick(a, g, what, index, err));
    if (!a->inside)
        return UB_OK;
    a->tap.value = a->value;
    a->value = outer;
    a->node = -1;
    return UB_OK;
}

/* ---- The whole ------------------------------------------------------------------------------ */

/* name: a copy of the text, to be cut. */
static ub_status parse(ubp_address *out, const ubp_graph *g, const char *text, char *name,
                       ub_error *err)
{
    const ubp_address_parts p = ubp_address_split(text);
    int32_t index = -1;
    kind what = find_name(g, name, &index);
    if (what == NOTHING && p.slice) {
        name[p.slice - text] = '\0';
        out->slice = p.slice;
        what = find_name(g, name, &index);
    }
    if (what == NOTHING && p.side_size > 0) {
        name[p.name_size] = '\0';
        out->is_input = p.is_input;
        out->port = p.port;
        what = find_name(g, name, &index);
    }
    if (what != NOTHING)
        return pick(out, g, what, index, err);
    const ubp_graph *inner = g;
    bool is_node = false;
    if (ubp_address_inner(out, g, name, &inner, &index, &is_node))
        return pick_inside(out, inner, is_node ? NODE : VALUE, index, err);
    UBP_TRY(check_call(g, name, err));
    return ubp_address_unknown(g, name, err);
}

ub_status ubp_address_parse(ubp_address *out, const ubp_graph *g, const char *text, ub_error *err)
{
    const size_t size = strlen(text) + 1;
    *out = (ubp_address){.value = -1, .layer = -1, .node = -1, .element = -1};
    if (size == 1)
        return ubp_fail(err, UB_ERR_ARGUMENT, "an empty name; expected a layer, node or tensor");
    char *name = ubp_malloc(size);
    if (!name)
        return ubp_fail_memory(err, size);
    memcpy(name, text, size);
    const ub_status status = parse(out, g, text, name, err);
    ubp_free(name);
    return status;
}
