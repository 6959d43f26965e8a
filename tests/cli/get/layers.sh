# SPDX-License-Identifier: Apache-2.0
# Every layer's input and output against PyTorch's hooks, from both exporters' files, with the fast
# and the plain kernels.
py 'np.save("four.npy", pixels()[:4])'
py 'print(*[n for n in layers() if not n.startswith("dropout")], sep="\n")' | sed 's/[.]\(in\|out\)$/:\1/' >all
for model in digits.onnx digits.torchscript.onnx; do
    for kernels in '' --reference; do
        unbatch get $model $(cat all) -x four.npy -o found.npz $kernels || echo "exit $?"
        py '
found = load("found.npz")
for name in open("all").read().split():
    close(found[name], layers()[name.replace(":", ".")])
print(len(found), "values")
'
    done
done
