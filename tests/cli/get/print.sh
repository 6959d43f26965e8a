# SPDX-License-Identifier: Apache-2.0
# What a person reads: dtype, shape, statistics, and the values as NumPy prints them.
py '
np.save("x.npy", np.float32([[1, 0, 0], [0, 1, 0], [1, 2, 3], [-1, -1, -1]]))
np.save("odd.npy", np.float32([[1.5, np.nan, 300], [-0.5, np.inf, -1e9]]))
'
t unbatch get exact.onnx first second 'third[2]' 'third[2, 1]' -x x.npy
t unbatch get kinds.onnx '@outputs[:3]' -x x.npy
t unbatch get kinds.onnx double half brain -x odd.npy
t unbatch get exact.onnx 'first[2:2]' -x x.npy
t unbatch get exact.onnx first -x zeros:1000x3
py '
x = load("x.npy")
print(x @ np.arange(-4, 8, dtype=np.float32).reshape(3, 4))
'
