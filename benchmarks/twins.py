"""Do twins tell a network that lives on backgrounds from one that does not, and of which class? One line of JSON per run.

    python benchmarks/twins.py --seeds 411 412 413 414 415 --out twins.jsonl
    python benchmarks/twins.py --table twins.jsonl > benchmarks/twins.md

The worlds and the exact truth are those of `exchange.py`; what is judged is the verdict at the end of the training. Thresholds were
set on other seeds.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import exchange
import numpy as np
import pytorch_lightning as pl
import torch
from network import MEAN, STD, SmallCNN, dataset
from torch.utils.data import DataLoader

from lightning_vis import Probe, ProbeCallback
from lightning_vis.frames import spoken

ARMS = ["leaves 98 %", "leaves balanced", "four 98 %", "four one-sided", "four balanced"]
FOLDERS = exchange.Folders(Path(), Path())
OBJECTS = 6
"""Of each class: as few as the rule for one class asks for."""


def probe_of(world: exchange.World, rng: np.random.Generator) -> Probe:
    """Unseen objects on unseen backgrounds, those alone beside them; kind i is typical of class i."""
    labels = np.arange(len(world.classes)).repeat(OBJECTS)
    scenes = exchange.on(world, labels, labels, 1, rng)
    plates = np.stack([[square(exchange.SIZE, rng) for _ in range(4)] for square in world.squares[1]])
    plain = (torch.from_numpy(plates).permute(0, 1, 4, 2, 3) - 0.5) / 0.25
    typical = dict(zip(exchange.KINDS, world.classes, strict=False))
    images, known = dataset(scenes).tensors
    backgrounds = dict(zip(exchange.KINDS, plain, strict=False))
    masks = torch.from_numpy(scenes.masks)
    return Probe(images, known, masks, backgrounds, typical, class_names=world.classes, mean=MEAN, std=STD)


def run(arm: str, seed: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    world, rngs = exchange.world_of(arm, seed, FOLDERS), np.random.default_rng([seed, 1]).spawn(4)
    train, validation = exchange.scenes(world, 0, world.count, rngs[0]), exchange.scenes(world, 1, 200, rngs[1])
    pl.seed_everything(seed)
    model = SmallCNN(classes=len(world.classes))
    watcher = ProbeCallback(probe_of(world, rngs[3]), [], at_steps=(), images=False, max_overhead=0.5, exchange=False)
    trainer = pl.Trainer(
        max_epochs=world.epochs, accelerator="cpu", logger=False, default_root_dir=tempfile.gettempdir(), callbacks=[watcher],
        enable_checkpointing=False, enable_model_summary=False, enable_progress_bar=False,
    )  # fmt: skip
    trainer.fit(model, DataLoader(dataset(train), 50, shuffle=True), DataLoader(dataset(validation), 100))
    last, exact = spoken(watcher.film.frames), exchange.truth(model, world, {}, rngs[2], 32)
    return {
        "arm": arm, "seed": seed, "of_class": exact, "worst": world.classes[int(np.argmax(exact))],
        "state": last.verdict.state, "sentence": last.verdict.sentence, "date": time.strftime("%Y-%m-%d"),
        "levels": [frame.numbers.get("reliance/alert") for frame in watcher.film.frames],
    }  # fmt: skip


def table(runs: Sequence[dict[str, Any]]) -> str:
    seeds = " ".join(str(seed) for seed in sorted({each["seed"] for each in runs}))
    lines = [
        "# Twins, judged by what is exact", "", f"`python benchmarks/twins.py --seeds {seeds}`, {runs[0]['date']}.",
        "The verdict at the end of each training, and at how many of its looks the alert was red or amber.", "",
        "| arm | seed | exact effect by class | at the end | looks red | amber | sentence |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for each in sorted(runs, key=lambda one: ARMS.index(one["arm"])):
        counts = [each["levels"].count(level) for level in (1.0, 0.5)]
        exact = ", ".join(f"{value:.2f}" for value in each["of_class"])
        row = [each["arm"], each["seed"], exact, each["state"], *counts, each["sentence"]]
        lines.append(f"| {' | '.join(map(str, row))} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    exchange.judged(exchange.commands(__doc__, ARMS).parse_args(), run, table)
