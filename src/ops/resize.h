/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resize: what Resize does along one axis: where output coordinates lie in the input, and which
 * input elements with which weights make an output element.
 */
#ifndef UBP_RESIZE_H
#define UBP_RESIZE_H

#include "ops/ops.h"

typedef enum ubp_resize_mode { UBP_NEAREST, UBP_LINEAR, UBP_CUBIC } ubp_resize_mode;

typedef enum ubp_resize_coordinates {
    UBP_HALF_PIXEL,
    UBP_HALF_PIXEL_SYMMETRIC,
    UBP_PYTORCH_HALF_PIXEL,
    UBP_ALIGN_CORNERS,
    UBP_ASYMMETRIC,
    UBP_TF_CROP
} ubp_resize_coordinates;

typedef enum ubp_resize_round {
    UBP_PREFER_FLOOR,
    UBP_PREFER_CEIL,
    UBP_FLOOR,
    UBP_CEIL
} ubp_resize_round;

typedef enum ubp_resize_policy { UBP_STRETCH, UBP_NOT_LARGER, UBP_NOT_SMALLER } ubp_resize_policy;

/* Parsed attributes. */
typedef struct ubp_resize_attr {
    ubp_resize_mode mode;
    ubp_resize_coordinates coordinates;
    ubp_resize_round round;
    ubp_resize_policy policy;
    bool antialias, exclude_outside;
    double cubic, extrapolation;
    int n_axes; /* -1: all */
    int64_t axes[UB_MAX_RANK];
} ubp_resize_attr;

typedef struct ubp_resize_axis {
    int64_t in, out;
    bool identity;     /* nothing changes along this axis */
    bool exact;        /* scale is out / in: divide by it without rounding it first */
    double scale;      /* output elements for each input element */
    double width;      /* the output's size before it was rounded */
    double begin, end; /* of the region of interest, 0 to 1 */
} ubp_resize_axis;

/* The input elements of each output element. */
typedef struct ubp_resize_taps {
    int64_t n;      /* for each output element */
    int64_t *index; /* [out][n], inside the input */
    double *weight; /* [out][n]; NULL for nearest */
    bool *outside;  /* [out] takes the extrapolation value instead; NULL: none does */
} ubp_resize_taps;

/* Input coordinate of output element i. */
double ubp_resize_coordinate(const ubp_resize_attr *a, const ubp_resize_axis *axis, int64_t i);
/* Fills the taps, with arrays from scratch. in and out are at least 1. */
ub_status ubp_resize_taps_make(const ubp_call *call, const ubp_resize_axis *axis,
                               ubp_resize_taps *out);

#endif
