/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv: what the convolutions (Conv, ConvInteger, QLinearConv, ConvTranspose) share: attributes,
 * window, batch rule, and the convolution itself as a matrix product whose right factor is gathered
 * from the image panel by panel.
 */
#ifndef UBP_CONV_H
#define UBP_CONV_H

#include "ops/attrs.h"
#include "ops/gemm.h"

/* Parses ubp_conv_attr; also op->attrs of Conv. */
ub_status ubp_conv_attrs(const ubp_node *node, void *attr, ubp_arena *arena, ub_error *err);
/* Attributes with which Conv gives of an image what `conv` gives of that image with `before` and
 * `after` zeros around it, [rank] each; false: that cannot be promised. conv: in[0] the image with
 * its border, in[1] with data. */
bool ubp_conv_unpadded(ubp_conv_attr *out, const ubp_call *conv, const int64_t *before,
                       const int64_t *after);
/* Whether a Pad does no more than put zeros around: before and after each axis, [rank]. Its
 * parameters must have data, else the answer is no. */
bool ubp_pad_zeros(const ubp_call *pad, int64_t *before, int64_t *after);
/* The window of image `x` (N, C, ...) and weights `w` (M, C/group, ...): ubp_conv_window() for
 * other places in the list of inputs. */
ub_status ubp_conv_window_of(const ubp_call *call, int x, int w, ubp_window *out);
/* Dims (N, M, out...) of the result; returns the rank. */
int ubp_conv_dims(const ubp_window *win, int64_t n, int64_t m, int64_t *dims);
/* Where the samples of output 0 are, given image x, weights w, bias b (-1: none). */
void ubp_conv_follow(ubp_batch *batch, int x, int w, int b, const ubp_window *win);
/* dst [N][M][out...] = src [N][C][in...] * weights [M][C/group][kernel...] + bias [M] or NULL; all
 * contiguous, of a dtype that ubp_gemm_takes(). */
void ubp_conv_run(const ubp_run *run, const ubp_window *win, ub_dtype dtype, int64_t n, int64_t c,
                  int64_t m, const void *src, const void *weights, const void *bias, void *dst);

#endif
