/* SPDX-License-Identifier: Apache-2.0 */
/*
 * affine: BatchNormalization in float32 outside of training, as a factor and a shift for each
 * channel: y = x * factor + shift, a product and a sum, each rounded. Both are worked out in double
 * from the running statistics and then rounded, as PyTorch does it.
 */
#ifndef UBP_AFFINE_H
#define UBP_AFFINE_H

#include "tensor/tensor.h"

typedef struct ubp_affine {
    int64_t channels;
    const float *factor, *shift; /* [channels] */
} ubp_affine;

/* factor, shift: [channels] = scale / sqrt(var + epsilon), bias - mean * factor. The tensors are
 * vectors with a number for each channel. */
void ubp_affine_fill(float *factor, float *shift, int64_t channels, double epsilon,
                     const ub_tensor *scale, const ub_tensor *bias, const ub_tensor *mean,
                     const ub_tensor *var);
/* x, y: [rows][channels]; y may be x. */
void ubp_affine_rows(const ubp_affine *a, const float *x, float *y, int64_t rows);
/* n neighbouring elements of one channel. */
void ubp_affine_plane(const ubp_affine *a, int64_t channel, const float *x, float *y, int64_t n);

#endif
