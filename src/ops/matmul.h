/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matmul: NumPy's matrix product over any ranks and strides, shared by MatMul, MatMulInteger and
 * QLinearMatMul.
 */
#ifndef UBP_MATMUL_H
#define UBP_MATMUL_H

#include "ops/gemm.h"

/* The dims of input `a` times input `b`; refuses shapes that do not fit. */
ub_status ubp_matmul_dims(const ubp_call *call, int a, int b, int *rank, int64_t *dims);
/* dst = a b; all of the dtype, which ubp_gemm_takes(), any strides. */
void ubp_matmul_run(const ubp_run *run, ub_dtype dtype, const ub_tensor *a, const ub_tensor *b,
                    const ub_tensor *dst);
/* Output 0 from inputs a and b. */
void ubp_matmul_follow(ubp_batch *batch, int a, int b);
int64_t ubp_matmul_macs(const ub_tensor *a, const ub_tensor *dst);

#endif
