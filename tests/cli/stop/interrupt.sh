# SPDX-License-Identifier: Apache-2.0
# Ctrl-C: exit 130, one line, and no file, not even a temporary one, at whatever moment it comes.
sigint() {
    "$PYTHON" "$SOURCE/tests/cli/interrupt.py" "$@"
}
files >.before
for after in 0 0.02 0.1 0.5; do
    sigint $after unbatch run long.onnx -x rand:2000x256 --reference -o out.npy
    sigint $after unbatch get long.onnx step3000 -x rand:2000x256 -o out.npz
    sigint $after unbatch get long.onnx 'step3000[:1900]' -x rand:2000x256 -o out.json
    sigint $after unbatch bench long.onnx -x rand:2000x256
    sigint $after unbatch run long.onnx -x rand:2000x256 --alone -o out.txt
done
sigint 0.5 unbatch run long.onnx -x -
files | diff .before -
