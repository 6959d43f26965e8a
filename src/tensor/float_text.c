/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shortest decimal digits that name a binary float, by the free-format algorithm of Steele and
 * White (PLDI 1990) as refined by Burger and Dybvig (PLDI 1996): long division of exact integers,
 * with the distances to the neighbouring floats carried along. Where a cut ends it early the last
 * digit is rounded from the exact value, halves to even. NumPy prints by the same rules
 * (numpy/_core/src/multiarray/dragon4.c). No C library number formatting: no locale can show.
 */
#include "tensor/float_text.h"

#include <math.h>
#include <string.h>

/* ---- Natural numbers up to about 2^1280: enough for every float64 over its power of ten --------
 */

enum { BIG_WORDS = 40 };

typedef struct big {
    int n; /* words in use; the highest is not 0 */
    uint32_t word[BIG_WORDS];
} big;

static void big_set(big *b, uint64_t v)
{
    b->n = 0;
    for (; v; v >>= 32)
        b->word[b->n++] = (uint32_t)v;
}

static void big_multiply(big *b, uint32_t factor)
{
    uint64_t carry = 0;
    for (int i = 0; i < b->n; i++) {
        carry += (uint64_t)b->word[i] * factor;
        b->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry && b->n < BIG_WORDS)
        b->word[b->n++] = (uint32_t)carry;
}

static void big_shift(big *b, int bits)
{
    for (; bits >= 31; bits -= 31)
        big_multiply(b, (uint32_t)1 << 31);
    big_multiply(b, (uint32_t)1 << bits);
}

static void big_times_power_of_ten(big *b, int power)
{
    for (; power >= 9; power -= 9)
        big_multiply(b, 1000000000u);
    for (; power > 0; power--)
        big_multiply(b, 10);
}

static int big_compare(const big *a, const big *b)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    for (int i = a->n - 1; i >= 0; i--)
        if (a->word[i] != b->word[i])
            return a->word[i] < b->word[i] ? -1 : 1;
    return 0;
}

/* a + b against c. */
static int big_compare_sum(const big *a, const big *b, const big *c)
{
    big sum;
    uint64_t carry = 0;
    int longer = a->n > b->n ? a->n : b->n;
    for (int i = 0; i < longer; i++) {
        carry += (uint64_t)(i < a->n ? a->word[i] : 0) + (i < b->n ? b->word[i] : 0);
        sum.word[i] = (uint32_t)carry;
        carry >>= 32;
    }
    sum.n = longer;
    if (carry && sum.n < BIG_WORDS)
        sum.word[sum.n++] = (uint32_t)carry;
    return big_compare(&sum, c);
}

/* a -= b; a >= b. */
static void big_subtract(big *a, const big *b)
{
    int64_t borrow = 0;
    for (int i = 0; i < a->n; i++) {
        borrow += (int64_t)a->word[i] - (i < b->n ? b->word[i] : 0);
        a->word[i] = (uint32_t)borrow;
        borrow >>= 32;
    }
    while (a->n > 0 && a->word[a->n - 1] == 0)
        a->n--;
}

/* ---- Digits -----------------------------------------------------------------------------------
 */

/* The value is rest / scale; its neighbours are low / scale below and high / scale above, halved:
 * what lies nearer than that reads back as this value. */
typedef struct division {
    big rest, scale, low, high;
    bool even; /* the edges themselves read back as this value too */
} division;

static void multiply_value(division *d, uint32_t factor)
{
    big_multiply(&d->rest, factor);
    big_multiply(&d->low, factor);
    big_multiply(&d->high, factor);
}

/* Returns e with 10^e <= v < 10^(e+1), and leaves v / 10^e in d. v > 0. */
static int divide_by_power_of_ten(division *d, double v, ub_dtype dtype)
{
    int precision = dtype == UB_F16 ? 11 : dtype == UB_F32 ? 24 : 53;
    int lowest = dtype == UB_F16 ? -24 : dtype == UB_F32 ? -149 : -1074;
    int binary = 0;
    (void)frexp(v, &binary);
    int last_bit = binary - precision > lowest ? binary - precision : lowest;
    uint64_t mantissa = (uint64_t)ldexp(v, -last_bit);
    /* At a power of two the floats below lie twice as close. */
    bool closer = mantissa == (uint64_t)1 << (precision - 1) && last_bit > lowest;
    d->even = mantissa % 2 == 0;
    big_set(&d->rest, mantissa);
    big_shift(&d->rest, closer ? 2 : 1);
    big_set(&d->scale, closer ? 4 : 2);
    big_set(&d->low, 1);
    big_set(&d->high, closer ? 2 : 1);
    if (last_bit < 0) {
        big_shift(&d->scale, -last_bit);
    } else {
        big_shift(&d->rest, last_bit);
        big_shift(&d->low, last_bit);
        big_shift(&d->high, last_bit);
    }
    /* At most one too low: 2^(binary-1) <= v. */
    int ten = (int)floor((binary - 1) * 0.30102999566398119521 - 1e-9);
    if (ten > 0) {
        big_times_power_of_ten(&d->scale, ten);
    } else {
        big_times_power_of_ten(&d->rest, -ten);
        big_times_power_of_ten(&d->low, -ten);
        big_times_power_of_ten(&d->high, -ten);
    }
    big next = d->scale;
    big_multiply(&next, 10);
    if (big_compare(&d->rest, &next) >= 0) {
        d->scale = next;
        ten++;
    }
    return ten;
}

static int next_digit(division *d)
{
    int digit = 0;
    for (; big_compare(&d->rest, &d->scale) >= 0; digit++)
        big_subtract(&d->rest, &d->scale);
    return digit;
}

/* Adds one to the last digit. */
static void round_up(ubp_decimal *out)
{
    while (out->count > 0 && out->digits[out->count - 1] == '9')
        out->count--;
    if (out->count > 0) {
        out->digits[out->count - 1]++;
        return;
    }
    out->digits[out->count++] = '1';
    out->exponent++;
}

static void generate_digits(ubp_decimal *out, division *d, ubp_cut cut)
{
    int last = cut.max < 0 ? UBP_DECIMAL_DIGITS : cut.max + (cut.fraction ? out->exponent + 1 : 0);
    if (last > UBP_DECIMAL_DIGITS)
        last = UBP_DECIMAL_DIGITS;
    for (;;) {
        int digit = next_digit(d);
        out->digits[out->count++] = (char)('0' + digit);
        int to_low = big_compare(&d->rest, &d->low);
        int to_high = big_compare_sum(&d->rest, &d->high, &d->scale);
        bool down = d->even ? to_low <= 0 : to_low < 0; /* these digits read back as v */
        bool up = d->even ? to_high >= 0 : to_high > 0; /* the last one raised does */
        if (((down || up) && out->count >= cut.min) || out->count >= last) {
            if (down == up) {
                int half = big_compare_sum(&d->rest, &d->rest, &d->scale);
                down = half < 0 || (half == 0 && digit % 2 == 0);
            }
            if (!down)
                round_up(out);
            return;
        }
        multiply_value(d, 10);
    }
}

void ubp_decimal_of(ubp_decimal *out, double v, ub_dtype dtype, ubp_cut cut)
{
    out->negative = signbit(v) != 0;
    out->exponent = 0;
    out->count = 0;
    if (v != 0) {
        division d;
        out->exponent = divide_by_power_of_ten(&d, fabs(v), dtype);
        generate_digits(out, &d, cut);
        while (out->count > 1 && out->digits[out->count - 1] == '0')
            out->count--;
    } else {
        out->digits[out->count++] = '0';
    }
}
