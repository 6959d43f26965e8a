#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes cases of operators that ONNX's conformance cases leave out, in their layout: ai.onnx.ml,
com.microsoft, and a few of ai.onnx. Expected values are ONNX Runtime's; those of pictures Pillow's.

  runtime_cases.py DIR      DIR/node/<case>/{model.onnx,case.json,test_data_set_0/*.pb}

DIR/.law has cases of random operators, for tests/ops/batch_law only: the values mean nothing.
"""
import io
import json
import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from PIL import Image

rng = np.random.default_rng(20261125)
counts = {}
OPSETS = {"": 22, "ai.onnx.ml": 3, "com.microsoft": 1}


def normal(*shape, dtype="float32"):
    return rng.standard_normal(shape).astype(dtype)


def ints(low, high, *shape, dtype="int64"):
    return rng.integers(low, high, shape).astype(dtype)


def dump(root, name, model, inputs, outputs, rtol, atol, kind="node"):
    folder = os.path.join(root, kind, name)
    os.makedirs(os.path.join(folder, "test_data_set_0"), exist_ok=True)
    limits = json.dumps({"rtol": rtol, "atol": atol}).encode()
    files = {"model.onnx": model.SerializeToString(), "case.json": limits}
    for port, values in (("input", inputs), ("output", outputs)):
        for i, v in enumerate(values):
            tensor = numpy_helper.from_array(np.ascontiguousarray(v).reshape(v.shape))
            files[f"test_data_set_0/{port}_{i}.pb"] = tensor.SerializeToString()
    for path, content in files.items():
        with open(os.path.join(folder, path), "wb") as f:
            f.write(content)


def make(op, inputs, n_out, domain, opset, attributes):
    """A model of one node; None among inputs is left out, False among outputs too."""
    wanted = n_out if isinstance(n_out, tuple) else (True,) * n_out
    names = [f"x{i}" if v is not None else "" for i, v in enumerate(inputs)]
    outs = [f"y{i}" if w else "" for i, w in enumerate(wanted)]
    node = helper.make_node(op, names, outs, domain=domain, **attributes)
    given = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for n, v in zip(names, inputs)
        if v is not None
    ]
    free = [onnx.ValueInfoProto(name=n) for n in outs if n]
    imports = [helper.make_opsetid("", 22)]
    if domain:
        imports.append(helper.make_opsetid(domain, opset or OPSETS[domain]))
    elif opset:
        imports = [helper.make_opsetid("", opset)]
    graph = helper.make_graph([node], op, given, free)
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def columns(value):
    """A sequence of maps as the table of what they hold."""
    if not isinstance(value, list):
        return value
    return np.array([[row[k] for k in value[0]] for row in value], np.float32)


def case(root, op, inputs, n_out=1, domain="", opset=None, rtol=1e-4, atol=1e-5,
         kind="node", **attributes):
    counts[op] = counts.get(op, 0) + 1
    if "opset_" in attributes:  # an attribute of that name
        attributes["opset"] = attributes.pop("opset_")
    model = make(op, inputs, n_out, domain, opset, attributes)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        given = [v for v in inputs if v is not None]
        feed = {i.name: v for i, v in zip(session.get_inputs(), given)}
        outputs = [columns(v) for v in session.run(None, feed)]
    except Exception as error:
        raise SystemExit(f"{op} {counts[op]}: {error}") from error
    # What the model says of its outputs is what came out.
    del model.graph.output[:]
    for name, v in zip([o.name for o in session.get_outputs()], outputs):
        dtype = helper.np_dtype_to_tensor_dtype(v.dtype)
        model.graph.output.append(helper.make_tensor_value_info(name, dtype, v.shape))
    dump(root, f"{op.lower()}_{counts[op]}", model, given, outputs, rtol, atol, kind)


# ---- ai.onnx.ml ------------------------------------------------------------------------------


def features(root):
    def ml(op, inputs, **attributes):
        case(root, op, inputs, domain="ai.onnx.ml", opset=1, **attributes)

    for x in (normal(5, 3), normal(5, 3, dtype="float64"), ints(-4, 5, 5, 3), ints(0, 9, 5, 3, dtype="int32")):
        ml("Scaler", [x], offset=[0.5, -1.0, 2.0], scale=[2.0, 0.25, 1.5])
        for norm in ("MAX", "L1", "L2"):
            ml("Normalizer", [x], norm=norm)
        if x.dtype != np.int32:
            ml("OneHotEncoder", [x], cats_int64s=[-2, 0, 1, 3], zeros=1)
        ml("ArrayFeatureExtractor", [x, np.array([2, 0], np.int64)])
        ml("FeatureVectorizer", [x, x[:, :2]], inputdimensions=[3, 2])
    ml("Scaler", [normal(4, 6)], offset=[1.0], scale=[3.0])
    ml("Binarizer", [normal(4, 6)], threshold=0.25)
    holes = normal(4, 3)
    holes[1, 2] = holes[0, 0] = np.nan
    ml("Imputer", [holes], imputed_value_floats=[1.0, 2.0, 3.0], replaced_value_float=float("nan"))
    ml("Imputer", [ints(0, 3, 4, 3)], imputed_value_int64s=[7], replaced_value_int64=1)
    words = np.array([["b", "a", ""], ["c", "z", "b"]], object)
    ml("OneHotEncoder", [words], cats_strings=["a", "b", "", "c"], zeros=1)
    names = dict(cats_strings=["a", "b", "", "c"], cats_int64s=[7, -3, 0, 2**40])
    ml("CategoryMapper", [words], default_int64=-9, **names)
    ml("CategoryMapper", [np.array([[2**40, 1], [0, 7]], np.int64)], default_string="none", **names)
    ml("LabelEncoder", [words], classes_strings=["a", "b", "", "c"], default_int64=99)
    ml("LabelEncoder", [np.array([3, 0, 4, -1], np.int64)], classes_strings=["a", "b", "", "c"])
    ml("ArrayFeatureExtractor", [normal(3, 4, 5), np.array([[4, 1, 0]], np.int64)])


TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")


def linear(root):
    def ml(op, inputs, n_out=1, **attributes):
        case(root, op, inputs, n_out, domain="ai.onnx.ml", opset=1, **attributes)

    scores = rng.permutation(18).reshape(6, 3).astype(np.float32)
    ml("ZipMap", [scores], classlabels_int64s=[2, 5, 9])
    ml("ZipMap", [scores], classlabels_strings=["a", "b", "c"])
    for transform in TRANSFORMS[:4]:
        ml("LinearRegressor", [normal(6, 4)], coefficients=normal(12).tolist(),
           intercepts=normal(3).tolist(), targets=3, post_transform=transform)
        ml("LinearClassifier", [normal(6, 4)], 2, coefficients=normal(12).tolist(),
           intercepts=normal(3).tolist(), classlabels_ints=[5, 7, 11], post_transform=transform)
        ml("LinearClassifier", [normal(6, 4)], 2, coefficients=normal(8).tolist(),
           intercepts=normal(2).tolist(), classlabels_ints=[0, 1], post_transform=transform)
        for n in (2, 3):
            ml("LinearClassifier", [normal(6, 4)], 2, coefficients=normal(4 * n).tolist(),
               intercepts=normal(n).tolist(), classlabels_strings=["no", "yes", "maybe"][:n],
               post_transform=transform)
        ml("LinearClassifier", [normal(6, 4)], 2, coefficients=normal(4).tolist(),
           intercepts=normal(1).tolist(), classlabels_strings=["no", "yes"],
           post_transform=transform)
        ml("LinearClassifier", [normal(6, 4)], 2, coefficients=normal(4).tolist(),
           intercepts=normal(1).tolist(), classlabels_ints=[4, 9], post_transform=transform)


def trees(root, vote, classes, binary):
    """A forest of three trees as attributes, the older form; nodes of a tree in a mixed order."""
    nodes = {k: [] for k in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids",
                             "falsenodeids", "missing_value_tracks_true")}
    votes = {k: [] for k in ("treeids", "nodeids", "ids", "weights")}
    # No BRANCH_NEQ: it lets NaN pass in ONNX Runtime whatever missing_value_tracks_true says.
    modes = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ"]
    for tree in range(3):
        for node in range(7):
            leaf = node >= 3
            mode = modes[(tree * 3 + node) % (5 if tree else 1)]
            nodes["treeids"].append(tree)
            nodes["nodeids"].append(node)
            nodes["featureids"].append(0 if leaf else int(rng.integers(4)))
            nodes["values"].append(0.0 if leaf else float(np.float32(rng.standard_normal() / 2)))
            nodes["modes"].append("LEAF" if leaf else mode)
            nodes["truenodeids"].append(0 if leaf else 2 * node + 1)
            nodes["falsenodeids"].append(0 if leaf else 2 * node + 2)
            nodes["missing_value_tracks_true"].append(node % 2)
            # Every leaf votes for every class: ONNX Runtime leaves base values out of targets
            # without votes, which the specification does not.
            for target in range(1 if binary else classes) if leaf else ():
                votes["treeids"].append(tree)
                votes["nodeids"].append(node)
                votes["ids"].append(target)
                weight = float(np.float32(rng.standard_normal()))
                votes["weights"].append(abs(weight) / 3 if binary == "positive" else weight)
    return {f"nodes_{k}": v for k, v in nodes.items()} | {f"{vote}_{k}": v for k, v in votes.items()}


def forests(root):
    def ml(op, inputs, n_out, **attributes):
        case(root, op, inputs, n_out, domain="ai.onnx.ml", opset=3, **attributes)

    holes = normal(9, 4)
    holes[2, 1] = holes[5, 0] = holes[7, 3] = np.nan
    for x in (holes, normal(9, 4, dtype="float64")):
        for aggregate in ("SUM", "AVERAGE", "MIN", "MAX"):
            ml("TreeEnsembleRegressor", [x], 1, n_targets=3, aggregate_function=aggregate,
               base_values=[0.5, -0.25, 1.0], **trees(root, "target", 3, False))
        ml("TreeEnsembleRegressor", [x], 1, n_targets=1, **trees(root, "target", 1, False))
        for transform in TRANSFORMS[:4]:
            ml("TreeEnsembleClassifier", [x], 2, classlabels_int64s=[3, 4, 6],
               post_transform=transform, **trees(root, "class", 3, False))
            for sign in ("positive", "mixed"):
                ml("TreeEnsembleClassifier", [x], 2, classlabels_int64s=[0, 1],
                   post_transform=transform, **trees(root, "class", 2, sign))
        ml("TreeEnsembleClassifier", [x], 2, classlabels_strings=["a", "b", "c"],
           **trees(root, "class", 3, False))
        ml("TreeEnsembleClassifier", [x], 2, classlabels_strings=["a", "b"],
           **trees(root, "class", 2, "mixed"))
        ml("TreeEnsembleClassifier", [x], 2, classlabels_int64s=[3, 4, 6],
           base_values=[0.5, 0.0, -0.5], **trees(root, "class", 3, False))
        ml("TreeEnsembleClassifier", [x], 2, classlabels_int64s=[0, 1], base_values=[0.25],
           post_transform="LOGISTIC", **trees(root, "class", 2, "mixed"))


def machines(root):
    def ml(op, inputs, n_out, **attributes):
        case(root, op, inputs, n_out, domain="ai.onnx.ml", opset=1, **attributes)

    kernels = ("LINEAR", "POLY", "RBF", "SIGMOID")
    for kernel in kernels:
        params = [0.5, 0.25, 3.0]
        ml("SVMRegressor", [normal(6, 4)], 1, kernel_type=kernel, kernel_params=params, n_supports=5,
           coefficients=normal(5).tolist(), support_vectors=normal(20).tolist(), rho=[0.3])
        for classes in (2, 3):
            pairs = classes * (classes - 1) // 2
            model = dict(kernel_type=kernel, kernel_params=params, rho=normal(pairs).tolist(),
                         classlabels_ints=[2, 5, 9][:classes], vectors_per_class=[3, 2, 4][:classes])
            n = sum(model["vectors_per_class"])
            model["coefficients"] = normal((classes - 1) * n).tolist()
            model["support_vectors"] = normal(4 * n).tolist()
            ml("SVMClassifier", [normal(6, 4)], 2, **model)
            words = {k: v for k, v in model.items() if k != "classlabels_ints"}
            ml("SVMClassifier", [normal(6, 4)], 2, classlabels_strings=["x", "y", "z"][:classes],
               **words)
            ml("SVMClassifier", [normal(6, 4)], 2, prob_a=(-np.abs(normal(pairs)) - 0.5).tolist(),
               prob_b=normal(pairs).tolist(), **model)
    for sign in (np.abs, lambda v: v):
        ml("SVMClassifier", [normal(9, 4)], 2, kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0],
           coefficients=sign(normal(8)).tolist(), rho=[0.2], classlabels_ints=[3, 8])
        ml("SVMClassifier", [normal(9, 4)], 2, kernel_type="POLY", kernel_params=[0.5, 0.25, 3.0],
           coefficients=sign(normal(5)).tolist(), support_vectors=normal(20).tolist(), rho=[0.1],
           vectors_per_class=[3, 2], classlabels_ints=[3, 8])
    ml("SVMRegressor", [normal(6, 4)], 1, kernel_type="RBF", kernel_params=[0.5, 0.0, 0.0], n_supports=5,
       coefficients=normal(5).tolist(), support_vectors=normal(20).tolist(), rho=[0.1], one_class=1)
    ml("SVMRegressor", [normal(6, 4)], 1, kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0],
       coefficients=normal(4).tolist(), rho=[0.1])


# ---- ai.onnx --------------------------------------------------------------------------------


def regions(root):
    rois = np.array([[0, 1, 1, 6, 5], [1, 0, 2, 9, 3], [1, 3, 3, 3, 3], [0, -2, 0, 4, 12]], np.float32)
    case(root, "MaxRoiPool", [normal(2, 3, 8, 10), rois], pooled_shape=[2, 3], opset=16)
    case(root, "MaxRoiPool", [normal(2, 3, 8, 10), rois * np.float32([1, 2, 2, 2, 2])],
         pooled_shape=[3, 3], spatial_scale=0.5, opset=16)
    picks = np.array([0, 1, 1, 0], np.int64)
    for mode in ("avg", "max"):
        case(root, "RoiAlign", [normal(2, 3, 8, 10), rois[:, 1:], picks], output_height=3,
             output_width=2, sampling_ratio=2, mode=mode, opset=16)
    case(root, "DeformConv", [normal(2, 4, 6, 7), normal(6, 2, 3, 3), normal(2, 36, 6, 7), normal(6),
                              normal(2, 18, 6, 7)], group=2, offset_group=2, pads=[1, 1, 1, 1], opset=19)
    case(root, "DeformConv", [normal(3, 2, 7, 7), normal(2, 2, 2, 2), normal(3, 8, 3, 3)],
         strides=[2, 2], dilations=[2, 2], opset=19)
    case(root, "GlobalLpPool", [normal(2, 3, 4, 5)], p=3, opset=16)


def chances(root):
    def law(op, inputs, **attributes):
        case(root, op, inputs, opset=16, kind=".law", **attributes)

    x = np.abs(normal(4, 3, 5)) % 1
    law("RandomNormalLike", [x], seed=3.0)
    law("RandomUniformLike", [x], seed=3.0, low=-1.0, high=2.0)
    law("Bernoulli", [x], seed=3.0)
    law("Multinomial", [normal(5, 7)], seed=3.0, sample_size=6)


def pictures(root):
    def picture(name, content, expected, pixel_format):
        x = np.frombuffer(content, np.uint8)
        model = make("ImageDecoder", [x], 1, "", 20, {"pixel_format": pixel_format})
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y0", onnx.TensorProto.UINT8, expected.shape))
        dump(root, f"imagedecoder_{name}", model, [x], [expected], 0, 0)

    rgb = Image.fromarray(ints(0, 256, 9, 13, 3, dtype="uint8"))
    for mode, formats in (("RGB", ("BMP", "PPM", "PNG", "TIFF")), ("L", ("BMP", "PPM", "PNG", "TIFF")), ("1", ("BMP", "PPM")),
                          ("P", ("BMP",)), ("RGBA", ("BMP", "TIFF"))):
        for kind in formats:
            out = io.BytesIO()
            rgb.convert(mode).save(out, kind)
            again = Image.open(io.BytesIO(out.getvalue()))
            content = out.getvalue()
            name = f"{kind}_{mode}".lower()
            picture(name + "_rgb", content, np.array(again.convert("RGB")), "RGB")
            picture(name + "_bgr", content, np.array(again.convert("RGB"))[:, :, ::-1], "BGR")
            picture(name + "_grey", content, np.array(again.convert("L"))[:, :, None], "Grayscale")
    pixels = np.array(rgb)
    text = b"P3 # as text\n13 9\n255\n" + b" ".join(b"%d" % v for v in pixels.reshape(-1))
    picture("text", text, pixels, "RGB")


def main():
    root = sys.argv[1]
    features(root)
    linear(root)
    forests(root)
    machines(root)
    regions(root)
    chances(root)
    pictures(root)
    microsoft(root)
    print(sum(counts.values()), "cases written")


# ---- com.microsoft --------------------------------------------------------------------------


def microsoft(root):
    def ms(op, inputs, n_out=1, **attributes):
        case(root, op, inputs, n_out, domain="com.microsoft", **attributes)

    quantised(ms)
    fused(ms)
    norms(ms)
    products(ms)
    heads(ms)
    case(root, "SimplifiedLayerNormalization", [normal(3, 4, 8), normal(8)], axis=-1, epsilon=1e-5)


def scale(value):
    return np.array(value, np.float32)


def quantised(ms):
    for dtype, low, high in (("uint8", 0, 256), ("int8", -128, 128)):
        def byte(*shape):
            return ints(low, high, *shape, dtype=dtype)

        def zero():
            return np.array(ints(low, high) // 2, dtype)

        x, y = byte(4, 3, 5), byte(3, 5)
        ms("QLinearAdd", [x, scale(0.0213), zero(), y, scale(0.0517), zero(), scale(0.0611), zero()])
        ms("QLinearMul", [x, scale(0.0213), zero(), byte(4, 3, 5), scale(0.0517), zero(), scale(0.0311), zero()])
        ms("QLinearLeakyRelu", [x, scale(0.02), zero(), scale(0.03), zero()], alpha=0.1)
        ms("QLinearSigmoid", [x, scale(0.05), zero(), scale(0.004), np.array(low, dtype)], atol=1)
        ms("QLinearSoftmax", [x, scale(0.03), zero(), scale(0.004), np.array(low, dtype)], axis=-1, opset_=13, atol=1)
        ms("QLinearGlobalAveragePool", [byte(4, 3, 5, 6), scale(0.02), zero(), scale(0.01), zero()])
        # A mean on the border of two bytes goes either way with the order of additions.
        ms("QLinearAveragePool", [byte(3, 2, 7, 6), scale(0.0213), zero(), scale(0.0117), zero()], kernel_shape=[3, 2],
           strides=[2, 1], pads=[1, 0, 1, 1], atol=1)
        ms("QLinearConcat", [scale(0.04), zero(), x, scale(0.02), zero(), byte(4, 2, 5), scale(0.05), zero()], axis=1)
        ms("QGemm", [byte(5, 7), scale(0.02), zero(), byte(7, 4), scale(0.03), zero(), ints(-900, 900, 4, dtype="int32"),
                     scale(0.05), zero()], alpha=1.5)
        ms("QGemm", [byte(5, 7), scale(0.02), zero(), byte(4, 7), (normal(4) ** 2 + scale(0.01)), byte(4), None, None, None],
           transB=1)


def fused(ms):
    for activation, params in (("Relu", None), ("LeakyRelu", [0.2]), ("Tanh", None), ("Sigmoid", None), ("Clip", [-0.5, 0.75]),
                               ("HardSigmoid", [0.3, 0.4])):
        ms("FusedConv", [normal(3, 4, 6, 7), normal(6, 2, 3, 3), normal(6)], activation=activation,
           activation_params=params, group=2, pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    ms("FusedConv", [normal(3, 4, 6, 7), normal(6, 4, 3, 3), normal(6), normal(3, 6, 6, 7)], activation="Relu",
       pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    ms("FusedGemm", [normal(5, 7), normal(4, 7), normal(4)], activation="Relu", transB=1, alpha=0.5, beta=2.0)
    ms("FusedGemm", [normal(7, 5), normal(7, 4)], activation="LeakyRelu", transA=1, activation_alpha=0.1)
    ms("FusedMatMul", [normal(3, 2, 5, 7), normal(3, 2, 4, 7)], transB=1, alpha=0.25)
    ms("FusedMatMul", [normal(3, 7, 5), normal(7, 4)], transA=1)
    ms("Gelu", [normal(3, 4, 5)])
    ms("BiasGelu", [normal(3, 4, 5), normal(5)])
    ms("FastGelu", [normal(3, 4, 5)])
    ms("FastGelu", [normal(3, 4, 5), normal(5)])
    ms("QuickGelu", [normal(3, 4, 5)], alpha=1.5)


def products(ms):
    for bits in (4, 8):
        packed = ints(0, 256, 6, 3, 16 * bits // 8, dtype="uint8")
        scales = np.abs(normal(6, 3)) * np.float32(0.1)
        model = dict(N=6, K=48, bits=bits, block_size=16)
        ms("MatMulNBits", [normal(2, 5, 48), packed, scales], **model)
        zeros = ints(0, 256, 6, (3 * bits + 7) // 8, dtype="uint8")
        ms("MatMulNBits", [normal(5, 48), packed, scales, zeros], **model)
    ms("MatMulNBits", [normal(5, 40), ints(0, 256, 6, 2, 16, dtype="uint8"), np.abs(normal(6, 2)), None, None, normal(6)],
       N=6, K=40, bits=4, block_size=32)
    for dtype, low, high in (("uint8", 0, 256), ("int8", -128, 128)):
        # onnxruntime adds pairs of products in 16 bits on processors before VNNI: larger int8 weights saturate there.
        weights = ints(max(low, -64), 64 if low else high, 7, 5, dtype=dtype)
        ms("DynamicQuantizeMatMul", [normal(3, 4, 7), weights, scale(0.03), np.array(3, dtype), normal(5)])
        ms("DynamicQuantizeMatMul", [normal(4, 7), weights, np.abs(normal(5)), ints(low, high, 5, dtype=dtype)])


def heads(ms):
    q, k, v = normal(3, 4, 12), normal(3, 6, 12), normal(3, 6, 12)
    ms("MultiHeadAttention", [q, k, v], num_heads=3)
    ms("MultiHeadAttention", [q, k, v, normal(36)], num_heads=3, scale=0.5)
    ms("MultiHeadAttention", [q, k, v, None, ints(0, 2, 3, 6, dtype="int32"), normal(3, 3, 4, 6)], num_heads=3)
    ms("MultiHeadAttention", [q, k, v, None, None, normal(1, 1, 4, 6)], num_heads=3)
    k, v = normal(3, 4, 12), normal(3, 4, 12)
    ms("MultiHeadAttention", [q, k, v, None, None, None, normal(3, 3, 5, 4), normal(3, 3, 5, 4)], 3, num_heads=3)
    ms("MultiHeadAttention", [q, k, v], num_heads=3, unidirectional=1)


def norms(ms):
    x, skip = normal(3, 4, 8), normal(3, 4, 8)
    every = (True, False, False, True)
    ms("SkipLayerNormalization", [x, skip, normal(8), normal(8), normal(8)], every, epsilon=1e-5)
    ms("SkipLayerNormalization", [x, skip, normal(8)], epsilon=1e-5)
    ms("SkipLayerNormalization", [x, normal(4, 8), normal(8), normal(8)], epsilon=1e-5)
    ms("SkipSimplifiedLayerNormalization", [x, skip, normal(8), normal(8)], every, epsilon=1e-5)
    ids = ints(0, 9, 3, 4, dtype="int32")
    tables = [normal(9, 8), normal(6, 8)]
    ms("EmbedLayerNormalization", [ids, ints(0, 2, 3, 4, dtype="int32"), *tables, normal(2, 8), normal(8), normal(8),
                                   ints(0, 2, 3, 4, dtype="int32")], 2, epsilon=1e-5)
    ms("EmbedLayerNormalization", [ids, None, *tables, None, normal(8), normal(8), None,
                                   ints(0, 6, 3, 4, dtype="int32")], (True, False, True), epsilon=1e-5)


if __name__ == "__main__":
    main()
