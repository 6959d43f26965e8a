# SPDX-License-Identifier: Apache-2.0
"""What `unbatch bench --compare` runs in a Python environment: one engine on one model and the
inputs of an .npz, warm. Prints one JSON object: times in milliseconds, or why there are none.
arguments: ENGINE MODEL INPUTS.npz THREADS RUNS"""
import importlib
import json
import resource
import sys
import time


def onnxruntime(path, inputs, threads):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, inputs)


def openvino(path, inputs, threads):
    import openvino as ov
    core = ov.Core()
    model = core.read_model(path)
    model.reshape({name: list(x.shape) for name, x in inputs.items()})
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads})
    request = compiled.create_infer_request()
    return lambda: request.infer(inputs, share_inputs=True, share_outputs=True)


def torch(path, inputs, threads):
    import torch as t
    t.set_num_threads(threads)
    net = t.export.load(path).module()
    given = [t.from_numpy(x) for x in inputs.values()]
    return t.inference_mode()(lambda: net(*given))


ENGINES = {"onnxruntime": (onnxruntime, ".onnx"), "openvino": (openvino, ".onnx"),
           "torch": (torch, ".pt2")}


def measure(call, runs):
    for _ in range(3):
        call()
    times = []
    for _ in range(runs):
        start = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - start) / 1e6)
    return sorted(times)


def main():
    engine, path, inputs, threads, runs = sys.argv[1:]
    make, suffix = ENGINES[engine]
    if not path.endswith(suffix):
        return {"missing": f"{engine} runs {suffix} files only"}
    for package in ("numpy", engine):
        try:
            importlib.import_module(package)
        except ImportError:
            return {"missing": f"no package {package} in {sys.executable}"}
    import numpy as np
    with np.load(inputs) as f:
        given = {name: np.ascontiguousarray(f[name]) for name in f.files}
    try:
        times = measure(make(path, given, int(threads)), int(runs))
    except Exception as e:  # the peer's own: a line is what is wanted of it
        return {"missing": f"{engine} failed: {str(e).strip().splitlines()[0][:200]}"}
    return {"min_ms": times[0], "median_ms": times[len(times) // 2],
            "p90_ms": times[len(times) * 9 // 10],
            "peak_rss_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            "version": importlib.import_module(engine).__version__.split("-")[0]}


print(json.dumps(main()))
