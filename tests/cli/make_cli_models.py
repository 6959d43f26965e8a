#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the small models that the scripts of tests/cli open: make_cli_models.py FOLDER.

Weights are small whole numbers, so that every kernel gives the same, exact values.
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def info(name, shape, dtype=FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def node(op, inputs, outputs, name=None, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), name=name, **attributes)


def weight(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def model(inputs, outputs, nodes, weights=(), domains=()):
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(weights))
    opsets = [helper.make_opsetid("", 18)] + [helper.make_opsetid(*d) for d in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def exact():
    """x (batch, 3) -> first (batch, 4) -> second -> y, in whole numbers."""
    w = np.arange(-4, 8, dtype=np.float32).reshape(3, 4)
    return model([info("x", ["batch", 3])], [info("y", ["batch", 4])],
                 [node("MatMul", "x w", "product", "first"),
                  node("Add", "product b", "sum", "second"),
                  node("Relu", "sum", "y", "third")],
                 [weight("w", w), weight("b", np.float32([1, -2, 3, -4]))])


def two():
    """Two inputs, two outputs: double needs only a, both needs both."""
    return model([info("a", ["batch", 2]), info("b", ["batch", 2])],
                 [info("double", ["batch", 2]), info("both", ["batch", 2])],
                 [node("Add", "a a", "double", "twice"), node("Sub", "double b", "both", "minus")])


def tokens():
    """Whole numbers in: ids (batch, time) pick rows of a table."""
    table = np.arange(20, dtype=np.float32).reshape(10, 2)
    return model([info("ids", ["batch", "time"], INT64)], [info("rows", ["batch", "time", 2])],
                 [node("Gather", "table ids", "rows", "lookup")], [weight("table", table)])


def kinds():
    """Values of several dtypes."""
    casts = {"half": TensorProto.FLOAT16, "double": TensorProto.DOUBLE, "int": TensorProto.INT32,
             "byte": TensorProto.UINT8, "truth": TensorProto.BOOL, "brain": TensorProto.BFLOAT16}
    return model([info("x", ["batch", 3])],
                 [info(name, ["batch", 3], dtype) for name, dtype in casts.items()],
                 [node("Cast", "x", name, "to_" + name, to=dtype) for name, dtype in casts.items()])


def mixes():
    """A softmax over the batch."""
    return model([info("x", ["batch", 4])], [info("y", ["batch", 4])],
                 [node("Relu", "x", "above", "before"),
                  node("Softmax", "above", "mixed", "over_batch", axis=0),
                  node("Add", "mixed mixed", "y", "after")])


def turned():
    """The batch on axis 1 of t, and folded into axis 0 of f; c has none."""
    return model([info("x", ["batch", 3, 2])],
                 [info("t", [3, "batch", 2]), info("f", ["rows", 2]), info("c", [2])],
                 [node("Transpose", "x", "t", "turn", perm=[1, 0, 2]),
                  node("Reshape", "x shape", "f", "fold"),
                  node("Add", "one one", "c", "constant")],
                 [weight("shape", np.int64([-1, 2])), weight("one", np.float32([1, 2]))])


def fixed():
    """A file whose batch is 2."""
    return model([info("x", [2, 3])], [info("y", [2, 3])], [node("Relu", "x", "y", "only")])


def names():
    """Tensor names that look like addresses."""
    return model([info("x:0", ["batch", 2])], [info("y[1]", ["batch", 2])],
                 [node("Relu", "x:0", "a/b:in", "n.1"), node("Neg", "a/b:in", "y[1]", "n.2")])


def unknown():
    """Operators nobody knows, beside some that are known."""
    return model([info("x", ["batch", 2])], [info("y", ["batch", 2]), info("z", ["batch", 2])],
                 [node("Relu", "x", "known", "a"),
                  node("Foo", "known", "p", "b", domain="my.ops"),
                  node("Bar", "p", "q", "c", domain="my.ops"),
                  node("Foo", "q", "y", "d", domain="my.ops"),
                  node("Wobble", "known", "z", "e")],
                 domains=[("my.ops", 3)])


def pinned():
    """An inner shape that fits one width only."""
    return model([info("x", ["batch", "width"])], [info("y", ["batch", 4])],
                 [node("MatMul", "x w", "y", "product")],
                 [weight("w", np.ones((3, 4), np.float32))])


def cyclic():
    return model([info("x", ["batch", 2])], [info("y", ["batch", 2])],
                 [node("Add", "x back", "there", "one"), node("Relu", "there", "back", "two"),
                  node("Neg", "there", "y", "three")])


def long():
    """A run of many seconds in many steps, in a small file."""
    steps = 4000
    w = np.eye(256, dtype=np.float32)
    return model([info("x", ["batch", 256])], [info("y", ["batch", 256])],
                 [node("MatMul", f"{'x' if i == 0 else f'v{i}'} w",
                       "y" if i == steps - 1 else f"v{i + 1}", f"step{i}") for i in range(steps)],
                 [weight("w", w)])


def sequence(name, shape):
    return helper.make_tensor_sequence_value_info(name, FLOAT, shape)


def optional(name, inner):
    return helper.make_value_info(name, helper.make_optional_type_proto(inner.type))


def lists():
    """Sequences and optionals in and out: parts of x; the sum of what list holds; maybe or zero."""
    none = helper.make_graph([node("Identity", "zero", "else_out")], "without", [],
                             [info("else_out", None)])
    held = helper.make_graph([node("OptionalGetElement", "maybe", "then_out")], "with", [],
                             [info("then_out", None)])
    return model([info("x", ["batch", 3]), sequence("list", ["n", 3]),
                  optional("maybe", info("", [3]))],
                 [sequence("parts", ["batch", 1]), info("joined", ["rows", 3]),
                  sequence("none", None), info("held", None)],
                 [node("SplitToSequence", "x", "parts", "split", axis=1, keepdims=1),
                  node("SequenceEmpty", "", "none", "nothing"),
                  node("ConcatFromSequence", "list", "joined", "join", axis=0),
                  node("OptionalHasElement", "maybe", "there", "ask"),
                  node("If", "there", "held", "choose", then_branch=held, else_branch=none)],
                 [weight("zero", np.zeros(3, np.float32))])


def bodies():
    """y: x doubled twice in a loop, the inner value negated where x is not wanted as it is."""
    then_branch = helper.make_graph([node("Identity", "s", "kept", "keep")], "then", [],
                                    [info("kept", None)])
    else_branch = helper.make_graph([node("Neg", "s", "turned", "turn")], "else", [],
                                    [info("turned", ["batch", 3])])
    body = helper.make_graph(
        [node("Add", "s s", "twice", "double"),
         node("If", "flag", "chosen", "choose", then_branch=then_branch, else_branch=else_branch),
         node("Identity", "go", "go_on")],
        "body", [info("i", [], INT64), info("go", [], TensorProto.BOOL), info("s", ["batch", 3])],
        [info("go_on", [], TensorProto.BOOL), info("twice", ["batch", 3]), info("chosen", None)])
    return model([info("x", ["batch", 3]), info("flag", [], TensorProto.BOOL)],
                 [info("y", ["batch", 3]), info("all", [2, "batch", 3])],
                 [helper.make_node("Loop", ["two", "", "x"], ["y", "all"], "loop", body=body)],
                 [weight("two", np.array(2, np.int64))])


def classes():
    """What scikit-learn's exports end in: a label that is a string, and named scores."""
    n = helper.make_node("LinearClassifier", ["x"], ["label", "scores"], "classify",
                         domain="ai.onnx.ml", coefficients=[1.0, 0, 0, 0, 1, 0, 0, 0, 1],
                         intercepts=[0.0, 0, 0], classlabels_strings=["ant", "bee", "cow"],
                         post_transform="SOFTMAX")
    zip_map = helper.make_node("ZipMap", ["scores"], ["named"], "zip", domain="ai.onnx.ml",
                               classlabels_strings=["ant", "bee", "cow"])
    maps = helper.make_value_info("named", helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(FLOAT, []))))
    return model([info("x", ["batch", 3])], [info("label", ["batch"], TensorProto.STRING), maps],
                 [n, zip_map], domains=[("ai.onnx.ml", 1)])


def external(location, size=24, offset=0, length=None):
    """x (batch, 3) times w (3, 2), which lies in another file."""
    m = model([info("x", ["batch", 3])], [info("y", ["batch", 2])],
              [node("Relu", "x", "safe", "above"), node("MatMul", "x w", "y", "product")])
    w = m.graph.initializer.add()
    w.name, w.data_type, w.data_location = "w", FLOAT, TensorProto.EXTERNAL
    w.dims.extend([3, 2])
    for key, value in (("location", location), ("offset", offset), ("length", length or size)):
        entry = w.external_data.add()
        entry.key, entry.value = key, str(value)
    return m


def short():
    """A weight with fewer bytes than its shape needs."""
    m = exact()
    m.graph.initializer[0].raw_data = m.graph.initializer[0].raw_data[:-1]
    return m


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    made = {f.__name__: f() for f in (exact, two, tokens, kinds, mixes, turned, fixed, names,
                                      unknown, pinned, cyclic, long, short, lists, bodies,
                                      classes)}
    made["external"] = external("weights.bin")
    made["external_missing"] = external("no_such_file.bin")
    made["external_absolute"] = external("/etc/hostname")
    made["external_climbs"] = external("../weights.bin")
    made["external_climbs_inside"] = external("a/../../weights.bin")
    made["external_past_end"] = external("weights.bin", offset=8)
    made["external_far"] = external("weights.bin", offset=2**62)
    made["external_too_short"] = external("weights.bin", length=20)
    for name, m in made.items():
        onnx.save(m, folder / f"{name}.onnx")
    np.arange(6, dtype=np.float32).tofile(folder / "weights.bin")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
