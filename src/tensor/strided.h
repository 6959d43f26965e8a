/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving elements between two strided layouts: worked out once, run for many pairs of addresses
 * (strided_move.c). For the files of this folder.
 */
#ifndef UBP_STRIDED_H
#define UBP_STRIDED_H

#include "tensor/tensor.h"

typedef struct ubp_move {
    bool empty;
    int rank;                                   /* dims left over after merging; outermost first */
    int64_t dims[UB_MAX_RANK];                  /* in items, of item bytes that lie together */
    int64_t dst[UB_MAX_RANK], src[UB_MAX_RANK]; /* strides in bytes */
    int64_t dst_start, src_start;               /* bytes from the given addresses */
    int64_t item;
} ubp_move;

/* item: bytes of one element. Strides are in bytes. */
void ubp_move_prepare(ubp_move *m, int rank, const int64_t *dims, const int64_t *dst_strides,
                      const int64_t *src_strides, size_t item);
void ubp_move_run(const ubp_move *m, void *dst, const void *src);
/* n items of item bytes, each side with its own stride. */
void ubp_move_line(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t n,
                   int64_t item);

#endif
