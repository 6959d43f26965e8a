/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activations: functions of one tensor, with coefficients as attributes. float32 and float64;
 * float16 and bfloat16 through float32; Relu, PRelu, Clip and Shrink have integers too. ONNX
 * operators, newest opset.
 *
 * float32 exponentials are those of vmath.h, the same for every element wherever it lies.
 */
#include "ops/elementwise.h"
#include "ops/attrs.h"
#include "ops/vmath.h"

#include <math.h>
#include <string.h>

/* ---- Attributes --------------------------------------------------------------------------------
 */

typedef ubp_activation_attr LeakyRelu_attr, ThresholdedRelu_attr, Elu_attr, Selu_attr, Celu_attr,
    HardSigmoid_attr, HardSwish_attr, Swish_attr, Gelu_attr;

/* Reads alpha, beta and gamma; those an operator does not have stay at the default given. */
static ub_status read_coefficients(const ubp_node *node, void *attr, double alpha, double beta,
                                   double gamma, ub_error *err)
{
    ubp_activation_attr *a = attr;
    UBP_TRY(ubp_attr_float(node, "alpha", alpha, &alpha, err));
    UBP_TRY(ubp_attr_float(node, "beta", beta, &beta, err));
    UBP_TRY(ubp_attr_float(node, "gamma", gamma, &gamma, err));
    a->alpha = (float)alpha;
    a->beta = (float)beta;
    a->gamma = (float)gamma;
    return UB_OK;
}

#define COEFFICIENTS(id, alpha, beta, gamma)                                                       \
    static ub_status id##_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err) \
    {                                                                                              \
        (void)arena;                                                                               \
        return read_coefficients(node, attr, alpha, beta, gamma, err);                             \
    }

COEFFICIENTS(LeakyRelu, 0.01, 0, 0)
COEFFICIENTS(ThresholdedRelu, 1, 0, 0)
COEFFICIENTS(Elu, 1, 0, 0)
COEFFICIENTS(Selu, 1.67326319217681884765625, 0, 1.05070102214813232421875)
COEFFICIENTS(Celu, 1, 0, 0)
COEFFICIENTS(HardSigmoid, 0.2, 0.5, 0)
COEFFICIENTS(Swish, 1, 0, 0)
COEFFICIENTS(SwiGLU, 1, 0, 0)

/* An operator whose expressions use alpha, beta, gamma. */
#define WITH_ATTR(T)                                                                               \
    const T alpha = ((const ubp_activation_attr *)attr)->alpha;                                    \
    const T beta = ((const ubp_activation_attr *)attr)->beta;                                      \
    const T gamma = ((const ubp_activation_attr *)attr)->gamma;                                    \
    (void)alpha;                                                                                   \
    (void)beta;                                                                                    \
    (void)gamma;
#define ACTIVATION(id, f32, f64)                                                                   \
    UBP_EW_WIDE(id##_F32, WITH_ATTR(float), f32)                                                   \
    UBP_EW_UNARY_WITH(id##_F64, double, double, WITH_ATTR(double), f64)                            \
    static const ubp_ew_kernels id##_kernels = {{UBP_EW_FLOATS(id)}};                              \
    UBP_EW_OP_ATTR(id, 1, UB_UNDEFINED)
/* An operator without attributes. */
#define FUNCTION(id, f32, f64)                                                                     \
    UBP_EW_WIDE(id##_F32, , f32)                                                                   \
    UBP_EW_UNARY(id##_F64, double, double, f64)                                                    \
    static const ubp_ew_kernels id##_kernels = {{UBP_EW_FLOATS(id)}};                              \
    UBP_EW_OP(id, 1, UB_UNDEFINED)

/* ---- Straight pieces. A NaN comes out as NaN, -0 of Relu as +0 ---------------------------------
 */

#define RELU(id, T, U) UBP_EW_UNARY(relu_##id, T, T, x <= 0 ? 0 : x)

UBP_EACH_SIGNED(RELU)
RELU(F32, float, float)
RELU(F64, double, double)
static const ubp_ew_kernels Relu_kernels = {{UBP_EW_SIGNED(relu), UBP_EW_FLOATS(relu)}};
UBP_EW_OP(Relu, 1, UB_UNDEFINED)

ACTIVATION(LeakyRelu, x < 0 ? alpha * x : x, x < 0 ? alpha * x : x)
ACTIVATION(ThresholdedRelu, x <= alpha ? 0 : x, x <= alpha ? 0 : x)

#define UNIT(v) ((v) < 0 ? 0 : (v) > 1 ? 1 : (v))
ACTIVATION(HardSigmoid, UNIT((alpha)*x + beta), UNIT((alpha)*x + beta))
/* The specification fixes alpha = 1/6 and beta = 1/2. */
FUNCTION(HardSwish, (x)*UNIT((x) * (1.0f / 6.0f) + 0.5f), (x)*UNIT((x) * (1.0 / 6.0) + 0.5))
FUNCTION(Softsign, x / (1 + ubp_absf(x)), x / (1 + fabs(x)))

/* ---- Exponentials ------------------------------------------------------------------------------
 */

static inline double logistic(double x)
{
    double e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}

/* max(x, 0) + log(1 + e^-|x|): never overflows. */
static inline float softplusf(float x)
{
    return (x < 0 ? 0 : x) + log1pf(ubp_expf(-ubp_absf(x)));
}

static inline double softplus(double x)
{
    return (x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
}

/* tanh(log(1 + e)) = (e^2 + 2e) / (e^2 + 2e + 2) with e = e^x; 1 from e^20 on. */
static inline float mishf(float x)
{
    float e = ubp_expf(x > 20 ? 20 : x), n = e * (e + 2);
    return x * (n / (n + 2));
}

static inline double mish(double x)
{
    double e = exp(x > 40 ? 40 : x), n = e * (e + 2);
    return x * (n / (n + 2));
}

FUNCTION(Sigmoid, ubp_sigmoidf(x), logistic(x))
FUNCTION(Softplus, softplusf(x), softplus(x))
FUNCTION(Mish, mishf(x), mish(x))
ACTIVATION(Swish, (x)*ubp_sigmoidf((alpha)*x), (x)*logistic((alpha)*x))
ACTIVATION(Elu, x < 0 ? alpha * ubp_expm1f_negative(x) : x, x < 0 ? alpha * expm1(x) : x)
ACTIVATION(Selu, (gamma) * (x < 0 ? alpha * ubp_expm1f_negative(x) : x),
           (gamma) * (x < 0 ? alpha * expm1(x) : x))

/* max(0, x) + min(0, alpha (e^(x/alpha) - 1)) */
static inline float celuf(float x, float alpha)
{
    float v = alpha * expm1f(x / alpha);
    return (x < 0 ? 0 : x) + (v > 0 ? 0 : v);
}

static inline double celu(double x, double alpha)
{
    double v = alpha * expm1(x / alpha);
    return (x < 0 ? 0 : x) + (v > 0 ? 0 : v);
}

ACTIVATION(Celu, celuf(x, alpha), celu(x, alpha))

/* ---- Gelu --------------------------------------------------------------------------------------
 */

UBP_EW_WIDE(gelu_F32, , 0.5f * x * (1.0f + ubp_erff(x * 0x1.6a09e6p-1f)))
UBP_EW_UNARY(gelu_F64, double, double, 0.5 * x * (1.0 + erf(x * M_SQRT1_2)))

static inline float gelu_tanhf(float x)
{
    const float c = 0x1.988454p-1f; /* sqrt(2 / pi) */
    return 0.5f * x * (1.0f + ubp_tanhf(c * (x + 0.044715f * (x * x * x))));
}

static inline double gelu_tanh(double x)
{
    const double c = 0.79788456080286535588;
    return 0.5 * x * (1.0 + tanh(c * (x + 0.044715 * (x * x * x))));
}

UBP_EW_WIDE(gelu_tanh_F32, , gelu_tanhf(x))
UBP_EW_UNARY(gelu_tanh_F64, double, double, gelu_tanh(x))

static const ubp_ew_kernels gelu_kernels = {{UBP_EW_FLOATS(gelu)}};
static const ubp_ew_kernels gelu_tanh_kernels = {{UBP_EW_FLOATS(gelu_tanh)}};

static ub_status gelu_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    ubp_activation_attr *a = attr;
    const char *approximate;
    (void)arena;
    UBP_TRY(ubp_attr_string(node, "approximate", "none", &approximate, err));
    a->approximate = strcmp(approximate, "tanh") == 0;
    if (a->approximate || strcmp(approximate, "none") == 0)
        return UB_OK;
    return ubp_fail(err, UB_ERR_UNSUPPORTED,
                    "node '%s' (Gelu): approximate is '%s', expected none or tanh", node->name,
                    approximate);
}

static ub_status gelu_infer(const ubp_call *c)
{
    return ubp_ew_infer(c, &gelu_kernels, UB_UNDEFINED);
}

static ub_status gelu_ref(const ubp_call *c)
{
    const ubp_activation_attr *a = c->attr;
    return ubp_ew_ref(c, a->approximate ? &gelu_tanh_kernels : &gelu_kernels);
}

const ubp_op ubp_op_Gelu = {
    .name = "Gelu",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_WIDEN | UBP_CHEAP,
    .attr_size = sizeof(ubp_activation_attr),
    .attrs = gelu_attrs,
    .infer = gelu_infer,
    .batch = ubp_batch_elementwise,
    .ref = gelu_ref,
};

/* ---- PRelu: a slope that broadcasts to x -------------------------------------------------------
 */

UBP_EW_BINARY(prelu_F32, float, float, float, x < 0 ? x * y : x)
UBP_EW_BINARY(prelu_F64, double, double, double, x < 0 ? x * y : x)
#define PRELU(id, T, U) UBP_EW_BINARY(prelu_##id, T, T, T, (U)x *(x < 0 ? (U)y : 1))
PRELU(I32, int32_t, uint32_t)
PRELU(I64, int64_t, uint64_t)
/* Never negative: nothing to scale. Unary, the slope is not looked at. */
UBP_EW_UNARY(prelu_U32, uint32_t, uint32_t, x)
UBP_EW_UNARY(prelu_U64, uint64_t, uint64_t, x)

static const ubp_ew_kernels prelu_kernels = {
    {UBP_EW_FLOATS(prelu), [UB_I32] = prelu_I32, [UB_I64] = prelu_I64, [UB_U32] = prelu_U32,
     [UB_U64] = prelu_U64}};

static ub_status prelu_infer(const ubp_call *c)
{
    int rank;
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(ubp_want_same_dtype(c, 0, 1));
    UBP_TRY(ubp_ew_dims(c, &rank, dims));
    const ub_tensor *x = c->in[0], *slope = c->in[1];
    if (rank != x->rank || memcmp(dims, x->dims, sizeof(int64_t) * (size_t)rank) != 0) {
        char a[UBP_SHAPE_TEXT], b[UBP_SHAPE_TEXT];
        return ubp_op_fail(
            c, UB_ERR_SHAPE, "the slope has shape %s, which does not broadcast to %s",
            ubp_shape_text(a, slope->rank, slope->dims), ubp_shape_text(b, x->rank, x->dims));
    }
    return ubp_ew_infer_first(c, &prelu_kernels, UB_UNDEFINED);
}

static ub_status prelu_ref(const ubp_call *c)
{
    return ubp_ew_ref(c, &prelu_kernels);
}

const ubp_op ubp_op_PRelu = {
    .name = "PRelu",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_WIDEN | UBP_CHEAP,
    .infer = prelu_infer,
    .batch = ubp_batch_elementwise,
    .ref = prelu_ref,
};

/* ---- SwiGLU: Swish of a gate, times a value of the same shape ----------------------------------
 */

#define SWIGLU(T, LOGISTIC)                                                                        \
    const T alpha = ((const ubp_activation_attr *)attr)->alpha;                                    \
    for (int64_t i = 0; i < n; i++) {                                                              \
        const T x = *(const T *)(const void *)(p[1] + i * step[1]);                                \
        const T y = *(const T *)(const void *)(p[2] + i * step[2]);                                \
        *(T *)(void *)(p[0] + i * step[0]) = x * LOGISTIC(alpha * x) * y;                          \
    }

#define SWIGLU_F32(name, LOGISTIC)                                                                 \
    static void name(char *const *p, const int64_t *step, int64_t n, const void *attr)             \
    {                                                                                              \
        SWIGLU(float, LOGISTIC)                                                                    \
    }
UBP_WIDE_VARIANTS(SWIGLU_F32, swiglu_row, ubp_sigmoidf)

static void swiglu_F32(char *const *p, const int64_t *step, int64_t n, const void *attr)
{
    UBP_WIDE_CALL(swiglu_row, p, step, n, attr);
}

static void swiglu_F64(char *const *p, const int64_t *step, int64_t n, const void *attr)
{
    SWIGLU(double, logistic)
}
#undef SWIGLU_F32
#undef SWIGLU

static const ubp_ew_kernels swiglu_kernels = {{UBP_EW_FLOATS(swiglu)}};

static ub_status swiglu_infer(const ubp_call *c)
{
    UBP_TRY(ubp_want_same_dtype(c, 0, 1));
    if (!ubp_same_dims(c->in[0], c->in[1])) {
        char a[UBP_SHAPE_TEXT], b[UBP_SHAPE_TEXT];
        return ubp_op_fail(c, UB_ERR_SHAPE, "gate of shape %s, value of shape %s",
                           ubp_shape_text(a, c->in[0]->rank, c->in[0]->dims),
                           ubp_shape_text(b, c->in[1]->rank, c->in[1]->dims));
    }
    return ubp_ew_infer(c, &swiglu_kernels, UB_UNDEFINED);
}

static ub_status swiglu_ref(const ubp_call *c)
{
    return ubp_ew_ref(c, &swiglu_kernels);
}

const ubp_op ubp_op_SwiGLU = {
    .name = "SwiGLU",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_WIDEN | UBP_CHEAP,
    .attr_size = sizeof(ubp_activation_attr),
    .attrs = SwiGLU_attrs,
    .infer = swiglu_infer,
    .batch = ubp_batch_elementwise,
    .ref = swiglu_ref,
};
