"""300 epochs of the small network of the examples, with the callbacks and without: memory, and bytes in the event file.

Prints the tables of long_run.md: run it with ``python benchmarks/long_run.py > benchmarks/long_run.md``; with a folder
behind it, the run stays there to be looked at.
"""

from __future__ import annotations

import datetime
import io
import logging
import sys
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from torch.utils.data import DataLoader
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import leaves
from backgrounds import plates
from experiment import Data, Sources, data_of, probes_of
from looks import resident
from network import SmallCNN, dataset

from lightning_vis import FilterMaximizationCallback, Probe, ProbeCallback
from lightning_vis.events.frame_reader import read_frames

EPOCHS, IMAGES, EVERY = 300, 64, 50


@dataclass
class Measures(pl.Callback):
    """What the process holds, and what a checkpoint would, after every fiftieth epoch."""

    sizes: list[float] = field(default_factory=list)
    states: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.progress = tqdm(total=EPOCHS, file=sys.stderr)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.progress.update()
        if trainer.current_epoch % EVERY == EVERY - 1:
            self.sizes.append(resident())
            ours = [each for each in trainer.callbacks if isinstance(each, (ProbeCallback, FilterMaximizationCallback))]
            self.states.append(sum(saved(each) for each in ours) / 2**10)


def saved(callback: pl.Callback) -> int:
    """Bytes of a callback's state in a checkpoint."""
    buffer = io.BytesIO()
    torch.save(callback.state_dict(), buffer)
    return buffer.tell()


def made() -> tuple[Data, Probe]:
    rng = np.random.default_rng(0)
    objects = [leaves.PAINTERS[name] for name in leaves.CLASSES]
    seen, unseen = (Sources(objects, [plates(draw, 8, rng) for draw in leaves.KINDS.values()]) for _ in range(2))
    probe, _ = probes_of(unseen, leaves.CLASSES, list(leaves.KINDS), leaves.SIZE, rng)
    return data_of(seen, unseen, IMAGES, 0.95, leaves.SIZE, 1), probe


def trained(folder: Path, data: Data, callbacks: list[pl.Callback]) -> Measures:
    pl.seed_everything(0)
    measures = Measures()
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=TensorBoardLogger(folder, name=None, version=""),
        callbacks=[*callbacks, measures],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    loaders = [DataLoader(dataset(each), 16) for each in (data.train, data.validation)]
    trainer.fit(SmallCNN(), *loaders)
    measures.progress.close()
    return measures


def bytes_by_kind(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """Bytes and number of the events of a run, by what they hold."""
    sizes, counts = Counter[str](), Counter[str]()
    for path in folder.glob("*tfevents*"):
        for raw in RawEventFileLoader(str(path)).Load():
            tags = [value.tag for value in Event.FromString(raw).summary.value]
            kind = kind_of(tags[0]) if tags else "the rest"
            sizes[kind] += len(raw) + 16  # length and checksums around each event
            counts[kind] += 1
    return sizes, counts


def kind_of(tag: str) -> str:
    if tag.startswith("lightning_vis/"):
        return "frames of the filters, for the tab" if "/sheets/" in tag else "frames, for the tab"
    if tag.endswith("played"):
        return "the film, played"
    kinds = {
        "probe": "cards",
        "film": "film strips",
        "filters": "pictures of filters",
        "twins": "twins",
        "exchange": "exchanges, with the verdict",
    }
    return kinds.get(tag.split("/")[0], "the rest")


def tables(with_us: Measures, without: Measures, folder: Path) -> str:
    lines = ["| MiB resident | " + " | ".join(f"epoch {EVERY * (at + 1)}" for at in range(EPOCHS // EVERY)) + " |"]
    lines += ["|:--|" + "--:|" * (EPOCHS // EVERY)]
    for name, values in (("without", without.sizes), ("with", with_us.sizes), ("KiB of state in a checkpoint", with_us.states)):
        lines.append(f"| {name} | " + " | ".join(f"{value:.1f}" for value in values) + " |")
    frames = read_frames(folder)[0].frames
    sizes, counts = bytes_by_kind(folder)
    lines += ["", f"{len(frames)} looks, the untrained network first, are read back from the event file.", ""]
    lines += ["| in the event file | KiB | events | KiB per look |", "|:--|--:|--:|--:|"]
    for kind, size in sizes.most_common():
        lines.append(f"| {kind} | {size / 1024:.0f} | {counts[kind]} | {size / 1024 / len(frames):.1f} |")
    total = sum(sizes.values()) / 1024
    lines.append(f"| in all | {total:.0f} | {sum(counts.values())} | {total / len(frames):.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Trains without and with the callbacks and prints what both took."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else scratch) / "with"
        data, probe = made()
        without = trained(Path(scratch) / "without", data, [])
        filters = FilterMaximizationCallback(channels=4, probe=probe, steps=32, max_overhead=10.0)
        watched = trained(folder, data, [ProbeCallback(probe, max_overhead=10.0), filters])
        print(
            f"# {EPOCHS} epochs\n\nMade on {datetime.date.today()} by `python benchmarks/long_run.py > benchmarks/long_run.md`:"
            f" {len(probe)} images of {leaves.SIZE} pixels with 3 views and twins,\n8 filters, torch {torch.__version__},"
            f" Lightning {pl.__version__}, CPU.\n"
        )
        print(tables(watched, without, folder))


if __name__ == "__main__":
    main()
