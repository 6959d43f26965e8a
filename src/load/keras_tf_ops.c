/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on tensors in models of Keras 2: TFOpLambda, with the name of TensorFlow's function.
 * The first argument is the call's tensor, the others are keywords.
 */
#include "load/keras.h"

#include <math.h>
#include <string.h>

/* The argument under any of TensorFlow's names for it. */
static const json_t *keyword(const ubp_keras_call *c, const char *a, const char *b)
{
    const json_t *v = ubp_keras_get(c->kwargs, a);
    return v ? v : ubp_keras_get(c->kwargs, b);
}

/* Two operands; "r" functions (__rsub__) have them the other way round. */
static void binary(ubp_keras_call *c, const char *op, bool reversed)
{
    const json_t *other = keyword(c, "y", "b");
    if (c->n_x < 1 || (!other && c->n_x < 2)) {
        ubp_keras_fail(c, UB_ERR_FILE, "it needs two operands");
        return;
    }
    const kt a = c->x[0], b = other ? ubp_keras_tensor(c, other, a.dtype) : c->x[1];
    ubp_k_give(c, reversed ? ubp_k_two(c, op, b, a) : ubp_k_two(c, op, a, b));
}

static void reduce(ubp_keras_call *c, const char *op)
{
    const json_t *axis = keyword(c, "axis", "reduction_indices");
    const kt x = c->x[0];
    int64_t axes[UB_MAX_RANK];
    const int n = !axis ? x.rank : json_is_array(axis) ? (int)json_array_size(axis) : 1;
    for (int i = 0; i < x.rank; i++)
        axes[i] = i;
    if (n > x.rank || (axis && !ubp_keras_ints(axis, n, axes))) {
        ubp_keras_fail(c, UB_ERR_FILE, "axis is no list of axes");
        return;
    }
    ubp_k_give(c,
               ubp_k_reduce(c, op, x, n, axes, json_is_true(keyword(c, "keepdims", "keep_dims"))));
}

static const struct {
    const char *function, *op;
    char kind; /* b: binary, r: binary reversed, u: one operator, a: activation, m: reduction */
} functions[] = {
    {"math.add", "Add", 'b'},
    {"__operators__.add", "Add", 'b'},
    {"__operators__.radd", "Add", 'r'},
    {"math.subtract", "Sub", 'b'},
    {"__operators__.sub", "Sub", 'b'},
    {"__operators__.rsub", "Sub", 'r'},
    {"math.multiply", "Mul", 'b'},
    {"__operators__.mul", "Mul", 'b'},
    {"__operators__.rmul", "Mul", 'r'},
    {"math.truediv", "Div", 'b'},
    {"math.divide", "Div", 'b'},
    {"__operators__.truediv", "Div", 'b'},
    {"__operators__.rtruediv", "Div", 'r'},
    {"math.pow", "Pow", 'b'},
    {"__operators__.pow", "Pow", 'b'},
    {"math.maximum", "Max", 'b'},
    {"math.minimum", "Min", 'b'},
    {"linalg.matmul", "MatMul", 'b'},
    {"math.negative", "Neg", 'u'},
    {"__operators__.neg", "Neg", 'u'},
    {"math.abs", "Abs", 'u'},
    {"math.exp", "Exp", 'u'},
    {"math.log", "Log", 'u'},
    {"math.sqrt", "Sqrt", 'u'},
    {"math.tanh", "Tanh", 'u'},
    {"math.sigmoid", "Sigmoid", 'u'},
    {"math.softplus", "Softplus", 'u'},
    {"identity", "Identity", 'u'},
    {"stop_gradient", "Identity", 'u'},
    {"nn.relu", "relu", 'a'},
    {"nn.relu6", "relu6", 'a'},
    {"nn.sigmoid", "sigmoid", 'a'},
    {"nn.tanh", "tanh", 'a'},
    {"nn.silu", "silu", 'a'},
    {"nn.swish", "silu", 'a'},
    {"nn.selu", "selu", 'a'},
    {"nn.elu", "elu", 'a'},
    {"nn.softplus", "softplus", 'a'},
    {"nn.softmax", "softmax", 'a'},
    {"math.reduce_mean", "ReduceMean", 'm'},
    {"math.reduce_sum", "ReduceSum", 'm'},
    {"math.reduce_max", "ReduceMax", 'm'},
    {"math.reduce_min", "ReduceMin", 'm'},
};

static void apply(ubp_keras_call *c, const char *op, char kind)
{
    if (kind == 'b' || kind == 'r')
        binary(c, op, kind == 'r');
    else if (kind == 'u')
        ubp_k_give(c, ubp_k_one(c, op, c->x[0]));
    else if (kind == 'a')
        ubp_k_give(c, ubp_k_named_activation(c, op, c->x[0]));
    else
        reduce(c, op);
}

static void reshape(ubp_keras_call *c)
{
    int64_t dims[UB_MAX_RANK];
    const json_t *shape = keyword(c, "shape", "newshape");
    const int n = (int)json_array_size(shape);
    if (n < 1 || n > UB_MAX_RANK || !ubp_keras_ints(shape, n, dims))
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "to a shape that depends on a tensor");
    else
        ubp_k_give(c, ubp_k_reshape(c, c->x[0], n, dims));
}

static void expand_dims(ubp_keras_call *c)
{
    int64_t axis = 0;
    const json_t *given = keyword(c, "axis", "dim");
    if (!given || !ubp_keras_ints(given, 1, &axis))
        ubp_keras_fail(c, UB_ERR_FILE, "axis must be an integer");
    else
        ubp_k_give(c, ubp_k_unsqueeze(c, c->x[0], ubp_k_axis(c, axis, c->x[0].rank + 1)));
}

static void cast(ubp_keras_call *c)
{
    const json_t *to = keyword(c, "dtype", "DstT");
    const ub_dtype dtype = ub_dtype_from_name(json_is_string(to) ? json_string_value(to) : "");
    if (dtype == UB_UNDEFINED || dtype == UB_STRING)
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "to a dtype that is not known");
    else
        ubp_k_give(c, ubp_k_cast(c, c->x[0], dtype));
}

static void concat(ubp_keras_call *c)
{
    int64_t axis = 0;
    const json_t *given = keyword(c, "axis", "concat_dim");
    if (!given || !ubp_keras_ints(given, 1, &axis))
        ubp_keras_fail(c, UB_ERR_FILE, "axis must be an integer");
    else
        ubp_k_give(c, ubp_k_concat(c, c->n_x, c->x, ubp_k_axis(c, axis, c->x[0].rank)));
}

UBP_KERAS_BUILDER(op_tensorflow)
{
    const char *name = ubp_keras_text(c->config, "function", "?");
    static const struct {
        const char *name;
        void (*build)(ubp_keras_call *c);
    } others[] = {
        {"reshape", reshape}, {"expand_dims", expand_dims}, {"cast", cast}, {"concat", concat}};
    if (c->n_x < 1) {
        ubp_keras_fail(c, UB_ERR_FILE, "is called without a tensor");
        return;
    }
    for (int i = 0; i < UBP_COUNT(functions); i++) {
        if (strcmp(functions[i].function, name) != 0)
            continue;
        apply(c, functions[i].op, functions[i].kind);
        return;
    }
    for (int i = 0; i < UBP_COUNT(others); i++) {
        if (strcmp(others[i].name, name) != 0)
            continue;
        others[i].build(c);
        return;
    }
    ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "TensorFlow's function '%.100s' is not supported", name);
}
