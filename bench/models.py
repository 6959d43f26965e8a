#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes what bench/compare.py measures with: the networks of tests/torch/networks.py at full size,
the one-layer model, a model of 350 MB, and their inputs. Exported as users' files mostly are:
TorchScript exporter, opset 17, free batch, BatchNorm folded. usage: models.py FOLDER"""
import pathlib
import sys
import warnings

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests" / "torch"))
import networks  # noqa: E402

import nets  # noqa: E402

BATCH = 32


def settle(net, x):
    """BatchNorm's statistics become those of x, so that values keep a trained network's size from
    layer to layer: vanishing ones would time the processor's denormal numbers."""
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.momentum = 1.0
    with torch.no_grad():
        net.train()(x)
    return net.eval()


def bare(name):
    torch.manual_seed(0)
    if name == "conv":
        return torch.nn.Conv2d(1, 32, 3)
    return {"resnet50": networks.ResNet, "mobilenetv2": networks.MobileNetV2,
            "vit": networks.VisionTransformer, "encoder": nets.Encoder, "lstm": nets.Lstm,
            "unet": nets.UNet}[name]()


def network(name):
    """(network, batch): the same whenever it is called."""
    g = torch.Generator().manual_seed(7)
    if name == "conv":
        return bare(name).eval(), torch.randn(BATCH, 1, 28, 28, generator=g)
    if name == "encoder":
        return bare(name).eval(), torch.randint(0, 30522, (8, 128), generator=g)
    if name == "lstm":
        return bare(name).eval(), torch.randn(8, 100, 128, generator=g)
    if name == "unet":
        x = torch.randn(8, 3, 128, 128, generator=g)
        return settle(bare(name), x), x
    x = torch.randn(BATCH, 3, 224, 224, generator=g)
    return settle(bare(name), x), x


def export(folder, name):
    path = folder / f"{name}.onnx"
    if path.exists():
        return
    net, x = network(name)
    part = path.with_suffix(".part")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (x[:1],), str(part), dynamo=False, opset_version=17,
                          do_constant_folding=True, input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
    torch.save(net.state_dict(), folder / f"{name}.pt")
    np.save(folder / f"{name}.batch{len(x)}.npy", x.numpy())
    np.save(folder / f"{name}.batch1.npy", x[:1].numpy())
    part.rename(path)


def export_large(folder, side=1024, layers=84):
    """84 fully connected layers of 1024 x 1024: 352 MB of weights."""
    path = folder / "large.onnx"
    if path.exists():
        return
    g = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for i in range(layers):
        w = g.standard_normal((side, side), dtype=np.float32) / side ** 0.5
        weights += [numpy_helper.from_array(w, f"fc{i}.weight"),
                    numpy_helper.from_array(np.zeros(side, np.float32), f"fc{i}.bias")]
        nodes.append(helper.make_node("Gemm", [last, f"fc{i}.weight", f"fc{i}.bias"],
                                      [f"fc{i}.out"], name=f"/fc{i}/Gemm", transB=1))
        last = f"fc{i}.out"
    shape = ["batch", side]
    graph = helper.make_graph(
        nodes, "large", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, shape)], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    part = path.with_suffix(".part")
    onnx.save(model, part)
    part.rename(path)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("resnet50", "mobilenetv2", "conv", "vit", "encoder", "lstm", "unet"):
        export(folder, name)
    export_large(folder)


if __name__ == "__main__":
    main()
