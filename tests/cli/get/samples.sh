# SPDX-License-Identifier: Apache-2.0
# Sample i is sample i wherever the batch is stored; --raw indexes the stored shape.
py 'np.save("x.npy", np.arange(24, dtype=np.float32).reshape(4, 3, 2))'
check() {
    unbatch get turned.onnx "$1" -x x.npy $3 -o found.npy || echo "exit $?"
    py "
x = load('x.npy')
same(load('found.npy'), np.array($2, order='C'))
print('$1', '$3')
"
}
check t 'x.transpose(1, 0, 2)'
check 't[1]' 'x[1]'
check 't[1, 2]' 'x[1, 2]'
check 't[::2, :, 1]' 'x[::2, :, 1]'
check 't[1]' 'x.transpose(1, 0, 2)[1]' --raw
check 't[1, 2]' 'x.transpose(1, 0, 2)[1, 2]' --raw
check f 'x.reshape(12, 2)'
check 'f[1]' 'x[1]'
check 'f[[3, 0], -1]' 'x[[3, 0], -1]'
check 'f[7]' 'x.reshape(12, 2)[7]' --raw
check c 'np.float32([2, 4])'
check 'c[1]' 'np.float32([2, 4])[1]' --raw
refuse 2 unbatch get turned.onnx 'c[1]' -x x.npy
