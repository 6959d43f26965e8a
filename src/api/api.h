/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api: the functions of unbatch.h. Addresses become values, slices become sets of samples, and the
 * plans that compute them are kept for the next call.
 */
#ifndef UBP_API_H
#define UBP_API_H

#include "api/address.h"
#include "exec/exec.h"
#include "load/load.h"

struct ub_model {
    ubp_loaded loaded;
    const ubp_graph *graph; /* borrowed from loaded */
    ubp_arena arena;        /* what follows lives in it */
    ub_port *inputs, *outputs;
    ub_layer *layers;
    const char *unsupported;
    ubp_text note;       /* of opening it */
    int64_t fixed_batch; /* what the file fixes the batch to; -1: free */
};

/* A value of an earlier run. */
typedef struct ubp_kept {
    int32_t value;
    ub_tensor *t; /* owned */
    ubp_samples map;
    int64_t *rows; /* [count] the samples it holds, owned; NULL: all */
    int64_t count;
    size_t bytes;
    uint64_t used;
} ubp_kept;

typedef struct ubp_keeper {
    ubp_kept *list; /* [n] */
    size_t n, cap, bytes;
    uint64_t clock;
} ubp_keeper;

/* What a thread has of its own that runs blocks beside others: side.c. */
typedef struct ubp_lane {
    ubp_cache cache;
    ubp_workspace workspace;
    ubp_arena scratch;
} ubp_lane;

struct ub_session {
    const ub_model *model;
    ub_session_options options;
    ubp_given *given;          /* [n_given]; tensors point into given_tensors */
    ub_tensor **given_tensors; /* [n_given], owned copies of the descriptions; data is borrowed */
    size_t n_given, cap_given, cap_tensors;
    ubp_cache cache;
    ubp_keeper kept;                           /* with cache_bytes */
    ubp_workspace workspaces[UBP_MAX_NESTING]; /* of the model's graph, then of bodies in it */
    ubp_lane **lanes;                          /* [n_lanes] */
    int n_lanes;
    ubp_pool *pool; /* of the results' buffers */
    ubp_arena scratch;
    struct ubp_onednn *onednn;
    ubp_run run;
    ubp_arena strings; /* of the run that goes on */
    ubp_text note;
    bool profile;
    int64_t block, blocks; /* the block that runs, of how many; 0 of 0 outside of blocks */
    ub_session_counts counts;
    double *step_ms; /* [n_steps] of the last plan */
    ub_step *steps;
    int n_steps;
};

/* ---- session.c ------------------------------------------------------------------------------ */

/* Gives a value to the session; what was checked already is not checked again. */
ub_status ubp_session_give(ub_session *s, const ubp_given *given, ub_error *err);

/* ---- kept.c: values kept between runs ---------------------------------------------------------
 */

void ubp_kept_clear(ubp_keeper *k);
/* The value for these samples (rows NULL: all), taken out of the whole batch's where that is the
 * same; *out NULL: not there. */
ub_status ubp_kept_find(ubp_keeper *k, ub_tensor **out, ubp_samples *map, int32_t value,
                        const int64_t *rows, int64_t count, ub_error *err);
/* Keeps a handle on t, if it can be had within the budget. */
ub_status ubp_kept_add(ubp_keeper *k, int32_t value, const ub_tensor *t, const ubp_samples *map,
                       const int64_t *rows, int64_t count, size_t budget, ub_error *err);

/* Kept values that a run can start from. */
typedef struct ubp_start {
    int32_t *values;     /* [n] */
    ub_tensor **tensors; /* [n] owned */
    ubp_samples *maps;   /* [n] */
    size_t n;
} ubp_start;

/* Those nearest to the wanted values. */
ub_status ubp_start_find(ub_session *s, ubp_start *out, const int32_t *values, int n,
                         const int64_t *rows, int64_t count, ub_error *err);
void ubp_start_release(ubp_start *start);

/* ---- select.c: slices and samples ----------------------------------------------------------- */

/* Which samples a slice needs: ascending, each once. */
typedef struct ubp_pick {
    int64_t *list; /* owned */
    int64_t count;
} ubp_pick;

/* The samples that the first index of ix takes from a batch of n. */
ub_status ubp_pick_samples(ubp_pick *out, const ubp_index *ix, int64_t n, ub_error *err);
void ubp_pick_release(ubp_pick *p);
/* Makes ix, meant for the whole batch, fit a tensor that holds just the picked samples. */
ub_status ubp_pick_rewrite(ubp_index *ix, const ubp_pick *p, int64_t n, ub_error *err);
/* t with its batch axis split in three: (outer, n, inner) at s->axis. A view. */
ub_status ubp_samples_split(ub_tensor *view, const ub_tensor *t, const ubp_samples *s, int64_t n,
                            ub_error *err);
/* (n, rest...): the samples first, what else was folded into their axis where the axis was. */
ub_status ubp_samples_first(ub_tensor **out, const ub_tensor *t, const ubp_samples *s, int64_t n,
                            ub_error *err);
/* Rows of a tensor along an axis: a view when they are evenly spaced, else a copy. */
ub_status ubp_take_rows(ub_tensor **out, const ub_tensor *t, int axis, const int64_t *rows,
                        int64_t count, ub_error *err);

/* ---- list.c: values inside bodies, lists ------------------------------------------------------
 */

/* The item that an address names, for all n samples of the session. text: for messages. */
ub_status ubp_get_item(ub_session *s, ubp_item **out, const ubp_address *a, int64_t n,
                       const char *text, ub_error *err);
/* Element k of a list, or of what an optional holds; k -1: the item itself. */
ub_status ubp_item_element(const ubp_item **out, const ubp_item *item, int64_t k, const char *text,
                           ub_error *err);

/* ---- inner.c: what bodies hold ----------------------------------------------------------------
 */

typedef struct ubp_inner_list {
    ub_inner *items; /* owned; their text is in the arena */
    size_t n, cap;
} ubp_inner_list;

/* The values in the bodies of g's nodes, in their order; those without a name are left out. Given
 * up with ubp_free(out->items). */
ub_status ubp_inner_values(ubp_inner_list *out, const ubp_graph *g, ubp_arena *arena,
                           ub_error *err);

/* ---- batch.c: running values for some of the samples ---------------------------------------- */

/* The values for these samples, in their own layouts with `count` samples each, and their maps.
 * rows NULL: all. Models with a fixed batch, and `alone`, run block by block. */
typedef struct ubp_batch_ask {
    const int32_t *values; /* [n_values] */
    int n_values;
    const int64_t *rows; /* [count] or NULL */
    int64_t count;
    bool alone;
    bool plan_only; /* make the plan, run nothing; results and maps are left as they are */
} ubp_batch_ask;

ub_status ubp_session_compute(ub_session *s, ub_tensor **results, ubp_samples *maps,
                              const ubp_batch_ask *ask, ub_error *err);
/* The given values for the samples of rows (NULL: all). given: [n_given], taken: [n_given] NULLs,
 * tensors to be freed afterwards, on failure too. */
ub_status ubp_given_rows(ub_session *s, ubp_given *given, ub_tensor **taken, const int64_t *rows,
                         int64_t count, ub_error *err);
/* As ubp_cache_plan(), counted in the session. cache: its own, or a lane's. */
ub_status ubp_session_plan(ub_session *s, ubp_cache *cache, ubp_cached **out, const ubp_ask *ask,
                           bool micro, ubp_facts *facts, ub_error *err);
/* A tensor for the whole of a value that comes in blocks of `block` samples; part: the first, its
 * data is not read. */
ub_status ubp_block_whole(ub_tensor **whole, ubp_samples *map, ubp_pool *pool,
                          const ub_tensor *part, int64_t block, int64_t count, const char *name,
                          ub_error *err);
/* Puts `valid` samples of a block at sample `at` of the whole. */
ub_status ubp_block_put(const ub_tensor *whole, const ubp_samples *map, ub_tensor *part,
                        int64_t block, int64_t at, int64_t valid, int64_t count, const char *name,
                        ub_error *err);
/* micro.c: how a batch should run, given its plan for all samples. */
ubp_micro ubp_micro_batch(const ubp_plan *p, const int32_t *values, int n_values, int64_t samples,
                          int threads);
/* side.c: the ask in blocks of so many samples, side by side. results: [n_values] NULLs. */
ub_status ubp_run_side(ub_session *s, ub_tensor **results, ubp_samples *maps,
                       const ubp_batch_ask *ask, int64_t block, ub_error *err);
void ubp_lanes_free(ub_session *s);
/* How the session's runs are watched and bounded. */
ubp_control ubp_session_control(ub_session *s);
/* The values as items, whatever they are, for all samples; tap may be NULL. results: [n_values],
 * owned. */
ub_status ubp_session_items(ub_session *s, ubp_item **results, const int32_t *values, int n_values,
                            int64_t n, ubp_tap *tap, ub_error *err);
/* A tensor of its own from an item that must be one. name: for the message. */
ub_status ubp_item_tensor(ub_tensor **out, const ubp_item *item, const char *name, ub_error *err);
/* Samples in the given values; refuses inputs that do not agree. */
ub_status ubp_session_samples(const ub_session *s, int64_t *n, ub_error *err);
/* The ask for all samples of these values. */
ubp_ask ubp_session_ask(const ub_session *s, const int32_t *values, int n_values, int64_t n);
/* What is known of these values for n samples, from the session's cache. Of a model whose batch is
 * fixed: for one block of it. */
ub_status ubp_session_facts(ub_session *s, ubp_facts **out, const int32_t *values, int n_values,
                            int64_t n, ub_error *err);

#endif
