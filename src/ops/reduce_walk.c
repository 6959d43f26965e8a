/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over the elements that a reduction joins; see reduce.h.
 */
#include "ops/reduce.h"

static void push(int *n, int64_t *dims, int64_t *steps, bool merge, int64_t dim, int64_t step)
{
    if (merge) {
        dims[*n - 1] *= dim;
        steps[*n - 1] = step;
        return;
    }
    dims[*n] = dim;
    steps[*n] = step;
    (*n)++;
}

void ubp_reduce_plan(ubp_reduce *r, const ub_tensor *t, uint32_t axes)
{
    int64_t step[UB_MAX_RANK], at = 1;
    int last = -1; /* kind of the dim before: 1 reduced, 0 kept */
    *r = (ubp_reduce){.kept = 1, .reduced = 1};
    for (int i = t->rank - 1; i >= 0; i--) {
        step[i] = at;
        at *= t->dims[i] > 0 ? t->dims[i] : 1;
    }
    for (int i = 0; i < t->rank; i++) {
        int kind = (axes >> i) & 1;
        int64_t dim = t->dims[i];
        *(kind ? &r->reduced : &r->kept) *= dim;
        if (dim == 1)
            continue;
        if (kind)
            push(&r->n_reduced, r->reduced_dims, r->reduced_step, last == kind, dim, step[i]);
        else
            push(&r->n_kept, r->kept_dims, r->kept_step, last == kind, dim, step[i]);
        last = kind;
    }
}

int64_t ubp_reduce_base(const ubp_reduce *r, int64_t o)
{
    int64_t base = 0;
    for (int i = r->n_kept - 1; i >= 0; i--) {
        base += o % r->kept_dims[i] * r->kept_step[i];
        o /= r->kept_dims[i];
    }
    return base;
}

bool ubp_reduce_next(const ubp_reduce *r, int64_t *at, int64_t *offset)
{
    for (int i = r->n_reduced - 2; i >= 0; i--) {
        *offset += r->reduced_step[i];
        if (++at[i] < r->reduced_dims[i])
            return true;
        *offset -= at[i] * r->reduced_step[i];
        at[i] = 0;
    }
    return false;
}
