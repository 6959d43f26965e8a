/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names inside bodies: "loop/3/gate", "if/then/conv1", and one inside the other; elements of lists:
 * "boxes/2". The shortest name of a node that has bodies wins at each level, and what is left is
 * looked up in its body.
 */
#include "api/address.h"

#include <string.h>

/* Digits up to the end or a slash as a number; -1: there are none, or too many. */
static int64_t read_number(const char **text)
{
    int64_t number = 0;
    const char *at = *text;
    for (; *at >= '0' && *at <= '9' && at - *text < 18; at++)
        number = number * 10 + (*at - '0');
    if (at == *text || (*at && *at != '/'))
        return -1;
    *text = at;
    return number;
}

static const ubp_graph *body_of(const ubp_node *n, const char *attr)
{
    const ubp_attr *a = ubp_node_attr(n, attr);
    return a && a->kind == UBP_ATTR_GRAPH ? a->graph : NULL;
}

const ubp_graph *ubp_tap_body(const ubp_graph *g, const ubp_tap_step *step)
{
    return body_of(&g->nodes[step->node], step->branch ? step->branch : "body");
}

/* The node of that name, or the one whose first output has it. */
static int32_t find_node(const ubp_graph *g, const char *name)
{
    int32_t node = ubp_table_find(&g->node_names, name);
    if (node >= 0)
        return node;
    const int32_t value = ubp_table_find(&g->value_names, name);
    return value < 0 || g->values[value].producer_out != 0 ? UBP_NO_NODE
                                                           : g->values[value].producer;
}

/* "then/rest", "3/rest": one step into the node; *rest: what is left. */
static bool step_into(ubp_tap_step *step, const ubp_graph *g, int32_t node, const char **rest)
{
    *step = (ubp_tap_step){.node = node};
    if (strncmp(*rest, "then/", 5) == 0 || strncmp(*rest, "else/", 5) == 0) {
        step->branch = **rest == 't' ? "then_branch" : "else_branch";
        *rest += 5;
        return ubp_tap_body(g, step) != NULL;
    }
    step->iteration = read_number(rest);
    if (step->iteration < 0 || **rest != '/')
        return false;
    ++*rest;
    return ubp_tap_body(g, step) != NULL;
}

/* The name cut at its first slash behind which it makes a step. name is a copy to be cut. */
static bool find_step(ubp_tap_step *step, const ubp_graph *g, char *name, char **rest)
{
    for (char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        const char *behind = slash + 1;
        *slash = '\0';
        const int32_t node = find_node(g, name);
        *slash = '/';
        if (node < 0 || !step_into(step, g, node, &behind))
            continue;
        *rest = name + (behind - name);
        return true;
    }
    return false;
}

/* A node or value of the graph, or an element of one. */
static bool find_last(ubp_address *a, const ubp_graph *g, char *name, int32_t *index, bool *is_node)
{
    *index = ubp_table_find(&g->node_names, name);
    *is_node = *index >= 0;
    if (*index < 0)
        *index = ubp_table_find(&g->value_names, name);
    if (*index >= 0)
        return true;
    char *slash = strrchr(name, '/');
    const char *digits = slash ? slash + 1 : "";
    const int64_t element = read_number(&digits);
    if (!slash || element < 0 || *digits)
        return false;
    *slash = '\0';
    *index = ubp_table_find(&g->value_names, name);
    if (*index < 0) {
        *index = ubp_table_find(&g->node_names, name);
        *is_node = *index >= 0;
    }
    *slash = '/';
    a->element = *index < 0 ? -1 : element;
    return *index >= 0;
}

/* An output of the node that the model's graph can be asked for. */
static int32_t any_output(const ubp_node *n)
{
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0)
            return n->out[k];
    return UBP_NO_VALUE;
}

bool ubp_address_inner(ubp_address *out, const ubp_graph *g, const char *name,
                       const ubp_graph **graph, int32_t *index, bool *is_node)
{
    char text[UBP_ADDRESS_SIZE], *rest = text;
    ubp_tap tap = {0};
    const ubp_graph *at = g;
    if (strlen(name) >= sizeof text)
        return false;
    strcpy(text, name);
    while (!find_last(out, at, rest, index, is_node)) {
        ubp_tap_step *step = &tap.steps[tap.n_steps];
        if (tap.n_steps + 1 >= UBP_MAX_NESTING || !find_step(step, at, rest, &rest))
            return false;
        at = ubp_tap_body(at, step);
        tap.n_steps++;
    }
    *graph = at;
    if (tap.n_steps == 0)
        return true;
    const int32_t outer = any_output(&g->nodes[tap.steps[0].node]);
    if (outer < 0)
        return false;
    out->inside = true;
    out->tap = tap;
    out->value = outer;
    return true;
}
