#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden files of the command line, in the manner of zstd's tests/cli-tests.

    golden.py --unbatch build/bin/unbatch --models FOLDER [--set] SCRIPT-OR-FOLDER...

A script <folder>/<name>.sh runs in a folder of its own that holds copies of the digits example
and of the models that make_cli_models.py writes. What it prints must be <name>.stdout and
<name>.stderr, its exit code what <name>.exit says; a file that is not there stands for nothing and
for 0. --set writes these files instead of comparing. prelude.sh is read before each script.
"""
import argparse
import difflib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DIGITS = HERE.parents[1] / "examples" / "digits"
SECONDS = 300


def fill(folder, models):
    for source in (DIGITS, models):
        shutil.copytree(source, folder, dirs_exist_ok=True)


def run(script, args):
    """What the script prints and its exit code, as its three golden files."""
    with tempfile.TemporaryDirectory(prefix="unbatch-cli-") as outer:
        folder = os.path.join(outer, "here")  # what a script puts into .. is removed as well
        fill(folder, args.models)
        programs = f"{args.unbatch.parent}:{args.unbatch.parent}/examples"
        env = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}", PYTHON=sys.executable,
                   PYTHONPATH=str(HERE), LC_ALL="C", NO_COLOR="1", OMP_WAIT_POLICY="passive",
                   VERSION=args.version, SOURCE=str(HERE.parents[1]))
        try:
            done = subprocess.run(["sh", "-c", '. "$0"; . "$1"', HERE / "prelude.sh", script],
                                  cwd=folder, env=env, stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return {".stdout": "", ".stderr": f"not done after {SECONDS} seconds\n", ".exit": ""}
    code = "" if done.returncode == 0 else f"{done.returncode}\n"
    return {".stdout": done.stdout.decode(errors="backslashreplace"),
            ".stderr": done.stderr.decode(errors="backslashreplace"), ".exit": code}


def write(script, found):
    for suffix, text in found.items():
        path = script.with_suffix(suffix)
        if text:
            path.write_text(text)
        else:
            path.unlink(missing_ok=True)


def differences(script, found):
    lines = []
    for suffix, text in found.items():
        path = script.with_suffix(suffix)
        expected = path.read_text() if path.exists() else ""
        lines += difflib.unified_diff(expected.splitlines(), text.splitlines(),
                                      path.name + " expected", "found", lineterm="")
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--unbatch", type=pathlib.Path, required=True)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--version", default="")
    parser.add_argument("--set", action="store_true")
    parser.add_argument("what", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    args.unbatch = args.unbatch.resolve()
    args.models = args.models.resolve()
    scripts = [script.resolve() for what in args.what
               for script in (sorted(what.glob("*.sh")) if what.is_dir() else [what])]
    failed = 0
    for script in scripts:
        found = run(script, args)
        if args.set:
            write(script, found)
            continue
        lines = differences(script, found)
        print(f"{'FAILED' if lines else 'ok'}  {script.parent.name}/{script.stem}", *lines,
              sep="\n", flush=True)
        failed += bool(lines)
    print(f"{len(scripts)} scripts, {failed} failed")
    return 1 if failed or not scripts else 0


if __name__ == "__main__":
    sys.exit(main())
