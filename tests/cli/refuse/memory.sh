# SPDX-License-Identifier: Apache-2.0
# A memory limit: what is needed and what is allowed, exit 6.
# How much is needed depends on the kernels.
need() {
    refuse 6 "$@" 2>&1 | sed 's/needs [0-9.]* MB/needs N MB/'
}
need unbatch get digits.onnx fc2 -x digits.npy --mem 1M -o out.npy
need unbatch get digits.onnx fc2 -x digits.npy --mem 1M --reference -o out.npy
need unbatch run long.onnx -x rand:1000x256 --mem 100k
refuse 5 unbatch get exact.onnx first -x rand:4000000000000000000x3
t unbatch get digits.onnx 'fc2[3]' -x digits.npy --mem 10M -o out.npy
