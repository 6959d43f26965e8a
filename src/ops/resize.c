/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resize: nearest elements, or linear or cubic interpolation, one axis after the other from the
 * first to the last; axes that do not change are left out, so the bits of a sample do not depend on
 * the batch. Sums are kept in double, between axes values are float32 (double for float64 and
 * integers). ONNX: Resize-19.
 */
#include "ops/resize.h"

#include <math.h>
#include <string.h>

/* ---- Attributes ------------------------------------------------------------------------------ */

/* The place of a name among `names`. */
static ub_status choice(const ubp_node *node, const char *name, const char *const *names, int n,
                        int *out, ub_error *err)
{
    const char *s;
    UBP_TRY(ubp_attr_string(node, name, names[0], &s, err));
    for (*out = 0; *out < n; ++*out)
        if (strcmp(s, names[*out]) == 0)
            return UB_OK;
    return ubp_fail(err, UB_ERR_UNSUPPORTED, "node '%s' (%s): %s '%s' is not known", node->name,
                    node->op_type, name, s);
}

static ub_status choices(const ubp_node *node, ubp_resize_attr *a, ub_error *err)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const coordinates[] = {"half_pixel",         "half_pixel_symmetric",
                                              "pytorch_half_pixel", "align_corners",
                                              "asymmetric",         "tf_crop_and_resize"};
    static const char *const rounds[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                         "ceil"};
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    int mode, coordinate, round, policy;
    UBP_TRY(choice(node, "mode", modes, 3, &mode, err));
    UBP_TRY(choice(node, "coordinate_transformation_mode", coordinates, 6, &coordinate, err));
    UBP_TRY(choice(node, "nearest_mode", rounds, 4, &round, err));
    UBP_TRY(choice(node, "keep_aspect_ratio_policy", policies, 3, &policy, err));
    a->mode = (ubp_resize_mode)mode;
    a->coordinates = (ubp_resize_coordinates)coordinate;
    a->round = (ubp_resize_round)round;
    a->policy = (ubp_resize_policy)policy;
    return UB_OK;
}

static ub_status resize_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    ubp_resize_attr *a = attr;
    const int64_t *axes;
    int64_t antialias, exclude;
    (void)arena;
    UBP_TRY(choices(node, a, err));
    UBP_TRY(ubp_attr_int(node, "antialias", 0, &antialias, err));
    UBP_TRY(ubp_attr_int(node, "exclude_outside", 0, &exclude, err));
    UBP_TRY(ubp_attr_float(node, "cubic_coeff_a", -0.75, &a->cubic, err));
    UBP_TRY(ubp_attr_float(node, "extrapolation_value", 0, &a->extrapolation, err));
    UBP_TRY(ubp_attr_ints(node, "axes", &axes, &a->n_axes, err));
    a->antialias = antialias != 0 && a->mode != UBP_NEAREST;
    a->exclude_outside = exclude != 0;
    if (a->n_axes > UB_MAX_RANK)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): %d axes", node->name, node->op_type,
                        a->n_axes);
    for (int i = 0; i < a->n_axes; i++)
        a->axes[i] = axes[i];
    return UB_OK;
}

/* ---- Shape ----------------------------------------------------------------------------------- */

enum { ROI = 1, SCALES = 2, SIZES = 3 };

/* Opset 11 gives inputs without elements where later ones leave them out. */
static bool present(const ubp_call *call, int in)
{
    return ubp_has_in(call, in) && ub_tensor_count(call->in[in]) > 0;
}

/* n numbers of an input. */
static ub_status numbers(const ubp_call *call, int in, int n, double *out)
{
    const ub_tensor *t = call->in[in];
    if (t->rank != 1 || t->dims[0] != n || (!ubp_is_float(t->dtype) && !ubp_is_integer(t->dtype))) {
        char shape[UBP_SHAPE_TEXT];
        return ubp_op_fail(call, UB_ERR_SHAPE, "input %d is %s %s, expected %d numbers", in,
                           ub_dtype_name(t->dtype), ubp_shape_text(shape, t->rank, t->dims), n);
    }
    if (!t->data)
        return UBP_NEEDS_DATA;
    for (int i = 0; i < n; i++)
        out[i] = ubp_read_f64((const char *)t->data + i * t->strides[0], t->dtype);
    return UB_OK;
}

static ub_status from_scale(const ubp_call *call, const ubp_resize_attr *a, double scale,
                            ubp_resize_axis *x)
{
    double region = a->coordinates == UBP_TF_CROP ? x->end - x->begin : 1;
    if (!(scale > 0) || !isfinite(scale))
        return ubp_op_fail(call, UB_ERR_SHAPE, "a scale is %g, expected a positive number", scale);
    x->exact = false;
    x->scale = scale;
    x->width = scale * (double)x->in;
    /* In float32 as in ONNX's own shape inference: 10 * 0.7f is 7. */
    float out = floorf((float)x->in * (float)(region * scale));
    if (!(out >= 0) || out > 0x1p53f)
        return ubp_op_fail(call, UB_ERR_SHAPE, "a scale of %g of %lld elements gives %g", scale,
                           (long long)x->in, (double)out);
    x->out = (int64_t)out;
    return UB_OK;
}

/* sizes[i] is for axes[i]; only those are set. */
static ub_status from_sizes(const ubp_call *call, const ubp_resize_attr *a, const int64_t *axes,
                            int n, const double *sizes, ubp_resize_axis *x)
{
    double common = a->policy == UBP_NOT_SMALLER ? 0 : INFINITY;
    for (int i = 0; i < n; i++) {
        ubp_resize_axis *d = &x[axes[i]];
        if (!(sizes[i] >= 0) || sizes[i] > 0x1p53)
            return ubp_op_fail(call, UB_ERR_SHAPE, "a size is %g", sizes[i]);
        d->out = (int64_t)sizes[i];
        d->width = sizes[i];
        d->scale = d->in ? sizes[i] / (double)d->in : 1;
        d->exact = true;
        if (a->policy == UBP_NOT_SMALLER ? d->scale > common : d->scale < common)
            common = d->scale;
    }
    for (int i = 0; i < n && a->policy != UBP_STRETCH; i++) {
        ubp_resize_axis *d = &x[axes[i]];
        d->scale = common;
        d->exact = false;
        d->width = common * (double)d->in;
        if (!(d->width <= 0x1p53))
            return ubp_op_fail(call, UB_ERR_SHAPE, "a size of %g", d->width);
        d->out = (int64_t)floor(d->width + 0.5);
    }
    return UB_OK;
}

/* The axes that the inputs speak of. */
static ub_status find_axes(const ubp_call *call, int64_t *axes, int *n)
{
    const ubp_resize_attr *a = call->attr;
    int rank = call->in[0]->rank;
    uint32_t seen = 0;
    *n = a->n_axes < 0 ? rank : a->n_axes;
    for (int i = 0; i < *n; i++) {
        axes[i] = a->n_axes < 0 ? i : a->axes[i];
        if (!ubp_normalize_axis(&axes[i], rank) || ((seen >> axes[i]) & 1))
            return ubp_op_fail(call, UB_ERR_SHAPE, "axis %lld is repeated or outside of %d dims",
                               (long long)a->axes[i], rank);
        seen |= 1u << axes[i];
    }
    return UB_OK;
}

/* All axes of the call: x[rank]. */
static ub_status resolve(const ubp_call *call, ubp_resize_axis *x)
{
    const ubp_resize_attr *a = call->attr;
    const ub_tensor *t = call->in[0];
    int64_t axes[UB_MAX_RANK];
    double v[UB_MAX_RANK], roi[2 * UB_MAX_RANK];
    int n;
    UBP_TRY(find_axes(call, axes, &n));
    for (int i = 0; i < t->rank; i++)
        x[i] = (ubp_resize_axis){.in = t->dims[i],
                                 .out = t->dims[i],
                                 .exact = true,
                                 .scale = 1,
                                 .width = (double)t->dims[i],
                                 .end = 1};
    if (a->coordinates == UBP_TF_CROP && present(call, ROI)) {
        UBP_TRY(numbers(call, ROI, 2 * n, roi));
        for (int i = 0; i < n; i++) {
            x[axes[i]].begin = roi[i];
            x[axes[i]].end = roi[n + i];
        }
    }
    if (present(call, SCALES) == present(call, SIZES))
        return ubp_op_fail(call, UB_ERR_SHAPE, "either scales or sizes must be given");
    if (present(call, SCALES)) {
        UBP_TRY(numbers(call, SCALES, n, v));
        for (int i = 0; i < n; i++)
            UBP_TRY(from_scale(call, a, v[i], &x[axes[i]]));
    } else {
        UBP_TRY(numbers(call, SIZES, n, v));
        UBP_TRY(from_sizes(call, a, axes, n, v, x));
    }
    for (int i = 0; i < t->rank; i++) {
        x[i].identity =
            x[i].out == x[i].in && fabs(x[i].scale - 1) < 1e-9 && x[i].begin == 0 && x[i].end == 1;
        if (x[i].in == 0 && x[i].out != 0)
            return ubp_op_fail(call, UB_ERR_SHAPE, "an axis without elements cannot be resized");
    }
    return UB_OK;
}

static ub_status resize_infer(const ubp_call *call)
{
    const ubp_resize_attr *a = call->attr;
    const ub_tensor *t = call->in[0];
    ubp_resize_axis x[UB_MAX_RANK];
    int64_t dims[UB_MAX_RANK];
    bool numeric = ubp_is_float(t->dtype) || ubp_is_integer(t->dtype);
    if (!numeric && (a->mode != UBP_NEAREST || t->dtype != UB_BOOL))
        return ubp_op_fail(call, UB_ERR_UNSUPPORTED, "resizing %s is not supported",
                           ub_dtype_name(t->dtype));
    UBP_TRY(resolve(call, x));
    for (int i = 0; i < t->rank; i++)
        dims[i] = x[i].out;
    return ubp_set_out(call, 0, t->dtype, t->rank, dims);
}

static void resize_batch(ubp_batch *b)
{
    const ubp_samples *s = &b->in[0];
    ubp_resize_axis x[UB_MAX_RANK];
    ubp_samples_like(b, 0, 0, 0);
    if (s->sized)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
    for (int i = ROI; i < b->call->n_in; i++)
        if (ubp_has_in(b->call, i) && b->in[i].kind == UBP_SAMPLES_AXIS)
            ubp_samples_couple(b, 0, "a parameter is different for each sample");
    if (s->kind != UBP_SAMPLES_AXIS)
        return;
    if (resolve(b->call, x) != UB_OK || !x[s->axis].identity) {
        b->out[0].kind = UBP_SAMPLES_NONE;
        ubp_samples_couple(b, 0, "resize along the batch axis");
    }
}

/* ---- Running --------------------------------------------------------------------------------- */

/* One axis of interpolation: dst [outer][out][inner] from src [outer][in][inner]. */
typedef struct pass {
    const void *src;
    void *dst;
    bool wide; /* double, else float */
    int64_t in, out, inner;
    const ubp_resize_taps *taps;
} pass;

#define ROW(T)                                                                                     \
    static void row_##T(const pass *p, int64_t row)                                                \
    {                                                                                              \
        const ubp_resize_taps *taps = p->taps;                                                     \
        int64_t outer = row / p->out, o = row % p->out;                                            \
        const T *src = (const T *)p->src + outer * p->in * p->inner;                               \
        const int64_t *index = taps->index + o * taps->n;                                          \
        const double *weight = taps->weight + o * taps->n;                                         \
        T *dst = (T *)p->dst + row * p->inner;                                                     \
        for (int64_t i = 0; i < p->inner; i++) {                                                   \
            double sum = 0;                                                                        \
            for (int64_t t = 0; t < taps->n; t++)                                                  \
                sum += weight[t] * (double)src[index[t] * p->inner + i];                           \
            dst[i] = (T)sum;                                                                       \
        }                                                                                          \
    }
ROW(float)
ROW(double)
#undef ROW

static void run_rows(void *arg, int64_t begin, int64_t end)
{
    const pass *p = arg;
    for (int64_t row = begin; row < end; row++) {
        if (p->wide)
            row_double(p, row);
        else
            row_float(p, row);
    }
}

/* Elements gathered from the nearest ones: whole tensor at once, by size of an element. */
typedef struct gather {
    const ubp_resize_axis *x;
    const ubp_resize_taps *taps; /* [rank] */
    const ub_tensor *src, *dst;
    int64_t size;
    char fill[8]; /* extrapolation value */
} gather;

/* Input index along axis d of output index o, -1 where it is outside. */
static int64_t source(const gather *g, int d, int64_t o)
{
    if (g->x[d].identity)
        return o;
    if (g->taps[d].outside && g->taps[d].outside[o])
        return -1;
    return g->taps[d].index[o];
}

static void gather_rows(void *arg, int64_t begin, int64_t end)
{
    const gather *g = arg;
    const int last = g->dst->rank - 1;
    const int64_t n = g->dst->dims[last];
    for (int64_t row = begin; row < end; row++) {
        const char *src = g->src->data;
        char *dst = (char *)g->dst->data + row * n * g->size;
        bool inside = true;
        int64_t rest = row;
        for (int d = last - 1; d >= 0; d--) {
            int64_t at = source(g, d, rest % g->dst->dims[d]);
            rest /= g->dst->dims[d];
            inside = inside && at >= 0;
            src += at * g->src->strides[d];
        }
        for (int64_t i = 0; i < n; i++, dst += g->size) {
            int64_t at = inside ? source(g, last, i) : -1;
            memcpy(dst, at >= 0 ? src + at * g->size : g->fill, (size_t)g->size);
        }
    }
}

static ub_status run_nearest(const ubp_call *call, const ubp_resize_axis *x,
                             const ubp_resize_taps *taps)
{
    const ubp_resize_attr *a = call->attr;
    const ub_tensor *dst = call->out[0];
    gather g = {.x = x,
                .taps = taps,
                .src = call->in[0],
                .dst = dst,
                .size = (int64_t)ub_dtype_size(dst->dtype)};
    ubp_write_f64(g.fill, dst->dtype, a->extrapolation);
    int64_t n = dst->dims[dst->rank - 1];
    ubp_run_parallel(call->run, ub_tensor_count(dst) / n, 4096 / n + 1, gather_rows, &g);
    return UB_OK;
}

/* Sets what lies outside of the input along any axis. */
static void extrapolate(const ubp_call *call, const ubp_resize_axis *x, const ubp_resize_taps *taps,
                        void *data, ub_dtype dtype)
{
    const ubp_resize_attr *a = call->attr;
    const ub_tensor *y = call->out[0];
    int64_t count = ub_tensor_count(y), size = (int64_t)ub_dtype_size(dtype);
    for (int64_t i = 0; i < count; i++) {
        bool outside = false;
        int64_t rest = i;
        for (int d = y->rank - 1; d >= 0; d--) {
            outside = outside || (!x[d].identity && taps[d].outside[rest % y->dims[d]]);
            rest /= y->dims[d];
        }
        if (outside)
            ubp_write_f64((char *)data + i * size, dtype, a->extrapolation);
    }
}

/* Integers: to the nearest, kept in range. */
static void round_out(const double *src, const ub_tensor *dst)
{
    int64_t count = ub_tensor_count(dst), size = (int64_t)ub_dtype_size(dst->dtype);
    int bits = (int)size * 8 - ubp_is_signed(dst->dtype);
    double high = ldexp(1, bits) - 1, low = ubp_is_signed(dst->dtype) ? -ldexp(1, bits) : 0;
    for (int64_t i = 0; i < count; i++) {
        double v = rint(src[i]);
        v = v > high ? high : v < low ? low : v;
        ubp_write_f64((char *)dst->data + i * size, dst->dtype, v);
    }
}

/* Runs one axis after the other; *data is where the values lie, before and after. */
static ub_status run_passes(const ubp_call *call, const ubp_resize_axis *x,
                            const ubp_resize_taps *taps, ub_dtype work, void **data)
{
    const ub_tensor *t = call->in[0];
    int64_t dims[UB_MAX_RANK];
    memcpy(dims, t->dims, sizeof dims);
    for (int d = 0; d < t->rank; d++) {
        ub_tensor next;
        int64_t outer = 1;
        pass p = {.src = *data, .wide = work == UB_F64, .inner = 1, .taps = &taps[d]};
        if (x[d].identity)
            continue;
        if (ubp_run_cancelled(call->run))
            return UBP_CANCELLED(call);
        p.in = dims[d];
        p.out = dims[d] = x[d].out;
        UBP_TRY(ubp_tensor_describe(&next, work, t->rank, dims, call->err));
        for (int i = 0; i < d; i++)
            outer *= dims[i];
        for (int i = d + 1; i < t->rank; i++)
            p.inner *= dims[i];
        p.dst = ubp_run_scratch(call, ubp_tensor_bytes(&next));
        if (!p.dst)
            return UB_ERR_MEMORY;
        ubp_run_parallel(call->run, outer * p.out, 2048 / (p.inner * p.taps->n) + 1, run_rows, &p);
        *data = p.dst;
    }
    return UB_OK;
}

static ub_status interpolate(const ubp_call *call, const ubp_resize_axis *x,
                             const ubp_resize_taps *taps)
{
    const ubp_resize_attr *a = call->attr;
    const ub_tensor *t = call->in[0], *y = call->out[0];
    ub_dtype work = t->dtype == UB_F32 ? UB_F32 : UB_F64;
    void *data = t->data;
    size_t size;
    if (work != t->dtype) {
        if (!ubp_mul_size((size_t)ub_tensor_count(t), sizeof(double), &size))
            return ubp_fail_memory(call->err, SIZE_MAX);
        data = ubp_run_scratch(call, size);
        if (!data)
            return UB_ERR_MEMORY;
        ubp_convert(data, work, t->data, t->dtype, ub_tensor_count(t));
    }
    UBP_TRY(run_passes(call, x, taps, work, &data));
    if (work == y->dtype)
        memcpy(y->data, data, ubp_tensor_bytes(y));
    else
        round_out(data, y);
    if (a->coordinates == UBP_TF_CROP)
        extrapolate(call, x, taps, y->data, y->dtype);
    return UB_OK;
}

static ub_status resize_ref(const ubp_call *call)
{
    const ubp_resize_attr *a = call->attr;
    const ub_tensor *t = call->in[0], *y = call->out[0];
    ubp_resize_axis x[UB_MAX_RANK];
    ubp_resize_taps taps[UB_MAX_RANK];
    UBP_TRY(resolve(call, x));
    if (ub_tensor_count(y) == 0)
        return UB_OK;
    for (int d = 0; d < t->rank; d++)
        if (!x[d].identity)
            UBP_TRY(ubp_resize_taps_make(call, &x[d], &taps[d]));
    if (t->rank == 0) {
        memcpy(y->data, t->data, ubp_tensor_bytes(y));
        return UB_OK;
    }
    return a->mode == UBP_NEAREST ? run_nearest(call, x, taps) : interpolate(call, x, taps);
}

const ubp_op ubp_op_Resize = {
    .name = "Resize",
    .domain = "",
    .min_in = 1,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(ubp_resize_attr),
    .attrs = resize_attrs,
    .infer = resize_infer,
    .batch = resize_batch,
    .ref = resize_ref,
};
