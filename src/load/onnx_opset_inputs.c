/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewriting of operators whose attributes became inputs: axes, slices, pads, scales, counts. Their
 * values become constants of the graph.
 */
#include "load/onnx.h"

#include <string.h>

/* Squeeze-1/11, Unsqueeze-1/11, Reduce*-1/11/13: axes is input 1. */
ub_status ubp_fix_axes(ubp_rewrite *rw)
{
    return ubp_rw_ints_to_in(rw, "axes", 1);
}

/* Concat-1: the axis is 1 where it is not given; later it must be. */
ub_status ubp_fix_concat(ubp_rewrite *rw)
{
    return ubp_node_attr(&rw->node, "axis") ? UB_OK : ubp_rw_set_int(rw, "axis", 1);
}

/* DFT-17: the axis was an attribute, 1 by default; it is input 2 now, -2 by default. */
ub_status ubp_fix_dft(ubp_rewrite *rw)
{
    int64_t axis = 1;
    int32_t value = UBP_NO_VALUE;
    UBP_TRY(ubp_attr_int(&rw->node, "axis", 1, &axis, rw->err));
    ubp_rw_drop(rw, "axis");
    UBP_TRY(ubp_graph_ints(rw->g, &axis, -1, &value, rw->err));
    return ubp_rw_set_in(rw, 2, value);
}

/* Pad-2: pads is input 1, value input 2. Pad-1 called them paddings. */
ub_status ubp_fix_pad(ubp_rewrite *rw)
{
    double number = 0;
    int32_t value = UBP_NO_VALUE;
    UBP_TRY(ubp_rw_ints_to_in(rw, rw->opset < 2 ? "paddings" : "pads", 1));
    UBP_TRY(ubp_attr_float(&rw->node, "value", 0, &number, rw->err));
    ubp_rw_drop(rw, "value");
    if (number == 0)
        return UB_OK;
    UBP_TRY(ubp_rw_scalar(rw, number, &value));
    return ubp_rw_set_in(rw, 2, value);
}

/* Reshape-1: shape is input 1. */
ub_status ubp_fix_reshape(ubp_rewrite *rw)
{
    return ubp_rw_ints_to_in(rw, "shape", 1);
}

/* ---- Resize --------------------------------------------------------------------------------- */

/* Upsample and Resize-10 took pixel i of the output from i/scale, cut down to a whole pixel. */
static ub_status set_resize_modes(ubp_rewrite *rw)
{
    const char *mode = NULL;
    UBP_TRY(ubp_attr_string(&rw->node, "mode", "nearest", &mode, rw->err));
    if (strcmp(mode, "bilinear") == 0)
        UBP_TRY(ubp_rw_set_string(rw, "mode", "linear"));
    UBP_TRY(ubp_rw_set_string(rw, "coordinate_transformation_mode", "asymmetric"));
    return ubp_rw_set_string(rw, "nearest_mode", "floor");
}

/* Resize-10: inputs X, scales; now X, roi, scales, sizes. */
ub_status ubp_fix_resize_10(ubp_rewrite *rw)
{
    const int32_t scales = ubp_rw_in(rw, 1);
    UBP_TRY(ubp_rw_set_in(rw, 2, scales));
    UBP_TRY(ubp_rw_set_in(rw, 1, UBP_NO_VALUE));
    return set_resize_modes(rw);
}

/* Resize-11 had to be given roi and scales, so exporters gave lists without elements. */
ub_status ubp_fix_resize_empty(ubp_rewrite *rw)
{
    for (int k = 1; k < rw->node.n_in; k++) {
        const int32_t value = rw->in[k];
        const ub_tensor *t = value == UBP_NO_VALUE ? NULL : rw->g->values[value].constant;
        if (t && ub_tensor_count(t) == 0)
            rw->in[k] = UBP_NO_VALUE;
    }
    return UB_OK;
}

/* Upsample-1 (height_scale, width_scale), -7 (scales) and -9 (input 1) are a Resize. */
ub_status ubp_fix_upsample(ubp_rewrite *rw)
{
    double v[4] = {1, 1, 1, 1};
    const double *scales = v;
    int n = -1;
    int32_t value = ubp_rw_in(rw, 1);
    UBP_TRY(ubp_attr_floats(&rw->node, "scales", &scales, &n, rw->err));
    if (n < 0) {
        UBP_TRY(ubp_attr_float(&rw->node, "height_scale", 1, &v[2], rw->err));
        UBP_TRY(ubp_attr_float(&rw->node, "width_scale", 1, &v[3], rw->err));
        scales = v;
        n = 4;
    }
    if (value == UBP_NO_VALUE)
        UBP_TRY(ubp_rw_floats(rw, scales, n, &value));
    ubp_rw_drop(rw, "scales");
    ubp_rw_drop(rw, "height_scale");
    ubp_rw_drop(rw, "width_scale");
    rw->node.op_type = "Resize";
    UBP_TRY(ubp_rw_set_in(rw, 2, value));
    UBP_TRY(ubp_rw_set_in(rw, 1, UBP_NO_VALUE));
    return set_resize_modes(rw);
}

/* ---- Parts ---------------------------------------------------------------------------------- */

/* Scan-8 had a batch axis and sequence lengths of its own: exec/scan.c knows that form by a mark
 * which no file of a later opset can have. */
ub_status ubp_fix_scan(ubp_rewrite *rw)
{
    return ubp_rw_set_int(rw, "batched", 1);
}

/* Scatter is an older name of ScatterElements. */
ub_status ubp_fix_scatter(ubp_rewrite *rw)
{
    rw->node.op_type = "ScatterElements";
    return UB_OK;
}

/* Slice-1: starts, ends and axes are inputs 1 to 3. */
ub_status ubp_fix_slice(ubp_rewrite *rw)
{
    UBP_TRY(ubp_rw_ints_to_in(rw, "starts", 1));
    UBP_TRY(ubp_rw_ints_to_in(rw, "ends", 2));
    return ubp_rw_ints_to_in(rw, "axes", 3);
}

/* Split-1/2/11: split is input 1. Without it the parts are equal, and since 18 counted. */
ub_status ubp_fix_split(ubp_rewrite *rw)
{
    if (rw->opset < 13)
        UBP_TRY(ubp_rw_ints_to_in(rw, "split", 1));
    if (ubp_rw_in(rw, 1) != UBP_NO_VALUE)
        return UB_OK;
    return ubp_rw_set_int(rw, "num_outputs", rw->node.n_out);
}

/* Tile-1 repeated along one axis given as an input. */
ub_status ubp_fix_tile(ubp_rewrite *rw)
{
    ubp_rw_refuse(rw, "Tile of opset 1");
    return UB_OK;
}

/* TopK-1: k is input 1. */
ub_status ubp_fix_topk(ubp_rewrite *rw)
{
    int64_t k = 0;
    int32_t value = UBP_NO_VALUE;
    if (!ubp_node_attr(&rw->node, "k"))
        return UB_OK;
    UBP_TRY(ubp_attr_int(&rw->node, "k", 0, &k, rw->err));
    ubp_rw_drop(rw, "k");
    UBP_TRY(ubp_graph_ints(rw->g, &k, 1, &value, rw->err));
    return ubp_rw_set_in(rw, 1, value);
}
