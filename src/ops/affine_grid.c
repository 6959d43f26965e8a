/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AffineGrid: where each pixel of a picture (N, C, H, W) or (N, C, D, H, W) comes from under one
 * affine matrix a sample, for GridSample: theta (N, 2, 3) or (N, 3, 4). ONNX opset 20.
 */
#include "ops/move.h"
#include "ops/numbers.h"

static ub_status affine_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    return ubp_attr_int(n, "align_corners", 0, attr, err);
}

static ub_status affine_infer(const ubp_call *c)
{
    int64_t size[5], dims[5];
    int n = 0;
    UBP_TRY(ubp_want_float(c, 0));
    UBP_TRY(ubp_want_rank(c, 0, 3, 3));
    UBP_TRY(ubp_in_ints(c, 1, size, &n, 5));
    const int64_t *theta = c->in[0]->dims;
    const int axes = n - 2;
    if (n < 4 || theta[1] != axes || theta[2] != axes + 1 || theta[0] != size[0])
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "theta (%lld, %lld, %lld) for a size of %d numbers with N = %lld",
                           (long long)theta[0], (long long)theta[1], (long long)theta[2], n,
                           (long long)(n ? size[0] : 0));
    dims[0] = theta[0];
    for (int i = 0; i < axes; i++)
        dims[1 + i] = size[2 + i];
    dims[1 + axes] = axes;
    return ubp_set_out(c, 0, c->in[0]->dtype, axes + 2, dims);
}

/* The size may count samples: it then does so in the first dim, as theta does. */
static void affine_batch(ubp_batch *b)
{
    if (!ubp_samples_plain(b, 1, 1, "a size made from the samples"))
        return;
    if (ubp_has_samples(b, 0) && b->in[0].axis == 0)
        ubp_samples_axis(b, 0, 0, 0);
    else if (ubp_has_samples(b, 0))
        ubp_samples_couple(b, 0, "matrices made of several samples");
    ubp_samples_fit(b, 0);
}

static double place(int64_t i, int64_t size, bool corners)
{
    if (corners)
        return size > 1 ? -1 + 2 * (double)i / (double)(size - 1) : -1;
    return (2 * (double)i + 1) / (double)size - 1;
}

/* One place of one sample per index; the last of its coordinates runs along the first axis. */
static void affine_places(void *arg, int64_t begin, int64_t end)
{
    const ubp_call *c = arg;
    const ub_tensor *out = c->out[0];
    const int axes = out->rank - 2;
    const bool corners = *(const int64_t *)c->attr != 0;
    for (int64_t i = begin; i < end; i++) {
        double x[3] = {0};
        int64_t rest = i;
        for (int a = axes; a-- > 0; rest /= out->dims[1 + a])
            x[axes - 1 - a] = place(rest % out->dims[1 + a], out->dims[1 + a], corners);
        for (int r = 0; r < axes; r++) {
            const int64_t row = (rest * axes + r) * (axes + 1);
            double sum = 0;
            for (int k = 0; k < axes; k++)
                sum += ubp_number(c->in[0], row + k) * x[k];
            ubp_put_number(out, i * axes + r, sum + ubp_number(c->in[0], row + axes));
        }
    }
}

static ub_status affine_ref(const ubp_call *c)
{
    ubp_call call = *c;
    const int axes = c->out[0]->rank - 2;
    ubp_run_parallel(c->run, ub_tensor_count(c->out[0]) / axes, 1024, affine_places, &call);
    return UB_OK;
}

const ubp_op ubp_op_AffineGrid = {
    .name = "AffineGrid",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(int64_t),
    .attrs = affine_attrs,
    .infer = affine_infer,
    .batch = affine_batch,
    .ref = affine_ref,
};
