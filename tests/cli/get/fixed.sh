# SPDX-License-Identifier: Apache-2.0
# A file whose batch is fixed runs block by block.
py 'np.save("x.npy", np.arange(-4, 11, dtype=np.float32).reshape(5, 3))'
t unbatch get fixed.onnx only -x x.npy
t unbatch get fixed.onnx 'only[4]' -x x.npy
