/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorScatter: a cache with new entries written along its sequence axis, for each sample from an
 * index of its own. Follows ONNX opset 24.
 *
 * past    [N][..][longest][..]
 * update  [N][..][T][..]
 * indices [N], 0 when left out
 */
#include <string.h>

#include "ops/move.h"

typedef struct cache_attr {
    int64_t axis;
    bool circular; /* what runs over the end goes on at the start */
} cache_attr;

static ub_status cache_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    cache_attr *a = attr;
    const char *mode;
    (void)arena;
    UBP_TRY(ubp_attr_int(node, "axis", -2, &a->axis, err));
    UBP_TRY(ubp_attr_string(node, "mode", "linear", &mode, err));
    a->circular = strcmp(mode, "circular") == 0;
    if (!a->circular && strcmp(mode, "linear") != 0)
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "node '%s' (TensorScatter): mode '%s', expected linear or circular",
                        node->name, mode);
    return UB_OK;
}

static ub_status cache_axis(const ubp_call *c, int *axis)
{
    UBP_TRY(ubp_want_rank(c, 0, 2, UB_MAX_RANK));
    UBP_TRY(ubp_want_axis(c, ((const cache_attr *)c->attr)->axis, c->in[0]->rank, axis));
    if (*axis == 0)
        return ubp_op_fail(c, UB_ERR_SHAPE, "axis 0 is the batch, not the sequence");
    return UB_OK;
}

static ub_status cache_infer(const ubp_call *c)
{
    const ub_tensor *past = c->in[0], *update = c->in[1];
    char text[UBP_SHAPE_TEXT], other[UBP_SHAPE_TEXT];
    int axis = 0;
    UBP_TRY(cache_axis(c, &axis));
    UBP_TRY(ubp_want_same_dtype(c, 0, 1));
    bool fits = update->rank == past->rank;
    for (int i = 0; fits && i < past->rank; i++)
        fits = i == axis ? update->dims[i] <= past->dims[i] : update->dims[i] == past->dims[i];
    if (!fits)
        return ubp_op_fail(c, UB_ERR_SHAPE, "the update is %s for a cache of %s",
                           ubp_shape_text(other, update->rank, update->dims),
                           ubp_shape_text(text, past->rank, past->dims));
    if (ubp_has_in(c, 2)) {
        UBP_TRY(ubp_want_index(c, 2));
        UBP_TRY(ubp_want_rank(c, 2, 1, 1));
        if (c->in[2]->dims[0] != past->dims[0])
            return ubp_op_fail(c, UB_ERR_SHAPE, "%lld indices for %lld samples",
                               (long long)c->in[2]->dims[0], (long long)past->dims[0]);
    }
    return ubp_set_like(c, 0, 0);
}

static ub_status cache_ref(const ubp_call *c)
{
    const ub_tensor *update = c->in[1], *out = c->out[0];
    bool circular = ((const cache_attr *)c->attr)->circular;
    int64_t *indices = NULL;
    int axis = 0;
    UBP_TRY(cache_axis(c, &axis));
    if (ubp_has_in(c, 2))
        UBP_TRY(ubp_index_data(c, 2, &indices));
    ubp_run_move(c->run, out, c->in[0]);
    int64_t longest = out->dims[axis], len = update->dims[axis];
    for (int64_t i = 0; i < out->dims[0] && longest > 0; i++) {
        int64_t at = indices ? indices[i] : 0;
        if (at < 0 || (!circular && at > longest - len))
            return ubp_op_fail(c, UB_ERR_SHAPE,
                               "sample %lld is written at %lld: %lld entries do not fit into %lld",
                               (long long)i, (long long)at, (long long)len, (long long)longest);
        at %= longest;
        int64_t head = len < longest - at ? len : longest - at;
        ub_tensor src = ubp_part(update, 0, i, 1, 1), dst = ubp_part(out, 0, i, 1, 1);
        ub_tensor from = ubp_part(&src, axis, 0, 1, head), to = ubp_part(&dst, axis, at, 1, head);
        ubp_run_move(c->run, &to, &from);
        from = ubp_part(&src, axis, head, 1, len - head);
        to = ubp_part(&dst, axis, 0, 1, len - head);
        ubp_run_move(c->run, &to, &from);
    }
    return UB_OK;
}

static void cache_batch(ubp_batch *b)
{
    int axis = 0, from = -1, given = b->call->n_in;
    if (cache_axis(b->call, &axis) != UB_OK)
        return;
    for (int i = 0; i < given; i++)
        if (from < 0 && ubp_has_samples(b, i))
            from = i;
    if (given > 2 && (b->in[2].sized || b->in[2].positional))
        ubp_samples_couple(b, 0, "uses the number of samples as data");
    if (from >= 0) {
        const ubp_samples *map = &b->in[from];
        ubp_samples_axis(b, 0, from, map->axis);
        ubp_samples_mixes_axis(b, 0, from, axis, "TensorScatter along the samples");
        for (int i = 0; i < given; i++) {
            if (!ubp_has_in(b->call, i) || (i == 2 && map->axis != 0 && !ubp_has_samples(b, 2)))
                continue;
            if (ubp_has_samples(b, i)
                    ? b->in[i].axis != map->axis || !ubp_same_folding(&b->in[i], map)
                    : !ubp_samples_single(b))
                ubp_samples_couple(b, 0, "samples lie on different axes of cache and update");
        }
    }
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_tensor_scatter = {
    .name = "TensorScatter",
    .domain = "",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(cache_attr),
    .attrs = cache_attrs,
    .infer = cache_infer,
    .batch = cache_batch,
    .ref = cache_ref,
};
