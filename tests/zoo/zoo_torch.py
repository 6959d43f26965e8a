#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Networks of timm and torchvision, exported with torch.export, against PyTorch's hooks.

Of one sample of a batch of three, every input and output of every call of every module is asked for
with the command, and:
- each of the file's ports is matched with an argument or result of that very call, one to one. The
  file keeps no order of arguments, so where there are several the values decide.
- values agree within LIMIT of the tensor's largest magnitude. Where they do not, as in deep networks
  of random weights that multiply rounding errors, PyTorch in float64 is the judge: what unbatch is
  off may be TIMES what PyTorch in float32 is off (as it is, without oneDNN, channels last).
- a call that is not in the file must be one that gave back what it was given.
The axis of the samples in every tensor of the program is compared with the program's own symbolic
sizes. Prints a Markdown table.

usage: zoo_torch.py BUILD [NAME...]"""
import collections
import copy
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import torch
from torch.utils._pytree import tree_flatten

import networks

LIMIT, TIMES = 1e-4, 4
SAMPLE = 1
BATCH = networks.BATCH


# ---- PyTorch ------------------------------------------------------------------------------------


def tensors(x):
    """Each tensor once, however often it is named."""
    return list({id(t): t for t in tree_flatten(x)[0] if torch.is_tensor(t)}.values())


class Paths:
    """The path that each call goes by: a module that several own is named after the one that calls
    it, under the name it was last taken by; after its first owner where its caller does not own it."""
    def __init__(self, net):
        self.first = {id(m): p for p, m in reversed(list(net.named_modules()))}
        self.inner, self.taken, self.stack = {}, {}, []

    def __enter__(self):
        self.plain = torch.nn.Module.__getattr__

        def noting(owner, name):
            found = self.plain(owner, name)
            if isinstance(found, torch.nn.Module):
                self.taken[id(owner), id(found)] = name
            return found
        torch.nn.Module.__getattr__ = noting
        return self

    def __exit__(self, *_):
        torch.nn.Module.__getattr__ = self.plain

    def enter(self, module):
        path = self.first[id(module)]
        if self.stack:
            outer, owner = self.stack[-1]
            if id(owner) not in self.inner:
                found = collections.defaultdict(list)
                for p, m in owner.named_modules(remove_duplicate=False):
                    found[id(m)].append(p)
                self.inner[id(owner)] = found
            names = self.inner[id(owner)].get(id(module))
            last = self.taken.get((id(owner), id(module)))
            if names:
                path = f"{outer}.{last if last in names else names[0]}"
        self.stack.append((path, module))
        return path


def hooked(net, x, keep):
    """{module#call: [inputs, outputs, whether it gave back what it was given]}, in the order of the
    calls, as keep() makes them from tensors."""
    seen, counts, stack, handles = collections.OrderedDict(), collections.Counter(), [], []
    paths = Paths(net)

    def before(module, a, k):
        path = paths.enter(module)
        call = counts[path]
        counts[path] += 1
        name = f"{path}#{call}" if call else path
        given = tensors((a, k))
        stack.append((name, given))
        seen[name] = [[keep(name, 0, i, t) for i, t in enumerate(given)], None, False]

    def after(module, a, k, out):
        paths.stack.pop()
        name, given = stack.pop()
        out = tensors(out)
        seen[name][1] = [keep(name, 1, i, t) for i, t in enumerate(out)]
        seen[name][2] = all(any(t is g for g in given) for t in out)

    for module in list(net.modules())[1:]:
        handles += [module.register_forward_pre_hook(before, with_kwargs=True),
                    module.register_forward_hook(after, with_kwargs=True)]
    with torch.no_grad(), paths:
        net(x.clone())
    for h in handles:
        h.remove()
    return seen


def shapes(net, x):
    return hooked(net, x, lambda name, side, i, t: tuple(t.shape))


def one_sample(net, x, fewer):
    """The same, of each tensor only the sample's part; fewer: shapes of a smaller batch."""
    def keep(name, side, i, t):
        grows = [a for a, (n, m) in enumerate(zip(t.shape, fewer[name][side][i])) if n != m]
        if len(grows) == 1:
            n = t.shape[grows[0]] // BATCH
            t = t.narrow(grows[0], SAMPLE * n, n)
            t = t.squeeze(grows[0]) if n == 1 else t
        return t.detach().numpy().copy()
    return hooked(net, x, keep)


# ---- unbatch ------------------------------------------------------------------------------------


def chunks(what):
    """The command takes 256 addresses at once."""
    return [what[i:i + 256] for i in range(0, len(what), 256)]


class Command:
    def __init__(self, build, model, folder):
        self.unbatch, self.map = build / "bin/unbatch", build / "tests/sample_map"
        self.model, self.folder = model, folder

    def json(self, *words):
        run = subprocess.run([self.unbatch, *words, "--json"], capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(run.stderr.strip()[:300])
        return json.loads(run.stdout)

    def layers(self):
        return {r["name"]: r for r in self.json("summary", self.model)["layers"]}

    def values(self, what, batch):
        """Shape and statistics of each."""
        for some in chunks(what):
            yield from self.json("get", self.model, *some, "-x", self.folder / f"x{batch}.npy",
                                 "-q")["values"]

    def statistics(self, what, batch):
        return {v.pop("what"): v for v in self.values(what, batch)}

    def arrays(self, what, batch=BATCH):
        """The values of these addresses."""
        out, found = self.folder / "out.npz", {}
        for some in chunks(what):
            run = subprocess.run([self.unbatch, "get", self.model, *some, "-o", out, "-q",
                                  "-x", self.folder / f"x{batch}.npy"], capture_output=True, text=True)
            if run.returncode:
                raise RuntimeError(run.stderr.strip()[:300])
            with np.load(out) as z:
                found.update(zip(some, (z[k] for k in z.files), strict=True))
        return found

    def places(self, batch):
        """Where the samples are: {value: its map}, {(layer, side): an axis for each port}."""
        run = subprocess.run([self.map, self.model, str(batch)], capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(run.stderr.strip()[:300])
        found = [json.loads(l) for l in run.stdout.splitlines()]
        layers = [l for l in found if "layer" in l]
        return ({v["name"]: v for v in found if "name" in v},
                {(l["layer"], side): l[word] for l in layers for side, word in enumerate(("in", "out"))})


def ports(command, layers, axes):
    """{(layer, side): the sample's arrays}, as the file has them."""
    names = [(l, side, f"{l}:{word}{k}" + (f"[{SAMPLE}]" if axis >= 0 else ""))
             for l, row in layers.items() if not row["missing"]
             for side, word in enumerate(("in", "out")) for k, axis in enumerate(axes[l, side])]
    have = command.arrays(list(dict.fromkeys(n for _, _, n in names)))
    out = collections.defaultdict(list)
    for layer, side, w in names:
        out[layer, side].append(have[w])
    return out


# ---- Comparison ---------------------------------------------------------------------------------


def gap(a, b):
    """The largest difference, relative to b's largest magnitude; None: not alike at all."""
    if a.shape != b.shape:
        return None
    if a.size == 0:
        return 0.
    top = max(float(np.abs(b.astype("f8")).max()), 1e-6)
    return float(np.abs(a.astype("f8") - b.astype("f8")).max()) / top


def match(have, want):
    """For each of the file's tensors one of the call's, each taken once; the closest way. None:
    there is no such way."""
    if len(have) > len(want):
        return None
    gaps = [[gap(h, w) for w in want] for h in have]
    if len(want) > 7:  # too many ways to try them all: the closest that is left, one by one
        way = []
        for row in gaps:
            left = [(g, j) for j, g in enumerate(row) if g is not None and j not in way]
            if not left:
                return None
            way.append(min(left)[1])
        return way
    best = None
    for way in itertools.permutations(range(len(want)), len(have)):
        found = [gaps[i][j] for i, j in enumerate(way)]
        if None not in found and (best is None or max(found, default=0) < best[0]):
            best = max(found, default=0), list(way)
    return best and best[1]


class Result:
    def __init__(self):
        self.compared = self.absent = self.unused = self.several = self.in_order = self.judged = 0
        self.worst = self.ours = self.torchs = 0.
        self.nodes = self.calls = self.tensors = 0
        self.seconds = 0.
        self.wrong, self.far = [], []  # far: (name, ours, the call's place, what it is)


def compare(r, seen, layers, have):
    for name, (given, made, same) in seen.items():
        row = layers.get(name)
        if row is None or row["missing"]:
            r.absent += 1
            if not same:
                r.wrong.append(f"{name}: {row['missing'] if row else 'not in the file'}")
            continue
        for side, want in enumerate((given, made)):
            mine = have[name, side]
            way = match(mine, want)
            if way is None:
                r.wrong.append(f"{name} {('inputs', 'outputs')[side]}: {[a.shape for a in mine]}, "
                               f"PyTorch has {[a.shape for a in want]}")
                continue
            if len(want) > 1:
                r.several += 1
                r.in_order += way == sorted(way)
            r.compared += len(mine)
            r.unused += len(want) - len(mine)
            for a, j in zip(mine, way):
                off = gap(a, want[j])
                r.worst = max(r.worst, off)
                if not off <= LIMIT:
                    r.far.append((name, a, side, j))
    calls = {n for n in layers if not layers[n]["missing"]}
    r.wrong += [f"{n}: PyTorch made no such call" for n in sorted(calls - set(seen))]


def judge(r, net, x, fewer, seen):
    """What was far from PyTorch in float32, against float64. One path of PyTorch may be near it by
    luck: what it is off is the worst of three."""
    if not r.far:
        return
    last = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
    with torch.backends.mkldnn.flags(enabled=False):
        others = [seen, one_sample(net, x, fewer)]
    others.append(one_sample(copy.deepcopy(net).to(memory_format=last),
                             x.contiguous(memory_format=last), fewer))
    exact = one_sample(copy.deepcopy(net).double(), x.double(), fewer)
    for name, a, side, j in r.far:
        truth = exact[name][side][j]
        ours = gap(a, truth)
        torchs = max(gap(o[name][side][j], truth) for o in others)
        r.judged += 1
        r.ours, r.torchs = max(r.ours, ours), max(r.torchs, torchs)
        if not ours <= TIMES * torchs:
            r.wrong.append(f"{name}: {ours:.1e} from float64, PyTorch {torchs:.1e}")


def symbolic(program, found):
    """How many tensors of the program have the samples where its sizes say, and those that do not."""
    count, wrong = 0, []
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor) or node.name not in found or node.op != "call_function":
            continue
        v = found[node.name]
        sizes = [s.node.expr if isinstance(s, torch.SymInt) else s for s in value.shape]
        grows = [a for a, s in enumerate(sizes) if getattr(s, "free_symbols", None)]
        at = {s: BATCH for a in grows for s in sizes[a].free_symbols}
        dims = [int(s.subs(at)) if getattr(s, "free_symbols", None) else int(s) for s in sizes]
        count += 1
        good = v["known"] and v["dims"] == dims and "coupled" not in v and len(grows) <= 1
        if good and grows:
            each = v["outer"] * v["inner"]
            good = v["axis"] == grows[0] and each * BATCH == dims[grows[0]]
        elif good:
            good = v["axis"] == -1
        if not good:
            wrong.append(f"{node.name}: {[str(s) for s in sizes]}, map {v}")
    return count, wrong


def check(build, name, net, x, program, path):
    """path: the exported program; x3.npy lies beside it."""
    fewer = shapes(net, x[:BATCH - 1])
    seen = one_sample(net, x, fewer)
    began = time.monotonic()
    command = Command(build, path, path.parent)
    layers = command.layers()
    found, axes = command.places(BATCH)
    have = ports(command, layers, axes)
    r = Result()
    compare(r, seen, layers, have)
    r.seconds = time.monotonic() - began
    r.tensors, wrong = symbolic(program, found)
    r.wrong += wrong
    judge(r, net, x, fewer, seen)
    r.nodes, r.calls = len(program.graph.nodes), len(seen)
    return r


HEAD = ("| network | nodes | module calls | tensors compared | calls without operations | arguments without a port | several at a border,"
        " in order | largest difference | judged by float64: unbatch, PyTorch | sample axes | seconds |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|")


def line(name, r):
    judged = f"{r.judged}: {r.ours:.1e}, {r.torchs:.1e}" if r.judged else ""
    several = f"{r.several}, {r.in_order}" if r.several else ""
    return (f"| {name} | {r.nodes} | {r.calls} | {r.compared} | {r.absent} | {r.unused} | {several} | {r.worst:.1e} | {judged} "
            f"| {r.tensors} | {r.seconds:.1f} |" + (f" WRONG {len(r.wrong)}: {r.wrong[0][:300]} |" if r.wrong else ""))


def save(folder, net, x):
    """Exports; the files that check() takes."""
    program = networks.export(net, x)
    torch.export.save(program, folder / "m.pt2")
    for n in range(1, BATCH + 1):
        np.save(folder / f"x{n}.npy", (x[SAMPLE:SAMPLE + 1] if n == 1 else x[:n]).numpy())
    return program


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    build, failed = pathlib.Path(sys.argv[1]).resolve(), []
    names = sys.argv[2:] or networks.NAMES
    print(HEAD)
    for name in names:
        try:
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                net, x = networks.build(name)
                r = check(build, name, net, x, save(folder, net, x), folder / "m.pt2")
        except Exception as e:
            r = Result()
            r.wrong.append(f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}")
        print(line(name, r), flush=True)
        failed += [name] if r.wrong else []
    print(f"\n{len(names)} networks, {len(failed)} failed{': ' if failed else ''}{', '.join(failed)}")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
