/* SPDX-License-Identifier: Apache-2.0 */
/*
 * numbers: elements of row-major float32 and float64 tensors as doubles, for kernels whose time
 * goes elsewhere.
 */
#ifndef UBP_NUMBERS_H
#define UBP_NUMBERS_H

#include "ops/ops.h"

static inline double ubp_number(const ub_tensor *t, int64_t i)
{
    return t->dtype == UB_F64 ? ((const double *)t->data)[i] : (double)((const float *)t->data)[i];
}

static inline void ubp_put_number(const ub_tensor *t, int64_t i, double v)
{
    if (t->dtype == UB_F64)
        ((double *)t->data)[i] = v;
    else
        ((float *)t->data)[i] = (float)v;
}

/* The same for any dtype: integers are cut, bool is 0 or 1. */
static inline double ubp_any_number(const ub_tensor *t, int64_t i)
{
    return ubp_read_f64((const char *)t->data + i * (int64_t)ub_dtype_size(t->dtype), t->dtype);
}

static inline void ubp_put_any(const ub_tensor *t, int64_t i, double v)
{
    ubp_write_f64((char *)t->data + i * (int64_t)ub_dtype_size(t->dtype), t->dtype, v);
}

#endif
