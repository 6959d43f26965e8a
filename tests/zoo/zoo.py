#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole zoo, two networks at a time: zoo_torch.py and zoo_samples.py on each network of timm and
torchvision, zoo_keras.py on each of keras.applications. Prints a line for each and, when all of them
were run, writes the tables to DOC. Exit code 1 if anything was wrong.

usage: zoo.py BUILD DOC [NAME...]"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive", KERAS_BACKEND="torch",
                  TQDM_DISABLE="1")
AT_ONCE = 2  # processes
EACH = 5     # networks that a process takes one after another: what it holds is given back then


def run_torch(build, name):
    import torch
    import networks
    import zoo_samples
    import zoo_torch
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=build) as folder:
        folder = pathlib.Path(folder)
        net, x = networks.build(name)
        program = zoo_torch.save(folder, net, x)
        maps = {f"{name}.pt2": zoo_samples.check(build, folder / "m.pt2", zoo_samples.of_program(program))}
        layers = zoo_torch.check(build, name, net, x, program, folder / "m.pt2")
        why = zoo_samples.onnx_of(program, folder / "m.onnx")
        if not why:
            maps[f"{name}.onnx"] = zoo_samples.check(build, folder / "m.onnx",
                                                     zoo_samples.names_in(folder / "m.onnx"))
    return {"line": zoo_torch.line(name, layers), "good": not layers.wrong, "compared": layers.compared,
            "sizes": layers.tensors, "not_exported": why,
            "maps": [(zoo_samples.line(n, r), r.values, len(r.wrong)) for n, r in maps.items()]}


def run_keras(build, name):
    import zoo_keras
    with tempfile.TemporaryDirectory(dir=build) as folder:
        good, lines, layers = zoo_keras.one(str(build / "bin/unbatch"), name,
                                            zoo_keras.applications()[name], pathlib.Path(folder))
    return {"lines": lines, "good": good, "layers": layers}


def run(kind, build, name):
    warnings.filterwarnings("ignore")
    start = time.monotonic()
    try:
        found = (run_keras if kind == "keras" else run_torch)(build, name)
    except Exception as e:
        found = {"error": f"{type(e).__name__}: {str(e).strip()[:300]}", "good": False,
                 "trace": traceback.format_exc()}
    return {"kind": kind, "name": name, "seconds": time.monotonic() - start, **found}


def run_here(build, out, jobs):
    """What a process of its own does: a line of JSON for each network into the file."""
    for job in jobs:
        kind, _, name = job.partition(":")
        with open(out, "a") as f:
            f.write(json.dumps(run(kind, build, name)) + "\n")


def run_group(build, jobs):
    with tempfile.TemporaryDirectory(dir=build) as folder:
        out = pathlib.Path(folder) / "found"
        out.touch()
        process = subprocess.run([sys.executable, __file__, "--here", build, out,
                                  *(f"{kind}:{name}" for kind, name in jobs)],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        found = [json.loads(l) for l in out.read_text().splitlines()]
    for kind, name in jobs[len(found):]:
        found.append({"kind": kind, "name": name, "seconds": 0, "good": False,
                      "error": f"the process ended with {process.returncode}", "trace": process.stderr[-800:]})
    return found


def tell(r):
    if "error" in r:
        print(f"| {r['name']} | {r['error']} |", r["trace"], sep="\n", flush=True)
    elif r["kind"] == "keras":
        print(*r["lines"], sep="\n", flush=True)
    else:
        print(r["line"], *(l for l, _, _ in r["maps"]), sep="\n", flush=True)
        if r["not_exported"]:
            print(f"| {r['name']}.onnx | not exported: {r['not_exported']} |", flush=True)


DOC = """# The zoo

Written by `make zoo`. Networks of timm and torchvision as `.pt2` of `torch.export`, and all of
`keras.applications` that Keras' torch backend builds as `.keras` and `.h5`, with random weights and statistics
of norms that are not the defaults.

{summary}

## timm and torchvision

Of one sample of a batch of three, every input and output of every call of every module, against PyTorch's
hooks. The file's values are matched with the call's arguments and results one to one; a file keeps no order of
arguments, so where there are several at a border the values decide ("in order": in how many that was the order
of the call). Calls without operations gave back what they were given, and leave nothing in the file; arguments
without a port are not used by the module's operations. The largest difference is relative to the tensor's
largest magnitude; where it is above 1e-4, float64 is the judge, and unbatch may be off by 4 times what PyTorch
in float32 is off. Sample axes: tensors of the program whose place of the samples was compared with its symbolic
sizes.

{torch_head}
{torch}

## keras.applications

Every named layer of one sample against submodels in Keras.

{keras_head}
{keras}

## Where the samples are

For every value that the file names: the axis that grows from one sample to a batch of two is the one that the
sample map says, by as much; and sample 1 of the batch is what that sample gives alone. `.onnx`: the same programs
through the dynamo exporter.

{samples_head}
{samples}

Programs that this exporter did not write: {missing}.
"""


def write(doc, results):
    import zoo_keras
    import zoo_samples
    import zoo_torch
    nets = [r for r in results if r["kind"] == "torch"]
    apps = [r for r in results if r["kind"] == "keras"]
    maps = [m for r in nets for m in r.get("maps", [])]
    values, wrong = sum(v for _, v, _ in maps), sum(w for _, _, w in maps)
    onnx = sum(l.startswith(f"| {r['name']}.onnx") for r in nets for l, _, _ in r.get("maps", []))
    summary = "\n".join([
        f"- {sum(r['good'] for r in nets)} of {len(nets)} networks of timm and torchvision as `.pt2`: "
        f"{sum(r.get('compared', 0) for r in nets):,} inputs and outputs of modules.",
        f"- {sum(r['good'] for r in apps)} of {len(apps)} models of `keras.applications`, in both formats: "
        f"{2 * sum(r.get('layers', 0) for r in apps):,} layers.",
        f"- The place of the samples against symbolic sizes: {sum(r.get('sizes', 0) for r in nets):,} tensors; against "
        f"what grows: {values:,} values of {len(nets)} `.pt2` and {onnx} `.onnx` files, {wrong or 'none'} wrong."])
    missing = "; ".join(f"{r['name']} ({r['not_exported']})" for r in nets if r.get("not_exported"))
    rows = [r["line"] if "line" in r else f"| {r['name']} | {r['error']} |" for r in nets]
    keras = [l for r in apps for l in r.get("lines", [f"| {r['name']} | {r.get('error')} |"])]
    doc.write_text(DOC.format(summary=summary, torch_head=zoo_torch.HEAD, torch="\n".join(rows),
                              keras_head=zoo_keras.HEAD, keras="\n".join(keras),
                              samples_head=zoo_samples.HEAD, samples="\n".join(l for l, _, _ in maps), missing=missing or "none"))
    print(f"\n{summary}")


def main():
    if sys.argv[1] == "--here":
        return run_here(pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
    warnings.filterwarnings("ignore")
    import networks
    import zoo_keras
    build, doc, chosen = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]), sys.argv[3:]
    jobs = [("torch", n) for n in networks.NAMES] + [("keras", n) for n in zoo_keras.applications()]
    jobs = [j for j in jobs if not chosen or j[1] in chosen]
    start, found = time.monotonic(), {}
    groups = [jobs[i:i + EACH] for i in range(0, len(jobs), EACH)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run_group, build, g) for g in groups]):
            for r in done.result():
                tell(r)
                found[r["kind"], r["name"]] = r
    results = [found[j] for j in jobs]
    if not chosen:
        write(doc, results)
    failed = [r["name"] for r in results
              if not r["good"] or any(w for _, _, w in r.get("maps", []))]
    print(f"\n{len(results) - len(failed)} passed, {len(failed)} failed"
          f"{': ' if failed else ''}{', '.join(failed)} ({(time.monotonic() - start) / 60:.0f} minutes)")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
