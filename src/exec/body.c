/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a body once: by a plan where its shapes are fixed (made once, kept for the next
 * iteration), else step by step. And words for the operators that have bodies.
 */
#include "exec/flow.h"

#include <stdio.h>
#include <string.h>

/* ---- Words ---------------------------------------------------------------------------------- */

ub_status ubp_flow_fail(const ubp_flow *f, ub_status code, const char *fmt, ...)
{
    char text[sizeof(((ub_error *)0)->message)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return ubp_fail(f->err, code, "node '%s' (%s): %s", ubp_node_title(f->ask->graph, f->node),
                    f->node->op_type, text);
}

ub_status ubp_flow_tensor(const ubp_flow *f, const ubp_item *item, const char *what,
                          const ub_tensor **out)
{
    if (item && item->kind == UBP_ITEM_TENSOR) {
        *out = item->tensor;
        return UB_OK;
    }
    return ubp_flow_fail(f, UB_ERR_SHAPE, "%s is %s, expected a tensor", what,
                         item ? ubp_item_word(item) : "missing");
}

ub_status ubp_flow_scalar(const ubp_flow *f, const ubp_item *item, const char *what, int64_t *out)
{
    const ub_tensor *t = NULL;
    UBP_TRY(ubp_flow_tensor(f, item, what, &t));
    if (ub_tensor_count(t) == 1 && (t->dtype == UB_BOOL || ubp_is_integer(t->dtype))) {
        *out = ubp_read_i64(t->data, t->dtype);
        return UB_OK;
    }
    char shape[UBP_SHAPE_TEXT];
    return ubp_flow_fail(f, UB_ERR_SHAPE, "%s is %s %s, expected one integer or bool", what,
                         ub_dtype_name(t->dtype), ubp_shape_text(shape, t->rank, t->dims));
}

void ubp_flow_couple(const ubp_flow *f, ubp_samples *s, const char *why)
{
    if (s->coupled)
        return;
    s->coupled = true;
    s->why = why;
    s->culprit = f->holder;
}

bool ubp_flow_by_sample(const ubp_item *item)
{
    const ubp_samples *s = item ? &item->samples : NULL;
    return s && (s->coupled || s->sized || s->positional || s->kind == UBP_SAMPLES_AXIS);
}

ub_status ubp_flow_remap(const ubp_flow *f, ubp_item **item, const ubp_samples *map)
{
    ubp_item *other = *item;
    if (other->refs > 1) {
        if (other->kind == UBP_ITEM_TENSOR) {
            UBP_TRY(ubp_item_view(item, other->tensor, map, f->err));
        } else {
            UBP_TRY(ubp_item_list(item, other->kind, other->n, f->err));
            for (int64_t i = 0; i < other->n; i++)
                (*item)->list[i] = ubp_item_ref(other->list[i]);
        }
        ubp_item_free(other);
    }
    (*item)->samples = *map;
    return UB_OK;
}

ub_status ubp_flow_body(const ubp_flow *f, const char *attr, const ubp_graph **out)
{
    const ubp_attr *a = ubp_node_attr(f->node, attr);
    if (!a || a->kind != UBP_ATTR_GRAPH)
        return ubp_flow_fail(f, UB_ERR_FILE, "has no graph '%s'", attr);
    *out = a->graph;
    return UB_OK;
}

/* ---- Running -------------------------------------------------------------------------------- */

/* A body being run. */
typedef struct running {
    const ubp_flow *f;
    const ubp_graph *body;
    ubp_ask ask;
    ubp_given *given;   /* [body->n_inputs] */
    int32_t *wanted;    /* [n_outputs + 1]: the last for the tap */
    ubp_item **results; /* [n_outputs + 1] */
    bool tapped, deeper;
    bool lists; /* not all that is given are tensors */
} running;

static void give(running *b, int input, ubp_item *item)
{
    if (!item || b->body->values[b->body->inputs[input]].constant)
        return;
    ubp_given *g = &b->given[b->ask.n_given++];
    *g = (ubp_given){.value = b->body->inputs[input], .batch_axis = -1, .samples = &item->samples};
    if (item->kind == UBP_ITEM_TENSOR)
        g->tensor = item->tensor;
    else
        g->item = item;
    b->lists = b->lists || g->item;
}

static ub_status prepare(running *b, ubp_arena *arena, ubp_item *const *in)
{
    const ubp_flow *f = b->f;
    const ubp_graph *body = b->body;
    const ubp_tap *tap = f->r->tap;
    const size_t n_out = (size_t)body->n_outputs + 1;
    b->given = ubp_arena_array(arena, (size_t)body->n_inputs + 1, sizeof *b->given);
    b->wanted = ubp_arena_array(arena, n_out, sizeof *b->wanted);
    b->results = ubp_arena_array(arena, n_out, sizeof *b->results);
    if (!b->given || !b->wanted || !b->results)
        return ubp_fail_memory(f->err, n_out * sizeof *b->results);
    b->ask = (ubp_ask){.graph = body,
                       .wanted = b->wanted,
                       .given = b->given,
                       .n = f->ask->n,
                       .fixed_batch = f->ask->fixed_batch,
                       .run = &f->r->control->run,
                       .in_body = true,
                       .holder = f->holder};
    for (int i = 0; i < body->n_outputs; i++)
        b->wanted[b->ask.n_wanted++] = body->outputs[i];
    if (b->tapped && !b->deeper)
        b->wanted[b->ask.n_wanted++] = tap->value;
    for (int i = 0; i < body->n_formal; i++)
        give(b, i, in[i]);
    for (int c = 0; c < f->node->n_captured; c++)
        give(b, body->n_formal + c, f->in[f->node->n_in - f->node->n_captured + c]);
    return UB_OK;
}

/* The results of a plan, as items with the samples that its facts say. */
static ub_status run_plan(running *b, ubp_plan *plan, ubp_arena *arena)
{
    ubp_runner *r = b->f->r;
    ub_tensor **tensors = ubp_arena_array(arena, (size_t)b->ask.n_wanted + 1, sizeof *tensors);
    if (!tensors)
        return ubp_fail_memory(b->f->err, sizeof *tensors);
    ubp_control control = *r->control;
    control.progress = NULL;
    control.step_ms = NULL;
    if (control.memory_limit > r->live)
        control.memory_limit -= r->live;
    else if (control.memory_limit)
        control.memory_limit = 1;
    UBP_TRY(ubp_plan_run(tensors, plan, b->given, &r->control->workspaces[r->depth], &control,
                         b->f->err));
    ub_status st = UB_OK;
    for (int i = 0; i < b->ask.n_wanted; i++) {
        if (st != UB_OK) {
            ub_tensor_free(tensors[i]);
            continue;
        }
        const size_t bytes = ubp_tensor_bytes(tensors[i]);
        st = ubp_item_take(&b->results[i], tensors[i], &plan->facts->values[b->wanted[i]].samples,
                           b->f->err);
        if (st != UB_OK)
            continue;
        b->results[i]->live = &r->live;
        b->results[i]->bytes = bytes;
        r->live += bytes;
    }
    return st;
}

static ub_status run(running *b, ubp_arena *arena)
{
    ubp_runner *r = b->f->r;
    const ubp_control *c = r->control;
    ubp_cached *kept = NULL;
    if (!b->lists && !b->deeper) {
        UBP_TRY(ubp_cache_plan(c->cache, &kept, &b->ask, c->run.onednn, false, NULL, b->f->err));
        if (kept->plan) {
            kept->in_use++;
            const ub_status st = run_plan(b, kept->plan, arena);
            kept->in_use--;
            return st;
        }
    }
    return ubp_run_graph(r, b->results, &b->ask, b->deeper ? b->f->tap_step + 1 : -1, b->f->err);
}

/* Whether the tap wants something of this run of this body. */
static bool is_tapped(const ubp_flow *f, const char *branch, int64_t iteration)
{
    if (f->tap_step < 0)
        return false;
    ubp_tap *tap = f->r->tap;
    const ubp_tap_step *s = &tap->steps[f->tap_step];
    if (branch && strcmp(branch, s->branch) != 0) {
        tap->took = branch;
        return false;
    }
    tap->ran = iteration + 1;
    if (iteration != s->iteration)
        return false;
    tap->reached = f->tap_step + 1;
    return true;
}

ub_status ubp_body_run(const ubp_flow *f, const ubp_graph *body, const char *branch,
                       int64_t iteration, ubp_item *const *in, ubp_item **out)
{
    ubp_runner *r = f->r;
    running b = {.f = f, .body = body};
    if (r->depth + 1 >= UBP_MAX_NESTING)
        return ubp_flow_fail(f, UB_ERR_UNSUPPORTED, "bodies nest too deep");
    b.tapped = is_tapped(f, branch, iteration);
    b.deeper = b.tapped && f->tap_step + 1 < r->tap->n_steps;
    ubp_arena arena = {0};
    ub_status st = prepare(&b, &arena, in);
    r->depth++;
    if (st == UB_OK)
        st = run(&b, &arena);
    r->depth--;
    for (int i = 0; i < body->n_outputs; i++)
        out[i] = st == UB_OK ? b.results[i] : NULL;
    for (int i = 0; st != UB_OK && b.results && i < b.ask.n_wanted; i++)
        ubp_item_free(b.results[i]);
    if (st == UB_OK && b.tapped && !b.deeper)
        r->tap->result = b.results[body->n_outputs];
    ubp_arena_release(&arena);
    return st;
}
