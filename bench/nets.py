# SPDX-License-Identifier: Apache-2.0
"""Networks that bench/ measures and the tests have no need of: an encoder of MiniLM's size, a
two-layer LSTM, a U-Net."""
import torch
from torch import nn


class Encoder(nn.Module):
    """6 layers, 384 wide, 12 heads, as MiniLM-L6; tokens (N, T) to states (N, T, 384)."""

    def __init__(self, vocabulary=30522, width=384, heads=12, hidden=1536, depth=6, longest=512):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(torch.randn(1, longest, width) * 0.02)
        self.norm = nn.LayerNorm(width)
        layer = nn.TransformerEncoderLayer(width, heads, hidden, 0.0, nn.functional.gelu,
                                           batch_first=True)
        # Without the fused path, which exporters do not know.
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)

    def forward(self, x):
        h = self.norm(self.tokens(x) + self.places[:, :x.shape[1]])
        return self.layers(h)


class Lstm(nn.Module):
    """Two layers of 256 over (N, T, 128); the last state's class."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(128, 256, num_layers=2, batch_first=True)
        self.head = nn.Linear(256, 10)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def double(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1), nn.BatchNorm2d(cout), nn.ReLU(),
                         nn.Conv2d(cout, cout, 3, padding=1), nn.BatchNorm2d(cout), nn.ReLU())


class UNet(nn.Module):
    """Four levels from 32 to 256 channels; (N, 3, 128, 128) to (N, 2, 128, 128)."""

    def __init__(self, widths=(32, 64, 128, 256)):
        super().__init__()
        self.down = nn.ModuleList(double(a, b) for a, b in zip((3, *widths), widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2)
                                for a, b in zip(widths[:-1], widths[1:]))
        self.join = nn.ModuleList(double(2 * a, a) for a in widths[:-1])
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(widths[0], 2, 1)

    def forward(self, x):
        kept = []
        for i, level in enumerate(self.down):
            x = level(x if i == 0 else self.pool(x))
            kept.append(x)
        for i in reversed(range(len(self.up))):
            x = self.join[i](torch.cat([kept[i], self.up[i](x)], 1))
        return self.head(x)
