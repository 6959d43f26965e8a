# SPDX-License-Identifier: Apache-2.0
# NumPy files: any order, either byte order, versions 1 to 3; by the input's name or without.
py '
x = np.float32([[1, 2, 3], [4, 5, 6]])
np.save("c.npy", x)
np.save("fortran.npy", np.asfortranarray(x))
np.save("big.npy", x.astype(">f4"))
for version in (1, 0), (2, 0), (3, 0):
    with open(f"v{version[0]}.npy", "wb") as f:
        np.lib.format.write_array(f, x, version)
np.save("=.npy", x)
'
for x in c.npy fortran.npy big.npy v1.npy v2.npy v3.npy x=c.npy ./c.npy x=./=.npy "$PWD/c.npy" =.npy; do
    unbatch get exact.onnx first -x "$x" -o found.npy || echo "exit $?: $x"
    py 'same(load("found.npy"), load("c.npy") @ np.arange(-4, 8, dtype=np.float32).reshape(3, 4))'
done
