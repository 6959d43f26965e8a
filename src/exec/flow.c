/* SPDX-License-Identifier: Apache-2.0 */
/*
 * If, Loop and SequenceMap, and the table of all operators that are run here.
 */
#include "exec/flow.h"

#include <string.h>

/* ---- Outputs -------------------------------------------------------------------------------- */

static bool is_wanted(const ubp_flow *f, int k)
{
    return k < f->node->n_out && f->wanted[k];
}

/* Hands n items on as the node's outputs, and lets those go that nobody wants. */
static void hand_out(const ubp_flow *f, ubp_item **items, int n)
{
    for (int k = 0; k < n; k++) {
        if (is_wanted(f, k))
            f->out[k] = items[k];
        else
            ubp_item_free(items[k]);
        items[k] = NULL;
    }
}

static void free_items(ubp_item **items, int n)
{
    for (int i = 0; items && i < n; i++)
        ubp_item_free(items[i]);
}

/* Everything that comes out hangs on several samples. */
static ub_status couple_all(const ubp_flow *f, const char *why)
{
    for (int k = 0; k < f->node->n_out; k++) {
        if (!f->out[k])
            continue;
        ubp_samples map = f->out[k]->samples;
        ubp_flow_couple(f, &map, why);
        UBP_TRY(ubp_flow_remap(f, &f->out[k], &map));
    }
    return UB_OK;
}

static int own_inputs(const ubp_flow *f)
{
    return f->node->n_in - f->node->n_captured;
}

/* ---- If ------------------------------------------------------------------------------------- */

static ub_status run_if(const ubp_flow *f)
{
    const ubp_graph *body;
    int64_t condition;
    UBP_TRY(ubp_flow_scalar(f, f->in[0], "the condition", &condition));
    const char *branch = condition ? "then_branch" : "else_branch";
    UBP_TRY(ubp_flow_body(f, branch, &body));
    if (body->n_formal != 0 || body->n_outputs < f->node->n_out)
        return ubp_flow_fail(f, UB_ERR_FILE,
                             "its %s has %d inputs and %d outputs, expected 0 and %d", branch,
                             body->n_formal, body->n_outputs, f->node->n_out);
    ubp_item **out = ubp_calloc((size_t)body->n_outputs + 1, sizeof *out);
    if (!out)
        return ubp_fail_memory(f->err, sizeof *out);
    ub_status st = ubp_body_run(f, body, branch, 0, NULL, out);
    hand_out(f, out, body->n_outputs);
    ubp_free(out);
    if (st == UB_OK && ubp_flow_by_sample(f->in[0]))
        st = couple_all(f, "which branch runs hangs on the samples");
    return st;
}

/* ---- Loop ----------------------------------------------------------------------------------- */

/* Loops may stop before their trip count: only for so many iterations is memory made at once. */
enum { FEW_TRIPS = 64 };

typedef struct loop {
    const ubp_flow *f;
    const ubp_graph *body;
    int n_state, n_scan;
    int64_t trips; /* -1: no limit */
    bool go_on;
    bool by_sample;   /* how often it runs hangs on the samples */
    ubp_item **in;    /* [n_formal]: iteration, condition, state */
    ubp_item **out;   /* [n_outputs]: condition, state, scan outputs */
    ubp_stack *scans; /* [n_scan] */
} loop;

/* An integer or a truth value as the body's input, of rank 1 where the file says so. */
static ub_status make_scalar(const loop *l, int input, ub_dtype dtype, int64_t v)
{
    const ubp_value *value = &l->body->values[l->body->inputs[input]];
    const int64_t one = 1;
    ub_tensor *t;
    ubp_item_free(l->in[input]);
    l->in[input] = NULL;
    UBP_TRY(ubp_tensor_make(&t, dtype, value->rank == 1 ? 1 : 0, &one, l->f->err));
    ubp_write_i64(t->data, dtype, v);
    return ubp_item_take(&l->in[input], t, NULL, l->f->err);
}

static ub_status loop_start(loop *l)
{
    const ubp_flow *f = l->f;
    const ubp_graph *b = l->body;
    int64_t flag = 1;
    l->n_state = own_inputs(f) - 2;
    l->n_scan = b->n_outputs - 1 - l->n_state;
    if (own_inputs(f) < 2 || b->n_formal != 2 + l->n_state || l->n_scan < 0 ||
        f->node->n_out > l->n_state + l->n_scan)
        return ubp_flow_fail(f, UB_ERR_FILE,
                             "has %d inputs and %d outputs, its body %d and %d: they do not fit",
                             own_inputs(f), f->node->n_out, b->n_formal, b->n_outputs);
    l->in = ubp_calloc((size_t)b->n_formal + 1, sizeof *l->in);
    l->out = ubp_calloc((size_t)b->n_outputs + 1, sizeof *l->out);
    l->scans = ubp_calloc((size_t)l->n_scan + 1, sizeof *l->scans);
    if (!l->in || !l->out || !l->scans)
        return ubp_fail_memory(f->err, sizeof *l->scans);
    l->trips = -1;
    if (f->in[0])
        UBP_TRY(ubp_flow_scalar(f, f->in[0], "the trip count", &l->trips));
    if (f->in[0] && l->trips < 0)
        l->trips = 0;
    if (f->in[1])
        UBP_TRY(ubp_flow_scalar(f, f->in[1], "the condition", &flag));
    l->go_on = flag != 0;
    l->by_sample = ubp_flow_by_sample(f->in[0]) || ubp_flow_by_sample(f->in[1]);
    for (int i = 0; i < l->n_state; i++) {
        if (!f->in[2 + i])
            return ubp_flow_fail(f, UB_ERR_FILE, "its input %d is missing", 2 + i);
        l->in[2 + i] = ubp_item_ref(f->in[2 + i]);
    }
    return UB_OK;
}

static ub_status iterate(loop *l, int64_t i)
{
    const ubp_flow *f = l->f;
    int64_t flag;
    UBP_TRY(make_scalar(l, 0, UB_I64, i));
    UBP_TRY(make_scalar(l, 1, UB_BOOL, l->go_on));
    UBP_TRY(ubp_body_run(f, l->body, NULL, i, l->in, l->out));
    UBP_TRY(ubp_flow_scalar(f, l->out[0], "the condition that its body gives", &flag));
    l->go_on = flag != 0;
    l->by_sample = l->by_sample || ubp_flow_by_sample(l->out[0]);
    for (int k = 0; k < l->n_scan; k++)
        if (is_wanted(f, l->n_state + k))
            UBP_TRY(ubp_stack_add(f, &l->scans[k], l->out[1 + l->n_state + k],
                                  l->trips <= FEW_TRIPS ? l->trips : 0));
    for (int k = 0; k < l->n_state; k++) {
        ubp_item_free(l->in[2 + k]);
        l->in[2 + k] = l->out[1 + k];
        l->out[1 + k] = NULL;
    }
    free_items(l->out, l->body->n_outputs);
    memset(l->out, 0, (size_t)l->body->n_outputs * sizeof *l->out);
    return UB_OK;
}

static ub_status loop_finish(loop *l)
{
    const ubp_flow *f = l->f;
    for (int k = 0; k < l->n_state; k++)
        if (is_wanted(f, k))
            f->out[k] = ubp_item_ref(l->in[2 + k]);
    for (int k = 0; k < l->n_scan; k++) {
        const ubp_value *like = &l->body->values[l->body->outputs[1 + l->n_state + k]];
        if (is_wanted(f, l->n_state + k))
            UBP_TRY(ubp_stack_finish(f, &l->scans[k], &f->out[l->n_state + k], like, 0, false));
    }
    return l->by_sample ? couple_all(f, "how often it runs hangs on the samples") : UB_OK;
}

static ub_status run_loop(const ubp_flow *f)
{
    loop l = {.f = f};
    UBP_TRY(ubp_flow_body(f, "body", &l.body));
    ub_status st = loop_start(&l);
    for (int64_t i = 0; st == UB_OK && l.go_on && (l.trips < 0 || i < l.trips); i++)
        st = ubp_run_cancelled(&f->r->control->run)
                 ? ubp_fail(f->err, UB_ERR_CANCELLED, "interrupted")
                 : iterate(&l, i);
    if (st == UB_OK)
        st = loop_finish(&l);
    if (l.in)
        free_items(l.in, l.body->n_formal);
    if (l.out)
        free_items(l.out, l.body->n_outputs);
    for (int k = 0; l.scans && k < l.n_scan; k++)
        ubp_stack_release(&l.scans[k]);
    ubp_free(l.in);
    ubp_free(l.out);
    ubp_free(l.scans);
    return st;
}

/* ---- SequenceMap ---------------------------------------------------------------------------- */

/* The body's inputs for element i: sequences give their element, tensors themselves. */
static ub_status map_element(const ubp_flow *f, const ubp_graph *body, int64_t n, int64_t i,
                             ubp_item **lists, ubp_item **out)
{
    ubp_item **in = ubp_calloc((size_t)body->n_formal + 1, sizeof *in);
    if (!in)
        return ubp_fail_memory(f->err, sizeof *in);
    ub_status st = UB_OK;
    for (int k = 0; k < body->n_formal && st == UB_OK; k++) {
        in[k] = f->in[k];
        if (!in[k] || in[k]->kind != UBP_ITEM_SEQUENCE)
            continue;
        if (in[k]->n != n)
            st = ubp_flow_fail(f, UB_ERR_SHAPE,
                               "input 0 has %lld elements but input %d has %lld, expected the same",
                               (long long)n, k, (long long)in[k]->n);
        else
            in[k] = in[k]->list[i];
    }
    if (st == UB_OK)
        st = ubp_body_run(f, body, NULL, i, in, out);
    for (int k = 0; k < body->n_outputs && st == UB_OK; k++) {
        const ub_tensor *t = NULL;
        if (is_wanted(f, k))
            st = ubp_flow_tensor(f, out[k], "an output of its body", &t);
        if (is_wanted(f, k) && st == UB_OK)
            lists[k]->list[i] = ubp_item_ref(out[k]);
    }
    free_items(out, body->n_outputs);
    ubp_free(in);
    return st;
}

static ub_status run_map(const ubp_flow *f)
{
    const ubp_graph *body;
    UBP_TRY(ubp_flow_body(f, "body", &body));
    if (body->n_formal != own_inputs(f) || body->n_outputs != f->node->n_out)
        return ubp_flow_fail(f, UB_ERR_FILE,
                             "its body has %d inputs and %d outputs, expected %d"
                             " and %d",
                             body->n_formal, body->n_outputs, own_inputs(f), f->node->n_out);
    if (!f->in[0] || f->in[0]->kind != UBP_ITEM_SEQUENCE)
        return ubp_flow_fail(f, UB_ERR_SHAPE, "input 0 is %s, expected a sequence",
                             f->in[0] ? ubp_item_word(f->in[0]) : "missing");
    const int64_t n = f->in[0]->n;
    ubp_item **out = ubp_calloc((size_t)body->n_outputs + 1, sizeof *out);
    ub_status st = out ? UB_OK : ubp_fail_memory(f->err, sizeof *out);
    for (int k = 0; k < body->n_outputs && st == UB_OK; k++)
        if (is_wanted(f, k))
            st = ubp_item_list(&f->out[k], UBP_ITEM_SEQUENCE, n, f->err);
    for (int64_t i = 0; i < n && st == UB_OK; i++)
        st = ubp_run_cancelled(&f->r->control->run)
                 ? ubp_fail(f->err, UB_ERR_CANCELLED, "interrupted")
                 : map_element(f, body, n, i, f->out, out);
    for (int k = 0; k < body->n_outputs && st == UB_OK; k++)
        if (f->out[k])
            f->out[k]->samples = f->in[0]->samples;
    ubp_free(out);
    return st;
}

/* ---- All of them ---------------------------------------------------------------------------- */

ub_status ubp_flow_run(const ubp_flow *f)
{
    static const struct {
        const char *op;
        ub_status (*run)(const ubp_flow *f);
    } table[] = {
        {"If", run_if},
        {"Loop", run_loop},
        {"Scan", ubp_flow_scan},
        {"SequenceMap", run_map},
        {"FlexAttention", ubp_flow_flex},
        {"SequenceConstruct", ubp_list_construct},
        {"SequenceEmpty", ubp_list_empty},
        {"SequenceAt", ubp_list_at},
        {"SequenceInsert", ubp_list_insert},
        {"SequenceErase", ubp_list_erase},
        {"SequenceLength", ubp_list_length},
        {"SplitToSequence", ubp_list_split},
        {"ConcatFromSequence", ubp_list_concat},
        {"Optional", ubp_list_optional},
        {"OptionalHasElement", ubp_list_has_element},
        {"OptionalGetElement", ubp_list_get_element},
    };
    for (int i = 0; i < UBP_COUNT(table); i++)
        if (strcmp(f->node->op->name, table[i].op) == 0)
            return table[i].run(f);
    return ubp_flow_fail(f, UB_ERR_INTERNAL, "has no code");
}
