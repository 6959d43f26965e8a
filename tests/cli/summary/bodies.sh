# SPDX-License-Identifier: Apache-2.0
# What lies inside Loop and If, and that each address is one.
t unbatch summary bodies.onnx --shape x=4,3
t unbatch summary bodies.onnx --shape x=4,3 loop
unbatch summary bodies.onnx --json >all.json
py '
np.save("x.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
np.save("flag.npy", np.array(False))
inside = json.load(open("all.json"))["inside"]
print(inside[1])
print(len(inside), "values")
open("names", "w").write("\n".join(v["address"].replace("/K/", "/1/") for v in inside
                                   if "/then/" not in v["address"]))
'
t unbatch get bodies.onnx $(cat names) -x x=x.npy -x flag=flag.npy -o all.npz
py '
with np.load("all.npz") as z:
    for k in z.files:
        print(k, z[k].tolist())
'
t unbatch get bodies.onnx loop/1/choose/then/kept -x x=x.npy -x flag=flag.npy
