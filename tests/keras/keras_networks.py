# SPDX-License-Identifier: Apache-2.0
"""The networks of tests/data/keras, and what goes into them."""
import keras
import numpy as np
from keras import layers as L
from keras import ops


def conv_seed():
    return keras.Sequential([L.Input((28, 28, 1)), L.Conv2D(32, (3, 3), activation="relu")], name="sequential")


def mlp():
    return keras.Sequential([L.Input((6, 6)), L.Flatten(), L.Dense(16, activation="relu"),
                             L.BatchNormalization(), L.Dropout(.5), L.Dense(8, activation="gelu"),
                             L.LayerNormalization(), L.Dense(5, activation="softmax")], name="mlp")


def cnn():
    i = keras.Input((15, 15, 3), name="image")            # odd size, stride 2, "same": more padding at the end
    x = L.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="stem")(i)
    x = L.BatchNormalization(name="stem_bn")(x)
    x = L.ReLU(max_value=6.0)(x)
    a = L.SeparableConv2D(6, 3, padding="same", activation="swish")(x)
    b = L.Conv2D(6, (1, 3), padding="same", dilation_rate=(1, 2), name="dil")(x)
    x = L.Add(name="plus")([a, b])
    x = L.Concatenate()([x, b])
    x = L.MaxPooling2D(3, strides=2, padding="same")(x)
    x = L.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = L.DepthwiseConv2D(3, strides=2)(x)
    x = L.Activation("hard_sigmoid")(x)
    x = L.AveragePooling2D(2, strides=1, padding="same")(x)
    x = L.GlobalAveragePooling2D()(x)
    return keras.Model(i, L.Dense(5, activation="softmax", name="pred")(x), name="cnn")


def crossed_names():
    """Built in another order than called: layer dense_1 has its weights under the path of dense."""
    first, second = L.Dense(4, name="dense_1"), L.Dense(4, name="dense", activation="tanh")
    third = L.Dense(4, name="conv2d")
    i = keras.Input((4,), name="in")
    return keras.Model(i, third(second(first(i))), name="crossed")


def nested():
    seq = keras.Sequential([L.Input((8,)), L.Dense(8, activation="relu", name="d0"),
                            L.Dense(4, name="d1")], name="inner_seq")
    fi = keras.Input((4,), name="fi")
    fx = L.Dense(4, name="fdense")(fi)
    fun = keras.Model(fi, [fx, fx * 2.0 + 1.0], name="inner_fun")
    i = keras.Input((8,), name="in")
    a, b = fun(seq(i))
    c, d = fun(a)                                # the same inner model again
    sh = L.Dense(3, activation="sigmoid", name="shared")
    o = L.Average()([sh(b), sh(d)])              # the same layer twice
    return keras.Model(i, [o, c], name="nested")


def nested_tail():
    """A nested model gives the outputs: node indices in output_layers start at 1 for it."""
    fi = keras.Input((4,), name="fi")
    fun = keras.Model(fi, [L.Dense(4, name="p")(fi), L.Dense(2, name="q")(fi)], name="inner")
    i = keras.Input((4,), name="in")
    first = fun(i)
    return keras.Model(i, [first[1], fun(first[0])[0]], name="nested_tail")


def rnn():
    i = keras.Input((7,), dtype="int32", name="tokens")
    x = L.Embedding(30, 6, name="emb")(i)
    x = L.Bidirectional(L.LSTM(5, return_sequences=True), name="bi")(x)
    x, s = L.GRU(4, return_sequences=True, return_state=True, name="gru")(x)
    x = L.TimeDistributed(L.Dense(3, activation="tanh"), name="td")(x)
    x = L.SimpleRNN(4, name="srnn")(x)
    x = L.Concatenate()([x, s])
    return keras.Model(i, L.Dense(2, name="head")(x), name="rnn")


def lstm_masked():
    i = keras.Input((7,), dtype="int32", name="tokens")
    x = L.Embedding(30, 6, mask_zero=True, name="emb")(i)
    x = L.LSTM(5, name="lstm")(x)
    return keras.Model(i, L.Dense(2, name="head")(x), name="lstm_masked")


def transformer():
    i = keras.Input((6, 8), name="seq")
    a = L.MultiHeadAttention(2, 4, name="mha")(i, i)
    x = L.LayerNormalization(epsilon=1e-5, name="ln1")(i + a)
    f = L.Dense(8, name="ff2")(L.Dense(16, activation="gelu", name="ff1")(x))
    x = L.LayerNormalization(epsilon=1e-5, name="ln2")(L.Add()([x, f]))
    x = L.GlobalAveragePooling1D()(x)
    return keras.Model(i, L.Dense(3, name="head")(x), name="transformer")


def misc():
    i = keras.Input((8, 8, 2), name="img")
    j = keras.Input((3,), name="extra")
    x = L.Rescaling(1 / 127.5, offset=-1)(i)
    n = L.Normalization(axis=-1, mean=[.1, -.2], variance=[.5, 2.])
    x = n(x)
    x = L.Conv2DTranspose(3, 3, strides=2, padding="same")(x)
    x = L.LeakyReLU(negative_slope=.2)(x)
    x = L.PReLU(shared_axes=[1, 2])(x)
    x = L.GroupNormalization(groups=3)(x)
    x = L.UpSampling2D(2)(x)
    x = L.Cropping2D(((1, 2), (3, 4)))(x)
    x = L.Permute((3, 1, 2))(x)
    x = ops.mean(x, axis=(2, 3))
    x = ops.reshape(x, (-1, 3))
    x = L.Multiply()([x, j])
    x = x * 2.0 - j[:, :1]
    x = L.ELU()(x)
    x = L.Reshape((3, 1))(x)
    x = L.Conv1D(4, 2, padding="causal", activation="relu6")(x)
    x = L.GlobalMaxPooling1D()(x)
    return keras.Model([i, j], {"y": L.Softmax()(x), "raw": x}, name="misc")


def floats(*shape):
    return lambda n, rng: rng.standard_normal((n, *shape)).astype("float32")


def tokens(padding):
    """Seven words each, of which a share is padding."""
    return lambda n, rng: np.where(rng.random((n, 7)) < padding, 0, rng.integers(1, 30, (n, 7))).astype("int32")


NETWORKS = {
    "conv_seed": (conv_seed, [floats(28, 28, 1)]), "mlp": (mlp, [floats(6, 6)]),
    "cnn": (cnn, [floats(15, 15, 3)]), "crossed_names": (crossed_names, [floats(4)]),
    "nested": (nested, [floats(8)]), "nested_tail": (nested_tail, [floats(4)]),
    "rnn": (rnn, [tokens(0)]), "lstm_masked": (lstm_masked, [tokens(0.3)]),
    "transformer": (transformer, [floats(6, 8)]), "misc": (misc, [floats(8, 8, 2), floats(3)]),
}
