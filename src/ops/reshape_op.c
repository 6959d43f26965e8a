/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reshape, Flatten, Squeeze, Unsqueeze: the same elements in the same order under other dims. In:
 * a tensor, and for some its new dims or axes. Out: a view wherever strides allow it. Follows
 * ONNX opset 25.
 */
#include "ops/move.h"

static bool reshape_view(const ubp_call *c, int k, int64_t *offset)
{
    *offset = 0;
    return ubp_reshape_view(c->out[k], c->in[0], c->out[k]->rank, c->out[k]->dims);
}

/* Copies element by element where neither side is a view of the other. */
static void reshape_walk(const ub_tensor *dst, const ub_tensor *src)
{
    int64_t at_dst[UB_MAX_RANK] = {0}, at_src[UB_MAX_RANK] = {0};
    size_t size = ub_dtype_size(dst->dtype);
    char *to = dst->data;
    const char *from = src->data;
    for (int64_t n = ub_tensor_count(dst); n > 0; n--) {
        ubp_copy_element(to, from, size);
        for (int i = dst->rank; i-- > 0;) {
            to += dst->strides[i];
            if (++at_dst[i] < dst->dims[i])
                break;
            to -= dst->strides[i] * dst->dims[i];
            at_dst[i] = 0;
        }
        for (int i = src->rank; i-- > 0;) {
            from += src->strides[i];
            if (++at_src[i] < src->dims[i])
                break;
            from -= src->strides[i] * src->dims[i];
            at_src[i] = 0;
        }
    }
}

static ub_status reshape_ref(const ubp_call *c)
{
    const ub_tensor *src = c->in[0], *dst = c->out[0];
    if (ub_tensor_count(dst) == 0)
        return UB_OK;
    ub_tensor view = *src;
    if (ubp_reshape_view(&view, src, dst->rank, dst->dims)) {
        view.data = src->data;
        ubp_run_move(c->run, dst, &view);
        return UB_OK;
    }
    view = *dst;
    if (ubp_reshape_view(&view, dst, src->rank, src->dims)) {
        view.data = dst->data;
        ubp_run_move(c->run, &view, src);
        return UB_OK;
    }
    reshape_walk(dst, src);
    return UB_OK;
}

/* ---- Reshape -----------------------------------------------------------------------------------
 */

typedef struct reshape_attr {
    int64_t allowzero;
} reshape_attr;

static ub_status reshape_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    return ubp_attr_int(node, "allowzero", 0, &((reshape_attr *)attr)->allowzero, err);
}

static ub_status reshape_infer(const ubp_call *c)
{
    const reshape_attr *attr = c->attr;
    const ub_tensor *in = c->in[0];
    int64_t dims[UB_MAX_RANK], known = 1;
    int rank, free_axis = -1;
    char text[UBP_SHAPE_TEXT], from[UBP_SHAPE_TEXT];
    UBP_TRY(ubp_in_ints(c, 1, dims, &rank, UB_MAX_RANK));
    ubp_shape_text(text, rank, dims);
    ubp_shape_text(from, in->rank, in->dims);
    for (int i = 0; i < rank; i++) {
        if (dims[i] == 0 && !attr->allowzero) {
            if (i >= in->rank)
                return ubp_op_fail(c, UB_ERR_SHAPE,
                                   "the new shape %s copies dim %d of its input, which is %s", text,
                                   i, from);
            dims[i] = in->dims[i];
        }
        if (dims[i] == -1 && free_axis < 0)
            free_axis = i;
        else if (dims[i] < 0)
            return ubp_op_fail(c, UB_ERR_SHAPE,
                               "the new shape %s has a negative dim; one -1 is allowed", text);
        else if (!ubp_mul_i64(known, dims[i], &known))
            return ubp_op_fail(c, UB_ERR_SHAPE, "the new shape %s is too large", text);
    }
    int64_t count = ub_tensor_count(in);
    if (free_axis >= 0) {
        if (known == 0 || count % known != 0)
            return ubp_op_fail(c, UB_ERR_SHAPE, "no -1 makes %s of %s, which has %lld elements",
                               text, from, (long long)count);
        dims[free_axis] = count / known;
        known = count;
    }
    if (known != count)
        return ubp_op_fail(c, UB_ERR_SHAPE, "%s has %lld elements, the new shape %s has %lld", from,
                           (long long)count, text, (long long)known);
    return ubp_set_out(c, 0, in->dtype, rank, dims);
}

static void reshape_batch(ubp_batch *b)
{
    if (!ubp_samples_plain(b, 1, 1, "a shape made from the samples"))
        return;
    ubp_samples_reshape(b, 0);
    ubp_samples_tuples(b, 0);
}

const ubp_op ubp_op_reshape = {
    .name = "Reshape",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(reshape_attr),
    .attrs = reshape_attrs,
    .infer = reshape_infer,
    .batch = reshape_batch,
    .view = reshape_view,
    .ref = reshape_ref,
};

/* ---- Flatten -----------------------------------------------------------------------------------
 */

typedef struct flatten_attr {
    int64_t axis;
} flatten_attr;

static ub_status flatten_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    return ubp_attr_int(node, "axis", 1, &((flatten_attr *)attr)->axis, err);
}

/* How many axes go into the first dim. Unlike elsewhere axis may be the rank itself. */
static ub_status flatten_axis(const ubp_call *c, int *axis)
{
    const flatten_attr *attr = c->attr;
    int rank = c->in[0]->rank;
    int64_t a = attr->axis;
    if (a < -rank || a > rank)
        return ubp_op_fail(c, UB_ERR_SHAPE, "axis %lld is outside -%d..%d", (long long)a, rank,
                           rank);
    *axis = (int)(a < 0 ? a + rank : a);
    return UB_OK;
}

static ub_status flatten_infer(const ubp_call *c)
{
    const ub_tensor *in = c->in[0];
    int axis = 0;
    UBP_TRY(flatten_axis(c, &axis));
    int64_t dims[2] = {ubp_span(in->dims, 0, axis), ubp_span(in->dims, axis, in->rank)};
    return ubp_set_out(c, 0, in->dtype, 2, dims);
}

static void flatten_batch(ubp_batch *b)
{
    const ub_tensor *in = b->call->in[0];
    const ubp_samples *map = &b->in[0];
    int axis = 0;
    ubp_samples_words(b, 0, 0);
    ubp_samples_tuples(b, 0);
    if (map->kind == UBP_SAMPLES_AXIS && flatten_axis(b->call, &axis) == UB_OK) {
        int side = map->axis < axis ? 0 : 1;
        ubp_samples_axis(b, 0, 0, side);
        b->out[0].outer *= ubp_span(in->dims, side == 0 ? 0 : axis, map->axis);
        b->out[0].inner *= ubp_span(in->dims, map->axis + 1, side == 0 ? axis : in->rank);
    }
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_flatten = {
    .name = "Flatten",
    .domain = "",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(flatten_attr),
    .attrs = flatten_attrs,
    .infer = flatten_infer,
    .batch = flatten_batch,
    .view = reshape_view,
    .ref = reshape_ref,
};

/* ---- Squeeze, Unsqueeze ------------------------------------------------------------------------
 */

/* Which axes of a tensor of rank `rank` (plus their number, when they are new) input 1 names. */
static ub_status named_axes(const ubp_call *c, int *rank, bool added, bool *named)
{
    int64_t axes[UB_MAX_RANK];
    int count;
    UBP_TRY(ubp_in_ints(c, 1, axes, &count, UB_MAX_RANK));
    if (added)
        *rank += count;
    if (*rank > UB_MAX_RANK)
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED, "the output has %d axes, at most %d are done",
                           *rank, UB_MAX_RANK);
    for (int i = 0; i < count; i++) {
        int axis = 0;
        UBP_TRY(ubp_want_axis(c, axes[i], *rank, &axis));
        if (named[axis])
            return ubp_op_fail(c, UB_ERR_SHAPE, "axis %d is named twice", axis);
        named[axis] = true;
    }
    return UB_OK;
}

static ub_status squeezed_axes(const ubp_call *c, bool *gone)
{
    const ub_tensor *in = c->in[0];
    char text[UBP_SHAPE_TEXT];
    int rank = in->rank;
    if (!ubp_has_in(c, 1)) {
        for (int i = 0; i < rank; i++)
            gone[i] = in->dims[i] == 1;
        return UB_OK;
    }
    UBP_TRY(named_axes(c, &rank, false, gone));
    for (int i = 0; i < rank; i++)
        if (gone[i] && in->dims[i] != 1)
            return ubp_op_fail(c, UB_ERR_SHAPE, "axis %d of %s is not 1", i,
                               ubp_shape_text(text, rank, in->dims));
    return UB_OK;
}

static ub_status squeeze_infer(const ubp_call *c)
{
    const ub_tensor *in = c->in[0];
    bool gone[UB_MAX_RANK] = {false};
    int64_t dims[UB_MAX_RANK];
    int rank = 0;
    UBP_TRY(squeezed_axes(c, gone));
    for (int i = 0; i < in->rank; i++)
        if (!gone[i])
            dims[rank++] = in->dims[i];
    return ubp_set_out(c, 0, in->dtype, rank, dims);
}

static void squeeze_batch(ubp_batch *b)
{
    const ubp_samples *map = &b->in[0];
    bool gone[UB_MAX_RANK] = {false};
    if (!ubp_samples_plain(b, 1, 1, "axes made from the samples"))
        return;
    ubp_samples_words(b, 0, 0);
    ubp_samples_tuples(b, 0);
    if (map->kind != UBP_SAMPLES_AXIS) {
        ubp_samples_fit(b, 0);
        return;
    }
    if (squeezed_axes(b->call, gone) != UB_OK || b->call->out[0]->rank == 0) {
        ubp_samples_couple(b, 0, "Squeeze drops the axis of the samples");
        return;
    }
    int axis = 0;
    for (int i = 0; i < map->axis; i++)
        axis += !gone[i];
    /* A batch of one may lose its axis: all entries of the axis that takes its place are then the
     * one sample's. */
    bool lost = gone[map->axis];
    int rank = b->call->out[0]->rank;
    ubp_samples_axis(b, 0, 0, lost && axis == rank ? axis - 1 : axis);
    if (lost)
        b->out[0].inner = b->call->out[0]->dims[b->out[0].axis];
    else
        ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_squeeze = {
    .name = "Squeeze",
    .domain = "",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .infer = squeeze_infer,
    .batch = squeeze_batch,
    .view = reshape_view,
    .ref = reshape_ref,
};

static ub_status unsqueeze_infer(const ubp_call *c)
{
    const ub_tensor *in = c->in[0];
    bool added[UB_MAX_RANK] = {false};
    int64_t dims[UB_MAX_RANK];
    int rank = in->rank;
    UBP_TRY(named_axes(c, &rank, true, added));
    for (int i = 0, from = 0; i < rank; i++)
        dims[i] = added[i] ? 1 : in->dims[from++];
    return ubp_set_out(c, 0, in->dtype, rank, dims);
}

static void unsqueeze_batch(ubp_batch *b)
{
    const ubp_samples *map = &b->in[0];
    bool added[UB_MAX_RANK] = {false};
    int rank = b->call->in[0]->rank;
    if (!ubp_samples_plain(b, 1, 1, "axes made from the samples"))
        return;
    ubp_samples_words(b, 0, 0);
    ubp_samples_tuples(b, 0);
    if (map->kind == UBP_SAMPLES_AXIS) {
        if (named_axes(b->call, &rank, true, added) != UB_OK) {
            ubp_samples_couple(b, 0, "new axes that are not known beforehand");
            return;
        }
        int axis = 0;
        for (int old = map->axis + 1; axis < rank; axis++) {
            old -= !added[axis];
            if (old == 0)
                break;
        }
        ubp_samples_axis(b, 0, 0, axis);
    }
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_unsqueeze = {
    .name = "Unsqueeze",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .infer = unsqueeze_infer,
    .batch = unsqueeze_batch,
    .view = reshape_view,
    .ref = reshape_ref,
};
