# SPDX-License-Identifier: Apache-2.0
# -o FILE.json holds every element; --json prints the same, without the elements of large values.
py 'np.save("x.npy", np.float32([[1.1, np.nan, 3], [np.inf, -np.inf, 1e-30]])); np.save("ones.npy", np.float32([[1, 0, 3]])); np.save("ids.npy", np.int64([[2**53 + 1, -2**63]]))'
t unbatch get tokens.onnx ids -x ids.npy --json
t unbatch get kinds.onnx x half -x x.npy --json
t unbatch get kinds.onnx int truth byte -x ones.npy --json
t unbatch get exact.onnx 'first[0, 0]' 'first[2:2]' -x zeros:2x3 --json
t unbatch get kinds.onnx x double -x x.npy -o found.json
unbatch get exact.onnx x -x rand:2000x3 --json >large.json
unbatch get exact.onnx x -x rand:2000x3 -o all.json
unbatch get exact.onnx x -x rand:2000x3 -o all.npy
py '
found = json.load(open("found.json"))
print(found["unbatch"], [(v["what"], v["dtype"], v["shape"]) for v in found["values"]])
print(found["values"][1]["data"])
large = json.load(open("large.json"))["values"][0]
print("data" in large, large["shape"])
whole = json.load(open("all.json"))["values"][0]
same(np.array(whole["data"], np.float32), load("all.npy"))
for key in "min", "max", "mean", "std":
    print(key, abs(whole[key] - getattr(np, key)(load("all.npy").astype(float))) < 1e-12)
'
