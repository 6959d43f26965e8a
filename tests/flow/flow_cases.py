#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases of control flow, lists and functions that ONNX's own conformance cases leave out, in
their layout. Expected values are those of ONNX's reference implementation.

  flow_cases.py DIR      DIR/flow/<case>/{model.onnx,case.json,test_data_set_0/*.pb}
"""
import json
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper, parser
from onnx.reference import ReferenceEvaluator

rng = np.random.default_rng(20261125)
made = []


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def write(root, name, model, inputs, expected=None):
    """expected None: what the reference gives."""
    folder = os.path.join(root, "flow", name)
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    if expected is None:
        expected = ReferenceEvaluator(model).run(None, inputs)
    with open(os.path.join(folder, "model.onnx"), "wb") as f:
        f.write(model.SerializeToString())
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump({"rtol": 1e-5, "atol": 1e-6}, f)
    names = [o.name for o in model.graph.output]
    for side, pairs in (("input", inputs.items()), ("output", zip(names, expected))):
        for i, (port, value) in enumerate(pairs):
            make = numpy_helper.from_list if isinstance(value, list) else numpy_helper.from_array
            message = make(value if isinstance(value, list) else np.asarray(value), port)
            with open(os.path.join(data, f"{side}_{i}.pb"), "wb") as f:
                f.write(message.SerializeToString())
    made.append(name)


def model(text):
    return parser.parse_model(text)


def head(opset=20, more=""):
    return f'<ir_version: 10, opset_import: ["" : {opset}{more}]>\n'


def body(name, inputs, outputs, nodes, initializers=()):
    return h.make_graph(nodes, name, inputs, outputs, initializers)


def info(name, dtype=T.FLOAT, shape=None):
    return h.make_tensor_value_info(name, dtype, shape)


def graph_model(nodes, inputs, outputs, opset=20, initializers=(), functions=()):
    g = h.make_graph(nodes, "g", inputs, outputs, initializers)
    imports = [h.make_opsetid("", opset), h.make_opsetid("local", 1)]
    return h.make_model(g, opset_imports=imports, ir_version=10, functions=functions)


def scalar(name, value, dtype):
    return numpy_helper.from_array(np.array(value, dtype), name)


# ---- Loop --------------------------------------------------------------------------------------


def counting_loop(stop):
    """Adds x to a state until the count is `stop`; captures x and a weight."""
    nodes = [
        h.make_node("Add", ["i", "one"], ["i1"]),
        h.make_node("Less", ["i1", "stop"], ["go"]),
        h.make_node("Add", ["s", "x"], ["s1"]),
        h.make_node("Mul", ["s1", "w"], ["row"]),
    ]
    inside = body(
        "b",
        [info("i", T.INT64, []), info("c", T.BOOL, []), info("s")],
        [info("go", T.BOOL, []), info("s1", T.FLOAT, [2, 3]), info("row", T.FLOAT, [2, 3])],
        nodes,
        [scalar("one", 1, np.int64)],
    )
    loop = h.make_node("Loop", ["m", "", "x"], ["last", "rows"], name="loop", body=inside)
    return graph_model(
        [loop],
        [info("m", T.INT64, []), info("x", T.FLOAT, [2, 3])],
        [info("last"), info("rows")],
        initializers=[scalar("stop", stop, np.int64), scalar("w", 2, np.float32)],
    )


def loops(root):
    x = normal(2, 3)
    for m, stop in ((4, 100), (9, 3), (1, 1), (2**62, 70)):
        n = min(m, max(stop, 1))
        rows = np.stack([2 * (x * (k + 2)) for k in range(n)]).astype(np.float32)
        # Sums of n equal terms one by one, as the loop has them.
        last, got = x, []
        for _ in range(n):
            last = last + x
            got.append(last * np.float32(2))
        assert np.allclose(rows, got, rtol=1e-5)
        write(root, f"loop_{m}_{stop}", counting_loop(stop), {"m": np.array(m), "x": x},
              [last, np.stack(got)])
    write(root, "loop_none", counting_loop(5), {"m": np.array(0), "x": x},
          [x, np.zeros((0, 2, 3), np.float32)])
    write(root, "loop_negative", counting_loop(5), {"m": np.array(-3), "x": x},
          [x, np.zeros((0, 2, 3), np.float32)])


def growing_state(root):
    """The state grows: no plan fits two iterations."""
    inside = body(
        "b",
        [info("i", T.INT64, []), info("c", T.BOOL, []), info("s")],
        [info("c1", T.BOOL, []), info("s1")],
        [h.make_node("Identity", ["c"], ["c1"]),
         h.make_node("Concat", ["s", "x"], ["s1"], axis=0)],
    )
    loop = h.make_node("Loop", ["m", "", "x"], ["y"], body=inside)
    m = graph_model([loop], [info("m", T.INT64, []), info("x", T.FLOAT, [2, 3])], [info("y")])
    x = normal(2, 3)
    write(root, "loop_growing", m, {"m": np.array(3), "x": x}, [np.concatenate([x] * 4)])


def nested(root):
    """An If in a Loop in a Loop; both branches read names two graphs out."""
    branches = {
        "then_branch": body("t", [], [info("tv")], [h.make_node("Add", ["s", "x"], ["tv"])]),
        "else_branch": body("e", [], [info("ev")], [h.make_node("Mul", ["s", "x"], ["ev"])]),
    }
    inner = body(
        "inner",
        [info("j", T.INT64, []), info("cj", T.BOOL, []), info("s")],
        [info("cj1", T.BOOL, []), info("s1")],
        [
            h.make_node("Identity", ["cj"], ["cj1"]),
            h.make_node("Add", ["i", "j"], ["ij"]),
            h.make_node("Mod", ["ij", "two"], ["odd"]),
            h.make_node("Cast", ["odd"], ["flag"], to=T.BOOL),
            h.make_node("If", ["flag"], ["s1"], name="pick", **branches),
        ],
    )
    outer = body(
        "outer",
        [info("i", T.INT64, []), info("ci", T.BOOL, []), info("o")],
        [info("ci1", T.BOOL, []), info("o1"), info("o1")],
        [
            h.make_node("Identity", ["ci"], ["ci1"]),
            h.make_node("Loop", ["three", "", "o"], ["o1"], name="inner", body=inner),
        ],
    )
    loop = h.make_node("Loop", ["m", "", "x"], ["y", "ys"], name="outer", body=outer)
    m = graph_model(
        [loop],
        [info("m", T.INT64, []), info("x", T.FLOAT, [2])],
        [info("y"), info("ys")],
        initializers=[scalar("two", 2, np.int64), scalar("three", 3, np.int64)],
    )
    x = np.array([1.5, -0.5], np.float32)
    s, rows = x, []
    for i in range(4):
        for j in range(3):
            s = s + x if (i + j) % 2 else s * x
        rows.append(s)
    write(root, "nested", m, {"m": np.array(4), "x": x}, [s, np.stack(rows)])


# ---- Scan --------------------------------------------------------------------------------------


def scans(root):
    def scan_model(**attributes):
        inside = body(
            "b",
            [info("s"), info("p"), info("q")],
            [info("s1"), info("r"), info("t")],
            [
                h.make_node("Add", ["p", "q"], ["r"]),
                h.make_node("Add", ["s", "r"], ["s1"]),
                h.make_node("Transpose", ["s1"], ["t"], perm=[1, 0]),
            ],
        )
        node = h.make_node("Scan", ["s0", "a", "b"], ["s", "r", "t"], num_scan_inputs=2,
                           body=inside, **attributes)
        ports = [info("s0", T.FLOAT), info("a"), info("b")]
        return graph_model([node], ports, [info("s"), info("r"), info("t")])

    s0 = normal(2, 3)
    forms = {
        "plain": {},
        "axes": dict(scan_input_axes=[1, -1], scan_output_axes=[2, 1]),
        "back": dict(scan_input_directions=[1, 0], scan_output_directions=[0, 1]),
        "all": dict(scan_input_axes=[2, 0], scan_input_directions=[0, 1],
                    scan_output_axes=[-1, 0], scan_output_directions=[1, 1]),
    }
    for name, form in forms.items():
        axes = form.get("scan_input_axes", [0, 0])
        rows = [normal(2, 2, 3), normal(2, 2, 3)]
        given = [np.moveaxis(r, 0, a) for r, a in zip(rows, axes)]
        back = form.get("scan_input_directions", [0, 0])
        rows = [r[::-1] if b else r for r, b in zip(rows, back)]
        s, r, t = s0, [], []
        for p, q in zip(*rows):
            r.append(p + q)
            s = s + r[-1]
            t.append(s.T)
        out_axes = form.get("scan_output_axes", [0, 0])
        out_back = form.get("scan_output_directions", [0, 0])
        outs = [np.moveaxis(np.stack(v[::-1] if b else v), 0, a)
                for v, a, b in zip((r, t), out_axes, out_back)]
        write(root, f"scan_{name}", scan_model(**form),
              {"s0": s0, "a": np.ascontiguousarray(given[0]), "b": np.ascontiguousarray(given[1])},
              [s, *outs])


def scan_8(root):
    """Opset 8: batched, with lengths."""
    inside = body("b", [info("s", T.FLOAT, [2]), info("p", T.FLOAT, [2])],
                  [info("s1", T.FLOAT, [2]), info("r", T.FLOAT, [2])],
                  [h.make_node("Add", ["s", "p"], ["s1"]), h.make_node("Identity", ["s1"], ["r"])])
    node = h.make_node("Scan", ["n", "s0", "x"], ["s", "r"], num_scan_inputs=1, body=inside,
                       directions=[0])
    m = graph_model([node], [info("n", T.INT64, [3]), info("s0", T.FLOAT, [3, 2]),
                             info("x", T.FLOAT, [3, 4, 2])], [info("s"), info("r")], opset=8)
    n, s0, x = np.array([4, 2, 3]), normal(3, 2), normal(3, 4, 2)
    r = s0[:, None] + np.cumsum(x, 1, dtype=np.float32)
    s = np.stack([r[k, n[k] - 1] for k in range(3)])
    for k in range(3):
        r[k, n[k]:] = 0
    write(root, "scan_8_lengths", m, {"n": n, "s0": s0, "x": x}, [s, r])


# ---- Lists -------------------------------------------------------------------------------------


def lists(root):
    x = normal(5, 4)
    for name, split, keep, axis in (("each", None, 1, 0), ("each_out", None, 0, 1),
                                    ("threes", 3, 1, 0), ("sizes", [1, 0, 4], 0, 0)):
        size = [] if split is None else [numpy_helper.from_array(np.array(split), "n")]
        seq = h.make_tensor_sequence_value_info("s", T.FLOAT, None)
        node = h.make_node("SplitToSequence", ["x"] + ["n"] * len(size), ["s"], axis=axis,
                           keepdims=keep)
        m = graph_model([node], [info("x", T.FLOAT, [5, 4])], [seq], initializers=size)
        at = (range(1, x.shape[axis]) if split is None else [3] if split == 3
              else np.cumsum(split)[:-1])
        parts = np.split(x, at, axis)
        if split is None and not keep:
            parts = [p.squeeze(axis) for p in parts]
        write(root, f"split_{name}", m, {"x": x}, [[np.ascontiguousarray(p) for p in parts]])
    text = head() + """
g (float[2,3] x) => (float[A,B,C] y, float[D,E] z, int64 n, float[2,3] last) {
  two = Add(x, x)
  s = SequenceConstruct(x, two, x)
  first = Constant<value = int64 {0}>()
  minus = Constant<value = int64 {-1}>()
  e = SequenceErase(s, first)
  s4 = SequenceInsert(e, two, minus)
  y = ConcatFromSequence<axis = 1, new_axis = 1>(s4)
  z = ConcatFromSequence<axis = -1>(s4)
  n = SequenceLength(s4)
  last = SequenceAt(s4, minus)
}"""
    x = normal(2, 3)
    order = [2 * x, 2 * x, x]
    write(root, "list_edit", model(text), {"x": x},
          [np.stack(order, 1), np.concatenate(order, -1), np.array(3), x])


# ---- Functions ---------------------------------------------------------------------------------


def functions(root):
    text = head(more=', "local" : 1') + """
g (float[2,4] x) => (float[2,4] y, float[2,4] z) {
  [first] y1 = local.outer<slope = 0.25>(x)
  [second] y = local.outer(y1)
  z = local.pass(y1)
}
<domain: "local", opset_import: ["" : 18, "local" : 1]>
outer <slope: float = 0.5>(v) => (w) {
  t = local.inner<alpha: float = @slope>(v)
  m = ReduceMean<axes = [1], keepdims = 1>(t)
  w = Sub(t, m)
}
<domain: "local", opset_import: ["" : 11]>
inner <alpha>(v) => (w) {
  a = LeakyRelu<alpha: float = @alpha>(v)
  one = Constant<value_float: float = @alpha>()
  w = Add(a, one)
}
<domain: "local", opset_import: ["" : 20]>
pass (v) => (v) { unused = Neg(v) }
"""
    # The parser has no function that hands an input out, nor opset 13's ReduceMean: by hand.
    text = text.replace("axes = [1], keepdims = 1>(t)", "keepdims = 1>(t, axes)")
    text = text.replace("  m = Reduce", "  axes = Constant<value_ints = [1]>()\n  m = Reduce")
    x = normal(2, 4)

    def outer(v, slope):
        t = np.where(v < 0, v * np.float32(slope), v) + np.float32(slope)
        return t - t.mean(1, keepdims=True)

    y1 = outer(x, 0.25)
    m = model(text)
    write(root, "functions", m, {"x": x}, [outer(y1, 0.5), y1])


def overloads(root):
    add = h.make_function("local", "f", ["a"], ["b"], [h.make_node("Add", ["a", "a"], ["b"])],
                          [h.make_opsetid("", 20)], overload="add")
    mul = h.make_function("local", "f", ["a"], ["b"], [h.make_node("Mul", ["a", "a"], ["b"])],
                          [h.make_opsetid("", 20)], overload="mul")
    nodes = [h.make_node("f", ["x"], ["t"], domain="local", overload="add"),
             h.make_node("f", ["t"], ["y"], domain="local", overload="mul")]
    m = graph_model(nodes, [info("x", T.FLOAT, [3])], [info("y", T.FLOAT, [3])],
                    functions=[add, mul])
    x = normal(3)
    write(root, "overloads", m, {"x": x}, [(x + x) * (x + x)])


def function_with_body(root):
    """An If inside a function, whose branches read the function's names."""
    branches = {
        "then_branch": body("t", [], [info("tv")], [h.make_node("Add", ["v", "u"], ["tv"])]),
        "else_branch": body("e", [], [info("ev")], [h.make_node("Sub", ["v", "u"], ["ev"])]),
    }
    f = h.make_function("local", "f", ["v", "flag"], ["w"],
                        [h.make_node("Neg", ["v"], ["u0"]), h.make_node("Mul", ["u0", "v"], ["u"]),
                         h.make_node("If", ["flag"], ["w"], name="if", **branches)],
                        [h.make_opsetid("", 20)])
    nodes = [h.make_node("f", ["x", "c"], ["t"], name="one", domain="local"),
             h.make_node("Not", ["c"], ["d"]),
             h.make_node("f", ["t", "d"], ["y"], name="two", domain="local")]
    m = graph_model(nodes, [info("x", T.FLOAT, [3]), info("c", T.BOOL, [])],
                    [info("y", T.FLOAT, [3])], functions=[f])
    x = normal(3)
    t = x - x * x
    write(root, "function_with_body", m, {"x": x, "c": np.array(True)}, [t + t * t])


def main(root):
    for make in (loops, growing_state, nested, scans, scan_8, lists, functions, overloads,
                 function_with_body):
        make(root)
    print(len(made), "cases written")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
