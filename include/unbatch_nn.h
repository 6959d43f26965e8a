/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of unbatch.h, which includes it: building models in C.
 */
#ifndef UNBATCH_NN_H
#define UNBATCH_NN_H

#include "unbatch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------
 * Building models
 * --------------------------------------------------------------------------------------------- */

/*
 * A network written down in C, in the words and conventions of Keras (channels last) or PyTorch
 * (channels first):
 *
 *     ub_nn *net = ub_nn_new(1);                       ub_nn *net = ub_nn_new(1);
 *     ub_keras_input(net, {28, 28, 1});                ub_torch_input(net, {1, 28, 28});
 *     ub_keras_conv2d(net, 32, {3, 3},                 ub_torch_conv2d(net, 1, 32, {3});
 *                     .activation = "relu");           ub_torch_relu(net);
 *     ub_keras_flatten(net);                           ub_torch_flatten(net);
 *     ub_keras_dense(net, 10);                         ub_torch_linear(net, 21632, 10);
 *     ub_nn_model(&model, net, &err);                  ub_nn_model(&model, net, &err);
 *
 * The first argument is what the layer is applied to: the network, that is its last value, or a
 * value that a layer gave (x = ub_keras_conv2d(x, ...); y = ub_keras_add({x, z})). Then come the
 * framework's own arguments in its own order; those with a name in Python are .name = value here.
 * Sizes along axes stand in braces; one number, {3}, stands for all axes. What is 0 or NULL is left
 * out and has the framework's default; what is on by default is turned off by .no_bias = true and
 * the like. Layers are named as the framework does (conv2d, conv2d_1; 0, 1) or by .name.
 *
 * Errors are remembered: after the first one nothing is built any more, and ub_nn_model() reports
 * it, naming the layer, what was found and what was expected.
 */
typedef struct ub_nn ub_nn;

/* What a layer gave. */
typedef struct ub_nn_value {
    ub_nn *net;
    int32_t value, layer;
} ub_nn_value;

/* Weights start as the framework's do, from this seed. NULL when out of memory; all functions here
 * take that, and ub_nn_model() reports it. */
UB_API ub_nn *ub_nn_new(uint64_t seed);
/* Weights from a .safetensors or .npz file instead ("0.weight", "conv2d/kernel"): all of them, in
 * the framework's shapes. Read by ub_nn_model(). */
UB_API void ub_nn_weights(ub_nn *net, const char *path);
/* Layers up to ub_nn_end() lie inside another one ("features.0", "encoder/dense"), of this type
 * ("torch.Sequential", "keras.Functional", or the name of your own) and name; NULL: the next. */
UB_API void ub_nn_begin(ub_nn *net, const char *what, const char *name);
UB_API void ub_nn_end(ub_nn *net);
/* Another output of the layer that gave x: 1 is the hidden state of an LSTM. */
UB_API ub_nn_value ub_nn_other(ub_nn_value x, int k);
/* Makes x an output of the model. Where this is not called, the last value is the only one. */
UB_API void ub_nn_output(ub_nn_value x);
/* The finished network as a model like any other. net is freed, whether this works or not. */
UB_API ub_status ub_nn_model(ub_model **out, ub_nn *net, ub_error *err);
/* For a network that does not become a model; NULL is fine. */
UB_API void ub_nn_free(ub_nn *net);

enum {
    UB_NN_AXES = 8,    /* dims of a shape in braces; they end at the first 0 */
    UB_NN_INPUTS = 16, /* values that are added or joined */
    UB_NN_ZERO = -1    /* a size of 0 behind another one: .padding = {2, UB_NN_ZERO} */
};

/* Arguments of layers, in the order of the framework. size_of is sizeof the struct. */
typedef struct ub_nn_input {
    size_t size_of;
    int64_t shape[UB_NN_AXES]; /* of one sample; -1: free */
    const char *dtype;         /* "float32" */
    int batch_axis;            /* where the samples are: 0 */
    const char *name;
} ub_nn_input;

typedef struct ub_keras_conv {
    size_t size_of;
    int64_t filters, kernel_size[3], strides[3];
    const char *padding; /* "valid", "same", "causal" */
    int64_t dilation_rate[3], groups;
    const char *activation;
    bool no_bias;
    const char *name;
} ub_keras_conv;

typedef struct ub_keras_depthwise {
    size_t size_of;
    int64_t kernel_size[3], strides[3];
    const char *padding;
    int64_t depth_multiplier, dilation_rate[3];
    const char *activation;
    bool no_bias;
    const char *name;
} ub_keras_depthwise;

typedef struct ub_keras_pool {
    size_t size_of;
    int64_t pool_size[3], strides[3]; /* 2; as pool_size */
    const char *padding;
    bool keepdims; /* of global pooling */
    const char *name;
} ub_keras_pool;

typedef struct ub_keras_units { /* Dense, LSTM, GRU */
    size_t size_of;
    int64_t units;
    const char *activation; /* of Dense */
    bool no_bias, return_sequences, return_state, go_backwards;
    const char *name;
} ub_keras_units;

typedef struct ub_keras_norm { /* the axis is the last */
    size_t size_of;
    int64_t groups; /* of GroupNormalization: 32 */
    double epsilon; /* 0.001 */
    bool no_center, no_scale;
    const char *name;
} ub_keras_norm;

typedef struct ub_nn_activation {
    size_t size_of;
    const char *activation; /* "relu"; of GELU: approximate, "tanh" */
    const char *name;
} ub_nn_activation;

typedef struct ub_nn_slope { /* LeakyReLU, ELU */
    size_t size_of;
    double alpha; /* negative_slope: 0.3 in Keras, 0.01 in PyTorch; of ELU: 1 */
    const char *name;
} ub_nn_slope;

typedef struct ub_nn_softmax {
    size_t size_of;
    int axis; /* -1 */
    const char *name;
} ub_nn_softmax;

typedef struct ub_nn_shape { /* Reshape; of Keras' Flatten only the name */
    size_t size_of;
    int64_t shape[UB_NN_AXES]; /* without the samples; one may be -1 */
    const char *name;
} ub_nn_shape;

typedef struct ub_torch_flat {
    size_t size_of;
    int start_dim, end_dim; /* 1, -1 */
    const char *name;
} ub_torch_flat;

typedef struct ub_torch_unflat {
    size_t size_of;
    int dim; /* 1 */
    int64_t unflattened_size[UB_NN_AXES];
    const char *name;
} ub_torch_unflat;

typedef struct ub_nn_dropout {
    size_t size_of;
    double rate; /* without effect here */
    const char *name;
} ub_nn_dropout;

typedef struct ub_nn_embedding {
    size_t size_of;
    int64_t input_dim, output_dim;
    const char *name;
} ub_nn_embedding;

typedef struct ub_keras_attention { /* applied to the query */
    size_t size_of;
    int64_t num_heads, key_dim, value_dim; /* value_dim: as key_dim */
    ub_nn_value value, key;                /* as the query; as value */
    bool no_bias;
    const char *name;
} ub_keras_attention;

typedef struct ub_nn_merge { /* Add, Concatenate */
    size_t size_of;
    ub_nn_value of[UB_NN_INPUTS];
    int axis; /* of joining: Keras -1, PyTorch must be told */
    const char *name;
} ub_nn_merge;

typedef struct ub_torch_conv {
    size_t size_of;
    int64_t in_channels, out_channels, kernel_size[3], stride[3], padding[3], dilation[3], groups;
    bool no_bias, same; /* same: padding="same" */
    int64_t output_padding[3];
    const char *name;
} ub_torch_conv;

typedef struct ub_torch_pool {
    size_t size_of;
    int64_t kernel_size[3], stride[3], padding[3], dilation[3]; /* adaptive: kernel_size is the
                                                                   output's */
    bool ceil_mode, exclude_pad; /* exclude_pad: count_include_pad=False */
    const char *name;
} ub_torch_pool;

typedef struct ub_torch_features { /* Linear, LSTM, GRU */
    size_t size_of;
    int64_t in_features, out_features, num_layers;
    bool no_bias, batch_first, bidirectional;
    const char *name;
} ub_torch_features;

typedef struct ub_torch_batch {
    size_t size_of;
    int64_t num_features;
    double eps; /* 1e-5, of all three */
    bool no_affine;
    const char *name;
} ub_torch_batch;

typedef struct ub_torch_group {
    size_t size_of;
    int64_t num_groups, num_channels;
    double eps;
    bool no_affine;
    const char *name;
} ub_torch_group;

typedef struct ub_torch_layer {
    size_t size_of;
    int64_t normalized_shape[UB_NN_AXES];
    double eps;
    bool no_affine;
    const char *name;
} ub_torch_layer;

typedef struct ub_torch_attention { /* applied to the query */
    size_t size_of;
    int64_t embed_dim, num_heads;
    ub_nn_value key, value; /* as the query; as key */
    bool no_bias, batch_first;
    const char *name;
} ub_torch_attention;

/* The layer called `what` ("keras.Conv2D", "torch.Linear") with its arguments: what all the macros
 * below are made of. */
UB_API ub_nn_value ub_nn_add(ub_nn_value at, const char *what, const void *args);
UB_API ub_nn_value ub_nn_last(ub_nn *net);
UB_API ub_nn_value ub_nn_self(ub_nn_value x);

#ifndef __cplusplus
#define UB_NN_AT(at) _Generic((at), ub_nn * : ub_nn_last, ub_nn_value : ub_nn_self)(at)
#define UB_NN_ARGS(type, ...)                                                                      \
    &(type)                                                                                        \
    {                                                                                              \
        .size_of = sizeof(type), __VA_ARGS__                                                       \
    }
#define UB_NN_LAYER(what, type, at, ...)                                                           \
    ub_nn_add(UB_NN_AT(at), what, UB_NN_ARGS(type, __VA_ARGS__))

/* Keras. */
#define ub_keras_input(...)  UB_NN_LAYER("keras.Input", ub_nn_input, __VA_ARGS__, )
#define ub_keras_conv1d(...) UB_NN_LAYER("keras.Conv1D", ub_keras_conv, __VA_ARGS__, )
#define ub_keras_conv2d(...) UB_NN_LAYER("keras.Conv2D", ub_keras_conv, __VA_ARGS__, )
#define ub_keras_conv3d(...) UB_NN_LAYER("keras.Conv3D", ub_keras_conv, __VA_ARGS__, )
#define ub_keras_conv1d_transpose(...)                                                             \
    UB_NN_LAYER("keras.Conv1DTranspose", ub_keras_conv, __VA_ARGS__, )
#define ub_keras_conv2d_transpose(...)                                                             \
    UB_NN_LAYER("keras.Conv2DTranspose", ub_keras_conv, __VA_ARGS__, )
#define ub_keras_conv3d_transpose(...)                                                             \
    UB_NN_LAYER("keras.Conv3DTranspose", ub_keras_conv, __VA_ARGS__, )
#define ub_keras_depthwise_conv1d(...)                                                             \
    UB_NN_LAYER("keras.DepthwiseConv1D", ub_keras_depthwise, __VA_ARGS__, )
#define ub_keras_depthwise_conv2d(...)                                                             \
    UB_NN_LAYER("keras.DepthwiseConv2D", ub_keras_depthwise, __VA_ARGS__, )
#define ub_keras_dense(...)         UB_NN_LAYER("keras.Dense", ub_keras_units, __VA_ARGS__, )
#define ub_keras_lstm(...)          UB_NN_LAYER("keras.LSTM", ub_keras_units, __VA_ARGS__, )
#define ub_keras_gru(...)           UB_NN_LAYER("keras.GRU", ub_keras_units, __VA_ARGS__, )
#define ub_keras_max_pooling1d(...) UB_NN_LAYER("keras.MaxPooling1D", ub_keras_pool, __VA_ARGS__, )
#define ub_keras_average_pooling1d(...)                                                            \
    UB_NN_LAYER("keras.AveragePooling1D", ub_keras_pool, __VA_ARGS__, )
#define ub_keras_global_max_pooling1d(...)                                                         \
    UB_NN_LAYER("keras.GlobalMaxPooling1D", ub_keras_pool, __VA_ARGS__, )
#define ub_keras_global_average_pooling1d(...)                                                     \
    UB_NN_LAYER("keras.GlobalAveragePooling1D", ub_keras_pool, __VA_ARGS__, )
#define ub_keras_max_pooling2d(...) UB_NN_LAYER("keras.MaxPooling2D", ub_keras_pool, __VA_ARGS__, )
#define ub_keras_average_pooling2d(...)                                                            \
    UB_NN_LAYER("keras.AveragePooling2D", ub_keras_pool, __VA_ARGS__, )
#define ub_keras_global_max_pooling2d(...)                                                         \
    UB_NN_LAYER("keras.GlobalMaxPooling2D", ub_keras_pool, __VA_ARGS__, )
#define ub_keras_global_average_pooling2d(...)                                                     \
    UB_NN_LAYER("keras.GlobalAveragePooling2D", ub_keras_pool, __VA_ARGS__, )
#define ub_keras_max_pooling3d(...) UB_NN_LAYER("keras.MaxPooling3D", ub_keras_pool, __VA_ARGS__, )
#define ub_keras_average_pooling3d(...)                                                            \
    UB_NN_LAYER("keras.AveragePooling3D", ub_keras_pool, __VA_ARGS__, )
#define ub_keras_global_max_pooling3d(...)                                                         \
    UB_NN_LAYER("keras.GlobalMaxPooling3D", ub_keras_pool, __VA_ARGS__, )
#define ub_keras_global_average_pooling3d(...)                                                     \
    UB_NN_LAYER("keras.GlobalAveragePooling3D", ub_keras_pool, __VA_ARGS__, )
#define ub_keras_batch_normalization(...)                                                          \
    UB_NN_LAYER("keras.BatchNormalization", ub_keras_norm, __VA_ARGS__, )
#define ub_keras_layer_normalization(...)                                                          \
    UB_NN_LAYER("keras.LayerNormalization", ub_keras_norm, __VA_ARGS__, )
#define ub_keras_group_normalization(...)                                                          \
    UB_NN_LAYER("keras.GroupNormalization", ub_keras_norm, __VA_ARGS__, )
#define ub_keras_activation(...) UB_NN_LAYER("keras.Activation", ub_nn_activation, __VA_ARGS__, )
#define ub_keras_relu(...)       UB_NN_LAYER("keras.ReLU", ub_nn_activation, __VA_ARGS__, )
#define ub_keras_leaky_relu(...) UB_NN_LAYER("keras.LeakyReLU", ub_nn_slope, __VA_ARGS__, )
#define ub_keras_elu(...)        UB_NN_LAYER("keras.ELU", ub_nn_slope, __VA_ARGS__, )
#define ub_keras_prelu(...)      UB_NN_LAYER("keras.PReLU", ub_nn_activation, __VA_ARGS__, )
#define ub_keras_softmax(...)    UB_NN_LAYER("keras.Softmax", ub_nn_softmax, __VA_ARGS__, )
#define ub_keras_dropout(...)    UB_NN_LAYER("keras.Dropout", ub_nn_dropout, __VA_ARGS__, )
#define ub_keras_flatten(...)    UB_NN_LAYER("keras.Flatten", ub_nn_shape, __VA_ARGS__, )
#define ub_keras_reshape(...)    UB_NN_LAYER("keras.Reshape", ub_nn_shape, __VA_ARGS__, )
#define ub_keras_embedding(...)  UB_NN_LAYER("keras.Embedding", ub_nn_embedding, __VA_ARGS__, )
#define ub_keras_multi_head_attention(...)                                                         \
    UB_NN_LAYER("keras.MultiHeadAttention", ub_keras_attention, __VA_ARGS__, )
#define ub_keras_add(...)                                                                          \
    ub_nn_add((ub_nn_value){0}, "keras.Add", UB_NN_ARGS(ub_nn_merge, __VA_ARGS__))
#define ub_keras_concatenate(...)                                                                  \
    ub_nn_add((ub_nn_value){0}, "keras.Concatenate", UB_NN_ARGS(ub_nn_merge, __VA_ARGS__))
/* PyTorch. */
#define ub_torch_input(...)  UB_NN_LAYER("torch.Input", ub_nn_input, __VA_ARGS__, )
#define ub_torch_conv1d(...) UB_NN_LAYER("torch.Conv1d", ub_torch_conv, __VA_ARGS__, )
#define ub_torch_conv2d(...) UB_NN_LAYER("torch.Conv2d", ub_torch_conv, __VA_ARGS__, )
#define ub_torch_conv3d(...) UB_NN_LAYER("torch.Conv3d", ub_torch_conv, __VA_ARGS__, )
#define ub_torch_conv_transpose1d(...)                                                             \
    UB_NN_LAYER("torch.ConvTranspose1d", ub_torch_conv, __VA_ARGS__, )
#define ub_torch_conv_transpose2d(...)                                                             \
    UB_NN_LAYER("torch.ConvTranspose2d", ub_torch_conv, __VA_ARGS__, )
#define ub_torch_conv_transpose3d(...)                                                             \
    UB_NN_LAYER("torch.ConvTranspose3d", ub_torch_conv, __VA_ARGS__, )
#define ub_torch_max_pool1d(...) UB_NN_LAYER("torch.MaxPool1d", ub_torch_pool, __VA_ARGS__, )
#define ub_torch_avg_pool1d(...) UB_NN_LAYER("torch.AvgPool1d", ub_torch_pool, __VA_ARGS__, )
#define ub_torch_adaptive_max_pool1d(...)                                                          \
    UB_NN_LAYER("torch.AdaptiveMaxPool1d", ub_torch_pool, __VA_ARGS__, )
#define ub_torch_adaptive_avg_pool1d(...)                                                          \
    UB_NN_LAYER("torch.AdaptiveAvgPool1d", ub_torch_pool, __VA_ARGS__, )
#define ub_torch_max_pool2d(...) UB_NN_LAYER("torch.MaxPool2d", ub_torch_pool, __VA_ARGS__, )
#define ub_torch_avg_pool2d(...) UB_NN_LAYER("torch.AvgPool2d", ub_torch_pool, __VA_ARGS__, )
#define ub_torch_adaptive_max_pool2d(...)                                                          \
    UB_NN_LAYER("torch.AdaptiveMaxPool2d", ub_torch_pool, __VA_ARGS__, )
#define ub_torch_adaptive_avg_pool2d(...)                                                          \
    UB_NN_LAYER("torch.AdaptiveAvgPool2d", ub_torch_pool, __VA_ARGS__, )
#define ub_torch_max_pool3d(...) UB_NN_LAYER("torch.MaxPool3d", ub_torch_pool, __VA_ARGS__, )
#define ub_torch_avg_pool3d(...) UB_NN_LAYER("torch.AvgPool3d", ub_torch_pool, __VA_ARGS__, )
#define ub_torch_adaptive_max_pool3d(...)                                                          \
    UB_NN_LAYER("torch.AdaptiveMaxPool3d", ub_torch_pool, __VA_ARGS__, )
#define ub_torch_adaptive_avg_pool3d(...)                                                          \
    UB_NN_LAYER("torch.AdaptiveAvgPool3d", ub_torch_pool, __VA_ARGS__, )
#define ub_torch_linear(...)       UB_NN_LAYER("torch.Linear", ub_torch_features, __VA_ARGS__, )
#define ub_torch_lstm(...)         UB_NN_LAYER("torch.LSTM", ub_torch_features, __VA_ARGS__, )
#define ub_torch_gru(...)          UB_NN_LAYER("torch.GRU", ub_torch_features, __VA_ARGS__, )
#define ub_torch_batch_norm1d(...) UB_NN_LAYER("torch.BatchNorm1d", ub_torch_batch, __VA_ARGS__, )
#define ub_torch_batch_norm2d(...) UB_NN_LAYER("torch.BatchNorm2d", ub_torch_batch, __VA_ARGS__, )
#define ub_torch_batch_norm3d(...) UB_NN_LAYER("torch.BatchNorm3d", ub_torch_batch, __VA_ARGS__, )
#define ub_torch_group_norm(...)   UB_NN_LAYER("torch.GroupNorm", ub_torch_group, __VA_ARGS__, )
#define ub_torch_layer_norm(...)   UB_NN_LAYER("torch.LayerNorm", ub_torch_layer, __VA_ARGS__, )
#define ub_torch_relu(...)         UB_NN_LAYER("torch.ReLU", ub_nn_activation, __VA_ARGS__, )
#define ub_torch_relu6(...)        UB_NN_LAYER("torch.ReLU6", ub_nn_activation, __VA_ARGS__, )
#define ub_torch_leaky_relu(...)   UB_NN_LAYER("torch.LeakyReLU", ub_nn_slope, __VA_ARGS__, )
#define ub_torch_prelu(...)        UB_NN_LAYER("torch.PReLU", ub_nn_activation, __VA_ARGS__, )
#define ub_torch_elu(...)          UB_NN_LAYER("torch.ELU", ub_nn_slope, __VA_ARGS__, )
#define ub_torch_gelu(...)         UB_NN_LAYER("torch.GELU", ub_nn_activation, __VA_ARGS__, )
#define ub_torch_silu(...)         UB_NN_LAYER("torch.SiLU", ub_nn_activation, __VA_ARGS__, )
#define ub_torch_mish(...)         UB_NN_LAYER("torch.Mish", ub_nn_activation, __VA_ARGS__, )
#define ub_torch_sigmoid(...)      UB_NN_LAYER("torch.Sigmoid", ub_nn_activation, __VA_ARGS__, )
#define ub_torch_hardsigmoid(...)  UB_NN_LAYER("torch.Hardsigmoid", ub_nn_activation, __VA_ARGS__, )
#define ub_torch_hardswish(...)    UB_NN_LAYER("torch.Hardswish", ub_nn_activation, __VA_ARGS__, )
#define ub_torch_tanh(...)         UB_NN_LAYER("torch.Tanh", ub_nn_activation, __VA_ARGS__, )
#define ub_torch_hardtanh(...)     UB_NN_LAYER("torch.Hardtanh", ub_nn_activation, __VA_ARGS__, )
#define ub_torch_softplus(...)     UB_NN_LAYER("torch.Softplus", ub_nn_activation, __VA_ARGS__, )
#define ub_torch_softsign(...)     UB_NN_LAYER("torch.Softsign", ub_nn_activation, __VA_ARGS__, )
#define ub_torch_softmax(...)      UB_NN_LAYER("torch.Softmax", ub_nn_softmax, __VA_ARGS__, )
#define ub_torch_log_softmax(...)  UB_NN_LAYER("torch.LogSoftmax", ub_nn_softmax, __VA_ARGS__, )
#define ub_torch_dropout(...)      UB_NN_LAYER("torch.Dropout", ub_nn_dropout, __VA_ARGS__, )
#define ub_torch_flatten(...)      UB_NN_LAYER("torch.Flatten", ub_torch_flat, __VA_ARGS__, )
#define ub_torch_unflatten(...)    UB_NN_LAYER("torch.Unflatten", ub_torch_unflat, __VA_ARGS__, )
#define ub_torch_reshape(...)      UB_NN_LAYER("torch.reshape", ub_nn_shape, __VA_ARGS__, )
#define ub_torch_embedding(...)    UB_NN_LAYER("torch.Embedding", ub_nn_embedding, __VA_ARGS__, )
#define ub_torch_multihead_attention(...)                                                          \
    UB_NN_LAYER("torch.MultiheadAttention", ub_torch_attention, __VA_ARGS__, )
#define ub_torch_add(...)                                                                          \
    ub_nn_add((ub_nn_value){0}, "torch.add", UB_NN_ARGS(ub_nn_merge, __VA_ARGS__))
#define ub_torch_cat(...)                                                                          \
    ub_nn_add((ub_nn_value){0}, "torch.cat", UB_NN_ARGS(ub_nn_merge, __VA_ARGS__))
#endif

#ifdef __cplusplus
}
#endif

#endif
