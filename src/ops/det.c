/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Det: the determinant of each matrix of (..., M, M), by elimination with the largest pivot, in
 * double. ONNX opset 22.
 */
#include "ops/move.h"
#include "ops/numbers.h"

#include <math.h>

static ub_status det_infer(const ubp_call *c)
{
    UBP_TRY(ubp_want_float(c, 0));
    UBP_TRY(ubp_want_rank(c, 0, 2, UB_MAX_RANK));
    const ub_tensor *x = c->in[0];
    if (x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return ubp_op_fail(c, UB_ERR_SHAPE, "matrices of %lld x %lld, expected square ones",
                           (long long)x->dims[x->rank - 2], (long long)x->dims[x->rank - 1]);
    return ubp_set_out(c, 0, x->dtype, x->rank - 2, x->dims);
}

static void det_batch(ubp_batch *b)
{
    if (ubp_has_samples(b, 0) && b->in[0].axis >= b->call->in[0]->rank - 2)
        ubp_samples_couple(b, 0, "a determinant over the batch axis");
    else if (ubp_has_samples(b, 0))
        ubp_samples_axis(b, 0, 0, b->in[0].axis);
    if (b->in[0].sized)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
    ubp_samples_fit(b, 0);
}

/* a [n][n] is used up. */
static double determinant(double *a, int64_t n)
{
    double det = 1;
    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;
        for (int64_t i = k + 1; i < n; i++)
            best = fabs(a[i * n + k]) > fabs(a[best * n + k]) ? i : best;
        for (int64_t j = k; j < n && best != k; j++) {
            const double t = a[k * n + j];
            a[k * n + j] = a[best * n + j];
            a[best * n + j] = t;
        }
        det *= best == k ? a[k * n + k] : -a[k * n + k];
        for (int64_t i = k + 1; i < n && a[k * n + k] != 0; i++) {
            const double f = a[i * n + k] / a[k * n + k];
            for (int64_t j = k + 1; j < n; j++)
                a[i * n + j] -= f * a[k * n + j];
        }
    }
    return det;
}

static ub_status det_ref(const ubp_call *c)
{
    const ub_tensor *x = c->in[0];
    const int64_t n = x->dims[x->rank - 1], count = ub_tensor_count(c->out[0]);
    size_t bytes;
    if (!ubp_mul_size((size_t)n, (size_t)n, &bytes) || !ubp_mul_size(bytes, sizeof(double), &bytes))
        return ubp_fail_memory(c->err, SIZE_MAX);
    double *a = ubp_run_scratch(c, bytes); /* [n][n] */
    if (!a)
        return UB_ERR_MEMORY;
    for (int64_t i = 0; i < count && !ubp_run_cancelled(c->run); i++) {
        for (int64_t e = 0; e < n * n; e++)
            a[e] = ubp_number(x, i * n * n + e);
        ubp_put_number(c->out[0], i, determinant(a, n));
    }
    return ubp_run_cancelled(c->run) ? UBP_CANCELLED(c) : UB_OK;
}

const ubp_op ubp_op_Det = {
    .name = "Det",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .infer = det_infer,
    .batch = det_batch,
    .ref = det_ref,
};
