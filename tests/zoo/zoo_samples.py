#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the samples are, found out by running: for every value of a model that the file names,

- the axis that grows from one sample to a batch of two, and by how much, is what the sample map
  says; what does not grow has no samples;
- sample 1 of the batch is what that sample gives alone, in every digit of its least and
  largest element, mean and deviation. So of an axis that holds more than the samples (heads,
  windows) the right part was taken. Left out are integers that number the rows of the batch.

Models are timm's and torchvision's as .pt2 and as .onnx of the dynamo exporter. Prints a Markdown
table.

usage: zoo_samples.py BUILD [NAME...]"""
import contextlib
import io
import pathlib
import sys
import tempfile
import warnings

import onnx
import torch

import networks
import zoo_torch
from zoo_torch import SAMPLE, Command


class Result:
    def __init__(self):
        self.values = self.with_samples = self.elsewhere = self.folded = 0
        self.wrong = []


def names_in(path):
    """The values of an .onnx file that nodes give."""
    graph = onnx.load(path, load_external_data=False).graph
    return [o for node in graph.node for o in node.output if o]


def grown(one, two):
    """The axes that grow, and entries a sample has along each; None: not in that proportion."""
    out = [(a, n) for a, (n, m) in enumerate(zip(one, two)) if n != m]
    return out if all(two[a] == 2 * n for a, n in out) else None


def check(build, path, names):
    """x1.npy, the second sample of x2.npy, and that lie beside the model."""
    command, r = Command(build, path, path.parent), Result()
    found, axes = command.places(2)
    layers = {layer for layer, _ in axes}  # which have their names before tensors
    names = [n for n in dict.fromkeys(names) if n in found and n not in layers]
    one, two = command.statistics(names, 1), command.statistics(names, 2)
    apart = []
    for n in names:
        v, dims = found[n], two[n]["shape"]
        grows = grown(one[n]["shape"], dims)
        r.values += 1
        if not v["known"] or "coupled" in v or v["dims"] != dims or grows is None or len(grows) > 1:
            r.wrong.append(f"{n}: {one[n]['shape']} {dims}, map {v}")
        elif grows != ([(v["axis"], v["outer"] * v["inner"])] if v["axis"] >= 0 else []):
            r.wrong.append(f"{n}: grows {grows}, map {v}")
        elif grows:
            apart += [] if "numbers" in v else [n]
            r.with_samples += 1
            r.elsewhere += v["axis"] > 0
            r.folded += v["outer"] * v["inner"] > 1
    inside = command.statistics([f"{n}[{SAMPLE}]" for n in apart], 2)
    for n in apart:
        if numbers(inside[f"{n}[{SAMPLE}]"]) != numbers(one[n]):
            r.wrong.append(f"{n}: {inside[f'{n}[{SAMPLE}]']}, alone {one[n]}")
    if not names:
        r.wrong.append("no value of it is known")
    return r


def numbers(statistics):
    return [statistics.get(k) for k in ("dtype", "min", "max", "mean", "std", "nan", "inf")]


def onnx_of(program, path):
    """Whether the dynamo exporter could write it; else why not."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            torch.onnx.export(program, dynamo=True, verbose=False).save(path)
        except Exception as e:
            while e.__cause__:
                e = e.__cause__
            return f"{type(e).__name__}: {str(e).strip().splitlines()[0][:120] if str(e) else ''}"
    return None


def of_program(program):
    return [n.name for n in program.graph.nodes
            if n.op == "call_function" and isinstance(n.meta.get("val"), torch.Tensor)]


HEAD = ("| model | values | with samples | not on the first axis | folded | wrong |\n"
        "|---|---|---|---|---|---|")


def line(name, r):
    return (f"| {name} | {r.values} | {r.with_samples} | {r.elsewhere} | {r.folded} | {len(r.wrong)}"
            f"{': ' + r.wrong[0][:300] if r.wrong else ''} |")


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    build, wrong, tried = pathlib.Path(sys.argv[1]).resolve(), 0, 0
    print(HEAD)
    for name in sys.argv[2:] or networks.NAMES:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            net, x = networks.build(name)
            program = zoo_torch.save(folder, net, x)
            r = check(build, folder / "m.pt2", of_program(program))
            print(line(f"{name}.pt2", r), flush=True)
            why = onnx_of(program, folder / "m.onnx")
            if why:
                print(f"| {name}.onnx | not exported: {why} | | | | |", flush=True)
                continue
            o = check(build, folder / "m.onnx", names_in(folder / "m.onnx"))
            print(line(f"{name}.onnx", o), flush=True)
            wrong += len(r.wrong) + len(o.wrong)
            tried += r.values + o.values
    print(f"\n{tried} values, {wrong} wrong")
    return 1 if wrong or not tried else 0


if __name__ == "__main__":
    sys.exit(main())
