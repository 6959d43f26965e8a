# SPDX-License-Identifier: Apache-2.0
"""Operators of old opsets, rewritten by the loader and run by ONNX's reference implementation as
models of the newest opset, against what the old operator's text says, written in NumPy. Each case is
loaded three times: with shapes in the file, with dtypes alone, and behind a node (Ceil) that hides
both, so that every way of rewriting is taken.
usage: load_opsets.py GRAPH_JSON"""
import os
import pathlib
import re
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from rebuild import rebuild

RANDOM = np.random.default_rng(0)
SEEN = set()


def ints(*shape, low=-9, high=10, dtype=np.float32):
    """Whole numbers, so that Ceil changes nothing."""
    return RANDOM.integers(low, high, shape).astype(dtype)


def build(how, op, opset, inputs, n_out, attrs):
    names, nodes, infos, feeds = [], [], [], {}
    for i, x in enumerate(inputs):
        if x is None:
            names.append('')
            continue
        name = f'in{i}'
        dtype = helper.np_dtype_to_tensor_dtype(x.dtype)
        infos.append(helper.make_tensor_value_info(name, dtype, x.shape if how == 'shapes' else None))
        feeds[name] = x
        if how == 'hidden' and x.dtype.kind == 'f':
            nodes.append(helper.make_node('Ceil', [name], [name + 'h']))
            name += 'h'
        names.append(name)
    outs = [f'out{i}' for i in range(n_out)]
    nodes.append(helper.make_node(op, names, outs, name='node', **attrs))
    graph = helper.make_graph(nodes, 'g', infos,
                              [helper.make_value_info(o, onnx.TypeProto()) for o in outs])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)]), feeds


def load(how, op, opset, inputs, n_out, attrs):
    model, feeds = build(how, op, opset, inputs, n_out, attrs)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'm.onnx')
        onnx.save(model, path)
        return (*rebuild(sys.argv[1], path), feeds)


def case(op, opset, inputs, expected, **attrs):
    expected = expected if isinstance(expected, (list, tuple)) else [expected]
    SEEN.add(op)
    for how in ('shapes', 'dtypes', 'hidden'):
        what = f'{op}-{opset} {attrs} ({how})'
        try:
            model, _, feeds = load(how, op, opset, inputs, len(expected), attrs)
            found = ReferenceEvaluator(model).run(None, feeds)
            for f, e in zip(found, expected):
                if e is None:
                    continue
                np.testing.assert_allclose(f, e, rtol=1e-5, atol=1e-6)
                assert f.dtype == e.dtype, (f.dtype, e.dtype)
        except Exception as e:
            raise AssertionError(what) from e


def names(op, opset, inputs, expected_op, **attrs):
    """Only what the node is called afterwards."""
    SEEN.add(op)
    _, g, _ = load('shapes', op, opset, inputs, 1, attrs)
    found = [n for n in g['nodes'] if not n['helper']]
    assert [n['op'] for n in found] == [expected_op], found
    return {a['name']: a['value'] for a in found[0]['attrs']}


# ---- Broadcasting ------------------------------------------------------------------------------

def broadcasting():
    a = ints(2, 3, 4, 5)
    from_axis = [((3, 4), 1), ((2,), 0), ((3,), 1), ((5,), 3), ((4, 5), 2), ((1,), 1), ((3, 1), 1),
                 ((2, 3, 4, 5), 0)]
    arithmetic = {'Add': np.add, 'Sub': np.subtract, 'Mul': np.multiply, 'Div': np.divide,
                  'Pow': np.power}
    for op, fn in arithmetic.items():
        low = 1 if op in ('Div', 'Pow') else -9
        high = 3 if op == 'Pow' else 10
        for shape, axis in from_axis:
            b = ints(*shape, low=low, high=high)
            lined = b.reshape(shape + (1,) * (4 - axis - len(shape)))
            case(op, 6, [a, b], fn(a, lined), broadcast=1, axis=axis)
            if axis:
                case(op, 6, [a, b], fn(a, lined), broadcast=1, axis=axis - 4)
        for shape in [(4, 5), (5,), (1,), ()]:
            b = ints(*shape, low=low, high=high)
            case(op, 6, [a, b], fn(a, b), broadcast=1)
        b = ints(2, 3, 4, 5, low=low, high=high)
        case(op, 6, [a, b], fn(a, b))
        case(op, 7, [a, b], fn(a, b))
        case(op, 5, [a, b], fn(a, b), consumed_inputs=[0, 0])
    compare = {'Equal': (np.equal, np.int32), 'Greater': (np.greater, np.float32),
               'Less': (np.less, np.float32), 'And': (np.logical_and, bool),
               'Or': (np.logical_or, bool), 'Xor': (np.logical_xor, bool)}
    for op, (fn, dtype) in compare.items():
        x, y = ints(2, 3, 4, low=0, high=2, dtype=dtype), ints(3, low=0, high=2, dtype=dtype)
        case(op, 6, [x, y], fn(x, y.reshape(3, 1)), broadcast=1, axis=1)
        y = ints(4, low=0, high=2, dtype=dtype)
        case(op, 6, [x, y], fn(x, y), broadcast=1)
    for shape in [(2, 3), (2, 3, 4), (2, 3, 4, 5)]:
        x = ints(*shape)
        for n in (1, 3):
            slope = ints(n)
            lined = slope.reshape((n,) + (1,) * (len(shape) - 2))
            case('PRelu', 6, [x, slope], np.where(x < 0, x * lined, x))
    m, w, c = ints(4, 3), ints(3, 5), ints(5)
    case('Gemm', 6, [m, w, c], m @ w + c, broadcast=1)


# ---- Attributes that became inputs -------------------------------------------------------------

def log_sum_exp(x, axis, keepdims):
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


REDUCTIONS = {
    'ReduceL1': lambda x, **k: np.sum(np.abs(x), **k),
    'ReduceL2': lambda x, **k: np.sqrt(np.sum(x * x, **k)),
    'ReduceLogSum': lambda x, **k: np.log(np.sum(x, **k)),
    'ReduceLogSumExp': log_sum_exp,
    'ReduceMax': np.max,
    'ReduceMean': np.mean,
    'ReduceMin': np.min,
    'ReduceProd': np.prod,
    'ReduceSum': np.sum,
    'ReduceSumSquare': lambda x, **k: np.sum(x * x, **k),
}


def axes():
    x = ints(2, 3, 4, low=1, high=4)
    for op, fn in REDUCTIONS.items():
        for opset in (1, 6, 11, 12) + ((13, 17) if op != 'ReduceSum' else ()):
            for keep in (0, 1):
                case(op, opset, [x], fn(x, axis=(0, 2), keepdims=bool(keep)), axes=[0, 2],
                     keepdims=keep)
            case(op, opset, [x], fn(x, axis=None, keepdims=True))
    x = ints(1, 3, 1, 4)
    for opset in (6, 11):
        case('Squeeze', opset, [x], x.reshape(3, 4))
        case('Squeeze', opset, [x], x.reshape(3, 1, 4), axes=[0])
        case('Unsqueeze', opset, [x], x.reshape(1, 1, 3, 1, 4, 1), axes=[0, 5])


def parts():
    x = ints(4, 6, 5)
    case('Concat', 3, [x, x], np.concatenate([x, x], 1))
    case('Concat', 3, [x, x], np.concatenate([x, x], 2), axis=2)
    for opset in (6, 9):
        case('Slice', opset, [x], x[1:3, :, -2:], axes=[0, 2], starts=[1, -2], ends=[3, 1000])
        case('Slice', opset, [x], x[:2, 1:], starts=[0, 1], ends=[2, 6])
    for opset in (2, 6, 11, 12):
        case('Split', opset, [x], [x[:, :1], x[:, 1:]], axis=1, split=[1, 5])
    for opset in (2, 11, 13, 17):
        case('Split', opset, [x], [x[:, :2], x[:, 2:4], x[:, 4:]], axis=1)
    case('Split', 13, [x, np.array([1, 3])], [x[:1], x[1:]])
    order = np.sort(x, 1)[:, ::-1][:, :2]
    case('TopK', 9, [x], [order, None], axis=1, k=2)
    case('Reshape', 4, [x], x.reshape(8, 15), shape=[8, -1])
    case('Reshape', 4, [x], x.reshape(4, 30), shape=[0, -1], consumed_inputs=[0])
    i = np.array([[1, 0, 2]])
    updates = np.array([[10, 11, 12]], np.float32)
    y = np.arange(9, dtype=np.float32).reshape(3, 3)
    z = y.copy()
    z[[1, 0, 2], [0, 1, 2]] = [10, 11, 12]
    case('Scatter', 9, [y, i, updates], z)
    assert names('Tile', 5, [x, np.array([2]), np.array([0])], 'Tile of opset 1') == {}


def pads():
    x = ints(2, 3)
    for dtype in (np.float32, np.float16, np.float64):
        x = x.astype(dtype)
        case('Pad', 6, [x], np.pad(x, [(1, 2), (0, 1)], constant_values=3), pads=[1, 0, 2, 1],
             value=3.0)
        case('Clip', 6, [x], np.clip(x, -2, 3), min=-2.0, max=3.0)
        case('Clip', 10, [x], np.minimum(x, dtype(1)), max=1.0)
        case('Clip', 6, [x], np.maximum(x, dtype(1)), min=1.0)
        case('Clip', 6, [x], x)
    case('Pad', 10, [x], np.pad(x, [(0, 0), (1, 1)]), pads=[0, 1, 0, 1])
    case('Pad', 10, [x], np.pad(x, [(0, 0), (2, 1)], mode='reflect'), pads=[0, 2, 0, 1],
         mode='reflect')
    case('Pad', 2, [x], np.pad(x, [(1, 0), (0, 0)], mode='edge'), pads=[1, 0, 0, 0], mode='edge')
    case('Pad', 1, [x], np.pad(x, [(1, 0), (0, 0)]), paddings=[1, 0, 0, 0])


# ---- Resize ------------------------------------------------------------------------------------

def asymmetric(x, scales, linear):
    """Pixel i of the output lies at i / scale of the input."""
    for axis, scale in enumerate(scales):
        n = x.shape[axis]
        at = np.minimum(np.arange(int(n * scale)) / scale, n - 1)
        low = np.floor(at).astype(int)
        shape = [1] * x.ndim
        shape[axis] = -1
        share = (at - low).reshape(shape) if linear else 0
        x = (1 - share) * x.take(low, axis) + share * x.take(np.minimum(low + 1, n - 1), axis)
    return x.astype(np.float32)


def resizes():
    x = ints(1, 2, 3, 4)
    for scales in ([1, 1, 2, 2], [1, 1, 2, 3], [1, 1, 1.5, 0.5]):
        s = np.array(scales, np.float32)
        for mode in ('nearest', 'linear'):
            y = asymmetric(x, scales, mode == 'linear')
            case('Upsample', 7, [x], y, scales=[float(v) for v in scales], mode=mode)
            const = {'mode': mode}
            case_with_constant('Upsample', 9, x, s, y, **const)
            case_with_constant('Resize', 10, x, s, y, **const)
    y = asymmetric(x, [1, 1, 2, 3], True)
    case('Upsample', 6, [x], y, height_scale=2.0, width_scale=3.0, mode='bilinear')
    case('Upsample', 6, [x], asymmetric(x, [1, 1, 2, 3], False), height_scale=2.0, width_scale=3.0)
    empty_lists()


def run_models(nodes, initializers, x, y, opset):
    graph = helper.make_graph(
        nodes, 'g', [helper.make_tensor_value_info('x', TensorProto.FLOAT, None)],
        [helper.make_value_info('y', onnx.TypeProto())],
        [onnx.numpy_helper.from_array(v, k) for k, v in initializers.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'm.onnx')
        onnx.save(model, path)
        rebuilt, g = rebuild(sys.argv[1], path)
    found = ReferenceEvaluator(rebuilt).run(None, {'x': x})[0]
    np.testing.assert_allclose(found, y, rtol=1e-5, atol=1e-6)
    return g


def case_with_constant(op, opset, x, second, y, **attrs):
    SEEN.add(op)
    run_models([helper.make_node(op, ['x', 'w'], ['y'], **attrs)], {'w': second}, x, y, opset)


def empty_lists():
    """Exporters of opset 11 gave roi and scales without elements beside sizes."""
    x = ints(1, 1, 2, 2)
    none = np.array([], np.float32)
    g = run_models([helper.make_node('Resize', ['x', 'none', 'none', 'sizes'], ['y'], mode='nearest')],
                   {'none': none, 'sizes': np.array([1, 1, 4, 4])}, x,
                   x.repeat(2, 2).repeat(2, 3), 11)
    assert g['nodes'][0]['in'] == ['x', '', '', 'sizes'], g['nodes'][0]


# ---- Softmax and normalisation -----------------------------------------------------------------

def over_flat(x, axis, fn):
    flat = x.reshape(int(np.prod(x.shape[:axis])), -1).astype(np.float64)
    return fn(flat).reshape(x.shape).astype(np.float32)


def softmax(flat):
    e = np.exp(flat - flat.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def hardmax(flat):
    return (np.arange(flat.shape[1]) == flat.argmax(1)[:, None]).astype(np.float32)


def softmaxes():
    for shape in [(3, 4), (2, 3, 4), (2, 3, 4, 1)]:
        x = ints(*shape)
        for opset in (6, 11, 12):
            for op, fn in [('Softmax', softmax), ('Hardmax', hardmax),
                           ('LogSoftmax', lambda f: np.log(softmax(f)))]:
                case(op, opset, [x], over_flat(x, 1, fn))
                for axis in range(len(shape)):
                    case(op, opset, [x], over_flat(x, axis, fn), axis=axis)
                if opset >= 11:
                    case(op, opset, [x], over_flat(x, len(shape) - 1, fn), axis=-1)
                    case(op, opset, [x], over_flat(x, len(shape) - 2, fn), axis=-2)


def norms():
    x, s, b, m = ints(4, 3, 2), ints(3), ints(3), ints(3)
    v = ints(3, low=1)
    c = (slice(None), None)
    y = (x - m[c]) / np.sqrt(v[c] + np.float32(1e-5)) * s[c] + b[c]
    for opset in (5, 6, 7, 9, 13):
        case('BatchNormalization', opset, [x, s, b, m, v], y, **({'is_test': 1} if opset < 7 else {}))
    case('BatchNormalization', 6, [x, s, b, m, v], y)
    mean, var = x.mean((0, 2)), x.var((0, 2))
    trained = (x - mean[c]) / np.sqrt(var[c] + np.float32(1e-5)) * s[c] + b[c]
    for opset in (6, 9):
        case('BatchNormalization', opset, [x, s, b, m, v],
             [trained, m * np.float32(.75) + mean * np.float32(.25),
              v * np.float32(.75) + var * np.float32(.25)], momentum=.75)
    names('BatchNormalization', 7, [x, s, b, m, v], 'BatchNormalization with spatial=0', spatial=0)

    x, s, b = ints(2, 6, 4), ints(3), ints(3)
    groups = x.reshape(2, 3, 8)
    y = (groups - groups.mean(2, keepdims=True)) / np.sqrt(groups.var(2, keepdims=True) + 1e-5)
    y = (y * s[:, None] + b[:, None]).reshape(x.shape).astype(np.float32)
    for opset in (18, 20):
        case('GroupNormalization', opset, [x, s, b], y, num_groups=3, epsilon=1e-5)

    for opset, mask in [(6, np.float32), (7, np.float32), (10, bool)]:
        switch = {'is_test': 1} if opset < 7 else {}
        case('Dropout', opset, [x], x, ratio=.9, **switch)
        case('Dropout', opset, [x], [x, np.ones(x.shape, mask)], ratio=.9, **switch)


# ---- Attributes --------------------------------------------------------------------------------

def attributes():
    x = ints(2, 3)
    case('Cast', 5, [x], x.astype(np.int32), to='INT32')
    case('Cast', 6, [x], x.astype(np.int64), to=TensorProto.INT64)
    signal = ints(1, 8, 5, 1)
    for axis in (None, 1, 2):
        y = np.fft.fft(signal[..., 0], axis=axis or 1)
        case('DFT', 17, [signal], np.stack([y.real, y.imag], -1).astype(np.float32),
             **({} if axis is None else {'axis': axis}))
    for opset, alpha, gamma in [(5, 1.6732, 1.0507), (6, 1.67326319217681884766, 1.050700987)]:
        y = np.where(x > 0, gamma * x, gamma * (alpha * np.exp(x) - alpha))
        case('Selu', opset, [x], y.astype(np.float32))
    image = ints(1, 1, 3, 4)
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 4), np.linspace(-1, 1, 3)), -1)[None]
    for mode, now in [('bilinear', 'linear'), ('bicubic', 'cubic'), ('nearest', 'nearest')]:
        found = names('GridSample', 16, [image, grid.astype(np.float32)], 'GridSample', mode=mode)
        assert found['mode'] == now, found
    assert names('GridSample', 16, [image, image], 'GridSample')['mode'] == 'linear'
    boxes, batch = np.array([[0, 0, 2, 2]], np.float32), np.array([0])
    found = names('RoiAlign', 10, [image, boxes, batch], 'RoiAlign')
    assert found['coordinate_transformation_mode'] == 'output_half_pixel', found
    found = names('RoiAlign', 16, [image, boxes, batch], 'RoiAlign')
    assert 'coordinate_transformation_mode' not in found, found
    for op in ('LpPool', 'GlobalLpPool'):
        assert names(op, 1, [image], op, p=2.0)['p'] == 2
        assert names(op, 1, [image], op, p=1.0)['p'] == 1
    for op in ('LSTM', 'GRU', 'RNN'):
        w = ints(1, 4, 3)
        assert 'output_sequence' not in names(op, 6, [x, w, w], op, output_sequence=1)


# ---- Nothing is missing ------------------------------------------------------------------------

def table():
    """The operators that the loader rewrites, from its source."""
    source = pathlib.Path(__file__).parents[2] / 'src' / 'load' / 'onnx_opset.c'
    return set(re.findall(r'^    \{"(\w+)", ', source.read_text(), re.MULTILINE))


def default(attribute):
    return helper.get_attribute_value(attribute.default_value) if attribute.default_value.name else None


def changed():
    """Operators whose older schemas have attributes, or defaults of them, that the newest lacks."""
    found = set()
    for old in onnx.defs.get_all_schemas_with_history():
        if old.domain != '':
            continue
        new = onnx.defs.get_schema(old.name, '')
        for name, a in old.attributes.items():
            if name == 'consumed_inputs':
                continue
            now = new.attributes.get(name)
            if not now or now.type != a.type or (default(now) != default(a) and not a.required):
                found.add(old.name)
    return found


def complete():
    SEEN.add('Scan')  # what makes it old is done when it runs: ONNX's own test_scan_sum
    rewritten = table()
    assert rewritten == SEEN, rewritten ^ SEEN
    missing = changed() - rewritten
    assert not missing, missing


def main():
    np.seterr(all='ignore')
    broadcasting()
    axes()
    parts()
    pads()
    resizes()
    softmaxes()
    norms()
    attributes()
    complete()
    print(f'{len(SEEN)} operators: {" ".join(sorted(SEEN))}')


main()
