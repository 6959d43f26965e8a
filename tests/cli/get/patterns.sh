# SPDX-License-Identifier: Apache-2.0
# Patterns stand for what is there, in the model's order; what stands behind one is put behind each.
names() {
    echo "$ $*"
    "$@" --json >found.json || echo "exit $?"
    py 'for v in json.load(open("found.json"))["values"]: print(v["what"], v["shape"])'
}
names unbatch get digits.onnx 'conv*' -x digits.npy
names unbatch get digits.onnx 'conv*:in[0]' -x digits.npy
names unbatch get digits.onnx '**[3:5]' -x digits.npy
names unbatch get digits.onnx @inputs '@outputs[-1]' fc1 -x digits.npy
names unbatch get two.onnx '@inputs[0]' @outputs -x a=zeros:2x2 -x b=zeros:2x2
cp "$SOURCE/tests/data/onnx/resnet_tiny.torchscript_nofold.onnx" resnet.onnx
names unbatch get resnet.onnx 'layer2.0.*[0]' -x rand:2x3x24x24
names unbatch get resnet.onnx 'layer2.**conv1[0]' -x rand:2x3x24x24
