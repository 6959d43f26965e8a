/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows: batch rules of operators that work on each index of one axis by itself. The rule names that
 * axis for each input and output; samples anywhere else mix.
 */
#ifndef UBP_ROWS_H
#define UBP_ROWS_H

#include "ops/ops.h"

enum {
    UBP_ROWS_SHARED = -1, /* the same for all rows: may not hold samples */
    UBP_ROWS_PORTS = 16   /* inputs or outputs of an operator with this rule */
};

/* Output k has row r on axis out_axis[k], made of row r on axis in_axis[i] of each input i. An
 * input whose axis has length 1 serves all rows. `why` says what happens to samples that lie on
 * another axis: "attention between samples". Ports past UBP_ROWS_PORTS are shared. */
typedef struct ubp_rows {
    int8_t in_axis[UBP_ROWS_PORTS], out_axis[UBP_ROWS_PORTS];
    const char *why;
} ubp_rows;

void ubp_rows_batch(ubp_batch *b, const ubp_rows *rows);
/* Axis 0 of the first `inputs` inputs is that of every output; the other inputs are shared. */
void ubp_rows_first(ubp_batch *b, int inputs, const char *why);

#endif
