/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mathematical functions of one tensor: Neg Abs Sign Sqrt Reciprocal Floor Ceil Round Exp Log Erf,
 * circular and hyperbolic functions, IsNaN and IsInf. float32 and float64, float16 and bfloat16
 * through float32, integers where the operator has them. ONNX operators 13 (IsNaN, IsInf 20, the
 * trigonometric ones and Round 22).
 */
#include "ops/elementwise.h"
#include "ops/vmath.h"

#include <math.h>

/* ---- Neg Abs Sign: integers too ----------------------------------------------------------------
 */

#define NEG(id, T, U)           UBP_EW_UNARY(neg_##id, T, T, 0 - (U)x)
#define ABS(id, T, U)           UBP_EW_UNARY(abs_##id, T, T, x < 0 ? 0 - (U)x : (U)x)
#define SIGN(id, T, U)          UBP_EW_UNARY(sign_##id, T, T, (x > 0) - (x < 0))
#define ABS_UNSIGNED(id, T, U)  UBP_EW_UNARY(abs_##id, T, T, x)
#define SIGN_UNSIGNED(id, T, U) UBP_EW_UNARY(sign_##id, T, T, x != 0)

UBP_EACH_SIGNED(NEG)
UBP_EW_UNARY(neg_F32, float, float, -x)
UBP_EW_UNARY(neg_F64, double, double, -x)
UBP_EACH_SIGNED(ABS)
UBP_EACH_UNSIGNED(ABS_UNSIGNED)
UBP_EW_UNARY(abs_F32, float, float, fabsf(x))
UBP_EW_UNARY(abs_F64, double, double, fabs(x))
UBP_EACH_SIGNED(SIGN)
UBP_EACH_UNSIGNED(SIGN_UNSIGNED)
UBP_EW_UNARY(sign_F32, float, float, x > 0 ? 1 : x < 0 ? -1 : x != x ? x : 0)
UBP_EW_UNARY(sign_F64, double, double, x > 0 ? 1 : x < 0 ? -1 : x != x ? x : 0)

static const ubp_ew_kernels Neg_kernels = {{UBP_EW_SIGNED(neg), UBP_EW_FLOATS(neg)}};
static const ubp_ew_kernels Abs_kernels = {
    {UBP_EW_SIGNED(abs), UBP_EW_UNSIGNED(abs), UBP_EW_FLOATS(abs)}};
static const ubp_ew_kernels Sign_kernels = {
    {UBP_EW_SIGNED(sign), UBP_EW_UNSIGNED(sign), UBP_EW_FLOATS(sign)}};

UBP_EW_OP(Neg, 1, UB_UNDEFINED)
UBP_EW_OP(Abs, 1, UB_UNDEFINED)
UBP_EW_OP(Sign, 1, UB_UNDEFINED)

/* ---- Functions of floats -----------------------------------------------------------------------
 */

/* An operator from its float32 and its float64 function. */
#define FUNCTION(id, f32, f64)                                                                     \
    UBP_EW_WIDE(id##_F32, , f32(x))                                                                \
    UBP_EW_UNARY(id##_F64, double, double, f64(x))                                                 \
    static const ubp_ew_kernels id##_kernels = {{UBP_EW_FLOATS(id)}};                              \
    UBP_EW_OP(id, 1, UB_UNDEFINED)

#define INVERSE(x) (1 / (x))

FUNCTION(Sqrt, sqrtf, sqrt)
FUNCTION(Reciprocal, INVERSE, INVERSE)
FUNCTION(Floor, floorf, floor)
FUNCTION(Ceil, ceilf, ceil)
FUNCTION(Round, rintf, rint)
FUNCTION(Exp, ubp_expf, exp)
FUNCTION(Log, logf, log)
FUNCTION(Erf, ubp_erff, erf)
FUNCTION(Sin, sinf, sin)
FUNCTION(Cos, cosf, cos)
FUNCTION(Tan, tanf, tan)
FUNCTION(Asin, asinf, asin)
FUNCTION(Acos, acosf, acos)
FUNCTION(Atan, atanf, atan)
FUNCTION(Sinh, sinhf, sinh)
FUNCTION(Cosh, coshf, cosh)
FUNCTION(Tanh, ubp_tanhf, tanh)
FUNCTION(Asinh, asinhf, asinh)
FUNCTION(Acosh, acoshf, acosh)
FUNCTION(Atanh, atanhf, atanh)

/* ---- IsNaN IsInf -------------------------------------------------------------------------------
 */

UBP_EW_UNARY(is_nan_F32, uint8_t, float, x != x)
UBP_EW_UNARY(is_nan_F64, uint8_t, double, x != x)
static const ubp_ew_kernels IsNaN_kernels = {{UBP_EW_FLOATS(is_nan)}};
UBP_EW_OP(IsNaN, 1, UB_BOOL)

typedef struct IsInf_attr {
    bool negative, positive;
} IsInf_attr;

static ub_status IsInf_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    IsInf_attr *a = attr;
    int64_t negative, positive;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "detect_negative", 1, &negative, err));
    UBP_TRY(ubp_attr_int(node, "detect_positive", 1, &positive, err));
    a->negative = negative != 0;
    a->positive = positive != 0;
    return UB_OK;
}

#define IS_INF_SETUP                                                                               \
    const bool neg = ((const IsInf_attr *)attr)->negative;                                         \
    const bool pos = ((const IsInf_attr *)attr)->positive;
UBP_EW_UNARY_WITH(is_inf_F32, uint8_t, float, IS_INF_SETUP,
                  (pos && x == INFINITY) || (neg && x == -INFINITY))
UBP_EW_UNARY_WITH(is_inf_F64, uint8_t, double, IS_INF_SETUP,
                  (pos && x == (double)INFINITY) || (neg && x == -(double)INFINITY))
static const ubp_ew_kernels IsInf_kernels = {{UBP_EW_FLOATS(is_inf)}};
UBP_EW_OP_ATTR(IsInf, 1, UB_BOOL)
