# SPDX-License-Identifier: Apache-2.0
# Sequences and optionals as inputs: the arrays of an archive, or nothing.
py '
a, b = np.float32([[1, 2, 3]]), np.float32([[4, 5, 6], [7, 8, 9]])
np.savez("named.npz", **{"list/0": a, "list/1": b, "other": a})
np.savez("plain.npz", b, a)
np.savez("empty.npz")
np.save("held.npy", np.float32([7, 8, 9]))
'
t unbatch get lists.onnx joined -x named.npz
t unbatch get lists.onnx joined -x list=named.npz
t unbatch get lists.onnx joined -x list=plain.npz
t unbatch get lists.onnx held -x maybe=held.npy
t unbatch get lists.onnx held -x maybe=none:
refuse 5 unbatch get lists.onnx joined -x list=empty.npz
refuse 2 unbatch get lists.onnx joined -x list=none:
refuse 5 unbatch get lists.onnx joined -x list=held.npy
refuse 2 unbatch get lists.onnx joined -x plain.npz
