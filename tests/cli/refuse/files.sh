# SPDX-License-Identifier: Apache-2.0
# Models that are no models, and files that are not there.
mkdir folder
touch empty.onnx
printf 'PK\003\004 a zip file' >zip.onnx
printf 'some text\n' >text.onnx
refuse 3 unbatch summary none.onnx
refuse 3 unbatch get none.onnx first -x zeros:1x3 -o out.npy
refuse 3 unbatch run none.onnx -x zeros:1x3 -o out.npz
refuse 3 unbatch bench none.onnx -x zeros:1x3
refuse 3 unbatch summary folder
refuse 3 unbatch summary folder/none.onnx
refuse 3 unbatch summary empty.onnx
refuse 3 unbatch summary zip.onnx
refuse 3 unbatch summary text.onnx
refuse 3 unbatch summary pictures/00.png
refuse 3 unbatch summary digits.npy
refuse 3 unbatch summary weights.bin
refuse 3 unbatch summary /dev/null
