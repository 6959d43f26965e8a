/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DFT and STFT: Fourier transforms along one axis, or of frames that slide over a signal. The last
 * axis holds a real number, or its real and imaginary part. All is computed in double. ONNX opset
 * 20 and 17.
 */
#include "ops/fft.h"
#include "ops/move.h"
#include "ops/numbers.h"

#include <string.h>

/* ---- What both share: many transforms of the same length --------------------------------------
 */

typedef struct lines {
    const ubp_fft *fft;
    const ub_tensor *src, *dst;
    const ub_tensor *window; /* [fft->n], or NULL */
    int64_t count, parts;    /* lines; work spaces: a part does lines part, part + parts, ... */
    int64_t src_parts, dst_parts; /* numbers of an element: 1 or 2 */
    int64_t have;                 /* elements of a line in src, the rest is zero */
    int64_t out;                  /* elements of a line in dst */
    int64_t src_step, dst_step;   /* elements between neighbours of a line */
    bool mirrored;                /* src holds only the first half of a symmetric spectrum */
    double factor;
    ubp_complex *work; /* [parts][fft->n + room] */
    /* The first element of a line. */
    void (*locate)(const struct lines *j, int64_t line, int64_t *src, int64_t *dst);
    int64_t frames, hop, length; /* STFT */
} lines;

static ubp_complex load(const lines *j, int64_t first, int64_t i)
{
    const int64_t at = (first + i * j->src_step) * j->src_parts;
    ubp_complex v = {ubp_number(j->src, at), j->src_parts == 2 ? ubp_number(j->src, at + 1) : 0};
    if (j->window) {
        v.re *= ubp_number(j->window, i);
        v.im *= ubp_number(j->window, i);
    }
    return v;
}

static void load_line(const lines *j, int64_t first, ubp_complex *x)
{
    const int64_t n = j->fft->n, have = j->have < n ? j->have : n;
    for (int64_t i = 0; i < n; i++)
        x[i] = i < have ? load(j, first, i) : (ubp_complex){0, 0};
    if (!j->mirrored)
        return;
    /* The other half is the conjugate; what has no partner is real. */
    for (int64_t i = n / 2 + 1; i < n; i++)
        x[i] = (ubp_complex){x[n - i].re, -x[n - i].im};
    x[0].im = 0;
    if (n % 2 == 0)
        x[n / 2].im = 0;
}

static void run_parts(void *arg, int64_t begin, int64_t end)
{
    const lines *j = arg;
    for (int64_t part = begin; part < end; part++) {
        ubp_complex *x = j->work + part * (j->fft->n + ubp_fft_room(j->fft));
        for (int64_t line = part; line < j->count; line += j->parts) {
            int64_t src, dst;
            j->locate(j, line, &src, &dst);
            load_line(j, src, x);
            ubp_fft_run(j->fft, x, x + j->fft->n);
            for (int64_t i = 0; i < j->out; i++) {
                const int64_t at = (dst + i * j->dst_step) * j->dst_parts;
                ubp_put_number(j->dst, at, x[i].re * j->factor);
                if (j->dst_parts == 2)
                    ubp_put_number(j->dst, at + 1, x[i].im * j->factor);
            }
        }
    }
}

static ub_status run_lines(const ubp_call *c, lines *j)
{
    const int64_t threads = c->run->threads > 0 ? c->run->threads : 1;
    size_t bytes;
    j->parts = j->count < threads ? j->count : threads;
    if (!ubp_mul_size((size_t)j->parts,
                      (size_t)(j->fft->n + ubp_fft_room(j->fft)) * sizeof *j->work, &bytes))
        return ubp_fail_memory(c->err, SIZE_MAX);
    j->work = ubp_run_scratch(c, bytes);
    if (!j->work)
        return UB_ERR_MEMORY;
    ubp_run_parallel(c->run, j->parts, 1, run_parts, j);
    return UB_OK;
}

/* An optional scalar; *out keeps its default when it was left out. */
static ub_status scalar(const ubp_call *c, int in, int64_t *out)
{
    int n = 0;
    int64_t v = 0;
    if (!ubp_has_in(c, in))
        return UB_OK;
    UBP_TRY(ubp_in_ints(c, in, &v, &n, 1));
    if (n != 1)
        return ubp_op_fail(c, UB_ERR_SHAPE, "input %d has no element, expected one", in);
    *out = v;
    return UB_OK;
}

static ub_status want_numbers(const ubp_call *c)
{
    const ub_tensor *x = c->in[0];
    const int64_t parts = x->rank ? x->dims[x->rank - 1] : 0;
    if (parts == 1 || parts == 2)
        return UB_OK;
    return ubp_op_fail(c, UB_ERR_SHAPE, "the last axis has %lld numbers, expected 1 (real) or 2",
                       (long long)parts);
}

/* ---- DFT --------------------------------------------------------------------------------------
 */

typedef struct dft_attr {
    int64_t inverse, onesided;
} dft_attr;

static ub_status dft_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    dft_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(n, "inverse", 0, &a->inverse, err));
    return ubp_attr_int(n, "onesided", 0, &a->onesided, err);
}

/* The axis, the length of the transform, the elements of a line of the output. */
static ub_status dft_sizes(const ubp_call *c, int *axis, int64_t *length, int64_t *out)
{
    const dft_attr *a = c->attr;
    const ub_tensor *x = c->in[0];
    int64_t at = -2;
    UBP_TRY(ubp_want_rank(c, 0, 2, UB_MAX_RANK));
    UBP_TRY(want_numbers(c));
    UBP_TRY(scalar(c, 2, &at));
    UBP_TRY(ubp_want_axis(c, at, x->rank, axis));
    if (*axis == x->rank - 1)
        return ubp_op_fail(c, UB_ERR_SHAPE, "a transform over the axis of real and imaginary part");
    *length = a->inverse && a->onesided ? 2 * (x->dims[*axis] - 1) : x->dims[*axis];
    UBP_TRY(scalar(c, 1, length));
    if (*length < 1)
        return ubp_op_fail(c, UB_ERR_SHAPE, "a transform of length %lld", (long long)*length);
    *out = a->onesided && !a->inverse ? *length / 2 + 1 : *length;
    return UB_OK;
}

static ub_status dft_infer(const ubp_call *c)
{
    const dft_attr *a = c->attr;
    int64_t dims[UB_MAX_RANK], length = 0, out = 0;
    int axis = 0;
    UBP_TRY(ubp_want_float(c, 0));
    UBP_TRY(dft_sizes(c, &axis, &length, &out));
    const ub_tensor *x = c->in[0];
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = out;
    dims[x->rank - 1] = a->inverse && a->onesided ? 1 : 2;
    return ubp_set_out(c, 0, x->dtype, x->rank, dims);
}

static void dft_batch(ubp_batch *b)
{
    int axis = 0;
    int64_t length = 0, out = 0;
    if (!ubp_samples_plain(b, 1, 2, "a transform's length made from the samples"))
        return;
    ubp_samples_keep(b, 0, 0);
    if (b->in[0].sized)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
    if (dft_sizes(b->call, &axis, &length, &out) != UB_OK)
        return;
    ubp_samples_mixes_axis(b, 0, 0, axis, "a Fourier transform over the batch axis");
    ubp_samples_mixes_axis(b, 0, 0, b->call->in[0]->rank - 1,
                           "samples lie on the axis of real and imaginary part");
}

/* src_step and dst_step are the elements after the axis. */
static void dft_locate(const lines *j, int64_t line, int64_t *src, int64_t *dst)
{
    const int64_t before = line / j->src_step, after = line % j->src_step;
    *src = before * j->have * j->src_step + after;
    *dst = before * j->out * j->src_step + after;
}

static ub_status dft_ref(const ubp_call *c)
{
    const dft_attr *a = c->attr;
    const ub_tensor *x = c->in[0], *y = c->out[0];
    int64_t length = 0, out = 0;
    int axis = 0;
    ubp_fft fft;
    UBP_TRY(dft_sizes(c, &axis, &length, &out));
    if (ub_tensor_count(y) == 0)
        return UB_OK;
    UBP_TRY(ubp_fft_plan(c, &fft, length, a->inverse ? 1 : -1));
    lines j = {.fft = &fft,
               .src = x,
               .dst = y,
               .src_parts = x->dims[x->rank - 1],
               .dst_parts = y->dims[y->rank - 1],
               .have = x->dims[axis],
               .out = out,
               .mirrored = a->inverse && a->onesided,
               .factor = a->inverse ? 1 / (double)length : 1,
               .locate = dft_locate};
    j.src_step = j.dst_step = ubp_span(x->dims, axis + 1, x->rank - 1);
    j.count = ubp_span(x->dims, 0, axis) * j.src_step;
    return run_lines(c, &j);
}

const ubp_op ubp_op_DFT = {
    .name = "DFT",
    .domain = "",
    .min_in = 1,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(dft_attr),
    .attrs = dft_attrs,
    .infer = dft_infer,
    .batch = dft_batch,
    .ref = dft_ref,
};

/* ---- STFT --------------------------------------------------------------------------------------
 */

enum { IN_SIGNAL, IN_STEP, IN_WINDOW, IN_LENGTH };

static ub_status stft_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    (void)arena;
    return ubp_attr_int(n, "onesided", 1, attr, err);
}

/* Samples of time between frames and in one; how many frames. */
static ub_status stft_sizes(const ubp_call *c, int64_t *hop, int64_t *length, int64_t *frames)
{
    const ub_tensor *x = c->in[IN_SIGNAL];
    UBP_TRY(ubp_want_rank(c, IN_SIGNAL, 3, 3));
    UBP_TRY(want_numbers(c));
    if (!ubp_has_in(c, IN_STEP))
        return ubp_op_fail(c, UB_ERR_FILE, "frame_step is missing");
    UBP_TRY(scalar(c, IN_STEP, hop));
    *length = x->dims[1];
    if (ubp_has_in(c, IN_WINDOW)) {
        UBP_TRY(ubp_want_same_dtype(c, IN_SIGNAL, IN_WINDOW));
        UBP_TRY(ubp_want_rank(c, IN_WINDOW, 1, 1));
        *length = c->in[IN_WINDOW]->dims[0];
    }
    UBP_TRY(scalar(c, IN_LENGTH, length));
    if (*hop < 1 || *length < 1 || *length > x->dims[1] ||
        (ubp_has_in(c, IN_WINDOW) && c->in[IN_WINDOW]->dims[0] != *length))
        return ubp_op_fail(c, UB_ERR_SHAPE,
                           "frames of %lld every %lld of a signal of %lld; a window has the "
                           "length of a frame",
                           (long long)*length, (long long)*hop, (long long)x->dims[1]);
    *frames = (x->dims[1] - *length) / *hop + 1;
    return UB_OK;
}

static ub_status stft_infer(const ubp_call *c)
{
    const int64_t *onesided = c->attr;
    int64_t hop = 0, length = 0, frames = 0;
    UBP_TRY(ubp_want_float(c, IN_SIGNAL));
    UBP_TRY(stft_sizes(c, &hop, &length, &frames));
    const int64_t dims[] = {c->in[0]->dims[0], frames, *onesided ? length / 2 + 1 : length, 2};
    return ubp_set_out(c, 0, c->in[0]->dtype, 4, dims);
}

static void stft_batch(ubp_batch *b)
{
    if (!ubp_samples_plain(b, 1, 3, "a window made from the samples"))
        return;
    if (ubp_has_samples(b, 0) && b->in[0].axis == 0)
        ubp_samples_axis(b, 0, 0, 0);
    else if (ubp_has_samples(b, 0))
        ubp_samples_couple(b, 0, "a Fourier transform over the batch axis");
    if (b->in[0].sized)
        ubp_samples_couple(b, 0, "uses the number of samples as data");
    ubp_samples_fit(b, 0);
}

static void stft_locate(const lines *j, int64_t line, int64_t *src, int64_t *dst)
{
    *src = line / j->frames * j->length + line % j->frames * j->hop;
    *dst = line * j->out;
}

static ub_status stft_ref(const ubp_call *c)
{
    const ub_tensor *x = c->in[IN_SIGNAL], *y = c->out[0];
    int64_t hop = 0, length = 0, frames = 0;
    ubp_fft fft;
    UBP_TRY(stft_sizes(c, &hop, &length, &frames));
    if (ub_tensor_count(y) == 0)
        return UB_OK;
    UBP_TRY(ubp_fft_plan(c, &fft, length, -1));
    lines j = {.fft = &fft,
               .src = x,
               .dst = y,
               .window = ubp_has_in(c, IN_WINDOW) ? c->in[IN_WINDOW] : NULL,
               .count = x->dims[0] * frames,
               .src_parts = x->dims[2],
               .dst_parts = 2,
               .have = length,
               .out = y->dims[2],
               .src_step = 1,
               .dst_step = 1,
               .factor = 1,
               .locate = stft_locate,
               .frames = frames,
               .hop = hop,
               .length = x->dims[1]};
    return run_lines(c, &j);
}

const ubp_op ubp_op_STFT = {
    .name = "STFT",
    .domain = "",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .flags = UBP_WIDEN,
    .attr_size = sizeof(int64_t),
    .attrs = stft_attrs,
    .infer = stft_infer,
    .batch = stft_batch,
    .ref = stft_ref,
};
