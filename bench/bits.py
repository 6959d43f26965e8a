#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whose samples keep their bits: every engine runs a batch and each of its samples alone, and the
samples whose outputs differ are counted; unbatch is put through `unbatch check invariance`, under
each kind of processor this one can be. What the promise costs: the time of a build whose
convolutions take the whole batch at once. What the tests compared, operator by operator. Writes the
measured part of docs/bitwise.md and docs/bitwise-operators.md (`make bench-bits`, in
build/bench-venv). usage: bits.py [--build DIR] [--docs DIR]"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

from rounds import Command, interleave

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
BATCH = 8
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
NETWORKS = ["resnet50", "mobilenetv2", "lstm", "conv"]
# Every layer, every way, would take hours for these.
OUTPUTS_ONLY = ["resnet50", "mobilenetv2"]
TRAINED = ["digits_lenet", "digits_vit", "shapes_mobilenet", "shapes_resnet", "superres_espcn",
           "digits_lenet_dynquant"]
ENGINES = ["torch", "onnxruntime", "openvino"]
ISAS = ["AVX512_CORE", "AVX2", "SSE41"]


def differing(outputs, alone):
    """(samples of another output alone than in the batch, largest difference over the largest)"""
    import numpy as np
    bad, worst = 0, 0.0
    for i, one in enumerate(alone):
        there = outputs[i:i + 1]
        if there.tobytes() != one.tobytes():
            bad += 1
            worst = max(worst, float(np.abs(there - one).max() / np.abs(there).max()))
    return bad, worst


def engine_call(engine, path, state):
    """A function from an input batch to the first output."""
    if engine == "onnxruntime":
        import onnxruntime
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda x: session.run(None, {name: x})[0]
    if engine == "openvino":
        import openvino
        model = openvino.Core().compile_model(str(path), "CPU",
                                              {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda x: model([x])[0].copy()
    import torch

    import models
    net = models.bare(state.stem).eval()
    net.load_state_dict(torch.load(state))
    return torch.inference_mode()(lambda x: net(torch.from_numpy(x)).numpy())


def one_engine(engine, path, npy):
    """In a process of its own: prints the count and the largest difference as JSON."""
    import numpy as np
    x = np.load(npy)[:BATCH]
    call = engine_call(engine, path, pathlib.Path(path).with_suffix(".pt"))
    print(json.dumps(differing(call(x), [call(x[i:i + 1]) for i in range(len(x))])))


def ask(command, **more):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                          env={**os.environ, **more})
    if done.returncode not in (0, 1):
        return None
    return json.loads(done.stdout)


def batch_file(folder, name, path):
    """The input every engine gets: BATCH samples."""
    import numpy as np
    import onnx
    out = folder / f"{name}.bits.npy"
    for ready in (folder / f"{name}.batch{n}.npy" for n in (32, BATCH)):
        if ready.exists():
            np.save(out, np.load(ready)[:BATCH])
            return out
    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    shape = [BATCH] + [d.dim_value or 7 for d in dims[1:]]
    np.save(out, np.random.default_rng(3).standard_normal(shape).astype(np.float32))
    return out


def invariance(unbatch, name, path, npy, isa):
    """[values, elements compared, elements that differ, values that mix]"""
    found = ask([unbatch, "check", path, "invariance", *outputs(name, path), "-x", npy, "--json",
                 "-q"], ONEDNN_MAX_CPU_ISA=isa, OMP_WAIT_POLICY="passive")
    values = [f for f in found["findings"] if f["verdict"] != "mixes"]
    return [len(values), sum(f["compared"] for f in values), sum(f["differing"] for f in values),
            len(found["findings"]) - len(values)]


def outputs(name, path):
    """What is looked at: nothing said, every layer."""
    import onnx
    if name not in OUTPUTS_ONLY:
        return []
    return [o.name for o in onnx.load(path, load_external_data=False).graph.output]


def models_of(folder):
    paths = [(n, folder / f"{n}.onnx") for n in NETWORKS]
    return paths + [(n, ROOT / "tests" / "data" / "models" / n / "model.onnx") for n in TRAINED]


def measure(build):
    folder = build / "bench"
    rows, checks = [], []
    for name, path in models_of(folder):
        npy = batch_file(folder, name, path)
        row = [name]
        for engine in ENGINES:
            if engine == "torch" and name not in NETWORKS:
                row.append("")
                continue
            found = ask([sys.executable, __file__, "--engine", engine, path, npy])
            row.append("failed" if found is None else f"{found[0]} of {BATCH}" + (
                f" ({found[1]:.0e})" if found[0] else ""))
        total = [0, 0, 0]
        for isa in ISAS:
            found = invariance(build / "bin" / "unbatch", name, path, npy, isa)
            total = [total[0] + found[1], total[1] + found[2], found[3]]
            checks.append([name, isa.lower(), *found])
        row.append(f"{total[1]} of {total[0]:,} elements" + (
            f"; {total[2]} values mix" if total[2] else ""))
        rows.append(row)
        print(row, flush=True)
    return rows, checks


# ---- The cost ----------------------------------------------------------------------------------


def timed(text):
    found = json.loads(text)
    return found["min_ms"], found["median_ms"]


def cost(build, rounds):
    """[network, with the promise, whole batches, ratio] for a batch of BATCH, in ms."""
    whole = build / "whole-batch"
    flags = ["-DCMAKE_BUILD_TYPE=Release", "-DUNBATCH_TESTS=OFF",
             "-DCMAKE_C_FLAGS=-DUB_MEASURE_WHOLE_BATCH"]
    for command in (["cmake", "-S", ROOT, "-B", whole, *flags],
                    ["cmake", "--build", whole, "--target", "unbatch_cli", "-j"]):
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    rows = []
    for name, path in models_of(build / "bench"):
        npy = batch_file(build / "bench", name, path)
        engines = [Command(kind, [binary / "bin" / "unbatch", "bench", path, "-x", npy, "-n", 5,
                                  "--json", "-q"], timed)
                   for kind, binary in (("kept", build), ("whole", whole))]
        times = interleave(engines, rounds)
        middle, low, high = times.ratio("kept", "whole")
        rows.append([name, f"{times.median('kept'):.3g}", f"{times.median('whole'):.3g}",
                     f"{middle:.2f} ({low:.2f} to {high:.2f})"])
        print(rows[-1], flush=True)
    return rows


# ---- What the tests compared -------------------------------------------------------------------


def tested(build):
    """{(operator, dtype): {processor: [models, compared, differing, mixing]}} of suite_checks."""
    found = {}
    for kind in ("cpu", "avx2", "sse41"):
        path = build / f"suite_checks.{kind}.tsv"
        if not path.exists():
            sys.exit(f"{path} is missing: run the tests first (make test-quick)")
        for line in path.read_text().splitlines():
            op, dtype, *counts = line.split("\t")
            found.setdefault((op, dtype), {})[kind] = list(map(int, counts))
    return found


def sum_of(counts, i):
    return sum(c[i] for c in counts)


def by_dtype(found):
    rows = []
    for dtype in sorted({d for _, d in found}):
        mine = [v for (_, d), v in found.items() if d == dtype]
        cells = [dtype, len(mine), sum_of([v["cpu"] for v in mine], 0)]
        for kind in ("cpu", "avx2", "sse41"):
            counts = [v[kind] for v in mine if kind in v]
            cells.append(f"{sum_of(counts, 2):,} of {sum_of(counts, 1):,}")
        rows.append(cells)
    return rows


def by_operator(found):
    rows = []
    for op in sorted({o for o, _ in found}):
        mine = {d: v for (o, d), v in found.items() if o == op}
        counts = [c for v in mine.values() for c in v.values()]
        first = [v["cpu"] for v in mine.values() if "cpu" in v]
        rows.append([op, " ".join(sorted(mine)), sum_of(first, 0), sum_of(first, 3),
                     f"{sum_of(counts, 1):,}", f"{sum_of(counts, 2):,}"])
    return rows


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return lines + ["| " + " | ".join(map(str, r)) + " |" for r in rows]


def write(docs, rows, checks, costs, found):
    text = [BEGIN, "", f"Samples of a batch of {BATCH} whose output has other bits alone than in "
            "the batch, with the largest difference in shares of the largest value; for unbatch "
            "the elements of every layer's input and output that differ (of " +
            " and ".join(OUTPUTS_ONLY) + " the outputs), over all the ways `unbatch check "
            "invariance` runs them and three kinds of processor.", ""]
    text += table(["network", *ENGINES, "unbatch"], rows)
    text += ["", "The comparisons behind the last column:", ""]
    text += table(["network", "processor", "values", "elements compared", "differ",
                   "values that mix"],
                  [[n, i, v, f"{c:,}", d, m] for n, i, v, c, d, m in checks])
    text += ["", f"The cost of the promise, a batch of {BATCH} in a warm session: the time of this "
             "library beside a build whose convolutions take the whole batch in one primitive, in "
             "turns (median and range of the ratio over the rounds).", ""]
    text += table(["network", "promise kept, ms", "whole batches, ms", "ratio"], costs)
    text += ["", "ONNX's conformance cases and this project's own, each with a free batch of 9: "
             "elements that differ, of those compared, in batches of 1 to 9, at other places in "
             "the batch, with 1, 2, 3 and 5 threads (`tests/ops/suite_checks.c`); by operator in "
             "`bitwise-operators.md`.", ""]
    text += table(["dtype of the input", "operators", "models", "this processor", "as AVX2",
                   "as SSE4.1"], by_dtype(found))
    text += ["", END]
    out = docs / "bitwise.md"
    page = re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: "\n".join(text),
                  out.read_text(), flags=re.S)
    out.write_text(page)
    operators = ["# The bitwise promise, operator by operator", "",
                 "Written by `make bench-bits` from what `tests/ops/suite_checks.c` compared, on "
                 "three kinds of processor. Models that mix samples are compared between runs of "
                 "the whole batch only.", ""]
    operators += table(["operator", "dtypes", "models", "of them mix", "elements compared",
                        "differ"], by_operator(found))
    (docs / "bitwise-operators.md").write_text("\n".join(operators) + "\n")


def main():
    if sys.argv[1:2] == ["--engine"]:
        return one_engine(*sys.argv[2:5])
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--docs", type=pathlib.Path, default=ROOT / "docs")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    folder = args.build / "bench"
    if not (folder / "resnet50.onnx").exists():
        subprocess.run([sys.executable, HERE / "models.py", folder], check=True)
    found = tested(args.build)
    write(args.docs, *measure(args.build), cost(args.build, args.rounds), found)


if __name__ == "__main__":
    main()
