/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pad, CenterCropPad: a tensor with a border: one value, its reflection, its edge, or itself again.
 * Negative pads crop. The middle is copied once; then the borders are filled axis by axis from what
 * is there. Follows ONNX opsets 25 and 18.
 */
#include <string.h>

#include "ops/conv.h"
#include "ops/move.h"

/* ---- Pad ---------------------------------------------------------------------------------------
 */

typedef enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP } pad_mode;

typedef struct pad_attr {
    pad_mode mode;
} pad_attr;

static ub_status pad_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *mode;
    (void)arena;
    UBP_TRY(ubp_attr_string(node, "mode", "constant", &mode, err));
    for (int i = 0; i < UBP_COUNT(names); i++)
        if (strcmp(mode, names[i]) == 0) {
            ((pad_attr *)attr)->mode = (pad_mode)i;
            return UB_OK;
        }
    return ubp_fail(err, UB_ERR_UNSUPPORTED,
                    "node '%s' (Pad): mode '%s', expected constant, reflect, edge or wrap",
                    node->name, mode);
}

/* Per axis: pads before and after, and the part of the input that is kept. */
typedef struct pad_spec {
    int64_t before[UB_MAX_RANK], after[UB_MAX_RANK]; /* >= 0 */
    int64_t start[UB_MAX_RANK], kept[UB_MAX_RANK];
    int64_t dims[UB_MAX_RANK]; /* before + kept + after */
} pad_spec;

static ub_status pad_axis(const ubp_call *c, pad_spec *s, pad_mode mode, int axis, int64_t before,
                          int64_t after)
{
    int64_t dim = c->in[0]->dims[axis], dims;
    if (!ubp_add_i64(dim, before, &dims) || !ubp_add_i64(dims, after, &dims) || dims < 0 ||
        before < -dim || after < -dim)
        return ubp_op_fail(c, UB_ERR_SHAPE, "pads of %lld and %lld for axis %d of %lld",
                           (long long)before, (long long)after, axis, (long long)dim);
    int64_t low = before < 0 ? -before : 0, high = after < 0 ? dim + after : dim;
    if (low > high)
        return ubp_op_fail(c, UB_ERR_SHAPE, "pads of %lld and %lld crop more than axis %d of %lld",
                           (long long)before, (long long)after, axis, (long long)dim);
    s->before[axis] = before < 0 ? 0 : before;
    s->after[axis] = after < 0 ? 0 : after;
    s->start[axis] = low;
    s->kept[axis] = high - low;
    s->dims[axis] = dims;
    if (mode != PAD_CONSTANT && s->kept[axis] == 0 && dims > 0)
        return ubp_op_fail(c, UB_ERR_SHAPE, "axis %d has nothing to be padded with", axis);
    return UB_OK;
}

static ub_status pad_parse(const ubp_call *c, pad_spec *s)
{
    const ub_tensor *in = c->in[0];
    pad_mode mode = ((const pad_attr *)c->attr)->mode;
    int64_t pads[2 * UB_MAX_RANK], axes[UB_MAX_RANK];
    bool seen[UB_MAX_RANK] = {false};
    int count, n = in->rank;
    UBP_TRY(ubp_in_ints(c, 1, pads, &count, 2 * UB_MAX_RANK));
    for (int i = 0; i < UB_MAX_RANK; i++)
        axes[i] = i;
    if (ubp_has_in(c, 3))
        UBP_TRY(ubp_in_ints(c, 3, axes, &n, UB_MAX_RANK));
    if (count != 2 * n)
        return ubp_op_fail(c, UB_ERR_SHAPE, "%d pads for %d axes, expected two for each", count, n);
    for (int i = 0; i < in->rank; i++)
        UBP_TRY(pad_axis(c, s, mode, i, 0, 0));
    for (int i = 0; i < n; i++) {
        int axis = 0;
        UBP_TRY(ubp_want_axis(c, axes[i], in->rank, &axis));
        if (seen[axis])
            return ubp_op_fail(c, UB_ERR_SHAPE, "axis %d is padded twice", axis);
        seen[axis] = true;
        UBP_TRY(pad_axis(c, s, mode, axis, pads[i], pads[n + i]));
    }
    return UB_OK;
}

static ub_status pad_infer(const ubp_call *c)
{
    pad_spec s;
    UBP_TRY(pad_parse(c, &s));
    if (ubp_has_in(c, 2)) {
        UBP_TRY(ubp_want_same_dtype(c, 0, 2));
        if (ub_tensor_count(c->in[2]) != 1)
            return ubp_op_fail(c, UB_ERR_SHAPE, "constant_value has %lld elements, expected one",
                               (long long)ub_tensor_count(c->in[2]));
    }
    return ubp_set_out(c, 0, c->in[0]->dtype, c->in[0]->rank, s.dims);
}

/* What index i of a border takes: an index of [0, n). NumPy's rule, any distance. */
static int64_t pad_source(pad_mode mode, int64_t i, int64_t n)
{
    if (mode == PAD_EDGE || n == 1)
        return i < 0 ? 0 : n - 1;
    int64_t period = mode == PAD_WRAP ? n : 2 * (n - 1);
    i %= period;
    if (i < 0)
        i += period;
    return i < n ? i : period - i;
}

/* The borders before and after of one axis of `box`, whose middle is filled already. */
static void pad_borders(const ubp_call *c, const pad_spec *s, pad_mode mode, const ub_tensor *box,
                        int axis, const void *value)
{
    int64_t before = s->before[axis], kept = s->kept[axis], after = s->after[axis];
    if (mode == PAD_CONSTANT) {
        ub_tensor low = ubp_part(box, axis, 0, 1, before);
        ub_tensor high = ubp_part(box, axis, before + kept, 1, after);
        ub_tensor fill = ubp_repeated(box->dtype, box->rank, low.dims, value);
        ubp_run_move(c->run, &low, &fill);
        fill = ubp_repeated(box->dtype, box->rank, high.dims, value);
        ubp_run_move(c->run, &high, &fill);
        return;
    }
    for (int64_t i = 0; i < before + kept + after; i++) {
        if (i == before)
            i += kept;
        if (i == before + kept + after)
            break;
        int64_t from = before + pad_source(mode, i - before, kept);
        ub_tensor dst = ubp_part(box, axis, i, 1, 1), src = ubp_part(box, axis, from, 1, 1);
        ubp_run_move(c->run, &dst, &src);
    }
}

static void pad_write(const ubp_call *c, const pad_spec *s, pad_mode mode, const void *value)
{
    const ub_tensor *out = c->out[0];
    ub_tensor src = *c->in[0], box = *out;
    for (int i = 0; i < out->rank; i++) {
        src = ubp_part(&src, i, s->start[i], 1, s->kept[i]);
        box = ubp_part(&box, i, s->before[i], 1, s->kept[i]);
    }
    ubp_run_move(c->run, &box, &src);
    for (int axis = 0; axis < out->rank; axis++) {
        box = *out;
        for (int i = axis + 1; i < out->rank; i++)
            box = ubp_part(&box, i, s->before[i], 1, s->kept[i]);
        pad_borders(c, s, mode, &box, axis, value);
    }
}

static const uint64_t pad_zero = 0;

static ub_status pad_ref(const ubp_call *c)
{
    pad_spec s;
    UBP_TRY(pad_parse(c, &s));
    pad_write(c, &s, ((const pad_attr *)c->attr)->mode,
              ubp_has_in(c, 2) ? c->in[2]->data : &pad_zero);
    return UB_OK;
}

bool ubp_pad_zeros(const ubp_call *c, int64_t *before, int64_t *after)
{
    static const char zero[sizeof(double)] = {0};
    pad_spec s;
    ubp_call quiet = *c;
    quiet.err = NULL;
    for (int i = 1; i < c->n_in; i++)
        if (ubp_has_in(c, i) && !c->in[i]->data)
            return false;
    if (((const pad_attr *)c->attr)->mode != PAD_CONSTANT || c->in[0]->dtype != UB_F32 ||
        pad_parse(&quiet, &s) != UB_OK ||
        (ubp_has_in(c, 2) && memcmp(c->in[2]->data, zero, sizeof(float)) != 0))
        return false;
    for (int i = 0; i < c->in[0]->rank; i++) {
        before[i] = s.before[i];
        after[i] = s.after[i];
        if (s.kept[i] != c->in[0]->dims[i])
            return false;
    }
    return true;
}

/* known: whether s could be worked out. */
static void pad_samples(ubp_batch *b, const pad_spec *s, bool known)
{
    int axis = b->in[0].axis;
    if (ubp_has_samples(b, 0) && (!known || s->before[axis] || s->after[axis] ||
                                  s->kept[axis] != b->call->in[0]->dims[axis])) {
        ubp_samples_couple(
            b, 0, known ? "pads add or drop samples" : "pads that are not known beforehand");
        return;
    }
    ubp_samples_keep(b, 0, 0);
    b->out[0].positional = false;
}

static void pad_batch(ubp_batch *b)
{
    pad_spec s;
    if (ubp_samples_plain(b, 1, 3, "pads made from the samples"))
        pad_samples(b, &s, pad_parse(b->call, &s) == UB_OK);
}

const ubp_op ubp_op_pad = {
    .name = "Pad",
    .domain = "",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(pad_attr),
    .attrs = pad_attrs,
    .infer = pad_infer,
    .batch = pad_batch,
    .ref = pad_ref,
};

/* ---- CenterCropPad -----------------------------------------------------------------------------
 */

typedef struct center_attr {
    const int64_t *axes; /* [count]; NULL: all */
    int count;
} center_attr;

static ub_status center_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    center_attr *a = attr;
    (void)arena;
    return ubp_attr_ints(node, "axes", &a->axes, &a->count, err);
}

/* The pads, or crops, that give each axis its new size; what is odd goes to the end. */
static ub_status center_parse(const ubp_call *c, pad_spec *s)
{
    const center_attr *attr = c->attr;
    const ub_tensor *in = c->in[0];
    int64_t sizes[UB_MAX_RANK];
    bool seen[UB_MAX_RANK] = {false};
    int count, n = attr->axes ? attr->count : in->rank;
    UBP_TRY(ubp_in_ints(c, 1, sizes, &count, UB_MAX_RANK));
    if (count != n)
        return ubp_op_fail(c, UB_ERR_SHAPE, "%d sizes for %d axes", count, n);
    for (int i = 0; i < in->rank; i++)
        UBP_TRY(pad_axis(c, s, PAD_CONSTANT, i, 0, 0));
    for (int i = 0; i < n; i++) {
        int axis = 0;
        UBP_TRY(ubp_want_axis(c, attr->axes ? attr->axes[i] : i, in->rank, &axis));
        if (seen[axis] || sizes[i] < 0)
            return ubp_op_fail(c, UB_ERR_SHAPE, "axis %d gets size %lld%s", axis,
                               (long long)sizes[i], seen[axis] ? " after another" : "");
        seen[axis] = true;
        int64_t more = sizes[i] - in->dims[axis];
        UBP_TRY(pad_axis(c, s, PAD_CONSTANT, axis, more / 2, more - more / 2));
    }
    return UB_OK;
}

static ub_status center_infer(const ubp_call *c)
{
    pad_spec s;
    UBP_TRY(center_parse(c, &s));
    return ubp_set_out(c, 0, c->in[0]->dtype, c->in[0]->rank, s.dims);
}

static ub_status center_ref(const ubp_call *c)
{
    pad_spec s;
    UBP_TRY(center_parse(c, &s));
    pad_write(c, &s, PAD_CONSTANT, &pad_zero);
    return UB_OK;
}

static void center_batch(ubp_batch *b)
{
    pad_spec s;
    if (ubp_samples_plain(b, 1, 1, "sizes made from the samples"))
        pad_samples(b, &s, center_parse(b->call, &s) == UB_OK);
}

const ubp_op ubp_op_center_crop_pad = {
    .name = "CenterCropPad",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_STRIDED,
    .attr_size = sizeof(center_attr),
    .attrs = center_attrs,
    .infer = center_infer,
    .batch = center_batch,
    .ref = center_ref,
};
