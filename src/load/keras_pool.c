/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pooling over space. Average pooling does not count the padding; global pooling is a reduction
 * over the axes between batch and channels; adaptive pooling cuts each axis into windows.
 */
#include "load/keras.h"

#include <string.h>

enum { MAX_WINDOWS = 1024 };

static bool channels_last(const ubp_keras_call *c)
{
    return strcmp(ubp_keras_text(c->config, "data_format", "channels_last"), "channels_first") != 0;
}

static void pool(ubp_keras_call *c, const char *op)
{
    const kt x = ubp_k_input(c);
    const bool last = channels_last(c);
    const int n = x.rank - 2;
    const char *padding = ubp_keras_text(c->config, "padding", "valid");
    const json_t *size = ubp_keras_get(c->config, "pool_size");
    const json_t *strides = ubp_keras_get(c->config, "strides");
    int64_t kernel[UB_MAX_RANK], step[UB_MAX_RANK];
    if (n < 1 || !ubp_keras_ints(size, n, kernel) ||
        !ubp_keras_ints(strides ? strides : size, n, step)) {
        ubp_keras_fail(c, UB_ERR_FILE, "pool_size and strides must be %d integers", n);
        return;
    }
    ubp_attr attrs[3] = {ubp_k_list("kernel_shape", n, kernel), ubp_k_list("strides", n, step)};
    int n_attrs = 2;
    if (strcmp(padding, "same") == 0)
        attrs[n_attrs++] = ubp_k_string("auto_pad", "SAME_UPPER");
    const kt y = ubp_k_one_with(c, op, ubp_k_to_first(c, x, last), n_attrs, attrs);
    ubp_k_give(c, ubp_k_to_last(c, y, last));
}

UBP_KERAS_BUILDER(max_pooling)
{
    pool(c, "MaxPool");
}

UBP_KERAS_BUILDER(average_pooling)
{
    pool(c, "AveragePool");
}

/* ---- Global ---------------------------------------------------------------------------------- */

/* The axes of space; returns how many. */
static int space_axes(kt x, bool last, int64_t *axes)
{
    for (int i = 0; i < x.rank - 2; i++)
        axes[i] = i + (last ? 1 : 2);
    return x.rank - 2;
}

static void pool_globally(ubp_keras_call *c, const char *op)
{
    int64_t axes[UB_MAX_RANK];
    const kt x = ubp_k_input(c);
    const int n = space_axes(x, channels_last(c), axes);
    if (n < 1)
        ubp_keras_fail(c, UB_ERR_SHAPE, "its input has %d axes", x.rank);
    else
        ubp_k_give(c,
                   ubp_k_reduce(c, op, x, n, axes, ubp_keras_flag(c->config, "keepdims", false)));
}

UBP_KERAS_BUILDER(global_max)
{
    pool_globally(c, "ReduceMax");
}

UBP_KERAS_BUILDER(global_average)
{
    pool_globally(c, "ReduceMean");
}

/* The mean over the steps that count. */
UBP_KERAS_BUILDER(global_average_1d)
{
    const kt x = ubp_k_input(c);
    kt mask = c->n_x > 0 ? ubp_k_mask_of(c, "mask", c->x[0]) : x;
    const bool last = channels_last(c), keep = ubp_keras_flag(c->config, "keepdims", false);
    const int64_t axis = last ? 1 : 2;
    if (mask.value == UBP_NO_VALUE || ubp_keras_failed(c)) {
        pool_globally(c, "ReduceMean");
        return;
    }
    mask = ubp_k_unsqueeze(c, mask, last ? 2 : 1);
    const kt counted = ubp_k_where(c, mask, x, ubp_k_number(c, x.dtype, 0));
    const kt sum = ubp_k_reduce(c, "ReduceSum", counted, 1, &axis, keep);
    const kt count = ubp_k_reduce(c, "ReduceSum", ubp_k_cast(c, mask, x.dtype), 1, &axis, keep);
    ubp_k_give(c, ubp_k_two(c, "Div", sum, count));
}

/* ---- Adaptive -------------------------------------------------------------------------------- */

/* Window i of `size` elements in `windows` is [floor(i*size/windows), ceil((i+1)*size/windows)). */
static kt pool_axis(ubp_keras_call *c, const char *op, kt x, int axis, int64_t size,
                    int64_t windows)
{
    kt parts[UBP_KERAS_PORTS];
    const int64_t axes = axis;
    if (windows < 1 || windows > UBP_KERAS_PORTS || size > INT32_MAX) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "output_size %lld", (long long)windows);
        return x;
    }
    for (int64_t i = 0; i < windows; i++) {
        const int64_t begin = i * size / windows, end = ((i + 1) * size + windows - 1) / windows;
        parts[i] = ubp_k_reduce(c, op, ubp_k_slice(c, x, axis, begin, end, 1), 1, &axes, true);
    }
    return ubp_k_concat(c, (int)windows, parts, axis);
}

static void pool_adaptively(ubp_keras_call *c, const char *op)
{
    kt x = ubp_k_input(c);
    int64_t windows[UB_MAX_RANK], axes[UB_MAX_RANK];
    const int n = space_axes(x, channels_last(c), axes);
    if (n < 1 || !ubp_keras_ints(json_object_get(c->config, "output_size"), n, windows)) {
        ubp_keras_fail(c, UB_ERR_FILE, "output_size must be %d integers", n);
        return;
    }
    for (int i = 0; i < n; i++) {
        const int64_t size = ubp_k_known_dim(c, c->x[0], (int)axes[i]);
        x = pool_axis(c, op, x, (int)axes[i], size, windows[i]);
    }
    ubp_k_give(c, x);
}

UBP_KERAS_BUILDER(adaptive_max)
{
    pool_adaptively(c, "ReduceMax");
}

UBP_KERAS_BUILDER(adaptive_average)
{
    pool_adaptively(c, "ReduceMean");
}
