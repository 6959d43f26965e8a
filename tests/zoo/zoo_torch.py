#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Networks of timm and torchvision, exported with torch.export, against PyTorch's hooks.

Each network has random weights, norms with statistics that are not the defaults, and a small image.
Of one sample of a batch of three, every input and output of every call of every module is asked for
with the command and compared within 1e-3 of the tensor's largest magnitude (deep networks of random
weights lose a few digits more than trained ones). Prints a Markdown table.

usage: zoo_torch.py UNBATCH [NAME...]      UNBATCH: the command"""
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_flatten

LIMIT = 1e-3
SAMPLE = 1
TIMM = {  # name -> (size of the image, arguments)
    "mobilenetv2_050": 64, "mobilenetv3_small_050": 64, "mobilenetv4_conv_small": 64,
    "efficientnet_b0": 64, "resnet18": 64, "resnet50": 64, "seresnet50": 64, "resnext50_32x4d": 64,
    "regnetx_002": 64, "regnety_002": 64, "densenet121": 64, "convnext_atto": 64,
    "convnextv2_atto": 64, "vit_tiny_patch16_224": 64, "deit_tiny_distilled_patch16_224": 64,
    "swin_tiny_patch4_window7_224": 224, "swinv2_tiny_window8_256": 256, "mobilevit_xxs": 64,
    "mobilevitv2_050": 64, "ghostnet_050": 64, "mixer_s32_224": 224, "hrnet_w18_small": 64,
    "inception_v3": 96, "inception_v4": 96, "edgenext_xx_small": 64, "levit_128s": 224,
    "repvgg_a0": 64, "lcnet_050": 64, "mnasnet_small": 64, "maxvit_nano_rw_256": 256,
    "cait_xxs24_224": 224, "coat_tiny": 224, "crossvit_tiny_240": 240, "pit_ti_224": 224,
    "poolformer_s12": 64, "resmlp_12_224": 224, "dm_nfnet_f0": 64, "dla34": 64, "dpn48b": 64,
    "vovnet39a": 64, "xception41": 96, "rexnet_100": 64, "selecsls42": 64, "tnt_s_patch16_224": 224,
    "twins_pcpvt_small": 224, "visformer_tiny": 224, "volo_d1_224": 224, "xcit_nano_12_p16_224": 224,
    "beit_base_patch16_224": 224, "davit_tiny": 224, "efficientformer_l1": 224,
    "eva02_tiny_patch14_224": 224, "fastvit_t8": 64, "focalnet_tiny_srf": 224, "gcvit_xxtiny": 224,
    "hiera_tiny_224": 224, "nest_tiny": 224, "pvt_v2_b0": 64, "sequencer2d_s": 224,
    "cs3darknet_s": 64, "gernet_s": 64, "hardcorenas_a": 64, "repghostnet_050": 64, "tinynet_e": 64,
    "vgg11": 64, "skresnet18": 64, "res2net50_14w_8s": 64, "resnest14d": 64, "bat_resnext26ts": 256,
    "halonet26t": 256, "botnet26t_256": 256, "lambda_resnet26t": 256, "gmlp_s16_224": 224,
    "convmixer_768_32": 64, "efficientvit_b0": 64, "repvit_m0_9": 64, "starnet_s1": 64,
    "shvit_s1": 64, "mambaout_femto": 64, "tiny_vit_5m_224": 224, "nextvit_small": 64,
}
TORCHVISION = {"squeezenet1_1": 64, "shufflenet_v2_x0_5": 64, "googlenet": 64, "alexnet": 96}


def build(name):
    if name in TORCHVISION:
        import torchvision
        extra = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
        return torchvision.models.get_model(name, weights=None, **extra), TORCHVISION[name]
    import timm
    size = TIMM[name]
    extra = {}
    if name.startswith(("vit_", "deit")):
        extra["img_size"] = size
    if name.startswith("convmixer"):
        extra["depth"] = 4
    return timm.create_model(name, pretrained=False, **extra), size


def shake(net):
    """Norms with statistics that are not the defaults."""
    for module in net.modules():
        if isinstance(module, (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)):
            for name, low, high in (("weight", .7, 1.3), ("bias", -.3, .3),
                                    ("running_mean", -.3, .3), ("running_var", .7, 1.5)):
                t = getattr(module, name, None)
                if t is not None:
                    nn.init.uniform_(t, low, high)


def tensors(x):
    return [t.detach().clone() for t in tree_flatten(x)[0] if torch.is_tensor(t)]


def hooked(net, x):
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
        out = net(x.clone())
    for h in handles:
        h.remove()
    return seen, tensors(out)


def wanted(seen, seen_less):
    """What to ask for -> what it must be: samples apart where the batch is an axis."""
    out = collections.OrderedDict()
    for layer, sides in seen.items():
        for word, three, two in (("in", sides[0], seen_less[layer][0]),
                                 ("out", sides[1], seen_less[layer][1])):
            for i, t in enumerate(three):
                axes = [a for a in range(t.dim()) if t.shape[a] != two[i].shape[a]]
                what = f"{layer}:{word}{i}"
                if not axes:
                    out[what] = t.numpy()
                elif len(axes) == 1 and t.shape[axes[0]] % 3 == 0:
                    n = t.shape[axes[0]] // 3
                    part = t.narrow(axes[0], SAMPLE * n, n)
                    out[f"{what}[{SAMPLE}]"] = (part.squeeze(axes[0]) if n == 1 else part).numpy()
    return out


def told(unbatch, model):
    """Layers of the file: why one is not in it, and whether it has an input."""
    run = subprocess.run([unbatch, "summary", "--json", model], capture_output=True, text=True,
                         check=True)
    return {r["name"]: (r["missing"], r["in"]) for r in json.loads(run.stdout)["layers"]}


def ask(unbatch, model, names, feed, folder):
    """The arrays of these names, and why the others are not there."""
    run = subprocess.run([unbatch, "get", model, *names, "-x", feed, "-o", folder / "o.npz", "-q",
                          "-t", "1"],
                         capture_output=True, text=True)
    if run.returncode == 0:
        z = np.load(folder / "o.npz")
        return {n: z[k] for n, k in zip(names, z.files)}, {}
    if len(names) == 1:
        return {}, {names[0]: run.stderr.strip()}
    half = len(names) // 2
    a, b = ask(unbatch, model, names[:half], feed, folder)
    c, d = ask(unbatch, model, names[half:], feed, folder)
    return {**a, **c}, {**b, **d}


def excused(what, why, want, seen):
    """Tensors that the file cannot have: FORMATS of .pt2 leave out modules without operations,
    second copies of an argument, and arguments that are not used or are weights."""
    return ("no operations of its own" in why or "there is no :in" in why or
            "has no inputs" in why or "no input" in why)


def check(unbatch, name):
    torch.manual_seed(0)
    net, size = build(name)
    net.eval()
    shake(net)
    x = torch.randn(3, 3, size, size)
    seen, outs = hooked(net, x)
    seen_less, _ = hooked(net, x[:2])
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(net, (x,), dynamic_shapes=({0: batch},))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        torch.export.save(program, folder / "m.pt2")
        np.save(folder / "x.npy", x.numpy())
        want = wanted(seen, seen_less)
        layers = told(unbatch, folder / "m.pt2")
        began = time.time()
        missing, asked = {}, []
        for what in want:
            layer, port = what.rsplit(":", 1)
            why, given = layers.get(layer, ("the layer is not in the file", None))
            if why or (port.startswith("in") and given is None):
                missing[what] = why or "has no inputs"
            else:
                asked.append(what)
        have, more = ask(unbatch, folder / "m.pt2", asked, folder / "x.npy", folder)
        missing.update(more)
        took = time.time() - began
    worst, wrong = 0., []
    for what, a in have.items():
        t = want[what]
        if a.shape != t.shape:
            wrong.append(f"{what}: shape {a.shape}, expected {t.shape}")
            continue
        if t.size == 0:
            continue
        top = max(float(np.abs(t.astype("f8")).max()), 1e-6)
        gap = float(np.abs(a.astype("f8") - t.astype("f8")).max()) / top
        worst = max(worst, gap)
        if not gap <= LIMIT:
            wrong.append(f"{what}: {gap:.1e}")
    for what, why in missing.items():
        if not excused(what, why, want, seen):
            wrong.append(f"{what}: {why}")
    return {"nodes": len(program.graph.nodes), "layers": len(seen), "compared": len(have),
            "absent": len(missing), "worst": worst, "wrong": wrong, "seconds": took}


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    unbatch = sys.argv[1]
    names = sys.argv[2:] or [*TIMM, *TORCHVISION]
    failed = []
    print("| network | nodes | module calls | compared | not in the file | largest difference | |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        try:
            r = check(unbatch, name)
        except Exception as e:  # a network that cannot be exported is no fault of the loader
            print(f"| {name} | - | - | - | - | - | {type(e).__name__}: {str(e)[:80]!r} |", flush=True)
            failed.append(name)
            continue
        verdict = "ok" if not r["wrong"] else f"WRONG {len(r['wrong'])}: {r['wrong'][0][:300]}"
        print(f"| {name} | {r['nodes']} | {r['layers']} | {r['compared']} | {r['absent']} |"
              f" {r['worst']:.1e} | {verdict} |", flush=True)
        if r["wrong"]:
            failed.append(name)
    print(f"\n{len(names) - len(failed)} of {len(names)} networks")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
