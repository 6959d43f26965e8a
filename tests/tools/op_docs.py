#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/ops.md and docs/conformance.md from what the tests found in a build folder.

  op_docs.py BUILD SOURCE            writes them
  op_docs.py BUILD SOURCE --check    exit code 1 when they are not current

Reads batch_law.tsv (tests/ops/batch_law), onnx_suite.report, runtime_cases.report (onnx-suite
--report) and the cases they are about.
"""
import collections
import os
import re
import sys

import onnx
from onnx import TensorProto

FOLDERS = ("node", "simple", "pytorch-converted", "pytorch-operator", "light")
ORDER = {"": 0, "ai.onnx.ml": 1, "ai.onnx.preview": 2, "ai.onnx.preview.training": 3, "com.microsoft": 4}


def report(path):
    """{case: passed}"""
    with open(path) as f:
        return {name: state == "ok" for state, name in (line.split() for line in f)}


def dtype_name(number):
    name = TensorProto.DataType.Name(number).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


class Uses:
    """Which cases an operator is in, and with which element types it was put to the test."""

    def __init__(self):
        self.cases = collections.Counter()
        self.passed = collections.Counter()
        self.dtypes = collections.defaultdict(set)

    def add(self, root, results):
        for case, passed in results.items():
            if case.startswith("light/"):
                continue
            model = onnx.load(os.path.join(root, case, "model.onnx"), load_external_data=False)
            graph = model.graph
            types = {
                v.name: v.type.tensor_type.elem_type
                for v in list(graph.input) + list(graph.output)
                if v.type.HasField("tensor_type")
            }
            types |= {t.name: t.data_type for t in graph.initializer}
            ops = {("" if n.domain == "ai.onnx" else n.domain, n.op_type) for n in graph.node}
            for op in ops:
                self.cases[op] += 1
                self.passed[op] += passed
            for n in graph.node if passed else ():
                op = ("" if n.domain == "ai.onnx" else n.domain, n.op_type)
                known = [types[i] for i in n.input if i in types]
                self.dtypes[op] |= {dtype_name(t) for t in known[:1] if t}


def fast_kernels(source):
    """Operators that oneDNN may compute."""
    with open(os.path.join(source, "src/ops/onednn/dn_fast.c")) as f:
        return set(re.findall(r'\{"(\w+)", ubp_dn_', f.read()))


def opsets(domain, name):
    if domain not in ("", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training"):
        return "1"
    versions = sorted(
        s.since_version
        for s in onnx.defs.get_all_schemas_with_history()
        if s.name == name and s.domain == domain
    )
    return ", ".join(map(str, versions)) or "1"


def batch_rule(followed, whys):
    kind = "apart" if followed else "mixes" if whys else "none in it"
    return kind, "; ".join(sorted(whys.split("; "))) if whys else ""


def ops_page(build, source, uses):
    fast = fast_kernels(source)
    lines = [
        "# Operators",
        "",
        "Made by `tests/tools/op_docs.py` from the table of operators and the test runs (`make docs`). Versions are",
        "those in which ONNX changed the operator; a file may import any opset from 1 to "
        + f"{onnx.defs.onnx_opset_version()}.",
        "Element types are those of the first input in cases that pass. `oneDNN`: a fast kernel may serve it.",
        "",
        "Samples: *apart* means that the samples of a batch are followed through the operator; what is said behind it",
        "is what makes them mix all the same, as seen in the tests. *mixes*: they do in every case tried. *none in it*:",
        "no output holds samples (made from shapes or attributes).",
    ]
    rows = collections.defaultdict(list)
    with open(os.path.join(build, "batch_law.tsv")) as f:
        for line in f:
            domain, name, _, followed, whys = line.rstrip("\n").split("\t")
            rows[domain].append((name, int(followed), whys))
    for domain in sorted(rows, key=lambda d: ORDER.get(d, 9)):
        own = sorted(rows[domain])
        lines += ["", f"## {domain or 'ai.onnx'} ({len(own)})", ""]
        lines += ["| operator | versions | element types | fast | samples | cases passed |", "|---|---|---|---|---|---|"]
        for name, followed, whys in own:
            op = (domain, name)
            kind, why = batch_rule(followed, whys)
            lines.append(
                f"| {name} | {opsets(domain, name)} | {' '.join(sorted(uses.dtypes[op])) or '-'} | "
                f"{'oneDNN' if name in fast and not domain else ''} | {kind}{'; ' + why if why else ''} | "
                f"{uses.passed[op]}/{uses.cases[op]} |"
            )
    return "\n".join(lines) + "\n"


def conformance_page(build, source, results):
    passed = sum(results.values())
    lines = [
        "# Conformance",
        "",
        f"Made by `tests/tools/op_docs.py` (`make docs`). ONNX's backend conformance suite of onnx {onnx.__version__}:",
        f"**{passed} of {len(results)} cases pass** ({100 * passed / len(results):.1f} %). A case passes when number, dtype and",
        "shape of its outputs are equal and the values are within its own tolerance (mostly rtol 1e-3, atol 1e-7).",
        "",
        "| folder | what | cases | pass |",
        "|---|---|---|---|",
    ]
    what = {
        "node": "one operator each, and its function's body",
        "simple": "small graphs",
        "pytorch-converted": "PyTorch layers, opset 6",
        "pytorch-operator": "PyTorch operators, opset 6",
        "light": "networks: AlexNet, DenseNet-121, Inception v1 and v2, ResNet-50, ShuffleNet, SqueezeNet, VGG-19, ZFNet-512",
    }
    for folder in FOLDERS:
        own = [ok for case, ok in results.items() if case.startswith(folder + "/")]
        lines.append(f"| {folder} | {what[folder]} | {len(own)} | {sum(own)} |")
    lines += [
        "",
        "To run it: `make test`, or `onnx-suite build/onnx_suite [REGEX]` after `tests/tools/onnx_suite.py dump`.",
        "`tests/ops/known_failures.txt` holds the cases that fail; the test fails when one begins to pass, too.",
        "",
        "## Cases that fail",
        "",
        "| case | why |",
        "|---|---|",
    ]
    with open(os.path.join(source, "tests/ops/known_failures.txt")) as f:
        for line in f:
            if not line.startswith("#") and ": " in line:
                case, why = line.rstrip("\n").split(": ", 1)
                lines.append(f"| {case} | {why.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def main():
    build, source = sys.argv[1:3]
    suite = report(os.path.join(build, "onnx_suite.report"))
    uses = Uses()
    uses.add(os.path.join(build, "onnx_suite"), suite)
    uses.add(os.path.join(build, "runtime_cases"), report(os.path.join(build, "runtime_cases.report")))
    pages = {"ops.md": ops_page(build, source, uses), "conformance.md": conformance_page(build, source, suite)}
    stale = []
    for name, text in pages.items():
        path = os.path.join(source, "docs", name)
        old = open(path).read() if os.path.exists(path) else ""
        if old == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            with open(path, "w") as f:
                f.write(text)
    if "--check" in sys.argv and stale:
        again = f"{sys.executable} {sys.argv[0]} {build} {source}"
        sys.exit(f"docs/{', docs/'.join(stale)}: not current; `make docs`, or {again}")


if __name__ == "__main__":
    main()
