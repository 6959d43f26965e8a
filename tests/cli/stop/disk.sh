# SPDX-License-Identifier: Apache-2.0
# A disk that is full, here a limit on the size of a file: one line, exit 3, no file left; what was
# there before stays as it was.
full() {
    (
        ulimit -f 64
        refuse 3 "$@"
    )
}
echo precious >old.npy
cp old.npy old.npz
cp old.npy old.json
cp old.npy old.txt
for suffix in npy npz json txt; do
    full unbatch get exact.onnx first -x rand:10000x3 -o out.$suffix
    full unbatch get exact.onnx first -x rand:10000x3 -o old.$suffix
    refuse 3 unbatch get exact.onnx first -x rand:10x3 -o none/out.$suffix
    refuse 3 unbatch get exact.onnx first -x rand:10x3 -o exact.onnx/out.$suffix
done
full unbatch run digits.onnx -x digits.npy --from conv2=none.npy -o out.npy
mkdir folder.npy folder.json
refuse 3 unbatch get exact.onnx first -x rand:10x3 -o folder.npy
refuse 3 unbatch get exact.onnx first -x rand:10x3 -o folder.json
# A device that is full.
unbatch get exact.onnx first -x rand:10x3 >/dev/full
echo "exit $?"
unbatch get exact.onnx first -x rand:1000x3 -o - >/dev/full
echo "exit $?"
unbatch summary digits.onnx >/dev/full
echo "exit $?"
unbatch summary digits.onnx --json >/dev/full
echo "exit $?"
unbatch run digits.onnx -x digits.npy --top 1 >/dev/full
echo "exit $?"
unbatch help >/dev/full
echo "exit $?"
