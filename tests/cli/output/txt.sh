# SPDX-License-Identifier: Apache-2.0
# -o FILE.txt: a line of shape, then a line for each run of the last axis, enough digits to come back.
py '
np.save("x.npy", np.float32([[0.1, 1e-20, 3], [-1/3, 1e9, 16777217]]))
np.save("ids.npy", np.int64([[2**53 + 1, -2**63, 2**63 - 1]]))
'
t unbatch get tokens.onnx ids -x ids.npy -o ids.txt
cat ids.txt
t unbatch get kinds.onnx x double int truth -x x.npy -o found.txt
cat found.txt
t unbatch get exact.onnx 'x[0, 1]' 'x[2:2]' -x x.npy -o small.txt
cat small.txt
unbatch get exact.onnx x -x rand:50x3 -o x.txt
unbatch get exact.onnx x -x rand:50x3 -o x.npy
py 'same(np.loadtxt("x.txt", dtype=np.float32), load("x.npy"))'
