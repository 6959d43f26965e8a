#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test.sh BUILD JOBS: builds and tests everything. Four builds of the same sources: Release with
# oneDNN, Release without it, gcc with sanitizers, and clang. Closes with one line of counts.
build=$1
jobs=$2
python=$(pwd)/$build/venv/bin/python
passed=0
failed=0
# Tests run side by side: threads that wait must not hold a core.
export OMP_WAIT_POLICY=passive

# run NAME FOLDER CTEST-ARGS CMAKE-ARGS...
run() {
    name=$1
    folder=$2
    select=$3
    shift 3
    echo "== $name"
    if ! cmake -S . -B "$folder" -G Ninja -DUNBATCH_TESTS=ON -DUB_PYTHON="$python" "$@" >"$folder.log" 2>&1 ||
        ! cmake --build "$folder" -j "$jobs" >>"$folder.log" 2>&1; then
        tail -n 40 "$folder.log"
        echo "$name does not build"
        failed=$((failed + 1))
        return
    fi
    # shellcheck disable=SC2086
    (cd "$folder" && ctest --output-on-failure -j "$jobs" --no-tests=error $select) | tee "$folder.log"
    counts=$(sed -n 's/.*% tests passed, \([0-9]*\) tests failed out of \([0-9]*\).*/\1 \2/p' "$folder.log")
    bad=${counts% *}
    all=${counts#* }
    if [ -z "$counts" ]; then
        failed=$((failed + 1))
        return
    fi
    failed=$((failed + bad))
    passed=$((passed + all - bad))
}

run "Release" "$build" "" -DCMAKE_BUILD_TYPE=Release
run "without oneDNN" "$build-reference" "" -DCMAKE_BUILD_TYPE=Release -DUNBATCH_ONEDNN=OFF
run "AddressSanitizer, UndefinedBehaviorSanitizer" "$build-asan" "-LE slow" \
    -DCMAKE_BUILD_TYPE=RelWithDebInfo -DUNBATCH_SANITIZE=ON
run "clang" "$build-clang" "-LE slow" -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=clang

echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
