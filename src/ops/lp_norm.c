/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LpNormalization (lines along an axis divided by their norm; a line of zeros stays zero) and
 * MeanVarianceNormalization (centred and scaled over a set of axes). Sums are taken in double, in
 * row-major order. ONNX: LpNormalization-22, MeanVarianceNormalization-13.
 */
#include "ops/reduce.h"

#include <math.h>

typedef struct lp_attr {
    int64_t axis, p;
    int n_axes; /* MeanVarianceNormalization */
    int64_t list[UB_MAX_RANK];
} lp_attr;

static ub_status lp_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    lp_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "axis", -1, &a->axis, err));
    UBP_TRY(ubp_attr_int(node, "p", 2, &a->p, err));
    if (a->p != 1 && a->p != 2)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): p is %lld, expected 1 or 2", node->name,
                        node->op_type, (long long)a->p);
    return UB_OK;
}

static ub_status mvn_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    static const int64_t usual[] = {0, 2, 3};
    lp_attr *a = attr;
    const int64_t *axes;
    (void)arena;
    UBP_TRY(ubp_attr_ints(node, "axes", &axes, &a->n_axes, err));
    if (a->n_axes < 0) {
        axes = usual;
        a->n_axes = UBP_COUNT(usual);
    }
    if (a->n_axes > UB_MAX_RANK)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): %d axes", node->name, node->op_type,
                        a->n_axes);
    for (int i = 0; i < a->n_axes; i++)
        a->list[i] = axes[i];
    return UB_OK;
}

/* The axes that are joined, as bits. */
static ub_status lp_axes(const ubp_call *call, uint32_t *bits)
{
    const lp_attr *a = call->attr;
    int64_t axis = a->axis;
    if (!ubp_normalize_axis(&axis, call->in[0]->rank))
        return ubp_op_fail(call, UB_ERR_SHAPE, "axis %lld is outside of %d dimensions",
                           (long long)a->axis, call->in[0]->rank);
    *bits = 1u << axis;
    return UB_OK;
}

static ub_status mvn_axes(const ubp_call *call, uint32_t *bits)
{
    const lp_attr *a = call->attr;
    *bits = 0;
    for (int i = 0; i < a->n_axes; i++) {
        int64_t axis = a->list[i];
        if (!ubp_normalize_axis(&axis, call->in[0]->rank))
            return ubp_op_fail(call, UB_ERR_SHAPE, "axis %lld is outside of %d dimensions",
                               (long long)a->list[i], call->in[0]->rank);
        *bits |= 1u << axis;
    }
    return UB_OK;
}

static ub_status infer(const ubp_call *call, ub_status (*axes)(const ubp_call *, uint32_t *))
{
    uint32_t bits = 0;
    UBP_TRY(ubp_want_float(call, 0));
    UBP_TRY(axes(call, &bits));
    return ubp_set_like(call, 0, 0);
}

static void batch(ubp_batch *b, ub_status (*axes)(const ubp_call *, uint32_t *))
{
    uint32_t bits = 0;
    ubp_samples_like(b, 0, 0, 0);
    if (axes(b->call, &bits) == UB_OK && b->in[0].kind == UBP_SAMPLES_AXIS &&
        ((bits >> b->in[0].axis) & 1))
        ubp_samples_couple(b, 0, "normalisation over the batch axis");
    if (b->in[0].sized)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
}

typedef struct norm {
    ubp_reduce walk;
    const void *src;
    void *dst;
    bool wide; /* double, else float */
    int64_t p; /* 0: mean and variance */
} norm;

static double value(const norm *j, int64_t at)
{
    return j->wide ? ((const double *)j->src)[at] : (double)((const float *)j->src)[at];
}

/* Sum over a group of (x - shift), its magnitude or its square. */
static double sum(const norm *j, int64_t base, int power, double shift)
{
    int64_t at[UB_MAX_RANK] = {0}, offset = 0, step = ubp_reduce_step(&j->walk);
    double total = 0;
    do {
        for (int64_t i = 0; i < ubp_reduce_run(&j->walk); i++) {
            double v = value(j, base + offset + i * step) - shift;
            total += power == 2 ? v * v : power == 1 ? fabs(v) : v;
        }
    } while (ubp_reduce_next(&j->walk, at, &offset));
    return total;
}

/* (x - shift) / divisor; a divisor of 0 gives 0. */
static void divide(const norm *j, int64_t base, double shift, double divisor)
{
    int64_t at[UB_MAX_RANK] = {0}, offset = 0, step = ubp_reduce_step(&j->walk);
    do {
        for (int64_t i = 0; i < ubp_reduce_run(&j->walk); i++) {
            int64_t k = base + offset + i * step;
            double v = divisor == 0 ? 0 : (value(j, k) - shift) / divisor;
            if (j->wide)
                ((double *)j->dst)[k] = v;
            else
                ((float *)j->dst)[k] = (float)v;
        }
    } while (ubp_reduce_next(&j->walk, at, &offset));
}

static void run_groups(void *arg, int64_t begin, int64_t end)
{
    const norm *j = arg;
    for (int64_t o = begin; o < end; o++) {
        int64_t base = ubp_reduce_base(&j->walk, o);
        if (j->p) {
            double total = sum(j, base, (int)j->p, 0);
            divide(j, base, 0, j->p == 2 ? sqrt(total) : total);
        } else {
            double n = (double)j->walk.reduced;
            double mean = sum(j, base, 0, 0) / n;
            divide(j, base, mean, sqrt(sum(j, base, 2, mean) / n) + 1e-9);
        }
    }
}

static ub_status run(const ubp_call *call, uint32_t axes, int64_t p)
{
    const ub_tensor *x = call->in[0];
    norm j = {.src = x->data, .dst = call->out[0]->data, .wide = x->dtype == UB_F64, .p = p};
    if (ub_tensor_count(x) == 0)
        return UB_OK;
    ubp_reduce_plan(&j.walk, x, axes);
    ubp_run_parallel(call->run, j.walk.kept, 4096 / j.walk.reduced + 1, run_groups, &j);
    return UB_OK;
}

static ub_status lp_infer(const ubp_call *call)
{
    return infer(call, lp_axes);
}

static void lp_batch(ubp_batch *b)
{
    batch(b, lp_axes);
}

static ub_status lp_ref(const ubp_call *call)
{
    uint32_t axes = 0;
    UBP_TRY(lp_axes(call, &axes));
    return run(call, axes, ((const lp_attr *)call->attr)->p);
}

static ub_status mvn_infer(const ubp_call *call)
{
    return infer(call, mvn_axes);
}

static void mvn_batch(ubp_batch *b)
{
    batch(b, mvn_axes);
}

static ub_status mvn_ref(const ubp_call *call)
{
    uint32_t axes = 0;
    UBP_TRY(mvn_axes(call, &axes));
    return run(call, axes, 0);
}

#define LP(NAME, FAMILY)                                                                           \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .min_in = 1,                                                                               \
        .max_in = 1,                                                                               \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .flags = UBP_WIDEN,                                                                        \
        .attr_size = sizeof(lp_attr),                                                              \
        .attrs = FAMILY##_attrs,                                                                   \
        .infer = FAMILY##_infer,                                                                   \
        .batch = FAMILY##_batch,                                                                   \
        .ref = FAMILY##_ref,                                                                       \
    }
LP(LpNormalization, lp);
LP(MeanVarianceNormalization, mvn);
