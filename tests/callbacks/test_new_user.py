"""Four small projects as people write them, to which one line is added: ``callbacks=[ProbeCallback()]``."""

from __future__ import annotations

import warnings

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, random_split

from lightning_vis import ProbeCallback


def shapes(count, channels=3, size=24, seed=0):
    """Bright discs (1) and bars (2) on noise: images, classes, label maps."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2 + 1
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    middle = torch.randint(8, size - 8, (count, 2, 1, 1), generator=generator)
    dy, dx = y - middle[:, 0], x - middle[:, 1]
    inside = torch.where((labels == 1)[:, None, None], dy**2 + dx**2 < 30, (dy.abs() < 2) & (dx.abs() < 7))
    images = torch.rand(count, channels, size, size, generator=generator) * 0.4 + inside[:, None] * 0.6
    return images, labels - 1, inside * labels[:, None, None]


class Plain(pl.LightningModule):
    channels = 3

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(self.channels, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2),
        )  # fmt: skip

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        return cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.log("val_loss", cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


class OneChannel(Plain):
    channels = 1


class Dicts(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = Plain().net

    def training_step(self, batch, _):
        return cross_entropy(self.net(batch["image"]), batch["label"])

    def validation_step(self, batch, _):
        self.log("val_loss", self.training_step(batch, _), batch_size=8)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


class Segments(Plain):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
        self.up = nn.Sequential(nn.Upsample(scale_factor=4), nn.Conv2d(16, 3, 3, padding=1))

    def forward(self, x):
        return self.up(self.down(x))


def plain():
    images, labels, _ = shapes(64)
    train, validation = random_split(TensorDataset((images - 0.5) / 0.25, labels), [48, 16])
    return Plain(), train, validation


def one_channel():
    images, labels, _ = shapes(64, channels=1)
    data = TensorDataset(images * 4095, labels.to(torch.uint8).long())
    return OneChannel(), *random_split(data, [48, 16])


def dicts():
    images, labels, _ = shapes(64)
    data = [{"image": image, "label": label} for image, label in zip(images, labels, strict=True)]
    return Dicts(), data[:48], data[48:]


def segmentation():
    images, _, maps = shapes(64)
    return Segments(), *random_split(TensorDataset(images, maps), [48, 16])


@pytest.mark.parametrize(
    ("project", "note", "objects"),
    [
        (plain, "display rescaled", False),
        (one_channel, "display rescaled", False),
        (dicts, "", False),
        (segmentation, "", True),
    ],
)
def test_one_added_line_shows_the_whole_training(trainer, events, project, note, objects):
    torch.manual_seed(0)
    module, train, validation = project()
    callback = ProbeCallback(images=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", "The number of training batches|.*does not have many workers")
        trainer([callback], num_sanity_val_steps=2).fit(module, DataLoader(train, 8, shuffle=True), DataLoader(validation, 8))
    frames = callback.film.frames
    assert [frame.when for frame in frames] == ["start", "step 1", "step 2", "step 4", "epoch 1", "epoch 2"]
    views = {"evidence", "grad_cam", "saliency"} | ({"mask"} if objects else set())
    assert all(set(frame.maps) == views for frame in frames)
    inputs = callback.session.inputs
    assert sorted(set(inputs.labels.tolist())) == ([1, 2] if objects else [0, 1])
    assert (inputs.note, inputs.masks is not None) == (note, objects)
    assert inputs.pictures.std() > 20
    cards = 6 if objects else 7  # twins and a fourth view take the place of two, an exchange that of one
    assert {f"probe/{index}" for index in range(cards)} < set(events().Tags()["images"])
