/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ub_check_nan: where the first NaN and the first infinity appear. All values are computed in
 * data-flow order, in groups that fit into memory, and looked at; the outputs come last.
 */
#include "api/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct search {
    ub_session *s;
    ub_report *report;
    const ubp_check_list *list;
    int64_t n;
    bool found[2]; /* a NaN, an infinity */
    ub_error *err;
} search;

/* What one tensor holds. */
typedef struct contents {
    double low, high; /* of its numbers */
    int64_t count[2]; /* NaN, infinities */
    int64_t first[2]; /* element numbers, row-major */
} contents;

static ub_status look(contents *c, const ub_tensor *t, ub_error *err)
{
    *c = (contents){.low = INFINITY, .high = -INFINITY};
    ub_tensor *numbers = NULL;
    UBP_TRY(ub_tensor_cast(&numbers, t, UB_F64, err));
    const double *v = numbers->data;
    const int64_t n = ub_tensor_count(numbers);
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(v[i])) {
            c->low = v[i] < c->low ? v[i] : c->low;
            c->high = v[i] > c->high ? v[i] : c->high;
            continue;
        }
        const int kind = isnan(v[i]) ? 0 : 1;
        if (c->count[kind]++ == 0)
            c->first[kind] = i;
    }
    ub_tensor_free(numbers);
    return UB_OK;
}

/* Which samples hold one; the element's sample too. */
static ub_status mark_samples(search *w, ub_finding *f, const ub_tensor *t, const ubp_samples *map,
                              int kind)
{
    if (map->kind != UBP_SAMPLES_AXIS)
        return UB_OK;
    bool *touched = ubp_arena_array(&w->report->arena, (size_t)w->n + 1, sizeof *touched);
    ub_tensor *first = NULL;
    if (!touched)
        return ubp_fail_memory(w->err, (size_t)w->n);
    ub_status st = ubp_samples_first(&first, t, map, w->n, w->err);
    for (int64_t i = 0; i < w->n && st == UB_OK; i++) {
        ub_tensor row;
        contents c = {0};
        st = ub_tensor_at(&row, first, i, w->err);
        if (st == UB_OK)
            st = look(&c, &row, w->err);
        touched[i] = c.count[kind] > 0;
        if (touched[i] && f->sample < 0)
            f->sample = i;
    }
    ub_tensor_free(first);
    f->samples = touched;
    f->n_samples = w->n;
    return st;
}

/* "reads 'x' (0 to 1), 'w' (-3 to 2, 1 NaN)" */
static ub_status ranges(search *w, const char **out, int32_t node)
{
    const ubp_node *n = &w->s->model->graph->nodes[node];
    const ubp_graph *g = w->s->model->graph;
    ubp_text text = {0};
    ub_status st = UB_OK;
    for (int i = 0; i < n->n_in && st == UB_OK; i++) {
        const int32_t v = n->in[i];
        ub_tensor *t = NULL;
        contents c;
        ubp_samples map;
        if (v < 0)
            continue;
        ubp_batch_ask ask = {.values = &v, .n_values = 1, .count = w->n};
        if (g->values[v].constant)
            st = ub_tensor_copy(&t, g->values[v].constant, w->err);
        else
            st = ubp_session_compute(w->s, &t, &map, &ask, w->err);
        if (st == UB_OK)
            st = look(&c, t, w->err);
        if (st == UB_OK) {
            ubp_text_addf(&text, "%s'%s' (", text.len ? ", " : "reads ", g->values[v].name);
            if (c.low <= c.high)
                ubp_text_addf(&text, "%.4g to %.4g", c.low, c.high);
            else
                ubp_text_add(&text, "no numbers");
            if (c.count[0])
                ubp_text_addf(&text, ", %lld NaN", (long long)c.count[0]);
            if (c.count[1])
                ubp_text_addf(&text, ", %lld infinite", (long long)c.count[1]);
            ubp_text_add(&text, ")");
        }
        ub_tensor_free(t);
    }
    *out = ubp_arena_strdup(&w->report->arena, text.s ? text.s : "");
    ubp_text_free(&text);
    return st != UB_OK ? st : *out ? UB_OK : ubp_fail_memory(w->err, 64);
}

/* The name users know for a value: of the innermost layer that gives it, else its own. */
static const char *title_of(const ubp_graph *g, int32_t value)
{
    const char *title = NULL;
    int depth = -1;
    for (size_t i = 0; i < g->n_layers; i++)
        for (int k = 0; k < g->layers[i].n_out; k++)
            if (k == 0 && g->layers[i].out[0] == value && !g->layers[i].no_out &&
                g->layers[i].depth > depth) {
                title = g->layers[i].name;
                depth = g->layers[i].depth;
            }
    return title ? title : g->values[value].name;
}

static ub_status add(search *w, int32_t value, const ub_tensor *t, const ubp_samples *map,
                     const contents *c, int kind)
{
    static const char *const words[] = {"NaN", "infinite"};
    const ubp_graph *g = w->s->model->graph;
    const int32_t node = g->values[value].producer;
    ub_finding *f = ubp_report_add(w->report, w->err);
    if (!f)
        return UB_ERR_MEMORY;
    f->verdict = UB_BROKEN;
    f->what = title_of(g, value);
    f->compared = ub_tensor_count(t);
    f->differing = c->count[kind];
    ubp_check_index(f, t, c->first[kind]);
    UBP_TRY(mark_samples(w, f, t, map, kind));
    const char *reads = "given from outside";
    if (node >= 0 && w->s->model->graph->nodes[node].n_in > 0) {
        f->node = ubp_node_title(g, &g->nodes[node]);
        f->op = g->nodes[node].op_type;
        UBP_TRY(ranges(w, &reads, node));
    }
    f->detail =
        ubp_arena_printf(&w->report->arena, "%lld of %lld %s; %s", (long long)c->count[kind],
                         (long long)f->compared, words[kind], reads);
    return f->detail ? UB_OK : ubp_fail_memory(w->err, 64);
}

/* Runs values [at, at + count) of a list; outputs: report each that holds something. */
static ub_status run_group(search *w, const int32_t *values, int count, bool outputs)
{
    ub_tensor **results = ubp_calloc((size_t)count + 1, sizeof *results);
    ubp_samples *maps = ubp_calloc((size_t)count + 1, sizeof *maps);
    ub_status st = results && maps ? UB_OK : ubp_fail_memory(w->err, sizeof *maps);
    ubp_batch_ask ask = {.values = values, .n_values = count, .count = w->n};
    if (st == UB_OK)
        st = ubp_session_compute(w->s, results, maps, &ask, w->err);
    for (int k = 0; k < count && st == UB_OK; k++) {
        contents c;
        if (!ubp_is_float(results[k]->dtype))
            continue;
        st = look(&c, results[k], w->err);
        for (int kind = 0; kind < 2 && st == UB_OK; kind++) {
            if (!c.count[kind] || (!outputs && w->found[kind]))
                continue;
            w->found[kind] = true;
            st = add(w, values[k], results[k], &maps[k], &c, kind);
        }
    }
    for (int k = 0; results && k < count; k++)
        ub_tensor_free(results[k]);
    ubp_free(results);
    ubp_free(maps);
    return st;
}

static ub_status search_all(search *w)
{
    const ubp_graph *g = w->s->model->graph;
    for (int at = 0; at < w->list->n && !(w->found[0] && w->found[1]);) {
        const int count = ubp_check_group(w->s, w->list, at, w->n);
        UBP_TRY(run_group(w, w->list->values + at, count, false));
        at += count;
    }
    return w->found[0] || w->found[1] ? run_group(w, g->outputs, g->n_outputs, true) : UB_OK;
}

ub_status ub_check_nan(ub_report **out, ub_session *s, ub_error *err)
{
    *out = NULL;
    ubp_arena arena = {0};
    ubp_check_list list = {0};
    search w = {.s = s, .list = &list, .err = err};
    ub_status st = ubp_report_new(&w.report, err);
    if (st == UB_OK)
        st = ubp_session_samples(s, &w.n, err);
    if (st == UB_OK)
        st = ubp_check_all_values(&list, s, &arena, err);
    if (st == UB_OK)
        st = search_all(&w);
    ubp_arena_release(&arena);
    if (st == UB_OK)
        *out = w.report;
    else
        ub_report_free(w.report);
    return st;
}
