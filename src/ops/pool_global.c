/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GlobalAveragePool, GlobalMaxPool, GlobalLpPool: each plane of an image (N, C, ...) becomes one
 * number. Elements are visited in row-major order, sums are kept in double. ONNX opset 22.
 */
#include "ops/ops.h"

#include <math.h>

typedef struct global_attr {
    int64_t p; /* GlobalLpPool */
} global_attr;

static ub_status global_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    global_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "p", 2, &a->p, err));
    if (a->p < 1)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): p is %lld, expected at least 1",
                        node->name, node->op_type, (long long)a->p);
    return UB_OK;
}

static ub_status global_infer(const ubp_call *call)
{
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(ubp_want_float(call, 0));
    UBP_TRY(ubp_want_rank(call, 0, 2, UB_MAX_RANK));
    const ub_tensor *x = call->in[0];
    for (int i = 0; i < x->rank; i++)
        dims[i] = i < 2 ? x->dims[i] : 1;
    return ubp_set_out(call, 0, x->dtype, x->rank, dims);
}

static void global_batch(ubp_batch *b)
{
    if (b->in[0].kind == UBP_SAMPLES_AXIS && b->in[0].axis >= 2)
        ubp_samples_couple(b, 0, "pooling along the batch axis");
    else
        ubp_samples_like(b, 0, 0, 0);
    if (b->in[0].sized)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
}

typedef struct planes {
    const void *src; /* [planes][size] */
    void *dst;       /* [planes] */
    int64_t size;
    int64_t p;
    bool wide; /* double, else float */
    double (*pool)(const struct planes *j, int64_t plane);
} planes;

static double at(const planes *j, int64_t i)
{
    return j->wide ? ((const double *)j->src)[i] : (double)((const float *)j->src)[i];
}

static double average(const planes *j, int64_t plane)
{
    double sum = 0;
    for (int64_t i = 0; i < j->size; i++)
        sum += at(j, plane * j->size + i);
    return sum / (double)j->size;
}

static double highest(const planes *j, int64_t plane)
{
    double best = -INFINITY;
    for (int64_t i = 0; i < j->size; i++) {
        double v = at(j, plane * j->size + i);
        if (v > best || isnan(v)) {
            best = v;
            if (isnan(v))
                break;
        }
    }
    return best;
}

static double norm(const planes *j, int64_t plane)
{
    double sum = 0;
    for (int64_t i = 0; i < j->size; i++) {
        double v = fabs(at(j, plane * j->size + i));
        sum += j->p == 1 ? v : j->p == 2 ? v * v : pow(v, (double)j->p);
    }
    return j->p == 1 ? sum : j->p == 2 ? sqrt(sum) : pow(sum, 1.0 / (double)j->p);
}

static void run_planes(void *arg, int64_t begin, int64_t end)
{
    const planes *j = arg;
    for (int64_t plane = begin; plane < end; plane++) {
        double v = j->pool(j, plane);
        if (j->wide)
            ((double *)j->dst)[plane] = v;
        else
            ((float *)j->dst)[plane] = (float)v;
    }
}

static ub_status run(const ubp_call *call, double (*pool)(const planes *, int64_t))
{
    const global_attr *a = call->attr;
    const ub_tensor *x = call->in[0];
    int64_t count = ub_tensor_count(call->out[0]);
    if (count == 0)
        return UB_OK;
    planes j = {.src = x->data,
                .dst = call->out[0]->data,
                .size = ub_tensor_count(x) / count,
                .p = a->p,
                .wide = x->dtype == UB_F64,
                .pool = pool};
    ubp_run_parallel(call->run, count, 16384 / (j.size + 1) + 1, run_planes, &j);
    return UB_OK;
}

static ub_status average_ref(const ubp_call *call)
{
    return run(call, average);
}

static ub_status max_ref(const ubp_call *call)
{
    return run(call, highest);
}

static ub_status lp_ref(const ubp_call *call)
{
    return run(call, norm);
}

#define GLOBAL(NAME, REF)                                                                          \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .min_in = 1,                                                                               \
        .max_in = 1,                                                                               \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .flags = UBP_WIDEN,                                                                        \
        .attr_size = sizeof(global_attr),                                                          \
        .attrs = global_attrs,                                                                     \
        .infer = global_infer,                                                                     \
        .batch = global_batch,                                                                     \
        .ref = REF,                                                                                \
    }
GLOBAL(GlobalAveragePool, average_ref);
GLOBAL(GlobalMaxPool, max_ref);
GLOBAL(GlobalLpPool, lp_ref);
