/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attrs: parsed attributes that more than one file reads: the family that owns the operator fills
 * them in its attrs() function (call->attr then points to one), the fast kernels and the planner
 * read them. Defaults are those of ONNX's newest opset and are filled in by the parser, so that no
 * reader has to know them.
 *
 * Operators without a struct here (Relu, MatMul, GlobalAveragePool, ...) have no attributes, or
 * none that anyone but their own file reads.
 */
#ifndef UBP_ATTRS_H
#define UBP_ATTRS_H

#include "ops/ops.h"

enum { UBP_MAX_SPATIAL = UB_MAX_RANK - 2 };

typedef enum ubp_auto_pad {
    UBP_PAD_NOTSET, /* the default: pads as given */
    UBP_PAD_SAME_UPPER,
    UBP_PAD_SAME_LOWER,
    UBP_PAD_VALID
} ubp_auto_pad;

/* Conv, ConvTranspose. Each n_<name> is 0 when the attribute is absent: kernel_shape then comes
 * from the weights, strides and dilations are 1, pads 0. Values are checked by the parser: strides,
 * dilations, kernel_shape and group >= 1, pads >= 0 for Conv, counts even for pads. */
typedef struct ubp_conv_attr {
    ubp_auto_pad auto_pad;
    int64_t group;
    int n_kernel, n_strides, n_dilations, n_pads;
    int64_t kernel_shape[UBP_MAX_SPATIAL];
    int64_t strides[UBP_MAX_SPATIAL];
    int64_t dilations[UBP_MAX_SPATIAL];
    int64_t pads[2 * UBP_MAX_SPATIAL];    /* all begins, then all ends */
    int n_output_padding, n_output_shape; /* ConvTranspose only */
    int64_t output_padding[UBP_MAX_SPATIAL];
    int64_t output_shape[UBP_MAX_SPATIAL];
} ubp_conv_attr;

/* MaxPool, AveragePool, LpPool; kernel_shape is always there. */
typedef struct ubp_pool_attr {
    ubp_auto_pad auto_pad;
    bool ceil_mode;
    bool count_include_pad; /* AveragePool, LpPool */
    int64_t storage_order;  /* MaxPool */
    int64_t plane_indices;  /* MaxPool, not in ONNX: Indices count from the start of their plane */
    int64_t p;              /* LpPool, default 2 */
    int n_kernel, n_strides, n_dilations, n_pads;
    int64_t kernel_shape[UBP_MAX_SPATIAL];
    int64_t strides[UBP_MAX_SPATIAL];
    int64_t dilations[UBP_MAX_SPATIAL];
    int64_t pads[2 * UBP_MAX_SPATIAL]; /* all begins, then all ends */
} ubp_pool_attr;

/* Gemm: alpha * A' * B' + beta * C. */
typedef struct ubp_gemm_attr {
    float alpha, beta; /* default 1, 1 */
    bool trans_a, trans_b;
} ubp_gemm_attr;

/* Softmax, LogSoftmax, Hardmax. */
typedef struct ubp_softmax_attr {
    int64_t axis; /* as in the file: may be negative; default -1 */
    bool flatten; /* opset < 13: one distribution over all dims from axis on; our own attribute, set
                     by load/ */
} ubp_softmax_attr;

/* BatchNormalization, LayerNormalization, InstanceNormalization, GroupNormalization,
 * RMSNormalization. */
typedef struct ubp_norm_attr {
    float epsilon;      /* default 1e-5 */
    float momentum;     /* BatchNormalization, default 0.9 */
    bool training_mode; /* BatchNormalization */
    int64_t axis;       /* LayerNormalization, RMSNormalization: may be negative; default -1 */
    int64_t stash_type; /* default 1, float32 */
    int64_t num_groups; /* GroupNormalization */
} ubp_norm_attr;

/* LeakyRelu, Elu, HardSigmoid, Selu, ThresholdedRelu, Swish, Celu and the other elementwise
 * activations: alpha, beta and gamma with each operator's own defaults. */
typedef struct ubp_activation_attr {
    float alpha, beta, gamma;
    bool approximate; /* Gelu: "tanh" */
} ubp_activation_attr;

/* A sliding window with everything resolved: auto_pad, defaults, output dims. */
typedef struct ubp_window {
    int n;         /* spatial dims: rank - 2 */
    int64_t group; /* Conv; 1 for pooling */
    int64_t in[UBP_MAX_SPATIAL], out[UBP_MAX_SPATIAL];
    int64_t kernel[UBP_MAX_SPATIAL], stride[UBP_MAX_SPATIAL], dilation[UBP_MAX_SPATIAL];
    int64_t begin[UBP_MAX_SPATIAL], end[UBP_MAX_SPATIAL]; /* pads */
} ubp_window;

/* conv.c: the window of a Conv call, from its attributes and the dims of inputs 0 (N, C, ...) and 1
 * (M, C/group, ...). Needs no data and no output; infer uses it too. Refuses what does not fit
 * (channels, groups, a kernel larger than the padded input, overflow) by naming the node. */
ub_status ubp_conv_window(const ubp_call *call, ubp_window *out);
/* The same of ConvTranspose: in and out are those of the call, begin and end what is cut off. */
ub_status ubp_conv_transpose_window(const ubp_call *call, ubp_window *out);
/* pool.c: the window of a MaxPool, AveragePool or LpPool call. With ceil_mode a last window may
 * reach over in + end: `end` stays what the attributes say. */
ub_status ubp_pool_window(const ubp_call *call, ubp_window *out);

#endif
