#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whose samples keep their bits: every engine runs a batch and each of its samples alone, and the
samples whose outputs differ are counted; unbatch is put through `unbatch check invariance`, under
each kind of processor this one can be. Writes the measured part of docs/bitwise.md (`make
bench-bits`, in build/bench-venv). usage: bits.py [--build DIR] [--out FILE]"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
BATCH = 8
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
# What each path and each engine is asked for: (name, folder, file).
NETWORKS = ["resnet50", "mobilenetv2", "conv"]
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
    ready = folder / f"{name}.batch32.npy"
    if ready.exists():
        np.save(out, np.load(ready)[:BATCH])
        return out
    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    shape = [BATCH] + [d.dim_value or 7 for d in dims[1:]]
    np.save(out, np.random.default_rng(3).standard_normal(shape).astype(np.float32))
    return out


def measure(build):
    folder = build / "bench"
    rows, checks = [], []
    paths = [(n, folder / f"{n}.onnx") for n in NETWORKS]
    paths += [(n, ROOT / "tests" / "data" / "models" / n / "model.onnx") for n in TRAINED]
    for name, path in paths:
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
            found = ask([build / "bin" / "unbatch", "check", path, "invariance", "-x", npy,
                         "--json", "-q"], ONEDNN_MAX_CPU_ISA=isa, OMP_WAIT_POLICY="passive")
            values = [f for f in found["findings"] if f["verdict"] != "mixes"]
            compared = sum(f["compared"] for f in values)
            different = sum(f["differing"] for f in values)
            mixed = len(found["findings"]) - len(values)
            total = [total[0] + compared, total[1] + different, mixed]
            checks.append([name, isa.lower(), len(values), compared, different, mixed])
        row.append(f"{total[1]} of {total[0]:,} elements" + (
            f"; {total[2]} values mix" if total[2] else ""))
        rows.append(row)
        print(row, flush=True)
    return rows, checks


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return lines + ["| " + " | ".join(map(str, r)) + " |" for r in rows]


def write(out, rows, checks):
    text = [BEGIN, "", f"Samples of a batch of {BATCH} whose output has other bits alone than in "
            "the batch, with the largest difference in shares of the largest value; for unbatch "
            "the elements of every layer's input and output that differ, over all the ways "
            "`unbatch check invariance` runs them and three kinds of processor.", ""]
    text += table(["network", *ENGINES, "unbatch"], rows)
    text += ["", "The comparisons behind the last column:", ""]
    text += table(["network", "processor", "values", "elements compared", "differ",
                   "values that mix"],
                  [[n, i, v, f"{c:,}", d, m] for n, i, v, c, d, m in checks])
    text += ["", END]
    page = out.read_text()
    page = re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: "\n".join(text), page,
                  flags=re.S)
    out.write_text(page)


def main():
    if sys.argv[1:2] == ["--engine"]:
        return one_engine(*sys.argv[2:5])
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "bitwise.md")
    args = parser.parse_args()
    folder = args.build / "bench"
    if not (folder / "resnet50.onnx").exists():
        subprocess.run([sys.executable, HERE / "models.py", folder], check=True)
    write(args.out, *measure(args.build))


if __name__ == "__main__":
    main()
