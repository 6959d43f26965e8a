# SPDX-License-Identifier: Apache-2.0
# Options may stand anywhere, be joined to their value, and end with --.
unbatch get exact.onnx first -x zeros:1x3 >expected
unbatch get exact.onnx first -x zeros:1x3 -v -o said.npy 2>&1 | sed 's/[0-9.]* ms/N ms/'
for line in '-x zeros:1x3 exact.onnx first' '-xzeros:1x3 exact.onnx first' \
    'exact.onnx --input zeros:1x3 first' '--input=zeros:1x3 -- exact.onnx first' \
    '-q -v -t 1 --mem 2G --reference -x zeros:1x3 exact.onnx first' '--threads=2 -m 1e9 -x zeros:1x3 exact.onnx first'; do
    unbatch get $line >found 2>said || echo "exit $?: $line"
    cmp expected found && echo "same: $line"
done
