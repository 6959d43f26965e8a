# SPDX-License-Identifier: Apache-2.0
# - reads an npy file from standard input.
py 'np.save("x.npy", np.float32([[1, 2, 3]]))'
t unbatch get exact.onnx first -x - <x.npy
cat x.npy | t unbatch get exact.onnx first -x x=-
refuse 3 unbatch get exact.onnx first -x -
head -c 100 x.npy >cut.npy
refuse 3 unbatch get exact.onnx first -x - <cut.npy
refuse 3 unbatch get exact.onnx first -x - <exact.onnx
