#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models that scikit-learn exported (tests/tools/make_sklearn.py made them): every output against
what ONNX Runtime gave, the names of a ZipMap's columns, and one row asked alone: the same bits.

  compare_sklearn.py UNBATCH FOLDER_WITH_MODELS SCRATCH_FOLDER
"""
import json
import pathlib
import subprocess
import sys

import numpy as np

LEAST = 20


def call(*command):
    run = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {run.stderr.strip()}")
    return run.stdout


def given(kept, folder):
    arguments = []
    for key in kept.files:
        if key.startswith("in:"):
            path = folder / f"{len(arguments)}.npy"
            np.save(path, kept[key])
            arguments += ["-x", f"{key[3:]}={path}"]
    return arguments


def compare(unbatch, model, kept, folder):
    inputs = given(kept, folder)
    outputs = [k[4:] for k in kept.files if k.startswith("out:")]
    call(unbatch, "get", model, *outputs, *inputs, "-o", folder / "all.npz")
    call(unbatch, "get", model, *(f"{o}[2]" for o in outputs), *inputs, "-o", folder / "one.npz")
    shown = json.loads(call(unbatch, "get", model, *outputs, *inputs, "--json"))["values"]
    columns = {v["what"]: v.get("columns") for v in shown}
    worst = 0.0
    with np.load(folder / "all.npz") as got, np.load(folder / "one.npz") as one:
        for name in outputs:
            want = kept[f"out:{name}"]
            g = got[name]
            if g.shape != want.shape or g.dtype.kind != want.dtype.kind:
                sys.exit(f"{model.name}: {name}: {g.dtype} {g.shape}, expected {want.dtype} "
                         f"{want.shape}")
            if want.dtype.kind == "f":
                worst = max(worst, float(np.abs(g - want).max() / max(1.0, np.abs(want).max())))
            elif not np.array_equal(g, want):
                sys.exit(f"{model.name}: {name}: {g}, expected {want}")
            if one[f"{name}[2]"].tobytes() != g[2].tobytes() and want.dtype.kind != "U":
                sys.exit(f"{model.name}: {name}: row 2 asked alone has other bits")
            if want.dtype.kind == "U" and str(one[f"{name}[2]"]) != str(g[2]):
                sys.exit(f"{model.name}: {name}: row 2 asked alone differs")
            keys = kept[f"keys:{name}"].tolist() if f"keys:{name}" in kept.files else None
            if keys and columns[name] != keys:
                sys.exit(f"{model.name}: {name}: columns {columns[name]}, expected {keys}")
    print(f"{model.name}: {', '.join(outputs)}: largest difference {worst:.1e}")
    return worst


def main():
    unbatch, models, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    worst, n = 0.0, 0
    for model in sorted(models.glob("*.onnx")):
        with np.load(model.with_suffix(".npz")) as kept:
            worst = max(worst, compare(unbatch, model, kept, folder))
        n += 1
    print(f"{n} models, largest difference {worst:.1e}")
    if n < LEAST or not worst <= 1e-4:
        sys.exit("too few models, or too far off")


if __name__ == "__main__":
    main()
