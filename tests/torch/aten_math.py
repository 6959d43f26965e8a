# SPDX-License-Identifier: Apache-2.0
"""Cases of elementwise arithmetic, activations, reductions, sorts."""
import math

import torch
import torch.nn.functional as F

from aten_case import Input, b, case, f, fixed, i, special, u

A = torch.ops.aten
I32, I64, F16, F64, U8, I8 = (torch.int32, torch.int64, torch.float16, torch.float64, torch.uint8,
                              torch.int8)

# ---- One operand ---------------------------------------------------------------------------------

EDGES = special(0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 0.5, -0.5, 2.5, 1e-5, -1e-5)
for name in "abs absolute neg negative sign sgn positive floor ceil round trunc fix frac square".split():
    fn = getattr(torch, name)
    for x in (u(-4, 4, 3, 5), EDGES, u(-4, 4, 3, dtype=F64), u(-4, 4, 3, dtype=F16)):
        case(fn, x, each=True, label=name)
    if name != "frac":
        case(fn, i(-5, 5, 4), label=name + " int64")
        case(fn, i(-5, 5, 4, dtype=I32), label=name + " int32")
for name in ("abs", "sign", "square", "floor", "ceil", "trunc", "round"):
    case(getattr(torch, name), i(0, 250, 6, dtype=U8), label=name + " uint8")
case(torch.sign, b(4))
case(torch.square, b(4))
case(lambda x: torch.round(x, decimals=2), u(-3, 3, 5))
case(lambda x: torch.round(x, decimals=-1), u(-300, 300, 5))

WHOLE = ("sqrt exp erf erfc special_erf sin cos tan atan arctan sinh cosh tanh asinh sigmoid exp2 "
         "special_exp2 expm1 rad2deg deg2rad special_expit").split()
for name in WHOLE:
    fn = torch.special.__dict__[name[8:]] if name.startswith("special_") else getattr(torch, name)
    low = 0 if name == "sqrt" else -4
    case(fn, u(low, 4, 3, 5), rtol=1e-5, label=name)
    case(fn, u(low * 0.02, 0.08, 3, 5), each=name not in ("erfc",), rtol=1e-5, label=name + " small")
    case(fn, EDGES, label=name + " edges")
    case(fn, i(max(low, -2), 3, 4), label=name + " int")
    case(fn, b(4), label=name + " bool")
    case(fn, u(low, 4, 3, dtype=F64), rtol=1e-9, label=name + " double")
    case(fn, u(low, 4, 3, dtype=F16), label=name + " half")
for name in "reciprocal rsqrt log log2 log10 log1p acosh".split():
    fn = getattr(torch, name)
    case(fn, u(1.05, 4, 3, 5), label=name)
    case(fn, u(0.01, 0.9, 3, 5), label=name + " small")
    case(fn, EDGES, label=name + " edges")
    case(fn, i(1, 9, 4), label=name + " int")
    case(fn, u(1.05, 4, 3, dtype=F64), rtol=1e-9, label=name + " double")
case(torch.log1p, u(-1e-4, 1e-4, 3, 5), each=True)
case(torch.log1p, u(-0.9, 5, 30), each=True, rtol=3e-5)
case(torch.expm1, u(-1, 1, 30), each=True, rtol=3e-5)
for name in "asin arcsin acos arccos atanh".split():
    case(getattr(torch, name), u(-0.95, 0.95, 3, 5), label=name)
    case(getattr(torch, name), EDGES, label=name + " edges")
case(torch.logit, u(0.05, 0.95, 7))
case(lambda x: torch.logit(x, 0.1), u(-0.2, 1.2, 7))
case(lambda x: torch.logit(x, eps=1e-3), special(0.0, 1.0, 0.5, math.nan, 0.2, 0.9))
for name in "isnan isinf isfinite isposinf isneginf".split():
    case(getattr(torch, name), EDGES, label=name)
    case(getattr(torch, name), i(-5, 5, 4), label=name)
case(torch.nan_to_num, EDGES)
case(lambda x: torch.nan_to_num(x, 1.0, 2.0, -3.0), EDGES)
case(lambda x: torch.nan_to_num(x, posinf=9.0), EDGES)
case(torch.nan_to_num, i(-5, 5, 4))
case(torch.nan_to_num, special(math.inf, -math.inf, math.nan, dtype=F64))
case(torch.nan_to_num, special(math.inf, -math.inf, math.nan, dtype=F16))
# ---- Two operands --------------------------------------------------------------------------------

ARITH = "add sub subtract mul multiply maximum minimum".split()
for name in ARITH:
    fn = getattr(torch, name)
    case(fn, f(3, 5), f(3, 5), each=True, label=name)
    case(fn, f(3, 5), fixed(torch.randn(5)), label=name + " broadcast")
    case(fn, f(3, 1), f(1, 5), label=name + " both broadcast")
    case(fn, f(3), fixed(torch.tensor(2.5)), label=name + " scalar tensor")
    case(fn, i(-9, 9, 4), i(-9, 9, 4), label=name + " int")
    case(fn, i(-9, 9, 4), f(4), label=name + " int and float")
    case(fn, i(-9, 9, 4, dtype=I32), i(-9, 9, 4), label=name + " int32 and int64")
    case(fn, i(0, 9, 4, dtype=U8), i(-9, 9, 4, dtype=I8), label=name + " uint8 and int8")
    case(fn, f(4, dtype=F16), f(4), label=name + " half and float")
    case(fn, i(-9, 9, 4), fixed(torch.tensor(2.5)), label=name + " int and float scalar tensor")
    case(fn, f(4), fixed(torch.tensor(2.5, dtype=F64)), label=name + " float and double scalar")
    if "sub" not in name:
        case(fn, b(4), b(4), label=name + " bool")
    if name in ("add", "mul", "multiply"):
        case(fn, b(4), i(-9, 9, 4), label=name + " bool and int")
for fn in (torch.add, torch.sub, torch.mul):
    n = fn.__name__
    case(lambda x, fn=fn: fn(x, 2), i(-9, 9, 4), label=n + " int, int")
    case(lambda x, fn=fn: fn(x, 2.5), i(-9, 9, 4), label=n + " int, float")
    case(lambda x, fn=fn: fn(x, 2), f(4), label=n + " float, int")
    case(lambda x, fn=fn: fn(x, 2.5), f(4, dtype=F16), label=n + " half, float")
    case(lambda x, fn=fn: fn(x, 2.5), f(4, dtype=F64), label=n + " double, float")
    case(lambda x, fn=fn: fn(x, 300), i(0, 9, 4, dtype=I32), label=n + " int32, int")
case(lambda x: x + True, i(-9, 9, 4))
case(lambda x: x * True, f(4))
case(lambda x: x + 2, b(4))
case(lambda x: x * 2.5, b(4))
case(lambda x: 3 - x, f(4))
case(lambda x: 3 - x, i(-9, 9, 4))
case(lambda x: 2.5 - x, i(-9, 9, 4))
case(lambda x: torch.rsub(x, 3, alpha=2), f(4))
case(lambda x, y: torch.rsub(x, y, alpha=3), f(4), f(4))
case(lambda x, y: torch.add(x, y, alpha=2), f(4), f(4))
case(lambda x, y: torch.add(x, y, alpha=2), i(-9, 9, 4), i(-9, 9, 4))
case(lambda x, y: torch.sub(x, y, alpha=0.5), f(4), f(4))
case(lambda x, y: torch.add(x, y, alpha=0.5), i(-9, 9, 4), f(4))
case(lambda x: x.add(3, alpha=2), f(4))

NONZERO = u(0.5, 4, 6)
for name in "div divide true_divide floor_divide remainder fmod".split():
    fn = getattr(torch, name)
    case(fn, u(-9, 9, 6), NONZERO, label=name)
    case(fn, i(-9, 9, 6), i(1, 5, 6), label=name + " int")
    case(fn, i(-9, 9, 6), i(-5, 0, 6), label=name + " negative int")
    case(fn, i(-9, 9, 6), NONZERO, label=name + " int, float")
    case(lambda x, fn=fn: fn(x, 3), i(-9, 9, 6), label=name + " by int")
    case(lambda x, fn=fn: fn(x, -3), i(-9, 9, 6), label=name + " by negative int")
    case(lambda x, fn=fn: fn(x, 2.5), i(-9, 9, 6), label=name + " by float")
    case(lambda x, fn=fn: fn(x, -2), u(-9, 9, 6), label=name + " float by int")
    case(lambda x, fn=fn: fn(x, 7), i(0, 250, 6, dtype=U8), label=name + " uint8")
    case(fn, special(5.0, -5.0, 5.0, -5.0, 0.0, 6.0, -6.0), special(3.0, 3.0, -3.0, -3.0, 2.0, 3.0, 3.0),
         label=name + " signs")
    case(fn, special(1.0, -1.0, 0.0, math.inf, 3.0, math.nan), special(0.0, 0.0, 0.0, 2.0, math.inf, 1.0),
         label=name + " edges")
for mode in ("floor", "trunc", None):
    case(lambda x, y, mode=mode: torch.div(x, y, rounding_mode=mode), u(-9, 9, 6), NONZERO, label=f"div {mode}")
    case(lambda x, y, mode=mode: torch.div(x, y, rounding_mode=mode), i(-9, 9, 6), i(1, 5, 6), label=f"div {mode}")
    case(lambda x, mode=mode: torch.div(x, -2, rounding_mode=mode), i(-9, 9, 6), label=f"div {mode}")
    case(lambda x, mode=mode: torch.div(x, -2.5, rounding_mode=mode), i(-9, 9, 6), label=f"div {mode}")
    case(lambda x, mode=mode: torch.div(x, 0.1, rounding_mode=mode), u(-1, 1, 6), label=f"div {mode}")
case(lambda x: 2 / x, NONZERO)
case(lambda x: 7 // x, i(1, 5, 6))
case(lambda x: 7 % x, i(1, 5, 6))
case(lambda x: x % 1.0, u(-3, 3, 6))

for p in (0, 1, 2, 3, 4, -1, -2, 0.5, -0.5, 1.5, 2.0, 0.25):
    case(lambda x, p=p: x ** p, u(0.1, 3, 6), label=f"pow {p}")
    if p >= 0:
        case(lambda x, p=p: x ** p, i(0, 5, 6), label=f"pow {p} int")
    if p == int(p):
        case(lambda x, p=p: x ** p, special(-2.0, -0.5, 0.5, 1.0, 3.0), label=f"pow {p} signs")
case(lambda x: 2 ** x, f(5))
case(lambda x: 2.5 ** x, i(0, 4, 5))
case(lambda x: 2 ** x, i(0, 9, 5))
case(torch.pow, u(0.1, 3, 6), f(6))
case(torch.pow, i(1, 4, 6), i(0, 4, 6))
case(torch.pow, i(1, 4, 6), f(6))
case(torch.float_power, i(1, 4, 6), f(6), rtol=1e-6)
case(lambda x: torch.float_power(x, 2), f(5))
case(lambda x: torch.float_power(2, x), f(5))
case(torch.atan2, f(20), f(20))
case(torch.arctan2, f(3, 1), f(1, 4))
case(torch.atan2, special(0.0, 0.0, 1.0, -1.0, 0.0, -0.0, 2.0, math.nan),
     special(1.0, -1.0, 0.0, 0.0, 0.0, -1.0, math.inf, 1.0))
case(torch.atan2, i(-3, 3, 6), i(-3, 3, 6))
for name in ("fmax", "fmin"):
    case(getattr(torch, name), f(6), f(6), label=name)
    case(getattr(torch, name), special(1.0, math.nan, math.nan, -1.0), special(math.nan, 2.0, math.nan, 3.0), label=name)
    case(getattr(torch, name), i(-5, 5, 6), i(-5, 5, 6), label=name)
for name in ("maximum", "minimum"):
    case(getattr(torch, name), special(1.0, math.nan, math.nan, -1.0), special(math.nan, 2.0, math.nan, 3.0), label=name)
case(torch.logaddexp, f(6), f(6))
case(torch.logaddexp, special(-math.inf, 1.0, math.inf), special(-math.inf, -math.inf, math.inf))
case(torch.xlogy, u(0.1, 3, 6), u(0.1, 3, 6))
case(torch.xlogy, special(0.0, 0.0, 1.0, 0.0), special(0.0, math.nan, 0.0, math.inf))
case(torch.xlogy, i(0, 3, 6), i(1, 4, 6))
case(lambda x: torch.xlogy(x, 2.0), f(6))
case(lambda x: torch.xlogy(2.0, x), u(0.1, 3, 6))
case(torch.hypot, f(6), f(6))
case(torch.copysign, f(6), f(6))
case(lambda x: torch.copysign(x, -1.0), f(6))
case(torch.heaviside, special(-1.0, 0.0, 2.0), special(0.5, 0.5, 0.5))
case(torch.nextafter, f(6), f(6), refuse="nextafter")

# ---- Comparisons, logic --------------------------------------------------------------------------

for name in "eq ne not_equal lt less le less_equal gt greater ge greater_equal".split():
    fn = getattr(torch, name)
    case(fn, i(0, 3, 6), i(0, 3, 6), label=name)
    case(fn, f(6), f(6), label=name)
    case(fn, i(0, 3, 6), f(6), label=name)
    case(fn, b(6), b(6), label=name)
    case(lambda x, fn=fn: fn(x, 1), i(0, 3, 6), label=name)
    case(lambda x, fn=fn: fn(x, 0.5), i(0, 3, 6), label=name)
    case(lambda x, fn=fn: fn(x, 1), f(6), label=name)
    case(fn, EDGES, EDGES, label=name)
for name in "logical_and logical_or logical_xor".split():
    fn = getattr(torch, name)
    case(fn, b(6), b(6), label=name)
    case(fn, i(0, 2, 6), f(6), label=name)
    case(fn, EDGES, EDGES, label=name)
for name in "bitwise_and bitwise_or bitwise_xor".split():
    fn = getattr(torch, name)
    case(fn, b(6), b(6), label=name)
    case(fn, i(-9, 9, 6), i(-9, 9, 6), label=name)
    case(fn, i(0, 9, 6, dtype=U8), i(-9, 9, 6), label=name)
    case(lambda x, fn=fn: fn(x, 6), i(-9, 9, 6, dtype=I32), label=name)
    case(lambda x, fn=fn: fn(x, True), b(6), label=name)
for op in (A.__and__, A.__or__, A.__xor__):
    case(op.Tensor, b(6), b(6), label=str(op))
    case(lambda x, op=op: op.Scalar(x, 5), i(-9, 9, 6), label=str(op))
case(torch.bitwise_not, b(6))
case(torch.bitwise_not, i(-9, 9, 6))
case(torch.bitwise_not, i(0, 9, 6, dtype=U8))
case(torch.logical_not, f(6))
case(torch.logical_not, b(6))
case(torch.logical_not, i(0, 2, 6))
case(torch.where, b(6), f(6), f(6))
case(torch.where, b(3, 1), f(3, 5), fixed(torch.randn(5)))
case(lambda c, x: torch.where(c, x, 0.0), b(6), f(6))
case(lambda c, x: torch.where(c, 1, x), b(6), i(-5, 5, 6))
case(lambda c, x: torch.where(c, x, 2.5), b(6), i(-5, 5, 6))
case(lambda c: torch.where(c, 1.0, 0.0), b(6))
case(lambda c: torch.where(c, 1, 0), b(6))
case(torch.where, b(6), i(-5, 5, 6), f(6))
case(lambda x, m: x.masked_fill(m, -math.inf), f(3, 4), b(3, 4))
case(lambda x, m: x.masked_fill(m, 2.5), f(3, 4), b(1, 4))
case(lambda x, m, v: x.masked_fill(m, v), f(3, 4), fixed(torch.tensor([True, False, True, False])), fixed(torch.tensor(7.0)))
case(lambda x, m: x.masked_fill(m, 3), i(0, 5, 6), b(6))

# ---- Limits --------------------------------------------------------------------------------------

for fn in (torch.clamp, torch.clip):
    n = fn.__name__
    case(lambda x, fn=fn: fn(x, -0.5, 0.5), f(6), label=n)
    case(lambda x, fn=fn: fn(x, min=0), f(6), label=n)
    case(lambda x, fn=fn: fn(x, max=1), f(6), label=n)
    case(lambda x, fn=fn: fn(x, -1, 2), i(-5, 5, 6), label=n)
    case(lambda x, fn=fn: fn(x, -1.5, 2.5), i(-5, 5, 6), label=n)
    case(lambda x, fn=fn: fn(x, 2, -1), f(6), label=n)
    case(lambda x, y, z, fn=fn: fn(x, y, z), f(3, 4), f(1, 4), fixed(torch.tensor(0.5)), label=n)
    case(lambda x, y, fn=fn: fn(x, min=y), f(3, 4), f(3, 4), label=n)
    case(lambda x, fn=fn: fn(x, 0.0, 1.0), special(math.nan, math.inf, -math.inf), label=n)
case(lambda x: torch.clamp_min(x, 0.1), f(6))
case(lambda x: torch.clamp_max(x, 0.1), f(6))
case(lambda x: torch.clamp_min(x, 2), i(-5, 5, 6))
case(lambda x: torch.clamp_max(x, 2.5), i(-5, 5, 6))
case(lambda x, y: torch.clamp_min(x, y), f(3, 4), f(3, 4))
case(lambda x, y: torch.clamp_max(x, y), f(3, 4), fixed(torch.randn(4)))
case(lambda x: torch.clamp(x, -3, 9), f(6, dtype=F16))

# ---- Three operands ------------------------------------------------------------------------------

for fn in (torch.addcmul, torch.addcdiv):
    n = fn.__name__
    case(fn, f(3, 4), f(3, 4), u(0.5, 2, 3, 4), label=n)
    case(lambda x, y, z, fn=fn: fn(x, y, z, value=-0.5), f(3, 4), f(1, 4), u(0.5, 2, 3, 1), label=n)
case(lambda x, y, z: torch.addcmul(x, y, z, value=3), i(0, 5, 4), i(0, 5, 4), i(0, 5, 4))
case(lambda x, y: torch.lerp(x, y, 0.3), f(6), f(6))
case(lambda x, y: torch.lerp(x, y, 0.8), f(6), f(6))
case(torch.lerp, f(3, 4), f(3, 4), u(0, 1, 1, 4))

# ---- Activations ---------------------------------------------------------------------------------

for fn in (F.relu, F.silu, F.mish, F.selu, F.hardswish, F.hardsigmoid, F.relu6, F.logsigmoid, F.softsign,
           F.tanhshrink, F.hardtanh, F.leaky_relu, F.elu, F.celu, F.gelu, F.softplus, F.hardshrink,
           F.softshrink, F.rrelu):
    case(fn, u(-5, 5, 3, 7), label=fn.__name__)
    if fn not in (F.hardshrink, F.softshrink, F.tanhshrink):  # (of which nothing is left there)
        case(fn, u(-0.01, 0.01, 3, 7), label=fn.__name__)
    case(fn, special(0.0, -0.0, 30.0, -30.0, 90.0, -90.0, math.nan), label=fn.__name__)
    # ONNX's attributes, and so some constants, are float32.
    case(fn, u(-3, 3, 5, dtype=F64), label=fn.__name__, rtol=1e-7)
case(F.relu, i(-5, 5, 6))
case(F.relu6, i(-5, 9, 6))
case(F.hardtanh, i(-5, 9, 6))
case(lambda x: F.hardtanh(x, -2, 3), u(-5, 5, 9))
case(lambda x: F.hardtanh(x, 0.5), u(-5, 5, 9))
case(lambda x: F.leaky_relu(x, 0.2), u(-5, 5, 9))
case(lambda x: F.leaky_relu(x, -0.2), u(-5, 5, 9))
case(lambda x: F.rrelu(x, 0.1, 0.3), u(-5, 5, 9))
case(lambda x: A.rrelu_with_noise.default(x, torch.zeros_like(x), 0.1, 0.3, False), u(-5, 5, 9))
case(lambda x: F.elu(x, 0.5), u(-5, 5, 9))
case(lambda x: A.elu.default(x, 1.5, 2.0, 0.5), u(-5, 5, 9))
case(lambda x: F.celu(x, 0.5), u(-5, 5, 9))
case(lambda x: F.celu(x, -0.5), u(-5, 5, 9))
case(lambda x: F.gelu(x, approximate="tanh"), u(-5, 5, 9))
case(lambda x: F.softplus(x, beta=2), u(-5, 5, 9))
case(lambda x: F.softplus(x, beta=0.5, threshold=2), u(-8, 8, 9))
case(lambda x: F.softplus(x, threshold=1), u(-5, 5, 9))
case(lambda x: F.hardshrink(x, 0.2), u(-1, 1, 9))
case(lambda x: F.softshrink(x, 0.2), u(-1, 1, 9))
case(lambda x: F.threshold(x, 0.1, 20), u(-1, 1, 9))
case(lambda x: F.threshold(x, 1, 7), i(-5, 5, 9))
case(F.glu, f(3, 8))
case(lambda x: F.glu(x, 1), f(6, 5))
case(torch.nn.PReLU(), f(3, 4))
case(torch.nn.PReLU(4, 0.3), f(4, 3, 2))
case(torch.nn.PReLU(4, 0.1), f(4))
case(A._prelu_kernel.default, f(4), fixed(torch.randn(1, 4)))
for name in ("softmax", "log_softmax"):
    fn = getattr(F, name)
    case(lambda x, fn=fn: fn(x, -1), f(3, 5), label=name)
    case(lambda x, fn=fn: fn(x, 1), f(3, 5), label=name)
    case(lambda x, fn=fn: fn(x, -1, dtype=F64), f(3, 5), rtol=1e-9, label=name)
    case(lambda x, fn=fn: fn(x, -1, dtype=torch.float32), f(3, 5, dtype=F16), label=name)
    case(lambda x, fn=fn: fn(x, -1), special(-math.inf, 0.0, 1.0), label=name)
    case(lambda x, fn=fn: fn(x * 60, 2), f(3, 5), label=name)
    case(lambda x, fn=fn: fn(x.sum(), 0) + x * 0, f(2), axis=None, alone=False, label=name)
case(lambda x: A._softmax.default(x, 1, False), f(3, 5))
case(lambda x: A._log_softmax.default(x, -1, False), f(3, 5))
case(lambda x: A._safe_softmax.default(x, -1), special(-math.inf, -math.inf, -math.inf))
case(lambda x: A._safe_softmax.default(x, 1), f(3, 5))
case(lambda x: F.softmin(x, 1), f(3, 5))
case(lambda x: A.log_sigmoid_forward.default(x)[0], u(-30, 30, 9))
case(lambda x: F.dropout(x, 0.5, False), f(3))
case(lambda x: A.feature_dropout.default(x, 0.5, False), f(3, 2))
case(lambda x: F.alpha_dropout(x, 0.5, False), f(3))
case(lambda x: F.feature_alpha_dropout(x, 0.5, False), f(3, 2))
case(lambda x: A.native_dropout.default(x, 0.5, False)[0], f(3))

# ---- Reductions ----------------------------------------------------------------------------------

for name in "sum mean prod amax amin var std logsumexp any all count_nonzero nansum".split():
    fn = getattr(torch, name)
    whole = name not in ("logsumexp",)
    case(lambda x, fn=fn: fn(x, 1), f(3, 5), label=name)
    case(lambda x, fn=fn: fn(x, -1), f(3, 5), label=name)
    if name != "prod":
        case(lambda x, fn=fn: fn(x, (1, 2)), f(3, 5), label=name)
        case(lambda x, fn=fn: fn(x, (-1, 1)), f(3, 4, 5), label=name)
    if name != "count_nonzero":
        case(lambda x, fn=fn: fn(x, 2, keepdim=True), f(3, 5), label=name)
    if whole:
        case(lambda x, fn=fn: fn(x), f(3, 5), axis=None, label=name)
    case(lambda x, fn=fn: fn(x, 0), f(3, 5), axis=None, alone=name not in ("var", "std"), label=name)
    if name not in ("var", "std", "mean", "logsumexp"):
        case(lambda x, fn=fn: fn(x, 1), i(-3, 4, 5), label=name + " int")
        case(lambda x, fn=fn: fn(x, 1), b(5), label=name + " bool")
        case(lambda x, fn=fn: fn(x, 1), i(-3, 4, 5, dtype=I32), label=name + " int32")
for fn in (torch.sum, torch.mean, torch.prod):
    case(lambda x, fn=fn: fn(x, 1, dtype=F64), f(5), rtol=1e-9, label=fn.__name__)
    case(lambda x, fn=fn: fn(x, 1, dtype=torch.float32), i(-3, 4, 5), label=fn.__name__)
case(lambda x: torch.sum(x, (1, 2), keepdim=True), f(3, 5))
case(lambda x: torch.sum(x, []), f(3, 5), axis=None)
case(lambda x: torch.amax(x, ()), f(3, 5), axis=None)
case(lambda x: torch.sum(x, 1, dtype=I32), b(5))
for c in (0, 1, 2, 0.5):
    case(lambda x, c=c: torch.var(x, 1, correction=c), f(6), label=f"var {c}")
    case(lambda x, c=c: torch.std(x, (1, 2), correction=c, keepdim=True), f(3, 6), label=f"std {c}")
case(lambda x: torch.var(x, 1, unbiased=False), f(6))
case(lambda x: torch.std(x, 1, unbiased=True), f(6))
case(lambda x: torch.var(x, unbiased=False), f(6), axis=None)
case(lambda x: torch.std(x), f(6), axis=None)
case(lambda x: torch.var_mean(x, 1), f(6))
case(lambda x: torch.std_mean(x, (1, 2), correction=0, keepdim=True), f(3, 6))
case(lambda x: torch.std_mean(x, 2, unbiased=False), f(3, 6))
case(lambda x: torch.var_mean(x, correction=0), f(6), axis=None)
case(lambda x: torch.max(x, 1), f(3, 5))
case(lambda x: torch.min(x, -1, keepdim=True), f(3, 5))
case(lambda x: torch.max(x), f(3, 5), axis=None)
case(lambda x: torch.min(x), i(-5, 5, 3), axis=None)
case(torch.max, f(6), f(6))
case(torch.min, i(-5, 5, 6), f(6))
case(lambda x: torch.max(x, 1), i(0, 2, 9))
case(lambda x: torch.max(x, 1), b(9))
case(lambda x: torch.max(x, 1).values, special(1.0, math.nan, 3.0))
case(lambda x: torch.aminmax(x, dim=1), f(3, 5))
case(lambda x: torch.aminmax(x, dim=-1, keepdim=True), i(-5, 5, 3, 5))
for fn in (torch.argmax, torch.argmin):
    n = fn.__name__
    case(lambda x, fn=fn: fn(x, 1), f(3, 5), label=n)
    case(lambda x, fn=fn: fn(x, -1, keepdim=True), f(3, 5), label=n)
    case(lambda x, fn=fn: fn(x), f(3), axis=None, label=n)
    case(lambda x, fn=fn: fn(x, keepdim=True), f(3), axis=None, label=n)
    case(lambda x, fn=fn: fn(x, 1), i(0, 2, 9), label=n)
case(lambda x: torch.argmax(x.flatten(1), 1), f(3, 5))
for p in (0, 1, 2, 3, 0.5, math.inf, -math.inf, -1):
    case(lambda x, p=p: torch.linalg.vector_norm(x, p, dim=1), f(3, 5), label=f"norm {p}")
    case(lambda x, p=p: torch.linalg.vector_norm(x, p, dim=(1, 2), keepdim=True), f(3, 5), label=f"norm {p}")
    case(lambda x, p=p: A.norm.ScalarOpt_dim(x, p, [1]), f(3, 5), label=f"norm {p}")
case(lambda x: torch.linalg.vector_norm(x), f(3, 5), axis=None)
case(lambda x: torch.linalg.vector_norm(x, dim=1, dtype=F64), f(3), rtol=1e-9)
case(lambda x: A.norm.Scalar(x, 2), f(3), axis=None)
case(lambda x: A.norm.ScalarOpt_dim_dtype(x, 2, [1], True, dtype=F64), f(3), rtol=1e-9)
case(lambda x: A.norm.ScalarOpt_dim(x, None, [1], False), f(3))
case(lambda x: x.norm(dim=-1), f(3, 5))
case(lambda x: x.norm(p="fro", dim=(1, 2)), f(3, 5))
case(lambda x: A.frobenius_norm.dim(x, [1, 2]), f(3, 5))
case(lambda x: A.frobenius_norm.dim(x, [-1], True), f(3, 5))
case(F.normalize, f(3, 5))
case(lambda x: F.normalize(x, 1, dim=2), f(3, 5))

# ---- Running sums, sorts -------------------------------------------------------------------------

for name in ("cumsum", "cumprod"):
    fn = getattr(torch, name)
    case(lambda x, fn=fn: fn(x, 1), f(5, 3), label=name)
    case(lambda x, fn=fn: fn(x, -1), f(5, 3), label=name)
    case(lambda x, fn=fn: fn(x, 1), i(-3, 4, 5), label=name)
    case(lambda x, fn=fn: fn(x, 1), b(5), label=name)
    case(lambda x, fn=fn: fn(x, 1, dtype=F64), f(5), rtol=1e-9, label=name)
    case(lambda x, fn=fn: fn(x, 1), i(-3, 4, 5, dtype=I32), label=name)
    case(lambda x, fn=fn: fn(x[0, 0], 0), f(5), axis=None, alone=False, label=name)
    case(lambda x, fn=fn: fn(x, 0), f(5), axis=None, label=name)
for largest in (True, False):
    case(lambda x, v=largest: torch.topk(x, 3, largest=v), f(7), label=f"topk {largest}")
    case(lambda x, v=largest: torch.topk(x, 2, dim=1, largest=v), f(5, 3), label=f"topk {largest}")
    case(lambda x, v=largest: torch.topk(x, 1, -1, v), Input(lambda n: torch.stack([torch.randperm(9) for _ in range(n)]), 0), label=f"topk {largest}")
    case(lambda x, v=largest: torch.sort(x, descending=v), f(7), label=f"sort {largest}")
    case(lambda x, v=largest: torch.sort(x, dim=1, descending=v, stable=True), i(0, 3, 5, 3), label=f"sort {largest}")
    case(lambda x, v=largest: torch.sort(x, dim=1, stable=True, descending=v), b(7), label=f"sort {largest}")
    case(lambda x, v=largest: torch.argsort(x, descending=v), f(7), label=f"argsort {largest}")
    case(lambda x, v=largest: torch.argsort(x, dim=1, descending=v, stable=True), i(0, 3, 7, 2), label=f"argsort {largest}")
    case(lambda x, v=largest: torch.sort(x, dim=1, descending=v, stable=True), special(1.0, math.nan, -math.inf, math.inf, 0.0), label=f"sort {largest}")
case(lambda x: torch.msort(x), f(3), axis=None)
case(lambda x: torch.kthvalue(x, 2), f(7))
case(lambda x: torch.kthvalue(x, 3, 1, True), f(7, 2))
case(lambda x: torch.median(x, 1), f(7))
case(lambda x: torch.median(x, -1, keepdim=True), f(3, 6))
case(lambda x: torch.median(x[0]), f(3, 5), axis=None, alone=False, only=("static",))
case(lambda x: torch.topk(x, 2), f(4, dtype=F64))
case(lambda x: torch.histc(x), f(4), refuse="histc", axis=None, only=("dynamic",))
