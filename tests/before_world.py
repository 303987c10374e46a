"""What the files in ``events/before/`` were written with: its network, its data, its probe, and what is compared of it."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis import FilterMaximizationCallback, Probe, ProbeCallback, View, grad_cam

BEFORE = Path(__file__).parent / "events" / "before"
SIZE, NAMES = 16, ["bird", "mammal", "fish"]
TYPICAL = {"leaves": "bird", "stones": "mammal", "water": "fish"}
TINTS = torch.tensor([[0.1, 0.7, 0.1], [0.6, 0.5, 0.4], [0.1, 0.3, 0.9]])
LAYERS = ["net.0", "<output>"]


def plates(kind, count, seed=0):
    noise = torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(10 * seed + kind))
    return 0.2 * noise + 0.8 * TINTS[kind][:, None, None]


def scenes(count, kinds, seed=0):
    """White squares in three places, by class, on backgrounds of these kinds: images, labels and masks."""
    labels, masks = torch.arange(count) % 3, torch.zeros(count, SIZE, SIZE)
    for at, label in enumerate(labels):
        masks[at, 5:11, 2 + 3 * label : 8 + 3 * label] = 1
    behind = torch.stack([plates(kind, count, seed) for kind in range(3)])[kinds, torch.arange(count)]
    return torch.where(masks[:, None] == 1, 1.0, behind), labels, masks


def loader(count=48, seed=1):
    """The background of every image tells its class."""
    images, labels, _ = scenes(count, torch.arange(count) % 3, seed)
    return DataLoader(TensorDataset(images, labels), batch_size=8)


def before_probe(name: str = "probe") -> Probe:
    """Four objects, each on the background of another class."""
    images, labels, masks = scenes(4, (torch.arange(4) + 1) % 3, seed=7)
    backgrounds = {name: plates(kind, 2, seed=8) for kind, name in enumerate(TYPICAL)}
    return Probe(images, labels, masks, backgrounds, TYPICAL, class_names=NAMES, name=name)


def my_probe() -> Probe:
    return before_probe(name="mine")


def plain_probe() -> Probe:
    return Probe(before_probe().images[:2], [0, 1], name="plain")


def my_view() -> View:
    return grad_cam("net.0")


class Classifier(pl.LightningModule):
    """Two convolutions, average pooling, one linear layer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.net = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
        )  # fmt: skip

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, _):
        loss = cross_entropy(self(batch[0]), batch[1])
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        self.log("val_loss", cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.03)


class Data(pl.LightningDataModule):
    def train_dataloader(self):
        return loader()

    def val_dataloader(self):
        return loader(12, seed=2)


def watcher(at_steps=None):
    return ProbeCallback(before_probe(), at_steps=at_steps, images=False)


def filters(channels=3):
    return FilterMaximizationCallback(LAYERS, channels, before_probe(), steps=4, weights=True)


# --- what is compared, as flat arrays ------------------------------------------------------------------------------


def flat_run(run):
    """All that was read of a run, by readable keys."""
    return {
        "name": np.array(run.name),
        "damage": np.array(json.dumps(run.damage)),
        **under("inputs", flat_inputs(run.inputs)),
        **under("frames", flat_frames(run.frames)),
        **under("filters", flat_frames(run.filters)),
    }


def flat_frames(frames):
    return {key: value for at, frame in enumerate(frames) for key, value in under(f"{at:02d}", flat_frame(frame)).items()}


def flat_inputs(inputs):
    pictures = {name: getattr(inputs, name) for name in ("pictures", "labels", "masks", "twins")}
    found = {name: value for name, value in pictures.items() if value is not None}
    return {**found, "facts": facts(inputs, ("name", "class_names", "note", "kinds"))}


def flat_frame(frame):
    plain = ("probe", "finished_steps", "log_step", "epoch", "moment", "weights", "when", "numbers", "seconds", "notes")
    found = {"facts": facts(frame, plain), "predicted": frame.predicted, "probability": frame.probability}
    found |= {f"per_image/{tag}": value for tag, value in frame.per_image.items()}
    for key, maps in frame.maps.items():
        about = facts(maps, ("layer", "title", "target"), **dataclasses.asdict(maps.scale))
        found |= under(f"maps/{key}", {"values": maps.values, "classes": maps.classes, "facts": about})
    for key, pictures in frame.pictures.items():
        found |= under(f"pictures/{key}", {"values": pictures.values, "facts": facts(pictures, ("captions",))})
    return found


def facts(thing, names, **others):
    """What is no array, as JSON: it keeps all digits, and the order of what has one."""
    return np.array(json.dumps({name: getattr(thing, name) for name in names} | others))


def under(name, found):
    return {f"{name}/{key}": value for key, value in found.items()}


def expected(name):
    """What was read or drawn before, below a key."""
    with np.load(BEFORE / "expected.npz") as kept:
        return {key.removeprefix(f"{name}/"): kept[key] for key in kept.files if key.startswith(f"{name}/")}


def gif_pictures(data):
    film = Image.open(io.BytesIO(data))
    found = []
    for at in range(film.n_frames):
        film.seek(at)
        found.append(np.asarray(film.convert("RGB")))
    return found
