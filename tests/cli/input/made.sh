# SPDX-License-Identifier: Apache-2.0
# rand: and zeros:. Random numbers depend on the seed and the place only.
unbatch get exact.onnx x -x rand:1000x3 -o a.npy
unbatch get exact.onnx x -x rand:1000x3:0 -o b.npy
unbatch get exact.onnx x -x rand:1000x3:7 -o c.npy
unbatch get exact.onnx x -x rand:10x3 -o d.npy
unbatch get exact.onnx x -x rand:1000,3:7 -t 1 -o e.npy
py '
a, b, c, d, e = (load(f"{n}.npy") for n in "abcde")
same(b, a)
same(e, c)
same(d, a[:10])
print(a.dtype, a.shape, (a != c).all(), abs(a.mean()) < 0.05, abs(a.std() - 1) < 0.05)
'
t unbatch get exact.onnx x -x zeros:2x3
t unbatch get tokens.onnx lookup -x zeros:1x2
t unbatch get tokens.onnx lookup -x ids=zeros:2x1
refuse 5 unbatch get tokens.onnx lookup -x rand:1x2
refuse 5 unbatch get exact.onnx first -x rand:
refuse 2 unbatch get exact.onnx first -x rand:2xthree
refuse 2 unbatch get exact.onnx first -x rand:2x3:x
refuse 2 unbatch get exact.onnx first -x zeros:2x3:1
refuse 2 unbatch get exact.onnx first -x zeros:-2x3
refuse 2 unbatch get exact.onnx first -x rand:2x3x
