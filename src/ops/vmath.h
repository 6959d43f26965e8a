/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmath: exp, expm1, erf, tanh and the logistic function of a float32, written without branches so
 * that the compiler can do eight or more at a time. Same operations for every element, so the same
 * bits wherever an element lies. Within 2 units in the last place of the true value
 * (tests/ops/test_vmath.c tries every exponent).
 *
 * Polynomials are minimax fits, coefficients rounded to float32 one after another. Their steps are
 * fused multiply-adds, which round once: an instruction in the variants of wide.h, a call of the C
 * library's fmaf() on processors without one, the same bits there but slow.
 */
#ifndef UBP_VMATH_H
#define UBP_VMATH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t ubp_float_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float ubp_bits_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float ubp_absf(float x)
{
    return ubp_bits_float(ubp_float_bits(x) & 0x7fffffffu);
}

/* |x| with the sign of s; x is not negative. */
static inline float ubp_with_sign(float x, float s)
{
    return ubp_bits_float(ubp_float_bits(x) | (ubp_float_bits(s) & 0x80000000u));
}

/* a b + c, rounded once. */
static inline float ubp_fmaf(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}

/* x = n ln 2 + r, |r| <= ln 2 / 2: gives n and e^r - 1. */
static inline float ubp_exp_reduce(float x, uint32_t *n)
{
    /* Adding 1.5 * 2^23 rounds to the nearest integer, which is then in the low bits. */
    const float magic = 12582912.0f;
    float t = ubp_fmaf(x, 0x1.715476p+0f, magic);
    *n = ubp_float_bits(t) - 0x4b400000u;
    t -= magic;
    /* ln 2 in two parts: the first has so few bits that t times it is exact. */
    float r = ubp_fmaf(-t, 0x1.62e4p-1f, x);
    r = ubp_fmaf(-t, 0x1.7f7d1cp-20f, r);
    float p = 0x1.6a4f72p-10f;
    p = ubp_fmaf(p, r, 0x1.12398p-7f);
    p = ubp_fmaf(p, r, 0x1.5558aep-5f);
    p = ubp_fmaf(p, r, 0x1.555492p-3f);
    p = ubp_fmaf(p, r, 0x1.fffffcp-2f);
    return ubp_fmaf(r * r, p, r);
}

/* 2^n for an n of -126 to 127, as two's complement. */
static inline float ubp_pow2(uint32_t n)
{
    return ubp_bits_float((n + 127u) << 23);
}

static inline float ubp_expf(float x)
{
    uint32_t n;
    /* Outside of this all is 0 or infinite anyway; a NaN stays. What is far below (masks are) is
     * put aside: numbers under 2^-126 take processors a hundred times as long. */
    const bool nothing = x < -104.0f;
    x = x > 89.0f ? 89.0f : x;
    x = nothing ? 0 : x;
    float p = 1.0f + ubp_exp_reduce(x, &n);
    /* In two steps: 2^n may be out of range where e^x is not. */
    uint32_t half = (uint32_t)((int32_t)n >> 1);
    p = p * ubp_pow2(half) * ubp_pow2(n - half);
    return nothing ? 0 : p;
}

/* e^x for |x| <= 80 (and a NaN). */
static inline float ubp_expf_near(float x)
{
    uint32_t n;
    float p = 1.0f + ubp_exp_reduce(x, &n);
    return p * ubp_pow2(n);
}

/* e^x - 1 for x <= 0 (and a NaN). */
static inline float ubp_expm1f_negative(float x)
{
    uint32_t n;
    x = x < -30.0f ? -30.0f : x;
    float p = ubp_exp_reduce(x, &n), s = ubp_pow2(n);
    return ubp_fmaf(s, p, s - 1.0f);
}

/* 1 / (1 + e^-x). A NaN stays the one it is: x * f(x) then has the same bits either way round. */
static inline float ubp_sigmoidf(float x)
{
    float e = ubp_expf(-ubp_absf(x));
    float y = (x < 0 ? e : 1.0f) / (1.0f + e);
    return x != x ? x : y;
}

static inline float ubp_tanhf(float x)
{
    float a = ubp_absf(x), u = x * x;
    float e = ubp_expf_near(2.0f * (a > 10.0f ? 10.0f : a));
    float large = 1.0f - 2.0f / (e + 1.0f);
    float p = 0x1.1a2e3ep-9f;
    p = ubp_fmaf(p, u, -0x1.0c602p-7f);
    p = ubp_fmaf(p, u, 0x1.63a57ep-6f);
    p = ubp_fmaf(p, u, -0x1.b9f18ap-5f);
    p = ubp_fmaf(p, u, 0x1.11107ap-3f);
    p = ubp_fmaf(p, u, -0x1.555554p-2f);
    float small = ubp_fmaf(a, u * p, a);
    return ubp_with_sign(a < 0.625f ? small : large, x);
}

/* x + x P(x^2) below 1; above, 1 - erfc with erfc(x) = exp(-Q(x - 1)). A NaN stays the one it is.
 */
static inline float ubp_erff(float x)
{
    float a = ubp_absf(x), u = x * x;
    float p = 0x1.4771fcp-14f;
    p = ubp_fmaf(p, u, -0x1.a3515ep-11f);
    p = ubp_fmaf(p, u, 0x1.53f224p-8f);
    p = ubp_fmaf(p, u, -0x1.b7f71ap-6f);
    p = ubp_fmaf(p, u, 0x1.ce2ce6p-4f);
    p = ubp_fmaf(p, u, -0x1.81273ep-2f);
    p = ubp_fmaf(p, u, 0x1.06eba8p-3f);
    float small = ubp_fmaf(x, p, x);
    /* From 4 on the result is 1. */
    float t = (a > 4.0f ? 4.0f : a) - 1.0f;
    float q = -0x1.5974dcp-14f;
    q = ubp_fmaf(q, t, 0x1.7dd2ecp-10f);
    q = ubp_fmaf(q, t, -0x1.34e766p-7f);
    q = ubp_fmaf(q, t, 0x1.51efa8p-5f);
    q = ubp_fmaf(q, t, 0x1.afb474p-1f);
    q = ubp_fmaf(q, t, 0x1.51c988p+1f);
    q = ubp_fmaf(q, t, 0x1.d97fcp+0f);
    float large = 1.0f - ubp_expf_near(-q);
    float y = a < 1.0f ? small : ubp_with_sign(large, x);
    return x != x ? x : y;
}

#endif
