#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the trained digits network of digits.onnx in other formats, with the same weights and the
same names of layers: digits.pt2 (PyTorch), digits.keras and digits.h5 (Keras; a twin of the network
with the channels last).

    pip install torch==2.13.0 onnx==1.23.2 keras==3.15.1
    python convert.py
"""
import os
import pathlib

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import onnx
import torch
from onnx import numpy_helper

HERE = pathlib.Path(__file__).resolve().parent


class Digits(torch.nn.Module):
    """The network of train.py."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 32, 3)
        self.relu1 = torch.nn.ReLU()
        self.conv2 = torch.nn.Conv2d(32, 32, 3)
        self.relu2 = torch.nn.ReLU()
        self.pool1 = torch.nn.MaxPool2d(2)
        self.conv3 = torch.nn.Conv2d(32, 48, 3)
        self.relu3 = torch.nn.ReLU()
        self.pool2 = torch.nn.MaxPool2d(2)
        self.flatten = torch.nn.Flatten()
        self.fc1 = torch.nn.Linear(48 * 5 * 5, 64)
        self.relu4 = torch.nn.ReLU()
        self.dropout = torch.nn.Dropout(0.4)
        self.fc2 = torch.nn.Linear(64, 10)

    def forward(self, image):
        x = self.relu1(self.conv1(image))
        x = self.pool1(self.relu2(self.conv2(x)))
        x = self.pool2(self.relu3(self.conv3(x)))
        x = self.relu4(self.fc1(self.flatten(x)))
        return self.fc2(self.dropout(x))


def keras_twin():
    L = keras.layers
    return keras.Sequential([
        keras.Input((28, 28, 1), name="image"),
        L.Conv2D(32, (3, 3), name="conv1"), L.ReLU(name="relu1"),
        L.Conv2D(32, (3, 3), name="conv2"), L.ReLU(name="relu2"),
        L.MaxPooling2D(name="pool1"),
        L.Conv2D(48, (3, 3), name="conv3"), L.ReLU(name="relu3"),
        L.MaxPooling2D(name="pool2"),
        L.Flatten(name="flatten"),
        L.Dense(64, name="fc1"), L.ReLU(name="relu4"),
        L.Dropout(0.4, name="dropout"),
        L.Dense(10, name="fc2"),
    ], name="digits")


def keras_weights(state):
    """PyTorch's weights in Keras' shapes. Keras flattens (5, 5, 48) and PyTorch (48, 5, 5): the rows
    of fc1 change places."""
    for name in ("conv1", "conv2", "conv3"):
        yield name, [state[f"{name}.weight"].transpose(2, 3, 1, 0), state[f"{name}.bias"]]
    fc1 = state["fc1.weight"].reshape(64, 48, 5, 5).transpose(2, 3, 1, 0).reshape(1200, 64)
    yield "fc1", [fc1, state["fc1.bias"]]
    yield "fc2", [state["fc2.weight"].T, state["fc2.bias"]]


def save_torch(state):
    net = Digits().eval()
    net.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    images = torch.from_numpy(np.load(HERE / "digits.npy")[:2])
    program = torch.export.export(net, (images,), dynamic_shapes=[{0: torch.export.Dim("batch")}])
    # Where on the author's machine each line of code was is not for others; neither is the example.
    for node in program.graph.nodes:
        for key in ("stack_trace", "from_node"):
            node.meta.pop(key, None)
    program.example_inputs = None
    torch.export.save(program, HERE / "digits.pt2")
    return net


def save_keras(state):
    model = keras_twin()
    for name, weights in keras_weights(state):
        model.get_layer(name).set_weights(weights)
    model.save(HERE / "digits.keras")
    model.save(HERE / "digits.h5")
    return model


def main():
    graph = onnx.load(HERE / "digits.onnx").graph
    arrays = {t.name: numpy_helper.to_array(t).copy() for t in graph.initializer}
    state = {k: arrays[k] for k in Digits().state_dict()}
    net, model = save_torch(state), save_keras(state)
    images = np.load(HERE / "digits.npy")
    with torch.no_grad():
        want = net(torch.from_numpy(images)).numpy()
    got = keras.ops.convert_to_numpy(model(images.transpose(0, 2, 3, 1), training=False))
    gap = np.abs(want - got).max() / np.abs(want).max()
    print(f"largest difference between PyTorch's and Keras' scores: {gap:.1e}")
    if gap > 1e-5:
        raise SystemExit("the files are not of the same network")


if __name__ == "__main__":
    main()
