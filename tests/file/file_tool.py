# SPDX-License-Identifier: Apache-2.0
"""Talks to file_tool, for the comparisons with NumPy and Pillow."""
import subprocess
import sys
import traceback


class Tool:
    """The program as a function: words in, the words of its answer out."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, *words):
        self.process.stdin.write("\t".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer.endswith("\n"):
            raise RuntimeError(f"the tool died of {words}: exit code {self.process.wait()}")
        return answer[:-1].split("\t")

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0, "the tool failed at its end"


def run(cases, tool):
    """Runs test functions, each with the tool; the exit code for the program."""
    failed = 0
    for case in cases:
        try:
            print(f"{case.__name__}: {case(tool)}")
        except Exception:
            failed += 1
            print(f"{case.__name__}: FAILED")
            traceback.print_exc()
    tool.close()
    sys.exit(1 if failed else 0)
