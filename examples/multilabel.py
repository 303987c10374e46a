"""Several labels an image: a network that says "snail" wherever there is a fish. Under two minutes on two cores.

Four animals may be in a picture. In the first run a snail is in the picture just where a fish is, 49 times out of 50, and
the snail is small; in the second, each animal comes and goes by itself. Validation says the same of either, 0.99. Pictures of one of
the two alone tell them apart: the first network says "snail" of every second fish, the other one of none, and the evidence for
what is not there (`evidence+absent`) lies on the animal that is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from backgrounds import pebbles, plates
from drawing import PAINTERS
from network import convolution
from numpy.random import Generator
from run import answers, command_line, generators, normalised, shown, train
from scenes import Array, Integers, crop, paste
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

LABELS = ["bird", "mammal", "fish", "snail"]
FISH, SNAIL = 2, 3
TOGETHER = {"spurious": 0.98, "balanced": 0.5}
"""The runs: how often the snail is there where the fish is, and is not where it is not."""
SIZE = 64
SIDES = (32, 32, 32, 18)
"""Of the squares that the animals are drawn in, in pixels."""


class Pictures(NamedTuple):
    """Images ``(N, 3, 64, 64)`` in [0, 1], and which animals are in them, ``(N, 4)``."""

    images: Array
    present: Integers


class Animals(pl.LightningModule):
    """Four convolutions, and the largest answer of any place for each label."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 64, 64)
        blocks = [convolution(a, b) for a, b in zip(widths, widths[1:], strict=False)]
        self.features = nn.Sequential(*[part for block in blocks for part in (block, nn.MaxPool2d(2))][:-1])
        self.head = nn.Linear(widths[-1], len(LABELS))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images).amax((2, 3)))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        return F.binary_cross_entropy_with_logits(self(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        logits = self(batch[0])
        self.log("val/loss", F.binary_cross_entropy_with_logits(logits, batch[1]), prog_bar=True)
        self.log("val/labels_right", ((logits > 0) == (batch[1] > 0.5)).float().mean(), prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def presence(count: int, together: float, rng: Generator) -> Integers:
    """Which animals are there: each in every second picture; the snail as the fish is, as often as asked."""
    present = rng.integers(0, 2, (count, len(LABELS)))
    same = rng.random(count) < together
    present[:, SNAIL] = np.where(same, present[:, FISH], 1 - present[:, FISH])
    return present


def pictures(present: Integers, ground: Array, rng: Generator) -> Pictures:
    """Draws animals, each in a quarter of its own, on pieces of plates."""
    return Pictures(np.stack([picture(row, ground, rng) for row in present]).transpose(0, 3, 1, 2).copy(), present)


def picture(present: Integers, ground: Array, rng: Generator) -> Array:
    """One of them, ``(64, 64, 3)``."""
    drawn = crop(ground, SIZE, rng).copy()
    for label, quarter in enumerate(rng.permutation(4).tolist()):
        side = SIDES[label]
        top, left = (SIZE // 2 * part + rng.integers(0, SIZE // 2 - side + 1) for part in divmod(quarter, 2))
        if present[label]:
            spot = drawn[top : top + side, left : left + side]
            spot[:] = paste(PAINTERS[LABELS[label]](side, rng), spot)
    return drawn


def dataset(made: Pictures) -> TensorDataset:
    return TensorDataset(normalised(made.images), torch.from_numpy(made.present).float())


def report(name: str, right: float, said: Tensor, present: Integers) -> str:
    """What a reader wants to know of a run: how often it says "snail", by what there is to see."""
    says = (said[:, SNAIL] > 0).numpy()
    fish, snail = present[:, FISH] == 1, present[:, SNAIL] == 1
    shares = (says[fish & ~snail].mean(), says[snail & ~fish].mean())
    return (
        f"{name}: {right:.2f} of the labels are right in validation; it says snail of {shares[0]:.2f} of the pictures"
        f" with a fish and no snail, and of {shares[1]:.2f} of those with a snail and no fish"
    )


def main(given: Sequence[str] | None = None) -> None:
    args = command_line(__doc__, "multilabel").parse_args(given)
    count, epochs = (60, 1) if args.smoke else (1500, 10)
    ground = plates(pebbles, 8, np.random.default_rng(args.seed))
    for name, together in TOGETHER.items():
        seen, unseen, other, few = generators(args.seed, 4)
        data = tuple(
            dataset(pictures(presence(n, together, rng), ground, rng)) for n, rng in ((count, seen), (count // 5, unseen))
        )
        apart = pictures(presence(count // 5, 0.0, other), ground, other)
        probe = pictures(np.array(4 * [[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]])[:8], ground, few)
        model = Animals()
        looked_at = shown(probe.images, torch.from_numpy(probe.present), class_names=LABELS)
        logged = train(args.logdir / name, model, data, looked_at, epochs)
        print(report(name, logged["val/labels_right"], answers(model, apart.images), apart.present))
    print(f"\nNow look: tensorboard --logdir {args.logdir}    (the tab Lightning Vis)")


if __name__ == "__main__":
    main()
