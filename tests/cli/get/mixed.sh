# SPDX-License-Identifier: Apache-2.0
# Where samples mix, a sample's value is the one inside its batch and a note names the node; --alone
# asks for the sample run by itself.
py 'np.save("x.npy", np.float32([[1, 2, 3, 4], [5, 1, 2, 0], [0, 0, 1, 7]]))'
t unbatch get mixes.onnx 'after[1]' -x x.npy -o batch.npy
t unbatch get mixes.onnx 'after[1]' -x x.npy --alone -o alone.npy
t unbatch get mixes.onnx 'after[1]' -x x.npy -q -o quiet.npy
t unbatch get mixes.onnx 'before[1]' -x x.npy -o before.npy
t unbatch get mixes.onnx after -x x.npy --alone -o whole.npy
py '
x = load("x.npy")
e = np.exp(x)
close(load("batch.npy"), (2 * e / e.sum(0))[1], 1e-6)
same(load("quiet.npy"), load("batch.npy"))
same(load("alone.npy"), np.full(4, 2, np.float32))
same(load("whole.npy"), np.full((3, 4), 2, np.float32))
same(load("before.npy"), x[1])
'
