# SPDX-License-Identifier: Apache-2.0
"""Seeded random cases for numpy_driver, compared with what NumPy does: the same elements, shapes
and text, a view where NumPy gives a view, an error where NumPy raises one.

    compare_numpy.py DRIVER GROUP [SEED [COUNT]]

bfloat16 is compared with ml_dtypes (which onnx needs anyway). Results for NaN and for floats outside
the range of an integer type are the processor's in NumPy; they are compared on x86-64 only.
"""
import math
import platform
import random
import struct
import subprocess
import sys
import warnings

import ml_dtypes
import numpy as np

BF16 = np.dtype(ml_dtypes.bfloat16)
NUMBER = {np.dtype(n): i for n, i in
          dict(float32=1, uint8=2, int8=3, uint16=4, int16=5, int32=6, int64=7, bool=9, float16=10,
               float64=11, uint32=12, uint64=13).items()}
NUMBER[BF16] = 16
NARROW = {np.dtype(getattr(ml_dtypes, n)): i for n, i in
          dict(float8_e4m3fn=17, float8_e4m3fnuz=18, float8_e5m2=19, float8_e5m2fnuz=20, uint4=21,
               int4=22, float4_e2m1fn=23, float8_e8m0fnu=24, uint2=25, int2=26, float6_e2m3fn=27,
               float6_e3m2fn=28).items()}
DTYPE = {number: dtype for dtype, number in (NUMBER | NARROW).items()}
FLOATS = [np.dtype(n) for n in ("float16", "float32", "float64")] + [BF16]
INTEGERS = [d for d in NUMBER if d.kind in "iu"]
(INDEX_TEXT, INDEX_ITEMS, RESHAPE, PERMUTE, SQUEEZE, EXPAND, BROADCAST, AT, SLICE, COPY, CAST,
 COPY_INTO, STR, RANDOM) = range(14)
INT, SLICE_ITEM, ELLIPSIS, NEWAXIS, ARRAY = range(5)
NONE = -2**63
ALL_AXES = -2**31


# ---- The driver's protocol ---------------------------------------------------------------------

def ints(*values):
    return struct.pack(f"={len(values)}q", *values)


def memory(a):
    """The bytes from the first to the last element of a, and where element 0 is in them."""
    low = sum(s * (n - 1) for n, s in zip(a.shape, a.strides) if n > 1 and s < 0)
    high = sum(s * (n - 1) for n, s in zip(a.shape, a.strides) if n > 1 and s > 0) + a.itemsize
    if a.size == 0:
        return 0, b""
    start = a.__array_interface__["data"][0] + low
    raw = (np.ctypeslib.ctypes.c_char * (high - low)).from_address(start).raw
    return -low, raw


def tensor(a):
    offset, raw = memory(a)
    return ints((NUMBER | NARROW)[a.dtype], a.ndim, *a.shape, *a.strides, offset, len(raw)) + raw


def text(s):
    raw = s.encode()
    return ints(len(raw)) + raw


class Answers:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def bytes(self, n):
        if self.at + n > len(self.raw):
            raise SystemExit("the driver's answer ends early")
        part = self.raw[self.at:self.at + n]
        self.at += n
        return part

    def ints(self, n=1):
        values = struct.unpack(f"={n}q", self.bytes(8 * n))
        return values[0] if n == 1 else values

    def text(self):
        return self.bytes(self.ints()).decode()

    def array(self):
        dtype, rank = DTYPE[self.ints()], self.ints()
        shape = tuple(self.ints() for _ in range(rank))
        is_view = bool(self.ints())
        return np.frombuffer(self.bytes(self.ints()), dtype).reshape(shape), is_view


class Case:
    """What to send, what NumPy said (an exception, an array or a string), and words for failures."""

    def __init__(self, request, expected, words, view=None, base=None, compare=None):
        self.request, self.expected, self.words = request, expected, words
        self.view, self.base, self.compare = view, base, compare

    def check(self, answers):
        status = answers.ints()
        if status:
            message = answers.text()
            if not isinstance(self.expected, Exception):
                return f"refused: {message}"
            return None
        if self.base is not None:  # COPY_INTO: all bytes of the destination
            raw = answers.bytes(answers.ints())
            if isinstance(self.expected, Exception):
                return "accepted"
            return None if raw == self.expected else "wrong elements"
        if isinstance(self.expected, str):
            got = answers.text()
            return None if got == self.expected else f"got\n{got}\nexpected\n{self.expected}"
        got, is_view = answers.array()
        if isinstance(self.expected, Exception):
            return f"accepted, shape {got.shape}; NumPy: {self.expected}"
        expected = np.asarray(self.expected)
        if got.dtype != expected.dtype or got.shape != expected.shape:
            return f"got {got.dtype}{got.shape}, expected {expected.dtype}{expected.shape}"
        if self.compare:
            return self.compare(got, expected)
        if got.tobytes() != expected.tobytes():
            return f"got\n{got}\nexpected\n{expected}"
        if self.view is not None and expected.size and is_view != self.view:
            return f"is_view {is_view}, NumPy {self.view}"
        return None


def attempt(fn):
    """fn()'s value or the exception it raised."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return fn()
    except (IndexError, ValueError, TypeError, OverflowError, MemoryError) as e:
        return e


# ---- Random arrays -----------------------------------------------------------------------------

def random_shape(rng, most_rank=5, most_dim=5):
    return tuple(rng.randint(0 if rng.random() < 0.15 else 1, most_dim)
                 for _ in range(rng.randint(0, most_rank)))


def numbered(shape, dtype):
    """An array whose elements differ, as far as dtype can tell."""
    n = math.prod(shape)
    if dtype.kind == "b":
        return (np.arange(n) * 7 % 3 == 0).reshape(shape)
    with np.errstate(all="ignore"):
        return np.arange(n).astype(dtype).reshape(shape)


def strided(rng, a):
    """A view with the elements of a in some other layout: transposed, reversed, with gaps."""
    if a.ndim == 0:
        return a
    axes = list(range(a.ndim))
    rng.shuffle(axes)
    steps = [rng.choice((1, 1, 1, 2, 3, -1, -2)) for _ in axes]
    big = np.zeros([max(1, (n - 1) * abs(s) + 1) if n else 0
                    for n, s in zip((a.shape[i] for i in axes), steps)], a.dtype)
    view = big[tuple(slice(None, None, s) for s in steps)].transpose(np.argsort(axes))
    view[...] = a
    return view


def random_array(rng, shape=None, dtype=None):
    shape = random_shape(rng) if shape is None else shape
    a = numbered(shape, dtype or rng.choice(list(NUMBER)))
    return strided(rng, a) if rng.random() < 0.5 else a


# ---- Indexing ----------------------------------------------------------------------------------

def random_bound(rng, dim):
    return None if rng.random() < 0.3 else rng.randint(-2 * dim - 2, 2 * dim + 2)


def random_slice(rng, dim):
    step = rng.choice((None, None, 1, 2, 3, -1, -1, -2, 7, -7))
    if rng.random() < 0.01:
        step = rng.choice((0, 2**63 - 1, -2**62))
    return slice(random_bound(rng, dim), random_bound(rng, dim), step)


def random_integer(rng, dim):
    if rng.random() < 0.03:
        return rng.choice((dim, -dim - 1, dim + 5))
    return rng.randint(-dim, dim - 1) if dim else 0


def random_index_array(rng, dim, joint):
    """Integers with a shape that mostly broadcasts with `joint`."""
    shape = tuple(1 if rng.random() < 0.3 else n for n in joint[rng.randint(0, len(joint)):])
    if rng.random() < 0.04:
        shape = random_shape(rng, 2, 3)
    values = np.array([random_integer(rng, dim) for _ in range(math.prod(shape))], np.int64)
    dtype = rng.choice(INTEGERS)
    if dtype.kind == "u":
        values = np.abs(values)
    a = values.astype(dtype).reshape(shape)
    return strided(rng, a) if rng.random() < 0.3 else a


def random_mask(rng, dims):
    shape = tuple(n + (rng.random() < 0.03) for n in dims)
    if rng.random() < 0.02:
        shape = tuple(0 for _ in dims)
    density = rng.choice((0, 0.3, 0.6, 1))
    a = np.array([rng.random() < density for _ in range(math.prod(shape))], bool).reshape(shape)
    return strided(rng, a) if rng.random() < 0.3 else a


def random_index(rng, shape, arrays):
    """A tuple of index items. arrays: the chance that an item is an array or mask."""
    items, axis = [], 0
    joint = tuple(rng.randint(0 if rng.random() < 0.05 else 1, 4) for _ in range(rng.randint(1, 3)))
    stop = len(shape) + (rng.random() < 0.03)
    while axis < stop and rng.random() < 0.9:
        dim = shape[axis] if axis < len(shape) else 3
        kind = rng.random()
        if kind < arrays:
            if rng.random() < 0.3:
                rank = rng.randint(1, max(1, min(3, len(shape) - axis)))
                items.append(random_mask(rng, shape[axis:axis + rank] or (3,)))
                axis += rank
            else:
                items.append(random_index_array(rng, dim, joint))
                axis += 1
        elif rng.random() < 0.5:
            items.append(random_slice(rng, dim))
            axis += 1
        else:
            items.append(random_integer(rng, dim))
            axis += 1
        if rng.random() < 0.15:
            items.append(None)
        if arrays and rng.random() < 0.05:
            items.append(np.array(rng.random() < 0.7))
    if rng.random() < 0.3:
        items.insert(rng.randint(0, len(items)), Ellipsis)
    if rng.random() < 0.02:
        items.insert(rng.randint(0, len(items)), Ellipsis)
    if arrays and rng.random() < 0.01:
        items.insert(rng.randint(0, len(items)), np.array([0.0, 1.0]))
    return tuple(items)


def item_bytes(item):
    if item is Ellipsis:
        return ints(ELLIPSIS, 0, 0, 0, 0)
    if item is None:
        return ints(NEWAXIS, 0, 0, 0, 0)
    if isinstance(item, slice):
        return ints(SLICE_ITEM, 0, *(NONE if v is None else v
                                     for v in (item.start, item.stop, item.step)))
    if isinstance(item, np.ndarray):
        return ints(ARRAY, 0, 0, 0, 0) + tensor(item)
    return ints(INT, item, 0, 0, 0)


def is_view_index(items):
    return not any(isinstance(i, (np.ndarray, list, bool)) for i in items)


def index_cases(rng, count):
    for i in range(count):
        a = random_array(rng)
        items = random_index(rng, a.shape, arrays=(0, 0.3, 0.7)[i % 3])
        expected = attempt(lambda: a[items])
        request = ints(INDEX_ITEMS) + tensor(a) + ints(len(items)) + b"".join(
            item_bytes(i) for i in items)
        yield Case(request, expected, f"{a.dtype}{a.shape} [{items}]", is_view_index(items))


def slice_text(rng, s):
    parts = ["" if v is None else str(v) for v in (s.start, s.stop)]
    out = ":".join(parts)
    if s.step is not None:
        out += f":{s.step}"
    elif rng.random() < 0.2:
        out += ":"
    return out


def item_text(rng, item):
    if item is Ellipsis:
        return "..."
    if isinstance(item, slice):
        return slice_text(rng, item)
    if isinstance(item, np.ndarray):
        return str(item.tolist())
    return str(item)


BAD_TEXTS = ["[", "]", "[]", "[[1]", "1 2", "1,,2", ",", "a", "1.5", "..", "....", "1:2:3:4", "[1 2]",
             "[[[1], 2]]", "[[1, [2]]]", "[[[1], [2, 3]]]", "[[[[1]], [2]]]", "[[[], [1]]]", "Nonesuch",
             "Truely", "[[None]]", "[[1:2]]", "--1", "- 1", "(1)", "[[1,,2]]", "[[,]]", "1;", "'a'",
             "99999999999999999999", "[[99999999999999999999]]", "[1]]", "[" * 20 + "]" * 20]


def index_text_cases(rng, count):
    for i in range(count):
        a = random_array(rng)
        items = random_index(rng, a.shape, arrays=(0, 0.4)[i % 2])
        # What the text cannot say: an empty array of more than one dim has lost its shape.
        items = tuple(x.tolist() if isinstance(x, np.ndarray) else x for x in items)
        expected = attempt(lambda: a[items])
        words = (", " if rng.random() < 0.7 else ",").join(
            item_text(rng, x) for x in items)
        # A single list without outer brackets would be taken for them.
        if rng.random() < 0.5 or words.startswith("["):
            words = f"[{words}]" if items else ""
        yield Case(ints(INDEX_TEXT) + tensor(a) + text(words), expected, f"{a.dtype}{a.shape} {words}",
                   is_view_index(items))
    a = numbered((4, 5), np.dtype("float32"))
    for words in BAD_TEXTS:
        yield Case(ints(INDEX_TEXT) + tensor(a) + text(words), IndexError(words), words)
    for words, expected in [("1,", a[1,]), (" [ 1 , : ] ", a[1, :]), ("[0, 2]", a[0, 2]),
                            ("[[0, 2]]", a[[0, 2]]), ("[0, 2], [1, 3]", a[[0, 2], [1, 3]]),
                            ("[[0,2],]", a[[0, 2],]), ("[[0, 2,]]", a[[0, 2]]), ("", a[()]),
                            ("newaxis, 1", a[None, 1]), ("[[[]]]", a[[[]]]), ("[[]]", a[[]]),
                            ("+1, -1", a[1, -1]), (":99999999999999999999", a), ("...", a),
                            ("-99999999999999999999:", a), ("::99999999999999999999", a[:1]),
                            ("[[True, 2]]", a[[True, 2]]), ("True", a[True]), ("False", a[False])]:
        yield Case(ints(INDEX_TEXT) + tensor(a) + text(words), expected, words)


# ---- Shapes and views --------------------------------------------------------------------------

def factors(rng, n):
    """A random shape of n elements."""
    shape = []
    while n > 1 and rng.random() < 0.8 and len(shape) < 6:
        f = rng.choice([d for d in range(1, n + 1) if n % d == 0])
        shape.append(f)
        n //= f
    shape.append(n)
    rng.shuffle(shape)
    return shape


def shape_cases(rng, count):
    for _ in range(count):
        a = random_array(rng, random_shape(rng, 5, 6))
        if rng.random() < 0.2 and a.ndim:
            a = np.broadcast_to(a, (rng.randint(1, 3),) + a.shape)
        shape = factors(rng, a.size) if a.size else list(rng.choice(((0,), (0, 3), (2, 0), ())))
        if a.size == 1 and rng.random() < 0.3:
            shape = []
        if rng.random() < 0.4 and shape:
            shape[rng.randrange(len(shape))] = -1
        if rng.random() < 0.05 and shape:
            shape[rng.randrange(len(shape))] = rng.choice((-1, 0, 2, 7))
        expected = attempt(lambda: a.reshape(shape))
        view = not isinstance(expected, Exception) and np.may_share_memory(expected, a)
        yield Case(ints(RESHAPE) + tensor(a) + ints(len(shape), *shape), expected,
                   f"{a.shape} {a.strides} reshape {shape}", view)


def views_cases(rng, count):
    for i in range(count):
        a = random_array(rng, tuple(1 if rng.random() < 0.3 else n for n in random_shape(rng)))
        kind = i % 6
        axis = rng.randint(-a.ndim - 2, a.ndim + 1)
        request, words = b"", ""
        if kind == 0:
            axes = list(range(a.ndim))
            rng.shuffle(axes)
            axes = [x - a.ndim if rng.random() < 0.2 else x for x in axes]
            if rng.random() < 0.1 and axes:
                axes[0] = rng.choice(axes + [a.ndim])
            if not axes:
                continue
            request, words = ints(PERMUTE), f"permute {axes}"
            operands, expected = ints(len(axes), *axes), attempt(lambda: a.transpose(axes))
        elif kind == 1:
            request, words = ints(SQUEEZE), f"squeeze {axis}"
            if rng.random() < 0.3:
                operands, expected = ints(ALL_AXES), a.squeeze()
            else:
                operands, expected = ints(axis), attempt(lambda: np.squeeze(a, axis))
                if a.ndim == 0:
                    expected = IndexError("axis of a scalar")  # NumPy lets 0 and -1 pass
        elif kind == 2:
            request, words = ints(EXPAND), f"expand_dims {axis}"
            operands, expected = ints(axis), attempt(lambda: np.expand_dims(a, axis))
        elif kind == 3:
            shape = [rng.randint(0, 4) if n == 1 and rng.random() < 0.7 else n for n in a.shape]
            shape = [rng.randint(0, 3) for _ in range(rng.randint(0, 2))] + shape
            if rng.random() < 0.1 and shape:
                shape[rng.randrange(len(shape))] += 1
            if rng.random() < 0.05:
                shape = shape[1:]
            request, words = ints(BROADCAST), f"broadcast {shape}"
            operands = ints(len(shape), *shape)
            expected = attempt(lambda: np.broadcast_to(a, shape))
        elif kind == 4:
            n = random_integer(rng, a.shape[0] if a.ndim else 1)
            request, words, operands = ints(AT), f"at {n}", ints(n)
            expected = attempt(lambda: a[n])
        else:
            axis = rng.randrange(a.ndim) if a.ndim and rng.random() < 0.9 else axis
            ok = -a.ndim <= axis < a.ndim
            s = random_slice(rng, a.shape[axis] if ok else 3)
            operands = ints(axis, *(NONE if v is None else v for v in (s.start, s.stop, s.step)))
            request, words = ints(SLICE), f"slice {axis} {s}"
            expected = attempt(lambda: a[(slice(None),) * (axis % a.ndim) + (s,)]) if ok \
                else IndexError("axis")
        yield Case(request + tensor(a) + operands, expected, f"{a.shape} {words}", True)


# ---- Copies and casts --------------------------------------------------------------------------

def copy_shape(rng):
    if rng.random() < 0.5:
        return random_shape(rng, 5, 6)
    return tuple(rng.choice((1, 2, 3, 5, 16, 17, 33, 64, 70)) for _ in range(rng.randint(2, 3)))


def copy_cases(rng, count):
    for i in range(count):
        shape = copy_shape(rng)
        dtype = rng.choice(list(NUMBER))
        a = np.frombuffer(rng.randbytes(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)
        if dtype.kind == "b":
            a = numbered(shape, dtype)
        a = strided(rng, a) if rng.random() < 0.8 else a
        if rng.random() < 0.1 and a.ndim:
            a = np.broadcast_to(a, (3,) + a.shape)
        words = f"{a.dtype}{a.shape} {a.strides}"
        if i % 2:
            yield Case(ints(COPY) + tensor(a), a, words, False)
            continue
        dst = strided(rng, numbered(a.shape, a.dtype if rng.random() < 0.6 else
                                    rng.choice(list(NUMBER))))
        if dst.dtype != a.dtype:
            a = random_array(rng, a.shape, a.dtype)
        before = tensor(dst)
        if rng.random() < 0.03 and a.ndim:
            a, expected = a[..., :-1], ValueError("shapes")
            if a.shape == dst.shape:
                continue
        else:
            with np.errstate(all="ignore"):
                np.copyto(dst, a, casting="unsafe")
            expected = memory(dst)[1]
        yield Case(ints(COPY_INTO) + tensor(a) + before, expected, f"{words} into {dst.dtype}",
                   base=dst)


def range_of(dtype):
    if dtype.kind == "b":
        return -math.inf, math.inf
    if dtype == np.uint32:
        return -2**31, 2**32 - 1  # below that NumPy's vector loops and tails differ
    if dtype.itemsize <= 4:
        return -2**31, 2**31 - 1  # small types go through int32
    return (-2**63, 2**64) if dtype.kind == "u" else (-2**63, 2**63)


def castable(a, dtype):
    """The values of a float array whose cast NumPy does the same way everywhere, or on x86-64."""
    wide = a.astype(np.float64)
    low, high = range_of(dtype)
    inside = (wide > low - 1) & (wide < high)
    if dtype == np.uint32 or a.dtype == BF16 or platform.machine() not in ("x86_64", "AMD64"):
        if platform.machine() not in ("x86_64", "AMD64") and dtype.kind == "u":
            inside &= wide > -1
        if dtype.itemsize < 4 and platform.machine() not in ("x86_64", "AMD64"):
            info = np.iinfo(dtype)
            inside &= (wide > info.min - 1) & (wide < info.max + 1)
        return np.where(inside, a, np.zeros((), a.dtype))
    return a


def cast_values(rng, dtype, n):
    if dtype.kind == "b":
        return np.array([rng.random() < 0.5 for _ in range(n)], bool)
    kind = rng.randrange(3)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        if kind == 0:
            return np.frombuffer(rng.randbytes(n * dtype.itemsize), dtype)
        edges = [info.min, info.max, 0, 1, info.max // 2, info.max - 1, info.min // 2, 65504, 65519,
                 65520, 2**24 + 1, 2**24 + 3, 2**53 + 1, 2**62 + 2**38 + 1, -1, 255, 256, 127, 128]
        edges = [e for e in edges if info.min <= e <= info.max]
        return np.array([rng.choice(edges) + 0 for _ in range(n)], dtype)
    if kind == 0:
        return np.frombuffer(rng.randbytes(n * dtype.itemsize), dtype)
    if kind == 1:
        scale = rng.choice((1e-8, 1e-5, 1e-4, 1, 10, 300, 7e4, 3e9, 1e19, 1e39))
        with np.errstate(all="ignore"):
            return np.array([rng.uniform(-scale, scale) for _ in range(n)]).astype(dtype)
    edges = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, math.inf, -math.inf, math.nan, 65504, 65519.99, 65520,
             2**-24, 2**-25, 2**-25 * 1.0000001, 2**-14, 2**-14 - 2**-26, 6e-8, 1 + 2**-11,
             1 + 2**-11 + 2**-40, 1 + 2**-8, 1 + 2**-8 + 2**-30, 1 + 3 * 2**-11, 2**31, -2**31 - 1,
             2**31 - 1, 2**32, 2**63, 2**64, -2**63, 254.99, 255.5, 256, -1, -0.99, 127.9, -128.9,
             3.4e38, 3.5e38, 1e-45, 1e-310]
    with np.errstate(all="ignore"):
        return np.array([rng.choice(edges) for _ in range(n)], np.float64).astype(dtype)


def same_numbers(got, expected):
    """Equal bits; a NaN may have any payload, as processors differ there."""
    if got.dtype.kind in "fV":
        with np.errstate(all="ignore"):
            nan, nan_expected = np.isnan(got), np.isnan(expected)
        if not np.array_equal(nan, nan_expected):
            return f"NaN at other places: {got} expected {expected}"
        got, expected = got[~nan], expected[~nan]
    if got.tobytes() != expected.tobytes():
        bad = [i for i in range(got.size) if got.flat[i].tobytes() != expected.flat[i].tobytes()][0]
        return f"element {bad}: got {got.flat[bad]!r}, expected {expected.flat[bad]!r}"
    return None


def cast_cases(rng, count):
    pairs = [(a, b) for a in NUMBER for b in NUMBER]
    for i in range(count):
        source, target = pairs[i % len(pairs)]
        a = cast_values(rng, source, rng.choice((1, 7, 100, 700)))
        with np.errstate(all="ignore"):
            if source in FLOATS and target.kind in "iu":
                a = castable(a, target)
            if rng.random() < 0.3:
                a = strided(rng, a.reshape(factors(rng, a.size)))
            expected = attempt(lambda: a.astype(target))
        yield Case(ints(CAST) + tensor(a) + ints(NUMBER[target]), expected,
                   f"{source}{a.shape} to {target}", False, compare=same_numbers)


# ---- Kinds of eight bits and less -----------------------------------------------------------------

WIDTH = {21: 4, 22: 4, 23: 4, 25: 2, 26: 2, 27: 6, 28: 6}


def is_integer(dtype):
    return dtype.kind in "iu" or NARROW.get(dtype) in (21, 22, 25, 26)


def narrow_all(dtype):
    """Every element there is, in ml_dtypes' bytes."""
    return np.arange(2 ** WIDTH.get(NARROW[dtype], 8), dtype=np.uint8).view(dtype)


def narrow_sources(rng, source, target):
    """Values of a wider type around everything that decides how it rounds to the narrow one."""
    if source == np.float16 or source == BF16:
        return np.arange(65536, dtype=np.uint16).view(source)
    if source.kind == "b":
        return np.array([False, True])
    if source.kind in "iu":
        info = np.iinfo(source)
        around = [info.min, info.max, 0, 1 << 24, 57344, 61440, 448, 464, 480, 240, 248, 256]
        values = [v + d for v in around for d in range(-40, 41)]
        return np.array([v for v in values if info.min <= v <= info.max], source)
    with np.errstate(all="ignore"):
        known = narrow_all(target).astype(np.float64)
        known = np.sort(known[np.isfinite(known)])
        middles = (known[1:] + known[:-1]) / 2
        edges = np.concatenate([known, middles, middles * 2, [448, 464, 480, 6.5, 7, 7.5, 8, 61440,
                                1e6, -1e6, 1e-7, 1e-40, 2.0**-127, 2.0**-128, 2.0**-126 * 0.75,
                                2.0**127 * 1.5, 3.4e38, np.inf, -np.inf, np.nan, -np.nan, -0.0]])
        edges = edges.astype(source)
        near = [edges, np.nextafter(edges, source.type(np.inf)),
                np.nextafter(edges, source.type(-np.inf))]
        bits = np.frombuffer(rng.randbytes(20000 * source.itemsize), source)
        return np.concatenate(near + [bits])


def same_values(got, expected):
    """The same numbers and the same zeros; where a float has no place in an integer anything is."""
    width = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}[got.dtype.itemsize]
    if is_integer(got.dtype):
        wrong = got.astype(np.int64) != expected.astype(np.int64)
    else:
        with np.errstate(all="ignore"):
            nan = np.isnan(got) & np.isnan(expected)
        wrong = (got.view(width) != expected.view(width)) & ~nan
        if got.dtype in NARROW:
            wrong |= got.view(width) != expected.view(width)
    bad = np.flatnonzero(wrong)
    return f"element {bad[0]}: got {got[bad[0]]!r}, expected {expected[bad[0]]!r}" if bad.size \
        else None


def narrow_cases(rng, count):
    del count
    for narrow in NARROW:
        for other in list(NUMBER) + list(NARROW):
            if other == narrow:
                continue
            pairs = [(narrow_all(narrow), narrow, other)]
            if other in NUMBER:
                pairs.append((narrow_sources(rng, other, narrow), other, narrow))
            for a, source, target in pairs:
                with np.errstate(all="ignore"):
                    if is_integer(target) and not is_integer(source) and source.kind != "b":
                        wide = a.astype(np.float64)
                        most = 2.0**31 if target.itemsize < 8 else 2.0**62
                        a = a[np.isfinite(wide) & (np.abs(wide) < most)]
                        if target.kind == "u" or target.itemsize < 4:
                            a = a[np.abs(a.astype(np.float64)) < 2.0**15]
                        if target.kind == "u":
                            a = a[a.astype(np.float64) >= 0]
                    if NARROW.get(target) == 24:
                        # ml_dtypes takes these to 2^-126, which is not the nearest.
                        wide = a.astype(np.float64)
                        a = a[~((wide > 2.0**-127) & (wide < 1.5 * 2.0**-127))]
                    # ml_dtypes has no casts of its own between some narrow kinds.
                    through = a if other in NUMBER else a.astype(np.float32)
                    expected = through.astype(target)
                yield Case(ints(CAST) + tensor(a) + ints((NUMBER | NARROW)[target]), expected,
                           f"{source}{a.shape} to {target}", False, compare=same_values)


# ---- Printing ----------------------------------------------------------------------------------

def print_values(rng, dtype, n):
    if dtype not in FLOATS:
        if dtype.kind in "iu" and rng.random() < 0.5:
            return np.array([rng.randint(0, 100) for _ in range(n)]).astype(dtype)
        return cast_values(rng, dtype, n)
    kind = rng.randrange(9)
    if kind == 0:
        out = [rng.gauss(0, 1) for _ in range(n)]
    elif kind == 1:
        out = [rng.gauss(0, 1) * 10.0 ** rng.randint(-12, 12) for _ in range(n)]
    elif kind == 2:
        out = [float(rng.randint(-1000, 1000)) for _ in range(n)]
    elif kind == 3:
        out = [round(rng.uniform(-100, 100), rng.randint(0, 4)) for _ in range(n)]
    elif kind == 4:
        return np.frombuffer(rng.randbytes(n * dtype.itemsize), dtype)
    elif kind == 5:
        out = [2.0 ** rng.randint(-30, 30) for _ in range(n)]
    elif kind == 6:
        around = rng.choice((1e-4, 1e3, 1e6, 1e8, 1e16, 9.9999999e7, 0.99999999))
        out = [around * rng.choice((1, 1, -1, 1 - 2**-24, 1 + 2**-23, 0.5, 10)) for _ in range(n)]
    elif kind == 7:
        out = [rng.uniform(0, 1) * 10.0 ** rng.choice((-300, -40, 0, 38, 300)) for _ in range(n)]
    else:
        out = [0.0] * n
    special = rng.choice(((), (), (math.nan,), (math.inf,), (-math.inf, math.nan), (0.0, -0.0),
                          (math.nan, math.inf, 0.0)))
    for s in special:
        for i in range(n):
            if rng.random() < 0.2:
                out[i] = s
    with np.errstate(all="ignore"):
        return np.array(out, np.float64).astype(dtype)


def str_of(a):
    with np.errstate(all="ignore"):
        return str(a.astype(np.float32) if a.dtype == BF16 or (a.dtype in NARROW and not is_integer(a.dtype))
                   else a.astype(np.int8) if a.dtype in NARROW else a)


def print_shape(rng):
    kind = rng.random()
    if kind < 0.1:
        return ()
    if kind < 0.4:
        return (rng.randint(1, 60),)
    if kind < 0.8:
        return random_shape(rng, 4, 5)
    if kind < 0.95:
        return tuple(rng.choice(((1001,), (2000,), (30, 40), (7, 8, 30), (6, 200), (2, 3, 6, 40),
                                 (1000, 2), (2, 1000), (1, 1, 1100), (3, 7, 7, 7), (1000,), (5, 201))))
    return random_shape(rng, 7, 4)


def str_cases(rng, count):
    for _ in range(count):
        shape, dtype = print_shape(rng), rng.choice(list(NUMBER))
        if rng.random() < 0.6:
            dtype = rng.choice(FLOATS)
        a = print_values(rng, dtype, math.prod(shape)).reshape(shape)
        a = strided(rng, a) if rng.random() < 0.2 else a
        yield Case(ints(STR) + tensor(a), str_of(a), f"{a.dtype}{a.shape}")
    for narrow in NARROW:
        for a in (narrow_all(narrow), narrow_all(narrow)[:3].reshape(3, 1), narrow_all(narrow)[3]):
            a = np.asarray(a)
            yield Case(ints(STR) + tensor(a), str_of(a), f"{narrow}{a.shape}")
    # Every float16 there is, as a scalar and among others.
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    for i in range(0, 65536, 16):
        yield Case(ints(STR) + tensor(halves[i:i + 16]), str_of(halves[i:i + 16]), f"float16 {i}")
    for i in range(0, 65536, 41):
        yield Case(ints(STR) + tensor(halves[i:i + 1].reshape(())), str_of(halves[i]), f"float16 {i}")


# ---- Random numbers ----------------------------------------------------------------------------

def philox(counter, key):
    """Philox4x32-10 over arrays of counters: (n, 4) words of 32 bits held in uint64."""
    c, mask = [counter[:, i].copy() for i in range(4)], np.uint64(0xFFFFFFFF)
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & mask,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, 1)


def normals(n, seed):
    blocks = np.arange((n + 3) // 4, dtype=np.uint64)
    zero = np.zeros_like(blocks)
    counter = np.stack([blocks & np.uint64(0xFFFFFFFF), blocks >> np.uint64(32), zero, zero], 1)
    words = philox(counter, (seed & 0xFFFFFFFF, seed >> 32)).astype(np.float64)
    u, v = words.reshape(-1, 2).T
    radius, angle = np.sqrt(-2 * np.log((u + 1) * 2.0**-32)), v * 2.0**-32 * 2 * np.pi
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:n]


def near_normals(got, expected):
    # Both are worked out in double; NumPy's sine and cosine of the rounded angle are off by 1e-15.
    off = np.max(np.abs(got - expected) - np.spacing(np.abs(expected).astype(np.float32)), initial=-1)
    if off > 2e-15:
        return f"off by {off} more than a unit in the last place"
    if got.size > 10**5 and (abs(got.mean()) > 0.01 or abs(got.std() - 1) > 0.01):
        return f"mean {got.mean()}, deviation {got.std()}"
    return None


def random_cases(rng, count):
    shapes = [(), (0,), (1,), (3,), (5, 7), (200003,)] + [random_shape(rng) for _ in range(count)]
    for shape in shapes:
        seed = rng.choice((0, 1, 7, 2**32, 2**63 - 1, rng.getrandbits(63)))
        expected = normals(math.prod(shape), seed).astype(np.float32).reshape(shape)
        yield Case(ints(RANDOM, len(shape), *shape, seed), expected, f"random {shape} {seed}",
                   compare=near_normals)


# ---- Running -----------------------------------------------------------------------------------

GROUPS = {"index": (index_cases, 20000), "index_text": (index_text_cases, 8000),
          "shape": (shape_cases, 8000), "views": (views_cases, 12000), "copy": (copy_cases, 6000),
          "cast": (cast_cases, 169 * 24), "narrow": (narrow_cases, 0), "str": (str_cases, 6000), "random": (random_cases, 60)}


def main():
    driver, group = sys.argv[1:3]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    make, count = GROUPS[group]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else count
    if group == "str" and np.lib.NumpyVersion(np.__version__) < "2.3.0":
        print(f"NumPy {np.__version__} chooses exponents by older rules; 2.3 is needed")
        return 77
    cases = list(make(random.Random(seed), count))
    run = subprocess.run([driver], input=b"".join(c.request for c in cases), stdout=subprocess.PIPE)
    answers, failed = Answers(run.stdout), 0
    if run.returncode:
        raise SystemExit(f"the driver ended with {run.returncode}")
    for i, case in enumerate(cases):
        problem = case.check(answers)
        if problem:
            failed += 1
            if failed <= 5:
                print(f"case {i}: {case.words}: {problem}")
    errors = sum(isinstance(c.expected, Exception) for c in cases)
    print(f"{group}: {len(cases)} cases ({errors} of them errors), {failed} failed, seed {seed}")
    return 1 if failed or answers.at != len(answers.raw) else 0


if __name__ == "__main__":
    sys.exit(main())
