/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers that move elements: Flatten, Reshape, Permute, cropping, padding, repeating, and resizing
 * of pictures.
 */
#include "load/keras.h"

#include <string.h>

static bool channels_last(const ubp_keras_call *c)
{
    return strcmp(ubp_keras_text(c->config, "data_format", "channels_last"), "channels_first") != 0;
}

UBP_KERAS_BUILDER(flatten)
{
    const int64_t dims[2] = {0, -1};
    kt x = ubp_k_input_as_is(c, 0);
    if (x.rank == 1)
        x = ubp_k_unsqueeze(c, x, 1);
    else if (!channels_last(c))
        x = ubp_k_move_axis(c, x, 1, x.rank - 1);
    ubp_k_give(c, ubp_k_reshape(c, x, 2, dims));
}

UBP_KERAS_BUILDER(reshape)
{
    int64_t dims[UB_MAX_RANK] = {0};
    const json_t *target = ubp_keras_get(c->config, "target_shape");
    const int n = (int)json_array_size(target);
    if (!json_is_array(target) || n >= UB_MAX_RANK ||
        (n > 0 && !ubp_keras_ints(target, n, dims + 1))) {
        ubp_keras_fail(c, UB_ERR_FILE, "target_shape is no list of integers");
        return;
    }
    ubp_k_give(c, ubp_k_reshape(c, ubp_k_input_as_is(c, 0), n + 1, dims));
}

UBP_KERAS_BUILDER(permute)
{
    int64_t perm[UB_MAX_RANK] = {0};
    const kt x = ubp_k_input_as_is(c, 0);
    uint32_t seen = 1;
    bool good = ubp_keras_ints(json_object_get(c->config, "dims"), x.rank - 1, perm + 1);
    for (int i = 1; i < x.rank && good; i++) {
        good = perm[i] >= 1 && perm[i] < x.rank && !((seen >> perm[i]) & 1);
        seen |= good ? 1u << perm[i] : 0;
    }
    if (!good)
        ubp_keras_fail(c, UB_ERR_FILE, "dims is no order of the axes 1 to %d", x.rank - 1);
    else
        ubp_k_give(c, ubp_k_transpose(c, x, perm));
}

/* One after the other. */
UBP_KERAS_BUILDER(repeat_vector)
{
    const kt x = ubp_k_unsqueeze(c, ubp_k_input_as_is(c, 0), 1);
    const int64_t times[3] = {1, ubp_keras_int(c->config, "n", 1), 1};
    const kt in[2] = {x, ubp_k_ints(c, 3, times)};
    ubp_k_give(c, ubp_k_node(c, "Tile", x.rank, x.dtype, 2, in, 0, NULL));
}

/* ---- Borders --------------------------------------------------------------------------------- */

/* Amounts before and after each axis of space: [[a, b], ...], or [a, b] for one axis. */
static bool read_borders(ubp_keras_call *c, const char *name, kt x, int64_t *before, int64_t *after)
{
    const json_t *given = ubp_keras_get(c->config, name);
    const int n = x.rank - 2, first = channels_last(c) ? 1 : 2;
    memset(before, 0, UB_MAX_RANK * sizeof(int64_t));
    memset(after, 0, UB_MAX_RANK * sizeof(int64_t));
    bool good = n >= 1 && n <= 3;
    for (int i = 0; i < n && good; i++) {
        int64_t pair[2];
        const json_t *item = json_array_get(given, (size_t)i);
        good = ubp_keras_ints(n == 1 && json_is_integer(item) ? given
                              : json_is_array(given)          ? item
                                                              : given,
                              2, pair) &&
               pair[0] >= 0 && pair[1] >= 0 && pair[0] < INT32_MAX && pair[1] < INT32_MAX;
        if (good) {
            before[first + i] = pair[0];
            after[first + i] = pair[1];
        }
    }
    if (!good)
        ubp_keras_fail(c, UB_ERR_FILE, "%s must be pairs of integers for %d axes", name, n);
    return !ubp_keras_failed(c) && good;
}

UBP_KERAS_BUILDER(zero_padding)
{
    int64_t before[UB_MAX_RANK], after[UB_MAX_RANK], pads[2 * UB_MAX_RANK];
    const kt x = ubp_k_input_as_is(c, 0);
    if (!read_borders(c, "padding", x, before, after))
        return;
    memcpy(pads, before, (size_t)x.rank * sizeof(int64_t));
    memcpy(pads + x.rank, after, (size_t)x.rank * sizeof(int64_t));
    ubp_k_give(c, ubp_k_pad(c, x, pads));
}

UBP_KERAS_BUILDER(cropping)
{
    int64_t before[UB_MAX_RANK], after[UB_MAX_RANK];
    kt x = ubp_k_input_as_is(c, 0);
    if (!read_borders(c, "cropping", x, before, after))
        return;
    for (int i = 1; i < x.rank; i++)
        if (before[i] > 0 || after[i] > 0)
            x = ubp_k_slice(c, x, i, before[i], after[i] > 0 ? -after[i] : INT64_MAX, 1);
    ubp_k_give(c, x);
}

/* ---- Resizing -------------------------------------------------------------------------------- */

/* Whole multiples of each axis of space, or whole sizes of pictures. */
static kt resize(ubp_keras_call *c, kt x, const char *input, kt amounts, const char *mode)
{
    const bool nearest = strcmp(mode, "nearest") == 0;
    const kt none = {.value = UBP_NO_VALUE};
    const bool scales = strcmp(input, "scales") == 0;
    const kt in[4] = {x, none, scales ? amounts : none, scales ? none : amounts};
    const ubp_attr attrs[3] = {ubp_k_string("mode", nearest ? "nearest" : "linear"),
                               ubp_k_string("coordinate_transformation_mode", "half_pixel"),
                               ubp_k_string("nearest_mode", "round_prefer_ceil")};
    if (!nearest && strcmp(mode, "bilinear") != 0) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED,
                       "interpolation '%.40s' differs between Keras' backends; only nearest and"
                       " bilinear are supported",
                       mode);
        return x;
    }
    return ubp_k_node(c, "Resize", x.rank, x.dtype, scales ? 3 : 4, in, 3, attrs);
}

UBP_KERAS_BUILDER(up_sampling)
{
    int64_t size[UB_MAX_RANK];
    double scales[UB_MAX_RANK];
    const kt x = ubp_k_input_as_is(c, 0);
    const int n = x.rank - 2, first = channels_last(c) ? 1 : 2;
    if (n < 1 || !ubp_keras_ints(json_object_get(c->config, "size"), n, size)) {
        ubp_keras_fail(c, UB_ERR_FILE, "size must be %d integers", n);
        return;
    }
    for (int i = 0; i < x.rank; i++)
        scales[i] = i >= first && i < first + n ? (double)size[i - first] : 1;
    ubp_k_give(c, resize(c, x, "scales", ubp_k_numbers(c, UB_F32, x.rank, scales),
                         ubp_keras_text(c->config, "interpolation", "nearest")));
}

/* Pictures (N, H, W, C) or (N, C, H, W) to height and width. */
static kt resize_to(ubp_keras_call *c, kt x, int64_t height, int64_t width, const char *mode)
{
    const int first = channels_last(c) ? 1 : 2;
    const kt shape = ubp_k_shape(c, x);
    const int64_t size[2] = {height, width};
    const kt parts[3] = {ubp_k_slice(c, shape, 0, 0, first, 1), ubp_k_ints(c, 2, size),
                         ubp_k_slice(c, shape, 0, first + 2, INT64_MAX, 1)};
    return resize(c, x, "sizes", ubp_k_concat(c, 3, parts, 0), mode);
}

/* The middle of that size. */
static kt crop_to(ubp_keras_call *c, kt x, int64_t top, int64_t left, int64_t height, int64_t width)
{
    const int first = channels_last(c) ? 1 : 2;
    x = ubp_k_slice(c, x, first, top, top + height, 1);
    return ubp_k_slice(c, x, first + 1, left, left + width, 1);
}

/* The largest part of the picture that has the target's proportions. */
static kt crop_to_ratio(ubp_keras_call *c, kt x, int64_t h, int64_t w, int64_t height,
                        int64_t width)
{
    int64_t crop_h = (int64_t)((double)(w * height) / (double)width);
    int64_t crop_w = (int64_t)((double)(h * width) / (double)height);
    crop_h = crop_h > h ? h : crop_h < 1 ? 1 : crop_h;
    crop_w = crop_w > w ? w : crop_w < 1 ? 1 : crop_w;
    return crop_to(c, x, (h - crop_h) / 2, (w - crop_w) / 2, crop_h, crop_w);
}

static bool read_size(ubp_keras_call *c, kt x, int64_t *height, int64_t *width)
{
    *height = ubp_keras_int(c->config, "height", 0);
    *width = ubp_keras_int(c->config, "width", 0);
    if (x.rank != 4 || *height < 1 || *width < 1 || *height > 1 << 20 || *width > 1 << 20)
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "it gives %lld x %lld of a tensor of %d axes",
                       (long long)*height, (long long)*width, x.rank);
    return !ubp_keras_failed(c);
}

UBP_KERAS_BUILDER(resizing)
{
    int64_t height, width;
    kt x = ubp_k_input(c);
    const int first = channels_last(c) ? 1 : 2;
    if (!read_size(c, x, &height, &width))
        return;
    if (ubp_keras_flag(c->config, "antialias", false) ||
        ubp_keras_flag(c->config, "pad_to_aspect_ratio", false)) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED,
                       "antialias and pad_to_aspect_ratio are not"
                       " supported");
        return;
    }
    if (ubp_keras_flag(c->config, "crop_to_aspect_ratio", false))
        x = crop_to_ratio(c, x, ubp_k_known_dim(c, c->x[0], first),
                          ubp_k_known_dim(c, c->x[0], first + 1), height, width);
    ubp_k_give(
        c, resize_to(c, x, height, width, ubp_keras_text(c->config, "interpolation", "bilinear")));
}

/* The middle; a smaller picture is resized first, keeping its proportions. */
UBP_KERAS_BUILDER(center_crop)
{
    int64_t height, width;
    const kt x = ubp_k_input(c);
    const int first = channels_last(c) ? 1 : 2;
    if (!read_size(c, x, &height, &width))
        return;
    const int64_t h = ubp_k_known_dim(c, c->x[0], first);
    const int64_t w = ubp_k_known_dim(c, c->x[0], first + 1);
    if (h >= height && w >= width)
        ubp_k_give(c, crop_to(c, x, (h - height) / 2, (w - width) / 2, height, width));
    else
        ubp_k_give(
            c, resize_to(c, crop_to_ratio(c, x, h, w, height, width), height, width, "bilinear"));
}
