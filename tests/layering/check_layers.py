#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The folders are the data flow: fails when an include goes against an arrow, when a header of
oneDNN is used outside its adaptor, when the command or an example sees more than unbatch.h, when
two files have the same name, or when a file is longer than 800 lines."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAY = {
    "base": set(),
    "tensor": {"base"},
    "file": {"base", "tensor"},
    "graph": {"base", "tensor"},
    "ops": {"base", "tensor", "file", "graph"},  # file: the pictures that ImageDecoder reads
    "load": {"base", "tensor", "file", "graph", "ops"},
    "plan": {"base", "tensor", "graph", "ops"},
    "exec": {"base", "tensor", "graph", "ops", "plan"},
    "api": {"base", "tensor", "file", "graph", "ops", "load", "plan", "exec"},
}
SAME_NAME_IS_FINE = {"CMakeLists.txt", "README.md", "requirements.txt"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.M)


def sources(*folders):
    for folder in folders:
        for suffix in ("c", "h", "in"):
            yield from sorted((ROOT / folder).rglob(f"*.{suffix}"))


def check_library(problems):
    for path in sources("src"):
        folder = path.relative_to(ROOT / "src").parts[0]
        if folder not in MAY:
            problems.append(f"{path}: a folder that the flow does not know")
            continue
        for kind, name in INCLUDE.findall(path.read_text()):
            first = name.split("/")[0]
            if name.startswith("oneapi/") or name.startswith("dnnl"):
                if path.parent != ROOT / "src/ops/onednn":
                    problems.append(f"{path}: includes {name}; only src/ops/onednn/ may")
            elif kind == '"' and "/" in name and first in MAY:
                if first != folder and first not in MAY[folder]:
                    problems.append(f"{path}: {folder}/ may not include {name}")


def check_users(problems):
    for path in sources("cli", "examples"):
        for kind, name in INCLUDE.findall(path.read_text()):
            own = (path.parent / name).exists()
            if kind == '"' and name != "unbatch.h" and not own:
                problems.append(f"{path}: includes {name}; only unbatch.h may be seen here")


def check_sizes_and_names(problems):
    seen = {}
    for path in sources("src", "include", "cli", "examples", "tests", "fuzz", "bench"):
        if path.name not in SAME_NAME_IS_FINE:
            if path.name in seen:
                problems.append(f"{path}: the same name as {seen[path.name]}")
            seen[path.name] = path
        lines = len(path.read_text().splitlines())
        if lines > 800:
            problems.append(f"{path}: {lines} lines, more than 800")


def main():
    problems = []
    check_library(problems)
    check_users(problems)
    check_sizes_and_names(problems)
    for p in problems:
        print(p)
    checked = sum(1 for _ in sources("src", "cli", "examples"))
    print(f"{checked} files, {len(problems)} problems")
    return 1 if problems or checked < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
