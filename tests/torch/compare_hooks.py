#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exports torchvision-like networks with both exporters, unfolded, and compares every layer's input
and output of every sample with what PyTorch's hooks see: within 1e-4 of the layer's largest
magnitude. usage: compare_hooks.py UNBATCH FOLDER"""
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import torch

import networks

BATCH = 3


def hooked(net, x):
    """Each module's first input and output, by path; only modules called once."""
    seen, handles = {}, []
    for path, module in net.named_modules():
        def hook(module, args, out, path=path):
            if path and isinstance(out, torch.Tensor):
                seen.setdefault(path, []).append((args[0].clone(), out.clone()))
        handles.append(module.register_forward_hook(hook))

    # An in-place ReLU changes its input's values: keep them as they were before.
    before = {}

    def pre(module, args, path):
        before[path] = args[0].clone()
    for path, module in net.named_modules():
        handles.append(module.register_forward_pre_hook(lambda m, a, p=path: pre(m, a, p)))
    with torch.no_grad():
        net(x)
    for h in handles:
        h.remove()
    return {p: (before[p].numpy(), calls[0][1].numpy()) for p, calls in seen.items()
            if len(calls) == 1}


def get(unbatch, model, what, x, folder):
    out = folder / "all.npz"
    run = subprocess.run([unbatch, "get", str(model), *what, "-x", str(x), "-o", str(out), "-q"],
                         capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{model.name}: {run.stderr.strip()}")
    with np.load(out) as z:
        return {k: z[k] for k in z.files}


def names(unbatch, model):
    import json
    run = subprocess.run([unbatch, "summary", str(model), "--json"], capture_output=True, text=True,
                         check=True)
    return {row["name"] for row in json.loads(run.stdout)["layers"] if not row["missing"]}


def compare(unbatch, model, truth, x_file, folder):
    known = names(unbatch, model)
    paths = [p for p in truth if p in known]
    worst, where, absent = 0.0, "", sorted(set(truth) - known)
    for sample in range(BATCH):
        what = [f"{p}{side}[{sample}]" for p in paths for side in (":in", ":out")]
        got = get(unbatch, model, what, x_file, folder)
        for p in paths:
            for side, want in zip((":in", ":out"), truth[p]):
                have = got[f"{p}{side}[{sample}]"]
                if have.shape != want[sample].shape:
                    raise SystemExit(f"{model.name}: {p}{side}: {have.shape}, "
                                     f"PyTorch has {want[sample].shape}")
                gap = np.abs(have - want[sample]).max() / np.abs(want).max()
                if gap > worst:
                    worst, where = gap, f"{p}{side}[{sample}]"
    print(f"{model.name}: {len(paths)} layers of {len(truth)}, {BATCH} samples, "
          f"largest difference {worst:.1e} at {where}; not in the file: {', '.join(absent) or '-'}")
    return worst <= 1e-4 and len(paths) > 5 and all(is_empty(p) for p in absent)


def is_empty(path):
    """Modules that leave no operator behind: Dropout in eval mode."""
    return path in EMPTY


EMPTY = set()


def main():
    unbatch, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    good = True
    for name, (net, side) in networks.small().items():
        x = torch.randn(BATCH, 3, side, side, generator=torch.Generator().manual_seed(7))
        np.save(folder / "x.npy", x.numpy())
        EMPTY.clear()
        EMPTY.update(p for p, m in net.named_modules() if isinstance(m, torch.nn.Dropout))
        truth = hooked(net, x)
        script, dynamo = folder / f"{name}.torchscript.onnx", folder / f"{name}.dynamo.onnx"
        torch.onnx.export(net, (x,), str(script), dynamo=False, do_constant_folding=False,
                          opset_version=17, input_names=["x"], dynamic_axes={"x": {0: "batch"}})
        torch.onnx.export(net, (x,), str(dynamo), dynamo=True, optimize=False, verbose=False,
                          external_data=False, input_names=["x"],
                          dynamic_shapes=[{0: torch.export.Dim("batch")}])
        for model in (script, dynamo):
            good = compare(unbatch, model, truth, folder / "x.npy", folder) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
