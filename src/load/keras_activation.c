/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activations: those named in configurations, and the layers that are nothing else. Keras 2 has
 * another hard_sigmoid.
 */
#include "load/keras.h"

#include <math.h>
#include <string.h>

/* ---- Those that are more than one operator --------------------------------------------------- */

static kt linear(ubp_keras_call *c, kt x)
{
    (void)c;
    return x;
}

static kt relu6(ubp_keras_call *c, kt x)
{
    return ubp_k_clip(c, x, 0, 6);
}

static kt leaky_relu(ubp_keras_call *c, kt x)
{
    return ubp_k_one_with(c, "LeakyRelu", x, 1, (ubp_attr[]){ubp_k_float("alpha", 0.2)});
}

/* clip(x/6 + 1/2), in Keras 2 clip(x/5 + 1/2) */
static kt hard_sigmoid(ubp_keras_call *c, kt x)
{
    const double slope = c->k->keras2 ? 0.2 : 1.0 / 6;
    return ubp_k_one_with(c, "HardSigmoid", x, 2,
                          (ubp_attr[]){ubp_k_float("alpha", slope), ubp_k_float("beta", 0.5)});
}

static kt hard_silu(ubp_keras_call *c, kt x)
{
    return ubp_k_two(c, "Mul", x, hard_sigmoid(c, x));
}

static kt silu(ubp_keras_call *c, kt x)
{
    return ubp_k_two(c, "Mul", x, ubp_k_one(c, "Sigmoid", x));
}

static kt hard_tanh(ubp_keras_call *c, kt x)
{
    return ubp_k_clip(c, x, -1, 1);
}

static kt softmax(ubp_keras_call *c, kt x)
{
    return ubp_k_softmax(c, x, -1);
}

static kt log_softmax(ubp_keras_call *c, kt x)
{
    return ubp_k_one_with(c, "LogSoftmax", x, 1, (ubp_attr[]){ubp_k_int("axis", -1)});
}

static kt log_sigmoid(ubp_keras_call *c, kt x)
{
    return ubp_k_one(c, "Neg", ubp_k_one(c, "Softplus", ubp_k_one(c, "Neg", x)));
}

/* (x + sqrt(x² + 4)) / 2 */
static kt squareplus(ubp_keras_call *c, kt x)
{
    const kt root = ubp_k_one(c, "Sqrt", ubp_k_with(c, "Add", ubp_k_two(c, "Mul", x, x), 4));
    return ubp_k_with(c, "Div", ubp_k_two(c, "Add", x, root), 2);
}

static kt tanh_shrink(ubp_keras_call *c, kt x)
{
    return ubp_k_two(c, "Sub", x, ubp_k_one(c, "Tanh", x));
}

static kt shrink(ubp_keras_call *c, kt x, double bias)
{
    return ubp_k_one_with(c, "Shrink", x, 2,
                          (ubp_attr[]){ubp_k_float("lambd", 0.5), ubp_k_float("bias", bias)});
}

static kt soft_shrink(ubp_keras_call *c, kt x)
{
    return shrink(c, x, 0.5);
}

static kt hard_shrink(ubp_keras_call *c, kt x)
{
    return shrink(c, x, 0);
}

/* 0 up to -1, x from 1, (x + 1)²/4 between */
static kt sparse_plus(ubp_keras_call *c, kt x)
{
    const kt shifted = ubp_k_with(c, "Add", x, 1);
    const kt between = ubp_k_with(c, "Mul", ubp_k_two(c, "Mul", shifted, shifted), 0.25);
    const kt minus_one = ubp_k_number(c, x.dtype, -1), one = ubp_k_number(c, x.dtype, 1);
    const kt upper = ubp_k_where(c, ubp_k_compare(c, "Less", x, one), between, x);
    return ubp_k_where(c, ubp_k_compare(c, "LessOrEqual", x, minus_one),
                       ubp_k_number(c, x.dtype, 0), upper);
}

static kt sparse_sigmoid(ubp_keras_call *c, kt x)
{
    return ubp_k_clip(c, ubp_k_with(c, "Mul", ubp_k_with(c, "Add", x, 1), 0.5), 0, 1);
}

/* Half of the features, gated by the other half. */
static kt glu(ubp_keras_call *c, kt x)
{
    kt half[2] = {{.rank = x.rank, .dtype = x.dtype}, {.rank = x.rank, .dtype = x.dtype}};
    ubp_k_node_outputs(c, "Split", 1, &x, 2,
                       (ubp_attr[]){ubp_k_int("axis", -1), ubp_k_int("num_outputs", 2)}, 2, half);
    return ubp_k_two(c, "Mul", half[0], ubp_k_one(c, "Sigmoid", half[1]));
}

static kt gelu(ubp_keras_call *c, kt x)
{
    return ubp_k_one(c, "Gelu", x);
}

/* max(x - tau, 0). Over sorted z with running sums s, those with 1 + k z_k > s_k count; tau is the
 * sum of their s (where the published sparsemax has the last s), less 1, over their number: what
 * Keras computes. */
static kt sparsemax(ubp_keras_call *c, kt x)
{
    const int64_t last = -1, axis = x.rank - 1;
    const kt top_in[2] = {x, ubp_k_dim(c, x, x.rank - 1)};
    kt top[2] = {{.rank = x.rank, .dtype = x.dtype}, {.rank = x.rank, .dtype = UB_I64}};
    ubp_k_node_outputs(c, "TopK", 2, top_in, 1, (ubp_attr[]){ubp_k_int("axis", -1)}, 2, top);
    const kt z = top[0], at = ubp_k_number(c, UB_I64, (double)axis);
    const kt ones = ubp_k_with(c, "Add", ubp_k_with(c, "Mul", z, 0), 1);
    const kt ranks_in[2] = {ones, at}, sums_in[2] = {z, at};
    const kt ranks = ubp_k_node(c, "CumSum", x.rank, x.dtype, 2, ranks_in, 0, NULL);
    const kt sums = ubp_k_node(c, "CumSum", x.rank, x.dtype, 2, sums_in, 0, NULL);
    const kt left = ubp_k_with(c, "Add", ubp_k_two(c, "Mul", ranks, z), 1);
    const kt support = ubp_k_cast(c, ubp_k_compare(c, "Greater", left, sums), x.dtype);
    const kt count = ubp_k_reduce(c, "ReduceSum", support, 1, &last, true);
    const kt sum = ubp_k_reduce(c, "ReduceSum", ubp_k_two(c, "Mul", support, sums), 1, &last, true);
    const kt tau = ubp_k_two(c, "Div", ubp_k_with(c, "Sub", sum, 1), count);
    return ubp_k_one(c, "Relu", ubp_k_two(c, "Sub", x, tau));
}

/* ---- By name --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *op; /* one operator, or */
    kt (*build)(ubp_keras_call *c, kt x);
} activations[] = {
    {"linear", NULL, linear},
    {"relu", "Relu", NULL},
    {"relu6", NULL, relu6},
    {"leaky_relu", NULL, leaky_relu},
    {"elu", "Elu", NULL},
    {"selu", "Selu", NULL},
    {"celu", "Celu", NULL},
    {"gelu", NULL, gelu},
    {"silu", NULL, silu},
    {"swish", NULL, silu},
    {"mish", "Mish", NULL},
    {"softplus", "Softplus", NULL},
    {"softsign", "Softsign", NULL},
    {"sigmoid", "Sigmoid", NULL},
    {"hard_sigmoid", NULL, hard_sigmoid},
    {"hard_silu", NULL, hard_silu},
    {"hard_swish", NULL, hard_silu},
    {"tanh", "Tanh", NULL},
    {"hard_tanh", NULL, hard_tanh},
    {"exponential", "Exp", NULL},
    {"softmax", NULL, softmax},
    {"log_softmax", NULL, log_softmax},
    {"log_sigmoid", NULL, log_sigmoid},
    {"squareplus", NULL, squareplus},
    {"tanh_shrink", NULL, tanh_shrink},
    {"soft_shrink", NULL, soft_shrink},
    {"hard_shrink", NULL, hard_shrink},
    {"sparse_plus", NULL, sparse_plus},
    {"sparse_sigmoid", NULL, sparse_sigmoid},
    {"sparsemax", NULL, sparsemax},
    {"glu", NULL, glu},
};

kt ubp_k_named_activation(ubp_keras_call *c, const char *name, kt x)
{
    for (int i = 0; i < UBP_COUNT(activations); i++) {
        if (strcmp(activations[i].name, name) != 0)
            continue;
        return activations[i].build ? activations[i].build(c, x)
                                    : ubp_k_one(c, activations[i].op, x);
    }
    ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "the activation '%.100s' is not known", name);
    return x;
}

kt ubp_k_activation(ubp_keras_call *c, const json_t *activation, kt x)
{
    if (!activation || json_is_null(activation))
        return x;
    if (json_is_string(activation))
        return ubp_k_named_activation(c, json_string_value(activation), x);
    const char *class = ubp_keras_text(activation, "class_name", "?");
    const json_t *config = ubp_keras_get(activation, "config");
    if (strcmp(class, "function") == 0) {
        const char *module = ubp_keras_text(activation, "module", "");
        const char *name = json_is_string(config) ? json_string_value(config) : "?";
        if (strncmp(module, "keras", 5) == 0)
            return ubp_k_named_activation(c, name, x);
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED,
                       "the activation is the custom function '%.100s', whose code is not in the"
                       " file",
                       name);
        return x;
    }
    if (strcmp(class, "__lambda__") == 0) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED,
                       "the activation is a lambda: marshalled Python code, which is never run");
        return x;
    }
    /* A layer as activation: {"class_name": "LeakyReLU", ...}. */
    ubp_keras_layer layer;
    kt out[UBP_KERAS_PORTS];
    int n_out = 0;
    if (c->k->status == UB_OK)
        c->k->status =
            ubp_keras_inner_layer(c->k, &layer, c->layer, activation, "activation", true);
    if (c->k->status == UB_OK)
        ubp_keras_build_inner(c, &layer, &x, 1, out, &n_out);
    return n_out == 1 ? out[0] : x;
}

/* ---- Layers ---------------------------------------------------------------------------------- */

UBP_KERAS_BUILDER(activation_layer)
{
    ubp_k_give(c, ubp_k_activation(c, json_object_get(c->config, "activation"), ubp_k_input(c)));
}

/* x from threshold up to max_value, below it negative_slope * (x - threshold). */
UBP_KERAS_BUILDER(relu_layer)
{
    const kt x = ubp_k_input(c);
    const double slope =
        ubp_keras_number(c->config, "negative_slope", ubp_keras_number(c->config, "alpha", 0));
    const double threshold =
        ubp_keras_number(c->config, "threshold", ubp_keras_number(c->config, "theta", 0));
    const double most = ubp_keras_number(c->config, "max_value", NAN);
    kt y;
    if (threshold != 0)
        y = ubp_k_where(c, ubp_k_compare(c, "Greater", x, ubp_k_number(c, x.dtype, threshold)), x,
                        ubp_k_number(c, x.dtype, 0));
    else if (slope != 0 && isnan(most))
        y = ubp_k_one_with(c, "LeakyRelu", x, 1, (ubp_attr[]){ubp_k_float("alpha", slope)});
    else
        y = slope == 0 && !isnan(most) ? x : ubp_k_one(c, "Relu", x);
    if (!isnan(most))
        y = ubp_k_clip(c, y, 0, most);
    if (slope != 0 && (threshold != 0 || !isnan(most))) {
        const kt below =
            ubp_k_one(c, "Relu", ubp_k_with(c, "Add", ubp_k_one(c, "Neg", x), threshold));
        y = ubp_k_two(c, "Sub", y, ubp_k_with(c, "Mul", below, slope));
    }
    ubp_k_give(c, y);
}

UBP_KERAS_BUILDER(leaky_relu_layer)
{
    const double slope =
        ubp_keras_number(c->config, "negative_slope", ubp_keras_number(c->config, "alpha", 0.3));
    ubp_k_give(c, ubp_k_one_with(c, "LeakyRelu", ubp_k_input(c), 1,
                                 (ubp_attr[]){ubp_k_float("alpha", slope)}));
}

/* Keras 2. */
UBP_KERAS_BUILDER(thresholded_relu_layer)
{
    const double theta = ubp_keras_number(c->config, "theta", 1);
    ubp_k_give(c, ubp_k_one_with(c, "ThresholdedRelu", ubp_k_input(c), 1,
                                 (ubp_attr[]){ubp_k_float("alpha", theta)}));
}

UBP_KERAS_BUILDER(prelu_layer)
{
    const kt x = ubp_k_input(c), alpha = ubp_keras_weight(c, "", NULL, 0, "alpha");
    const kt in[2] = {x, alpha};
    ubp_k_give(c, ubp_k_node(c, "PRelu", x.rank, x.dtype, 2, in, 0, NULL));
}

UBP_KERAS_BUILDER(elu_layer)
{
    const double alpha = ubp_keras_number(c->config, "alpha", 1);
    ubp_k_give(
        c, ubp_k_one_with(c, "Elu", ubp_k_input(c), 1, (ubp_attr[]){ubp_k_float("alpha", alpha)}));
}

/* exp(x - logsumexp(x)) over several axes. */
static kt softmax_over(ubp_keras_call *c, kt x, int n, const int64_t *axes)
{
    if (n == 1)
        return ubp_k_softmax(c, x, (int)axes[0]);
    const kt most = ubp_k_reduce(c, "ReduceMax", x, n, axes, true);
    const kt e = ubp_k_one(c, "Exp", ubp_k_two(c, "Sub", x, most));
    return ubp_k_two(c, "Div", e, ubp_k_reduce(c, "ReduceSum", e, n, axes, true));
}

UBP_KERAS_BUILDER(softmax_layer)
{
    const json_t *axis = ubp_keras_get(c->config, "axis");
    const int n = json_is_array(axis) ? (int)json_array_size(axis) : 1;
    kt x = ubp_k_input(c);
    int64_t axes[UB_MAX_RANK] = {-1};
    if (n < 1 || n > UB_MAX_RANK || (axis && !ubp_keras_ints(axis, n, axes))) {
        ubp_keras_fail(c, UB_ERR_FILE, "axis is no list of integers");
        return;
    }
    for (int i = 0; i < n; i++)
        axes[i] = ubp_k_axis(c, axes[i], x.rank);
    const json_t *given = ubp_keras_arg(c, 1, "mask");
    kt mask = {.value = UBP_NO_VALUE};
    if (given && ubp_keras_is_tensor(c, given))
        mask = ubp_k_cast(c, ubp_keras_tensor(c, given, UB_BOOL), UB_BOOL);
    if (mask.value == UBP_NO_VALUE) {
        ubp_k_give(c, softmax_over(c, x, n, axes));
        return;
    }
    const double low = x.dtype == UB_F16 ? -3e4 : -1e9;
    x = ubp_k_where(c, mask, x, ubp_k_number(c, x.dtype, low));
    ubp_k_give(c, ubp_k_where(c, mask, softmax_over(c, x, n, axes), ubp_k_number(c, x.dtype, 0)));
}
