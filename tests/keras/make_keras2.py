#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/keras/keras2_cnn.keras, .h5 and .npz with Keras 2 (tf-keras 2.21 and TensorFlow,
which the tests' own environment does not have). The names in the .npz are those of layers.tsv.
usage: make_keras2.py FOLDER"""
import collections
import pathlib
import sys

import numpy as np
import tf_keras

L = tf_keras.layers
BATCH = 6


def network():
    i = tf_keras.Input((12, 12, 2), name="img")
    x = L.Conv2D(4, 3, strides=2, padding="same", name="stem")(i)
    x = L.BatchNormalization()(x)
    x = L.LeakyReLU(alpha=0.2)(x)
    x = L.Conv2D(4, 3, activation="relu")(x)
    x = L.Flatten()(x)
    shared = L.Dense(6, activation="hard_sigmoid", name="shared")
    x = shared(L.Dense(6)(x))
    x = shared(x)
    x = tf_keras.Sequential([L.Dense(3, activation="tanh"), L.Dense(2)], name="inner")(x)
    return tf_keras.Model(i, x, name="keras2_cnn")


def randomise(model, rng):
    for w in model.weights:
        shape = tuple(w.shape)
        if "variance" in w.name:
            v = rng.uniform(0.5, 2.0, shape)
        elif "gamma" in w.name:
            v = rng.uniform(0.5, 1.5, shape)
        elif len(shape) > 1:
            v = rng.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[:-1])))
        else:
            v = rng.standard_normal(shape) * 0.3
        w.assign(v.astype("float32"))


def run(model, x, prefix, calls):
    """The output; fills calls with what each layer reads and gives, node by node."""
    if isinstance(model, tf_keras.Sequential):
        for layer in model.layers:
            y = x if isinstance(layer, L.InputLayer) else layer(x, training=False)
            calls[prefix + layer.name] = ([np.array(x)], [np.array(y)])
            x = y
        return x
    tensors, count = {id(model.inputs[0]): x}, collections.Counter()
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            layer, args = node.layer, [tensors[id(t)] for t in node.keras_inputs]
            path = prefix + layer.name
            if isinstance(layer, tf_keras.Model):
                y = run(layer, args[0], path + "/", calls)
            else:
                y = layer(args[0] if len(args) == 1 else args, training=False)
            calls[f"{path}@{count[path]}" if count[path] else path] = ([np.array(a) for a in args], [np.array(y)])
            count[path] += 1
            tensors[id(node.outputs)] = y
    return tensors[id(model.outputs[0])]


def main():
    folder = pathlib.Path(sys.argv[1])
    tf_keras.utils.set_random_seed(1234)
    rng = np.random.default_rng(1234)
    model, calls = network(), {}
    randomise(model, rng)
    x = rng.standard_normal((BATCH, 12, 12, 2)).astype("float32")
    out = np.array(run(model, x, "", calls))
    store = {"input": x}
    for key, sides in calls.items():
        for side, tensors in zip(("in", "out"), sides):
            for i, t in enumerate(tensors):
                if not any(t.shape == o.shape and np.array_equal(t, o) for o in store.values()):
                    store[f"{key}/{side}{i}"] = t
    if not any(out.shape == o.shape and np.array_equal(out, o) for o in store.values()):
        store["output"] = out
    np.savez(folder / "keras2_cnn.npz", **store)
    for suffix in ("keras", "h5"):
        model.save(folder / f"keras2_cnn.{suffix}")


if __name__ == "__main__":
    main()
