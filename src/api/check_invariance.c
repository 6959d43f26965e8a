/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ub_check_invariance: the bitwise promise, put to the test on the user's own model and inputs.
 * What a sample gives alone, on one thread, is the truth; every other way of running must give the
 * same bits. Values are run in groups that fit into memory.
 */
#include "api/check.h"

#include <stdio.h>
#include <string.h>

enum { MOST_ALONE = 9, N_TEAMS = 4 };
static const int teams[N_TEAMS] = {1, 2, 3, 5};

typedef struct check {
    ub_session *s;
    ub_session *with[N_TEAMS]; /* sessions of teams[i] threads */
    ub_report *report;
    const ubp_check_list *list;
    int64_t n;                 /* samples of the batch */
    int64_t alone[MOST_ALONE]; /* which of them are run alone, ascending */
    int n_alone;
    size_t base; /* the report's finding of list value 0 */
    ub_error *err;
} check;

/* The values [first, first + count) of the list, and what was found of them. */
typedef struct group {
    check *c;
    int first, count;
    ub_tensor **truth; /* [n_alone][count]; the value of one sample */
    ub_tensor **whole; /* [count] the first run of the whole batch */
    ubp_samples *maps; /* [count] in that run */
    int *all;          /* [count] 0, 1, ... */
    int *followed;     /* [n_followed] those whose samples do not hang on the batch in that run */
    int n_followed;
} group;

/* One way of running. */
typedef struct way {
    int team;            /* index in teams */
    const int64_t *rows; /* [count]; NULL: all */
    int64_t count;
    const char *text; /* what is special about it, for messages */
} way;

static void note(check *c, int value, const ubp_difference *d, const ub_tensor *t, int64_t sample,
                 const way *w)
{
    ub_finding *f = &c->report->findings[c->base + (size_t)value];
    f->compared += d->compared;
    f->differing += d->differing;
    if (d->worst > f->worst)
        f->worst = d->worst;
    if (d->largest > 0 && d->worst / d->largest > f->relative)
        f->relative = d->worst / d->largest;
    if (!d->differing || f->verdict == UB_BROKEN)
        return;
    f->verdict = UB_BROKEN;
    f->sample = sample;
    ubp_check_index(f, t, d->first);
    const char *detail = ubp_arena_printf(
        &c->report->arena, "other bits in %s (batch of %lld, %d thread%s)", w->text,
        (long long)w->count, teams[w->team], teams[w->team] == 1 ? "" : "s");
    f->detail = detail ? detail : "";
}

static bool apart(const ubp_samples *map)
{
    return map->kind == UBP_SAMPLES_AXIS && !map->coupled && !map->positional;
}

/* A sample's value in some run against that of the sample alone. The model may give it other dims
 * there (a Reshape to dims written in the file): then the elements count, in their order; with
 * another number of elements there is nothing to compare. */
static ub_status compare_sample(group *g, int k, const ub_tensor *alone, const ub_tensor *t,
                                int64_t sample, const way *w)
{
    check *c = g->c;
    ubp_difference d;
    ub_tensor *flat = NULL;
    if (ub_tensor_count(alone) != ub_tensor_count(t)) {
        ub_finding *f = &c->report->findings[c->base + (size_t)(g->first + k)];
        if (f->verdict == UB_HOLDS) {
            f->verdict = UB_MIXES;
            f->detail = "its size for one sample depends on the batch";
        }
        return UB_OK;
    }
    UBP_TRY(ub_tensor_copy(&flat, t, c->err));
    flat->rank = alone->rank;
    memcpy(flat->dims, alone->dims, sizeof flat->dims);
    ubp_tensor_set_strides(flat);
    ub_status st = ubp_check_compare(&d, alone, flat, c->err);
    if (st == UB_OK)
        note(c, g->first + k, &d, flat, sample, w);
    ub_tensor_free(flat);
    return st;
}

/* Row r of `first` (samples first) against the truth of the sample at this place of c->alone. */
static ub_status compare_row(group *g, int k, const ub_tensor *first, int64_t r, int place,
                             const way *w)
{
    ub_tensor row;
    UBP_TRY(ub_tensor_at(&row, first, r, g->c->err));
    return compare_sample(g, k, g->truth[place * g->count + k], &row, g->c->alone[place], w);
}

/* A run's value k against what is known of it. */
static ub_status compare_value(group *g, int k, const ub_tensor *t, const ubp_samples *map,
                               const way *w)
{
    check *c = g->c;
    ubp_difference d;
    if (!apart(map)) {
        if (map->kind == UBP_SAMPLES_NONE && !map->coupled && !map->sized) {
            UBP_TRY(compare_sample(g, k, g->truth[k], t, -1, w));
        } else if (!w->rows) {
            UBP_TRY(ubp_check_compare(&d, g->whole[k], t, c->err));
            note(c, g->first + k, &d, t, -1, w);
        }
        return UB_OK;
    }
    ub_tensor *first = NULL;
    UBP_TRY(ubp_samples_first(&first, t, map, w->count, c->err));
    ub_status st = UB_OK;
    for (int place = 0; place < c->n_alone && st == UB_OK; place++)
        for (int64_t r = 0; r < w->count && st == UB_OK; r++)
            if ((w->rows ? w->rows[r] : r) == c->alone[place])
                st = compare_row(g, k, first, r, place, w);
    ub_tensor_free(first);
    return st;
}

/* The values of the group that `which` [count] names; NULL: out of memory. */
static int32_t *values_of(const group *g, const int *which, int count)
{
    int32_t *values = ubp_calloc((size_t)count + 1, sizeof *values);
    for (int i = 0; values && i < count; i++)
        values[i] = g->c->list->values[g->first + which[i]];
    return values;
}

/* Runs these values of the group one way and compares them. */
static ub_status run_way(group *g, const int *which, int count, const way *w)
{
    check *c = g->c;
    if (count == 0)
        return UB_OK;
    ub_tensor **results = ubp_calloc((size_t)count, sizeof *results);
    ubp_samples *maps = ubp_calloc((size_t)count, sizeof *maps);
    int32_t *values = values_of(g, which, count);
    ub_status st = results && maps && values ? UB_OK : ubp_fail_memory(c->err, sizeof *maps);
    if (st == UB_OK) {
        ubp_batch_ask ask = {
            .values = values, .n_values = count, .rows = w->rows, .count = w->count};
        st = ubp_session_compute(c->with[w->team], results, maps, &ask, c->err);
    }
    for (int i = 0; i < count && st == UB_OK; i++)
        st = compare_value(g, which[i], results[i], &maps[i], w);
    for (int i = 0; results && i < count; i++)
        ub_tensor_free(results[i]);
    ubp_free(results);
    ubp_free(maps);
    ubp_free(values);
    return st;
}

/* The truth of one sample: what was computed for it alone, without the batch's axis. */
static ub_status keep_sample(ub_tensor **out, ub_tensor *t, const ubp_samples *map, ub_error *err)
{
    ub_tensor *first = NULL, view;
    if (!apart(map)) {
        *out = t;
        return UB_OK;
    }
    ub_status st = ubp_samples_first(&first, t, map, 1, err);
    if (st == UB_OK)
        st = ub_tensor_at(&view, first, 0, err);
    if (st == UB_OK)
        st = ub_tensor_copy(out, &view, err);
    ub_tensor_free(first);
    ub_tensor_free(t);
    return st;
}

/* Each sample by itself, on one thread; values that hang on the whole batch have no such truth. */
static ub_status find_truth(group *g)
{
    check *c = g->c;
    const int count = g->n_followed;
    if (count == 0)
        return UB_OK;
    ubp_samples *maps = ubp_calloc((size_t)count, sizeof *maps);
    ub_tensor **results = ubp_calloc((size_t)count, sizeof *results);
    int32_t *values = values_of(g, g->followed, count);
    ub_status st = maps && results && values ? UB_OK : ubp_fail_memory(c->err, sizeof *maps);
    for (int i = 0; i < c->n_alone && st == UB_OK; i++) {
        ubp_batch_ask ask = {.values = values, .n_values = count, .rows = &c->alone[i], .count = 1};
        st = ubp_session_compute(c->with[0], results, maps, &ask, c->err);
        for (int k = 0; k < count && st == UB_OK; k++) {
            st =
                keep_sample(&g->truth[i * g->count + g->followed[k]], results[k], &maps[k], c->err);
            results[k] = NULL;
        }
        for (int k = 0; k < count; k++) {
            ub_tensor_free(results[k]);
            results[k] = NULL;
        }
    }
    ubp_free(maps);
    ubp_free(results);
    ubp_free(values);
    return st;
}

static ub_status find_whole(group *g)
{
    check *c = g->c;
    ubp_batch_ask ask = {.values = c->list->values + g->first, .n_values = g->count, .count = c->n};
    UBP_TRY(ubp_session_compute(c->with[0], g->whole, g->maps, &ask, c->err));
    const ubp_graph *graph = c->s->model->graph;
    for (int k = 0; k < g->count; k++) {
        ub_finding *f = &c->report->findings[c->base + (size_t)(g->first + k)];
        g->all[k] = k;
        if (!g->maps[k].coupled)
            g->followed[g->n_followed++] = k;
        if (!g->maps[k].coupled || g->maps[k].culprit < 0)
            continue;
        f->verdict = UB_MIXES;
        f->node = ubp_arena_strdup(&c->report->arena,
                                   ubp_node_title(graph, &graph->nodes[g->maps[k].culprit]));
        f->op = graph->nodes[g->maps[k].culprit].op_type;
        f->detail = g->maps[k].why ? g->maps[k].why : "mixes samples";
        if (!f->node)
            return ubp_fail_memory(c->err, 64);
    }
    return UB_OK;
}

static ub_status run_ways(group *g)
{
    check *c = g->c;
    const way whole = {0, NULL, c->n, "the whole batch"};
    UBP_TRY(run_way(g, g->all, g->count, &whole));
    for (int t = 0; t < N_TEAMS; t++)
        UBP_TRY(run_way(g, g->all, g->count, &(way){t, NULL, c->n, "the whole batch"}));
    UBP_TRY(run_way(g, g->all, g->count, &(way){0, NULL, c->n, "a second run"}));
    for (int size = 1; size <= c->n_alone; size++) { /* parts, each sample in another place */
        int64_t rows[MOST_ALONE];
        for (int i = 0; i < size; i++)
            rows[i] = c->alone[(size * 5 + i * (c->n_alone - 1)) % c->n_alone];
        if (size > 1 && c->n_alone > 1 && rows[0] == rows[1])
            continue;
        UBP_TRY(run_way(g, g->followed, g->n_followed,
                        &(way){size % N_TEAMS, rows, size, "a part of the batch"}));
    }
    for (int k = 0; k < g->count && g->count > 1; k++)
        UBP_TRY(run_way(g, &g->all[k], 1, &(way){k % N_TEAMS, NULL, c->n, "a run of it alone"}));
    return UB_OK;
}

static ub_status run_group(check *c, int first, int count)
{
    group g = {.c = c, .first = first, .count = count};
    const size_t n = (size_t)count * (size_t)c->n_alone + 1;
    g.truth = ubp_calloc(n, sizeof *g.truth);
    g.whole = ubp_calloc((size_t)count + 1, sizeof *g.whole);
    g.maps = ubp_calloc((size_t)count + 1, sizeof *g.maps);
    g.all = ubp_calloc((size_t)count + 1, sizeof *g.all);
    g.followed = ubp_calloc((size_t)count + 1, sizeof *g.followed);
    ub_status st =
        g.truth && g.whole && g.maps && g.all && g.followed ? UB_OK : ubp_fail_memory(c->err, n);
    if (st == UB_OK)
        st = find_whole(&g);
    if (st == UB_OK)
        st = find_truth(&g);
    if (st == UB_OK)
        st = run_ways(&g);
    for (size_t i = 0; g.truth && i < n - 1; i++)
        ub_tensor_free(g.truth[i]);
    for (int k = 0; g.whole && k < count; k++)
        ub_tensor_free(g.whole[k]);
    ubp_free(g.truth);
    ubp_free(g.whole);
    ubp_free(g.maps);
    ubp_free(g.all);
    ubp_free(g.followed);
    return st;
}

static ub_status prepare(check *c)
{
    UBP_TRY(ubp_session_samples(c->s, &c->n, c->err));
    c->n_alone = c->n < MOST_ALONE ? (int)c->n : MOST_ALONE;
    for (int i = 0; i < c->n_alone; i++)
        c->alone[i] = c->n_alone == 1 ? 0 : i * (c->n - 1) / (c->n_alone - 1);
    for (int t = 0; t < N_TEAMS; t++)
        UBP_TRY(ubp_check_session(&c->with[t], c->s, teams[t], c->err));
    c->base = c->report->n;
    for (int i = 0; i < c->list->n; i++) {
        ub_finding *f = ubp_report_add(c->report, c->err);
        if (!f)
            return UB_ERR_MEMORY;
        f->what = ubp_arena_strdup(&c->report->arena, c->list->names[i]);
        if (!f->what)
            return ubp_fail_memory(c->err, 64);
    }
    return UB_OK;
}

ub_status ub_check_invariance(ub_report **out, ub_session *s, const char *const *what, int n,
                              ub_error *err)
{
    *out = NULL;
    ubp_arena arena = {0};
    ubp_check_list list = {0};
    check c = {.s = s, .list = &list, .err = err};
    ub_status st = ubp_report_new(&c.report, err);
    if (st == UB_OK)
        st = ubp_check_values(&list, s, what, n, &arena, err);
    if (st == UB_OK)
        st = prepare(&c);
    for (int at = 0; at < list.n && st == UB_OK;) {
        const int count = ubp_check_group(s, &list, at, c.n);
        st = run_group(&c, at, count);
        at += count;
        if (s->options.progress)
            s->options.progress((double)at / (double)list.n, s->options.payload);
    }
    for (int t = 0; t < N_TEAMS; t++)
        ub_session_free(c.with[t]);
    ubp_arena_release(&arena);
    if (st == UB_OK)
        *out = c.report;
    else
        ub_report_free(c.report);
    return st;
}
