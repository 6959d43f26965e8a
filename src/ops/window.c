/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sliding windows: reads their attributes, turns auto_pad and defaults into pads, and gives the
 * output dims. ONNX: Conv-22, MaxPool-22, AveragePool-22.
 */
#include "ops/window.h"

#include <string.h>

enum { FAR = 1 << 24 }; /* larger strides, dilations, kernels and pads are refused */

ub_status ubp_window_auto_pad(const ubp_node *node, ubp_auto_pad *out, ub_error *err)
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

ub_status ubp_window_ints(const ubp_node *node, const char *name, int max, int64_t least,
                          int64_t *out, int *n, ub_error *err)
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

ub_status ubp_window_counts(const ubp_call *call, const ubp_window_attr *a, int n)
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

/* ONNX's rule for SAME: out = ceil(in / stride), the odd element of the pad goes to the end
 * (UPPER) or the begin (LOWER). */
static void pad_same(const ubp_window_attr *a, int64_t span, int i, ubp_window *win)
{
    int64_t in = win->in[i], stride = win->stride[i];
    int64_t out = (in + stride - 1) / stride;
    int64_t pad = (out - 1) * stride + span - in;
    if (pad < 0 || out == 0)
        pad = 0;
    win->begin[i] = a->auto_pad == UBP_PAD_SAME_UPPER ? pad / 2 : pad - pad / 2;
    win->end[i] = pad - win->begin[i];
}

static ub_status resolve_dim(const ubp_call *call, const ubp_window_attr *a, int i, ubp_window *win)
{
    int64_t span = (win->kernel[i] - 1) * win->dilation[i] + 1;
    int64_t in = win->in[i];
    if (in > INT64_MAX / 4)
        return ubp_op_fail(call, UB_ERR_SHAPE, "dimension of size %lld", (long long)in);
    if (a->auto_pad == UBP_PAD_SAME_UPPER || a->auto_pad == UBP_PAD_SAME_LOWER) {
        pad_same(a, span, i, win);
    } else if (a->auto_pad == UBP_PAD_NOTSET && a->n_pads) {
        win->begin[i] = a->pads[i];
        win->end[i] = a->pads[win->n + i];
    }
    int64_t room = in + win->begin[i] + win->end[i] - span;
    if (room < 0)
        return ubp_op_fail(call, UB_ERR_SHAPE,
                           "the kernel spans %lld in spatial dim %d, the padded input has %lld",
                           (long long)span, i, (long long)(room + span));
    win->out[i] = room / win->stride[i] + 1;
    /* The last window must begin inside the input or its begin pad. */
    if (a->ceil_mode && room % win->stride[i] != 0 &&
        win->out[i] * win->stride[i] < in + win->begin[i])
        win->out[i]++;
    return UB_OK;
}

ub_status ubp_window_resolve(const ubp_call *call, const ubp_window_attr *a, ubp_window *win)
{
    for (int i = 0; i < win->n; i++) {
        win->stride[i] = a->n_strides ? a->strides[i] : 1;
        win->dilation[i] = a->n_dilations ? a->dilations[i] : 1;
        if (win->kernel[i] < 1 || win->kernel[i] > FAR)
            return ubp_op_fail(call, UB_ERR_SHAPE, "the kernel's spatial dim %d is %lld", i,
                               (long long)win->kernel[i]);
        UBP_TRY(resolve_dim(call, a, i, win));
    }
    return UB_OK;
}
