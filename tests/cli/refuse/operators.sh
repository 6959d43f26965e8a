# SPDX-License-Identifier: Apache-2.0
# Operators that are not known: all of them are listed that the asked values hang on; a value that
# does not is answered. A cycle is no model.
t unbatch get unknown.onnx a -x zeros:1x2
t unbatch get unknown.onnx b:in e:in -x zeros:1x2
refuse 4 unbatch get unknown.onnx b -x zeros:1x2 -o out.npy
refuse 4 unbatch get unknown.onnx d -x zeros:1x2 -o out.npy
refuse 4 unbatch get unknown.onnx a e -x zeros:1x2 -o out.npz
refuse 4 unbatch run unknown.onnx -x zeros:1x2
refuse 4 unbatch bench unknown.onnx -x zeros:1x2
py 'np.save("q.npy", np.float32([[1, 2]]))'
t unbatch get unknown.onnx d:in --from c=q.npy
refuse 3 unbatch summary cyclic.onnx
refuse 3 unbatch get cyclic.onnx three -x zeros:1x2 -o out.npy
