#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All of keras.applications, without trained weights but with statistics that are not the defaults,
saved as .keras and as .h5: every named layer of one sample against Keras itself. Prints a Markdown
table. usage: zoo_keras.py UNBATCH FOLDER [NAME...]"""
import os
import pathlib
import subprocess
import sys
import time
import warnings

os.environ["KERAS_BACKEND"] = "torch"
import keras  # noqa: E402
import numpy as np  # noqa: E402

SIZES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71, "NASNetMobile": 224, "NASNetLarge": 331}
SAMPLE, AT_ONCE = 1, 250


def applications():
    """{name: constructor}, in the order of their names."""
    found = {}
    broken = {"NASNetMobile"}  # refused by Keras' own PyTorch backend
    for name in sorted(dir(keras.applications)):
        make = getattr(keras.applications, name)
        if name[0].isupper() and callable(make) and name not in broken:
            found[name] = make
    return found


def build(name, make):
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    side = SIZES.get(name, 64)
    model = make(weights=None, input_shape=(side, side, 3), classes=10)
    rng = np.random.default_rng(7)
    for w in model.weights:
        if w.path.endswith(("moving_mean", "beta", "bias")):
            w.assign(rng.standard_normal(w.shape).astype("float32") * 0.1)
        elif w.path.endswith("moving_variance"):
            w.assign(rng.uniform(0.7, 1.4, w.shape).astype("float32"))
        elif w.path.endswith(("gamma", "variable")):
            # Small, or untrained residual networks grow without bound and multiply rounding errors.
            w.assign(rng.uniform(0.3, 0.6, w.shape).astype("float32"))
    return model, rng.uniform(0, 255, (2, side, side, 3)).astype("float32") / 64 - 2


def compare(unbatch, path, names, truth, folder):
    """The largest difference over all layers, relative to each layer's magnitude."""
    out, have = folder / "out.npz", {}
    start = time.monotonic()
    for at in range(0, len(names), AT_ONCE):
        run = subprocess.run([unbatch, "get", str(path), *[f"{n}[{SAMPLE}]" for n in names[at:at + AT_ONCE]],
                              "-x", str(folder / "x.npy"), "-o", str(out), "-q"], capture_output=True, text=True)
        if run.returncode:
            return None, run.stderr.strip()[:160], time.monotonic() - start
        with np.load(out) as z:
            have.update({k: z[k] for k in z.files})
    took = time.monotonic() - start
    worst, where = 0.0, ""
    for n, want in zip(names, truth):
        got = have[f"{n}[{SAMPLE}]"]
        if got.shape != want.shape:
            return None, f"{n}: shape {got.shape}, Keras has {want.shape}", took
        gap = np.abs(got.astype("f8") - want).max() / max(np.abs(want).max(), 1e-30)
        if not gap <= worst:
            worst, where = gap, n
    return worst, where, took


def one(unbatch, name, make, folder):
    model, x = build(name, make)
    np.save(folder / "x.npy", x)
    layers = [l for l in model.layers if not isinstance(l, keras.layers.InputLayer)]
    out = keras.Model(model.inputs, [l.output for l in layers])(x, training=False)
    truth = [keras.ops.convert_to_numpy(t)[SAMPLE] for t in keras.tree.flatten(out)]
    good, lines = True, []
    for suffix in ("keras", "h5"):
        path = folder / f"{name}.{suffix}"
        model.save(path)
        worst, where, took = compare(unbatch, path, [l.name for l in layers], truth, folder)
        ok = worst is not None and bool(worst <= 1e-4)
        good = good and ok
        found = f"{worst:.1e}" if worst is not None else "-"
        lines.append(f"| {name} | .{suffix} | {path.stat().st_size / 1e6:.0f} MB | {len(layers)} | {found} | "
                     f"{where if worst is None or not ok else ''} | {took:.1f} s |")
        path.unlink()
    return good, lines, len(layers)


HEAD = ("| model | format | size | layers | largest difference | where | time |\n"
        "|---|---|---|---|---|---|---|")


def main():
    unbatch, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    chosen = {n: m for n, m in applications().items() if not sys.argv[3:] or n in sys.argv[3:]}
    print(HEAD)
    failed = []
    for name, make in chosen.items():
        good, lines, _ = one(unbatch, name, make, folder)
        print("\n".join(lines), flush=True)
        failed += [] if good else [name]
    print(f"\n{len(chosen)} models, {len(failed)} failed{': ' if failed else ''}{', '.join(failed)}")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
