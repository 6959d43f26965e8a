/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decimal digits of binary floats, for print.c.
 */
#ifndef UBP_FLOAT_TEXT_H
#define UBP_FLOAT_TEXT_H

#include "tensor/tensor.h"

enum { UBP_DECIMAL_DIGITS = 40 };

/* d.ddd * 10^exponent; no zeros at the end, but "0" for zero. */
typedef struct ubp_decimal {
    bool negative;
    int exponent;
    int count;
    char digits[UBP_DECIMAL_DIGITS]; /* '0' .. '9', not terminated */
} ubp_decimal;

/* Where the digits end. Between the bounds: as soon as they name no other value. */
typedef struct ubp_cut {
    bool fraction; /* max counts digits after the point, then |v| >= 10^-max; else all digits */
    int max;       /* -1: none */
    int min;       /* of all digits; beyond the unique ones the exact ones follow */
} ubp_cut;

/* The digits of v, which must be finite and a value of dtype (float16, float32 or float64). */
void ubp_decimal_of(ubp_decimal *out, double v, ub_dtype dtype, ubp_cut cut);

#endif
