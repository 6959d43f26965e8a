/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clip, to bounds that are inputs, and Shrink. All numeric dtypes. ONNX operators Clip 13,
 * Shrink 9.
 */
#include "ops/elementwise.h"

#include <math.h>
#include <string.h>

#define EACH_NUMBER(M)                                                                             \
    UBP_EACH_SIGNED(M) UBP_EACH_UNSIGNED(M) M(F32, float, float) M(F64, double, double)
#define NUMBERS(prefix) UBP_EW_SIGNED(prefix), UBP_EW_UNSIGNED(prefix), UBP_EW_FLOATS(prefix)

/* ---- Clip: min(max(x, lo), hi), so hi wins where lo > hi. A NaN stays.
 * Where x equals a bound (zeros of either sign do) the bound is the result, as vmaxps has it. */

/* The bounds that are given, as one element of the dtype each. */
typedef struct bounds {
    bool has_lo, has_hi;
    char lo[8], hi[8];
} bounds;

#define CLIP_LO(T)                                                                                 \
    T lo;                                                                                          \
    memcpy(&lo, ((const bounds *)attr)->lo, sizeof lo);
#define CLIP_HI(T)                                                                                 \
    T hi;                                                                                          \
    memcpy(&hi, ((const bounds *)attr)->hi, sizeof hi);
#define CLIP(id, T, U)                                                                             \
    static inline T at_least_##id(T x, T lo)                                                       \
    {                                                                                              \
        return x <= lo ? lo : x;                                                                   \
    }                                                                                              \
    static inline T at_most_##id(T x, T hi)                                                        \
    {                                                                                              \
        return x >= hi ? hi : x;                                                                   \
    }                                                                                              \
    UBP_EW_UNARY_WITH(clip_lo_##id, T, T, CLIP_LO(T), at_least_##id(x, lo))                        \
    UBP_EW_UNARY_WITH(clip_hi_##id, T, T, CLIP_HI(T), at_most_##id(x, hi))                         \
    UBP_EW_UNARY_WITH(clip_both_##id, T, T, CLIP_LO(T) CLIP_HI(T),                                 \
                      at_most_##id(at_least_##id(x, lo), hi))

EACH_NUMBER(CLIP)
static const ubp_ew_kernels clip_lo_kernels = {{NUMBERS(clip_lo)}};
static const ubp_ew_kernels clip_hi_kernels = {{NUMBERS(clip_hi)}};
static const ubp_ew_kernels clip_both_kernels = {{NUMBERS(clip_both)}};

static ub_status clip_infer(const ubp_call *c)
{
    static const char *const names[] = {"", "min", "max"};
    UBP_TRY(ubp_ew_infer_first(c, &clip_both_kernels, UB_UNDEFINED));
    for (int i = 1; i < c->n_in; i++) {
        char shape[UBP_SHAPE_TEXT];
        const ub_tensor *t = c->in[i];
        if (!t)
            continue;
        UBP_TRY(ubp_want_same_dtype(c, 0, i));
        if (ub_tensor_count(t) != 1 || t->rank > 1)
            return ubp_op_fail(c, UB_ERR_SHAPE, "%s has shape %s, expected a scalar", names[i],
                               ubp_shape_text(shape, t->rank, t->dims));
    }
    return UB_OK;
}

static ub_status clip_ref(const ubp_call *c)
{
    bounds b = {.has_lo = ubp_has_in(c, 1), .has_hi = ubp_has_in(c, 2)};
    ub_dtype dtype = c->in[0]->dtype;
    size_t size = ub_dtype_size(dtype);
    if (b.has_lo)
        memcpy(b.lo, c->in[1]->data, size);
    if (b.has_hi)
        memcpy(b.hi, c->in[2]->data, size);
    if (!b.has_lo && !b.has_hi) {
        ubp_tensor_move(c->out[0], c->in[0]);
        return UB_OK;
    }
    const ubp_ew_kernels *k = &clip_both_kernels;
    if (!b.has_hi)
        k = &clip_lo_kernels;
    else if (!b.has_lo)
        k = &clip_hi_kernels;
    const ub_tensor *operands[] = {c->out[0], c->in[0]};
    ubp_ew_walk(c->run, 2, operands, ubp_ew_kernel(k, dtype), &b);
    return UB_OK;
}

const ubp_op ubp_op_Clip = {
    .name = "Clip",
    .domain = "",
    .min_in = 1,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED | UBP_WIDEN | UBP_CHEAP,
    .infer = clip_infer,
    .batch = ubp_batch_elementwise,
    .ref = clip_ref,
};

/* ---- Shrink ------------------------------------------------------------------------------------
 */

typedef struct Shrink_attr {
    float lambda, bias;
} Shrink_attr;

static ub_status Shrink_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    Shrink_attr *a = attr;
    double lambda, bias;
    (void)arena;
    UBP_TRY(ubp_attr_float(node, "lambd", 0.5, &lambda, err));
    UBP_TRY(ubp_attr_float(node, "bias", 0.0, &bias, err));
    a->lambda = (float)lambda;
    a->bias = (float)bias;
    return UB_OK;
}

/* Integers are shrunk in double and truncated; what does not fit wraps around. */
static double shrink(double x, const Shrink_attr *a)
{
    double lambda = a->lambda, bias = a->bias;
    return x < -lambda ? x + bias : x > lambda ? x - bias : 0;
}

static int64_t whole(double v)
{
    return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : 0;
}

#define SHRINK(id, T, U) UBP_EW_UNARY(shrink_##id, T, T, whole(shrink((double)x, attr)))

UBP_EACH_SIGNED(SHRINK)
UBP_EACH_UNSIGNED(SHRINK)
#define SHRINK_SETUP                                                                               \
    const float lambda = ((const Shrink_attr *)attr)->lambda;                                      \
    const float bias = ((const Shrink_attr *)attr)->bias;
UBP_EW_UNARY_WITH(shrink_F32, float, float, SHRINK_SETUP,
                  (x < -lambda)  ? x + bias
                  : (x > lambda) ? x - bias
                                 : 0)
UBP_EW_UNARY(shrink_F64, double, double, shrink(x, attr))
static const ubp_ew_kernels Shrink_kernels = {{NUMBERS(shrink)}};
UBP_EW_OP_ATTR(Shrink, 1, UB_UNDEFINED)
