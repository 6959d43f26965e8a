#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One engine, warm, in a process of its own. For every number read from standard input it makes
that many calls and prints their times in milliseconds as one JSON list, so that compare.py can take
turns between engines. usage: peers.py ENGINE FOLDER NAME BATCH THREADS, and for the price of a view
peers.py numpy|torch-view; peers.py open onnx|onnxruntime|openvino MODEL; peers.py agree A.npy
B.npy..."""
import json
import sys
import time

WARM_UP = 3
INNER = "/layer3/layer3.0/conv1/Conv"  # its input, for one sample of the batch:
SAMPLE = 4


def onnxruntime_call(folder, name, batch, threads):
    import numpy as np
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(f"{folder}/{name}.onnx", options,
                                           providers=["CPUExecutionProvider"])
    feed = {"x": np.load(f"{folder}/{name}.batch{batch}.npy")}
    return lambda: session.run(["y"], feed)[0]


def onnxruntime_of(model, feed, outputs, threads):
    """A call that gives these outputs of a model in memory."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    return lambda: session.run(outputs, feed)


def inner_tensor(model):
    return next(node.input[0] for node in model.graph.node if node.name == INNER)


def onnxruntime_inner(folder, name, batch, threads):
    """The inner tensor becomes an output; the whole batch runs."""
    import numpy as np
    import onnx
    model = onnx.load(f"{folder}/{name}.onnx")
    tensor = inner_tensor(model)
    model.graph.output.append(onnx.ValueInfoProto(name=tensor))
    call = onnxruntime_of(model, {"x": np.load(f"{folder}/{name}.batch{batch}.npy")}, [tensor],
                          threads)
    return lambda: call()[0][SAMPLE]


def onnxruntime_cut(folder, name, batch, threads):
    """By one who cuts the model at the tensor and feeds the one sample."""
    import numpy as np
    import onnx
    model = onnx.load(f"{folder}/{name}.onnx")
    tensor = inner_tensor(model)
    cut = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model)).extract_model(
        ["x"], [tensor])
    x = np.load(f"{folder}/{name}.batch{batch}.npy")
    call = onnxruntime_of(cut, {"x": x[SAMPLE:SAMPLE + 1]}, [tensor], threads)
    return lambda: call()[0][0]


def onnxruntime_all(folder, name, batch, threads):
    """Every node's output becomes an output."""
    import numpy as np
    import onnx
    model = onnx.load(f"{folder}/{name}.onnx")
    have = {o.name for o in model.graph.output}
    for node in model.graph.node:
        for value in node.output:
            if value and value not in have:
                model.graph.output.append(onnx.ValueInfoProto(name=value))
    call = onnxruntime_of(model, {"x": np.load(f"{folder}/{name}.batch{batch}.npy")}, None, threads)
    return lambda: call()[0]


def torch_hooks(folder, name, batch, threads, channels_last=False):
    """A hook on every module keeps its output."""
    kept = []
    call, net = torch_network(folder, name, batch, threads, channels_last)
    for m in net.modules():
        m.register_forward_hook(lambda _m, _in, out: kept.append(out))

    def run():
        kept.clear()
        return call()
    return run


def openvino_call(folder, name, batch, threads):
    """With float32 arithmetic as the others, not the bfloat16 it takes by itself where it can, and
    with the batch fixed, which is its fastest form."""
    import numpy as np
    import openvino
    x = np.load(f"{folder}/{name}.batch{batch}.npy")
    core = openvino.Core()
    model = core.read_model(f"{folder}/{name}.onnx")
    model.reshape(list(x.shape))
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads})
    request = compiled.create_infer_request()
    return lambda: request.infer([x], share_inputs=True, share_outputs=True)[0]


def torch_network(folder, name, batch, threads, channels_last=False):
    import numpy as np
    import torch

    import models
    torch.set_num_threads(threads)
    net = models.bare(name).eval()
    net.load_state_dict(torch.load(f"{folder}/{name}.pt"))
    x = torch.from_numpy(np.load(f"{folder}/{name}.batch{batch}.npy"))
    if channels_last:
        net = net.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last) if x.dim() == 4 else x
    return torch.inference_mode()(lambda: net(x)), net


def torch_call(*args, **how):
    return torch_network(*args, **how)[0]


def view_call(library):
    """A thousand views, so that a millisecond is a microsecond a view."""
    if library == "numpy":
        import numpy as np
        x = np.zeros((32, 3, 224, 224), np.float32)
    else:
        import torch
        x = torch.zeros((32, 3, 224, 224))

    def call():
        for _ in range(1000):
            x[4, :, :, :]
    return call


def save(path, value):
    import numpy as np
    np.save(path, np.asarray(value))


def agree(paths):
    """The largest difference of the later files from the first, in shares of its largest value."""
    import numpy as np
    first, *rest = [np.load(p) for p in paths]
    print(max(float(abs(v - first).max() / abs(first).max()) for v in rest))


def open_model(library, path):
    """Prints the milliseconds of the call."""
    if library == "onnx":
        import onnx
        call = lambda: onnx.load(path)  # noqa: E731
    elif library == "openvino":
        import openvino
        call = lambda: openvino.Core().compile_model(  # noqa: E731
            path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    else:
        import onnxruntime
        call = lambda: onnxruntime.InferenceSession(  # noqa: E731
            path, providers=["CPUExecutionProvider"])
    start = time.perf_counter_ns()
    kept = call()
    print(json.dumps({"ms": (time.perf_counter_ns() - start) / 1e6}))
    del kept


def main():
    engine = sys.argv[1]
    if engine == "agree":
        return agree(sys.argv[2:])
    if engine == "open":
        return open_model(sys.argv[2], sys.argv[3])
    if engine in ("numpy", "torch-view"):
        call = view_call(engine)
    else:
        folder, name, batch, threads = sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
        make = {"onnxruntime": onnxruntime_call, "openvino": openvino_call, "torch": torch_call,
                "torch-channels-last": lambda *a: torch_call(*a, channels_last=True),
                "torch-hooks": torch_hooks,
                "torch-hooks-channels-last": lambda *a: torch_hooks(*a, channels_last=True),
                "onnxruntime-all": onnxruntime_all, "onnxruntime-inner": onnxruntime_inner,
                "onnxruntime-cut": onnxruntime_cut}[engine]
        call = make(folder, name, batch, threads)
        save(f"{folder}/{name}.batch{batch}.{engine}.npy", call())
    for _ in range(WARM_UP):
        call()
    print("ready", flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter_ns()
            call()
            times.append((time.perf_counter_ns() - start) / 1e6)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
