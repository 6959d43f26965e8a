/* SPDX-License-Identifier: Apache-2.0 */
/*
 * einsum: an equation such as "bhqd,bhkd->bhqk" as labels of dims.
 */
#ifndef UBP_EINSUM_H
#define UBP_EINSUM_H

#include "ops/ops.h"

enum {
    UBP_EINSUM_LETTERS = 52,                              /* A-Z, a-z: labels 0 to 51 */
    UBP_EINSUM_LABELS = UBP_EINSUM_LETTERS + UB_MAX_RANK, /* then those of "..." */
    UBP_EINSUM_OPERANDS = 64
};

typedef struct ubp_einsum_term {
    int rank;
    uint8_t label[UB_MAX_RANK]; /* of each dim */
} ubp_einsum_term;

typedef struct ubp_einsum {
    int n;
    ubp_einsum_term in[UBP_EINSUM_OPERANDS];
    ubp_einsum_term out;
    int64_t size[UBP_EINSUM_LABELS]; /* -1: not used */
} ubp_einsum;

/* Reads the equation for the ranks and dims of the call's inputs; refuses what does not fit. */
ub_status ubp_einsum_parse(const ubp_call *call, const char *equation, ubp_einsum *out);

#endif
