"""Masks: a network whose outlines are right and whose names come from the background. Two minutes on two cores.

It outlines birds and mammals and says which is which, at each pixel. In the first run birds stand on leaves and mammals on
pebbles, 49 times out of 50; in the second, leaves and pebbles tell nothing. Validation says nothing of it. On the other background
the first network still finds the animal, and calls it by the wrong name: the same bird is red on leaves and blue on pebbles in
`summary.png`, and swapping the background moves its IoU by 80 points.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from backgrounds import leaves, pebbles, plates
from drawing import PAINTERS
from network import convolution
from run import answers, command_line, generators, normalised, shown, train
from scenes import Scenes, compose, twins
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

CLASSES = ["background", "bird", "mammal"]
KINDS = {"leaves": leaves, "pebbles": pebbles}
CORRELATION = {"spurious": 0.98, "balanced": 0.5}
SIZE = 64


class Outlines(pl.LightningModule):
    """A small U-Net: three times pooled, three times enlarged beside what it saw before pooling."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 48, 64)
        self.down = nn.ModuleList(convolution(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.up = nn.ModuleList(convolution(a + b, b) for a, b in ((64, 48), (48, 32), (32, 16)))
        self.head = nn.Conv2d(16, len(CLASSES), 1)

    def forward(self, images: Tensor) -> Tensor:
        maps, kept = images, []
        for block in self.down:
            maps = block(F.max_pool2d(maps, 2) if kept else maps)
            kept.append(maps)
        maps = kept.pop()
        for block in self.up:
            maps = block(torch.cat([F.interpolate(maps, scale_factor=2), kept.pop()], 1))
        return self.head(maps)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        return F.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        self.log("val/iou", overlap(self(batch[0]), batch[1]).mean(), prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def overlap(logits: Tensor, maps: Tensor) -> Tensor:
    """The IoU of each image's animal as its own class, ``(N,)``."""
    label = maps.flatten(1).amax(1)[:, None, None]
    said, true = logits.argmax(1) == label, maps == label
    return (said & true).sum((1, 2)) / (said | true).sum((1, 2))


def outlined(logits: Tensor, maps: Tensor) -> Tensor:
    """The IoU of animal and no animal, whatever it is called, ``(N,)``."""
    said, true = logits.argmax(1) > 0, maps > 0
    return (said & true).sum((1, 2)) / (said | true).sum((1, 2))


def label_maps(scenes: Scenes) -> Tensor:
    """Classes ``(N, 64, 64)``: 0 beside the animal."""
    return torch.from_numpy((scenes.masks > 0.5) * (1 + scenes.labels[:, None, None]))


def dataset(scenes: Scenes) -> TensorDataset:
    return TensorDataset(normalised(scenes.images), label_maps(scenes))


def report(name: str, iou: float, said: Tensor, maps: Tensor) -> str:
    """What a reader wants to know of a run: outlines and names where backgrounds are the other ones."""
    return (
        f"{name}: IoU {iou:.2f} in validation; on the other background the outline's IoU is {outlined(said, maps).mean():.2f},"
        f" and {overlap(said, maps).mean():.2f} where the name counts"
    )


def main(given: Sequence[str] | None = None) -> None:
    args = command_line(__doc__, "segmentation").parse_args(given)
    count, epochs, grounds = (60, 1, (4, 2)) if args.smoke else (700, 6, (12, 6))
    animals = [PAINTERS[name] for name in CLASSES[1:]]
    rng = np.random.default_rng(args.seed)
    ground, ground_unseen = ([plates(draw, n, rng) for draw in KINDS.values()] for n in grounds)
    made = twins(animals, ground_unseen, 4, SIZE, rng)
    clean = {kind: normalised(each) for kind, each in zip(KINDS, made.plates, strict=True)}
    probe = shown(
        made.scenes.images, label_maps(made.scenes), masks=torch.from_numpy(made.scenes.masks), backgrounds=clean,
        typical=dict(zip(KINDS, CLASSES[1:], strict=True)), class_names=CLASSES,
    )  # fmt: skip
    for name, correlation in CORRELATION.items():
        seen, unseen, other = generators(args.seed, 3)
        data = (
            dataset(compose(animals, ground, count, correlation, SIZE, seen)),
            dataset(compose(animals, ground_unseen, count // 3, correlation, SIZE, unseen)),
        )
        swapped = compose(animals, ground_unseen, count // 3, 0.0, SIZE, other)
        model = Outlines()
        logged = train(args.logdir / name, model, data, probe, epochs)
        print(report(name, logged["val/iou"], answers(model, swapped.images), label_maps(swapped)))
    print(f"\nNow look: tensorboard --logdir {args.logdir}    (the tab Lightning Vis)")


if __name__ == "__main__":
    main()
