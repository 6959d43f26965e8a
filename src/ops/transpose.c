/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transpose, DepthToSpace, SpaceToDepth: axes in another order. Transpose is a view; the other two
 * split axes, reorder the parts and merge them again, which one strided copy does. Follows ONNX
 * opset 25 and 28.
 */
#include <string.h>

#include "ops/move.h"

/* ---- Transpose ---------------------------------------------------------------------------------
 */

typedef struct transpose_attr {
    const int64_t *perm; /* [count]; NULL: reversed */
    int count;
} transpose_attr;

static ub_status transpose_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    transpose_attr *a = attr;
    (void)arena;
    return ubp_attr_ints(node, "perm", &a->perm, &a->count, err);
}

/* axes[i]: the input's axis that becomes the output's axis i. */
static ub_status transpose_axes(const ubp_call *c, int *axes)
{
    const transpose_attr *attr = c->attr;
    int rank = c->in[0]->rank;
    bool seen[UB_MAX_RANK] = {false};
    for (int i = 0; i < rank; i++)
        axes[i] = rank - 1 - i;
    if (!attr->perm)
        return UB_OK;
    if (attr->count != rank)
        return ubp_op_fail(c, UB_ERR_SHAPE, "perm orders %d axes, the input has %d", attr->count,
                           rank);
    for (int i = 0; i < rank; i++) {
        UBP_TRY(ubp_want_axis(c, attr->perm[i], rank, &axes[i]));
        if (seen[axes[i]])
            return ubp_op_fail(c, UB_ERR_SHAPE, "perm names axis %d twice", axes[i]);
        seen[axes[i]] = true;
    }
    return UB_OK;
}

static ub_status transpose_infer(const ubp_call *c)
{
    const ub_tensor *in = c->in[0];
    int axes[UB_MAX_RANK];
    int64_t dims[UB_MAX_RANK];
    UBP_TRY(transpose_axes(c, axes));
    for (int i = 0; i < in->rank; i++)
        dims[i] = in->dims[axes[i]];
    return ubp_set_out(c, 0, in->dtype, in->rank, dims);
}

static bool transpose_view(const ubp_call *c, int k, int64_t *offset)
{
    int axes[UB_MAX_RANK];
    if (transpose_axes(c, axes) != UB_OK)
        return false;
    for (int i = 0; i < c->in[0]->rank; i++)
        c->out[k]->strides[i] = c->in[0]->strides[axes[i]];
    *offset = 0;
    return true;
}

static void transpose_batch(ubp_batch *b)
{
    int axes[UB_MAX_RANK];
    ubp_samples_words(b, 0, 0);
    if (ubp_has_samples(b, 0) && transpose_axes(b->call, axes) == UB_OK) {
        int axis = 0;
        while (axes[axis] != b->in[0].axis)
            axis++;
        ubp_samples_axis(b, 0, 0, axis);
        if (axes[b->call->in[0]->rank - 1] == b->call->in[0]->rank - 1)
            ubp_samples_tuples(b, 0);
    }
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_transpose = {
    .name = "Transpose",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(transpose_attr),
    .attrs = transpose_attrs,
    .infer = transpose_infer,
    .batch = transpose_batch,
    .view = transpose_view,
    .ref = ubp_ref_from_view,
};

/* ---- DepthToSpace, SpaceToDepth ----------------------------------------------------------------
 */

typedef struct space_attr {
    int64_t block;
    bool crd; /* depth is [C][B][B]; else (DCR) it is [B][B][C] */
} space_attr;

static ub_status space_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    space_attr *a = attr;
    const char *mode;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "blocksize", 0, &a->block, err));
    UBP_TRY(ubp_attr_string(node, "mode", "DCR", &mode, err));
    a->crd = strcmp(mode, "CRD") == 0;
    if (!a->crd && strcmp(mode, "DCR") != 0)
        return ubp_fail(err, UB_ERR_UNSUPPORTED, "node '%s': mode '%s', expected DCR or CRD",
                        node->name, mode);
    if (a->block < 1 || a->block > INT32_MAX)
        return ubp_fail(err, UB_ERR_FILE, "node '%s': blocksize is %lld, expected 1 or more",
                        node->name, (long long)a->block);
    return UB_OK;
}

static ub_status depth_to_space_infer(const ubp_call *c)
{
    const space_attr *attr = c->attr;
    const ub_tensor *in = c->in[0];
    int64_t block = attr->block, dims[4];
    UBP_TRY(ubp_want_rank(c, 0, 4, 4));
    if (in->dims[1] % (block * block) != 0)
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "%lld channels do not divide into blocks of %lld x %lld",
                           (long long)in->dims[1], (long long)block, (long long)block);
    dims[0] = in->dims[0];
    dims[1] = in->dims[1] / (block * block);
    if (!ubp_mul_i64(in->dims[2], block, &dims[2]) || !ubp_mul_i64(in->dims[3], block, &dims[3]))
        return ubp_op_fail(c, UB_ERR_SHAPE, "blocks of %lld make the output too large",
                           (long long)block);
    return ubp_set_out(c, 0, in->dtype, 4, dims);
}

static ub_status space_to_depth_infer(const ubp_call *c)
{
    const space_attr *attr = c->attr;
    const ub_tensor *in = c->in[0];
    int64_t block = attr->block, dims[4];
    UBP_TRY(ubp_want_rank(c, 0, 4, 4));
    if (in->dims[2] % block != 0 || in->dims[3] % block != 0)
        return ubp_op_fail(
            c, UB_ERR_SHAPE, "%lld x %lld does not divide into blocks of %lld x %lld",
            (long long)in->dims[2], (long long)in->dims[3], (long long)block, (long long)block);
    dims[0] = in->dims[0];
    dims[2] = in->dims[2] / block;
    dims[3] = in->dims[3] / block;
    if (!ubp_mul_i64(in->dims[1], block * block, &dims[1]))
        return ubp_op_fail(c, UB_ERR_SHAPE, "blocks of %lld make the output too large",
                           (long long)block);
    return ubp_set_out(c, 0, in->dtype, 4, dims);
}

/* Both tensors as [N][C][H][B][W][B]: deep is the one with the blocks in its channels, wide the one
 * with them in its height and width. */
static void space_split(const space_attr *attr, const ub_tensor *deep, const ub_tensor *wide,
                        ub_tensor *deep_view, ub_tensor *wide_view)
{
    int64_t block = attr->block, channels = wide->dims[1];
    const int64_t dims[6] = {wide->dims[0], channels, deep->dims[2], block, deep->dims[3], block};
    const int64_t *d = deep->strides, *w = wide->strides;
    int64_t c_step = attr->crd ? block * block : 1, b_step = attr->crd ? 1 : channels;
    const int64_t deep_strides[6] = {d[0], d[1] * c_step, d[2], d[1] * b_step * block,
                                     d[3], d[1] * b_step};
    const int64_t wide_strides[6] = {w[0], w[1], w[2] * block, w[2], w[3] * block, w[3]};
    *deep_view = *deep;
    *wide_view = *wide;
    deep_view->rank = wide_view->rank = 6;
    for (int i = 0; i < 6; i++) {
        deep_view->dims[i] = wide_view->dims[i] = dims[i];
        deep_view->strides[i] = deep_strides[i];
        wide_view->strides[i] = wide_strides[i];
    }
}

static ub_status depth_to_space_ref(const ubp_call *c)
{
    ub_tensor deep, wide;
    if (ub_tensor_count(c->out[0]) == 0)
        return UB_OK;
    space_split(c->attr, c->in[0], c->out[0], &deep, &wide);
    ubp_run_move(c->run, &wide, &deep);
    return UB_OK;
}

static ub_status space_to_depth_ref(const ubp_call *c)
{
    ub_tensor deep, wide;
    if (ub_tensor_count(c->out[0]) == 0)
        return UB_OK;
    space_split(c->attr, c->out[0], c->in[0], &deep, &wide);
    ubp_run_move(c->run, &deep, &wide);
    return UB_OK;
}

/* block > 1 cuts up the axes 1 to 3; only along axis 0 samples stay whole. */
static void space_batch(ubp_batch *b)
{
    const space_attr *attr = b->call->attr;
    if (ubp_has_samples(b, 0) && b->in[0].axis != 0 && attr->block > 1)
        ubp_samples_couple(b, 0, "blocks that reach over the samples");
    else
        ubp_samples_keep(b, 0, 0);
}

const ubp_op ubp_op_depth_to_space = {
    .name = "DepthToSpace",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(space_attr),
    .attrs = space_attrs,
    .infer = depth_to_space_infer,
    .batch = space_batch,
    .ref = depth_to_space_ref,
};

const ubp_op ubp_op_space_to_depth = {
    .name = "SpaceToDepth",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(space_attr),
    .attrs = space_attrs,
    .infer = space_to_depth_infer,
    .batch = space_batch,
    .ref = space_to_depth_ref,
};
