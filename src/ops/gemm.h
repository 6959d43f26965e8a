/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gemm: the multiply-accumulate core under MatMul, Gemm, the convolutions, the recurrent operators
 * and Einsum. C = A B over any strides, in float32, float64, and 32- and 64-bit integers.
 *
 * The order of additions of one element of C depends on K alone: k runs upwards within blocks of
 * UBP_GEMM_KB, each block is summed from zero on its own, and the sums of the blocks are added in
 * order. Unless the session is one of reference kernels, float32 rounds a product and its addition
 * once where the processor can. The order does not depend on the number of rows or columns, on
 * where the element lies, or on threads. This carries the bitwise promise for every reference
 * kernel built on it.
 */
#ifndef UBP_GEMM_H
#define UBP_GEMM_H

#include "ops/ops.h"

enum {
    UBP_GEMM_KB = 256,   /* k in a block */
    UBP_GEMM_NR = 16,    /* columns of a panel; double and 64-bit integers use half */
    UBP_GEMM_ROWS = 128, /* rows of C that share a packed panel */
};

typedef struct ubp_gemm ubp_gemm;

/* Writes rows [k0, k0 + kn) of columns [n0, n0 + nn) of B to panel [kn][columns]; what lies beyond
 * nn is zero. */
typedef void ubp_gemm_pack(const ubp_gemm *g, int64_t k0, int64_t kn, int64_t n0, int64_t nn,
                           void *panel);

/* One product. Strides count elements. */
struct ubp_gemm {
    int64_t m, n, k;
    const void *a; /* [m][k] */
    int64_t a_row, a_col;
    const void *b; /* [k][n] */
    int64_t b_row, b_col;
    void *c; /* [m][n] */
    int64_t c_row, c_col;
    const void *bias;    /* [m], added to each row at the end, or NULL */
    ubp_gemm_pack *pack; /* where B does not lie in memory as a matrix, or NULL */
    const void *arg;     /* for pack */
};

/* Several products of the same m, n, k that run in parallel. */
typedef struct ubp_gemm_job {
    ub_dtype dtype; /* UB_F32, UB_F64, UB_I32, UB_U32, UB_I64, UB_U64; integers wrap */
    int64_t items;
    ubp_gemm gemm; /* the first item, or what all share */
    /* Turns a copy of `gemm` into that of an item; NULL when there is one item. */
    void (*locate)(const struct ubp_gemm_job *job, int64_t item, ubp_gemm *g);
    const void *arg; /* for locate */
} ubp_gemm_job;

/* Whether the core has code for the dtype. */
bool ubp_gemm_takes(ub_dtype dtype);
void ubp_gemm_run(const ubp_run *run, const ubp_gemm_job *job);

#endif
