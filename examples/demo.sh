#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job on a trained network and real handwritten digits. `make demo` runs it.
set -e
unbatch=$(cd "$(dirname "${1:-build/bin/unbatch}")" && pwd)/unbatch
cd "$(dirname "$0")/digits"

show() {
    echo
    echo "$ unbatch $*"
    "$unbatch" "$@"
}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo "A network trained on handwritten digits, and 32 digits it was not trained on."
show summary digits.onnx --shape 32,1,28,28

echo
echo "The fifth digit: what goes into the first layer, (1, 28, 28), and what comes out, (32, 26, 26)."
show get digits.onnx 'conv1:in[4]' -x digits.npy >"$dir/in.txt"
show get digits.onnx 'conv1[4]' -x digits.npy >"$dir/out.txt"
head -n 8 "$dir/in.txt"
echo "   ..."
head -n 7 "$dir/out.txt"
echo "   ..."

echo
echo "A deep layer's input, for the same digit, by the same name, from the files of PyTorch (both ONNX"
echo "exporters, torch.export) and of Keras (two formats; a twin with the channels last)."
for file in digits.onnx digits.torchscript.onnx digits.pt2 digits.keras digits.h5; do
    show get "$file" 'fc2:in[4, :8]' -x pictures/
done

echo
echo "The same sample in a batch of 16 and in a batch of 32: the same bits."
"$unbatch" get digits.onnx '@inputs[:16]' -x digits.npy -o "$dir/sixteen.npy"
show get digits.onnx 'conv3:in[4]' -x "$dir/sixteen.npy" -o "$dir/a.npy"
show get digits.onnx 'conv3:in[4]' -x digits.npy -o "$dir/b.npy"
cmp "$dir/a.npy" "$dir/b.npy" && echo "equal"

echo
echo "What each picture of a folder is taken for (the file names are in the order of labels.txt)."
show run digits.onnx -x pictures/ --top 1 >"$dir/top.txt"
head -n 12 "$dir/top.txt"
echo "..."
right=$(tail -n +3 "$dir/top.txt" | awk '{print $2}' | paste - labels.txt | awk '$1 == $2' | wc -l)
echo "$right of 32 are right"
