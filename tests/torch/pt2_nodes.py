#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every tensor of small exported programs, by its name in the program, against what PyTorch's own
interpreter of the program gives: all samples, and one sample of the batch.

usage: pt2_nodes.py UNBATCH FOLDER"""
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

BATCH, SAMPLE = 3, 1


class Attention(nn.Module):
    """A call is named like its result, also where its inner parts have names."""
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(12, 36)

    def forward(self, x):
        q, k, v = self.qkv(x).reshape(-1, 5, 3, 2, 6).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return y + F.scaled_dot_product_attention(q, k, v, is_causal=True)


class Standardised(nn.Module):
    """batch_norm in training is refused on samples, but not on weights."""
    def __init__(self):
        super().__init__()
        self.weight, self.gain = nn.Parameter(torch.randn(4, 2, 3, 3)), nn.Parameter(torch.rand(4))

    def forward(self, x):
        w = F.batch_norm(self.weight.reshape(1, 4, -1), None, None, weight=self.gain * .3,
                         training=True, momentum=0., eps=1e-6)
        return F.conv2d(x, w.reshape_as(self.weight))


class Maxima(nn.Module):
    """Which element was the largest is counted in each plane, for every sample alike."""
    def forward(self, x):
        a, where = F.max_pool2d(x, 3, 2, 1, return_indices=True)
        b, there = F.adaptive_max_pool2d(x, (8, 1), return_indices=True)
        return a + where, b + there


PROGRAMS = {"attention": (Attention, (BATCH, 5, 12)), "standardised": (Standardised, (BATCH, 2, 8, 8)),
            "maxima": (Maxima, (BATCH, 2, 8, 8))}


class Noting(torch.fx.Interpreter):
    def run_node(self, n):
        out = super().run_node(n)
        if n.op == "call_function" and isinstance(out, torch.Tensor):
            self.seen[n.name] = out.detach().numpy().copy()
        return out


def get(unbatch, folder, what):
    run = subprocess.run([unbatch, "get", folder / "m.pt2", *what, "-x", folder / "x.npy",
                          "-o", folder / "o.npz", "-q"], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr)
    with np.load(folder / "o.npz") as z:
        return [z[k] for k in z.files]


def check(unbatch, name, folder):
    make, shape = PROGRAMS[name]
    torch.manual_seed(7)
    net, x = make().eval(), torch.randn(shape)
    program = torch.export.export(net, (x,), dynamic_shapes=({0: torch.export.Dim("batch", max=64)},))
    torch.export.save(program, folder / "m.pt2")
    np.save(folder / "x.npy", x.numpy())
    noting = Noting(program.module())
    noting.seen = {}
    with torch.no_grad():
        noting.run(x)
    sizes = {n.name: n.meta["val"].shape for n in program.graph.nodes if n.name in noting.seen}
    axis = {n: [a for a, s in enumerate(s) if isinstance(s, torch.SymInt)] for n, s in sizes.items()}
    names = list(sizes)
    whole = get(unbatch, folder, names)
    parts = get(unbatch, folder, [f"{n}[{SAMPLE}]" if axis[n] else n for n in names])
    for n, all_of_it, part in zip(names, whole, parts):
        want = noting.seen[n]
        one = want.take(SAMPLE, axis[n][0]) if axis[n] else want
        for have, truth in ((all_of_it, want), (part, one)):
            if have.shape != truth.shape or have.dtype != truth.dtype:
                raise SystemExit(f"{name}: {n}: {have.dtype}{have.shape}, PyTorch has {truth.dtype}{truth.shape}")
            np.testing.assert_allclose(have, truth, rtol=1e-4, atol=1e-5, err_msg=f"{name}: {n}")
    print(f"{name}: {len(names)} tensors")
    return len(names)


def check_deep(unbatch, folder, depth=80):
    """The innermost of many modules inside modules has its name and its values."""
    inner = nn.Linear(4, 6)
    net = inner
    for _ in range(depth):
        net = nn.Sequential(net, nn.Tanh())
    x, seen = torch.randn(BATCH, 4), {}
    program = torch.export.export(net.eval(), (x,))
    torch.export.save(program, folder / "m.pt2")
    np.save(folder / "x.npy", x.numpy())
    inner.register_forward_hook(lambda _, args, out: seen.update(out=out.detach().numpy()))
    net(x)
    have, = get(unbatch, folder, [".".join(["0"] * depth)])
    np.testing.assert_allclose(have, seen["out"], rtol=1e-4, atol=1e-5, err_msg="deep")


def main():
    warnings.filterwarnings("ignore")
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    check_deep(sys.argv[1], folder)
    return 0 if all(check(sys.argv[1], name, folder) > 2 for name in PROGRAMS) else 1


if __name__ == "__main__":
    sys.exit(main())
