/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts of If, Loop and Scan before they run: dims, dtypes and samples of their outputs, where the
 * bodies' own facts say them and they are the same whichever branch runs and in every iteration.
 * States of loops are followed until they stay as they are. What cannot be shown is left unknown:
 * the run then finds it.
 */
#include "plan/plan.h"

#include <string.h>

enum {
    MOST_NESTED = 4, /* each body is looked at a few times, those inside it as often again */
    MOST_ROUNDS = 4  /* until states stay */
};

typedef struct flow {
    const ubp_ask *ask; /* of the graph that the node is in */
    ubp_facts *f;       /* of that graph */
    const ubp_node *node;
    int32_t holder; /* whom to blame */
    ub_error *err;
} flow;

static int own_inputs(const flow *w)
{
    return w->node->n_in - w->node->n_captured;
}

/* What is known of input k; NULL: it is left out. */
static const ubp_fact *input(const flow *w, int k)
{
    return k < w->node->n_in && w->node->in[k] >= 0 ? &w->f->values[w->node->in[k]] : NULL;
}

static const ubp_graph *body_of(const flow *w, const char *attr)
{
    const ubp_attr *a = ubp_node_attr(w->node, attr);
    return a && a->kind == UBP_ATTR_GRAPH ? a->graph : NULL;
}

/* ---- Facts as they are handed on --------------------------------------------------------------
 */

static void couple(const flow *w, ubp_fact *fact, const char *why)
{
    if (fact->samples.coupled)
        return;
    fact->samples.coupled = true;
    fact->samples.why = why;
    fact->samples.culprit = w->holder;
}

/* The fact without its content, in this graph's memory. */
static ub_status take(const flow *w, ubp_fact *to, const ubp_fact *from)
{
    ubp_fact out = *from;
    out.t.data = NULL;
    out.t.buffer = NULL;
    ubp_tensor_set_strides(&out.t);
    out.grown = NULL;
    if (from->known && from->grown) {
        out.grown = ubp_arena_alloc(&w->f->arena, sizeof *out.grown);
        if (!out.grown)
            return ubp_fail_memory(w->err, sizeof *out.grown);
        *out.grown = *from->grown;
        out.grown->data = NULL;
        out.grown->buffer = NULL;
        ubp_tensor_set_strides(out.grown);
    }
    *to = out;
    return UB_OK;
}

static bool same_place(const ubp_samples *a, const ubp_samples *b)
{
    return a->kind == b->kind && a->axis == b->axis && a->outer == b->outer &&
           a->inner == b->inner && a->row_numbers == b->row_numbers;
}

static bool same_grown(const ubp_fact *a, const ubp_fact *b)
{
    return a->grown && b->grown ? ubp_same_dims(a->grown, b->grown) : a->grown == b->grown;
}

/* What holds of both; *changed: it is less than what a said. */
static void join(const flow *w, ubp_fact *a, const ubp_fact *b, const char *why, bool *changed)
{
    if (!a->known)
        return;
    if (!b->known || a->t.dtype != b->t.dtype || !ubp_same_dims(&a->t, &b->t)) {
        *a = (ubp_fact){.samples = a->samples};
        *changed = true;
        return;
    }
    const ubp_fact before = *a;
    ubp_samples *s = &a->samples;
    if (!same_place(s, &b->samples)) {
        *s = (ubp_samples){.outer = 1, .inner = 1, .culprit = UBP_NO_NODE};
        couple(w, a, why);
    }
    if (b->samples.coupled)
        couple(w, a, b->samples.why);
    s->sized = s->sized || before.samples.sized || b->samples.sized;
    s->positional = s->positional || before.samples.positional || b->samples.positional;
    a->varies = a->varies || b->varies;
    if (!same_grown(a, b))
        a->grown = NULL;
    *changed = *changed || !same_place(s, &before.samples) ||
               s->coupled != before.samples.coupled || s->sized != before.samples.sized ||
               s->positional != before.samples.positional || a->varies != before.varies ||
               a->grown != before.grown;
}

/* As exec's ubp_flow_by_sample(). */
static bool by_sample(const ubp_fact *fact)
{
    const ubp_samples *s = &fact->samples;
    return s->coupled || s->sized || s->positional || s->kind == UBP_SAMPLES_AXIS;
}

/* The one number of a fact whose content is known. */
static bool number_of(const ubp_fact *fact, int64_t *out)
{
    if (!fact->known || !fact->t.data || ub_tensor_count(&fact->t) != 1 ||
        (fact->t.dtype != UB_BOOL && !ubp_is_integer(fact->t.dtype)))
        return false;
    *out = ubp_read_i64(fact->t.data, fact->t.dtype);
    return true;
}

/* ---- Bodies -----------------------------------------------------------------------------------
 */

/* The facts of a body; *out is NULL where they cannot be worked out; *why then says it when the
 * body cannot run with these shapes. formal: [n_formal]. */
static ub_status body_facts(const flow *w, const ubp_graph *body, const ubp_fact *formal,
                            ubp_facts **out, ub_error *why)
{
    static const ubp_fact unknown;
    ub_error err = {0};
    *why = (ub_error){0};
    ubp_given *given = ubp_arena_array(&w->f->arena, (size_t)body->n_inputs + 1, sizeof *given);
    *out = NULL;
    if (!given)
        return ubp_fail_memory(w->err, sizeof *given);
    int n = 0;
    for (int i = 0; i < body->n_inputs; i++) {
        const ubp_fact *fact =
            i < body->n_formal ? &formal[i] : input(w, own_inputs(w) + i - body->n_formal);
        if (body->values[body->inputs[i]].constant)
            continue;
        given[n++] =
            (ubp_given){.value = body->inputs[i], .batch_axis = -1, .fact = fact ? fact : &unknown};
    }
    const ubp_ask ask = {.graph = body,
                         .wanted = body->outputs,
                         .n_wanted = body->n_outputs,
                         .given = given,
                         .n_given = n,
                         .n = w->ask->n,
                         .fixed_batch = w->ask->fixed_batch,
                         .partial = true,
                         .run = w->ask->run,
                         .in_body = true,
                         .holder = w->holder,
                         .depth = w->ask->depth + 1};
    const ub_status st = ubp_facts_new(out, &ask, &err);
    if (st == UB_ERR_MEMORY || st == UB_ERR_CANCELLED)
        return ubp_fail(w->err, st, "%s", err.message);
    if (st == UB_ERR_SHAPE)
        *why = err;
    return UB_OK;
}

static const ubp_fact *body_output(const ubp_facts *facts, const ubp_graph *body, int k)
{
    return &facts->values[body->outputs[k]];
}

/* ---- If ---------------------------------------------------------------------------------------
 */

/* Output k of a branch joined to what the other gave. */
static ub_status join_branch(const flow *w, ubp_fact *out, const ubp_facts *facts,
                             const ubp_graph *body, bool first)
{
    bool changed = false;
    for (int k = 0; k < w->node->n_out; k++) {
        if (first)
            UBP_TRY(take(w, &out[k], body_output(facts, body, k)));
        else
            join(w, &out[k], body_output(facts, body, k),
                 "the samples lie elsewhere in each branch", &changed);
    }
    return UB_OK;
}

static ub_status if_facts(const flow *w, ubp_fact *out)
{
    static const char *const names[] = {"else_branch", "then_branch"};
    const ubp_fact *condition = input(w, 0);
    int64_t flag = 0;
    if (!condition || !condition->known)
        return UB_OK;
    const bool settled = number_of(condition, &flag);
    int seen = 0;
    ub_error why = {0};
    for (int b = 0; b < 2; b++) {
        const ubp_graph *body = body_of(w, names[b]);
        ubp_facts *facts = NULL;
        if (settled && b != (flag != 0))
            continue;
        why.code = UB_OK;
        const bool fits = body && body->n_formal == 0 && body->n_outputs >= w->node->n_out;
        if (fits)
            UBP_TRY(body_facts(w, body, NULL, &facts, &why));
        if (!facts && why.code != UB_OK)
            continue; /* whenever something comes out, it is of the other branch */
        if (!facts) {
            memset(out, 0, (size_t)w->node->n_out * sizeof *out);
            return UB_OK;
        }
        const ub_status st = join_branch(w, out, facts, body, seen++ == 0);
        ubp_facts_free(facts);
        UBP_TRY(st);
    }
    if (seen == 0)
        return ubp_fail(w->err, why.code, "%s", why.message);
    for (int k = 0; k < w->node->n_out && by_sample(condition); k++) {
        couple(w, &out[k], "which branch runs hangs on the samples");
        out[k].varies = true;
        out[k].grown = NULL;
    }
    return UB_OK;
}

/* ---- States -----------------------------------------------------------------------------------
 */

/* A body that runs again and again. */
typedef struct turns {
    const ubp_graph *body;
    ubp_fact *formal; /* [n_formal] what goes in, whichever the turn */
    int n_state;
    int first_in, first_out; /* the first state among the body's inputs, and among its outputs */
    ubp_facts *facts;        /* of the body; NULL: not known */
} turns;

/* Follows the states until a turn leaves them as they were. */
static ub_status settle(const flow *w, turns *t)
{
    bool changed = true;
    ub_error ignored; /* it may not run at all */
    for (int round = 0; changed && round < MOST_ROUNDS; round++) {
        changed = false;
        ubp_facts_free(t->facts);
        UBP_TRY(body_facts(w, t->body, t->formal, &t->facts, &ignored));
        if (!t->facts)
            return UB_OK;
        for (int k = 0; k < t->n_state; k++)
            join(w, &t->formal[t->first_in + k], body_output(t->facts, t->body, t->first_out + k),
                 "the samples lie elsewhere in each iteration", &changed);
    }
    if (changed) {
        ubp_facts_free(t->facts);
        t->facts = NULL;
    }
    return UB_OK;
}

/* The states that the node is given, without their content. */
static ub_status start_states(const flow *w, turns *t, int first)
{
    for (int k = 0; k < t->n_state; k++) {
        const ubp_fact *fact = input(w, first + k);
        if (fact)
            UBP_TRY(take(w, &t->formal[t->first_in + k], fact));
    }
    return UB_OK;
}

static ub_status take_states(const flow *w, const turns *t, ubp_fact *out)
{
    for (int k = 0; k < t->n_state && k < w->node->n_out; k++)
        UBP_TRY(take(w, &out[k], &t->formal[t->first_in + k]));
    return UB_OK;
}

/* t with an axis of that length put in, or false where it has no room. */
static bool insert_axis(ub_tensor *t, int axis, int64_t length)
{
    int64_t dims[UB_MAX_RANK];
    ub_error ignored;
    if (t->rank >= UB_MAX_RANK)
        return false;
    for (int a = 0; a <= t->rank; a++)
        dims[a] = a < axis ? t->dims[a] : a == axis ? length : t->dims[a - 1];
    return ubp_tensor_describe(t, t->dtype, t->rank + 1, dims, &ignored) == UB_OK;
}

/* Rows like `row`, `length` of them along an axis. */
static ub_status stack(const flow *w, ubp_fact *out, const ubp_fact *row, int64_t axis,
                       int64_t length)
{
    UBP_TRY(take(w, out, row));
    if (!row->known || !ubp_normalize_axis(&axis, row->t.rank + 1) ||
        !insert_axis(&out->t, (int)axis, length) ||
        (out->grown && !insert_axis(out->grown, (int)axis, length))) {
        *out = (ubp_fact){0};
        return UB_OK;
    }
    if (out->samples.kind == UBP_SAMPLES_AXIS)
        out->samples.axis += out->samples.axis >= axis;
    return UB_OK;
}

/* ---- Loop -------------------------------------------------------------------------------------
 */

/* A scalar that goes into a body; data may be NULL. */
static ub_status scalar(const flow *w, const turns *t, int k, ub_dtype dtype, void *data)
{
    const int64_t one = 1;
    ubp_fact *fact = &t->formal[k];
    *fact = (ubp_fact){.known = true, .samples = {.outer = 1, .inner = 1, .culprit = UBP_NO_NODE}};
    const bool in_list = t->body->values[t->body->inputs[k]].rank == 1;
    UBP_TRY(ubp_tensor_describe(&fact->t, dtype, in_list ? 1 : 0, &one, w->err));
    fact->t.data = data;
    fact->grown = &fact->t;
    return UB_OK;
}

/* How often a loop runs: *trips is -1 where that is not known. False: nothing can be said. */
static bool count_trips(const flow *w, int64_t *trips, bool *by)
{
    int64_t go_on = 1;
    *trips = -1;
    for (int k = 0; k < 2; k++) {
        const ubp_fact *fact = input(w, k);
        if (fact && !fact->known)
            return false;
        *by = *by || (fact && by_sample(fact));
    }
    const bool told = !input(w, 1) || number_of(input(w, 1), &go_on);
    if (told && input(w, 0) && !number_of(input(w, 0), trips))
        *trips = -1;
    if (!told)
        *trips = -1;
    return go_on != 0;
}

static ub_status loop_outputs(const flow *w, const turns *t, int64_t trips, bool by, ubp_fact *out)
{
    int64_t go_on = 0;
    const ubp_fact *condition = body_output(t->facts, t->body, 0);
    if (!condition->known)
        return UB_OK;
    by = by || by_sample(condition);
    const bool all = number_of(condition, &go_on) && go_on;
    UBP_TRY(take_states(w, t, out));
    for (int k = t->n_state; k < w->node->n_out && all && trips > 0; k++)
        UBP_TRY(stack(w, &out[k], body_output(t->facts, t->body, 1 + k), 0, trips));
    for (int k = 0; k < w->node->n_out && by; k++) {
        couple(w, &out[k], "how often it runs hangs on the samples");
        out[k].varies = true;
        out[k].grown = NULL;
    }
    return UB_OK;
}

static ub_status loop_facts(const flow *w, ubp_fact *out)
{
    turns t = {
        .body = body_of(w, "body"), .n_state = own_inputs(w) - 2, .first_in = 2, .first_out = 1};
    int64_t trips;
    bool by = false;
    if (!t.body || t.n_state < 0 || t.body->n_formal != 2 + t.n_state ||
        t.body->n_outputs < 1 + t.n_state || w->node->n_out > t.body->n_outputs - 1 ||
        !count_trips(w, &trips, &by) || trips == 0)
        return UB_OK;
    t.formal = ubp_arena_array(&w->f->arena, (size_t)t.body->n_formal, sizeof *t.formal);
    bool *yes = ubp_arena_alloc(&w->f->arena, sizeof *yes);
    if (!t.formal || !yes)
        return ubp_fail_memory(w->err, sizeof *t.formal);
    *yes = true; /* whenever the body runs */
    UBP_TRY(scalar(w, &t, 0, UB_I64, NULL));
    UBP_TRY(scalar(w, &t, 1, UB_BOOL, yes));
    UBP_TRY(start_states(w, &t, 2));
    ub_status st = settle(w, &t);
    if (st == UB_OK && t.facts)
        st = loop_outputs(w, &t, trips, by, out);
    ubp_facts_free(t.facts);
    return st;
}

/* ---- Scan -------------------------------------------------------------------------------------
 */

static void remove_axis(ub_tensor *t, int axis)
{
    for (int a = axis; a + 1 < t->rank; a++)
        t->dims[a] = t->dims[a + 1];
    t->rank--;
    ubp_tensor_set_strides(t);
}

/* A row of a scan input; false where that is not known. */
static ub_status row_of(const flow *w, ubp_fact *row, const ubp_fact *from, int64_t axis,
                        int64_t *length, bool *known)
{
    *known = from && from->known && ubp_normalize_axis(&axis, from->t.rank) &&
             (*length < 0 || *length == from->t.dims[axis]);
    if (!*known)
        return UB_OK;
    *length = from->t.dims[axis];
    UBP_TRY(take(w, row, from));
    ubp_samples *s = &row->samples;
    const bool over = s->kind == UBP_SAMPLES_AXIS && s->axis == axis;
    const bool grows = row->grown && row->grown->dims[axis] != *length;
    remove_axis(&row->t, (int)axis);
    if (row->grown)
        remove_axis(row->grown, (int)axis);
    if (over || grows) {
        s->kind = UBP_SAMPLES_NONE;
        couple(w, row, "it runs over the samples");
    } else if (s->kind == UBP_SAMPLES_AXIS && s->axis > axis) {
        s->axis--;
    }
    return UB_OK;
}

/* Attributes of a Scan as load/ leaves them; false: its form is not served here. */
static bool read_list(const flow *w, const char *name, int want, const int64_t **out)
{
    int n = -1;
    ub_error ignored;
    return ubp_attr_ints(w->node, name, out, &n, &ignored) == UB_OK && (n < 0 || n == want);
}

static ub_status scan_outputs(const flow *w, const turns *t, const int64_t *axes, int64_t length,
                              ubp_fact *out)
{
    UBP_TRY(take_states(w, t, out));
    for (int k = t->n_state; k < w->node->n_out; k++)
        UBP_TRY(stack(w, &out[k], body_output(t->facts, t->body, k),
                      axes ? axes[k - t->n_state] : 0, length));
    return UB_OK;
}

static ub_status scan_facts(const flow *w, ubp_fact *out)
{
    turns t = {.body = body_of(w, "body")};
    const int64_t *in_axes = NULL, *out_axes = NULL;
    int64_t n_in = 0, length = -1, in_batch = 0;
    ub_error ignored;
    if (!t.body || ubp_attr_int(w->node, "num_scan_inputs", -1, &n_in, &ignored) != UB_OK ||
        ubp_attr_int(w->node, "batched", 0, &in_batch, &ignored) != UB_OK || in_batch || n_in < 1 ||
        n_in > own_inputs(w) || t.body->n_formal != own_inputs(w))
        return UB_OK;
    t.n_state = own_inputs(w) - (int)n_in;
    if (t.body->n_outputs < t.n_state || w->node->n_out > t.body->n_outputs ||
        !read_list(w, "scan_input_axes", (int)n_in, &in_axes) ||
        !read_list(w, "scan_output_axes", t.body->n_outputs - t.n_state, &out_axes))
        return UB_OK;
    t.formal = ubp_arena_array(&w->f->arena, (size_t)t.body->n_formal, sizeof *t.formal);
    if (!t.formal)
        return ubp_fail_memory(w->err, sizeof *t.formal);
    for (int k = 0; k < (int)n_in; k++) {
        bool known = false;
        UBP_TRY(row_of(w, &t.formal[t.n_state + k], input(w, t.n_state + k),
                       in_axes ? in_axes[k] : 0, &length, &known));
        if (!known || length == 0)
            return UB_OK;
    }
    UBP_TRY(start_states(w, &t, 0));
    ub_status st = settle(w, &t);
    if (st == UB_OK && t.facts)
        st = scan_outputs(w, &t, out_axes, length, out);
    ubp_facts_free(t.facts);
    return st;
}

/* ---- All of them ------------------------------------------------------------------------------
 */

ub_status ubp_flow_facts(ubp_facts *f, const ubp_ask *ask, int32_t node, ub_error *err)
{
    static const struct {
        const char *op;
        ub_status (*facts)(const flow *w, ubp_fact *out);
    } table[] = {{"If", if_facts}, {"Loop", loop_facts}, {"Scan", scan_facts}};
    const ubp_node *n = &ask->graph->nodes[node];
    const flow w = {
        .ask = ask, .f = f, .node = n, .holder = ask->in_body ? ask->holder : node, .err = err};
    if (ask->depth >= MOST_NESTED)
        return UB_OK;
    ubp_fact *out = ubp_arena_array(&f->arena, (size_t)n->n_out + 1, sizeof *out);
    if (!out)
        return ubp_fail_memory(err, sizeof *out);
    for (int i = 0; i < UBP_COUNT(table); i++)
        if (strcmp(n->op->name, table[i].op) == 0)
            UBP_TRY(table[i].facts(&w, out));
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0 && out[k].known)
            f->values[n->out[k]] = out[k];
    return UB_OK;
}
