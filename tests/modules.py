"""Small LightningModules and data for tests that train for real."""

from __future__ import annotations

from inspect import signature

import pytorch_lightning as pl
import torch
from nets import images
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

IMAGES, SIZE, CLASSES = 24, 12, 3
SAFELY = {"weights_only": True} if "weights_only" in signature(pl.Trainer.fit).parameters else {}
"""Lightning loads a checkpoint without running code of it, where it can be told to."""


def loader(count=IMAGES, batch_size=4, shuffle=False, seed=1):
    """`count` images with labels in turn; six batches unless told otherwise."""
    labels = torch.arange(count) % CLASSES
    data = TensorDataset(images(count, SIZE, seed=seed) + labels[:, None, None, None] * 0.5, labels)
    return DataLoader(data, batch_size, shuffle=shuffle)


class Classifier(pl.LightningModule):
    """Cross-entropy on a tiny net with BatchNorm and dropout; logs one scalar per training and per validation epoch."""

    def __init__(self, net=None):
        super().__init__()
        torch.manual_seed(3)
        self.net = net or nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.Dropout(0.2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, CLASSES),
        )

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        self.log("val_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


class TwoOptimizers(Classifier):
    """Manual optimization: both optimizers step on every batch, so `global_step` runs twice as fast as the batches."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, _):
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
        self.log("loss", loss, on_step=False, on_epoch=True)

    def configure_optimizers(self):
        head, rest = self.net[-1], self.net[0]
        return [torch.optim.SGD(head.parameters(), 0.1), torch.optim.SGD(rest.parameters(), 0.1)]


class LogsStep(Classifier):
    """Puts its epoch scalars at the epoch's number, as Lightning lets users do by logging 'step'."""

    def training_step(self, batch, index):
        self.log("step", 100.0 + self.current_epoch, on_step=False, on_epoch=True)
        return super().training_step(batch, index)

    def validation_step(self, batch, index):
        self.log("step", 100.0 + self.current_epoch)
        super().validation_step(batch, index)
