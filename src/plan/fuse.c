/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fusion: the elementwise nodes behind a convolution or matrix product that may be done before its
 * result is stored. Only what gives the same bits either way is offered (comparisons and one
 * rounded addition), and only where nobody else looks at the value in between.
 */
#include "plan/plan.h"

#include <math.h>
#include <string.h>

static bool is(const ubp_node *n, const char *name)
{
    return n->op && n->domain[0] == '\0' && strcmp(n->op->name, name) == 0;
}

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
    if (!is(n, "Add") || n->n_in != 2 || n->in[0] < 0 || n->in[1] < 0)
        return false;
    const int32_t other = n->in[0] == value ? n->in[1] : n->in[0];
    const ub_tensor *row = &facts[other].t, *t = &facts[value].t;
    if (other == value || !row->data || row->dtype != UB_F32 || row->rank != 1 || t->rank < 2 ||
        row->dims[0] != t->dims[t->rank - 1] || !ub_tensor_is_contiguous(row))
        return false;
    *post = (ubp_post){.kind = UBP_POST_BIAS, .bias = row->data};
    return true;
}

/* Whether node `next`, the only reader of `value`, can be absorbed; fills post. */
static bool absorb(const ubp_uses *u, const ubp_node *next, int32_t index, int32_t value,
                   ubp_post *post, int32_t *residual)
{
    const ubp_fact *facts = u->facts->values;
    *residual = UBP_NO_VALUE;
    *post = (ubp_post){.kind = UBP_POST_OP, .op = next->op, .attr = u->facts->attrs[index]};
    if (is(next, "Relu") || is(next, "LeakyRelu"))
        return true;
    if (is(next, "Clip"))
        return next->in[0] == value && bound(u, next, 1, -INFINITY, &post->lo) &&
               bound(u, next, 2, INFINITY, &post->hi);
    if (!is(next, "Add") || next->n_in != 2 || next->in[0] < 0 || next->in[1] < 0)
        return false;
    int32_t other = next->in[0] == value ? next->in[1] : next->in[0];
    if (other == value || !u->computed[other] || facts[other].t.data ||
        facts[other].t.dtype != UB_F32 || !ubp_same_dims(&facts[other].t, &facts[value].t))
        return false;
    post->kind = UBP_POST_SUM;
    *residual = other;
    return true;
}

void ubp_fusion_find(ubp_fusion *out, const ubp_uses *uses, int32_t node)
{
    out->n = 0;
    const ubp_node *n = &uses->graph->nodes[node];
    if (!is(n, "Conv") && !is(n, "Gemm") && !is(n, "MatMul"))
        return;
    int32_t value = n->out[0];
    bool summed = false;
    while (out->n < UBP_MAX_POSTS && value >= 0 && uses->count[value] == 1 &&
           uses->facts->values[value].t.dtype == UB_F32) {
        int32_t next = uses->user[value];
        if (next < 0 || !uses->needed[next])
            return;
        const ubp_node *user = &uses->graph->nodes[next];
        int i = out->n;
        const bool row = i == 0 && is(n, "MatMul") && adds_row(uses, user, value, &out->posts[0]);
        bool sum = !row && is(user, "Add");
        out->residuals[i] = UBP_NO_VALUE;
        if ((sum && summed) || user->n_out != 1 ||
            (!row && !absorb(uses, user, next, value, &out->posts[i], &out->residuals[i])))
            return;
        summed = summed || sum;
        out->nodes[i] = next;
        out->results[i] = user->out[0];
        value = user->out[0];
        out->n++;
    }
}
