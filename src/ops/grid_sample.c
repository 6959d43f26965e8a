/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GridSample: values of an image between its pixels, at places a grid names. Any number of image
 * axes up to 4; nearest, linear and cubic. Follows ONNX opset 22.
 *
 * src  [N][C][D_1 .. D_r]
 * grid [N][O_1 .. O_r][r]: from -1 to 1, the last image axis first
 * dst  [N][C][O_1 .. O_r]
 */
#include <math.h>
#include <string.h>

#include "ops/move.h"

enum { MAX_AXES = 4, MAX_TAPS = 256 }; /* 4 taps along each axis */

typedef enum sample_mode { SAMPLE_NEAREST, SAMPLE_LINEAR, SAMPLE_CUBIC } sample_mode;

typedef enum border_mode { BORDER_ZEROS, BORDER_EDGE, BORDER_REFLECT } border_mode;

typedef struct grid_attr {
    sample_mode mode;
    border_mode border;
    int64_t align;
} grid_attr;

static ub_status grid_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const borders[] = {"zeros", "border", "reflection"};
    grid_attr *a = attr;
    const char *mode, *border;
    int m = 0, b = 0;
    (void)arena;
    UBP_TRY(ubp_attr_string(node, "mode", "linear", &mode, err));
    UBP_TRY(ubp_attr_string(node, "padding_mode", "zeros", &border, err));
    UBP_TRY(ubp_attr_int(node, "align_corners", 0, &a->align, err));
    while (m < 3 && strcmp(mode, modes[m]) != 0)
        m++;
    while (b < 3 && strcmp(border, borders[b]) != 0)
        b++;
    if (m == 3 || b == 3)
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "node '%s' (GridSample): mode '%s' and padding_mode '%s', expected "
                        "nearest, linear or cubic and zeros, border or reflection",
                        node->name, mode, border);
    a->mode = (sample_mode)m;
    a->border = (border_mode)b;
    return UB_OK;
}

static ub_status grid_infer(const ubp_call *c)
{
    const ub_tensor *in = c->in[0], *grid = c->in[1];
    int64_t dims[UB_MAX_RANK];
    int axes = in->rank - 2;
    char text[UBP_SHAPE_TEXT], other[UBP_SHAPE_TEXT];
    UBP_TRY(ubp_want_float(c, 0));
    UBP_TRY(ubp_want_float(c, 1));
    UBP_TRY(ubp_want_rank(c, 0, 3, MAX_AXES + 2));
    UBP_TRY(ubp_want_rank(c, 1, in->rank, in->rank));
    if (grid->dims[0] != in->dims[0] || grid->dims[axes + 1] != axes)
        return ubp_op_fail(c, UB_ERR_SHAPE, "the grid is %s for images %s",
                           ubp_shape_text(text, grid->rank, grid->dims),
                           ubp_shape_text(other, in->rank, in->dims));
    dims[0] = in->dims[0];
    dims[1] = in->dims[1];
    for (int i = 0; i < axes; i++)
        dims[2 + i] = grid->dims[1 + i];
    int64_t places = ubp_span(dims, 0, in->rank);
    for (int i = 0; i < axes && places > 0; i++)
        if (in->dims[2 + i] == 0)
            return ubp_op_fail(c, UB_ERR_SHAPE, "images %s have no pixels",
                               ubp_shape_text(other, in->rank, in->dims));
    return ubp_set_out(c, 0, in->dtype, in->rank, dims);
}

/* Mirrored at low and high until inside. */
static double reflect(double x, double low, double high)
{
    double range = high - low, over = x < low ? low - x : x - high;
    if (x >= low && x <= high)
        return x;
    double turns = floor(over / range), rest = over - turns * range;
    if (!isfinite(turns) || !isfinite(rest))
        return low;
    bool back = fmod(turns, 2) == 0;
    return (x < low) == back ? low + rest : high - rest;
}

/* The pixels along one axis that a place takes its value from. at: -1 for a zero. */
typedef struct taps {
    int n;
    int64_t at[4];
    double weight[4];
} taps;

static int64_t pixel(const grid_attr *attr, double i, int64_t dim, double low, double high)
{
    double last = (double)(dim - 1);
    if (attr->border == BORDER_ZEROS)
        return i >= 0 && i <= last ? (int64_t)i : -1;
    if (attr->border == BORDER_REFLECT)
        i = trunc(reflect(i, low, high));
    return i >= last ? dim - 1 : i > 0 ? (int64_t)i : 0;
}

/* Keys' cubic convolution with a = -0.75, the distance t from the second of four pixels. */
static void cubic_weights(double t, double *w)
{
    const double a = -0.75;
    w[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    w[2] = ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1;
    w[3] = ((a * (2 - t) - 5 * a) * (2 - t) + 8 * a) * (2 - t) - 4 * a;
}

/* x: from -1 to 1. single: places are worked out in float32, as PyTorch and ONNX do; that decides
 * which pixel is nearest. */
static void find_taps(const grid_attr *attr, taps *t, double x, int64_t dim, bool single)
{
    double low = attr->align ? 0 : -0.5, high = (double)dim - (attr->align ? 1 : 0.5);
    double place = attr->align ? (x + 1) / 2 * (double)(dim - 1) : ((x + 1) * (double)dim - 1) / 2;
    if (single) {
        float f = (float)x + 1.0f;
        place = attr->align ? (double)(f / 2.0f * (float)(dim - 1))
                            : (double)((f * (float)dim - 1.0f) / 2.0f);
    }
    if (attr->mode == SAMPLE_NEAREST)
        place = rint(place);
    if (place < low || place > high) {
        if (attr->border == BORDER_EDGE)
            place = place < 0 ? 0 : place > (double)(dim - 1) ? (double)(dim - 1) : place;
        else if (attr->border == BORDER_REFLECT)
            place = reflect(place, low, high);
    }
    if (isnan(place))
        place = attr->border == BORDER_ZEROS ? -2 * (double)dim : 0;
    double first = floor(place), rest = place - first;
    t->n = 1;
    t->weight[0] = 1;
    if (attr->mode == SAMPLE_NEAREST)
        first = trunc(place);
    if (attr->mode == SAMPLE_LINEAR) {
        t->n = 2;
        t->weight[0] = 1 - rest;
        t->weight[1] = rest;
    }
    if (attr->mode == SAMPLE_CUBIC) {
        t->n = 4;
        first -= 1;
        cubic_weights(rest, t->weight);
    }
    for (int i = 0; i < t->n; i++)
        t->at[i] = pixel(attr, first + i, dim, low, high);
}

/* All pixels of one place: offsets in a plane, and weights. Returns how many. */
static int combine_taps(const taps *axes, int rank, const int64_t *dims, int64_t *at,
                        double *weight)
{
    int64_t turn[MAX_AXES] = {0}, sizes[MAX_AXES], all = 1;
    int n = 0;
    for (int a = 0; a < rank; a++)
        all *= sizes[a] = axes[a].n;
    for (; all > 0; all--) {
        int64_t offset = 0;
        double w = 1;
        bool zero = false;
        for (int a = 0; a < rank; a++) {
            int64_t i = axes[a].at[turn[a]];
            zero = zero || i < 0;
            offset = offset * dims[a] + i;
            w *= axes[a].weight[turn[a]];
        }
        if (!zero) {
            at[n] = offset;
            weight[n++] = w;
        }
        ubp_next_index(turn, rank, sizes);
    }
    return n;
}

typedef struct grid_job {
    const grid_attr *attr;
    const ub_tensor *in, *grid, *out;
    int64_t places, plane; /* of one output and one input plane */
} grid_job;

/* Places in a row of one image, and the pixels that each takes its value from. */
typedef struct stretch {
    int64_t first, n;         /* places */
    int start[MAX_TAPS + 1];  /* [n + 1] where the taps of a place begin */
    int64_t at[2 * MAX_TAPS]; /* offsets in a plane */
    double weight[2 * MAX_TAPS];
} stretch;

/* As many places from `first` as there is room for; `most` at least one. */
static void find_stretch(const grid_job *j, stretch *s, int64_t image, int64_t first, int64_t most)
{
    int rank = j->in->rank - 2, used = 0;
    int64_t step = (int64_t)ub_dtype_size(j->grid->dtype);
    const char *grid = (const char *)j->grid->data + (image * j->places + first) * rank * step;
    s->first = first;
    for (s->n = 0; s->n < most && s->n < MAX_TAPS && used <= MAX_TAPS; s->n++) {
        taps axes[MAX_AXES];
        for (int a = 0; a < rank; a++) {
            double x = ubp_read_f64(grid + (s->n * rank + rank - 1 - a) * step, j->grid->dtype);
            find_taps(j->attr, &axes[a], x, j->in->dims[2 + a], j->in->dtype == UB_F32);
        }
        s->start[s->n] = used;
        used += combine_taps(axes, rank, j->in->dims + 2, s->at + used, s->weight + used);
    }
    s->start[s->n] = used;
}

/* One plane of a stretch. */
#define SAMPLE(name, type)                                                                         \
    static void name(const stretch *s, const type *src, type *dst)                                 \
    {                                                                                              \
        for (int64_t i = 0; i < s->n; i++) {                                                       \
            double sum = 0;                                                                        \
            for (int k = s->start[i]; k < s->start[i + 1]; k++)                                    \
                sum += s->weight[k] * (double)src[s->at[k]];                                       \
            dst[i] = (type)sum;                                                                    \
        }                                                                                          \
    }

SAMPLE(sample_f32, float)
SAMPLE(sample_f64, double)

/* One place of one image per index, all its channels. */
static void grid_places(void *arg, int64_t begin, int64_t end)
{
    const grid_job *j = arg;
    int64_t channels = j->in->dims[1];
    stretch s;
    for (int64_t i = begin; i < end; i += s.n) {
        int64_t image = i / j->places, first = i % j->places, most = j->places - first;
        find_stretch(j, &s, image, first, end - i < most ? end - i : most);
        for (int64_t c = image * channels; c < (image + 1) * channels; c++) {
            int64_t from = c * j->plane, to = c * j->places + first;
            if (j->in->dtype == UB_F32)
                sample_f32(&s, (const float *)j->in->data + from, (float *)j->out->data + to);
            else
                sample_f64(&s, (const double *)j->in->data + from, (double *)j->out->data + to);
        }
    }
}

static ub_status grid_ref(const ubp_call *c)
{
    const ub_tensor *out = c->out[0];
    if (ub_tensor_count(out) == 0)
        return UB_OK;
    grid_job job = {c->attr,
                    c->in[0],
                    c->in[1],
                    out,
                    ubp_span(out->dims, 2, out->rank),
                    ubp_span(c->in[0]->dims, 2, out->rank)};
    ubp_run_parallel(c->run, out->dims[0] * job.places, 256, grid_places, &job);
    return UB_OK;
}

static void grid_batch(ubp_batch *b)
{
    const ubp_samples *in = &b->in[0], *grid = &b->in[1];
    bool in_has = ubp_has_samples(b, 0), grid_has = ubp_has_samples(b, 1);
    int axes = b->call->in[0]->rank - 2;
    if (in_has && in->axis > 1) {
        ubp_samples_couple(b, 0, "GridSample reads pixels of other samples");
        return;
    }
    if (grid_has && grid->axis == axes + 1) {
        ubp_samples_couple(b, 0, "GridSample reads places made of several samples");
        return;
    }
    if (in_has)
        ubp_samples_axis(b, 0, 0, in->axis);
    else if (grid_has)
        ubp_samples_axis(b, 0, 1, grid->axis == 0 ? 0 : grid->axis + 1);
    bool agree = in_has && grid_has && in->axis == 0 && grid->axis == 0;
    if (in_has && grid_has && (!agree || !ubp_same_folding(in, grid)))
        ubp_samples_couple(b, 0, "samples lie on different axes of images and grid");
    bool row_each = (in_has && in->axis == 0) || (grid_has && grid->axis == 0);
    if (in_has != grid_has && row_each && !ubp_samples_single(b))
        ubp_samples_couple(b, 0, "a constant has a row per place in the batch");
    ubp_samples_fit(b, 0);
}

const ubp_op ubp_op_grid_sample = {
    .name = "GridSample",
    .domain = "",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(grid_attr),
    .attrs = grid_attrs,
    .infer = grid_infer,
    .batch = grid_batch,
    .ref = grid_ref,
};
