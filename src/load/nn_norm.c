/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch, layer and group normalisation in both conventions, as they are when a trained network is
 * used: batch normalisation with its running statistics.
 */
#include "load/nn.h"

#include <string.h>

/* A weight of n, or where it is left out a constant of that value. */
static int32_t scale_or(ubp_nn_call *c, const char *name, bool left_out, int64_t n, double value)
{
    if (left_out)
        return ubp_emit_full(c->e, ubp_emit_number(c->e, UB_F32, value), 1, &n);
    return ubp_nn_weight_new(c, name, 1, &n, ubp_nn_fill(value));
}

/* BatchNormalization over axis 1 of x. names: of scale, bias, mean and variance. */
static int32_t batch_norm(ubp_nn_call *c, int32_t x, int64_t n, const char *const *names,
                          bool no_scale, bool no_bias, double epsilon)
{
    const ubp_attr attr = ubp_emit_float("epsilon", epsilon);
    const int32_t scale = scale_or(c, names[0], no_scale, n, 1);
    const int32_t bias = scale_or(c, names[1], no_bias, n, 0);
    const int32_t mean = scale_or(c, names[2], false, n, 0);
    const int32_t variance = scale_or(c, names[3], false, n, 1);
    const int32_t in[] = {x, scale, bias, mean, variance};
    return ubp_emit_node(c->e, "BatchNormalization", 5, in, 1, &attr);
}

/* ---- Keras: the axis is the last ---------------------------------------------------------------
 */

static double keras_epsilon(const ub_keras_norm *a)
{
    return a->epsilon > 0 ? a->epsilon : 1e-3;
}

static bool last_axis(ubp_nn_call *c, int least_rank, int64_t *n)
{
    if (c->rank < least_rank) {
        ubp_nn_expect(c, "(batch, ..., channels)");
        return false;
    }
    return ubp_nn_known(c, c->rank - 1, n);
}

void ubp_nn_build_keras_batch_norm(ubp_nn_call *c)
{
    static const char *const names[] = {"gamma", "beta", "moving_mean", "moving_variance"};
    const ub_keras_norm *a = c->args;
    int64_t n;
    if (!last_axis(c, 2, &n))
        return;
    const bool turn = c->rank > 2;
    const int32_t x = turn ? ubp_nn_to_first(c, c->x, c->rank) : c->x;
    const int32_t y = batch_norm(c, x, n, names, a->no_scale, a->no_center, keras_epsilon(a));
    ubp_nn_give(c, turn ? ubp_nn_to_last(c, y, c->rank) : y, 0, NULL);
}

void ubp_nn_build_keras_layer_norm(ubp_nn_call *c)
{
    const ub_keras_norm *a = c->args;
    int64_t n;
    if (!last_axis(c, 2, &n))
        return;
    const ubp_attr attrs[] = {ubp_emit_float("epsilon", keras_epsilon(a)),
                              ubp_emit_int("axis", -1)};
    const int32_t scale = scale_or(c, "gamma", a->no_scale, n, 1);
    const int32_t in[] = {c->x, scale, scale_or(c, "beta", a->no_center, n, 0)};
    ubp_nn_give(c, ubp_emit_node(c->e, "LayerNormalization", 3, in, 2, attrs), 0, NULL);
}

static int32_t group_norm(ubp_nn_call *c, int32_t x, int64_t groups, int32_t scale, int32_t bias,
                          double epsilon)
{
    const ubp_attr attrs[] = {ubp_emit_float("epsilon", epsilon),
                              ubp_emit_int("num_groups", groups)};
    const int32_t in[] = {x, scale, bias};
    return ubp_emit_node(c->e, "GroupNormalization", 3, in, 2, attrs);
}

static bool check_groups(ubp_nn_call *c, int64_t groups, int64_t channels)
{
    if (groups >= 1 && channels % groups == 0)
        return true;
    ubp_nn_fail(c, UB_ERR_SHAPE, "%lld groups do not divide %lld channels", (long long)groups,
                (long long)channels);
    return false;
}

void ubp_nn_build_keras_group_norm(ubp_nn_call *c)
{
    const ub_keras_norm *a = c->args;
    int64_t n, groups = a->groups == 0 ? 32 : a->groups;
    if (!last_axis(c, 3, &n))
        return;
    groups = groups == -1 ? n : groups; /* instance normalisation */
    if (!check_groups(c, groups, n))
        return;
    const int32_t scale = scale_or(c, "gamma", a->no_scale, n, 1);
    const int32_t bias = scale_or(c, "beta", a->no_center, n, 0);
    const int32_t y =
        group_norm(c, ubp_nn_to_first(c, c->x, c->rank), groups, scale, bias, keras_epsilon(a));
    ubp_nn_give(c, ubp_nn_to_last(c, y, c->rank), 0, NULL);
}

/* ---- PyTorch: axis 1 ---------------------------------------------------------------------------
 */

static double torch_eps(double eps)
{
    return eps > 0 ? eps : 1e-5;
}

static bool check_features(ubp_nn_call *c, int64_t n)
{
    int64_t found;
    if (!ubp_nn_known(c, 1, &found))
        return false;
    if (found == n)
        return true;
    char text[UBP_SHAPE_TEXT];
    ubp_nn_fail(c, UB_ERR_SHAPE, "its input is %s with %lld channels, expected %lld",
                ubp_nn_shape_text(text, c->rank, c->dims), (long long)found, (long long)n);
    return false;
}

void ubp_nn_build_torch_batch_norm(ubp_nn_call *c)
{
    static const char *const names[] = {"weight", "bias", "running_mean", "running_var"};
    const ub_torch_batch *a = c->args;
    const int n = c->kind->n;
    if (c->rank != n + 2 && !(n == 1 && c->rank == 2)) {
        ubp_nn_expect(c, n == 1 ? "(batch, channels) or (batch, channels, length)"
                                : "(batch, channels, length...)");
        return;
    }
    if (!check_features(c, a->num_features))
        return;
    ubp_nn_give(
        c,
        batch_norm(c, c->x, a->num_features, names, a->no_affine, a->no_affine, torch_eps(a->eps)),
        0, NULL);
}

void ubp_nn_build_torch_group_norm(ubp_nn_call *c)
{
    const ub_torch_group *a = c->args;
    const int64_t n = a->num_channels;
    if (c->rank < 3) {
        ubp_nn_expect(c, "(batch, channels, length...)");
        return;
    }
    if (!check_features(c, n) || !check_groups(c, a->num_groups, n))
        return;
    const int32_t scale = scale_or(c, "weight", a->no_affine, n, 1);
    const int32_t bias = scale_or(c, "bias", a->no_affine, n, 0);
    ubp_nn_give(c, group_norm(c, c->x, a->num_groups, scale, bias, torch_eps(a->eps)), 0, NULL);
}

void ubp_nn_build_torch_layer_norm(ubp_nn_call *c)
{
    const ub_torch_layer *a = c->args;
    const int n = ubp_nn_shape_rank(a->normalized_shape);
    const int first = c->rank - n;
    char found[UBP_SHAPE_TEXT], wanted[UBP_SHAPE_TEXT];
    if (n < 1 || first < 1 ||
        memcmp(c->dims + first, a->normalized_shape, (size_t)n * sizeof(int64_t)) != 0) {
        ubp_nn_fail(c, UB_ERR_SHAPE, "its input is %s, expected that it ends in %s",
                    ubp_nn_shape_text(found, c->rank, c->dims),
                    ubp_nn_shape_text(wanted, n, a->normalized_shape));
        return;
    }
    const ubp_attr attrs[] = {ubp_emit_float("epsilon", torch_eps(a->eps)),
                              ubp_emit_int("axis", -n)};
    const int32_t one = a->no_affine ? ubp_emit_number(c->e, UB_F32, 1) : UBP_NO_VALUE;
    const int32_t scale =
        a->no_affine ? ubp_emit_full(c->e, one, n, a->normalized_shape)
                     : ubp_nn_weight_new(c, "weight", n, a->normalized_shape, ubp_nn_fill(1));
    const int32_t bias = a->no_affine
                             ? UBP_NO_VALUE
                             : ubp_nn_weight_new(c, "bias", n, a->normalized_shape, ubp_nn_fill(0));
    const int32_t in[] = {c->x, scale, bias};
    ubp_nn_give(c, ubp_emit_node(c->e, "LayerNormalization", 3, in, 2, attrs), 0, NULL);
}
