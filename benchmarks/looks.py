"""A thousand looks in one process: memory, file descriptors and threads, with the callbacks and without.

The allocator keeps what has been freed, more or less of it, so it is told to hand it back before the size is read: what
remains is what something still holds.

Prints the table of looks.md: run it with ``python benchmarks/looks.py > benchmarks/looks.md``.
"""

from __future__ import annotations

import ctypes
import datetime
import gc
import logging
import os
import sys
import tempfile
import threading
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))

from lightning_vis import ProbeCallback
from tests.torture.nets import Net, loaders
from tests.torture.running import seed_everything
from tests.torture.scenario import probe

LOOKS, SETTLED = 1000, 400
"""The film is full after 64 looks, and the first hundreds fill the caches of everything: the slope is taken after that."""
PAGE = os.sysconf("SC_PAGESIZE")


def resident() -> float:
    """The resident size of this process in MiB."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20


@dataclass
class Measures(pl.Callback):
    """What the process holds after every tenth epoch."""

    epochs: list[int] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.progress = tqdm(total=LOOKS, file=sys.stderr)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.progress.update()
        if trainer.current_epoch % 10 == 9:
            self.epochs.append(trainer.current_epoch + 1)
            self.sizes.append(resident())
            self.files.append(len(os.listdir("/proc/self/fd")))
            self.threads.append(threading.active_count())

    def slope(self) -> tuple[float, float]:
        """KiB per look and its standard error, from the differences between blocks of a hundred looks."""
        settled = [size for epoch, size in zip(self.epochs, self.sizes, strict=True) if epoch > SETTLED]
        steps = np.diff(np.asarray(settled[9::10])) * 1024 / 100
        return float(steps.mean()), float(steps.std(ddof=1) / len(steps) ** 0.5)

    def row(self, name: str) -> str:
        mean, error = self.slope()
        at = dict(zip(self.epochs, self.sizes, strict=True))
        sizes = " | ".join(f"{at[epoch]:.1f}" for epoch in (100, SETTLED, 700, LOOKS))
        spread = lambda values: f"{min(values)}..{max(values)}"  # noqa: E731
        files, threads = spread(self.files[SETTLED // 10 :]), spread(self.threads[SETTLED // 10 :])
        return f"| {name} | {sizes} | {mean:+.2f} ± {error:.2f} | {files} | {threads} |"


def trained(watched: bool) -> tuple[Measures, int]:
    """A training of as many epochs as looks, of one batch each."""
    seed_everything(0)
    measures = Measures()
    ours = [ProbeCallback(probe(), max_overhead=1.0)] if watched else []
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            max_epochs=LOOKS,
            limit_train_batches=1,
            limit_val_batches=1,
            accelerator="cpu",
            logger=TensorBoardLogger(folder, name=None, version=""),
            callbacks=[*ours, measures],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(Net(), *loaders())
    measures.progress.close()
    return measures, ours[0].film.count if ours else 0


def main() -> None:
    """Trains without and with the callbacks in one process and prints both."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    without, _ = trained(False)
    watched, looks = trained(True)
    print(
        f"# {LOOKS:,} looks in one process\n\nMade on {datetime.date.today()} by `python benchmarks/looks.py > benchmarks/looks.md`:"
        f" {looks:,} looks at 2 images with 3 views,\ntorch {torch.__version__}, Lightning {pl.__version__}, CPU.\n"
    )
    print(f"| | MiB at 100 | at {SETTLED} | at 700 | at {LOOKS} | KiB per look, after {SETTLED} | open files | threads |")
    print("|:--|--:|--:|--:|--:|--:|--:|--:|")
    print(without.row("without"))
    print(watched.row("with"))
    print("\nThe slope stands with its standard error; open files and threads as least and most after the first looks.")


if __name__ == "__main__":
    main()
