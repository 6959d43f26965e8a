/* SPDX-License-Identifier: Apache-2.0 */
/* The cases of nn_cases.c; those of the same names in nn_compare.py are their Python twins. */

/* ---- Keras ------------------------------------------------------------------------------------
 */

CASE(keras_conv2d, ub_keras_input(net, {9, 8, 3}); ub_keras_conv2d(net, 4, {3, 3}))
CASE(keras_conv2d_relu, ub_keras_input(net, {9, 8, 3});
     ub_keras_conv2d(net, 4, {3, 2}, .activation = "relu"))
CASE(keras_conv2d_same, ub_keras_input(net, {9, 8, 3});
     ub_keras_conv2d(net, 4, {3}, {2}, .padding = "same", .no_bias = true))
CASE(keras_conv2d_same_even, ub_keras_input(net, {9, 8, 3});
     ub_keras_conv2d(net, 4, {4, 2}, .strides = {1, 2}, .padding = "same"))
CASE(keras_conv2d_groups, ub_keras_input(net, {9, 8, 4});
     ub_keras_conv2d(net, 6, {3}, .groups = 2, .dilation_rate = {2, 1}))
CASE(keras_conv1d, ub_keras_input(net, {11, 3}); ub_keras_conv1d(net, 5, {3}, .strides = {2}))
CASE(keras_conv1d_causal, ub_keras_input(net, {11, 3});
     ub_keras_conv1d(net, 5, {3}, .padding = "causal", .dilation_rate = {2}))
CASE(keras_conv3d, ub_keras_input(net, {5, 6, 7, 2});
     ub_keras_conv3d(net, 3, {2, 3, 2}, .padding = "same", .activation = "tanh"))
CASE(keras_depthwise_conv2d, ub_keras_input(net, {9, 8, 3});
     ub_keras_depthwise_conv2d(net, {3}, .depth_multiplier = 2, .padding = "same"))
CASE(keras_depthwise_conv2d_plain, ub_keras_input(net, {9, 8, 3});
     ub_keras_depthwise_conv2d(net, {3, 2}, {2}, .activation = "relu6", .no_bias = true))
CASE(keras_depthwise_conv1d, ub_keras_input(net, {12, 3});
     ub_keras_depthwise_conv1d(net, {4}, .padding = "same"))
CASE(keras_conv2d_transpose, ub_keras_input(net, {5, 4, 3}); ub_keras_conv2d_transpose(net, 4, {3}))
CASE(keras_conv2d_transpose_stride, ub_keras_input(net, {5, 4, 3});
     ub_keras_conv2d_transpose(net, 4, {3, 2}, {2}, .activation = "relu"))
CASE(keras_conv2d_transpose_same, ub_keras_input(net, {5, 4, 3});
     ub_keras_conv2d_transpose(net, 4, {4}, {2}, "same", .no_bias = true))
CASE(keras_conv1d_transpose, ub_keras_input(net, {5, 3});
     ub_keras_conv1d_transpose(net, 4, {2}, {2}))
CASE(keras_conv3d_transpose, ub_keras_input(net, {3, 4, 2, 2});
     ub_keras_conv3d_transpose(net, 3, {2, 3, 2}))
CASE(keras_dense, ub_keras_input(net, {7}); ub_keras_dense(net, 5))
CASE(keras_dense_3d, ub_keras_input(net, {4, 7});
     ub_keras_dense(net, 5, .activation = "softmax", .no_bias = true))
CASE(keras_max_pooling2d, ub_keras_input(net, {9, 8, 3}); ub_keras_max_pooling2d(net))
CASE(keras_max_pooling2d_same, ub_keras_input(net, {9, 8, 3});
     ub_keras_max_pooling2d(net, {3}, {2}, .padding = "same"))
CASE(keras_average_pooling2d, ub_keras_input(net, {9, 8, 3});
     ub_keras_average_pooling2d(net, {3, 2}))
CASE(keras_average_pooling2d_same, ub_keras_input(net, {9, 9, 3});
     ub_keras_average_pooling2d(net, {3}, {2}, .padding = "same"))
CASE(keras_max_pooling1d, ub_keras_input(net, {9, 3}); ub_keras_max_pooling1d(net, {3}))
CASE(keras_average_pooling1d, ub_keras_input(net, {9, 3});
     ub_keras_average_pooling1d(net, {2}, .padding = "same"))
CASE(keras_max_pooling3d, ub_keras_input(net, {4, 5, 6, 2}); ub_keras_max_pooling3d(net, {2}))
CASE(keras_average_pooling3d, ub_keras_input(net, {4, 5, 6, 2});
     ub_keras_average_pooling3d(net, {2, 3, 2}, {1}))
CASE(keras_global_max_pooling1d, ub_keras_input(net, {9, 3}); ub_keras_global_max_pooling1d(net))
CASE(keras_global_max_pooling2d, ub_keras_input(net, {9, 8, 3});
     ub_keras_global_max_pooling2d(net, .keepdims = true))
CASE(keras_global_max_pooling3d, ub_keras_input(net, {4, 5, 6, 2});
     ub_keras_global_max_pooling3d(net))
CASE(keras_global_average_pooling1d, ub_keras_input(net, {9, 3});
     ub_keras_global_average_pooling1d(net))
CASE(keras_global_average_pooling2d, ub_keras_input(net, {9, 8, 3});
     ub_keras_global_average_pooling2d(net))
CASE(keras_global_average_pooling3d, ub_keras_input(net, {4, 5, 6, 2});
     ub_keras_global_average_pooling3d(net, .keepdims = true))
CASE(keras_batch_normalization, ub_keras_input(net, {5, 4, 3}); ub_keras_batch_normalization(net))
CASE(keras_batch_normalization_flat, ub_keras_input(net, {6});
     ub_keras_batch_normalization(net, .epsilon = 0.01, .no_scale = true))
CASE(keras_batch_normalization_plain, ub_keras_input(net, {7, 6});
     ub_keras_batch_normalization(net, .no_scale = true, .no_center = true))
CASE(keras_layer_normalization, ub_keras_input(net, {5, 4, 3}); ub_keras_layer_normalization(net))
CASE(keras_layer_normalization_plain, ub_keras_input(net, {6});
     ub_keras_layer_normalization(net, .epsilon = 1e-5, .no_scale = true))
CASE(keras_group_normalization, ub_keras_input(net, {5, 4, 6});
     ub_keras_group_normalization(net, 3))
CASE(keras_group_normalization_each, ub_keras_input(net, {5, 6});
     ub_keras_group_normalization(net, -1, .no_center = true))
CASE(keras_relu, ub_keras_input(net, {7}); ub_keras_relu(net))
CASE(keras_leaky_relu, ub_keras_input(net, {7}); ub_keras_leaky_relu(net))
CASE(keras_leaky_relu_slope, ub_keras_input(net, {7}); ub_keras_leaky_relu(net, 0.1))
CASE(keras_elu, ub_keras_input(net, {7}); ub_keras_elu(net, 0.7))
CASE(keras_prelu, ub_keras_input(net, {3, 4}); ub_keras_prelu(net))
CASE(keras_softmax, ub_keras_input(net, {3, 4}); ub_keras_softmax(net, 1))
CASE(
    keras_activations, ub_keras_input(net, {40});
    const char *const names[] = {"linear",      "relu",        "relu6",        "leaky_relu",
                                 "elu",         "selu",        "celu",         "gelu",
                                 "silu",        "swish",       "mish",         "softplus",
                                 "softsign",    "sigmoid",     "hard_sigmoid", "hard_silu",
                                 "hard_swish",  "tanh",        "hard_tanh",    "exponential",
                                 "softmax",     "log_softmax", "log_sigmoid",  "tanh_shrink",
                                 "soft_shrink", "hard_shrink"};
    const ub_nn_value x = ub_nn_last(net); ub_nn_value y = x;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const ub_nn_value z = ub_keras_activation(x, names[i]);
        y = i == 0 ? z : ub_keras_concatenate({y, z});
    })
CASE(keras_dropout, ub_keras_input(net, {7}); ub_keras_dropout(net, 0.4))
CASE(keras_flatten, ub_keras_input(net, {3, 4, 2}); ub_keras_flatten(net))
CASE(keras_reshape, ub_keras_input(net, {3, 4, 2}); ub_keras_reshape(net, {6, -1}))
CASE(keras_embedding, ub_keras_input(net, {5}, .dtype = "int32"); ub_keras_embedding(net, 11, 4))
CASE(keras_lstm, ub_keras_input(net, {6, 3}); ub_keras_lstm(net, 4))
CASE(keras_lstm_sequences, ub_keras_input(net, {6, 3});
     ub_nn_value x = ub_keras_lstm(net, 4, .return_sequences = true, .return_state = true);
     ub_nn_output(x); ub_nn_output(ub_nn_other(x, 1)); ub_nn_output(ub_nn_other(x, 2)))
CASE(keras_lstm_backwards, ub_keras_input(net, {6, 3});
     ub_keras_lstm(net, 4, .go_backwards = true, .return_sequences = true, .no_bias = true))
CASE(keras_gru, ub_keras_input(net, {6, 3}); ub_keras_gru(net, 4))
CASE(keras_gru_sequences, ub_keras_input(net, {-1, 3});
     ub_keras_gru(net, 4, .return_sequences = true))
CASE(keras_gru_backwards, ub_keras_input(net, {6, 3});
     ub_keras_gru(net, 4, .go_backwards = true, .no_bias = true))
CASE(keras_attention, ub_keras_input(net, {5, 6}); ub_keras_multi_head_attention(net, 2, 3))
CASE(keras_attention_cross, ub_nn_value q = ub_keras_input(net, {5, 6});
     ub_nn_value v = ub_keras_input(net, {7, 4}); ub_nn_value k = ub_keras_input(net, {7, 3});
     ub_keras_multi_head_attention(q, 2, 3, 5, .value = v, .key = k))
CASE(keras_attention_plain, ub_nn_value q = ub_keras_input(net, {5, 6});
     ub_nn_value v = ub_keras_input(net, {7, 4});
     ub_keras_multi_head_attention(q, 3, 2, .value = v, .no_bias = true))
CASE(keras_add, ub_nn_value x = ub_keras_input(net, {5, 6});
     ub_nn_value y = ub_keras_input(net, {5, 6}); ub_keras_add({x, y, x}))
CASE(keras_concatenate, ub_nn_value x = ub_keras_input(net, {5, 6});
     ub_nn_value y = ub_keras_input(net, {4, 6}); ub_keras_concatenate({x, y, x}, .axis = 1))
CASE(keras_network, ub_keras_input(net, {28, 28, 1});
     ub_keras_conv2d(net, 8, {3, 3}, .activation = "relu"); ub_keras_max_pooling2d(net);
     ub_keras_conv2d(net, 8, {3, 3}, .activation = "relu"); ub_keras_batch_normalization(net);
     ub_keras_flatten(net); ub_keras_dropout(net, 0.5); ub_keras_dense(net, 16);
     ub_keras_dense(net, 10, .activation = "softmax"))
CASE(keras_residual, ub_nn_value x = ub_keras_input(net, {12, 12, 3});
     x = ub_keras_conv2d(x, 6, {3}, .padding = "same");
     ub_nn_value y = ub_keras_conv2d(x, 6, {3}, .padding = "same", .activation = "relu");
     x = ub_keras_relu(ub_keras_add({x, y})); ub_keras_global_average_pooling2d(x))

/* ---- PyTorch ----------------------------------------------------------------------------------
 */

CASE(torch_conv2d, ub_torch_input(net, {3, 9, 8}); ub_torch_conv2d(net, 3, 4, {3}))
CASE(torch_conv2d_stride, ub_torch_input(net, {3, 9, 8});
     ub_torch_conv2d(net, 3, 4, {3, 2}, .stride = {2}, .padding = {1, UB_NN_ZERO}))
CASE(torch_conv2d_same, ub_torch_input(net, {3, 9, 8});
     ub_torch_conv2d(net, 3, 4, {4, 3}, .same = true, .no_bias = true))
CASE(torch_conv2d_groups, ub_torch_input(net, {4, 9, 8});
     ub_torch_conv2d(net, 4, 8, {3}, .groups = 4, .dilation = {2}, .padding = {2}))
CASE(torch_conv1d, ub_torch_input(net, {3, 11}); ub_torch_conv1d(net, 3, 5, {3}, {2}, {1}))
CASE(torch_conv3d, ub_torch_input(net, {2, 5, 6, 7});
     ub_torch_conv3d(net, 2, 3, {2, 3, 2}, .padding = {1}))
CASE(torch_conv_transpose2d, ub_torch_input(net, {3, 5, 4});
     ub_torch_conv_transpose2d(net, 3, 4, {3}))
CASE(torch_conv_transpose2d_stride, ub_torch_input(net, {4, 5, 4});
     ub_torch_conv_transpose2d(net, 4, 6, {3}, {2}, {1}, .output_padding = {1}, .groups = 2))
CASE(torch_conv_transpose1d, ub_torch_input(net, {3, 5});
     ub_torch_conv_transpose1d(net, 3, 4, {4}, {3}, .dilation = {2}, .no_bias = true))
CASE(torch_conv_transpose3d, ub_torch_input(net, {2, 3, 4, 2});
     ub_torch_conv_transpose3d(net, 2, 3, {2}, {2}))
CASE(torch_linear, ub_torch_input(net, {7}); ub_torch_linear(net, 7, 5))
CASE(torch_linear_3d, ub_torch_input(net, {4, 7}); ub_torch_linear(net, 7, 5))
CASE(torch_linear_plain, ub_torch_input(net, {4, 7}); ub_torch_linear(net, 7, 5, .no_bias = true))
CASE(torch_max_pool2d, ub_torch_input(net, {3, 9, 8}); ub_torch_max_pool2d(net, {2}))
CASE(torch_max_pool2d_ceil, ub_torch_input(net, {3, 9, 8});
     ub_torch_max_pool2d(net, {3}, {2}, {1}, .ceil_mode = true))
CASE(torch_max_pool2d_dilated, ub_torch_input(net, {3, 9, 8});
     ub_torch_max_pool2d(net, {2, 3}, .stride = {1}, .dilation = {2}))
CASE(torch_avg_pool2d, ub_torch_input(net, {3, 9, 8});
     ub_torch_avg_pool2d(net, {3}, .stride = {2}, .padding = {1}))
CASE(torch_avg_pool2d_exclude, ub_torch_input(net, {3, 9, 8});
     ub_torch_avg_pool2d(net, {3}, {2}, {1}, .exclude_pad = true))
CASE(torch_avg_pool2d_ceil, ub_torch_input(net, {3, 10, 8});
     ub_torch_avg_pool2d(net, {3}, {2}, {1}, .ceil_mode = true))
CASE(torch_max_pool1d, ub_torch_input(net, {3, 9}); ub_torch_max_pool1d(net, {3}))
CASE(torch_avg_pool1d, ub_torch_input(net, {3, 9}); ub_torch_avg_pool1d(net, {2}))
CASE(torch_max_pool3d, ub_torch_input(net, {2, 4, 5, 6}); ub_torch_max_pool3d(net, {2, 1, 2}))
CASE(torch_avg_pool3d, ub_torch_input(net, {2, 4, 5, 6}); ub_torch_avg_pool3d(net, {2}))
CASE(torch_adaptive_avg_pool1d, ub_torch_input(net, {3, 9}); ub_torch_adaptive_avg_pool1d(net, {3}))
CASE(torch_adaptive_avg_pool2d, ub_torch_input(net, {3, 9, 8});
     ub_torch_adaptive_avg_pool2d(net, {1}))
CASE(torch_adaptive_avg_pool2d_many, ub_torch_input(net, {3, 9, 8});
     ub_torch_adaptive_avg_pool2d(net, {3, 2}))
CASE(torch_adaptive_avg_pool3d, ub_torch_input(net, {2, 4, 5, 6});
     ub_torch_adaptive_avg_pool3d(net, {1}))
CASE(torch_adaptive_max_pool1d, ub_torch_input(net, {3, 9}); ub_torch_adaptive_max_pool1d(net, {1}))
CASE(torch_adaptive_max_pool2d, ub_torch_input(net, {3, 9, 8});
     ub_torch_adaptive_max_pool2d(net, {3, 4}))
CASE(torch_adaptive_max_pool3d, ub_torch_input(net, {2, 4, 5, 6});
     ub_torch_adaptive_max_pool3d(net, {2, 5, 3}))
CASE(torch_batch_norm1d, ub_torch_input(net, {6}); ub_torch_batch_norm1d(net, 6))
CASE(torch_batch_norm1d_3d, ub_torch_input(net, {6, 4}); ub_torch_batch_norm1d(net, 6, .eps = 0.1))
CASE(torch_batch_norm2d, ub_torch_input(net, {3, 5, 4}); ub_torch_batch_norm2d(net, 3))
CASE(torch_batch_norm2d_plain, ub_torch_input(net, {3, 5, 4});
     ub_torch_batch_norm2d(net, 3, .no_affine = true))
CASE(torch_batch_norm3d, ub_torch_input(net, {3, 2, 5, 4}); ub_torch_batch_norm3d(net, 3))
CASE(torch_group_norm, ub_torch_input(net, {6, 5, 4}); ub_torch_group_norm(net, 3, 6))
CASE(torch_group_norm_plain, ub_torch_input(net, {6, 5});
     ub_torch_group_norm(net, 2, 6, .no_affine = true))
CASE(torch_layer_norm, ub_torch_input(net, {5, 4}); ub_torch_layer_norm(net, {4}))
CASE(torch_layer_norm_2, ub_torch_input(net, {3, 5, 4});
     ub_torch_layer_norm(net, {5, 4}, .eps = 0.01))
CASE(torch_layer_norm_plain, ub_torch_input(net, {3, 5, 4});
     ub_torch_layer_norm(net, {5, 4}, .no_affine = true))
CASE(torch_relu, ub_torch_input(net, {7}); ub_torch_relu(net))
CASE(torch_relu6, ub_torch_input(net, {7}); ub_torch_relu6(net))
CASE(torch_leaky_relu, ub_torch_input(net, {7}); ub_torch_leaky_relu(net))
CASE(torch_leaky_relu_slope, ub_torch_input(net, {7}); ub_torch_leaky_relu(net, 0.2))
CASE(torch_prelu, ub_torch_input(net, {3, 4}); ub_torch_prelu(net))
CASE(torch_elu, ub_torch_input(net, {7}); ub_torch_elu(net))
CASE(torch_gelu, ub_torch_input(net, {7}); ub_torch_gelu(net))
CASE(torch_gelu_tanh, ub_torch_input(net, {7}); ub_torch_gelu(net, "tanh"))
CASE(torch_silu, ub_torch_input(net, {7}); ub_torch_silu(net))
CASE(torch_mish, ub_torch_input(net, {7}); ub_torch_mish(net))
CASE(torch_sigmoid, ub_torch_input(net, {7}); ub_torch_sigmoid(net))
CASE(torch_hardsigmoid, ub_torch_input(net, {7}); ub_torch_hardsigmoid(net))
CASE(torch_hardswish, ub_torch_input(net, {7}); ub_torch_hardswish(net))
CASE(torch_tanh, ub_torch_input(net, {7}); ub_torch_tanh(net))
CASE(torch_hardtanh, ub_torch_input(net, {7}); ub_torch_hardtanh(net))
CASE(torch_softplus, ub_torch_input(net, {7}); ub_torch_softplus(net))
CASE(torch_softsign, ub_torch_input(net, {7}); ub_torch_softsign(net))
CASE(torch_softmax, ub_torch_input(net, {3, 7}); ub_torch_softmax(net, 1))
CASE(torch_log_softmax, ub_torch_input(net, {3, 7}); ub_torch_log_softmax(net))
CASE(torch_dropout, ub_torch_input(net, {7}); ub_torch_dropout(net, 0.4))
CASE(torch_flatten, ub_torch_input(net, {3, 4, 2}); ub_torch_flatten(net))
CASE(torch_flatten_some, ub_torch_input(net, {3, 4, 2, 5}); ub_torch_flatten(net, 2, 3))
CASE(torch_unflatten, ub_torch_input(net, {12, 5}); ub_torch_unflatten(net, 1, {3, -1}))
CASE(torch_reshape, ub_torch_input(net, {12, 5}); ub_torch_reshape(net, {5, -1, 3}))
CASE(torch_embedding, ub_torch_input(net, {5}, .dtype = "int64"); ub_torch_embedding(net, 11, 4))
CASE(torch_lstm, ub_torch_input(net, {6, 3}, .batch_axis = 1);
     ub_nn_value x = ub_torch_lstm(net, 3, 4); ub_nn_output(x); ub_nn_output(ub_nn_other(x, 1));
     ub_nn_output(ub_nn_other(x, 2)))
CASE(torch_lstm_stack, ub_torch_input(net, {6, 3});
     ub_nn_value x = ub_torch_lstm(net, 3, 4, 2, .batch_first = true, .bidirectional = true);
     ub_nn_output(x); ub_nn_output(ub_nn_other(x, 1)); ub_nn_output(ub_nn_other(x, 2)))
CASE(torch_gru, ub_torch_input(net, {-1, 3}, .batch_axis = 1);
     ub_nn_value x = ub_torch_gru(net, 3, 4, .bidirectional = true); ub_nn_output(x);
     ub_nn_output(ub_nn_other(x, 1)))
CASE(torch_gru_stack, ub_torch_input(net, {6, 3});
     ub_nn_value x = ub_torch_gru(net, 3, 4, 3, .batch_first = true, .no_bias = true);
     ub_nn_output(x); ub_nn_output(ub_nn_other(x, 1)))
CASE(torch_attention, ub_torch_input(net, {5, 6});
     ub_nn_value x = ub_torch_multihead_attention(net, 6, 2, .batch_first = true); ub_nn_output(x);
     ub_nn_output(ub_nn_other(x, 1)))
CASE(torch_attention_cross, ub_nn_value q = ub_torch_input(net, {5, 6}, .batch_axis = 1);
     ub_nn_value k = ub_torch_input(net, {7, 6}, .batch_axis = 1);
     ub_nn_value v = ub_torch_input(net, {7, 6}, .batch_axis = 1);
     ub_nn_value x = ub_torch_multihead_attention(q, 6, 3, .key = k, .value = v, .no_bias = true);
     ub_nn_output(x); ub_nn_output(ub_nn_other(x, 1)))
CASE(torch_add, ub_nn_value x = ub_torch_input(net, {5, 6});
     ub_nn_value y = ub_torch_input(net, {1, 6}); ub_torch_add({x, y}))
CASE(torch_cat, ub_nn_value x = ub_torch_input(net, {5, 6});
     ub_nn_value y = ub_torch_input(net, {4, 6}); ub_torch_cat({x, y}, .axis = 1))
CASE(torch_network, ub_torch_input(net, {1, 28, 28}); ub_torch_conv2d(net, 1, 8, {3});
     ub_torch_relu(net); ub_torch_max_pool2d(net, {2}); ub_nn_begin(net, "torch.Sequential", NULL);
     ub_torch_conv2d(net, 8, 8, {3}, .padding = {1}); ub_torch_batch_norm2d(net, 8); ub_nn_end(net);
     ub_torch_flatten(net); ub_torch_dropout(net, 0.5); ub_torch_linear(net, 8 * 13 * 13, 10))
