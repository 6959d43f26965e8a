/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions in both conventions. Keras' tensors are channels last and its kernels (k..., in,
 * out), PyTorch's as ONNX has them: (N, C, ...) and (out, in, k...). Transposes are views.
 */
#include "load/nn.h"

#include <string.h>

enum { MAX_SPATIAL = 3 };

typedef struct conv {
    int n;              /* spatial axes */
    int64_t in, groups; /* channels of the input */
    int64_t kernel[MAX_SPATIAL], strides[MAX_SPATIAL], dilations[MAX_SPATIAL];
    int64_t pads[2 * MAX_SPATIAL];
    bool same;
    int64_t sizes[MAX_SPATIAL]; /* of the output; -1: free */
} conv;

/* ---- Sizes ------------------------------------------------------------------------------------
 */

static const char *expected_input(int n, bool channels_first)
{
    if (channels_first)
        return n == 1   ? "(batch, channels, length)"
               : n == 2 ? "(batch, channels, height, width)"
                        : "(batch, channels, depth, height, width)";
    return n == 1   ? "(batch, steps, channels)"
           : n == 2 ? "(batch, height, width, channels)"
                    : "(batch, depth, height, width, channels)";
}

static bool check_input(ubp_nn_call *c, conv *v, int channel_axis)
{
    v->n = c->kind->n;
    if (c->rank != v->n + 2) {
        ubp_nn_expect(c, expected_input(v->n, channel_axis == 1));
        return false;
    }
    return ubp_nn_known(c, channel_axis, &v->in);
}

static int64_t extent(const conv *v, int i)
{
    return (v->kernel[i] - 1) * v->dilations[i] + 1;
}

/* Sizes of a convolution's output; spatial: where its axes begin. */
static bool find_sizes(ubp_nn_call *c, conv *v, int spatial)
{
    for (int i = 0; i < v->n; i++) {
        const int64_t size = c->dims[spatial + i];
        const int64_t whole = size + v->pads[i] + v->pads[v->n + i];
        v->sizes[i] = -1;
        if (size < 0)
            continue;
        if (!v->same && whole < extent(v, i)) {
            char text[UBP_SHAPE_TEXT];
            ubp_nn_fail(c, UB_ERR_SHAPE,
                        "its input is %s: %lld with padding along axis %d, smaller than the"
                        " kernel's %lld",
                        ubp_nn_shape_text(text, c->rank, c->dims), (long long)whole, spatial + i,
                        (long long)extent(v, i));
            return false;
        }
        v->sizes[i] = v->same ? (size + v->strides[i] - 1) / v->strides[i]
                              : (whole - extent(v, i)) / v->strides[i] + 1;
    }
    return true;
}

static bool check_groups(ubp_nn_call *c, const conv *v, int64_t out)
{
    if (v->groups >= 1 && v->in % v->groups == 0 && out % v->groups == 0)
        return true;
    ubp_nn_fail(c, UB_ERR_SHAPE, "%lld groups do not divide %lld input and %lld output channels",
                (long long)v->groups, (long long)v->in, (long long)out);
    return false;
}

static int list_attrs(ubp_nn_call *c, const conv *v, ubp_attr *attrs)
{
    int n = 0;
    attrs[n++] = ubp_emit_list(c->e, "strides", v->strides, v->n);
    attrs[n++] = ubp_emit_list(c->e, "dilations", v->dilations, v->n);
    attrs[n++] = ubp_emit_int("group", v->groups);
    attrs[n++] = v->same ? ubp_emit_string("auto_pad", "SAME_UPPER")
                         : ubp_emit_list(c->e, "pads", v->pads, 2 * v->n);
    return n;
}

static int32_t convolve(ubp_nn_call *c, const conv *v, int32_t x, int32_t kernel, int32_t bias)
{
    ubp_attr attrs[4];
    const int32_t in[] = {x, kernel, bias};
    return ubp_emit_node(c->e, "Conv", 3, in, list_attrs(c, v, attrs), attrs);
}

/* ---- Keras ------------------------------------------------------------------------------------
 */

/* "valid" unless said otherwise; Conv1D also has "causal". */
static bool read_padding(ubp_nn_call *c, conv *v, const char *padding, bool causal)
{
    v->same = padding && strcmp(padding, "same") == 0;
    if (padding && causal && strcmp(padding, "causal") == 0)
        v->pads[0] = extent(v, 0) - 1;
    else if (padding && !v->same && strcmp(padding, "valid") != 0)
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "padding is '%.40s', 'valid' or 'same' was expected",
                    padding);
    return !ubp_nn_failed(c);
}

/* A bias of n, or nothing. */
static int32_t make_bias(ubp_nn_call *c, bool no_bias, int64_t n, ubp_nn_init init)
{
    return no_bias ? UBP_NO_VALUE : ubp_nn_weight_new(c, "bias", 1, &n, init);
}

/* (k..., a, b), the shape of a kernel of Keras. */
static void keras_kernel_dims(const conv *v, int64_t a, int64_t b, int64_t *dims)
{
    memcpy(dims, v->kernel, (size_t)v->n * sizeof(int64_t));
    dims[v->n] = a;
    dims[v->n + 1] = b;
}

/* Axes n + `a`, n + `b`, then the spatial ones. */
static int32_t kernel_first(ubp_nn_call *c, const conv *v, int32_t kernel, int a, int b)
{
    int64_t perm[MAX_SPATIAL + 2] = {v->n + a, v->n + b};
    for (int i = 0; i < v->n; i++)
        perm[2 + i] = i;
    return ubp_emit_transpose(c->e, kernel, v->n + 2, perm);
}

/* y: channels first, with v->sizes and that many channels. */
static void give_last(ubp_nn_call *c, const conv *v, int32_t y, int64_t channels,
                      const char *activation)
{
    int64_t dims[MAX_SPATIAL + 2] = {c->dims[0]};
    memcpy(dims + 1, v->sizes, (size_t)v->n * sizeof(int64_t));
    dims[v->n + 1] = channels;
    y = ubp_nn_to_last(c, y, v->n + 2);
    ubp_nn_give(c, ubp_nn_activate(c, y, activation), v->n + 2, dims);
}

static bool read_keras(ubp_nn_call *c, conv *v, const int64_t *kernel, const int64_t *strides,
                       const int64_t *dilations)
{
    return check_input(c, v, c->kind->n + 1) &&
           ubp_nn_axes(c, "kernel_size", kernel, v->n, 0, 1, v->kernel) &&
           ubp_nn_axes(c, "strides", strides, v->n, 1, 1, v->strides) &&
           ubp_nn_axes(c, "dilation_rate", dilations, v->n, 1, 1, v->dilations);
}

void ubp_nn_build_keras_conv(ubp_nn_call *c)
{
    const ub_keras_conv *a = c->args;
    conv v = {.groups = a->groups ? a->groups : 1};
    int64_t dims[MAX_SPATIAL + 2];
    if (!read_keras(c, &v, a->kernel_size, a->strides, a->dilation_rate) ||
        !ubp_nn_want(c, "filters", a->filters) || !read_padding(c, &v, a->padding, v.n == 1) ||
        !check_groups(c, &v, a->filters) || !find_sizes(c, &v, 1))
        return;
    keras_kernel_dims(&v, v.in / v.groups, a->filters, dims);
    const int32_t kernel =
        ubp_nn_weight_new(c, "kernel", v.n + 2, dims, ubp_nn_glorot(v.n + 2, dims));
    const int32_t bias = make_bias(c, a->no_bias, a->filters, ubp_nn_fill(0));
    const int32_t y =
        convolve(c, &v, ubp_nn_to_first(c, c->x, c->rank), kernel_first(c, &v, kernel, 1, 0), bias);
    give_last(c, &v, y, a->filters, a->activation);
}

void ubp_nn_build_keras_depthwise(ubp_nn_call *c)
{
    const ub_keras_depthwise *a = c->args;
    const int64_t mult = a->depth_multiplier ? a->depth_multiplier : 1;
    conv v = {.n = 0};
    int64_t dims[MAX_SPATIAL + 2], grouped[MAX_SPATIAL + 2];
    if (!read_keras(c, &v, a->kernel_size, a->strides, a->dilation_rate) ||
        !ubp_nn_want(c, "depth_multiplier", mult) ||
        !ubp_nn_want(c, "its input's channels", v.in) || !read_padding(c, &v, a->padding, false) ||
        !find_sizes(c, &v, 1))
        return;
    const int64_t channels = v.in * mult;
    v.groups = v.in;
    keras_kernel_dims(&v, v.in, mult, dims);
    const int32_t kernel =
        ubp_nn_weight_new(c, "kernel", v.n + 2, dims, ubp_nn_glorot(v.n + 2, dims));
    const int32_t bias = make_bias(c, a->no_bias, channels, ubp_nn_fill(0));
    grouped[0] = channels;
    grouped[1] = 1;
    memcpy(grouped + 2, v.kernel, (size_t)v.n * sizeof(int64_t));
    /* (k..., in, mult) to (in * mult, 1, k...) */
    const int32_t first =
        ubp_emit_reshape(c->e, kernel_first(c, &v, kernel, 0, 1), v.n + 2, grouped);
    const int32_t y = convolve(c, &v, ubp_nn_to_first(c, c->x, c->rank), first, bias);
    give_last(c, &v, y, channels, a->activation);
}

/* What Keras cuts off the whole transposed convolution, (size-1)*s + k, at both ends of axis i;
 * more: zeros it adds at the end instead (keras/src/backend/common/backend_utils.py). */
static void find_crop(conv *v, int i, int64_t *more)
{
    const int64_t k = extent(v, i), s = v->strides[i], pad = s + k - 2;
    int64_t left = pad / 2 + pad % 2, end = s > k ? k - s : 0;
    left = left < k - 1 ? left : k - 1;
    v->pads[i] = v->same ? k - 1 - left : 0;
    if (v->same)
        end = k - 1 - (pad - left);
    v->pads[v->n + i] = end > 0 ? end : 0;
    *more = end < 0 ? -end : 0;
}

/* Zeros behind the spatial axes; y: channels first. */
static int32_t pad_ends(ubp_nn_call *c, const conv *v, int32_t y, const int64_t *more)
{
    int64_t pads[2 * (MAX_SPATIAL + 2)] = {0};
    bool any = false;
    for (int i = 0; i < v->n; i++) {
        pads[v->n + 4 + i] = more[i];
        any |= more[i] > 0;
    }
    return any ? ubp_emit_2(c->e, "Pad", y, ubp_emit_ints(c->e, pads, 2 * (v->n + 2))) : y;
}

void ubp_nn_build_keras_conv_transpose(ubp_nn_call *c)
{
    const ub_keras_conv *a = c->args;
    conv v = {.groups = 1};
    int64_t dims[MAX_SPATIAL + 2], more[MAX_SPATIAL] = {0},
                                   column[MAX_SPATIAL + 2] = {1, -1, 1, 1, 1};
    if (!read_keras(c, &v, a->kernel_size, a->strides, a->dilation_rate) ||
        !ubp_nn_want(c, "filters", a->filters) || !read_padding(c, &v, a->padding, false))
        return;
    if (a->groups > 1) {
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "groups is %lld; Keras has none here",
                    (long long)a->groups);
        return;
    }
    for (int i = 0; i < v.n; i++) {
        const int64_t size = c->dims[1 + i], k = extent(&v, i), s = v.strides[i];
        find_crop(&v, i, &more[i]);
        v.sizes[i] = size < 0 ? -1 : size * s + (v.same || k < s ? 0 : k - s);
    }
    v.same = false; /* pads say it */
    keras_kernel_dims(&v, a->filters, v.in, dims);
    const int32_t kernel =
        ubp_nn_weight_new(c, "kernel", v.n + 2, dims, ubp_nn_glorot(v.n + 2, dims));
    const int32_t bias = make_bias(c, a->no_bias, a->filters, ubp_nn_fill(0));
    const int32_t in[] = {ubp_nn_to_first(c, c->x, c->rank), kernel_first(c, &v, kernel, 1, 0)};
    ubp_attr attrs[4];
    int32_t y = ubp_emit_node(c->e, "ConvTranspose", 2, in, list_attrs(c, &v, attrs), attrs);
    y = pad_ends(c, &v, y, more);
    if (bias != UBP_NO_VALUE) /* zeros that are added get the bias too */
        y = ubp_emit_2(c->e, "Add", y, ubp_emit_reshape(c->e, bias, c->rank, column));
    give_last(c, &v, y, a->filters, a->activation);
}

/* ---- PyTorch ----------------------------------------------------------------------------------
 */

static bool check_channels(ubp_nn_call *c, const conv *v, int64_t in_channels)
{
    if (v->in == in_channels)
        return true;
    char text[UBP_SHAPE_TEXT];
    ubp_nn_fail(c, UB_ERR_SHAPE, "its input is %s with %lld channels, expected %lld",
                ubp_nn_shape_text(text, c->rank, c->dims), (long long)v->in,
                (long long)in_channels);
    return false;
}

static bool read_torch(ubp_nn_call *c, conv *v, const ub_torch_conv *a)
{
    int64_t padding[MAX_SPATIAL];
    v->groups = a->groups ? a->groups : 1;
    v->same = a->same;
    if (!check_input(c, v, 1) || !ubp_nn_want(c, "in_channels", a->in_channels) ||
        !ubp_nn_want(c, "out_channels", a->out_channels) ||
        !ubp_nn_axes(c, "kernel_size", a->kernel_size, v->n, 0, 1, v->kernel) ||
        !ubp_nn_axes(c, "stride", a->stride, v->n, 1, 1, v->strides) ||
        !ubp_nn_axes(c, "dilation", a->dilation, v->n, 1, 1, v->dilations) ||
        !ubp_nn_axes(c, "padding", a->padding, v->n, 0, 0, padding) ||
        !check_channels(c, v, a->in_channels) || !check_groups(c, v, a->out_channels))
        return false;
    for (int i = 0; i < v->n; i++) {
        v->pads[i] = v->pads[v->n + i] = padding[i];
        if (v->same && v->strides[i] != 1)
            ubp_nn_fail(c, UB_ERR_ARGUMENT, "padding='same' goes with strides of 1 only");
    }
    return !ubp_nn_failed(c);
}

static void give_first(ubp_nn_call *c, const conv *v, int32_t y, int64_t channels)
{
    int64_t dims[MAX_SPATIAL + 2] = {c->dims[0], channels};
    memcpy(dims + 2, v->sizes, (size_t)v->n * sizeof(int64_t));
    ubp_nn_give(c, y, v->n + 2, dims);
}

/* The weight (a, b, k...); PyTorch takes b times the kernel's field for the fan-in. */
static int32_t torch_kernel(ubp_nn_call *c, const conv *v, int64_t a, int64_t b, ubp_nn_init *init)
{
    int64_t dims[MAX_SPATIAL + 2] = {a, b}, fan_in = b;
    memcpy(dims + 2, v->kernel, (size_t)v->n * sizeof(int64_t));
    for (int i = 0; i < v->n; i++)
        if (!ubp_mul_i64(fan_in, v->kernel[i], &fan_in))
            fan_in = INT64_MAX;
    *init = ubp_nn_kaiming(fan_in);
    return ubp_nn_weight_new(c, "weight", v->n + 2, dims, *init);
}

void ubp_nn_build_torch_conv(ubp_nn_call *c)
{
    const ub_torch_conv *a = c->args;
    conv v = {.n = 0};
    ubp_nn_init init;
    if (!read_torch(c, &v, a) || !find_sizes(c, &v, 2))
        return;
    const int32_t kernel = torch_kernel(c, &v, a->out_channels, v.in / v.groups, &init);
    const int32_t bias = make_bias(c, a->no_bias, a->out_channels, init);
    give_first(c, &v, convolve(c, &v, c->x, kernel, bias), a->out_channels);
}

void ubp_nn_build_torch_conv_transpose(ubp_nn_call *c)
{
    const ub_torch_conv *a = c->args;
    conv v = {.n = 0};
    ubp_nn_init init;
    int64_t extra[MAX_SPATIAL];
    if (!read_torch(c, &v, a) ||
        !ubp_nn_axes(c, "output_padding", a->output_padding, v.n, 0, 0, extra))
        return;
    for (int i = 0; i < v.n; i++) {
        const int64_t size = c->dims[2 + i];
        v.sizes[i] =
            size < 0 ? -1 : (size - 1) * v.strides[i] - 2 * v.pads[i] + extent(&v, i) + extra[i];
        if ((size >= 0 && v.sizes[i] < 1) ||
            (extra[i] >= v.strides[i] && extra[i] >= v.dilations[i])) {
            ubp_nn_fail(c, UB_ERR_SHAPE, "padding and output_padding do not fit along axis %d",
                        2 + i);
            return;
        }
    }
    const int32_t kernel = torch_kernel(c, &v, v.in, a->out_channels / v.groups, &init);
    const int32_t bias = make_bias(c, a->no_bias, a->out_channels, init);
    const int32_t in[] = {c->x, kernel, bias};
    ubp_attr attrs[5];
    int n = list_attrs(c, &v, attrs);
    attrs[n++] = ubp_emit_list(c->e, "output_padding", extra, v.n);
    give_first(c, &v, ubp_emit_node(c->e, "ConvTranspose", 3, in, n, attrs), a->out_channels);
}
