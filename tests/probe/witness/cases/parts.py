"""What the set-ups are made of: small networks, small data, a module with a step of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import Dataset, TensorDataset

COUNT = 32
"""Images of each data set."""


@dataclass(frozen=True)
class Want:
    """What is to be read; places as they are written, None where it is not asked."""

    task: str | tuple[str, ...]
    chain: str | tuple[str, ...] | None = None
    head: str | None = None
    target: str | None = None
    image: str | None = None
    arguments: tuple[tuple[str, ...], ...] | None = None
    values: str | None = None


@dataclass(frozen=True)
class Case:
    """A set-up: how module and data are made, and what is to be read.

    Attributes:
        in_sanity: whether the sanity check shows it; else it must be unknown there.
        is_unneeded: whether it is unknown though one could know.
        options: of the Trainer.
    """

    name: str
    make: Callable[[], tuple[pl.LightningModule, Dataset]]
    want: Want
    in_sanity: bool = True
    is_unneeded: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


UNKNOWN = Want("unknown")


class Module(pl.LightningModule):
    """As people write it: parts, a step, the same step for validation.

    Args:
        parts: submodules by name.
        step: of (module, batch), returns the loss; under manual optimization it does all itself.
        validation: likewise; by default the same step, None: nothing is logged.
        optimizers: of (module,); Adam of all that is trained by default.
        forward: of (module, batch's part), if the step calls the module itself.
    """

    def __init__(self, parts, step, validation="same", optimizers=None, forward=None, is_manual=False):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.automatic_optimization = not is_manual
        self._step, self._validation = step, step if validation == "same" else validation
        self._optimizers, self._forward = optimizers, forward

    def forward(self, *args):
        return self._forward(self, *args)

    def training_step(self, batch, index):
        return self._step(self, batch)

    def validation_step(self, batch, index):
        if self._validation is not None:
            self.log("val_loss", self._validation(self, batch))

    def configure_optimizers(self):
        if self._optimizers is not None:
            return self._optimizers(self)
        return torch.optim.Adam([each for each in self.parameters() if each.requires_grad], 0.05)


class Columns(Dataset):
    """Batches that are mappings."""

    def __init__(self, **columns):
        self.columns = columns

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        return {name: values[index] for name, values in self.columns.items()}


def cnn(out, wide=8):
    return nn.Sequential(
        nn.Conv2d(3, wide, 3, 2),
        nn.BatchNorm2d(wide),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(wide, out),
    )


def dense(out):
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, out, 3, padding=1))


def mlp(out):
    return nn.Sequential(nn.Flatten(), nn.Linear(768, out))


def frozen(module):
    return module.requires_grad_(False)


def pictures(*shape):
    return torch.randn(COUNT, *(shape or (3, 16, 16)), generator=torch.Generator().manual_seed(1))


def chance(*shape):
    return torch.rand(COUNT, *shape, generator=torch.Generator().manual_seed(2))


def numbered(classes=4):
    return torch.arange(COUNT) % classes


LABELS = {
    "classes": numbered,
    "two": lambda: numbered(2),
    "five": lambda: numbered(5),
    "soft": lambda: chance(4).softmax(1),
    "yes or no": lambda: numbered(2).float(),
    "labels": lambda: chance(4).round(),
    "levels": lambda: (numbered(5)[:, None] > torch.arange(4)).float(),
    "age": lambda: chance() * 60,
    "whole age": lambda: (chance() * 60).round(),
    "age as long": lambda: (chance() * 60).long(),
    "four numbers": lambda: chance(4),
    "keypoints": lambda: chance(5, 2),
    "map": lambda: (chance(16, 16) * 3).long(),
    "mask": lambda: chance(1, 16, 16).round(),
    "masks": lambda: chance(3, 16, 16).round(),
    "depth": lambda: chance(1, 16, 16) * 9,
}


def pairs(labels="classes", images=None):
    """Images with labels of one of the kinds above."""
    return TensorDataset(pictures() if images is None else images, LABELS[labels]())


def two_views():
    return TensorDataset(pictures(), pictures() * 0.9)


def supervised(loss, labels="classes", net=lambda: cnn(4)):
    """The usual: ``loss(net(images), labels)``."""
    return lambda: (Module({"net": net()}, lambda self, batch: loss(self.net(batch[0]), batch[1])), pairs(labels))


def stepped(step, data=pairs, net=lambda: cnn(4), **options):
    """One network and a step."""
    return lambda: (Module({"net": net()}, step, **options), data())


def wanted(task, **others):
    """What `supervised` shows: one network, the answer itself, images and labels as they are in the batch."""
    usual = {"chain": "net", "head": "", "target": "batch[1]", "image": "batch[0]", "arguments": (("batch[0]",),)}
    return Want(task, **(usual | others))
