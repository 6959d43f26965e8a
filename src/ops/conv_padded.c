/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A border of zeros around an image, made by a Pad in front of a Conv: the convolution can read the
 * image without it and pad by itself. Its sums then leave the zeros out, in a kernel that may cut
 * them elsewhere; so wherever this says yes, it is always done (plan/padded.c, exec/eager.c).
 */
#include "ops/conv.h"

#include <string.h>

enum { MOST_SPAN = 1 << 15 }; /* of a window, so that no file drives a kernel to its limits */

static bool is_finite_line(const char *at, int64_t n)
{
    const uint32_t exponent = 0x7f800000;
    uint32_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, at + (size_t)i * sizeof bits, sizeof bits);
        bad |= (uint32_t)((bits & exponent) == exponent);
    }
    return !bad;
}

/* A zero of the border times an infinity would be a NaN. */
static bool is_finite(const ub_tensor *w)
{
    int64_t index[UB_MAX_RANK] = {0};
    const char *at = w->data;
    if (ub_tensor_is_contiguous(w))
        return is_finite_line(at, ub_tensor_count(w));
    for (int64_t left = ub_tensor_count(w); left > 0; left--) {
        if (!is_finite_line(at, 1))
            return false;
        for (int i = w->rank - 1; i >= 0; i--) {
            at += w->strides[i];
            if (++index[i] < w->dims[i])
                break;
            at -= w->strides[i] * w->dims[i];
            index[i] = 0;
        }
    }
    return true;
}

bool ubp_conv_unpadded(ubp_conv_attr *out, const ubp_call *conv, const int64_t *before,
                       const int64_t *after)
{
    const ub_tensor *x = conv->in[0], *w = conv->in[1];
    ubp_window win;
    if (x->dtype != UB_F32 || w->dtype != UB_F32 || !w->data || before[0] || after[0] ||
        before[1] || after[1] || ubp_conv_window(conv, &win) != UB_OK)
        return false;
    *out = *(const ubp_conv_attr *)conv->attr;
    out->auto_pad = UBP_PAD_NOTSET;
    out->n_pads = 2 * win.n;
    for (int i = 0; i < win.n; i++) {
        /* A window that lies in the border alone is not for every kernel. */
        const int64_t span = (win.kernel[i] - 1) * win.dilation[i] + 1;
        if (!ubp_add_i64(win.begin[i], before[2 + i], &out->pads[i]) ||
            !ubp_add_i64(win.end[i], after[2 + i], &out->pads[win.n + i]) || span > MOST_SPAN ||
            out->pads[i] >= span || out->pads[win.n + i] >= span)
            return false;
    }
    return is_finite(w);
}
