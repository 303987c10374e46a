"""The tiny networks and data of the scenarios."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Subset, TensorDataset

SIZE, CLASSES = 12, 4


def images(count: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(count, 3, SIZE, SIZE, generator=generator)
    return pixels, torch.randint(CLASSES, (count,), generator=generator)


def loaders(batch_size: int = 8, **arguments: Any) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """24 images to train on, shuffled, and 16 for validation."""
    data = TensorDataset(*images())
    training = DataLoader(Subset(data, range(24)), batch_size, shuffle=True, **arguments)
    return training, DataLoader(Subset(data, range(24, 40)), batch_size, **arguments)


def body() -> nn.Sequential:
    """Something of everything that an eval switch, a random stream or an in-place change could disturb."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, CLASSES),
    )


class Net(pl.LightningModule):
    """The usual network and training; scenarios change one thing in it.

    Args:
        net: the network, `body` by default.
        rate: learning rate of Adam.
    """

    def __init__(self, net: nn.Module | None = None, rate: float = 1e-2) -> None:
        super().__init__()
        self.net = body() if net is None else net
        self.rate = rate

    def forward(self, x: Tensor) -> Any:
        return self.net(x)

    def loss(self, batch: Any) -> Tensor:
        return cross_entropy(self(batch[0]), batch[1])

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.loss(batch))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test_loss", self.loss(batch))

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        return self(batch[0])

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam([each for each in self.parameters() if each.requires_grad], self.rate)
