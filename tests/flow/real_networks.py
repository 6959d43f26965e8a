#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Networks that people use, from packages on PyPI: text detection, recognition and direction of
rapidocr-onnxruntime, voice activity of silero-vad (If, LSTM, state on axis 1). Every output and
every inner value, those inside the branches that run too, against ONNX Runtime without
optimisations: within 1e-4 of the value's largest magnitude (0.01 at least), integers exactly.

  real_networks.py UNBATCH FOLDER [PART_OF_A_NAME]
"""
import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

TOLERANCE = 1e-4


def package_files(package, pattern):
    spec = importlib.util.find_spec(package)
    return sorted(pathlib.Path(spec.origin).parent.glob(pattern))


def title(node):
    return node.name or node.output[0]


# ---- The branches that run, in place of If ------------------------------------------------------


def rename(node, names):
    for side in (node.input, node.output):
        for i, name in enumerate(side):
            side[i] = names.get(name, name)
    for a in node.attribute:
        if a.HasField("g"):
            for inner in a.g.node:
                rename(inner, names)
            for port in a.g.output:
                port.name = names.get(port.name, port.name)


def put_in(node, taken):
    """The nodes and weights of a branch, named as unbatch's addresses have them."""
    branch = next(a.g for a in node.attribute if a.name == f"{taken}_branch")
    prefix = f"{title(node)}/{taken}/"
    own = {t.name for t in branch.initializer} | {o for n in branch.node for o in n.output if o}
    names = {name: prefix + name for name in own}
    nodes, weights = [], []
    for t in branch.initializer:
        weights.append(onnx.TensorProto.FromString(t.SerializeToString()))
        weights[-1].name = names[t.name]
    for n in branch.node:
        n = onnx.NodeProto.FromString(n.SerializeToString())
        if n.name or n.op_type == "If":
            n.name = prefix + title(n)
        rename(n, names)
        nodes.append(n)
    for port, out in zip(branch.output, node.output):
        nodes.append(helper.make_node("Identity", [names.get(port.name, port.name)], [out]))
    return nodes, weights


def session(model, outputs):
    shown = onnx.ModelProto.FromString(model.SerializeToString())
    del shown.graph.value_info[:]
    have = {o.name for o in shown.graph.output}
    shown.graph.output.extend(onnx.ValueInfoProto(name=n) for n in outputs if n not in have)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return ort.InferenceSession(shown.SerializeToString(), options, ["CPUExecutionProvider"])


def flatten(model, inputs):
    model = onnx.ModelProto.FromString(model.SerializeToString())
    g = model.graph
    while any(n.op_type == "If" for n in g.node):
        ifs = [n for n in g.node if n.op_type == "If"]
        flags = session(model, {n.input[0] for n in ifs})
        got = dict(zip([o.name for o in flags.get_outputs()], flags.run(None, inputs)))
        fixed = {t.name: onnx.numpy_helper.to_array(t) for t in g.initializer}
        nodes = []
        for n in g.node:
            if n.op_type != "If":
                nodes.append(n)
                continue
            flag = got.get(n.input[0], fixed.get(n.input[0]))
            more, weights = put_in(n, "then" if flag else "else")
            nodes += more
            g.initializer.extend(weights)
        nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
        del g.node[:]
        g.node.extend(nodes)
    return model


# ---- Comparing ----------------------------------------------------------------------------------


def truth(model, inputs):
    flat = flatten(model, inputs)
    constant = {o for n in flat.graph.node if n.op_type == "Constant" for o in n.output}
    names = [o for n in flat.graph.node for o in n.output if o and o not in constant]
    s = session(flat, names)
    return dict(zip([o.name for o in s.get_outputs()], s.run(None, inputs)))


def ours(unbatch, path, inputs, names, folder):
    """The command takes 256 addresses at a time."""
    got = {}
    for i in range(0, len(names), 250):
        got.update(some(unbatch, path, inputs, names[i:i + 250], folder))
    return got


def some(unbatch, path, inputs, names, folder):
    out = folder / "got.npz"
    command = [unbatch, "get", str(path), *names, "-o", str(out), "-q", "-t", "2"]
    for name, value in inputs.items():
        np.save(folder / f"{name}.npy", value)
        command += ["-x", f"{name}={folder / f'{name}.npy'}"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{path.name}: {run.stderr.strip()}")
    with np.load(out) as z:
        return {k: z[k] for k in z.files}


def compare(unbatch, path, inputs, folder):
    want = truth(onnx.load(path), inputs)
    got = ours(unbatch, path, inputs, list(want), folder)
    worst, where = 0.0, ""
    for name, w in want.items():
        g = got[name]
        if g.shape != w.shape or g.dtype != w.dtype:
            sys.exit(f"{path.name}: {name}: {g.dtype} {g.shape}, expected {w.dtype} {w.shape}")
        if w.dtype.kind != "f":
            if not np.array_equal(g, w):
                sys.exit(f"{path.name}: {name}: integers differ")
            continue
        gap = float(np.abs(g - w).max() / max(np.abs(w).max(), 1e-2)) if w.size else 0.0
        if not gap <= worst:
            worst, where = gap, name
    inside = sum("/then/" in n or "/else/" in n for n in want)
    print(f"{path.name}: {len(want)} values, {inside} of them in branches, largest difference "
          f"{worst:.1e} at {where}", flush=True)
    if not worst <= TOLERANCE:
        sys.exit(f"{path.name}: {where} differs by {worst:.1e}")


# ---- The networks --------------------------------------------------------------------------------


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def rapidocr(rng):
    sizes = {"det": (96, 128), "rec": (48, 160), "cls": (48, 192)}
    for path in package_files("rapidocr_onnxruntime", "models/*.onnx"):
        kind = next(k for k in sizes if f"_{k}_" in path.name)
        for n in (1, 4):
            yield path, {"x": normal(rng, n, 3, *sizes[kind])}


def silero(rng):
    for path in package_files("silero_vad", "data/*.onnx"):
        names = [i.name for i in onnx.load(path, load_external_data=False).graph.input]
        if "state" not in names:
            one = {"input": normal(rng, 3, 576), "h": normal(rng, 1, 1, 128),
                   "c": normal(rng, 1, 1, 128)}
            yield path, one
            continue
        for rate, length in ((16000, 576), (8000, 288)):
            for n in (1, 4):
                if ("openvino" in path.name and n > 1) or ("sr" not in names and rate == 8000):
                    continue
                if rate == 8000 and "16k" in path.name:
                    continue
                given = {"input": 0.1 * normal(rng, n, length), "state": normal(rng, 2, n, 128),
                         "sr": np.array(rate)}
                yield path, {k: v for k, v in given.items() if k in names}


def main():
    unbatch, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20261125)
    seen = set()
    for source in (rapidocr, silero):
        for path, inputs in source(rng):
            if part in path.name:
                compare(unbatch, path, inputs, folder)
                seen.add(path.name)
    print(len(seen), "networks")
    if not part and len(seen) < 9:
        sys.exit("networks are missing")


if __name__ == "__main__":
    main()
