/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exp(x - max) of a line, its sum in double, then a product with the inverse of the sum or, for the
 * logarithm, a difference. A NaN makes its line NaN, by the sum.
 */
#include "ops/softmax_lines.h"

#include "ops/elementwise.h"
#include "ops/vmath.h"

#include <math.h>

enum { LANES = 16, BLOCK = 16 * LANES };

typedef float lanes8 __attribute__((vector_size(32)));
typedef int32_t mask8 __attribute__((vector_size(32)));

/* ---- A dense line: 16 running maxima and sums, joined at the end ------------------------------
 */

/* high[l] = the larger of high[l] and x[l], 16 of them. */
static inline void raise_16(lanes8 *high, const float *x)
{
    for (int half = 0; half < 2; half++) {
        lanes8 v;
        memcpy(&v, x + 8 * half, sizeof v);
        const mask8 more = v > high[half];
        high[half] = (lanes8)((more & (mask8)v) | (~more & (mask8)high[half]));
    }
}

static inline float larger(float a, float b)
{
    return b > a ? b : a;
}

static inline float largest_of_16(const lanes8 *high)
{
    float v[LANES];
    memcpy(v, high, sizeof v);
    const float a = larger(larger(v[0], v[8]), larger(v[4], v[12]));
    const float b = larger(larger(v[1], v[9]), larger(v[5], v[13]));
    const float c = larger(larger(v[2], v[10]), larger(v[6], v[14]));
    const float d = larger(larger(v[3], v[11]), larger(v[7], v[15]));
    return larger(larger(a, c), larger(b, d));
}

/* The sum of n numbers, a multiple of 16, at most BLOCK: 16 sums in float, of 16 numbers each at
 * most, which are joined in double. */
static inline double block_sum(const float *y, int64_t n)
{
    lanes8 sum[2] = {{0}, {0}}, v;
    float s[LANES];
    for (int64_t i = 0; i < n; i += LANES)
        for (int half = 0; half < 2; half++) {
            memcpy(&v, y + i + 8 * half, sizeof v);
            sum[half] += v;
        }
    memcpy(s, sum, sizeof s);
    const double a = ((double)s[0] + (double)s[8]) + ((double)s[4] + (double)s[12]);
    const double b = ((double)s[1] + (double)s[9]) + ((double)s[5] + (double)s[13]);
    const double c = ((double)s[2] + (double)s[10]) + ((double)s[6] + (double)s[14]);
    const double d = ((double)s[3] + (double)s[11]) + ((double)s[7] + (double)s[15]);
    return (a + c) + (b + d);
}

/* The exponentials of what is left over behind the last 16 are computed as 16. */
#define EXP_LINE(name, EXP)                                                                        \
    static void name(const float *x, float *y, int64_t n, float *top, double *total)               \
    {                                                                                              \
        float rest[LANES];                                                                         \
        lanes8 high[2] = {(lanes8){0} - INFINITY, (lanes8){0} - INFINITY};                         \
        const int64_t left = n % LANES, whole = n - left;                                          \
        for (int64_t i = 0; i < whole; i += LANES)                                                 \
            raise_16(high, x + i);                                                                 \
        if (left) {                                                                                \
            for (int l = 0; l < LANES; l++)                                                        \
                rest[l] = x[whole];                                                                \
            memcpy(rest, x + whole, (size_t)left * sizeof *x);                                     \
            raise_16(high, rest);                                                                  \
        }                                                                                          \
        const float m = largest_of_16(high);                                                       \
        double sum = 0;                                                                            \
        UBP_EW_LOOP(i, whole) y[i] = EXP(x[i] - m);                                                \
        for (int64_t i = 0; i < whole; i += BLOCK)                                                 \
            sum += block_sum(y + i, whole - i < BLOCK ? whole - i : BLOCK);                        \
        if (left) {                                                                                \
            UBP_EW_LOOP(l, LANES) rest[l] = EXP(rest[l] - m);                                      \
            for (int64_t l = 0; l < left; l++) {                                                   \
                y[whole + l] = rest[l];                                                            \
                sum += (double)rest[l];                                                            \
            }                                                                                      \
        }                                                                                          \
        *top = m;                                                                                  \
        *total = sum;                                                                              \
    }
#define SCALE_LINE(name, T)                                                                        \
    static void name(T *y, T by, int64_t n)                                                        \
    {                                                                                              \
        UBP_EW_LOOP(i, n) y[i] *= by;                                                              \
    }
UBP_WIDE_VARIANTS(EXP_LINE, exp_line, ubp_expf)
UBP_WIDE_VARIANTS(SCALE_LINE, scale_line, float)

void ubp_softmax_line(const float *x, float *y, int64_t n)
{
    float top;
    double total;
    UBP_WIDE_CALL(exp_line, x, y, n, &top, &total);
    UBP_WIDE_CALL(scale_line, y, (float)(1 / total), n);
}

void ubp_log_softmax_line(const float *x, float *y, int64_t n)
{
    float top;
    double total;
    UBP_WIDE_CALL(exp_line, x, y, n, &top, &total);
    const double log_total = log(total);
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)((double)x[i] - (double)top - log_total);
}

/* ---- Lines side by side: each in order ------------------------------------------------------- */

#define EXP_COLUMNS(name, EXP)                                                                     \
    static void name(const float *x, float *y, int64_t n, int64_t step, int64_t columns,           \
                     float *high, double *sum)                                                     \
    {                                                                                              \
        for (int64_t c = 0; c < columns; c++) {                                                    \
            high[c] = -INFINITY;                                                                   \
            sum[c] = 0;                                                                            \
        }                                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float *row = x + i * step;                                                       \
            UBP_EW_LOOP(c, columns) high[c] = row[c] > high[c] ? row[c] : high[c];                 \
        }                                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float *row = x + i * step;                                                       \
            float *to = y + i * step;                                                              \
            UBP_EW_LOOP(c, columns) to[c] = EXP(row[c] - high[c]);                                 \
            UBP_EW_LOOP(c, columns) sum[c] += (double)to[c];                                       \
        }                                                                                          \
    }
#define SCALE_COLUMNS(name, T)                                                                     \
    static void name(T *y, const T *by, int64_t n, int64_t step, int64_t columns)                  \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++)                                                            \
            UBP_EW_LOOP(c, columns) y[i * step + c] *= by[c];                                      \
    }
UBP_WIDE_VARIANTS(EXP_COLUMNS, exp_columns, ubp_expf)
UBP_WIDE_VARIANTS(SCALE_COLUMNS, scale_columns, float)

void ubp_softmax_columns(const float *x, float *y, int64_t n, int64_t step, int64_t columns)
{
    float high[UBP_SOFT_COLUMNS];
    double sum[UBP_SOFT_COLUMNS];
    UBP_WIDE_CALL(exp_columns, x, y, n, step, columns, high, sum);
    for (int64_t c = 0; c < columns; c++)
        high[c] = (float)(1 / sum[c]);
    UBP_WIDE_CALL(scale_columns, y, high, n, step, columns);
}

void ubp_log_softmax_columns(const float *x, float *y, int64_t n, int64_t step, int64_t columns)
{
    float high[UBP_SOFT_COLUMNS];
    double sum[UBP_SOFT_COLUMNS];
    UBP_WIDE_CALL(exp_columns, x, y, n, step, columns, high, sum);
    for (int64_t c = 0; c < columns; c++)
        sum[c] = log(sum[c]);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < columns; c++)
            y[i * step + c] = (float)((double)x[i * step + c] - (double)high[c] - sum[c]);
}
