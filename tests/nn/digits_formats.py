#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The digits network of examples/ in all its formats: every layer's input and output of four
samples, from each file by the same name, beside what PyTorch's hooks saw (layers.npz), what Keras
itself gives, and each other: within 1e-4 of the layer's largest magnitude. Keras has the channels
last. usage: digits_formats.py UNBATCH DIGITS FOLDER"""
import os
import pathlib
import subprocess
import sys
import warnings

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

SAMPLES = 4
NAMES = ["conv1", "relu1", "conv2", "relu2", "pool1", "conv3", "relu3", "pool2", "flatten", "fc1",
         "relu4", "fc2"]


def get(unbatch, model, names, images, folder):
    out = folder / "out.npz"
    what = [f"{n}{side}[{i}]" for n in names for side in (":in", ":out") for i in range(SAMPLES)]
    done = subprocess.run([unbatch, "get", model, *what, "-x", images, "-o", out],
                          capture_output=True, text=True)
    if done.returncode or done.stderr:
        raise SystemExit(f"{model}: {done.stderr}")
    with np.load(out) as z:
        return {f"{n}.{side}": np.stack([z[f"{n}:{side}[{i}]"] for i in range(SAMPLES)])
                for n in names for side in ("in", "out")}


def first(name, x):
    """A value of the Keras network as PyTorch has it."""
    if x.ndim == 4:
        return x.transpose(0, 3, 1, 2)
    if name in ("flatten.out", "fc1.in"):
        return x.reshape(-1, 5, 5, 48).transpose(0, 3, 1, 2).reshape(len(x), -1)
    return x


def compare(title, got, want):
    worst = 0.0
    for name, w in want.items():
        if got[name].shape != w.shape:
            raise SystemExit(f"{title}: {name} is {got[name].shape}, not {w.shape}")
        worst = max(worst, np.abs(got[name] - w).max() / np.abs(w).max())
    print(f"{title}: {len(want)} values, largest difference {worst:.1e}")
    if not worst <= 1e-4:
        raise SystemExit(1)


def seen_by_keras(path, images):
    model = keras.models.load_model(path, compile=False)
    values, x = {}, images
    for layer in model.layers:
        y = layer(x, training=False)
        values[f"{layer.name}.in"] = keras.ops.convert_to_numpy(x)
        values[f"{layer.name}.out"] = keras.ops.convert_to_numpy(y)
        x = y
    return values


def main():
    warnings.filterwarnings("ignore")
    unbatch, digits, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    images = np.load(digits / "digits.npy")
    last = folder / "last.npy"
    np.save(last, np.ascontiguousarray(images.transpose(0, 2, 3, 1)))
    with np.load(digits / "layers.npz") as z:
        want = {f"{n}.{side}": z[f"{n}.{side}"] for n in NAMES for side in ("in", "out")}
    for file in ("digits.onnx", "digits.torchscript.onnx", "digits.pt2"):
        compare(file, get(unbatch, digits / file, NAMES, digits / "digits.npy", folder), want)
    with_dropout = NAMES[:-1] + ["dropout", "fc2"]
    for file in ("digits.keras", "digits.h5"):
        got = get(unbatch, digits / file, with_dropout, last, folder)
        compare(f"{file} and Keras", got,
                {k: v for k, v in seen_by_keras(digits / file,
                                                np.load(last)[:SAMPLES]).items()})
        compare(f"{file} and PyTorch", {k: first(k, v) for k, v in got.items()}, want)


if __name__ == "__main__":
    main()
