# SPDX-License-Identifier: Apache-2.0
"""Cases of operators that move elements, make tensors, index, and write in place."""
import math

import torch
import torch.nn.functional as F

from aten_case import b, case, f, fixed, i, u

A = torch.ops.aten
I32, I64, F16, F64, U8 = torch.int32, torch.int64, torch.float16, torch.float64, torch.uint8

# ---- Shapes --------------------------------------------------------------------------------------

case(lambda x: x.view(-1, 12), f(3, 4))
case(lambda x: x.view(x.shape[0], 2, 6), f(3, 4))
case(lambda x: x.reshape(x.shape[0] * 3, 4), f(3, 4), axis=None)
case(lambda x: x.reshape(x.shape[0] * 3, 4).relu().reshape(-1, 3, 4), f(3, 4))
case(lambda x: x.transpose(1, 2).reshape(-1, 12), f(3, 4))
case(lambda x: x.transpose(1, 2).contiguous().view(-1, 12), f(3, 4))
case(lambda x: A._unsafe_view.default(x, [-1, 2, 6]), f(3, 4))
case(lambda x: A.view_copy.default(x, [-1, 2, 6]), f(3, 4))
case(lambda x, y: x.view_as(y), f(12), f(3, 4))
case(lambda x, y: x.reshape_as(y), f(2, 6), f(3, 4))
case(torch.flatten, f(3, 4), axis=None)
case(lambda x: torch.flatten(x, 1), f(3, 4, 2))
case(lambda x: torch.flatten(x, 1, 2), f(3, 4, 2))
case(lambda x: torch.flatten(x, -2), f(3, 4, 2))
case(lambda x: torch.flatten(x, 0, 1), f(3, 4), axis=None)
case(lambda x: torch.flatten(x.sum()), f(3), axis=None)
case(torch.ravel, f(3, 4), axis=None)
case(lambda x: x.unflatten(1, (2, 3)), f(6))
case(lambda x: x.unflatten(-1, (2, -1)), f(3, 6))
case(lambda x: x.unsqueeze(1), f(3))
case(lambda x: x.unsqueeze(-1), f(3))
case(lambda x: x.unsqueeze(0), f(3), axis=1)
case(lambda x: x.squeeze(1), f(1, 3))
case(lambda x: x.squeeze(-2), f(1, 3))
case(lambda x: x.squeeze(2), f(1, 3))
case(lambda x: x.squeeze((1, 2)), f(1, 3, 1))
case(lambda x: x.squeeze(), f(1, 3, 1), alone=False)
case(lambda x: x.permute(0, 2, 1), f(3, 4))
case(lambda x: x.permute(2, 0, -2), f(3, 4), axis=1)
case(lambda x: x.transpose(1, 2), f(3, 4))
case(lambda x: x.transpose(-1, 0), f(3, 4), axis=2)
case(lambda x: torch.swapaxes(x, 1, 2), f(3, 4))
case(lambda x: torch.swapdims(x, 1, -1), f(3, 4))
case(lambda x: x.t(), f(3), axis=1)
case(lambda x: torch.t(x[:, 0]), f(3))
case(lambda x: x.T, f(3), axis=1)
case(lambda x: x.mT, f(3, 4))
case(lambda x: x.mH, f(3, 4))
case(lambda x: x.adjoint(), f(3, 4))
case(lambda x: A.numpy_T.default(x), f(3, 4), axis=2)
case(lambda x: A.mT.default(x), f(3, 4))
case(lambda x: A.mH.default(x), f(3, 4))
case(lambda x: A.adjoint.default(x), f(3, 4))
case(lambda x: torch.movedim(x, 1, 3), f(3, 4, 5))
case(lambda x: torch.movedim(x, (1, 2), (-1, -2)), f(3, 4, 5))
case(lambda x: torch.moveaxis(x, 0, 1), f(3, 4), axis=1)
case(lambda x: torch.rot90(x, 1, (1, 2)), f(3, 4))
case(lambda x: torch.rot90(x, -1, (1, 2)), f(3, 4))
for fn in (torch.atleast_1d, torch.atleast_2d, torch.atleast_3d):
    case(fn, f(3), label=fn.__name__)
    case(lambda x, fn=fn: fn(x.sum()), f(3), axis=None, label=fn.__name__)
    case(lambda x, fn=fn: fn(x[:, 0]) * 2, f(3), axis=None, label=fn.__name__)

# ---- Parts ---------------------------------------------------------------------------------------

case(lambda x: x[:, 1:3], f(5))
case(lambda x: x[:, -3:-1], f(5))
case(lambda x: x[:, ::2], f(5, 2))
case(lambda x: x[..., 1::3], f(2, 7))
case(lambda x: x[:, 2:99], f(5))
case(lambda x: x[:, 4:2], f(5))
case(lambda x: x[:, -99:2], f(5))
case(lambda x: x[:, 1], f(5))
case(lambda x: x[:, -1], f(5, 2))
case(lambda x: x[:, -2, 1], f(5, 2))
case(lambda x: x[0], f(5), axis=None)
case(lambda x: x[:, None, 1:, None], f(5))
case(lambda x: x.select(1, 3), f(5))
case(lambda x: x.narrow(1, 1, 3), f(5))
case(lambda x: x.narrow(-1, -2, 2), f(5))
case(lambda x: torch.narrow(x, 1, 4, 1), f(5))
case(lambda x: A.narrow.default(x, 1, -3, 2), f(5))
case(lambda x: x.split(2, 1), f(5))
case(lambda x: x.split([1, 4], -1), f(2, 5))
case(lambda x: x.split_with_sizes([2, 3], 1), f(5))
case(lambda x: A.unsafe_split.Tensor(x, 2, 1), f(5))
case(lambda x: A.unsafe_split_with_sizes.default(x, [2, 3], 1), f(5))
case(lambda x: x.chunk(3, 1), f(7))
case(lambda x: x.chunk(4, -1), f(2, 5))
case(lambda x: A.unsafe_chunk.default(x, 2, 1), f(5))
case(lambda x: x.unbind(1), f(3, 2))
case(lambda x: x.unbind(-1), f(3, 2))
case(lambda x: torch.tensor_split(x, 3, 1), f(7))
case(lambda x: torch.tensor_split(x, (1, 4), 1), f(7))
case(lambda x: torch.tensor_split(x, (-2,), -1), f(7))
case(lambda x: x.expand(-1, 4), f(1))
case(lambda x: x.expand(x.shape[0], 3, 4), f(3, 1))
case(lambda x: x.unsqueeze(1).expand(-1, 5, -1), f(3))
case(lambda x, w: w.expand(x.shape[0], -1, -1), f(3), fixed(torch.randn(1, 2, 4)))
case(lambda x: x.expand(2, -1, -1), f(3), axis=1)
case(lambda x: torch.broadcast_to(x, (x.shape[0], 3)), f(1))
case(lambda x, y: x.expand_as(y), f(1, 4), f(3, 4))
case(lambda x, y: torch.broadcast_tensors(x, y), f(1, 4), f(3, 1))

# ---- Copies, casts -------------------------------------------------------------------------------

case(lambda x: A.alias.default(x) + 0, f(3))
case(lambda x: x.detach() * 2, f(3))
case(lambda x: A.detach_copy.default(x), f(3))
case(lambda x: x.clone(), f(3, 4))
case(lambda x: x.transpose(1, 2).clone(memory_format=torch.contiguous_format), f(3, 4))
case(lambda x: x.contiguous(memory_format=torch.channels_last), f(3, 4, 4))
case(lambda x: A.lift_fresh_copy.default(x), f(3))
case(lambda x: x + torch.tensor([1.0, 2.0, 3.0]), f(3))
case(lambda x: x * torch.tensor(2.0), f(3))
for dtype in (torch.float32, F16, F64, I32, I64, U8, torch.int8, torch.int16, torch.bool):
    case(lambda x, d=dtype: x.to(d), u(0, 9, 7), label=f"to {dtype}")
    case(lambda x, d=dtype: x.to(d), i(-5, 300, 7), label=f"to {dtype}", only=("dynamic", "static"))
    case(lambda x, d=dtype: x.to(d), b(7), label=f"to {dtype}")
case(lambda x: x.to(torch.int32), u(-9, 9, 7))
case(lambda x: x.to(torch.bool), f(3))
case(lambda x: x.bfloat16().float(), f(9), each=True)
case(lambda x: x.half().float(), f(9), each=True)
case(lambda x: x.float(), f(3))
case(lambda x: x.to(torch.float32, copy=True), f(3))
case(lambda x, y: x.to(y), i(0, 9, 3), f(3))
case(lambda x, y: x.type_as(y), i(0, 9, 3), f(3))
case(lambda x: A._to_copy.default(x, dtype=F64), f(3))

# ---- Joining, repeating, turning -----------------------------------------------------------------

case(lambda x, y: torch.cat([x, y], 1), f(3), f(2))
case(lambda x, y: torch.cat([x, y], -1), f(2, 3), f(2, 1))
case(lambda x, y: torch.cat([x, y], 1), i(0, 9, 3), f(2))
case(lambda x: torch.cat([x, x.new_zeros(x.shape[0], 2)], 1), f(3))
case(lambda x: torch.cat([x, torch.empty(0)], 1), f(3))
case(lambda x, y: torch.cat([x, y], 0), f(3), f(3), axis=None)
case(lambda x, y: torch.concat([x, y], 1), f(3), f(2))
case(lambda x, y: torch.concatenate([x, y], dim=1), f(3), f(2))
case(lambda x, y: torch.stack([x, y]), f(3), f(3), axis=1)
case(lambda x, y: torch.stack([x, y], 1), f(3), f(3))
case(lambda x, y: torch.stack([x, y, x], -1), f(3), f(3))
case(lambda x, y: torch.hstack([x, y]), f(3), f(2))
case(lambda x, y: torch.vstack([x, y]), f(3), f(3), axis=None)
case(lambda x, y: torch.dstack([x, y]), f(3), f(3))
case(lambda x, y: A.row_stack.default([x, y]) if hasattr(A, "row_stack") else torch.row_stack([x, y]), f(3), f(3), axis=None)
case(lambda x, y: torch.column_stack([x, y]), f(3), f(2))
case(lambda x: x.repeat(1, 3), f(4))
case(lambda x: x.repeat(2, 1, 3), f(4), axis=1)
case(lambda x: x.repeat(1, 2, 1), f(1, 4))
case(lambda x: torch.tile(x, (1, 2)), f(4))
case(lambda x: torch.tile(x, (2,)), f(3, 4))
case(lambda x: x.repeat_interleave(2, 1), f(4))
case(lambda x: x.repeat_interleave(3, dim=-1), f(2, 4))
case(lambda x: x.repeat_interleave(2, 0), f(4), axis=None)
case(lambda x: x.repeat_interleave(2), f(4), axis=None)
case(lambda x: x.flip(1), f(4))
case(lambda x: x.flip(1, -1), f(4, 3))
case(torch.fliplr, f(4))
case(torch.flipud, f(4), axis=None)
case(lambda x: x.roll(1, 1), f(5))
case(lambda x: x.roll((2, -1), (1, 2)), f(5, 4))
case(lambda x: x.roll(7, -1), f(5))
case(lambda x: x.roll(-7, -1), f(5))
case(lambda x: torch.roll(x, 2), f(5), axis=None)
case(lambda x: torch.roll(x, 1, 0), f(5), axis=None)

# ---- Padding, pixels, windows --------------------------------------------------------------------

case(lambda x: F.pad(x, (1, 2)), f(3))
case(lambda x: F.pad(x, (1, 2, 0, 1), value=3.5), f(3, 4))
case(lambda x: F.pad(x, (-1, 2)), f(5))
case(lambda x: F.pad(x, (-1, -2)), f(5))
case(lambda x: F.pad(x, (1, -1, -1, 2), value=-math.inf), f(5, 4))
case(lambda x: F.pad(x, (1, 1), value=2), i(0, 9, 5))
case(lambda x: F.pad(x, (1, 1), value=True), b(5))
for mode in ("reflect", "replicate", "circular"):
    case(lambda x, m=mode: F.pad(x, (2, 1), m), f(3, 5), label=mode)
    case(lambda x, m=mode: F.pad(x, (2, 1, 0, 2), m), f(2, 4, 5), label=mode)
    case(lambda x, m=mode: F.pad(x, (1, 1, 2, 0, 1, 1), m), f(2, 3, 4, 5), label=mode)
for n, shape in ((1, (3, 6)), (2, (2, 4, 6)), (3, (2, 3, 4, 6))):
    for kind in ("reflection", "replication"):
        fn = getattr(A, f"{kind}_pad{n}d").default
        case(lambda x, fn=fn, n=n: fn(x, [2, 1] + [1, 0] * (n - 1)), f(*shape), label=f"{kind}{n}")
case(lambda x: A.constant_pad_nd.default(x, [1, 2]), f(3))
case(lambda x: F.pixel_shuffle(x, 2), f(8, 3, 5))
case(lambda x: F.pixel_shuffle(x, 3), f(9, 2, 2))
case(lambda x: F.pixel_unshuffle(x, 2), f(2, 4, 6))
case(lambda x: F.channel_shuffle(x, 2), f(6, 3, 2))
case(lambda x: A.native_channel_shuffle.default(x, 3), f(6, 3, 2), only=("static",))
case(lambda x: x.unfold(1, 3, 1), f(7))
case(lambda x: x.unfold(1, 3, 2), f(7, 2))
case(lambda x: x.unfold(-1, 2, 3), f(2, 7))
case(lambda x: F.unfold(x, 3), f(2, 6, 5))
case(lambda x: F.unfold(x, (2, 3), dilation=(1, 2), padding=(1, 0), stride=(2, 1)), f(2, 6, 7))
case(lambda x: F.fold(x, (5, 6), (2, 2)), f(12, 20))
case(lambda x: F.fold(x, (6, 6), (3, 2), dilation=(1, 2), padding=(1, 1), stride=(2, 1)), f(6, 18))
for fn in (torch.tril, torch.triu):
    case(fn, f(4, 5), label=fn.__name__)
    case(lambda x, fn=fn: fn(x, 1), f(4, 4), label=fn.__name__)
    case(lambda x, fn=fn: fn(x, -2), i(0, 9, 5, 4), label=fn.__name__)
    case(fn, b(4, 4), label=fn.__name__)
case(lambda x: x.diagonal(0, 1, 2), f(4, 5))
case(lambda x: x.diagonal(1, -2, -1), f(4, 4))
case(lambda x: x.diagonal(-1, 2, 1), f(4, 3))
case(lambda x: A.diagonal_copy.default(x, 0, 1, 2), f(3, 3))
case(torch.diag_embed, f(4))
case(lambda x: torch.diag_embed(x, 1), f(3))
case(lambda x: torch.diag_embed(x, -1, 1, 2), f(3))
case(lambda x: torch.meshgrid(x[0], torch.arange(3.0), indexing="ij"), f(4), axis=None)
case(lambda x: torch.meshgrid(torch.arange(3.0), torch.arange(2.0), indexing="xy")[0] + x, f(2, 3))

# ---- Making --------------------------------------------------------------------------------------

case(lambda x: x + torch.zeros(3), f(3))
case(lambda x: torch.ones(x.shape[0], 2) * x, f(1))
case(lambda x: torch.zeros(x.shape[0], 2, dtype=I64) + 1 + x, i(0, 9, 1))
case(lambda x: torch.full((x.shape[0], 2), 2.5) + x, f(1))
case(lambda x: torch.full((2,), 3) + x, i(0, 9, 2))
case(lambda x: torch.full((2,), True) & x, b(2))
case(lambda x: torch.full((2,), -math.inf) + x, f(2))
case(lambda x: x.new_zeros(x.shape[0], 3) + 1, f(2))
case(lambda x: x.new_ones(2) * x, i(0, 9, 2))
case(lambda x: x.new_full((x.shape[0], 2), 3) + x, f(2))
case(lambda x: x.new_empty(x.shape[0], 2).fill_(4.0) + x, f(2))
case(lambda x: torch.empty(x.shape[0], 2).fill_(4.0) + x, f(2))
case(lambda x: torch.empty_like(x).zero_() + 1, f(2))
case(torch.zeros_like, f(2))
case(torch.ones_like, i(0, 9, 2))
case(lambda x: torch.ones_like(x, dtype=F64), i(0, 9, 2))
case(lambda x: torch.full_like(x, 2.5), f(2))
case(lambda x: torch.full_like(x, 2), f(2))
case(lambda x: torch.full_like(x, 7), i(0, 9, 2))
case(lambda x: torch.full_like(x, True), b(2))
case(lambda x: torch.scalar_tensor(3.5) + x, f(2))
case(lambda x: torch.scalar_tensor(3, dtype=I64) + x, i(0, 9, 2))
case(lambda x: torch.arange(3) + x, i(0, 9, 3))
case(lambda x: torch.arange(2, 8, 2) + x, i(0, 9, 3))
case(lambda x: torch.arange(5, 2, -1) + x, i(0, 9, 3))
case(lambda x: torch.arange(0.5, 2.0, 0.5) + x, f(3))
case(lambda x: torch.arange(3, dtype=torch.float32) * x, f(3))
case(lambda x: torch.arange(1, 4, dtype=F64) * x, f(3), rtol=1e-9)
case(lambda x: torch.arange(x.shape[0]) + 0, f(3), alone=False)
case(lambda x: torch.arange(x.shape[1]) * x, f(3))
case(lambda x: torch.linspace(0, 1, 5) + x, f(5))
case(lambda x: torch.linspace(-2, 3, 7, dtype=F64) + x, f(7), rtol=1e-9)
case(lambda x: torch.linspace(3, 3, 1) + x, f(1))
case(lambda x: torch.eye(3) + x, f(3, 3))
case(lambda x: torch.eye(3, 4, dtype=I64) + x, i(0, 9, 3, 4))
case(lambda x: x @ torch.eye(3), f(2, 3))
case(lambda x: torch.tril(torch.ones(4, 4, dtype=torch.bool)) & x, b(4, 4))
case(lambda x: x[:, torch.triu_indices(3, 3)[0], torch.triu_indices(3, 3)[1]], f(3, 3))
case(lambda x: x[:, torch.tril_indices(3, 3)[0], torch.tril_indices(3, 3)[1]], f(3, 3))
for fn, n in ((torch.rand_like, "rand_like"), (torch.randn_like, "randn_like"), (torch.bernoulli, "bernoulli"),
              (lambda x: torch.rand(3), "rand"), (lambda x: torch.randn(3), "randn"),
              (lambda x: torch.randint(0, 5, (3,)), "randint"), (lambda x: torch.randint_like(x, 5), "randint_like"),
              (lambda x: torch.randperm(3), "randperm"), (lambda x: x.clone().normal_(), "normal"),
              (lambda x: x.clone().uniform_(), "uniform"), (lambda x: torch.multinomial(x, 2), "multinomial")):
    case(fn, u(0, 1, 3), refuse="random numbers", only=("dynamic",), label=n)

# ---- Indexing ------------------------------------------------------------------------------------

IDX = fixed(torch.tensor([2, 0, -1, 1]))
case(lambda x, j: x[:, j], f(4), IDX)
case(lambda x, j: x[:, j], f(4, 3), fixed(torch.tensor([[1, 0], [3, -2]])))
case(lambda x, j: x[..., j], f(3, 4), IDX)
case(lambda x, j: x[:, j, j], f(4, 4), IDX)
case(lambda x, j: x[:, j, :, j], f(4, 3, 4), IDX, axis=1)
case(lambda x, j: x[:, :, j, j], f(3, 4, 4), IDX)
case(lambda x, j: x[:, j[:, None], j], f(4, 4), IDX)
case(lambda x, j: x[:, j, 1:], f(4, 3), IDX)
case(lambda x, j: x[:, j, None], f(4), IDX)
case(lambda x, j: x[:, j], f(4), fixed(torch.tensor([1, 2], dtype=I32)))
case(lambda x, j: x[torch.arange(x.shape[0]), j], f(5), i(0, 5))
case(lambda x, j: x[torch.arange(x.shape[0]), j], f(5, 3), i(0, 5))
case(lambda x, j: x[torch.arange(x.shape[0])[:, None], j], f(5), i(0, 5, 2))
case(lambda x, j: x[torch.arange(x.shape[0]), :, j], f(5, 3), i(0, 3), only=("static",))
case(lambda x, j: x[j], f(5), fixed(torch.tensor([0, -1])), axis=None)
case(lambda w, j: w[j], fixed(torch.randn(6, 3)), i(0, 6, 2))
case(lambda x, m: x[:, m], f(4), fixed(torch.tensor([True, False, True, True])), refuse="hangs on data")
case(lambda x: x[x > 0], f(4), refuse="hangs on data", axis=None)
case(lambda x: torch.nonzero(x), f(4), refuse="nonzero", axis=None)
case(lambda x, j: x.index_select(1, j), f(4), IDX.__class__(lambda n: torch.tensor([2, 0, 1]), None))
case(lambda x, j: x.index_select(-1, j), f(3, 4), fixed(torch.tensor([3, 0], dtype=I32)))
case(lambda x, j: torch.gather(x, 1, j), f(5), i(0, 5, 3))
case(lambda x, j: torch.gather(x, 2, j), f(4, 5), i(0, 5, 2, 3))
case(lambda x, j: torch.gather(x, -2, j), f(4, 5), i(0, 4, 3, 5))
# (with a free batch torch.export refuses these)
case(lambda x, j: torch.take_along_dim(x, j, 1), f(5), i(0, 5, 3), only=("static",))
case(lambda x, j: torch.take_along_dim(x, j, 1), f(5, 3), i(0, 5, 2, 1), only=("static",))
case(lambda x, j: torch.take_along_dim(x, j), f(5), fixed(torch.tensor([0, 3, 1])), axis=None)
case(lambda w, j: torch.take(w, j), fixed(torch.randn(3, 4)), i(0, 12, 2))
case(lambda w, j: torch.take(w, j), fixed(torch.randn(3, 4)), i(-12, 12, 2))


def perms(*shape):
    """Rows of distinct indices."""
    return IDX.__class__(lambda n: torch.stack([torch.randperm(shape[0])[:shape[1]] for _ in range(n)]), 0)


case(lambda x, j, s: x.scatter(1, j, s), f(5), perms(5, 3), f(3))
case(lambda x, j, s: x.scatter(1, j, s), f(5), perms(5, 3), f(5))
case(lambda x, j: x.scatter(1, j, 2.5), f(5), perms(5, 3))
case(lambda x, j: x.scatter(-1, j, 2), i(0, 9, 5), perms(5, 3))
case(lambda x, j, s: x.scatter(1, j, s, reduce="add"), f(5), i(0, 5, 3), f(3))
case(lambda x, j, s: x.scatter(1, j, s, reduce="multiply"), f(5), i(0, 5, 3), f(3))
case(lambda x, j: x.scatter(1, j, 2.0, reduce="add"), f(5), i(0, 5, 3))
case(lambda x, j, s: x.scatter_add(1, j, s), f(5), i(0, 5, 8), f(8))
case(lambda x, j, s: x.scatter_add(2, j, s), f(2, 5), i(0, 5, 2, 8), f(2, 8))
for how in ("sum", "prod", "mean", "amax", "amin"):
    for inside in (True, False):
        case(lambda x, j, s, h=how, w=inside: x.scatter_reduce(1, j, s, h, include_self=w),
             f(5), i(0, 4, 8), f(8), label=f"{how} {inside}")
case(lambda x, j, s: x.scatter_reduce(1, j, s, "sum"), i(0, 9, 5), i(0, 4, 8), i(0, 9, 8))
case(lambda x, s: x.index_add(1, torch.tensor([0, 2, 0]), s), f(5), f(3))
case(lambda x, s: x.index_add(-1, torch.tensor([0, 2]), s, alpha=2), f(2, 5), f(2, 2))
case(lambda x, s: x.index_copy(1, torch.tensor([0, 2]), s), f(5), f(2))
case(lambda x: x.index_fill(1, torch.tensor([0, 2]), 7.0), f(5))
case(lambda x: x.index_fill(-1, torch.tensor([0, -1]), 7), i(0, 9, 2, 5))
case(lambda x, s: x.slice_scatter(s, 1, 1, 3), f(5), f(2))
case(lambda x, s: x.slice_scatter(s, 1, 0, 5, 2), f(5), f(3))
case(lambda x, s: x.slice_scatter(s, -1, -2), f(5), f(2))
case(lambda x, s: x.select_scatter(s, 1, 2), f(5), f())
case(lambda x, s: x.select_scatter(s, -1, -1), f(2, 5), f(2))
case(lambda x, s: torch.diagonal_scatter(x, s, 0, 1, 2), f(3, 3), f(3))
case(lambda x, m, s: x.masked_scatter(m, s), f(3), b(3), f(3), refuse="masked_scatter", axis=None)
case(lambda x: F.one_hot(x, 5), i(0, 5, 3))
case(lambda x: F.one_hot(x, 5).float(), i(0, 5))
BOUNDS = fixed(torch.tensor([-1.0, 0.0, 0.5, 2.0]))
for right in (False, True):
    case(lambda x, w, r=right: torch.bucketize(x, w, right=r), f(7), BOUNDS, label=str(right))
    case(lambda x, w, r=right: torch.searchsorted(w, x, right=r), f(7), BOUNDS, label=str(right))
case(lambda x, w: torch.bucketize(x, w, out_int32=True), f(7), BOUNDS)
case(lambda x, w: torch.searchsorted(w, x, side="right"), i(-1, 3, 7), fixed(torch.tensor([-1, 0, 2])))

# ---- Writing in place ----------------------------------------------------------------------------


def write(change):
    """What a tensor is after that was done to it."""
    def run(*xs):
        y = xs[0] + 0
        change(y, *xs[1:])
        return y
    return run


def twice(change):
    """A view of a tensor is written to; both."""
    def run(*xs):
        y = xs[0] + 0
        v = change(y, *xs[1:])
        return y, v + 0
    return run


for op in ("relu_", "sigmoid_", "tanh_", "exp_", "neg_", "abs_", "floor_", "sqrt_", "zero_", "square_",
           "round_", "trunc_", "frac_", "erf_", "sin_", "reciprocal_"):
    case(write(lambda y, op=op: getattr(y, op)()), u(0.1, 2, 4), label=op)
for op in ("add_", "sub_", "mul_", "div_", "pow_", "fmod_", "remainder_", "atan2_", "eq_", "lt_", "floor_divide_"):
    case(write(lambda y, z, op=op: getattr(y, op)(z)), u(0.5, 2, 3, 4), u(0.5, 2, 1, 4), label=op)
    if op != "atan2_":
        case(write(lambda y, op=op: getattr(y, op)(2)), u(0.5, 2, 4), label=op)
case(write(lambda y: y.add_(2)), i(0, 9, 4))
case(write(lambda y, z: y.mul_(z)), i(0, 9, 4), i(0, 9, 4, dtype=I32))
case(write(lambda y, z: y.mul_(z)), f(4), i(0, 9, 4))
case(write(lambda y, z: y.copy_(z)), f(3, 4), f(1, 4))
case(write(lambda y, z: y.copy_(z)), f(3, 4), i(0, 9, 3, 4))
case(write(lambda y: y.fill_(2.5)), f(4))
case(write(lambda y: y.clamp_(-0.5, 0.5)), f(4))
case(write(lambda y: y.clamp_min_(0.1)), f(4))
case(write(lambda y, m: y.masked_fill_(m, 3.0)), f(4), b(4))
case(write(lambda y, z, w: y.addcmul_(z, w, value=2)), f(4), f(4), f(4))
case(write(lambda y, z: y.lerp_(z, 0.25)), f(4), f(4))
case(write(lambda y: F.relu(y, True)), f(4))
case(write(lambda y: F.leaky_relu(y, 0.1, True)), f(4))
case(write(lambda y: F.elu(y, 1.0, True)), f(4))
case(write(lambda y: F.hardtanh(y, inplace=True)), f(4))
case(write(lambda y: F.silu(y, True)), f(4))
case(write(lambda y: F.hardswish(y, True)), f(4))
case(write(lambda y: F.threshold(y, 0.1, 2, True)), f(4))
case(write(lambda y: y.transpose(1, 2).mul_(2)), f(3, 4))
case(twice(lambda y: y[:, 1].mul_(2)), f(3, 4))
case(twice(lambda y: y[:, -1].zero_()), f(3, 4))
case(twice(lambda y: y[:, 1:3].add_(5)), f(4))
case(twice(lambda y: y[:, ::2].add_(5)), f(5))
case(twice(lambda y: y[:, 1::2, 0].mul_(3)), f(5, 2))
case(twice(lambda y: y.view(-1, 12)[:, 2:5].neg_()), f(3, 4))
# Decomposing it fixes the batch.
case(twice(lambda y: y.permute(0, 2, 1)[:, 0].fill_(1.0)), f(3, 4), only=("dynamic", "static"))
case(twice(lambda y: y.unsqueeze(1).squeeze(1).add_(1)), f(3))
case(twice(lambda y: y.chunk(2, 1)[1].relu_()), f(6))
case(twice(lambda y: y.split([1, 3], 1)[1].mul_(2)), f(4))
case(twice(lambda y: y.unbind(1)[2].add_(1)), f(3, 2), only=("dynamic", "static"))  # (as above)
case(twice(lambda y: y.narrow(1, -2, 2).mul_(4)), f(5))
case(twice(lambda y: y[0].add_(1)), f(3), axis=None, alone=False, only=("dynamic", "static"))
case(twice(lambda y: y.flatten(1).add_(1)), f(3, 4))
case(twice(lambda y: y.detach().add_(1)), f(3))
case(twice(lambda y: y.contiguous().add_(1)), f(3))
case(twice(lambda y: y.transpose(1, 2).contiguous().add_(1)), f(3, 4))
case(twice(lambda y: y.transpose(1, 2).reshape(-1, 12).add_(1)), f(3, 4))
case(twice(lambda y: y.reshape(-1, 12).add_(1)), f(3, 4))
case(twice(lambda y: y.to(torch.float32).add_(1)), f(3))
case(twice(lambda y: y.to(F64).add_(1)), f(3))
# Decomposing it makes dropout a copy.
case(twice(lambda y: F.dropout(y, 0.5, False).add_(1)), f(3), only=("dynamic", "static"))
case(twice(lambda y: y.clone().add_(1)), f(3))
case(twice(lambda y: y.expand(-1, 3).add(1)), f(1))


def set_parts(x):
    y = torch.zeros_like(x)
    y[:, 1:] = x[:, :-1]
    y[:, 0] = 7
    y[..., 2] = x[..., 0]
    return y


def swap_halves(x):
    y = x.clone()
    y[:, :2], y[:, 2:] = x[:, 2:], x[:, :2]
    return y


def old_view(x):
    y = x + 0
    v = y[:, 1:]
    w = v * 2
    y.add_(1)
    return v + 0, w, y.relu_(), v * 1


def mask_set(x, m):
    y = x + 0
    y[m] = 0
    return y


case(set_parts, f(4))
case(set_parts, i(0, 9, 3, 4))
case(swap_halves, f(4))
case(old_view, f(4))
case(mask_set, f(4), b(4))
case(mask_set, f(4, 2), b(4))
case(lambda x: mask_set(x, x < 0), f(4))


def put(x, j, v, add=False):
    return x.index_put((torch.arange(x.shape[0])[:, None], j), v, accumulate=add)


case(lambda x, j, v: put(x, j, v), f(5), perms(5, 2), f(2))
case(lambda x, j, v: put(x, j, v, True), f(5), i(0, 5, 4), f(4))
case(lambda x, j: put(x, j, torch.tensor(3.0)), f(5), perms(5, 2))


def set_columns(x, v):
    y = x + 0
    y[:, torch.tensor([0, 3])] = v
    return y


def set_corner(x):
    y = x + 0
    y[:, torch.tensor([0, 1]), torch.tensor([1, 2])] = 9.0
    return y


case(set_columns, f(5), f(2))
case(set_columns, f(5, 2), f(1, 2))
case(set_corner, f(3, 3))
case(lambda x, v: A.index_put.default(x, [None, torch.tensor([1, 1])], v, True), f(3), f(2))
case(lambda x, m: x.index_put((m,), torch.tensor(2.0), accumulate=False), f(3), b(3))
