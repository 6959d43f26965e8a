/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ub_get and its kin. Each address becomes a want: a value, and perhaps a slice whose first index
 * is the sample. Wants whose samples stand alone share one run on just the samples they need; wants
 * that are whole, or whose samples hang on their batch, share one run on all of it.
 */
#include "api/api.h"

#include <string.h>

typedef struct want {
    const char *text;
    ubp_address at;
    ubp_index index;
    bool sliced; /* by sample */
    bool stored; /* index the stored shape */
    bool partly; /* only the picked samples are computed */
    ubp_pick pick;
    ubp_samples map; /* in the whole batch */
} want;

typedef struct getter {
    ub_session *s;
    want *wants; /* [n] */
    int n;
    int64_t samples;
    bool plan_only;
    ub_error *err;
} getter;

static void getter_release(getter *g)
{
    for (int i = 0; g->wants && i < g->n; i++) {
        ubp_index_release(&g->wants[i].index);
        ubp_pick_release(&g->wants[i].pick);
    }
    ubp_free(g->wants);
}

/* Whether it takes a run of its own. */
static bool is_item(const want *w)
{
    return w->at.inside || w->at.element >= 0;
}

static const char *value_name(const getter *g, const want *w)
{
    const char *name = g->s->model->graph->values[w->at.value].name;
    return name[0] ? name : w->text;
}

/* Adds "why" to the session's note: which node mixes samples above this value. */
static void add_note(getter *g, const want *w)
{
    const ubp_node *n = &g->s->model->graph->nodes[w->map.culprit];
    ubp_text *note = &g->s->note;
    ubp_text_addf(note, "%s%s: a sample hangs on its whole batch: node '%s' (%s): %s",
                  note->len ? "\n" : "", w->text, ubp_node_title(g->s->model->graph, n), n->op_type,
                  w->map.why ? w->map.why : "mixes samples");
}

/* ---- What is wanted ------------------------------------------------------------------------- */

static ub_status parse(getter *g, const char *const *what, bool raw)
{
    for (int i = 0; i < g->n; i++) {
        want *w = &g->wants[i];
        w->text = what[i];
        UBP_TRY(ubp_address_parse(&w->at, g->s->model->graph, what[i], g->err));
        if (!w->at.slice)
            continue;
        UBP_TRY(ubp_index_parse(&w->index, w->at.slice, g->err));
        w->sliced = !raw;
        w->stored = raw;
    }
    return UB_OK;
}

static ub_status refuse_mixed(getter *g, const want *w, const ubp_samples *map)
{
    if (map->culprit < 0)
        return ubp_fail(g->err, UB_ERR_ARGUMENT,
                        "'%s' has no batch axis: leave the slice out or index the stored shape "
                        "(--raw)",
                        value_name(g, w));
    const ubp_node *n = &g->s->model->graph->nodes[map->culprit];
    return ubp_fail(g->err, UB_ERR_ARGUMENT,
                    "the samples of '%s' cannot be told apart: node '%s' (%s): %s; leave the "
                    "slice out or index the stored shape (--raw)",
                    value_name(g, w), ubp_node_title(g->s->model->graph, n), n->op_type,
                    map->why ? map->why : "mixes samples");
}

/* A sliced want must have samples to pick from; decides which run it belongs to. */
static ub_status sort_want(getter *g, want *w)
{
    if (!w->sliced)
        return UB_OK;
    const int64_t block = g->s->model->fixed_batch;
    bool alone = g->s->options.alone || block > 0;
    if (w->map.kind != UBP_SAMPLES_AXIS && !w->map.coupled)
        return ubp_fail(g->err, UB_ERR_ARGUMENT,
                        "'%s' has no batch axis: it is the same for every sample; leave the slice "
                        "out or index the stored shape (--raw)",
                        value_name(g, w));
    if (w->map.kind != UBP_SAMPLES_AXIS && (!alone || (block > 1 && g->samples == block)))
        return refuse_mixed(g, w, &w->map);
    UBP_TRY(ubp_pick_samples(&w->pick, &w->index, g->samples, g->err));
    /* Row numbers are what they are in the batch; samples that hang on a block need all of it. */
    w->partly = (!w->map.coupled && !w->map.positional) || g->s->options.alone ||
                (block > 0 && (block == 1 || !w->map.coupled));
    if (!w->partly && w->map.coupled)
        add_note(g, w);
    return UB_OK;
}

static ub_status look_up_samples(getter *g)
{
    int32_t *values = ubp_calloc((size_t)g->n + 1, sizeof *values);
    if (!values)
        return ubp_fail_memory(g->err, (size_t)g->n * sizeof *values);
    for (int i = 0; i < g->n; i++)
        values[i] = g->wants[i].at.value;
    ubp_facts *facts = NULL;
    ub_status st = ubp_session_facts(g->s, &facts, values, g->n, g->samples, g->err);
    for (int i = 0; i < g->n && st == UB_OK; i++) {
        want *w = &g->wants[i];
        if (is_item(w))
            continue;
        w->map = facts->values[w->at.value].samples;
        if (facts->needs_data >= 0 && !facts->values[w->at.value].known) {
            /* Where its samples are comes out in the run. */
            if (w->sliced)
                st = ubp_pick_samples(&w->pick, &w->index, g->samples, g->err);
            continue;
        }
        st = sort_want(g, w);
    }
    ubp_free(values);
    return st;
}

/* ---- Runs ----------------------------------------------------------------------------------- */

/* From a value that holds `count` samples (those of rows when not NULL) to what was
 * asked of it. */
static ub_status finish(getter *g, want *w, ub_tensor **out, const ub_tensor *value,
                        const ubp_samples *map, const int64_t *rows, int64_t count)
{
    if (w->stored)
        return ub_tensor_index_items(out, value, w->index.items, w->index.n, g->err);
    if (!w->sliced)
        return ubp_tensor_handle(out, value, g->err);
    if (map->kind != UBP_SAMPLES_AXIS)
        return refuse_mixed(g, w, map);
    ub_tensor *first = NULL, *own = NULL;
    UBP_TRY(ubp_samples_first(&first, value, map, count, g->err));
    const ub_tensor *from = first;
    ub_status st = UB_OK;
    if (rows && count != w->pick.count) { /* a union of several wants' samples */
        int64_t *places = ubp_calloc((size_t)w->pick.count + 1, sizeof *places);
        if (!places)
            st = ubp_fail_memory(g->err, (size_t)w->pick.count * sizeof *places);
        for (int64_t i = 0, k = 0; i < w->pick.count && st == UB_OK; i++) {
            while (rows[k] != w->pick.list[i])
                k++;
            places[i] = k;
        }
        if (st == UB_OK)
            st = ubp_take_rows(&own, first, 0, places, w->pick.count, g->err);
        from = own;
        ubp_free(places);
    }
    if (st == UB_OK && rows)
        st = ubp_pick_rewrite(&w->index, &w->pick, g->samples, g->err);
    if (st == UB_OK)
        st = ub_tensor_index_items(out, from, w->index.items, w->index.n, g->err);
    ub_tensor_free(own);
    ub_tensor_free(first);
    return st;
}

/* One value inside a body, or an element of a list: a run of its own, on the whole batch. */
static ub_status run_item(getter *g, want *w, ub_tensor **out)
{
    ubp_item *item = NULL;
    const ubp_item *element = NULL;
    ub_tensor *t = NULL;
    UBP_TRY(ubp_get_item(g->s, &item, &w->at, g->samples, w->text, g->err));
    ub_status st = ubp_item_element(&element, item, w->at.element, w->text, g->err);
    if (st == UB_OK)
        st = ubp_item_tensor(&t, element, w->text, g->err);
    if (st == UB_OK) {
        w->map = element->samples;
        if (w->sliced && w->map.kind != UBP_SAMPLES_AXIS)
            st = refuse_mixed(g, w, &w->map);
        else if (w->sliced && w->map.coupled)
            add_note(g, w);
    }
    if (st == UB_OK)
        st = finish(g, w, out, t, &w->map, NULL, g->samples);
    ub_tensor_free(t);
    ubp_item_free(item);
    return st;
}

/* The samples that the partly computed wants need together, ascending. */
static ub_status join_picks(getter *g, ubp_pick *all)
{
    bool *in = ubp_calloc((size_t)g->samples + 1, sizeof *in);
    all->list = ubp_calloc((size_t)g->samples + 1, sizeof *all->list);
    if (!in || !all->list) {
        ubp_free(in);
        return ubp_fail_memory(g->err, (size_t)g->samples * sizeof *all->list);
    }
    for (int i = 0; i < g->n; i++)
        for (int64_t k = 0; g->wants[i].partly && k < g->wants[i].pick.count; k++)
            in[g->wants[i].pick.list[k]] = true;
    for (int64_t k = 0; k < g->samples; k++)
        if (in[k])
            all->list[all->count++] = k;
    ubp_free(in);
    return UB_OK;
}

/* One run for the wants of one kind. */
static ub_status run_wants(getter *g, ub_tensor **out, bool partly)
{
    size_t n = (size_t)g->n + 1;
    int32_t *values = ubp_calloc(n, sizeof *values);
    int *which = ubp_calloc(n, sizeof *which);
    ub_tensor **results = ubp_calloc(n, sizeof *results);
    ubp_samples *maps = ubp_calloc(n, sizeof *maps);
    ubp_pick rows = {0};
    ub_status st = values && which && results && maps ? UB_OK : ubp_fail_memory(g->err, n);
    int n_values = 0;
    for (int i = 0; i < g->n && st == UB_OK; i++) {
        if (g->wants[i].partly != partly || is_item(&g->wants[i]))
            continue;
        int k = 0;
        while (k < n_values && values[k] != g->wants[i].at.value)
            k++;
        values[k] = g->wants[i].at.value;
        n_values = k == n_values ? k + 1 : n_values;
        which[i] = k;
    }
    if (st == UB_OK && partly && n_values)
        st = join_picks(g, &rows);
    if (st == UB_OK && n_values) {
        ubp_batch_ask ask = {.values = values,
                             .n_values = n_values,
                             .rows = rows.list,
                             .count = partly ? rows.count : g->samples,
                             .alone = g->s->options.alone,
                             .plan_only = g->plan_only};
        st = ubp_session_compute(g->s, results, maps, &ask, g->err);
        for (int i = 0; i < g->n && st == UB_OK && !g->plan_only; i++)
            if (g->wants[i].partly == partly && !is_item(&g->wants[i]))
                st = finish(g, &g->wants[i], &out[i], results[which[i]], &maps[which[i]], rows.list,
                            ask.count);
    }
    for (int k = 0; results && k < n_values; k++)
        ub_tensor_free(results[k]);
    ubp_pick_release(&rows);
    ubp_free(values);
    ubp_free(which);
    ubp_free(results);
    ubp_free(maps);
    return st;
}

/* What is wanted, and which samples of it. */
static ub_status getter_start(getter *g, const char *const *what, bool raw)
{
    ubp_text_free(&g->s->note);
    g->wants = ubp_calloc((size_t)g->n + 1, sizeof *g->wants);
    if (!g->wants)
        return ubp_fail_memory(g->err, (size_t)g->n * sizeof *g->wants);
    UBP_TRY(parse(g, what, raw));
    UBP_TRY(ubp_session_samples(g->s, &g->samples, g->err));
    return look_up_samples(g);
}

static ub_status get_many(ub_tensor **out, ub_session *s, const char *const *what, int n, bool raw,
                          ub_error *err)
{
    for (int i = 0; i < n; i++)
        out[i] = NULL;
    getter g = {.s = s, .n = n, .err = err};
    ub_status st = getter_start(&g, what, raw);
    if (st == UB_OK)
        st = run_wants(&g, out, true);
    if (st == UB_OK)
        st = run_wants(&g, out, false);
    for (int i = 0; i < n && st == UB_OK; i++)
        if (is_item(&g.wants[i]))
            st = run_item(&g, &g.wants[i], &out[i]);
    for (int i = 0; i < n && st != UB_OK; i++) {
        ub_tensor_free(out[i]);
        out[i] = NULL;
    }
    getter_release(&g);
    return st;
}

ub_status ub_get(ub_tensor **out, ub_session *s, const char *what, ub_error *err)
{
    return get_many(out, s, &what, 1, false, err);
}

ub_status ub_get_many(ub_tensor **out, ub_session *s, const char *const *what, int n, ub_error *err)
{
    return get_many(out, s, what, n, false, err);
}

ub_status ub_prepare(ub_session *s, const char *const *what, int n, ub_error *err)
{
    getter g = {.s = s, .n = n, .plan_only = true, .err = err};
    ub_status st = getter_start(&g, what, false);
    if (st == UB_OK)
        st = run_wants(&g, NULL, true);
    if (st == UB_OK)
        st = run_wants(&g, NULL, false);
    getter_release(&g);
    return st;
}

ub_status ub_get_raw(ub_tensor **out, ub_session *s, const char *what, ub_error *err)
{
    return get_many(out, s, &what, 1, true, err);
}

ub_status ub_get_file(ub_tensor **out, const char *path, const char *what, const ub_tensor *x,
                      ub_error *err)
{
    ub_model *m = NULL;
    ub_session *s = NULL;
    *out = NULL;
    ub_status st = ub_open(&m, path, err);
    if (st == UB_OK)
        st = ub_session_new(&s, m, NULL, err);
    if (st == UB_OK)
        st = ub_session_set(s, NULL, x, err);
    if (st == UB_OK)
        st = ub_get(out, s, what, err);
    ub_session_free(s);
    ub_model_free(m);
    return st;
}
