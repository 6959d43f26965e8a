# SPDX-License-Identifier: Apache-2.0
# Another engine's values: as ours, drifting in one sample, unknown, not an archive.
t unbatch get digits.onnx fc2 -x digits.npy -o fc2.npy -q
$PYTHON -c 'import numpy as np; a = np.load("fc2.npy"); b = a.copy(); b[3, 2] += 0.5
np.savez("same.npz", fc2=a, **{"fc2.alone": a}); np.savez("drift.npz", fc2=a, **{"fc2.alone": b})
np.savez("odd.npz", fc7=a)'
t unbatch check digits.onnx invariance -x digits.npy --against same.npz
t unbatch check digits.onnx invariance -x digits.npy --against drift.npz
t unbatch check digits.onnx invariance -x digits.npy --against odd.npz
t unbatch check digits.onnx invariance -x digits.npy --against fc2.npy
