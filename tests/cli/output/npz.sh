# SPDX-License-Identifier: Apache-2.0
# -o FILE.npz: an array for each value, called what was asked.
py 'np.save("x.npy", np.float32([[1, 0, 3], [2, 1, 0]]))'
t unbatch get exact.onnx first 'second[0]' x third:in -x x.npy -o found.npz
t unbatch run two.onnx -x a=zeros:2x2 -x b=zeros:2x2 -o run.npz
py '
found = load("found.npz")
x = load("x.npy")
product = x @ np.arange(-4, 8, dtype=np.float32).reshape(3, 4)
total = product + np.float32([1, -2, 3, -4])
print(*found.files)
same(found["first"], product)
same(found["second[0]"], total[0])
same(found["x"], x)
same(found["third:in"], total)
print(*load("run.npz").files)
'
# The same name twice, and names that could not be file names.
t unbatch get names.onnx a/b:in 'y[1]' -x zeros:1x2 -o names.npz
py 'print(*load("names.npz").files)'
refuse 2 unbatch get exact.onnx first first -x x.npy -o twice.npz
