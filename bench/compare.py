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

import page as pages
from rounds import Command, Worker, interleave

HERE = pathlib.Path(__file__).parent
LAYER = "layer3.0.conv1:in[4]"
NODE = "/layer3/layer3.0/conv1/Conv"


def peer(*arguments):
    return [sys.executable, str(HERE / "peers.py"), *map(str, arguments)]


ENGINES = ("onnxruntime", "openvino", "torch", "torch-channels-last")


class Bench:
    def __init__(self, build, rounds, threads):
        self.build, self.rounds, self.threads = build, rounds, threads
        self.folder = build / "bench"
        self.unbatch = build / "bin" / "unbatch"
        self.page = pages.Page()

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

    def ours(self, name, batch, calls, *patterns, as_name="unbatch"):
        program = self.build / "bin" / "bench" / "bench_get"
        return Worker(as_name, [program, self.file(f"{name}.onnx"),
                                self.file(f"{name}.batch{batch}.npy"), self.threads, *patterns],
                      calls)

    def theirs(self, engine, name, batch, calls):
        return Worker(engine, peer(engine, self.folder, name, batch, self.threads), calls)

    def title(self, title, text):
        self.page.add(f"## {title}")
        self.page.add()
        self.page.add(text)
        self.page.add()

    # ---- the figures -------------------------------------------------------------------------

    def network(self, name, title, batch, calls, share):
        """All outputs of a network, warm."""
        workers = [self.ours(name, batch, calls, "@outputs")]
        workers += [self.theirs(e, name, batch, calls) for e in ENGINES]
        times = interleave(workers, self.rounds)
        self.get(name, batch)
        gap = self.agree(*(f"{name}.batch{batch}.{e}.npy" for e in ["onnxruntime", "unbatch"]))
        self.title(title, f"All outputs, warm, {self.threads} threads, float32, bursts of {calls} "
                          f"runs. unbatch and onnxruntime differ by {gap:.0e} of the largest "
                          "value.")
        self.page.times(times, "unbatch")
        self.page.goal(title, times, share, ENGINES)

    def resnet(self):
        self.network("resnet50", "ResNet-50, 1 picture", 1, 15, 0.75)

    def resnet32(self):
        self.network("resnet50", "ResNet-50, 32 pictures", 32, 1, 0.95)

    def mobilenet(self):
        self.network("mobilenetv2", "MobileNetV2, 1 picture", 1, 50, 0.9)

    def vit(self):
        self.network("vit", "ViT-B/16, 1 picture", 1, 5, 0.85)

    def encoder(self):
        self.network("encoder", "MiniLM-sized encoder, 8 x 128 tokens", 8, 5, 0.95)

    def lstm(self):
        self.network("lstm", "2-layer LSTM, 8 x 100 steps", 8, 20, 0.95)

    def unet(self):
        self.network("unet", "U-Net, 8 pictures", 8, 3, 0.95)

    def every(self):
        title, calls = "ResNet-50, every layer's output kept", 10
        peers = ["torch-hooks", "torch-hooks-channels-last", "onnxruntime-all"]
        workers = [self.ours("resnet50", 1, calls, "**")]
        workers += [self.theirs(e, "resnet50", 1, calls) for e in peers]
        times = interleave(workers, self.rounds)
        self.title(title, f"One picture, warm. `get '**'` for unbatch, a hook on every module for "
                          "PyTorch, every node's output an output for onnxruntime (both of these "
                          "run BatchNorm folded into the convolutions, as the file has it; PyTorch "
                          f"runs it as layers). Bursts of {calls} runs.")
        self.page.times(times, "unbatch")
        self.page.goal(title, times, 0.6, peers)

    def warm(self):
        title = "One layer's input, one sample of 32, warm"
        calls, whole = 30, 2
        workers = [self.ours("resnet50", 32, calls, LAYER),
                   self.theirs("onnxruntime-inner", "resnet50", 32, whole),
                   self.theirs("onnxruntime-cut", "resnet50", 32, calls)]
        times = interleave(workers, self.rounds)
        self.title(title, f"`{LAYER}` of ResNet-50 and a batch of 32: `ub_get()`; onnxruntime with "
                          "the inner tensor as an output, whole batch, sliced; and the model cut "
                          "by hand at that tensor, run on the one sample.")
        self.page.times(times, "unbatch")
        self.page.goal(f"{title}; whole batch", times, 0.015, ["onnxruntime-inner"])
        self.page.goal(f"{title}; model cut by hand", times, 1.05, ["onnxruntime-cut"])

    def cold(self):
        title = "One layer's input, one sample of 32, cold process"
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
        gap = self.agree("cold.usual.npy", "cold.unbatch.npy", "cold.knowing.npy")
        self.title(title, f"`unbatch get resnet50.onnx '{LAYER}' -x batch32.npy -o fifth.npy` "
                          "against a Python script with onnx and onnxruntime that makes the inner "
                          "tensor an output, runs the batch of 32 and slices the result; and "
                          "against one by somebody who cuts the model and feeds the one sample "
                          "(`bench/cold_onnxruntime.py`). The whole process from start to exit, "
                          "files in the page cache. The results differ by "
                          f"{gap:.0e} of the largest value at most.")
        self.page.times(times, "unbatch")
        self.page.goal(title, times, 0.04, ["onnxruntime"])
        self.page.add(f"Goal: under 120 MB: {times.memory['unbatch']:.0f} MB.")
        self.page.add()

    def layer(self):
        title, calls = "Conv2d(1, 32, 3), 32 x 1 x 28 x 28, one call", 300
        workers = [self.ours("conv", 32, calls, "y"),
                   self.ours("conv", 32, calls, "y[4]", as_name="unbatch, y[4]")]
        workers += [self.theirs(e, "conv", 32, calls) for e in ENGINES]
        times = interleave(workers, self.rounds)
        self.get("conv", 32)
        gap = self.agree(*(f"conv.batch32.{e}.npy" for e in ["torch", "unbatch"]))
        self.title(title, "One call of `ub_get()` from C (`bench/bench_get.c`) for the whole "
                          "output, and for one sample of it; the others from Python. "
                          f"{self.threads} threads, bursts of {calls} calls. unbatch and PyTorch "
                          f"differ by {gap:.0e} of the largest value.")
        self.page.times(times, "unbatch")
        self.page.goal(title, times, 0.5, ENGINES)

    def plan(self):
        title = "Open and plan ResNet-50"
        program, model = self.build / "bin" / "bench" / "bench_open", self.file("resnet50.onnx")
        x = self.file("resnet50.batch1.npy")

        def read(field):
            def from_text(text):
                ms = json.loads(text)[field]
                return ms, ms
            return from_text
        engines = [Command("unbatch", [program, model, x, "@outputs"], read("planned_ms")),
                   Command("unbatch, to the first result", [program, model, x, "@outputs"],
                           read("first_ms"))]
        engines += [Command(e, peer("open", e, model), read("ms"))
                    for e in ("onnxruntime", "openvino")]
        times = interleave(engines, self.rounds)
        self.title(title, "From the file to a plan with its kernels chosen "
                          "(`ub_open`, `ub_session_new`, `ub_prepare`) in a fresh process, and to "
                          "the first result, which generates the kernels' code and packs the "
                          "weights; beside making an onnxruntime session and an OpenVINO compiled "
                          "model, which generate and pack at once, without a run.")
        self.page.times(times, "unbatch")
        self.page.goal(title, times, 0.2, ["onnxruntime"])

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
        self.title(f"Opening a model file of {model.stat().st_size / 1e6:.0f} MB",
                   "84 fully connected layers of 1024 x 1024. `ub_open()` from C "
                   "(`bench/bench_open.c`), `onnx.load`, and an onnxruntime session, each in a "
                   "fresh process; the time is of the call, the memory of the process.")
        for title, before in (("In the page cache:", fill), ("Read from the disk:", drop)):
            engines = [Command("unbatch", [program, model], read, before)]
            engines += [Command(name, peer("open", name, model), read, before)
                        for name in ("onnx", "onnxruntime")]
            times = interleave(engines, min(self.rounds, 3))
            self.page.add(title)
            self.page.add()
            self.page.times(times, "unbatch")
            reached = times.median("unbatch") < 30 and times.memory["unbatch"] < 40
            self.page.add(f"Goal: under 30 ms, under 40 MB: "
                          f"{'reached' if reached else 'not reached'}.")
            self.page.add()

    def view(self):
        program, calls = self.build / "bin" / "bench" / "bench_view", 20
        workers = [Worker(name, [program, kind], calls) for name, kind in
                   (("ub_tensor_at", "at"), ("ub_tensor_slice", "slice"),
                    ("ub_tensor_index, text", "index"))]
        workers += [Worker(name, peer(kind), calls, 1e3) for name, kind in
                    (("NumPy", "numpy"), ("PyTorch", "torch-view"))]
        times = interleave(workers, min(self.rounds, 3))
        self.title("A view: x[4, :, :, :] of a (32, 3, 224, 224) batch",
                   "From C (`bench/bench_view.c`): `ub_tensor_at(&v, x, 4)`, `ub_tensor_slice` of "
                   "one axis, and `ub_tensor_index(&v, x, \"[4, :, :, :]\")`, which reads the text "
                   "and allocates the view; NumPy and PyTorch from Python.")
        self.page.times(times, "ub_tensor_at", "ns")
        self.page.add("Goal: under 50 ns: "
                      f"{'reached' if times.median('ub_tensor_at') < 50 else 'not reached'}.")
        self.page.add()


FIGURES = ("resnet", "resnet32", "mobilenet", "vit", "encoder", "lstm", "unet", "every", "warm",
           "cold", "layer", "plan", "opening", "view")


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
    """The page's first lines."""
    version = subprocess.run([bench.unbatch, "--version"], capture_output=True, text=True,
                             check=True).stdout.strip()
    peers = ", ".join(f"{p} {importlib.metadata.version(p)}"
                      for p in ("onnxruntime", "openvino", "torch", "onnx", "numpy"))
    return ["# Benchmarks", "",
            f"Written by `make bench` on {time.strftime('%Y-%m-%d')}: {version.splitlines()[0]} "
            f"beside {peers}, Python {platform.python_version()}.", "",
            f"Machine: {machine()}.", "",
            f"All engines take turns: {rounds} rounds, in each of which every engine runs for one "
            "burst. A burst's time is its median; \"median\" is over the bursts, \"best\" over "
            "all runs. The ratios are of the bursts of the same round: their median, smallest and "
            "largest. Random weights; pictures of 3 x 224 x 224 (U-Net: 3 x 128 x 128). Peak "
            "memory is that of the engine's whole process; where it is a Python one, the "
            "interpreter and its libraries count.", "",
            "![unbatch's time in shares of the fastest peer's](benchmarks.svg)", ""]


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="figures: " + " ".join(FIGURES))
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--only", default=",".join(FIGURES), metavar="FIGURE,...")
    parser.add_argument("--rounds", default=7, type=int)
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    only = options.only.split(",")
    if unknown := set(only) - set(FIGURES):
        parser.error(f"unknown figure {', '.join(unknown)}: {', '.join(FIGURES)}")
    bench = Bench(options.build.resolve(), options.rounds, options.threads)
    subprocess.run([sys.executable, HERE / "models.py", bench.folder], check=True)
    for name in only:
        getattr(bench, name)()
    page = bench.page
    goals = page.summary()
    print("\n".join(goals))
    out = options.out or (HERE.parent / "docs" / "benchmarks.md" if set(only) == set(FIGURES)
                          else None)
    if out:
        limits = HERE / "limits.md"
        text = head(bench, options.rounds) + goals + [""] + page.lines
        out.write_text("\n".join(text).rstrip() + "\n\n" + limits.read_text())
        out.with_suffix(".svg").write_text(pages.plot(page.goals))
    return 0


if __name__ == "__main__":
    sys.exit(main())
