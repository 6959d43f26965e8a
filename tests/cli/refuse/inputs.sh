# SPDX-License-Identifier: Apache-2.0
# Inputs of another rank, shape or dtype; too many, too few, unknown ones; what cannot be read.
py '
np.save("rank.npy", np.zeros((28, 28), np.float32))
np.save("width.npy", np.zeros((4, 1, 28, 27), np.float32))
np.save("double.npy", np.zeros((4, 1, 28, 28)))
np.save("bytes.npy", np.zeros((4, 1, 28, 28), np.uint8))
np.save("text.npy", np.array(["a", "b"]))
np.save("object.npy", np.array([{}, 1], object))
np.save("complex.npy", np.zeros((4, 1, 28, 28), np.complex64))
np.save("scalar.npy", np.float32(1))
np.save("wide.npy", np.zeros((2, 4), np.float32))
'
head -c 3000 digits.npy >cut.npy
head -c 1000 layers.npz >cut.npz
cp exact.onnx model.npy
for x in rank.npy width.npy double.npy bytes.npy scalar.npy; do
    refuse 5 unbatch get digits.onnx conv1 -x $x -o out.npy
done
for x in text.npy object.npy complex.npy cut.npy model.npy none.npy cut.npz none.npz none none/ exact.onnx; do
    refuse "$(case $x in text.npy) echo 5 ;; object.npy | complex.npy) echo 4 ;; *) echo 3 ;; esac)" \
        unbatch get digits.onnx conv1 -x $x -o out.npy
done
refuse 2 unbatch get digits.onnx conv1 -x layers.npz
refuse 2 unbatch get digits.onnx conv1 -x picture=digits.npy
refuse 2 unbatch get two.onnx both -x a=zeros:1x2
refuse 2 unbatch get two.onnx both -x zeros:1x2
refuse 2 unbatch get two.onnx both
refuse 5 unbatch get two.onnx both -x a=zeros:1x2 -x b=zeros:2x2
refuse 5 unbatch run tokens.onnx -x wide.npy
refuse 5 unbatch get pinned.onnx product -x wide.npy -o out.npy
refuse 5 unbatch summary pinned.onnx -x wide.npy
# Pictures.
mkdir empty
refuse 3 unbatch get digits.onnx conv1 -x empty
refuse 5 unbatch get digits.onnx conv1 -x 'pictures[size=20]'
refuse 2 unbatch get digits.onnx conv1 -x 'pictures[size=0]'
refuse 2 unbatch get digits.onnx conv1 -x 'pictures[width=20]'
refuse 2 unbatch get digits.onnx conv1 -x 'pictures[size]'
refuse 2 unbatch get digits.onnx conv1 -x 'pictures[std=0]'
refuse 2 unbatch get digits.onnx conv1 -x 'pictures[mean=a/b]'
refuse 2 unbatch get digits.onnx conv1 -x 'pictures[layout=chw]'
refuse 5 unbatch get digits.onnx conv1 -x 'pictures/00.png[channels=3]'
head -c 100 pictures/00.png >cut.png
refuse 3 unbatch get digits.onnx conv1 -x cut.png
refuse 3 unbatch get digits.onnx conv1 -x none.png
