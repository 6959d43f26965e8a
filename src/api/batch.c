/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values for some of the samples. A model with a free batch runs once, on just the asked rows. One
 * whose batch is fixed in the file runs block by block, the last block padded with its last sample;
 * so does `alone`, one sample at a time. The blocks' values are put together as one batch. Large
 * batches run in blocks too, where that keeps values in the cache (micro.c, side.c).
 */
#include "api/api.h"

#include <string.h>

ub_status ubp_session_samples(const ub_session *s, int64_t *n, ub_error *err)
{
    int64_t found = -1;
    const char *first = "";
    for (size_t i = 0; i < s->n_given; i++) {
        const ubp_given *g = &s->given[i];
        const char *name = s->model->graph->values[g->value].name;
        if (g->batch_axis < 0)
            continue;
        int64_t count = g->tensor->dims[g->batch_axis];
        if (found >= 0 && count != found)
            return ubp_fail(err, UB_ERR_SHAPE, "'%s' is a batch of %lld, '%s' of %lld", first,
                            (long long)found, name, (long long)count);
        if (found < 0)
            first = name;
        found = count;
    }
    *n = found < 0 ? 1 : found;
    return UB_OK;
}

ubp_ask ubp_session_ask(const ub_session *s, const int32_t *values, int n_values, int64_t n)
{
    return (ubp_ask){.graph = s->model->graph,
                     .wanted = values,
                     .n_wanted = n_values,
                     .given = s->given,
                     .n_given = (int)s->n_given,
                     .n = n,
                     .fixed_batch = s->model->fixed_batch >= 0,
                     .run = &s->run};
}

ub_status ubp_session_facts(ub_session *s, ubp_facts **out, const int32_t *values, int n_values,
                            int64_t n, ub_error *err)
{
    const int64_t block = s->model->fixed_batch;
    ubp_ask ask = ubp_session_ask(s, values, n_values, n);
    ubp_cached *kept = NULL;
    if (block <= 0 || n == block || n == 0) {
        UBP_TRY(ubp_cache_facts(&s->cache, &kept, &ask, err));
        *out = kept->facts;
        return UB_OK;
    }
    ubp_given *given = ubp_calloc(s->n_given + 1, sizeof *given);
    ub_tensor *shapes = ubp_calloc(s->n_given + 1, sizeof *shapes);
    ub_status st = given && shapes ? UB_OK : ubp_fail_memory(err, s->n_given * sizeof *shapes);
    for (size_t i = 0; i < s->n_given && st == UB_OK; i++) {
        given[i] = s->given[i];
        if (!given[i].tensor)
            continue; /* a list */
        shapes[i] = *given[i].tensor;
        if (given[i].batch_axis >= 0)
            shapes[i].dims[given[i].batch_axis] = block;
        st = ubp_tensor_describe(&shapes[i], shapes[i].dtype, shapes[i].rank, shapes[i].dims, err);
        given[i].tensor = &shapes[i];
    }
    ask.given = given;
    ask.n = block;
    if (st == UB_OK)
        st = ubp_cache_facts(&s->cache, &kept, &ask, err);
    if (st == UB_OK)
        *out = kept->facts;
    ubp_free(shapes);
    ubp_free(given);
    return st;
}

/* One run: which samples (rows NULL: all count of them). */
typedef struct once {
    ub_session *s;
    const int64_t *rows;
    int64_t count;
    bool plan_only;
    ubp_micro *micro; /* set when blocks should run instead; NULL: never */
    ub_error *err;
} once;

static double gbyte_of(const ubp_plan_step *s)
{
    double n = 0;
    for (int i = 0; i < s->n_in; i++)
        n += s->in_tensors[i] ? (double)ubp_tensor_bytes(s->in_tensors[i]) : 0;
    for (int k = 0; k < s->n_out; k++)
        n += s->out_tensors[k] ? (double)ubp_tensor_bytes(s->out_tensors[k]) : 0;
    return n / 1e9;
}

/* Times of the last run, for ub_session_step(); of all its blocks together. */
static ub_status keep_profile(ub_session *s, const ubp_plan *p, ub_error *err)
{
    if (s->block > 0 && s->n_steps == (int)p->n_steps) {
        for (size_t i = 0; i < p->n_steps; i++) {
            s->steps[i].ms += s->step_ms[i];
            s->steps[i].gflop += p->steps[i].gflop;
            s->steps[i].gbyte += gbyte_of(&p->steps[i]);
        }
        return UB_OK;
    }
    ub_step *steps = ubp_calloc(p->n_steps + 1, sizeof *steps);
    if (!steps)
        return ubp_fail_memory(err, p->n_steps * sizeof *steps);
    ubp_free(s->steps);
    s->steps = steps;
    s->n_steps = (int)p->n_steps;
    for (size_t i = 0; i < p->n_steps; i++) {
        const ubp_plan_step *from = &p->steps[i];
        s->steps[i] = (ub_step){.name = from->node ? from->node->name : "",
                                .op = from->label,
                                .kernel = from->fast    ? ubp_fast_kernel(from->fast)
                                          : from->chain ? "chain"
                                          : from->heads ? "attention"
                                          : from->node  ? "reference"
                                                        : "copy",
                                .ms = s->step_ms[i],
                                .gflop = from->gflop,
                                .gbyte = gbyte_of(from)};
    }
    return UB_OK;
}

/* Keeps what the plan put aside. values: [n_wanted - n_asked], freed here. */
static ub_status keep_aside(const once *o, ub_tensor **values, const ubp_plan *p)
{
    ub_session *s = o->s;
    ub_status st = UB_OK;
    for (int i = p->n_asked; i < p->n_wanted; i++) {
        ub_tensor *t = values[i - p->n_asked];
        const int32_t value = p->slots[p->wanted[i]].value;
        if (st == UB_OK)
            st = ubp_kept_add(&s->kept, value, t, &p->facts->values[value].samples, o->rows,
                              o->count, s->options.cache_bytes, o->err);
        ub_tensor_free(t);
    }
    return st;
}

static ub_status run_plan(const once *o, ub_tensor **results, ubp_samples *maps, ubp_plan *p,
                          const ubp_ask *ask, ubp_control *control)
{
    ub_session *s = o->s;
    ub_error *err = o->err;
    ub_tensor **all = NULL;
    if (s->profile) {
        ubp_free(s->step_ms);
        s->step_ms = ubp_calloc(p->n_steps + 1, sizeof *s->step_ms);
        if (!s->step_ms)
            return ubp_fail_memory(err, p->n_steps * sizeof *s->step_ms);
        control->step_ms = s->step_ms;
    }
    if (p->n_wanted > p->n_asked) {
        all = ubp_calloc((size_t)p->n_wanted, sizeof *all);
        if (!all)
            return ubp_fail_memory(err, (size_t)p->n_wanted * sizeof *all);
    }
    ub_status st =
        ubp_plan_run(all ? all : results, p, ask->given, &s->workspaces[0], control, err);
    if (st == UB_OK && all) {
        memcpy(results, all, (size_t)p->n_asked * sizeof *all);
        st = keep_aside(o, all + p->n_asked, p);
    }
    ubp_free(all);
    if (st != UB_OK) /* what results holds is freed by who asked */
        return st;
    s->counts.steps += (int64_t)p->n_steps;
    for (int i = 0; i < ask->n_wanted; i++)
        maps[i] = p->facts->values[ask->wanted[i]].samples;
    return s->profile ? keep_profile(s, p, err) : UB_OK;
}

/* The memory limit without what is kept; 0: none. */
static size_t memory_left(const ub_session *s)
{
    const size_t limit = s->options.memory_limit;
    return limit > s->kept.bytes ? limit - s->kept.bytes : limit > 0;
}

/* Of the block that runs, as a part of all. */
static void progress(double done, void *session)
{
    const ub_session *s = session;
    s->options.progress(s->blocks ? ((double)s->block + done) / (double)s->blocks : done,
                        s->options.payload);
}

ubp_control ubp_session_control(ub_session *s)
{
    return (ubp_control){.run = s->run,
                         .memory_limit = memory_left(s),
                         .progress = s->options.progress ? progress : NULL,
                         .payload = s,
                         .cache = &s->cache,
                         .workspaces = s->workspaces,
                         .pool = s->pool};
}

/* Step by step: what comes out are items, and here they must be tensors. */
static ub_status run_eager(ub_session *s, ub_tensor **results, ubp_samples *maps,
                           const ubp_ask *ask, const ubp_control *control, ub_error *err)
{
    ubp_item **items = ubp_calloc((size_t)ask->n_wanted + 1, sizeof *items);
    if (!items)
        return ubp_fail_memory(err, (size_t)ask->n_wanted * sizeof *items);
    ub_status st = ubp_eager_run(items, ask, control, NULL, err);
    for (int i = 0; i < ask->n_wanted && st == UB_OK; i++) {
        maps[i] = items[i]->samples;
        st = ubp_item_tensor(&results[i], items[i], s->model->graph->values[ask->wanted[i]].name,
                             err);
    }
    for (int i = 0; i < ask->n_wanted; i++) {
        ubp_item_free(items[i]);
        if (st != UB_OK) {
            ub_tensor_free(results[i]);
            results[i] = NULL;
        }
    }
    ubp_free(items);
    return st;
}

ub_status ubp_session_plan(ub_session *s, ubp_cache *cache, ubp_cached **out, const ubp_ask *ask,
                           bool micro, ubp_facts *facts, ub_error *err)
{
    const uint64_t before = cache->made;
    const double start = ubp_now_ms();
    UBP_TRY(ubp_cache_plan(cache, out, ask, s->onednn, micro, facts, err));
    if (cache->made != before) {
        s->counts.plans++;
        s->counts.plan_ms += ubp_now_ms() - start;
    }
    return UB_OK;
}

ub_status ubp_given_rows(ub_session *s, ubp_given *given, ub_tensor **taken, const int64_t *rows,
                         int64_t count, ub_error *err)
{
    for (size_t i = 0; i < s->n_given; i++) {
        given[i] = s->given[i];
        if (given[i].item)
            continue;
        if (!given[i].tensor->data && ub_tensor_count(given[i].tensor) > 0)
            return ubp_fail(err, UB_ERR_ARGUMENT, "'%s' was given a shape but no data",
                            s->model->graph->values[given[i].value].name);
        if (!rows || given[i].batch_axis < 0)
            continue;
        UBP_TRY(ubp_take_rows(&taken[i], given[i].tensor, given[i].batch_axis, rows, count, err));
        given[i].tensor = taken[i];
    }
    return UB_OK;
}

/* The given values for the samples of the run, then what it starts from. */
static ub_status fill_given(const once *o, ubp_given *given, ub_tensor **taken,
                            const ubp_start *start)
{
    const size_t n = o->s->n_given;
    UBP_TRY(ubp_given_rows(o->s, given, taken, o->rows, o->count, o->err));
    for (size_t i = 0; i < start->n; i++) {
        const ubp_samples *map = &start->maps[i];
        given[n + i] = (ubp_given){.value = start->values[i],
                                   .tensor = start->tensors[i],
                                   .batch_axis = map->kind == UBP_SAMPLES_AXIS ? map->axis : -1,
                                   .samples = map};
    }
    return UB_OK;
}

static ubp_micro find_micro(const once *o, ubp_cached *kept, const int32_t *values, int n_values)
{
    if (!kept->micro.samples && kept->plan) {
        const ubp_micro micro =
            ubp_micro_batch(kept->plan, values, n_values, o->count, o->s->run.threads);
        if (micro.samples)
            ubp_cache_forget(kept, micro);
    }
    return kept->micro;
}

/* Runs the values from the given ones and from start. */
static ub_status run_from(const once *o, ub_tensor **results, ubp_samples *maps,
                          const int32_t *values, int n_values, const ubp_start *start)
{
    ub_session *s = o->s;
    ub_error *err = o->err;
    const size_t n = s->n_given + start->n;
    ubp_ask ask = ubp_session_ask(s, values, n_values, o->count);
    ubp_given *given = ubp_calloc(n + 1, sizeof *given);
    ub_tensor **taken = ubp_calloc(s->n_given + 1, sizeof *taken);
    ub_status st = given && taken ? fill_given(o, given, taken, start)
                                  : ubp_fail_memory(err, n * sizeof *given);
    ask.given = given;
    ask.n_given = (int)n;
    ask.keep_bytes = s->options.cache_bytes;
    ubp_control control = ubp_session_control(s);
    ubp_cached *kept = NULL;
    if (st == UB_OK)
        st = ubp_session_plan(s, &s->cache, &kept, &ask, o->micro != NULL, NULL, err);
    if (st == UB_OK && o->micro)
        *o->micro = find_micro(o, kept, values, n_values);
    if (st == UB_OK && !o->plan_only && !(o->micro && o->micro->samples)) {
        kept->in_use++;
        st = kept->plan ? run_plan(o, results, maps, kept->plan, &ask, &control)
                        : run_eager(s, results, maps, &ask, &control, err);
        kept->in_use--;
    }
    /* Strings take their text with them: the rows taken of the inputs die here. */
    for (int i = 0; i < n_values && st == UB_OK; i++)
        st = ubp_strings_own(&results[i], err);
    for (size_t i = 0; taken && i < s->n_given; i++)
        ub_tensor_free(taken[i]);
    ubp_free(taken);
    ubp_free(given);
    return st;
}

/* The values that are not kept yet, from the kept ones nearest to them. missing: [n_values] their
 * numbers, places: [n_values] where they belong. */
static ub_status run_missing(const once *o, ub_tensor **results, ubp_samples *maps,
                             const int32_t *missing, const int *places, int n)
{
    ub_session *s = o->s;
    ub_tensor **found = ubp_calloc((size_t)n + 1, sizeof *found);
    ubp_samples *found_maps = ubp_calloc((size_t)n + 1, sizeof *found_maps);
    ubp_start start = {0};
    ub_status st = found && found_maps ? UB_OK : ubp_fail_memory(o->err, (size_t)n);
    if (st == UB_OK)
        st = ubp_start_find(s, &start, missing, n, o->rows, o->count, o->err);
    if (st == UB_OK)
        st = run_from(o, found, found_maps, missing, n, &start);
    s->counts.reused += (int64_t)start.n;
    for (int i = 0; i < n && found && found_maps; i++) {
        results[places[i]] = found[i];
        maps[places[i]] = found_maps[i];
        if (st == UB_OK)
            st = ubp_kept_add(&s->kept, missing[i], found[i], &found_maps[i], o->rows, o->count,
                              s->options.cache_bytes, o->err);
    }
    ubp_start_release(&start);
    ubp_free(found);
    ubp_free(found_maps);
    return st;
}

/* With cache_bytes: what is kept is taken, what is missing is run and kept. */
static ub_status run_keeping(const once *o, ub_tensor **results, ubp_samples *maps,
                             const ubp_batch_ask *b)
{
    int32_t *missing = ubp_calloc((size_t)b->n_values + 1, sizeof *missing);
    int *places = ubp_calloc((size_t)b->n_values + 1, sizeof *places);
    int n = 0;
    ub_status st = missing && places ? UB_OK : ubp_fail_memory(o->err, (size_t)b->n_values);
    for (int i = 0; i < b->n_values && st == UB_OK; i++) {
        results[i] = NULL;
        st = ubp_kept_find(&o->s->kept, &results[i], &maps[i], b->values[i], o->rows, o->count,
                           o->err);
        o->s->counts.reused += results[i] != NULL;
        if (results[i])
            continue;
        missing[n] = b->values[i];
        places[n++] = i;
    }
    if (st == UB_OK && n)
        st = run_missing(o, results, maps, missing, places, n);
    for (int i = 0; i < b->n_values && st != UB_OK; i++) {
        ub_tensor_free(results[i]);
        results[i] = NULL;
    }
    ubp_free(missing);
    ubp_free(places);
    return st;
}

/* One run on `count` of the samples, those of rows when it is not NULL. */
static ub_status run_once(ub_session *s, ub_tensor **results, ubp_samples *maps,
                          const ubp_batch_ask *b, const int64_t *rows, int64_t count,
                          ubp_micro *micro, ub_error *err)
{
    const once o = {.s = s,
                    .rows = rows,
                    .count = count,
                    .plan_only = b->plan_only,
                    .micro = s->options.cache_bytes ? NULL : micro,
                    .err = err};
    const ubp_start none = {0};
    if (s->options.cache_bytes == 0 || b->plan_only)
        return run_from(&o, results, maps, b->values, b->n_values, &none);
    const ub_status st = run_keeping(&o, results, maps, b);
    if (st != UB_ERR_MEMORY || s->kept.n == 0)
        return st;
    ubp_kept_clear(&s->kept); /* the run itself comes first */
    return run_keeping(&o, results, maps, b);
}

/* A new tensor in the session's memory; strings begin as none. */
static ub_status make_tensor(ub_tensor **out, ubp_pool *pool, ub_dtype dtype, int rank,
                             const int64_t *dims, ub_error *err)
{
    if (dtype == UB_STRING)
        return ub_tensor_new(out, dtype, rank, dims, err);
    ub_tensor t;
    UBP_TRY(ub_tensor_wrap(&t, NULL, dtype, rank, dims, err));
    UBP_TRY(ubp_pool_buffer(&t.buffer, pool, ubp_tensor_bytes(&t), err));
    t.data = t.buffer->data;
    const ub_status st = ubp_tensor_handle(out, &t, err);
    ubp_buffer_unref(t.buffer); /* the handle has its own reference */
    return st;
}

ub_status ubp_block_whole(ub_tensor **whole, ubp_samples *map, ubp_pool *pool,
                          const ub_tensor *part, int64_t block, int64_t count, const char *name,
                          ub_error *err)
{
    int64_t dims[UB_MAX_RANK + 1];
    memcpy(dims, part->dims, sizeof part->dims);
    int rank = part->rank;
    if (map->kind == UBP_SAMPLES_AXIS) {
        dims[map->axis] = map->outer * map->inner * count;
        return make_tensor(whole, pool, part->dtype, rank, dims, err);
    }
    if (!map->coupled) { /* the same for every sample */
        return ubp_tensor_handle(whole, part, err);
    }
    if (block != 1)
        return ubp_fail(err, UB_ERR_ARGUMENT,
                        "'%s' holds no sample apart from the others, and the model runs in blocks "
                        "of %lld samples: give one block",
                        name, (long long)block);
    if (rank == UB_MAX_RANK)
        return ubp_fail(err, UB_ERR_SHAPE, "'%s' has too many dimensions to stack", name);
    memmove(dims + 1, part->dims, (size_t)rank * sizeof *dims);
    dims[0] = count;
    *map = (ubp_samples){
        .kind = UBP_SAMPLES_AXIS, .axis = 0, .outer = 1, .inner = 1, .culprit = UBP_NO_NODE};
    return make_tensor(whole, pool, part->dtype, rank + 1, dims, err);
}

ub_status ubp_block_put(const ub_tensor *whole, const ubp_samples *map, ub_tensor *part,
                        int64_t block, int64_t at, int64_t valid, int64_t count, const char *name,
                        ub_error *err)
{
    if (map->kind != UBP_SAMPLES_AXIS)
        return UB_OK;
    ub_tensor src = *part, from, to;
    if (src.rank == whole->rank - 1)
        UBP_TRY(ub_tensor_expand_dims(&src, part, 0, err));
    bool fits = src.rank == whole->rank;
    for (int d = 0; d < src.rank && fits; d++)
        fits = d == map->axis ? src.dims[d] == map->outer * map->inner * block
                              : src.dims[d] == whole->dims[d];
    if (!fits)
        return ubp_fail(err, UB_ERR_SHAPE,
                        "the shape of '%s' differs from sample to sample: ask for one sample",
                        name);
    UBP_TRY(ubp_samples_split(&from, &src, map, block, err));
    UBP_TRY(ubp_samples_split(&to, whole, map, count, err));
    int axis = map->axis + 1;
    from.dims[axis] = to.dims[axis] = valid;
    if (to.data)
        to.data = (char *)to.data + at * to.strides[axis];
    ubp_tensor_move(&to, &from);
    return UB_OK;
}

typedef struct blocks {
    ub_session *s;
    const ubp_batch_ask *ask;
    int64_t block, *rows; /* rows: [block] */
    bool padded;          /* the last block has as many samples as the others */
    ub_tensor **parts;    /* [n_values] */
    ubp_samples *part_maps;
    ub_error *err;
} blocks;

static ub_status one_block(blocks *b, ub_tensor **results, ubp_samples *maps, int64_t at)
{
    const ubp_batch_ask *ask = b->ask;
    int64_t valid = ask->count - at < b->block ? ask->count - at : b->block;
    const int64_t n = b->padded ? b->block : valid;
    for (int64_t i = 0; i < n; i++) {
        int64_t k = at + (i < valid ? i : valid - 1);
        b->rows[i] = ask->rows ? ask->rows[k] : k;
    }
    b->s->block = at / b->block;
    ub_status st = run_once(b->s, b->parts, b->part_maps, ask, b->rows, n, NULL, b->err);
    for (int v = 0; v < ask->n_values && st == UB_OK && !ask->plan_only; v++) {
        const char *name = b->s->model->graph->values[ask->values[v]].name;
        if (at == 0) {
            maps[v] = b->part_maps[v];
            st = ubp_block_whole(&results[v], &maps[v], b->s->pool, b->parts[v], n, ask->count,
                                 name, b->err);
        }
        if (st == UB_OK && valid < n && b->part_maps[v].coupled)
            st = ubp_fail(b->err, UB_ERR_SHAPE,
                          "the model's batch is fixed at %lld and '%s' mixes its samples: give a "
                          "multiple of %lld samples, not %lld",
                          (long long)b->block, name, (long long)b->block, (long long)ask->count);
        if (st == UB_OK) /* the part dies below, what it points to must not */
            st = ubp_strings_keep(b->parts[v], &b->s->strings, b->err);
        if (st == UB_OK)
            st = ubp_block_put(results[v], &maps[v], b->parts[v], n, at, valid, ask->count, name,
                               b->err);
    }
    for (int v = 0; v < ask->n_values; v++) {
        ub_tensor_free(b->parts[v]);
        b->parts[v] = NULL;
    }
    return st;
}

static ub_status run_blocks(ub_session *s, ub_tensor **results, ubp_samples *maps,
                            const ubp_batch_ask *ask, int64_t block, bool padded, ub_error *err)
{
    if (ask->count == 0)
        return ubp_fail(err, UB_ERR_SHAPE,
                        "the batch is empty and the model runs in blocks of %lld",
                        (long long)block);
    blocks b = {.s = s, .ask = ask, .block = block, .padded = padded, .err = err};
    size_t n = (size_t)ask->n_values + 1, bytes;
    b.rows = ubp_mul_size((size_t)block, sizeof *b.rows, &bytes) ? ubp_malloc(bytes) : NULL;
    b.parts = ubp_calloc(n, sizeof *b.parts);
    b.part_maps = ubp_calloc(n, sizeof *b.part_maps);
    ub_status st = b.rows && b.parts && b.part_maps ? UB_OK : ubp_fail_memory(err, n);
    const int64_t end = ask->plan_only ? 1 : ask->count; /* all blocks have one plan */
    s->blocks = (end + block - 1) / block;
    for (int64_t at = 0; at < end && st == UB_OK; at += block)
        st = one_block(&b, results, maps, at);
    s->block = s->blocks = 0;
    for (int v = 0; v < ask->n_values && st == UB_OK; v++)
        st = ubp_strings_own(&results[v], err);
    for (int v = 0; v < ask->n_values && st != UB_OK; v++) {
        ub_tensor_free(results[v]);
        results[v] = NULL;
    }
    ubp_free(b.rows);
    ubp_free(b.parts);
    ubp_free(b.part_maps);
    return st;
}

static ub_status compute(ub_session *s, ub_tensor **results, ubp_samples *maps,
                         const ubp_batch_ask *ask, ub_error *err)
{
    int64_t fixed = s->model->fixed_batch;
    if (ask->alone && (fixed > 0 || ask->count > 0))
        return run_blocks(s, results, maps, ask, fixed > 0 ? fixed : 1, true, err);
    if (fixed > 0 && (ask->rows || ask->count != fixed))
        return run_blocks(s, results, maps, ask, fixed, true, err);
    ubp_micro micro = {0};
    /* A batch that the file fixes may be written into its constants: no smaller one is tried. */
    UBP_TRY(run_once(s, results, maps, ask, ask->rows, ask->count, fixed > 0 ? NULL : &micro, err));
    if (!micro.samples)
        return UB_OK;
    /* Steps are timed, and memory is counted, one after the other. */
    if (micro.side && !s->profile && !s->options.memory_limit)
        return ubp_run_side(s, results, maps, ask, micro.samples, err);
    return run_blocks(s, results, maps, ask, micro.samples, false, err);
}

ub_status ubp_session_compute(ub_session *s, ub_tensor **results, ubp_samples *maps,
                              const ubp_batch_ask *ask, ub_error *err)
{
    for (int i = 0; i < ask->n_values; i++)
        results[i] = NULL;
    ubp_pool_round(s->pool);
    ub_status st = compute(s, results, maps, ask, err);
    for (int i = 0; i < ask->n_values && st != UB_OK; i++) {
        ub_tensor_free(results[i]);
        results[i] = NULL;
    }
    ubp_arena_reset(&s->strings);
    return st;
}
