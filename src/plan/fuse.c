/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fusion: the elementwise nodes behind a convolution or matrix product that may be done before its
 * result is stored. Only what gives the same bits either way is offered (comparisons and one
 * rounded addition or multiplication), and only where nobody else looks at the value in between.
 * A Transpose is passed by, as files of Keras have them before and behind what wants channels
 * first.
 */
#include "ops/attrs.h"
#include "plan/plan.h"

#include <math.h>
#include <string.h>

/* A constant scalar float32 input, or the default where it is left out; false when unknown. */
static bool bound(const ubp_uses *u, const ubp_node *n, int i, double def, double *out)
{
    *out = def;
    if (i >= n->n_in || n->in[i] < 0)
        return true;
    const ub_tensor *t = &u->facts->values[n->in[i]].t;
    if (!t->data || t->dtype != UB_F32 || ub_tensor_count(t) != 1)
        return false;
    float v;
    memcpy(&v, t->data, sizeof v);
    *out = (double)v;
    return true;
}

/* Whether the node adds a constant row to `value`; fills post. */
static bool adds_row(const ubp_uses *u, const ubp_node *n, int32_t value, ubp_post *post)
{
    const ubp_fact *facts = u->facts->values;
    if (!ubp_node_is(n, "Add") || n->n_in != 2 || n->in[0] < 0 || n->in[1] < 0)
        return false;
    const int32_t other = n->in[0] == value ? n->in[1] : n->in[0];
    const ub_tensor *row = &facts[other].t, *t = &facts[value].t;
    if (other == value || !row->data || row->dtype != UB_F32 || row->rank != 1 || t->rank < 2 ||
        row->dims[0] != t->dims[t->rank - 1] || !ub_tensor_is_contiguous(row))
        return false;
    *post = (ubp_post){.kind = UBP_POST_BIAS, .bias = row->data};
    return true;
}

/* Whether the node is a BatchNormalization of `value` with statistics that are known; fills post.
 */
static bool normalizes(const ubp_uses *u, const ubp_node *n, int32_t index, int32_t value,
                       ubp_post *post)
{
    enum { LANES = 16, PARAMS = 5 };
    const ubp_fact *facts = u->facts->values;
    const ub_tensor *t[PARAMS] = {0};
    if (!ubp_node_is(n, "BatchNormalization") || n->n_in != PARAMS || n->in[0] != value)
        return false;
    const ubp_norm_attr *a = u->facts->attrs[index];
    const int64_t c = facts[value].t.dims[1];
    for (int i = 1; i < PARAMS; i++) {
        t[i] = n->in[i] < 0 ? NULL : &facts[n->in[i]].t;
        if (!t[i] || !t[i]->data || t[i]->dtype != UB_F32)
            return false;
    }
    if (a->training_mode)
        return false;
    const size_t padded = ((size_t)c + LANES - 1) / LANES * LANES; /* fits: the vectors exist */
    float *factor = ubp_arena_array(u->arena, 2 * padded, sizeof *factor);
    if (!factor)
        return false;
    ubp_affine_fill(factor, factor + padded, c, (double)a->epsilon, t[1], t[2], t[3], t[4]);
    *post = (ubp_post){.kind = UBP_POST_AFFINE,
                       .affine = {.channels = c, .factor = factor, .shift = factor + padded}};
    return true;
}

/* Whether node `next`, the only reader of `value`, can be absorbed; fills post. */
static bool absorb(const ubp_uses *u, const ubp_node *next, int32_t index, int32_t value,
                   ubp_post *post, int32_t *residual)
{
    const ubp_fact *facts = u->facts->values;
    *residual = UBP_NO_VALUE;
    *post = (ubp_post){.kind = UBP_POST_OP, .op = next->op, .attr = u->facts->attrs[index]};
    if (ubp_node_is(next, "Relu") || ubp_node_is(next, "LeakyRelu"))
        return true;
    if (ubp_node_is(next, "Clip"))
        return next->in[0] == value && bound(u, next, 1, -INFINITY, &post->lo) &&
               bound(u, next, 2, INFINITY, &post->hi);
    if (!ubp_node_is(next, "Add") || next->n_in != 2 || next->in[0] < 0 || next->in[1] < 0)
        return false;
    int32_t other = next->in[0] == value ? next->in[1] : next->in[0];
    if (other == value || !u->computed[other] || facts[other].t.data ||
        facts[other].t.dtype != UB_F32 || !ubp_same_dims(&facts[other].t, &facts[value].t))
        return false;
    post->kind = UBP_POST_SUM;
    *residual = other;
    return true;
}

/* Passes by a Transpose: perm[i], the first node's axis that is axis i of what it reads, becomes
 * that of what it gives. */
static bool pass_by(const ubp_uses *u, const ubp_node *n, int *perm)
{
    int order[UB_MAX_RANK], before[UB_MAX_RANK];
    const int rank = n->in[0] < 0 ? 0 : u->facts->values[n->in[0]].t.rank;
    if (!ubp_transpose_order(order, n, rank))
        return false;
    memcpy(before, perm, sizeof before);
    for (int i = 0; i < rank; i++)
        perm[i] = before[order[i]];
    return true;
}

static bool is_unturned(const int *perm)
{
    for (int i = 0; i < UB_MAX_RANK; i++)
        if (perm[i] != i)
            return false;
    return true;
}

/* Whether node `next`, the only reader of `value`, can be the post number out->n; fills it. perm:
 * how value's axes lie. */
static bool add_post(ubp_fusion *out, const ubp_uses *u, const ubp_node *first, int32_t next,
                     int32_t value, const int *perm)
{
    const ubp_node *n = &u->graph->nodes[next];
    const int i = out->n;
    ubp_post *post = &out->posts[i];
    out->residuals[i] = UBP_NO_VALUE;
    if (n->n_out != 1)
        return false;
    if (i == 0 && is_unturned(perm) &&
        ((ubp_node_is(first, "MatMul") && adds_row(u, n, value, post)) ||
         (ubp_node_is(first, "Conv") && normalizes(u, n, next, value, post))))
        return true;
    if (!absorb(u, n, next, value, post, &out->residuals[i]))
        return false;
    if (post->kind != UBP_POST_SUM)
        return true;
    for (int k = 0; k < i; k++)
        if (out->posts[k].kind == UBP_POST_SUM)
            return false;
    return true;
}

void ubp_fusion_find(ubp_fusion *out, const ubp_uses *uses, int32_t node)
{
    const ubp_node *n = &uses->graph->nodes[node];
    out->n = 0;
    out->n_transposes[0] = 0;
    if (!ubp_node_is(n, "Conv") && !ubp_node_is(n, "Gemm") && !ubp_node_is(n, "MatMul") &&
        !ubp_node_is(n, "BatchNormalization"))
        return;
    for (int i = 0; i < UB_MAX_RANK; i++)
        out->perm[0][i] = i;
    int32_t value = out->results[0] = n->out[0];
    while (value >= 0 && uses->count[value] == 1 && uses->facts->values[value].t.dtype == UB_F32) {
        const int32_t next = uses->user[value];
        const int i = out->n;
        if (next < 0 || !uses->needed[next])
            return;
        if (out->n_transposes[i] < UBP_MAX_TRANSPOSES &&
            pass_by(uses, &uses->graph->nodes[next], out->perm[i])) {
            out->transposes[i][out->n_transposes[i]++] = next;
        } else if (i < UBP_MAX_POSTS && add_post(out, uses, n, next, value, out->perm[i])) {
            out->nodes[i] = next;
            memcpy(out->perm[i + 1], out->perm[i], sizeof out->perm[i]);
            out->n_transposes[i + 1] = 0;
            out->n++;
        } else {
            return;
        }
        value = out->results[out->n] = uses->graph->nodes[next].out[0];
    }
}
