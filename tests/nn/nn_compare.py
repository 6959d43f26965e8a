#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Layers and networks that nn_cases builds in C, beside their twins in PyTorch and Keras with the
same weights and inputs: every value within 1e-4 of the largest magnitude.
usage: nn_compare.py NN_CASES FOLDER keras|torch"""
import os
import pathlib
import subprocess
import sys
import warnings

import numpy as np

BATCH = 3


def keras_cases():
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    from keras import layers as L

    def each_activation(x):
        names = ["linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu",
                 "swish", "mish", "softplus", "softsign", "sigmoid", "hard_sigmoid", "hard_silu",
                 "hard_swish", "tanh", "hard_tanh", "exponential", "softmax", "log_softmax",
                 "log_sigmoid", "tanh_shrink", "soft_shrink", "hard_shrink"]
        return L.Concatenate()([L.Activation(n)(x) for n in names])

    def network(x):
        for layer in (L.Conv2D(8, (3, 3), activation="relu"), L.MaxPooling2D(),
                      L.Conv2D(8, (3, 3), activation="relu"), L.BatchNormalization(), L.Flatten(),
                      L.Dropout(0.5), L.Dense(16), L.Dense(10, activation="softmax")):
            x = layer(x)
        return x

    def residual(x):
        x = L.Conv2D(6, 3, padding="same")(x)
        y = L.Conv2D(6, 3, padding="same", activation="relu")(x)
        return L.GlobalAveragePooling2D()(L.ReLU()(L.Add()([x, y])))

    cases = {
        "conv2d": ((9, 8, 3), L.Conv2D(4, (3, 3))),
        "conv2d_relu": ((9, 8, 3), L.Conv2D(4, (3, 2), activation="relu")),
        "conv2d_same": ((9, 8, 3), L.Conv2D(4, 3, 2, padding="same", use_bias=False)),
        "conv2d_same_even": ((9, 8, 3), L.Conv2D(4, (4, 2), strides=(1, 2), padding="same")),
        "conv2d_groups": ((9, 8, 4), L.Conv2D(6, 3, groups=2, dilation_rate=(2, 1))),
        "conv1d": ((11, 3), L.Conv1D(5, 3, strides=2)),
        "conv1d_causal": ((11, 3), L.Conv1D(5, 3, padding="causal", dilation_rate=2)),
        "conv3d": ((5, 6, 7, 2), L.Conv3D(3, (2, 3, 2), padding="same", activation="tanh")),
        "depthwise_conv2d": ((9, 8, 3), L.DepthwiseConv2D(3, depth_multiplier=2, padding="same")),
        "depthwise_conv2d_plain": ((9, 8, 3), L.DepthwiseConv2D((3, 2), 2, activation="relu6",
                                                                use_bias=False)),
        "depthwise_conv1d": ((12, 3), L.DepthwiseConv1D(4, padding="same")),
        "conv2d_transpose": ((5, 4, 3), L.Conv2DTranspose(4, 3)),
        "conv2d_transpose_stride": ((5, 4, 3), L.Conv2DTranspose(4, (3, 2), 2, activation="relu")),
        "conv2d_transpose_same": ((5, 4, 3), L.Conv2DTranspose(4, 4, 2, "same", use_bias=False)),
        "conv1d_transpose": ((5, 3), L.Conv1DTranspose(4, 2, 2)),
        "conv3d_transpose": ((3, 4, 2, 2), L.Conv3DTranspose(3, (2, 3, 2))),
        "dense": ((7,), L.Dense(5)),
        "dense_3d": ((4, 7), L.Dense(5, activation="softmax", use_bias=False)),
        "max_pooling2d": ((9, 8, 3), L.MaxPooling2D()),
        "max_pooling2d_same": ((9, 8, 3), L.MaxPooling2D(3, 2, padding="same")),
        "average_pooling2d": ((9, 8, 3), L.AveragePooling2D((3, 2))),
        # Where more is padded at the end, the torch backend repeats the edge; the others do not.
        "average_pooling2d_same": ((9, 9, 3), L.AveragePooling2D(3, 2, padding="same")),
        "max_pooling1d": ((9, 3), L.MaxPooling1D(3)),
        "average_pooling1d": ((9, 3), L.AveragePooling1D(2, padding="same")),
        "max_pooling3d": ((4, 5, 6, 2), L.MaxPooling3D(2)),
        "average_pooling3d": ((4, 5, 6, 2), L.AveragePooling3D((2, 3, 2), 1)),
        "global_max_pooling1d": ((9, 3), L.GlobalMaxPooling1D()),
        "global_max_pooling2d": ((9, 8, 3), L.GlobalMaxPooling2D(keepdims=True)),
        "global_max_pooling3d": ((4, 5, 6, 2), L.GlobalMaxPooling3D()),
        "global_average_pooling1d": ((9, 3), L.GlobalAveragePooling1D()),
        "global_average_pooling2d": ((9, 8, 3), L.GlobalAveragePooling2D()),
        "global_average_pooling3d": ((4, 5, 6, 2), L.GlobalAveragePooling3D(keepdims=True)),
        "batch_normalization": ((5, 4, 3), L.BatchNormalization()),
        "batch_normalization_flat": ((6,), L.BatchNormalization(epsilon=0.01, scale=False)),
        "batch_normalization_plain": ((7, 6), L.BatchNormalization(scale=False, center=False)),
        "layer_normalization": ((5, 4, 3), L.LayerNormalization()),
        "layer_normalization_plain": ((6,), L.LayerNormalization(epsilon=1e-5, scale=False)),
        "group_normalization": ((5, 4, 6), L.GroupNormalization(3)),
        "group_normalization_each": ((5, 6), L.GroupNormalization(-1, center=False)),
        "relu": ((7,), L.ReLU()),
        "leaky_relu": ((7,), L.LeakyReLU()),
        "leaky_relu_slope": ((7,), L.LeakyReLU(0.1)),
        "elu": ((7,), L.ELU(0.7)),
        "prelu": ((3, 4), L.PReLU()),
        "softmax": ((3, 4), L.Softmax(axis=1)),
        "activations": ((40,), each_activation),
        "dropout": ((7,), L.Dropout(0.4)),
        "flatten": ((3, 4, 2), L.Flatten()),
        "reshape": ((3, 4, 2), L.Reshape((6, -1))),
        "embedding": (("int32", 11, 5), L.Embedding(11, 4)),
        "lstm": ((6, 3), L.LSTM(4)),
        "lstm_sequences": ((6, 3), lambda x: list(
            L.LSTM(4, return_sequences=True, return_state=True)(x))),
        "lstm_backwards": ((6, 3), L.LSTM(4, go_backwards=True, return_sequences=True,
                                          use_bias=False)),
        "gru": ((6, 3), L.GRU(4)),
        "gru_sequences": ((6, 3), L.GRU(4, return_sequences=True)),
        "gru_backwards": ((6, 3), L.GRU(4, go_backwards=True, use_bias=False)),
        "attention": ((5, 6), lambda x: L.MultiHeadAttention(2, 3)(x, x)),
        "attention_cross": ([(5, 6), (7, 4), (7, 3)],
                            lambda q, v, k: L.MultiHeadAttention(2, 3, 5)(q, v, k)),
        "attention_plain": ([(5, 6), (7, 4)],
                            lambda q, v: L.MultiHeadAttention(3, 2, use_bias=False)(q, v)),
        "add": ([(5, 6), (5, 6)], lambda x, y: L.Add()([x, y, x])),
        "concatenate": ([(5, 6), (4, 6)], lambda x, y: L.Concatenate(axis=1)([x, y, x])),
        "network": ((28, 28, 1), network),
        "residual": ((12, 12, 3), residual),
    }

    def run(name, rng):
        keras.utils.clear_session()
        shapes, build = cases[name]
        shapes = shapes if isinstance(shapes, list) else [shapes]
        inputs = [keras.Input(s[2:], dtype=s[0]) if isinstance(s[0], str) else keras.Input(s)
                  for s in shapes]
        if isinstance(build, keras.layers.Layer):
            # The session forgot it: its name would be counted from where the last one stopped.
            build = type(build).from_config({k: v for k, v in build.get_config().items()
                                             if k != "name"})
        model = keras.Model(inputs, build(*inputs))
        for v in model.weights:
            v.assign(random(rng, v.shape, "variance" in v.name))
        xs = [draw(rng, (BATCH, *s)) if not isinstance(s[0], str)
              else rng.integers(0, s[1], (BATCH, *s[2:])).astype(s[0]) for s in shapes]
        outs = model(xs[0] if len(xs) == 1 else xs, training=False)
        outs = outs if isinstance(outs, (list, tuple)) else [outs]
        weights = {v.path: keras.ops.convert_to_numpy(v) for v in model.weights}
        return weights, xs, [keras.ops.convert_to_numpy(o) for o in outs]

    return cases, run


def torch_cases():
    import torch
    from torch import nn

    class Call(nn.Module):
        def __init__(self, f):
            super().__init__()
            self.f = f

        def forward(self, *x):
            return self.f(*x)

    class Cross(nn.Module):
        def __init__(self):
            super().__init__()
            setattr(self, "0", nn.MultiheadAttention(6, 3, bias=False))

        def forward(self, q, k, v):
            return getattr(self, "0")(q, k, v)

    class Self(nn.Module):
        def __init__(self):
            super().__init__()
            setattr(self, "0", nn.MultiheadAttention(6, 2, batch_first=True))

        def forward(self, x):
            return getattr(self, "0")(x, x, x)

    small = {
        "relu": nn.ReLU(), "relu6": nn.ReLU6(), "leaky_relu": nn.LeakyReLU(),
        "leaky_relu_slope": nn.LeakyReLU(0.2), "elu": nn.ELU(), "gelu": nn.GELU(),
        "gelu_tanh": nn.GELU("tanh"), "silu": nn.SiLU(), "mish": nn.Mish(),
        "sigmoid": nn.Sigmoid(), "hardsigmoid": nn.Hardsigmoid(), "hardswish": nn.Hardswish(),
        "tanh": nn.Tanh(), "hardtanh": nn.Hardtanh(), "softplus": nn.Softplus(),
        "softsign": nn.Softsign(), "dropout": nn.Dropout(0.4),
    }
    cases = {k: ((7,), m) for k, m in small.items()} | {
        "conv2d": ((3, 9, 8), nn.Conv2d(3, 4, 3)),
        "conv2d_stride": ((3, 9, 8), nn.Conv2d(3, 4, (3, 2), stride=2, padding=(1, 0))),
        "conv2d_same": ((3, 9, 8), nn.Conv2d(3, 4, (4, 3), padding="same", bias=False)),
        "conv2d_groups": ((4, 9, 8), nn.Conv2d(4, 8, 3, groups=4, dilation=2, padding=2)),
        "conv1d": ((3, 11), nn.Conv1d(3, 5, 3, 2, 1)),
        "conv3d": ((2, 5, 6, 7), nn.Conv3d(2, 3, (2, 3, 2), padding=1)),
        "conv_transpose2d": ((3, 5, 4), nn.ConvTranspose2d(3, 4, 3)),
        "conv_transpose2d_stride": ((4, 5, 4), nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1,
                                                                  groups=2)),
        "conv_transpose1d": ((3, 5), nn.ConvTranspose1d(3, 4, 4, 3, dilation=2, bias=False)),
        "conv_transpose3d": ((2, 3, 4, 2), nn.ConvTranspose3d(2, 3, 2, 2)),
        "linear": ((7,), nn.Linear(7, 5)),
        "linear_3d": ((4, 7), nn.Linear(7, 5)),
        "linear_plain": ((4, 7), nn.Linear(7, 5, bias=False)),
        "max_pool2d": ((3, 9, 8), nn.MaxPool2d(2)),
        "max_pool2d_ceil": ((3, 9, 8), nn.MaxPool2d(3, 2, 1, ceil_mode=True)),
        "max_pool2d_dilated": ((3, 9, 8), nn.MaxPool2d((2, 3), stride=1, dilation=2)),
        "avg_pool2d": ((3, 9, 8), nn.AvgPool2d(3, stride=2, padding=1)),
        "avg_pool2d_exclude": ((3, 9, 8), nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
        "avg_pool2d_ceil": ((3, 10, 8), nn.AvgPool2d(3, 2, 1, ceil_mode=True)),
        "max_pool1d": ((3, 9), nn.MaxPool1d(3)),
        "avg_pool1d": ((3, 9), nn.AvgPool1d(2)),
        "max_pool3d": ((2, 4, 5, 6), nn.MaxPool3d((2, 1, 2))),
        "avg_pool3d": ((2, 4, 5, 6), nn.AvgPool3d(2)),
        "adaptive_avg_pool1d": ((3, 9), nn.AdaptiveAvgPool1d(3)),
        "adaptive_avg_pool2d": ((3, 9, 8), nn.AdaptiveAvgPool2d(1)),
        "adaptive_avg_pool2d_many": ((3, 9, 8), nn.AdaptiveAvgPool2d((3, 2))),
        "adaptive_avg_pool3d": ((2, 4, 5, 6), nn.AdaptiveAvgPool3d(1)),
        "adaptive_max_pool1d": ((3, 9), nn.AdaptiveMaxPool1d(1)),
        "adaptive_max_pool2d": ((3, 9, 8), nn.AdaptiveMaxPool2d((3, 4))),
        "adaptive_max_pool3d": ((2, 4, 5, 6), nn.AdaptiveMaxPool3d((2, 5, 3))),
        "batch_norm1d": ((6,), nn.BatchNorm1d(6)),
        "batch_norm1d_3d": ((6, 4), nn.BatchNorm1d(6, eps=0.1)),
        "batch_norm2d": ((3, 5, 4), nn.BatchNorm2d(3)),
        "batch_norm2d_plain": ((3, 5, 4), nn.BatchNorm2d(3, affine=False)),
        "batch_norm3d": ((3, 2, 5, 4), nn.BatchNorm3d(3)),
        "group_norm": ((6, 5, 4), nn.GroupNorm(3, 6)),
        "group_norm_plain": ((6, 5), nn.GroupNorm(2, 6, affine=False)),
        "layer_norm": ((5, 4), nn.LayerNorm(4)),
        "layer_norm_2": ((3, 5, 4), nn.LayerNorm((5, 4), eps=0.01)),
        "layer_norm_plain": ((3, 5, 4), nn.LayerNorm((5, 4), elementwise_affine=False)),
        "prelu": ((3, 4), nn.PReLU()),
        "softmax": ((3, 7), nn.Softmax(1)),
        "log_softmax": ((3, 7), nn.LogSoftmax(-1)),
        "flatten": ((3, 4, 2), nn.Flatten()),
        "flatten_some": ((3, 4, 2, 5), nn.Flatten(2, 3)),
        "unflatten": ((12, 5), nn.Unflatten(1, (3, 4))),
        "reshape": ((12, 5), Call(lambda x: x.reshape(len(x), 5, -1, 3))),
        "embedding": (("int64", 11, 5), nn.Embedding(11, 4)),
        "lstm": (("time", 6, 3), nn.LSTM(3, 4)),
        "lstm_stack": ((6, 3), nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True)),
        "gru": (("time", 6, 3), nn.GRU(3, 4, bidirectional=True)),
        "gru_stack": ((6, 3), nn.GRU(3, 4, 3, batch_first=True, bias=False)),
        "attention": ((5, 6), Self()),
        "attention_cross": ([("time", 5, 6), ("time", 7, 6), ("time", 7, 6)], Cross()),
        "add": ([(5, 6), (1, 6)], Call(torch.add)),
        "cat": ([(5, 6), (4, 6)], Call(lambda x, y: torch.cat((x, y), 1))),
        "network": ((1, 28, 28), nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)), nn.Flatten(),
            nn.Dropout(0.5), nn.Linear(8 * 13 * 13, 10))),
    }

    def make(rng, s):
        if s[0] == "time":
            return draw(rng, (s[1], BATCH, *s[2:]))
        if isinstance(s[0], str):
            return rng.integers(0, s[1], (BATCH, *s[2:])).astype(s[0])
        return draw(rng, (BATCH, *s))

    def flat(y):
        return [t for part in y for t in flat(part)] if isinstance(y, (list, tuple)) else [y]

    def run(name, rng):
        shapes, module = cases[name]
        shapes = shapes if isinstance(shapes, list) else [shapes]
        if not isinstance(module, (nn.Sequential, Call, Cross, Self)):
            module = nn.Sequential(module)
        module.eval()
        with torch.no_grad():
            for key, v in module.state_dict().items():
                if v.dtype.is_floating_point:
                    v.copy_(torch.from_numpy(random(rng, v.shape, "var" in key)))
            xs = [make(rng, s) for s in shapes]
            outs = flat(module(*map(torch.from_numpy, xs)))
        # num_batches_tracked is among them: it has no counterpart and must not be asked for.
        return {k: v.numpy() for k, v in module.state_dict().items()}, xs, [o.numpy() for o in outs]

    return cases, run


def draw(rng, shape):
    return (2 * rng.standard_normal(shape)).astype(np.float32)


def random(rng, shape, positive):
    v = 0.5 * rng.standard_normal(tuple(shape))
    return (np.abs(v) + 0.2 if positive else v).astype(np.float32)


def main():
    program, folder, framework = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    warnings.filterwarnings("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    cases, run = keras_cases() if framework == "keras" else torch_cases()
    known = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    mine = [n.split("_", 1)[1] for n in known if n.startswith(framework + "_")]
    if sorted(mine) != sorted(cases):
        raise SystemExit(f"the lists differ: {sorted(set(mine) ^ set(cases))}")
    expected = {}
    for i, name in enumerate(cases):
        weights, xs, outs = run(name, np.random.default_rng(i))
        path = folder / f"{framework}_{name}"
        for old in folder.glob(f"{path.name}.*.npz"):
            old.unlink()
        if weights:
            np.savez(f"{path}.weights.npz", **weights)
        np.savez(f"{path}.x.npz", **{f"x{k}": x for k, x in enumerate(xs)})
        expected[path] = outs
    done = subprocess.run([program, str(folder), framework], text=True, capture_output=True)
    print(done.stderr, end="")
    bad, worst = done.returncode, 0.0
    for path, outs in expected.items():
        if not pathlib.Path(f"{path}.out.npz").exists():
            continue
        with np.load(f"{path}.out.npz") as z:
            got = [z[k] for k in z.files]
        if [g.shape for g in got] != [o.shape for o in outs]:
            print(f"{path.name}: shapes {[g.shape for g in got]}, not {[o.shape for o in outs]}")
            bad = 1
            continue
        gap = max(np.abs(g - o).max() / np.abs(o).max() for g, o in zip(got, outs))
        worst = max(worst, gap)
        if not gap <= 1e-4:
            print(f"{path.name}: {gap:.1e}")
            bad = 1
    print(f"{len(expected)} cases of {framework}, largest difference {worst:.1e}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
