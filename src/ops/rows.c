/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch rules of operators that work on each index of one axis by itself; see rows.h.
 */
#include "ops/rows.h"

#include "ops/follow.h"
#include "ops/move.h"

static int axis_of(const ubp_rows *rows, int i)
{
    return i < UBP_ROWS_PORTS ? rows->in_axis[i] : UBP_ROWS_SHARED;
}

/* Joins the samples of all inputs for output k. */
static ubp_follow follow_rows(ubp_batch *b, const ubp_rows *rows, int k)
{
    ubp_follow f = ubp_follow_begin(b, k);
    for (int i = 0; i < b->call->n_in; i++) {
        if (!ubp_has_in(b->call, i))
            continue;
        ubp_follow_data(b, k, i);
        if (!ubp_follow_has(&f, i))
            continue;
        if (axis_of(rows, i) == b->in[i].axis)
            ubp_follow_input(&f, i, rows->out_axis[k]);
        else
            ubp_samples_couple(b, k, rows->why);
    }
    return f;
}

void ubp_rows_batch(ubp_batch *b, const ubp_rows *rows)
{
    for (int k = 0; k < b->call->n_out && k < UBP_ROWS_PORTS; k++) {
        if (!ubp_has_out(b->call, k))
            continue;
        ubp_follow f = follow_rows(b, rows, k);
        for (int i = 0; f.found && i < b->call->n_in; i++) {
            const int axis = axis_of(rows, i);
            const bool fixed = ubp_has_in(b->call, i) && axis >= 0 && !ubp_follow_has(&f, i) &&
                               axis < b->call->in[i]->rank && b->call->in[i]->dims[axis] != 1;
            if (fixed && !ubp_samples_single(b))
                ubp_samples_couple(b, k, "an operand has fixed entries for each sample");
        }
        ubp_follow_end(&f);
        ubp_samples_fit(b, k);
    }
}

void ubp_rows_first(ubp_batch *b, int inputs, const char *why)
{
    ubp_rows rows = {.why = why};
    for (int i = inputs; i < UBP_ROWS_PORTS; i++)
        rows.in_axis[i] = UBP_ROWS_SHARED;
    ubp_rows_batch(b, &rows);
}
