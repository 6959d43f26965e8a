#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/pt2: exports the networks of model_networks.py and of this file with
torch.export, and writes what PyTorch's hooks see at every call of every module, as make_models.py
does for ONNX.

    pt2/NETWORK[.VARIANT].pt2  plain, decomposed, static4 (fixed batch), preserved (signatures)
    captures/NETWORK.npz       only for networks that have none yet
    captures/layers_pt2.tsv    one line per file, layer and side: see make_models.write_table()

Files refuse_*.pt2 are damaged or unsupported ones and were made by hand. Not run by the tests: it
needs torch 2.13.
usage: make_pt2.py DATA [NETWORK...]"""
import pathlib
import sys
import zipfile

import numpy as np
import torch
from torch import nn

import make_models
import model_networks
from model_networks import normal

DECOMPOSED = ("mlp", "resnet_tiny", "vit_tiny", "gru_seq", "transformer_encoder", "unet_tiny",
              "shared_calls")


class Edge(nn.Module):
    """What a loader of weights and aliases must not get wrong."""
    def __init__(self):
        super().__init__()
        self.fc, self.act, self.drop = nn.Linear(8, 8), nn.ReLU(inplace=True), nn.Dropout(.5)
        self.conv = nn.Conv2d(2, 4, 3).to(memory_format=torch.channels_last)
        base = torch.randn(4, 8)
        self.p0, self.p1 = nn.Parameter(base[:2]), nn.Parameter(base[2:])  # one record
        self.pt = nn.Parameter(torch.randn(8, 3).t())  # transposed strides
        self.register_buffer("bf", torch.randn(8).to(torch.bfloat16))
        self.register_buffer("empty", torch.zeros(0, 3))
        self.register_buffer("scalar", torch.tensor(3.5))
        self.register_buffer("np_buf", torch.arange(8.), persistent=False)
        self.const = torch.tensor([1., 2., 3.])
        self.tail = nn.Sequential(nn.Linear(8, 8), nn.Identity())

    def forward(self, x, img):
        a = self.fc(x)
        self.act(a)  # a itself changes
        b = self.drop(a)
        v = b[:, :4]
        v.mul_(2.)  # through a view: b changes too
        z = self.tail(b) + self.np_buf + self.bf.float()
        q = torch.cat([z @ self.p0.t(), z @ self.p1.t(),
                       (z @ self.pt.t()) * self.const + torch.tensor([.5, 1.5, 2.5])], 1)
        u, w = q.split([3, 4], 1)
        m, i = w.max(1)
        masked = x[:, None, [0, 2]].masked_fill(x[:, None, :2] > 0, -float("inf"))
        return u * self.scalar, w + self.conv(img).mean((2, 3)), v, m, i, masked.softmax(-1)


class NoGrad(nn.Module):
    """A graph inside the graph, which only switches gradients off."""
    def __init__(self):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)

    def forward(self, x):
        with torch.no_grad():
            x = self.act(self.fc1(x))
        return self.fc2(x)


class Writes(nn.Module):
    """In-place operators through views of views, in both directions."""
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 6)

    def forward(self, x):
        y = self.a(x)
        rows = y.view(-1, 3, 4)
        turned = rows.transpose(1, 2)
        turned[:, 1].add_(1.)  # a select of a transpose of a view
        rows[:, :, ::2].mul_(3.)  # every second
        y[:, -2:].zero_()
        z = self.b(y)
        first = z[:, :6]
        z[:, 6:].copy_(first * 2)
        third = z.unsqueeze(1).squeeze(1)
        third.clamp_(min=-1.)
        z[:, 0] = 5.
        mask = z > 2
        z[mask] = 0.5
        return self.c(z) + turned.sum((1, 2))[:, None], first


OWN = {
    "edge": (Edge, lambda n: (normal(n, 8), normal(n, 2, 5, 5))),
    "nograd": (NoGrad, lambda n: (normal(n, 8),)),
    "writes": (Writes, lambda n: (normal(n, 12),)),
}


def without_samples(path):
    """The same archive without the example inputs, which are a pickle that nobody reads."""
    with zipfile.ZipFile(path) as old:
        members = [(i, old.read(i)) for i in old.infolist() if "/sample_inputs/" not in i.filename]
    with zipfile.ZipFile(path, "w") as new:
        for info, data in members:
            new.writestr(zipfile.ZipInfo(info.filename), data)


def export(net, args, path, variant):
    batch = torch.export.Dim("batch", min=1, max=1024)
    shapes = None if variant == "static4" else tuple({0: batch} for _ in args)
    keep = tuple(p for p, _ in net.named_modules() if p) if variant == "preserved" else ()
    program = torch.export.export(net, args, dynamic_shapes=shapes,
                                  preserve_module_call_signature=keep)
    for graph in program.graph_module.modules():
        for node in graph.graph.nodes if isinstance(graph, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    if variant == "decomposed":
        program = program.run_decompositions()
    torch.export.save(program, path)
    without_samples(path)


def make(data, network):
    build, inputs = {**model_networks.ALL, **OWN}[network]
    torch.manual_seed(1234)
    net = build().eval()
    make_models.shake(net)
    six, five = inputs(make_models.BATCH), inputs(5)
    seen, outs = make_models.hooked(net, six)
    seen5, _ = make_models.hooked(net, five)
    store, lines = make_models.Store(), []
    for i, a in enumerate(six):
        store["input" if len(six) == 1 else f"input.{i}"] = a.numpy()
    variants = [""] + ["decomposed"] * (network in DECOMPOSED)
    variants += ["static4"] * (network == "mlp") + ["preserved"] * (network == "shared_calls")
    for variant in variants:
        path = data / "pt2" / f"{network}{'.' if variant else ''}{variant}.pt2"
        export(net, inputs(4), path, variant)
        make_models.write_table(lines, path.name, network, seen, seen5, store, {})
    for i, o in enumerate(outs):
        store.put("output" if len(outs) == 1 else f"output.{i}", o.numpy())
    capture = data / "captures" / f"{network}.npz"
    if not capture.exists():
        np.savez(capture, **store)
    return lines


def main():
    torch.set_num_threads(1)
    data = pathlib.Path(sys.argv[1])
    (data / "pt2").mkdir(exist_ok=True)
    table = data / "captures" / "layers_pt2.tsv"
    wanted = sys.argv[2:] or [*model_networks.ALL, *OWN]
    kept = table.read_text().splitlines() if table.exists() else []
    lines = [line for line in kept if line.split("\t")[1] not in wanted]
    for network in wanted:
        lines += make(data, network)
    table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
