# SPDX-License-Identifier: Apache-2.0
"""Makes data/: one small picture of each kind, and in pictures.npz what Pillow reads from them, as
(H, W) for convert("L") and (H, W, 3) for convert("RGB"). 16-bit pictures are given by their upper
bytes, since Pillow clips grey ones.

usage: make_pictures.py
"""
import os
import struct
import zlib

import numpy as np
from PIL import Image

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
W, H = 13, 9


def picture(channels):
    y, x = np.mgrid[0:H, 0:W]
    planes = [(x * 19 + y * 3) % 256, (y * 27 + x * 5) % 256, (x * y * 7 + 40) % 256, 255 - x * 11]
    return np.stack(planes[:channels], axis=2).astype("u1")


def png16(path, a, w=W, h=H):
    """A 16-bit PNG, which Pillow cannot write in RGB; w and h are what its header claims."""
    color = {1: 0, 3: 2}[a.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in a)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 16, color, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def main():
    os.makedirs(FOLDER, exist_ok=True)
    os.chdir(FOLDER)
    rgb = Image.fromarray(picture(3))
    grey = Image.fromarray(picture(1)[:, :, 0])
    rgb.save("rgb.png")
    grey.save("grey.png")
    grey.convert("1").save("bits.png")
    Image.fromarray(picture(4)).save("rgba.png")
    Image.fromarray(picture(2)).save("grey_alpha.png")
    rgb.quantize(16).save("palette.png", transparency=3)
    rgb.save("rgb.jpg", quality=85)
    rgb.save("progressive.jpg", quality=60, progressive=True, subsampling=0)
    grey.save("grey.jpg", quality=85)
    rgb.convert("CMYK").save("cmyk.jpg")
    arrays = {}
    for name in sorted(os.listdir(".")):
        if name.endswith((".png", ".jpg")) and not name.startswith(("cmyk", "deep", "claims")):
            for mode in "L", "RGB":
                arrays[f"{name}:{mode}"] = np.asarray(Image.open(name).convert(mode))
    for name, a in (("deep_rgb.png", picture(3)), ("deep_grey.png", picture(1))):
        png16(name, a.astype("u2") * 256 + 200)
        as_rgb = np.broadcast_to(a, (H, W, 3)).astype("u1")
        arrays[f"{name}:RGB"] = as_rgb
        arrays[f"{name}:L"] = np.asarray(Image.fromarray(as_rgb).convert("L"))
    png16("claims.png", picture(1), 65000, 65000)
    np.savez_compressed("pictures.npz", **arrays)


main()
