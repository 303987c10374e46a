"""A vision transformer that reads the scanner's mark and not the digit. A minute on two cores, nothing to download.

The threes and eights are those that scikit-learn ships. In the first run another scanner took the threes, 49 times out of 50, and
left a mark in a corner; in the second, the mark stands on every second picture. Validation says 1.00 of the first. With the mark
an eight is called three: the exchange of surroundings finds it by itself, and the evidence for a three lies on the mark.

`attention_rollout` stands beside the evidence: it says where tokens go, and not what for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from digits import SIZE, sklearn_digits
from numpy.random import Generator
from run import answers, command_line, generators, normalised, shown, train
from scenes import Array, Integers
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from lightning_vis import evidence, grad_cam, saliency
from lightning_vis.attribution import attention_rollout

CLASSES = {"three": 3, "eight": 8}
TOGETHER = {"spurious": 0.98, "balanced": 0.5}
"""The runs: how often a three has the mark, and an eight has not."""
PATCH, WIDTH, HEADS, DEPTH = 4, 64, 4, 2


class Block(nn.Module):
    """Attention between all tokens, then two layers on each of them, both beside what was there."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.layers = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        given = self.norms[0](tokens)
        tokens = tokens + self.attention(given, given, given, need_weights=False)[0]
        return tokens + self.layers(self.norms[1](tokens))


class ViT(pl.LightningModule):
    """Patches of 4 pixels, a class token, two blocks (A. Dosovitskiy et al., 2021, in small)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, WIDTH, PATCH, PATCH)
        self.token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.places = nn.Parameter(0.02 * torch.randn(1, 1 + (SIZE // PATCH) ** 2, WIDTH))
        self.blocks = nn.Sequential(*[Block() for _ in range(DEPTH)])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(images), -1, -1), patches], 1) + self.places
        return self.head(self.norm(self.blocks(tokens)[:, 0]))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        return F.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        self.log("val/accuracy", (self(batch[0]).argmax(1) == batch[1]).float().mean(), prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def marks(labels: Integers, together: float, rng: Generator) -> Integers:
    """Which pictures have the mark."""
    return np.where(rng.random(len(labels)) < together, labels == 0, labels == 1)


def marked(images: Array, where: Integers) -> Array:
    """Digits ``(N, 1, 28, 28)``, some with the mark: a square of 3 pixels in the lower left corner."""
    made = images.copy()
    made[np.asarray(where, bool), 0, -4:-1, 1:4] = 1.0
    return made


def digits() -> tuple[Array, Integers]:
    """Threes and eights ``(N, 1, 28, 28)`` in [0, 1], and which they are: 0 or 1."""
    images, kinds = (each.numpy() for each in sklearn_digits())
    wanted = np.isin(kinds, list(CLASSES.values()))
    return images[wanted], (kinds[wanted] == CLASSES["eight"]).astype(np.int64)


def dataset(images: Array, labels: Integers) -> TensorDataset:
    return TensorDataset(normalised(images), torch.from_numpy(labels))


def main(given: Sequence[str] | None = None) -> None:
    args = command_line(__doc__, "vit").parse_args(given)
    epochs = 1 if args.smoke else 20
    images, labels = digits()
    held_out = np.arange(len(labels)) % 3 == 0
    few = np.concatenate([np.flatnonzero(held_out & (labels == label))[:4] for label in range(2)])
    for name, together in TOGETHER.items():
        seen, unseen = generators(args.seed, 2)
        data = tuple(
            dataset(marked(images[part], marks(labels[part], together, rng)), labels[part])
            for part, rng in ((~held_out, seen), (held_out, unseen))
        )
        probe = shown(marked(images[few], np.arange(8) % 2), torch.from_numpy(labels[few]), class_names=list(CLASSES))
        model = ViT()
        logged = train(
            args.logdir / name, model, data, probe, epochs, [evidence(), grad_cam(), attention_rollout(), saliency()]
        )
        swapped = answers(model, marked(images[held_out], labels[held_out] == 1)).argmax(1).numpy()
        print(
            f"{name}: accuracy {logged['val/accuracy']:.2f} in validation,"
            f" {(swapped == labels[held_out]).mean():.2f} where the eights have the mark and the threes have not"
        )
    print(f"\nNow look: tensorboard --logdir {args.logdir}    (the tab Lightning Vis)")


if __name__ == "__main__":
    main()
