#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes ONNX's cases, whose shapes are fixed, models with a free batch: the first axis of their
inputs is called "batch". A case becomes one model whose first input has the batch, and one where
all inputs whose first axis has the same size have it.

usage: free_batch.py OUT CASES...     CASES/<case>/{model.onnx,test_data_set_0} becomes
OUT/<suite>.<case>@{first,all}/model.onnx, with a link to the case's data set; <suite> is the folder
that CASES lies in"""
import os
import pathlib
import shutil
import sys

import onnx

MOST_BYTES = 1 << 20  # the large networks have tests of their own


def ports(model):
    """The inputs without a value in the file; none where one is no tensor."""
    own = {t.name for t in model.graph.initializer}
    found = [p for p in model.graph.input if p.name not in own]
    return found if all(p.type.HasField("tensor_type") for p in found) else []


def first_size(port):
    dims = port.type.tensor_type.shape.dim
    return dims[0].dim_value if len(dims) and dims[0].HasField("dim_value") else None


def free(model, names):
    """A copy in which these inputs have a free first axis, and nothing says what follows."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for port in copy.graph.input:
        if port.name in names:
            port.type.tensor_type.shape.dim[0].dim_param = "batch"
    for port in copy.graph.output:
        if port.type.HasField("tensor_type"):
            port.type.tensor_type.ClearField("shape")
    del copy.graph.value_info[:]
    return copy


def write(folder, data, model):
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    (folder / "test_data_set_0").symlink_to(os.path.relpath(data, folder))


def main():
    out, count = pathlib.Path(sys.argv[1]), 0
    shutil.rmtree(out, ignore_errors=True)
    for cases in map(pathlib.Path, sys.argv[2:]):
        for path in sorted(cases.glob("*/model.onnx")):
            if path.stat().st_size > MOST_BYTES:
                continue
            model = onnx.load(path)
            sizes = {p.name: first_size(p) for p in ports(model) if first_size(p)}
            if not sizes:
                continue
            first = next(iter(sizes))
            all_same = [n for n, size in sizes.items() if size == sizes[first]]
            data = path.parent / "test_data_set_0"
            name = f"{cases.parent.name}.{path.parent.name}"
            write(out / f"{name}@first", data, free(model, [first]))
            count += 1
            if len(all_same) > 1:
                write(out / f"{name}@all", data, free(model, all_same))
                count += 1
    print(count, "models written")


if __name__ == "__main__":
    main()
