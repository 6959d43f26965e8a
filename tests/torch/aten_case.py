# SPDX-License-Identifier: Apache-2.0
"""What a case of an ATen operator is: a function of tensors, the tensors, and where the samples of
its results are."""
import pathlib
import sys

import torch

CASES = []
FORMS = ("dynamic", "static", "decomposed")


class Input:
    """make(n): the tensor of n samples. axis: where they are, None: it has none of them."""

    def __init__(self, make, axis):
        self.make, self.axis = make, axis


def _shape(n, shape, at):
    return shape if at is None else (*shape[:at], n, *shape[at:])


def f(*shape, at=0, dtype=torch.float32, scale=1.0):
    return Input(lambda n: (torch.randn(_shape(n, shape, at)) * scale).to(dtype), at)


def u(low, high, *shape, at=0, dtype=torch.float32):
    return Input(lambda n: (torch.rand(_shape(n, shape, at)) * (high - low) + low).to(dtype), at)


def i(low, high, *shape, at=0, dtype=torch.int64):
    return Input(lambda n: torch.randint(low, high, _shape(n, shape, at)).to(dtype), at)


def b(*shape, at=0):
    return Input(lambda n: torch.rand(_shape(n, shape, at)) < 0.5, at)


def fixed(tensor):
    """The same for every batch."""
    return Input(lambda n: tensor.clone(), None)


def special(*values, dtype=torch.float32):
    """Those values for every sample."""
    return Input(lambda n: torch.tensor(values, dtype=dtype).expand(n, -1).clone(), 0)


class Case:
    """function: of one tensor for each input, gives one or several. axis: where the samples of its
    results are (one for all, or a tuple; None: they have none that can be told apart). each: the
    tolerance holds for each element, not for the largest. only: the forms it is tried in. refuse:
    part of what unbatch says instead of a value. alone: a batch of one may be asked for too."""

    def __init__(self, function, inputs, axis=0, each=False, rtol=1e-5, only=FORMS, refuse=None,
                 alone=True, where=""):
        self.function, self.inputs, self.axis, self.each = function, inputs, axis, each
        self.rtol, self.only, self.refuse, self.alone, self.where = rtol, only, refuse, alone, where

    def run(self, tensors):
        out = self.function(*[t.clone() for t in tensors])
        return [out] if isinstance(out, torch.Tensor) else list(out)

    def axes(self, n):
        return self.axis if isinstance(self.axis, tuple) else (self.axis,) * n


def case(function, *inputs, label="", **options):
    frame = sys._getframe(1)
    where = f"{pathlib.Path(frame.f_code.co_filename).stem}:{frame.f_lineno}"
    CASES.append(Case(function, inputs, where=f"{where} {label}".strip(), **options))


class Pack(torch.nn.Module):
    """Many cases as one network, which is exported at once."""

    def __init__(self, cases):
        super().__init__()
        self.cases = cases
        self.held_by_cases = torch.nn.ModuleList(c.function for c in cases
                                         if isinstance(c.function, torch.nn.Module))

    def forward(self, xs):
        out, at = [], 0
        for c in self.cases:
            one = c.function(*xs[at:at + len(c.inputs)])
            at += len(c.inputs)
            out += [one] if isinstance(one, torch.Tensor) else list(one)
        return out
