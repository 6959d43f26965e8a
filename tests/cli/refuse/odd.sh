# SPDX-License-Identifier: Apache-2.0
# Odd, and allowed: NaN in the input, an empty batch, a batch of one, more samples than are there.
py '
x = np.float32([[1, 2, 3], [np.nan, 2, 3]])
np.save("nan.npy", x)
'
t unbatch get exact.onnx 'first' 'third[0]' -x nan.npy
t unbatch get exact.onnx first 'third[:]' -x zeros:0x3
t unbatch get digits.onnx fc2 -x zeros:0x1x28x28
t unbatch run digits.onnx -x zeros:0x1x28x28 --top 1
t unbatch run exact.onnx -x zeros:0x3 --json -o out.json
cat out.json
echo
t unbatch get exact.onnx 'first[0:9]' -x zeros:1x3
refuse 2 unbatch get exact.onnx 'first[0]' -x zeros:0x3
refuse 5 unbatch get fixed.onnx only -x zeros:0x3
t unbatch get mixes.onnx after -x zeros:0x4
t unbatch get mixes.onnx after -x zeros:0x4 --alone
t unbatch get turned.onnx t f -x zeros:0x3x2
