/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Borders: a Pad that puts zeros around what a Conv reads, as ZeroPadding2D does, is left out for
 * that Conv, which pads by itself (ops/conv_padded.c). This hangs on the model and the shapes
 * alone, never on what is asked for: who asks for the Pad's result gets it, and the convolution
 * still reads what is in front of it, for its bits must not change.
 */
#include "plan/maker.h"

#include <string.h>

bool ubp_transpose_order(int order[UB_MAX_RANK], const ubp_node *n, int rank)
{
    const int64_t *perm;
    int count;
    if (!ubp_node_is(n, "Transpose") || n->n_out != 1 ||
        ubp_attr_ints(n, "perm", &perm, &count, NULL) != UB_OK || (perm && count != rank))
        return false;
    for (int i = 0; i < rank; i++) {
        int64_t axis = perm ? perm[i] : rank - 1 - i;
        axis += axis < 0 ? rank : 0;
        if (axis < 0 || axis >= rank)
            return false;
        order[i] = (int)axis;
    }
    return true;
}

int32_t ubp_padded_by(const ubp_graph *g, int32_t value)
{
    for (int k = 0; k <= UBP_MAX_TRANSPOSES && value >= 0; k++) {
        const int32_t p = g->values[value].producer;
        if (p < 0 || ubp_node_is(&g->nodes[p], "Pad"))
            return p;
        if (!ubp_node_is(&g->nodes[p], "Transpose"))
            return UBP_NO_NODE;
        value = g->nodes[p].in[0];
    }
    return UBP_NO_NODE;
}

bool ubp_padded_order(int order[UB_MAX_RANK], const ubp_graph *g, int32_t value, int rank)
{
    for (int i = 0; i < UB_MAX_RANK; i++)
        order[i] = i;
    for (;;) {
        const ubp_node *n = &g->nodes[g->values[value].producer];
        int of[UB_MAX_RANK];
        if (ubp_node_is(n, "Pad"))
            return true;
        if (!ubp_transpose_order(of, n, rank))
            return false;
        for (int i = 0; i < rank; i++)
            order[i] = of[order[i]];
        value = n->in[0];
    }
}

bool ubp_padded_find(ubp_conv_attr *out, const ubp_call *pad, const ubp_call *conv,
                     const int *order)
{
    int64_t before[UB_MAX_RANK], after[UB_MAX_RANK], low[UB_MAX_RANK], high[UB_MAX_RANK];
    const int rank = pad->in[0]->rank;
    if (conv->in[0]->rank != rank || rank < 3 || !ubp_pad_zeros(pad, before, after))
        return false;
    for (int i = 0; i < rank; i++) {
        low[i] = before[order[i]];
        high[i] = after[order[i]];
    }
    return ubp_conv_unpadded(out, conv, low, high);
}

void ubp_padded_turn(ub_tensor *t, const int *order)
{
    const ub_tensor from = *t;
    for (int i = 0; i < t->rank; i++) {
        t->dims[i] = from.dims[order[i]];
        t->strides[i] = from.strides[order[i]];
    }
}

/* ---- For a plan -------------------------------------------------------------------------------
 */

static bool is_given(const ubp_maker *m, int32_t value)
{
    for (int i = 0; i < m->ask->n_given; i++)
        if (m->ask->given[i].value == value)
            return true;
    return false;
}

/* Whether values between the Pad and the Conv come from outside. */
static bool is_cut(const ubp_maker *m, int32_t value, int32_t pad)
{
    for (;;) {
        if (is_given(m, value))
            return true;
        const int32_t p = m->g->values[value].producer;
        if (p == pad)
            return false;
        value = m->g->nodes[p].in[0];
    }
}

/* The call as far as the facts tell; room for its inputs comes from the plan. */
static bool call_of(const ubp_maker *m, int32_t index, ubp_call *c)
{
    const ubp_node *n = &m->g->nodes[index];
    const ub_tensor **in = ubp_arena_array(&m->p->arena, (size_t)n->n_in + 1, sizeof *in);
    if (!in || !m->p->facts->attrs[index])
        return false;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] >= 0 && !m->p->facts->values[n->in[i]].known)
            return false;
        in[i] = n->in[i] < 0 ? NULL : &m->p->facts->values[n->in[i]].t;
    }
    *c = (ubp_call){
        .op = n->op, .node = n, .attr = m->p->facts->attrs[index], .n_in = n->n_in, .in = in};
    return true;
}

static ub_status find(ubp_maker *m, int32_t index)
{
    const ubp_node *n = &m->g->nodes[index];
    ubp_call conv, pad;
    ubp_padded b;
    if (!ubp_node_is(n, "Conv") || n->n_in < 2 || n->in[0] < 0 || n->in[1] < 0)
        return UB_OK;
    const ub_tensor *x = &m->p->facts->values[n->in[0]].t;
    b.pad = x->data ? UBP_NO_NODE : ubp_padded_by(m->g, n->in[0]);
    if (b.pad < 0 || is_cut(m, n->in[0], b.pad) ||
        !ubp_padded_order(b.order, m->g, n->in[0], x->rank) || !call_of(m, index, &conv) ||
        !call_of(m, b.pad, &pad) || !ubp_padded_find(&b.attr, &pad, &conv, b.order))
        return UB_OK;
    b.x = m->g->nodes[b.pad].in[0];
    b.turned = false;
    for (int i = 0; i < x->rank; i++)
        b.turned = b.turned || b.order[i] != i;
    ubp_padded *kept = ubp_arena_alloc(&m->p->arena, sizeof *kept);
    if (!kept)
        return ubp_fail_memory(m->err, sizeof *kept);
    *kept = b;
    m->padded[index] = kept;
    return UB_OK;
}

ub_status ubp_make_padded(ubp_maker *m)
{
    m->padded = ubp_arena_array(&m->p->arena, m->g->n_nodes + 1, sizeof *m->padded);
    if (!m->padded)
        return ubp_fail_memory(m->err, m->g->n_nodes * sizeof *m->padded);
    for (int i = 0; i < m->p->facts->n_nodes; i++)
        UBP_TRY(find(m, m->p->facts->nodes[i]));
    return UB_OK;
}
