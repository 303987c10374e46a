"""Train one network where the background tells the class, and one where it tells nothing, and look at both meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from network import MEAN, STD, SmallCNN, dataset, group_accuracies
from pytorch_lightning.loggers import TensorBoardLogger
from scenes import Scenes
from torch.utils.data import DataLoader

from lightning_vis import Probe, ProbeCallback, look


@dataclass(frozen=True)
class Data:
    """The scenes of one run: training and validation from one distribution, `test` balanced over all groups."""

    train: Scenes
    validation: Scenes
    test: Scenes


@dataclass(frozen=True)
class Result:
    """What came out of one run; group accuracies ``(classes, kinds)``, lifts of Grad-CAM on the object, seconds by part."""

    accuracy: float
    groups: np.ndarray
    lift: float
    seconds: dict[str, float]
    looks: int


def probe_of(scenes: Scenes, class_names: list[str]) -> Probe:
    """A probe of these scenes with their masks; `mean` and `std` tell it how to show normalised images."""
    images, labels = dataset(scenes).tensors
    return Probe(images, labels, torch.from_numpy(scenes.masks), class_names=class_names, mean=MEAN, std=STD)


def train(folder: Path, data: Data, probe: Probe, many: Probe, epochs: int, seed: int, batch_size: int = 50) -> Result:
    """Trains one network and looks at it with a `ProbeCallback`.

    Args:
        folder: the run's folder; its last part names the run.
        data: what it learns from.
        probe: the images that are looked at.
        many: more images, for the lift at the end.
        epochs: how long.
        seed: of the weights and of the order of the data.
        batch_size: images per step.
    """
    pl.seed_everything(seed, verbose=False)
    callback = ProbeCallback(probe)
    model = SmallCNN(classes=len(probe.class_names))
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=TensorBoardLogger(folder.parent, name=folder.name, version=""),
        callbacks=[callback],
        enable_checkpointing=False,
        enable_model_summary=False,
        log_every_n_steps=5,
    )
    train_loader = DataLoader(dataset(data.train), batch_size=batch_size, shuffle=True)
    trainer.fit(model, train_loader, DataLoader(dataset(data.validation), batch_size=100))
    frame = look(model, many)
    return Result(
        accuracy=float(trainer.callback_metrics["val/accuracy"]),
        groups=group_accuracies(model, data.test),
        lift=frame.numbers["attribution/grad_cam/lift"],
        seconds=callback.seconds,
        looks=callback.film.count,
    )


def report(results: dict[str, Result], class_names: list[str], kinds: list[str]) -> str:
    """What a reader wants to know of the runs, as text."""
    lines = []
    for name, result in results.items():
        cells = [
            f"{label} on {kind} {result.groups[i, j]:.2f}"
            for i, label in enumerate(class_names)
            for j, kind in enumerate(kinds)
        ]
        parts = ", ".join(f"{part} {1000 * spent / result.looks:.0f} ms" for part, spent in result.seconds.items())
        lines += [
            f"{name}: validation accuracy {result.accuracy:.2f}, worst group {result.groups.min():.2f}",
            f"  {', '.join(cells)}",
            f"  Grad-CAM on the object: {result.lift:.2f} x chance",
            f"  cost of a look, averaged over {result.looks}: {parts}",
        ]
    return "\n".join(lines)
