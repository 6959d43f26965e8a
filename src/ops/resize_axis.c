/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resize along one axis: coordinates and weights, in double. ONNX: Resize-19.
 */
#include "ops/resize.h"

#include <math.h>

/* x / scale; exactly x * in / out where the scale is that ratio, so that whole coordinates stay
 * whole. */
static double unscale(const ubp_resize_axis *axis, double x)
{
    return axis->exact ? x * (double)axis->in / (double)axis->out : x / axis->scale;
}

double ubp_resize_coordinate(const ubp_resize_attr *a, const ubp_resize_axis *axis, int64_t i)
{
    double x = (double)i, last = (double)(axis->in - 1), width = axis->width;
    switch (a->coordinates) {
    case UBP_HALF_PIXEL:
        return unscale(axis, x + 0.5) - 0.5;
    case UBP_HALF_PIXEL_SYMMETRIC:
        return (double)axis->in / 2 * (1 - (double)axis->out / width) + unscale(axis, x + 0.5) -
               0.5;
    case UBP_PYTORCH_HALF_PIXEL:
        return axis->out > 1 ? unscale(axis, x + 0.5) - 0.5 : 0;
    case UBP_ALIGN_CORNERS:
        return width == 1 ? 0 : x * last / (width - 1);
    case UBP_ASYMMETRIC:
        return unscale(axis, x);
    case UBP_TF_CROP:
        if (axis->out > 1)
            return axis->begin * last +
                   x * (axis->end - axis->begin) * last / (double)(axis->out - 1);
        return 0.5 * (axis->begin + axis->end) * last;
    }
    return x;
}

static int64_t clamp(double x, int64_t size)
{
    if (!(x > 0))
        return 0;
    return x >= (double)size ? size - 1 : (int64_t)x;
}

static int64_t nearest(ubp_resize_round round, double x, int64_t size)
{
    switch (round) {
    case UBP_PREFER_FLOOR:
        return clamp(ceil(x - 0.5), size);
    case UBP_PREFER_CEIL:
        return clamp(floor(x + 0.5), size);
    case UBP_FLOOR:
        return clamp(floor(x), size);
    default:
        return clamp(ceil(x), size);
    }
}

/* Weight of an input element at this distance, in units of the kernel's own width. */
static double kernel(const ubp_resize_attr *a, double distance)
{
    double d = fabs(distance), c = a->cubic;
    if (a->mode == UBP_LINEAR)
        return d < 1 ? 1 - d : 0;
    if (d <= 1)
        return ((c + 2) * d - (c + 3)) * d * d + 1;
    return d < 2 ? ((c * d - 5 * c) * d + 8 * c) * d - 4 * c : 0;
}

/* Downscaling with antialias stretches the kernel over 1/scale times as many elements. */
static double stretch(const ubp_resize_attr *a, const ubp_resize_axis *axis)
{
    return a->antialias && axis->scale < 1 ? axis->scale : 1;
}

static void weigh(const ubp_resize_attr *a, const ubp_resize_axis *axis, double x, int64_t n,
                  int64_t *index, double *weight)
{
    double shrink = stretch(a, axis), first = floor(x) - (double)(n / 2) + 1, sum = 0;
    for (int64_t t = 0; t < n; t++) {
        double at = first + (double)t;
        bool inside = at >= 0 && at < (double)axis->in;
        weight[t] = a->exclude_outside && !inside ? 0 : kernel(a, (at - x) * shrink);
        index[t] = clamp(at, axis->in);
        sum += weight[t];
    }
    if (!a->exclude_outside && !a->antialias)
        return;
    for (int64_t t = 0; t < n && sum != 0; t++)
        weight[t] /= sum;
}

static ub_status allocate(const ubp_call *call, int64_t out, ubp_resize_taps *taps, bool weights,
                          bool outside)
{
    size_t count, size;
    if (!ubp_mul_size((size_t)out, (size_t)taps->n, &count) ||
        !ubp_mul_size(count, sizeof(double), &size))
        return ubp_fail_memory(call->err, SIZE_MAX);
    taps->index = ubp_run_scratch(call, size);
    taps->weight = weights ? ubp_run_scratch(call, size) : NULL;
    taps->outside = outside ? ubp_run_scratch(call, (size_t)out) : NULL;
    bool done = taps->index && (taps->weight || !weights) && (taps->outside || !outside);
    return done ? UB_OK : UB_ERR_MEMORY;
}

ub_status ubp_resize_taps_make(const ubp_call *call, const ubp_resize_axis *axis,
                               ubp_resize_taps *taps)
{
    const ubp_resize_attr *a = call->attr;
    bool crop = a->coordinates == UBP_TF_CROP;
    double half = a->mode == UBP_LINEAR ? 1 : 2;
    *taps = (ubp_resize_taps){.n = 1};
    if (a->mode != UBP_NEAREST)
        taps->n = 2 * (int64_t)ceil(half / stretch(a, axis));
    UBP_TRY(allocate(call, axis->out, taps, a->mode != UBP_NEAREST, crop));
    for (int64_t i = 0; i < axis->out; i++) {
        double x = ubp_resize_coordinate(a, axis, i);
        if (crop)
            taps->outside[i] = !(x >= 0 && x <= (double)(axis->in - 1));
        if (a->mode == UBP_NEAREST)
            taps->index[i] = nearest(a->round, x, axis->in);
        else
            weigh(a, axis, x, taps->n, taps->index + i * taps->n, taps->weight + i * taps->n);
    }
    return UB_OK;
}
