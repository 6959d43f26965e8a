# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of corpus/: small models of ONNX's own node cases (bodies, lists, every kind of
attribute), models with initializers of every way of storing, arrays, index texts. Deterministic.
usage: make_seeds.py"""
import io
import json
import pathlib
import struct
import zipfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

CORPUS = pathlib.Path(__file__).parent / 'corpus'
CASES = [
    'test_if', 'test_loop11', 'test_scan9_sum', 'test_lstm_defaults', 'test_constant',
    'test_resize_upsample_scales_nearest', 'test_constantofshape_int_zeros',
    'test_split_equal_parts_2d_opset13', 'test_tfidfvectorizer_tf_only_bigrams_skip0',
    'test_cast_FLOAT_to_FLOAT8E4M3FN', 'test_optional_get_element_tensor',
]


RUN = """Abs Add ArgMax AveragePool BatchNormalization Cast Clip Concat Conv ConvInteger ConvTranspose
    CumSum DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal Expand
    Flatten GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GridSample HardSwish
    Identity InstanceNormalization IsNaN LRN LSTM LayerNormalization MatMul MaxPool NonMaxSuppression
    NonZero Pad Pow QuantizeLinear Range ReduceMean Relu Reshape Resize RNN ScatterND Shape Slice
    Softmax Split Squeeze Tile TopK Transpose Unsqueeze Where""".split()


def write(folder, name, data):
    (CORPUS / folder).mkdir(parents=True, exist_ok=True)
    (CORPUS / folder / name).write_bytes(data)


def node_cases():
    wanted = set(CASES)
    for case in collect_testcases(None):
        if case.name in wanted:
            write('onnx', f'{case.name}.onnx', case.model.SerializeToString())
            wanted.remove(case.name)
    assert not wanted, wanted


def one_case_each():
    """For running: the smallest case of each operator."""
    smallest = {}
    for case in collect_testcases(None):
        nodes = case.model.graph.node
        data = case.model.SerializeToString()
        op = nodes[0].op_type
        if len(nodes) == 1 and op in RUN and len(data) < len(smallest.get(op, data + b'.')):
            smallest[op] = data
    assert len(smallest) == len(RUN), set(RUN) - set(smallest)
    for op, data in smallest.items():
        write('run', f'{op}.onnx', data)


def safetensors():
    def file(header, data):
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, 'little') + text + data
    a = {'dtype': 'F32', 'shape': [2, 3], 'data_offsets': [0, 24]}
    b = {'dtype': 'BOOL', 'shape': [], 'data_offsets': [24, 25]}
    c = {'dtype': 'BF16', 'shape': [0], 'data_offsets': [25, 25]}
    meta = {'format': 'pt', 'tied': 'a'}
    write('safetensors', 'three.safetensors',
          file({'__metadata__': meta, 'a': a, 'b': b, 'c': c}, bytes(range(25))))
    write('safetensors', 'odd.safetensors',
          file({'x': {'dtype': 'I64', 'shape': [1], 'data_offsets': [1, 9]},
                'y': {'dtype': 'U8', 'shape': [1], 'data_offsets': [0, 1]}}, bytes(9)))
    write('safetensors', 'gap.safetensors', file({'a': a, 'b': b}, bytes(26)))
    write('safetensors', 'huge.safetensors', file({'a': dict(a, shape=[2**62, 2**62])}, bytes(24)))


def keras_models():
    """The length of config.json, that, and model.weights.h5: see fuzz_keras.c."""
    data = pathlib.Path(__file__).parents[1] / 'tests/data/keras'
    for name in ('conv_seed', 'crossed_names', 'nested', 'lstm_masked', 'misc', 'transformer'):
        with zipfile.ZipFile(data / f'{name}.keras') as z:
            config, h5 = z.read('config.json'), z.read('model.weights.h5')
        write('keras', name, struct.pack('<I', len(config)) + config + h5)


def weights():
    tensors = [numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), 'raw')]
    for dtype in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16, 17, 22):
        tensors.append(helper.make_tensor(f'typed{dtype}', dtype, [2], [1, 0]))
    tensors.append(helper.make_tensor('text', TensorProto.STRING, [1], [b'a']))
    outside = TensorProto(name='outside', data_type=1, dims=[2], data_location=1)
    for key, value in (('location', 'w.data'), ('offset', '0'), ('length', '8')):
        outside.external_data.add(key=key, value=value)
    x = helper.make_tensor_value_info('x', 1, ['batch', 3])
    y = helper.make_tensor_value_info('y', 1, None)
    sparse = helper.make_sparse_tensor(
        helper.make_tensor('sparse', 1, [1], [1.0]), helper.make_tensor('', 7, [1], [0]), [4])
    for name, extra in (('weights', []), ('external', [outside])):
        graph = helper.make_graph([helper.make_node('MatMul', ['x', 'raw'], ['y'], name='m')], 'g',
                                  [x], [y], tensors + extra, sparse_initializer=[sparse],
                                  value_info=[helper.make_tensor_value_info('raw', 1, [2, 3])])
        write('onnx', f'{name}.onnx', helper.make_model(graph).SerializeToString())


def old_opsets():
    x = helper.make_tensor_value_info('x', 1, None)
    nodes = [
        helper.make_node('Mul', ['x', 'w'], ['a'], broadcast=1, axis=1),
        helper.make_node('BatchNormalization', ['a', 'w', 'w', 'w', 'w'], ['b'], is_test=1),
        helper.make_node('Dropout', ['b'], ['c', 'mask'], ratio=.5, is_test=1),
        helper.make_node('Clip', ['c'], ['d'], min=0.0, max=6.0),
        helper.make_node('Pad', ['d'], ['e'], pads=[0, 0, 1, 1], value=1.0),
        helper.make_node('Slice', ['e'], ['f'], starts=[0], ends=[1]),
        helper.make_node('Upsample', ['f'], ['g'], height_scale=2.0, width_scale=2.0),
        helper.make_node('Softmax', ['g'], ['h']),
        helper.make_node('ReduceMean', ['h'], ['i'], axes=[1]),
        helper.make_node('Split', ['i'], ['j', 'k'], axis=0),
        helper.make_node('PRelu', ['j', 'w'], ['y']),
    ]
    w = numpy_helper.from_array(np.ones(3, np.float32), 'w')
    graph = helper.make_graph(nodes, 'g', [x], [helper.make_value_info('y', onnx.TypeProto())], [w])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 6)])
    write('onnx', 'opset6.onnx', model.SerializeToString())


def arrays():
    for dtype in ('<f4', '>f8', '<i2', '?', '<f2'):
        for order in 'CF':
            f = io.BytesIO()
            np.save(f, np.asarray(np.arange(6).reshape(2, 3), dtype=dtype, order=order))
            write('npy', f'{dtype[-2:].replace("?", "bool")}_{order}.npy', f.getvalue())


def texts():
    for i, text in enumerate(['[0]', '[..., None, 1:2]', '[::-1, [0, 2]]', '[[[True, False, True]]]',
                              '-1, :, 3:0:-2', '[[0, 1], None, [[1], [2]]]']):
        write('index', f'{i}.txt', text.encode())


node_cases()
one_case_each()
weights()
old_opsets()
arrays()
keras_models()
safetensors()
texts()
