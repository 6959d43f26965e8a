# SPDX-License-Identifier: Apache-2.0
# Cut and changed models. tests/fault has every cut and every byte; this is how the command says it.
size=$(stat -c %s exact.onnx)
for n in 1 2 3 10 50 100 150 200 240; do
    [ $n -lt $size ] || continue
    head -c $n exact.onnx >cut.onnx
    refuse 3 unbatch get cut.onnx first -x zeros:1x3 -o out.npy
done
for n in 1000 100000 300000 400000; do
    head -c $n digits.onnx >cut.onnx
    refuse 3 unbatch get cut.onnx conv1 -x digits.npy -o out.npy
done
# A byte changed: an answer or one clear line. Every seventh byte.
for n in $(seq 0 7 $((size - 1))); do
    py "
b = bytearray(open('exact.onnx', 'rb').read())
b[$n] ^= 0xff
open('changed.onnx', 'wb').write(b)
"
    unbatch get changed.onnx third -x zeros:2x3 -o out.npy >stdout 2>stderr
    code=$?
    case $code in
    0) [ -s out.npy ] && [ ! -s stderr ] || echo "byte $n: no answer, or a message" ;;
    [2-6]) [ "$(wc -l <stderr)" = 1 ] && [ ! -e out.npy ] || echo "byte $n: no clear line, or a file" ;;
    *) echo "byte $n: exit $code" ;;
    esac
    rm -f out.npy
    [ ! -s stdout ] || echo "byte $n: something on stdout"
done
ls -A
