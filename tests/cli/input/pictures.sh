# SPDX-License-Identifier: Apache-2.0
# Pictures and folders of them. The PNG files are the digits of digits.npy as bytes.
unbatch get digits.onnx @inputs -x pictures -o folder.npy
unbatch get digits.onnx @inputs -x pictures/ -o slash.npy
unbatch get digits.onnx @inputs -x pictures/07.png -o one.npy
unbatch get digits.onnx @inputs -x 'pictures/07.png[mean=0.1307,std=0.3081]' -o normal.npy
unbatch get digits.onnx @inputs -x 'pictures/07.png[scale=1]' -o bytes.npy
unbatch get digits.onnx @inputs -x 'image=pictures[size=28x28,channels=1,layout=nchw]' -o all.npy
py '
close(load("folder.npy"), pixels(), 1e-7)
same(load("slash.npy"), load("folder.npy"))
same(load("all.npy"), load("folder.npy"))
close(load("one.npy"), pixels()[7:8], 1e-7)
close(load("normal.npy"), (pixels()[7:8] - np.float32(0.1307)) / np.float32(0.3081), 1e-6)
same(load("bytes.npy"), np.round(pixels()[7:8] * 255))
'
# Colour, JPEG, resizing, the order of names; a file whose name holds a bracket.
py '
from PIL import Image
ramp = np.linspace(0, 255, 56 * 56).reshape(56, 56).astype(np.uint8)
colour = np.stack([ramp, ramp.T, 255 - ramp], 2)
Image.fromarray(colour).save("colour.png")
Image.fromarray(colour).save("colour.jpg", quality=95)
Image.fromarray(ramp).save("odd[1].png")
import os
os.mkdir("mixed")
for name, level in ("b.jpg", 20), ("a.png", 10), ("C.JPEG", 30), (".hidden.png", 99):
    Image.fromarray(np.full((28, 28), level, np.uint8)).save("mixed/" + name)
open("mixed/notes.txt", "w").write("not a picture")
open("mixed/labels.npy", "w").write("nor this")
'
for x in 'colour.png[size=28,channels=1]' 'colour.jpg[size=28]' 'odd[1].png[size=28]'; do
    unbatch get digits.onnx @inputs -x "$x" -o found.npy || echo "exit $?"
    py 'found = load("found.npy"); print(found.shape, abs(found.mean() - 0.5) < 0.01)'
done
unbatch get digits.onnx '@inputs[:, 0, 0, 0]' -x mixed -o found.npy
py 'print(np.round(load("found.npy") * 255))'
refuse 3 unbatch get exact.onnx @inputs --from x=colour.png
