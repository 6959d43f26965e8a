# SPDX-License-Identifier: Apache-2.0
# Names nobody knows, with near ones; names that many have, with all of them; ports, calls, slices.
cp "$SOURCE"/tests/data/onnx/resnet_tiny.torchscript.onnx resnet.onnx
cp "$SOURCE"/tests/data/onnx/shared_calls.dynamo.onnx shared.onnx
x=rand:2x3x24x24
refuse 2 unbatch get digits.onnx conv4 -x digits.npy -o out.npy
refuse 2 unbatch get digits.onnx Conv1 -x digits.npy -o out.npy
refuse 2 unbatch get digits.onnx conv1:input -x digits.npy
refuse 2 unbatch get digits.onnx conv1:in1 -x digits.npy
refuse 2 unbatch get digits.onnx conv1:out7 -x digits.npy
refuse 2 unbatch get digits.onnx image:in -x digits.npy
refuse 2 unbatch get digits.onnx nonsense -x digits.npy
refuse 2 unbatch get digits.onnx '' -x digits.npy
refuse 2 unbatch get digits.onnx 'nothing*' -x digits.npy
refuse 2 unbatch get digits.onnx '@input' -x digits.npy
refuse 2 unbatch get digits.onnx '@outputs:in' -x digits.npy
refuse 2 unbatch summary digits.onnx 'nothing*'
refuse 2 unbatch get resnet.onnx conv1.conv1 -x $x
refuse 2 unbatch get resnet.onnx conv2 -x $x
refuse 2 unbatch get resnet.onnx 0.conv1 -x $x
refuse 2 unbatch get resnet.onnx layer9 -x $x
refuse 4 unbatch get resnet.onnx conv1 -x $x
refuse 2 unbatch get resnet.onnx bn1 -x $x
x="-x input_0=rand:2x8 -x input_1=rand:2x8"
refuse 2 unbatch get shared.onnx fc1#2 $x
refuse 2 unbatch get shared.onnx d $x
refuse 4 unbatch get shared.onnx a $x
