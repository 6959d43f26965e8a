#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures unbatch beside onnxruntime, openvino and PyTorch and writes docs/benchmarks.md. Runs in
build/bench-venv (`make bench`). Imports nothing large: see Command in rounds.py.
usage: compare.py [--build DIR] [--only FIGURE,...] [--rounds N] [--threads N] [--out FILE]"""
import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

from rounds import Command, Worker, interleave

HERE = pathlib.Path(__file__).parent
LAYER = "layer3.0.conv1:in[4]"
NODE = "/layer3/layer3.0/conv1/Conv"


def peer(*arguments):
    return [sys.executable, str(HERE / "peers.py"), *map(str, arguments)]


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


class Page:
    """The Markdown that is printed as it grows and written at the end."""

    def __init__(self):
        self.lines = []

    def add(self, text=""):
        self.lines.append(text)
        print(text, flush=True)

    def table(self, head, rows):
        self.add("| " + " | ".join(head) + " |")
        self.add("|---" + "|---:" * (len(head) - 1) + "|")
        for row in rows:
            self.add("| " + " | ".join(row) + " |")
        self.add()

    def times(self, times, ours, unit="ms", extra=None):
        """One row an engine, and how many times ours it takes."""
        rows = []
        for name in times.medians:
            middle, low, high = times.ratio(name, ours)
            rows.append([name, number(times.best[name]), number(times.median(name)),
                         "1" if name == ours else f"{middle:.2f} ({low:.2f} to {high:.2f})"]
                        + ([extra(name)] if extra else []))
        self.table(["", f"best, {unit}", f"median, {unit}", f"times {ours}'s (over the rounds)"]
                   + (["peak memory, MB"] if extra else []), rows)
        if times.disturbed:
            self.add(f"{times.disturbed} of {times.bursts} bursts were disturbed by other "
                     "processes on the machine.")
            self.add()

    def goal(self, text, reached):
        self.add(f"Goal: {text}: {'reached' if reached else 'not reached'}.")
        self.add()


class Bench:
    def __init__(self, build, rounds, threads):
        self.build, self.rounds, self.threads = build, rounds, threads
        self.folder = build / "bench"
        self.unbatch = build / "bin" / "unbatch"
        self.page = Page()

    def file(self, name):
        return self.folder / name

    def agree(self, *names):
        """The largest difference of the later files' values from the first's."""
        run = subprocess.run(peer("agree", *map(self.file, names)), check=True, capture_output=True,
                             text=True)
        return float(run.stdout)

    def get(self, name, batch, what="y"):
        subprocess.run([self.unbatch, "get", self.file(f"{name}.onnx"), what, "-q", "-x",
                        self.file(f"{name}.batch{batch}.npy"), "-o",
                        self.file(f"{name}.batch{batch}.unbatch.npy")], check=True)

    # ---- the figures -------------------------------------------------------------------------

    def cold(self):
        model, x = self.file("resnet50.onnx"), self.file("resnet50.batch32.npy")
        script = [sys.executable, HERE / "cold_onnxruntime.py"]
        engines = [
            Command("unbatch", [self.unbatch, "get", model, LAYER, "-x", x, "-q", "-o",
                                self.file("cold.unbatch.npy")]),
            Command("onnxruntime", [*script, "usual", model, NODE, x, 4,
                                    self.file("cold.usual.npy")]),
            Command("onnxruntime, model cut by hand", [*script, "knowing", model, NODE, x, 4,
                                                       self.file("cold.knowing.npy")])]
        times = interleave(engines, self.rounds)
        memory = {e.name: max(e.memory) for e in engines}
        gap = self.agree("cold.usual.npy", "cold.unbatch.npy", "cold.knowing.npy")
        page = self.page
        page.add("## One layer's input for one sample, from a cold process")
        page.add()
        page.add(f"`unbatch get resnet50.onnx '{LAYER}' -x batch32.npy -o fifth.npy` against a "
                 "Python script with onnx and onnxruntime that makes the inner tensor an output, "
                 "runs the batch of 32 and slices the result; and against one by somebody who cuts "
                 "the model and feeds the one sample (`bench/cold_onnxruntime.py`). The whole "
                 "process from start to exit, files in the page cache. The results differ by "
                 f"{gap:.0e} of the largest value at most.")
        page.add()
        page.times(times, "unbatch", extra=lambda name: number(memory[name]))
        page.goal("at least 15 times faster than the usual script, under 150 MB, within 1e-4",
                  times.ratio("onnxruntime", "unbatch")[0] >= 15 and memory["unbatch"] < 150
                  and gap <= 1e-4)

    def network(self, name, title, batch, calls, goal=None):
        engines = ["onnxruntime", "openvino", "torch", "torch-channels-last"]
        model, x = self.file(f"{name}.onnx"), self.file(f"{name}.batch{batch}.npy")

        def read(text):
            run = json.loads(text)
            return run["min_ms"], run["median_ms"]
        workers = [Command("unbatch", [self.unbatch, "bench", model, "-x", x, "-n", calls,
                                       "--threads", self.threads, "--json"], read)]
        workers += [Worker(e, peer(e, self.folder, name, batch, self.threads), calls)
                    for e in engines]
        times = interleave(workers, self.rounds)
        self.get(name, batch)
        gap = self.agree(*(f"{name}.batch{batch}.{e}.npy" for e in ["onnxruntime", "unbatch"]))
        self.page.add(f"## {title}")
        self.page.add()
        self.page.add(f"All outputs, {self.threads} threads, float32, bursts of {calls} runs. "
                      f"unbatch and onnxruntime differ by {gap:.0e} of the largest value.")
        self.page.add()
        self.page.times(times, "unbatch")
        if goal:
            self.page.goal(goal, times.ratio("onnxruntime", "unbatch")[0] >= 1)

    def resnet(self):
        self.network("resnet50", "ResNet-50, one picture, warm", 1, 20,
                     "no slower than onnxruntime")

    def resnet32(self):
        self.network("resnet50", "ResNet-50, 32 pictures, warm", 32, 3)

    def mobilenet(self):
        self.network("mobilenetv2", "MobileNetV2, one picture, warm", 1, 50)

    def layer(self):
        calls = 300
        program = self.build / "bin" / "bench" / "bench_conv"
        model, x = self.file("conv.onnx"), self.file("conv.batch32.npy")
        engines = ["torch", "torch-channels-last", "onnxruntime", "openvino"]
        workers = [Worker("unbatch", [program, model, x, "y", self.threads], calls),
                   Worker("unbatch, y[4]", [program, model, x, "y[4]", self.threads], calls)]
        workers += [Worker(e, peer(e, self.folder, "conv", 32, self.threads), calls)
                    for e in engines]
        times = interleave(workers, self.rounds)
        self.get("conv", 32)
        gap = self.agree(*(f"conv.batch32.{e}.npy" for e in ["torch", "unbatch"]))
        page = self.page
        page.add("## One layer: Conv2d(1, 32, 3) on 32 x 1 x 28 x 28")
        page.add()
        page.add(f"One call of `ub_get()` from C (`bench/bench_conv.c`) for the whole output, and "
                 f"for one sample of it; the others from Python. {self.threads} threads, bursts of "
                 f"{calls} calls. unbatch and PyTorch differ by {gap:.0e} of the largest value.")
        page.add()
        page.times(times, "unbatch")
        page.goal("under half of PyTorch's and onnxruntime's time",
                  all(times.ratio(e, "unbatch")[0] > 2 for e in engines[:3]))

    def opening(self):
        program, model = self.build / "bin" / "bench" / "bench_open", self.file("large.onnx")

        def read(text):
            ms = json.loads(text)["ms"]
            return ms, ms

        def drop():
            """The file leaves the page cache."""
            f = os.open(model, os.O_RDONLY)
            os.fsync(f)
            os.posix_fadvise(f, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(f)

        def fill():
            with open(model, "rb", buffering=0) as f:
                while f.read(1 << 20):
                    pass
        page = self.page
        page.add(f"## Opening a model file of {model.stat().st_size / 1e6:.0f} MB")
        page.add()
        page.add("84 fully connected layers of 1024 x 1024. `ub_open()` from C "
                 "(`bench/bench_open.c`), `onnx.load`, and an onnxruntime session, each in a fresh "
                 "process; the time is of the call, the memory of the process.")
        page.add()
        for title, before in (("In the page cache:", fill), ("Read from the disk:", drop)):
            engines = [Command("unbatch", [program, model], read, before)]
            engines += [Command(name, peer("open", name, model), read, before)
                        for name in ("onnx", "onnxruntime")]
            times = interleave(engines, self.rounds)
            memory = {e.name: max(e.memory) for e in engines}
            page.add(title)
            page.add()
            page.times(times, "unbatch", extra=lambda name: number(memory[name]))
            page.goal("under 30 ms, under 40 MB",
                      times.median("unbatch") < 30 and memory["unbatch"] < 40)

    def view(self):
        program, calls = self.build / "bin" / "bench" / "bench_view", 20
        workers = [Worker(name, [program, kind], calls) for name, kind in
                   (("ub_tensor_at", "at"), ("ub_tensor_slice", "slice"),
                    ("ub_tensor_index, text", "index"))]
        workers += [Worker(name, peer(kind), calls, 1e3) for name, kind in
                    (("NumPy", "numpy"), ("PyTorch", "torch-view"))]
        times = interleave(workers, self.rounds)
        page = self.page
        page.add("## A view: x[4, :, :, :] of a (32, 3, 224, 224) batch")
        page.add()
        page.add("From C (`bench/bench_view.c`): `ub_tensor_at(&v, x, 4)`, `ub_tensor_slice` of "
                 "one axis, and `ub_tensor_index(&v, x, \"[4, :, :, :]\")`, which reads the text "
                 "and allocates the view; NumPy and PyTorch from Python.")
        page.add()
        page.times(times, "ub_tensor_at", "ns")
        page.goal("under 50 ns", times.median("ub_tensor_at") < 50)


FIGURES = ("cold", "resnet", "layer", "opening", "view", "mobilenet", "resnet32")


def machine():
    with open("/proc/cpuinfo") as f:
        facts = dict(line.split(":", 1) for line in f if ":" in line)
    facts = {k.strip(): v.strip() for k, v in facts.items()}
    flags = facts.get("flags", "").split()
    isa = [f for f in ("sse4_1", "avx2", "avx512f", "amx_tile") if f in flags]
    return (f"{facts.get('model name', platform.machine())} "
            f"(family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}; "
            f"{', '.join(isa)}), "
            f"{len(os.sched_getaffinity(0))} cores, "
            f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2 ** 30:.0f} GB")


def head(bench, rounds):
    version = subprocess.run([bench.unbatch, "--version"], capture_output=True, text=True,
                             check=True).stdout.strip()
    peers = ", ".join(f"{p} {importlib.metadata.version(p)}"
                      for p in ("onnxruntime", "openvino", "torch", "onnx", "numpy"))
    page = bench.page
    page.add("# Benchmarks")
    page.add()
    page.add(f"Written by `make bench` on {time.strftime('%Y-%m-%d')}: {version.splitlines()[0]} "
             f"beside {peers}, Python {platform.python_version()}.")
    page.add()
    page.add(f"Machine: {machine()}.")
    page.add()
    page.add(f"All engines take turns: {rounds} rounds, in each of which every engine runs for one "
             "burst. A burst's time is its median; \"median\" is over the bursts, \"best\" over "
             "all runs. The ratios are of the bursts of the same round: their median, smallest and "
             "largest. Random weights; pictures of 3 x 224 x 224.")
    page.add()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--only", default=",".join(FIGURES))
    parser.add_argument("--rounds", default=7, type=int)
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    only = options.only.split(",")
    if unknown := set(only) - set(FIGURES):
        parser.error(f"unknown figure {', '.join(unknown)}: {', '.join(FIGURES)}")
    bench = Bench(options.build.resolve(), options.rounds, options.threads)
    subprocess.run([sys.executable, HERE / "models.py", bench.folder], check=True)
    head(bench, options.rounds)
    for name in only:
        getattr(bench, name)()
    out = options.out or (HERE.parent / "docs" / "benchmarks.md" if set(only) == set(FIGURES)
                          else None)
    if out:
        out.write_text("\n".join(bench.page.lines).rstrip() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
