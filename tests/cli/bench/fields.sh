# SPDX-License-Identifier: Apache-2.0
# Times, for people and as JSON.
unbatch bench digits.onnx -x digits.npy -n 3 | sed 's/[0-9.][0-9.]*/N/g'
unbatch bench exact.onnx first 'third[0]' -x zeros:2x3 -n 2 --layers | sed 's/[0-9.][0-9.]*/N/g' | head -n 4
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
refuse 2 unbatch bench exact.onnx nothing -x zeros:2x3
refuse 2 unbatch bench exact.onnx
