# SPDX-License-Identifier: Apache-2.0
# Samples and indices out of range, out of rank, or no index at all.
for slice in '[32]' '[-33]' '[[0, 32]]' '[4, 32]' '[4, :, 26]' '[4, 0, 0, 0, 0]' '[4, ..., ...]' \
    '[::0]' '[4' '[]' '[,]' '[x]' '[1.5]' '[[True, False]]' '[[[0, 1], [2]]]' '[99999999999999999999]' \
    '[4][1]' '[:, [0, 1], [0, 1, 2]]'; do
    refuse 2 unbatch get digits.onnx "conv1$slice" -x digits.npy -o out.npy
done
refuse 2 unbatch get digits.onnx 'conv1[0, 0, 0, 0, 0]' -x digits.npy --raw
refuse 2 unbatch get digits.onnx 'conv1[32]' -x digits.npy --raw
refuse 2 unbatch get digits.onnx 'fc1.weight[0]' -x digits.npy
refuse 2 unbatch get turned.onnx 'c[0]' -x zeros:1x3x2
