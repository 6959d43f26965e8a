/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalisation. Keras computes it in float32 at least. The axes that are normalised are brought to
 * where ONNX's operators have them, and back; these moves are views.
 */
#include "load/keras.h"

#include <string.h>

/* Starts a layer that computes in float32 at least: its input. */
static kt widened_input(ubp_keras_call *c, ub_dtype *compute)
{
    *compute = c->compute;
    if (c->compute == UB_F16 || c->compute == UB_BF16)
        c->compute = UB_F32;
    return ubp_k_input(c);
}

static void give_as(ubp_keras_call *c, kt y, ub_dtype compute)
{
    c->compute = compute;
    ubp_k_give(c, ubp_k_cast(c, y, compute));
}

/* The one axis of a config: an integer, or a list of one. */
static int one_axis(ubp_keras_call *c, kt x)
{
    int64_t axis = -1;
    const json_t *given = ubp_keras_get(c->config, "axis");
    if (given && !ubp_keras_ints(given, 1, &axis))
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "it is over more than one axis");
    return ubp_k_axis(c, axis, x.rank);
}

/* Parameter number *index when the config has it, else n equal numbers. */
static kt parameter(ubp_keras_call *c, const char *flag, const char *name, int *index, int64_t n,
                    double value)
{
    if (ubp_keras_flag(c->config, flag, true))
        return ubp_keras_weight(c, "", NULL, (*index)++, name);
    return ubp_k_filled(c, c->compute, n, value);
}

UBP_KERAS_BUILDER(batch_normalization)
{
    ub_dtype compute;
    int index = 0;
    const kt x = widened_input(c, &compute);
    const int axis = one_axis(c, x);
    const bool scale = ubp_keras_flag(c->config, "scale", true);
    const bool center = ubp_keras_flag(c->config, "center", true);
    const kt mean = ubp_keras_weight(c, "", NULL, scale + center, "moving_mean");
    const kt variance = ubp_keras_weight(c, "", NULL, scale + center + 1, "moving_variance");
    const int64_t n = ubp_keras_dim(c, mean, 0);
    const kt gamma = parameter(c, "scale", "gamma", &index, n, 1);
    const kt beta = parameter(c, "center", "beta", &index, n, 0);
    const kt first = ubp_k_move_axis(c, x, axis, 1);
    const kt in[5] = {first, gamma, beta, mean, variance};
    const double epsilon = ubp_keras_number(c->config, "epsilon", 1e-3);
    if (ubp_keras_failed(c))
        return;
    const kt y = ubp_k_node(c, "BatchNormalization", x.rank, x.dtype, 5, in, 1,
                            (ubp_attr[]){ubp_k_float("epsilon", epsilon)});
    give_as(c, ubp_k_move_axis(c, y, 1, axis), compute);
}

/* ---- Over features --------------------------------------------------------------------------- */

/* The axes of a config, sorted; returns how many. */
static int some_axes(ubp_keras_call *c, kt x, int64_t *axes)
{
    const json_t *given = ubp_keras_get(c->config, "axis");
    const int n = json_is_array(given) ? (int)json_array_size(given) : 1;
    axes[0] = -1;
    if (n < 1 || n > x.rank || (given && !ubp_keras_ints(given, n, axes))) {
        ubp_keras_fail(c, UB_ERR_FILE, "axis is no list of axes");
        return 1;
    }
    for (int i = 0; i < n; i++) {
        axes[i] = ubp_k_axis(c, axes[i], x.rank);
        for (int j = i; j > 0 && axes[j] < axes[j - 1]; j--) {
            const int64_t swap = axes[j];
            axes[j] = axes[j - 1];
            axes[j - 1] = swap;
        }
    }
    return n;
}

/* perm brings the axes to the end, back undoes it. */
static void axes_to_end(kt x, int n, const int64_t *axes, int64_t *perm, int64_t *back)
{
    int at = 0;
    for (int i = 0; i < x.rank; i++) {
        bool is_one = false;
        for (int j = 0; j < n; j++)
            is_one |= axes[j] == i;
        if (!is_one)
            perm[at++] = i;
    }
    for (int j = 0; j < n && at < UB_MAX_RANK; j++)
        perm[at++] = axes[j];
    for (int i = 0; i < x.rank; i++)
        back[perm[i]] = i;
}

/* 1 / sqrt(mean + epsilon) */
static kt inverse_root(ubp_keras_call *c, kt mean, double epsilon)
{
    return ubp_k_one(c, "Reciprocal", ubp_k_one(c, "Sqrt", ubp_k_with(c, "Add", mean, epsilon)));
}

static kt center_over(ubp_keras_call *c, kt x, int n, const int64_t *axes)
{
    return ubp_k_two(c, "Sub", x, ubp_k_reduce(c, "ReduceMean", x, n, axes, true));
}

/* x is moved so that its last n axes are normalised; y likewise. */
static kt normalize_last(ubp_keras_call *c, kt x, int n, double epsilon)
{
    int64_t axes[UB_MAX_RANK];
    int index = 0;
    const bool rms = ubp_keras_flag(c->config, "rms_scaling", false);
    const bool scale = ubp_keras_flag(c->config, "scale", true) || rms;
    const bool center = ubp_keras_flag(c->config, "center", true) && !rms;
    const kt gamma = scale ? ubp_keras_weight(c, "", NULL, index++, "gamma") : x;
    const kt beta = center ? ubp_keras_weight(c, "", NULL, index, "beta") : x;
    for (int i = 0; i < n; i++)
        axes[i] = i - n;
    if (scale && !rms) {
        const kt in[3] = {x, gamma, beta};
        return ubp_k_node(c, "LayerNormalization", x.rank, x.dtype, center ? 3 : 2, in, 2,
                          (ubp_attr[]){ubp_k_int("axis", -n), ubp_k_float("epsilon", epsilon)});
    }
    const kt centred = center_over(c, x, n, axes);
    const kt variance =
        ubp_k_reduce(c, "ReduceMean", ubp_k_two(c, "Mul", centred, centred), n, axes, true);
    kt y = ubp_k_two(c, "Mul", rms ? x : centred, inverse_root(c, variance, epsilon));
    if (rms)
        y = ubp_k_two(c, "Mul", y, gamma);
    return center ? ubp_k_two(c, "Add", y, beta) : y;
}

UBP_KERAS_BUILDER(layer_normalization)
{
    ub_dtype compute;
    int64_t axes[UB_MAX_RANK] = {0}, perm[UB_MAX_RANK] = {0}, back[UB_MAX_RANK] = {0};
    const kt x = widened_input(c, &compute);
    const int n = some_axes(c, x, axes);
    if (ubp_keras_failed(c))
        return;
    axes_to_end(x, n, axes, perm, back);
    const kt y = normalize_last(c, ubp_k_transpose(c, x, perm), n,
                                ubp_keras_number(c->config, "epsilon", 1e-3));
    give_as(c, ubp_k_transpose(c, y, back), compute);
}

UBP_KERAS_BUILDER(rms_normalization)
{
    ub_dtype compute;
    int64_t axes[UB_MAX_RANK] = {0}, perm[UB_MAX_RANK] = {0}, back[UB_MAX_RANK] = {0};
    const kt x = widened_input(c, &compute);
    const int n = some_axes(c, x, axes);
    if (ubp_keras_failed(c))
        return;
    axes_to_end(x, n, axes, perm, back);
    const kt in[2] = {ubp_k_transpose(c, x, perm), ubp_keras_weight(c, "", NULL, 0, "scale")};
    const double epsilon = ubp_keras_number(c->config, "epsilon", 1e-6);
    const kt y = ubp_k_node(c, "RMSNormalization", x.rank, x.dtype, 2, in, 2,
                            (ubp_attr[]){ubp_k_int("axis", -n), ubp_k_float("epsilon", epsilon)});
    give_as(c, ubp_k_transpose(c, y, back), compute);
}

/* Groups of channels; -1 is one for each. */
UBP_KERAS_BUILDER(group_normalization)
{
    ub_dtype compute;
    int index = 0;
    const kt x = widened_input(c, &compute);
    const int axis = one_axis(c, x);
    const bool any =
        ubp_keras_flag(c->config, "scale", true) || ubp_keras_flag(c->config, "center", true);
    if (ubp_keras_failed(c))
        return;
    const int64_t n =
        any ? ubp_keras_dim(
                  c,
                  ubp_keras_weight(c, "", NULL, 0,
                                   ubp_keras_flag(c->config, "scale", true) ? "gamma" : "beta"),
                  0)
            : ubp_k_known_dim(c, c->x[0], axis);
    int64_t groups = ubp_keras_int(c->config, "groups", 32);
    const kt gamma = parameter(c, "scale", "gamma", &index, n, 1);
    const kt beta = parameter(c, "center", "beta", &index, n, 0);
    kt first = ubp_k_move_axis(c, x, axis, 1);
    groups = groups == -1 ? n : groups;
    if (x.rank == 2)
        first = ubp_k_unsqueeze(c, first, 2);
    const kt in[3] = {first, gamma, beta};
    const double epsilon = ubp_keras_number(c->config, "epsilon", 1e-3);
    kt y =
        ubp_k_node(c, "GroupNormalization", first.rank, x.dtype, 3, in, 2,
                   (ubp_attr[]){ubp_k_int("num_groups", groups), ubp_k_float("epsilon", epsilon)});
    if (x.rank == 2)
        y = ubp_k_squeeze(c, y, 2);
    give_as(c, ubp_k_move_axis(c, y, 1, axis), compute);
}

UBP_KERAS_BUILDER(unit_normalization)
{
    int64_t axes[UB_MAX_RANK];
    const kt x = ubp_k_input(c);
    const int n = some_axes(c, x, axes);
    if (ubp_keras_failed(c))
        return;
    const kt norm = ubp_k_reduce(c, "ReduceL2", x, n, axes, true);
    ubp_k_give(c,
               ubp_k_two(c, "Div", x, ubp_k_two(c, "Max", norm, ubp_k_number(c, x.dtype, 1e-12))));
}

/* ---- Preprocessing --------------------------------------------------------------------------- */

/* Statistics with a dim for each axis that is kept, in the shape that broadcasts over x. */
static kt spread(ubp_keras_call *c, kt t, kt x, int n, const int64_t *axes)
{
    int64_t dims[UB_MAX_RANK];
    if (t.rank == 0 || ubp_keras_failed(c))
        return t;
    if (t.rank > n) {
        ubp_keras_fail(c, UB_ERR_FILE, "its statistics have %d axes, expected %d", t.rank, n);
        return t;
    }
    for (int i = 0; i < x.rank; i++)
        dims[i] = 1;
    for (int i = 1; i <= t.rank; i++)
        dims[axes[n - i]] = ubp_keras_dim(c, t, -i);
    return ubp_k_reshape(c, t, x.rank, dims);
}

/* (x - mean) / max(sqrt(variance), 1e-7) */
UBP_KERAS_BUILDER(normalization)
{
    int64_t axes[UB_MAX_RANK] = {0};
    const kt x = ubp_k_input(c);
    const json_t *axis = json_object_get(c->config, "axis");
    const int n = json_is_null(axis) || (json_is_array(axis) && json_array_size(axis) == 0)
                      ? 0
                      : some_axes(c, x, axes);
    const json_t *given = ubp_keras_get(c->config, "mean");
    kt mean, variance;
    if (ubp_keras_failed(c))
        return;
    if (given) {
        mean = ubp_k_cast(c, ubp_keras_tensor(c, given, c->compute), c->compute);
        variance = ubp_k_cast(
            c, ubp_keras_tensor(c, ubp_keras_get(c->config, "variance"), c->compute), c->compute);
    } else {
        mean = ubp_keras_weight(c, "", NULL, 0, "mean");
        variance = ubp_keras_weight(c, "", NULL, 1, "variance");
    }
    mean = spread(c, mean, x, n, axes);
    variance = spread(c, variance, x, n, axes);
    const kt deviation =
        ubp_k_two(c, "Max", ubp_k_one(c, "Sqrt", variance), ubp_k_number(c, x.dtype, 1e-7));
    if (ubp_keras_flag(c->config, "invert", false))
        ubp_k_give(c, ubp_k_two(c, "Add", mean, ubp_k_two(c, "Mul", x, deviation)));
    else
        ubp_k_give(c, ubp_k_two(c, "Div", ubp_k_two(c, "Sub", x, mean), deviation));
}

UBP_KERAS_BUILDER(rescaling)
{
    const kt x = ubp_k_input(c);
    const json_t *scale = ubp_keras_get(c->config, "scale");
    const json_t *offset = ubp_keras_get(c->config, "offset");
    kt y = x;
    if (scale)
        y = ubp_k_two(c, "Mul", y, ubp_keras_tensor(c, scale, x.dtype));
    if (offset)
        y = ubp_k_two(c, "Add", y, ubp_keras_tensor(c, offset, x.dtype));
    ubp_k_give(c, y);
}
