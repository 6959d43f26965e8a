#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data: exports the networks of model_networks.py with both exporters of PyTorch, and
writes what PyTorch's hooks see at every call of every module.

    onnx/NETWORK.VARIANT.onnx  the exported files, without stack traces
    captures/NETWORK.npz       "input[.I]", "output[.I]" and "LAYER/in0", "LAYER/out0", ...; equal
                               arrays are stored once
    captures/layers.tsv        one line per exported file, layer and side: see write_table()

Not run by the tests: it needs torch 2.13, onnx 1.23.2, onnxscript, onnxruntime.
usage: make_models.py DATA [NETWORK...]"""
import collections
import pathlib
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.utils._pytree import tree_flatten

import model_networks

BATCH = 6
FOLDED = ("resnet_tiny", "mlp", "mobilenetv3_tiny", "norms", "stems")  # also exported without folding


# ---- What PyTorch sees -------------------------------------------------------------------------


def tensors(x):
    return [t.detach().clone() for t in tree_flatten(x)[0] if torch.is_tensor(t)]


def hooked(net, args):
    """{"path#call": (inputs, outputs)} in the order of the calls, and the network's outputs."""
    seen, counts, stack, handles = collections.OrderedDict(), collections.Counter(), [], []
    for path, module in net.named_modules():
        def before(_, a, k, path=path):
            call = counts[path]
            counts[path] += 1
            stack.append(f"{path}#{call}" if call else path)
            seen[stack[-1]] = [tensors((a, k)), None]

        def after(_, a, k, out):
            seen[stack.pop()][1] = tensors(out)
        if path:
            handles += [module.register_forward_pre_hook(before, with_kwargs=True),
                        module.register_forward_hook(after, with_kwargs=True)]
    with torch.no_grad():
        out = net(*[a.clone() for a in args])
    for h in handles:
        h.remove()
    return seen, tensors(out)


def batch_axis(six, five):
    """The axis along which the batch runs and the entries a sample has there; "-": there is none."""
    axes = [i for i in range(len(six)) if six[i] != five[i]]
    if len(six) != len(five) or len(axes) != 1 or six[axes[0]] * 5 != five[axes[0]] * 6:
        return "-"
    return f"{axes[0]}*{six[axes[0]] // 6}"


class Store(dict):
    """Arrays by name; an equal one is found again."""
    def put(self, key, array):
        array = np.asarray(array)
        for k, have in self.items():
            if have.shape == array.shape and have.dtype == array.dtype and (have == array).all():
                return k
        self[key] = array
        return key


def shake(net):
    """Norms with statistics that are not the defaults, so that folding shows."""
    for module in net.modules():
        if isinstance(module, (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)):
            for name, low, high in (("weight", .5, 1.5), ("bias", -.5, .5),
                                    ("running_mean", -.5, .5), ("running_var", .5, 2.)):
                t = getattr(module, name, None)
                if t is not None:
                    nn.init.uniform_(t, low, high)


# ---- Exported files ----------------------------------------------------------------------------


def export(net, args, path, variant):
    """Batch 4 of the inputs, with a free batch."""
    ins = ["input"] if len(args) == 1 else [f"input_{i}" for i in range(len(args))]
    with torch.no_grad():
        n_outs = len(tensors(net(*args)))
    outs = ["output"] if n_outs == 1 else [f"output_{i}" for i in range(n_outs)]
    common = {"input_names": ins, "output_names": outs}
    if variant.startswith("dynamo"):
        torch.onnx.export(net, args, str(path), dynamo=True, optimize=variant != "dynamo_noopt",
                          external_data=variant == "dynamo_external", verbose=False,
                          dynamic_shapes=tuple({0: "batch"} for _ in args), **common)
    else:
        torch.onnx.export(net, args, str(path), dynamo=False, opset_version=17,
                          do_constant_folding=variant != "torchscript_nofold",
                          dynamic_axes={k: {0: "batch"} for k in ins}, **common)
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        kept = [p for p in node.metadata_props if p.key != "pkg.torch.onnx.stack_trace"]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    path.write_bytes(model.SerializeToString())


def all_values(path, feeds):
    """Every value of a file, by ONNX Runtime without its optimisations."""
    model = onnx.load(path)
    have = {o.name for o in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in have:
                model.graph.output.append(onnx.ValueInfoProto(name=name))
                have.add(name)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    names = [i.name for i in model.graph.input]
    values = dict(zip(names, feeds))
    values.update(zip([o.name for o in session.get_outputs()], session.run(None, values)))
    return values


def close(a, b):
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.allclose(a, b, rtol=1e-3, atol=1e-4))


def write_table(lines, file, network, seen, seen5, store, values):
    """file, network, layer, side, then per tensor that the hook saw: its key in the npz, its batch
    axis and entries per sample, and the values of the file that are equal to it ("-": none)."""
    for layer, sides in seen.items():
        for side, word in enumerate(("in", "out")):
            cells = []
            for i, t in enumerate(sides[side]):
                key = store.put(f"{layer}/{word}{i}", t.numpy())
                equal = [n for n, v in values.items() if close(v, t.numpy())]
                axis = batch_axis(t.shape, seen5[layer][side][i].shape)
                cells.append(f"{key} {axis} {' '.join(equal) or '-'}")
            lines.append("\t".join([file, network, layer, word] + cells))


def make(data, network):
    build, inputs = model_networks.ALL[network]
    torch.manual_seed(1234)
    net = build().eval()
    shake(net)
    six, five = inputs(BATCH), inputs(5)
    seen, outs = hooked(net, six)
    seen5, _ = hooked(net, five)
    store, lines = Store(), []
    for i, a in enumerate(six):
        store["input" if len(six) == 1 else f"input.{i}"] = a.numpy()
    variants = ["dynamo"] if network == "cancelled" else ["dynamo", "torchscript"]
    variants += ["dynamo_noopt", "torchscript_nofold"] if network in FOLDED else []
    variants += ["dynamo_external"] if network == "resnet_tiny" else []
    for variant in variants:
        path = data / "onnx" / f"{network}.{variant}.onnx"
        export(net, inputs(4), path, variant)
        values = all_values(path, [a.numpy() for a in six])
        write_table(lines, path.name, network, seen, seen5, store, values)
    for i, o in enumerate(outs):
        store.put("output" if len(outs) == 1 else f"output.{i}", o.numpy())
    np.savez(data / "captures" / f"{network}.npz", **store)
    return lines


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    data = pathlib.Path(sys.argv[1])
    table = data / "captures" / "layers.tsv"
    wanted = sys.argv[2:] or list(model_networks.ALL)
    kept = table.read_text().splitlines() if table.exists() else []
    lines = [line for line in kept if line.split("\t")[1] not in wanted]
    for network in wanted:
        lines += make(data, network)
    table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
