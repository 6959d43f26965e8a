/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Old opsets become the newest. The table has the operators whose form changed, each with the last
 * opset that its fixer serves; operators that only gained dtypes, or attributes whose default is
 * what they did before, need no line. From onnx.defs of onnx 1.23.2, opsets 1 to 28.
 */
#include "load/onnx.h"

#include <string.h>

typedef struct rule {
    const char *op;
    int until; /* the last opset it is for */
    ub_status (*fix)(ubp_rewrite *rw);
} rule;

/* Gemm-6 and the recurrent operators before 7 had a switch that nothing hangs on: without it the
 * shapes are those which broadcasting gives, and outputs not wanted are left out. */
static ub_status drop_switch(ubp_rewrite *rw)
{
    ubp_rw_drop(rw, "broadcast");
    ubp_rw_drop(rw, "output_sequence");
    return UB_OK;
}

enum { ALWAYS = UBP_ONNX_OPSET_MAX };

/* Sorted by name; several lines of one operator are applied in turn. */
static const rule rules[] = {
    {"Add", 6, ubp_fix_broadcast},
    {"And", 6, ubp_fix_broadcast},
    {"BatchNormalization", 13, ubp_fix_batchnorm},
    {"Cast", 5, ubp_fix_cast},
    {"Clip", 10, ubp_fix_clip},
    {"Concat", 3, ubp_fix_concat},
    {"DFT", 19, ubp_fix_dft},
    {"Div", 6, ubp_fix_broadcast},
    {"Dropout", 11, ubp_fix_dropout},
    {"Equal", 6, ubp_fix_broadcast},
    {"GRU", 6, drop_switch},
    {"Gemm", 6, drop_switch},
    {"GlobalLpPool", 1, ubp_fix_lp_pool},
    {"Greater", 6, ubp_fix_broadcast},
    {"GridSample", 19, ubp_fix_gridsample},
    {"GroupNormalization", 20, ubp_fix_groupnorm},
    {"Hardmax", 12, ubp_fix_softmax},
    {"LSTM", 6, drop_switch},
    {"Less", 6, ubp_fix_broadcast},
    {"LogSoftmax", 12, ubp_fix_softmax},
    {"LpPool", 1, ubp_fix_lp_pool},
    {"Mul", 6, ubp_fix_broadcast},
    {"Or", 6, ubp_fix_broadcast},
    {"PRelu", 6, ubp_fix_prelu},
    {"Pad", 10, ubp_fix_pad},
    {"Pow", 6, ubp_fix_broadcast},
    {"RNN", 6, drop_switch},
    {"ReduceL1", 17, ubp_fix_axes},
    {"ReduceL2", 17, ubp_fix_axes},
    {"ReduceLogSum", 17, ubp_fix_axes},
    {"ReduceLogSumExp", 17, ubp_fix_axes},
    {"ReduceMax", 17, ubp_fix_axes},
    {"ReduceMean", 17, ubp_fix_axes},
    {"ReduceMin", 17, ubp_fix_axes},
    {"ReduceProd", 17, ubp_fix_axes},
    {"ReduceSum", 12, ubp_fix_axes},
    {"ReduceSumSquare", 17, ubp_fix_axes},
    {"Reshape", 4, ubp_fix_reshape},
    {"Resize", 10, ubp_fix_resize_10},
    {"Resize", ALWAYS, ubp_fix_resize_empty},
    {"RoiAlign", 15, ubp_fix_roialign},
    {"Scan", 8, ubp_fix_scan},
    {"Scatter", ALWAYS, ubp_fix_scatter},
    {"Selu", 5, ubp_fix_selu},
    {"Slice", 9, ubp_fix_slice},
    {"Softmax", 12, ubp_fix_softmax},
    {"Split", 17, ubp_fix_split},
    {"Squeeze", 12, ubp_fix_axes},
    {"Sub", 6, ubp_fix_broadcast},
    {"Tile", 5, ubp_fix_tile},
    {"TopK", 9, ubp_fix_topk},
    {"Unsqueeze", 12, ubp_fix_axes},
    {"Upsample", ALWAYS, ubp_fix_upsample},
    {"Xor", 6, ubp_fix_broadcast},
};

/* The first line of an operator, or one past the end. */
static int first_rule(const char *op)
{
    int low = 0, high = UBP_COUNT(rules);
    while (low < high) {
        const int mid = (low + high) / 2;
        if (strcmp(rules[mid].op, op) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

ub_status ubp_onnx_modernize(ubp_rewrite *rw)
{
    const char *op = rw->node.op_type; /* a fixer may change it */
    if (rw->opset < 6)
        ubp_rw_drop(rw, "consumed_inputs"); /* how Caffe2 shared memory */
    for (int i = first_rule(op); i < UBP_COUNT(rules) && strcmp(rules[i].op, op) == 0; i++)
        if (rw->opset <= rules[i].until && !rw->refused)
            UBP_TRY(rules[i].fix(rw));
    return UB_OK;
}
