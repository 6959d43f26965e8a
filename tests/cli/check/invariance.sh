# SPDX-License-Identifier: Apache-2.0
# The promise on the digits, for chosen layers and all; what mixes is said to, and why.
t unbatch check digits.onnx invariance conv1 'fc*' -x digits.npy
t unbatch check digits.onnx invariance -x digits.npy -q
t unbatch check mixes.onnx invariance -x rand:3x4
t unbatch check digits.onnx invariance fc1 -x digits.npy --json
