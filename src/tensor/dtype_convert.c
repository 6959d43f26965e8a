/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs of elements from one type to another, as NumPy's astype does on x86-64: floats to integers
 * truncate; what does not fit becomes what the machine's conversion gives (the smallest int32 or
 * int64, then cut to the width), computed here without undefined behaviour and so the same on every
 * machine. Integers wrap. Anything to bool is != 0. Neither address need be aligned.
 */
#include "tensor/half.h"

/* Elements at any address, of any effective type. */
#define ANYWHERE __attribute__((aligned(1), may_alias))
typedef float f32_at ANYWHERE;
typedef double f64_at ANYWHERE;
typedef int8_t i8_at ANYWHERE;
typedef int16_t i16_at ANYWHERE;
typedef int32_t i32_at ANYWHERE;
typedef int64_t i64_at ANYWHERE;
typedef uint8_t u8_at ANYWHERE;
typedef uint16_t u16_at ANYWHERE;
typedef uint32_t u32_at ANYWHERE;
typedef uint64_t u64_at ANYWHERE;

static inline int32_t to_i32(double x)
{
    return x > -2147483649.0 && x < 2147483648.0 ? (int32_t)x : INT32_MIN;
}

static inline int64_t to_i64(double x)
{
    return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN;
}

static inline uint64_t to_u64(double x)
{
    if (x >= 0x1p63)
        return (uint64_t)to_i64(x - 0x1p63) ^ ((uint64_t)1 << 63);
    return (uint64_t)to_i64(x);
}

#define LOOP(type, expression)                                                                     \
    {                                                                                              \
        type *d = dst;                                                                             \
        for (int64_t i = 0; i < n; i++)                                                            \
            d[i] = (type)(expression);                                                             \
        break;                                                                                     \
    }

/* One function per source type; the switch is over the types that have arithmetic of their own. */
#define FROM_INTEGER(name, source)                                                                 \
    static void name(void *dst, ub_dtype type, const source *s, int64_t n)                         \
    {                                                                                              \
        switch (type) {                                                                            \
        case UB_F32:                                                                               \
            LOOP(f32_at, (float)s[i])                                                              \
        case UB_F64:                                                                               \
            LOOP(f64_at, (double)s[i])                                                             \
        case UB_I8:                                                                                \
            LOOP(i8_at, (int8_t)s[i])                                                              \
        case UB_I16:                                                                               \
            LOOP(i16_at, (int16_t)s[i])                                                            \
        case UB_I32:                                                                               \
            LOOP(i32_at, (int32_t)s[i])                                                            \
        case UB_I64:                                                                               \
            LOOP(i64_at, (int64_t)s[i])                                                            \
        case UB_U8:                                                                                \
            LOOP(u8_at, (uint8_t)s[i])                                                             \
        case UB_U16:                                                                               \
            LOOP(u16_at, (uint16_t)s[i])                                                           \
        case UB_U32:                                                                               \
            LOOP(u32_at, (uint32_t)s[i])                                                           \
        case UB_U64:                                                                               \
            LOOP(u64_at, (uint64_t)s[i])                                                           \
        case UB_BOOL:                                                                              \
            LOOP(u8_at, s[i] != 0)                                                                 \
        default:                                                                                   \
            break;                                                                                 \
        }                                                                                          \
    }

#define FROM_FLOAT(name, source)                                                                   \
    static void name(void *dst, ub_dtype type, const source *s, int64_t n)                         \
    {                                                                                              \
        switch (type) {                                                                            \
        case UB_F32:                                                                               \
            LOOP(f32_at, (float)s[i])                                                              \
        case UB_F64:                                                                               \
            LOOP(f64_at, (double)s[i])                                                             \
        case UB_I8:                                                                                \
            LOOP(i8_at, (int8_t)to_i32(s[i]))                                                      \
        case UB_I16:                                                                               \
            LOOP(i16_at, (int16_t)to_i32(s[i]))                                                    \
        case UB_I32:                                                                               \
            LOOP(i32_at, to_i32(s[i]))                                                             \
        case UB_I64:                                                                               \
            LOOP(i64_at, to_i64(s[i]))                                                             \
        case UB_U8:                                                                                \
            LOOP(u8_at, (uint8_t)to_i32(s[i]))                                                     \
        case UB_U16:                                                                               \
            LOOP(u16_at, (uint16_t)to_i32(s[i]))                                                   \
        case UB_U32:                                                                               \
            LOOP(u32_at, (uint32_t)to_i64(s[i]))                                                   \
        case UB_U64:                                                                               \
            LOOP(u64_at, to_u64(s[i]))                                                             \
        case UB_BOOL:                                                                              \
            LOOP(u8_at, s[i] != 0)                                                                 \
        default:                                                                                   \
            break;                                                                                 \
        }                                                                                          \
    }

FROM_FLOAT(from_f32, f32_at)
FROM_FLOAT(from_f64, f64_at)
FROM_INTEGER(from_i8, i8_at)
FROM_INTEGER(from_i16, i16_at)
FROM_INTEGER(from_i32, i32_at)
FROM_INTEGER(from_i64, i64_at)
FROM_INTEGER(from_u8, u8_at)
FROM_INTEGER(from_u16, u16_at)
FROM_INTEGER(from_u32, u32_at)
FROM_INTEGER(from_u64, u64_at)

/* A byte other than 0 and 1, as a file may hold, counts as true. */
static void from_bool(void *dst, ub_dtype type, const u8_at *s, int64_t n)
{
    uint8_t block[512];
    size_t size = ub_dtype_size(type);
    for (int64_t done = 0; done < n; done += (int64_t)sizeof(block)) {
        int64_t part = n - done < (int64_t)sizeof(block) ? n - done : (int64_t)sizeof(block);
        from_u8(block, UB_BOOL, s + done, part);
        from_u8((char *)dst + done * (int64_t)size, type, block, part);
    }
}

/* Between the types with arithmetic of their own (the carriers below, float64, bool and the other
 * integers). */
static void convert_native(void *dst, ub_dtype dst_type, const void *src, ub_dtype src_type,
                           int64_t n)
{
    switch (src_type) {
    case UB_F32:
        from_f32(dst, dst_type, src, n);
        break;
    case UB_F64:
        from_f64(dst, dst_type, src, n);
        break;
    case UB_I8:
        from_i8(dst, dst_type, src, n);
        break;
    case UB_I16:
        from_i16(dst, dst_type, src, n);
        break;
    case UB_I32:
        from_i32(dst, dst_type, src, n);
        break;
    case UB_I64:
        from_i64(dst, dst_type, src, n);
        break;
    case UB_U8:
        from_u8(dst, dst_type, src, n);
        break;
    case UB_U16:
        from_u16(dst, dst_type, src, n);
        break;
    case UB_U32:
        from_u32(dst, dst_type, src, n);
        break;
    case UB_U64:
        from_u64(dst, dst_type, src, n);
        break;
    case UB_BOOL:
        from_bool(dst, dst_type, src, n);
        break;
    default:
        break;
    }
}

/* ---- Types that are only kept: they pass through float32 or int32 ------------------------------
 */

/* The type with arithmetic that stands for a kept one; the type itself otherwise. */
static ub_dtype carrier(ub_dtype d)
{
    if (d == UB_F16 || d == UB_BF16 || ubp_is_narrow_float(d))
        return UB_F32;
    return ubp_is_narrow_integer(d) ? UB_I32 : d;
}

/* n elements to their carrier. */
static void widen(void *dst, const void *src, ub_dtype type, int64_t n)
{
    const u16_at *halves = src;
    const uint8_t *bytes = src;
    float *f = dst;
    int32_t *integers = dst;
    if (type == UB_F16)
        for (int64_t i = 0; i < n; i++)
            f[i] = ubp_half_f16_to_f32(halves[i]);
    else if (type == UB_BF16)
        for (int64_t i = 0; i < n; i++)
            f[i] = ubp_half_bf16_to_f32(halves[i]);
    else if (ubp_is_narrow_float(type))
        for (int64_t i = 0; i < n; i++)
            f[i] = ubp_narrow_to_f32(bytes[i], type);
    else
        for (int64_t i = 0; i < n; i++) {
            uint8_t byte = ubp_narrow_clean(bytes[i], type);
            bool has_sign = type == UB_I4 || type == UB_I2;
            integers[i] = has_sign ? (int8_t)byte : byte;
        }
}

/* n elements from their carrier. */
static void narrow(void *dst, ub_dtype type, const void *src, int64_t n)
{
    u16_at *halves = dst;
    uint8_t *bytes = dst;
    const float *f = src;
    const int32_t *integers = src;
    if (type == UB_F16)
        for (int64_t i = 0; i < n; i++)
            halves[i] = ubp_half_f32_to_f16(f[i]);
    else if (type == UB_BF16)
        for (int64_t i = 0; i < n; i++)
            halves[i] = ubp_half_f32_to_bf16(f[i]);
    else if (ubp_is_narrow_float(type))
        for (int64_t i = 0; i < n; i++)
            bytes[i] = ubp_narrow_of_f32(f[i], type, false);
    else
        for (int64_t i = 0; i < n; i++)
            bytes[i] = ubp_narrow_clean((uint8_t)integers[i], type);
}

/* Block by block. Through float32 is exact for float16; for bfloat16 and the floats of 8 bits it is
 * what ml_dtypes, PyTorch and ONNX Runtime do (float64 and wide integers are rounded twice). */
static void convert_kept(void *dst, ub_dtype dst_type, const void *src, ub_dtype src_type,
                         int64_t n)
{
    enum { BLOCK = 256 };
    uint32_t wide[BLOCK], crossed[BLOCK]; /* float or int32_t: both are 4 bytes */
    const ub_dtype from = carrier(src_type), to = carrier(dst_type);
    int64_t dst_size = (int64_t)ub_dtype_size(dst_type);
    int64_t src_size = (int64_t)ub_dtype_size(src_type);
    for (int64_t done = 0; done < n; done += BLOCK) {
        int64_t part = n - done < BLOCK ? n - done : BLOCK;
        const void *at = (const char *)src + done * src_size;
        void *d = (char *)dst + done * dst_size;
        if (from != src_type) {
            widen(wide, at, src_type, part);
            at = wide;
        }
        if (to == dst_type) {
            convert_native(d, dst_type, at, from, part);
            continue;
        }
        if (to != from) {
            convert_native(crossed, to, at, from, part);
            at = crossed;
        }
        narrow(d, dst_type, at, part);
    }
}

void ubp_convert(void *dst, ub_dtype dst_type, const void *src, ub_dtype src_type, int64_t n)
{
    if (n <= 0)
        return;
    if (dst_type == src_type) {
        memcpy(dst, src, (size_t)n * ub_dtype_size(dst_type));
    } else if (dst_type == UB_F16 && src_type == UB_F64) {
        u16_at *d = dst;
        const f64_at *s = src;
        for (int64_t i = 0; i < n; i++)
            d[i] = ubp_half_f64_to_f16(s[i]);
    } else if (carrier(dst_type) != dst_type || carrier(src_type) != src_type) {
        convert_kept(dst, dst_type, src, src_type, n);
    } else {
        convert_native(dst, dst_type, src, src_type, n);
    }
}
