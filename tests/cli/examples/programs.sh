# SPDX-License-Identifier: Apache-2.0
# The programs of examples/ on the digits example, beside what PyTorch's hooks and NumPy say.
t 01_get digits.onnx 'conv1:in[4, 0, 8:11, 9:13]' digits.npy
py 'print(pixels()[4, 0, 8:11, 9:13])'
t 01_get digits.onnx 'fc9[0]' digits.npy
t 01_get none.onnx fc2 digits.npy
t 01_get
t 02_session digits.onnx digits.npy
py 'print(*layers()["fc2.out"].argmax(1))'
t 02_session none.onnx digits.npy
t 03_layers digits.onnx 'conv*:in'
t 03_layers digits.onnx 'none*'
