# SPDX-License-Identifier: Apache-2.0
# --from starts at an inner value: what lies above is not computed, its inputs are not asked for.
py 'np.save("fc1.npy", layers()["fc1.in"]); np.save("relu4.npy", layers()["relu4.out"])'
t unbatch run digits.onnx --from fc1:in=fc1.npy -o logits.npy
py 'close(load("logits.npy"), layers()["fc2.out"])'
t unbatch run digits.onnx --from relu4=relu4.npy -o logits.npy
py 'close(load("logits.npy"), layers()["fc2.out"])'
t unbatch get digits.onnx 'fc2[3]' --from relu4=relu4.npy -o logits.npy
py 'close(load("logits.npy"), layers()["fc2.out"][3])'
# Only the second output hangs on b.
py 'np.save("d.npy", np.float32([[1, 2]]))'
t unbatch run two.onnx -x b=zeros:1x2 --from twice=d.npy
t unbatch get two.onnx both -x b=zeros:1x2 --from twice=d.npy
refuse 2 unbatch get digits.onnx conv1 --from relu4=relu4.npy
refuse 5 unbatch run digits.onnx --from relu4=fc1.npy
refuse 2 unbatch run digits.onnx --from 'relu4[0]=relu4.npy'
refuse 2 unbatch run digits.onnx --from relu9=relu4.npy
refuse 2 unbatch run digits.onnx --from fc1.weight=relu4.npy
refuse 3 unbatch run digits.onnx --from relu4=none.npy
