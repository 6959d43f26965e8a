#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `unbatch get MODEL 'layer3.0.conv1:in[4]' -x BATCH -o OUT` does, with onnx and onnxruntime.
usual: as most scripts do it: the inner tensor becomes an output of the model, the whole batch runs,
the result is sliced. knowing: by someone who knows that onnx can cut a model and that this one's
samples do not mix: only the part up to the tensor, only the one sample.
usage: cold_onnxruntime.py usual|knowing MODEL NODE BATCH.npy SAMPLE OUT.npy"""
import sys

import numpy as np
import onnx
import onnxruntime

how, path, node_name, batch, sample, out = sys.argv[1:]
model = onnx.load(path)
tensor = next(node.input[0] for node in model.graph.node if node.name == node_name)
x = np.load(batch)
if how == "usual":
    model.graph.output.append(onnx.ValueInfoProto(name=tensor))
    picked = int(sample)
else:
    cutter = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model))
    model = cutter.extract_model([model.graph.input[0].name], [tensor])
    x, picked = x[int(sample):int(sample) + 1], 0
session = onnxruntime.InferenceSession(model.SerializeToString(),
                                       providers=["CPUExecutionProvider"])
value = session.run([tensor], {session.get_inputs()[0].name: x})[0]
np.save(out, value[picked])
