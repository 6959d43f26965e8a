# SPDX-License-Identifier: Apache-2.0
# NumPy's indexing, the first index always the sample.
py 'np.save("four.npy", pixels()[:4])'
for slice in '[2]' '[-1]' '[1:3]' '[1:3, 0]' '[::-1]' '[::2, :, 5]' '[..., 5]' '[[1,3,3]]' '[None]' \
    '[3, ::-5, 10:13, -1]' '[[True, False, True, False]]' '[[0, 2], [1, 30], 4:6]' '[2:2]' '[:, None, 7]' \
    '[9:]' '[[2, -4], ..., 3]'; do
    unbatch get digits.onnx "conv1$slice" -x four.npy -o found.npy || echo "exit $?"
    py "
expected = layers()['conv1.out']$slice
close(load('found.npy'), expected)
print('$slice', expected.shape)
"
done
