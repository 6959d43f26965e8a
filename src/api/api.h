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

/* ---- cache.c: what a session keeps between calls --------------------------------------------- */

enum { UBP_CACHE_SIZE = 24 };

/* The facts or the plan for one ask: same values, same given values and dims. */
typedef struct ubp_cached {
    int64_t *key; /* owned */
    size_t key_len;
    ubp_facts *facts; /* of the whole batch; NULL when this entry is a plan */
    ubp_plan *plan;
    uint64_t used; /* when it was last asked for */
} ubp_cached;

typedef struct ubp_cache {
    ubp_cached entries[UBP_CACHE_SIZE];
    uint64_t clock;
} ubp_cache;

void ubp_cache_release(ubp_cache *c);
/* The facts of the ask: found or made; they stay the cache's, until its next call. */
ub_status ubp_cache_facts(ubp_cache *c, ubp_facts **out, const ubp_ask *ask, ub_error *err);
/* The plan of the ask; NULL when shapes hang on data. */
ub_status ubp_cache_plan(ubp_cache *c, ubp_plan **out, const ubp_ask *ask,
                         struct ubp_onednn *onednn, ub_error *err);

struct ub_session {
    const ub_model *model;
    ub_session_options options;
    ubp_given *given;          /* [n_given]; tensors point into given_tensors */
    ub_tensor **given_tensors; /* [n_given], owned copies of the descriptions; data is borrowed */
    size_t n_given, cap_given, cap_tensors;
    ubp_cache cache;
    ubp_workspace workspace;
    ubp_arena scratch;
    struct ubp_onednn *onednn;
    ubp_run run;
    ubp_text note;
    bool profile;
    double *step_ms; /* [n_steps] of the last plan */
    ub_step *steps;
    int n_steps;
};

/* ---- select.c: slices and samples ------------------------------------------------------------ */

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

/* ---- batch.c: running values for some of the samples ----------------------------------------- */

/* The values for these samples, in their own layouts with `count` samples each, and their maps.
 * rows NULL: all. Models with a fixed batch, and `alone`, run block by block. */
typedef struct ubp_batch_ask {
    const int32_t *values; /* [n_values] */
    int n_values;
    const int64_t *rows; /* [count] or NULL */
    int64_t count;
    bool alone;
} ubp_batch_ask;

ub_status ubp_session_compute(ub_session *s, ub_tensor **results, ubp_samples *maps,
                              const ubp_batch_ask *ask, ub_error *err);
/* Samples in the given values; refuses inputs that do not agree. */
ub_status ubp_session_samples(const ub_session *s, int64_t *n, ub_error *err);
/* The ask for all samples of these values. */
ubp_ask ubp_session_ask(const ub_session *s, const int32_t *values, int n_values, int64_t n);
/* What is known of these values for n samples, from the session's cache. Of a model whose batch is
 * fixed: for one block of it. */
ub_status ubp_session_facts(ub_session *s, ubp_facts **out, const int32_t *values, int n_values,
                            int64_t n, ub_error *err);

#endif
