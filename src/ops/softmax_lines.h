/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softmax_lines: the softmax of lines of float32, many numbers at a time. The order of additions
 * hangs on a line's length alone, so a line's bits do not depend on its neighbours.
 *
 * Internal to src/ops: softmax.c attention_run.c.
 */
#ifndef UBP_SOFTMAX_LINES_H
#define UBP_SOFTMAX_LINES_H

#include <stdint.h>

enum { UBP_SOFT_COLUMNS = 64 };

/* One dense line. y may be x. */
void ubp_softmax_line(const float *x, float *y, int64_t n);
/* y may not be x. */
void ubp_log_softmax_line(const float *x, float *y, int64_t n);
/* At most UBP_SOFT_COLUMNS lines side by side, their elements `step` apart. */
void ubp_softmax_columns(const float *x, float *y, int64_t n, int64_t step, int64_t columns);
void ubp_log_softmax_columns(const float *x, float *y, int64_t n, int64_t step, int64_t columns);

#endif
