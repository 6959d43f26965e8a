/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activations: Keras' by name, and the layers of both frameworks that are nothing else.
 */
#include "load/nn.h"

#include <string.h>

/* An activation that is one operator with at most two numbers. */
typedef struct plain {
    const char *name, *op;
    const char *attr[2];
    double value[2];
} plain;

static const plain keras_names[] = {
    {"relu", "Relu", {0}, {0}},
    {"leaky_relu", "LeakyRelu", {"alpha"}, {0.2}},
    {"elu", "Elu", {"alpha"}, {1}},
    {"selu", "Selu", {0}, {0}},
    {"celu", "Celu", {"alpha"}, {1}},
    {"gelu", "Gelu", {0}, {0}},
    {"silu", "Swish", {0}, {0}},
    {"swish", "Swish", {0}, {0}},
    {"mish", "Mish", {0}, {0}},
    {"softplus", "Softplus", {0}, {0}},
    {"softsign", "Softsign", {0}, {0}},
    {"sigmoid", "Sigmoid", {0}, {0}},
    {"hard_sigmoid", "HardSigmoid", {"alpha", "beta"}, {1.0 / 6, 0.5}},
    {"hard_silu", "HardSwish", {0}, {0}},
    {"hard_swish", "HardSwish", {0}, {0}},
    {"tanh", "Tanh", {0}, {0}},
    {"exponential", "Exp", {0}, {0}},
    {"soft_shrink", "Shrink", {"lambd", "bias"}, {0.5, 0.5}},
    {"hard_shrink", "Shrink", {"lambd", "bias"}, {0.5, 0}},
};

/* The layers of both that have no arguments; those of PyTorch, then those of Keras. */
static const plain layers[] = {
    {"torch.ReLU", "Relu", {0}, {0}},
    {"torch.SiLU", "Swish", {0}, {0}},
    {"torch.Mish", "Mish", {0}, {0}},
    {"torch.Sigmoid", "Sigmoid", {0}, {0}},
    {"torch.Hardsigmoid", "HardSigmoid", {"alpha", "beta"}, {1.0 / 6, 0.5}},
    {"torch.Hardswish", "HardSwish", {0}, {0}},
    {"torch.Tanh", "Tanh", {0}, {0}},
    {"torch.Softplus", "Softplus", {0}, {0}},
    {"torch.Softsign", "Softsign", {0}, {0}},
    {"keras.ReLU", "Relu", {0}, {0}},
};

static const plain *find_plain(const plain *list, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

static int32_t make_plain(ubp_nn_call *c, const plain *p, int32_t x)
{
    ubp_attr attrs[2];
    int n = 0;
    for (; n < 2 && p->attr[n]; n++)
        attrs[n] = ubp_emit_float(p->attr[n], p->value[n]);
    return ubp_nn_node(c, p->op, x, n, attrs);
}

static int32_t clip(ubp_nn_call *c, int32_t x, double low, double high)
{
    return ubp_emit_3(c->e, "Clip", x, ubp_emit_number(c->e, UB_F32, low),
                      ubp_emit_number(c->e, UB_F32, high));
}

static int32_t softmax(ubp_nn_call *c, const char *op, int32_t x, int axis)
{
    const ubp_attr attr = ubp_emit_int("axis", axis);
    return ubp_nn_node(c, op, x, 1, &attr);
}

int32_t ubp_nn_activate(ubp_nn_call *c, int32_t x, const char *name)
{
    if (!name || strcmp(name, "linear") == 0)
        return x;
    const plain *p = find_plain(keras_names, UBP_COUNT(keras_names), name);
    if (p)
        return make_plain(c, p, x);
    if (strcmp(name, "relu6") == 0)
        return clip(c, x, 0, 6);
    if (strcmp(name, "hard_tanh") == 0)
        return clip(c, x, -1, 1);
    if (strcmp(name, "softmax") == 0)
        return softmax(c, "Softmax", x, -1);
    if (strcmp(name, "log_softmax") == 0)
        return softmax(c, "LogSoftmax", x, -1);
    if (strcmp(name, "tanh_shrink") == 0)
        return ubp_emit_2(c->e, "Sub", x, ubp_emit_1(c->e, "Tanh", x));
    if (strcmp(name, "log_sigmoid") == 0)
        return ubp_emit_1(c->e, "Neg", ubp_emit_1(c->e, "Softplus", ubp_emit_1(c->e, "Neg", x)));
    ubp_nn_fail(c, UB_ERR_ARGUMENT,
                "there is no activation '%.60s'; relu, sigmoid, tanh, softmax, gelu, silu, elu,"
                " softplus and Keras' others are",
                name);
    return UBP_NO_VALUE;
}

/* Where a softmax over the batch is asked for, the samples would mix: that is allowed. */
void ubp_nn_build_softmax(ubp_nn_call *c)
{
    const ub_nn_softmax *a = c->args;
    const int axis = a->axis == 0 ? -1 : a->axis;
    if (axis < -c->rank || axis >= c->rank) {
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "axis %d of %d axes", axis, c->rank);
        return;
    }
    ubp_nn_give(c, softmax(c, c->kind->op, c->x, axis), 0, NULL);
}

/* PyTorch has one slope or one per channel (axis 1), Keras one per element. */
void ubp_nn_build_prelu(ubp_nn_call *c)
{
    int64_t n = 1;
    if (!ubp_nn_is_keras(c)) {
        const int32_t slope = ubp_nn_weight_new(c, "weight", 1, &n, ubp_nn_fill(0.25));
        ubp_nn_give(c, ubp_emit_2(c->e, "PRelu", c->x, slope), 0, NULL);
        return;
    }
    for (int i = 1; i < c->rank; i++)
        if (!ubp_nn_known(c, i, &n))
            return;
    const int32_t slope = ubp_nn_weight_new(c, "alpha", c->rank - 1, c->dims + 1, ubp_nn_fill(0));
    ubp_nn_give(c, ubp_emit_2(c->e, "PRelu", c->x, slope), 0, NULL);
}

/* LeakyReLU and ELU. */
void ubp_nn_build_slope(ubp_nn_call *c)
{
    const ub_nn_slope *a = c->args;
    const bool leaky = strcmp(c->kind->op, "LeakyRelu") == 0;
    const double usual = !leaky ? 1 : ubp_nn_is_keras(c) ? 0.3 : 0.01;
    const ubp_attr attr = ubp_emit_float("alpha", a->alpha != 0 ? a->alpha : usual);
    ubp_nn_give(c, ubp_nn_node(c, c->kind->op, c->x, 1, &attr), 0, NULL);
}

static int32_t build_gelu(ubp_nn_call *c, const char *approximate)
{
    const bool tanh = approximate && strcmp(approximate, "tanh") == 0;
    const ubp_attr attr = ubp_emit_string("approximate", tanh ? "tanh" : "none");
    if (approximate && !tanh && strcmp(approximate, "none") != 0)
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "approximate is '%.40s', 'none' or 'tanh' was expected",
                    approximate);
    return ubp_nn_node(c, "Gelu", c->x, 1, &attr);
}

void ubp_nn_build_activation(ubp_nn_call *c)
{
    const ub_nn_activation *a = c->args;
    const char *what = strchr(c->kind->what, '.') + 1;
    const plain *p = find_plain(layers, UBP_COUNT(layers), c->kind->what);
    int32_t y = UBP_NO_VALUE;
    if (p)
        y = make_plain(c, p, c->x);
    else if (strcmp(what, "Activation") == 0 && !a->activation)
        ubp_nn_fail(c, UB_ERR_ARGUMENT, "which activation?");
    else if (strcmp(what, "Activation") == 0)
        y = ubp_nn_activate(c, c->x, a->activation);
    else if (strcmp(what, "GELU") == 0)
        y = build_gelu(c, a->activation);
    else if (strcmp(what, "ReLU6") == 0)
        y = clip(c, c->x, 0, 6);
    else /* Hardtanh */
        y = clip(c, c->x, -1, 1);
    ubp_nn_give(c, y, 0, NULL);
}
