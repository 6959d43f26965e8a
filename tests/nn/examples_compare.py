#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/04_keras, 05_torch and 06_batches with weights given to them, beside Keras and PyTorch
with the same weights and the same input: shapes, and every value within 1e-4 of the largest
magnitude. The same sample must have the same bits in batches of 16 and of 32.
usage: examples_compare.py EXAMPLES FOLDER"""
import os
import pathlib
import subprocess
import sys

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from safetensors.torch import save_file


def run(program, *args):
    done = subprocess.run([program, *map(str, args)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    print(done.stdout, end="")
    return done.stdout


def load(path):
    with np.load(path) as z:
        return {k: z[k] for k in z.files}


def near(got, want, what):
    if got.shape != want.shape:
        raise SystemExit(f"{what}: {got.shape}, not {want.shape}")
    gap = np.abs(got - want).max() / np.abs(want).max()
    print(f"{what}: {got.shape}, largest difference {gap:.1e}")
    if not gap <= 1e-4:
        raise SystemExit(f"{what}: {gap}")


def keras_model(folder):
    model = keras.Sequential([keras.Input((28, 28, 1)),
                              keras.layers.Conv2D(32, (3, 3), activation="relu")])
    rng = np.random.default_rng(5)
    for v in model.weights:
        v.assign(rng.standard_normal(tuple(v.shape)).astype(np.float32))
    path = folder / "keras.npz"
    np.savez(path, **{v.path.split("/", 1)[1]: keras.ops.convert_to_numpy(v)
                      for v in model.weights})
    return model, path


def main():
    programs, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / "out.npz"

    model, weights = keras_model(folder)
    said = run(programs / "04_keras", weights, out)
    assert "input of sample 5: (28, 28, 1)" in said and "output of sample 5: (26, 26, 32)" in said
    z = load(out)
    assert abs(z["in"].mean()) < 0.15 and abs(z["in"].std() - 1) < 0.15
    near(z["out"], keras.ops.convert_to_numpy(model(z["in"][None]))[0], "04_keras, sample 5")

    layer = torch.nn.Sequential(torch.nn.Conv2d(1, 32, 3))
    weights5 = folder / "torch.safetensors"
    save_file(layer.state_dict(), weights5)
    said = run(programs / "05_torch", weights5, out)
    assert "input of sample 10: (1, 28, 28)" in said
    assert "output of sample 10: (32, 26, 26)" in said
    z5 = load(out)
    with torch.no_grad():
        near(z5["out"], layer(torch.from_numpy(z5["in"][None]))[0].numpy(), "05_torch, sample 10")

    run(programs / "06_batches", weights, out)
    z6 = load(out)
    for sample in (4, 9):
        for size in (16, 32):
            x = z6[f"{size}_{sample}_in"]
            near(z6[f"{size}_{sample}_out"], keras.ops.convert_to_numpy(model(x[None]))[0],
                 f"06_batches, sample {sample + 1} of {size}")
        for side in ("in", "out"):
            assert z6[f"16_{sample}_{side}"].tobytes() == z6[f"32_{sample}_{side}"].tobytes()
    # The generator gives the same values whatever the shape: sample 5 is the same in both programs.
    assert z6["32_4_in"].tobytes() == z["in"].tobytes()
    assert z6["32_4_out"].tobytes() == z["out"].tobytes()
    assert z6["32_9_in"].tobytes() == z5["in"].tobytes()
    for program in ("04_keras", "05_torch", "06_batches"):
        run(programs / program)  # with weights of their own


if __name__ == "__main__":
    main()
