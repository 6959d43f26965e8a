/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on tensors in a model: x * 2 + 1, x[:, 0], keras.ops.mean(x). Keras 3 has a class for
 * each; arguments that are no tensors are in the call or in the configuration.
 */
#include "load/keras.h"

#include <math.h>
#include <string.h>

/* ---- Arguments ------------------------------------------------------------------------------- */

/* An argument, in the call or the configuration. */
static const json_t *option(const ubp_keras_call *c, int place, const char *name)
{
    const json_t *v = ubp_keras_arg(c, place, name);
    return v ? v : ubp_keras_get(c->config, name);
}

/* A tensor or number; numbers take the dtype beside them. */
static kt operand(ubp_keras_call *c, int place, const char *name, ub_dtype dtype)
{
    const json_t *v = ubp_keras_arg(c, place, name);
    if (!v) {
        ubp_keras_fail(c, UB_ERR_FILE, "argument '%s' is missing", name);
        return (kt){.value = UBP_NO_VALUE};
    }
    return ubp_keras_tensor(c, v, dtype);
}

static kt first(ubp_keras_call *c)
{
    if (c->n_x < 1) {
        ubp_keras_fail(c, UB_ERR_FILE, "is called without a tensor");
        return (kt){.value = UBP_NO_VALUE};
    }
    return c->x[0];
}

/* Floats as they are, other numbers as float32: what functions such as exp() give. */
static kt as_float(ubp_keras_call *c, kt x)
{
    return ubp_is_float(x.dtype) ? x : ubp_k_cast(c, x, UB_F32);
}

/* The axes of a reduction: an integer, a list, or all; returns how many. */
static int read_axes(ubp_keras_call *c, const json_t *axis, int rank, int64_t *axes)
{
    const int n = !axis ? rank : json_is_array(axis) ? (int)json_array_size(axis) : 1;
    for (int i = 0; i < rank; i++)
        axes[i] = i;
    if (n > rank || (axis && n > 0 && !ubp_keras_ints(axis, n, axes))) {
        ubp_keras_fail(c, UB_ERR_FILE, "axis is no list of axes");
        return 0;
    }
    for (int i = 0; i < n; i++)
        axes[i] = ubp_k_axis(c, axes[i], rank);
    return n;
}

/* ---- Elementwise ----------------------------------------------------------------------------- */

typedef enum kind { PLAIN, FLOATS, COMPARES, LOGICAL } kind;

static const struct {
    const char *name, *op;
    kind kind;
} binaries[] = {
    {"Add", "Add", PLAIN},
    {"Subtract", "Sub", PLAIN},
    {"Multiply", "Mul", PLAIN},
    {"Divide", "Div", FLOATS},
    {"TrueDivide", "Div", FLOATS},
    {"Power", "Pow", PLAIN},
    {"Maximum", "Max", PLAIN},
    {"Minimum", "Min", PLAIN},
    {"Equal", "Equal", COMPARES},
    {"NotEqual", "Equal", COMPARES},
    {"Greater", "Greater", COMPARES},
    {"GreaterEqual", "GreaterOrEqual", COMPARES},
    {"Less", "Less", COMPARES},
    {"LessEqual", "LessOrEqual", COMPARES},
    {"LogicalAnd", "And", LOGICAL},
    {"LogicalOr", "Or", LOGICAL},
    {"LogicalXor", "Xor", LOGICAL},
};

UBP_KERAS_BUILDER(op_binary)
{
    int at = 0;
    while (at + 1 < UBP_COUNT(binaries) && strcmp(binaries[at].name, c->layer->type) != 0)
        at++;
    /* The tensor's dtype is known first; the other may be a number. */
    const json_t *left = ubp_keras_arg(c, 0, "x1");
    const bool tensor_left = left && ubp_keras_is_tensor(c, left);
    kt a, b;
    if (tensor_left) {
        a = operand(c, 0, "x1", UB_F32);
        b = operand(c, 1, "x2", a.dtype);
    } else {
        b = operand(c, 1, "x2", UB_F32);
        a = operand(c, 0, "x1", b.dtype);
    }
    if (binaries[at].kind == FLOATS) {
        a = as_float(c, a);
        b = as_float(c, b);
    }
    if (binaries[at].kind == LOGICAL) {
        a = ubp_k_cast(c, a, UB_BOOL);
        b = ubp_k_cast(c, b, UB_BOOL);
    }
    kt y = binaries[at].kind == COMPARES ? ubp_k_compare(c, binaries[at].op, a, b)
                                         : ubp_k_two(c, binaries[at].op, a, b);
    if (strcmp(c->layer->type, "NotEqual") == 0)
        y = ubp_k_not(c, y);
    ubp_k_give(c, y);
}

static const struct {
    const char *name, *op;
    bool floats;
} unaries[] = {
    {"Absolute", "Abs", false},
    {"Abs", "Abs", false},
    {"Negative", "Neg", false},
    {"Exp", "Exp", true},
    {"Log", "Log", true},
    {"Sqrt", "Sqrt", true},
    {"Sin", "Sin", true},
    {"Cos", "Cos", true},
    {"Tan", "Tan", true},
    {"Arcsin", "Asin", true},
    {"Arccos", "Acos", true},
    {"Arctan", "Atan", true},
    {"Sinh", "Sinh", true},
    {"Cosh", "Cosh", true},
    {"Arcsinh", "Asinh", true},
    {"Arccosh", "Acosh", true},
    {"Arctanh", "Atanh", true},
    {"Floor", "Floor", true},
    {"Ceil", "Ceil", true},
    {"Round", "Round", true},
    {"Sign", "Sign", false},
    {"Erf", "Erf", true},
    {"Reciprocal", "Reciprocal", true},
    {"Isnan", "IsNaN", true},
    {"Isinf", "IsInf", true},
};

UBP_KERAS_BUILDER(op_unary)
{
    int at = 0;
    while (at + 1 < UBP_COUNT(unaries) && strcmp(unaries[at].name, c->layer->type) != 0)
        at++;
    const kt x = unaries[at].floats ? as_float(c, first(c)) : first(c);
    const bool tests = strncmp(unaries[at].op, "Is", 2) == 0;
    ubp_k_give(c, ubp_k_node(c, unaries[at].op, x.rank, tests ? UB_BOOL : x.dtype, 1, &x, 0, NULL));
}

/* Functions made of others. */
UBP_KERAS_BUILDER(op_composed)
{
    const char *type = c->layer->type;
    const kt x = first(c);
    kt y = x;
    if (strcmp(type, "Square") == 0)
        y = ubp_k_two(c, "Mul", x, x);
    else if (strcmp(type, "Rsqrt") == 0)
        y = ubp_k_one(c, "Reciprocal", ubp_k_one(c, "Sqrt", as_float(c, x)));
    else if (strcmp(type, "Expm1") == 0)
        y = ubp_k_with(c, "Sub", ubp_k_one(c, "Exp", as_float(c, x)), 1);
    else if (strcmp(type, "Log1p") == 0)
        y = ubp_k_one(c, "Log", ubp_k_with(c, "Add", as_float(c, x), 1));
    else if (strcmp(type, "LogicalNot") == 0)
        y = ubp_k_not(c, ubp_k_cast(c, x, UB_BOOL));
    else if (strcmp(type, "ZerosLike") == 0)
        y = ubp_k_with(c, "Mul", x, 0);
    else if (strcmp(type, "OnesLike") == 0)
        y = ubp_k_with(c, "Add", ubp_k_with(c, "Mul", x, 0), 1);
    ubp_k_give(c, y);
}

/* Activations as operations: their class is the name in another case. */
static const struct {
    const char *type, *name;
} functions[] = {
    {"Relu", "relu"},
    {"Relu6", "relu6"},
    {"Sigmoid", "sigmoid"},
    {"Tanh", "tanh"},
    {"Softplus", "softplus"},
    {"Softsign", "softsign"},
    {"Silu", "silu"},
    {"Mish", "mish"},
    {"Selu", "selu"},
    {"HardSigmoid", "hard_sigmoid"},
    {"HardSilu", "hard_silu"},
    {"HardTanh", "hard_tanh"},
    {"LogSigmoid", "log_sigmoid"},
    {"TanhShrink", "tanh_shrink"},
    {"Squareplus", "squareplus"},
    {"SparsePlus", "sparse_plus"},
    {"SparseSigmoid", "sparse_sigmoid"},
};

UBP_KERAS_BUILDER(op_activation)
{
    for (int i = 0; i < UBP_COUNT(functions); i++)
        if (strcmp(functions[i].type, c->layer->type) == 0)
            ubp_k_give(c, ubp_k_named_activation(c, functions[i].name, as_float(c, first(c))));
}

/* Activations with a parameter. */
UBP_KERAS_BUILDER(op_parametric)
{
    const char *type = c->layer->type;
    const kt x = as_float(c, first(c));
    const json_t *alpha = option(c, 1, "alpha"), *slope = option(c, 1, "negative_slope");
    if (strcmp(type, "LeakyRelu") == 0)
        ubp_k_give(c, ubp_k_one_with(c, "LeakyRelu", x, 1,
                                     (ubp_attr[]){ubp_k_float(
                                         "alpha", slope ? json_number_value(slope) : 0.2)}));
    else if (strcmp(type, "Gelu") == 0)
        ubp_k_give(
            c, ubp_k_one_with(c, "Gelu", x, 1,
                              (ubp_attr[]){ubp_k_string(
                                  "approximate", option(c, 1, "approximate") &&
                                                         !json_is_true(option(c, 1, "approximate"))
                                                     ? "none"
                                                     : "tanh")}));
    else
        ubp_k_give(c, ubp_k_one_with(c, type, x, 1,
                                     (ubp_attr[]){ubp_k_float(
                                         "alpha", alpha ? json_number_value(alpha) : 1)}));
}

UBP_KERAS_BUILDER(op_softmax)
{
    const kt x = as_float(c, first(c));
    int64_t axis = -1;
    const json_t *given = option(c, 1, "axis");
    if (given && !ubp_keras_ints(given, 1, &axis))
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "over more than one axis");
    ubp_k_give(c, ubp_k_one_with(c, c->layer->type, x, 1, (ubp_attr[]){ubp_k_int("axis", axis)}));
}

UBP_KERAS_BUILDER(op_clip)
{
    const kt x = first(c);
    const json_t *low = option(c, 1, "x_min"), *high = option(c, 2, "x_max");
    if ((low && !json_is_number(low)) || (high && !json_is_number(high)))
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "bounds that are tensors");
    ubp_k_give(c, ubp_k_clip(c, x, low ? json_number_value(low) : NAN,
                             high ? json_number_value(high) : NAN));
}

UBP_KERAS_BUILDER(op_cast)
{
    const json_t *to = option(c, 1, "dtype");
    const ub_dtype dtype = ub_dtype_from_name(json_is_string(to) ? json_string_value(to) : "");
    if (dtype == UB_UNDEFINED || dtype == UB_STRING)
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "to a dtype that is not known");
    else
        ubp_k_give(c, ubp_k_cast(c, first(c), dtype));
}

UBP_KERAS_BUILDER(op_where)
{
    const kt condition = ubp_k_cast(c, operand(c, 0, "condition", UB_BOOL), UB_BOOL);
    const json_t *left = ubp_keras_arg(c, 1, "x1");
    const bool tensor_left = left && ubp_keras_is_tensor(c, left);
    kt a, b;
    if (tensor_left) {
        a = operand(c, 1, "x1", UB_F32);
        b = operand(c, 2, "x2", a.dtype);
    } else {
        b = operand(c, 2, "x2", UB_F32);
        a = operand(c, 1, "x1", b.dtype);
    }
    ubp_k_give(c, ubp_k_where(c, condition, a, b));
}

/* ---- Reductions ------------------------------------------------------------------------------ */

UBP_KERAS_BUILDER(op_reduce)
{
    static const struct {
        const char *name, *op;
        bool floats;
    } known[] = {{"Mean", "ReduceMean", true},
                 {"Sum", "ReduceSum", false},
                 {"Max", "ReduceMax", false},
                 {"Amax", "ReduceMax", false},
                 {"Min", "ReduceMin", false},
                 {"Amin", "ReduceMin", false},
                 {"Prod", "ReduceProd", false},
                 {"Logsumexp", "ReduceLogSumExp", true},
                 {"LogSumExp", "ReduceLogSumExp", true},
                 {"Any", "ReduceMax", false},
                 {"All", "ReduceMin", false},
                 {"Var", "ReduceMean", true},
                 {"Std", "ReduceMean", true}};
    const char *type = c->layer->type;
    int at = 0;
    int64_t axes[UB_MAX_RANK];
    while (at + 1 < UBP_COUNT(known) && strcmp(known[at].name, type) != 0)
        at++;
    const bool truth = strcmp(type, "Any") == 0 || strcmp(type, "All") == 0;
    kt x = known[at].floats ? as_float(c, first(c)) : first(c);
    const int n = read_axes(c, option(c, 1, "axis"), x.rank, axes);
    const json_t *keep = option(c, -1, "keepdims");
    if (x.dtype == UB_BOOL || truth)
        x = ubp_k_cast(c, ubp_k_cast(c, x, UB_BOOL), UB_I32);
    if (strcmp(type, "Var") == 0 || strcmp(type, "Std") == 0) {
        const kt centred = ubp_k_two(c, "Sub", x, ubp_k_reduce(c, "ReduceMean", x, n, axes, true));
        x = ubp_k_two(c, "Mul", centred, centred);
    }
    kt y = ubp_k_reduce(c, known[at].op, x, n, axes, json_is_true(keep));
    if (strcmp(type, "Std") == 0)
        y = ubp_k_one(c, "Sqrt", y);
    ubp_k_give(c, truth ? ubp_k_cast(c, y, UB_BOOL) : y);
}

UBP_KERAS_BUILDER(op_arg)
{
    const kt x = first(c);
    int64_t axis = -1;
    const json_t *given = option(c, 1, "axis");
    const bool keep = json_is_true(option(c, -1, "keepdims"));
    if (!given || !ubp_keras_ints(given, 1, &axis)) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "without an axis");
        return;
    }
    const kt y = ubp_k_node(c, strcmp(c->layer->type, "Argmin") == 0 ? "ArgMin" : "ArgMax",
                            keep ? x.rank : x.rank - 1, UB_I64, 1, &x, 2,
                            (ubp_attr[]){ubp_k_int("axis", axis), ubp_k_int("keepdims", keep)});
    ubp_k_give(c, ubp_k_cast(c, y, UB_I32));
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

/* A batch that the model was built with is no size to keep: the first dim is left open where it is
 * null. */
UBP_KERAS_BUILDER(op_reshape)
{
    const json_t *shape = option(c, 1, "newshape");
    int64_t dims[UB_MAX_RANK];
    const int n = (int)json_array_size(shape);
    if (!json_is_array(shape) || n < 1 || n > UB_MAX_RANK) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "to a shape that is not in the file");
        return;
    }
    for (int i = 0; i < n; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        if (!json_is_integer(dim) && !(i == 0 && json_is_null(dim)))
            ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "to a shape that depends on a tensor");
        dims[i] = json_is_integer(dim) ? json_integer_value(dim) : -1;
    }
    ubp_k_give(c, ubp_k_reshape(c, first(c), n, dims));
}

UBP_KERAS_BUILDER(op_transpose)
{
    const kt x = first(c);
    int64_t perm[UB_MAX_RANK] = {0};
    const json_t *axes = option(c, 1, "axes");
    uint32_t seen = 0;
    for (int i = 0; i < x.rank; i++)
        perm[i] = x.rank - 1 - i;
    if (axes && !ubp_keras_ints(axes, x.rank, perm))
        ubp_keras_fail(c, UB_ERR_FILE, "axes is no order of %d axes", x.rank);
    for (int i = 0; i < x.rank && !ubp_keras_failed(c); i++) {
        perm[i] = ubp_k_axis(c, perm[i], x.rank);
        if ((seen >> perm[i]) & 1)
            ubp_keras_fail(c, UB_ERR_FILE, "axes repeats one");
        seen |= 1u << perm[i];
    }
    if (!ubp_keras_failed(c))
        ubp_k_give(c, ubp_k_transpose(c, x, perm));
}

UBP_KERAS_BUILDER(op_swap_axes)
{
    const kt x = first(c);
    int64_t axes[2] = {0, 0}, perm[UB_MAX_RANK];
    const json_t *one = option(c, 1, "axis1"), *two = option(c, 2, "axis2");
    if (!one || !two || !ubp_keras_ints(one, 1, axes) || !ubp_keras_ints(two, 1, axes + 1)) {
        ubp_keras_fail(c, UB_ERR_FILE, "axis1 and axis2 must be integers");
        return;
    }
    const int a = ubp_k_axis(c, axes[0], x.rank), b = ubp_k_axis(c, axes[1], x.rank);
    for (int i = 0; i < x.rank; i++)
        perm[i] = i == a ? b : i == b ? a : i;
    if (!ubp_keras_failed(c))
        ubp_k_give(c, ubp_k_transpose(c, x, perm));
}

UBP_KERAS_BUILDER(op_expand_dims)
{
    const kt x = first(c);
    int64_t axes[UB_MAX_RANK] = {0};
    const json_t *axis = option(c, 1, "axis");
    const int n = json_is_array(axis) ? (int)json_array_size(axis) : 1;
    if (!axis || n < 1 || x.rank + n > UB_MAX_RANK || !ubp_keras_ints(axis, n, axes)) {
        ubp_keras_fail(c, UB_ERR_FILE, "axis must be integers");
        return;
    }
    for (int i = 0; i < n; i++)
        axes[i] = ubp_k_axis(c, axes[i], x.rank + n);
    const kt in[2] = {x, ubp_k_ints(c, n, axes)};
    ubp_k_give(c, ubp_k_node(c, "Unsqueeze", x.rank + n, x.dtype, 2, in, 0, NULL));
}

UBP_KERAS_BUILDER(op_squeeze)
{
    const kt x = first(c);
    int64_t axes[UB_MAX_RANK];
    const json_t *axis = option(c, 1, "axis");
    if (!axis) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "without an axis");
        return;
    }
    const int n = read_axes(c, axis, x.rank, axes);
    const kt in[2] = {x, ubp_k_ints(c, n, axes)};
    ubp_k_give(c, ubp_k_node(c, "Squeeze", x.rank - n, x.dtype, 2, in, 0, NULL));
}

UBP_KERAS_BUILDER(op_concatenate)
{
    int64_t axis = 0;
    const json_t *given = option(c, 1, "axis");
    kt in[UBP_KERAS_PORTS];
    const bool stacks = strcmp(c->layer->type, "Stack") == 0;
    if (c->n_x < 1 || (given && !ubp_keras_ints(given, 1, &axis))) {
        ubp_keras_fail(c, UB_ERR_FILE, "it needs tensors and an axis");
        return;
    }
    const int at = ubp_k_axis(c, axis, c->x[0].rank + stacks);
    for (int i = 0; i < c->n_x; i++)
        in[i] = stacks ? ubp_k_unsqueeze(c, c->x[i], at) : c->x[i];
    ubp_k_give(c, ubp_k_concat(c, c->n_x, in, at));
}

UBP_KERAS_BUILDER(op_flip)
{
    kt x = first(c);
    int64_t axes[UB_MAX_RANK];
    const int n = read_axes(c, option(c, 1, "axis"), x.rank, axes);
    for (int i = 0; i < n; i++)
        x = ubp_k_flip(c, x, (int)axes[i]);
    ubp_k_give(c, x);
}

UBP_KERAS_BUILDER(op_split)
{
    const kt x = first(c);
    int64_t axis = 0, n = 0;
    const json_t *given = option(c, 2, "axis"), *parts = option(c, 1, "indices_or_sections");
    if (given && !ubp_keras_ints(given, 1, &axis))
        ubp_keras_fail(c, UB_ERR_FILE, "axis must be an integer");
    const int at = ubp_k_axis(c, axis, x.rank);
    if (json_is_integer(parts)) {
        n = json_integer_value(parts);
        if (n < 1 || n > UBP_KERAS_PORTS) {
            ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "into %lld parts", (long long)n);
            return;
        }
        for (int i = 0; i < n; i++)
            c->out[i] = (kt){.rank = x.rank, .dtype = x.dtype};
        ubp_k_node_outputs(c, "Split", 1, &x, 2,
                           (ubp_attr[]){ubp_k_int("axis", at), ubp_k_int("num_outputs", n)}, (int)n,
                           c->out);
        c->n_out = (int)n;
        return;
    }
    n = (int64_t)json_array_size(parts) + 1;
    if (!json_is_array(parts) || n > UBP_KERAS_PORTS) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "into parts that are not in the file");
        return;
    }
    int64_t from = 0;
    for (int i = 0; i < n; i++) {
        const json_t *end = json_array_get(parts, (size_t)i);
        const int64_t to = json_is_integer(end) ? json_integer_value(end) : INT64_MAX;
        c->out[i] = ubp_k_slice(c, x, at, from, to, 1);
        from = to;
    }
    c->n_out = (int)n;
}

UBP_KERAS_BUILDER(op_repeat)
{
    const kt x = first(c);
    int64_t axis = 0, times = 0, shape[UB_MAX_RANK + 1];
    const json_t *given = option(c, 2, "axis"), *count = option(c, 1, "repeats");
    double scales[UB_MAX_RANK];
    if (!given || !ubp_keras_ints(given, 1, &axis) || !count || !ubp_keras_ints(count, 1, &times) ||
        x.rank + 1 > UB_MAX_RANK || times < 1) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "without an axis, or by several numbers");
        return;
    }
    const int at = ubp_k_axis(c, axis, x.rank);
    (void)shape;
    for (int i = 0; i < x.rank; i++)
        scales[i] = i == at ? (double)times : 1;
    const kt none = {.value = UBP_NO_VALUE};
    const kt in[3] = {x, none, ubp_k_numbers(c, UB_F32, x.rank, scales)};
    ubp_k_give(c,
               ubp_k_node(c, "Resize", x.rank, x.dtype, 3, in, 3,
                          (ubp_attr[]){ubp_k_string("mode", "nearest"),
                                       ubp_k_string("coordinate_transformation_mode", "asymmetric"),
                                       ubp_k_string("nearest_mode", "floor")}));
}

UBP_KERAS_BUILDER(op_tile)
{
    const kt x = first(c);
    int64_t times[UB_MAX_RANK];
    const json_t *given = option(c, 1, "repeats");
    if (!given || (int)json_array_size(given) != x.rank || !ubp_keras_ints(given, x.rank, times)) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "by other than %d numbers", x.rank);
        return;
    }
    const kt in[2] = {x, ubp_k_ints(c, x.rank, times)};
    ubp_k_give(c, ubp_k_node(c, "Tile", x.rank, x.dtype, 2, in, 0, NULL));
}

UBP_KERAS_BUILDER(op_pad)
{
    const kt x = first(c);
    int64_t pads[2 * UB_MAX_RANK], pair[2];
    const json_t *widths = option(c, 1, "pad_width");
    const char *mode = ubp_keras_text(c->config, "mode", "constant");
    const json_t *value = option(c, 3, "constant_values");
    for (int i = 0; i < x.rank; i++) {
        const json_t *item =
            json_array_size(widths) == (size_t)x.rank ? json_array_get(widths, (size_t)i) : widths;
        if (!item || !ubp_keras_ints(item, 2, pair)) {
            ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "pad_width must be pairs of integers");
            return;
        }
        pads[i] = pair[0];
        pads[x.rank + i] = pair[1];
    }
    if (strcmp(mode, "constant") != 0 && strcmp(mode, "reflect") != 0)
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "mode '%.40s'", mode);
    const kt in[3] = {x, ubp_k_ints(c, 2 * x.rank, pads),
                      ubp_k_number(c, x.dtype, value ? json_number_value(value) : 0)};
    ubp_k_give(c, ubp_k_node(c, "Pad", x.rank, x.dtype, 3, in, 1,
                             (ubp_attr[]){ubp_k_string("mode", mode)}));
}

/* ---- Indexing -------------------------------------------------------------------------------- */

static int64_t slice_bound(const json_t *config, const char *name, int64_t def)
{
    const json_t *v = ubp_keras_get(config, name);
    return v && json_is_integer(v) ? json_integer_value(v) : def;
}

/* One item of an index at axis *at; moves on by what it leaves. */
static kt index_item(ubp_keras_call *c, kt x, const json_t *item, int *at)
{
    const char *class = ubp_keras_text(item, "class_name", "");
    const json_t *config = strcmp(class, "__slice__") == 0 ? json_object_get(item, "config") : item;
    if (json_is_null(item))
        return ubp_k_unsqueeze(c, x, (*at)++);
    if (*at >= x.rank) {
        ubp_keras_fail(c, UB_ERR_FILE, "more indices than axes");
        return x;
    }
    if (json_is_integer(item))
        return ubp_k_gather(c, x, ubp_k_number(c, UB_I64, (double)json_integer_value(item)), *at);
    if (ubp_keras_is_tensor(c, item) || !json_is_object(item)) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "an index that is a tensor");
        return x;
    }
    const int64_t step = slice_bound(config, "step", 1);
    const int64_t start = slice_bound(config, "start", step < 0 ? -1 : 0);
    const int64_t stop = slice_bound(config, "stop", step < 0 ? INT64_MIN : INT64_MAX);
    const bool whole = step == 1 && start == 0 && stop == INT64_MAX;
    return whole ? ((*at)++, x) : ubp_k_slice(c, x, (*at)++, start, stop, step);
}

static bool is_ellipsis(const json_t *item)
{
    return strcmp(ubp_keras_text(item, "class_name", ""), "__ellipsis__") == 0 ||
           json_object_get(item, "__ellipsis__") != NULL ||
           (json_is_string(item) && strcmp(json_string_value(item), "...") == 0);
}

UBP_KERAS_BUILDER(op_get_item)
{
    kt x = first(c);
    const json_t *key = ubp_keras_arg(c, 1, "key");
    if (!key)
        key = ubp_keras_get(c->kwargs, "slice_spec");
    int at = 0, used = 0;
    const size_t n = json_is_array(key) ? json_array_size(key) : 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_is_array(key) ? json_array_get(key, i) : key;
        used += !json_is_null(item) && !is_ellipsis(item);
    }
    for (size_t i = 0; i < n && !ubp_keras_failed(c); i++) {
        const json_t *item = json_is_array(key) ? json_array_get(key, i) : key;
        if (is_ellipsis(item))
            at += first(c).rank - used;
        else
            x = index_item(c, x, item, &at);
    }
    ubp_k_give(c, x);
}

UBP_KERAS_BUILDER(op_take)
{
    const kt x = first(c), index = operand(c, 1, "indices", UB_I64);
    int64_t axis = 0;
    const json_t *given = option(c, 2, "axis");
    if (!given || !ubp_keras_ints(given, 1, &axis)) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "without an axis");
        return;
    }
    ubp_k_give(c, ubp_k_gather(c, x, index, ubp_k_axis(c, axis, x.rank)));
}

/* ---- Products -------------------------------------------------------------------------------- */

UBP_KERAS_BUILDER(op_matmul)
{
    const kt a = operand(c, 0, "x1", UB_F32), b = operand(c, 1, "x2", a.dtype);
    if (a.rank < 1 || b.rank < 1 || (strcmp(c->layer->type, "Dot") == 0 && b.rank > 2))
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "of tensors with %d and %d axes", a.rank, b.rank);
    else
        ubp_k_give(c, ubp_k_matmul(c, a, b));
}

UBP_KERAS_BUILDER(op_einsum)
{
    const char *equation = ubp_keras_text(c->config, "subscripts", NULL);
    const json_t *given = ubp_keras_arg(c, 0, "subscripts");
    if (!equation && json_is_string(given))
        equation = json_string_value(given);
    kt in[UBP_KERAS_PORTS];
    int n = 0, rank = 0;
    if (!equation || !strstr(equation, "->") || strstr(equation, "...")) {
        ubp_keras_fail(c, UB_ERR_UNSUPPORTED, "needs an equation with '->' and without '...'");
        return;
    }
    for (const char *s = strstr(equation, "->") + 2; *s; s++)
        rank += *s != ' ';
    n = ubp_keras_tensors(c, c->args, in, UBP_KERAS_PORTS);
    if (n < 1)
        ubp_keras_fail(c, UB_ERR_FILE, "is called without a tensor");
    else
        ubp_k_give(c, ubp_k_einsum(c, equation, n, in, rank));
}

/* ---- Which ----------------------------------------------------------------------------------- */

ubp_keras_builder ubp_keras_find_op(const char *type)
{
    static const struct {
        const char *types; /* " a b " */
        ubp_keras_builder build;
    } groups[] = {
        {" Square Rsqrt Expm1 Log1p LogicalNot ZerosLike OnesLike StopGradient Copy Identity ",
         ubp_keras_op_composed},
        {" LeakyRelu Gelu Elu Celu ", ubp_keras_op_parametric},
        {" Softmax LogSoftmax ", ubp_keras_op_softmax},
        {" Clip ", ubp_keras_op_clip},
        {" Cast ", ubp_keras_op_cast},
        {" Where ", ubp_keras_op_where},
        {" Mean Sum Max Amax Min Amin Prod Logsumexp LogSumExp Any All Var Std ",
         ubp_keras_op_reduce},
        {" Argmax Argmin ", ubp_keras_op_arg},
        {" Reshape ", ubp_keras_op_reshape},
        {" Transpose ", ubp_keras_op_transpose},
        {" Swapaxes ", ubp_keras_op_swap_axes},
        {" ExpandDims ", ubp_keras_op_expand_dims},
        {" Squeeze ", ubp_keras_op_squeeze},
        {" Concatenate Stack ", ubp_keras_op_concatenate},
        {" Flip ", ubp_keras_op_flip},
        {" Split ", ubp_keras_op_split},
        {" Repeat ", ubp_keras_op_repeat},
        {" Tile ", ubp_keras_op_tile},
        {" Pad ", ubp_keras_op_pad},
        {" GetItem SlicingOpLambda ", ubp_keras_op_get_item},
        {" Take ", ubp_keras_op_take},
        {" Matmul Dot ", ubp_keras_op_matmul},
        {" Einsum ", ubp_keras_op_einsum},
        {" TFOpLambda ", ubp_keras_op_tensorflow},
    };
    for (int i = 0; i < UBP_COUNT(binaries); i++)
        if (strcmp(type, binaries[i].name) == 0)
            return ubp_keras_op_binary;
    for (int i = 0; i < UBP_COUNT(unaries); i++)
        if (strcmp(type, unaries[i].name) == 0)
            return ubp_keras_op_unary;
    for (int i = 0; i < UBP_COUNT(functions); i++)
        if (strcmp(type, functions[i].type) == 0)
            return ubp_keras_op_activation;
    const size_t n = strlen(type);
    for (int i = 0; i < UBP_COUNT(groups); i++)
        for (const char *at = groups[i].types; (at = strstr(at, type)); at++)
            if (n > 0 && at[-1] == ' ' && at[n] == ' ')
                return groups[i].build;
    return NULL;
}
