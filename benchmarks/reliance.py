"""Do the numbers of twins tell a network that answers by background from one that does not? One line of JSON per run.

    python benchmarks/reliance.py drawn --seeds 101 102 103 104 105 --out runs.jsonl
    python benchmarks/reliance.py mislabelled --arms partly balanced --seeds 201 202 203 204 205 --out runs.jsonl
    python benchmarks/reliance.py four --seeds 101 102 103 104 105 --out runs.jsonl
    python benchmarks/reliance.py folders --objects DIR --backgrounds DIR --seeds 101 102 103 104 105 --out runs.jsonl
    python benchmarks/reliance_table.py runs.jsonl > benchmarks/reliance.md

Each run trains the network of the examples in one of three arms: the background goes with the class 95 % of the time
("spurious"), 75 % ("partly"), or no more often than chance ("balanced"). After every epoch several probes are asked:
16 objects on clean plates (the alert's), the same without `typical=`, 64 objects on clean plates, and 16 and 64
validation images with masks alone (holes filled). No seed here was used to choose a threshold.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import backgrounds
import cutouts
import drawing
import numpy as np
import pytorch_lightning as pl
import torch
from network import MEAN, STD, SmallCNN, dataset, group_accuracies
from scenes import Array, Painter, Scenes, compose
from torch.utils.data import DataLoader
from tqdm import tqdm

from lightning_vis import Probe, ProbeCallback
from lightning_vis.attribution.pipeline import look_at_twins
from lightning_vis.model.feature_map import last_feature_map

SIZE = 64


@dataclass(frozen=True)
class World:
    """Objects and backgrounds, those of training and others: kind k of background goes with class k."""

    classes: list[str]
    kinds: list[str]
    painters: tuple[list[Painter], list[Painter]]
    plates: tuple[list[Array], list[Array]]
    count: int
    epochs: int

    @property
    def correlations(self) -> dict[str, float]:
        return {"spurious": 0.95, "partly": 0.75, "balanced": 1 / len(self.classes)}


def drawn(seed: int, classes: Sequence[str], kinds: Sequence[str], count: int, epochs: int) -> World:
    rng = np.random.default_rng(seed)
    painters = [drawing.PAINTERS[name] for name in classes]
    plates = [[backgrounds.plates(getattr(backgrounds, kind), n, rng) for kind in kinds] for n in (16, 8)]
    return World(list(classes), list(kinds), (painters, painters), (plates[0], plates[1]), count, epochs)


def mislabelled(seed: int, share: float = 0.15) -> World:
    """The drawn animals again, but in a share of the training images the other animal stands than the label says.

    The animal then tells the label in 85 % of the images and the background in 75 %, independently of each other. Who
    weighs both by their odds, adding 1.73 and 1.10, is sure of the label by 0.94 where they agree and follows the animal
    by 0.65 where they do not: a background effect of 0.29 that no amount of training takes away.
    """
    world = drawn(seed, ["bird", "mammal"], ["leaves", "pebbles"], 1200, 8)
    bird, mammal = world.painters[1]
    mistaken = [sometimes(bird, mammal, share), sometimes(mammal, bird, share)]
    return replace(world, painters=(mistaken, world.painters[1]))


def sometimes(usual: Painter, other: Painter, share: float) -> Painter:
    """Draws the other object in this share of the pictures."""

    def paint(size: int, rng: np.random.Generator) -> Array:
        return (other if rng.random() < share else usual)(size, rng)

    return paint


def folders(seed: int, objects: Path, places: Path) -> World:
    """Cut-outs and photographs: those of training and those of testing are different ones, or different parts."""
    rng = np.random.default_rng(seed)
    classes, kinds = cutouts.subfolders(objects), cutouts.subfolders(places)
    split = [cutouts.split(cutouts.load_cutouts(folder), np.random.default_rng(123)) for folder in classes]
    painters = [[cutouts.painter(part[side]) for part in split] for side in (0, 1)]
    plates = [cutouts.load_plates(folder, 200, SIZE, rng) for folder in kinds]
    names = [path.name for path in classes], [path.name for path in kinds]
    return World(*names, (painters[0], painters[1]), ([a for a, _ in plates], [b for _, b in plates]), 1600, 10)


def probes(world: World, validation: Scenes, rng: np.random.Generator) -> dict[str, Probe]:
    """The ways to ask, by name."""
    objects = compose(world.painters[1], world.plates[1], 64, 1 / len(world.kinds), SIZE, rng)
    plates = {kind: normalised(each) for kind, each in zip(world.kinds, world.plates[1], strict=True)}
    typical = dict(zip(world.kinds, world.classes, strict=True))
    balanced = in_turn(objects.labels, 16)
    return {
        "plates": probe(objects, balanced, world, backgrounds=plates, typical=typical),
        "untyped": probe(objects, balanced, world, backgrounds=plates),
        "many": probe(objects, np.arange(64), world, backgrounds=plates, typical=typical),
        "filled": probe(validation, in_turn(validation.labels, 16), world),
        "filled many": probe(validation, in_turn(validation.labels, 64), world),
    }


def in_turn(labels: np.ndarray, count: int) -> np.ndarray:
    """The first images of each class, equally many."""
    classes = np.unique(labels)
    return np.stack([np.flatnonzero(labels == each)[: count // len(classes)] for each in classes], 1).ravel()


def probe(scenes: Scenes, chosen: np.ndarray, world: World, **arguments: Any) -> Probe:
    images, labels = dataset(scenes).tensors
    masks = torch.from_numpy(scenes.masks)[chosen]
    return Probe(images[chosen], labels[chosen], masks, class_names=world.classes, mean=MEAN, std=STD, **arguments)


def normalised(plates: Array) -> torch.Tensor:
    values = torch.from_numpy(np.ascontiguousarray(plates.transpose(0, 3, 1, 2)))
    return (values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


class Asking(pl.Callback):
    """Keeps the numbers of all probes, and what was logged, after every epoch."""

    def __init__(self, ways: dict[str, Probe], layer: str, bar: tqdm) -> None:
        self.ways, self.layer, self.bar = ways, layer, bar
        self.epochs: list[dict[str, Any]] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        logged = {key: float(value) for key, value in trainer.callback_metrics.items()}
        asked = {name: look_at_twins(pl_module, way, layer=self.layer).numbers for name, way in self.ways.items()}
        self.epochs.append({"logged": logged, **asked})
        self.bar.update()


def run(world: World, arm: str, seed: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    rngs = np.random.default_rng([seed, 1]).spawn(4)
    correlation = world.correlations[arm]
    train = compose(world.painters[0], world.plates[0], world.count, correlation, SIZE, rngs[0])
    validation = compose(world.painters[1], world.plates[1], 400, correlation, SIZE, rngs[1])
    test = compose(world.painters[1], world.plates[1], 400, 1 / len(world.kinds), SIZE, rngs[2])
    ways = probes(world, validation, rngs[3])
    pl.seed_everything(seed)
    model = SmallCNN(classes=len(world.classes))
    layer = last_feature_map(model, ways["plates"].images).layer
    watcher = ProbeCallback(ways["plates"], at_steps=(), images=False)
    with tqdm(total=world.epochs, desc=f"{arm} {seed}") as bar:
        asking = Asking(ways, layer, bar)
        trainer = pl.Trainer(
            max_epochs=world.epochs, accelerator="cpu", logger=False, default_root_dir=tempfile.gettempdir(), callbacks=[watcher, asking],
            enable_checkpointing=False, enable_model_summary=False, enable_progress_bar=False,
        )  # fmt: skip
        loader = DataLoader(dataset(train), batch_size=50, shuffle=True)
        trainer.fit(model, loader, DataLoader(dataset(validation), batch_size=100))
    groups = group_accuracies(model, test)
    seconds = {name: spent / watcher.film.count for name, spent in watcher.seconds.items()}
    return {"arm": arm, "seed": seed, "epochs": asking.epochs, "groups": groups.tolist(), "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", choices=["drawn", "mislabelled", "four", "folders"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103, 104, 105])
    parser.add_argument("--arms", nargs="+", default=["spurious", "balanced"])
    parser.add_argument("--objects", type=Path)
    parser.add_argument("--backgrounds", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    for seed in args.seeds:
        if args.world == "folders":
            world = folders(seed, args.objects, args.backgrounds)
        elif args.world == "mislabelled":
            world = mislabelled(seed)
        elif args.world == "four":
            world = drawn(seed, list(drawing.PAINTERS), ["leaves", "pebbles", "sand", "planks"], 1600, 10)
        else:
            world = drawn(seed, ["bird", "mammal"], ["leaves", "pebbles"], 1200, 8)
        for arm in args.arms:
            start = time.perf_counter()
            result = {"world": args.world, "date": time.strftime("%Y-%m-%d"), **run(world, arm, seed)}
            result["wall"] = time.perf_counter() - start
            with args.out.open("a") as file:
                file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
