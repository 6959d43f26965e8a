/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RoiAlign and MaxRoiPool: rectangles of pictures (N, C, H, W) pooled to one size each. RoiAlign
 * averages (or takes the highest of) points between pixels; MaxRoiPool rounds to pixels. ONNX opset
 * 22.
 */
#include "ops/move.h"
#include "ops/numbers.h"
#include "ops/rows.h"

#include <math.h>
#include <string.h>

enum { IN_X, IN_ROIS, IN_PICTURES };

typedef struct roi_attr {
    int64_t height, width; /* of the output */
    int64_t sampling;      /* points along a cell's side; 0: as many as pixels */
    double scale;
    bool half_pixel, highest;
} roi_attr;

static ub_status check_sizes(const ubp_node *n, const roi_attr *a, ub_error *err)
{
    if (a->height >= 1 && a->width >= 1 && a->sampling >= 0 && a->sampling <= INT16_MAX)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (%s): an output of %lld x %lld with sampling_ratio %lld", n->name,
                    n->op_type, (long long)a->height, (long long)a->width, (long long)a->sampling);
}

static ub_status align_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    roi_attr *a = attr;
    const char *mode, *pixels;
    (void)arena;
    UBP_TRY(ubp_attr_int(n, "output_height", 1, &a->height, err));
    UBP_TRY(ubp_attr_int(n, "output_width", 1, &a->width, err));
    UBP_TRY(ubp_attr_int(n, "sampling_ratio", 0, &a->sampling, err));
    UBP_TRY(ubp_attr_float(n, "spatial_scale", 1, &a->scale, err));
    UBP_TRY(ubp_attr_string(n, "mode", "avg", &mode, err));
    UBP_TRY(ubp_attr_string(n, "coordinate_transformation_mode", "half_pixel", &pixels, err));
    a->highest = strcmp(mode, "max") == 0;
    a->half_pixel = strcmp(pixels, "half_pixel") == 0;
    if ((!a->highest && strcmp(mode, "avg") != 0) ||
        (!a->half_pixel && strcmp(pixels, "output_half_pixel") != 0))
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (RoiAlign): mode '%.40s' with '%.40s', expected avg or max with "
                        "half_pixel or output_half_pixel",
                        n->name, mode, pixels);
    return check_sizes(n, a, err);
}

static ub_status pool_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    roi_attr *a = attr;
    const int64_t *shape;
    int count;
    (void)arena;
    UBP_TRY(ubp_attr_ints(n, "pooled_shape", &shape, &count, err));
    UBP_TRY(ubp_attr_float(n, "spatial_scale", 1, &a->scale, err));
    if (count != 2)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (MaxRoiPool): pooled_shape is not two numbers",
                        n->name);
    a->height = shape[0];
    a->width = shape[1];
    return check_sizes(n, a, err);
}

/* rois have `columns` numbers each. */
static ub_status roi_infer(const ubp_call *c, int64_t columns)
{
    const roi_attr *a = c->attr;
    UBP_TRY(ubp_want_float(c, IN_X));
    UBP_TRY(ubp_want_same_dtype(c, IN_X, IN_ROIS));
    UBP_TRY(ubp_want_rank(c, IN_X, 4, 4));
    UBP_TRY(ubp_want_rank(c, IN_ROIS, 2, 2));
    const int64_t *x = c->in[IN_X]->dims, *rois = c->in[IN_ROIS]->dims;
    if (rois[1] != columns)
        return ubp_op_fail(c, UB_ERR_SHAPE, "rois of %lld numbers, expected %lld",
                           (long long)rois[1], (long long)columns);
    return ubp_set_out(c, 0, c->in[IN_X]->dtype, 4,
                       (const int64_t[]){rois[0], x[1], a->height, a->width});
}

static ub_status align_infer(const ubp_call *c)
{
    UBP_TRY(ubp_want_index(c, IN_PICTURES));
    UBP_TRY(ubp_want_rank(c, IN_PICTURES, 1, 1));
    UBP_TRY(roi_infer(c, 4));
    if (c->in[IN_PICTURES]->dims[0] == c->in[IN_ROIS]->dims[0])
        return UB_OK;
    return ubp_op_fail(c, UB_ERR_SHAPE, "%lld rois with %lld batch_indices",
                       (long long)c->in[IN_ROIS]->dims[0], (long long)c->in[IN_PICTURES]->dims[0]);
}

static ub_status pool_infer(const ubp_call *c)
{
    return roi_infer(c, 5);
}

/* Each rectangle is on its own, so is each channel. Which picture it reads is a number, followed
 * where it is known to be that of its own sample. */
static void roi_batch(ubp_batch *b)
{
    const ubp_rows apart = {.in_axis = {UBP_ROWS_SHARED, 0, 0},
                            .why = "rectangles are read from pictures of other samples"};
    const ubp_rows channels = {
        .in_axis = {1, UBP_ROWS_SHARED, UBP_ROWS_SHARED}, .out_axis = {1}, .why = apart.why};
    const ubp_samples *x = &b->in[IN_X];
    if (!ubp_has_samples(b, IN_X) || x->axis != 0) {
        ubp_rows_batch(b, ubp_has_samples(b, IN_X) && x->axis == 1 ? &channels : &apart);
        return;
    }
    const bool own = b->call->n_in > IN_PICTURES && ubp_has_samples(b, IN_ROIS) &&
                     ubp_has_samples(b, IN_PICTURES) && b->in[IN_ROIS].axis == 0 && x->outer == 1 &&
                     ubp_same_folding(&b->in[IN_ROIS], &b->in[IN_PICTURES]) &&
                     ubp_samples_own_rows(b, IN_PICTURES, x->inner, b->call->in[IN_X]->dims[0]);
    if (own)
        ubp_samples_axis(b, 0, IN_ROIS, 0);
    else
        ubp_samples_couple(b, 0, apart.why);
    ubp_samples_fit(b, 0);
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct cells {
    const ubp_call *c;
    const int64_t *pictures; /* [rois] */
} cells;

/* A point between pixels: four of them with weights; false when it lies outside. */
static bool find_point(const ub_tensor *x, double py, double px, int64_t at[4], double weight[4])
{
    const int64_t height = x->dims[2], width = x->dims[3];
    if (!(py >= -1 && py <= (double)height && px >= -1 && px <= (double)width) || height < 1 ||
        width < 1)
        return false;
    py = py > 0 ? py : 0;
    px = px > 0 ? px : 0;
    int64_t top = (int64_t)py, left = (int64_t)px, bottom = top + 1, right = left + 1;
    if (top >= height - 1) {
        top = bottom = height - 1;
        py = (double)top;
    }
    if (left >= width - 1) {
        left = right = width - 1;
        px = (double)left;
    }
    const double dy = py - (double)top, dx = px - (double)left;
    at[0] = top * width + left;
    at[1] = top * width + right;
    at[2] = bottom * width + left;
    at[3] = bottom * width + right;
    weight[0] = (1 - dy) * (1 - dx);
    weight[1] = (1 - dy) * dx;
    weight[2] = dy * (1 - dx);
    weight[3] = dy * dx;
    return true;
}

/* A rectangle's side along one axis: where it starts, the length of a cell, points in a cell. */
typedef struct side {
    double start, cell;
    int64_t points;
} side;

static side find_side(const roi_attr *a, double first, double last, int64_t count)
{
    enum { MOST = 1 << 15 };
    const double shift = a->half_pixel ? 0.5 : 0;
    side s = {first * a->scale - shift, 0, a->sampling};
    double length = last * a->scale - shift - s.start;
    if (!a->half_pixel && !(length > 1))
        length = 1;
    s.cell = length / (double)count;
    if (a->sampling == 0) {
        const double points = ceil(s.cell);
        s.points = points < 0 || isnan(points) ? 0 : points < MOST ? (int64_t)points : MOST;
    }
    return s;
}

/* The value of one cell of one plane. */
static double pool_cell(const ub_tensor *x, int64_t plane, const side *v, const side *h,
                        const int64_t cell[2], bool highest)
{
    const int64_t count = v->points * h->points, first = plane * x->dims[2] * x->dims[3];
    double result = 0;
    for (int64_t p = 0; p < count; p++) {
        double weight[4] = {0}, value = highest ? -INFINITY : 0;
        int64_t at[4] = {0};
        const double py = v->start + (double)cell[0] * v->cell +
                          ((double)(p / h->points) + 0.5) * v->cell / (double)v->points;
        const double px = h->start + (double)cell[1] * h->cell +
                          ((double)(p % h->points) + 0.5) * h->cell / (double)h->points;
        /* A point outside counts as zero. */
        const bool inside = find_point(x, py, px, at, weight);
        for (int k = 0; k < 4; k++) {
            const double one = inside ? weight[k] * ubp_number(x, first + at[k]) : 0;
            value = !highest ? value + one : one > value ? one : value;
        }
        result = !highest ? result + value : p == 0 || value > result ? value : result;
    }
    return highest || count == 0 ? result : result / (double)count;
}

/* One (roi, channel) an index. */
static void align_planes(void *arg, int64_t begin, int64_t end)
{
    const cells *j = arg;
    const roi_attr *a = j->c->attr;
    const ub_tensor *x = j->c->in[IN_X], *rois = j->c->in[IN_ROIS], *y = j->c->out[0];
    for (int64_t i = begin; i < end; i++) {
        const int64_t roi = i / x->dims[1], channel = i % x->dims[1];
        const side h =
            find_side(a, ubp_number(rois, roi * 4), ubp_number(rois, roi * 4 + 2), a->width);
        const side v =
            find_side(a, ubp_number(rois, roi * 4 + 1), ubp_number(rois, roi * 4 + 3), a->height);
        for (int64_t k = 0; k < a->height * a->width; k++)
            ubp_put_number(y, i * a->height * a->width + k,
                           pool_cell(x, j->pictures[roi] * x->dims[1] + channel, &v, &h,
                                     (const int64_t[]){k / a->width, k % a->width}, a->highest));
    }
}

static ub_status align_ref(const ubp_call *c)
{
    cells j = {.c = c};
    int64_t *pictures;
    const int64_t rois = c->in[IN_ROIS]->dims[0];
    UBP_TRY(ubp_index_data(c, IN_PICTURES, &pictures));
    UBP_TRY(ubp_want_in_bounds(c, pictures, rois, c->in[IN_X]->dims[0], 0));
    j.pictures = pictures;
    ubp_run_parallel(c->run, rois * c->in[IN_X]->dims[1], 1, align_planes, &j);
    return UB_OK;
}

/* Pixels [first, last) of cell k; coordinates are rounded, the rectangle takes in both ends. */
static void pixel_range(double from, double to, int64_t k, int64_t count, int64_t size,
                        int64_t *first, int64_t *last)
{
    const double start = round(from), length = fmax(round(to) - start + 1, 1);
    const double low = start + floor((double)k * length / (double)count);
    const double high = start + ceil((double)(k + 1) * length / (double)count);
    *first = low > 0 ? low < (double)size ? (int64_t)low : size : 0;
    *last = high > 0 ? high < (double)size ? (int64_t)high : size : 0;
}

static void pool_planes(void *arg, int64_t begin, int64_t end)
{
    const cells *j = arg;
    const roi_attr *a = j->c->attr;
    const ub_tensor *x = j->c->in[IN_X], *rois = j->c->in[IN_ROIS], *y = j->c->out[0];
    for (int64_t i = begin; i < end; i++) {
        const int64_t roi = i / x->dims[1];
        const int64_t plane = j->pictures[roi] * x->dims[1] + i % x->dims[1];
        double box[4];
        for (int k = 0; k < 4; k++)
            box[k] = ubp_number(rois, roi * 5 + 1 + k) * a->scale;
        for (int64_t k = 0; k < a->height * a->width; k++) {
            int64_t top, bottom, left, right;
            pixel_range(box[1], box[3], k / a->width, a->height, x->dims[2], &top, &bottom);
            pixel_range(box[0], box[2], k % a->width, a->width, x->dims[3], &left, &right);
            double best = top < bottom && left < right ? -INFINITY : 0;
            for (int64_t r = top; r < bottom; r++)
                for (int64_t s = left; s < right; s++) {
                    const double v = ubp_number(x, (plane * x->dims[2] + r) * x->dims[3] + s);
                    best = v > best ? v : best;
                }
            ubp_put_number(y, i * a->height * a->width + k, best);
        }
    }
}

static ub_status pool_ref(const ubp_call *c)
{
    cells j = {.c = c};
    const int64_t rois = c->in[IN_ROIS]->dims[0];
    size_t bytes;
    if (!ubp_mul_size((size_t)rois, sizeof(int64_t), &bytes))
        return ubp_fail_memory(c->err, SIZE_MAX);
    int64_t *pictures = ubp_run_scratch(c, bytes); /* [rois] */
    if (!pictures)
        return UB_ERR_MEMORY;
    for (int64_t i = 0; i < rois; i++) {
        const double v = ubp_number(c->in[IN_ROIS], i * 5);
        if (!(v >= 0 && v < (double)c->in[IN_X]->dims[0]))
            return ubp_op_fail(c, UB_ERR_SHAPE, "roi %lld is of picture %g, there are %lld",
                               (long long)i, v, (long long)c->in[IN_X]->dims[0]);
        pictures[i] = (int64_t)v;
    }
    j.pictures = pictures;
    ubp_run_parallel(c->run, rois * c->in[IN_X]->dims[1], 1, pool_planes, &j);
    return UB_OK;
}

#define ROI(NAME, INPUTS, FAMILY)                                                                  \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .min_in = INPUTS,                                                                          \
        .max_in = INPUTS,                                                                          \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .flags = UBP_WIDEN,                                                                        \
        .attr_size = sizeof(roi_attr),                                                             \
        .attrs = FAMILY##_attrs,                                                                   \
        .infer = FAMILY##_infer,                                                                   \
        .batch = roi_batch,                                                                        \
        .ref = FAMILY##_ref,                                                                       \
    }
ROI(RoiAlign, 3, align);
ROI(MaxRoiPool, 2, pool);
