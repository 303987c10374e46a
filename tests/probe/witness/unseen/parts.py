"""Shared helpers: tiny data, tiny networks, loaders of many shapes."""

import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: F401  # those who take all from here use it
from torch.utils.data import DataLoader, Dataset, TensorDataset  # noqa: F401  # likewise

N, BATCH, SIDE = 32, 8, 16


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def images(channels=3, seed=0, n=N, side=SIDE):
    """Images in [0, 1], with a brightness that differs from image to image."""
    g = gen(seed)
    base = torch.rand(n, channels, side, side, generator=g)
    level = torch.rand(n, 1, 1, 1, generator=g)
    return 0.5 * base + 0.5 * level


def ints(high, seed=1, size=(N,)):
    return torch.randint(0, high, size, generator=gen(seed))


def floats(*size, seed=2, low=0.0, high=1.0):
    return torch.rand(*(size or (N,)), generator=gen(seed)) * (high - low) + low


def bits(k, seed=3, p=0.4):
    return (torch.rand(N, k, generator=gen(seed)) < p).float()


def brightness(x):
    """A number per image that can be learnt."""
    return x.flatten(1).mean(1)


class Items(Dataset):
    """Item i is make(t0[i], t1[i], ...)."""

    def __init__(self, make, *tensors):
        self.make, self.tensors = make, tensors

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, i):
        return self.make(*[t[i] for t in self.tensors])


def loaders(make, *tensors, val=True, collate_fn=None):
    def one(shuffle):
        return DataLoader(Items(make, *tensors), batch_size=BATCH, shuffle=shuffle, generator=gen(7), collate_fn=collate_fn)

    return one(True), (one(False) if val else None)


def tuple_loaders(*tensors, val=True):
    return loaders(lambda *t: tuple(t), *tensors, val=val)


def dict_loaders(val=True, **tensors):
    keys = list(tensors)
    return loaders(lambda *t: dict(zip(keys, t)), *tensors.values(), val=val)


def conv(i, o, stride=1):
    return nn.Sequential(nn.Conv2d(i, o, 3, stride, 1), nn.BatchNorm2d(o), nn.ReLU())


def trunk(cin=3, width=12):
    """Image -> vector of `width`."""
    return nn.Sequential(conv(cin, 8, 2), conv(8, width, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def cnn(out, cin=3, width=12):
    """Image -> vector of `out`."""
    return nn.Sequential(*trunk(cin, width), nn.Linear(width, out))


class UNet(nn.Module):
    def __init__(self, cin=3, cout=1, width=8):
        super().__init__()
        self.down1, self.down2 = conv(cin, width), conv(width, width, 2)
        self.up = nn.ConvTranspose2d(width, width, 2, 2)
        self.last = nn.Conv2d(2 * width, cout, 1)

    def forward(self, x):
        a = self.down1(x)
        return self.last(torch.cat([a, self.up(self.down2(a))], 1))


def blobs(seed=4, classes=2):
    """Label maps N x 16 x 16 of ints."""
    coarse = torch.randint(0, classes, (N, 4, 4), generator=gen(seed))
    return coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)


import pytorch_lightning as _pl


class AdamModule(_pl.LightningModule):
    """Only the optimizer."""

    def configure_optimizers(self):
        return torch.optim.Adam([p for p in self.parameters() if p.requires_grad], 1e-3)
