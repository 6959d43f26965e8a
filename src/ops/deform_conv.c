/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DeformConv over pictures: a convolution whose taps are moved by offsets (and weighed by a mask)
 * of their own at every place; between pixels it interpolates, outside of the picture is zero. For
 * each sample the taps of all places are gathered into columns, then one product a group. ONNX
 * opset 22, two spatial axes.
 */
#include "ops/gemm.h"
#include "ops/move.h"
#include "ops/numbers.h"
#include "ops/rows.h"

#include <math.h>

enum { IN_X, IN_W, IN_OFFSET, IN_BIAS, IN_MASK };

typedef struct deform_attr {
    int64_t group, offset_group;
    int64_t stride[2], dilation[2], pad[4]; /* pad: begins, then ends */
    int64_t kernel[2];                      /* 0: from the weights */
} deform_attr;

static ub_status read_ints(const ubp_node *n, const char *name, int64_t *out, int want, int64_t low,
                           ub_error *err)
{
    const int64_t *v;
    int count;
    UBP_TRY(ubp_attr_ints(n, name, &v, &count, err));
    if (count < 0)
        return UB_OK;
    if (count != want)
        return ubp_fail(err, UB_ERR_UNSUPPORTED,
                        "node '%s' (DeformConv): %d numbers in '%s', expected %d: only pictures "
                        "(two spatial axes) are supported",
                        n->name, count, name, want);
    for (int i = 0; i < want; i++) {
        if (v[i] < low || v[i] > INT32_MAX)
            return ubp_fail(err, UB_ERR_FILE, "node '%s' (DeformConv): '%s' has %lld", n->name,
                            name, (long long)v[i]);
        out[i] = v[i];
    }
    return UB_OK;
}

static ub_status deform_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    deform_attr *a = attr;
    (void)arena;
    *a = (deform_attr){.stride = {1, 1}, .dilation = {1, 1}};
    UBP_TRY(ubp_attr_int(n, "group", 1, &a->group, err));
    UBP_TRY(ubp_attr_int(n, "offset_group", 1, &a->offset_group, err));
    UBP_TRY(read_ints(n, "strides", a->stride, 2, 1, err));
    UBP_TRY(read_ints(n, "dilations", a->dilation, 2, 1, err));
    UBP_TRY(read_ints(n, "pads", a->pad, 4, 0, err));
    UBP_TRY(read_ints(n, "kernel_shape", a->kernel, 2, 1, err));
    if (a->group >= 1 && a->offset_group >= 1)
        return UB_OK;
    return ubp_fail(err, UB_ERR_FILE, "node '%s' (DeformConv): a group of less than 1", n->name);
}

/* Input `in` is (d0, d1, d2, d3). */
static ub_status want_dims(const ubp_call *c, int in, const int64_t *want, int rank)
{
    UBP_TRY(ubp_want_same_dtype(c, IN_X, in));
    UBP_TRY(ubp_want_rank(c, in, rank, rank));
    for (int i = 0; i < rank; i++)
        if (c->in[in]->dims[i] != want[i]) {
            char has[UBP_SHAPE_TEXT], text[UBP_SHAPE_TEXT];
            return ubp_op_fail(c, UB_ERR_SHAPE, "input %d has shape %s, expected %s", in,
                               ubp_shape_text(has, rank, c->in[in]->dims),
                               ubp_shape_text(text, rank, want));
        }
    return UB_OK;
}

/* Positions of the kernel along one axis; 0 when it does not fit. */
static int64_t places(int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pads)
{
    int64_t reach, room;
    if (!ubp_mul_i64(kernel - 1, dilation, &reach) || !ubp_add_i64(in, pads, &room) ||
        room < reach + 1)
        return 0;
    return (room - reach - 1) / stride + 1;
}

static ub_status deform_infer(const ubp_call *c)
{
    const deform_attr *a = c->attr;
    UBP_TRY(ubp_want_float(c, IN_X));
    if (c->in[IN_X]->rank != 4)
        return ubp_op_fail(c, UB_ERR_UNSUPPORTED,
                           "input 0 has %d dimensions; only pictures (N, C, H, W) are supported",
                           c->in[IN_X]->rank);
    UBP_TRY(ubp_want_rank(c, IN_W, 4, 4));
    const int64_t *x = c->in[IN_X]->dims, *w = c->in[IN_W]->dims;
    int64_t out[4] = {x[0], w[0], 0, 0}, taps, channels;
    for (int i = 0; i < 2; i++) {
        out[2 + i] = w[2 + i] < 1 ? 0
                                  : places(x[2 + i], w[2 + i], a->stride[i], a->dilation[i],
                                           a->pad[i] + a->pad[2 + i]);
        if (out[2 + i] < 1 || (a->kernel[i] && a->kernel[i] != w[2 + i]))
            return ubp_op_fail(c, UB_ERR_SHAPE, "a kernel of %lld on an axis of %lld",
                               (long long)w[2 + i], (long long)x[2 + i]);
    }
    if (!ubp_mul_i64(w[2] * w[3], a->offset_group, &taps) || taps > INT64_MAX / 2 ||
        !ubp_mul_i64(w[1], a->group, &channels) || channels != x[1] || w[0] % a->group != 0 ||
        x[1] % a->offset_group != 0)
        return ubp_op_fail(
            c, UB_ERR_SHAPE, "%lld channels, weights for %lld in %lld groups, %lld offset groups",
            (long long)x[1], (long long)w[1], (long long)a->group, (long long)a->offset_group);
    UBP_TRY(want_dims(c, IN_W, w, 4));
    UBP_TRY(want_dims(c, IN_OFFSET, (const int64_t[]){x[0], 2 * taps, out[2], out[3]}, 4));
    if (ubp_has_in(c, IN_BIAS))
        UBP_TRY(want_dims(c, IN_BIAS, w, 1));
    if (ubp_has_in(c, IN_MASK))
        UBP_TRY(want_dims(c, IN_MASK, (const int64_t[]){x[0], taps, out[2], out[3]}, 4));
    return ubp_set_out(c, 0, c->in[IN_X]->dtype, 4, out);
}

static void deform_batch(ubp_batch *b)
{
    ubp_rows_batch(b, &(ubp_rows){.in_axis = {0, UBP_ROWS_SHARED, 0, UBP_ROWS_SHARED, 0},
                                  .why = "convolution over the batch axis"});
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct columns {
    const ubp_call *c;
    int64_t sample;
    void *data; /* (channels * taps, places) */
    int64_t taps, places;
} columns;

/* The picture of one channel at a place between its pixels. */
static double sample_at(const ub_tensor *x, int64_t plane, double y, double z)
{
    const int64_t height = x->dims[2], width = x->dims[3], first = plane * height * width;
    if (!(y > -1 && y < (double)height && z > -1 && z < (double)width))
        return 0;
    const int64_t top = (int64_t)floor(y), left = (int64_t)floor(z);
    const double dy = y - (double)top, dz = z - (double)left;
    double sum = 0;
    for (int64_t k = 0; k < 4; k++) {
        const int64_t row = top + k / 2, column = left + k % 2;
        const double weight = (k / 2 ? dy : 1 - dy) * (k % 2 ? dz : 1 - dz);
        if (row >= 0 && row < height && column >= 0 && column < width)
            sum += weight * ubp_number(x, first + row * width + column);
    }
    return sum;
}

/* One (channel, tap, place) an index. */
static void gather_taps(void *arg, int64_t begin, int64_t end)
{
    const columns *j = arg;
    const ubp_call *c = j->c;
    const deform_attr *a = c->attr;
    const ub_tensor *x = c->in[IN_X], *offset = c->in[IN_OFFSET];
    const int64_t width = c->in[IN_W]->dims[3], out = c->out[0]->dims[3];
    const ub_tensor dst = {.dtype = x->dtype, .data = j->data};
    for (int64_t i = begin; i < end; i++) {
        const int64_t place = i % j->places, tap = i / j->places % j->taps;
        const int64_t channel = i / j->places / j->taps;
        const int64_t set = channel / (x->dims[1] / a->offset_group);
        const int64_t at = (j->sample * a->offset_group + set) * j->taps + tap;
        const int64_t move = at * 2 * j->places + place;
        const double y =
            (double)(place / out * a->stride[0] - a->pad[0] + tap / width * a->dilation[0]) +
            ubp_number(offset, move);
        const double z =
            (double)(place % out * a->stride[1] - a->pad[1] + tap % width * a->dilation[1]) +
            ubp_number(offset, move + j->places);
        double v = sample_at(x, j->sample * x->dims[1] + channel, y, z);
        if (ubp_has_in(c, IN_MASK))
            v *= ubp_number(c->in[IN_MASK], at * j->places + place);
        ubp_put_number(&dst, i, v);
    }
}

static void locate_group(const ubp_gemm_job *job, int64_t item, ubp_gemm *g)
{
    const columns *j = job->arg;
    const ub_tensor *w = j->c->in[IN_W], *y = j->c->out[0];
    const int64_t size = (int64_t)ub_dtype_size(y->dtype);
    g->a = (const char *)w->data + item * g->m * g->k * size;
    g->b = (const char *)j->data + item * g->k * g->n * size;
    g->c = (char *)y->data + (j->sample * y->dims[1] + item * g->m) * g->n * size;
    if (ubp_has_in(j->c, IN_BIAS))
        g->bias = (const char *)j->c->in[IN_BIAS]->data + item * g->m * size;
}

static ub_status deform_ref(const ubp_call *c)
{
    const deform_attr *a = c->attr;
    const ub_tensor *x = c->in[IN_X], *w = c->in[IN_W], *y = c->out[0];
    columns j = {.c = c, .taps = w->dims[2] * w->dims[3], .places = y->dims[2] * y->dims[3]};
    size_t bytes;
    if (!ubp_mul_size((size_t)x->dims[1], (size_t)j.taps, &bytes) ||
        !ubp_mul_size(bytes, (size_t)j.places, &bytes) ||
        !ubp_mul_size(bytes, ub_dtype_size(x->dtype), &bytes))
        return ubp_fail_memory(c->err, SIZE_MAX);
    j.data = ubp_run_scratch(c, bytes);
    if (!j.data)
        return UB_ERR_MEMORY;
    const ubp_gemm_job job = {.dtype = x->dtype,
                              .items = a->group,
                              .gemm = {.m = w->dims[0] / a->group,
                                       .n = j.places,
                                       .k = w->dims[1] * j.taps,
                                       .a_row = w->dims[1] * j.taps,
                                       .a_col = 1,
                                       .b_row = j.places,
                                       .b_col = 1,
                                       .c_row = j.places,
                                       .c_col = 1},
                              .locate = locate_group,
                              .arg = &j};
    for (j.sample = 0; j.sample < x->dims[0]; j.sample++) {
        if (ubp_run_cancelled(c->run))
            return UBP_CANCELLED(c);
        ubp_run_parallel(c->run, x->dims[1] * j.taps * j.places, 512, gather_taps, &j);
        ubp_gemm_run(c->run, &job);
    }
    return UB_OK;
}

static int64_t deform_macs(const ubp_call *c)
{
    const int64_t *w = c->in[IN_W]->dims;
    int64_t macs = 0;
    return ubp_mul_i64(ub_tensor_count(c->out[0]), w[1] * w[2] * w[3], &macs) ? macs : 0;
}

const ubp_op ubp_op_DeformConv = {
    .name = "DeformConv",
    .domain = "",
    .min_in = 3,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(deform_attr),
    .attrs = deform_attrs,
    .infer = deform_infer,
    .batch = deform_batch,
    .ref = deform_ref,
    .macs = deform_macs,
};
