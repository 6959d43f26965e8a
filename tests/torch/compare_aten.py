#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exports the cases of aten_*.py, many in one file, as programs with a free batch, with a fixed one,
and decomposed, and compares what unbatch gives with PyTorch: the whole of a batch of another size
than the program was exported with, one sample of it, and one sample alone. Ends with the names of
the loader's tables that no case reached. usage: compare_aten.py UNBATCH SOURCE FOLDER [TEXT]
TEXT: only cases whose place in the files has it."""
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import torch

import aten_case
import aten_math  # noqa: F401  (they fill aten_case.CASES)
import aten_nn  # noqa: F401
import aten_shape  # noqa: F401

EXPORTED, ASKED, SAMPLE = 9, 4, 2  # samples in the example, in the batch; the one that is asked for
TOGETHER = 32  # cases in a file
# What torch.export cannot be brought to write, or what PyTorch's CPU build does not have.
UNREACHED = {
    "_embedding_bag": "for training, as embedding_bag's forward_only form is",
    "_scaled_dot_product_flash_attention": "only on a GPU",
    "lift_fresh": "becomes lift_fresh_copy",
    "_batch_norm_with_update": "fails in PyTorch's export",
    "_batch_norm_with_update_functional": "fails in PyTorch's export",
}
# A program with a fixed batch may hold what is the same for all, or rows of its own for each sample.
UNTOLD = "has no batch axis|cannot be told apart"


class Trouble(Exception):
    pass


# ---- Files ---------------------------------------------------------------------------------------

def export(cases, form, path):
    """Writes the program; the names of its operators."""
    torch.manual_seed(0)
    xs = [x.make(EXPORTED) for c in cases for x in c.inputs]
    batch = torch.export.Dim("batch", min=1, max=1024)
    dims = [{x.axis: batch} if x.axis is not None else None for c in cases for x in c.inputs]
    net = aten_case.Pack(cases).eval()
    program = torch.export.export(net, (xs,), dynamic_shapes=None if form == "static" else (dims,))
    if form == "decomposed":
        program = program.run_decompositions()
        if not program.range_constraints and any(x.axis is not None for c in cases for x in c.inputs):
            raise RuntimeError("decomposing it fixes the batch")
    torch.export.save(program, path)
    with zipfile.ZipFile(path) as z:
        name = next(n for n in z.namelist() if n.endswith("models/model.json"))
        nodes = json.loads(z.read(name))["graph_module"]["graph"]["nodes"]
    return {n["target"].removeprefix("torch.ops.aten.").split(".")[0] for n in nodes
            if n["target"].startswith("torch.ops.aten.")}


def ask(unbatch, path, what, arrays, folder):
    """Results in order."""
    out = folder / "out.npz"
    out.unlink(missing_ok=True)
    command = [unbatch, "get", str(path), *what, "-o", str(out), "-q"]
    for k, (name, a) in enumerate(arrays):
        np.save(folder / f"in{k}.npy", a)
        command += ["-x", f"{name}={folder / f'in{k}.npy'}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if run.returncode:
        raise Trouble(run.stderr.strip() or f"exit {run.returncode}")
    with np.load(out) as z:
        return [z[k] for k in z.files]


def signature(unbatch, path):
    run = subprocess.run([unbatch, "summary", str(path), "--json"], capture_output=True, text=True)
    if run.returncode:
        raise Trouble(run.stderr.strip() or f"exit {run.returncode}")
    said = json.loads(run.stdout)
    return [x["name"] for x in said["inputs"]], [x["name"] for x in said["outputs"]]


# ---- Comparing -----------------------------------------------------------------------------------

def differs(have, want, case):
    if have.shape != want.shape or have.dtype != want.dtype:
        return f"{have.dtype} {have.shape}, PyTorch has {want.dtype} {want.shape}"
    if want.dtype.kind not in "f":
        return "" if (have == want).all() else f"{(have != want).sum()} of {want.size} differ"
    a, b = have.astype(np.float64), want.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if (~same & ~(np.isfinite(a) & np.isfinite(b))).any():
        k = np.argmax((~same & ~(np.isfinite(a) & np.isfinite(b))).ravel())
        return f"{a.ravel()[k]} at {k}, PyTorch has {b.ravel()[k]}"
    gap = np.where(same, 0, np.abs(np.where(same, 0, a) - np.where(same, 0, b)))
    finite = np.where(np.isfinite(b), np.abs(b), 0)
    limit = max(case.rtol, {2: 2e-3}.get(want.dtype.itemsize, 0))
    bound = limit * (finite if case.each else finite.max(initial=0))
    if (gap <= bound + (1e-37 if case.each else 1e-30)).all():
        return ""
    k = int(np.argmax((gap - bound).ravel()))
    return f"{a.ravel()[k]:.9g} at {k}, PyTorch has {b.ravel()[k]:.9g}"


def bits(a):
    """Whatever is no number is the same."""
    return np.where(np.isnan(a), np.nan, a).astype(a.dtype).tobytes() if a.dtype.kind == "f" else a.tobytes()


def numpy(t):
    return t.detach().resolve_neg().numpy() if t.dtype != torch.bfloat16 else t.float().numpy()


def batch_of(cases, n, seed):
    """The tensors of each case."""
    torch.manual_seed(seed)
    return [[x.make(n) for x in c.inputs] for c in cases]


def each_alone(unbatch, path, what, arrays, folder):
    """Of every one its result or, where it is refused, what was said."""
    found = []
    for one in what:
        try:
            found += ask(unbatch, path, [one], arrays, folder)
        except Trouble as e:
            found.append(str(e))
    return found


def ask_all(unbatch, path, what, arrays, folder):
    if not what:
        return []
    try:
        found = ask(unbatch, path, what, arrays, folder)
    except Trouble:
        return each_alone(unbatch, path, what, arrays, folder)
    return found if len(found) == len(what) else each_alone(unbatch, path, what, arrays, folder)


def verdict(have, want, case):
    if isinstance(have, str):
        return "" if case.refuse and case.refuse in have else have
    return f"is not refused ({case.refuse})" if case.refuse else differs(have, want, case)


def check(unbatch, cases, form, path, folder):
    """What is wrong, as texts."""
    problems = []
    names_in, names_out = signature(unbatch, path)
    tensors = batch_of(cases, EXPORTED if form == "static" else ASKED, 1)
    flat = [(c, numpy(t), a) for c, x in zip(cases, tensors)
            for t, a in zip(*(lambda out: (out, c.axes(len(out))))(c.run(x)))]
    arrays = list(zip(names_in, [numpy(t) for x in tensors for t in x]))
    if len(names_out) != len(flat) or len(names_in) != sum(map(len, tensors)):
        raise Trouble(f"{len(names_in)} inputs and {len(names_out)} outputs: not those of the program")
    whole = ask_all(unbatch, path, names_out, arrays, folder)
    for name, have, (c, want, _) in zip(names_out, whole, flat):
        problems.append((c, name, verdict(have, want, c)))
    # Where the samples of a program with a fixed batch are is told by its first input only.
    clear = form != "static" or all(x.axis == 0 for c in cases for x in c.inputs)
    told = [k for k, (c, _, a) in enumerate(flat)
            if clear and a is not None and not isinstance(whole[k], str)]
    part = ask_all(unbatch, path, [f"{names_out[k]}[{SAMPLE}]" for k in told], arrays, folder)
    for k, have in zip(told, part):
        want = np.take(whole[k], SAMPLE, flat[k][2])
        same = isinstance(have, np.ndarray) and have.shape == want.shape and bits(have) == bits(want)
        if form == "static" and isinstance(have, str) and re.search(UNTOLD, have):
            continue
        problems.append((flat[k][0], f"{names_out[k]}[{SAMPLE}]", "" if same else have if isinstance(have, str)
                         else "is not its part of the batch"))
    if form != "static":
        problems += check_alone(unbatch, cases, tensors, (names_in, names_out), path, folder)
    return [f"{c.where}: {form}: {name}: {problem}" for c, name, problem in problems if problem]


def check_alone(unbatch, cases, tensors, names, path, folder):
    """A batch that is one sample."""
    alone = [[t.narrow(x.axis, SAMPLE, 1).contiguous() if x.axis is not None and c.alone else t
              for x, t in zip(c.inputs, ts)] for c, ts in zip(cases, tensors)]
    arrays = list(zip(names[0], [numpy(t) for x in alone for t in x]))
    flat = [(c, numpy(t)) for c, x in zip(cases, alone) for t in c.run(x)]
    got = ask_all(unbatch, path, names[1], arrays, folder)
    return [(c, f"{name} of a batch of one", verdict(have, want, c))
            for name, have, (c, want) in zip(names[1], got, flat) if not c.refuse]


def compare(unbatch, cases, form, folder):
    """Problems, and the operators. Where several cases cannot be exported at once they are taken in
    halves, until the one at fault stands alone."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{form}.pt2"
    try:
        operators = export(cases, form, path)
        return check(unbatch, cases, form, path, folder), operators
    except Exception as e:  # of PyTorch any may come; what unbatch refuses is a Trouble
        if len(cases) == 1:
            said = str(e).splitlines()[0] if str(e) else type(e).__name__
            if cases[0].refuse and isinstance(e, Trouble) and cases[0].refuse in said:
                return [], operators
            return [f"{cases[0].where}: {form}: {said[:300]}"], set()
    middle = len(cases) // 2
    a, b = (compare(unbatch, part, form, folder) for part in (cases[:middle], cases[middle:]))
    return a[0] + b[0], a[1] | b[1]


# ---- All of them ---------------------------------------------------------------------------------

def claimed(source):
    """The names in the loader's tables."""
    names = set()
    for path in sorted((pathlib.Path(source) / "src/load").glob("pt2_ops*.c")):
        names |= set(re.findall(r'^    \{"(\w+)", make_', path.read_text(), re.M))
    return names


def packs(cases):
    """Cases that go into one file: with the same forms; those that are refused each by itself."""
    groups = {}
    for c in cases:
        key = (c.only, c.alone) if not c.refuse else id(c)
        groups.setdefault(key, []).append(c)
    for group in groups.values():
        for at in range(0, len(group), TOGETHER):
            yield group[at:at + TOGETHER]


def job(task):
    unbatch, numbers, form, folder = task
    warnings.filterwarnings("ignore")
    with torch.no_grad():
        return compare(unbatch, [aten_case.CASES[k] for k in numbers], form, folder)


def main():
    unbatch, source, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    text = sys.argv[4] if len(sys.argv) > 4 else ""
    torch.set_num_threads(1)
    for k, c in enumerate(aten_case.CASES):
        c.number = k
    cases = [c for c in aten_case.CASES if text in c.where]
    tasks = [(unbatch, [c.number for c in pack], form, folder / f"{k}")
             for k, pack in enumerate(packs(cases)) for form in pack[0].only]
    for k, task in enumerate(tasks):
        tasks[k] = (*task[:3], folder / str(k))
    problems, reached = [], set()
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(min(2, os.cpu_count()), context) as pool:
        for bad, operators in pool.map(job, tasks):
            problems += bad
            print("".join(f"{p}\n" for p in bad), end="", flush=True)
            reached |= operators
    bare = {n[:-1] if n.endswith("_") and not n.endswith("__") else n for n in reached}
    missed = sorted(claimed(source) - bare - set(UNREACHED))
    stale = sorted(set(UNREACHED) & bare)
    print(f"{len(cases)} cases, {len(tasks)} programs, {len(problems)} problems, "
          f"{len(claimed(source) & bare)} of {len(claimed(source))} operators reached; "
          f"{len(UNREACHED)} cannot be")
    if text:
        return 1 if problems else 0
    if missed or stale:
        print(f"not reached: {' '.join(missed) or '-'}; reached after all: {' '.join(stale) or '-'}")
    return 1 if problems or missed or stale or len(cases) < 500 else 0


if __name__ == "__main__":
    sys.exit(main())
