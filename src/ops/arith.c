/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic with broadcasting: Add Sub Mul Div Mod Pow, and Max Min Sum Mean of any number of
 * tensors. Integers wrap around as two's complement; a division of integers by zero gives 0, as
 * NumPy's. ONNX operators 14 (Pow 15, Mod 28, the variadic ones 13).
 */
#include "ops/elementwise.h"

#include <math.h>

/* ---- Add Sub Mul Div ---------------------------------------------------------------------------
 */

#define ADD(id, T, U) UBP_EW_BINARY(add_##id, T, T, T, (U)x + (U)y)
#define SUB(id, T, U) UBP_EW_BINARY(sub_##id, T, T, T, (U)x - (U)y)
#define MUL(id, T, U) UBP_EW_BINARY(mul_##id, T, T, T, ((U)x) * ((U)y))
#define DIV_SIGNED(id, T, U)                                                                       \
    UBP_EW_BINARY(div_##id, T, T, T, y == 0 ? (T)0 : y == -1 ? (T)(0 - (U)x) : (T)(x / y))
#define DIV_UNSIGNED(id, T, U) UBP_EW_BINARY(div_##id, T, T, T, y == 0 ? (T)0 : (T)(x / y))

UBP_EACH_SIGNED(ADD)
UBP_EACH_UNSIGNED(ADD)
UBP_EW_BINARY_WIDE(add_F32, x + y)
UBP_EW_BINARY(add_F64, double, double, double, x + y)
UBP_EACH_SIGNED(SUB)
UBP_EACH_UNSIGNED(SUB)
UBP_EW_BINARY_WIDE(sub_F32, x - y)
UBP_EW_BINARY(sub_F64, double, double, double, x - y)
UBP_EACH_SIGNED(MUL)
UBP_EACH_UNSIGNED(MUL)
UBP_EW_BINARY_WIDE(mul_F32, (x) * (y))
UBP_EW_BINARY(mul_F64, double, double, double, (x) * (y))
UBP_EACH_SIGNED(DIV_SIGNED)
UBP_EACH_UNSIGNED(DIV_UNSIGNED)
UBP_EW_BINARY_WIDE(div_F32, x / y)
UBP_EW_BINARY(div_F64, double, double, double, x / y)

#define NUMERIC(prefix)                                                                            \
    {                                                                                              \
        {                                                                                          \
            UBP_EW_SIGNED(prefix), UBP_EW_UNSIGNED(prefix), UBP_EW_FLOATS(prefix)                  \
        }                                                                                          \
    }

static const ubp_ew_kernels Add_kernels = NUMERIC(add);
static const ubp_ew_kernels Sub_kernels = NUMERIC(sub);
static const ubp_ew_kernels Mul_kernels = NUMERIC(mul);
static const ubp_ew_kernels Div_kernels = NUMERIC(div);

UBP_EW_OP(Add, 2, UB_UNDEFINED)
UBP_EW_OP(Sub, 2, UB_UNDEFINED)
UBP_EW_OP(Mul, 2, UB_UNDEFINED)
UBP_EW_OP(Div, 2, UB_UNDEFINED)

/* ---- Mod ---------------------------------------------------------------------------------------
 */

typedef struct mod_attr {
    int64_t fmod; /* 1: the quotient is rounded towards zero, 0: down */
} mod_attr;

static ub_status mod_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    mod_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "fmod", 0, &a->fmod, err));
    if (a->fmod == 0 || a->fmod == 1)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (Mod): fmod is %lld, expected 0 or 1", node->name,
                    (long long)a->fmod);
}

static double floor_mod(double x, double y)
{
    double r = fmod(x, y);
    if (r == 0)
        return copysign(0.0, y);
    return (r < 0) != (y < 0) ? r + y : r;
}

static float floor_modf(float x, float y)
{
    float r = fmodf(x, y);
    if (r == 0)
        return copysignf(0.0f, y);
    return (r < 0) != (y < 0) ? r + y : r;
}

/* x % -1 is 0 but overflows for the lowest x. */
#define REM_SIGNED(id, T, U)                                                                       \
    static T rem_of_##id(T x, T y)                                                                 \
    {                                                                                              \
        return (T)(y == 0 || y == -1 ? 0 : x % y);                                                 \
    }                                                                                              \
    static T mod_of_##id(T x, T y)                                                                 \
    {                                                                                              \
        T r = rem_of_##id(x, y);                                                                   \
        return (T)(r != 0 && (r < 0) != (y < 0) ? r + y : r);                                      \
    }                                                                                              \
    UBP_EW_BINARY(rem_##id, T, T, T, rem_of_##id(x, y))                                            \
    UBP_EW_BINARY(mod_##id, T, T, T, mod_of_##id(x, y))
#define REM_UNSIGNED(id, T, U) UBP_EW_BINARY(rem_##id, T, T, T, y == 0 ? (T)0 : (T)(x % y))

UBP_EACH_SIGNED(REM_SIGNED)
UBP_EACH_UNSIGNED(REM_UNSIGNED)
UBP_EW_BINARY(rem_F32, float, float, float, fmodf(x, y))
UBP_EW_BINARY(rem_F64, double, double, double, fmod(x, y))
UBP_EW_BINARY(mod_F32, float, float, float, floor_modf(x, y))
UBP_EW_BINARY(mod_F64, double, double, double, floor_mod(x, y))

static const ubp_ew_kernels rem_kernels = NUMERIC(rem);
static const ubp_ew_kernels mod_kernels = {
    {UBP_EW_SIGNED(mod), UBP_EW_UNSIGNED(rem), UBP_EW_FLOATS(mod)}};

static ub_status mod_infer(const ubp_call *c)
{
    return ubp_ew_infer(c, &mod_kernels, UB_UNDEFINED);
}

static ub_status mod_ref(const ubp_call *c)
{
    const mod_attr *a = c->attr;
    return ubp_ew_ref(c, a->fmod ? &rem_kernels : &mod_kernels);
}

const ubp_op ubp_op_Mod = {
    .name = "Mod",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_WIDEN | UBP_CHEAP,
    .attr_size = sizeof(mod_attr),
    .attrs = mod_attrs,
    .infer = mod_infer,
    .batch = ubp_batch_elementwise,
    .ref = mod_ref,
};

/* ---- Pow ---------------------------------------------------------------------------------------
 */

/* The exponents that networks use are products and quotients: exact to one or two roundings, and
 * many times faster than pow(). Chosen by each element's own exponent. */
static inline float pow_one(float x, float y)
{
    if (y == 2)
        return x * x;
    if (y == 3)
        return x * x * x;
    if (y == 1)
        return x;
    return y == -1 ? 1 / x : powf(x, y);
}

UBP_EW_BINARY(pow_rows_F32, float, float, float, pow_one(x, y))
UBP_EW_UNARY(square_F32, float, float, (x) * (x))
UBP_EW_UNARY(cube_F32, float, float, (x) * (x) * (x))
UBP_EW_BINARY(pow_F64, double, double, double, pow(x, y))

/* The loops for one exponent give the same bits as pow_one. */
static void pow_F32(char *const *p, const int64_t *step, int64_t n, const void *attr)
{
    float y = *(const float *)(const void *)p[2];
    if (step[2] == 0 && y == 2)
        square_F32(p, step, n, attr);
    else if (step[2] == 0 && y == 3)
        cube_F32(p, step, n, attr);
    else
        pow_rows_F32(p, step, n, attr);
}

/* x to the power y, wrapping around; negative powers truncate towards zero. */
static uint64_t pow_int(int64_t x, int64_t y)
{
    uint64_t result = 1, base = (uint64_t)x;
    if (y < 0)
        return x == 1 || (x == -1 && y % 2 == 0) ? 1 : x == -1 ? UINT64_MAX : 0;
    for (; y > 0; y >>= 1) {
        if (y & 1)
            result *= base;
        base *= base;
    }
    return result;
}

UBP_EW_BINARY(pow_I32, int32_t, int32_t, int64_t, pow_int(x, y))
UBP_EW_BINARY(pow_I64, int64_t, int64_t, int64_t, pow_int(x, y))

static const ubp_ew_kernels pow_kernels = {
    {UBP_EW_FLOATS(pow), [UB_I32] = pow_I32, [UB_I64] = pow_I64}};

static ub_status pow_infer(const ubp_call *c)
{
    int rank;
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(ubp_ew_dims(c, &rank, dims));
    ub_dtype base = c->in[0]->dtype, exponent = c->in[1]->dtype;
    if (!ubp_ew_kernel(&pow_kernels, base))
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "input 0 is %s, expected a float, int32 or int64",
                           ub_dtype_name(base));
    if (!ubp_is_float(exponent) && !ubp_is_integer(exponent))
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "input 1 is %s, expected a number",
                           ub_dtype_name(exponent));
    return ubp_set_out(c, 0, base, rank, dims);
}

static ub_status pow_ref(const ubp_call *c)
{
    ub_tensor base, exponent, result = *c->out[0];
    ub_dtype dtype = c->in[0]->dtype, as = dtype;
    bool integers = ubp_is_integer(dtype);
    /* Integers to a fractional power: in double, as NumPy does. */
    if (integers)
        as = ubp_is_float(c->in[1]->dtype) ? UB_F64 : UB_I64;
    UBP_TRY(ubp_ew_convert(c, c->in[0], integers && as == UB_F64 ? UB_F64 : dtype, &base));
    UBP_TRY(ubp_ew_convert(c, c->in[1], as, &exponent));
    if (base.dtype != dtype) {
        UBP_TRY(ubp_tensor_describe(&result, UB_F64, c->out[0]->rank, c->out[0]->dims, c->err));
        result.data = ubp_run_scratch(c, ubp_tensor_bytes(&result));
        if (!result.data)
            return UB_ERR_MEMORY;
    }
    const ub_tensor *operands[] = {&result, &base, &exponent};
    ubp_ew_walk(c->run, 3, operands, ubp_ew_kernel(&pow_kernels, base.dtype), NULL);
    return base.dtype == dtype ? UB_OK : ub_tensor_copy_into(c->out[0], &result, c->err);
}

const ubp_op ubp_op_Pow = {
    .name = "Pow",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_WIDEN | UBP_CHEAP,
    .infer = pow_infer,
    .batch = ubp_batch_elementwise,
    .ref = pow_ref,
};

/* ---- Max Min Sum Mean --------------------------------------------------------------------------
 */

/* NaN wins, as in NumPy. */
#define MAX(id, T, U) UBP_EW_BINARY(max_##id, T, T, T, x > y ? x : y)
#define MIN(id, T, U) UBP_EW_BINARY(min_##id, T, T, T, x < y ? x : y)

UBP_EACH_SIGNED(MAX)
UBP_EACH_UNSIGNED(MAX)
UBP_EW_BINARY(max_F32, float, float, float, ((x > y) | (x != x)) ? x : y)
UBP_EW_BINARY(max_F64, double, double, double, ((x > y) | (x != x)) ? x : y)
UBP_EACH_SIGNED(MIN)
UBP_EACH_UNSIGNED(MIN)
UBP_EW_BINARY(min_F32, float, float, float, ((x < y) | (x != x)) ? x : y)
UBP_EW_BINARY(min_F64, double, double, double, ((x < y) | (x != x)) ? x : y)

static const ubp_ew_kernels Max_kernels = NUMERIC(max);
static const ubp_ew_kernels Min_kernels = NUMERIC(min);
static const ubp_ew_kernels Sum_kernels = {{UBP_EW_FLOATS(add)}};
static const ubp_ew_kernels mean_div_kernels = {{UBP_EW_FLOATS(div)}};

/* out = ((in0 . in1) . in2) ...: in the order of the inputs. */
static ub_status fold_ref(const ubp_call *c, const ubp_ew_kernels *k)
{
    ubp_ew_fn fn = ubp_ew_kernel(k, c->in[0]->dtype);
    if (c->n_in == 1)
        ubp_tensor_move(c->out[0], c->in[0]);
    for (int i = 1; i < c->n_in; i++) {
        const ub_tensor *operands[] = {c->out[0], i == 1 ? c->in[0] : c->out[0], c->in[i]};
        if (ubp_run_cancelled(c->run))
            return UBP_CANCELLED(c);
        ubp_ew_walk(c->run, 3, operands, fn, NULL);
    }
    return UB_OK;
}

static ub_status mean_ref(const ubp_call *c)
{
    double d = c->n_in;
    float f = (float)d;
    ub_tensor n;
    UBP_TRY(fold_ref(c, &Sum_kernels));
    UBP_TRY(ubp_tensor_describe(&n, c->out[0]->dtype, 0, NULL, c->err));
    n.data = n.dtype == UB_F64 ? (void *)&d : (void *)&f;
    const ub_tensor *operands[] = {c->out[0], c->out[0], &n};
    ubp_ew_walk(c->run, 3, operands, ubp_ew_kernel(&mean_div_kernels, n.dtype), NULL);
    return UB_OK;
}

#define VARIADIC(id, kernels, ref_call)                                                            \
    static ub_status id##_infer(const ubp_call *c)                                                 \
    {                                                                                              \
        return ubp_ew_infer(c, &kernels, UB_UNDEFINED);                                            \
    }                                                                                              \
    static ub_status id##_ref(const ubp_call *c)                                                   \
    {                                                                                              \
        return ref_call;                                                                           \
    }                                                                                              \
    const ubp_op ubp_op_##id = {                                                                   \
        .name = #id,                                                                               \
        .domain = "",                                                                              \
        .min_in = 1,                                                                               \
        .max_in = 127,                                                                             \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .flags = UBP_STRIDED | UBP_WIDEN | UBP_CHEAP,                                              \
        .infer = id##_infer,                                                                       \
        .batch = ubp_batch_elementwise,                                                            \
        .ref = id##_ref,                                                                           \
    };

VARIADIC(Max, Max_kernels, fold_ref(c, &Max_kernels))
VARIADIC(Min, Min_kernels, fold_ref(c, &Min_kernels))
VARIADIC(Sum, Sum_kernels, fold_ref(c, &Sum_kernels))
VARIADIC(Mean, Sum_kernels, mean_ref(c))
