/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window: attributes of sliding windows, shared by convolutions and poolings.
 */
#ifndef UBP_WINDOW_H
#define UBP_WINDOW_H

#include "ops/attrs.h"

/* The attributes of a window; n_<name> is 0 when absent. Points into a parsed struct. */
typedef struct ubp_window_attr {
    ubp_auto_pad auto_pad;
    bool ceil_mode;
    int n_kernel, n_strides, n_dilations, n_pads;
    const int64_t *kernel_shape, *strides, *dilations, *pads;
} ubp_window_attr;

/* The attribute auto_pad. */
ub_status ubp_window_auto_pad(const ubp_node *node, ubp_auto_pad *out, ub_error *err);
/* A list of at most max integers, each at least `least` and small enough that no sum of products
 * with dims overflows; *n is 0 when it is absent. */
ub_status ubp_window_ints(const ubp_node *node, const char *name, int max, int64_t least,
                          int64_t *out, int *n, ub_error *err);
/* Whether the lists that are given have the length that n spatial dims ask for. */
ub_status ubp_window_counts(const ubp_call *call, const ubp_window_attr *a, int n);
/* Fills begin, end, stride, dilation and out of all spatial dims; in and kernel are set. */
ub_status ubp_window_resolve(const ubp_call *call, const ubp_window_attr *a, ubp_window *win);

#endif
