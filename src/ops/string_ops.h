/* SPDX-License-Identifier: Apache-2.0 */
/*
 * string_ops: what the operators on strings share.
 */
#ifndef UBP_STRING_OPS_H
#define UBP_STRING_OPS_H

#include "ops/elementwise.h"

ub_status ubp_want_strings(const ubp_call *c, int in);
/* ubp_ew_walk() on this thread: for loops that make text. */
ub_status ubp_string_walk(const ubp_call *c, int n_operands, const ub_tensor *const *operands,
                          ubp_ew_fn fn, const void *arg);

/* cast_string.c: Cast where one side is strings. */
ub_status ubp_cast_strings(const ubp_call *c, const ub_tensor *dst, const ub_tensor *src);

#endif
