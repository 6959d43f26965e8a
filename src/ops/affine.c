/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A factor and a shift for each channel: the loops that BatchNormalization has of its own, and
 * where it is done behind a convolution.
 */
#include "ops/affine.h"

#include "ops/wide.h"

#include <math.h>

static double number(const ub_tensor *t, int64_t channel)
{
    return ubp_read_f64((const char *)t->data + channel * t->strides[0], t->dtype);
}

void ubp_affine_fill(float *factor, float *shift, int64_t channels, double epsilon,
                     const ub_tensor *scale, const ub_tensor *bias, const ub_tensor *mean,
                     const ub_tensor *var)
{
    for (int64_t c = 0; c < channels; c++) {
        const double f = number(scale, c) / sqrt(number(var, c) + epsilon);
        factor[c] = (float)f;
        shift[c] = (float)(number(bias, c) - number(mean, c) * f);
    }
}

#define ROWS(name, T)                                                                              \
    static void name(const T *x, T *y, int64_t rows, int64_t channels, const T *factor,            \
                     const T *shift)                                                               \
    {                                                                                              \
        for (int64_t i = 0; i < rows; i++, x += channels, y += channels)                           \
            for (int64_t c = 0; c < channels; c++)                                                 \
                y[c] = x[c] * factor[c] + shift[c];                                                \
    }
#define PLANE(name, T)                                                                             \
    static void name(const T *x, T *y, int64_t n, T factor, T shift)                               \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = x[i] * factor + shift;                                                          \
    }
UBP_WIDE_VARIANTS(ROWS, rows, float)
UBP_WIDE_VARIANTS(PLANE, plane, float)

void ubp_affine_rows(const ubp_affine *a, const float *x, float *y, int64_t rows)
{
    UBP_WIDE_CALL(rows, x, y, rows, a->channels, a->factor, a->shift);
}

void ubp_affine_plane(const ubp_affine *a, int64_t channel, const float *x, float *y, int64_t n)
{
    UBP_WIDE_CALL(plane, x, y, n, a->factor[channel], a->shift[channel]);
}
