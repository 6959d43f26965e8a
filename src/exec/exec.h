/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec: runs a plan, or a cone of nodes step by step where shapes hang on data.
 */
#ifndef UBP_EXEC_H
#define UBP_EXEC_H

#include "plan/plan.h"

/* How a run is watched and bounded. */
typedef struct ubp_control {
    ubp_run run;
    size_t memory_limit; /* 0: what the machine has */
    void (*progress)(double done, void *payload);
    void *payload;
    double *step_ms; /* NULL, or [n_steps]: filled */
} ubp_control;

/* The memory plans run in; grows, shared by all plans of a session. */
typedef struct ubp_workspace {
    void *memory;
    size_t size;
} ubp_workspace;

void ubp_workspace_release(ubp_workspace *w);

/* Runs the plan on the given tensors (same order and dims as when it was made). results: [n_wanted]
 * handles. */
ub_status ubp_plan_run(ub_tensor **results, ubp_plan *p, const ubp_given *given, ubp_workspace *w,
                       const ubp_control *control, ub_error *err);

/* Runs the ask's cone node by node, finding shapes on the way. results, samples: [n_wanted]. */
ub_status ubp_eager_run(ub_tensor **results, ubp_samples *samples, const ubp_ask *ask,
                        const ubp_control *control, ub_error *err);

/* UB_ERR_MEMORY when need is over the limit (over the machine's memory when limit is 0). */
ub_status ubp_memory_check(size_t need, size_t limit, ub_error *err);

#endif
