# SPDX-License-Identifier: Apache-2.0
# -o FILE.npy and -o -: what NumPy reads, in the value's own dtype; stdout then holds nothing else.
py 'np.save("x.npy", np.float32([[1, 0, 3], [255, 128, -0.0]]))'
for what in half double int byte truth x; do
    t unbatch get kinds.onnx $what -x x.npy -o found.npy
    t unbatch get kinds.onnx $what -x x.npy -o - >piped.npy
    tail -n +2 piped.npy | cmp - found.npy
    py "
expected = load('x.npy').astype(dict(half='f2', double='f8', int='i4', byte='u1', truth='?', x='f4')['$what'])
if '$what' != 'byte':
    same(load('found.npy'), expected)
"
done
t unbatch run exact.onnx -x x.npy -o run.npy
t unbatch get exact.onnx y -x x.npy -o get.npy
cmp run.npy get.npy
# An existing file is replaced; a link is followed.
ln -s get.npy link.npy
t unbatch get exact.onnx x -x x.npy -o link.npy
py 'same(load("get.npy"), load("x.npy"))'
[ -L link.npy ] || echo "the link is gone"
for suffix in json txt; do
    touch there.$suffix
    ln -s there.$suffix link.$suffix
    t unbatch get exact.onnx x -x x.npy -o link.$suffix
    [ -L link.$suffix ] && [ -s there.$suffix ] || echo "the link is gone"
done
ls -A | grep -e tmp -e unbatch
[ "$(stat -c %a run.npy)" = 644 ] && [ "$(stat -c %a there.txt)" = 644 ] || stat -c '%a %n' *
