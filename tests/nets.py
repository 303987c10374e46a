"""Tiny networks, each with one trait that makes attribution go wrong in careless code."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Plain(nn.Sequential):
    """Conv, norm, in-place ReLU, dropout, global average pooling, linear: layers '0' .. '9'."""

    def __init__(self, classes=3, channels=3):
        super().__init__(
            nn.Conv2d(channels, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.Dropout2d(0.3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, classes),
        )


class Block(nn.Module):
    """A residual block as torchvision writes it: one in-place ReLU used twice."""

    def __init__(self, width_in, width, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.down = nn.Conv2d(width_in, width, 1, stride, bias=False) if stride > 1 or width_in != width else None

    def forward(self, x):
        identity = x if self.down is None else self.down(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class Residual(nn.Module):
    """A ResNet in small, its pooled features flattened by a function."""

    def __init__(self, classes=3):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(Block(6, 6))
        self.layer2 = nn.Sequential(Block(6, 8, 2), Block(8, 8))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, classes)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer2(self.layer1(x))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Depthwise(nn.Module):
    """Depthwise and pointwise convolutions, SiLU, a skip connection, two linear layers with dropout between them."""

    def __init__(self, classes=3):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.SiLU(inplace=True))
        self.depth = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.ReLU6(inplace=True)
        self.point = nn.Conv2d(8, 8, 1)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 36, 10), nn.Dropout(0.5), nn.ReLU(), nn.Linear(10, classes))

    def forward(self, x):
        x = self.stem(x)
        x = x + self.point(self.act(self.norm(self.depth(x))))
        return self.head(x)


class Functional(nn.Module):
    """Activations and pooling as plain functions: no module marks where they are."""

    def __init__(self, classes=3):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.fc = nn.Linear(8, classes)

    def forward(self, x):
        x = F.relu(self.second(F.relu(self.first(x))))
        return self.fc(x.mean(dim=(2, 3)))


class PooledLinear(nn.Module):
    """Convolution, ReLU, global average pooling, linear: where the law of the evidence map holds exactly."""

    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 7, 3), nn.ReLU())
        self.fc = nn.Linear(7, classes)

    def forward(self, x):
        return self.fc(self.features(x).mean(dim=(2, 3)))


class Tokens(nn.Module):
    """Patches, a prefix, blocks; read at the first token of the prefix, or at the mean of the patches."""

    def __init__(self, prefix=1, mean=False, batch_first=True, blocks=3):
        super().__init__()
        self.patches, self.is_mean, self.batch_first = nn.Conv2d(3, 16, 4, 4), mean, batch_first
        self.prefix = nn.Parameter(torch.randn(1, prefix, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=batch_first, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, blocks, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.prefix.expand(len(x), -1, -1), x), 1)
        x = self.blocks(x) if self.batch_first else self.blocks(x.transpose(0, 1)).transpose(0, 1)
        x = self.norm(x)
        return self.head(x[:, self.prefix.shape[1] :].mean(1) if self.is_mean else x[:, 0])


class UNet(nn.Module):
    """A classifier on a U-Net: most of the answer goes over the skip."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 1, 1), nn.ReLU())
        self.deep = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, 1, 1), nn.ReLU(), nn.Upsample(scale_factor=2))
        self.fc = nn.Linear(14, 3)

    def forward(self, x):
        first = self.stem(x)
        return self.fc(torch.cat((first, self.deep(first)), 1).mean((2, 3)))


class TwoTowers(nn.Module):
    """Two branches that meet after the pooling: nothing but the image is a bottleneck."""

    def __init__(self):
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), nn.ReLU())
        self.two = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(torch.cat((self.one(x).mean((2, 3)), 3 * self.two(x).mean((2, 3))), 1))


class Shared(nn.Module):
    """One activation module for everything, as EfficientNet-Lite has it: what enters the pooling has no other name."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6()
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 3)

    def forward(self, x):
        x = self.act(self.norm(self.conv(self.act(x))))
        return self.fc(self.pool(x).flatten(1))


class Swinlike(nn.Module):
    """Channels last, merged once, read at the mean."""

    def __init__(self):
        super().__init__()
        self.patches, self.norm, self.merge = nn.Conv2d(3, 8, 2, 2), nn.LayerNorm(8), nn.Linear(32, 16)
        self.last, self.head = nn.LayerNorm(16), nn.Linear(16, 3)

    def forward(self, x):
        x = self.norm(self.patches(x).permute(0, 2, 3, 1))
        x = torch.cat([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], -1)
        return self.head(self.last(self.merge(x)).mean((1, 2)))


def trained_looking(net, seed=0):
    """The net with norms as after a training (no mean of 0, no variance of 1) and weights large enough for real gradients."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in net.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) * (0.5 if value.ndim == 1 else 0.3))
        for name, value in net.named_buffers():
            if name.endswith("running_mean"):
                value.copy_(torch.randn(value.shape, generator=generator) * 0.2)
            if name.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return net


def images(count, size=12, channels=3, seed=0):
    """Random images, the same ones for the same arguments; no global random stream is touched."""
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(seed))
