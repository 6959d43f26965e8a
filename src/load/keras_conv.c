/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions. Keras' tensors are channels last and its kernels (k..., in, out); ONNX's
 * convolutions read (N, C, ...) and (out, in, k...). Transposes on the way in and out are views.
 */
#include "load/keras.h"

#include <string.h>

enum { MAX_SPATIAL = 3 };

/* What the configurations of convolutions have in common. */
typedef struct conv {
    int spatial; /* 1, 2, 3 */
    int64_t strides[MAX_SPATIAL], dilations[MAX_SPATIAL];
    const char *padding;
    bool last; /* channels last */
} conv;

static bool read_conv(ubp_keras_call *c, conv *v, kt x)
{
    v->spatial = x.rank - 2;
    v->padding = ubp_keras_text(c->config, "padding", "valid");
    v->last =
        strcmp(ubp_keras_text(c->config, "data_format", "channels_last"), "channels_first") != 0;
    const json_t *strides = ubp_keras_get(c->config, "strides");
    const json_t *dilations = ubp_keras_get(c->config, "dilation_rate");
    for (int i = 0; i < MAX_SPATIAL; i++)
        v->strides[i] = v->dilations[i] = 1;
    if (ubp_keras_failed(c))
        return false;
    if (v->spatial < 1 || v->spatial > MAX_SPATIAL)
        ubp_keras_fail(c, UB_ERR_SHAPE, "its input has %d axes", x.rank);
    else if ((strides && !ubp_keras_ints(strides, v->spatial, v->strides)) ||
             (dilations && !ubp_keras_ints(dilations, v->spatial, v->dilations)))
        ubp_keras_fail(c, UB_ERR_FILE, "strides and dilation_rate must be %d integers", v->spatial);
    else if (strcmp(v->padding, "same") != 0 && strcmp(v->padding, "valid") != 0 &&
             (strcmp(v->padding, "causal") != 0 || v->spatial != 1))
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "padding '%.40s' is not known", v->padding);
    return !ubp_keras_failed(c);
}

/* (k..., in, out) to (out, in, k...) */
static kt kernel_first(ubp_keras_call *c, kt kernel)
{
    int64_t perm[UB_MAX_RANK] = {kernel.rank - 1, kernel.rank - 2};
    for (int i = 2; i < kernel.rank && i < UB_MAX_RANK; i++)
        perm[i] = i - 2;
    return ubp_k_transpose(c, kernel, perm);
}

/* (k..., in, mult) to (in * mult, 1, k...) */
static kt depthwise_kernel(ubp_keras_call *c, kt kernel, int spatial)
{
    int64_t perm[UB_MAX_RANK] = {spatial, spatial + 1}, dims[UB_MAX_RANK];
    for (int i = 0; i < spatial; i++) {
        perm[i + 2] = i;
        dims[i + 2] = ubp_keras_dim(c, kernel, i);
    }
    dims[0] = ubp_keras_dim(c, kernel, spatial) * ubp_keras_dim(c, kernel, spatial + 1);
    dims[1] = 1;
    return ubp_k_reshape(c, ubp_k_transpose(c, kernel, perm), spatial + 2, dims);
}

/* Keras pads "same" with the smaller half first, as SAME_UPPER does. x and the result are channels
 * first. */
static kt convolve(ubp_keras_call *c, const conv *v, kt x, kt kernel, kt bias, int64_t groups)
{
    ubp_attr attrs[4] = {ubp_k_list("strides", v->spatial, v->strides),
                         ubp_k_list("dilations", v->spatial, v->dilations),
                         ubp_k_int("group", groups)};
    const kt in[3] = {x, kernel, bias};
    int n = 3;
    if (strcmp(v->padding, "same") == 0)
        attrs[n++] = ubp_k_string("auto_pad", "SAME_UPPER");
    return ubp_k_node(c, "Conv", x.rank, x.dtype, bias.value == UBP_NO_VALUE ? 2 : 3, in, n, attrs);
}

/* The bias as input of the convolution. */
static kt bias_of(ubp_keras_call *c, int index)
{
    if (!ubp_keras_flag(c->config, "use_bias", true))
        return (kt){.value = UBP_NO_VALUE};
    return ubp_keras_weight(c, "", NULL, index, "bias");
}

static void finish(ubp_keras_call *c, const conv *v, kt y)
{
    y = ubp_k_to_last(c, y, v->last);
    ubp_k_give(c, ubp_k_activation(c, json_object_get(c->config, "activation"), y));
}

/* Causal padding: all of it before the first step; x is channels first. */
static kt pad_causal(ubp_keras_call *c, conv *v, kt x, kt kernel)
{
    int64_t pads[2 * UB_MAX_RANK] = {0};
    if (strcmp(v->padding, "causal") != 0)
        return x;
    pads[2] = (ubp_keras_dim(c, kernel, 0) - 1) * v->dilations[0];
    v->padding = "valid";
    return ubp_k_pad(c, x, pads);
}

UBP_KERAS_BUILDER(conv)
{
    conv v;
    kt x = ubp_k_input(c);
    if (!read_conv(c, &v, x))
        return;
    const kt kernel = ubp_keras_weight(c, "", NULL, 0, "kernel");
    if (ubp_keras_failed(c))
        return;
    if (kernel.rank != v.spatial + 2) {
        ubp_keras_fail(c, UB_ERR_FILE, "its kernel has %d axes", kernel.rank);
        return;
    }
    x = pad_causal(c, &v, ubp_k_to_first(c, x, v.last), kernel);
    finish(c, &v,
           convolve(c, &v, x, kernel_first(c, kernel), bias_of(c, 1),
                    ubp_keras_int(c->config, "groups", 1)));
}

UBP_KERAS_BUILDER(depthwise_conv)
{
    conv v;
    kt x = ubp_k_input(c);
    if (!read_conv(c, &v, x))
        return;
    /* Keras 2 calls it depthwise_kernel. */
    const kt kernel =
        ubp_keras_weight(c, "", NULL, 0, c->k->keras2 ? "depthwise_kernel" : "kernel");
    if (ubp_keras_failed(c))
        return;
    if (kernel.rank != v.spatial + 2) {
        ubp_keras_fail(c, UB_ERR_FILE, "its kernel has %d axes", kernel.rank);
        return;
    }
    const int64_t groups = ubp_keras_dim(c, kernel, v.spatial);
    x = ubp_k_to_first(c, x, v.last);
    finish(c, &v,
           convolve(c, &v, x, depthwise_kernel(c, kernel, v.spatial), bias_of(c, 1), groups));
}

UBP_KERAS_BUILDER(separable_conv)
{
    conv v;
    kt x = ubp_k_input(c);
    if (!read_conv(c, &v, x))
        return;
    const kt depthwise = ubp_keras_weight(c, "", NULL, 0, "depthwise_kernel");
    const kt pointwise = ubp_keras_weight(c, "", NULL, 1, "pointwise_kernel");
    if (ubp_keras_failed(c))
        return;
    if (depthwise.rank != v.spatial + 2 || pointwise.rank != v.spatial + 2) {
        ubp_keras_fail(c, UB_ERR_FILE, "its kernels have %d and %d axes", depthwise.rank,
                       pointwise.rank);
        return;
    }
    const int64_t groups = ubp_keras_dim(c, depthwise, v.spatial);
    const conv one = {
        .spatial = v.spatial, .strides = {1, 1, 1}, .dilations = {1, 1, 1}, .padding = "valid"};
    const kt none = {.value = UBP_NO_VALUE};
    x = pad_causal(c, &v, ubp_k_to_first(c, x, v.last), depthwise);
    x = convolve(c, &v, x, depthwise_kernel(c, depthwise, v.spatial), none, groups);
    finish(c, &v, convolve(c, &one, x, kernel_first(c, pointwise), bias_of(c, 2), 1));
}

/* What is cut off the whole transposed convolution, (n-1)*s + k, at the start and at the end of
 * axis i; negative at the end: zeros are added. */
static bool find_crop(ubp_keras_call *c, const conv *v, int i, int64_t kernel, int64_t *begin,
                      int64_t *end)
{
    const json_t *given = ubp_keras_get(c->config, "output_padding");
    int64_t extra[MAX_SPATIAL];
    const int64_t k = (kernel - 1) * v->dilations[i] + 1, s = v->strides[i];
    if (given && !ubp_keras_ints(given, v->spatial, extra)) {
        ubp_keras_fail(c, UB_ERR_FILE, "output_padding must be %d integers", v->spatial);
        return false;
    }
    if (strcmp(v->padding, "valid") == 0) {
        *begin = 0;
        *end = given ? -extra[i] : -((k > s ? k : s) - k);
        return true;
    }
    const int64_t pad = given ? k + k % 2 - 2 + extra[i] : s + k - 2;
    int64_t left = pad / 2 + pad % 2;
    left = left < k - 1 ? left : k - 1;
    *begin = k - 1 - left;
    *end = k - 1 - (pad - left);
    return true;
}

UBP_KERAS_BUILDER(conv_transpose)
{
    conv v;
    kt x = ubp_k_input(c);
    int64_t pads[2 * MAX_SPATIAL] = {0}, more[2 * UB_MAX_RANK] = {0};
    bool grows = false;
    if (!read_conv(c, &v, x))
        return;
    const kt kernel = ubp_keras_weight(c, "", NULL, 0, "kernel"), bias = bias_of(c, 1);
    if (ubp_keras_failed(c))
        return;
    if (kernel.rank != v.spatial + 2 || strcmp(v.padding, "causal") == 0) {
        ubp_keras_fail(c, UB_ERR_FILE, "its kernel has %d axes", kernel.rank);
        return;
    }
    for (int i = 0; i < v.spatial; i++) {
        int64_t end = 0;
        if (!find_crop(c, &v, i, ubp_keras_dim(c, kernel, i), &pads[i], &end))
            return;
        pads[v.spatial + i] = end > 0 ? end : 0;
        more[x.rank + 2 + i] = end < 0 ? -end : 0;
        grows |= end < 0;
    }
    /* (k..., out, in) to (in, out, k...) */
    const kt in[3] = {ubp_k_to_first(c, x, v.last), kernel_first(c, kernel), bias};
    const bool late = grows && bias.value != UBP_NO_VALUE;
    const ubp_attr attrs[3] = {ubp_k_list("strides", v.spatial, v.strides),
                               ubp_k_list("dilations", v.spatial, v.dilations),
                               ubp_k_list("pads", 2 * v.spatial, pads)};
    kt y = ubp_k_node(c, "ConvTranspose", x.rank, x.dtype,
                      bias.value == UBP_NO_VALUE || late ? 2 : 3, in, 3, attrs);
    /* Zeros that are added get the bias too. */
    if (grows)
        y = ubp_k_pad(c, y, more);
    if (late) {
        int64_t dims[UB_MAX_RANK] = {1, -1, 1, 1, 1};
        y = ubp_k_two(c, "Add", y, ubp_k_reshape(c, bias, x.rank, dims));
    }
    finish(c, &v, y);
}
