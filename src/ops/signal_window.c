/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is made for spectra from a few numbers: BlackmanWindow, HammingWindow, HannWindow and
 * MelWeightMatrix. Computed in double. ONNX opset 17.
 */
#include "ops/move.h"
#include "ops/numbers.h"

#include <math.h>
#include <string.h>

#ifndef M_PI
#define M_PI 3.14159265358979323846
#endif

typedef struct window_attr {
    int64_t periodic, dtype;
} window_attr;

static ub_status window_attrs(const ubp_node *n, void *attr, ubp_arena *arena, ub_error *err)
{
    window_attr *a = attr;
    (void)arena;
    UBP_TRY(ubp_attr_int(n, "periodic", 1, &a->periodic, err));
    UBP_TRY(ubp_attr_int(n, "output_datatype", UB_F32, &a->dtype, err));
    if (ubp_is_float((ub_dtype)a->dtype) || ubp_is_integer((ub_dtype)a->dtype))
        return UB_OK;
    return ubp_fail(err, UB_ERR_UNSUPPORTED,
                    "node '%s' (%s): output_datatype %lld, expected a float or an integer type",
                    n->name, n->op_type, (long long)a->dtype);
}

/* The only element of an integer input. */
static ub_status one_int(const ubp_call *c, int in, int64_t *out)
{
    int n = 0;
    UBP_TRY(ubp_in_ints(c, in, out, &n, 1));
    return n == 1 ? UB_OK : ubp_op_fail(c, UB_ERR_SHAPE, "input %d has no element", in);
}

static ub_status window_infer(const ubp_call *c)
{
    const window_attr *a = c->attr;
    int64_t size = 0;
    UBP_TRY(one_int(c, 0, &size));
    if (size < 0)
        return ubp_op_fail(c, UB_ERR_SHAPE, "a window of %lld", (long long)size);
    return ubp_set_out(c, 0, (ub_dtype)a->dtype, 1, &size);
}

static void numbers_batch(ubp_batch *b)
{
    if (ubp_samples_plain(b, 0, b->call->n_in - 1, "a window made from the samples"))
        ubp_samples_grown(b, 0);
}

/* constant - first * cos(2 pi i / n) + second * cos(4 pi i / n) */
static ub_status run_window(const ubp_call *c, double constant, double first, double second)
{
    const window_attr *a = c->attr;
    const int64_t size = c->out[0]->dims[0];
    const double n = (double)(a->periodic ? size : size - 1);
    for (int64_t i = 0; i < size; i++) {
        /* A symmetric window of one element is its peak. */
        const double x = n > 0 ? 2 * M_PI * (double)i / n : M_PI;
        ubp_put_any(c->out[0], i, constant - first * cos(x) + second * cos(2 * x));
    }
    return UB_OK;
}

static ub_status blackman_ref(const ubp_call *c)
{
    return run_window(c, 0.42, 0.5, 0.08);
}

static ub_status hamming_ref(const ubp_call *c)
{
    return run_window(c, 25.0 / 46.0, 21.0 / 46.0, 0);
}

static ub_status hann_ref(const ubp_call *c)
{
    return run_window(c, 0.5, 0.5, 0);
}

#define WINDOW(NAME, REF)                                                                          \
    const ubp_op ubp_op_##NAME = {                                                                 \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .min_in = 1,                                                                               \
        .max_in = 1,                                                                               \
        .min_out = 1,                                                                              \
        .max_out = 1,                                                                              \
        .attr_size = sizeof(window_attr),                                                          \
        .attrs = window_attrs,                                                                     \
        .infer = window_infer,                                                                     \
        .batch = numbers_batch,                                                                    \
        .ref = REF,                                                                                \
    }
WINDOW(BlackmanWindow, blackman_ref);
WINDOW(HammingWindow, hamming_ref);
WINDOW(HannWindow, hann_ref);

/* ---- MelWeightMatrix --------------------------------------------------------------------------
 */

enum { IN_BANDS, IN_LENGTH, IN_RATE, IN_LOW, IN_HIGH };

static ub_status mel_infer(const ubp_call *c)
{
    const window_attr *a = c->attr;
    int64_t bands = 0, length = 0, rate = 0;
    UBP_TRY(one_int(c, IN_BANDS, &bands));
    UBP_TRY(one_int(c, IN_LENGTH, &length));
    UBP_TRY(one_int(c, IN_RATE, &rate));
    for (int i = IN_LOW; i <= IN_HIGH; i++) {
        UBP_TRY(ubp_want_float(c, i));
        if (ub_tensor_count(c->in[i]) != 1)
            return ubp_op_fail(c, UB_ERR_SHAPE, "input %d is no single number", i);
    }
    if (bands < 0 || length < 0 || length == INT64_MAX || rate < 1)
        return ubp_op_fail(c, UB_ERR_SHAPE, "%lld bands of a transform of %lld at a rate of %lld",
                           (long long)bands, (long long)length, (long long)rate);
    return ubp_set_out(c, 0, (ub_dtype)a->dtype, 2, (const int64_t[]){length / 2 + 1, bands});
}

typedef struct mel {
    double low, step; /* in mel */
    double scale;     /* bins a hertz */
    int64_t bins;
} mel;

/* The bin where triangle edge i lies. */
static int64_t edge(const mel *m, int64_t i)
{
    const double at = m->low + (double)i * m->step;
    const double bin = floor(700 * expm1(at / 2595 * log(10)) * m->scale);
    /* Beyond the spectrum, or no number. */
    return bin < 0 ? 0 : bin < (double)m->bins ? (int64_t)bin : m->bins;
}

static void mel_bands(const ub_tensor *out, const mel *m)
{
    const int64_t bands = out->dims[1];
    for (int64_t band = 0; band < bands; band++) {
        const int64_t left = edge(m, band), mid = edge(m, band + 1), right = edge(m, band + 2);
        for (int64_t j = left; j <= mid && j < m->bins; j++)
            ubp_put_any(out, j * bands + band,
                        mid == left ? 1 : (double)(j - left) / (double)(mid - left));
        for (int64_t j = mid; j < right && j < m->bins; j++)
            ubp_put_any(out, j * bands + band, (double)(right - j) / (double)(right - mid));
    }
}

static ub_status mel_ref(const ubp_call *c)
{
    const ub_tensor *out = c->out[0];
    int64_t length = 0, rate = 0;
    UBP_TRY(one_int(c, IN_LENGTH, &length));
    UBP_TRY(one_int(c, IN_RATE, &rate));
    const double low = 2595 * log1p(ubp_any_number(c->in[IN_LOW], 0) / 700) / log(10);
    const double high = 2595 * log1p(ubp_any_number(c->in[IN_HIGH], 0) / 700) / log(10);
    const mel m = {low, (high - low) / (double)(out->dims[1] + 2),
                   (double)(length + 1) / (double)rate, out->dims[0]};
    memset(out->data, 0, ubp_tensor_bytes(out));
    mel_bands(out, &m);
    return UB_OK;
}

const ubp_op ubp_op_MelWeightMatrix = {
    .name = "MelWeightMatrix",
    .domain = "",
    .min_in = 5,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .attr_size = sizeof(window_attr),
    .attrs = window_attrs,
    .infer = mel_infer,
    .batch = numbers_batch,
    .ref = mel_ref,
};
