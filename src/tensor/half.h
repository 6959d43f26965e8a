/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bodies of the float16 and bfloat16 conversions, for loops that want them inlined
 * (dtype_convert.c). Everybody else calls the functions of half.c.
 */
#ifndef UBP_HALF_H
#define UBP_HALF_H

#include "tensor/tensor.h"

#include <string.h>

static inline uint32_t ubp_f32_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return bits;
}

static inline float ubp_f32_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static inline float ubp_half_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t rest = h & 0x7fffu;
    uint32_t normal = (rest << 13) + (112u << 23);                 /* exponent bias 15 to 127 */
    uint32_t special = normal + (112u << 23);                      /* infinity and NaN */
    uint32_t tiny = ubp_f32_bits((float)(int32_t)rest * 0x1p-24f); /* subnormals and zero */
    uint32_t bits = rest < 0x400u ? tiny : rest >= 0x7c00u ? special : normal;
    return ubp_f32_of_bits(bits | sign);
}

static inline uint16_t ubp_half_f32_to_f16(float f)
{
    uint32_t bits = ubp_f32_bits(f);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t rest = bits & 0x7fffffffu;
    /* Adding 0.5 puts the last bit of a subnormal half (2^-24) at the end of the significand, so
     * the adder does the rounding. */
    uint32_t tiny = ubp_f32_bits(ubp_f32_of_bits(rest) + 0.5f) - 0x3f000000u;
    uint32_t normal = (rest - (112u << 23) + 0xfffu + ((rest >> 13) & 1u)) >> 13;
    uint32_t payload = (rest >> 13) & 0x3ffu;
    uint32_t nan = 0x7c00u | (payload ? payload : 1u);
    uint32_t half = rest < 0x38800000u    ? tiny /* below 2^-14 */
                    : rest > 0x7f800000u  ? nan
                    : rest >= 0x477ff000u ? 0x7c00u /* 65520 and more round to infinity */
                                          : normal;
    return (uint16_t)(half | sign);
}

static inline uint16_t ubp_half_f64_to_f16(double d)
{
    uint64_t bits, sum;
    memcpy(&bits, &d, sizeof(bits));
    uint64_t sign = (bits >> 48) & 0x8000u;
    uint64_t rest = bits & 0x7fffffffffffffffu;
    double magic; /* |d| + 2^28: its last bit is 2^-24, see above */
    memcpy(&magic, &rest, sizeof(magic));
    magic += 0x1p28;
    memcpy(&sum, &magic, sizeof(sum));
    uint64_t tiny = sum - 0x41b0000000000000u;
    uint64_t normal =
        (rest - ((uint64_t)1008 << 52) + ((uint64_t)1 << 41) - 1 + ((rest >> 42) & 1u)) >> 42;
    uint64_t payload = (rest >> 42) & 0x3ffu;
    uint64_t nan = 0x7c00u | (payload ? payload : 1u);
    uint64_t half = rest < 0x3f10000000000000u    ? tiny
                    : rest > 0x7ff0000000000000u  ? nan
                    : rest >= 0x40effe0000000000u ? 0x7c00u
                                                  : normal;
    return (uint16_t)(half | sign);
}

static inline float ubp_half_bf16_to_f32(uint16_t h)
{
    return ubp_f32_of_bits((uint32_t)h << 16);
}

static inline uint16_t ubp_half_f32_to_bf16(float f)
{
    uint32_t bits = ubp_f32_bits(f);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    uint32_t nan = 0x7fc0u | ((bits >> 16) & 0x8000u);
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

#endif
