/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of layer classes: which builder, and whether a mask passes.
 */
#include "load/keras.h"

#include <string.h>

static const struct {
    const char *type;
    ubp_keras_builder build;
    bool masks; /* Keras' supports_masking: the mask of the input is that of the output */
} layers[] = {
    {"Dense", ubp_keras_dense, true},
    {"EinsumDense", ubp_keras_einsum_dense, false},
    {"CustomScaleLayer", ubp_keras_custom_scale, false},
    {"LayerScale", ubp_keras_layer_scale, false},
    {"Embedding", ubp_keras_embedding, false},
    {"Masking", ubp_keras_masking, false},
    {"Conv1D", ubp_keras_conv, false},
    {"Conv2D", ubp_keras_conv, false},
    {"Conv3D", ubp_keras_conv, false},
    {"Convolution1D", ubp_keras_conv, false},
    {"Convolution2D", ubp_keras_conv, false},
    {"Convolution3D", ubp_keras_conv, false},
    {"DepthwiseConv1D", ubp_keras_depthwise_conv, false},
    {"DepthwiseConv2D", ubp_keras_depthwise_conv, false},
    {"SeparableConv1D", ubp_keras_separable_conv, false},
    {"SeparableConv2D", ubp_keras_separable_conv, false},
    {"Conv1DTranspose", ubp_keras_conv_transpose, false},
    {"Conv2DTranspose", ubp_keras_conv_transpose, false},
    {"Conv3DTranspose", ubp_keras_conv_transpose, false},
    {"MaxPooling1D", ubp_keras_max_pooling, false},
    {"MaxPooling2D", ubp_keras_max_pooling, false},
    {"MaxPooling3D", ubp_keras_max_pooling, false},
    {"AveragePooling1D", ubp_keras_average_pooling, false},
    {"AveragePooling2D", ubp_keras_average_pooling, false},
    {"AveragePooling3D", ubp_keras_average_pooling, false},
    {"GlobalMaxPooling1D", ubp_keras_global_max, false},
    {"GlobalMaxPooling2D", ubp_keras_global_max, false},
    {"GlobalMaxPooling3D", ubp_keras_global_max, false},
    {"GlobalAveragePooling1D", ubp_keras_global_average_1d, false},
    {"GlobalAveragePooling2D", ubp_keras_global_average, false},
    {"GlobalAveragePooling3D", ubp_keras_global_average, false},
    {"AdaptiveMaxPooling1D", ubp_keras_adaptive_max, false},
    {"AdaptiveMaxPooling2D", ubp_keras_adaptive_max, false},
    {"AdaptiveMaxPooling3D", ubp_keras_adaptive_max, false},
    {"AdaptiveAveragePooling1D", ubp_keras_adaptive_average, false},
    {"AdaptiveAveragePooling2D", ubp_keras_adaptive_average, false},
    {"AdaptiveAveragePooling3D", ubp_keras_adaptive_average, false},
    {"BatchNormalization", ubp_keras_batch_normalization, true},
    {"LayerNormalization", ubp_keras_layer_normalization, true},
    {"GroupNormalization", ubp_keras_group_normalization, true},
    {"RMSNormalization", ubp_keras_rms_normalization, false},
    {"UnitNormalization", ubp_keras_unit_normalization, true},
    {"SpectralNormalization", ubp_keras_wrapper, false},
    {"Normalization", ubp_keras_normalization, true},
    {"Rescaling", ubp_keras_rescaling, true},
    {"Resizing", ubp_keras_resizing, false},
    {"CenterCrop", ubp_keras_center_crop, false},
    {"LSTM", ubp_keras_recurrent, false},
    {"GRU", ubp_keras_recurrent, false},
    {"SimpleRNN", ubp_keras_recurrent, false},
    {"RNN", ubp_keras_recurrent, false},
    {"Bidirectional", ubp_keras_bidirectional, false},
    {"TimeDistributed", ubp_keras_time_distributed, true},
    {"MultiHeadAttention", ubp_keras_multi_head_attention, false},
    {"GroupedQueryAttention", ubp_keras_grouped_query_attention, false},
    {"GroupQueryAttention", ubp_keras_grouped_query_attention, false},
    {"Attention", ubp_keras_attention, false},
    {"AdditiveAttention", ubp_keras_additive_attention, false},
    {"Add", ubp_keras_add, false},
    {"Subtract", ubp_keras_subtract, false},
    {"Multiply", ubp_keras_multiply, false},
    {"Average", ubp_keras_add, false},
    {"Maximum", ubp_keras_maximum, false},
    {"Minimum", ubp_keras_minimum, false},
    {"Concatenate", ubp_keras_concatenate, false},
    {"Dot", ubp_keras_dot, false},
    {"Flatten", ubp_keras_flatten, false},
    {"Reshape", ubp_keras_reshape, false},
    {"Permute", ubp_keras_permute, false},
    {"RepeatVector", ubp_keras_repeat_vector, false},
    {"Cropping1D", ubp_keras_cropping, false},
    {"Cropping2D", ubp_keras_cropping, false},
    {"Cropping3D", ubp_keras_cropping, false},
    {"ZeroPadding1D", ubp_keras_zero_padding, false},
    {"ZeroPadding2D", ubp_keras_zero_padding, false},
    {"ZeroPadding3D", ubp_keras_zero_padding, false},
    {"UpSampling1D", ubp_keras_up_sampling, false},
    {"UpSampling2D", ubp_keras_up_sampling, false},
    {"UpSampling3D", ubp_keras_up_sampling, false},
    {"Activation", ubp_keras_activation_layer, true},
    {"ReLU", ubp_keras_relu_layer, true},
    {"LeakyReLU", ubp_keras_leaky_relu_layer, true},
    {"ThresholdedReLU", ubp_keras_thresholded_relu_layer, true},
    {"PReLU", ubp_keras_prelu_layer, true},
    {"ELU", ubp_keras_elu_layer, true},
    {"Softmax", ubp_keras_softmax_layer, true},
    {"Identity", ubp_keras_nothing, true},
    {"Dropout", ubp_keras_nothing, true},
    {"SpatialDropout1D", ubp_keras_nothing, true},
    {"SpatialDropout2D", ubp_keras_nothing, true},
    {"SpatialDropout3D", ubp_keras_nothing, true},
    {"AlphaDropout", ubp_keras_nothing, true},
    {"GaussianDropout", ubp_keras_nothing, true},
    {"GaussianNoise", ubp_keras_nothing, true},
    {"ActivityRegularization", ubp_keras_nothing, true},
    {"RandomBrightness", ubp_keras_nothing, false},
    {"RandomColorDegeneration", ubp_keras_nothing, false},
    {"RandomColorJitter", ubp_keras_nothing, false},
    {"RandomContrast", ubp_keras_nothing, false},
    {"RandomElasticTransform", ubp_keras_nothing, false},
    {"RandomErasing", ubp_keras_nothing, false},
    {"RandomFlip", ubp_keras_nothing, false},
    {"RandomGaussianBlur", ubp_keras_nothing, false},
    {"RandomGrayscale", ubp_keras_nothing, false},
    {"RandomHeight", ubp_keras_nothing, false},
    {"RandomHue", ubp_keras_nothing, false},
    {"RandomInvert", ubp_keras_nothing, false},
    {"RandomPerspective", ubp_keras_nothing, false},
    {"RandomPosterization", ubp_keras_nothing, false},
    {"RandomRotation", ubp_keras_nothing, false},
    {"RandomSaturation", ubp_keras_nothing, false},
    {"RandomSharpness", ubp_keras_nothing, false},
    {"RandomShear", ubp_keras_nothing, false},
    {"RandomTranslation", ubp_keras_nothing, false},
    {"RandomWidth", ubp_keras_nothing, false},
    {"RandomZoom", ubp_keras_nothing, false},
    {"AugMix", ubp_keras_nothing, false},
    {"CutMix", ubp_keras_nothing, false},
    {"MixUp", ubp_keras_nothing, false},
    {"RandAugment", ubp_keras_nothing, false},
};

ubp_keras_builder ubp_keras_find_layer(const char *type)
{
    for (int i = 0; i < UBP_COUNT(layers); i++)
        if (strcmp(layers[i].type, type) == 0)
            return layers[i].build;
    return NULL;
}

bool ubp_keras_passes_mask(const char *type)
{
    for (int i = 0; i < UBP_COUNT(layers); i++)
        if (strcmp(layers[i].type, type) == 0)
            return layers[i].masks;
    return false;
}
