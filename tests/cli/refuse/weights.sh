# SPDX-License-Identifier: Apache-2.0
# Weights outside their file, and files outside the model's folder. What does not need them is
# answered where the model opens.
cp weights.bin ..
py 'np.save("x.npy", np.float32([[1, 2, 3]]))'
t unbatch get external.onnx product -x x.npy
refuse 3 unbatch get short.onnx first -x x.npy -o out.npy
refuse 3 unbatch get external_missing.onnx product -x x.npy -o out.npy
refuse 3 unbatch get external_absolute.onnx product -x x.npy -o out.npy
refuse 3 unbatch get external_climbs.onnx product -x x.npy -o out.npy
refuse 3 unbatch get external_climbs_inside.onnx product -x x.npy -o out.npy
refuse 3 unbatch get external_past_end.onnx product -x x.npy -o out.npy
refuse 3 unbatch get external_far.onnx product -x x.npy -o out.npy
refuse 3 unbatch get external_too_short.onnx product -x x.npy -o out.npy
rm weights.bin
refuse 3 unbatch get external.onnx product -x x.npy -o out.npy
ln -s /etc/hostname weights.bin
refuse 3 unbatch get external.onnx product -x x.npy -o out.npy
