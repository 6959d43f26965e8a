# SPDX-License-Identifier: Apache-2.0
"""Compares pictures with Pillow, byte for byte: PNG and JPEG of every kind, converted and resized.

usage: file_pillow.py FILE_TOOL
"""
import os
import sys
import tempfile

import numpy as np
from PIL import Image

from file_tool import Tool, run

BYTES = (1, 0, 0, 0, 1, 1, 1)  # scale, mean, std that leave a byte what it is
rng = np.random.default_rng(0)


def smooth(w, h):
    """A picture with gradients, edges and all values."""
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([x * 255 // max(w - 1, 1), y * 255 // max(h - 1, 1), (x // 5 + y // 7) % 2 * 255], axis=2)
    return a.astype("u1")


def noise(w, h):
    return rng.integers(0, 256, (h, w, 3), dtype="u1")


def load(tool, name, channels=0, width=0, height=0, last=1, numbers=BYTES, kind="image"):
    answer = tool(kind, name, "o.npy", channels, width, height, last, *numbers)
    assert answer[0] == "0", (name, answer)
    return np.load("o.npy")


def write_all(a, stem):
    """The picture in every kind of file; the names."""
    rgb, grey = Image.fromarray(a), Image.fromarray(a[:, :, 0])
    names = []

    def save(image, name, **how):
        names.append(f"{stem}-{name}")
        image.save(names[-1], **how)

    save(rgb, "rgb.png")
    save(grey, "grey.png")
    save(grey.convert("1"), "bits.png")
    save(rgb.quantize(200), "palette.png")
    save(rgb.quantize(3), "palette3.png")
    save(rgb.quantize(9), "clear.png", transparency=1)
    save(Image.fromarray(np.dstack([a, a[:, :, :1]])), "rgba.png")
    save(Image.fromarray(a[:, :, :2]), "la.png")
    for quality in 95, 30:
        for sampling in 0, 1, 2:
            save(rgb, f"q{quality}-s{sampling}.jpg", quality=quality, subsampling=sampling)
        save(rgb, f"q{quality}-p.jpeg", quality=quality, progressive=True, optimize=True)
        save(grey, f"q{quality}-g.JPG", quality=quality)
    return names


def pixels_are_pillows(tool):
    n = 0
    for k, (w, h) in enumerate([(1, 1), (2, 3), (8, 8), (17, 33), (64, 47), (200, 150)]):
        for make in smooth, noise:
            for name in write_all(make(w, h), f"{make.__name__}{k}"):
                for mode, channels in ("L", 1), ("RGB", 3):
                    want = np.asarray(Image.open(name).convert(mode)).reshape(1, h, w, channels)
                    got = load(tool, name, channels)
                    assert (got == want).all(), (name, mode, np.abs(got - want).max())
                    n += 1
    return f"{n} pictures"


def resizing_is_pillows(tool):
    n = 0
    for i in range(150):
        w, h, to_w, to_h = (int(v) for v in rng.integers(1, 120, 4))
        if i % 10 == 0:
            to_w, to_h = (w, to_h) if i % 20 else (to_w, h)
        a = Image.fromarray(noise(w, h) if i % 2 else smooth(w, h))
        a.save("r.png")
        for mode, channels in ("L", 1), ("RGB", 3):
            b = a.convert(mode)
            # Along x, then along y: Pillow 13 takes both in one call in another order for some sizes.
            want = np.asarray(b.resize((to_w, h), Image.BILINEAR).resize((to_w, to_h), Image.BILINEAR))
            once = np.asarray(b.resize((to_w, to_h), Image.BILINEAR))
            got = load(tool, "r.png", channels, to_w, to_h)
            assert got.shape == (1, to_h, to_w, channels)
            got = got.reshape(want.shape)
            assert (got == want).all(), (w, h, to_w, to_h, mode)
            assert np.abs(got - once).max() <= 1, (w, h, to_w, to_h, mode)
            n += 1
    return f"{n} pictures"


def numbers_are_torchvisions(tool):
    """ToTensor and Normalize with ImageNet's numbers, in float32 as torchvision computes them."""
    a = noise(40, 30)
    Image.fromarray(a).save("n.png")
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    unit = a.astype("f4") / np.float32(255)
    got = load(tool, "n.png", last=1, numbers=(repr(1 / 255), 0, 0, 0, 1, 1, 1))
    assert (got[0] == unit).all()
    got = load(tool, "n.png", last=0, numbers=(repr(1 / 255), *mean, *std))
    assert got.shape == (1, 3, 30, 40) and got.dtype == np.float32
    exact = (a / 255 - np.array(mean)) / np.array(std)
    assert (got[0] == exact.transpose(2, 0, 1).astype("f4")).mean() > 0.999
    theirs = (unit - np.array(mean, "f4")) / np.array(std, "f4")
    assert np.abs(got[0] - theirs.transpose(2, 0, 1)).max() < 1e-6
    return "1 picture"


def folders(tool):
    os.mkdir("many")
    arrays = {name: noise(9, 6) for name in ("b.png", "a.PNG", "Z.png", "c10.png", "c9.png")}
    for name, a in arrays.items():
        Image.fromarray(a).save(f"many/{name}")
    for other in "notes.txt", ".hidden.png", "png", "x.gif":
        with open(f"many/{other}", "w") as f:
            f.write("no picture")
    got = load(tool, "many", kind="folder")
    assert (got == np.stack([arrays[k] for k in sorted(arrays)])).all()
    Image.fromarray(noise(9, 7)).save("many/d.jpg")
    answer = tool("folder", "many", "o.npy", 3, 0, 0, 1, *BYTES)
    assert answer[0] == "5" and "'many/d.jpg' has 9 x 7 pixels and 3 channels" in answer[2], answer
    assert load(tool, "many", 3, 4, 5, kind="folder").shape == (6, 5, 4, 3)
    os.mkdir("none")
    assert "no .png, .jpg or .jpeg in it" in tool("folder", "none", "o.npy", 3, 0, 0, 1, *BYTES)[2]
    assert "Not a directory" in tool("folder", "many/b.png", "o.npy", 3, 0, 0, 1, *BYTES)[2]
    return "6 pictures"


if __name__ == "__main__":
    path = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run([pixels_are_pillows, resizing_is_pillows, numbers_are_torchvisions, folders], Tool(path))
