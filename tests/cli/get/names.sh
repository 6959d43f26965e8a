# SPDX-License-Identifier: Apache-2.0
# Layers, nodes, tensors, ports and calls; names that look like addresses.
py 'np.save("x.npy", np.float32([[1, -2], [-3, 4]]))'
for what in x:0 n.1 n.1:in a/b:in 'a/b:in[1]' n.2:in0 n.2:out0 'y[1]' 'y[1][1]' 'y[1][:, 0]'; do
    t unbatch get names.onnx "$what" -x x.npy
done
t unbatch get two.onnx minus:in minus:in1 -x a=x.npy -x b=zeros:2x2
# A module that is used twice.
cp "$SOURCE/tests/data/onnx/shared_calls.dynamo.onnx" shared.onnx
cp "$SOURCE/tests/data/captures/shared_calls.npz" .
py '
truth = load("shared_calls.npz")
np.savez("inputs.npz", input_0=truth["input.0"], input_1=truth["input.1"])
'
for what in fc1 fc1#0 fc1#1 'act#1:in' a.a.1.0 a#1; do
    unbatch get shared.onnx "$what" -x inputs.npz -o found.npy || echo "exit $?"
    py "
name, side = '$what'.replace('#0', '').partition(':')[::2]
close(load('found.npy'), load('shared_calls.npz')[f'{name}/{side or \"out\"}0'])
print('$what')
"
done
