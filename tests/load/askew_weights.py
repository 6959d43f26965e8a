# SPDX-License-Identifier: Apache-2.0
"""Parts of weights that lie at any address: a slice, a half, every other, backwards, turned, spread
over a batch axis; against NumPy. What is put in front of a weight in the file moves it byte by byte.
usage: askew_weights.py UNBATCH FOLDER"""
import pathlib
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

W = np.arange(24 * 10, dtype='float32').reshape(24, 10) / 7 - 11
X = np.linspace(-2, 2, 3 * 24 * 10, dtype='float32').reshape(3, 24, 10)


def integers(name, *values):
    return numpy_helper.from_array(np.array(values, 'int64'), name)


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs, [output] if isinstance(output, str) else output, **attributes)


PARTS = {  # what becomes of w, and the part of x that goes with it
    'half': ([node('Split', ['w'], ['p', 'rest'], axis=1, num_outputs=2)], W[:, :5], X[:, :, :5]),
    'rows': ([node('Slice', ['w', 'one', 'nine', 'zero', 'two'], 'p')], W[1:9:2], X[:, :4]),
    'others': ([node('Slice', ['w', 'zero', 'nine', 'one', 'two'], 'p')], W[:, :9:2], X[:, :, :5]),
    'backwards': ([node('Slice', ['w', 'last', 'front', 'one', 'back'], 'p')], W[:, ::-1], X),
    'turned': ([node('Transpose', ['w'], 't', perm=[1, 0]), node('Slice', ['t', 'one', 'nine', 'zero', 'one'], 'p')],
               W.T[1:9], X[:, :8, :1].repeat(24, 2)),
    'spread': ([node('Slice', ['w', 'zero', 'one', 'one', 'one'], 's'), node('Expand', ['s', 'wide'], 'p')],
               np.broadcast_to(W[:, :1], (24, 10)), X)}


def model(nodes, x, shift, path):
    weights = [numpy_helper.from_array(W, 'w'), integers('zero', 0), integers('one', 1), integers('two', 2),
               integers('nine', 9), integers('last', -1), integers('front', -100), integers('back', -1),
               integers('wide', 24, 10)]
    used = {i for n in nodes for i in n.input}
    graph = helper.make_graph(
        [*nodes, node('Mul', ['x', 'p'], 'm'), node('Sub', ['m', 'p'], 'y')], 'g',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', *x.shape[1:]])],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, None)], [w for w in weights if w.name in used])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], producer_name='.' * shift)
    path.write_bytes(made.SerializeToString())


def main():
    unbatch, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, (nodes, w, x) in PARTS.items():
        np.save(folder / 'x.npy', x)
        for shift in range(1, 6):
            model(nodes, x, shift, folder / 'm.onnx')
            for more in ([], ['--reference']):
                subprocess.run([unbatch, 'get', folder / 'm.onnx', 'y', '-x', folder / 'x.npy',
                                '-o', folder / 'y.npy', '-q', *more], check=True)
                np.testing.assert_array_equal(np.load(folder / 'y.npy'), x * w - w, err_msg=f'{name}, {shift}')
                count += 1
    print(f'{count} runs')


if __name__ == '__main__':
    main()
