# SPDX-License-Identifier: Apache-2.0
# Where the samples are: on an axis, folded into one, nowhere, mixed. What the file does not hold.
t unbatch summary mixes.onnx --shape 3,4
t unbatch summary turned.onnx --shape 4,3,2
t unbatch summary fixed.onnx
t unbatch summary unknown.onnx
t unbatch summary tokens.onnx --shape ids=2,5
t unbatch summary two.onnx --shape a=3,2 --shape b=3,2
cp "$SOURCE/tests/data/onnx/norms.torchscript.onnx" .
t unbatch summary norms.torchscript.onnx
