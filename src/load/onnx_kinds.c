/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which values are sequences or optionals: files say it of inputs and outputs only, the operators
 * say it of the rest.
 */
#include "load/onnx.h"

#include <string.h>

static ub_kind kind_of(const ubp_graph *g, int32_t v)
{
    return v < 0 ? UB_KIND_TENSOR : g->values[v].kind;
}

/* A kind for a value of which the file said nothing. */
static void note(ubp_graph *g, int32_t v, ub_kind kind)
{
    if (v >= 0 && g->values[v].kind == UB_KIND_TENSOR && !g->values[v].constant)
        g->values[v].kind = kind;
}

static bool is_one_of(const char *op, const char *const *list, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(op, list[i]) == 0)
            return true;
    return false;
}

/* Output k of an operator without bodies. */
static ub_kind plain_kind(const ubp_graph *g, const ubp_node *n)
{
    static const char *const sequences[] = {"SequenceConstruct", "SequenceEmpty", "SequenceInsert",
                                            "SequenceErase", "SplitToSequence"};
    const ub_kind first = n->n_in > 0 ? kind_of(g, n->in[0]) : UB_KIND_TENSOR;
    if (is_one_of(n->op_type, sequences, UBP_COUNT(sequences)))
        return UB_KIND_SEQUENCE;
    if (strcmp(n->op_type, "Identity") == 0)
        return first;
    if (strcmp(n->op_type, "Optional") == 0)
        return first == UB_KIND_SEQUENCE ? UB_KIND_OPTIONAL_SEQUENCE : UB_KIND_OPTIONAL;
    if (strcmp(n->op_type, "OptionalGetElement") == 0)
        return first == UB_KIND_OPTIONAL_SEQUENCE ? UB_KIND_SEQUENCE
               : first == UB_KIND_OPTIONAL        ? UB_KIND_TENSOR
                                                  : first;
    return UB_KIND_TENSOR;
}

/* What goes into a body: states of Loop behind iteration and condition, and captured values. */
static void enter(const ubp_graph *g, const ubp_node *n, ubp_graph *body)
{
    const int own = n->n_in - n->n_captured;
    for (int c = 0; c < n->n_captured && body->n_formal + c < body->n_inputs; c++)
        note(body, body->inputs[body->n_formal + c], kind_of(g, n->in[own + c]));
    for (int k = 2; strcmp(n->op_type, "Loop") == 0 && k < own && k < body->n_formal; k++)
        note(body, body->inputs[k], kind_of(g, n->in[k]));
}

/* What comes out of it. */
static void leave(ubp_graph *g, const ubp_node *n, const ubp_graph *body)
{
    const bool is_if = strcmp(n->op_type, "If") == 0, loop = strcmp(n->op_type, "Loop") == 0;
    const int states = n->n_in - n->n_captured - 2;
    for (int k = 0; k < n->n_out; k++) {
        if (strcmp(n->op_type, "SequenceMap") == 0)
            note(g, n->out[k], UB_KIND_SEQUENCE);
        else if (is_if && k < body->n_outputs)
            note(g, n->out[k], kind_of(body, body->outputs[k]));
        else if (loop && k < states && k + 1 < body->n_outputs)
            note(g, n->out[k], kind_of(body, body->outputs[k + 1]));
    }
}

/* As deep as bodies nest, which is bounded when they are read. */
void ubp_onnx_kinds(ubp_graph *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const ubp_node *n = &g->nodes[i];
        if (*n->domain || !n->op)
            continue;
        for (int a = 0; a < n->n_attrs; a++) {
            if (n->attrs[a].kind != UBP_ATTR_GRAPH)
                continue;
            enter(g, n, n->attrs[a].graph);
            ubp_onnx_kinds(n->attrs[a].graph);
            leave(g, n, n->attrs[a].graph);
        }
        const ub_kind kind = plain_kind(g, n);
        for (int k = 0; k < n->n_out && kind != UB_KIND_TENSOR; k++)
            note(g, n->out[k], kind);
    }
}
