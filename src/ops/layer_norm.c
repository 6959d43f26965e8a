/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LayerNormalization and RMSNormalization: each row, all dims from `axis` on, is centred (not in
 * RMS) and divided by its deviation, then multiplied by Scale and added to B, which broadcast.
 * Statistics are taken in double over the row in order, in two passes. ONNX:
 * LayerNormalization-17, RMSNormalization-23.
 */
#include "ops/attrs.h"
#include "ops/follow.h"

#include <math.h>
#include <string.h>

static ub_status layer_norm_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    ubp_norm_attr *a = attr;
    double epsilon;
    (void)arena;
    UBP_TRY(ubp_attr_float(node, "epsilon", 1e-5, &epsilon, err));
    UBP_TRY(ubp_attr_int(node, "axis", -1, &a->axis, err));
    UBP_TRY(ubp_attr_int(node, "stash_type", 1, &a->stash_type, err));
    a->epsilon = (float)epsilon;
    if (a->stash_type != UB_F32 && a->stash_type != UB_F64 && a->stash_type != UB_F16 &&
        a->stash_type != UB_BF16)
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "node '%s' (%s): stash_type %lld, expected a floating-point type",
                        node->name, node->op_type, (long long)a->stash_type);
    return UB_OK;
}

/* Whether t broadcasts to x without changing it. */
static bool fits(const ub_tensor *t, const ub_tensor *x)
{
    for (int i = 0; i < t->rank; i++) {
        int at = x->rank - t->rank + i;
        if (at < 0 || (t->dims[i] != 1 && t->dims[i] != x->dims[at]))
            return false;
    }
    return true;
}

static ub_status layer_norm_infer(const ubp_call *call)
{
    const ubp_norm_attr *a = call->attr;
    int64_t axis = a->axis, dims[UB_MAX_RANK];
    UBP_TRY(ubp_want_float(call, 0));
    UBP_TRY(ubp_want_rank(call, 0, 1, UB_MAX_RANK));
    const ub_tensor *x = call->in[0];
    if (!ubp_normalize_axis(&axis, x->rank))
        return ubp_op_fail(call, UB_ERR_SHAPE, "axis %lld is outside of %d dimensions",
                           (long long)a->axis, x->rank);
    for (int i = 1; i < call->n_in; i++) {
        if (!ubp_has_in(call, i))
            continue;
        UBP_TRY(ubp_want_float(call, i));
        if (!fits(call->in[i], x)) {
            char ts[UBP_SHAPE_TEXT], xs[UBP_SHAPE_TEXT];
            return ubp_op_fail(call, UB_ERR_SHAPE, "input %d of shape %s does not broadcast to %s",
                               i, ubp_shape_text(ts, call->in[i]->rank, call->in[i]->dims),
                               ubp_shape_text(xs, x->rank, x->dims));
        }
    }
    for (int i = 0; i < x->rank; i++)
        dims[i] = i < axis ? x->dims[i] : 1;
    UBP_TRY(ubp_set_like(call, 0, 0));
    UBP_TRY(ubp_set_out(call, 1, (ub_dtype)a->stash_type, x->rank, dims));
    return ubp_set_out(call, 2, (ub_dtype)a->stash_type, x->rank, dims);
}

static void layer_norm_batch(ubp_batch *b)
{
    const ubp_norm_attr *a = b->call->attr;
    const ub_tensor *x = b->call->in[0];
    int64_t axis = a->axis;
    ubp_follow f = ubp_follow_begin(b, 0);
    if (!ubp_normalize_axis(&axis, x->rank))
        return;
    if (ubp_follow_has(&f, 0))
        ubp_follow_input(&f, 0, b->in[0].axis);
    for (int i = 1; i < b->call->n_in; i++) {
        if (!ubp_has_in(b->call, i))
            continue;
        const ub_tensor *t = b->call->in[i];
        int own = f.axis - x->rank + t->rank;
        if (ubp_follow_has(&f, i))
            ubp_follow_input(&f, i, x->rank - t->rank + b->in[i].axis);
        else if (f.found && b->n != 1 && own >= 0 && t->dims[own] != 1)
            ubp_samples_couple(b, 0, "an operand has fixed entries for each sample");
        ubp_follow_data(b, 0, i);
    }
    ubp_follow_end(&f);
    for (int k = 0; k < b->call->n_out; k++) {
        ubp_follow_data(b, k, 0);
        if (b->in[0].kind == UBP_SAMPLES_AXIS && b->in[0].axis >= axis)
            ubp_samples_couple(b, k, "normalisation over the batch axis");
        else if (k > 0)
            ubp_samples_like(b, k, 0, 0);
    }
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct rows {
    const ub_tensor *x, *scale, *bias; /* bias may be NULL */
    bool tile_scale, tile_bias;        /* they lie along a row exactly: index is that in the row */
    const ub_tensor *y, *mean, *inv;   /* mean and inv may be NULL */
    int64_t n;                         /* elements of a row */
    double epsilon;
    bool centre;
} rows;

/* Element of t, which broadcasts to x, at the flat index of x. */
static double broadcast(const ub_tensor *t, const ub_tensor *x, int64_t flat)
{
    int64_t at = 0, step = (int64_t)ub_dtype_size(t->dtype);
    for (int i = t->rank - 1; i >= 0; i--) {
        int64_t dim = x->dims[x->rank - t->rank + i];
        if (t->dims[i] != 1)
            at += flat % dim * step;
        step *= t->dims[i];
        flat /= dim;
    }
    return ubp_read_f64((const char *)t->data + at, t->dtype);
}

static double parameter(const rows *j, const ub_tensor *t, bool tile, int64_t row, int64_t i)
{
    if (tile && t->dtype == UB_F32)
        return (double)((const float *)t->data)[i];
    if (tile)
        return ((const double *)t->data)[i];
    return broadcast(t, j->x, row * j->n + i);
}

static double value(const rows *j, int64_t at)
{
    return j->x->dtype == UB_F64 ? ((const double *)j->x->data)[at]
                                 : (double)((const float *)j->x->data)[at];
}

static void put(const ub_tensor *t, int64_t at, double v)
{
    if (t)
        ubp_write_f64((char *)t->data + at * (int64_t)ub_dtype_size(t->dtype), t->dtype, v);
}

static void run_rows(void *arg, int64_t begin, int64_t end)
{
    const rows *j = arg;
    for (int64_t row = begin; row < end; row++) {
        int64_t at = row * j->n;
        double mean = 0, squares = 0;
        for (int64_t i = 0; j->centre && i < j->n; i++)
            mean += value(j, at + i);
        mean /= (double)j->n;
        for (int64_t i = 0; i < j->n; i++)
            squares += (value(j, at + i) - mean) * (value(j, at + i) - mean);
        double inv = 1.0 / sqrt(squares / (double)j->n + j->epsilon);
        for (int64_t i = 0; i < j->n; i++) {
            double v =
                (value(j, at + i) - mean) * inv * parameter(j, j->scale, j->tile_scale, row, i);
            if (j->bias)
                v += parameter(j, j->bias, j->tile_bias, row, i);
            if (j->y->dtype == UB_F64)
                ((double *)j->y->data)[at + i] = v;
            else
                ((float *)j->y->data)[at + i] = (float)v;
        }
        put(j->mean, row, mean);
        put(j->inv, row, inv);
    }
}

/* Whether t has just the dims of a row, and a dtype that parameter() reads at once. */
static bool tiles(const ub_tensor *t, const ub_tensor *x, int64_t axis)
{
    size_t n = (size_t)(x->rank - axis);
    return t->rank == x->rank - axis && memcmp(t->dims, x->dims + axis, n * sizeof *t->dims) == 0 &&
           (t->dtype == UB_F32 || t->dtype == UB_F64);
}

static ub_status run(const ubp_call *call, bool centre)
{
    const ubp_norm_attr *a = call->attr;
    const ub_tensor *x = call->in[0];
    int64_t axis = a->axis, count = ub_tensor_count(x);
    if (count == 0 || !ubp_normalize_axis(&axis, x->rank))
        return UB_OK;
    rows j = {.x = x,
              .scale = call->in[1],
              .bias = ubp_has_in(call, 2) ? call->in[2] : NULL,
              .y = call->out[0],
              .mean = ubp_has_out(call, 1) ? call->out[1] : NULL,
              .inv = ubp_has_out(call, 2) ? call->out[2] : NULL,
              .n = 1,
              .epsilon = (double)a->epsilon,
              .centre = centre};
    for (int i = (int)axis; i < x->rank; i++)
        j.n *= x->dims[i];
    j.tile_scale = tiles(j.scale, x, axis);
    j.tile_bias = j.bias && tiles(j.bias, x, axis);
    ubp_run_parallel(call->run, count / j.n, 4096 / j.n + 1, run_rows, &j);
    return UB_OK;
}

static ub_status layer_norm_ref(const ubp_call *call)
{
    return run(call, true);
}

static ub_status rms_norm_ref(const ubp_call *call)
{
    return run(call, false);
}

const ubp_op ubp_op_LayerNormalization = {
    .name = "LayerNormalization",
    .domain = "",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 3,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(ubp_norm_attr),
    .attrs = layer_norm_attrs,
    .infer = layer_norm_infer,
    .batch = layer_norm_batch,
    .ref = layer_norm_ref,
};

const ubp_op ubp_op_RMSNormalization = {
    .name = "RMSNormalization",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(ubp_norm_attr),
    .attrs = layer_norm_attrs,
    .infer = layer_norm_infer,
    .batch = layer_norm_batch,
    .ref = rms_norm_ref,
};

/* RMSNormalization before ONNX had it, as ONNX Runtime writes it. */
const ubp_op ubp_op_SimplifiedLayerNormalization = {
    .name = "SimplifiedLayerNormalization",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(ubp_norm_attr),
    .attrs = layer_norm_attrs,
    .infer = layer_norm_infer,
    .batch = layer_norm_batch,
    .ref = rms_norm_ref,
};
