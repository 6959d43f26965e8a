# SPDX-License-Identifier: Apache-2.0
# Archives: arrays by the names of the inputs, stored or deflated; the only array for the only input.
py '
a, b = np.float32([[1, 2]]), np.float32([[10, 20]])
np.savez("both.npz", a=a, b=b, other=np.arange(3))
np.savez_compressed("deflated.npz", b=b, a=a)
np.savez("one.npz", whatever=np.float32([[1, 2, 3]]))
np.savez("a.npz", a=a)
np.savez("b.npz", x=b)
'
t unbatch run two.onnx -x both.npz
t unbatch run two.onnx -x deflated.npz
t unbatch run two.onnx -x a=both.npz -x b=both.npz
t unbatch run two.onnx -x a.npz -x b=b.npz
t unbatch run exact.onnx -x one.npz
refuse 2 unbatch run exact.onnx -x both.npz
