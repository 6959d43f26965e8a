/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FlexAttention of ai.onnx.preview: attention whose scores and weights are changed by bodies, each
 * a graph of one tensor to one of the same shape.
 */
#include "exec/flow.h"

#include "ops/attention.h"

#include <math.h>
#include <string.h>

enum { IN_Q, IN_K, IN_V, INPUTS };

typedef struct flex {
    const ubp_flow *f;
    ubp_call call;            /* run and err, for the kernels */
    ub_tensor *given[INPUTS]; /* row-major, in the dtype that is computed in */
    ubp_attention_attr attr;
    ubp_attention a;
    ub_dtype dtype, body; /* computed in; what bodies see */
    ubp_samples map;      /* of scores and weights */
    ubp_item *scores;     /* (batch, heads, rows, keys) */
} flex;

static ub_status read_attrs(flex *x)
{
    const ubp_node *n = x->f->node;
    const ub_tensor *q = x->f->in[IN_Q]->tensor;
    int64_t precision;
    x->attr.has_scale = ubp_node_attr(n, "scale") != NULL;
    UBP_TRY(ubp_attr_float(n, "scale", 0, &x->attr.scale, x->f->err));
    UBP_TRY(ubp_attr_int(n, "softmax_precision", 0, &precision, x->f->err));
    x->body = precision ? (ub_dtype)precision : q->dtype == UB_F64 ? UB_F64 : UB_F32;
    x->dtype = x->body == UB_F64 ? UB_F64 : UB_F32;
    if (!ubp_is_float(x->body) || x->attr.scale < 0)
        return ubp_flow_fail(x->f, UB_ERR_FILE, "softmax_precision %lld with a scale of %g",
                             (long long)precision, x->attr.scale);
    return UB_OK;
}

/* Queries, keys and values, checked against each other. */
static ub_status read_inputs(flex *x)
{
    static const char *const names[] = {"Q", "K", "V"};
    const ubp_flow *f = x->f;
    const ub_tensor *t[INPUTS];
    for (int i = 0; i < INPUTS; i++) {
        UBP_TRY(ubp_flow_tensor(f, i < f->node->n_in ? f->in[i] : NULL, names[i], &t[i]));
        if (t[i]->rank != 4 || !ubp_is_float(t[i]->dtype))
            return ubp_flow_fail(f, UB_ERR_SHAPE, "%s is %s of %d dimensions, expected floats of 4",
                                 names[i], ub_dtype_name(t[i]->dtype), t[i]->rank);
    }
    const int64_t *q = t[IN_Q]->dims, *k = t[IN_K]->dims, *v = t[IN_V]->dims;
    if (k[0] != q[0] || v[0] != q[0] || k[1] != v[1] || k[2] != v[2] || k[3] != q[3] || k[1] < 1 ||
        q[1] % k[1] != 0)
        return ubp_flow_fail(f, UB_ERR_SHAPE, "Q, K and V do not fit each other");
    x->a.d = (ubp_attention_dims){.batch = q[0],
                                  .heads = q[1],
                                  .kv_heads = k[1],
                                  .rows = q[2],
                                  .keys = k[2],
                                  .width = q[3],
                                  .value_width = v[3]};
    UBP_TRY(read_attrs(x));
    for (int i = 0; i < INPUTS; i++)
        UBP_TRY(ub_tensor_cast(&x->given[i], t[i], x->dtype, f->err));
    x->a.attr = &x->attr;
    x->a.q = x->given[IN_Q];
    x->a.k = x->given[IN_K];
    x->a.v = x->given[IN_V];
    return UB_OK;
}

/* Samples are followed on axis 0, where all three have them alike. */
static void join_samples(flex *x)
{
    x->map = x->f->in[IN_Q]->samples;
    for (int i = 0; i < INPUTS; i++) {
        const ubp_samples *s = &x->f->in[i]->samples;
        if (s->coupled && !x->map.coupled) {
            x->map.coupled = true;
            x->map.why = s->why;
            x->map.culprit = s->culprit;
        }
        if (s->kind != x->map.kind ||
            (s->kind == UBP_SAMPLES_AXIS &&
             (s->axis != 0 || s->outer != x->map.outer || s->inner != x->map.inner)))
            ubp_flow_couple(x->f, &x->map, "attention between samples");
    }
}

/* The scores as an item of this dtype, which takes them over. */
static ub_status recast(flex *x, ub_dtype dtype)
{
    ub_tensor *t;
    ubp_item *other;
    if (x->scores->tensor->dtype == dtype && ub_tensor_is_contiguous(x->scores->tensor))
        return UB_OK;
    UBP_TRY(ub_tensor_cast(&t, x->scores->tensor, dtype, x->f->err));
    UBP_TRY(ubp_item_take(&other, t, &x->scores->samples, x->f->err));
    ubp_item_free(x->scores);
    x->scores = other;
    return UB_OK;
}

/* Puts the scores through a body, where the node has that one. */
static ub_status change(flex *x, const char *name)
{
    const ubp_flow *f = x->f;
    const ubp_graph *body;
    const ub_tensor *t = NULL;
    ubp_item *out = NULL;
    const int64_t dims[] = {x->a.d.batch, x->a.d.heads, x->a.d.rows, x->a.d.keys};
    if (!ubp_node_attr(f->node, name))
        return UB_OK;
    UBP_TRY(ubp_flow_body(f, name, &body));
    if (body->n_formal != 1 || body->n_outputs != 1)
        return ubp_flow_fail(f, UB_ERR_FILE,
                             "its %s has %d inputs and %d outputs, expected 1 and 1", name,
                             body->n_formal, body->n_outputs);
    UBP_TRY(recast(x, x->body));
    UBP_TRY(ubp_body_run(f, body, name, 0, &x->scores, &out));
    ubp_item_free(x->scores);
    x->scores = out;
    UBP_TRY(ubp_flow_tensor(f, out, name, &t));
    if (t->rank != 4 || memcmp(t->dims, dims, sizeof dims) != 0 || !ubp_is_float(t->dtype))
        return ubp_flow_fail(f, UB_ERR_SHAPE, "its %s changes the shape", name);
    UBP_TRY(recast(x, x->dtype));
    /* A view of something else may not be written into. */
    ub_tensor *own;
    UBP_TRY(ub_tensor_copy(&own, x->scores->tensor, f->err));
    ubp_item *fresh;
    UBP_TRY(ubp_item_take(&fresh, own, &x->scores->samples, f->err));
    ubp_item_free(x->scores);
    x->scores = fresh;
    return UB_OK;
}

static ub_status run_steps(flex *x)
{
    const ubp_flow *f = x->f;
    const ubp_attention_dims *d = &x->a.d;
    const ub_dtype dtype = f->in[IN_V]->tensor->dtype;
    ubp_item *y = NULL;
    ub_tensor *rounded;
    UBP_TRY(ubp_runner_tensor(f->r, &x->scores, x->dtype, 4,
                              (const int64_t[]){d->batch, d->heads, d->rows, d->keys}, f->err));
    x->scores->samples = x->map;
    x->a.scores = x->scores->tensor;
    UBP_TRY(ubp_attention_scores(&x->call, &x->a));
    UBP_TRY(change(x, "score_mod"));
    x->a.scores = x->scores->tensor;
    ubp_attention_weights(&x->call, &x->a);
    UBP_TRY(change(x, "prob_mod"));
    x->a.scores = x->scores->tensor;
    const ubp_samples *map = &x->scores->samples;
    UBP_TRY(ubp_runner_tensor(f->r, &y, x->dtype, 4,
                              (const int64_t[]){d->batch, d->heads, d->rows, d->value_width},
                              f->err));
    x->a.y = y->tensor;
    ubp_attention_values(&x->call, &x->a);
    ub_status st = ub_tensor_cast(&rounded, y->tensor, dtype, f->err);
    ubp_item_free(y);
    if (st == UB_OK)
        st = ubp_item_take(&f->out[0], rounded, map, f->err);
    return st;
}

ub_status ubp_flow_flex(const ubp_flow *f)
{
    flex x = {.f = f, .call = {.node = f->node, .run = &f->r->control->run, .err = f->err}};
    ub_status st = read_inputs(&x);
    if (st == UB_OK) {
        join_samples(&x);
        st = run_steps(&x);
    }
    for (int i = 0; i < INPUTS; i++)
        ub_tensor_free(x.given[i]);
    ubp_item_free(x.scores);
    return st;
}
