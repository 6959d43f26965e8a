# SPDX-License-Identifier: Apache-2.0
# What each picture was taken for.
t unbatch run digits.onnx -x pictures --top 1 >top
echo "$(awk 'NR > 1 {print $2}' top | paste - labels.txt | awk '$1 == $2' | wc -l) of 32 are right"
head -n 3 top
t unbatch run digits.onnx -x digits.npy --top 1 | head -n 3
printf 'zero\none\ntwo\nthree\n' >words
unbatch run digits.onnx -x pictures --top 2 --labels words | head -n 5 | awk '{print $1, $2, $5}'
unbatch run digits.onnx -x pictures/00.png --top 12 --json >top.json
py '
from math import exp
np.save("one.npy", pixels()[:1])
rows = json.load(open("top.json"))["samples"]
logits = layers()["fc2.out"][0].astype(float)
order = np.argsort(-logits)
print(len(rows), len(rows[0]["top"]), [t["class"] for t in rows[0]["top"]] == list(order))
share = np.exp(logits - logits.max())
share /= share.sum()
print(all(abs(t["share"] - share[t["class"]]) < 1e-5 for t in rows[0]["top"]))
'
t unbatch run digits.onnx -x digits.npy --top 1 -o both.npy | tail -n 1
py 'print(load("both.npy").shape)'
refuse 3 unbatch run digits.onnx -x digits.npy --top 1 --labels none.txt
refuse 5 unbatch run turned.onnx -x zeros:1x3x2 --top 1
