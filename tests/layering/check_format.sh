#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every C file is laid out as .clang-format says. `make format` mends it.
find src include cli examples tests fuzz bench -name '*.c' -o -name '*.h' |
    grep -v '/data/' | xargs "$1" --dry-run --Werror
