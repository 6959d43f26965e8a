# SPDX-License-Identifier: Apache-2.0
"""Compares .npy and .npz files with NumPy: what NumPy writes is read to the same elements, and what
is written is byte for byte what NumPy would have written.

usage: compare_numpy.py FILE_TOOL
"""
import io
import os
import sys
import tempfile
import warnings
import zipfile

import numpy as np

from file_tool import Tool, run

DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
SHAPES = [(), (1,), (7,), (0,), (3, 4), (4, 1), (1, 5), (2, 0, 3), (2, 3, 4), (1, 1, 1), (2, 3, 1, 2, 2),
          (1,) * 16]
rng = np.random.default_rng(0)


def make(dtype, shape):
    """An array of random bytes: every NaN and every integer may occur."""
    dtype = np.dtype(dtype)
    a = np.frombuffer(rng.bytes(int(np.prod(shape)) * dtype.itemsize), dtype=dtype)
    if dtype == np.dtype("?"):
        a = (a.view("u1") & 1).view("?")
    return a.reshape(shape)


def same(a, b):
    """The same elements, bit for bit, in row-major order."""
    a, b = np.asarray(a), np.asarray(b)
    native = a.dtype.newbyteorder("=")
    return a.shape == b.shape and native == b.dtype and a.astype(native).tobytes() == b.tobytes()


def numpy_bytes(a):
    """What np.save writes for the elements row-major in this machine's byte order."""
    f = io.BytesIO()
    np.save(f, a.astype(a.dtype.newbyteorder("="), order="C"))
    return f.getvalue()


def versions_of(a, path):
    """Writes a in each format version NumPy has, one at a time."""
    for version in [(1, 0), (2, 0), (3, 0)]:
        with open(path, "wb") as f, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.lib.format.write_array(f, a, version=version)
        yield version


def check_npy(tool, a, what):
    """The file i.npy holds a."""
    answer = tool("npy", "i.npy", "o.npy")
    assert answer[0] == "0", (what, answer)
    assert answer[2] == ",".join(map(str, a.shape)), (what, answer)
    back = np.load("o.npy")
    assert same(a, back), (what, answer)
    with open("o.npy", "rb") as f:
        assert f.read() == numpy_bytes(a), (what, "the bytes differ from NumPy's")
    return answer


def npy_of_every_kind(tool):
    n = 0
    for dtype in DTYPES:
        for order in "<>":
            for shape in SHAPES:
                for layout in "CF":
                    a = np.asarray(make(np.dtype(dtype).newbyteorder(order), shape), order=layout)
                    for version in versions_of(a, "i.npy"):
                        check_npy(tool, a, (dtype, order, shape, layout, version))
                        n += 1
    return f"{n} arrays"


def random_npy(tool):
    for i in range(2000):
        rank = int(rng.integers(0, 7))
        shape = tuple(int(d) for d in rng.integers(0, 6, rank))
        dtype = np.dtype(DTYPES[rng.integers(len(DTYPES))]).newbyteorder("<>"[rng.integers(2)])
        a = make(dtype, shape)
        if rank and rng.integers(2):
            a = a.transpose(rng.permutation(rank))[tuple([slice(None, None, -1)] * int(rng.integers(rank + 1)))]
        np.save("i.npy", np.asarray(a, order="CFA"[rng.integers(3)]))
        check_npy(tool, a, (i, dtype, shape))
    return "2000 arrays"


def large_files_are_mapped(tool):
    for a, mapped in [(make("<f4", (300, 1000)), True), (make(">f4", (300, 1000)), False),
                      (np.asfortranarray(make("<f8", (30, 50, 100))), True), (make("<f4", (10,)), False),
                      (make("?", (1000, 1000)), False)]:
        np.save("i.npy", a)
        assert (check_npy(tool, a, a.dtype)[4] == "mapped") == mapped, (a.dtype, a.shape)
    # A header that is no multiple of the element's size, as other writers may make it.
    a = make("<f4", (300, 1000))
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (300, 1000)}\n"
    with open("i.npy", "wb") as f:
        f.write(b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + a.tobytes())
    assert check_npy(tool, a, "unaligned")[4] == ""
    return "6 files"


def what_numpy_has_and_we_do_not(tool):
    cases = {"object": np.array([None, 1]), "complex": np.zeros(2, "c8"),
             "dates": np.zeros(2, "M8[s]"), "spans": np.zeros(2, "m8[s]"),
             "structured": np.zeros(2, "f4,i4"), "raw": np.zeros(2, "V2"), "long double": np.zeros(2, "g")}
    for name, a in cases.items():
        np.save("i.npy", a, allow_pickle=True)
        answer = tool("npy", "i.npy", "o.npy")
        assert answer[0] == "4" and "not supported" in answer[2], (name, answer)
        assert answer[2].startswith("cannot read 'i.npy': "), answer
    return f"{len(cases)} dtypes"


def text(tool):
    """Text and bytes become strings, and are written as NumPy's text."""
    cases = [np.array(["ab", "c"]), np.array([["", "\u00e9\u4e2d"], ["x" * 40, "\U0001f600"]]), np.array([b"ab", b"c"])]
    for a in cases:
        np.save("i.npy", a)
        answer = tool("npy", "i.npy", "o.npy")
        assert answer[:2] == ["0", "string"], answer
        back = np.load("o.npy")
        assert back.dtype.kind == "U" and back.shape == a.shape, (a, back)
        assert (back == a.astype(back.dtype)).all(), (a, back)
    return f"{len(cases)} arrays"


def npz_of_every_kind(tool):
    n = 0
    for save in np.savez, np.savez_compressed:
        for layout in "CF":
            arrays = {f"{d}/{'x'.join(map(str, s))}": np.asarray(make(d, s), order=layout)
                      for d in ("<f4", ">i2", "?", "<f8") for s in SHAPES}
            arrays["grün 漢.weight:in[3]"] = np.zeros((100, 1000), "f4")
            save("i.npz", **arrays)
            assert tool("npz", "i.npz", "o.npz") == ["0", str(len(arrays))]
            with np.load("o.npz") as z:
                assert z.files == list(arrays)
                for name, a in arrays.items():
                    assert same(a, z[name]), name
                    n += 1
            with zipfile.ZipFile("o.npz") as z:
                assert z.testzip() is None
                for info in z.infolist():
                    assert info.date_time == (1980, 1, 1, 0, 0, 0)
                    assert info.compress_type == zipfile.ZIP_STORED
                    assert z.read(info) == numpy_bytes(arrays[info.filename[:-4]])
    return f"{n} arrays"


def damaged_npz(tool):
    """Every byte of a compressed archive cut off and changed: an answer or an error, nothing else."""
    errors = 0
    np.savez_compressed("i.npz", a=np.arange(20, dtype="f4"), b=np.ones((3, 4), "i8"))
    with open("i.npz", "rb") as f:
        good = f.read()
    cases = [good[:n] for n in range(len(good))]
    for i in range(len(good)):
        for flip in (1, 0x80, 0xFF):
            cases.append(good[:i] + bytes([good[i] ^ flip]) + good[i + 1:])
    for bad in cases:
        with open("x.npz", "wb") as f:
            f.write(bad)
        answer = tool("npz", "x.npz", "o.npz")
        assert answer[0] in "0346", answer
        assert answer[0] == "0" or answer[2].startswith(("cannot read 'x.npz': ", "cannot write")) or \
            "needs at least one" in answer[2], answer
        errors += answer[0] != "0"
    assert errors > len(good)
    return f"{errors} errors in {len(cases)} archives"


def odd_npz(tool):
    with zipfile.ZipFile("x.npz", "w") as z:
        z.writestr("a.npy", numpy_bytes(np.arange(3)), compress_type=zipfile.ZIP_LZMA)
    answer = tool("npz", "x.npz", "o.npz")
    assert answer[0] == "4" and "a.npy: compression method 14" in answer[2], answer
    with zipfile.ZipFile("x.npz", "w") as z, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        z.writestr("a.npy", numpy_bytes(np.arange(3)))
        z.writestr("a.npy", numpy_bytes(np.arange(4)))
    answer = tool("npz", "x.npz", "o.npz")
    assert answer[0] == "3" and "two members have this name" in answer[2], answer
    with zipfile.ZipFile("x.npz", "w") as z:
        z.writestr("folder/", b"")
        z.writestr("notes.txt", b"hello")
        z.writestr("a.npy", numpy_bytes(np.arange(3)))
    assert tool("npz", "x.npz", "o.npz") == ["0", "1"]
    return "3 archives"


if __name__ == "__main__":
    path = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run([npy_of_every_kind, random_npy, large_files_are_mapped, what_numpy_has_and_we_do_not, text,
             npz_of_every_kind, damaged_npz, odd_npz], Tool(path))
