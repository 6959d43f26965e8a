#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/keras: the networks of keras_networks.py as .keras and .h5, every layer's inputs
and outputs as Keras gives them (NAME.npz, layers.tsv), and files that must be refused. keras2_cnn.*
are of Keras 2 (tf-keras) and are made by make_keras2.py; their rows stay. The bytes of the files are
not the same every time: Keras writes times into them.
usage: make_keras.py FOLDER"""
import collections
import io
import os
import pathlib
import sys
import zipfile

os.environ["KERAS_BACKEND"] = "torch"
import h5py  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers as L  # noqa: E402
from keras.src.ops.operation import Operation  # noqa: E402

import keras_networks  # noqa: E402

BATCH = 6


# ---- What Keras sees -----------------------------------------------------------------------------

def arrays(tree):
    return [np.array(keras.ops.convert_to_numpy(t)) for t in keras.tree.flatten(tree)
            if hasattr(t, "shape") and hasattr(t, "dtype")]


class Recorder:
    """Inputs and outputs of every call of a layer or operation; the names of a nested model's layers
    have its name in front ("inner/dense"). What is inside of wrappers is left out."""

    def __init__(self):
        self.calls, self.count, self.stack, self.off = {}, collections.Counter(), [], True
        keras.Layer.__call__ = self.wrap(keras.Layer.__call__, lambda o: True)
        Operation.__call__ = self.wrap(Operation.__call__, lambda o: not isinstance(o, keras.Layer))

    def wrap(self, plain, wanted):
        def call(obj, *args, **kwargs):
            if self.off or not wanted(obj):
                return plain(obj, *args, **kwargs)
            path = "/".join([s for s in self.stack if s] + [obj.name])
            key = f"{path}@{self.count[path]}" if self.count[path] else path
            self.count[path] += 1
            given = {k: v for k, v in kwargs.items() if k not in ("mask", "training", "attention_mask")}
            self.calls[key] = [arrays((args, given)), []]
            nested = isinstance(obj, keras.Model)
            self.stack.append(obj.name if nested else "")
            self.off = not nested
            try:
                out = plain(obj, *args, **kwargs)
            finally:
                self.stack.pop()
                self.off = False
            self.calls[key][1] = arrays(out)
            return out
        return call

    def run(self, model, x):
        """{call: (inputs, outputs)}, and the model's outputs."""
        self.calls, self.count, self.stack, self.off = {}, collections.Counter(), [], False
        out = model(x, training=False)
        self.off = True
        root = len(model.name) + 1
        return {k[root:]: v for k, v in self.calls.items() if k != model.name}, arrays(out)


class Store(dict):
    """Arrays by name, each once."""

    def put(self, name, array):
        for have, other in self.items():
            if other.dtype == array.dtype and other.shape == array.shape and np.array_equal(other, array):
                return have
        self[name] = array
        return name


def batch_axis(a, b):
    """"0*1": the axis that grows with the batch, and its entries for a sample."""
    for axis, (m, n) in enumerate(zip(a.shape, b.shape)):
        if m != n:
            return f"{axis}*{m // BATCH}"
    return "-"


# ---- Networks ------------------------------------------------------------------------------------

def randomise(owner, rng):
    """Weights of a fixed seed; norm statistics that are not the defaults."""
    for w in owner.weights:
        shape = tuple(w.shape)
        if not str(w.dtype).startswith("float"):
            continue
        if "variance" in w.path:
            v = rng.uniform(0.5, 2.0, shape)
        elif "gamma" in w.path:
            v = rng.uniform(0.5, 1.5, shape)
        elif len(shape) > 1:
            v = rng.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[:-1])))
        else:
            v = rng.standard_normal(shape) * 0.3
        w.assign(v.astype("float32"))


def rows(files, name, calls, fewer, store):
    """Lines of layers.tsv, which also fill the store."""
    lines = []
    for key, (given, made) in calls.items():
        for side, tensors, other in (("in", given, fewer[key][0]), ("out", made, fewer[key][1])):
            cells = [f"{store.put(f'{key}/{side}{i}', t)} {batch_axis(t, o)} -"
                     for i, (t, o) in enumerate(zip(tensors, other))]
            lines.append("\t".join([name, key.replace("@", "#"), side, *cells]))
    return ["\t".join([file, line]) for file in files for line in lines]


def make(name, recorder, folder):
    keras.backend.clear_session()
    keras.utils.set_random_seed(1234)
    rng = np.random.default_rng(1234)
    build, inputs = keras_networks.NETWORKS[name]
    model = build()
    for layer in model.layers:
        if not isinstance(layer, L.Normalization):  # whose statistics are in its configuration
            randomise(layer, rng)
    if name == "cnn":  # an optimizer's state, which is none of the model
        model.compile(optimizer="adam", loss="mse")
        model.optimizer.build(model.trainable_variables)
    whole, some = ([f(n, rng) for f in inputs] for n in (BATCH, BATCH - 1))
    fewer, _ = recorder.run(model, some if len(some) > 1 else some[0])
    calls, out = recorder.run(model, whole if len(whole) > 1 else whole[0])
    store = Store()
    for i, a in enumerate(whole):
        store["input" if len(whole) == 1 else f"input.{i}"] = a
    files = [f"{name}.keras", f"{name}.h5"]
    for file in files:
        model.save(folder / file)
    files += ["deflated.keras", "crossed_names.old.keras"] if name == "crossed_names" else []
    lines = rows(files, name, calls, fewer, store)
    for i, a in enumerate(out):
        store.put("output" if len(out) == 1 else f"output.{i}", a)
    np.savez(folder / f"{name}.npz", **store)
    return lines


def zipped_again(folder):
    """crossed_names.keras deflated, without its configuration, and without the names that Keras
    before 3.5 did not write."""
    z = zipfile.ZipFile(folder / "crossed_names.keras")
    with zipfile.ZipFile(folder / "deflated.keras", "w", zipfile.ZIP_DEFLATED) as o:
        for n in z.namelist():
            o.writestr(n, z.read(n))
    with zipfile.ZipFile(folder / "refuse_no_config.keras", "w") as o:
        for n in ("metadata.json", "model.weights.h5"):
            o.writestr(n, z.read(n))
    weights = io.BytesIO(z.read("model.weights.h5"))
    with h5py.File(weights, "r+") as h:
        h.visititems(lambda n, g: g.attrs.pop("name", None) if isinstance(g, h5py.Group) else None)
        h["vars"].attrs.pop("name", None)
    with zipfile.ZipFile(folder / "crossed_names.old.keras", "w") as o:
        for n in z.namelist():
            o.writestr(n, weights.getvalue() if n.endswith(".h5") else z.read(n))


# ---- Files that are refused ----------------------------------------------------------------------

@keras.saving.register_keras_serializable("pkg")
class Scale(L.Layer):
    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1],), name="w")

    def call(self, x):
        return x * self.w


class Dense(L.Dense):
    """Not Keras' own, whatever it is called."""

    def call(self, x):
        return super().call(x) * 2


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="sub")
        self.d1, self.blocks = L.Dense(3), [L.Dense(3), L.Dense(2)]

    def call(self, x):
        for block in [self.d1] + self.blocks:
            x = block(x)
        return x


def refused(folder):
    i = keras.Input((4,), name="in")
    model = keras.Model(i, L.Lambda(lambda t: t * 2)(i), name="has_lambda")
    model.save(folder / "refuse_lambda.keras")
    model.save(folder / "refuse_lambda.h5")
    keras.Model(i, L.Dense(2)(Scale(name="my_scale")(i)), name="has_custom").save(folder / "refuse_custom.keras")
    keras.Model(i, Dense(2, name="mine")(i), name="has_dense").save(folder / "refuse_custom_dense.keras")
    model = Subclassed()
    model(np.zeros((2, 4), "float32"))
    model.save(folder / "refuse_subclassed.keras")
    keras.config.set_dtype_policy("bfloat16")
    keras.Sequential([L.Input((4,)), L.Dense(3, name="d")], name="bf16").save(folder / "bf16.keras")
    keras.config.set_dtype_policy("float32")


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    recorder = Recorder()
    lines = []
    for name in keras_networks.NETWORKS:
        lines += make(name, recorder, folder)
    zipped_again(folder)
    refused(folder)
    table = folder / "layers.tsv"
    old = table.read_text().splitlines() if table.exists() else []
    lines += [line for line in old if line.startswith("keras2_")]
    table.write_text("".join(f"{line}\n" for line in lines))
    print(f"{len(keras_networks.NETWORKS)} networks, {len(lines)} rows")


if __name__ == "__main__":
    main()
