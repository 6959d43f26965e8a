# SPDX-License-Identifier: Apache-2.0
# Classifiers as scikit-learn exports them: labels that are strings, scores with names.
py '
np.save("x.npy", np.float32([[1, 2, 0], [4, 0, 0]]))
'
t unbatch summary classes.onnx
t unbatch run classes.onnx -x x.npy
t unbatch run classes.onnx -x x.npy --json
t unbatch run classes.onnx -x x.npy --top 2
t unbatch get classes.onnx 'named[1]' 'label[1]' -x x.npy
t unbatch get classes.onnx 'scores[:, :2]' -x x.npy
