#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_install.sh CMAKE BUILD COMPILER VERSION FLAGS: installs into a folder, moves it, and builds
# a small program against it through pkg-config and through find_package.
set -e
cmake=$1
build=$2
compiler=$3
version=$4
flags=$5
here=$(cd "$(dirname "$0")" && pwd)
digits=$here/../../examples/digits
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$cmake" --install "$build" --prefix "$dir/first" >"$dir/log" || { cat "$dir/log"; exit 1; }
# Nothing in it may hang on where it was put.
prefix=$dir/moved
mv "$dir/first" "$prefix"
unset LD_LIBRARY_PATH

there() {
    [ -n "$(find "$prefix" -path "$prefix/$1")" ] || { echo "not installed: $1"; exit 1; }
}
there bin/unbatch
there include/unbatch.h
there 'lib*/libunbatch.so.*'
there share/man/man1/unbatch.1
there share/bash-completion/completions/unbatch
there share/zsh/site-functions/_unbatch
there share/fish/vendor_completions.d/unbatch.fish
[ "$("$prefix/bin/unbatch" --version)" = "unbatch $version" ]
lib=$(dirname "$(find "$prefix" -name libunbatch.so)")

export PKG_CONFIG_PATH="$lib/pkgconfig"
[ "$(pkg-config --modversion unbatch)" = "$version" ]
# shellcheck disable=SC2046,SC2086
"$compiler" $flags "$here/use_unbatch.c" -o "$dir/by_pkg_config" \
    $(pkg-config --cflags --libs unbatch)
LD_LIBRARY_PATH=$lib "$dir/by_pkg_config" "$digits/digits.onnx" "$digits/digits.npy"

"$cmake" -S "$here/consumer" -B "$dir/consumer" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$compiler" -DCMAKE_C_FLAGS="$flags" >"$dir/log" 2>&1 &&
    "$cmake" --build "$dir/consumer" >>"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
"$dir/consumer/by_find_package" "$digits/digits.onnx" "$digits/digits.npy"
echo "installed, found and used"
