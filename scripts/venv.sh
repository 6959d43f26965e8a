#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# venv.sh FOLDER REQUIREMENTS: a Python environment with just these packages, made once and again
# when the list changes.
set -e
folder=$1
list=$2
if [ -f "$folder/.done" ] && cmp -s "$list" "$folder/.done"; then
    exit 0
fi
echo "making $folder"
${PYTHON:-python3} -m venv "$folder"
"$folder/bin/pip" install -q --disable-pip-version-check -r "$list" 2>"$folder/pip.log" ||
    { cat "$folder/pip.log"; exit 1; }
cp "$list" "$folder/.done"
