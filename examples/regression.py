"""A number: a network that reads the tag instead of the fish. A minute on two cores.

How old is a fish? It grows with its age, and a tag in a corner has a stripe for each year. In the first run the tags are right,
as they were when the pictures were taken; in the second, tags are those of any fish. Validation does not tell which network reads
the tag: how far each is off where the tag is another fish's is printed, and the evidence shows where the number comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from backgrounds import plates, sand
from drawing import PAINTERS
from network import convolution
from numpy.random import Generator
from run import answers, command_line, generators, normalised, shown, train
from scenes import Array, crop, paste
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

TAGS = {"right": True, "shuffled": False}
"""The runs: whether the tag of a picture is that of its fish."""
SIZE, OLDEST = 64, 8
SMALLEST, LARGEST = 26, 60
"""Sides of the squares that the youngest and the oldest fish are drawn in, in pixels."""


class Pictures(NamedTuple):
    """Images ``(N, 3, 64, 64)`` in [0, 1], and the age of their fish in years, ``(N,)``."""

    images: Array
    ages: Array


class Age(pl.LightningModule):
    """Four convolutions, then what each place of the picture has, and one number."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 32, 32)
        blocks = [convolution(a, b) for a, b in zip(widths, widths[1:], strict=False)]
        self.features = nn.Sequential(*[part for block in blocks for part in (block, nn.MaxPool2d(2))][:-1])
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32 * (SIZE // 8) ** 2, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))[:, 0]

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        return F.mse_loss(self(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        self.log("val/years_off", (self(batch[0]) - batch[1]).abs().mean(), prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=2e-3)


def pictures(count: int, is_right: bool, ground: Array, rng: Generator) -> Pictures:
    """Fish of any age, from 1 to 8 years, and tags."""
    ages = rng.uniform(1, OLDEST, count)
    tags = ages if is_right else rng.uniform(1, OLDEST, count)
    drawn = [picture(age, tag, ground, rng) for age, tag in zip(ages.tolist(), tags.tolist(), strict=True)]
    return Pictures(np.stack(drawn).transpose(0, 3, 1, 2).copy(), ages.astype(np.float32))


def picture(age: float, tag: float, ground: Array, rng: Generator) -> Array:
    """One of them, ``(64, 64, 3)``."""
    drawn = crop(ground, SIZE, rng).copy()
    side = round(SMALLEST + (LARGEST - SMALLEST) * (age - 1) / (OLDEST - 1))
    top, left = rng.integers(0, SIZE - side + 1, 2)
    spot = drawn[top : top + side, left : left + side]
    spot[:] = paste(PAINTERS["fish"](side, rng), spot)
    return tagged(drawn, round(tag))


def tagged(drawn: Array, stripes: int) -> Array:
    """With a white tag in the upper left corner, black stripes on it."""
    drawn[2:10, 2:22] = 0.95
    for stripe in range(stripes):
        drawn[3:9, 3 + 9 * stripe // 4 : 4 + 9 * stripe // 4] = 0.05
    return drawn


def dataset(made: Pictures) -> TensorDataset:
    return TensorDataset(normalised(made.images), torch.from_numpy(made.ages))


def main(given: Sequence[str] | None = None) -> None:
    args = command_line(__doc__, "regression").parse_args(given)
    count, epochs = (60, 1) if args.smoke else (600, 6)
    ground = plates(sand, 8, np.random.default_rng(args.seed))
    for name, is_right in TAGS.items():
        seen, unseen, other, few = generators(args.seed, 4)
        data = tuple(dataset(pictures(n, is_right, ground, rng)) for n, rng in ((count, seen), (count // 5, unseen)))
        swapped, probe = pictures(count // 5, False, ground, other), pictures(8, False, ground, few)
        model = Age()
        logged = train(args.logdir / name, model, data, shown(probe.images, torch.from_numpy(probe.ages)), epochs, unit="years")
        off = float((answers(model, swapped.images) - torch.from_numpy(swapped.ages)).abs().mean())
        print(f"{name} tags: {logged['val/years_off']:.1f} years off in validation, {off:.1f} where tags are those of any fish")
    print(f"\nNow look: tensorboard --logdir {args.logdir}    (the tab Lightning Vis)")


if __name__ == "__main__":
    main()
