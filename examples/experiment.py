"""Train a network where the background tells the class, and one where it tells nothing, and look at both meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from network import MEAN, STD, SmallCNN, dataset, group_accuracies
from pytorch_lightning.loggers import TensorBoardLogger
from scenes import Array, Painter, Scenes, compose, twins
from torch.utils.data import DataLoader

from lightning_vis import Probe, ProbeCallback, look

CORRELATION = {"spurious": 0.95, "balanced": 0.5}
"""The runs: how often an object stands on the kind of background that goes with its class."""


@dataclass(frozen=True)
class Sources:
    """What scenes are made of: a painter per class, and plates ``(P, height, width, 3)`` per kind of background."""

    objects: list[Painter]
    plates: list[Array]


@dataclass(frozen=True)
class Data:
    """The scenes of one run: training and validation from one distribution, `test` balanced over all groups."""

    train: Scenes
    validation: Scenes
    test: Scenes


@dataclass(frozen=True)
class Result:
    """What came out of one run.

    Attributes:
        accuracy: on the validation data, which are like the training data.
        groups: accuracy of each class on each kind of background, ``(classes, kinds)``.
        lift: of Grad-CAM on the object.
        background: how far the answer follows the background, 0..1.
        object: how far it follows the object.
        seconds: what the looks cost, by part.
        looks: how many there were.
    """

    accuracy: float
    groups: np.ndarray
    lift: float
    background: float
    object: float
    seconds: dict[str, float]
    looks: int


def probe_of(scenes: Scenes, class_names: list[str]) -> Probe:
    """A probe of these scenes with their masks; `mean` and `std` tell it how to show normalised images."""
    images, labels = dataset(scenes).tensors
    return Probe(images, labels, torch.from_numpy(scenes.masks), class_names=class_names, mean=MEAN, std=STD)


def data_of(seen: Sources, unseen: Sources, images: int, correlation: float, size: int, seed: int) -> Data:
    """The data of one run; with equal seeds the objects and their places are the same whatever the correlation.

    Args:
        seen: what the network learns from.
        unseen: what it is tested on.
        images: for training; a third of it for validation, and for the test.
        correlation: how often an object stands on the kind that goes with its class.
        size: of the images.
        seed: the only source of randomness.
    """
    rngs = np.random.default_rng(seed).spawn(3)
    wanted = [(seen, images, correlation), (unseen, images // 3, correlation), (unseen, images // 3, 0.5)]
    made = [
        compose(sources.objects, sources.plates, count, share, size, rng)
        for (sources, count, share), rng in zip(wanted, rngs, strict=True)
    ]
    return Data(*made)


def probes_of(
    unseen: Sources,
    class_names: list[str],
    kinds: list[str],
    size: int,
    rng: np.random.Generator,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
) -> tuple[Probe, Probe]:
    """A small probe to be shown, four objects on two kinds each, and one of 16 objects for the numbers at the end.

    Kind i of background is typical of class i.
    """
    made = twins(unseen.objects, unseen.plates, 16, size, rng)
    m, s = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    plates = {kind: (torch.from_numpy(each) - m) / s for kind, each in zip(kinds, made.plates, strict=True)}
    typical = dict(zip(kinds, class_names, strict=True))

    def probe(scenes: Scenes) -> Probe:
        images, labels = dataset(scenes, mean, std).tensors
        masks = torch.from_numpy(scenes.masks)
        return Probe(images, labels, masks, plates, typical, class_names=class_names, mean=mean, std=std)

    return probe(Scenes(*(part[:8] for part in made.scenes))), probe(made.scenes)


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
    pl.seed_everything(seed)
    callback = ProbeCallback(probe, max_overhead=0.5)  # a demonstration is there to be looked at, on slow machines too
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
        background=frame.numbers["reliance/background_effect"],
        object=frame.numbers["reliance/object_effect"],
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
            f"  the answer follows the background by {result.background:.2f}, the object by {result.object:.2f}",
            f"  Grad-CAM on the object: {result.lift:.2f} x chance",
            f"  cost of a look, averaged over {result.looks}: {parts}",
        ]
    return "\n".join(lines)
