#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The batch law through If, Loop and Scan: values against ONNX Runtime; a
sample keeps its bits when its neighbours change, when it is asked by itself, in another batch, and
when others or all are asked with it; what mixes samples is said to, with the reason; and where
nothing mixes only the asked sample is computed.

  flow_law.py UNBATCH FOLDER
"""
import json
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

rng = np.random.default_rng(20261127)
N, C = 5, 16


def info(name, shape=None, dtype=T.FLOAT):
    return h.make_tensor_value_info(name, dtype, shape)


def const(name, value, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def node(op, inputs, outputs, name="", **attributes):
    split = [[n if n != "-" else "" for n in side.split()] for side in (inputs, outputs)]
    return h.make_node(op, *split, name=name, **attributes)


def graph(nodes, inputs, outputs, weights=()):
    return h.make_graph(nodes, "g", inputs, outputs, weights)


def model(nodes, inputs, outputs, weights):
    return h.make_model(graph(nodes, inputs, outputs, weights), ir_version=10,
                        opset_imports=[h.make_opsetid("", 20)])


W = (rng.standard_normal((C, C)) / 4).astype(np.float32)
COUNTED = [info("i", [], T.INT64), info("go", [], T.BOOL)]


def loop(body, states=("x",), trips="trips", go="-", scans=1):
    outputs = " ".join([f"y{k}" for k in range(len(states))] + [f"all{k}" for k in range(scans)])
    return node("Loop", f"{trips} {go} {' '.join(states)}", outputs, "loop", body=body)


def cell(op="Tanh", more=(), name="s2"):
    """s -> tanh(s w + x)"""
    return [node("MatMul", "s w", "p", "product"), node("Add", "p x", "q"), node(op, "q", name),
            *more]


# Each: nodes, inputs with their shapes (N the batch), outputs -> where the samples are (None: mixed)
def recurrent():
    body = graph(cell(more=[node("Identity", "go", "on")]), [*COUNTED, info("s", [None, C])],
                 [info("on", [], T.BOOL), info("s2"), info("q")])
    return [loop(body)], {"x": (N, C)}, {"y0": 0, "all0": 1}


def convolved():
    body = graph([node("Conv", "s k", "p", "conv", pads=[1, 1, 1, 1]), node("Relu", "p", "s2"),
                  node("GlobalAveragePool", "s2", "mean"), node("Identity", "go", "on")],
                 [*COUNTED, info("s", [None, 2, 6, 6])],
                 [info("on", [], T.BOOL), info("s2"), info("mean")])
    return [loop(body)], {"x": (N, 2, 6, 6)}, {"y0": 0, "all0": 1}


def zeros_first():
    """The state begins as zeros, one row a sample."""
    body = graph(cell(more=[node("Identity", "go", "on")]), [*COUNTED, info("s", [None, C])],
                 [info("on", [], T.BOOL), info("s2")])
    return ([node("Shape", "x", "shape"), node("ConstantOfShape", "shape", "start"),
             loop(body, ["start"], scans=0)], {"x": (N, C)}, {"y0": 0})


def turned():
    """The batch on axis 1."""
    body = graph(cell(more=[node("Identity", "go", "on")]), [*COUNTED, info("s", [3, None, C])],
                 [info("on", [], T.BOOL), info("s2"), info("q")])
    return ([node("Transpose", "x0", "x", perm=[1, 0, 2]), loop(body)], {"x0": (N, 3, C)},
            {"y0": 1, "all0": 2})


def mixing():
    body = graph([node("Softmax", "s", "s2", "mix", axis=0), node("Identity", "go", "on")],
                 [*COUNTED, info("s", [None, C])], [info("on", [], T.BOOL), info("s2")])
    return [loop(body, scans=0)], {"x": (N, C)}, {"y0": None}


def until_small():
    """How often it runs hangs on the samples."""
    body = graph([node("Mul", "s half", "s2"), node("ReduceSum", "s2 - ", "sum", keepdims=0),
                  node("Greater", "sum small", "on")],
                 [*COUNTED, info("s", [None, C])], [info("on", [], T.BOOL), info("s2")])
    return ([node("Abs", "x", "a"), loop(body, ["a"], scans=0)], {"x": (N, C)}, {"y0": None})


def counted_outside():
    """How often is an input, the same for all samples."""
    body = graph(cell(more=[node("Identity", "go", "on")]), [*COUNTED, info("s", [None, C])],
                 [info("on", [], T.BOOL), info("s2")])
    return [loop(body, trips="m", scans=0)], {"x": (N, C), "m": ()}, {"y0": 0}


def chosen():
    """Branches that a flag chooses; both keep the samples."""
    then_branch = graph([node("MatMul", "x w", "a"), node("Softmax", "a", "t", axis=-1)], [],
                        [info("t")])
    else_branch = graph([node("Neg", "x", "e")], [], [info("e")])
    return ([node("If", "flag", "y0", "if", then_branch=then_branch, else_branch=else_branch),
             node("MatMul", "y0 w", "after")], {"x": (N, C), "flag": ()}, {"y0": 0, "after": 0})


def chosen_by_sample():
    then_branch = graph([node("Relu", "x", "t")], [], [info("t")])
    else_branch = graph([node("Neg", "x", "e")], [], [info("e")])
    return ([node("ReduceSum", "x -", "sum", keepdims=0), node("Greater", "sum zero", "c"),
             node("If", "c", "y0", "if", then_branch=then_branch, else_branch=else_branch)],
            {"x": (N, C)}, {"y0": None})


def chosen_in_loop():
    then_branch = graph([node("MatMul", "s w", "t")], [], [info("t")])
    else_branch = graph([node("Tanh", "s", "e")], [], [info("e")])
    body = graph([node("Mod", "i two", "odd"), node("Equal", "odd none", "even"),
                  node("If", "even", "s2", "if", then_branch=then_branch,
                       else_branch=else_branch), node("Identity", "go", "on")],
                 [*COUNTED, info("s", [None, C])], [info("on", [], T.BOOL), info("s2"),
                                                    info("odd", None, T.INT64)])
    return [loop(body)], {"x": (N, C)}, {"y0": 0, "all0": "none"}


def loop_in_loop():
    inner = graph([node("MatMul", "r w", "r1"), node("Tanh", "r1", "r2"),
                   node("Identity", "go2", "on2")],
                  [info("k", [], T.INT64), info("go2", [], T.BOOL), info("r", [None, C])],
                  [info("on2", [], T.BOOL), info("r2"), info("r1")])
    body = graph([node("Loop", "trips - s", "s2 rows", "inner", body=inner),
                  node("Identity", "go", "on")],
                 [*COUNTED, info("s", [None, C])],
                 [info("on", [], T.BOOL), info("s2"), info("rows")])
    return [loop(body)], {"x": (N, C)}, {"y0": 0, "all0": 2}


def scanned():
    """Over time, the batch beside it."""
    body = graph([node("MatMul", "s w", "p"), node("Add", "p r", "q"), node("Tanh", "q", "s2"),
                  node("Identity", "s2", "o")],
                 [info("s", [None, C]), info("r", [None, C])], [info("s2"), info("o")])
    return ([node("Scan", "start x", "y0 all0", "scan", body=body, num_scan_inputs=1,
                  scan_input_axes=[1], scan_output_axes=[1], scan_input_directions=[1])],
            {"x": (N, 4, C), "start": (N, C)}, {"y0": 0, "all0": 0})


def scanned_over_samples():
    body = graph([node("Add", "s r", "s2"), node("Identity", "s2", "o")],
                 [info("s", [C]), info("r", [C])], [info("s2"), info("o")])
    return ([node("Scan", "zero_row x", "y0 all0", "scan", body=body, num_scan_inputs=1)],
            {"x": (N, C)}, {"y0": None, "all0": None})


CASES = (recurrent, convolved, zeros_first, turned, mixing, until_small, counted_outside, chosen,
         chosen_by_sample, chosen_in_loop, loop_in_loop, scanned, scanned_over_samples)
WEIGHTS = [const("w", W), const("k", rng.standard_normal((2, 2, 3, 3)) / 3),
           const("trips", 3, np.int64), const("two", 2, np.int64), const("none", 0, np.int64),
           const("half", 0.5), const("small", 0.01), const("zero", 0),
           const("zero_row", np.zeros(C))]


def build(case):
    nodes, shapes, outputs = case()
    inputs = []
    for name, shape in shapes.items():
        dtype = {"m": T.INT64, "flag": T.BOOL}.get(name, T.FLOAT)
        inputs.append(info(name, ["batch", *shape[1:]] if shape else [], dtype))
    proto = model(nodes, inputs, [onnx.ValueInfoProto(name=o) for o in outputs], WEIGHTS)
    given = {}
    for name, shape in shapes.items():
        given[name] = (np.array(4) if name == "m" else np.array(True) if name == "flag"
                       else rng.standard_normal(shape).astype(np.float32))
    return proto, given, outputs


class Command:
    def __init__(self, unbatch, folder, path):
        self.unbatch, self.folder, self.path = unbatch, folder, path

    def call(self, *arguments, given=None, code=0):
        for name, value in (given or {}).items():
            np.save(self.folder / f"{name}.npy", value)
            arguments += ("-x", f"{name}={self.folder / name}.npy")
        run = subprocess.run([self.unbatch, *arguments], capture_output=True, text=True)
        if code is not None and run.returncode != code:
            sys.exit(f"{self.path.stem}: {' '.join(arguments)}: {run.returncode}: {run.stderr}")
        return run

    def get(self, names, given, *options):
        out = self.folder / "got.npz"
        self.call("get", str(self.path), *names, "-o", str(out), "-q", *options, given=given)
        with np.load(out) as z:
            return {n: z[n] for n in names}


def sample(values, given, shapes):
    return {k: v[values] if shapes[k] else v for k, v in given.items()}


def check_values(command, proto, given, outputs):
    whole = command.get(list(outputs), given)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    for name, want in zip(outputs, session.run(None, given)):
        if whole[name].shape != want.shape or not np.allclose(whole[name], want, 1e-4, 1e-5):
            sys.exit(f"{command.path.stem}: {name} is not what ONNX Runtime gives")
    return whole


def check_law(command, given, shapes, axes, whole):
    """Every sample of the outputs that do not mix, every way."""
    kept = {n: a for n, a in axes.items() if isinstance(a, int)}
    if not kept:
        return 0
    i, j = 1, 3
    one = command.get([f"{n}[{i}]" for n in kept], given)
    other = {k: v.copy() for k, v in given.items()}
    for k, v in other.items():
        if shapes[k]:
            v[j] = 30 * v[j] + 7
    near = command.get(list(kept), other)
    alone = command.get(list(kept), sample(slice(i, i + 1), given, shapes))
    back = command.get(list(kept), sample(np.arange(N)[::-1], given, shapes), "-t", "3")
    singly = {n: command.get([f"{n}[{i}]"], given)[f"{n}[{i}]"] for n in kept}
    plain = command.get([f"{n}[{i}]" for n in kept], given, "--reference")
    for n, axis in kept.items():
        want = np.take(whole[n], i, axis)
        for what, got in (("asked", one[f"{n}[{i}]"]), ("asked singly", singly[n]),
                          ("beside a loud one", np.take(near[n], i, axis)),
                          ("in a batch of one", np.take(alone[n], 0, axis)),
                          ("in a turned batch", np.take(back[n], N - 1 - i, axis))):
            if got.tobytes() != want.tobytes():
                sys.exit(f"{command.path.stem}: {n}: sample {i} {what} has other bits")
        if not np.allclose(plain[f"{n}[{i}]"], want, 1e-4, 1e-5):
            sys.exit(f"{command.path.stem}: {n}: the reference kernels give something else")
    return len(kept)


def check_maps(command, given, axes):
    """What mixes samples says so, with the node: in a note, or where it has no batch axis left in a
    refusal; what has no samples says that."""
    mixed = 0
    for n, axis in axes.items():
        if isinstance(axis, int):
            continue
        text = command.call("get", str(command.path), f"{n}[1]", given=given, code=None).stderr
        wanted = "has no batch axis" if axis == "none" else "node '"
        if wanted not in text:
            sys.exit(f"{command.path.stem}: {n}[1]: '{text.strip()}', expected {wanted}")
        mixed += axis is None
    return mixed


def check_unrolled(unbatch, folder, case, given):
    """The iterations one after the other as a plan, as a run step by step (NonZero asked with it),
    and in the loop: the same bits."""
    proto, _, _ = build(case)
    body = next(a.g for a in proto.graph.node[0].attribute if a.name == "body")
    state, nodes = "x", []
    for i in range(3):
        names = {"s": state, "x": "x", "w": "w", "k": "k"}
        for n in body.node:
            if n.op_type == "Identity":
                continue
            n = onnx.NodeProto.FromString(n.SerializeToString())
            n.name += str(i)
            n.input[:] = [names.get(v, f"{v}_{i}") for v in n.input]
            n.output[:] = [f"{v}_{i}" for v in n.output]
            nodes.append(n)
        state = f"s2_{i}"
    nodes.append(node("NonZero", "x", "places"))
    flat = model(nodes, list(proto.graph.input), [onnx.ValueInfoProto(name=n) for n in
                                                  (state, "places")], WEIGHTS)
    bits = []
    for name, m, what in (("loop", proto, ["y0"]), ("flat", flat, [state]),
                          ("flat", flat, [state, "places"])):
        path = folder / f"{case.__name__}_{name}.onnx"
        onnx.save(m, path)
        bits.append(Command(unbatch, folder, path).get(what, given)[what[0]].tobytes())
    if len(set(bits)) != 1:
        sys.exit(f"{case.__name__}: a loop, a plan and steps differ in bits")


def check_cost(unbatch, folder):
    """One sample of a loop's output from a batch that does not fit the memory as a whole."""
    proto, _, _ = build(recurrent)
    path = folder / "cost.onnx"
    onnx.save(proto, path)
    command = Command(unbatch, folder, path)
    given = {"x": rng.standard_normal((20000, C)).astype(np.float32)}
    run = command.call("get", str(path), "all0", "--mem", "2M", given=given, code=6)
    if "limit" not in run.stderr:
        sys.exit(f"cost: {run.stderr}")
    command.call("get", str(path), "all0[7]", "y0[19999]", "--mem", "2M", given=given)


def main():
    unbatch, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    kept = mixed = 0
    for case in CASES:
        proto, given, axes = build(case)
        shapes = {k: v.ndim for k, v in given.items()}
        path = folder / f"{case.__name__}.onnx"
        onnx.save(proto, path)
        command = Command(unbatch, folder, path)
        whole = check_values(command, proto, given, axes)
        kept += check_law(command, given, shapes, axes, whole)
        mixed += check_maps(command, given, axes)
        report = command.call("check", str(path), "invariance", given=given)
        shown = json.loads(command.call("summary", str(path), "--json", given=given).stdout)
        print(f"{case.__name__}: {report.stdout.strip().splitlines()[-1]}; "
              f"{len(shown['inside'])} values inside")
    for case in (recurrent, convolved):
        check_unrolled(unbatch, folder, case, build(case)[1])
    check_cost(unbatch, folder)
    print(f"{kept} outputs keep their samples apart, {mixed} mix them")


if __name__ == "__main__":
    main()
