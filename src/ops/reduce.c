/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ReduceMean, ReduceSum, ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2, ReduceLogSum,
 * ReduceLogSumExp, ReduceSumSquare over the axes in input 1. Floats are summed in double, integers
 * in 64 bits that wrap, in row-major order of the reduced elements: one chain for each output, so
 * its bits do not depend on how many outputs there are. Several neighbouring outputs are computed
 * side by side. Nothing to reduce gives the operation's neutral element. ONNX opsets 13 to 28.
 */
#include "ops/reduce.h"

#include <limits.h>
#include <math.h>

typedef enum reduce_kind {
    REDUCE_SUM,
    REDUCE_MEAN,
    REDUCE_L1,
    REDUCE_L2,
    REDUCE_SUM_SQUARE,
    REDUCE_PROD,
    REDUCE_MAX,
    REDUCE_MIN,
    REDUCE_LOG_SUM,
    REDUCE_LOG_SUM_EXP
} reduce_kind;

typedef enum fold_kind {
    FOLD_SUM,
    FOLD_ABS,
    FOLD_SQUARE,
    FOLD_PRODUCT,
    FOLD_MAX,
    FOLD_MIN,
    FOLD_EXP
} fold_kind;

typedef struct reduce_attr {
    int64_t keepdims, noop;
} reduce_attr;

static ub_status reduce_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    reduce_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "keepdims", 1, &a->keepdims, err));
    return ubp_attr_int(node, "noop_with_empty_axes", 0, &a->noop, err);
}

/* The axes as bits. UBP_NEEDS_DATA when they are not known yet. */
static ub_status read_axes(const ubp_call *call, uint32_t *bits)
{
    const reduce_attr *a = call->attr;
    int64_t axes[UB_MAX_RANK];
    int n = 0, rank = call->in[0]->rank;
    *bits = 0;
    if (ubp_has_in(call, 1))
        UBP_TRY(ubp_in_ints(call, 1, axes, &n, UB_MAX_RANK));
    if (n == 0 && !a->noop)
        *bits = (1u << rank) - 1;
    for (int i = 0; i < n; i++) {
        if (!ubp_normalize_axis(&axes[i], rank))
            return ubp_op_fail(call, UB_ERR_SHAPE, "axis %lld is outside of %d dimensions",
                               (long long)axes[i], rank);
        *bits |= 1u << axes[i];
    }
    return UB_OK;
}

static ub_status infer_dims(const ubp_call *call)
{
    const reduce_attr *a = call->attr;
    const ub_tensor *x = call->in[0];
    int64_t dims[UB_MAX_RANK];
    uint32_t axes;
    int rank = 0;
    UBP_TRY(read_axes(call, &axes));
    for (int i = 0; i < x->rank; i++) {
        if (!((axes >> i) & 1))
            dims[rank++] = x->dims[i];
        else if (a->keepdims)
            dims[rank++] = 1;
    }
    return ubp_set_out(call, 0, x->dtype, rank, dims);
}

static ub_status number_infer(const ubp_call *call)
{
    ub_dtype d = call->in[0]->dtype;
    if (!ubp_is_float(d) && !ubp_is_integer(d))
        return ubp_op_fail(call, UB_ERR_SHAPE, "input 0 is %s, expected numbers", ub_dtype_name(d));
    return infer_dims(call);
}

/* Max and Min take truth values too. */
static ub_status order_infer(const ubp_call *call)
{
    return call->in[0]->dtype == UB_BOOL ? infer_dims(call) : number_infer(call);
}

static ub_status float_infer(const ubp_call *call)
{
    UBP_TRY(ubp_want_float(call, 0));
    return infer_dims(call);
}

static void reduce_batch(ubp_batch *b)
{
    const reduce_attr *a = b->call->attr;
    const ubp_samples *s = &b->in[0];
    uint32_t axes;
    int shift = 0;
    if (ubp_has_in(b->call, 1) && b->in[1].kind == UBP_SAMPLES_AXIS)
        ubp_samples_couple(b, 0, "the axes to reduce hold samples");
    if (s->kind != UBP_SAMPLES_AXIS) {
        ubp_samples_like(b, 0, 0, 0);
        return;
    }
    if (read_axes(b->call, &axes) != UB_OK || ((axes >> s->axis) & 1)) {
        ubp_samples_couple(b, 0, "reduction over the batch axis");
        return;
    }
    for (int i = 0; i < s->axis && !a->keepdims; i++)
        shift -= (int)((axes >> i) & 1);
    ubp_samples_like(b, 0, 0, shift);
}

/* ---- Running --------------------------------------------------------------------------------- */

enum { REDUCE_WIDTH = 16 }; /* outputs side by side */

typedef struct reduction {
    ubp_reduce walk;
    reduce_kind kind;
    const void *src;
    void *dst;
    int64_t row; /* outputs along the last kept dim */
    void (*outputs)(const struct reduction *r, int64_t o, int64_t width);
} reduction;

/* Arithmetic of the three kinds of sums. Integers wrap. */
static inline double real_add(double a, double b)
{
    return a + b;
}
static inline double real_mul(double a, double b)
{
    return a * b;
}
static inline double real_abs(double v)
{
    return fabs(v);
}
static inline double real_exp(double v)
{
    return exp(v);
}
static inline bool real_nan(double v)
{
    return isnan(v);
}
static inline double real_mean(double sum, int64_t n)
{
    return sum / (double)n;
}
static inline int64_t signed_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}
static inline int64_t signed_mul(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}
static inline int64_t signed_abs(int64_t v)
{
    return v < 0 ? (int64_t)(0 - (uint64_t)v) : v;
}
static inline int64_t signed_mean(int64_t sum, int64_t n)
{
    return n ? sum / n : 0;
}
static inline uint64_t unsigned_add(uint64_t a, uint64_t b)
{
    return a + b;
}
static inline uint64_t unsigned_mul(uint64_t a, uint64_t b)
{
    return a * b;
}
static inline uint64_t unsigned_abs(uint64_t v)
{
    return v;
}
static inline uint64_t unsigned_mean(uint64_t sum, int64_t n)
{
    return n ? sum / (uint64_t)n : 0;
}
/* ReduceLogSumExp refuses integers before they come here. */
#define signed_exp(v)   ((void)(v), 0)
#define unsigned_exp(v) ((void)(v), 0)
#define signed_nan(v)   false
#define unsigned_nan(v) false

#define REDUCE_A       double
#define REDUCE_C(name) real_##name

#define REDUCE_T       float
#define REDUCE_(name)  f32_##name
#define REDUCE_LOWEST  (-INFINITY)
#define REDUCE_HIGHEST INFINITY
#include "ops/reduce_typed.h"

#define REDUCE_T       double
#define REDUCE_(name)  f64_##name
#define REDUCE_LOWEST  (-INFINITY)
#define REDUCE_HIGHEST INFINITY
#include "ops/reduce_typed.h"

#undef REDUCE_A
#undef REDUCE_C
#define REDUCE_A       int64_t
#define REDUCE_C(name) signed_##name

#define REDUCE_T       int8_t
#define REDUCE_(name)  i8_##name
#define REDUCE_LOWEST  INT8_MIN
#define REDUCE_HIGHEST INT8_MAX
#include "ops/reduce_typed.h"

#define REDUCE_T       int16_t
#define REDUCE_(name)  i16_##name
#define REDUCE_LOWEST  INT16_MIN
#define REDUCE_HIGHEST INT16_MAX
#include "ops/reduce_typed.h"

#define REDUCE_T       int32_t
#define REDUCE_(name)  i32_##name
#define REDUCE_LOWEST  INT32_MIN
#define REDUCE_HIGHEST INT32_MAX
#include "ops/reduce_typed.h"

#define REDUCE_T       int64_t
#define REDUCE_(name)  i64_##name
#define REDUCE_LOWEST  INT64_MIN
#define REDUCE_HIGHEST INT64_MAX
#include "ops/reduce_typed.h"

#undef REDUCE_A
#undef REDUCE_C
#define REDUCE_A       uint64_t
#define REDUCE_C(name) unsigned_##name

#define REDUCE_T       bool
#define REDUCE_(name)  bool_##name
#define REDUCE_LOWEST  0
#define REDUCE_HIGHEST 1
#include "ops/reduce_typed.h"

#define REDUCE_T       uint8_t
#define REDUCE_(name)  u8_##name
#define REDUCE_LOWEST  0
#define REDUCE_HIGHEST UINT8_MAX
#include "ops/reduce_typed.h"

#define REDUCE_T       uint16_t
#define REDUCE_(name)  u16_##name
#define REDUCE_LOWEST  0
#define REDUCE_HIGHEST UINT16_MAX
#include "ops/reduce_typed.h"

#define REDUCE_T       uint32_t
#define REDUCE_(name)  u32_##name
#define REDUCE_LOWEST  0
#define REDUCE_HIGHEST UINT32_MAX
#include "ops/reduce_typed.h"

#define REDUCE_T       uint64_t
#define REDUCE_(name)  u64_##name
#define REDUCE_LOWEST  0
#define REDUCE_HIGHEST UINT64_MAX
#include "ops/reduce_typed.h"

static void (*outputs_of(ub_dtype dtype))(const reduction *, int64_t, int64_t)
{
    switch (dtype) {
    case UB_F64:
        return f64_outputs;
    case UB_I8:
        return i8_outputs;
    case UB_I16:
        return i16_outputs;
    case UB_I32:
        return i32_outputs;
    case UB_I64:
        return i64_outputs;
    case UB_BOOL:
        return bool_outputs;
    case UB_U8:
        return u8_outputs;
    case UB_U16:
        return u16_outputs;
    case UB_U32:
        return u32_outputs;
    case UB_U64:
        return u64_outputs;
    default:
        return f32_outputs;
    }
}

/* A block is REDUCE_WIDTH outputs of one run of the last kept dim, or what is left of it. */
static void run_blocks(void *arg, int64_t begin, int64_t end)
{
    const reduction *r = arg;
    int64_t blocks = (r->row - 1) / REDUCE_WIDTH + 1;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = i % blocks * REDUCE_WIDTH;
        int64_t width = r->row - at < REDUCE_WIDTH ? r->row - at : REDUCE_WIDTH;
        r->outputs(r, i / blocks * r->row + at, width);
    }
}

static ub_status run(const ubp_call *call, reduce_kind kind)
{
    const ub_tensor *x = call->in[0];
    reduction r = {
        .kind = kind, .src = x->data, .dst = call->out[0]->data, .outputs = outputs_of(x->dtype)};
    uint32_t axes;
    UBP_TRY(read_axes(call, &axes));
    ubp_reduce_plan(&r.walk, x, axes);
    if (r.walk.kept == 0)
        return UB_OK;
    r.row = r.walk.n_kept ? r.walk.kept_dims[r.walk.n_kept - 1] : 1;
    int64_t blocks = r.walk.kept / r.row * ((r.row - 1) / REDUCE_WIDTH + 1);
    ubp_run_parallel(call->run, blocks, 2048 / (r.walk.reduced + 1) + 1, run_blocks, &r);
    return UB_OK;
}

#define REDUCE(NAME, INFER, KIND)                                                                  \
    static ub_status NAME##_ref(const ubp_call *call)                                              \
    {                                                                                              \
        return run(call, KIND);                                                                    \
    }                                                                                              \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .min_in = 1,                                                                               \
        .max_in = 2,                                                                               \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .flags = UBP_WIDEN,                                                                        \
        .attr_size = sizeof(reduce_attr),                                                          \
        .attrs = reduce_attrs,                                                                     \
        .infer = INFER,                                                                            \
        .batch = reduce_batch,                                                                     \
        .ref = NAME##_ref,                                                                         \
    };
REDUCE(ReduceMean, number_infer, REDUCE_MEAN)
REDUCE(ReduceSum, number_infer, REDUCE_SUM)
REDUCE(ReduceMax, order_infer, REDUCE_MAX)
REDUCE(ReduceMin, order_infer, REDUCE_MIN)
REDUCE(ReduceProd, number_infer, REDUCE_PROD)
REDUCE(ReduceL1, number_infer, REDUCE_L1)
REDUCE(ReduceL2, number_infer, REDUCE_L2)
REDUCE(ReduceLogSum, float_infer, REDUCE_LOG_SUM)
REDUCE(ReduceLogSumExp, float_infer, REDUCE_LOG_SUM_EXP)
REDUCE(ReduceSumSquare, number_infer, REDUCE_SUM_SQUARE)
