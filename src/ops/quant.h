/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quant: parameters (scales, zero points) of products of quantised tensors: widening int8 and uint8
 * to int32 with the zero point taken off, and rounding int32 sums back.
 */
#ifndef UBP_QUANT_H
#define UBP_QUANT_H

#include "ops/ops.h"

/* A parameter that broadcasts over a tensor: byte steps for each dim of that tensor. */
typedef struct ubp_quant_param {
    const ub_tensor *t; /* NULL: absent, value 0 */
    int64_t step[UB_MAX_RANK];
} ubp_quant_param;

/* Inputs a and b must be int8 or uint8. */
ub_status ubp_quant_want(const ubp_call *call, int a, int b);
/* How input `in` broadcasts over a tensor of these dims: one element for all, a vector along
 * `axis`, or dims as NumPy broadcasts them. Refuses what does not fit. */
ub_status ubp_quant_param_find(const ubp_call *call, int in, int rank, const int64_t *dims,
                               int axis, ubp_quant_param *out);
/* Input `in` less zero point, as int32, in scratch; row-major. */
ub_status ubp_quant_widen(const ubp_call *call, int in, const ubp_quant_param *zero,
                          ub_tensor *out);
/* Output 0 = saturate(round(sums * (a * b / y)) + zero), ties to even, the factor computed in the
 * scales' type; sums are int32, row-major with output 0's dims. */
void ubp_quant_narrow(const ubp_call *call, const int32_t *sums, const ubp_quant_param *a,
                      const ubp_quant_param *b, const ubp_quant_param *y,
                      const ubp_quant_param *zero);
/* For a batch rule, after output 0's map is set: couples when parameter input `in` differs between
 * samples, or has fixed entries along the batch axis. `axis` is that of the output it lies along
 * when it is a vector. */
void ubp_quant_follow(ubp_batch *b, int in, int axis);

#endif
