/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes of the convolutions, and the window they give for an image. ONNX: Conv-22.
 */
#include "ops/conv.h"
#include "ops/window.h"

#include <string.h>

ub_status ubp_conv_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    ubp_conv_attr *a = attr;
    const int max = UBP_MAX_SPATIAL;
    (void)arena;
    UBP_TRY(ubp_window_auto_pad(node, &a->auto_pad, err));
    UBP_TRY(ubp_attr_int(node, "group", 1, &a->group, err));
    if (a->group < 1)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): group is %lld, expected at least 1",
                        node->name, node->op_type, (long long)a->group);
    UBP_TRY(ubp_window_ints(node, "kernel_shape", max, 1, a->kernel_shape, &a->n_kernel, err));
    UBP_TRY(ubp_window_ints(node, "strides", max, 1, a->strides, &a->n_strides, err));
    UBP_TRY(ubp_window_ints(node, "dilations", max, 1, a->dilations, &a->n_dilations, err));
    UBP_TRY(ubp_window_ints(node, "pads", 2 * max, 0, a->pads, &a->n_pads, err));
    UBP_TRY(ubp_window_ints(node, "output_padding", max, 0, a->output_padding, &a->n_output_padding,
                            err));
    return ubp_window_ints(node, "output_shape", max, 0, a->output_shape, &a->n_output_shape, err);
}

ub_status ubp_conv_window_of(const ubp_call *call, int xi, int wi, ubp_window *win)
{
    const ubp_conv_attr *a = call->attr;
    const ubp_window_attr attr = {.auto_pad = a->auto_pad,
                                  .n_kernel = a->n_kernel,
                                  .n_strides = a->n_strides,
                                  .n_dilations = a->n_dilations,
                                  .n_pads = a->n_pads,
                                  .strides = a->strides,
                                  .dilations = a->dilations,
                                  .pads = a->pads};
    UBP_TRY(ubp_want_rank(call, xi, 3, UB_MAX_RANK));
    const ub_tensor *x = call->in[xi];
    UBP_TRY(ubp_want_rank(call, wi, x->rank, x->rank));
    const ub_tensor *w = call->in[wi];
    memset(win, 0, sizeof *win);
    win->n = x->rank - 2;
    win->group = a->group;
    UBP_TRY(ubp_window_counts(call, &attr, win->n));
    if (x->dims[1] % a->group != 0 || w->dims[1] != x->dims[1] / a->group ||
        w->dims[0] % a->group != 0)
        return ubp_op_fail(call, UB_ERR_SHAPE,
                           "%lld channels and weights (%lld, %lld, ...) do not fit %lld groups",
                           (long long)x->dims[1], (long long)w->dims[0], (long long)w->dims[1],
                           (long long)a->group);
    for (int i = 0; i < win->n; i++) {
        win->in[i] = x->dims[2 + i];
        win->kernel[i] = w->dims[2 + i];
        if (a->n_kernel && a->kernel_shape[i] != win->kernel[i])
            return ubp_op_fail(call, UB_ERR_SHAPE,
                               "the weights' spatial dim %d is %lld, kernel_shape says %lld", i,
                               (long long)win->kernel[i], (long long)a->kernel_shape[i]);
    }
    return ubp_window_resolve(call, &attr, win);
}

ub_status ubp_conv_window(const ubp_call *call, ubp_window *out)
{
    return ubp_conv_window_of(call, 0, 1, out);
}

int ubp_conv_dims(const ubp_window *win, int64_t n, int64_t m, int64_t *dims)
{
    dims[0] = n;
    dims[1] = m;
    memcpy(dims + 2, win->out, (size_t)win->n * sizeof *dims);
    return win->n + 2;
}
