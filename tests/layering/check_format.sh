#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every C file is laid out as .clang-format says. `make format` mends it.
folders=
for f in src include cli examples tests fuzz bench; do
    [ -d $f ] && folders="$folders $f"
done
# shellcheck disable=SC2086
find $folders -name '*.c' -o -name '*.h' | grep -v '/data/' | xargs "$1" --dry-run --Werror
