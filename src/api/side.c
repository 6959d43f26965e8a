/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of a batch side by side: each thread takes some blocks through all steps, and no thread
 * waits for another before the end. What a run needs, plan, memory, scratch, each thread has in a
 * lane of its own; the session's primitives and packed weights serve all.
 */
#include "api/api.h"

#include <stdatomic.h>

enum { MOST_LANES = 64 };

typedef struct side {
    ub_session *s;
    const ubp_batch_ask *ask;
    int64_t block, blocks;
    int n_lanes;
    ub_tensor **results;
    const ubp_samples *maps;
    struct share *shares; /* [n_lanes] */
    _Atomic int stop;     /* the first status that is not UB_OK */
} side;

/* A lane at work: blocks [next, end). */
typedef struct share {
    side *all;
    ubp_lane *lane;
    ubp_cached *kept; /* in use until the end */
    int64_t next, end;
    bool fresh;
    int64_t *rows;    /* [block] */
    ubp_given *given; /* [n_given] */
    ub_tensor **taken, **parts;
    ub_error err;
} share;

/* ---- Lanes -------------------------------------------------------------------------------------
 */

void ubp_lanes_free(ub_session *s)
{
    for (int i = 0; i < s->n_lanes; i++) {
        ubp_cache_release(&s->lanes[i]->cache);
        ubp_workspace_release(&s->lanes[i]->workspace);
        ubp_arena_release(&s->lanes[i]->scratch);
        ubp_free(s->lanes[i]);
    }
    ubp_free(s->lanes);
    s->lanes = NULL;
    s->n_lanes = 0;
}

static ub_status make_lanes(ub_session *s, int n, ub_error *err)
{
    if (n <= s->n_lanes)
        return UB_OK;
    ubp_lane **lanes = ubp_realloc(s->lanes, (size_t)n * sizeof(ubp_lane *));
    if (!lanes)
        return ubp_fail_memory(err, (size_t)n * sizeof *lanes);
    s->lanes = lanes;
    for (; s->n_lanes < n; s->n_lanes++) {
        lanes[s->n_lanes] = ubp_calloc(1, sizeof **lanes);
        if (!lanes[s->n_lanes])
            return ubp_fail_memory(err, sizeof **lanes);
    }
    return UB_OK;
}

/* ---- One block ---------------------------------------------------------------------------------
 */

static ub_status take_rows(share *h, int64_t block)
{
    const side *all = h->all;
    for (int64_t i = 0; i < all->block; i++) {
        const int64_t k = block * all->block + i;
        h->rows[i] = all->ask->rows ? all->ask->rows[k] : k;
    }
    return ubp_given_rows(all->s, h->given, h->taken, h->rows, all->block, &h->err);
}

static void give_back(share *h)
{
    for (size_t i = 0; i < h->all->s->n_given; i++) {
        ub_tensor_free(h->taken[i]);
        h->taken[i] = NULL;
    }
    for (int v = 0; v < h->all->ask->n_values; v++) {
        ub_tensor_free(h->parts[v]);
        h->parts[v] = NULL;
    }
}

/* The block h->next. */
static ub_status run_block(share *h, const ubp_control *control)
{
    const side *all = h->all;
    const ubp_batch_ask *ask = all->ask;
    ub_status st = take_rows(h, h->next);
    if (st == UB_OK)
        st = ubp_plan_run(h->parts, h->kept->plan, h->given, &h->lane->workspace, control, &h->err);
    for (int v = 0; v < ask->n_values && st == UB_OK; v++)
        st = ubp_block_put(all->results[v], &all->maps[v], h->parts[v], all->block,
                           h->next * all->block, all->block, ask->count,
                           all->s->model->graph->values[ask->values[v]].name, &h->err);
    give_back(h);
    h->next++;
    return st;
}

/* What one lane does; the first speaks for all of them where progress is told. */
static ub_status run_share(share *h, int threads, int64_t end)
{
    side *all = h->all;
    ub_session *s = all->s;
    const bool first = h == all->shares;
    ubp_control control = ubp_session_control(s);
    control.run.threads = threads;
    control.run.scratch = &h->lane->scratch;
    control.progress = first ? control.progress : NULL;
    while (h->next < end && !all->stop) {
        if (first)
            s->block = h->next;
        UBP_TRY(run_block(h, &control));
    }
    return UB_OK;
}

static void run_lanes(void *arg, int member, int team)
{
    side *all = arg;
    for (int i = member; i < all->n_lanes && !all->stop; i += team) {
        const ub_status st = run_share(&all->shares[i], 1, all->shares[i].end);
        int none = UB_OK;
        if (st != UB_OK)
            atomic_compare_exchange_strong(&all->stop, &none, (int)st);
    }
}

/* ---- All of them -------------------------------------------------------------------------------
 */

static ub_status share_new(share *h, side *all, int i)
{
    ub_session *s = all->s;
    *h = (share){.all = all,
                 .lane = s->lanes[i],
                 .next = all->blocks * i / all->n_lanes,
                 .end = all->blocks * (i + 1) / all->n_lanes,
                 .rows = ubp_calloc((size_t)all->block, sizeof *h->rows),
                 .given = ubp_calloc(s->n_given + 1, sizeof *h->given),
                 .taken = ubp_calloc(s->n_given + 1, sizeof *h->taken),
                 .parts = ubp_calloc((size_t)all->ask->n_values + 1, sizeof *h->parts)};
    return h->rows && h->given && h->taken && h->parts
               ? UB_OK
               : ubp_fail_memory(&h->err, (size_t)all->block * sizeof *h->rows);
}

/* Its plan, found or made. first: the facts of the first lane's. */
static ub_status share_plan(share *h, ubp_facts *first)
{
    ub_session *s = h->all->s;
    ubp_cache *cache = &h->lane->cache;
    const uint64_t before = cache->made;
    ubp_ask ask = ubp_session_ask(s, h->all->ask->values, h->all->ask->n_values, h->all->block);
    UBP_TRY(take_rows(h, h->next));
    ask.given = h->given;
    ask.n_given = (int)s->n_given;
    ubp_cached *kept;
    UBP_TRY(ubp_session_plan(s, cache, &kept, &ask, false, first, &h->err));
    give_back(h);
    if (!kept->plan)
        return ubp_fail(&h->err, UB_ERR_INTERNAL, "blocks side by side have no plan");
    kept->in_use++;
    h->kept = kept;
    h->fresh = cache->made != before;
    return UB_OK;
}

static ub_status make_results(const side *all, ubp_samples *maps, ub_error *err)
{
    const ubp_plan *p = all->shares[0].kept->plan;
    for (int v = 0; v < all->ask->n_values; v++) {
        const int32_t value = all->ask->values[v];
        maps[v] = p->facts->values[value].samples;
        UBP_TRY(ubp_block_whole(&all->results[v], &maps[v], all->s->pool, &p->slots[p->wanted[v]].t,
                                all->block, all->ask->count,
                                all->s->model->graph->values[value].name, err));
    }
    return UB_OK;
}

/* A plan's first run makes code and packs weights: one lane after the other, with all threads. */
static ub_status run_all(side *all)
{
    for (int i = 0; i < all->n_lanes; i++) {
        share *h = &all->shares[i];
        if (h->fresh)
            UBP_TRY(run_share(h, all->s->run.threads, h->next + 1));
    }
    ubp_team(all->n_lanes, run_lanes, all);
    return (ub_status)all->stop;
}

static ub_status prepare_and_run(side *all, ubp_samples *maps, ub_error *err)
{
    for (int i = 0; i < all->n_lanes; i++) {
        UBP_TRY(share_new(&all->shares[i], all, i));
        UBP_TRY(share_plan(&all->shares[i], i ? all->shares[0].kept->plan->facts : NULL));
    }
    UBP_TRY(make_results(all, maps, err));
    if (all->ask->plan_only)
        return UB_OK;
    all->s->blocks = all->shares[0].end;
    const ub_status st = run_all(all);
    for (int i = 0; i < all->n_lanes && st == UB_OK; i++)
        all->s->counts.steps += (int64_t)all->shares[i].kept->plan->n_steps *
                                (all->shares[i].end - all->blocks * i / all->n_lanes);
    return st;
}

ub_status ubp_run_side(ub_session *s, ub_tensor **results, ubp_samples *maps,
                       const ubp_batch_ask *ask, int64_t block, ub_error *err)
{
    side all = {.s = s,
                .ask = ask,
                .block = block,
                .blocks = ask->count / block,
                .results = results,
                .maps = maps};
    int n = s->run.threads < MOST_LANES ? s->run.threads : MOST_LANES;
    all.n_lanes = all.blocks < n ? (int)all.blocks : n;
    UBP_TRY(make_lanes(s, all.n_lanes, err));
    all.shares = ubp_calloc((size_t)all.n_lanes, sizeof *all.shares);
    if (!all.shares)
        return ubp_fail_memory(err, (size_t)all.n_lanes * sizeof *all.shares);
    const ub_status st = prepare_and_run(&all, maps, err);
    s->block = s->blocks = 0;
    for (int i = 0; i < all.n_lanes && all.shares[i].all; i++) {
        share *h = &all.shares[i];
        if (err && st != UB_OK && h->err.code == st)
            *err = h->err;
        if (h->kept)
            h->kept->in_use--;
        if (h->taken && h->parts)
            give_back(h);
        ubp_free(h->rows);
        ubp_free(h->given);
        ubp_free(h->taken);
        ubp_free(h->parts);
    }
    ubp_free(all.shares);
    for (int v = 0; v < ask->n_values && (st != UB_OK || ask->plan_only); v++) {
        ub_tensor_free(results[v]);
        results[v] = NULL;
    }
    return st;
}
