/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Element types: names and sizes, the corners of float16 and bfloat16, casts without undefined
 * behaviour. (Values in bulk are compared with NumPy's by compare_numpy.py.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

static void names_and_sizes(void **state)
{
    (void)state;
    static const struct {
        ub_dtype dtype;
        const char *name;
        size_t size;
    } all[] = {{UB_F32, "float32", 4},
               {UB_U8, "uint8", 1},
               {UB_I8, "int8", 1},
               {UB_U16, "uint16", 2},
               {UB_I16, "int16", 2},
               {UB_I32, "int32", 4},
               {UB_I64, "int64", 8},
               {UB_STRING, "string", 8},
               {UB_BOOL, "bool", 1},
               {UB_F16, "float16", 2},
               {UB_F64, "float64", 8},
               {UB_U32, "uint32", 4},
               {UB_U64, "uint64", 8},
               {UB_BF16, "bfloat16", 2},
               {UB_C64, "complex64", 0},
               {UB_C128, "complex128", 0},
               {UB_F8E4M3FN, "float8_e4m3fn", 1},
               {UB_F8E4M3FNUZ, "float8_e4m3fnuz", 1},
               {UB_F8E5M2, "float8_e5m2", 1},
               {UB_F8E5M2FNUZ, "float8_e5m2fnuz", 1},
               {UB_U4, "uint4", 1},
               {UB_I4, "int4", 1},
               {UB_F4E2M1, "float4_e2m1fn", 1},
               {UB_F8E8M0, "float8_e8m0fnu", 1},
               {UB_U2, "uint2", 1},
               {UB_I2, "int2", 1},
               {UB_F6E2M3, "float6_e2m3fn", 1},
               {UB_F6E3M2, "float6_e3m2fn", 1}};
    for (int i = 0; i < UBP_COUNT(all); i++) {
        assert_string_equal(ub_dtype_name(all[i].dtype), all[i].name);
        assert_int_equal(ub_dtype_size(all[i].dtype), all[i].size);
        assert_int_equal(ub_dtype_from_name(all[i].name), all[i].dtype);
    }
    static const int others[] = {-1, 0, 29, 1000};
    for (int i = 0; i < UBP_COUNT(others); i++) {
        assert_string_equal(ub_dtype_name((ub_dtype)others[i]), "undefined");
        assert_int_equal(ub_dtype_size((ub_dtype)others[i]), 0);
    }
    assert_int_equal(ub_dtype_from_name("float"), UB_UNDEFINED);
    assert_int_equal(ub_dtype_from_name("undefined"), UB_UNDEFINED);
    assert_int_equal(ub_dtype_from_name(""), UB_UNDEFINED);
    assert_int_equal(ub_dtype_from_name(NULL), UB_UNDEFINED);
}

/* Every finite binary16 is sign * significand * 2^(exponent - 25), IEEE 754 section 3.4. */
static void float16_is_binary16(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = ubp_f16_to_f32((uint16_t)h);
        int exponent = (int)(h >> 10) & 31, fraction = (int)(h & 1023);
        double want = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        if (exponent < 31)
            assert_true((double)f == (h & 0x8000 ? -want : want));
        else
            assert_true(fraction ? isnan(f) : isinf(f));
        assert_int_equal(ubp_f32_to_f16(f), h);
        assert_int_equal(signbit(f) != 0, h >> 15);
        if (!isnan(f))
            assert_int_equal(ubp_f64_to_f16((double)f), h);
    }
}

/* Between each two neighbours: the middle goes to the even one, anything beyond to the nearer. */
static void float16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint16_t h = 0; h < 0x7c00; h++) {
        double low = (double)ubp_f16_to_f32(h);
        double high = h == 0x7bff ? 65536.0 : (double)ubp_f16_to_f32((uint16_t)(h + 1));
        double middle = (low + high) / 2;
        uint16_t even = h % 2 ? (uint16_t)(h + 1) : h;
        assert_int_equal(ubp_f32_to_f16((float)middle), even);
        assert_int_equal(ubp_f32_to_f16(nextafterf((float)middle, INFINITY)), h + 1);
        assert_int_equal(ubp_f32_to_f16(nextafterf((float)middle, 0)), h);
        assert_int_equal(ubp_f64_to_f16(middle), even);
        /* Rounding to float32 on the way would lose these. */
        assert_int_equal(ubp_f64_to_f16(nextafter(middle, INFINITY)), h + 1);
        assert_int_equal(ubp_f64_to_f16(-nextafter(middle, 0)), h | 0x8000);
    }
    assert_int_equal(ubp_f64_to_f16(1e300), 0x7c00);
    assert_int_equal(ubp_f64_to_f16(-1e-300), 0x8000);
}

static void bfloat16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7f80; h++) {
        float low = ubp_bf16_to_f32((uint16_t)h);
        uint32_t bits = h << 16;
        assert_memory_equal(&low, &bits, sizeof(bits));
        assert_int_equal(ubp_f32_to_bf16(low), h);
        uint32_t middle_bits = bits | 0x8000;
        float middle;
        memcpy(&middle, &middle_bits, sizeof(middle));
        assert_int_equal(ubp_f32_to_bf16(middle), h + h % 2);
        assert_int_equal(ubp_f32_to_bf16(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(ubp_f32_to_bf16(nextafterf(middle, 0)), h);
    }
    assert_true(isnan(ubp_bf16_to_f32(ubp_f32_to_bf16(NAN))));
    uint32_t lowest_nan = 0x7f800001; /* cutting it off would make it infinity */
    float nan;
    memcpy(&nan, &lowest_nan, sizeof(nan));
    assert_true(isnan(ubp_bf16_to_f32(ubp_f32_to_bf16(nan))));
}

/* What ONNX packs into bytes, first element lowest; upper bits of a byte are not part of it. */
static void narrow_bytes(void **state)
{
    (void)state;
    static const uint8_t packed[] = {0xe1, 0x7f, 0x9c};
    uint8_t got[8];
    ubp_narrow_unpack(got, packed, UB_I4, 5);
    assert_memory_equal(got, ((const uint8_t[]){1, 0xfe, 0xff, 7, 0xfc}), 5);
    ubp_narrow_unpack(got, packed, UB_U4, 3);
    assert_memory_equal(got, ((const uint8_t[]){1, 14, 15}), 3);
    ubp_narrow_unpack(got, packed, UB_I2, 6);
    assert_memory_equal(got, ((const uint8_t[]){1, 0, 0xfe, 0xff, 0xff, 0xff}), 6);
    ubp_narrow_unpack(got, packed, UB_F6E2M3, 4);
    assert_memory_equal(got, ((const uint8_t[]){0x21, 0x3f, 0x07, 0x27}), 4);
    uint8_t odd = 0x3e;
    assert_int_equal(ubp_read_i64(&odd, UB_I4), -2);
    assert_int_equal(ubp_read_i64(&odd, UB_U4), 14);
    assert_int_equal(ubp_read_i64(&odd, UB_U2), 2);
    assert_true(ubp_read_f64(&odd, UB_F4E2M1) == -4.0);
}

/* ONNX's table for Cast with saturate = 1. */
static void narrow_saturates(void **state)
{
    (void)state;
    static const struct {
        ub_dtype dtype;
        float most;
    } all[] = {{UB_F8E4M3FN, 448.0f},
               {UB_F8E4M3FNUZ, 240.0f},
               {UB_F8E5M2, 57344.0f},
               {UB_F8E5M2FNUZ, 57344.0f},
               {UB_F4E2M1, 6.0f}};
    for (int i = 0; i < UBP_COUNT(all); i++) {
        const float high[] = {all[i].most, 1e6f, INFINITY};
        for (int k = 0; k < 3; k++) {
            const ub_dtype d = all[i].dtype;
            assert_true(ubp_narrow_to_f32(ubp_narrow_of_f32(high[k], d, true), d) == all[i].most);
            assert_true(ubp_narrow_to_f32(ubp_narrow_of_f32(-high[k], d, true), d) == -all[i].most);
        }
        if (all[i].dtype != UB_F4E2M1)
            assert_true(
                isnan(ubp_narrow_to_f32(ubp_narrow_of_f32(NAN, all[i].dtype, true), all[i].dtype)));
    }
}

static void one_element(void **state)
{
    (void)state;
    static const ub_dtype all[] = {UB_F32, UB_U8,  UB_I8,  UB_U16, UB_I16, UB_I32,
                                   UB_I64, UB_F16, UB_F64, UB_U32, UB_U64, UB_BF16};
    char place[16];
    for (int i = 0; i < UBP_COUNT(all); i++) {
        ubp_write_f64(place + 1, all[i], 101.0); /* not aligned */
        assert_true(ubp_read_f64(place + 1, all[i]) == 101.0);
        ubp_write_i64(place + 1, all[i], 77);
        assert_int_equal(ubp_read_i64(place + 1, all[i]), 77);
    }
    int64_t wide = (INT64_C(1) << 62) + 1;
    ubp_write_i64(place, UB_I64, wide);
    assert_int_equal(ubp_read_i64(place, UB_I64), wide);
    ubp_write_f64(place, UB_BOOL, 0.25);
    assert_int_equal(ubp_read_i64(place, UB_BOOL), 1);
    place[0] = 7; /* a bool from a file */
    assert_int_equal(ubp_read_i64(place, UB_BOOL), 1);
    assert_true(ubp_read_f64(place, UB_BOOL) == 1.0);
}

static void out_of_range_floats(void **state)
{
    (void)state;
    static const double odd[] = {NAN, INFINITY, -INFINITY, 1e300, -1e300};
    for (int i = 0; i < UBP_COUNT(odd); i++) {
        int32_t i32 = 0;
        int64_t i64 = 0;
        ubp_convert(&i32, UB_I32, &odd[i], UB_F64, 1);
        ubp_convert(&i64, UB_I64, &odd[i], UB_F64, 1);
        assert_int_equal(i32, INT32_MIN);
        assert_int_equal(i64, INT64_MIN);
    }
    double edge = -2147483648.9;
    int32_t cut = 0;
    ubp_convert(&cut, UB_I32, &edge, UB_F64, 1);
    assert_int_equal(cut, INT32_MIN);
    double large = 0x1p63 + 2048;
    uint64_t u64 = 0;
    ubp_convert(&u64, UB_U64, &large, UB_F64, 1);
    assert_true(u64 == (UINT64_C(1) << 63) + 2048);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_sizes),
        cmocka_unit_test(float16_is_binary16),
        cmocka_unit_test(float16_rounds_to_nearest_even),
        cmocka_unit_test(bfloat16_rounds_to_nearest_even),
        cmocka_unit_test(narrow_bytes),
        cmocka_unit_test(narrow_saturates),
        cmocka_unit_test(one_element),
        cmocka_unit_test(out_of_range_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
