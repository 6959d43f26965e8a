# SPDX-License-Identifier: Apache-2.0
# Where samples mix, from shapes alone and measured; where a NaN begins.
t unbatch check digits.onnx coupling
t unbatch check mixes.onnx coupling --shape 3,4
t unbatch check mixes.onnx coupling -x rand:3x4
t unbatch check digits.onnx nan -x digits.npy
$PYTHON -c 'import numpy as np; a = np.load("digits.npy"); a[5, 0, 3, 4] = np.nan; a[7, 0, 0, 0] = np.nan
np.save("nan.npy", a)'
t unbatch check digits.onnx nan -x nan.npy
t unbatch check digits.onnx nan fc1 -x nan.npy
t unbatch check digits.onnx everything -x nan.npy
t unbatch check digits.onnx
