/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec: runs a plan, or a cone of nodes step by step where shapes hang on data or where there are
 * bodies and lists.
 */
#ifndef UBP_EXEC_H
#define UBP_EXEC_H

#include "exec/item.h"
#include "plan/plan.h"

/* Bodies inside bodies, the model's graph counted. load/ refuses deeper ones. */
enum { UBP_MAX_NESTING = 34 };

/* ---- cache.c: what a session keeps between runs -----------------------------------------------
 */

enum { UBP_CACHE_SIZE = 64 };

/* A batch in blocks of so many samples; 0: in one. */
typedef struct ubp_micro {
    int64_t samples;
    bool side; /* side by side, a thread at each; else one after the other */
} ubp_micro;

/* The facts or the plan for one ask: same graph, same values, same given values and dims. */
typedef struct ubp_cached {
    int64_t *key; /* owned */
    size_t key_len;
    ubp_facts *facts; /* NULL when there is a plan */
    ubp_plan *plan;   /* NULL when only facts were asked for, or when shapes hang on data */
    ubp_micro micro;  /* how to run instead, see ubp_cache_forget() */
    uint64_t used;    /* when it was last asked for */
    int in_use;       /* runs that need it now: it stays */
} ubp_cached;

typedef struct ubp_cache {
    ubp_cached entries[UBP_CACHE_SIZE];
    uint64_t clock, made; /* uses so far; plans made so far */
} ubp_cache;

void ubp_cache_release(ubp_cache *c);
/* The facts of the ask: found or made; they stay the cache's, until its next call or as long as
 * in_use is counted up. */
ub_status ubp_cache_facts(ubp_cache *c, ubp_cached **out, const ubp_ask *ask, ub_error *err);
/* The plan of the ask; (*out)->plan is NULL when shapes hang on data, and, if micro may serve, when
 * (*out)->micro.samples is set. facts: those of another plan for the same ask, to share; or NULL.
 */
ub_status ubp_cache_plan(ubp_cache *c, ubp_cached **out, const ubp_ask *ask,
                         struct ubp_onednn *onednn, bool micro, ubp_facts *facts, ub_error *err);
/* Of e's plan only this is left: how to run instead. */
void ubp_cache_forget(ubp_cached *e, ubp_micro micro);

/* ---- Running ----------------------------------------------------------------------------------
 */

/* The memory plans run in; grows, shared by all plans of a session at one depth of nesting. */
typedef struct ubp_workspace {
    void *memory;
    size_t size;
} ubp_workspace;

void ubp_workspace_release(ubp_workspace *w);

/* How a run is watched and bounded, and what it may keep. */
typedef struct ubp_control {
    ubp_run run;
    size_t memory_limit; /* 0: what the machine has */
    void (*progress)(double done, void *payload);
    void *payload;
    double *step_ms; /* NULL, or [n_steps]: filled */
    ubp_cache *cache;
    ubp_workspace *workspaces; /* [UBP_MAX_NESTING] */
    ubp_pool *pool;            /* of the results' buffers; NULL: none */
} ubp_control;

/* Runs the plan on the given tensors (same order and dims as when it was made). results: [n_wanted]
 * handles. */
ub_status ubp_plan_run(ub_tensor **results, ubp_plan *p, const ubp_given *given, ubp_workspace *w,
                       const ubp_control *control, ub_error *err);

/* run_heads.c: runs a step that is attention. scratch: what the plan reserved. */
ub_status ubp_heads_run(const ubp_plan_step *s, const ubp_run *run, void *scratch, ub_error *err);
/* run_chain.c: runs a step that is a chain. scratch: what the plan reserved. */
ub_status ubp_chain_run(const ubp_plan_step *s, const ubp_run *run, void *scratch, ub_error *err);

/* A value inside a body that is wanted: found while the run passes it. */
typedef struct ubp_tap_step {
    int32_t node;       /* in its graph, which is the model's for the first step */
    const char *branch; /* attribute of the body, "then_branch"; NULL: the only one */
    int64_t iteration;  /* 0 for If */
} ubp_tap_step;

typedef struct ubp_tap {
    ubp_tap_step steps[UBP_MAX_NESTING];
    int n_steps;
    int32_t value;    /* in the innermost body */
    ubp_item *result; /* owned; NULL: the run did not come by */
    int reached;      /* steps whose body ran */
    int64_t ran;      /* iterations, of the first step whose body did not run as asked */
    const char *took; /* the branch an If ran instead */
} ubp_tap;

/* Runs the ask's cone node by node, finding shapes on the way. results: [n_wanted], owned. tap may
 * be NULL. */
ub_status ubp_eager_run(ubp_item **results, const ubp_ask *ask, const ubp_control *control,
                        ubp_tap *tap, ub_error *err);

/* UB_ERR_MEMORY when need is over the limit (over the machine's memory when limit is 0). */
ub_status ubp_memory_check(size_t need, size_t limit, ub_error *err);

#endif
