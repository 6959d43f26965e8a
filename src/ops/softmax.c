/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax, LogSoftmax, Hardmax along one axis, or (private attribute `flatten`, for opsets before
 * 13) along all dims from the axis on. The highest value of a line is subtracted first; its
 * exponentials are summed in order, in double. ONNX opset 13.
 */
#include "ops/attrs.h"
#include "ops/elementwise.h"
#include "ops/vmath.h"
#include "ops/wide.h"

#include <math.h>

static ub_status softmax_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    ubp_softmax_attr *a = attr;
    int64_t flatten;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "axis", -1, &a->axis, err));
    UBP_TRY(ubp_attr_int(node, "flatten", 0, &flatten, err));
    a->flatten = flatten != 0;
    return UB_OK;
}

/* With flatten, axis == rank means lines of one element. */
static bool find_axis(const ubp_softmax_attr *a, int rank, int64_t *axis)
{
    *axis = a->axis;
    if (a->flatten && *axis == rank)
        return true;
    /* NumPy lets a scalar have axis 0 and -1. */
    return ubp_normalize_axis(axis, rank == 0 ? 1 : rank);
}

static ub_status softmax_infer(const ubp_call *call)
{
    const ubp_softmax_attr *a = call->attr;
    int64_t axis;
    UBP_TRY(ubp_want_float(call, 0));
    if (!find_axis(a, call->in[0]->rank, &axis))
        return ubp_op_fail(call, UB_ERR_SHAPE, "axis %lld is outside of %d dimensions",
                           (long long)a->axis, call->in[0]->rank);
    return ubp_set_like(call, 0, 0);
}

static void softmax_batch(ubp_batch *b)
{
    const ubp_softmax_attr *a = b->call->attr;
    const ubp_samples *s = &b->in[0];
    int64_t axis;
    ubp_samples_like(b, 0, 0, 0);
    if (find_axis(a, b->call->in[0]->rank, &axis) && s->kind == UBP_SAMPLES_AXIS &&
        (s->axis == axis || (a->flatten && s->axis > axis)))
        ubp_samples_couple(b, 0, "softmax over the batch axis");
    if (s->sized)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
}

/* A dense line of float32: 16 running maxima and sums, joined in order at the end, so that the
 * order of additions hangs on n alone and every width of vector has it. */
enum { LANES = 16 };
#define SOFT_LINE(name, EXP)                                                                       \
    static void name(const float *x, float *y, int64_t n)                                          \
    {                                                                                              \
        float high[LANES], top = -INFINITY;                                                        \
        double sum[LANES] = {0}, total = 0;                                                        \
        const int64_t whole = n - n % LANES;                                                       \
        for (int l = 0; l < LANES; l++)                                                            \
            high[l] = -INFINITY;                                                                   \
        for (int64_t i = 0; i < whole; i += LANES)                                                 \
            for (int l = 0; l < LANES; l++)                                                        \
                high[l] = x[i + l] > high[l] ? x[i + l] : high[l];                                 \
        for (int64_t i = whole; i < n; i++)                                                        \
            top = x[i] > top ? x[i] : top;                                                         \
        for (int l = 0; l < LANES; l++)                                                            \
            top = high[l] > top ? high[l] : top;                                                   \
        UBP_EW_LOOP(i, n) y[i] = EXP(x[i] - top);                                                  \
        for (int64_t i = 0; i < whole; i += LANES)                                                 \
            for (int l = 0; l < LANES; l++)                                                        \
                sum[l] += (double)y[i + l];                                                        \
        for (int64_t i = whole; i < n; i++)                                                        \
            total += (double)y[i];                                                                 \
        for (int l = 0; l < LANES; l++)                                                            \
            total += sum[l];                                                                       \
        UBP_EW_LOOP(i, n) y[i] = (float)((double)y[i] / total);                                    \
    }
UBP_WIDE_VARIANTS(SOFT_LINE, soft_line, ubp_expf)

/* Lines: n elements, `inner` apart. */
typedef struct lines {
    const void *src;
    void *dst;
    int64_t n, inner;
    void (*line)(const struct lines *j, int64_t first); /* element number of the line's first */
} lines;

static void run_lines(void *arg, int64_t begin, int64_t end)
{
    const lines *j = arg;
    for (int64_t i = begin; i < end; i++)
        j->line(j, i / j->inner * j->inner * j->n + i % j->inner);
}

#define LINES(T, EXP)                                                                              \
    static T highest_##T(const T *x, int64_t n, int64_t step)                                      \
    {                                                                                              \
        T high = x[0];                                                                             \
        for (int64_t i = 1; i < n; i++)                                                            \
            high = x[i * step] > high ? x[i * step] : high;                                        \
        return high;                                                                               \
    }                                                                                              \
    static void soft_##T(const lines *j, int64_t first)                                            \
    {                                                                                              \
        const T *x = (const T *)j->src + first;                                                    \
        T *y = (T *)j->dst + first;                                                                \
        T high = highest_##T(x, j->n, j->inner);                                                   \
        double sum = 0;                                                                            \
        for (int64_t i = 0; i < j->n; i++)                                                         \
            y[i * j->inner] = EXP(x[i * j->inner] - high);                                         \
        for (int64_t i = 0; i < j->n; i++)                                                         \
            sum += (double)y[i * j->inner];                                                        \
        for (int64_t i = 0; i < j->n; i++)                                                         \
            y[i * j->inner] = (T)((double)y[i * j->inner] / sum);                                  \
    }                                                                                              \
    static void log_soft_##T(const lines *j, int64_t first)                                        \
    {                                                                                              \
        const T *x = (const T *)j->src + first;                                                    \
        T *y = (T *)j->dst + first;                                                                \
        T high = highest_##T(x, j->n, j->inner);                                                   \
        double sum = 0;                                                                            \
        for (int64_t i = 0; i < j->n; i++)                                                         \
            sum += (double)EXP(x[i * j->inner] - high);                                            \
        sum = log(sum);                                                                            \
        for (int64_t i = 0; i < j->n; i++)                                                         \
            y[i * j->inner] = (T)((double)x[i * j->inner] - (double)high - sum);                   \
    }                                                                                              \
    static void hard_##T(const lines *j, int64_t first)                                            \
    {                                                                                              \
        const T *x = (const T *)j->src + first;                                                    \
        T *y = (T *)j->dst + first;                                                                \
        int64_t best = 0;                                                                          \
        for (int64_t i = 0; i < j->n; i++) {                                                       \
            y[i * j->inner] = 0;                                                                   \
            if (x[i * j->inner] > x[best * j->inner])                                              \
                best = i;                                                                          \
        }                                                                                          \
        y[best * j->inner] = 1;                                                                    \
    }
LINES(float, ubp_expf)
LINES(double, exp)
#undef LINES

static ub_status run(const ubp_call *call, void (*narrow)(const lines *, int64_t),
                     void (*wide)(const lines *, int64_t))
{
    const ubp_softmax_attr *a = call->attr;
    const ub_tensor *x = call->in[0];
    int64_t axis, count = ub_tensor_count(x);
    if (count == 0 || !find_axis(a, x->rank, &axis))
        return UB_OK;
    lines j = {.src = x->data,
               .dst = call->out[0]->data,
               .n = 1,
               .inner = 1,
               .line = x->dtype == UB_F64 ? wide : narrow};
    for (int i = (int)axis; i < x->rank; i++) {
        if (a->flatten || i == axis)
            j.n *= x->dims[i];
        else
            j.inner *= x->dims[i];
    }
    ubp_run_parallel(call->run, count / j.n, 4096 / j.n + 1, run_lines, &j);
    return UB_OK;
}

static void soft_narrow(const lines *j, int64_t first)
{
    const float *x = (const float *)j->src + first;
    float *y = (float *)j->dst + first;
    if (j->inner == 1)
        UBP_WIDE_CALL(soft_line, x, y, j->n);
    else
        soft_float(j, first);
}

static ub_status softmax_ref(const ubp_call *call)
{
    return run(call, soft_narrow, soft_double);
}

static ub_status log_softmax_ref(const ubp_call *call)
{
    return run(call, log_soft_float, log_soft_double);
}

static ub_status hardmax_ref(const ubp_call *call)
{
    return run(call, hard_float, hard_double);
}

#define SOFTMAX(NAME, REF)                                                                         \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .min_in = 1,                                                                               \
        .max_in = 1,                                                                               \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .flags = UBP_WIDEN,                                                                        \
        .attr_size = sizeof(ubp_softmax_attr),                                                     \
        .attrs = softmax_attrs,                                                                    \
        .infer = softmax_infer,                                                                    \
        .batch = softmax_batch,                                                                    \
        .ref = REF,                                                                                \
    }
SOFTMAX(Softmax, softmax_ref);
SOFTMAX(LogSoftmax, log_softmax_ref);
SOFTMAX(Hardmax, hardmax_ref);
