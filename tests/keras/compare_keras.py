#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Saves the models of keras_cases.py as .keras and .h5, and compares every output of every layer
with Keras' own: within 1e-4 of its largest magnitude, and sample 1 asked for alone has the bits
that it has in the batch. At the end it names the classes and functions of the loader's tables that
no model has. usage: compare_keras.py UNBATCH SOURCE FOLDER [CASE...]"""
import json
import os
import pathlib
import re
import subprocess
import sys
import warnings

os.environ["KERAS_BACKEND"] = "torch"
import keras  # noqa: E402
import numpy as np  # noqa: E402

import keras_cases  # noqa: E402

BATCH = 3


def randomise(model, rng):
    """Weights and statistics that are not the defaults."""
    for w in model.weights:
        if not str(w.dtype).startswith("float"):
            continue
        if "variance" in w.path:
            v = rng.uniform(0.5, 2.0, w.shape)
        elif "gamma" in w.path or w.path.endswith("scale"):
            v = rng.uniform(0.5, 1.5, w.shape)
        else:
            v = rng.standard_normal(w.shape) * 0.4
        w.assign(v.astype("float32"))
    for layer in model.layers:  # takes its statistics over when it is built or adapted
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def make(name, rng):
    """The model, and arrays for its inputs in order."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    if name in keras_cases.WHOLE:
        model, specs = keras_cases.WHOLE[name]()
    else:
        specs, build = keras_cases.CASES[name]
        whole = [isinstance(s[0], tuple) for s in specs]
        tensors = [keras.Input(s[0], dtype="int32") if w else keras.Input(s) for s, w in zip(specs, whole)]
        model = keras.Model(tensors if len(tensors) > 1 else tensors[0], build(*tensors))
    randomise(model, rng)
    arrays = [rng.integers(0, s[1], (BATCH, *s[0])).astype("int32") if isinstance(s[0], tuple)
              else rng.standard_normal((BATCH, *s)).astype("float32") for s in specs]
    return model, arrays


def wanted(model):
    """{address: symbolic tensor} of every layer call of a model, those of nested models left out."""
    found = {}
    operations = getattr(model, "operations", None) or model._functional.operations
    own = {id(n) for nodes in (getattr(model, "_nodes_by_depth", None) or model._functional._nodes_by_depth).values() for n in nodes}
    for op in operations:
        hidden = isinstance(model, keras.Sequential) and not isinstance(op, keras.layers.Layer)
        if hidden or isinstance(op, keras.layers.InputLayer):
            continue
        nodes = [n for n in op._inbound_nodes if id(n) in own]
        for call, node in enumerate(nodes):
            for port, tensor in enumerate(keras.tree.flatten(node.output_tensors)):
                found[f"{op.name}{f'#{call}' if call else ''}:out{port}"] = tensor
    return found


def run_keras(model, tensors, arrays):
    probe = keras.Model(model.inputs, list(tensors.values()))
    out = probe(arrays if len(arrays) > 1 else arrays[0], training=False)
    return [keras.ops.convert_to_numpy(t) for t in keras.tree.flatten(out)]


def run_unbatch(unbatch, path, what, model, arrays, folder):
    out = folder / "out.npz"
    command = [unbatch, "get", str(path), *what, "-o", str(out), "-q"]
    for i, a in enumerate(arrays):
        np.save(folder / f"x{i}.npy", a)
        name = f"{model.inputs[i]._keras_history.operation.name}=" if len(arrays) > 1 else ""
        command += ["-x", f"{name}{folder / f'x{i}.npy'}"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        return None, run.stderr.strip()
    with np.load(out) as z:
        return {k: z[k] for k in z.files}, ""


def differs(have, want, alone):
    if have.shape != want.shape:
        return f"shape {have.shape}, Keras has {want.shape}"
    a, b = have.astype("float64"), want.astype("float64")
    same = (a == b) | (np.isnan(a) & np.isnan(b))  # infinite ones too
    finite = np.where(np.isfinite(b), b, 0)
    gap = np.abs(np.where(same, 0, a) - np.where(same, 0, b)).max(initial=0) / max(np.abs(finite).max(initial=0), 1e-30)
    if not gap <= 1e-4:
        return f"differs by {gap:.1e} of the largest magnitude"
    if alone.tobytes() != np.ascontiguousarray(have[1]).tobytes():
        return "sample 1 has other bits alone"
    return ""


def classes(model):
    """All class and function names in its configuration."""
    found, todo = set(), [json.loads(model.to_json())]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            todo += one.values()
            found |= {one[k] for k in ("class_name", "activation", "recurrent_activation")
                      if isinstance(one.get(k), str)}
        elif isinstance(one, list):
            todo += one
    return found


# Not in Keras 3: Keras 2's other names, of which tests/data/keras has some, and what
# keras.applications defines itself (make zoo).
ELSEWHERE = {"Convolution1D", "Convolution2D", "Convolution3D", "ThresholdedReLU", "GroupedQueryAttention",
             "CustomScaleLayer", "LayerScale", "RandomHeight", "RandomWidth", "TFOpLambda", "SlicingOpLambda",
             "Abs", "LogSumExp", "Mish", "TrueDivide", "swish", "hard_swish"}


def claimed(source):
    """The names in the loader's tables of layers, operations and activations."""
    folder, names = pathlib.Path(source) / "src/load", set()
    for file in ("keras_layers.c", "keras_ops.c", "keras_activation.c"):
        text = (folder / file).read_text()
        names |= set(re.findall(r'^    +\{"(\w+)"', text, re.M))
        for group in re.findall(r'^ +\{" ([\w ]+) "', text, re.M):
            names |= set(group.split())
    return names


def compare(unbatch, name, folder, rng):
    model, arrays = make(name, rng)
    tensors = wanted(model)
    truth = run_keras(model, tensors, arrays)
    problems = []
    for suffix in ("keras", "h5"):
        path = folder / f"{name}.{suffix}"
        try:
            model.save(path)
        except TypeError as e:  # Keras cannot copy some configurations into an .h5
            if suffix == "keras" or "pickle" not in str(e):
                raise
            continue
        what = [w for w in tensors] + [f"{w}[1]" for w in tensors]
        got, error = run_unbatch(unbatch, path, what, model, arrays, folder)
        if got is None:
            problems.append(f"{path.name}: {error}")
            continue
        for address, want in zip(tensors, truth):
            problem = differs(got[address], want, got[f"{address}[1]"])
            if problem:
                problems.append(f"{path.name}: {address} ({tensors[address].name}): {problem}")
    return len(tensors), problems, classes(model)


def main():
    unbatch, source, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    names = sys.argv[4:] or [*keras_cases.CASES, *keras_cases.WHOLE]
    folder.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    total, problems, reached = 0, [], set()
    for i, name in enumerate(names):
        n, bad, found = compare(unbatch, name, folder, np.random.default_rng(i))
        total += n
        problems += bad
        reached |= found
    for p in problems:
        print(p)
    print(f"{len(names)} models, {total} outputs of layers in two formats, {len(problems)} problems")
    if sys.argv[4:]:
        return 1 if problems else 0
    missed = sorted(claimed(source) - reached - ELSEWHERE)
    print(f"{len(claimed(source) & reached)} of {len(claimed(source))} names reached; not: {' '.join(missed) or '-'}")
    return 1 if problems or missed or total < 300 else 0


if __name__ == "__main__":
    sys.exit(main())
