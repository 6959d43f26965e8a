/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The border of a set of nodes. Inputs: data that they read and do not make, in order of first use.
 * Outputs: data that they make and that is read outside, or is an output of the model, in order.
 * (nn_module_stack of torch.export gives the same borders; measured equal to PyTorch's hooks.)
 */
#include "load/onnx_layers.h"

#include <string.h>

static const char *const RECURRENT[] = {"LSTM", "GRU", "RNN"};
/* What exporters put between a recurrent operator and the outputs of its module. */
static const char *const MOVERS[] = {"Transpose", "Squeeze", "Unsqueeze", "Reshape", "Slice",
                                     "Concat",    "Split",   "Gather",    "Identity"};

static bool is_inside(const ubp_finder *f, int32_t node)
{
    return f->node_stamp[node] == f->stamp;
}

/* ---- Inputs ---------------------------------------------------------------------------------- */

/* Marks what the nodes make, lists what they read of that flow from outside. to: room for all, or
 * NULL to count. */
static int list_inputs(ubp_finder *f, ubp_border *b, const int32_t *nodes, size_t n, ubp_flow flow,
                       int32_t *to)
{
    int count = 0;
    f->stamp++;
    for (size_t i = 0; i < n; i++) {
        f->node_stamp[nodes[i]] = f->stamp;
        for (size_t r = f->read_first[nodes[i]]; r < f->read_first[nodes[i] + 1]; r++) {
            const int32_t v = f->reads[r];
            if (f->value_flow[v] != flow || f->made_stamp[v] == f->stamp)
                continue;
            if (f->edges[r] != UBP_EDGE_TRUE && b->doubt_in < 0) {
                b->doubt_in = nodes[i];
                b->doubt_in_kind = (ubp_edge)f->edges[r];
            }
            if (f->read_stamp[v] == f->stamp)
                continue;
            f->read_stamp[v] = f->stamp;
            if (to)
                to[count] = v;
            count++;
        }
        const ubp_node *node = &f->g->nodes[nodes[i]];
        for (int k = 0; k < node->n_out; k++)
            if (node->out[k] != UBP_NO_VALUE)
                f->made_stamp[node->out[k]] = f->stamp;
    }
    return count;
}

/* ---- Outputs --------------------------------------------------------------------------------- */

/* Whether v leaves the marked nodes. *fused: a reader outside into which something was fused that
 * may belong to this side, or -1. */
static bool leaves(const ubp_finder *f, int32_t v, int32_t *fused)
{
    *fused = -1;
    if (f->is_output[v])
        return true;
    for (size_t u = f->use_first[v]; u < f->use_first[v + 1]; u++) {
        if (is_inside(f, f->uses[u]))
            continue;
        const uint8_t edge = f->edges[f->use_reads[u]];
        if (edge == UBP_EDGE_TRUE)
            return true;
        if (edge == UBP_EDGE_FUSED)
            *fused = f->uses[u];
    }
    return *fused >= 0;
}

static int list_outputs(const ubp_finder *f, ubp_border *b, const int32_t *nodes, size_t n,
                        int32_t *to)
{
    int count = 0;
    for (size_t i = 0; i < n; i++) {
        const ubp_node *node = &f->g->nodes[nodes[i]];
        for (int k = 0; k < node->n_out; k++) {
            const int32_t v = node->out[k];
            int32_t fused = -1;
            if (v == UBP_NO_VALUE || !leaves(f, v, &fused))
                continue;
            if (fused >= 0)
                b->doubt_out = fused;
            if (to)
                to[count] = v;
            count++;
        }
    }
    return count;
}

/* A value that nothing reads is still what the module gave. */
static int32_t last_made(const ubp_finder *f, const int32_t *nodes, size_t n)
{
    const ubp_node *node = &f->g->nodes[nodes[n - 1]];
    return node->n_out > 0 ? node->out[0] : UBP_NO_VALUE;
}

/* ---- Recurrent modules ----------------------------------------------------------------------- */

/* Which output of a recurrent operator v comes from without arithmetic between: 0 the sequence, 1
 * h, 2 c; -1: none. slots: by position of the node in the set. */
static int slot_of(const ubp_finder *f, int32_t v, const int8_t *slots)
{
    const ubp_value *value = &f->g->values[v];
    if (value->producer == UBP_NO_NODE || !is_inside(f, value->producer))
        return -1;
    const ubp_node *n = &f->g->nodes[value->producer];
    if (ubp_is_op(n, RECURRENT, UBP_COUNT(RECURRENT)))
        return value->producer_out < 3 ? value->producer_out : -1;
    return slots[f->node_pos[value->producer]];
}

/* PyTorch returns the sequence first, then h, then c; a file has them in the order of its nodes.
 * It leaves out what nothing uses: then the first one there is not the module's first output. */
static ub_status order_recurrent(ubp_finder *f, ubp_border *b, const int32_t *nodes, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n && !any; i++)
        any = ubp_is_op(&f->g->nodes[nodes[i]], RECURRENT, UBP_COUNT(RECURRENT));
    if (!any)
        return UB_OK;
    int8_t *slots = ubp_finder_array(f, n, 1);
    int32_t *ordered = ubp_finder_array(f, (size_t)b->n_out, sizeof(int32_t));
    if (!slots || !ordered)
        return UB_ERR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        slots[i] = -1;
        f->node_pos[nodes[i]] = (int32_t)i;
        if (!ubp_is_op(&f->g->nodes[nodes[i]], MOVERS, UBP_COUNT(MOVERS)))
            continue;
        for (size_t r = f->read_first[nodes[i]]; r < f->read_first[nodes[i] + 1]; r++)
            if (slots[i] < 0 && f->value_flow[f->reads[r]] == UBP_FLOW_DATA)
                slots[i] = (int8_t)slot_of(f, f->reads[r], slots);
    }
    int count = 0, least = 3;
    for (int slot = 0; slot < 3; slot++)
        for (int i = 0; i < b->n_out; i++)
            if (slot_of(f, b->out[i], slots) == slot) {
                ordered[count++] = b->out[i];
                least = slot < least ? slot : least;
            }
    if (count != b->n_out)
        return UB_OK; /* there is more to this module than one operator */
    if (count > 0)
        memcpy(b->out, ordered, (size_t)count * sizeof(int32_t));
    b->no_sequence = least > 0;
    return UB_OK;
}

/* ---- The whole ------------------------------------------------------------------------------- */

ub_status ubp_border_find(ubp_finder *f, ubp_border *b, const int32_t *nodes, size_t n)
{
    *b = (ubp_border){.doubt_in = -1, .doubt_out = -1};
    if (n == 0)
        return UB_OK;
    /* An embedding of positions that are made from shapes shows those. */
    static const char *const lookup[] = {"Gather"};
    ubp_flow flow = UBP_FLOW_DATA;
    b->n_in = list_inputs(f, b, nodes, n, flow, NULL);
    if (b->n_in == 0 && n == 1 && ubp_is_op(&f->g->nodes[nodes[0]], lookup, 1)) {
        flow = UBP_FLOW_SHAPE;
        b->n_in = list_inputs(f, b, nodes, n, flow, NULL);
    }
    b->n_out = list_outputs(f, b, nodes, n, NULL);
    const bool unused = b->n_out == 0 && last_made(f, nodes, n) != UBP_NO_VALUE;
    if (unused)
        b->n_out = 1;
    b->in = ubp_arena_array(&f->g->arena, (size_t)b->n_in, sizeof(int32_t));
    b->out = ubp_arena_array(&f->g->arena, (size_t)b->n_out, sizeof(int32_t));
    if (!b->in || !b->out)
        return ubp_fail_memory(f->err, (size_t)b->n_in * sizeof(int32_t));
    list_inputs(f, b, nodes, n, flow, b->in);
    if (unused)
        b->out[0] = last_made(f, nodes, n);
    else
        list_outputs(f, b, nodes, n, b->out);
    return order_recurrent(f, b, nodes, n);
}
