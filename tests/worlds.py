"""A world in small where the background can tell the class: bars on coloured noise, learnt in a few steps."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis.probe.probe import Probe

SIZE = 16
TYPICAL = {"warm": "upright", "cold": "lying"}
NAMES = ["upright", "lying"]


def plates(kind, count, seed=0):
    """Noise ``(count, 3, 16, 16)``, reddish for kind 0 and bluish for kind 1."""
    noise = torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(10 * seed + kind))
    tint = torch.tensor([[1.0, 0.2, 0.0], [0.0, 0.2, 1.0]])[kind]
    return 0.5 * noise + 0.5 * tint[:, None, None]


def bars(labels):
    """White bars in the middle with their masks: upright for class 0, lying for class 1."""
    masks = torch.zeros(len(labels), SIZE, SIZE)
    masks[labels == 0, 3:13, 6:10] = 1
    masks[labels == 1, 6:10, 3:13] = 1
    return torch.ones(len(labels), 3, SIZE, SIZE), masks


def scenes(count, correlation, seed=0):
    """Images, labels and masks; class c stands on kind c in the share `correlation` of the images."""
    labels = torch.arange(count) % 2
    off = (torch.arange(count) // 2) % 20 >= round(20 * correlation)
    kinds = torch.where(off, 1 - labels, labels)
    both = torch.stack([plates(kind, count, seed) for kind in (0, 1)])
    objects, masks = bars(labels)
    return objects * masks[:, None] + both[kinds, torch.arange(count)] * (1 - masks[:, None]), labels, masks


def twin_probe(count=8, **arguments):
    """Bars on both kinds of background."""
    images, labels, masks = scenes(count, 0.5, seed=7)
    backgrounds = {"warm": plates(0, 4, 8), "cold": plates(1, 4, 8)}
    return Probe(images, labels, masks, backgrounds, TYPICAL, class_names=NAMES, **arguments)


class Unvalidated(pl.LightningModule):
    """Two convolutions, average pooling, one linear layer, and nothing to validate with."""

    def __init__(self, rate=0.02):
        super().__init__()
        self.rate = rate
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2),
        )  # fmt: skip

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, batch_idx):
        return cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.rate)


class Classifier(Unvalidated):
    """The same with a validation loss."""

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", cross_entropy(self(batch[0]), batch[1]))


def loader(count, correlation, seed=0, batch_size=16):
    images, labels, _ = scenes(count, correlation, seed)
    return DataLoader(TensorDataset(images, labels), batch_size=batch_size)
