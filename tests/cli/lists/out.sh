# SPDX-License-Identifier: Apache-2.0
# Sequences as results: every element, in each form of output.
py '
np.save("x.npy", np.float32([[1, 2, 3], [4, 5, 6]]))
'
x="-x x=x.npy"
t unbatch get lists.onnx parts $x
t unbatch get lists.onnx parts parts/2 none $x --json
t unbatch get lists.onnx parts none x $x -o all.npz
t unbatch get lists.onnx parts none $x -o all.txt
cat all.txt
t unbatch get lists.onnx parts none $x -o all.json
py '
with np.load("all.npz") as z:
    print({k: z[k].tolist() for k in z.files})
print(json.load(open("all.json"))["values"])
'
t unbatch get lists.onnx 'parts/1[1]' $x
refuse 2 unbatch get lists.onnx parts $x -o parts.npy
refuse 2 unbatch get lists.onnx parts $x -o -
refuse 2 unbatch get lists.onnx 'parts[0]' $x
refuse 2 unbatch bench lists.onnx parts $x
