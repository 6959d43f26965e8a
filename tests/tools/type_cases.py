#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases of strings and of small element types that ONNX's own conformance cases leave out,
in their layout. Expected values are those of Python (re, str.split), NumPy with ml_dtypes, and
onnx's reference evaluator.

  type_cases.py DIR      DIR/types/<case>/{model.onnx,test_data_set_0/*.pb}
"""
import os
import re
import sys

import ml_dtypes
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

rng = np.random.default_rng(20261125)
counts = {}
WORDS = np.array(["", "a", "Monday", "straße", "naïve ÉCOLE", "日本語", "x y  z", "1,2,,3", "\t end "],
                 object)


def text(*shape):
    return rng.choice(WORDS, shape).astype(object)


def number(a):
    return TensorProto.STRING if a.dtype == object else helper.np_dtype_to_tensor_dtype(a.dtype)


def write(root, op, inputs, outputs=None, domain="", n_out=1, **attributes):
    """One case; without outputs they are the reference evaluator's."""
    counts[op] = counts.get(op, 0) + 1
    folder = os.path.join(root, "types", f"{op.lower()}_{counts[op]}")
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    names = [f"input{i}" for i in range(len(inputs))]
    out_names = [f"output{i}" for i in range(len(outputs) if outputs else n_out)]
    node = helper.make_node(op, names, out_names, domain=domain, **attributes)
    infos = [helper.make_tensor_value_info(n, number(v), v.shape) for n, v in zip(names, inputs)]
    imports = [helper.make_opsetid("", 25), helper.make_opsetid("ai.onnx.ml", 4)]

    def model(out_infos):
        graph = helper.make_graph([node], op, infos, out_infos)
        return helper.make_model(graph, opset_imports=imports, ir_version=11)

    if outputs is None:
        free = [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in out_names]
        outputs = ReferenceEvaluator(model(free)).run(None, dict(zip(names, inputs)))
        outputs = [o.astype(object) if o.dtype.kind in "UO" else o for o in outputs]
    out_infos = [helper.make_tensor_value_info(n, number(v), v.shape)
                 for n, v in zip(out_names, outputs)]
    files = {"model.onnx": model(out_infos).SerializeToString()}
    for kind, values in (("input", inputs), ("output", outputs)):
        for i, v in enumerate(values):
            dense = np.ascontiguousarray(v).reshape(v.shape)
            files[f"test_data_set_0/{kind}_{i}.pb"] = numpy_helper.from_array(
                dense).SerializeToString()
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(content)


# ---- Strings ------------------------------------------------------------------------------------

PATTERNS = [
    "", "a", "abc", "a*", "a+", "a?", "(a|b)*", "a|bc|", "(ab)+c?", "a{3}", "a{2,}", "a{1,3}b",
    "(ab){2,4}", "(a?){3}a{3}", "[abc]+", "[^abc]+", "[a-c0-9_]*", "[]a]+", "[a-]+", r"\d+", r"\D+",
    r"\w+@\w+\.com", r"[\w.]+", r"\s*\S+\s*", ".", ".*", "(?s).*", "(?i)MonDay", "(?i)[a-z]+",
    "(?i:A)b", "a(?i)b|c", "^a$", "^$", "(?m)a$.^b|(?ms)a$.^b", r"\bfoo\b.*", r".*\Bo\b", r"\Aab\z",
    r"\x61\x{62}c", r"a\.b", r"\t|\n", "(?:ab|c)*?", "(?P<n>a)(?P<m>b)", "日本.", "[日-語]+", "(|a)+",
    "((a*)*)*", "(a*)+b", "x{0}", "x{0,2}", "(a|ab)(c|bcd)(d*)", r"(\d{1,3}\.){3}\d{1,3}",
    r"[[:alpha:]]+", r"\Qa.b\E+", "a||b", "(ab|cd){0,2}e", "{", "a{,3}", "(x{2}){3}",
]
TEXTS = ["", "a", "b", "c", "ab", "abc", "aaa", "aaaa", "aab", "abab", "ababc", "bc", "abcd", "xxxxxx",
         "me@here.com", "me@here.org", "Monday", "MONDAY", "AB", "Ab", "aB", "a\nb", "\n", "\t", "foo",
         "foo bar", "o", "10.0.0.255", "1.2.3", "a.b", "a.bb", "日本語", "日", "]a]", "-a", "_9", "x", "xx",
         "abcde", "cde", "{", "a{,3}", "a" * 12, "a" * 12 + "b", " q ", "straße"]


def regex_cases(root):
    for pattern in PATTERNS:
        # Python's spelling of what RE2 has.
        python = pattern.replace(r"\z", r"\Z").replace(r"\x{62}", "b")
        python = python.replace("[[:alpha:]]", "[A-Za-z]").replace(r"\Qa.b\E", r"a\.b")
        python = re.sub(r"^a\(\?i\)b\|c$", "ab|aB|c|C", python)
        python = python.replace("(?m)a$.^b|(?ms)a$.^b", "(?ms)a$.^b").replace("[]a]", r"[\]a]")
        python = python.replace("a{,3}", r"a\{,3\}")
        compiled = re.compile(python, 0 if "日" in pattern else re.ASCII)
        want = np.array([compiled.fullmatch(t) is not None for t in TEXTS])
        write(root, "RegexFullMatch", [np.array(TEXTS, object)], [want], pattern=pattern)


def string_cases(root):
    write(root, "StringConcat", [text(3, 1, 4), text(2, 1)])
    write(root, "StringConcat", [text(0, 2), text(2)])
    for delimiter in (None, "", ",", "  ", "ö"):
        for most in (None, 0, 1, 2, 9):
            options = {k: v for k, v in (("delimiter", delimiter), ("maxsplit", most))
                       if v is not None}
            x = text(2, 5)
            parts = [s.split(delimiter or None, -1 if most is None else most) for s in x.flat]
            width = max(map(len, parts))
            y = np.array([p + [""] * (width - len(p)) for p in parts], object).reshape(2, 5, width)
            n = np.array([len(p) for p in parts], np.int64).reshape(2, 5)
            write(root, "StringSplit", [x], [y, n], **options)
    index = np.array([[2, 0], [1, 1]], np.int64)
    x = text(3, 4)
    write(root, "Identity", [x], [x])
    write(root, "Gather", [x, index], [x[:, index]], axis=1)
    write(root, "Transpose", [x], [x.T])
    write(root, "Concat", [x, text(2, 4)], axis=0)
    write(root, "Expand", [text(3, 1), np.array([2, 3, 4], np.int64)])
    write(root, "Tile", [x, np.array([2, 1], np.int64)])
    write(root, "Reshape", [x, np.array([2, -1], np.int64)])
    write(root, "Slice", [x, *(np.array([v], np.int64) for v in (3, 0, 1, -2))], [x[:, 3:0:-2]])
    write(root, "Where", [rng.random((3, 4)) < 0.5, x, text(4)])
    write(root, "Equal", [x, text(1, 4)])
    write(root, "Equal", [x, x], [np.ones((3, 4), bool)])
    write(root, "Shape", [x])
    write(root, "Pad", [x, np.array([1, 0, 0, 2], np.int64), np.array("pad", object)],
          [np.pad(x, ((1, 0), (0, 2)), constant_values="pad")])
    write(root, "GatherND", [x, np.array([[0, 1], [2, 3]], np.int64)], [x[[0, 2], [1, 3]]])


def cast_cases(root):
    for dtype in ("float16", "float32", "float64", "int8", "uint16", "int32", "int64", "uint64",
                  "bool"):
        values = [0, 1, -1, 3.25, 100.5, 0.1, 1e-5, 12345.678, 1e20, np.nan, np.inf, -np.inf]
        if dtype == "bool":
            x = np.array([True, False])
        elif dtype[:5] == "float":
            with np.errstate(all="ignore"):
                x = np.array(values).astype(dtype)
        else:
            info = np.iinfo(dtype)
            x = np.array([0, 1, 77, info.max, info.min], dtype)
        # str() of the scalars: astype(str) writes small floats otherwise in some versions.
        words = np.array([str(v) for v in x], object)
        write(root, "Cast", [x], [words], to=TensorProto.STRING)
        write(root, "Cast", [words], [x], to=helper.np_dtype_to_tensor_dtype(x.dtype))
    loose = np.array(["+INF", "-inf", "NaN", " 1e-5 ", "1E8", "-.5", "7."], object)
    write(root, "Cast", [loose], [loose.astype(np.float32)], to=TensorProto.FLOAT)
    write(root, "Cast", [np.array(["100.5", "-3", "1e3"], object)],
          [np.array([100, -3, 1000], np.int32)], to=TensorProto.INT32)


def label_cases(root):
    kinds = {"strings": np.array(["", "a", "Monday"], object), "int64s": np.array([3, 1, -2]),
             "floats": np.array([0.5, np.nan, -1], np.float32)}
    for key, keys in kinds.items():
        x = np.concatenate([rng.permutation(keys), keys[:1]]).reshape(2, 2)
        for value, values in kinds.items():
            write(root, "LabelEncoder", [x],
                  [values[[[i for i, k in enumerate(keys) if k is v or k == v or (k != k and v != v)]
                           [-1] for v in x.flat]].reshape(2, 2)],
                  domain="ai.onnx.ml",
                  **{f"keys_{key}": keys.tolist(), f"values_{value}": values.tolist()})
    for dtype in ("int32", "int16", "float64"):
        keys, values = np.array([4, 2, 4], dtype), np.array([10, 20, 30], dtype)
        tensors = {n: numpy_helper.from_array(v) for n, v in
                   (("keys_tensor", keys), ("values_tensor", values),
                    ("default_tensor", np.array([-7], dtype)))}
        write(root, "LabelEncoder", [np.array([4, 3, 2], dtype)], [np.array([30, -7, 20], dtype)],
              domain="ai.onnx.ml", **tensors)


def tfidf_cases(root):
    for mode in ("TF", "IDF", "TFIDF"):
        for skip in (0, 2):
            pool = dict(ngram_counts=[0, 3], ngram_indexes=[2, 0, 1, 3, 5], mode=mode,
                        min_gram_length=1, max_gram_length=2, max_skip_count=skip)
            weights = [0.5, 2.0, 1.5, 3.0, 1.0, 0.25]
            x = rng.choice([5, 7, 8, 9], (3, 9))
            write(root, "TfIdfVectorizer", [x], pool_int64s=[5, 7, 9, 5, 7, 9, 8], weights=weights,
                  **pool)
            words = np.array(["", "fünf", "sieben", "neun"], object)[rng.integers(0, 4, (2, 7))]
            write(root, "TfIdfVectorizer", [words],
                  pool_strings=["fünf", "sieben", "neun", "fünf", "sieben", "neun", "neun"],
                  weights=weights, **pool)


# ---- Small types --------------------------------------------------------------------------------

NARROW = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
          "float4_e2m1fn", "int4", "uint4", "int2", "uint2"]


def narrow_cases(root):
    for name in NARROW:
        dtype = np.dtype(getattr(ml_dtypes, name))
        x = rng.choice([1, 0.5, 2, 4] if name.startswith("float") else [0, 1], (3, 5)).astype(dtype)
        index = np.array([2, 0], np.int64)
        write(root, "Identity", [x], [x])
        write(root, "Transpose", [x], [x.T])
        write(root, "Reshape", [x, np.array([5, 3], np.int64)], [x.reshape(5, 3)])
        if name == "float8_e8m0fnu" or "int2" in name:
            continue
        for scale in ("float32", "float16", "bfloat16"):
            s = np.array([0.5, 0.25, 2.0]).astype(scale)
            wide = x.astype(np.float32) * s.astype(np.float32).reshape(3, 1)
            write(root, "DequantizeLinear", [x, s], [wide.astype(scale)], axis=0)
            blocks = np.array([[0.5, 2], [1, 4], [0.25, 8]]).astype(scale)
            spread = np.repeat(blocks, 3, 1)[:, :5].astype(np.float32)
            write(root, "DequantizeLinear", [x, blocks], axis=1, block_size=3,
                  outputs=[(x.astype(np.float32) * spread).astype(scale)])
            y = (rng.standard_normal((3, 5)) * 6).astype(scale)
            zero = np.zeros((3, 2), dtype)
            write(root, "QuantizeLinear", [y, blocks, zero], axis=1, block_size=3,
                  outputs=[quantized(y, np.repeat(blocks, 3, 1)[:, :5], dtype)])


def quantized(y, scale, dtype):
    q = (y.astype(np.float64) / scale.astype(np.float64)).astype(np.float32).astype(scale.dtype)
    if "int" in dtype.name:
        info = ml_dtypes.iinfo(dtype)
        return np.clip(np.rint(q.astype(np.float32)), info.min, info.max).astype(dtype)
    info = ml_dtypes.finfo(dtype)
    most = np.float32(info.max)
    return np.clip(q.astype(np.float32), -most, most).astype(dtype)


def main():
    root = sys.argv[1]
    for family in (regex_cases, string_cases, cast_cases, label_cases, tfidf_cases, narrow_cases):
        family(root)
    print(sum(counts.values()), "cases written")


if __name__ == "__main__":
    main()
