# SPDX-License-Identifier: Apache-2.0
"""Cases of products, convolutions, normalisations, pools, recurrent networks, attention, resizing."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from aten_case import Input, b, case, f, fixed, i, u

A = torch.ops.aten
I32, F16, F64 = torch.int32, torch.float16, torch.float64


def w(*shape):
    return fixed(torch.randn(*shape) * 0.5)


# ---- Products ------------------------------------------------------------------------------------

case(F.linear, f(6), w(4, 6), w(4))
case(F.linear, f(6), w(4, 6))
case(F.linear, f(3, 6), w(4, 6), w(4))
case(F.linear, f(6), w(6))
case(F.linear, f(6, dtype=F64), fixed(torch.randn(4, 6, dtype=F64)), rtol=1e-9)
case(nn.Linear(5, 3), f(2, 3, 5))
for fn in (torch.matmul, A.matmul.default):
    case(fn, f(3, 4), f(4, 5))
    case(fn, f(3, 4), w(4, 5))
    case(fn, f(4), w(4, 5))
    case(fn, f(3, 4), w(4))
    case(fn, f(2, 3, 4), f(1, 4, 5))
    case(fn, w(2, 3, 4), f(1, 4, 2))
    case(fn, f(3, 4, dtype=F64), f(4, 2, dtype=F64), rtol=1e-9)
    case(fn, i(-5, 5, 3, 4), i(-5, 5, 4, 2))
case(torch.mm, f(4), w(4, 5))
case(lambda x, y: torch.mm(y, x.t()), f(4), w(3, 4), axis=1)
case(torch.bmm, f(3, 4), f(4, 2))
case(torch.mv, f(4), w(4))
case(lambda x, y: torch.dot(x, y) + 0, w(4), w(4), axis=None, alone=False)
case(torch.inner, f(4), w(4))
case(torch.inner, f(3, 4), w(5, 4))
case(lambda x, y: torch.vdot(x, y), w(4), w(4), axis=None, alone=False)
case(torch.addmm, w(5), f(4), w(4, 5))
case(lambda s, x, y: torch.addmm(s, x, y, beta=0.5, alpha=2), f(5), f(4), w(4, 5))
case(lambda s, x, y: torch.addmm(s, x, y, beta=0), f(5), f(4), w(4, 5))
case(lambda s, x, y: torch.addmm(s, x, y, beta=2, alpha=3), i(0, 5, 5), i(0, 5, 4), fixed(torch.ones(4, 5, dtype=torch.int64)))
case(torch.addmv, f(), f(4), w(4))
case(lambda s, x, y: torch.addmv(s, x, y, beta=0.5, alpha=2), f(), f(4), w(4))
case(torch.baddbmm, f(3, 2), f(3, 4), f(4, 2))
case(lambda s, x, y: torch.baddbmm(s, x, y, beta=0.5, alpha=-1), f(1, 2), f(3, 4), f(4, 2))
case(lambda s, x, y: torch.baddbmm(s, x, y, beta=0), f(3, 2), f(3, 4), f(4, 2))
case(lambda s, x, y: torch.addbmm(s, x, y), w(3, 2), f(3, 4), f(4, 2), axis=None)
case(lambda s, x, y: torch.addr(s, x, y), f(3), f(), w(3))
case(torch.outer, f(), w(3))
case(torch.ger, f(), w(3))
case(lambda x, y: torch.tensordot(x, y, 1), f(3, 4), w(4, 5))
case(lambda x, y: torch.tensordot(x, y, ([1, 2], [1, 0])), f(3, 4), w(4, 3, 2))
case(lambda x, y: torch.linalg.cross(x, y, dim=1), f(3, 2), f(3, 2))
case(lambda x, y: torch.cross(x, y, dim=-1), f(2, 3), f(2, 3))
for eq, shapes in (("bi,oi->bo", ((6,), (4, 6))), ("bij,bjk->bik", ((3, 4), (4, 2))),
                   ("b i j -> b j i", ((3, 4),)), ("bii->bi", ((3, 3),)), ("bij->b", ((3, 4),)),
                   ("...i,ij->...j", ((3, 4), (4, 2))), ("bhid,bhjd->bhij", ((2, 3, 4), (2, 5, 4))),
                   ("bi,bi->b", ((3,), (3,))), ("bi,ij,bj->b", ((3,), (3, 2), (2,)))):
    inputs = [w(*s) if s and k and eq.split(",")[k].strip()[0] not in "b." else f(*s)
              for k, s in enumerate(shapes)]
    case(lambda *xs, eq=eq: torch.einsum(eq, *xs), *inputs, label=eq)
case(F.bilinear, f(3), f(4), w(5, 3, 4), w(5))
case(F.bilinear, f(2, 3), f(2, 4), w(5, 3, 4))
case(F.cosine_similarity, f(5), f(5))
case(lambda x, y: F.cosine_similarity(x, y, dim=-1, eps=0.5), u(0, 0.1, 3, 5), u(0, 0.1, 3, 5))
case(lambda x, y: F.cosine_similarity(x, y, dim=2), f(3, 5), f(1, 5))
case(F.pairwise_distance, f(5), f(5))
for p in (2.0, 1.0, math.inf, 3.0, 0.0):
    case(lambda x, y, p=p: torch.cdist(x, y, p), f(3, 4), f(5, 4), label=str(p), rtol=2e-5)
case(lambda x, y: torch.cdist(x, y, compute_mode="use_mm_for_euclid_dist"), f(3, 4), f(5, 4), rtol=1e-4)
case(lambda x, y: torch.cdist(x, y), f(30, 4), f(28, 4), rtol=1e-4)
case(lambda j, t: F.embedding(j, t), i(0, 7, 3), w(7, 4))
case(lambda j, t: F.embedding(j, t, padding_idx=2), i(0, 7, 3), w(7, 4))
case(nn.Embedding(7, 3), i(0, 7, 2, dtype=I32))
for mode in ("sum", "mean", "max"):
    case(lambda j, t, m=mode: F.embedding_bag(j, t, mode=m), i(0, 7, 3), w(7, 4), label=mode)
    case(lambda j, t, m=mode: F.embedding_bag(j, t, mode=m, padding_idx=2), i(0, 7, 6), w(7, 4), label=mode)
case(lambda j, t, s: F.embedding_bag(j, t, per_sample_weights=s, mode="sum"), i(0, 7, 3), w(7, 4), f(3))

# ---- Convolutions --------------------------------------------------------------------------------

for n in (1, 2, 3):
    conv = getattr(F, f"conv{n}d")
    back = getattr(F, f"conv_transpose{n}d")
    x = f(4, *(7, 6, 5)[:n])
    k = (3, 2, 3)[:n]
    case(conv, x, w(6, 4, *k), w(6), label=f"{n}")
    case(conv, x, w(6, 4, *k), label=f"{n}")
    for options in (dict(stride=2), dict(padding=1), dict(dilation=2), dict(groups=2), dict(groups=4),
                    dict(padding="same"), dict(padding="valid"), dict(padding="same", dilation=2),
                    dict(stride=(2, 1, 3)[:n], padding=(1, 0, 2)[:n], dilation=(1, 2, 1)[:n], groups=2)):
        g = options.get("groups", 1)
        case(lambda x, w, b, c=conv, o=options: c(x, w, b, **o), x, w(8, 4 // g, *k), w(8), label=f"conv{n} {options}")
    for options in (dict(), dict(stride=2), dict(padding=1), dict(dilation=2), dict(groups=2), dict(groups=4),
                    dict(stride=2, output_padding=1), dict(stride=3, padding=1, output_padding=2, groups=2),
                    dict(stride=(2, 1, 3)[:n], padding=(1, 0, 1)[:n], output_padding=(1, 0, 2)[:n], dilation=(1, 1, 2)[:n])):
        g = options.get("groups", 1)
        case(lambda x, w, b, c=back, o=options: c(x, w, b, **o), x, w(4, 8 // g, *k), w(8), label=f"transposed{n} {options}")
case(lambda x, k: A.convolution.default(x, k, None, [2, 1], [1, 0], [1, 1], False, [0, 0], 1), f(4, 6, 5), w(3, 4, 3, 2))
case(lambda x, k, c: A.convolution.default(x, k, c, [2], [1], [1], True, [1], 1), f(4, 6), w(4, 3, 3), w(3))
case(lambda x, k, c: A._convolution.default(x, k, c, [2], [1], [1], False, [0], 1, False, False, False, False), f(4, 6), w(3, 4, 3), w(3))
case(lambda x, k, c: F.conv2d(x[0], k, c) + 0, f(4, 6, 5), w(3, 4, 3, 2), w(3), axis=None, alone=False)
case(nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), f(4, 6, 5))
case(nn.Conv2d(4, 6, 3, padding=(1, 2), padding_mode="replicate"), f(4, 6, 5))
case(nn.Conv1d(4, 6, 3, padding=2, padding_mode="circular"), f(4, 6))
case(nn.Conv2d(4, 6, 3, padding="same", padding_mode="zeros", dilation=(1, 2)), f(4, 6, 5))
case(nn.Conv2d(4, 4, 4, padding="same"), f(4, 6, 5))

# ---- Normalisations ------------------------------------------------------------------------------

for shape in ((4,), (4, 5), (4, 3, 2), (4, 2, 3, 2)):
    case(lambda x, m, v, s, o: F.batch_norm(x, m, v, s, o), f(*shape), w(4), fixed(torch.rand(4) + 0.5), w(4), w(4), label=str(shape))
    case(lambda x, m, v: F.batch_norm(x, m, v, eps=0.1), f(*shape), w(4), fixed(torch.rand(4) + 0.5), label=str(shape))
case(lambda x, m, v, s: F.batch_norm(x, m, v, s), f(4, 3), w(4), fixed(torch.rand(4) + 0.5), w(4))
VAR = fixed(torch.rand(4) + 0.5)
case(lambda x, m, v, s, o: A._native_batch_norm_legit_no_training.default(x, s, o, m, v, 0.1, 1e-3)[0], f(4, 3), w(4), VAR, w(4), w(4))
case(lambda x, m, v, s, o: A.native_batch_norm.default(x, s, o, m, v, False, 0.1, 1e-3)[0], f(4, 3), w(4), VAR, w(4), w(4), only=("dynamic", "static"))
case(lambda x, m, v, s, o: A._native_batch_norm_legit.default(x, s, o, m, v, False, 0.1, 1e-3)[0], f(4, 3), w(4), VAR, w(4), w(4), only=("dynamic", "static"))
case(lambda x, m, v, s, o: A._batch_norm_no_update.default(x, s, o, m, v, 0.1, 1e-3)[0], f(4, 3), w(4), VAR, w(4), w(4), only=("dynamic", "static"))
case(lambda x, m, v: A._native_batch_norm_legit_functional.default(x, None, None, m, v, True, 0.1, 1e-3)[0], f(4, 3), w(4), VAR, refuse="train mode", only=("dynamic",))
for shape in ((4, 5), (4, 3, 5), (4, 2, 3, 3)):
    case(lambda x, s, o: F.instance_norm(x, weight=s, bias=o), f(*shape), w(4), w(4), label=str(shape))
    case(lambda x: F.instance_norm(x, eps=0.1), f(*shape), label=str(shape))
    case(lambda x, m, v: F.instance_norm(x, m, v, use_input_stats=False), f(*shape), w(4), VAR, label=str(shape))
    case(lambda x, s, o: F.group_norm(x, 2, s, o), f(*shape), w(4), w(4), label=str(shape))
    case(lambda x: F.group_norm(x, 4, eps=0.1), f(*shape), label=str(shape))
case(lambda x: F.group_norm(x, 2), f(4))
case(lambda x, s: F.group_norm(x, 1, s), f(4, 3), w(4))
case(lambda x, s, o: A.native_group_norm.default(x, s, o, x.shape[0], 4, 6, 2, 1e-5)[0], f(4, 6), w(4), w(4))
case(lambda x, s, o: F.layer_norm(x, (5,), s, o), f(3, 5), w(5), w(5))
case(lambda x, s, o: F.layer_norm(x, (3, 5), s, o, 0.1), f(3, 5), w(3, 5), w(3, 5))
case(lambda x: F.layer_norm(x, (5,)), f(3, 5))
case(lambda x, s: F.layer_norm(x, (5,), s), f(3, 5), w(5))
case(lambda x, o: F.layer_norm(x, (5,), None, o), f(3, 5), w(5))
case(lambda x, s, o: A.native_layer_norm.default(x, [5], s, o, 1e-3)[0], f(3, 5), w(5), w(5))
case(lambda x, s, o: A.native_layer_norm.default(x, [5], s, o, 1e-3), f(3, 5), w(5), w(5))
case(lambda x, s: F.rms_norm(x, (5,), s), f(3, 5), w(5))
case(lambda x: F.rms_norm(x, (3, 5), eps=0.1), f(3, 5))
case(lambda x: F.rms_norm(x, (5,)), f(3, 5, scale=1e-3), rtol=1e-4)
case(lambda x, s: A._fused_rms_norm.default(x, [5], s, 1e-3)[0], f(3, 5), w(5))
case(nn.LocalResponseNorm(3), f(6, 3, 2))
case(nn.LocalResponseNorm(2, 0.5, 0.6, 2.0), f(6, 3, 2))

# ---- Pools ---------------------------------------------------------------------------------------

for n in (1, 2, 3):
    x = f(2, *(9, 8, 7)[:n])
    top, mean = getattr(F, f"max_pool{n}d"), getattr(F, f"avg_pool{n}d")
    for options in (dict(), dict(stride=1), dict(padding=1), dict(stride=2, ceil_mode=True),
                    dict(stride=2, padding=1, ceil_mode=True), dict(stride=3, padding=1, ceil_mode=True)):
        case(lambda x, p=top, o=options: p(x, 3, **o), x, label=f"max{n} {options}")
        case(lambda x, p=top, o=options: p(x, 3, return_indices=True, **o), x, label=f"max{n} {options} indices")
        for counted in (True, False):
            case(lambda x, p=mean, o=options, c=counted: p(x, 3, count_include_pad=c, **o), x, label=f"avg{n} {options} {counted}")
    case(lambda x, p=top: p(x, 2, stride=1, dilation=2), x, label=f"max{n} dilation")
    case(lambda x, p=top, n=n: p(x, (3, 2, 2)[:n], (2, 1, 2)[:n], (1, 0, 1)[:n]), x, label=f"max{n} lists")
    case(lambda x, p=mean, n=n: p(x, (3, 2, 2)[:n], (2, 1, 2)[:n], (1, 0, 1)[:n]), x, label=f"avg{n} lists")
    case(lambda x, p=mean, t=top, n=n: (p(x[0], 2) + 0, t(x[0], 2) + 0), x, axis=None, alone=False, label=f"pool{n} single")
    if n > 1:
        case(lambda x, p=mean: p(x, 3, 2, 1, divisor_override=5), x, label=f"avg{n} divisor")
        case(lambda x, p=mean: p(x, 3, 2, 1, ceil_mode=True, divisor_override=5), x, refuse="divisor_override with ceil_mode", only=("dynamic",), label=f"avg{n} divisor")
    for out in ((1, 1, 1), (3, 2, 1), (4, 5, 3), (9, 4, 7), (5, 8, 2)):
        o = out[:n]
        case(lambda x, o=o, n=n: getattr(F, f"adaptive_avg_pool{n}d")(x, o), x, label=f"adaptive avg{n} {o}")
        case(lambda x, o=o, n=n: getattr(F, f"adaptive_max_pool{n}d")(x, o), x, label=f"adaptive max{n} {o}")
        uneven = any(s % k for s, k in zip((9, 8, 7), o))
        case(lambda x, o=o, n=n: getattr(F, f"adaptive_max_pool{n}d")(x, o, return_indices=True)[1], x,
             refuse="with output 1" if uneven else None, only=("dynamic",) if uneven else ("dynamic", "static", "decomposed"),
             label=f"adaptive max{n} {o} indices")
    if n > 1:
        case(lambda x, n=n: getattr(F, f"adaptive_avg_pool{n}d")(x, (None, 2, 3)[:n]), x)
case(lambda x: A.max_pool1d_with_indices.default(x, [3], [2], [1]), f(2, 9))
case(lambda x: A.max_pool2d_with_indices.default(x, [3, 2]), f(2, 9, 8))
case(lambda x: A.max_pool3d_with_indices.default(x, [2, 2, 2])[0], f(2, 4, 4, 6))
case(lambda x: A._adaptive_avg_pool2d.default(x, [2, 3]), f(2, 4, 5))
case(lambda x: A._adaptive_avg_pool3d.default(x, [2, 3, 2]), f(2, 4, 5, 4))
case(lambda x: F.lp_pool2d(x, 2, 2), u(0, 1, 2, 4, 6))

# ---- Recurrent networks --------------------------------------------------------------------------


class Recurrent(nn.Module):
    """A recurrent network whose first states are given, or not; all that it returns."""

    def __init__(self, kind, states=False, **options):
        super().__init__()
        self.inner, self.states = kind(4, 3, **options), states

    def forward(self, x):
        r, at = self.inner, 0 if self.inner.batch_first else 1
        if not self.states:
            out, h = r(x)
        else:
            d = (2 if r.bidirectional else 1) * r.num_layers
            c = torch.linspace(-1, 1, 3).expand(d, x.shape[at], 3)
            p = torch.linspace(-1, 1, r.proj_size or 3).expand(d, x.shape[at], r.proj_size or 3)
            out, h = r(x, (p, c) if isinstance(r, nn.LSTM) else p)
        return (out, *h) if isinstance(h, tuple) else (out, h)


for kind in (nn.LSTM, nn.GRU, nn.RNN):
    for first in (False, True):
        x = f(5, 4, at=0 if first else 1)
        axis = (0 if first else 1, 1, 1)[:3 if kind is nn.LSTM else 2]
        for options in (dict(), dict(bidirectional=True), dict(num_layers=2), dict(bias=False),
                        dict(num_layers=2, bidirectional=True, dropout=0.5), dict(states=True),
                        dict(states=True, num_layers=2, bidirectional=True)):
            # A decomposed one is unrolled: its layers are the loader's other operators.
            only = ("dynamic", "static", "decomposed") if options in (dict(), dict(bidirectional=True)) else ("dynamic", "static")
            case(Recurrent(kind, batch_first=first, **options).eval(), x, axis=axis, only=only,
                 label=f"{kind.__name__} {first} {options}", rtol=2e-5)
case(Recurrent(nn.RNN, nonlinearity="relu").eval(), f(5, 4, at=1), axis=(1, 1))
case(Recurrent(nn.RNN, nonlinearity="relu", bidirectional=True, batch_first=True).eval(), f(5, 4), axis=(0, 1))
for options in (dict(), dict(bidirectional=True, num_layers=2), dict(states=True, batch_first=True)):
    case(Recurrent(nn.LSTM, proj_size=2, **options).eval(), f(5, 4, at=0 if "states" in options else 1),
         axis=(0 if "states" in options else 1, 1, 1), label=f"proj_size {options}", only=("dynamic",), refuse="proj_size, is not supported")
for cell in (nn.GRUCell, nn.RNNCell):
    case(cell(4, 3), f(4), f(3))
    case(cell(4, 3, bias=False), f(4), f(3))
    case(cell(4, 3), f(4))
case(nn.RNNCell(4, 3, nonlinearity="relu"), f(4), f(3))


class Cell(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.inner = nn.LSTMCell(4, 3, **options)

    def forward(self, x, h, c):
        return self.inner(x, (h, c))


case(Cell(), f(4), f(3), f(3))
case(Cell(bias=False), f(4), f(3), f(3))

# ---- Attention -----------------------------------------------------------------------------------

Q, K, V = f(2, 5, 8), f(2, 6, 8), f(2, 6, 8)
S = F.scaled_dot_product_attention
case(S, Q, K, V)
case(lambda q, k, v: S(q, k, v, is_causal=True), Q, K, V)
case(lambda q, k, v: S(q, k, v, is_causal=True), Q, Q, Q)
case(lambda q, k, v: S(q, k, v, scale=0.3), Q, K, V)
case(S, Q, K, V, b(1, 5, 6))
case(S, Q, K, V, fixed(torch.rand(5, 6) < 0.6))
case(S, Q, K, V, fixed(torch.zeros(5, 6, dtype=torch.bool)))
case(S, Q, K, V, f(2, 5, 6))
case(S, f(5, 8), f(6, 8), f(6, 3))
case(lambda q, k, v: S(q, k, v, enable_gqa=True), f(4, 5, 8), f(2, 6, 8), f(2, 6, 8))
case(lambda q, k, v: S(q, k, v, enable_gqa=True, is_causal=True), f(6, 5, 8), f(2, 5, 8), f(2, 5, 4))
case(S, f(2, 5, 8, dtype=F64), f(2, 6, 8, dtype=F64), f(2, 6, 8, dtype=F64), rtol=1e-9)
case(lambda q, k, v: A._scaled_dot_product_flash_attention_for_cpu.default(q, k, v)[0], Q, K, V)
case(lambda q, k, v: A._scaled_dot_product_flash_attention_for_cpu.default(q, k, v, 0.0, True)[0], Q, Q, Q)
case(lambda q, k, v: A._scaled_dot_product_attention_math.default(q, k, v, scale=0.2)[0], Q, K, V)


class Attend(nn.Module):
    def __init__(self, weights=False, **options):
        super().__init__()
        self.inner, self.weights = nn.MultiheadAttention(8, 2, batch_first=True, **options), weights

    def forward(self, q, k, v):
        out = self.inner(q, k, v, need_weights=self.weights)
        return out if self.weights else out[0]


case(Attend().eval(), f(5, 8), f(6, 8), f(6, 8))
case(Attend(True).eval(), f(5, 8), f(6, 8), f(6, 8))
case(Attend(True, add_bias_kv=True, bias=False).eval(), f(5, 8), f(6, 8), f(6, 8))
case(Attend(add_zero_attn=True).eval(), f(5, 8), f(6, 8), f(6, 8))
case(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True).eval(), f(5, 8), f(6, 8), rtol=2e-5)

# ---- Resizing ------------------------------------------------------------------------------------

for n, modes in ((1, ("linear",)), (2, ("bilinear", "bicubic")), (3, ("trilinear",))):
    x = f(2, *(5, 4, 3)[:n])
    for mode in ("nearest", "nearest-exact", *modes):
        corners = (None,) if "nearest" in mode else (False, True)
        for align in corners:
            for options in (dict(size=(7, 9, 5)[:n]), dict(scale_factor=2), dict(size=(3, 2, 2)[:n]),
                            dict(scale_factor=(1.5, 0.6, 2.0)[:n]), dict(scale_factor=0.7),
                            dict(scale_factor=1.7, recompute_scale_factor=True)):
                case(lambda x, m=mode, c=align, o=options: F.interpolate(x, mode=m, align_corners=c, **o), x,
                     label=f"{mode} {align} {options}")
for mode in ("bilinear", "bicubic"):
    for options in (dict(size=(3, 4)), dict(scale_factor=0.6), dict(size=(9, 12)), dict(size=(3, 12), align_corners=True)):
        align = "align_corners" in options
        case(lambda x, m=mode, o=options: F.interpolate(x, mode=m, antialias=True, **o), f(2, 8, 7), label=f"aa {mode} {options}",
             refuse="antialias with align_corners" if align else None, only=("dynamic",) if align else ("dynamic", "static", "decomposed"))
case(nn.Upsample(scale_factor=2, mode="nearest"), f(2, 3, 4))
case(lambda x: A.upsample_nearest2d.default(x, [6, 8], 2.0, 2.0), f(2, 3, 4))
case(lambda x: A.upsample_bilinear2d.default(x, [6, 7], False, None, None), f(2, 3, 4))
for n, mode in ((2, "bilinear"), (2, "nearest"), (2, "bicubic"), (3, "bilinear"), (3, "nearest")):
    for border in ("zeros", "border", "reflection"):
        for align in (False, True):
            case(lambda x, g, m=mode, p=border, c=align: F.grid_sample(x, g, m, p, c),
                 f(2, *(4, 5, 3)[:n]), u(-1.3, 1.3, *(3, 4, 2)[:n], n), label=f"grid {n} {mode} {border} {align}", rtol=2e-5,
                 refuse="bicubic and padding_mode" if (mode, border) == ("bicubic", "border") else None)
case(lambda x, g: A.grid_sampler_2d.default(x, g, 0, 0, False), f(2, 4, 5), u(-1.2, 1.2, 3, 4, 2))
case(lambda x, g: A.grid_sampler_3d.default(x, g, 0, 1, True), f(2, 4, 5, 3), u(-1.2, 1.2, 3, 4, 2, 3))
for align in (False, True):
    case(lambda t, c=align: F.affine_grid(t, (t.shape[0], 2, 4, 5), c), f(2, 3), label=str(align))
    case(lambda t, c=align: F.affine_grid(t, (t.shape[0], 2, 3, 4, 5), c), f(3, 4), label=str(align), refuse="with 5 sizes", only=("dynamic",))
