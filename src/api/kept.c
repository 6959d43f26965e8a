/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values a session keeps between requests, within a budget of bytes (cache_bytes): those that were
 * asked for, and those a plan put aside on the way. A later run starts from them as if they were
 * given. What is used least goes first; all of it goes when another input is given.
 */
#include "api/api.h"

#include <string.h>

static void release(ubp_keeper *k, size_t i)
{
    k->bytes -= k->list[i].bytes;
    ub_tensor_free(k->list[i].t);
    ubp_free(k->list[i].rows);
    k->list[i] = k->list[--k->n];
}

void ubp_kept_clear(ubp_keeper *k)
{
    while (k->n)
        release(k, k->n - 1);
    ubp_free(k->list);
    *k = (ubp_keeper){.clock = k->clock};
}

static void make_room(ubp_keeper *k, size_t bytes)
{
    while (k->n && k->bytes > bytes) {
        size_t oldest = 0;
        for (size_t i = 1; i < k->n; i++)
            if (k->list[i].used < k->list[oldest].used)
                oldest = i;
        release(k, oldest);
    }
}

static bool same_rows(const ubp_kept *e, const int64_t *rows, int64_t count)
{
    if (e->count != count || (e->rows == NULL) != (rows == NULL))
        return false;
    return !rows || memcmp(e->rows, rows, (size_t)count * sizeof *rows) == 0;
}

/* Whether single samples can be taken out of it. */
static bool divides(const ubp_kept *e)
{
    const ubp_samples *m = &e->map;
    return !e->rows && m->kind == UBP_SAMPLES_AXIS && m->outer == 1 && m->inner == 1 &&
           !m->coupled && !m->positional;
}

ub_status ubp_kept_find(ubp_keeper *k, ub_tensor **out, ubp_samples *map, int32_t value,
                        const int64_t *rows, int64_t count, ub_error *err)
{
    ubp_kept *whole = NULL;
    *out = NULL;
    for (size_t i = 0; i < k->n; i++) {
        ubp_kept *e = &k->list[i];
        if (e->value != value)
            continue;
        if (same_rows(e, rows, count)) {
            e->used = ++k->clock;
            *map = e->map;
            return ubp_tensor_handle(out, e->t, err);
        }
        whole = divides(e) && rows ? e : whole;
    }
    if (!whole)
        return UB_OK;
    whole->used = ++k->clock;
    *map = whole->map;
    return ubp_take_rows(out, whole->t, map->axis, rows, count, err);
}

ub_status ubp_kept_add(ubp_keeper *k, int32_t value, const ub_tensor *t, const ubp_samples *map,
                       const int64_t *rows, int64_t count, size_t budget, ub_error *err)
{
    const size_t bytes = ubp_tensor_bytes(t);
    if (t->dtype == UB_STRING || bytes > budget)
        return UB_OK;
    for (size_t i = 0; i < k->n; i++)
        if (k->list[i].value == value && same_rows(&k->list[i], rows, count))
            return UB_OK;
    make_room(k, budget - bytes);
    UBP_TRY(ubp_grow((void **)&k->list, &k->cap, k->n, sizeof *k->list, err));
    ubp_kept *e = &k->list[k->n];
    *e = (ubp_kept){.value = value, .map = *map, .count = count, .bytes = bytes};
    if (rows) {
        e->rows = ubp_malloc((size_t)count * sizeof *rows + 1);
        if (!e->rows)
            return ubp_fail_memory(err, (size_t)count * sizeof *rows);
        memcpy(e->rows, rows, (size_t)count * sizeof *rows);
    }
    const ub_status st = ubp_tensor_handle(&e->t, t, err);
    if (st != UB_OK) {
        ubp_free(e->rows);
        return st;
    }
    e->used = ++k->clock;
    k->bytes += bytes;
    k->n++;
    return UB_OK;
}

/* ---- Where a run can start ---------------------------------------------------------------------
 */

typedef struct search {
    ub_session *s;
    const int64_t *rows;
    int64_t count;
    ubp_start *out;
    bool *seen; /* [n_values] */
    int32_t *stack;
    size_t depth;
    bool alone; /* nothing but the value now visited is asked for */
    ub_error *err;
} search;

static bool is_given(const ub_session *s, int32_t value)
{
    for (size_t i = 0; i < s->n_given; i++)
        if (s->given[i].value == value)
            return true;
    return false;
}

static ub_status visit(search *f, int32_t v)
{
    const ubp_graph *g = f->s->model->graph;
    const int32_t p = g->values[v].producer;
    ubp_start *to = f->out;
    if (f->seen[v] || g->values[v].constant || p < 0 || is_given(f->s, v))
        return UB_OK;
    f->seen[v] = true;
    /* A Conv behind a Pad does not read the Pad's result, so nothing else starts from that. */
    if (f->alone || ubp_padded_by(g, v) < 0)
        UBP_TRY(ubp_kept_find(&f->s->kept, &to->tensors[to->n], &to->maps[to->n], v, f->rows,
                              f->count, f->err));
    if (to->tensors[to->n]) {
        to->values[to->n++] = v;
        return UB_OK;
    }
    for (int i = 0; i < g->nodes[p].n_in; i++)
        if (g->nodes[p].in[i] >= 0 && !f->seen[g->nodes[p].in[i]])
            f->stack[f->depth++] = g->nodes[p].in[i];
    return UB_OK;
}

void ubp_start_release(ubp_start *start)
{
    for (size_t i = 0; i < start->n; i++)
        ub_tensor_free(start->tensors[i]);
    ubp_free(start->values);
    ubp_free(start->tensors);
    ubp_free(start->maps);
    *start = (ubp_start){0};
}

ub_status ubp_start_find(ub_session *s, ubp_start *out, const int32_t *values, int n,
                         const int64_t *rows, int64_t count, ub_error *err)
{
    const ubp_graph *g = s->model->graph;
    const size_t room = s->kept.n + 1;
    size_t edges = (size_t)n + 1;
    for (size_t i = 0; i < g->n_nodes; i++)
        edges += (size_t)g->nodes[i].n_in;
    search f = {.s = s, .rows = rows, .count = count, .out = out, .err = err};
    *out = (ubp_start){0};
    f.seen = ubp_calloc(g->n_values + 1, sizeof *f.seen);
    f.stack = ubp_calloc(edges, sizeof *f.stack);
    out->values = ubp_calloc(room, sizeof *out->values);
    out->tensors = ubp_calloc(room, sizeof *out->tensors);
    out->maps = ubp_calloc(room, sizeof *out->maps);
    ub_status st = f.seen && f.stack && out->values && out->tensors && out->maps
                       ? UB_OK
                       : ubp_fail_memory(err, edges * sizeof *f.stack);
    for (int i = 0; i < n && st == UB_OK; i++)
        f.stack[f.depth++] = values[i];
    f.alone = n == 1;
    while (f.depth > 0 && st == UB_OK) {
        st = visit(&f, f.stack[--f.depth]);
        f.alone = false;
    }
    ubp_free(f.seen);
    ubp_free(f.stack);
    if (st != UB_OK)
        ubp_start_release(out);
    return st;
}
