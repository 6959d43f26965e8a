/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running step by step, for models whose shapes hang on data (NonZero, a Reshape to a computed
 * shape) and for what a plan does not have (lists, bodies): each node in turn has its shapes worked
 * out from the tensors at hand, its outputs made, its kernel run, and its inputs let go after their
 * last use. The samples are followed the same way. Kernels are those a plan takes, so that a value
 * has the same bits however it is run.
 */
#include "exec/flow.h"

#include <string.h>

/* One graph being run. */
typedef struct stepper {
    ubp_runner *r;
    const ubp_ask *ask;
    const ubp_graph *g;
    const ubp_facts *facts; /* what was known beforehand: constants and maps */
    ubp_item **items;       /* [n_values] owned */
    int32_t *uses;          /* [n_values] reads still to come, wanted counted */
    int32_t *pads; /* [n_nodes] of Convs: the Pad whose input it may read, or UBP_NO_NODE */
    int tap_step;
    ub_error *err;
} stepper;

/* The tensors of one node. */
typedef struct io {
    ubp_item **in;       /* [n_in] borrowed */
    ubp_item **made;     /* [n_out] owned until they are the graph's */
    const ub_tensor **t; /* [n_in] */
    ub_tensor *shapes;   /* [n_out] */
    ub_tensor **out;     /* [n_out] */
    ubp_samples *s_in, *s_out;
    ub_tensor *want, *bare; /* [n_in]: for fast kernels */
} io;

ub_status ubp_runner_tensor(ubp_runner *r, ubp_item **out, ub_dtype dtype, int rank,
                            const int64_t *dims, ub_error *err)
{
    ub_tensor shape, *t;
    size_t need;
    UBP_TRY(ubp_tensor_describe(&shape, dtype, rank, dims, err));
    const size_t bytes = ubp_tensor_bytes(&shape);
    if (!ubp_add_size(r->live, bytes, &need))
        need = SIZE_MAX;
    UBP_TRY(ubp_memory_check(need, r->control->memory_limit, err));
    UBP_TRY(ubp_tensor_make(&t, dtype, rank, dims, err));
    UBP_TRY(ubp_item_take(out, t, NULL, err));
    (*out)->live = &r->live;
    (*out)->bytes = bytes;
    r->live += bytes;
    return UB_OK;
}

/* ---- Values -----------------------------------------------------------------------------------
 */

static bool is_constant(const stepper *e, int32_t v)
{
    return v >= 0 && e->facts->values[v].known && e->facts->values[v].t.data;
}

/* What a read of the value gives; a constant becomes an item when it is first read. Folded ones
 * are copied: they live only as long as the facts. */
static ub_status item_of(stepper *e, int32_t v, ubp_item **out)
{
    *out = v < 0 ? NULL : e->items[v];
    if (v < 0 || *out)
        return UB_OK;
    const ubp_fact *fact = &e->facts->values[v];
    if (!is_constant(e, v))
        return ubp_fail(e->err, UB_ERR_INTERNAL, "value '%s' is read before it is computed",
                        e->g->values[v].name);
    if (e->g->values[v].constant) {
        UBP_TRY(ubp_item_view(&e->items[v], &fact->t, &fact->samples, e->err));
    } else {
        UBP_TRY(ubp_runner_tensor(e->r, &e->items[v], fact->t.dtype, fact->t.rank, fact->t.dims,
                                  e->err));
        e->items[v]->samples = fact->samples;
        ubp_tensor_move(e->items[v]->tensor, &fact->t);
        UBP_TRY(ubp_strings_keep(e->items[v]->tensor, e->r->control->run.strings, e->err));
    }
    *out = e->items[v];
    return UB_OK;
}

static void let_go_inputs(stepper *e, const ubp_node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        const int32_t v = n->in[i];
        if (v < 0 || --e->uses[v] > 0)
            continue;
        ubp_item_free(e->items[v]);
        e->items[v] = NULL;
    }
}

static void let_go(stepper *e, const ubp_node *n)
{
    const int32_t pad = e->pads[n - e->g->nodes];
    let_go_inputs(e, n);
    if (pad >= 0)
        let_go_inputs(e, &e->g->nodes[pad]);
}

/* One more read of each of the inputs. */
static void count_uses(stepper *e, const ubp_node *n)
{
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] >= 0)
            e->uses[n->in[k]]++;
}

/* Whether every output is a constant already. */
static bool folded(const stepper *e, const ubp_node *n)
{
    bool all = true;
    for (int k = 0; k < n->n_out && all; k++)
        all = n->out[k] < 0 || is_constant(e, n->out[k]);
    return all;
}

static bool is_read(const stepper *e, int32_t v)
{
    return v >= 0 && e->uses[v] > 0 && !is_constant(e, v);
}

/* ---- One node ---------------------------------------------------------------------------------
 */

static ub_status make_io(stepper *e, const ubp_node *n, io *t, ubp_arena *arena)
{
    const size_t ni = (size_t)n->n_in + 1, no = (size_t)n->n_out + 1;
    t->in = ubp_arena_array(arena, ni, sizeof *t->in);
    t->made = ubp_arena_array(arena, no, sizeof *t->made);
    t->t = ubp_arena_array(arena, ni, sizeof *t->t);
    t->shapes = ubp_arena_array(arena, no, sizeof *t->shapes);
    t->out = ubp_arena_array(arena, no, sizeof *t->out);
    t->s_in = ubp_arena_array(arena, ni, sizeof *t->s_in);
    t->s_out = ubp_arena_array(arena, no, sizeof *t->s_out);
    t->want = ubp_arena_array(arena, ni, sizeof *t->want);
    t->bare = ubp_arena_array(arena, ni, sizeof *t->bare);
    if (!t->in || !t->made || !t->t || !t->shapes || !t->out || !t->s_in || !t->s_out || !t->want ||
        !t->bare)
        return ubp_fail_memory(e->err, ni * sizeof *t->want);
    for (int i = 0; i < n->n_in; i++)
        UBP_TRY(item_of(e, n->in[i], &t->in[i]));
    return UB_OK;
}

/* Memory for the outputs, in the layout that shapes has. */
static ub_status make_outputs(stepper *e, const ubp_node *n, io *t)
{
    for (int k = 0; k < n->n_out; k++) {
        if (!t->out[k])
            continue;
        UBP_TRY(ubp_runner_tensor(e->r, &t->made[k], t->shapes[k].dtype, t->shapes[k].rank,
                                  t->shapes[k].dims, e->err));
        memcpy(t->made[k]->tensor->strides, t->shapes[k].strides, sizeof t->shapes[k].strides);
        t->out[k] = t->made[k]->tensor;
    }
    return UB_OK;
}

/* The layouts the kernel asked for; copies die with the caller's list. */
static ub_status lay_out(stepper *e, const ubp_node *n, io *t, ubp_item **copies)
{
    for (int i = 0; i < n->n_in; i++) {
        if (!t->t[i])
            continue;
        bool same = true;
        for (int a = 0; a < t->want[i].rank && same; a++)
            same = t->t[i]->dims[a] <= 1 || t->t[i]->strides[a] == t->want[i].strides[a];
        if (same)
            continue;
        UBP_TRY(ubp_runner_tensor(e->r, &copies[i], t->t[i]->dtype, t->t[i]->rank, t->t[i]->dims,
                                  e->err));
        memcpy(copies[i]->tensor->strides, t->want[i].strides, sizeof t->want[i].strides);
        ubp_tensor_move(copies[i]->tensor, t->t[i]);
        t->t[i] = copies[i]->tensor;
    }
    return UB_OK;
}

static ub_status run_fast(stepper *e, ubp_fast *fast, ubp_call *call, io *t, size_t scratch,
                          ubp_arena *arena)
{
    const ubp_node *n = call->node;
    ubp_item **copies = ubp_arena_array(arena, (size_t)n->n_in + 1, sizeof *copies);
    void *memory = scratch ? ubp_malloc_aligned(scratch) : NULL;
    ub_status st = copies && (memory || !scratch) ? UB_OK : ubp_fail_memory(e->err, scratch);
    if (st == UB_OK)
        st = make_outputs(e, n, t);
    if (st == UB_OK)
        st = lay_out(e, n, t, copies);
    if (st == UB_OK)
        st = ubp_fast_run(fast, call, memory);
    for (int i = 0; copies && i < n->n_in; i++)
        ubp_item_free(copies[i]);
    ubp_free(memory);
    return st;
}

/* Runs a node whose shapes are known: by the kernel that a plan would take. */
static ub_status run_kernel(stepper *e, ubp_call *call, io *t, ubp_arena *arena)
{
    const ubp_node *n = call->node;
    const ub_tensor *const *in = call->in;
    ubp_fast *fast = NULL;
    size_t scratch = 0;
    for (int k = 0; k < n->n_out; k++)
        if (t->out[k])
            ubp_tensor_set_strides(&t->shapes[k]);
    if (e->r->control->run.onednn) {
        const ub_tensor **bare = ubp_arena_array(arena, (size_t)n->n_in + 1, sizeof *bare);
        if (!bare)
            return ubp_fail_memory(e->err, sizeof *bare);
        for (int i = 0; i < n->n_in; i++) {
            if (!t->t[i])
                continue;
            t->bare[i] = t->want[i] = *t->t[i];
            if (!is_constant(e, n->in[i]))
                t->bare[i].data = NULL;
            bare[i] = &t->bare[i];
        }
        call->in = bare;
        const ub_status st =
            ubp_fast_prepare(&fast, e->r->control->run.onednn, call, NULL, 0, 0, t->want, &scratch);
        call->in = in;
        if (st == UB_OK) {
            const ub_status ran = run_fast(e, fast, call, t, scratch, arena);
            ubp_fast_free(fast);
            return ran;
        }
        if (st != UBP_DECLINED)
            return st;
        for (int k = 0; k < n->n_out; k++)
            if (t->out[k])
                ubp_tensor_set_strides(&t->shapes[k]);
    }
    UBP_TRY(make_outputs(e, n, t));
    const ub_status st = ubp_op_run(call);
    ubp_arena_reset(e->r->control->run.scratch);
    return st;
}

/* Whom to blame for mixing samples: a node of the model's graph. */
static int32_t holder(const stepper *e, int32_t index)
{
    return e->ask->in_body ? e->ask->holder : index;
}

/* A Conv behind a Pad of zeros reads what is in front of it, as in a plan. */
static ub_status leave_pad(stepper *e, ubp_call *conv, io *t, ubp_arena *arena)
{
    const ubp_node *n = conv->node;
    const int32_t pad = e->pads[n - e->g->nodes];
    int order[UB_MAX_RANK];
    if (pad < 0 || !is_constant(e, n->in[1]) ||
        !ubp_padded_order(order, e->g, n->in[0], t->t[0]->rank))
        return UB_OK;
    const ubp_node *p = &e->g->nodes[pad];
    const ub_tensor **in = ubp_arena_array(arena, (size_t)p->n_in + 1, sizeof *in);
    ubp_conv_attr *attr = ubp_arena_alloc(arena, sizeof *attr);
    ub_tensor *x = ubp_arena_alloc(arena, sizeof *x);
    ub_tensor *seen = ubp_arena_array(arena, (size_t)p->n_in + 1, sizeof *seen);
    if (!in || !attr || !x || !seen)
        return ubp_fail_memory(e->err, sizeof *attr);
    for (int i = 0; i < p->n_in; i++) {
        ubp_item *item;
        UBP_TRY(item_of(e, p->in[i], &item));
        if (!item)
            continue;
        seen[i] = *item->tensor;
        in[i] = &seen[i];
        if (i > 0 && !is_constant(e, p->in[i])) /* what a plan does not know */
            seen[i].data = NULL;
    }
    ubp_call call = {.op = p->op, .node = p, .n_in = p->n_in, .in = in};
    UBP_TRY(ubp_node_attrs(&call.attr, p, arena, e->err));
    if (!ubp_padded_find(attr, &call, conv, order))
        return UB_OK;
    *x = *in[0];
    ubp_padded_turn(x, order);
    t->t[0] = x;
    conv->attr = attr;
    return UB_OK;
}

static ub_status visit_plain(stepper *e, int32_t index, io *t, ubp_arena *arena)
{
    const ubp_node *n = &e->g->nodes[index];
    for (int i = 0; i < n->n_in; i++) {
        t->t[i] = t->in[i] ? t->in[i]->tensor : NULL;
        t->s_in[i] = t->in[i] ? t->in[i]->samples : UBP_NO_SAMPLES;
        if (t->in[i] && t->in[i]->kind != UBP_ITEM_TENSOR)
            return ubp_fail(e->err, UB_ERR_SHAPE,
                            "node '%s' (%s): input %d is %s, expected a tensor",
                            ubp_node_title(e->g, n), n->op_type, i, ubp_item_word(t->in[i]));
    }
    for (int k = 0; k < n->n_out; k++)
        t->out[k] = is_read(e, n->out[k]) ? &t->shapes[k] : NULL;
    ubp_call call = {.op = n->op,
                     .node = n,
                     .n_in = n->n_in,
                     .n_out = n->n_out,
                     .in = t->t,
                     .out = t->out,
                     .run = &e->r->control->run,
                     .err = e->err};
    UBP_TRY(ubp_node_attrs(&call.attr, n, arena, e->err));
    UBP_TRY(leave_pad(e, &call, t, arena));
    ub_status st = n->op->infer(&call);
    if (st == UBP_NEEDS_DATA)
        return ubp_fail(e->err, UB_ERR_INTERNAL, "node '%s' (%s): its shape cannot be worked out",
                        n->name, n->op_type);
    UBP_TRY(st);
    ubp_node_samples(&call, holder(e, index), e->ask->n, t->s_in, NULL, t->s_out);
    UBP_TRY(run_kernel(e, &call, t, arena));
    for (int k = 0; k < n->n_out; k++)
        if (t->made[k])
            t->made[k]->samples = e->facts->values[n->out[k]].known
                                      ? e->facts->values[n->out[k]].samples
                                      : t->s_out[k];
    return UB_OK;
}

static ub_status visit_flow(stepper *e, int32_t index, io *t, ubp_arena *arena)
{
    const ubp_node *n = &e->g->nodes[index];
    bool *wanted = ubp_arena_array(arena, (size_t)n->n_out + 1, sizeof *wanted);
    if (!wanted)
        return ubp_fail_memory(e->err, sizeof *wanted);
    for (int k = 0; k < n->n_out; k++)
        wanted[k] = is_read(e, n->out[k]);
    const ubp_tap *tap = e->r->tap;
    const bool tapped = tap && e->tap_step >= 0 && tap->steps[e->tap_step].node == index;
    ubp_flow f = {.r = e->r,
                  .ask = e->ask,
                  .node = n,
                  .wanted = wanted,
                  .holder = holder(e, index),
                  .tap_step = tapped ? e->tap_step : -1,
                  .in = t->in,
                  .out = t->made,
                  .err = e->err};
    return ubp_flow_run(&f);
}

static ub_status visit(stepper *e, int32_t index)
{
    const ubp_node *n = &e->g->nodes[index];
    if (folded(e, n)) {
        let_go(e, n);
        return UB_OK;
    }
    ubp_arena arena = {0};
    io t = {0};
    ub_status st = make_io(e, n, &t, &arena);
    const bool list = st == UB_OK && n->n_in > 0 && t.in[0] && t.in[0]->kind != UBP_ITEM_TENSOR;
    if (list && strcmp(n->op->name, "Identity") == 0)
        t.made[0] = ubp_item_ref(t.in[0]);
    else if (st == UB_OK)
        st = n->op->flags & UBP_FLOW ? visit_flow(e, index, &t, &arena)
                                     : visit_plain(e, index, &t, &arena);
    for (int k = 0; t.made && k < n->n_out; k++) {
        if (st == UB_OK && t.made[k] && is_read(e, n->out[k]))
            e->items[n->out[k]] = t.made[k];
        else
            ubp_item_free(t.made[k]);
    }
    let_go(e, n);
    ubp_arena_release(&arena);
    return st;
}

/* ---- A graph ----------------------------------------------------------------------------------
 */

/* The Pad that gives what a Conv reads, unless what is between them is given or known. */
static int32_t pad_of(const stepper *e, int32_t index)
{
    const ubp_node *n = &e->g->nodes[index];
    if (!ubp_node_is(n, "Conv"))
        return UBP_NO_NODE;
    const int32_t pad = ubp_padded_by(e->g, n->in[0]);
    for (int32_t v = n->in[0]; pad >= 0;) {
        if (e->items[v] || is_constant(e, v))
            return UBP_NO_NODE;
        if (e->g->values[v].producer == pad)
            return pad;
        v = e->g->nodes[e->g->values[v].producer].in[0];
    }
    return UBP_NO_NODE;
}

static ub_status start(stepper *e, const int32_t *nodes, int n_nodes)
{
    for (int i = 0; i < e->ask->n_given; i++) {
        const ubp_given *given = &e->ask->given[i];
        ubp_item **item = &e->items[given->value];
        if (given->item) {
            *item = ubp_item_ref(given->item);
            continue;
        }
        if (!given->tensor->data && ub_tensor_count(given->tensor) > 0)
            return ubp_fail(e->err, UB_ERR_UNSUPPORTED,
                            "shapes of this model hang on data: give real inputs");
        UBP_TRY(
            ubp_item_view(item, given->tensor, &e->facts->values[given->value].samples, e->err));
    }
    for (int i = 0; i < n_nodes; i++) {
        e->pads[nodes[i]] = pad_of(e, nodes[i]);
        count_uses(e, &e->g->nodes[nodes[i]]);
        if (e->pads[nodes[i]] >= 0)
            count_uses(e, &e->g->nodes[e->pads[nodes[i]]]);
    }
    for (int i = 0; i < e->ask->n_wanted; i++)
        e->uses[e->ask->wanted[i]]++;
    return UB_OK;
}

static ub_status run_nodes(stepper *e, const int32_t *nodes, int n_nodes)
{
    const ubp_control *c = e->r->control;
    for (int i = 0; i < n_nodes; i++) {
        if (ubp_run_cancelled(&c->run))
            return ubp_fail(e->err, UB_ERR_CANCELLED, "interrupted");
        UBP_TRY(visit(e, nodes[i]));
        if (c->progress && e->r->depth == 0)
            c->progress((double)(i + 1) / (double)n_nodes, c->payload);
    }
    return UB_OK;
}

static ub_status step_through(stepper *e, ubp_item **results, ubp_arena *arena)
{
    const size_t n = e->g->n_values + 1;
    int32_t *nodes = NULL;
    int n_nodes = 0;
    e->items = ubp_arena_array(arena, n, sizeof *e->items);
    e->uses = ubp_arena_array(arena, n, sizeof *e->uses);
    e->pads = ubp_arena_array(arena, e->g->n_nodes + 1, sizeof *e->pads);
    if (!e->items || !e->uses || !e->pads)
        return ubp_fail_memory(e->err, n * sizeof *e->items);
    UBP_TRY(ubp_cone(e->ask, &nodes, &n_nodes, arena, e->err));
    UBP_TRY(start(e, nodes, n_nodes));
    UBP_TRY(run_nodes(e, nodes, n_nodes));
    for (int i = 0; i < e->ask->n_wanted; i++) {
        ubp_item *item;
        UBP_TRY(item_of(e, e->ask->wanted[i], &item));
        results[i] = ubp_item_ref(item);
    }
    return UB_OK;
}

ub_status ubp_run_graph(ubp_runner *r, ubp_item **results, const ubp_ask *ask, int tap_step,
                        ub_error *err)
{
    stepper e = {.r = r, .ask = ask, .g = ask->graph, .tap_step = tap_step, .err = err};
    memset(results, 0, (size_t)ask->n_wanted * sizeof *results);
    ubp_ask known = *ask;
    ubp_arena arena = {0};
    ubp_cached *facts;
    known.partial = true;
    UBP_TRY(ubp_cache_facts(r->control->cache, &facts, &known, err));
    facts->in_use++;
    e.facts = facts->facts;
    const ub_status st = step_through(&e, results, &arena);
    facts->in_use--;
    for (size_t i = 0; e.items && i < e.g->n_values; i++)
        ubp_item_free(e.items[i]);
    for (int i = 0; i < ask->n_wanted && st != UB_OK; i++) {
        ubp_item_free(results[i]);
        results[i] = NULL;
    }
    ubp_arena_release(&arena);
    return st;
}

/* The counter of live bytes ends with the run. */
static void detach(ubp_item *item)
{
    if (!item)
        return;
    item->live = NULL;
    for (int64_t i = 0; i < item->n; i++)
        detach(item->list[i]);
}

ub_status ubp_eager_run(ubp_item **results, const ubp_ask *ask, const ubp_control *control,
                        ubp_tap *tap, ub_error *err)
{
    ubp_runner r = {.control = control, .tap = tap};
    const int threads = ubp_threads_enter(control->run.threads);
    const ub_status st = ubp_run_graph(&r, results, ask, tap ? 0 : -1, err);
    ubp_threads_leave(threads);
    for (int i = 0; i < ask->n_wanted && st == UB_OK; i++)
        detach(results[i]);
    if (tap && tap->result)
        detach(tap->result);
    return st;
}
