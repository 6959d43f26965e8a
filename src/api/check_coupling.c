/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ub_check_coupling: the nodes where samples mix and what lies behind them, from the sample map;
 * and with an input, how far the samples of each output really move with their neighbours.
 */
#include "api/check.h"

#include <stdio.h>
#include <string.h>

enum { MOST_MOVED = 16, LOUDER = 20 };

typedef struct coupling {
    ub_session *s;
    ub_report *report;
    const ubp_check_list *list;
    ubp_samples *maps; /* [list->n] */
    int64_t n;
    ub_error *err;
} coupling;

/* ---- From the map -----------------------------------------------------------------------------
 */

/* The first values of the list whose samples hang on their batch because of this node. */
static const char *behind(const coupling *c, int32_t node, const char *why)
{
    ubp_text text = {0};
    int count = 0;
    ubp_text_addf(&text, "%s", why);
    for (int k = 0; k < c->list->n; k++) {
        if (!c->maps[k].coupled || c->maps[k].culprit != node)
            continue;
        if (count < 3)
            ubp_text_addf(&text, "%s%s", count ? ", " : "; behind it: ", c->list->names[k]);
        count++;
    }
    if (count > 3)
        ubp_text_addf(&text, " and %d more", count - 3);
    const char *copy = ubp_arena_strdup(&c->report->arena, text.s ? text.s : "");
    ubp_text_free(&text);
    return copy;
}

static ub_status add_node(coupling *c, int32_t node, const char *why, const char *what)
{
    const ubp_graph *g = c->s->model->graph;
    for (size_t i = 0; i < c->report->n; i++)
        if (strcmp(c->report->findings[i].node, ubp_node_title(g, &g->nodes[node])) == 0)
            return UB_OK;
    ub_finding *f = ubp_report_add(c->report, c->err);
    if (!f)
        return UB_ERR_MEMORY;
    f->verdict = UB_MIXES;
    f->node = ubp_node_title(g, &g->nodes[node]); /* the model outlives reports of it */
    f->op = g->nodes[node].op_type;
    f->what = ubp_arena_strdup(&c->report->arena, what);
    f->detail = behind(c, node, why ? why : "mixes samples");
    return f->what && f->detail ? UB_OK : ubp_fail_memory(c->err, 64);
}

/* The maps of the list: as planned, or, where shapes hang on data, as found in a run. */
static ub_status find_maps(coupling *c, bool data)
{
    const ubp_graph *g = c->s->model->graph;
    c->maps = ubp_calloc((size_t)c->list->n + 1, sizeof *c->maps);
    if (!c->maps)
        return ubp_fail_memory(c->err, sizeof *c->maps);
    ubp_ask ask = ubp_session_ask(c->s, c->list->values, c->list->n, c->n);
    ask.partial = true;
    ubp_facts *facts = NULL, *own = NULL;
    ub_status st;
    if (c->s->model->fixed_batch > 0) {
        st = ubp_session_facts(c->s, &facts, c->list->values, c->list->n, c->n, c->err);
    } else {
        st = ubp_facts_new(&own, &ask, c->err);
        facts = own;
    }
    bool all = st == UB_OK;
    for (int k = 0; k < c->list->n && st == UB_OK; k++) {
        const ubp_fact *fact = &facts->values[c->list->values[k]];
        c->maps[k] = fact->samples;
        all = all && fact->known;
    }
    for (int at = 0; at < c->list->n && st == UB_OK && !all && data;) {
        const int count = ubp_check_group(c->s, c->list, at, c->n);
        ub_tensor **results = ubp_calloc((size_t)count + 1, sizeof *results);
        ubp_batch_ask run = {.values = c->list->values + at, .n_values = count, .count = c->n};
        st = results ? ubp_session_compute(c->s, results, c->maps + at, &run, c->err)
                     : ubp_fail_memory(c->err, sizeof *results);
        for (int k = 0; results && k < count; k++)
            ub_tensor_free(results[k]);
        ubp_free(results);
        at += count;
    }
    for (int k = 0; k < c->list->n && st == UB_OK; k++)
        if (c->maps[k].coupled && c->maps[k].culprit >= 0)
            st = add_node(c, c->maps[k].culprit, c->maps[k].why, c->list->names[k]);
    for (int i = 0; facts && i < facts->n_nodes && st == UB_OK; i++) { /* those inside layers */
        const ubp_node *n = &g->nodes[facts->nodes[i]];
        for (int o = 0; o < n->n_out && st == UB_OK; o++) {
            const int32_t v = n->out[o];
            if (v >= 0 && facts->values[v].known && facts->values[v].samples.coupled &&
                facts->values[v].samples.culprit == facts->nodes[i])
                st = add_node(c, facts->nodes[i], facts->values[v].samples.why, g->values[v].name);
        }
    }
    ubp_facts_free(own);
    return st;
}

/* ---- Measured ---------------------------------------------------------------------------------
 */

/* t with every sample but `keep` LOUDER times as large; floats only, else a plain copy. */
static ub_status loud(ub_tensor **out, const ub_tensor *t, int axis, int64_t keep, ub_error *err)
{
    ub_tensor *numbers = NULL;
    if (!ubp_is_float(t->dtype))
        return ub_tensor_copy(out, t, err);
    UBP_TRY(ub_tensor_cast(&numbers, t, UB_F64, err));
    double *v = numbers->data;
    const int64_t count = ub_tensor_count(numbers);
    int64_t inner = 1;
    for (int a = axis + 1; a < numbers->rank; a++)
        inner *= numbers->dims[a];
    for (int64_t i = 0; i < count; i++)
        if (i / inner % numbers->dims[axis] != keep)
            v[i] *= LOUDER;
    ub_status st = ub_tensor_cast(out, numbers, t->dtype, err);
    ub_tensor_free(numbers);
    return st;
}

/* One output's sample i as a tensor of its own; *out NULL: it cannot be told apart. */
static ub_status sample_of(coupling *c, ub_tensor **out, ub_session *s, int32_t value, int64_t i,
                           bool alone)
{
    ub_tensor *t = NULL, *first = NULL, view;
    ubp_samples map;
    ubp_batch_ask ask = {.values = &value, .n_values = 1, .count = c->n};
    *out = NULL;
    if (alone) {
        ask.rows = &i;
        ask.count = 1;
    }
    UBP_TRY(ubp_session_compute(s, &t, &map, &ask, c->err));
    ub_status st = UB_OK;
    if (map.kind == UBP_SAMPLES_AXIS) {
        st = ubp_samples_first(&first, t, &map, ask.count, c->err);
        if (st == UB_OK)
            st = ub_tensor_at(&view, first, alone ? 0 : i, c->err);
        if (st == UB_OK)
            st = ub_tensor_copy(out, &view, c->err);
    }
    ub_tensor_free(first);
    ub_tensor_free(t);
    return st;
}

/* How far sample i of the value moves; -1: its shape changes. */
static ub_status movement(coupling *c, double *moved, int32_t value, int64_t i,
                          ub_session *neighbours)
{
    ub_tensor *here = NULL, *alone = NULL, *beside = NULL;
    ubp_difference d = {0};
    *moved = 0;
    ub_status st = sample_of(c, &here, c->s, value, i, false);
    if (st == UB_OK && here)
        st = sample_of(c, &alone, c->s, value, i, true);
    if (st == UB_OK && here)
        st = sample_of(c, &beside, neighbours, value, i, false);
    const ub_tensor *others[2] = {alone, beside};
    for (int k = 0; k < 2 && st == UB_OK && here; k++) {
        if (!others[k] || !ubp_same_dims(here, others[k])) {
            *moved = -1;
            break;
        }
        st = ubp_check_compare(&d, here, others[k], c->err);
        if (d.largest > 0 && d.worst / d.largest > *moved)
            *moved = d.worst / d.largest;
    }
    ub_tensor_free(here);
    ub_tensor_free(alone);
    ub_tensor_free(beside);
    return st;
}

/* A session like c->s in which all samples but i are loud; *held keeps its inputs. */
static ub_status with_neighbours(coupling *c, ub_session **out, ub_tensor **held, int64_t i)
{
    UBP_TRY(ubp_check_session(out, c->s, c->s->options.threads, c->err));
    for (size_t k = 0; k < c->s->n_given; k++) {
        const ubp_given *g = &c->s->given[k];
        if (g->batch_axis < 0)
            continue;
        UBP_TRY(loud(&held[k], g->tensor, g->batch_axis, i, c->err));
        ubp_given one = *g;
        one.tensor = held[k];
        UBP_TRY(ubp_session_give(*out, &one, c->err));
    }
    return UB_OK;
}

/* The finding of output o after looking at sample i. */
static void note_movement(ub_finding *f, bool *touched, int64_t i, double moved)
{
    if (moved == 0)
        return;
    touched[i] = true;
    if (f->sample < 0)
        f->sample = i;
    if (moved > f->relative)
        f->relative = moved;
    if (moved < 0)
        f->detail = "its shape changes with the other samples";
    f->verdict = UB_MIXES;
}

static ub_status measure(coupling *c)
{
    const ubp_graph *g = c->s->model->graph;
    const size_t base = c->report->n, n_given = c->s->n_given;
    const int64_t most = c->n < MOST_MOVED ? c->n : MOST_MOVED;
    for (int o = 0; o < g->n_outputs; o++) {
        ub_finding *f = ubp_report_add(c->report, c->err);
        bool *touched = ubp_arena_array(&c->report->arena, (size_t)c->n + 1, sizeof *touched);
        if (!f || !touched)
            return ubp_fail_memory(c->err, sizeof *f);
        f->what = g->output_names[o];
        f->detail = "measured: alone, and with neighbours 20 times as large";
        f->samples = touched;
        f->n_samples = c->n;
    }
    ub_status st = UB_OK;
    for (int64_t i = 0; i < most && st == UB_OK; i++) {
        ub_session *neighbours = NULL;
        ub_tensor **held = ubp_calloc(n_given + 1, sizeof *held);
        st = held ? with_neighbours(c, &neighbours, held, i)
                  : ubp_fail_memory(c->err, n_given * sizeof *held);
        for (int o = 0; o < g->n_outputs && st == UB_OK; o++) {
            ub_finding *f = &c->report->findings[base + (size_t)o];
            double moved;
            st = movement(c, &moved, g->outputs[o], i, neighbours);
            if (st == UB_OK)
                note_movement(f, (bool *)(uintptr_t)f->samples, i, moved);
        }
        ub_session_free(neighbours);
        for (size_t k = 0; held && k < n_given; k++)
            ub_tensor_free(held[k]);
        ubp_free(held);
    }
    return st;
}

static bool has_data(const ub_session *s)
{
    for (size_t i = 0; i < s->n_given; i++)
        if (!s->given[i].tensor->data && ub_tensor_count(s->given[i].tensor) > 0)
            return false;
    return s->n_given > 0;
}

ub_status ub_check_coupling(ub_report **out, ub_session *s, ub_error *err)
{
    *out = NULL;
    ubp_arena arena = {0};
    ubp_check_list list = {0};
    coupling c = {.s = s, .list = &list, .err = err};
    ub_status st = ubp_report_new(&c.report, err);
    if (st == UB_OK)
        st = ubp_check_values(&list, s, NULL, 0, &arena, err);
    if (st == UB_OK)
        st = ubp_session_samples(s, &c.n, err);
    if (st == UB_OK)
        st = find_maps(&c, has_data(s));
    if (st == UB_OK && has_data(s) && c.n > 1)
        st = measure(&c);
    ubp_free(c.maps);
    ubp_arena_release(&arena);
    if (st == UB_OK)
        *out = c.report;
    else
        ub_report_free(c.report);
    return st;
}
