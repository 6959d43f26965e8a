# SPDX-License-Identifier: Apache-2.0
# A pipe whose reader is gone: one line, exit 3.
closed() {
    py '
import os, subprocess
read_end, write_end = os.pipe()
os.close(read_end)
command = sys.argv[1:]
done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE)
print("$", *command)
print(f"{done.stderr.decode()}exit {done.returncode}")
' "$@"
}
closed unbatch get exact.onnx first -x rand:10x3
closed unbatch get exact.onnx first -x rand:10x3 -o -
closed unbatch get exact.onnx first -x rand:10x3 --json
closed unbatch summary digits.onnx
closed unbatch summary digits.onnx --json
closed unbatch run digits.onnx -x digits.npy --top 1
closed unbatch run digits.onnx -x digits.npy --top 1 --json
closed unbatch bench exact.onnx -x zeros:1x3 -n 1
closed unbatch help
closed unbatch --version
# A mistake is told before the pipe is.
closed unbatch get exact.onnx nothing -x rand:10x3
# A reader that goes away in the middle.
{
    unbatch get exact.onnx first -x rand:100000x3 -o -
    echo "exit $?" >code
} | head -c 1 >/dev/null
cat code
# Standard files that are closed from the start are not taken by files that are opened.
unbatch get exact.onnx first -x zeros:1x3 >&-
echo "exit $?"
unbatch get exact.onnx first -x zeros:1x3 -o out.npy >&- 2>&- <&-
echo "exit $?"
py 'print(load("out.npy"))'
unbatch get exact.onnx nothing -x zeros:1x3 -o none.npy 2>&-
echo "exit $?"
unbatch get exact.onnx first -x - <&-
echo "exit $?"
