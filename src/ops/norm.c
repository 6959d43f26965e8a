/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BatchNormalization, InstanceNormalization, GroupNormalization: an image (N, C, ...) is centred
 * and scaled with a mean and a variance for each channel, each plane, or each group of channels of
 * a sample. Statistics are taken in double, in two passes;
 * y is (x - mean) * (scale / sqrt(var + epsilon)) + bias, or in float32 with given statistics
 * x * factor + shift, see affine.h. ONNX: BatchNormalization-15, InstanceNormalization-22,
 * GroupNormalization-21.
 */
#include "ops/affine.h"
#include "ops/attrs.h"
#include "ops/follow.h"

#include <math.h>

static ub_status norm_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    ubp_norm_attr *a = attr;
    double epsilon, momentum;
    int64_t training;
    (void)arena;
    UBP_TRY(ubp_attr_float(node, "epsilon", 1e-5, &epsilon, err));
    UBP_TRY(ubp_attr_float(node, "momentum", 0.9, &momentum, err));
    UBP_TRY(ubp_attr_int(node, "training_mode", 0, &training, err));
    UBP_TRY(ubp_attr_int(node, "stash_type", 1, &a->stash_type, err));
    UBP_TRY(ubp_attr_int(node, "num_groups", 1, &a->num_groups, err));
    a->epsilon = (float)epsilon;
    a->momentum = (float)momentum;
    a->training_mode = training != 0;
    if (a->num_groups < 1)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): num_groups is %lld, expected at least 1",
                        node->name, node->op_type, (long long)a->num_groups);
    return UB_OK;
}

/* A tensor of one dimension is a batch of numbers of one channel. */
static int64_t channels(const ub_tensor *x)
{
    return x->rank > 1 ? x->dims[1] : 1;
}

/* Inputs 1 to last are vectors with one number for each channel, or `other` of them. */
static ub_status want_vectors(const ubp_call *call, int last, int64_t other)
{
    UBP_TRY(ubp_want_float(call, 0));
    int64_t c = channels(call->in[0]);
    for (int i = 1; i <= last; i++) {
        UBP_TRY(ubp_want_float(call, i));
        UBP_TRY(ubp_want_rank(call, i, 1, 1));
        int64_t n = call->in[i]->dims[0];
        if (n != c && n != other)
            return ubp_op_fail(call, UB_ERR_SHAPE, "input %d has %lld elements for %lld channels",
                               i, (long long)n, (long long)c);
    }
    return UB_OK;
}

static ub_status batch_norm_infer(const ubp_call *call)
{
    const ubp_norm_attr *a = call->attr;
    UBP_TRY(ubp_want_rank(call, 0, 1, UB_MAX_RANK));
    UBP_TRY(want_vectors(call, 4, -1));
    UBP_TRY(ubp_set_like(call, 0, 0));
    if (!a->training_mode && (ubp_has_out(call, 1) || ubp_has_out(call, 2)))
        return ubp_op_fail(call, UB_ERR_SHAPE,
                           "running statistics are outputs in training mode only");
    UBP_TRY(ubp_set_like(call, 1, 3));
    return ubp_set_like(call, 2, 4);
}

static ub_status instance_norm_infer(const ubp_call *call)
{
    UBP_TRY(ubp_want_rank(call, 0, 3, UB_MAX_RANK));
    UBP_TRY(want_vectors(call, 2, -1));
    return ubp_set_like(call, 0, 0);
}

static ub_status group_norm_infer(const ubp_call *call)
{
    const ubp_norm_attr *a = call->attr;
    UBP_TRY(ubp_want_rank(call, 0, 2, UB_MAX_RANK));
    if (channels(call->in[0]) % a->num_groups != 0)
        return ubp_op_fail(call, UB_ERR_SHAPE, "%lld channels do not make %lld groups",
                           (long long)channels(call->in[0]), (long long)a->num_groups);
    /* Opset 18 had a scale and a bias for each group, 21 has them for each channel. */
    UBP_TRY(want_vectors(call, 2, a->num_groups));
    return ubp_set_like(call, 0, 0);
}

/* ---- Samples --------------------------------------------------------------------------------- */

/* Output 0, with vectors in inputs 1 to last that belong to channels. Samples may lie on the
 * channels too, with the vectors' samples beside them. */
static void follow_channels(ubp_batch *b, int last)
{
    ubp_follow f = ubp_follow_begin(b, 0);
    if (ubp_follow_has(&f, 0))
        ubp_follow_input(&f, 0, b->in[0].axis);
    for (int i = 1; i <= last; i++)
        if (ubp_follow_has(&f, i))
            ubp_follow_input(&f, i, 1);
    for (int i = 0; i <= last; i++) {
        ubp_follow_data(b, 0, i);
        if (i > 0 && f.found && f.axis == 1 && b->n != 1 && !ubp_follow_has(&f, i) &&
            ubp_has_in(b->call, i) && b->call->in[i]->dims[0] != 1)
            ubp_samples_couple(b, 0, "an operand has fixed entries for each sample");
    }
    ubp_follow_end(&f);
}

/* Whether statistics over `each` neighbouring channels and all of a plane mix samples. */
static bool mixes_plane(const ubp_batch *b, int64_t each)
{
    const ubp_samples *s = &b->in[0];
    if (s->kind != UBP_SAMPLES_AXIS || s->axis == 0)
        return false;
    return s->axis != 1 || each == 0 || s->inner % each != 0;
}

static void batch_norm_batch(ubp_batch *b)
{
    const ubp_norm_attr *a = b->call->attr;
    const ubp_samples *s = &b->in[0];
    follow_channels(b, 4);
    for (int k = 0; a->training_mode && k < b->call->n_out; k++) {
        if (s->kind == UBP_SAMPLES_AXIS && s->axis != 1)
            ubp_samples_couple(b, k, "BatchNormalization in training mode");
        else if (k > 0 && b->out[0].kind == UBP_SAMPLES_AXIS) {
            b->out[k] = b->out[0];
            b->out[k].axis = 0;
        }
    }
}

static void instance_norm_batch(ubp_batch *b)
{
    follow_channels(b, 2);
    if (mixes_plane(b, 1))
        ubp_samples_couple(b, 0, "InstanceNormalization over the batch axis");
}

static void group_norm_batch(ubp_batch *b)
{
    const ubp_norm_attr *a = b->call->attr;
    follow_channels(b, 2);
    if (mixes_plane(b, channels(b->call->in[0]) / a->num_groups))
        ubp_samples_couple(b, 0, "GroupNormalization over the batch axis");
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct norm {
    const ub_tensor *scale, *bias, *mean, *var; /* [C]; mean and var of BatchNormalization */
    bool wide;                                  /* double, else float */
    const char *src;                            /* [N][C][plane] */
    char *dst;
    int64_t n, c, plane;
    int64_t each; /* channels that share their statistics */
    double epsilon;
    double *stats; /* [C][2] mean and variance over the batch; training mode only */
    ubp_affine affine;
} norm;

static double param(const ub_tensor *t, int64_t c, int64_t channel)
{
    int64_t i = t->dims[0] == c ? channel : channel / (c / t->dims[0]);
    return ubp_read_f64((const char *)t->data + i * t->strides[0], t->dtype);
}

/* Sums of x and of (x - mean)^2 over n neighbouring elements: LANES interleaved sums that are added
 * up in the end, for speed. */
enum { LANES = 8 };

static double add_lanes(const double *lane)
{
    double sum = 0;
    for (int k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

#define SUM(T)                                                                                     \
    static double sum_##T(const T *x, int64_t n)                                                   \
    {                                                                                              \
        double lane[LANES] = {0};                                                                  \
        int64_t i = 0;                                                                             \
        for (; i + LANES <= n; i += LANES)                                                         \
            for (int k = 0; k < LANES; k++)                                                        \
                lane[k] += (double)x[i + k];                                                       \
        for (; i < n; i++)                                                                         \
            lane[i % LANES] += (double)x[i];                                                       \
        return add_lanes(lane);                                                                    \
    }                                                                                              \
    static double square_##T(const T *x, int64_t n, double mean)                                   \
    {                                                                                              \
        double lane[LANES] = {0};                                                                  \
        int64_t i = 0;                                                                             \
        for (; i + LANES <= n; i += LANES)                                                         \
            for (int k = 0; k < LANES; k++)                                                        \
                lane[k] += ((double)x[i + k] - mean) * ((double)x[i + k] - mean);                  \
        for (; i < n; i++)                                                                         \
            lane[i % LANES] += ((double)x[i] - mean) * ((double)x[i] - mean);                      \
        return add_lanes(lane);                                                                    \
    }                                                                                              \
    static void apply_##T(const T *x, T *y, int64_t n, double mean, double factor, double bias)    \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++)                                                            \
            y[i] = (T)(((double)x[i] - mean) * factor + bias);                                     \
    }
SUM(float)
SUM(double)
#undef SUM

static double sum_of(const norm *j, int64_t at, int64_t n)
{
    return j->wide ? sum_double((const double *)(const void *)j->src + at, n)
                   : sum_float((const float *)(const void *)j->src + at, n);
}

static double squares_of(const norm *j, int64_t at, int64_t n, double mean)
{
    return j->wide ? square_double((const double *)(const void *)j->src + at, n, mean)
                   : square_float((const float *)(const void *)j->src + at, n, mean);
}

/* One channel of one sample. */
static void apply(const norm *j, int64_t plane, double mean, double var)
{
    int64_t channel = plane % j->c, at = plane * j->plane;
    double factor = param(j->scale, j->c, channel) / sqrt(var + j->epsilon);
    double bias = param(j->bias, j->c, channel);
    if (j->wide)
        apply_double((const double *)(const void *)j->src + at, (double *)(void *)j->dst + at,
                     j->plane, mean, factor, bias);
    else
        apply_float((const float *)(const void *)j->src + at, (float *)(void *)j->dst + at,
                    j->plane, mean, factor, bias);
}

/* Channels-last: each pixel is a row of all channels. */
static void affine_pixels(void *arg, int64_t begin, int64_t end)
{
    const norm *j = arg;
    const int64_t at = begin * j->c;
    ubp_affine_rows(&j->affine, (const float *)(const void *)j->src + at,
                    (float *)(void *)j->dst + at, end - begin);
}

static void affine_planes(void *arg, int64_t begin, int64_t end)
{
    const norm *j = arg;
    for (int64_t p = begin; p < end; p++)
        ubp_affine_plane(&j->affine, p % j->c, (const float *)(const void *)j->src + p * j->plane,
                         (float *)(void *)j->dst + p * j->plane, j->plane);
}

static void batch_norm_planes(void *arg, int64_t begin, int64_t end)
{
    const norm *j = arg;
    for (int64_t p = begin; p < end; p++) {
        int64_t c = p % j->c;
        if (j->stats)
            apply(j, p, j->stats[2 * c], j->stats[2 * c + 1]);
        else
            apply(j, p, param(j->mean, j->c, c), param(j->var, j->c, c));
    }
}

/* Groups of `each` channels of a sample. */
static void group_norm_groups(void *arg, int64_t begin, int64_t end)
{
    const norm *j = arg;
    int64_t size = j->each * j->plane;
    for (int64_t g = begin; g < end; g++) {
        double mean = sum_of(j, g * size, size) / (double)size;
        double var = squares_of(j, g * size, size, mean) / (double)size;
        for (int64_t i = 0; i < j->each; i++)
            apply(j, g * j->each + i, mean, var);
    }
}

/* Mean and variance of channels over the whole batch. */
static void batch_stats(void *arg, int64_t begin, int64_t end)
{
    const norm *j = arg;
    double count = (double)(j->n * j->plane);
    for (int64_t c = begin; c < end; c++) {
        double sum = 0, squares = 0;
        for (int64_t n = 0; n < j->n; n++)
            sum += sum_of(j, (n * j->c + c) * j->plane, j->plane);
        for (int64_t n = 0; n < j->n; n++)
            squares += squares_of(j, (n * j->c + c) * j->plane, j->plane, sum / count);
        j->stats[2 * c] = sum / count;
        j->stats[2 * c + 1] = squares / count;
    }
}

static norm describe(const ubp_call *call)
{
    const ubp_norm_attr *a = call->attr;
    const ub_tensor *x = call->in[0];
    norm j = {.scale = call->in[1],
              .bias = call->in[2],
              .wide = x->dtype == UB_F64,
              .src = x->data,
              .dst = call->out[0]->data,
              .n = x->dims[0],
              .c = channels(x),
              .plane = 1,
              .each = 1,
              .epsilon = (double)a->epsilon};
    for (int i = 2; i < x->rank; i++)
        j.plane *= x->dims[i];
    return j;
}

/* new = old * momentum + now * (1 - momentum) */
static void move_running(const ubp_call *call, int k, const norm *j)
{
    const ubp_norm_attr *a = call->attr;
    const ub_tensor *old = call->in[k + 2];
    double keep = (double)a->momentum;
    if (!ubp_has_out(call, k))
        return;
    const ub_tensor *out = call->out[k];
    int64_t size = (int64_t)ub_dtype_size(out->dtype);
    for (int64_t c = 0; c < j->c; c++)
        ubp_write_f64((char *)out->data + c * size, out->dtype,
                      param(old, j->c, c) * keep + j->stats[2 * c + k - 1] * (1 - keep));
}

/* Whether x is dense with the channels innermost. */
static bool is_channels_last(const ub_tensor *x)
{
    int64_t stride = (int64_t)ub_dtype_size(x->dtype);
    for (int i = 0; i < x->rank; i++) {
        int axis = i == 0 ? 1 : i == x->rank - 1 ? 0 : x->rank - i;
        if (x->rank < 3 || (x->dims[axis] > 1 && x->strides[axis] != stride))
            return false;
        stride *= x->dims[axis];
    }
    return true;
}

static ub_status run_affine(const ubp_call *call, norm *j, bool channels_last)
{
    size_t size;
    if (!ubp_mul_size((size_t)j->c, 2 * sizeof(float), &size))
        return ubp_fail_memory(call->err, SIZE_MAX);
    float *factor = ubp_run_scratch(call, size);
    if (!factor)
        return UB_ERR_MEMORY;
    float *shift = factor + j->c;
    ubp_affine_fill(factor, shift, j->c, j->epsilon, j->scale, j->bias, j->mean, j->var);
    j->affine = (ubp_affine){.channels = j->c, .factor = factor, .shift = shift};
    if (channels_last)
        ubp_run_parallel(call->run, j->n * j->plane, 16384 / j->c + 1, affine_pixels, j);
    else
        ubp_run_parallel(call->run, j->n * j->c, 16384 / j->plane + 1, affine_planes, j);
    return UB_OK;
}

static ub_status run_planes(const ubp_call *call, norm *j)
{
    const ubp_norm_attr *a = call->attr;
    if (a->training_mode) {
        size_t size;
        if (!ubp_mul_size((size_t)j->c, 2 * sizeof *j->stats, &size))
            return ubp_fail_memory(call->err, SIZE_MAX);
        j->stats = ubp_run_scratch(call, size);
        if (!j->stats)
            return UB_ERR_MEMORY;
        ubp_run_parallel(call->run, j->c, 1, batch_stats, j);
        move_running(call, 1, j);
        move_running(call, 2, j);
    }
    if (ub_tensor_count(call->in[0]) > 0)
        ubp_run_parallel(call->run, j->n * j->c, 8192 / j->plane + 1, batch_norm_planes, j);
    return UB_OK;
}

/* A row-major tensor like t in scratch memory. */
static ub_status scratch_like(const ubp_call *call, ub_tensor *out, const ub_tensor *t)
{
    UBP_TRY(ubp_tensor_describe(out, t->dtype, t->rank, t->dims, call->err));
    out->data = ubp_run_scratch(call, ubp_tensor_bytes(out));
    return out->data ? UB_OK : UB_ERR_MEMORY;
}

static ub_status batch_norm_ref(const ubp_call *call)
{
    const ubp_norm_attr *a = call->attr;
    const ub_tensor *x = call->in[0], *y = call->out[0];
    norm j = describe(call);
    j.mean = call->in[3];
    j.var = call->in[4];
    const bool affine = !a->training_mode && !j.wide && ub_tensor_count(x) > 0;
    if (affine && is_channels_last(x) && is_channels_last(y))
        return run_affine(call, &j, true);
    ub_tensor src = *x, dst = *y;
    if (!ub_tensor_is_contiguous(x)) {
        UBP_TRY(scratch_like(call, &src, x));
        ubp_tensor_move(&src, x);
    }
    if (!ub_tensor_is_contiguous(y))
        UBP_TRY(scratch_like(call, &dst, y));
    j.src = src.data;
    j.dst = dst.data;
    UBP_TRY(affine ? run_affine(call, &j, false) : run_planes(call, &j));
    if (dst.data != y->data)
        ubp_tensor_move(y, &dst);
    return UB_OK;
}

static ub_status run_groups(const ubp_call *call, int64_t each)
{
    norm j = describe(call);
    j.each = each;
    if (ub_tensor_count(call->in[0]) > 0)
        ubp_run_parallel(call->run, j.n * (j.c / each), 8192 / (each * j.plane) + 1,
                         group_norm_groups, &j);
    return UB_OK;
}

static ub_status instance_norm_ref(const ubp_call *call)
{
    return run_groups(call, 1);
}

static ub_status group_norm_ref(const ubp_call *call)
{
    const ubp_norm_attr *a = call->attr;
    return run_groups(call, channels(call->in[0]) / a->num_groups);
}

#define NORM(NAME, INPUTS, OUTPUTS, FAMILY, FLAGS)                                                 \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .min_in = INPUTS,                                                                          \
        .max_in = INPUTS,                                                                          \
        .min_out = 1,                                                                              \
        .max_out = OUTPUTS,                                                                        \
        .flags = FLAGS,                                                                            \
        .attr_size = sizeof(ubp_norm_attr),                                                        \
        .attrs = norm_attrs,                                                                       \
        .infer = FAMILY##_infer,                                                                   \
        .batch = FAMILY##_batch,                                                                   \
        .ref = FAMILY##_ref,                                                                       \
    }
NORM(BatchNormalization, 5, 3, batch_norm, UBP_WIDEN | UBP_STRIDED | UBP_CHEAP);
NORM(InstanceNormalization, 3, 1, instance_norm, UBP_WIDEN);
NORM(GroupNormalization, 3, 1, group_norm, UBP_WIDEN);
