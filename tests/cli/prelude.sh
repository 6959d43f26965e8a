# SPDX-License-Identifier: Apache-2.0
# What every script of tests/cli may call. Scripts go on after a failure: what it printed is in the
# golden files.

umask 022

# t COMMAND...: shows the command, then what it prints, then its exit code where that is not 0.
t() {
    echo "$ $*"
    "$@" 2>.stderr
    code=$?
    [ -s .stderr ] && echo "$ $*" | cat - .stderr >&2
    rm -f .stderr
    [ $code = 0 ] || echo "exit $code"
    return $code
}

# refuse CODE COMMAND...: the command must print nothing but one line on stderr, leave every file as
# it was, and exit with CODE.
refuse() {
    wanted=$1
    shift
    echo "$ $*" >&2
    files >.before
    "$@" >.stdout 2>.stderr
    code=$?
    files >.after
    cat .stderr >&2
    [ $code = "$wanted" ] || echo "$*: exit $code, not $wanted"
    [ -s .stdout ] && echo "$*: $(wc -c <.stdout) bytes on stdout"
    [ "$(wc -l <.stderr)" = 1 ] || echo "$*: $(wc -l <.stderr) lines on stderr, not 1"
    grep -q '^unbatch: .' .stderr || echo "$*: stderr does not begin with 'unbatch: '"
    cmp -s .before .after || { echo "$*: files changed"; diff .before .after; }
    rm -f .stdout .stderr .before .after
}

# Every file here with its size and hash.
files() {
    find . -type f ! -name .stdout ! -name .stderr ! -name .before ! -name .after -exec md5sum {} + |
        sort
}

# py CODE [ARGUMENT...]: Python with NumPy as np and the functions of outside.py.
py() {
    code=$1
    shift
    "$PYTHON" -c "from outside import *
$code" "$@"
}
