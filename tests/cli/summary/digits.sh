# SPDX-License-Identifier: Apache-2.0
# The layers of a real network, from the files of both PyTorch exporters.
t unbatch summary digits.onnx
t unbatch summary digits.onnx --shape 32,1,28,28
t unbatch summary digits.onnx -x digits.npy 'conv*'
t unbatch summary digits.torchscript.onnx --shape image=4,1,28,28 '**'
t unbatch summary digits.onnx conv1
