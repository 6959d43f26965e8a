#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A network is exported with its first weights and opened with others: from .safetensors files that
the safetensors library writes (float32, float16, in one file and in shards) and from .npz. Every
layer must be what PyTorch's hooks see of the network with these weights, within 1e-4 of the layer's
largest magnitude. What cannot be replaced is refused. usage: replace_weights.py UNBATCH FOLDER"""
import copy
import json
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import torch
from safetensors.torch import save_file, save_model
from torch import nn

import compare_hooks
import networks


class Tied(nn.Module):
    """Two layers with one weight, which the file holds once."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.mix = nn.Linear(6, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(torch.tanh(self.mix(self.embed(ids))))


def other_weights(net):
    net = copy.deepcopy(net)
    g = torch.Generator().manual_seed(99)
    with torch.no_grad():
        for p in net.parameters():
            p += 0.3 * p.abs().mean() * torch.randn(p.shape, generator=g)
        for name, b in net.named_buffers():
            if b.dtype.is_floating_point:
                b *= 1 + 0.3 * torch.rand(b.shape, generator=g)
    return net.eval()


def run(unbatch, *args):
    return subprocess.run([unbatch, *map(str, args)], capture_output=True, text=True)


def check(condition, text):
    if not condition:
        raise SystemExit(f"FAILED: {text}")


def compare(unbatch, model, weights, truth, x, folder):
    """The largest difference of any layer, as a share of its largest magnitude."""
    rows = json.loads(run(unbatch, "summary", model, "--json").stdout)["layers"]
    known = {row["name"] for row in rows if not row["missing"]}
    paths = [p for p in truth if p in known]
    check(len(paths) > 2, f"{model.name}: only {paths}")
    what = [f"{p}{side}" for p in paths for side in (":in", ":out")]
    got = run(unbatch, "get", model, *what, "-x", x, "-o", folder / "got.npz", "--weights", weights)
    check(got.returncode == 0, f"{model.name}, {weights.name}: {got.stderr}")
    worst = 0.0
    with np.load(folder / "got.npz") as z:
        for p in paths:
            for side, want in zip((":in", ":out"), truth[p]):
                have = z[p + side]
                check(have.shape == want.shape, f"{p}{side}: {have.shape}, not {want.shape}")
                worst = max(worst, np.abs(have - want).max() / np.abs(want).max())
    print(f"{model.name} with {weights.name}: {len(paths)} layers, {worst:.1e}")
    check(worst <= 1e-4, f"{model.name} with {weights.name}: {worst}")


def refused(unbatch, code, words, *args):
    got = run(unbatch, *args)
    check(got.returncode == code, f"{args}: exit {got.returncode}, not {code}: {got.stderr}")
    check(got.stderr.count("\n") == 1 and all(w in got.stderr for w in words),
          f"{args}: {got.stderr}")
    print(got.stderr.strip())


def export(net, x, path, fold, dynamo):
    if dynamo:
        torch.onnx.export(net, (x,), str(path), dynamo=True, optimize=fold, verbose=False,
                          external_data=False, input_names=["x"],
                          dynamic_shapes=[{0: torch.export.Dim("batch")}])
    else:
        torch.onnx.export(net, (x,), str(path), dynamo=False, do_constant_folding=fold,
                          opset_version=17, input_names=["x"], dynamic_axes={"x": {0: "batch"}})


def shard(state, folder):
    """The same weights in two files with an index, as Hugging Face's libraries write them."""
    names = list(state)
    half = len(names) // 2
    places = {}
    for i, part in enumerate((names[:half], names[half:])):
        file = f"model-{i + 1:05}-of-00002.safetensors"
        save_file({n: state[n] for n in part}, folder / file)
        places.update({n: file for n in part})
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": places}))
    return index


def convolutions(unbatch, folder):
    net, side = networks.small()["resnet"]
    net.eval()
    other = other_weights(net)
    x = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(7))
    x_file = folder / "wx.npy"
    np.save(x_file, x.numpy())
    truth = compare_hooks.hooked(other, x)
    state = {k: v.contiguous() for k, v in other.state_dict().items()}
    full, half = folder / "full.safetensors", folder / "half.safetensors"
    save_file(state, full)
    save_file({k: v.half() if v.dtype == torch.float32 else v for k, v in state.items()}, half)
    # NumPy keeps Fortran order, which the file then has too.
    npz = folder / "full.npz"
    np.savez(npz, **{k: np.asfortranarray(v.numpy()) for k, v in state.items()})
    rounded = copy.deepcopy(other).half().float()
    program = folder / "weights.pt2"
    torch.export.save(torch.export.export(net, (x,), dynamic_shapes=[
        {0: torch.export.Dim("batch")}]), program)
    compare(unbatch, program, full, truth, x_file, folder)
    for dynamo in (False, True):
        model = folder / f"weights.{'dynamo' if dynamo else 'torchscript'}.onnx"
        export(net, x, model, False, dynamo)
        for weights in (full, npz, shard(state, folder)):
            compare(unbatch, model, weights, truth, x_file, folder)
        compare(unbatch, model, half, compare_hooks.hooked(rounded, x), x_file, folder)
        note = run(unbatch, "summary", model, "--weights", full, "-v").stderr
        n = sum(1 for k in state if not k.endswith("num_batches_tracked"))
        check(f"{n} weights from" in note and "num_batches_tracked" in note, note)
        folded = folder / f"folded.{model.name}"
        export(net, x, folded, True, dynamo)
        refused(unbatch, 4, ["the weights of 'conv1' cannot be replaced", "was folded into it"],
                "summary", folded, "--weights", full)
    refusals(unbatch, folder, model, state)


def refusals(unbatch, folder, model, state):
    bad = folder / "bad.safetensors"
    save_file(dict(state, **{"conv1.weight": torch.zeros(2, 3, 7, 7)}), bad)
    shape = tuple(state["conv1.weight"].shape)
    refused(unbatch, 5, [f"'conv1.weight' is float32 (2, 3, 7, 7), the model has float32 {shape}"],
            "summary", model, "--weights", bad)
    save_file(dict(state, **{"conv1.weight": state["conv1.weight"].to(torch.int32)}), bad)
    refused(unbatch, 5, ["'conv1.weight' is int32"], "summary", model, "--weights", bad)
    save_file({"module." + k: v for k, v in state.items()}, bad)
    refused(unbatch, 2, ["no array has the name of a weight of the model",
                         "'module.bn1.bias' is near 'bn1.bias'"],
            "summary", model, "--weights", bad)
    refused(unbatch, 3, ["cannot open"], "summary", model, "--weights", folder / "none.safetensors")
    refused(unbatch, 3, ["cannot read"], "summary", model, "--weights", model)


def tied(unbatch, folder):
    torch.manual_seed(3)
    net = Tied().eval()
    other = other_weights(net)
    ids = torch.arange(14).reshape(2, 7) % 11
    np.save(folder / "ids.npy", ids.numpy())
    weights = folder / "tied.safetensors"
    save_model(other, str(weights))
    with torch.no_grad():
        want = other(ids).numpy()
    for dynamo in (False, True):
        model = folder / f"tied.{dynamo}.onnx"
        export(net, ids, model, False, dynamo)
        got = run(unbatch, "run", model, "-x", folder / "ids.npy", "--weights", weights, "-o",
                  folder / "tied.npy")
        check(got.returncode == 0, got.stderr)
        gap = np.abs(np.load(folder / "tied.npy") - want).max() / np.abs(want).max()
        print(f"{model.name}: {gap:.1e}")
        check(gap <= 1e-4, f"{model.name}: {gap}")
    # What the exporter transposed has another name and another layout.
    folded = folder / "tied.folded.onnx"
    export(net, ids, folded, True, False)
    refused(unbatch, 4, ["cannot be replaced: the exporter seems to have made 'onnx::MatMul_"],
            "summary", folded, "--weights", weights)


def main():
    unbatch, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    convolutions(unbatch, folder)
    tied(unbatch, folder)


if __name__ == "__main__":
    main()
