#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deps.sh SUDO PACKAGE...: installs the Debian packages that are missing, and nothing else. On a
# system without apt it prints what is needed and goes on: the build says what it misses.
sudo=$1
shift
if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
    echo "This system has no apt. Install what stands for these Debian packages:"
    echo "  $*"
    exit 0
fi
missing=
for p in "$@"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && exit 0
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq || exit 1
# shellcheck disable=SC2086
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
