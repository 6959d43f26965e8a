# SPDX-License-Identifier: Apache-2.0
# The main job: one sample of one layer. The same bits in every batch and with every thread count.
for what in 'conv1:in[2]' 'conv1[2]' 'conv3:in[2]' 'fc2[2]'; do
    t unbatch get digits.onnx "$what" -x digits.npy -o sample.npy
    py "
found = load('sample.npy')
print(found.dtype, found.shape)
close(found, layers()['$what'.replace('[2]', '').replace(':in', '.in') + ('' if ':in' in '$what' else '.out')][2])
np.save('three.npy', pixels()[1:4])
np.save('one.npy', pixels()[2:3])
"
    unbatch get digits.onnx "${what%\[2\]}[1]" -x three.npy -o other.npy && cmp sample.npy other.npy
    unbatch get digits.onnx "${what%\[2\]}[0]" -x one.npy -o other.npy && cmp sample.npy other.npy
    unbatch get digits.onnx "$what" 'conv*' -x digits.npy -t 1 -o other.npz
    py "same(load('other.npz')['$what'], load('sample.npy'))"
done
