/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reduce: which elements of a row-major tensor belong to one output element when some axes are
 * reduced. Shared by the Reduce operators, MeanVarianceNormalization and LpNormalization.
 */
#ifndef UBP_REDUCE_H
#define UBP_REDUCE_H

#include "ops/ops.h"

/* Dims of size 1 are left out and neighbours of one kind are merged: what is left is the walk. The
 * order in which the elements of one output are visited is row-major in any case. */
typedef struct ubp_reduce {
    int n_kept, n_reduced;
    int64_t kept_dims[UB_MAX_RANK], kept_step[UB_MAX_RANK]; /* steps in elements */
    int64_t reduced_dims[UB_MAX_RANK], reduced_step[UB_MAX_RANK];
    int64_t kept, reduced; /* products of dims */
} ubp_reduce;

/* axes: bit i set when axis i is reduced. */
void ubp_reduce_plan(ubp_reduce *r, const ub_tensor *t, uint32_t axes);
/* First element of output element number o. */
int64_t ubp_reduce_base(const ubp_reduce *r, int64_t o);
/* Steps `at` (an index of the reduced dims but the last, zero at first) to the next run and gives
 * its offset from the base; false after the last. */
bool ubp_reduce_next(const ubp_reduce *r, int64_t *at, int64_t *offset);
/* Elements and step of one run: the last reduced dim. */
static inline int64_t ubp_reduce_run(const ubp_reduce *r)
{
    return r->n_reduced ? r->reduced_dims[r->n_reduced - 1] : 1;
}
static inline int64_t ubp_reduce_step(const ubp_reduce *r)
{
    return r->n_reduced ? r->reduced_step[r->n_reduced - 1] : 1;
}

#endif
