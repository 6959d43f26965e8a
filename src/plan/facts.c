/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts: shapes, folded constants and the sample map of every value in a cone, before anything
 * runs.
 *
 * Every shape is worked out twice, for n samples and for n + 1: an axis that differs carries the
 * batch, integers that differ count samples. The batch rules of the ops say where the samples are;
 * the second pass checks them, and answers where a tensor is made from shapes alone. Whatever hangs
 * on no input is computed here once (folded), so that shape arithmetic costs nothing at run time.
 */
#include "plan/plan.h"

#include <string.h>

/* Larger constants are computed at run time instead, where the memory limit guards them. */
static const size_t fold_limit = (size_t)64 << 20;
static const size_t fold_total_limit = (size_t)1 << 30;
/* Of bodies inside facts only shape arithmetic is wanted. */
static const size_t fold_limit_inside = (size_t)1 << 20;
static const size_t fold_total_limit_inside = (size_t)16 << 20;

typedef struct builder {
    const ubp_ask *ask;
    ubp_facts *f;
    size_t folded; /* bytes */
    ub_error *err;
} builder;

/* The tensors of one node, for n samples or for n + 1. */
typedef struct io {
    const ub_tensor **in; /* [n_in] */
    ub_tensor **out;      /* [n_out]; NULL where not wanted */
} io;

/* ---- One node ------------------------------------------------------------------------------- */

ub_status ubp_node_attrs(const void **out, const ubp_node *node, ubp_arena *arena, ub_error *err)
{
    *out = NULL;
    if (node->op->attr_size == 0)
        return UB_OK;
    void *attr = ubp_arena_alloc(arena, node->op->attr_size);
    if (!attr)
        return ubp_fail_memory(err, node->op->attr_size);
    *out = attr;
    return node->op->attrs(node, attr, arena, err);
}

/* Whether the output's shape is made from the content of an input that holds samples: lengths,
 * sizes or axes that differ by sample cannot give each sample its own shape. */
static bool shape_hangs_on_samples(const ubp_call *call, const ubp_samples *in)
{
    enum { MOST = 16 };
    ub_tensor hidden[MOST], described[MOST];
    const ub_tensor *ins[MOST];
    ub_tensor *outs[MOST];
    bool hides = false;
    if (call->n_in > MOST || call->n_out > MOST)
        return false; /* such operators take no shapes as inputs */
    for (int i = 0; i < call->n_in; i++) {
        ins[i] = call->in[i];
        if (!ins[i] || !ins[i]->data || in[i].kind != UBP_SAMPLES_AXIS)
            continue;
        hidden[i] = *ins[i];
        hidden[i].data = NULL;
        ins[i] = &hidden[i];
        hides = true;
    }
    for (int k = 0; k < call->n_out; k++)
        outs[k] = call->out[k] ? &described[k] : NULL;
    ub_error ignored;
    ubp_call blind = *call;
    blind.in = ins;
    blind.out = outs;
    blind.err = &ignored;
    return hides && call->op->infer(&blind) == UBP_NEEDS_DATA;
}

void ubp_node_samples(const ubp_call *call, int32_t node, int64_t n, const ubp_samples *in,
                      const ub_tensor *grown, ubp_samples *out)
{
    for (int k = 0; k < call->n_out; k++)
        out[k] = (ubp_samples){.outer = 1, .inner = 1, .culprit = UBP_NO_NODE};
    ubp_batch b = {.call = call, .n = n, .in = in, .out = out, .grown = grown};
    call->op->batch(&b);
    if (!(call->op->flags & UBP_SHAPE_ONLY))
        ubp_samples_inherit(&b);
    if (shape_hangs_on_samples(call, in))
        for (int k = 0; k < call->n_out; k++)
            ubp_samples_couple(&b, k, "the shape depends on the content of the samples");
    for (int k = 0; k < call->n_out; k++)
        if (out[k].coupled && out[k].culprit < 0)
            out[k].culprit = node;
}

static bool all_known(const ubp_op *op, const ub_tensor *const *in, int n_in)
{
    if (op->flags & UBP_SHAPE_ONLY)
        return true;
    for (int i = 0; i < n_in; i++)
        if (in[i] && !in[i]->data && ub_tensor_count(in[i]) > 0)
            return false;
    return true;
}

/* Computes the outputs when all inputs are constants and the result is small enough. */
static ub_status fold(builder *b, ubp_call *call, bool as_view)
{
    if (!all_known(call->op, call->in, call->n_in))
        return UB_OK;
    for (int k = 0; k < call->n_out; k++) {
        int64_t offset = 0;
        if (as_view && call->out[k] && call->op->view && call->op->view(call, k, &offset))
            call->out[k]->data = (char *)call->in[0]->data + offset;
        else
            as_view = false;
    }
    if (as_view)
        return UB_OK;
    size_t total = 0;
    for (int k = 0; k < call->n_out; k++) {
        if (!call->out[k])
            continue;
        ubp_tensor_set_strides(call->out[k]);
        call->out[k]->data = NULL;
        if (!ubp_add_size(total, ubp_tensor_bytes(call->out[k]), &total))
            return UB_OK;
    }
    const bool inside = b->ask->depth > 0;
    if (total > (inside ? fold_limit_inside : fold_limit) ||
        b->folded + total > (inside ? fold_total_limit_inside : fold_total_limit))
        return UB_OK;
    b->folded += total;
    for (int k = 0; k < call->n_out; k++) {
        if (!call->out[k])
            continue;
        size_t bytes = ubp_tensor_bytes(call->out[k]);
        call->out[k]->data = ubp_arena_alloc(&b->f->arena, bytes + 1);
        if (!call->out[k]->data)
            return ubp_fail_memory(b->err, bytes);
    }
    /* Text lives as long as the elements that point to it. */
    const ubp_run *outer = call->run;
    ubp_run inner = *outer;
    inner.strings = &b->f->arena;
    call->run = &inner;
    const ub_status st = ubp_op_run(call);
    call->run = outer;
    return st;
}

static bool same_content(const ub_tensor *a, const ub_tensor *b)
{
    if (!ubp_same_dims(a, b) || !a->data || !b->data)
        return false;
    if (a->data == b->data)
        return true;
    return ub_tensor_is_contiguous(a) && ub_tensor_is_contiguous(b) &&
           memcmp(a->data, b->data, ubp_tensor_bytes(a)) == 0;
}

static ub_status make_io(builder *b, const ubp_node *n, io *t)
{
    t->in = ubp_arena_array(&b->f->arena, (size_t)n->n_in + 1, sizeof *t->in);
    t->out = ubp_arena_array(&b->f->arena, (size_t)n->n_out + 1, sizeof *t->out);
    if (!t->in || !t->out)
        return ubp_fail_memory(b->err, (size_t)n->n_in * sizeof *t->in);
    return UB_OK;
}

/* ---- n + 1 samples -------------------------------------------------------------------------- */

/* The node's outputs for one sample more: left NULL where that cannot be worked out. *pinned: the
 * operator refuses one sample more (a shape or an operand in the file fixes their number). */
static ub_status grow(builder *b, const ubp_call *call, const ubp_node *n, bool *pinned)
{
    ubp_fact *values = b->f->values;
    io t;
    UBP_TRY(make_io(b, n, &t));
    bool varies = false;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] < 0)
            continue;
        const ubp_fact *fact = &values[n->in[i]];
        varies = varies || fact->varies;
        if (!fact->grown)
            return UB_OK;
        t.in[i] = fact->grown;
    }
    for (int k = 0; k < n->n_out; k++) {
        if (n->out[k] < 0)
            continue;
        ubp_fact *fact = &values[n->out[k]];
        fact->varies = varies;
        if (!varies) {
            fact->grown = &fact->t;
            continue;
        }
        t.out[k] = ubp_arena_alloc(&b->f->arena, sizeof *t.out[k]);
        if (!t.out[k])
            return ubp_fail_memory(b->err, sizeof *t.out[k]);
    }
    if (!varies)
        return UB_OK;
    ub_error ignored;
    ubp_call more = *call;
    more.in = t.in;
    more.out = t.out;
    more.err = &ignored;
    ub_status st = n->op->infer(&more);
    *pinned = st != UB_OK && st != UBP_NEEDS_DATA;
    if (st != UB_OK)
        return UB_OK;
    for (int k = 0; k < n->n_out; k++)
        if (t.out[k])
            ubp_tensor_set_strides(t.out[k]);
    if (fold(b, &more, false) != UB_OK)
        return UB_OK;
    for (int k = 0; k < n->n_out; k++) {
        if (n->out[k] < 0)
            continue;
        ubp_fact *fact = &values[n->out[k]];
        fact->grown = t.out[k];
        if (fact->t.data && same_content(&fact->t, fact->grown))
            fact->varies = false;
    }
    return UB_OK;
}

/* Whether a map says what the dims show. */
static bool map_holds(const ubp_samples *s, const ubp_fact *fact, int64_t n)
{
    const ub_tensor *t = &fact->t, *g = fact->grown;
    int64_t per = 0, size = 0, more = 0;
    if (s->kind == UBP_SAMPLES_AXIS) {
        if (s->axis < 0 || s->axis >= t->rank || !ubp_mul_i64(s->outer, s->inner, &per) ||
            !ubp_mul_i64(per, n, &size) || t->dims[s->axis] != size)
            return false;
    }
    if (!g)
        return true;
    if (g->rank != t->rank)
        return false;
    for (int a = 0; a < t->rank; a++) {
        bool batch = s->kind == UBP_SAMPLES_AXIS && a == s->axis;
        if (batch && (!ubp_add_i64(size, per, &more) || g->dims[a] != more))
            return false;
        if (!batch && g->dims[a] != t->dims[a])
            return false;
    }
    return true;
}

/* Of a constant it is known whether it changes with the number of samples: no need to suspect. */
static void settle_constant(ubp_samples *s, const ubp_fact *fact)
{
    if (!fact->varies || !fact->grown) {
        *s = (ubp_samples){.outer = 1, .inner = 1, .culprit = UBP_NO_NODE};
        return;
    }
    s->sized = !s->positional && ubp_same_dims(&fact->t, fact->grown);
}

/* The map of the node's outputs: the op's rule, checked against the grown dims. */
static ub_status follow(builder *b, const ubp_call *call, const ubp_node *n, int32_t index,
                        bool pinned)
{
    ubp_arena *arena = &b->f->arena;
    ubp_samples *in = ubp_arena_array(arena, (size_t)n->n_in + 1, sizeof *in);
    ubp_samples *out = ubp_arena_array(arena, (size_t)n->n_out + 1, sizeof *out);
    ub_tensor *grown = ubp_arena_array(arena, (size_t)n->n_out + 1, sizeof *grown);
    if (!in || !out || !grown)
        return ubp_fail_memory(b->err, sizeof *grown);
    bool have_grown = true;
    for (int i = 0; i < n->n_in; i++) {
        in[i] = (ubp_samples){.outer = 1, .inner = 1, .culprit = UBP_NO_NODE};
        if (n->in[i] >= 0)
            in[i] = b->f->values[n->in[i]].samples;
    }
    for (int k = 0; k < n->n_out; k++) {
        if (n->out[k] < 0)
            continue;
        const ub_tensor *g = b->f->values[n->out[k]].grown;
        have_grown = have_grown && g;
        if (g)
            grown[k] = *g;
    }
    const int32_t blamed = b->ask->in_body ? b->ask->holder : index;
    ubp_node_samples(call, blamed, b->f->n, in, have_grown ? grown : NULL, out);
    for (int k = 0; k < n->n_out; k++) {
        if (n->out[k] < 0)
            continue;
        ubp_fact *fact = &b->f->values[n->out[k]];
        ubp_samples *s = &out[k];
        if (fact->t.data && (fact->grown || b->ask->fixed_batch))
            settle_constant(s, fact);
        if (!map_holds(s, fact, b->f->n)) {
            s->kind = UBP_SAMPLES_NONE;
            if (!s->coupled) {
                s->coupled = true;
                s->why = "the samples cannot be followed through this operator";
                s->culprit = blamed;
            }
        }
        /* Fewer samples may be computed otherwise than all of them: never run just some. */
        if (pinned && !s->coupled) {
            s->coupled = true;
            s->why = "the file fixes the number of samples here";
            s->culprit = blamed;
        }
        fact->samples = *s;
    }
    return UB_OK;
}

static bool inputs_known(const builder *b, const ubp_node *n)
{
    bool known = n->op != NULL;
    for (int i = 0; i < n->n_in && known; i++)
        known = n->in[i] < 0 || b->f->values[n->in[i]].known;
    return known;
}

/* The node can only be run step by step. */
static void no_plan(builder *b, int32_t index)
{
    if (!b->ask->partial && b->f->needs_data < 0)
        b->f->needs_data = index;
}

static ub_status visit(builder *b, int32_t index)
{
    const ubp_node *n = &b->ask->graph->nodes[index];
    ubp_facts *f = b->f;
    if (n->op && n->op->flags & UBP_FLOW) {
        no_plan(b, index);
        return ubp_flow_facts(f, b->ask, index, b->err);
    }
    if (!inputs_known(b, n)) {
        no_plan(b, index);
        return UB_OK;
    }
    UBP_TRY(ubp_node_attrs(&f->attrs[index], n, &f->arena, b->err));
    io t;
    UBP_TRY(make_io(b, n, &t));
    for (int i = 0; i < n->n_in; i++)
        t.in[i] = n->in[i] < 0 ? NULL : &f->values[n->in[i]].t;
    for (int k = 0; k < n->n_out; k++)
        t.out[k] = n->out[k] < 0 ? NULL : &f->values[n->out[k]].t;
    ubp_call call = {.op = n->op,
                     .node = n,
                     .attr = f->attrs[index],
                     .n_in = n->n_in,
                     .n_out = n->n_out,
                     .in = t.in,
                     .out = t.out,
                     .run = b->ask->run,
                     .err = b->err};
    ub_status st = n->op->infer(&call);
    if (st == UBP_NEEDS_DATA) {
        no_plan(b, index);
        return UB_OK;
    }
    UBP_TRY(st);
    bool varies = false;
    for (int i = 0; i < n->n_in; i++)
        varies = varies || (n->in[i] >= 0 && f->values[n->in[i]].varies);
    for (int k = 0; k < n->n_out; k++) {
        if (!t.out[k])
            continue;
        ubp_tensor_set_strides(t.out[k]);
        f->values[n->out[k]].known = true;
    }
    UBP_TRY(fold(b, &call, !varies));
    bool pinned = false;
    UBP_TRY(grow(b, &call, n, &pinned));
    return follow(b, &call, n, index, pinned);
}

/* ---- All of them ---------------------------------------------------------------------------- */

/* Where the samples are in a given value, and what it is like with one more. */
static ub_status start_samples(builder *b, const ubp_given *given, ubp_fact *fact)
{
    ubp_samples *s = &fact->samples;
    if (given->samples) {
        *s = *given->samples;
    } else if (given->batch_axis >= 0 && given->batch_axis < fact->t.rank) {
        s->kind = UBP_SAMPLES_AXIS;
        s->axis = given->batch_axis;
    }
    bool plain = s->kind == UBP_SAMPLES_NONE && !s->coupled && !s->sized && !s->positional;
    if (plain)
        return UB_OK;
    fact->varies = true;
    fact->grown = NULL;
    int64_t more = 0;
    if (b->ask->fixed_batch || s->kind == UBP_SAMPLES_NONE || s->coupled ||
        !ubp_mul_i64(s->outer, s->inner, &more) || !ubp_add_i64(fact->t.dims[s->axis], more, &more))
        return UB_OK;
    int64_t dims[UB_MAX_RANK];
    memcpy(dims, fact->t.dims, sizeof dims);
    dims[s->axis] = more;
    fact->grown = ubp_arena_alloc(&b->f->arena, sizeof *fact->grown);
    if (!fact->grown)
        return ubp_fail_memory(b->err, sizeof *fact->grown);
    return ubp_tensor_describe(fact->grown, fact->t.dtype, fact->t.rank, dims, b->err);
}

static ub_status start(builder *b)
{
    const ubp_ask *ask = b->ask;
    for (size_t i = 0; i < ask->graph->n_values; i++) {
        ubp_fact *fact = &b->f->values[i];
        fact->samples = (ubp_samples){.outer = 1, .inner = 1, .culprit = UBP_NO_NODE};
        if (!ask->graph->values[i].constant)
            continue;
        fact->known = true;
        fact->t = *ask->graph->values[i].constant;
        fact->grown = &fact->t;
    }
    for (int i = 0; i < ask->n_given; i++) {
        const ubp_given *given = &ask->given[i];
        ubp_fact *fact = &b->f->values[given->value];
        if (given->fact) {
            *fact = *given->fact;
            continue;
        }
        fact->known = given->tensor != NULL; /* a list has no shape */
        if (!fact->known)
            continue;
        fact->t = *given->tensor;
        fact->t.data = NULL;
        fact->t.buffer = NULL;
        fact->grown = &fact->t;
        UBP_TRY(start_samples(b, given, fact));
    }
    return UB_OK;
}

ub_status ubp_facts_new(ubp_facts **out, const ubp_ask *ask, ub_error *err)
{
    *out = NULL;
    ubp_facts *f = ubp_calloc(1, sizeof *f);
    if (!f)
        return ubp_fail_memory(err, sizeof *f);
    f->n = ask->n;
    f->needs_data = UBP_NO_NODE;
    builder b = {.ask = ask, .f = f, .err = err};
    f->values = ubp_arena_array(&f->arena, ask->graph->n_values + 1, sizeof *f->values);
    f->attrs = ubp_arena_array(&f->arena, ask->graph->n_nodes + 1, sizeof *f->attrs);
    ub_status st = f->values && f->attrs
                       ? ubp_cone(ask, &f->nodes, &f->n_nodes, &f->arena, err)
                       : ubp_fail_memory(err, ask->graph->n_values * sizeof *f->values);
    if (st == UB_OK)
        st = start(&b);
    for (int i = 0; i < f->n_nodes && st == UB_OK; i++) {
        st = visit(&b, f->nodes[i]);
        if (st == UB_OK && ubp_run_cancelled(ask->run))
            st = ubp_fail(err, UB_ERR_CANCELLED, "interrupted");
    }
    if (st != UB_OK) {
        ubp_facts_free(f);
        return st;
    }
    *out = f;
    return UB_OK;
}

ubp_facts *ubp_facts_share(ubp_facts *f)
{
    f->shared++;
    return f;
}

void ubp_facts_free(ubp_facts *f)
{
    if (!f || f->shared-- > 0)
        return;
    ubp_arena_release(&f->arena);
    ubp_free(f);
}
