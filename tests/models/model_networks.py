# SPDX-License-Identifier: Apache-2.0
"""Small networks in PyTorch for the tests of layers: what torchvision, timm and the like do, and what
exporters make hard. model_networks.ALL: name -> (network, inputs for a batch of n)."""
import collections

import torch
import torch.nn.functional as F
from torch import nn


class BasicBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False),
                                        nn.BatchNorm2d(o)) if stride != 1 or i != o else None

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))  # relu: called twice, in place
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self, w=8):
        super().__init__()
        self.conv1 = nn.Conv2d(3, w, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(w)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(w, w, 1), BasicBlock(w, w, 1))
        self.layer2 = nn.Sequential(BasicBlock(w, 2 * w, 2), BasicBlock(2 * w, 2 * w, 1))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(2 * w, 10)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(x, 1))


class SqueezeExcite(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(c, c // 2, 1), nn.Conv2d(c // 2, c, 1)
        self.activation, self.scale_activation = nn.ReLU(), nn.Hardsigmoid()

    def forward(self, x):
        return x * self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(x)))))


def conv_norm(i, o, k, stride=1, groups=1, act=nn.Hardswish):
    layers = [nn.Conv2d(i, o, k, stride, (k - 1) // 2, groups=groups, bias=False),
              nn.BatchNorm2d(o, eps=0.001, momentum=0.01)]
    return nn.Sequential(*(layers + ([act(inplace=True)] if act else [])))


class InvertedResidual(nn.Module):
    def __init__(self, i, e, o, k, stride, se, act):
        super().__init__()
        layers = [conv_norm(i, e, 1, act=act), conv_norm(e, e, k, stride, e, act=act)]
        layers += ([SqueezeExcite(e)] if se else []) + [conv_norm(e, o, 1, act=None)]
        self.block = nn.Sequential(*layers)
        self.use_res_connect = stride == 1 and i == o

    def forward(self, x):
        y = self.block(x)
        if self.use_res_connect:
            y += x
        return y


class MobileNetV3(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            conv_norm(3, 8, 3, 2), InvertedResidual(8, 8, 8, 3, 2, True, nn.ReLU),
            InvertedResidual(8, 24, 12, 3, 2, False, nn.ReLU),
            InvertedResidual(12, 24, 12, 5, 1, True, nn.Hardswish), conv_norm(12, 32, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(32, 24), nn.Hardswish(inplace=True),
                                        nn.Dropout(0.2), nn.Linear(24, 10))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class Attention(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.num_heads, self.head_dim = h, d // h
        self.qkv, self.proj, self.proj_drop = nn.Linear(d, 3 * d), nn.Linear(d, d), nn.Dropout(0.)
        self.q_norm = nn.Identity()

    def forward(self, x):
        b, n, c = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(self.q_norm(q), k, v)
        return self.proj_drop(self.proj(x.transpose(1, 2).reshape(b, n, c)))


class Mlp(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.fc1, self.act = nn.Linear(d, 2 * d), nn.GELU()
        self.drop, self.fc2 = nn.Dropout(0.), nn.Linear(2 * d, d)

    def forward(self, x):
        return self.fc2(self.drop(self.act(self.fc1(x))))


class VitBlock(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(d, eps=1e-6), Attention(d, h)
        self.norm2, self.mlp = nn.LayerNorm(d, eps=1e-6), Mlp(d)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, d=24, h=2, n=2):
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed = nn.Sequential(
            collections.OrderedDict(proj=nn.Conv2d(3, d, 8, 8), flat=nn.Flatten(2)))
        self.cls_token = nn.Parameter(torch.randn(1, 1, d) * .02)
        self.pos_embed = nn.Parameter(torch.randn(1, 17, d) * .02)
        self.blocks = nn.Sequential(*[VitBlock(d, h) for _ in range(n)])
        self.norm, self.head = nn.LayerNorm(d, eps=1e-6), nn.Linear(d, 10)

    def forward(self, x):
        x = self.patch_embed(x).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class LSTMText(nn.Module):
    def __init__(self, v=50, e=8, h=6, c=4):
        super().__init__()
        self.embedding = nn.Embedding(v, e, padding_idx=0)
        self.lstm = nn.LSTM(e, h, num_layers=2, bidirectional=True, batch_first=True)
        self.dropout, self.fc = nn.Dropout(0.3), nn.Linear(2 * h, c)

    def forward(self, x):
        y, (h, c) = self.lstm(self.embedding(x))
        return self.fc(self.dropout(torch.cat([h[-2], h[-1]], 1)))


class GRUSeq(nn.Module):
    """Time-major: the batch is axis 1 inside."""
    def __init__(self):
        super().__init__()
        self.inp, self.gru, self.out = nn.Linear(3, 8), nn.GRU(8, 6, num_layers=1), nn.Linear(6, 2)

    def forward(self, x):
        y, h = self.gru(self.inp(x).transpose(0, 1))
        return self.out(y).transpose(0, 1), h


class Encoder(nn.Module):
    def __init__(self, v=50, d=16, c=4):
        super().__init__()
        self.emb, self.pos = nn.Embedding(v, d), nn.Parameter(torch.randn(1, 32, d) * .02)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(d, 2, 32, batch_first=True, activation='gelu'), 2)
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, c)

    def forward(self, x):
        h = self.emb(x) + self.pos[:, :x.shape[1]]
        return self.head(self.norm(self.encoder(h)).mean(1))


class UNet(nn.Module):
    def __init__(self, w=6):
        super().__init__()
        self.enc1 = nn.Sequential(nn.Conv2d(1, w, 3, padding='same'), nn.GroupNorm(2, w), nn.SiLU())
        self.down = nn.AvgPool2d(2)
        self.mid = nn.Sequential(nn.Conv2d(w, 2 * w, 3, padding=2, dilation=2),
                                 nn.InstanceNorm2d(2 * w, affine=True), nn.LeakyReLU(0.1))
        self.up = nn.ConvTranspose2d(2 * w, w, 2, 2)
        self.up2 = nn.Upsample(scale_factor=2, mode='bilinear', align_corners=False)
        self.red = nn.Conv2d(2 * w, w, 1)
        self.dec = nn.Sequential(nn.Conv2d(3 * w, w, 3, padding=1), nn.PReLU(), nn.Conv2d(w, 2, 1),
                                 nn.Sigmoid())

    def forward(self, x):
        a = self.enc1(x)
        m = self.mid(self.down(a))
        return self.dec(torch.cat([a, self.up(m), self.red(self.up2(m))], 1))


class Sub(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.ModuleList([nn.Linear(8, 8), nn.Sequential(
            nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8), nn.Tanh()))])

    def forward(self, x):
        for m in self.a:
            x = m(x)
        return x


class Shared(nn.Module):
    """Repeated calls, names that repeat, Identity, ModuleDict, tied weights."""
    def __init__(self):
        super().__init__()
        self.fc1, self.act, self.a, self.idt = nn.Linear(8, 8), nn.ReLU(), Sub(), nn.Identity()
        self.d = nn.ModuleDict({'x_y': nn.Linear(8, 8)})
        self.tied = nn.Linear(8, 8, bias=False)
        self.tied.weight = self.fc1.weight
        self.register_buffer('shift', torch.linspace(-1, 1, 8), persistent=False)

    def forward(self, x, y):
        x = self.act(self.fc1(x))
        x = self.act(self.fc1(x) + y)
        x = self.a(self.a(x))
        return self.d['x_y'](self.idt(x)) + self.shift, self.tied(x)


# ---- What exporters merge, fuse and hide -------------------------------------------------------


class Block(nn.Module):
    """Every block applies a SiLU to the same embedding: exporters keep one of them."""
    def __init__(self):
        super().__init__()
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(8, 8))
        self.act, self.fc = nn.ReLU(), nn.Linear(8, 8)

    def forward(self, x, e):
        return x + self.fc(self.act(x)) + self.emb_layers(e)


class Merged(nn.Module):
    def __init__(self):
        super().__init__()
        self.b0, self.b1 = Block(), Block()
        self.p = nn.Sequential(nn.ReLU(), nn.Linear(8, 4))
        self.q = nn.Sequential(nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x, e):
        x = self.b1(self.b0(x, e), e)
        return self.p(x) + self.q(x)


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.act = nn.Linear(8, 8), nn.Tanh()

    def forward(self, x):
        return self.act(self.fc(x))


class Loop(nn.Module):
    """One call that looks like three."""
    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(8, 8)

    def forward(self, x):
        for _ in range(3):
            x = self.cell(x).relu()
        return x


class Twice(nn.Module):
    """Calls in a row: of an operator, of a Sequential, of a module, of one on two inputs."""
    def __init__(self):
        super().__init__()
        self.act, self.seq = nn.Softplus(), nn.Sequential(nn.Linear(8, 8), nn.Sigmoid())
        self.cell, self.loop, self.twin = Cell(), Loop(), nn.Sequential(nn.Linear(8, 8), nn.ELU())
        self.out = nn.Linear(8, 4)

    def forward(self, x, y):
        x = self.act(self.act(x))
        x = self.seq(self.seq(self.seq(x)))
        x = self.loop(self.cell(self.cell(x)))
        a = self.twin(x)
        b = self.twin(y)
        return self.out(a * b)


class Separable(nn.Module):
    """Its norm is outside it (as in Xception)."""
    def __init__(self, i, o):
        super().__init__()
        self.conv1 = nn.Conv2d(i, i, 3, padding=1, groups=i, bias=False)
        self.pointwise = nn.Conv2d(i, o, 1, bias=False)

    def forward(self, x):
        return self.pointwise(self.conv1(x))


class NormInside(nn.Module):
    """Its norms are inside it (as in timm's blocks)."""
    def __init__(self, c):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c)
        self.act = nn.ReLU()
        self.conv2, self.bn2 = nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c)

    def forward(self, x):
        return self.bn2(self.conv2(self.act(self.bn1(self.conv1(x)))))


class Norms(nn.Module):
    """Norms that are not where the convolution is; a padding that gets fused."""
    def __init__(self):
        super().__init__()
        self.rep = nn.Sequential(nn.ReLU(), Separable(3, 6), nn.BatchNorm2d(6), nn.ReLU())
        self.stem = nn.Module()
        self.stem = Separable(6, 6)
        self.norm = nn.Sequential(nn.BatchNorm2d(6))
        self.inside = nn.Sequential(NormInside(6), nn.Tanh())
        self.pad, self.conv = nn.ZeroPad2d(1), nn.Conv2d(6, 6, 3, bias=False)
        self.up, self.up_bn = nn.ConvTranspose2d(6, 6, 2, 2, bias=False), nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.inside(self.norm(self.stem(self.rep(x))))
        x = self.up_bn(self.up(self.conv(self.pad(x))))
        return self.head(x.mean((2, 3)))


class NormAct(nn.BatchNorm2d):
    """A norm with its activation inside (as timm's BatchNormAct2d)."""
    def __init__(self, c):
        super().__init__(c)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(super().forward(x))


class PreActBlock(nn.Module):
    """It begins with its norm; nothing else reads its input."""
    def __init__(self, c):
        super().__init__()
        self.bn1, self.relu = nn.BatchNorm2d(c), nn.ReLU()
        self.conv1, self.short = nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1)

    def forward(self, x):
        x = self.relu(self.bn1(x))
        return self.conv1(x) + self.short(x)


class Stems(nn.Module):
    """Norms behind a Sequential, at the beginning of the next module, together with an activation;
    a Flatten behind an activation in place."""
    def __init__(self):
        super().__init__()
        self.deep = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
                                  nn.Conv2d(4, 4, 3, bias=False))
        self.norm0, self.act0 = nn.BatchNorm2d(4), nn.ReLU()
        self.conv1, self.bn1 = nn.Conv2d(4, 6, 1, bias=False), NormAct(6)
        self.conv2, self.layer = nn.Conv2d(6, 6, 1, bias=False), nn.Sequential(PreActBlock(6))
        self.pool, self.act = nn.AdaptiveAvgPool2d(1), nn.Hardswish(inplace=True)
        self.flatten, self.fc = nn.Flatten(), nn.Linear(6, 3)

    def forward(self, x):
        x = self.act0(self.norm0(self.deep(x)))
        x = self.layer(self.conv2(self.bn1(self.conv1(x))))
        return self.fc(self.flatten(self.act(self.pool(x))))


class LayerNorm2d(nn.LayerNorm):
    """Channels first outside, last inside."""
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class EndsFirst(nn.Module):
    """Channels last inside, first outside."""
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Layouts(nn.Module):
    """Permutations of neighbours cancel out."""
    def __init__(self):
        super().__init__()
        self.stem, self.n1, self.n2 = nn.Conv2d(3, 4, 2, 2), LayerNorm2d(4), LayerNorm2d(4)
        self.block, self.n3, self.head = EndsFirst(), LayerNorm2d(4), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x = self.n1(self.stem(x))
        x = x + self.n2(x)
        return self.head(self.n3(self.block(x)))


class EndsPermuted(nn.Module):
    def forward(self, x):
        return x.sin().permute(0, 2, 3, 1)


class StartsPermuted(nn.Module):
    def forward(self, x):
        return x.permute(0, 3, 1, 2).abs()


class Cancelled(nn.Module):
    """Two permutations, of different modules, that cancel out. TorchScript drops them too, and
    leaves nothing to know that by: only dynamo's file is tested."""
    def __init__(self):
        super().__init__()
        self.a, self.b, self.fc = EndsPermuted(), StartsPermuted(), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.b(self.a(x)))


class Positions(nn.Module):
    """A module that is given nothing but positions, and one that returns several tensors."""
    def __init__(self):
        super().__init__()
        self.tok, self.pos = nn.Embedding(20, 8), nn.Embedding(16, 8)
        self.register_buffer('ids', torch.arange(16)[None])
        self.split, self.fc = Split(), nn.Linear(4, 4)

    def forward(self, x):
        h = self.tok(x) + self.pos(self.ids[:, :x.shape[1]])
        a, b = self.split(h)
        return self.fc(a) * b


class Split(nn.Module):
    def forward(self, x):
        return x[..., :4].tanh(), x[..., 4:].sigmoid()


def normal(*shape):
    return torch.randn(*shape)


def number(high, *shape):
    return torch.randint(1, high, shape)


ALL = collections.OrderedDict(
    conv_seed=(lambda: nn.Sequential(nn.Conv2d(1, 32, 3)), lambda n: (normal(n, 1, 28, 28),)),
    mlp=(lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 16), nn.ReLU(), nn.BatchNorm1d(16),
                               nn.Dropout(.5), nn.Linear(16, 5), nn.Softmax(-1)),
         lambda n: (normal(n, 1, 6, 6),)),
    resnet_tiny=(ResNet, lambda n: (normal(n, 3, 24, 24),)),
    mobilenetv3_tiny=(MobileNetV3, lambda n: (normal(n, 3, 24, 24),)),
    vit_tiny=(ViT, lambda n: (normal(n, 3, 32, 32),)),
    lstm_text=(LSTMText, lambda n: (number(50, n, 10),)),
    gru_seq=(GRUSeq, lambda n: (normal(n, 7, 3),)),
    transformer_encoder=(Encoder, lambda n: (number(50, n, 9),)),
    unet_tiny=(UNet, lambda n: (normal(n, 1, 12, 12),)),
    shared_calls=(Shared, lambda n: (normal(n, 8), normal(n, 8))),
    merged=(Merged, lambda n: (normal(n, 8), normal(n, 8))),
    twice=(Twice, lambda n: (normal(n, 8), normal(n, 8))),
    norms=(Norms, lambda n: (normal(n, 3, 8, 8),)),
    stems=(Stems, lambda n: (normal(n, 3, 8, 8),)),
    layouts=(Layouts, lambda n: (normal(n, 3, 6, 6),)),
    cancelled=(Cancelled, lambda n: (normal(n, 2, 3, 4),)),
    positions=(Positions, lambda n: (number(20, n, 5),)),
)
