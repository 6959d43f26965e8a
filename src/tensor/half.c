/* SPDX-License-Identifier: Apache-2.0 */
/*
 * float16 (IEEE 754 binary16) and bfloat16 (the upper half of a binary32): conversions to and from
 * float32 and float64, round to nearest even, without branches so that loops over them vectorise.
 * NaN stays NaN with its sign: binary16 keeps the upper bits of the payload as NumPy does, bfloat16
 * gives the quiet NaN 0x7fc0 as ml_dtypes and PyTorch do.
 */
#include "tensor/half.h"

float ubp_f16_to_f32(uint16_t h)
{
    return ubp_half_f16_to_f32(h);
}

uint16_t ubp_f32_to_f16(float f)
{
    return ubp_half_f32_to_f16(f);
}

uint16_t ubp_f64_to_f16(double d)
{
    return ubp_half_f64_to_f16(d);
}

float ubp_bf16_to_f32(uint16_t h)
{
    return ubp_half_bf16_to_f32(h);
}

uint16_t ubp_f32_to_bf16(float f)
{
    return ubp_half_f32_to_bf16(f);
}
