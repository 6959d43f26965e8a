# SPDX-License-Identifier: Apache-2.0
# Mistakes on the command line: exit 2 and one line.
refuse 2 unbatch fetch exact.onnx
refuse 2 unbatch help fetch
refuse 2 unbatch get
refuse 2 unbatch get exact.onnx
refuse 2 unbatch get exact.onnx first
refuse 2 unbatch get exact.onnx first -x
refuse 2 unbatch get exact.onnx first --frobnicate
refuse 2 unbatch get exact.onnx first -z
refuse 2 unbatch get exact.onnx first --top 3
refuse 2 unbatch get exact.onnx first -x zeros:1x3 --raw=yes
refuse 2 unbatch get exact.onnx first -x zeros:1x3 --threads 0
refuse 2 unbatch get exact.onnx first -x zeros:1x3 --threads two
refuse 2 unbatch get exact.onnx first -x zeros:1x3 --mem lots
refuse 2 unbatch get exact.onnx first -x zeros:1x3 -o out.pdf
refuse 2 unbatch get exact.onnx first second -x zeros:1x3 -o out.npy
refuse 2 unbatch get exact.onnx first second -x zeros:1x3 -o -
refuse 2 unbatch run exact.onnx first -x zeros:1x3
refuse 2 unbatch run exact.onnx
refuse 2 unbatch run exact.onnx --from second
refuse 2 unbatch bench exact.onnx -x zeros:1x3 -n -1
refuse 2 unbatch summary exact.onnx first second
refuse 2 unbatch summary exact.onnx --shape 3,x
