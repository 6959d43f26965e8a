/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax, LogSoftmax, Hardmax along one axis, or (private attribute `flatten`, for opsets before
 * 13) along all dims from the axis on. The highest value of a line is subtracted first; its
 * exponentials are summed in double. ONNX opset 13.
 */
#include "ops/attrs.h"
#include "ops/ops.h"
#include "ops/softmax_lines.h"

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

static double highest(const lines *j, const double *x)
{
    double high = x[0];
    for (int64_t i = 1; i < j->n; i++)
        high = x[i * j->inner] > high ? x[i * j->inner] : high;
    return high;
}

static void soft_double(const lines *j, int64_t first)
{
    const double *x = (const double *)j->src + first, high = highest(j, x);
    double *y = (double *)j->dst + first, sum = 0;
    for (int64_t i = 0; i < j->n; i++)
        y[i * j->inner] = exp(x[i * j->inner] - high);
    for (int64_t i = 0; i < j->n; i++)
        sum += y[i * j->inner];
    for (int64_t i = 0; i < j->n; i++)
        y[i * j->inner] /= sum;
}

static void log_soft_double(const lines *j, int64_t first)
{
    const double *x = (const double *)j->src + first, high = highest(j, x);
    double *y = (double *)j->dst + first, sum = 0;
    for (int64_t i = 0; i < j->n; i++)
        sum += exp(x[i * j->inner] - high);
    sum = log(sum);
    for (int64_t i = 0; i < j->n; i++)
        y[i * j->inner] = x[i * j->inner] - high - sum;
}

#define HARD(T)                                                                                    \
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
HARD(float)
HARD(double)
#undef HARD

/* float32: dense lines, or blocks of lines side by side. */
typedef struct soft {
    const float *x;
    float *y;
    int64_t n, inner, blocks; /* of lines in `inner` */
    void (*line)(const float *x, float *y, int64_t n);
    void (*columns)(const float *x, float *y, int64_t n, int64_t step, int64_t columns);
} soft;

static void run_dense(void *arg, int64_t begin, int64_t end)
{
    const soft *j = arg;
    for (int64_t i = begin; i < end; i++)
        j->line(j->x + i * j->n, j->y + i * j->n, j->n);
}

static void run_columns(void *arg, int64_t begin, int64_t end)
{
    const soft *j = arg;
    for (int64_t i = begin; i < end; i++) {
        const int64_t column = i % j->blocks * UBP_SOFT_COLUMNS, left = j->inner - column;
        const int64_t first = i / j->blocks * j->n * j->inner + column;
        j->columns(j->x + first, j->y + first, j->n, j->inner,
                   left < UBP_SOFT_COLUMNS ? left : UBP_SOFT_COLUMNS);
    }
}

static void run_soft(const ubp_call *call, const lines *l, int64_t n_lines, bool logarithm)
{
    enum { GRAIN = 4096 }; /* elements that are worth a thread */
    soft j = {.x = l->src,
              .y = l->dst,
              .n = l->n,
              .inner = l->inner,
              .blocks = (l->inner + UBP_SOFT_COLUMNS - 1) / UBP_SOFT_COLUMNS,
              .line = logarithm ? ubp_log_softmax_line : ubp_softmax_line,
              .columns = logarithm ? ubp_log_softmax_columns : ubp_softmax_columns};
    if (j.inner == 1)
        ubp_run_parallel(call->run, n_lines, GRAIN / j.n + 1, run_dense, &j);
    else
        ubp_run_parallel(call->run, n_lines / j.inner * j.blocks,
                         GRAIN / UBP_SOFT_COLUMNS / j.n + 1, run_columns, &j);
}

static bool find_lines(lines *j, const ubp_call *call)
{
    const ubp_softmax_attr *a = call->attr;
    const ub_tensor *x = call->in[0];
    int64_t axis;
    if (ub_tensor_count(x) == 0 || !find_axis(a, x->rank, &axis))
        return false;
    *j = (lines){.src = x->data, .dst = call->out[0]->data, .n = 1, .inner = 1};
    for (int i = (int)axis; i < x->rank; i++) {
        if (a->flatten || i == axis)
            j->n *= x->dims[i];
        else
            j->inner *= x->dims[i];
    }
    return true;
}

static ub_status run(const ubp_call *call, void (*line)(const lines *, int64_t))
{
    lines j;
    if (!find_lines(&j, call))
        return UB_OK;
    j.line = line;
    ubp_run_parallel(call->run, ub_tensor_count(call->in[0]) / j.n, 4096 / j.n + 1, run_lines, &j);
    return UB_OK;
}

static ub_status run_either(const ubp_call *call, bool logarithm)
{
    lines j;
    if (call->in[0]->dtype == UB_F64)
        return run(call, logarithm ? log_soft_double : soft_double);
    if (find_lines(&j, call))
        run_soft(call, &j, ub_tensor_count(call->in[0]) / j.n, logarithm);
    return UB_OK;
}

static ub_status softmax_ref(const ubp_call *call)
{
    return run_either(call, false);
}

static ub_status log_softmax_ref(const ubp_call *call)
{
    return run_either(call, true);
}

static ub_status hardmax_ref(const ubp_call *call)
{
    return run(call, call->in[0]->dtype == UB_F64 ? hard_double : hard_float);
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
