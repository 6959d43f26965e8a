# SPDX-License-Identifier: Apache-2.0
"""Outside truths for the scripts: NumPy, and what PyTorch's hooks gave for the digits example."""
import json
import sys

import numpy as np

__all__ = ["json", "sys", "np", "load", "layers", "pixels", "close", "same"]


def load(path):
    return np.load(path, allow_pickle=False)


def layers():
    """Inputs ("conv1.in") and outputs ("conv1.out") of the layers for the first 4 digits."""
    return load("layers.npz")


def pixels():
    return load("digits.npy")


def close(found, expected, limit=1e-4):
    """Says whether the arrays agree within limit of the largest magnitude."""
    if found.dtype != expected.dtype or found.shape != expected.shape:
        print(f"found {found.dtype} {found.shape}, expected {expected.dtype} {expected.shape}")
        sys.exit(1)
    size = np.abs(expected).max(initial=0)
    worst = np.abs(found - expected).max(initial=0)
    if not worst <= limit * size:
        print(f"differs by {worst}, {worst / size:.2g} of the largest magnitude")
        sys.exit(1)


def same(found, expected):
    """Says whether the arrays agree in dtype, shape and every bit."""
    if found.dtype != expected.dtype or found.shape != expected.shape:
        print(f"found {found.dtype} {found.shape}, expected {expected.dtype} {expected.shape}")
        sys.exit(1)
    if found.tobytes() != expected.tobytes():
        print(f"{np.count_nonzero(found != expected)} of {found.size} elements differ")
        sys.exit(1)
