/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floats of eight, six and four bits, and integers of four and two: to and from float32, and out of
 * their packed form in files. Rounding is to nearest even; the corners (overflow, NaN) are those of
 * ml_dtypes. Elements take a byte each; what a byte's upper bits hold, as a hostile file or caller
 * may have it, is not looked at.
 */
#include "tensor/half.h"

/* A format of sign, exponent and fraction. Magnitudes are codes without the sign. */
typedef struct layout {
    int exponent, fraction, bias; /* bits, bits, of the exponent */
    uint8_t largest;              /* code of the largest finite magnitude */
    int infinity;                 /* code, -1: none */
    int nan;                      /* code, the sign apart; -1: none */
    bool fnuz;                    /* one zero, and one NaN where -0 would be */
} layout;

static const layout layouts[] = {
    [UB_F8E4M3FN] = {4, 3, 7, 0x7e, -1, 0x7f, false},
    [UB_F8E4M3FNUZ] = {4, 3, 8, 0x7f, -1, 0x80, true},
    [UB_F8E5M2] = {5, 2, 15, 0x7b, 0x7c, 0x7e, false},
    [UB_F8E5M2FNUZ] = {5, 2, 16, 0x7f, -1, 0x80, true},
    [UB_F4E2M1] = {2, 1, 1, 0x07, -1, -1, false},
    [UB_F6E2M3] = {2, 3, 1, 0x1f, -1, -1, false},
    [UB_F6E3M2] = {3, 2, 3, 0x1f, -1, -1, false},
};

/* 2^exponent, which must be that of a normal float32. */
static float power_of_two(int exponent)
{
    return ubp_f32_of_bits((uint32_t)(exponent + 127) << 23);
}

/* ---- float8_e8m0fnu: 2^(code - 127), and NaN ------------------------------------------------- */

static float e8m0_to_f32(uint8_t code)
{
    if (code == 0xff)
        return ubp_f32_of_bits(0x7fc00000u);
    return ubp_f32_of_bits(code ? (uint32_t)code << 23 : 0x00400000u);
}

/* Zero, negative numbers and infinity have no place: NaN, as ml_dtypes. */
static uint8_t e8m0_of_f32(float f, bool saturate)
{
    uint32_t bits = ubp_f32_bits(f);
    if (!(f > 0) || bits > 0x7f800000u)
        return 0xff;
    if (bits < 0x00800000u) /* subnormal: 2^-127 is 0x00400000, 2^-126 the first normal */
        return bits >= 0x00600000u ? 1 : 0;
    uint32_t code = (bits + 0x00400000u) >> 23; /* the middle goes up */
    return code >= 0xff ? (saturate ? 0xfe : 0xff) : (uint8_t)code;
}

/* ---- The others ------------------------------------------------------------------------------ */

float ubp_narrow_to_f32(uint8_t bits, ub_dtype dtype)
{
    if (dtype == UB_F8E8M0)
        return e8m0_to_f32(bits);
    const layout *l = &layouts[dtype];
    const int sign_at = l->exponent + l->fraction;
    const bool negative = (bits >> sign_at) & 1;
    const int code = bits & ((1 << sign_at) - 1);
    const int fraction = code & ((1 << l->fraction) - 1), exponent = code >> l->fraction;
    if (l->fnuz && negative && code == 0)
        return ubp_f32_of_bits(0xffc00000u);
    const uint32_t sign = negative ? 0x80000000u : 0;
    if (code > l->largest)
        return ubp_f32_of_bits(sign | (code == l->infinity ? 0x7f800000u : 0x7fc00000u));
    const int whole = exponent ? fraction | 1 << l->fraction : fraction;
    const int scale = (exponent ? exponent : 1) - l->bias - l->fraction;
    return ubp_f32_of_bits(ubp_f32_bits((float)whole * power_of_two(scale)) | sign);
}

/* Code of a finite magnitude, which may be past the largest one. */
static uint32_t round_magnitude(const layout *l, uint32_t rest)
{
    const int least = 1 - l->bias; /* exponent of the smallest normal number */
    const int cut = 23 - l->fraction;
    if (rest < (uint32_t)(least + 127) << 23) {
        /* The sum's last bit is that of a subnormal, so the adder does the rounding. */
        const float magic = power_of_two(least - l->fraction + 23);
        return ubp_f32_bits(ubp_f32_of_bits(rest) + magic) - ubp_f32_bits(magic);
    }
    const uint32_t rebased = rest - ((uint32_t)(127 - l->bias) << 23);
    return (rebased + (1u << (cut - 1)) - 1 + ((rest >> cut) & 1u)) >> cut;
}

uint8_t ubp_narrow_of_f32(float f, ub_dtype dtype, bool saturate)
{
    if (dtype == UB_F8E8M0)
        return e8m0_of_f32(f, saturate);
    const layout *l = &layouts[dtype];
    const uint32_t bits = ubp_f32_bits(f), rest = bits & 0x7fffffffu;
    const uint32_t sign = (bits >> 31) << (l->exponent + l->fraction);
    if (rest > 0x7f800000u) {
        if (l->nan < 0) /* ml_dtypes gives a zero of the other sign */
            return (uint8_t)(sign ^ 1u << (l->exponent + l->fraction));
        return (uint8_t)(l->fnuz ? (uint32_t)l->nan : (uint32_t)l->nan | sign);
    }
    uint32_t code = rest == 0x7f800000u ? UINT32_MAX : round_magnitude(l, rest);
    if (code > l->largest) {
        if (saturate || l->nan < 0)
            code = l->largest;
        else if (l->fnuz)
            return (uint8_t)l->nan;
        else
            code = (uint32_t)(l->infinity >= 0 ? l->infinity : l->nan);
    }
    return (uint8_t)(l->fnuz && code == 0 ? 0 : code | sign);
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

uint8_t ubp_narrow_clean(uint8_t bits, ub_dtype dtype)
{
    const int width = ubp_dtype_bits(dtype);
    uint8_t low = (uint8_t)(bits & ((1u << width) - 1));
    const bool has_sign = dtype == UB_I4 || dtype == UB_I2;
    if (has_sign && low >> (width - 1))
        low = (uint8_t)(low | (0xffu << width));
    return low;
}

void ubp_narrow_unpack(uint8_t *dst, const uint8_t *src, ub_dtype dtype, int64_t n)
{
    const int width = ubp_dtype_bits(dtype);
    unsigned held = 0; /* bits not used yet, the next in the lowest place */
    int count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (count < width) {
            held |= (unsigned)*src++ << count;
            count += 8;
        }
        dst[i] = ubp_narrow_clean((uint8_t)held, dtype);
        held >>= width;
        count -= width;
    }
}
