/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expand, Tile: a tensor repeated along its axes. Expand stretches axes of 1 and is a view with
 * strides of 0; Tile writes copies of whole blocks. Follows ONNX opset 13.
 */
#include "ops/move.h"

/* ---- Expand ------------------------------------------------------------------------------------
 */

static ub_status expand_infer(const ubp_call *c)
{
    const ub_tensor *in = c->in[0];
    int64_t shape[UB_MAX_RANK], dims[UB_MAX_RANK];
    char text[UBP_SHAPE_TEXT], from[UBP_SHAPE_TEXT];
    int count, rank;
    UBP_TRY(ubp_in_ints(c, 1, shape, &count, UB_MAX_RANK));
    ubp_shape_text(text, count, shape);
    for (int i = 0; i < count; i++)
        if (shape[i] < 0)
            return ubp_op_fail(c, UB_ERR_SHAPE, "the shape %s to expand to has a negative dim",
                               text);
    if (!ubp_broadcast_dims(&rank, dims, in->rank, in->dims, count, shape))
        return ubp_op_fail(c, UB_ERR_SHAPE, "%s does not expand to %s",
                           ubp_shape_text(from, in->rank, in->dims), text);
    return ubp_set_out(c, 0, in->dtype, rank, dims);
}

static bool expand_view(const ubp_call *c, int k, int64_t *offset)
{
    const ub_tensor *in = c->in[0];
    ub_tensor *out = c->out[k];
    int added = out->rank - in->rank;
    for (int i = 0; i < out->rank; i++) {
        bool own = i >= added && in->dims[i - added] == out->dims[i];
        out->strides[i] = own ? in->strides[i - added] : 0;
    }
    *offset = 0;
    return true;
}

static void expand_batch(ubp_batch *b)
{
    const ub_tensor *in = b->call->in[0], *out = b->call->out[0];
    const ubp_samples *map = &b->in[0];
    if (!ubp_samples_plain(b, 1, 1, "a shape made from the samples"))
        return;
    if (map->kind != UBP_SAMPLES_AXIS) {
        ubp_samples_grown(b, 0);
        ubp_samples_words(b, 0, 0);
        return;
    }
    ubp_samples_tuples(b, 0);
    int axis = map->axis + out->rank - in->rank;
    ubp_samples_axis(b, 0, 0, axis);
    ubp_samples_words(b, 0, 0);
    /* One sample stretched over an axis: all of it is that sample's. */
    if (in->dims[map->axis] == 1 && ubp_samples_single(b))
        b->out[0].inner = out->dims[axis];
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_expand = {
    .name = "Expand",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .infer = expand_infer,
    .batch = expand_batch,
    .view = expand_view,
    .ref = ubp_ref_from_view,
};

/* ---- Tile --------------------------------------------------------------------------------------
 */

static ub_status tile_infer(const ubp_call *c)
{
    const ub_tensor *in = c->in[0];
    int64_t repeats[UB_MAX_RANK], dims[UB_MAX_RANK];
    int count;
    UBP_TRY(ubp_in_ints(c, 1, repeats, &count, UB_MAX_RANK));
    if (count != in->rank)
        return ubp_op_fail(c, UB_ERR_SHAPE, "%d repeats for an input of %d axes", count, in->rank);
    for (int i = 0; i < count; i++) {
        if (repeats[i] < 0)
            return ubp_op_fail(c, UB_ERR_SHAPE, "axis %d is repeated %lld times", i,
                               (long long)repeats[i]);
        if (!ubp_mul_i64(in->dims[i], repeats[i], &dims[i]))
            return ubp_op_fail(c, UB_ERR_SHAPE, "%lld repeats of axis %d (%lld) are too many",
                               (long long)repeats[i], i, (long long)in->dims[i]);
    }
    return ubp_set_out(c, 0, in->dtype, in->rank, dims);
}

/* The input is written once into the corner of the output; then, axis by axis, what is there is
 * copied behind itself, each time twice as much. */
static ub_status tile_ref(const ubp_call *c)
{
    const ub_tensor *in = c->in[0], *out = c->out[0];
    if (ub_tensor_count(out) == 0)
        return UB_OK;
    ub_tensor done = *out;
    for (int i = 0; i < in->rank; i++)
        done = ubp_part(&done, i, 0, 1, in->dims[i]);
    ubp_run_move(c->run, &done, in);
    for (int i = in->rank; i-- > 0;) {
        while (done.dims[i] < out->dims[i]) {
            int64_t have = done.dims[i], rest = out->dims[i] - have;
            ub_tensor all = done;
            all.dims[i] = out->dims[i];
            all.strides[i] = out->strides[i];
            int64_t more = rest < have ? rest : have;
            ub_tensor src = ubp_part(&all, i, 0, 1, more);
            ub_tensor dst = ubp_part(&all, i, have, 1, more);
            ubp_run_move(c->run, &dst, &src);
            done = ubp_part(&all, i, 0, 1, have + more);
        }
    }
    return UB_OK;
}

static void tile_batch(ubp_batch *b)
{
    const ub_tensor *in = b->call->in[0], *out = b->call->out[0];
    const ubp_samples *map = &b->in[0];
    if (!ubp_samples_plain(b, 1, 1, "repeats made from the samples"))
        return;
    if (map->kind != UBP_SAMPLES_AXIS) {
        ubp_samples_grown(b, 0);
        ubp_samples_words(b, 0, 0);
        return;
    }
    ubp_samples_axis(b, 0, 0, map->axis);
    ubp_samples_words(b, 0, 0);
    if (in->dims[map->axis] > 0)
        b->out[0].outer *= out->dims[map->axis] / in->dims[map->axis];
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_tile = {
    .name = "Tile",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .infer = tile_infer,
    .batch = tile_batch,
    .ref = tile_ref,
};
