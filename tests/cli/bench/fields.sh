# SPDX-License-Identifier: Apache-2.0
# Times, for people and as JSON.
unbatch bench digits.onnx -x digits.npy -n 3 | sed 's/[0-9.][0-9.]*/N/g'
unbatch bench exact.onnx first 'third[0]' -x zeros:2x3 -n 2 --layers | sed -n 's/[0-9.][0-9.]*/N/g; 1,4p'
unbatch bench digits.onnx conv1 -x rand:2x1x28x28 -n 5 --json >bench.json
unbatch bench digits.onnx -x rand:2x1x28x28 -n 5 --layers --json >layers.json
py '
b = json.load(open("bench.json"))
print(sorted(b), b["unbatch"], b["runs"])
print(0 < b["min_ms"] <= b["median_ms"] <= b["p90_ms"], 1000 < b["peak_rss_kb"], 0 < b["open_ms"])
steps = json.load(open("layers.json"))["steps"]
print(sorted(steps[0]), len(steps) > 3, all(s["ms"] >= 0 for s in steps))
print(any("Conv" in s["op"] for s in steps))
'
unbatch bench digits.onnx 'conv*[0]' fc1:in -x digits.npy -n 1 | wc -l
py '
l = json.load(open("layers.json"))
print(sorted(l["peak"]), all(v > 0 for v in l["peak"].values()), l["plan_ms"] > 0)
print(sum(s["gbyte"] for s in l["steps"]) > 0, all(s["peak_percent"] >= 0 for s in l["steps"]))
'
unbatch bench digits.onnx -x digits.npy -n 2 --compare onnxruntime,torch --python "$PYTHON" --json >peers.json
unbatch bench digits.pt2 -x digits.npy -n 2 --compare torch --python "$PYTHON" | sed -n '4,$p' | sed 's/[0-9.][0-9.]*.*/N/g; s/  */ /g'
py '
for e in json.load(open("peers.json"))["compared"]:
    print(e["engine"], e.get("missing") or 0 < e["min_ms"] <= e["median_ms"] <= e["p90_ms"])
'
refuse 2 unbatch bench digits.onnx -x digits.npy -n 1 --compare tvm
refuse 2 unbatch bench digits.onnx -x digits.npy -n 1 --compare torch --python ./nothing
refuse 2 unbatch bench digits.onnx conv1 -x digits.npy --compare torch
refuse 2 unbatch bench exact.onnx nothing -x zeros:2x3
refuse 2 unbatch bench exact.onnx
