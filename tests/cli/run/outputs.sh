# SPDX-License-Identifier: Apache-2.0
# All outputs of the model.
py 'np.save("four.npy", pixels()[:4])'
t unbatch run digits.onnx -x four.npy -o logits.npy
py 'close(load("logits.npy"), layers()["fc2.out"])'
t unbatch run two.onnx -x a=zeros:1x2 -x b=zeros:1x2
t unbatch run two.onnx -x a=zeros:1x2 -x b=zeros:1x2 --json
# A sample of a model that mixes, by itself.
t unbatch run mixes.onnx -x zeros:2x4
t unbatch run mixes.onnx -x zeros:2x4 --alone
