/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LRN: each element of an image (N, C, ...) divided by a power of the sum of squares of its
 * neighbours in the channels: y = x / (bias + alpha / size * sum)^beta over channels
 * c - floor((size-1)/2) .. c + ceil((size-1)/2). The sum runs upwards in c, in double. ONNX:
 * LRN-13.
 */
#include "ops/ops.h"

#include <math.h>

typedef struct lrn_attr {
    double alpha, beta, bias;
    int64_t size;
} lrn_attr;

static ub_status lrn_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    lrn_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_float(node, "alpha", 1e-4, &a->alpha, err));
    UBP_TRY(ubp_attr_float(node, "beta", 0.75, &a->beta, err));
    UBP_TRY(ubp_attr_float(node, "bias", 1.0, &a->bias, err));
    UBP_TRY(ubp_attr_int(node, "size", 0, &a->size, err));
    if (a->size < 1)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): size is %lld, expected at least 1",
                        node->name, node->op_type, (long long)a->size);
    return UB_OK;
}

static ub_status lrn_infer(const ubp_call *call)
{
    UBP_TRY(ubp_want_float(call, 0));
    UBP_TRY(ubp_want_rank(call, 0, 2, UB_MAX_RANK));
    return ubp_set_like(call, 0, 0);
}

static void lrn_batch(ubp_batch *b)
{
    ubp_samples_like(b, 0, 0, 0);
    ubp_samples_mixes_axis(b, 0, 0, 1, "LRN over the batch axis");
    if (b->in[0].sized)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
}

typedef struct lrn {
    const lrn_attr *attr;
    const ub_tensor *x, *y;
    int64_t c, plane;
} lrn;

static double value(const ub_tensor *t, int64_t at)
{
    return t->dtype == UB_F64 ? ((const double *)t->data)[at]
                              : (double)((const float *)t->data)[at];
}

/* Planes n * C + c. */
static void run_planes(void *arg, int64_t begin, int64_t end)
{
    const lrn *j = arg;
    const lrn_attr *a = j->attr;
    for (int64_t p = begin; p < end; p++) {
        int64_t c = p % j->c, first = p - c;
        int64_t before = (a->size - 1) / 2, after = a->size - 1 - before;
        int64_t from = c > before ? c - before : 0;
        int64_t to = after < j->c - 1 - c ? c + after : j->c - 1;
        for (int64_t i = 0; i < j->plane; i++) {
            double sum = 0, v = value(j->x, p * j->plane + i);
            for (int64_t k = from; k <= to; k++) {
                double w = value(j->x, (first + k) * j->plane + i);
                sum += w * w;
            }
            v /= pow(a->bias + a->alpha / (double)a->size * sum, a->beta);
            if (j->y->dtype == UB_F64)
                ((double *)j->y->data)[p * j->plane + i] = v;
            else
                ((float *)j->y->data)[p * j->plane + i] = (float)v;
        }
    }
}

static ub_status lrn_ref(const ubp_call *call)
{
    const ub_tensor *x = call->in[0];
    lrn j = {call->attr, x, call->out[0], x->dims[1], 1};
    if (ub_tensor_count(x) == 0)
        return UB_OK;
    for (int i = 2; i < x->rank; i++)
        j.plane *= x->dims[i];
    ubp_run_parallel(call->run, x->dims[0] * x->dims[1], 1024 / j.plane + 1, run_planes, &j);
    return UB_OK;
}

const ubp_op ubp_op_LRN = {
    .name = "LRN",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(lrn_attr),
    .attrs = lrn_attrs,
    .infer = lrn_infer,
    .batch = lrn_batch,
    .ref = lrn_ref,
};
