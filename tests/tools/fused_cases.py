#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes small networks whose nodes a plan joins into one step, in the layout of ONNX's cases, with
a free batch and ONNX Runtime's values: attention as exporters spell it, convolutions with what
follows them.

  fused_cases.py DIR      DIR/<case>/{model.onnx,case.json,test_data_set_0/*.pb}

case.json names the step that must be there ("step") or must not ("none"). Output 0 is the network's;
output 1 is where output 0 is not zero, which no plan can have: with it all runs step by step.
"""
import json
import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SAMPLES = 5
rng = np.random.default_rng(20261130)


def normal(*shape):
    return rng.standard_normal(shape).astype("float32")


class Net:
    """Nodes, weights and inputs as they come."""

    def __init__(self):
        self.nodes, self.weights, self.inputs, self.data = [], [], [], []

    def input(self, name, data):
        """Samples first; a number is the same for all."""
        kind = helper.np_dtype_to_tensor_dtype(data.dtype)
        free = ["n", *data.shape[1:]] if data.ndim else []
        self.inputs.append(helper.make_tensor_value_info(name, kind, free))
        self.data.append(data)
        return name

    def const(self, data):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(data), name))
        return name

    def ints(self, *values):
        return self.const(np.array(values, dtype="int64"))

    def node(self, op, *inputs, **attributes):
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def write(self, root, name, y, step, expected, **limits):
        """expected: whether the step must be there."""
        self.nodes.append(helper.make_node("Identity", [y], ["y"]))
        self.nodes.append(helper.make_node("NonZero", ["y"], ["where"]))
        outs = [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("where", TensorProto.INT64, None),
        ]
        graph = helper.make_graph(self.nodes, name, self.inputs, outs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        content = model.SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        names = [i.name for i in self.inputs]
        results = session.run(None, dict(zip(names, self.data)))
        case = {"rtol": 1e-4, "atol": 1e-5, ("step" if expected else "none"): step, **limits}
        files = {"model.onnx": content, "case.json": json.dumps(case).encode()}
        for port, values in (("input", self.data), ("output", results)):
            for i, v in enumerate(values):
                tensor = numpy_helper.from_array(np.ascontiguousarray(v).reshape(v.shape))
                files[f"test_data_set_0/{port}_{i}.pb"] = tensor.SerializeToString()
        folder = os.path.join(root, name)
        os.makedirs(os.path.join(folder, "test_data_set_0"), exist_ok=True)
        for path, data in files.items():
            with open(os.path.join(folder, path), "wb") as f:
                f.write(data)


# ---- Attention ---------------------------------------------------------------------------------


def split_heads(net, heads, tokens, size, packed):
    """Q, K, V: (N, heads, tokens, size), K turned; cut from one product, as PyTorch's layer has
    them, or inputs of the model as they are."""
    if not packed:
        q, v = (net.input(t, normal(SAMPLES, heads, tokens, size)) for t in "qv")
        return q, net.input("k", normal(SAMPLES, heads, size, tokens)), v
    width = heads * size
    x = net.input("x", normal(SAMPLES, tokens, width))
    all_three = net.node("MatMul", x, net.const(normal(width, 3 * width) * np.float32(width**-0.5)))
    split = net.node("Reshape", all_three, net.ints(0, tokens, 3, heads, size))
    parts = []
    for i, perm in enumerate(([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])):
        one = net.node("Gather", split, net.const(np.int64(i)), axis=2)
        parts.append(net.node("Transpose", one, perm=perm))
    return parts


def join_heads(net, y, tokens):
    turned = net.node("Transpose", y, perm=[0, 2, 1, 3])
    return net.node("Reshape", turned, net.ints(0, tokens, -1))


def attention(root, name, heads, tokens, size, packed=True, masks=(), expected=True):
    net = Net()
    q, k, v = split_heads(net, heads, tokens, size, packed)
    ops = ["MatMul"]
    s = net.node("MatMul", q, k)
    for mask in masks:
        if mask == "after":
            break
        names = {"bias": "Add", "causal": "Where", "fill": "Where", "given": "Add", "cap": "Tanh"}
        ops.append({**names, "three": "Sum"}.get(mask, "Div"))
        if mask == "bias":  # of each head
            s = net.node("Add", net.const(normal(heads, tokens, tokens)), s)
        elif mask == "given":  # of each sample
            far = np.where(rng.random((SAMPLES, 1, 1, tokens)) < 0.3, -1e9, 0).astype("float32")
            s = net.node("Add", s, net.input("mask", far))
        elif mask == "causal":
            seen = np.tril(np.ones((tokens, tokens), dtype=bool))
            s = net.node("Where", net.const(seen), s, net.const(np.float32(-1e9)))
        elif mask == "fill":
            hidden = rng.random((heads, 1, tokens)) < 0.2
            s = net.node("Where", net.const(hidden), net.const(np.float32(-1e9)), s)
        elif mask == "three":  # an operator that writes its result before it has read all
            more = [net.const(normal(tokens, tokens)) for _ in range(2)]
            s = net.node("Sum", *more, s)
        elif mask == "cap":
            s = net.node("Tanh", s)
        else:
            s = net.node("Div", s, net.const(np.float32(np.sqrt(size))))
    s = net.node("Softmax", s, axis=-1)
    ops.append("Softmax")
    if "after" in masks:
        keep = rng.random((tokens, 1)) < 0.8
        s = net.node("Where", net.const(keep), s, net.const(np.float32(0)))
        ops.append("Where")
    y = net.node("MatMul", s, v)
    net.write(root, name, join_heads(net, y, tokens), "+".join(ops + ["MatMul"]), expected)


def shared_keys(root):
    """One K and V for all heads: their leading dim is spread."""
    net = Net()
    q = net.input("q", normal(SAMPLES, 4, 70, 24))
    k = net.input("k", normal(SAMPLES, 1, 24, 90))
    v = net.input("v", normal(SAMPLES, 1, 90, 40))
    s = net.node("Softmax", net.node("MatMul", q, k), axis=3)
    net.write(root, "shared", net.node("MatMul", s, v), "MatMul+Softmax+MatMul", True)


def single_head(root):
    """Rank 3, and the third matrix is computed from another input, after the scores."""
    net = Net()
    x = net.input("x", normal(SAMPLES, 100, 32))
    scores = net.node("MatMul", x, net.node("Transpose", x, perm=[0, 2, 1]))
    s = net.node("Softmax", scores, axis=-1)
    v = net.node("Relu", net.input("z", normal(SAMPLES, 100, 48)))
    net.write(root, "single", net.node("MatMul", s, v), "MatMul+Softmax+MatMul", True)


def read_twice(root):
    """The weights of attention are read by another node: nothing is joined."""
    net = Net()
    q, k, v = split_heads(net, 2, 80, 16, True)
    s = net.node("Softmax", net.node("MatMul", q, k), axis=-1)
    y = net.node("MatMul", s, v)
    most = net.node("ReduceMax", s, net.ints(3), keepdims=1)
    net.write(root, "twice", net.node("Mul", y, most), "MatMul+Softmax+MatMul", False)


# ---- Convolutions ------------------------------------------------------------------------------


def conv(net, x, channels, filters, kernel, norm=True, **attributes):
    """Conv without a bias and BatchNormalization, as before a model is exported for inference."""
    group = attributes.get("group", 1)
    w = normal(filters, channels // group, kernel, kernel)
    scale = np.float32((channels // group * kernel * kernel) ** -0.5)
    y = net.node("Conv", x, net.const(w * scale), **attributes)
    if not norm:
        return y
    mean, var = normal(filters), np.abs(normal(filters)) + np.float32(0.2)
    params = [net.const(v) for v in (normal(filters), normal(filters), mean, var)]
    return net.node("BatchNormalization", y, *params)


def turned(net, op, x, *args, **attributes):
    """Channels last, as files of Keras have it: a Transpose before and behind."""
    y = op(net, net.node("Transpose", x, perm=[0, 3, 1, 2]), *args, **attributes)
    return net.node("Transpose", y, perm=[0, 2, 3, 1])


def norms(root):
    for kernel, name in ((1, "pointwise"), (3, "window")):
        net = Net()
        x = net.input("x", normal(SAMPLES, 24, 15, 17))
        y = conv(net, x, 24, 40, kernel, pads=[kernel // 2] * 4)
        y = net.node("Clip", y, net.const(np.float32(0)), net.const(np.float32(6)))
        net.write(root, f"norm_{name}", y, "Conv+BatchNormalization+Clip", True)
    net = Net()
    y = conv(net, net.input("x", normal(SAMPLES, 32, 14, 14)), 32, 32, 3, group=32, strides=[2, 2])
    net.write(root, "norm_depthwise", net.node("Relu", y), "Conv+BatchNormalization+Relu", True)
    net = Net()
    y = conv(net, net.input("x", normal(SAMPLES, 20, 9, 9)), 20, 33, 3)
    both = net.node("Add", y, net.node("Sigmoid", y))  # read by two
    net.write(root, "norm_twice", both, "Conv+BatchNormalization+Add", False)


def norm_first(root):
    """Normalization and activation before the convolution, channels last."""
    for name, act in (("relu", "Relu"), ("leaky", "LeakyRelu")):
        net = Net()
        x = net.node("Sigmoid", net.input("x", normal(SAMPLES, 13, 12, 36)))
        y = net.node("Transpose", x, perm=[0, 3, 1, 2])
        params = [net.const(np.abs(normal(36)) + np.float32(0.1)) for _ in range(4)]
        y = net.node("BatchNormalization", y, *params)
        y = net.node(act, net.node("Transpose", y, perm=[0, 2, 3, 1]))
        y = turned(net, conv, y, 36, 16, 3, False)
        net.write(root, f"first_{name}", y, f"BatchNormalization+{act}", True)


def residual(root, name, last):
    """x + conv(relu(conv(x))), channels first or last; the sum goes into the convolution."""
    net = Net()
    shape = (SAMPLES, 14, 12, 64) if last else (SAMPLES, 64, 14, 12)
    make = (lambda *a: turned(net, conv, *a)) if last else (lambda *a: conv(net, *a))
    x = net.node("Relu", net.input("x", normal(*shape)))
    y = net.node("Relu", make(x, 64, 16, 1))
    y = net.node("Relu", net.node("Add", make(y, 16, 64, 1), x))
    net.write(root, name, y, "Conv+BatchNormalization+Relu", True)


def channels_last(root):
    """Convolution, activation, normalization, each between Transposes of its own."""
    net = Net()
    x = net.input("x", normal(SAMPLES, 16, 16, 3))
    y = net.node("Relu", turned(net, conv, x, 3, 24, 3, False))
    net.write(root, "turned", y, "Conv+Relu", True)


def pad(net, x, pads, value=0.0, **attributes):
    """pads: before and after each axis."""
    flat = [p[0] for p in pads] + [p[1] for p in pads]
    return net.node("Pad", x, net.ints(*flat), net.const(np.float32(value)), **attributes)


def borders(root):
    """ZeroPadding2D and the like in front of a convolution."""
    one, two, none = (0, 1), (2, 2), (0, 0)
    for group in (1, 24):
        net = Net()
        x = pad(net, net.input("x", normal(SAMPLES, 24, 15, 16)), [none, none, one, one])
        y = conv(net, x, 24, 24, 3, group=group, strides=[2, 2])
        net.write(root, f"pad_{group}", net.node("Relu", y), "Pad+Conv+BatchNormalization+Relu", True)
    net = Net()  # as Keras: channels last, and a convolution that pads as well
    x = pad(net, net.input("x", normal(SAMPLES, 17, 18, 3)), [none, two, one, none])
    y = turned(net, conv, x, 3, 40, 7, False, pads=[1, 3, 2, 0], strides=[2, 1])
    net.write(root, "pad_turned", net.node("Relu", y), "Pad+Conv+Relu", True)
    net = Net()  # two read it, and a third that is no convolution
    x = pad(net, net.input("x", normal(SAMPLES, 8, 11, 11)), [none, none, (1, 1), two])
    y = net.node("Add", conv(net, x, 8, 16, 3, False), conv(net, x, 8, 16, 3, False))
    top = net.node("MaxPool", x, kernel_shape=[3, 3])
    net.write(root, "pad_shared", net.node("Concat", y, top, axis=1), "Pad+Conv", True)
    net = Net()  # one dimension, uneven
    net_x = pad(net, net.input("x", normal(SAMPLES, 6, 40)), [none, none, (4, 1)])
    w = net.const(normal(12, 6, 3))
    net.write(root, "pad_line", net.node("Conv", net_x, w, dilations=[2]), "Pad+Conv", True)
    for name, pads, value, mode in (
        ("value", [none, none, one, one], 0.5, "constant"),
        ("mirror", [none, none, one, one], 0, "reflect"),
        ("crop", [none, none, (-1, 2), one], 0, "constant"),
        ("wide", [none, none, (4, 0), one], 0, "constant"),
        ("channels", [none, one, one, one], 0, "constant"),
    ):
        net = Net()
        x = pad(net, net.input("x", normal(SAMPLES, 8, 9, 9)), pads, value, mode=mode)
        y = conv(net, x, 9 if name == "channels" else 8, 16, 3, False)
        net.write(root, f"pad_{name}", y, "Pad+Conv", False)


def border_of_a_number(root):
    """A Pad whose value is an input of the model: no plan can know that it is zero."""
    net = Net()
    x = net.input("x", normal(SAMPLES, 64, 8, 8))
    zero = net.input("zero", np.array(0, dtype="float32"))
    p = net.node("Pad", x, net.ints(0, 0, 1, 2, 0, 0, 2, 2), zero)
    y = conv(net, p, 64, 256, 3, False)
    net.write(root, "pad_given", y, "Pad+Conv", False)


def main(root):
    attention(root, "plain", 4, 65, 12)
    attention(root, "scaled", 3, 197, 64, masks=["scale"])
    attention(root, "bias", 2, 100, 20, masks=["scale", "bias"])
    attention(root, "given", 2, 96, 32, masks=["scale", "given"])
    attention(root, "causal", 2, 77, 33, masks=["scale", "causal"])
    attention(root, "capped", 2, 130, 8, masks=["scale", "cap", "bias", "causal", "after"])
    attention(root, "filled", 2, 70, 16, masks=["fill", "scale"])
    attention(root, "three", 2, 70, 16, masks=["three"], expected=False)
    attention(root, "apart", 3, 90, 40, packed=False, masks=["scale", "after"])
    attention(root, "long", 1, 700, 32, masks=["scale", "causal"])
    attention(root, "wide", 2, 64, 600, masks=["scale"])
    attention(root, "short", 4, 17, 16, masks=["scale"], expected=False)
    shared_keys(root)
    single_head(root)
    read_twice(root)
    norms(root)
    norm_first(root)
    residual(root, "residual", False)
    residual(root, "residual_last", True)
    channels_last(root)
    borders(root)
    border_of_a_number(root)


main(sys.argv[1])
