# SPDX-License-Identifier: Apache-2.0
"""Small random models that together have every layer the loader knows, with many arguments.

CASES: name -> (inputs, build). inputs: shapes without the batch, or (shape, highest integer) for
whole numbers; build: tensors -> outputs of a Functional model, or None and a list for Sequential."""
import itertools

import keras
from keras import layers as L
from keras import ops

CASES = {}
ACTIVATIONS = """linear relu relu6 leaky_relu elu selu celu gelu silu swish mish softplus softsign
    sigmoid hard_sigmoid hard_silu hard_swish tanh hard_tanh exponential softmax log_softmax
    log_sigmoid squareplus tanh_shrink soft_shrink hard_shrink sparse_plus sparse_sigmoid sparsemax
    glu""".split()


def case(*inputs):
    def add(build):
        CASES[build.__name__] = (inputs, build)
        return build
    return add


def each(x, layers):
    """Every layer on the same tensor."""
    return [layer(x) for layer in layers]


# ---- Features ------------------------------------------------------------------------------------

@case((6,))
def dense(x):
    return each(x, [L.Dense(4), L.Dense(3, use_bias=False), L.Dense(5, activation=L.LeakyReLU(0.3))])


@case((3, 4, 6))
def dense_wide(x):
    return each(x, [L.Dense(4, activation="relu"), L.Dense(3, use_bias=False)])


@case((8,))
def activations(x):
    x = x * 2.0
    return [L.Dense(6, activation=a)(x) for a in ACTIVATIONS] + [L.Activation(a)(x) for a in ACTIVATIONS]


@case((5, 4))
def activation_layers(x):
    return each(x, [L.ReLU(), L.ReLU(max_value=1.0), L.ReLU(negative_slope=0.1),
                    L.ReLU(threshold=0.5), L.ReLU(max_value=1.0, negative_slope=0.2, threshold=0.1),
                    L.LeakyReLU(), L.LeakyReLU(negative_slope=0.05), L.PReLU(),
                    L.PReLU(shared_axes=[1]), L.ELU(), L.ELU(alpha=0.5), L.Softmax(),
                    L.Softmax(axis=1), L.Softmax(axis=[1, 2])])


@case((5, 4))
def einsum_dense(x):
    return each(x, [L.EinsumDense("abc,cd->abd", output_shape=(None, 7), bias_axes="d"),
                    L.EinsumDense("...x,xy->...y", output_shape=6, bias_axes="y", activation="tanh"),
                    L.EinsumDense("abc,bd->adc", output_shape=(3, 4)),
                    L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de")])


@case(((6,), 9))
def embedding(x):
    y = L.Embedding(9, 5)(x)
    z = L.Embedding(9, 3, mask_zero=True)(x)
    return [y, z, L.GlobalAveragePooling1D()(z), L.Dense(2)(z)]


@case((6,))
def inference_only(x):
    for layer in (L.Dropout(0.5), L.GaussianNoise(0.1), L.GaussianDropout(0.2), L.AlphaDropout(0.2),
                  L.ActivityRegularization(l2=0.1), L.Identity(), L.Dense(4)):
        x = layer(x)
    return x


@case((6, 6, 3))
def image_augmentation(x):
    for layer in (L.SpatialDropout2D(0.2), L.RandomFlip(), L.RandomRotation(0.2), L.RandomZoom(0.1),
                  L.RandomTranslation(0.1, 0.1), L.RandomContrast(0.1), L.RandomBrightness(0.1),
                  L.Conv2D(2, 3)):
        x = layer(x)
    return x


# ---- Convolutions --------------------------------------------------------------------------------

@case((13, 4))
def conv1d(x):
    return each(x, [L.Conv1D(3, k, strides=s, padding=p, activation="relu")
                    for k, s, p in itertools.product((1, 2, 3), (1, 2), ("valid", "same", "causal"))] +
                [L.Conv1D(4, 3, dilation_rate=2, padding=p, groups=2)
                 for p in ("valid", "same", "causal")])


@case((11, 12, 4))
def conv2d(x):
    return each(x, [L.Conv2D(3, k, strides=s, padding=p)
                    for k, s, p in itertools.product((1, 3, (2, 4)), (1, 2, 3), ("valid", "same"))] +
                [L.Conv2D(6, 3, dilation_rate=(2, 1), padding="same", groups=2, use_bias=False)])


@case((5, 6, 7, 2))
def conv3d(x):
    return each(x, [L.Conv3D(3, 2, strides=s, padding=p, activation="tanh")
                    for s, p in itertools.product((1, 2), ("valid", "same"))])


@case((4, 9, 10))
def channels_first(x):
    # Keras on PyTorch runs these; on TensorFlow without a GPU they do not run.
    f = dict(data_format="channels_first")
    y = L.Conv2D(3, 3, strides=2, padding="same", **f)(x)
    return [y, L.DepthwiseConv2D(3, **f)(x), L.SeparableConv2D(3, 2, **f)(x), L.Conv2DTranspose(3, 3, strides=2, padding="same", **f)(x),
            L.MaxPooling2D(2, **f)(x), L.AveragePooling2D(2, strides=2, **f)(x),
            L.GlobalAveragePooling2D(**f)(y), L.GlobalMaxPooling2D(keepdims=True, **f)(y),
            L.ZeroPadding2D(((1, 2), (0, 3)), **f)(x), L.Cropping2D(((1, 2), (0, 3)), **f)(x),
            L.UpSampling2D(2, **f)(x), L.Flatten(**f)(x), L.BatchNormalization(axis=1)(y)]


@case((10, 4))
def depthwise_1d(x):
    return each(x, [L.DepthwiseConv1D(3, strides=s, padding=p, depth_multiplier=m)
                    for s, p, m in itertools.product((1, 2), ("valid", "same"), (1, 2))] +
                [L.SeparableConv1D(5, 3, strides=2, padding="same", depth_multiplier=2),
                 L.SeparableConv1D(5, 3, dilation_rate=2, activation="relu")])


@case((9, 10, 4))
def depthwise_2d(x):
    return each(x, [L.DepthwiseConv2D(3, strides=s, padding=p, depth_multiplier=m)
                    for s, p, m in itertools.product((1, 2), ("valid", "same"), (1, 3))] +
                [L.DepthwiseConv2D(3, dilation_rate=2, use_bias=False),
                 L.SeparableConv2D(5, 3, strides=2, padding="same", depth_multiplier=2),
                 L.SeparableConv2D(5, (2, 3), use_bias=False, activation="relu")])


@case((7, 3))
def transpose_1d(x):
    return each(x, [L.Conv1DTranspose(4, k, strides=s, padding=p)
                    for k, s, p in itertools.product((1, 2, 3, 4), (1, 2, 3), ("valid", "same"))])


@case((5, 6, 3))
def transpose_2d(x):
    return each(x, [L.Conv2DTranspose(4, k, strides=s, padding=p, activation="relu")
                    for k, s, p in itertools.product((2, 3, (1, 4)), (1, 2, 3), ("valid", "same"))] +
                [L.Conv2DTranspose(2, 3, strides=2, padding=p, output_padding=1)
                 for p in ("valid", "same")] +
                [L.Conv2DTranspose(2, 3, dilation_rate=2, padding="same", use_bias=False)])


@case((3, 4, 5, 2))
def transpose_3d(x):
    return each(x, [L.Conv3DTranspose(2, 3, strides=s, padding=p)
                    for s, p in itertools.product((1, 2), ("valid", "same"))])


# ---- Pooling -------------------------------------------------------------------------------------
# Where "same" pads one side alone, Keras on PyTorch repeats the border in average pooling; the other
# backends leave the padding out, and so do we. Sizes here pad both sides alike.

@case((9, 4))
def pool_1d(x):
    return each(x, [L.MaxPooling1D(n, strides=s, padding=p)
                    for n, s, p in itertools.product((2, 3), (None, 1, 2), ("valid", "same"))] +
                [L.AveragePooling1D(n, strides=s, padding="valid")
                 for n, s in itertools.product((2, 3), (None, 1, 2))] +
                [L.AveragePooling1D(3, strides=s, padding="same") for s in (None, 1, 2)] +
                [L.GlobalMaxPooling1D(), L.GlobalAveragePooling1D(keepdims=True)])


@case((11, 10, 3))
def pool_2d(x):
    return each(x, [L.MaxPooling2D(n, strides=s, padding=p)
                    for n, s, p in itertools.product((2, (3, 2)), (None, 1, 3), ("valid", "same"))] +
                [L.AveragePooling2D(n, strides=s) for n, s in itertools.product((2, (3, 2)), (None, 1, 3))] +
                [L.AveragePooling2D((3, 5), strides=1, padding="same")] +
                [L.GlobalMaxPooling2D(keepdims=True), L.GlobalAveragePooling2D()])


@case((5, 6, 7, 2))
def pool_3d(x):
    return each(x, [L.MaxPooling3D(2, strides=s, padding=p)
                    for s, p in itertools.product((None, 1), ("valid", "same"))] +
                [L.AveragePooling3D(2), L.AveragePooling3D(3, strides=1, padding="same")] +
                [L.GlobalMaxPooling3D(), L.GlobalAveragePooling3D()])


@case((11, 10, 3))
def pool_adaptively(x):
    return each(x, [L.AdaptiveAveragePooling2D((4, 3)), L.AdaptiveMaxPooling2D(5),
                    L.AdaptiveAveragePooling2D(1)])


@case((11, 3))
def pool_adaptively_1d(x):
    return each(x, [L.AdaptiveAveragePooling1D(4), L.AdaptiveMaxPooling1D(3)])


# ---- Normalisation -------------------------------------------------------------------------------

@case((6, 8))
def norms(x):
    return each(x, [L.BatchNormalization(), L.BatchNormalization(axis=1, epsilon=0.01),
                    L.BatchNormalization(scale=False), L.BatchNormalization(center=False),
                    L.BatchNormalization(scale=False, center=False), L.LayerNormalization(),
                    L.LayerNormalization(axis=[1, 2], epsilon=1e-5),
                    L.LayerNormalization(scale=False), L.LayerNormalization(center=False),
                    L.LayerNormalization(scale=False, center=False),
                    L.RMSNormalization(), L.RMSNormalization(axis=[1, 2]),
                    L.GroupNormalization(4), L.GroupNormalization(-1), L.GroupNormalization(1),
                    L.GroupNormalization(3, axis=1), L.GroupNormalization(2, scale=False),
                    L.GroupNormalization(2, center=False, scale=False), L.UnitNormalization(),
                    L.UnitNormalization(axis=1), L.UnitNormalization(axis=[1, 2])])


@case((8,))
def norms_flat(x):
    return each(x, [L.BatchNormalization(), L.LayerNormalization(), L.GroupNormalization(4),
                    L.UnitNormalization(), L.SpectralNormalization(L.Dense(3))])


@case((4, 5, 6))
def norms_image(x):
    return each(x, [L.BatchNormalization(), L.BatchNormalization(axis=2), L.GroupNormalization(3),
                    L.LayerNormalization(axis=[1, 3]),
                    L.SpectralNormalization(L.Conv2D(3, 2))])


@case((4, 3))
def preprocessing(x):
    return each(x, [L.Normalization(), L.Normalization(axis=1), L.Normalization(axis=None),
                    L.Normalization(axis=-1, mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 0.5]),
                    L.Normalization(axis=None, mean=0.5, variance=2.0),
                    L.Normalization(axis=-1, mean=0.5, variance=2.0, invert=True),
                    L.Rescaling(0.5), L.Rescaling(2.0, offset=-1.0),
                    L.Rescaling([1.0, 2.0, 3.0], offset=[0.1, 0.2, 0.3])])


@case((9, 12, 3))
def pictures(x):
    return each(x, [L.Resizing(5, 7), L.Resizing(18, 20), L.Resizing(5, 7, interpolation="nearest"),
                    L.Resizing(5, 5, crop_to_aspect_ratio=True), L.CenterCrop(4, 5),
                    L.CenterCrop(7, 12), L.CenterCrop(12, 6), L.UpSampling2D((2, 3)),
                    L.UpSampling2D(2, interpolation="bilinear")])


# ---- Shapes --------------------------------------------------------------------------------------

@case((6, 4))
def shapes_1d(x):
    return each(x, [L.Flatten(), L.Reshape((4, 6)), L.Reshape((-1, 3)), L.Reshape((2, 3, 4)),
                    L.Permute((2, 1)), L.Cropping1D(1), L.Cropping1D((0, 2)), L.ZeroPadding1D(2),
                    L.ZeroPadding1D((1, 0)), L.UpSampling1D(3)])


@case((5,))
def shapes_flat(x):
    return each(x, [L.Flatten(), L.RepeatVector(3), L.Reshape((5, 1))])


@case((6, 7, 3))
def shapes_2d(x):
    return each(x, [L.Flatten(), L.Permute((3, 1, 2)), L.Cropping2D(1), L.Cropping2D((1, 2)),
                    L.Cropping2D(((0, 2), (1, 0))), L.ZeroPadding2D(1), L.ZeroPadding2D((2, 1)),
                    L.ZeroPadding2D(((0, 2), (1, 0)))])


@case((4, 5, 6, 2))
def shapes_3d(x):
    return each(x, [L.Cropping3D(1), L.Cropping3D(((0, 1), (1, 0), (2, 1))), L.ZeroPadding3D((1, 2, 0)),
                    L.UpSampling3D((1, 2, 3)), L.Permute((4, 2, 1, 3))])


# ---- Merging -------------------------------------------------------------------------------------

@case((4, 6), (4, 6), (4, 6))
def merging(a, b, c):
    return [k()([a, b, c]) for k in (L.Add, L.Multiply, L.Average, L.Maximum, L.Minimum)] + [
        L.Subtract()([a, b]), L.Concatenate()([a, b, c]), L.Concatenate(axis=1)([a, b, c]),
        L.Dot(axes=2)([a, b]), L.Dot(axes=(1, 1), normalize=True)([a, b]), L.Dot(axes=(2, 2))([a, c])]


@case((4, 1), (1, 6), (6,))
def merging_broadcast(a, b, c):
    return [L.Add()([a, b]), L.Multiply()([a, b, c]), L.Maximum()([b, c])]


@case((6,), (6,))
def merging_flat(a, b):
    return [L.Dot(axes=1)([a, b]), L.Dot(axes=-1, normalize=True)([a, b]), L.Add()([a, b])]


# ---- Recurrent -----------------------------------------------------------------------------------

RNNS = (L.LSTM, L.GRU, L.SimpleRNN)


@case((6, 3))
def recurrent(x):
    y = []
    for k in RNNS:
        y += each(x, [k(4), k(4, return_sequences=True), k(4, go_backwards=True),
                      k(4, return_sequences=True, go_backwards=True), k(4, use_bias=False),
                      k(4, activation="relu"), k(4, activation="softsign", return_sequences=True)])
    return y


@case((6, 3))
def recurrent_variants(x):
    return each(x, [L.GRU(4, reset_after=False), L.GRU(4, reset_after=False, use_bias=False),
                    L.LSTM(4, recurrent_activation="hard_sigmoid"), L.GRU(4, recurrent_activation="tanh"),
                    L.LSTM(4, activation="linear", unroll=True), L.RNN(L.LSTMCell(3)),
                    L.RNN(L.GRUCell(3), return_sequences=True), L.LSTM(4, dropout=0.3, recurrent_dropout=0.2)])


@case((6, 3), (4,), (4,))
def recurrent_states(x, h, c):
    a = L.LSTM(4, return_state=True, return_sequences=True)(x)
    b = L.LSTM(4, return_state=True)(x, initial_state=[h, c])
    g = L.GRU(4, return_state=True)(x, initial_state=h)
    s = L.SimpleRNN(4, return_sequences=True)(a[0], initial_state=a[1])
    return [*a, *b, *g, s]


@case((6, 3))
def bidirectional(x):
    return each(x, [L.Bidirectional(k(4, return_sequences=r), merge_mode=m)
                    for k, (r, m) in zip(itertools.cycle(RNNS), itertools.product(
                        (False, True), ("concat", "sum", "mul", "ave")))]) + [
        *L.Bidirectional(L.LSTM(3), merge_mode=None)(x),
        *L.Bidirectional(L.LSTM(3, return_state=True, return_sequences=True))(x),
        L.Bidirectional(L.GRU(3), backward_layer=L.GRU(4, go_backwards=True))(x)]


@case(((7,), 9))
def masked(x):
    e = L.Embedding(9, 4, mask_zero=True)(x)
    y = [k(3, return_sequences=s, go_backwards=b)(e) for k in RNNS for s in (False, True)
         for b in (False, True)]
    y += [L.LSTM(3, return_sequences=True, zero_output_for_mask=True)(e),
          L.Bidirectional(L.LSTM(3, return_sequences=True))(e), L.Bidirectional(L.GRU(3))(e),
          L.LSTM(2)(L.Dropout(0.5)(L.Dense(3)(e))), L.GRU(2)(L.Add()([e, L.LSTM(4, return_sequences=True)(e)])),
          L.GRU(2)(L.Concatenate()([e, e])), *L.LSTM(3, return_state=True)(e),
          L.GlobalAveragePooling1D()(e), L.LSTM(2)(L.LayerNormalization()(e))]
    return y


@case((6, 3))
def masking(x):
    m = L.Masking(mask_value=0.0)(ops.where(ops.abs(x) > 0.6, x, 0.0) * (ops.sum(x, axis=-1, keepdims=True) > 0.0))
    return [m, L.LSTM(4)(m), L.GRU(4, return_sequences=True)(m)]


@case((5, 6, 6, 2))
def time_distributed(x):
    return each(x, [L.TimeDistributed(L.Dense(3)), L.TimeDistributed(L.Conv2D(3, 3, padding="same", activation="relu")),
                    L.TimeDistributed(L.Flatten()), L.TimeDistributed(L.GlobalAveragePooling2D()),
                    L.TimeDistributed(L.BatchNormalization()), L.TimeDistributed(L.MaxPooling2D())])


# ---- Attention -----------------------------------------------------------------------------------

@case((5, 8), (7, 8))
def attention(q, v):
    return [L.Attention()([q, v]), L.Attention(use_scale=True)([q, v, v]),
            L.Attention(score_mode="concat")([q, v]), L.AdditiveAttention()([q, v]),
            L.AdditiveAttention(use_scale=False)([q, v, v]), L.Attention()([q, q], use_causal_mask=True),
            *L.Attention()([q, v], return_attention_scores=True)]


@case((5, 8), (7, 6))
def multi_head(q, v):
    return [L.MultiHeadAttention(2, 4)(q, q), L.MultiHeadAttention(3, 4, value_dim=5)(q, v),
            L.MultiHeadAttention(2, 4, use_bias=False, output_shape=7)(q, v, v),
            L.MultiHeadAttention(2, 4, dropout=0.1)(q, q, use_causal_mask=True),
            L.MultiHeadAttention(2, 4)(q, q, use_causal_mask=True),
            *L.MultiHeadAttention(2, 4)(q, v, return_attention_scores=True)]


@case((5, 8))
def grouped(q):
    return [L.GroupQueryAttention(4, 6, 3)(q, q), L.GroupQueryAttention(4, 4, 1)(q, q),
            L.GroupQueryAttention(4, 6, 6, use_bias=False)(q, q)]


@case(((7,), 9))
def masked_attention(x):
    e = L.Embedding(9, 8, mask_zero=True)(x)
    y = L.MultiHeadAttention(2, 4)(e, e)
    z = L.MultiHeadAttention(2, 4, dropout=0.1)(y, y)
    return [y, z, L.LayerNormalization()(e + y)]


@case(((7,), 9))
def masked_scores(x):
    e = L.Embedding(9, 8, mask_zero=True)(x)
    return [L.Attention()([e, e]), L.AdditiveAttention()([e, e])]


# ---- Operations on tensors -----------------------------------------------------------------------

@case((4, 6), (4, 6))
def arithmetic(a, b):
    return [a + b, a - b, a * b, a / (ops.abs(b) + 1.0), a + 1, 1 - a, 2.0 * a, 1.0 / (ops.abs(a) + 1),
            -a, a ** 2, ops.maximum(a, 0.1), ops.minimum(a, b), ops.square(a), ops.sqrt(ops.abs(a)),
            ops.exp(a), ops.log(ops.abs(a) + 1), ops.sin(a), ops.cos(a), ops.tanh(a), ops.sigmoid(a),
            ops.relu(a), ops.relu6(a), ops.silu(a), ops.softplus(a), ops.gelu(a), ops.gelu(a, approximate=False),
            ops.leaky_relu(a), ops.elu(a), ops.selu(a), ops.hard_sigmoid(a), ops.softmax(a, axis=1),
            ops.log_softmax(a), ops.clip(a, -0.5, 0.5), ops.floor(a), ops.sign(a), ops.erf(a),
            ops.rsqrt(ops.abs(a) + 1.0), ops.where(a > b, a, 0.0), ops.cast(a > b, "float32"),
            ops.cast(ops.logical_and(a > 0, b <= 0), "int32"), ops.abs(a)]


@case((4, 6))
def reductions(a):
    return [ops.mean(a, axis=1), ops.mean(a, axis=-1, keepdims=True), ops.sum(a, axis=[1, 2]),
            ops.max(a, axis=2), ops.min(a, axis=1), ops.prod(a, axis=1), ops.var(a, axis=1),
            ops.std(a, axis=-1), ops.logsumexp(a, axis=-1), ops.argmax(a, axis=-1),
            ops.cast(ops.any(a > 1.0, axis=-1), "int32")]


@case((4, 6), (6, 3))
def movement(a, b):
    return [ops.reshape(a, (-1, 24)), ops.reshape(a, (-1, 2, 2, 6)), ops.transpose(a, (0, 2, 1)),
            ops.expand_dims(a, 1), ops.expand_dims(a, -1), ops.squeeze(ops.expand_dims(a, 2), 2),
            ops.concatenate([a, a], axis=-1), ops.stack([a, a], axis=1), ops.swapaxes(a, 1, 2),
            a[:, 0], a[:, 1:3], a[..., -1], a[:, ::2, 1:], a[:, None, :, 2],
            ops.flip(a, axis=1), ops.repeat(a, 2, axis=1), ops.tile(a, (1, 2, 1)),
            ops.pad(a, ((0, 0), (1, 2), (0, 1))), *ops.split(a, 2, axis=1), *ops.split(a, [1, 4], axis=2),
            ops.matmul(a, b), ops.einsum("abc,acd->abd", a, b), ops.take(a, [0, 2], axis=1)]


@case((4, 6), (4, 6))
def functions(a, b):
    flat = ops.relu(a)
    return [ops.divide(a, ops.abs(b) + 1.0), ops.less(a, b), ops.greater_equal(a, b), ops.equal(flat, 0.0),
            ops.logical_not(a > 0), ops.logical_xor(a > 0, b > 0), ops.isnan(ops.log(ops.cast(a > 0, "float32"))), ops.isinf(ops.log(flat)),
            ops.tan(a), ops.arcsin(ops.tanh(a)), ops.arccos(ops.tanh(a)), ops.arctan(a), ops.sinh(a), ops.cosh(a),
            ops.arcsinh(a), ops.arccosh(flat + 1.5), ops.arctanh(ops.tanh(a)), ops.ceil(a), ops.round(a),
            ops.reciprocal(ops.abs(a) + 1.0), ops.expm1(a), ops.log1p(flat), ops.zeros_like(a) + b, ops.ones_like(a) * b,
            ops.stop_gradient(a) + 1.0, ops.copy(a) + 1.0, ops.celu(a), ops.celu(a, alpha=0.5), ops.softsign(a),
            ops.hard_silu(a), ops.hard_tanh(a), ops.log_sigmoid(a), ops.tanh_shrink(a),
            ops.squareplus(a), ops.sparse_plus(a), ops.sparse_sigmoid(a), ops.amax(a, axis=1), ops.amin(a, axis=[1, 2]),
            ops.argmin(a, axis=1), ops.all(a > -1.0, axis=-1), ops.max(a, axis=-1, keepdims=True)]


@case((9, 4))
def channels_first_1d(x):
    f = dict(data_format="channels_first")
    return [L.Conv1D(3, 2, strides=2, padding="same", **f)(x), L.Conv1D(6, 2, groups=3, dilation_rate=2, **f)(x),
            L.MaxPooling1D(2, **f)(x), L.AveragePooling1D(2, **f)(x), L.GlobalAveragePooling1D(**f)(x),
            L.GlobalMaxPooling1D(**f)(x), L.ZeroPadding1D((1, 2), **f)(x), L.DepthwiseConv1D(2, depth_multiplier=2, **f)(x),
            L.SeparableConv1D(3, 2, **f)(x), L.Conv1DTranspose(3, 2, strides=2, **f)(x), L.SpatialDropout1D(0.3)(x)]


@case((2, 4, 5, 6))
def channels_first_3d(x):
    f = dict(data_format="channels_first")
    return [L.Conv3D(3, 2, strides=2, padding="same", **f)(x), L.MaxPooling3D(2, **f)(x), L.AveragePooling3D(2, **f)(x),
            L.GlobalAveragePooling3D(**f)(x), L.GlobalMaxPooling3D(**f)(x), L.ZeroPadding3D((1, 0, 2), **f)(x),
            L.Cropping3D((0, 1, 2), **f)(x), L.UpSampling3D((1, 2, 1), **f)(x), L.Conv3DTranspose(3, 2, strides=2, **f)(x)]


@case((6, 7, 5, 2))
def volumes(x):
    return each(x, [L.AdaptiveAveragePooling3D((3, 2, 4)), L.AdaptiveMaxPooling3D(2), L.SpatialDropout3D(0.3),
                    L.Conv3D(4, 2, groups=2, dilation_rate=(1, 2, 1)), L.Conv3D(4, 3, padding="same", use_bias=False)])


@case((6, 6, 3))
def more_augmentation(x):
    for layer in (L.AugMix(), L.CutMix(), L.MixUp(), L.RandAugment(), L.RandomColorDegeneration(0.2),
                  L.RandomColorJitter(), L.RandomElasticTransform(), L.RandomErasing(), L.RandomGaussianBlur(),
                  L.RandomGrayscale(), L.RandomHue(0.2), L.RandomInvert(), L.RandomPerspective(),
                  L.RandomPosterization(4), L.RandomSaturation(0.2), L.RandomSharpness(0.2), L.RandomShear(0.2, 0.2)):
        x = layer(x)
    return L.Conv2D(2, 3)(x)


# ---- Models in models ----------------------------------------------------------------------------

@case((6,))
def nested(x):
    inner = keras.Sequential([L.Input((6,)), L.Dense(5, activation="relu"), L.Dense(6)])
    i = keras.Input((6,))
    deep = keras.Model(i, [L.Dense(6, name="a")(inner(i)), L.Dense(3, name="b")(i) * 2.0])
    p, q = deep(x)
    r, s = deep(p)
    shared = L.Dense(3, name="twice")
    return [p, q, r, s, shared(x), shared(r)]


@case((6,))
def nested_frozen(x):
    """Frozen layers come last among an .h5's weights."""
    inner = keras.Sequential([L.Input((6,)), L.Dense(5, name="one"), L.BatchNormalization(), L.Dense(5, name="two")])
    inner.layers[0].trainable = False
    return L.Dense(2)(inner(x))


# ---- Sequential, and what else is saved otherwise ------------------------------------------------

def sequential():
    return keras.Sequential([L.Input((12, 3)), L.Masking(), L.Conv1D(4, 3), L.LSTM(4, return_sequences=True),
                             L.Flatten(), L.Dense(3, activation="softmax")]), [(12, 3)]


def sequential_masked():
    return keras.Sequential([L.Input((7,), dtype="int32"), L.Embedding(9, 4, mask_zero=True), L.Dropout(0.1),
                             L.LSTM(4, return_sequences=True), L.GRU(3), L.Dense(2)]), [((7,), 9)]


def sequential_built():
    m = keras.Sequential([L.Dense(4), L.Dense(3)])
    m.build((None, 5))
    return m, [(5,)]


def inputs_by_name():
    i = {"b": keras.Input((3,), name="b"), "a": keras.Input((4,), name="a")}
    return keras.Model(i, {"z": L.Dense(2, name="z")(i["a"]), "y": L.Dense(3, name="y")(i["b"])}), [(4,), (3,)]


WHOLE = {f.__name__: f for f in (sequential, sequential_masked, sequential_built, inputs_by_name)}
