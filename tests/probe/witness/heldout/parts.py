"""What the held-out set-ups share: tiny data, tiny networks, loaders, one optimizer."""

# ruff: noqa: F401 - the set-ups take everything from here

import collections
import copy
import dataclasses
import math
import random

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset, default_collate

COUNT, BATCH, SIDE = 12, 6, 16


def pixels(channels=3, side=SIDE, count=COUNT):
    return torch.randn(count, channels, side, side)


def classes(k, count=COUNT):
    return torch.randperm(count) % k


def bits(*shape, p=0.4):
    return (torch.rand(COUNT, *shape) < p).float()


def regions(k=2, side=SIDE):
    coarse = torch.randint(0, k, (COUNT, 1, 4, 4)).float()
    return F.interpolate(coarse, size=(side, side), mode="nearest")[:, 0].long()


class Rows(Dataset):
    """Columns as rows, each shaped by a function."""

    def __init__(self, shape, *columns):
        self.shape, self.columns = shape, columns

    def __len__(self):
        return len(self.columns[0])

    def __getitem__(self, i):
        return self.shape(*[c[i] for c in self.columns])


def both(dataset, collate=None, val=True):
    train = DataLoader(dataset, batch_size=BATCH, shuffle=True, collate_fn=collate)
    return train, (DataLoader(dataset, batch_size=BATCH, collate_fn=collate) if val else None)


def tuples(*columns, **kw):
    return both(TensorDataset(*columns), **kw)


def dicts(val=True, **columns):
    return both(Rows(lambda *row: dict(zip(columns, row)), *columns.values()), val=val)


def backbone(cin=3, width=10):
    return nn.Sequential(
        nn.Conv2d(cin, width, 3, stride=2, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def classifier(k, cin=3, width=10):
    return nn.Sequential(*backbone(cin, width), nn.Linear(width, k))


class EncoderDecoder(nn.Module):
    def __init__(self, cin, cout, width=8):
        super().__init__()
        self.enc1 = nn.Sequential(nn.Conv2d(cin, width, 3, padding=1), nn.ReLU())
        self.enc2 = nn.Sequential(nn.Conv2d(width, width, 3, stride=2, padding=1), nn.ReLU())
        self.dec = nn.Conv2d(2 * width, width, 3, padding=1)
        self.out = nn.Conv2d(width, cout, 1)

    def forward(self, x):
        a = self.enc1(x)
        b = F.interpolate(self.enc2(a), scale_factor=2)
        return self.out(F.relu(self.dec(torch.cat([a, b], 1))))


class Lit(pl.LightningModule):
    """The usual optimizer."""

    lr = 1e-3

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.lr)
