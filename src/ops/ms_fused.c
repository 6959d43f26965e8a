/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ONNX Runtime's optimizer writes into files (com.microsoft, version 1): FusedConv and
 * FusedGemm (an activation behind), FusedMatMul (transposed operands, a factor), BiasGelu,
 * FastGelu, Gelu, QuickGelu. Each is made of the operators of ai.onnx.
 */
#include "ops/attrs.h"
#include "ops/elementwise.h"
#include "ops/numbers.h"
#include "ops/vmath.h"
#include "ops/wide.h"

#include <math.h>
#include <string.h>

extern const ubp_op ubp_op_Conv, ubp_op_Gemm, ubp_op_MatMul;

/* ---- What comes behind ------------------------------------------------------------------------
 */

typedef enum behind {
    BEHIND_NOTHING,
    BEHIND_RELU,
    BEHIND_LEAKY,
    BEHIND_TANH,
    BEHIND_SIGMOID,
    BEHIND_CLIP,
    BEHIND_HARD_SIGMOID
} behind;

typedef struct activation {
    behind kind;
    float alpha, beta;
} activation;

static ub_status read_kind(const ubp_node *n, activation *a, ub_error *err)
{
    static const char *const names[] = {"",        "Relu", "LeakyRelu",  "Tanh",
                                        "Sigmoid", "Clip", "HardSigmoid"};
    const char *name;
    UBP_TRY(ubp_attr_string(n, "activation", "", &name, err));
    for (int i = 0; i < UBP_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            a->kind = (behind)i;
            return UB_OK;
        }
    return ubp_fail(err, UB_ERR_UNSUPPORTED, "node '%s' (%s): activation '%.40s' is not supported",
                    n->name, n->op_type, name);
}

static inline float activate(const activation *a, float x)
{
    switch (a->kind) {
    case BEHIND_RELU:
        return x < 0 ? 0 : x;
    case BEHIND_LEAKY:
        return x < 0 ? a->alpha * x : x;
    case BEHIND_TANH:
        return ubp_tanhf(x);
    case BEHIND_SIGMOID:
        return ubp_sigmoidf(x);
    case BEHIND_CLIP:
        return x < a->alpha ? a->alpha : x > a->beta ? a->beta : x;
    case BEHIND_HARD_SIGMOID:
        x = a->alpha * x + a->beta;
        return x < 0 ? 0 : x > 1 ? 1 : x;
    default:
        return x;
    }
}

#define ACTIVATE_ROW(name, T)                                                                      \
    static void name(const activation *a, T *y, int64_t n)                                         \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = activate(a, y[i]);                                                              \
    }
UBP_WIDE_VARIANTS(ACTIVATE_ROW, activate_row, float)
#undef ACTIVATE_ROW

/* The call of the operator inside: the first n inputs, its own attributes. */
static ubp_call inside(const ubp_call *c, const ubp_op *op, const void *attr, int n)
{
    ubp_call inner = *c;
    inner.op = op;
    inner.attr = attr;
    inner.n_in = c->n_in < n ? c->n_in : n;
    return inner;
}

static void batch_inside(ubp_batch *b, const ubp_op *op, const void *attr, int n)
{
    const ubp_call inner = inside(b->call, op, attr, n);
    ubp_batch own = *b;
    own.call = &inner;
    op->batch(&own);
}

/* ---- FusedConv: (X, W, B, Z), Z is added before the activation --------------------------------
 */

typedef struct conv_attr {
    ubp_conv_attr conv;
    activation behind;
} conv_attr;

static ub_status conv_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    conv_attr *a = attr;
    const double *params;
    int count;
    UBP_TRY(ubp_op_Conv.attrs(n, &a->conv, arena, err));
    UBP_TRY(read_kind(n, &a->behind, err));
    UBP_TRY(ubp_attr_floats(n, "activation_params", &params, &count, err));
    const int want = a->behind.kind == BEHIND_LEAKY ? 1 : a->behind.kind >= BEHIND_CLIP ? 2 : 0;
    if (want > 0 && count < want)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (FusedConv): activation_params has %d "
                        "numbers, expected %d",
                        n->name, count < 0 ? 0 : count, want);
    a->behind.alpha = want > 0 ? (float)params[0] : 0;
    a->behind.beta = want > 1 ? (float)params[1] : 0;
    return UB_OK;
}

static ub_status conv_infer(const ubp_call *c)
{
    const conv_attr *a = c->attr;
    const ubp_call inner = inside(c, &ubp_op_Conv, &a->conv, 3);
    UBP_TRY(ubp_op_Conv.infer(&inner));
    if (c->in[0]->dtype == UB_F64)
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "float64 is not supported");
    if (ubp_has_in(c, 3) && !ubp_same_dims(c->in[3], c->out[0]))
        return ubp_op_fail(c, UB_ERR_SHAPE, "Z does not have the shape of the result");
    return ubp_has_in(c, 3) ? ubp_want_same_dtype(c, 0, 3) : UB_OK;
}

static void conv_batch(ubp_batch *b)
{
    const conv_attr *a = b->call->attr;
    batch_inside(b, &ubp_op_Conv, &a->conv, 3);
    if (!ubp_has_in(b->call, 3))
        return;
    const ubp_samples *z = &b->in[3], *y = &b->out[0];
    if (z->kind != y->kind || z->axis != y->axis || z->outer != y->outer || z->inner != y->inner)
        ubp_samples_couple(b, 0, "samples lie on different axes of the operands");
}

static ub_status conv_ref(const ubp_call *c)
{
    const conv_attr *a = c->attr;
    const ubp_call inner = inside(c, &ubp_op_Conv, &a->conv, 3);
    float *y = c->out[0]->data;
    const float *z = ubp_has_in(c, 3) ? c->in[3]->data : NULL;
    UBP_TRY(ubp_op_Conv.ref(&inner));
    for (int64_t i = 0; z && i < ub_tensor_count(c->out[0]); i++)
        y[i] += z[i];
    UBP_WIDE_CALL(activate_row, &a->behind, y, ub_tensor_count(c->out[0]));
    return UB_OK;
}

static int64_t conv_macs(const ubp_call *c)
{
    const conv_attr *a = c->attr;
    const ubp_call inner = inside(c, &ubp_op_Conv, &a->conv, 3);
    return ubp_op_Conv.macs(&inner);
}

const ubp_op ubp_op_ms_FusedConv = {
    .name = "FusedConv",
    .domain = "com.microsoft",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(conv_attr),
    .attrs = conv_attrs,
    .infer = conv_infer,
    .batch = conv_batch,
    .ref = conv_ref,
    .macs = conv_macs,
};

/* ---- FusedGemm --------------------------------------------------------------------------------
 */

typedef struct gemm_attr {
    ubp_gemm_attr gemm;
    activation behind;
} gemm_attr;

static ub_status gemm_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    gemm_attr *a = attr;
    double alpha, beta;
    UBP_TRY(ubp_op_Gemm.attrs(n, &a->gemm, arena, err));
    UBP_TRY(read_kind(n, &a->behind, err));
    UBP_TRY(ubp_attr_float(n, "activation_alpha", a->behind.kind == BEHIND_LEAKY ? 0.01 : 0.2,
                           &alpha, err));
    UBP_TRY(ubp_attr_float(n, "activation_beta", 0.5, &beta, err));
    a->behind.alpha = (float)alpha;
    a->behind.beta = (float)beta;
    return UB_OK;
}

static ub_status gemm_infer(const ubp_call *c)
{
    const gemm_attr *a = c->attr;
    const ubp_call inner = inside(c, &ubp_op_Gemm, &a->gemm, 3);
    UBP_TRY(ubp_want_float(c, 0));
    if (c->in[0]->dtype == UB_F64)
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "float64 is not supported");
    return ubp_op_Gemm.infer(&inner);
}

static void gemm_batch(ubp_batch *b)
{
    const gemm_attr *a = b->call->attr;
    batch_inside(b, &ubp_op_Gemm, &a->gemm, 3);
}

static ub_status gemm_ref(const ubp_call *c)
{
    const gemm_attr *a = c->attr;
    const ubp_call inner = inside(c, &ubp_op_Gemm, &a->gemm, 3);
    float *y = c->out[0]->data;
    UBP_TRY(ubp_op_Gemm.ref(&inner));
    UBP_WIDE_CALL(activate_row, &a->behind, y, ub_tensor_count(c->out[0]));
    return UB_OK;
}

static int64_t gemm_macs(const ubp_call *c)
{
    const gemm_attr *a = c->attr;
    const ubp_call inner = inside(c, &ubp_op_Gemm, &a->gemm, 3);
    return ubp_op_Gemm.macs ? ubp_op_Gemm.macs(&inner) : 0;
}

const ubp_op ubp_op_ms_FusedGemm = {
    .name = "FusedGemm",
    .domain = "com.microsoft",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(gemm_attr),
    .attrs = gemm_attrs,
    .infer = gemm_infer,
    .batch = gemm_batch,
    .ref = gemm_ref,
    .macs = gemm_macs,
};

/* ---- FusedMatMul ------------------------------------------------------------------------------
 */

typedef struct product_attr {
    bool turned[2]; /* the last two axes of A, of B */
    float alpha;
} product_attr;

static ub_status product_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    product_attr *a = attr;
    int64_t v[4];
    double alpha;
    (void)arena;
    UBP_TRY(ubp_attr_int(n, "transA", 0, &v[0], err));
    UBP_TRY(ubp_attr_int(n, "transB", 0, &v[1], err));
    UBP_TRY(ubp_attr_int(n, "transBatchA", 0, &v[2], err));
    UBP_TRY(ubp_attr_int(n, "transBatchB", 0, &v[3], err));
    UBP_TRY(ubp_attr_float(n, "alpha", 1, &alpha, err));
    *a = (product_attr){{v[0] != 0, v[1] != 0}, (float)alpha};
    if (v[2] == 0 && v[3] == 0)
        return UB_OK;
    return ubp_fail(err, UB_ERR_UNSUPPORTED,
                    "node '%s' (FusedMatMul): transBatchA and transBatchB are not supported",
                    n->name);
}

/* A MatMul of the operands as they are multiplied. */
typedef struct product {
    ubp_call call;
    ub_tensor operand[2];
    const ub_tensor *in[2];
} product;

static void make_product(const ubp_call *c, product *p)
{
    const product_attr *a = c->attr;
    for (int i = 0; i < 2; i++) {
        ub_tensor *t = &p->operand[i];
        *t = *c->in[i];
        p->in[i] = t;
        if (!a->turned[i] || t->rank < 2)
            continue;
        const int64_t dim = t->dims[t->rank - 1], stride = t->strides[t->rank - 1];
        t->dims[t->rank - 1] = t->dims[t->rank - 2];
        t->strides[t->rank - 1] = t->strides[t->rank - 2];
        t->dims[t->rank - 2] = dim;
        t->strides[t->rank - 2] = stride;
    }
    p->call = *c;
    p->call.op = &ubp_op_MatMul;
    p->call.attr = NULL;
    p->call.in = p->in;
}

static ub_status product_infer(const ubp_call *c)
{
    product p;
    UBP_TRY(ubp_want_float(c, 0));
    make_product(c, &p);
    return ubp_op_MatMul.infer(&p.call);
}

static void product_batch(ubp_batch *b)
{
    const product_attr *a = b->call->attr;
    product p;
    ubp_samples maps[2] = {b->in[0], b->in[1]};
    make_product(b->call, &p);
    for (int i = 0; i < 2; i++) {
        const int last = p.operand[i].rank - 1;
        if (a->turned[i] && last >= 1 && maps[i].kind == UBP_SAMPLES_AXIS &&
            maps[i].axis >= last - 1)
            maps[i].axis = 2 * last - 1 - maps[i].axis;
    }
    ubp_batch own = *b;
    own.call = &p.call;
    own.in = maps;
    ubp_op_MatMul.batch(&own);
}

static ub_status product_ref(const ubp_call *c)
{
    const product_attr *a = c->attr;
    const ub_tensor *y = c->out[0];
    product p;
    make_product(c, &p);
    UBP_TRY(ubp_op_MatMul.ref(&p.call));
    for (int64_t i = 0; i < ub_tensor_count(y) && a->alpha != 1; i++)
        ubp_put_number(y, i, ubp_number(y, i) * (double)a->alpha);
    return UB_OK;
}

static int64_t product_macs(const ubp_call *c)
{
    product p;
    make_product(c, &p);
    return ubp_op_MatMul.macs ? ubp_op_MatMul.macs(&p.call) : 0;
}

const ubp_op ubp_op_ms_FusedMatMul = {
    .name = "FusedMatMul",
    .domain = "com.microsoft",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(product_attr),
    .attrs = product_attrs,
    .infer = product_infer,
    .batch = product_batch,
    .ref = product_ref,
    .macs = product_macs,
};

/* ---- Gelu and its kin -------------------------------------------------------------------------
 */

static inline double gelu(double x)
{
    return 0.5 * x * (1 + erf(x * 0.70710678118654752440));
}

static inline double fast_gelu(double x)
{
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

static double quick_gelu(double x, const void *attr)
{
    return x / (1 + exp(-(double)*(const float *)attr * x));
}

/* Of x, or of x plus a bias that broadcasts. */
#define GELU_LOOPS(name, T, expr)                                                                  \
    static void name##_one(char *const *p, const int64_t *step, int64_t n, const void *attr)       \
    {                                                                                              \
        (void)attr;                                                                                \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const double x = (double)*(const T *)(const void *)(p[1] + i * step[1]);               \
            *(T *)(void *)(p[0] + i * step[0]) = (T)(expr);                                        \
        }                                                                                          \
    }                                                                                              \
    static void name##_two(char *const *p, const int64_t *step, int64_t n, const void *attr)       \
    {                                                                                              \
        (void)attr;                                                                                \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const T u = *(const T *)(const void *)(p[1] + i * step[1]);                            \
            const double x = (double)(u + *(const T *)(const void *)(p[2] + i * step[2]));         \
            *(T *)(void *)(p[0] + i * step[0]) = (T)(expr);                                        \
        }                                                                                          \
    }
#define GELU(id, expr)                                                                             \
    GELU_LOOPS(id##_f32, float, expr)                                                              \
    GELU_LOOPS(id##_f64, double, expr)                                                             \
    static const ubp_ew_kernels id##_kernels[2] = {                                                \
        {{[UB_F32] = id##_f32_one, [UB_F64] = id##_f64_one}},                                      \
        {{[UB_F32] = id##_f32_two, [UB_F64] = id##_f64_two}}};                                     \
    static ub_status id##_infer(const ubp_call *c)                                                 \
    {                                                                                              \
        return gelu_shape(c, id##_kernels);                                                        \
    }                                                                                              \
    static ub_status id##_ref(const ubp_call *c)                                                   \
    {                                                                                              \
        return ubp_ew_ref(c, &id##_kernels[ubp_has_in(c, 1)]);                                     \
    }

/* A bias broadcasts to x, not the other way round. */
static ub_status gelu_shape(const ubp_call *c, const ubp_ew_kernels *kernels)
{
    UBP_TRY(ubp_want_float(c, 0));
    if (!ubp_has_in(c, 1))
        return ubp_ew_infer(c, &kernels[0], UB_UNDEFINED);
    UBP_TRY(ubp_want_same_dtype(c, 0, 1));
    UBP_TRY(ubp_want_rank(c, 1, 1, 1));
    UBP_TRY(ubp_want_rank(c, 0, 1, UB_MAX_RANK));
    if (c->in[1]->dims[0] != c->in[0]->dims[c->in[0]->rank - 1])
        return ubp_op_fail(c, UB_ERR_SHAPE, "a bias of %lld for %lld columns",
                           (long long)c->in[1]->dims[0],
                           (long long)c->in[0]->dims[c->in[0]->rank - 1]);
    return ubp_ew_infer(c, &kernels[1], UB_UNDEFINED);
}

GELU(gelu, gelu(x))
GELU(fast_gelu, fast_gelu(x))
GELU(quick_gelu, quick_gelu(x, attr))

static ub_status quick_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    double alpha;
    (void)arena;
    UBP_TRY(ubp_attr_float(n, "alpha", 1.702, &alpha, err));
    *(float *)attr = (float)alpha;
    return UB_OK;
}

#define GELU_OP(NAME, LEAST, MOST, FAMILY, ATTRS)                                                  \
    const ubp_op ubp_op_ms_##NAME = {                                                              \
        .name = #NAME,                                                                             \
        .domain = "com.microsoft",                                                                 \
        .min_in = LEAST,                                                                           \
        .max_in = MOST,                                                                            \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .flags = UBP_STRIDED | UBP_WIDEN | UBP_CHEAP,                                              \
        .attr_size = sizeof(float),                                                                \
        .attrs = ATTRS,                                                                            \
        .infer = FAMILY##_infer,                                                                   \
        .batch = ubp_batch_elementwise,                                                            \
        .ref = FAMILY##_ref,                                                                       \
    }
GELU_OP(Gelu, 1, 1, gelu, quick_attrs);
GELU_OP(BiasGelu, 2, 2, gelu, quick_attrs);
GELU_OP(FastGelu, 1, 2, fast_gelu, quick_attrs);
GELU_OP(QuickGelu, 1, 1, quick_gelu, quick_attrs);
