#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions of the library's own code (libunbatch.so; not oneDNN's, not generated kernels) for
fixed work, counted by callgrind: a regression shows without a clock. Under valgrind every processor
is one with AVX2, so the figures hang on the compiler and little else; counts.json holds them, and
more than 5 % above fails. Not part of `make test`: it needs valgrind, and another compiler counts
otherwise. usage: counts.py [--build DIR] [--set]"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DIGITS = HERE.parent / "examples" / "digits"
FILE = HERE / "counts.json"
OVER = 1.05
RUNS = 20  # how many more the second measurement of a warm run has


def instructions(command, text=""):
    """Of libunbatch in one process."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind.out")
        env = dict(os.environ, OMP_NUM_THREADS="1")
        subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command],
                       input=text, text=True, check=True, capture_output=True, env=env)
        table = subprocess.run(["callgrind_annotate", "--threshold=100", "--auto=no",
                                "--show-percs=no", out], check=True, capture_output=True,
                               text=True).stdout
    lines = re.findall(r"^\s*([\d,]+)\s.*\[.*libunbatch\.so[^]]*\]$", table, re.M)
    return sum(int(n.replace(",", "")) for n in lines)


def measure(build, x):
    """x: where to write the input, two digits."""
    programs = build / "bin" / "bench"
    digits = str(DIGITS / "digits.onnx")
    subprocess.run([str(build / "bin" / "unbatch"), "get", digits, "conv1:in[:2]", "-q", "-x",
                    str(DIGITS / "digits.npy"), "-o", x], check=True)

    def warm(what):
        command = [str(programs / "bench_get"), digits, x, "1", what]
        few, many = (instructions(command, f"{n}\n") for n in (1, 1 + RUNS))
        return (many - few) // RUNS
    opened = instructions([str(programs / "bench_open"), digits])
    first = instructions([str(programs / "bench_open"), digits, x, "@outputs"])
    return {"open digits.onnx": opened, "plan and first run of it": first - opened,
            "warm run, one sample": warm("fc2[1]"), "warm run, every layer": warm("**")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--set", action="store_true", help="write counts.json anew")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.build.resolve(), os.path.join(folder, "two.npy"))
    if options.set:
        FILE.write_text(json.dumps(found, indent=1) + "\n")
    known = json.loads(FILE.read_text())
    worse = 0
    for name, count in found.items():
        share = count / known[name]
        worse += share > OVER
        print(f"{name:28} {count:12,}  {share:6.3f} of {known[name]:,}"
              f"{'  TOO MANY' if share > OVER else ''}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
