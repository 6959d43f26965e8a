/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Element types: their sizes and names, and reading or writing one element of any type. Addresses
 * need not be aligned. Numbers of types are those of ONNX's TensorProto.DataType.
 */
#include "tensor/tensor.h"

#include <string.h>

static const struct {
    const char *name;
    size_t size;
    int bits; /* where they are fewer than the byte's */
} types[] = {
    [UB_UNDEFINED] = {"undefined", 0, 0},
    [UB_F32] = {"float32", 4, 0},
    [UB_U8] = {"uint8", 1, 0},
    [UB_I8] = {"int8", 1, 0},
    [UB_U16] = {"uint16", 2, 0},
    [UB_I16] = {"int16", 2, 0},
    [UB_I32] = {"int32", 4, 0},
    [UB_I64] = {"int64", 8, 0},
    [UB_STRING] = {"string", sizeof(char *), 0},
    [UB_BOOL] = {"bool", 1, 0},
    [UB_F16] = {"float16", 2, 0},
    [UB_F64] = {"float64", 8, 0},
    [UB_U32] = {"uint32", 4, 0},
    [UB_U64] = {"uint64", 8, 0},
    [UB_C64] = {"complex64", 0, 0},
    [UB_C128] = {"complex128", 0, 0},
    [UB_BF16] = {"bfloat16", 2, 0},
    [UB_F8E4M3FN] = {"float8_e4m3fn", 1, 0},
    [UB_F8E4M3FNUZ] = {"float8_e4m3fnuz", 1, 0},
    [UB_F8E5M2] = {"float8_e5m2", 1, 0},
    [UB_F8E5M2FNUZ] = {"float8_e5m2fnuz", 1, 0},
    [UB_U4] = {"uint4", 1, 4},
    [UB_I4] = {"int4", 1, 4},
    [UB_F4E2M1] = {"float4_e2m1fn", 1, 4},
    [UB_F8E8M0] = {"float8_e8m0fnu", 1, 0},
    [UB_U2] = {"uint2", 1, 2},
    [UB_I2] = {"int2", 1, 2},
    [UB_F6E2M3] = {"float6_e2m3fn", 1, 6},
    [UB_F6E3M2] = {"float6_e3m2fn", 1, 6},
};

static bool known(ub_dtype dtype)
{
    return (unsigned)dtype < (unsigned)UBP_COUNT(types) && types[dtype].name;
}

size_t ub_dtype_size(ub_dtype dtype)
{
    return known(dtype) ? types[dtype].size : 0;
}

const char *ub_dtype_name(ub_dtype dtype)
{
    return known(dtype) ? types[dtype].name : types[UB_UNDEFINED].name;
}

ub_dtype ub_dtype_from_name(const char *name)
{
    for (int i = 1; name && i < UBP_COUNT(types); i++)
        if (types[i].name && strcmp(types[i].name, name) == 0)
            return (ub_dtype)i;
    return UB_UNDEFINED;
}

int ubp_dtype_bits(ub_dtype dtype)
{
    if (!known(dtype) || dtype == UB_STRING)
        return 0;
    return types[dtype].bits ? types[dtype].bits : (int)types[dtype].size * 8;
}

double ubp_read_f64(const void *p, ub_dtype dtype)
{
    double v = 0;
    ubp_convert(&v, UB_F64, p, dtype, 1);
    return v;
}

int64_t ubp_read_i64(const void *p, ub_dtype dtype)
{
    int64_t v = 0;
    ubp_convert(&v, UB_I64, p, dtype, 1);
    return v;
}

void ubp_write_f64(void *p, ub_dtype dtype, double v)
{
    ubp_convert(p, dtype, &v, UB_F64, 1);
}

void ubp_write_i64(void *p, ub_dtype dtype, int64_t v)
{
    ubp_convert(p, dtype, &v, UB_I64, 1);
}
