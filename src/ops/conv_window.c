/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes of the convolutions, and the window they give for an image: pads from auto_pad,
 * defaults, output dims. ONNX: Conv-22.
 */
#include "ops/conv.h"

#include <string.h>

enum {
    FAR = 1 << 24
}; /* larger strides, dilations, kernels and pads are refused: no sum overflows */

/* ---- Attributes ------------------------------------------------------------------------------ */

static ub_status auto_pad(const ubp_node *node, ubp_auto_pad *out, ub_error *err)
{
    static const char *const names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
    const char *s;
    UBP_TRY(ubp_attr_string(node, "auto_pad", "NOTSET", &s, err));
    for (int i = 0; i < UBP_COUNT(names); i++) {
        if (strcmp(s, names[i]) == 0) {
            *out = (ubp_auto_pad)i;
            return UB_OK;
        }
    }
    return ubp_fail(err, UB_ERR_FILE,
                    "node '%s' (%s): auto_pad '%s', expected NOTSET, SAME_UPPER, SAME_LOWER or "
                    "VALID",
                    node->name, node->op_type, s);
}

/* At most max integers, each in [least, FAR]; *n 0 when absent. */
static ub_status ints(const ubp_node *node, const char *name, int max, int64_t least, int64_t *out,
                      int *n, ub_error *err)
{
    const int64_t *v;
    int count;
    UBP_TRY(ubp_attr_ints(node, name, &v, &count, err));
    *n = 0;
    if (count < 0)
        return UB_OK;
    if (count > max)
        return ubp_fail(err, UB_ERR_FILE,
                        "node '%s' (%s): attribute '%s' has %d numbers, expected at most %d",
                        node->name, node->op_type, name, count, max);
    for (int i = 0; i < count; i++) {
        if (v[i] < least || v[i] > FAR)
            return ubp_fail(
                err, UB_ERR_FILE, "node '%s' (%s): attribute '%s' holds %lld, expected %lld to %d",
                node->name, node->op_type, name, (long long)v[i], (long long)least, FAR);
        out[i] = v[i];
    }
    *n = count;
    return UB_OK;
}

ub_status ubp_conv_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err)
{
    ubp_conv_attr *a = attr;
    /* ConvTranspose: output_shape may ask for more than the input gives, which makes pads
     * negative. */
    (void)arena;
    UBP_TRY(auto_pad(node, &a->auto_pad, err));
    UBP_TRY(ubp_attr_int(node, "group", 1, &a->group, err));
    if (a->group < 1)
        return ubp_fail(err, UB_ERR_FILE, "node '%s' (%s): group is %lld, expected at least 1",
                        node->name, node->op_type, (long long)a->group);
    UBP_TRY(ints(node, "kernel_shape", UBP_MAX_SPATIAL, 1, a->kernel_shape, &a->n_kernel, err));
    UBP_TRY(ints(node, "strides", UBP_MAX_SPATIAL, 1, a->strides, &a->n_strides, err));
    UBP_TRY(ints(node, "dilations", UBP_MAX_SPATIAL, 1, a->dilations, &a->n_dilations, err));
    UBP_TRY(ints(node, "pads", 2 * UBP_MAX_SPATIAL, 0, a->pads, &a->n_pads, err));
    UBP_TRY(ints(node, "output_padding", UBP_MAX_SPATIAL, 0, a->output_padding,
                 &a->n_output_padding, err));
    return ints(node, "output_shape", UBP_MAX_SPATIAL, 0, a->output_shape, &a->n_output_shape, err);
}

/* ---- Window ---------------------------------------------------------------------------------- */

static ub_status counts(const ubp_call *call, const ubp_conv_attr *a, int n)
{
    const struct {
        const char *name;
        int have, want;
    } lists[] = {
        {"kernel_shape", a->n_kernel, n},
        {"strides", a->n_strides, n},
        {"dilations", a->n_dilations, n},
        {"pads", a->n_pads, 2 * n},
    };
    for (int i = 0; i < UBP_COUNT(lists); i++)
        if (lists[i].have != 0 && lists[i].have != lists[i].want)
            return ubp_op_fail(call, UB_ERR_SHAPE,
                               "attribute '%s' has %d numbers, expected %d for %d spatial dims",
                               lists[i].name, lists[i].have, lists[i].want, n);
    return UB_OK;
}

/* One spatial dim: pads, then out = (in + pads - span) / stride + 1. */
static ub_status window_dim(const ubp_call *call, const ubp_conv_attr *a, int i, ubp_window *win)
{
    int64_t span = (win->kernel[i] - 1) * win->dilation[i] + 1;
    int64_t in = win->in[i];
    if (in > INT64_MAX / 4)
        return ubp_op_fail(call, UB_ERR_SHAPE, "dimension of size %lld", (long long)in);
    if (a->auto_pad == UBP_PAD_SAME_UPPER || a->auto_pad == UBP_PAD_SAME_LOWER) {
        int64_t out = (in + win->stride[i] - 1) / win->stride[i];
        int64_t pad = (out - 1) * win->stride[i] + span - in;
        if (pad < 0 || out == 0)
            pad = 0;
        win->begin[i] = a->auto_pad == UBP_PAD_SAME_UPPER ? pad / 2 : pad - pad / 2;
        win->end[i] = pad - win->begin[i];
    } else if (a->auto_pad == UBP_PAD_NOTSET && a->n_pads) {
        win->begin[i] = a->pads[i];
        win->end[i] = a->pads[win->n + i];
    } else {
        win->begin[i] = win->end[i] = 0;
    }
    int64_t room = in + win->begin[i] + win->end[i] - span;
    if (room < 0)
        return ubp_op_fail(call, UB_ERR_SHAPE,
                           "the kernel spans %lld in spatial dim %d, the padded input has %lld",
                           (long long)span, i, (long long)(room + span));
    win->out[i] = room / win->stride[i] + 1;
    return UB_OK;
}

ub_status ubp_conv_window_of(const ubp_call *call, int xi, int wi, ubp_window *win)
{
    const ubp_conv_attr *a = call->attr;
    UBP_TRY(ubp_want_rank(call, xi, 3, UB_MAX_RANK));
    const ub_tensor *x = call->in[xi];
    UBP_TRY(ubp_want_rank(call, wi, x->rank, x->rank));
    const ub_tensor *w = call->in[wi];
    memset(win, 0, sizeof *win);
    win->n = x->rank - 2;
    win->group = a->group;
    UBP_TRY(counts(call, a, win->n));
    if (x->dims[1] % a->group != 0 || w->dims[1] != x->dims[1] / a->group ||
        w->dims[0] % a->group != 0)
        return ubp_op_fail(call, UB_ERR_SHAPE,
                           "%lld channels and weights (%lld, %lld, ...) do not fit %lld groups",
                           (long long)x->dims[1], (long long)w->dims[0], (long long)w->dims[1],
                           (long long)a->group);
    for (int i = 0; i < win->n; i++) {
        win->in[i] = x->dims[2 + i];
        win->kernel[i] = w->dims[2 + i];
        win->stride[i] = a->n_strides ? a->strides[i] : 1;
        win->dilation[i] = a->n_dilations ? a->dilations[i] : 1;
        if (win->kernel[i] < 1 || win->kernel[i] > FAR ||
            (a->n_kernel && a->kernel_shape[i] != win->kernel[i]))
            return ubp_op_fail(
                call, UB_ERR_SHAPE, "the weights' spatial dim %d is %lld, kernel_shape says %lld",
                i, (long long)win->kernel[i], (long long)(a->n_kernel ? a->kernel_shape[i] : 1));
        UBP_TRY(window_dim(call, a, i, win));
    }
    return UB_OK;
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
