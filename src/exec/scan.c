/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan: a body over the rows of tensors, with states carried along. Opset 8 ran it for each entry
 * of a leading batch axis by itself, with lengths of their own; load/ marks that form `batched`.
 */
#include "exec/flow.h"

#include <string.h>

typedef struct scan {
    const ubp_flow *f;
    const ubp_graph *body;
    int n_state, n_in, n_out;           /* states, scan inputs, scan outputs */
    const int64_t *in_axes, *in_back;   /* [n_in] or NULL: all 0 */
    const int64_t *out_axes, *out_back; /* [n_out] or NULL */
    ubp_item *const *given;             /* [n_state + n_in] */
    int64_t length, padded; /* iterations, and rows of the outputs where those are more */
    ubp_item **in;          /* [n_state + n_in] of the body */
    ubp_item **out;         /* [n_state + n_out] of the body */
    ubp_stack *stacks;      /* [n_out] */
} scan;

static int64_t entry(const int64_t *list, int k)
{
    return list ? list[k] : 0;
}

static ub_status read_list(const scan *s, const char *name, int want, const int64_t **out)
{
    int n;
    UBP_TRY(ubp_attr_ints(s->f->node, name, out, &n, s->f->err));
    if (n >= 0 && n != want)
        return ubp_flow_fail(s->f, UB_ERR_FILE, "'%s' has %d numbers, expected %d", name, n, want);
    return UB_OK;
}

/* first: the first of the node's inputs that is a state. */
static ub_status read_form(scan *s, int first)
{
    const ubp_flow *f = s->f;
    const ubp_graph *b = s->body;
    const int own = f->node->n_in - f->node->n_captured - first;
    int64_t n_in;
    UBP_TRY(ubp_attr_int(f->node, "num_scan_inputs", -1, &n_in, f->err));
    if (n_in < 1 || n_in > own || b->n_formal != own)
        return ubp_flow_fail(f, UB_ERR_FILE,
                             "scans %lld of %d inputs, its body has %d: they do not fit",
                             (long long)n_in, own, b->n_formal);
    s->n_in = (int)n_in;
    s->n_state = own - s->n_in;
    s->n_out = b->n_outputs - s->n_state;
    if (s->n_out < 0 || f->node->n_out > b->n_outputs)
        return ubp_flow_fail(f, UB_ERR_FILE, "has %d outputs, its body %d: they do not fit",
                             f->node->n_out, b->n_outputs);
    if (first > 0)
        return read_list(s, "directions", s->n_in, &s->in_back);
    UBP_TRY(read_list(s, "scan_input_axes", s->n_in, &s->in_axes));
    UBP_TRY(read_list(s, "scan_input_directions", s->n_in, &s->in_back));
    UBP_TRY(read_list(s, "scan_output_axes", s->n_out, &s->out_axes));
    return read_list(s, "scan_output_directions", s->n_out, &s->out_back);
}

/* The length of scan input k along its axis. */
static ub_status input_axis(const scan *s, int k, int *axis, int64_t *length)
{
    const ub_tensor *t = NULL;
    int64_t a = entry(s->in_axes, k);
    UBP_TRY(ubp_flow_tensor(s->f, s->given[s->n_state + k], "a scan input", &t));
    if (!ubp_normalize_axis(&a, t->rank))
        return ubp_flow_fail(s->f, UB_ERR_SHAPE, "scan axis %lld is outside of %d dimensions",
                             (long long)a, t->rank);
    *axis = (int)a;
    *length = t->dims[a];
    return UB_OK;
}

static ub_status check_lengths(scan *s)
{
    for (int k = 0; k < s->n_in; k++) {
        int axis = 0;
        int64_t length = 0;
        UBP_TRY(input_axis(s, k, &axis, &length));
        if (k > 0 && length != s->padded)
            return ubp_flow_fail(s->f, UB_ERR_SHAPE,
                                 "scan inputs have %lld and %lld rows, expected the same",
                                 (long long)s->padded, (long long)length);
        s->padded = length;
    }
    return UB_OK;
}

static bool is_wanted(const scan *s, int k)
{
    return k < s->f->node->n_out && s->f->wanted[k];
}

static ub_status iterate(scan *s, int64_t i, int64_t number)
{
    for (int k = 0; k < s->n_in; k++) {
        int axis = 0;
        int64_t length = 0;
        UBP_TRY(input_axis(s, k, &axis, &length));
        ubp_item_free(s->in[s->n_state + k]);
        s->in[s->n_state + k] = NULL;
        const int64_t row = entry(s->in_back, k) ? s->length - 1 - i : i;
        UBP_TRY(ubp_flow_row(s->f, s->given[s->n_state + k], axis, row, &s->in[s->n_state + k]));
    }
    UBP_TRY(ubp_body_run(s->f, s->body, NULL, number, s->in, s->out));
    for (int k = 0; k < s->n_out; k++)
        if (is_wanted(s, s->n_state + k))
            UBP_TRY(ubp_stack_add(s->f, &s->stacks[k], s->out[s->n_state + k], s->padded));
    for (int k = 0; k < s->n_state; k++) {
        ubp_item_free(s->in[k]);
        s->in[k] = s->out[k];
        s->out[k] = NULL;
    }
    for (int k = 0; k < s->n_out; k++) {
        ubp_item_free(s->out[s->n_state + k]);
        s->out[s->n_state + k] = NULL;
    }
    return UB_OK;
}

/* Rows after a sequence's own end are zeros. */
static ub_status pad(scan *s)
{
    for (int k = 0; k < s->n_out && s->length < s->padded; k++) {
        ubp_stack *stack = &s->stacks[k];
        if (!is_wanted(s, s->n_state + k) || !stack->rows)
            continue;
        ub_tensor rest;
        UBP_TRY(ub_tensor_slice(&rest, stack->rows->tensor, 0, stack->n, s->padded, 1, s->f->err));
        if (ub_tensor_count(&rest) > 0)
            memset(rest.data, 0, ubp_tensor_bytes(&rest));
        stack->n = s->padded;
    }
    return UB_OK;
}

/* One scan over s->given; out: [n_state + n_out], owned. number: how many iterations ran before. */
static ub_status run_once(scan *s, int64_t number, ubp_item **out)
{
    const ubp_flow *f = s->f;
    for (int k = 0; k < s->n_state; k++) {
        if (!s->given[k])
            return ubp_flow_fail(f, UB_ERR_FILE, "a state is missing");
        s->in[k] = ubp_item_ref(s->given[k]);
    }
    for (int64_t i = 0; i < s->length; i++) {
        if (ubp_run_cancelled(&f->r->control->run))
            return ubp_fail(f->err, UB_ERR_CANCELLED, "interrupted");
        UBP_TRY(iterate(s, i, number + i));
    }
    UBP_TRY(pad(s));
    for (int k = 0; k < s->n_state; k++)
        out[k] = ubp_item_ref(s->in[k]);
    for (int k = 0; k < s->n_out; k++) {
        const ubp_value *like = &s->body->values[s->body->outputs[s->n_state + k]];
        if (is_wanted(s, s->n_state + k))
            UBP_TRY(ubp_stack_finish(f, &s->stacks[k], &out[s->n_state + k], like,
                                     entry(s->out_axes, k), entry(s->out_back, k) != 0));
    }
    return UB_OK;
}

static void clear(scan *s)
{
    for (int k = 0; s->in && k < s->n_state + s->n_in; k++) {
        ubp_item_free(s->in[k]);
        s->in[k] = NULL;
    }
    for (int k = 0; s->out && k < s->n_state + s->n_out; k++) {
        ubp_item_free(s->out[k]);
        s->out[k] = NULL;
    }
    for (int k = 0; s->stacks && k < s->n_out; k++)
        ubp_stack_release(&s->stacks[k]);
}

static ub_status make_room(scan *s)
{
    s->in = ubp_calloc((size_t)s->n_state + (size_t)s->n_in + 1, sizeof *s->in);
    s->out = ubp_calloc((size_t)s->n_state + (size_t)s->n_out + 1, sizeof *s->out);
    s->stacks = ubp_calloc((size_t)s->n_out + 1, sizeof *s->stacks);
    return s->in && s->out && s->stacks ? UB_OK : ubp_fail_memory(s->f->err, sizeof *s->stacks);
}

/* ---- Opset 9 and later ---------------------------------------------------------------------- */

static ub_status run_plain(scan *s)
{
    const ubp_flow *f = s->f;
    s->given = f->in;
    UBP_TRY(check_lengths(s));
    s->length = s->padded;
    ubp_item **out = ubp_calloc((size_t)s->body->n_outputs + 1, sizeof *out);
    if (!out)
        return ubp_fail_memory(f->err, sizeof *out);
    const ub_status st = run_once(s, 0, out);
    for (int k = 0; k < s->body->n_outputs; k++) {
        if (is_wanted(s, k))
            f->out[k] = out[k];
        else
            ubp_item_free(out[k]);
    }
    ubp_free(out);
    return st;
}

/* ---- Opset 8 -------------------------------------------------------------------------------- */

/* The entries of a leading batch axis, run one by one and stacked. */
typedef struct batched {
    scan *s;
    int n; /* of states and scan inputs */
    int64_t batch, number;
    ubp_item **one;    /* [n] the entry's own */
    ubp_item **got;    /* [n_outputs] */
    ubp_stack *stacks; /* [n_outputs] */
    bool mixed, by_sample;
} batched;

/* How many rows entry i has. */
static ub_status entry_length(const batched *b, int64_t i, int64_t *out)
{
    const ubp_flow *f = b->s->f;
    const ub_tensor *t = NULL;
    *out = b->s->padded;
    if (!f->in[0])
        return UB_OK;
    UBP_TRY(ubp_flow_tensor(f, f->in[0], "the lengths", &t));
    if (t->dtype != UB_I64 || t->rank != 1 || t->dims[0] != b->batch)
        return ubp_flow_fail(f, UB_ERR_SHAPE, "the lengths must be %lld int64 numbers",
                             (long long)b->batch);
    const int64_t length = ubp_read_i64((const char *)t->data + i * t->strides[0], UB_I64);
    if (length < 0 || length > b->s->padded)
        return ubp_flow_fail(f, UB_ERR_SHAPE, "length %lld is outside of 0 to %lld",
                             (long long)length, (long long)b->s->padded);
    *out = length;
    return UB_OK;
}

static ub_status run_entry(batched *b, int64_t i)
{
    scan *s = b->s;
    for (int k = 0; k < b->n; k++) {
        ubp_item_free(b->one[k]);
        b->one[k] = NULL;
        UBP_TRY(ubp_flow_row(s->f, s->f->in[1 + k], 0, i, &b->one[k]));
        b->one[k]->samples = UBP_NO_SAMPLES; /* an entry is one sample's */
    }
    s->given = b->one;
    UBP_TRY(check_lengths(s));
    UBP_TRY(entry_length(b, i, &s->length));
    UBP_TRY(run_once(s, b->number, b->got));
    b->number += s->length;
    for (int k = 0; k < s->body->n_outputs; k++) {
        if (is_wanted(s, k))
            UBP_TRY(ubp_stack_add(s->f, &b->stacks[k], b->got[k], b->batch));
        ubp_item_free(b->got[k]);
        b->got[k] = NULL;
    }
    clear(s);
    return UB_OK;
}

static ub_status batch_start(batched *b)
{
    const scan *s = b->s;
    for (int k = 0; k < b->n; k++) {
        const ubp_item *in = s->f->in[1 + k];
        const ub_tensor *t = NULL;
        UBP_TRY(ubp_flow_tensor(s->f, in, "an input", &t));
        if (t->rank < 1 || (k > 0 && t->dims[0] != b->batch))
            return ubp_flow_fail(s->f, UB_ERR_SHAPE, "input %d has no batch axis like the others",
                                 1 + k);
        b->batch = t->dims[0];
        b->mixed = b->mixed || in->samples.coupled ||
                   (in->samples.kind == UBP_SAMPLES_AXIS && in->samples.axis != 0);
        b->by_sample = b->by_sample || in->samples.kind == UBP_SAMPLES_AXIS;
    }
    b->one = ubp_calloc((size_t)b->n + 1, sizeof *b->one);
    b->got = ubp_calloc((size_t)s->body->n_outputs + 1, sizeof *b->got);
    b->stacks = ubp_calloc((size_t)s->body->n_outputs + 1, sizeof *b->stacks);
    if (!b->one || !b->got || !b->stacks)
        return ubp_fail_memory(s->f->err, sizeof *b->stacks);
    return UB_OK;
}

static ub_status batch_finish(batched *b)
{
    const scan *s = b->s;
    for (int k = 0; k < s->body->n_outputs; k++) {
        if (!is_wanted(s, k))
            continue;
        UBP_TRY(ubp_stack_finish(s->f, &b->stacks[k], &s->f->out[k],
                                 &s->body->values[s->body->outputs[k]], 0, false));
        ubp_samples *map = &s->f->out[k]->samples;
        if (b->by_sample && !b->mixed && b->batch == s->f->ask->n)
            *map = (ubp_samples){UBP_SAMPLES_AXIS, .outer = 1, .inner = 1, .culprit = UBP_NO_NODE};
        else if (b->by_sample || b->mixed)
            ubp_flow_couple(s->f, map, "its batch axis is not where the samples are");
    }
    return UB_OK;
}

static ub_status run_batched(scan *s)
{
    batched b = {.s = s, .n = s->n_state + s->n_in};
    ub_status st = batch_start(&b);
    for (int64_t i = 0; i < b.batch && st == UB_OK; i++)
        st = run_entry(&b, i);
    if (st == UB_OK)
        st = batch_finish(&b);
    for (int k = 0; b.one && k < b.n; k++)
        ubp_item_free(b.one[k]);
    for (int k = 0; b.got && b.stacks && k < s->body->n_outputs; k++) {
        ubp_item_free(b.got[k]);
        ubp_stack_release(&b.stacks[k]);
    }
    ubp_free(b.one);
    ubp_free(b.got);
    ubp_free(b.stacks);
    return st;
}

ub_status ubp_flow_scan(const ubp_flow *f)
{
    scan s = {.f = f};
    int64_t in_batch;
    UBP_TRY(ubp_flow_body(f, "body", &s.body));
    UBP_TRY(ubp_attr_int(f->node, "batched", 0, &in_batch, f->err));
    UBP_TRY(read_form(&s, in_batch ? 1 : 0));
    ub_status st = make_room(&s);
    if (st == UB_OK)
        st = in_batch ? run_batched(&s) : run_plain(&s);
    clear(&s);
    ubp_free(s.in);
    ubp_free(s.out);
    ubp_free(s.stacks);
    return st;
}
