#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes ONNX's conformance cases as files. Since onnx 1.22 the node cases live in Python code only.

  onnx_suite.py dump DIR    DIR/<folder>/<case>/{model.onnx,case.json,test_data_set_<i>/*.pb}
  onnx_suite.py list        one line a case on stdout: folder/case, opset, operators

Folders: node simple pytorch-converted pytorch-operator light. A folder that holds the cases of this
onnx version already is left as it is (DIR/version).
"""
import collections
import glob
import json
import os
import sys
import warnings

warnings.filterwarnings("ignore")

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import DATA_DIR, load_model_tests

Case = collections.namedtuple("Case", "name folder model sets rtol atol")


def load_value(path, type_proto):
    with open(path, "rb") as f:
        content = f.read()
    kind = type_proto.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(content))
    if kind == "optional_type":
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(content))
    return TensorProto.FromString(content)


def data_set(folder, model):
    values = []
    for prefix, ports in (("input", model.graph.input), ("output", model.graph.output)):
        count = len(glob.glob(os.path.join(folder, prefix + "_*.pb")))
        paths = [os.path.join(folder, f"{prefix}_{i}.pb") for i in range(count)]
        values.append([load_value(p, port.type) for p, port in zip(paths, ports)])
    return values


def weight_names(model):
    return {t.name for t in model.graph.initializer}


def light_input(port):
    """The large models take arange(n) / n, as onnx.backend.test.runner."""
    shape = [d.dim_value if d.HasField("dim_value") else 1 for d in port.type.tensor_type.shape.dim]
    n = int(np.prod(shape))
    return (np.arange(n).reshape(shape) / n).astype(np.float32)


def cases():
    for t in load_model_tests(kind="node"):
        yield Case(t.name, "node", t.model, t.data_sets, t.rtol, t.atol)
    for kind in ("simple", "pytorch-converted", "pytorch-operator"):
        for t in sorted(load_model_tests(kind=kind), key=lambda t: t.name):
            model = onnx.load(os.path.join(t.model_dir, "model.onnx"))
            folders = sorted(glob.glob(os.path.join(t.model_dir, "test_data_set_*")))
            yield Case(t.name, kind, model, [data_set(f, model) for f in folders], t.rtol, t.atol)
    for t in sorted(load_model_tests(kind="real"), key=lambda t: t.name):
        path = os.path.join(DATA_DIR, "light", os.path.basename(t.url))
        model = onnx.load(path)
        inputs = [light_input(p) for p in model.graph.input if p.name not in weight_names(model)]
        with open(path.removesuffix(".onnx") + "_output_0.pb", "rb") as f:
            output = TensorProto.FromString(f.read())
        yield Case(t.name, "light", model, [(inputs, [output])], t.rtol, t.atol)


def write(path, content):
    with open(path, "wb") as f:
        f.write(content)


def value_bytes(value, port):
    kind = port.type.WhichOneof("value")
    if not isinstance(value, TensorProto):
        if kind == "sequence_type":
            value = numpy_helper.from_list(value, port.name)
        elif kind == "optional_type":
            value = numpy_helper.from_optional(value, port.name)
        elif kind == "map_type":
            value = numpy_helper.from_dict(value, port.name)
        else:
            value = numpy_helper.from_array(np.asarray(value), port.name)
    return value.SerializeToString(deterministic=True)


def dump(root):
    version = os.path.join(root, "version")
    if os.path.exists(version):
        with open(version) as f:
            if f.read().strip() == onnx.__version__:
                return
    count = 0
    for case in cases():
        folder = os.path.join(root, case.folder, case.name)
        os.makedirs(folder, exist_ok=True)
        write(os.path.join(folder, "model.onnx"), case.model.SerializeToString(deterministic=True))
        limits = json.dumps({"rtol": case.rtol, "atol": case.atol})
        write(os.path.join(folder, "case.json"), limits.encode())
        weights = weight_names(case.model) if case.folder == "light" else ()
        ports = [p for p in case.model.graph.input if p.name not in weights]
        for i, (inputs, outputs) in enumerate(case.sets):
            data = os.path.join(folder, f"test_data_set_{i}")
            os.makedirs(data, exist_ok=True)
            for j, (value, port) in enumerate(zip(inputs, ports)):
                write(os.path.join(data, f"input_{j}.pb"), value_bytes(value, port))
            for j, (value, port) in enumerate(zip(outputs, case.model.graph.output)):
                write(os.path.join(data, f"output_{j}.pb"), value_bytes(value, port))
        count += 1
    write(version, onnx.__version__.encode())
    print(count, "cases written")


def graph_nodes(graph):
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in [attribute.g] * attribute.HasField("g") + list(attribute.graphs):
                yield from graph_nodes(body)


def list_cases():
    for case in cases():
        opsets = ",".join(f"{p.domain or 'ai.onnx'}:{p.version}" for p in case.model.opset_import)
        names = set()
        for node in graph_nodes(case.model.graph):
            prefix = "" if node.domain in ("", "ai.onnx") else node.domain + "::"
            names.add(prefix + node.op_type)
        print(f"{case.folder}/{case.name}", opsets, ",".join(sorted(names)), sep="\t")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "dump":
        dump(sys.argv[2])
    elif len(sys.argv) == 2 and sys.argv[1] == "list":
        list_cases()
    else:
        sys.exit(__doc__)
