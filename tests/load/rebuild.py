# SPDX-License-Identifier: Apache-2.0
"""Rebuilds what graph_json printed as an ONNX model of the newest opset."""
import json
import subprocess

import numpy as np
import onnx
from onnx import helper

NEWEST = 28


def tensor(name, t):
    return helper.make_tensor(name, t['dtype'], t['dims'], bytes.fromhex(t['hex']), raw=True)


def node(n):
    made = helper.make_node(n['op'], n['in'], n['out'], name=n['name'], domain=n['domain'])
    for a in n['attrs']:
        value = a['value']
        if a['kind'] == 'tensor':
            value = tensor('', value)
        if a['kind'] == 'graph':
            raise ValueError('bodies are not printed')
        made.attribute.append(helper.make_attribute(
            a['name'], value, attr_type={'ints': 7, 'floats': 6, 'strings': 8}.get(a['kind'])))
    return made


def rebuild(tool, path, domains=()):
    text = subprocess.run([tool, path], capture_output=True, check=True, text=True).stdout
    g = json.loads(text)
    used = {v for n in g['nodes'] for v in n['in']} | set(g['outputs'])
    graph = helper.make_graph(
        [node(n) for n in g['nodes']], 'rebuilt',
        [helper.make_value_info(v, onnx.TypeProto()) for v in g['inputs']],
        [helper.make_value_info(v, onnx.TypeProto()) for v in g['outputs']],
        initializer=[tensor(v, t) for v, t in g['constants'].items() if v in used])
    opsets = [helper.make_opsetid('', NEWEST)] + [helper.make_opsetid(d, v) for d, v in domains]
    return helper.make_model(graph, opset_imports=opsets), g
