"""What the examples on drawn data share: their command line, and a Trainer that is looked at."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from scenes import Array
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis import Probe, ProbeCallback, View


def command_line(purpose: str | None, name: str) -> argparse.ArgumentParser:
    """The options of all of them.

    Args:
        purpose: what an example shows.
        name: of its folder in ``logs``.
    """
    parser = argparse.ArgumentParser(description=purpose, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--logdir", type=Path, default=Path("logs") / name)
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs; nothing is learnt")
    return parser


def normalised(images: Array) -> Tensor:
    """Images in [0, 1] as the networks get them: around 0."""
    return (torch.from_numpy(images) - 0.5) / 0.25


def shown(images: Array, labels: Tensor, **beside: object) -> Probe:
    """A probe of such images, that shows them as they were before."""
    return Probe(normalised(images), labels, mean=(0.5,) * images.shape[1], std=(0.25,) * images.shape[1], **beside)


def train(
    folder: Path,
    model: pl.LightningModule,
    data: tuple[TensorDataset, TensorDataset],
    probe: Probe,
    epochs: int,
    views: Sequence[View] | None = None,
    **words: str,
) -> dict[str, float]:
    """Trains a network and looks at it with a `ProbeCallback`.

    Args:
        folder: the run's folder; its last part names the run.
        model: what is trained.
        data: for training and for validation.
        probe: the images that are looked at.
        epochs: how long.
        views: as `ProbeCallback`.
        words: likewise, ``unit`` for instance.

    Returns:
        What the network has logged last.
    """
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=TensorBoardLogger(folder.parent, name=folder.name, version=""),
        callbacks=[ProbeCallback(probe, views, max_overhead=0.5, **words)],  # a demonstration is there to be looked at
        enable_checkpointing=False,
        enable_model_summary=False,
        log_every_n_steps=5,
    )
    trainer.fit(model, DataLoader(data[0], 50, shuffle=True), DataLoader(data[1], 100))
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


@torch.no_grad()
def answers(model: pl.LightningModule, images: Array) -> Tensor:
    """What a network says of images, in eval mode."""
    training = model.training
    model.eval()
    said = torch.cat([model(some) for some in normalised(images).split(100)])
    model.train(training)
    return said


def generators(seed: int, count: int) -> list[np.random.Generator]:
    """Streams of randomness of their own; the networks' is seeded beside them."""
    pl.seed_everything(seed)
    return np.random.default_rng(seed).spawn(count)
