"""Watch what a network thinks each digit looks like, while it learns them. A minute on two cores, nothing to download.

scikit-learn's handwritten digits are the default; MNIST, Fashion-MNIST and other IDX files work through --data, a
folder with train-images-idx3-ubyte and train-labels-idx1-ubyte, packed or not.

The pictures are made by gradient ascent on the network's log-odds. Two priors keep them to what the network asks for:
ink costs (L1), and so do rough edges (total variation).
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis import OUTPUT, FilterMaximizationCallback, Probe, maximize
from lightning_vis.maximization.frame_builder import shown
from lightning_vis.maximization.objectives import log_odds, lp_norm, total_variation
from lightning_vis.maximization.parameterizations import pixels
from lightning_vis.maximization.presets import Recipe, adam, default_recipe

SIZE = 28


class Digits(pl.LightningModule):
    """Two convolutions and a linear layer. It is trained on shifted, noisy digits: that is what rounds its pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(32 * (SIZE // 4) ** 2, 10))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, labels = batch
        images = images.roll(torch.randint(-2, 3, (2,)).tolist(), (2, 3))
        images = images + 0.5 * torch.rand(len(images), 1, 1, 1) * torch.randn_like(images)
        return F.cross_entropy(self(images), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        accuracy = (self(batch[0]).argmax(1) == batch[1]).float().mean()
        self.log("val/accuracy", accuracy, batch_size=len(batch[1]), prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=2e-3, weight_decay=1e-2)


def recipe(steps: int) -> Recipe:
    """Pixels, because a digit is no texture; ink and edges cost, because a digit is mostly paper."""
    base = default_recipe()
    priors = (lp_norm(40.0, p=1), total_variation(20.0))
    return Recipe(pixels(), base.transforms, adam(0.1), priors, steps=steps)


def sklearn_digits() -> tuple[Tensor, Tensor]:
    """1797 digits of 8 x 8, enlarged to the usual size."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    images = F.interpolate(images, (SIZE - 4, SIZE - 4), mode="bilinear", align_corners=False)
    return F.pad(images, (2, 2, 2, 2)), torch.tensor(data.target)


def idx(path: Path) -> NDArray[np.uint8]:
    """An IDX file, packed or not."""
    packed = path.with_name(path.name + ".gz")
    if not path.exists() and not packed.exists():
        raise SystemExit(f"--data: there is neither {path} nor {packed}")
    raw = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def idx_digits(folder: Path, count: int = 12000) -> tuple[Tensor, Tensor]:
    """The first images of a training set in IDX files."""
    images, labels = (idx(folder / f"train-{kind}-ubyte")[:count] for kind in ("images-idx3", "labels-idx1"))
    return torch.tensor(images, dtype=torch.float32)[:, None] / 255, torch.tensor(labels, dtype=torch.long)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with IDX files")
    parser.add_argument("--logdir", type=Path, default=Path("logs/digits"))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs; nothing is learnt")
    args = parser.parse_args(arguments)
    pl.seed_everything(args.seed)
    images, labels = sklearn_digits() if args.data is None else idx_digits(args.data)
    images, labels, epochs, steps = (images[:200], labels[:200], 1, 2) if args.smoke else (images, labels, args.epochs, 96)
    held_out = torch.arange(len(images)) % 5 == 0
    probe = Probe(images[held_out][:50], labels[held_out][:50], name="digits")
    model = Digits()
    shared = {"probe": probe, "max_overhead": 1.0}  # a demonstration is there to be looked at, on slow machines too
    callbacks = [
        FilterMaximizationCallback([OUTPUT], 10, objective=log_odds, preset=recipe(steps), steps=steps, **shared),
        FilterMaximizationCallback(["features.0", "features.3"], 8, steps=min(steps, 64), **shared),
    ]
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=TensorBoardLogger(args.logdir.parent, name=args.logdir.name, version=""),
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_model_summary=False,
        log_every_n_steps=5,
    )
    trainer.fit(
        model,
        DataLoader(TensorDataset(images[~held_out], labels[~held_out]), 50, shuffle=True),
        DataLoader(TensorDataset(images[held_out], labels[held_out]), 500),
    )
    found = maximize(model, OUTPUT, 10, probe.images, objective=log_odds, preset=recipe(steps))
    picture = np.concatenate(list(shown(found.pictures)), 1)
    enlarged = Image.fromarray(picture).resize((5 * picture.shape[1], 5 * SIZE), Image.Resampling.BICUBIC)
    enlarged.save(args.logdir / "classes.png")
    told = ", ".join(f"{index} {value:.1f}" for index, value in enumerate(found.activation.tolist()))
    print(f"validation accuracy {trainer.callback_metrics['val/accuracy']:.3f}")
    print(f"log-odds of the ten pictures: {told}")
    print(f"the ten classes: {args.logdir / 'classes.png'}; the films: tensorboard --logdir {args.logdir}")


if __name__ == "__main__":
    main()
