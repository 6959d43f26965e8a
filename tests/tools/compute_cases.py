#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases of the arithmetic operators that ONNX's own conformance cases leave out, in their
layout: groups, dilations and uneven pads together, sums long enough to be cut into blocks, every
option of the recurrent operators. Expected values are NumPy's: plain loops in float64 that follow
the text of the specification.

  compute_cases.py DIR      DIR/compute/<case>/{model.onnx,case.json,test_data_set_0/*.pb}
"""
import itertools
import json
import os
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

rng = np.random.default_rng(20261123)
counts = {}


def normal(*shape, dtype="float32"):
    return rng.standard_normal(shape).astype(dtype)


def pick(*choices):
    return choices[rng.integers(len(choices))]


def draw(n, low, high):
    return [int(v) for v in rng.integers(low, high + 1, n)]


def write(root, op, inputs, outputs, rtol=1e-4, atol=1e-5, **attributes):
    """One case: None among inputs or outputs is left out."""
    counts[op] = counts.get(op, 0) + 1
    folder = os.path.join(root, "compute", f"{op.lower()}_{counts[op]}")
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    ports = {"input": inputs, "output": outputs}
    names = {
        k: [f"{k}{i}" if v is not None else "" for i, v in enumerate(p)] for k, p in ports.items()
    }
    infos = {
        k: [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for n, v in zip(names[k], p)
            if v is not None
        ]
        for k, p in ports.items()
    }
    node = helper.make_node(op, names["input"], names["output"], **attributes)
    graph = helper.make_graph([node], op, infos["input"], infos["output"])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    limits = json.dumps({"rtol": rtol, "atol": atol})
    files = {"model.onnx": model.SerializeToString(), "case.json": limits.encode()}
    for k, p in ports.items():
        for i, v in enumerate(v for v in p if v is not None):
            dense = np.ascontiguousarray(v).reshape(v.shape)
            content = numpy_helper.from_array(dense).SerializeToString()
            files[f"test_data_set_0/{k}_{i}.pb"] = content
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(content)


# ---- Windows -----------------------------------------------------------------------------------


def grid(shape):
    return itertools.product(*(range(s) for s in shape))


def padded(x, pads, value):
    n = len(pads) // 2
    return np.pad(x, [(0, 0), (0, 0)] + list(zip(pads[:n], pads[n:])), constant_values=value)


def window(x, o, kernel, strides, dilations):
    """What output o sees: (N, C, kernel...), cut where the image ends."""
    dims = zip(o, kernel, strides, dilations)
    cut = tuple(slice(i * s, i * s + (k - 1) * d + 1, d) for i, k, s, d in dims)
    return x[(slice(None), slice(None)) + cut]


def conv(x, w, b, pads, strides, dilations, group):
    kernel = w.shape[2:]
    xp = padded(x.astype("float64"), pads, 0)
    sizes = zip(xp.shape[2:], kernel, dilations, strides)
    out = [(p - (k - 1) * d - 1) // s + 1 for p, k, d, s in sizes]
    y = np.zeros((x.shape[0], w.shape[0], *out))
    c, m = w.shape[1], w.shape[0] // group
    for o in grid(out):
        seen = window(xp, o, kernel, strides, dilations)
        for g in range(group):
            columns = seen[:, g * c:(g + 1) * c].reshape(len(x), -1)
            rows = w[g * m:(g + 1) * m].reshape(m, -1).astype("float64")
            y[(slice(None), slice(g * m, (g + 1) * m)) + o] = columns @ rows.T
    return y if b is None else y + b.reshape(-1, *[1] * len(out))


def conv_cases(root):
    for i in range(40):
        n, group = pick(1, 2, 2, 3), pick(1, 1, 2, 3)
        c, m = pick(1, 1, 3, 40), pick(1, 2, 5, 19)
        kernel, strides, dilations = draw(n, 1, 3), draw(n, 1, 3), draw(n, 1, 2)
        pads = draw(2 * n, 0, 2)
        image = [(k - 1) * d + 1 + int(rng.integers(0, 9)) for k, d in zip(kernel, dilations)]
        x, w = normal(2, group * c, *image), normal(group * m, c, *kernel)
        b = pick(None, normal(group * m))
        y = conv(x, w, b, pads, strides, dilations, group).astype("float32")
        write(root, "Conv", [x, w, b], [y], atol=1e-4, group=group, strides=strides,
              dilations=dilations, pads=pads)
    for i in range(8):
        x = rng.integers(0, 255, (2, 4, 6, 5)).astype("uint8")
        w = rng.integers(-128, 127, (6, 2, 3, 2)).astype("int8")
        bias = rng.integers(-500, 500, 6).astype("int32")
        zx, zw = np.uint8(rng.integers(255)), rng.integers(-9, 9, 6).astype("int8")
        sx, sy, zy = np.float32(0.02), np.float32(0.3), np.uint8(100)
        sw = rng.uniform(0.01, 0.03, 6).astype("float32")
        each, wide = (-1, 1, 1), w.astype(int) - zw.reshape(-1, 1, 1, 1)
        options = dict(group=2, pads=[1, 0, 2, 1], strides=[1, 2])
        sums = conv(x.astype(int) - zx, wide, None, [1, 0, 2, 1], [1, 2], [1, 1], 2)
        write(root, "ConvInteger", [x, w, np.array(zx), zw], [sums.astype("int32")], **options)
        scaled = (sums + bias.reshape(each)) * (sx * sw / sy).reshape(each)
        y = np.clip(np.rint(scaled) + zy, 0, 255).astype("uint8")
        scales = [np.array(v) for v in (sx, zx)], [np.array(v) for v in (sy, zy)]
        write(root, "QLinearConv", [x, *scales[0], w, sw, zw, *scales[1], bias], [y], **options)


def conv_transpose_cases(root):
    for i in range(25):
        n, group, c, m = pick(1, 2, 2, 3), pick(1, 2, 3), pick(1, 3), pick(1, 2, 4)
        kernel, strides, dilations = draw(n, 1, 3), draw(n, 1, 3), draw(n, 1, 2)
        image, more = draw(n, 1, 4), [int(rng.integers(s)) for s in strides]
        most = [(k - 1) * d // 2 for k, d in zip(kernel, dilations)]
        pads = [int(rng.integers(0, p + 1)) for p in most * 2]
        x, w = normal(2, group * c, *image), normal(group * c, m, *kernel)
        b = pick(None, normal(group * m))
        sizes = zip(image, strides, kernel, dilations, more)
        full = [(i - 1) * s + (k - 1) * d + 1 + e for i, s, k, d, e in sizes]
        y = np.zeros((2, group * m, *full))
        for o in grid(image):
            for k in grid(kernel):
                at = tuple(i * s + j * d for i, s, j, d in zip(o, strides, k, dilations))
                for g in range(group):
                    rows = slice(g * c, (g + 1) * c)
                    pixel = x[(slice(None), rows) + o].astype("float64")
                    weights = w[(rows, slice(None)) + k]
                    y[(slice(None), slice(g * m, (g + 1) * m)) + at] += pixel @ weights
        cut = tuple(slice(p, f - q) for p, f, q in zip(pads[:n], full, pads[n:]))
        y = y[(slice(None), slice(None)) + cut]
        if 0 in y.shape:
            continue
        y = y if b is None else y + b.reshape(-1, *[1] * n)
        write(root, "ConvTranspose", [x, w, b], [y.astype("float32")], group=group, strides=strides,
              dilations=dilations, pads=pads, output_padding=more)


def pool_cases(root):
    for i in range(40):
        n, ceil = pick(1, 2, 2, 3), pick(0, 1)
        kernel, strides, dilations = draw(n, 1, 3), draw(n, 1, 3), draw(n, 1, 2)
        pads = [int(rng.integers(0, k // 2 + 1)) for k in kernel * 2]
        image = [(k - 1) * d + 1 + int(rng.integers(0, 7)) for k, d in zip(kernel, dilations)]
        x = normal(2, 3, *image)
        out = []
        for size, k, s, d, p, q in zip(image, kernel, strides, dilations, pads, pads[n:]):
            room = size + p + q - (k - 1) * d - 1
            o = -(-room // s) + 1 if ceil else room // s + 1
            out.append(o - 1 if (o - 1) * s >= size + p else o)
        attributes = dict(kernel_shape=kernel, strides=strides, dilations=dilations, pads=pads,
                          ceil_mode=ceil)
        xp = padded(x.astype("float64"), pads, np.nan)
        axes = tuple(range(2, 2 + n))
        views = {o: window(xp, o, kernel, strides, dilations) for o in grid(out)}
        if any(np.isnan(v).all(axis=axes).any() for v in views.values()):
            continue
        number = padded(np.arange(x.size).reshape(x.shape).astype("float64"), pads, np.nan)
        kinds = ("max", "index", "mean", "padded", "lp")
        results = {name: np.zeros((2, 3, *out)) for name in kinds}
        for o, v in views.items():
            at = (slice(None), slice(None)) + o
            results["max"][at] = np.nanmax(v, axis=axes)
            best = np.nanargmax(v.reshape(2, 3, -1), axis=2)
            numbers = window(number, o, kernel, strides, dilations).reshape(2, 3, -1)
            results["index"][at] = np.take_along_axis(numbers, best[..., None], 2)[..., 0]
            results["mean"][at] = np.nanmean(v, axis=axes)
            results["padded"][at] = np.nan_to_num(v).mean(axis=axes)
            results["lp"][at] = np.nansum(np.abs(v) ** 3, axis=axes) ** (1 / 3)
        f = {k: v.astype("float32") for k, v in results.items()}
        index = results["index"].astype("int64")
        write(root, "MaxPool", [x], [f["max"], index], **attributes)
        write(root, "AveragePool", [x], [f["mean"]], **attributes)
        write(root, "AveragePool", [x], [f["padded"]], count_include_pad=1, **attributes)
        write(root, "LpPool", [x], [f["lp"]], p=3, **attributes)


# ---- Recurrent operators -----------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


FUNCTIONS = {
    "Sigmoid": sigmoid,
    "Tanh": np.tanh,
    "Relu": lambda x: np.maximum(x, 0),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Softplus": lambda x: np.log1p(np.exp(x)),
    "HardSigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "LeakyRelu": lambda x: np.where(x < 0, 0.01 * x, x),
}


def one_sample(op, x, w, r, b, p, h, c, f, clip, forget, linear):
    """x: (T, I). Returns the states after each step (T, H) and the last cell."""
    size, ys = r.shape[1], []
    wb, rb = np.split(b, 2)
    cut = (lambda v: np.clip(v, -clip, clip)) if clip else (lambda v: v)
    rows = lambda m, g: m[g * size:(g + 1) * size]
    for row in x:
        i = [rows(w, g) @ row + rows(wb, g) for g in range(w.shape[0] // size)]
        s = [rows(r, g) @ h + rows(rb, g) for g in range(w.shape[0] // size)]
        if op == "RNN":
            h = f[0](cut(i[0] + s[0]))
        elif op == "GRU":
            z, reset = f[0](cut(i[0] + s[0])), f[0](cut(i[1] + s[1]))
            inner = reset * s[2] if linear else rows(r, 2) @ (reset * h) + rows(rb, 2)
            h = (1 - z) * f[1](cut(i[2] + inner)) + z * h
        else:
            gate = f[0](cut(i[0] + s[0] + p[0] * c))
            keep = 1 - gate if forget else f[0](cut(i[2] + s[2] + p[2] * c))
            c = keep * c + gate * f[1](cut(i[3] + s[3]))
            h = f[0](cut(i[1] + s[1] + p[1] * c)) * f[2](c)
        ys.append(h)
    return np.array(ys).reshape(len(x), size), h, c


def recurrent_case(root, op, gates, functions):
    t, n, inputs, size = pick(1, 3, 5), pick(1, 2, 4), pick(1, 6), pick(1, 4, 9)
    direction = pick("forward", "reverse", "bidirectional")
    d, layout = 1 + (direction == "bidirectional"), pick(0, 1)
    x, w, r = normal(t, n, inputs), normal(d, gates * size, inputs), normal(d, gates * size, size)
    b = pick(None, normal(d, 2 * gates * size))
    lengths = pick(None, rng.integers(1, t + 1, n).astype("int32"))
    h0, c0 = pick(None, normal(d, n, size)), pick(None, normal(d, n, size))
    p = pick(None, normal(d, 3 * size))
    names = [pick(*FUNCTIONS) for _ in range(functions * d)] if pick(0, 1) else None
    usual = {1: ["Tanh"], 2: ["Sigmoid", "Tanh"], 3: ["Sigmoid", "Tanh", "Tanh"]}
    used = names or usual[functions] * d
    clip, forget, linear = pick(0, 0.7), pick(0, 1), pick(0, 1)
    y, yh, yc = np.zeros((t, d, n, size)), np.zeros((d, n, size)), np.zeros((d, n, size))
    for k, s in grid((d, n)):
        steps = t if lengths is None else int(lengths[s])
        back = direction == "reverse" or k == 1
        out, yh[k, s], yc[k, s] = one_sample(
            op, x[:steps, s][::-1 if back else 1].astype("float64"), w[k], r[k],
            np.zeros(2 * gates * size) if b is None else b[k],
            (np.zeros(3 * size) if p is None else p[k]).reshape(3, size),
            np.zeros(size) if h0 is None else h0[k, s], np.zeros(size) if c0 is None else c0[k, s],
            [FUNCTIONS[f] for f in used[k * functions:(k + 1) * functions]], clip, forget, linear)
        y[:steps, k, s] = out[::-1 if back else 1]
    inputs = [x, w, r, b, lengths, h0] + ([c0, p] if op == "LSTM" else [])
    outputs = [y, yh] + ([yc] if op == "LSTM" else [])
    if layout:
        swap = lambda v: None if v is None else v.swapaxes(0, 1)
        inputs = [swap(v) if i in (0, 5, 6) else v for i, v in enumerate(inputs)]
        outputs = [y.transpose(2, 0, 1, 3)] + [v.swapaxes(0, 1) for v in outputs[1:]]
    attributes = dict(hidden_size=size, direction=direction, layout=layout)
    if names:
        attributes["activations"] = names
    if clip:
        attributes["clip"] = clip
    if op == "GRU":
        attributes["linear_before_reset"] = linear
    if op == "LSTM":
        attributes["input_forget"] = forget
    write(root, op, inputs, [v.astype("float32") for v in outputs], rtol=1e-3, **attributes)


def recurrent_cases(root):
    for i in range(25):
        recurrent_case(root, "RNN", 1, 1)
        recurrent_case(root, "GRU", 3, 2)
        recurrent_case(root, "LSTM", 4, 3)


# ---- Products and norms ------------------------------------------------------------------------


def product_cases(root):
    shapes = [((3, 700), (700, 5)), ((1, 257), (257, 33)), ((2, 1, 6, 20), (3, 20, 7)),
              ((20,), (4, 20, 3)), ((130, 19), (19,)), ((300,), (300,)), ((2, 0, 4), (4, 3)),
              ((3, 0), (0, 4)), ((1, 5, 17, 9), (5, 9, 16))]
    for a, b in shapes:
        for dtype in ("float32", "float64"):
            x, y = normal(*a, dtype=dtype), normal(*b, dtype=dtype)
            exact = np.matmul(x.astype("float64"), y)
            write(root, "MatMul", [x, y], [np.asarray(exact.astype(dtype))])
        for dtype in ("int32", "uint64"):
            x, y = rng.integers(0, 99, a).astype(dtype), rng.integers(0, 99, b).astype(dtype)
            write(root, "MatMul", [x, y], [np.asarray(np.matmul(x, y))])
    a, za = (rng.integers(0, 255, s).astype("uint8") for s in ((2, 5, 7), (2, 5, 1)))
    b, zb = (rng.integers(-128, 127, s).astype("int8") for s in ((7, 6), (6,)))
    y = (a.astype(int) - za) @ (b.astype(int) - zb)
    write(root, "MatMulInteger", [a, b, za, zb], [y.astype("int32")])
    for equation in ("bhqd,bhkd->bhqk", "iij->j", "ab,cd,ef->", "bn,anm,bm->ba", "i,i->i", "i,j",
                     "...ij,...jk->...ik", "ba,aC->bC", "bhwc,hkc->bhwk", "ji", "a...,b...->ba..."):
        size = {c: 2 + i % 4 for i, c in enumerate("abcdefhijkmnqwC")}
        terms = equation.split("->")[0].split(",")
        spell = lambda t: sum(([2, 3] if c == "#" else [size[c]] for c in t), [])
        dims = [spell(t.replace("...", "#")) for t in terms]
        operands = [normal(*d) for d in dims]
        exact = np.einsum(equation, *[o.astype("float64") for o in operands])
        write(root, "Einsum", operands, [np.asarray(exact.astype("float32"))], equation=equation)


def norm_cases(root):
    x, size = normal(2, 9, 3, 4), 4
    squares = np.pad(x.astype("float64") ** 2, [(0, 0), (1, 2), (0, 0), (0, 0)])
    sums = sum(squares[:, k:k + 9] for k in range(size))
    y = x / (1.5 + 0.3 / size * sums) ** 0.6
    write(root, "LRN", [x], [y.astype("float32")], size=size, alpha=0.3, beta=0.6, bias=1.5)
    x, scale, bias = 50 + normal(3, 4, 5, 7), normal(4), normal(4)
    wide, each = x.astype("float64"), (1, 4, 1, 1)
    old = normal(4), np.abs(normal(4))
    mean, var = wide.mean(axis=(0, 2, 3)), wide.var(axis=(0, 2, 3))
    y = (wide - mean.reshape(each)) / np.sqrt(var.reshape(each) + 1e-5)
    y = y * scale.reshape(each) + bias.reshape(each)
    moved = [(o * 0.8 + v * 0.2).astype("float32") for o, v in zip(old, (mean, var))]
    write(root, "BatchNormalization", [x, scale, bias, *old], [y.astype("float32"), *moved],
          training_mode=1, momentum=0.8)
    for groups in (1, 2, 4):
        parts = wide.reshape(3, groups, -1)
        y = (parts - parts.mean(2, keepdims=True)) / np.sqrt(parts.var(2, keepdims=True) + 1e-5)
        y = y.reshape(x.shape) * scale.reshape(each) + bias.reshape(each)
        write(root, "GroupNormalization", [x, scale, bias], [y.astype("float32")],
              num_groups=groups)
    for axis, dims in ((1, (4, 5, 7)), (-1, (7,)), (2, (4, 1, 1)), (2, (5, 7))):
        axes = tuple(range(axis % 4, 4))
        scale, bias = normal(*dims), normal(*dims)
        mean, var = wide.mean(axes, keepdims=True), wide.var(axes, keepdims=True)
        y = (wide - mean) / np.sqrt(var + 1e-5) * scale + bias
        write(root, "LayerNormalization", [x, scale, bias], [y.astype("float32")], axis=axis)


def softmax_cases(root):
    """Lines of every length about a vector's, and side by side; masked values; a line with NaN."""
    shapes = [((3, n), 1) for n in (1, 15, 16, 17, 31, 33, 197, 256, 272, 300, 1000)]
    shapes += [((2, 19, 9, 23), 1), ((5, 64), 0), ((3, 7, 65), 1), ((2, 200, 3), 1)]
    for (dims, axis), dtype in itertools.product(shapes, ("float32", "float64")):
        x = normal(*dims, dtype=dtype) * 4
        x[0].flat[::3] = -1e9
        x[-1].flat[::4] -= 95  # results without all of a float32's digits
        x[-1].flat[0] = 3
        if dims[0] == 3:
            x[1].flat[0] = np.nan
        wide = x.astype("float64")
        wide = wide - wide.max(axis, keepdims=True)
        y = np.exp(wide)
        total = y.sum(axis, keepdims=True)
        write(root, "Softmax", [x], [(y / total).astype(dtype)], axis=axis, rtol=1e-5, atol=1e-44)
        write(root, "LogSoftmax", [x], [(wide - np.log(total)).astype(dtype)], axis=axis,
              rtol=1e-6, atol=1e-6)


def main():
    root = sys.argv[1]
    for family in (conv_cases, conv_transpose_cases, pool_cases, recurrent_cases, product_cases,
                   norm_cases, softmax_cases):
        family(root)
    print(sum(counts.values()), "cases written")


if __name__ == "__main__":
    main()
