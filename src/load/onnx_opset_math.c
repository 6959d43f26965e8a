/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewriting of operators that compute: broadcasting from an axis, softmax over flattened axes,
 * normalisation in training, and defaults that changed.
 */
#include "load/onnx.h"

#include <string.h>

static ub_status fail_axis(const ubp_rewrite *rw, int64_t axis)
{
    return ubp_fail(rw->err, UB_ERR_FILE,
                    "node '%s' (%s) broadcasts its input 1 from axis %lld, where it does not fit",
                    rw->node.name, rw->node.op_type, (long long)axis);
}

/* ---- Broadcasting before opset 7 ------------------------------------------------------------- */

/* The same when ranks are not known: reshape B to Shape(B) and as many ones as Shape(A)[axis:] is
 * longer than that. Planning folds all of it. */
static ub_status add_ones_later(ubp_rewrite *rw, int64_t axis, int32_t *b)
{
    static const int64_t one = 1;
    static const ub_tensor ones_like = {.dtype = UB_I64,
                                        .rank = 1,
                                        .dims = {1},
                                        .strides = {sizeof(one)},
                                        .data = (void *)(uintptr_t)&one};
    const ubp_attr start = {.name = "start", .kind = UBP_ATTR_INT, .i = axis, .s = ""};
    const ubp_attr fill = {.name = "value", .kind = UBP_ATTR_TENSOR, .tensor = &ones_like, .s = ""};
    const ubp_attr axis_0 = {.name = "axis", .kind = UBP_ATTR_INT, .i = 0, .s = ""};
    const ubp_attr zeros = {.name = "allowzero", .kind = UBP_ATTR_INT, .i = 1, .s = ""};
    const int32_t a = ubp_rw_in(rw, 0);
    int32_t dims[2] = {0, 0}, counts[2] = {0, 0}, missing = 0, ones = 0, target = 0;
    UBP_TRY(ubp_rw_helper(rw, "Shape", 1, &a, &start, 1, &dims[0]));
    UBP_TRY(ubp_rw_helper(rw, "Shape", 1, b, NULL, 0, &dims[1]));
    UBP_TRY(ubp_rw_helper(rw, "Shape", 1, &dims[0], NULL, 0, &counts[0]));
    UBP_TRY(ubp_rw_helper(rw, "Shape", 1, &dims[1], NULL, 0, &counts[1]));
    UBP_TRY(ubp_rw_helper(rw, "Sub", 2, counts, NULL, 0, &missing));
    UBP_TRY(ubp_rw_helper(rw, "ConstantOfShape", 1, &missing, &fill, 1, &ones));
    UBP_TRY(ubp_rw_helper(rw, "Concat", 2, (int32_t[]){dims[1], ones}, &axis_0, 1, &target));
    return ubp_rw_helper(rw, "Reshape", 2, (int32_t[]){*b, target}, &zeros, 1, b);
}

/* Gives input 1 trailing axes of length 1, so that its first axis meets `axis` of input 0. */
static ub_status line_up(ubp_rewrite *rw, int64_t axis)
{
    int32_t b = ubp_rw_in(rw, 1);
    if (ubp_rw_in(rw, 0) == UBP_NO_VALUE || b == UBP_NO_VALUE)
        return UB_OK; /* refused for its number of inputs */
    const int rank_a = ubp_onnx_fact_of(rw->s, ubp_rw_in(rw, 0)).rank;
    const int rank_b = ubp_onnx_fact_of(rw->s, b).rank;
    if (rank_a < 0 || rank_b < 0) {
        UBP_TRY(add_ones_later(rw, axis, &b));
        return ubp_rw_set_in(rw, 1, b);
    }
    if (axis < -rank_a || axis >= rank_a + (rank_b == 0))
        return fail_axis(rw, axis);
    const int ones = rank_a - (int)(axis < 0 ? axis + rank_a : axis) - rank_b;
    if (ones < 0)
        return fail_axis(rw, axis);
    int64_t axes[UB_MAX_RANK];
    for (int i = 0; i < ones; i++)
        axes[i] = rank_b + i;
    int32_t in[2] = {b, UBP_NO_VALUE};
    if (ones == 0)
        return UB_OK;
    UBP_TRY(ubp_graph_ints(rw->g, axes, ones, &in[1], rw->err));
    UBP_TRY(ubp_rw_helper(rw, "Unsqueeze", 2, in, NULL, 0, &b));
    return ubp_rw_set_in(rw, 1, b);
}

/* Add-6 and its like: with broadcast=1, B lies along the last axes of A (as NumPy has it), or
 * along those from `axis` on. Without, the shapes are equal. */
ub_status ubp_fix_broadcast(ubp_rewrite *rw)
{
    const bool has_axis = ubp_node_attr(&rw->node, "axis") != NULL;
    int64_t axis = 0, broadcast = 0;
    UBP_TRY(ubp_attr_int(&rw->node, "axis", 0, &axis, rw->err));
    UBP_TRY(ubp_attr_int(&rw->node, "broadcast", 0, &broadcast, rw->err));
    ubp_rw_drop(rw, "axis");
    ubp_rw_drop(rw, "broadcast");
    return has_axis && broadcast ? line_up(rw, axis) : UB_OK;
}

/* PRelu-6: the slope is one number, or one for each channel (axis 1). */
ub_status ubp_fix_prelu(ubp_rewrite *rw)
{
    const int rank_x = ubp_onnx_fact_of(rw->s, ubp_rw_in(rw, 0)).rank;
    const int rank_slope = ubp_onnx_fact_of(rw->s, ubp_rw_in(rw, 1)).rank;
    if ((rank_x >= 0 && rank_x < 2) || (rank_slope >= 0 && rank_slope != 1))
        return UB_OK;
    return line_up(rw, 1);
}

/* ---- Softmax --------------------------------------------------------------------------------- */

/* Softmax-1/11, LogSoftmax, Hardmax: over all axes from `axis` (1 by default) on, as one. */
ub_status ubp_fix_softmax(ubp_rewrite *rw)
{
    int64_t axis = 1;
    const int32_t x = ubp_rw_in(rw, 0);
    const int rank = ubp_onnx_fact_of(rw->s, x).rank;
    UBP_TRY(ubp_attr_int(&rw->node, "axis", 1, &axis, rw->err));
    const bool is_last = axis == -1 || (rank > 0 && axis == rank - 1);
    if (is_last || rw->node.n_out != 1 || x == UBP_NO_VALUE)
        return ubp_rw_set_int(rw, "axis", -1);

    const ubp_attr from = {.name = "axis", .kind = UBP_ATTR_INT, .i = axis, .s = ""};
    const ubp_attr last = {.name = "axis", .kind = UBP_ATTR_INT, .i = -1, .s = ""};
    int32_t flat = 0, y = 0, dims = 0;
    UBP_TRY(ubp_rw_helper(rw, "Flatten", 1, &x, &from, 1, &flat));
    UBP_TRY(ubp_rw_helper(rw, rw->node.op_type, 1, &flat, &last, 1, &y));
    UBP_TRY(ubp_rw_helper(rw, "Shape", 1, &x, NULL, 0, &dims));
    rw->node.op_type = "Reshape";
    rw->node.n_attrs = 0;
    UBP_TRY(ubp_rw_set_int(rw, "allowzero", 1));
    UBP_TRY(ubp_rw_set_in(rw, 0, y));
    return ubp_rw_set_in(rw, 1, dims);
}

/* ---- Normalisation and dropout --------------------------------------------------------------- */

/* A node that nobody has, for outputs that only training has. */
static ub_status refuse_outputs(ubp_rewrite *rw, int first, const char *what)
{
    const ubp_node node = {.name = rw->node.name,
                           .op_type = what,
                           .domain = "",
                           .n_out = rw->node.n_out - first,
                           .out = rw->out + first,
                           .helper = true};
    rw->node.n_out = first;
    return ubp_graph_node(rw->g, &node, NULL, rw->err);
}

/* BatchNormalization-1/6/7/9: training was told by is_test (before 7) and by having more than one
 * output. Files from tools that never set is_test are meant for inference all the same. */
ub_status ubp_fix_batchnorm(ubp_rewrite *rw)
{
    int64_t is_test = 0, spatial = 1;
    bool trains = false;
    UBP_TRY(ubp_attr_int(&rw->node, "is_test", 0, &is_test, rw->err));
    UBP_TRY(ubp_attr_int(&rw->node, "spatial", 1, &spatial, rw->err));
    if (spatial == 0) {
        ubp_rw_refuse(rw, "BatchNormalization with spatial=0");
        return UB_OK;
    }
    for (int k = 1; k < rw->node.n_out; k++)
        trains = trains || rw->out[k] != UBP_NO_VALUE;
    ubp_rw_drop(rw, "is_test");
    ubp_rw_drop(rw, "spatial");
    if (trains && is_test == 0)
        UBP_TRY(ubp_rw_set_int(rw, "training_mode", 1));
    if (rw->node.n_out > 3)
        return refuse_outputs(rw, 3, "saved mean and variance of BatchNormalization");
    return UB_OK;
}

/* A helper that casts a value to the dtype of input 0, into a value of the file. */
static ub_status cast_to_input(ubp_rewrite *rw, int32_t from, int32_t to)
{
    const ub_dtype dtype = ubp_onnx_fact_of(rw->s, ubp_rw_in(rw, 0)).dtype;
    const bool known = dtype != UB_UNDEFINED;
    const char *op = known ? "Cast" : "CastLike";
    const ubp_attr attr = {.name = "to", .kind = UBP_ATTR_INT, .i = dtype, .s = ""};
    const int32_t in[] = {from, ubp_rw_in(rw, 0)};
    const ubp_node cast = {.name = rw->node.name,
                           .op_type = op,
                           .domain = "",
                           .op = ubp_op_find(op, ""),
                           .n_in = known ? 1 : 2,
                           .n_out = 1,
                           .in = in,
                           .out = &to,
                           .n_attrs = known,
                           .attrs = &attr,
                           .helper = true};
    return ubp_graph_node(rw->g, &cast, NULL, rw->err);
}

/* Dropout-1 to 10: a copy at inference, whatever the ratio. The mask had the dtype of the data
 * before opset 10; it is of bool now. */
ub_status ubp_fix_dropout(ubp_rewrite *rw)
{
    ubp_rw_drop(rw, "ratio");
    ubp_rw_drop(rw, "is_test");
    if (rw->opset >= 10 || rw->node.n_out < 2 || rw->out[1] == UBP_NO_VALUE)
        return UB_OK;
    int32_t mask = UBP_NO_VALUE;
    UBP_TRY(ubp_graph_value(rw->g, "", &mask, rw->err));
    UBP_TRY(cast_to_input(rw, mask, rw->out[1]));
    rw->out[1] = mask;
    return UB_OK;
}

/* One number of each group -> the same number for each channel of the group. */
static ub_status spread_groups(ubp_rewrite *rw, int k, int32_t groups, int32_t per_group)
{
    static const int64_t one = 1, rest = -1;
    const ubp_attr axis_0 = {.name = "axis", .kind = UBP_ATTR_INT, .i = 0, .s = ""};
    int32_t in[2] = {ubp_rw_in(rw, k), UBP_NO_VALUE}, value = 0, target = 0;
    UBP_TRY(ubp_graph_ints(rw->g, &one, 1, &in[1], rw->err));
    UBP_TRY(ubp_rw_helper(rw, "Unsqueeze", 2, in, NULL, 0, &value));
    UBP_TRY(ubp_rw_helper(rw, "Concat", 2, (int32_t[]){groups, per_group}, &axis_0, 1, &target));
    UBP_TRY(ubp_rw_helper(rw, "Expand", 2, (int32_t[]){value, target}, NULL, 0, &value));
    UBP_TRY(ubp_graph_ints(rw->g, &rest, 1, &target, rw->err));
    UBP_TRY(ubp_rw_helper(rw, "Reshape", 2, (int32_t[]){value, target}, NULL, 0, &value));
    return ubp_rw_set_in(rw, k, value);
}

/* GroupNormalization-18: scale and bias were per group, they are per channel now. */
ub_status ubp_fix_groupnorm(ubp_rewrite *rw)
{
    const ubp_attr range[] = {{.name = "start", .kind = UBP_ATTR_INT, .i = 1, .s = ""},
                              {.name = "end", .kind = UBP_ATTR_INT, .i = 2, .s = ""}};
    int64_t groups = 0;
    int32_t x = ubp_rw_in(rw, 0), channels = 0, n_groups = 0, per_group = 0;
    UBP_TRY(ubp_attr_int(&rw->node, "num_groups", 0, &groups, rw->err));
    for (int k = 0; k < 3; k++)
        if (ubp_rw_in(rw, k) == UBP_NO_VALUE)
            return UB_OK; /* refused for its number of inputs */
    if (groups <= 0)
        return ubp_fail(rw->err, UB_ERR_FILE, "node '%s' (GroupNormalization) has %lld groups",
                        rw->node.name, (long long)groups);
    UBP_TRY(ubp_graph_ints(rw->g, &groups, 1, &n_groups, rw->err));
    UBP_TRY(ubp_rw_helper(rw, "Shape", 1, &x, range, 2, &channels));
    UBP_TRY(ubp_rw_helper(rw, "Div", 2, (int32_t[]){channels, n_groups}, NULL, 0, &per_group));
    UBP_TRY(spread_groups(rw, 1, n_groups, per_group));
    return spread_groups(rw, 2, n_groups, per_group);
}

/* ---- Attributes ------------------------------------------------------------------------------ */

/* Cast-1: the dtype was a word. */
ub_status ubp_fix_cast(ubp_rewrite *rw)
{
    static const struct {
        const char *word;
        ub_dtype dtype;
    } words[] = {{"FLOAT", UB_F32},    {"UINT8", UB_U8},   {"INT8", UB_I8},    {"UINT16", UB_U16},
                 {"INT16", UB_I16},    {"INT32", UB_I32},  {"INT64", UB_I64},  {"BOOL", UB_BOOL},
                 {"FLOAT16", UB_F16},  {"DOUBLE", UB_F64}, {"UINT32", UB_U32}, {"UINT64", UB_U64},
                 {"STRING", UB_STRING}};
    const ubp_attr *to = ubp_node_attr(&rw->node, "to");
    if (!to || to->kind != UBP_ATTR_STRING)
        return UB_OK;
    for (int i = 0; i < UBP_COUNT(words); i++)
        if (strcmp(words[i].word, to->s) == 0)
            return ubp_rw_set_int(rw, "to", words[i].dtype);
    return ubp_fail(rw->err, UB_ERR_FILE, "node '%s' (Cast) casts to '%s', which is no dtype",
                    rw->node.name, to->s);
}

/* Clip-6: min and max are inputs 1 and 2. */
ub_status ubp_fix_clip(ubp_rewrite *rw)
{
    static const char *const bounds[] = {"min", "max"};
    for (int k = 0; k < 2; k++) {
        double number = 0;
        int32_t value = UBP_NO_VALUE;
        if (!ubp_node_attr(&rw->node, bounds[k]))
            continue;
        UBP_TRY(ubp_attr_float(&rw->node, bounds[k], 0, &number, rw->err));
        ubp_rw_drop(rw, bounds[k]);
        UBP_TRY(ubp_rw_scalar(rw, number, &value));
        UBP_TRY(ubp_rw_set_in(rw, k + 1, value));
    }
    return UB_OK;
}

/* GridSample-16: the modes had the names of their 2-D cases. */
ub_status ubp_fix_gridsample(ubp_rewrite *rw)
{
    const char *mode = NULL;
    UBP_TRY(ubp_attr_string(&rw->node, "mode", "bilinear", &mode, rw->err));
    if (strcmp(mode, "bilinear") == 0)
        return ubp_rw_set_string(rw, "mode", "linear");
    if (strcmp(mode, "bicubic") == 0)
        return ubp_rw_set_string(rw, "mode", "cubic");
    return UB_OK;
}

/* LpPool-1, GlobalLpPool-1: p was a float. */
ub_status ubp_fix_lp_pool(ubp_rewrite *rw)
{
    double p = 2;
    UBP_TRY(ubp_attr_float(&rw->node, "p", 2, &p, rw->err));
    if (p != 1 && p != 2)
        ubp_rw_refuse(rw, "LpPool with a broken p");
    return ubp_rw_set_int(rw, "p", p == 1 ? 1 : 2);
}

/* RoiAlign-10: pixels are numbered at their corners; later their middles are the default. */
ub_status ubp_fix_roialign(ubp_rewrite *rw)
{
    return ubp_rw_set_string(rw, "coordinate_transformation_mode", "output_half_pixel");
}

/* Selu-1: its numbers were given with four decimals. */
ub_status ubp_fix_selu(ubp_rewrite *rw)
{
    if (!ubp_node_attr(&rw->node, "alpha"))
        UBP_TRY(ubp_rw_set_float(rw, "alpha", 1.6732F));
    return ubp_node_attr(&rw->node, "gamma") ? UB_OK : ubp_rw_set_float(rw, "gamma", 1.0507F);
}
