# SPDX-License-Identifier: Apache-2.0
"""Compares loaded graphs with what the onnx package reads from the same files: ports, every weight
and constant bit by bit, nodes with their edges and, where no opset was rewritten, attributes.
usage: load_contents.py GRAPH_JSON"""
import json
import pathlib
import subprocess
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

DATA = pathlib.Path(__file__).parent.parent / 'data' / 'onnx'
UNCHANGED_SINCE = 20  # the operators of these files have the same form in the newest opset


def check(found, expected, what):
    if found != expected:
        raise AssertionError(f'{what}: {found!r}, expected {expected!r}')


def check_tensor(t, expected, what):
    array = numpy_helper.to_array(expected)
    check(t['dtype'], expected.data_type, what)
    check(t['dims'], list(array.shape), what)
    check(t['hex'], np.ascontiguousarray(array).tobytes().hex(), what)


def check_attrs(attrs, node):
    by_name = {a['name']: a['value'] for a in attrs}
    for a in node.attribute:
        value = helper.get_attribute_value(a)
        if a.type == onnx.AttributeProto.TENSOR:
            check_tensor(by_name[a.name], value, a.name)
            continue
        if a.type == onnx.AttributeProto.GRAPH:
            continue
        if isinstance(value, bytes):
            value = value.decode()
        elif not isinstance(value, (int, float)):
            value = list(value)
        check(by_name[a.name], value, f'{node.name}: {a.name}')
    check(len(attrs), len(node.attribute), f'{node.name}: attributes')


def check_file(tool, path):
    text = subprocess.run([tool, path], capture_output=True, check=True, text=True).stdout
    g = json.loads(text)
    model = onnx.load(path)
    graph = model.graph
    opset = next(o.version for o in model.opset_import if o.domain in ('', 'ai.onnx'))
    weights = {t.name: t for t in graph.initializer}
    check(g['inputs'], [v.name for v in graph.input if v.name not in weights], 'inputs')
    check(g['outputs'], [v.name for v in graph.output], 'outputs')
    for n in graph.node:
        if n.op_type == 'Constant' and n.attribute[0].name == 'value':
            weights[n.output[0]] = n.attribute[0].t
    for name, t in weights.items():
        check_tensor(g['constants'][name], t, name)
    nodes = [n for n in g['nodes'] if not n['helper']]
    expected = [n for n in graph.node if n.op_type != 'Constant']
    check(len(nodes), len(expected), 'nodes')
    for n, e in zip(nodes, expected):
        check(n['name'], e.name, 'name')
        check(n['out'], list(e.output), f'{e.name}: outputs')
        if opset < UNCHANGED_SINCE:
            continue
        check(n['op'], e.op_type, f'{e.name}: operator')
        check(n['in'], list(e.input), f'{e.name}: inputs')
        check_attrs(n['attrs'], e)
    return len(nodes), len(weights)


def main(tool):
    files = [p for p in sorted(DATA.glob('*.onnx')) if not p.name.startswith('refuse_')]
    for path in files:
        nodes, weights = check_file(tool, path)
        print(f'{path.name}: {nodes} nodes, {weights} weights')
    if len(files) < 5:
        sys.exit('the files are missing')


main(sys.argv[1])
