# SPDX-License-Identifier: Apache-2.0
# The same for machines.
t unbatch summary exact.onnx --shape 5,3 --json
unbatch summary digits.onnx --json --shape 2,1,28,28 >all.json
py '
all = json.load(open("all.json"))
truth = layers()
print(all["unbatch"], sorted(all), sorted(all["layers"][0]))
for layer in all["layers"]:
    for side in "in", "out":
        expected = [2, *truth[f"""{layer["name"]}.{side}"""].shape[1:]]
        if layer[side] != expected:
            print(layer["name"], side, layer[side], "expected", expected)
print(len(all["layers"]), "layers,", sum(layer["params"] for layer in all["layers"]), "parameters")
'
