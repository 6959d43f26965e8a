#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# venv.sh FOLDER REQUIREMENTS [PINNED]: a Python environment with just these packages, made once and
# again when a list changes. PINNED: packages with hashes, installed without what they depend on.
set -e
folder=$1
list=$2
pinned=$3
if [ -f "$folder/.done" ] && cat "$list" ${pinned:+"$pinned"} | cmp -s - "$folder/.done"; then
    exit 0
fi
echo "making $folder"
${PYTHON:-python3} -m venv "$folder"
install() {
    "$folder/bin/pip" install -q --disable-pip-version-check "$@" 2>"$folder/pip.log" ||
        { cat "$folder/pip.log"; exit 1; }
}
install -r "$list"
if [ -n "$pinned" ]; then
    install --no-deps --require-hashes -r "$pinned"
fi
cat "$list" ${pinned:+"$pinned"} >"$folder/.done"
