"""One training on two processes; each rank leaves what its spy saw in a file: ``python ddp_run.py FOLDER with|without``."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from lightning_vis import Probe, ProbeCallback
from tests.torture.nets import Net, images, loaders
from tests.torture.running import Run, seed_everything
from tests.torture.spy import Trace


class Keeps(pl.Callback):
    """Stands last and writes down what this rank's spy saw, and the frames."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        films = [each.film for each in self.run.made]
        found = {"hooks": self.run.trace.hooks, "frames": max((film.count for film in films), default=0)}
        found["weights"] = pl_module.state_dict()
        found["numbers"] = {key: float(value) for key, value in trainer.callback_metrics.items()}
        (self.run.folder / f"rank{trainer.global_rank}.pickle").write_bytes(pickle.dumps(found))


class Seeds(pl.Callback):
    """Stands first: Python reseeds its own stream in every fork."""

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        seed_everything(7)


def ours() -> list[pl.Callback]:
    """With masks and labels, so that numbers are measured on one rank and logged on both."""
    masks = torch.zeros(4, 12, 12)
    masks[:, 3:8, 3:8] = 1
    return [ProbeCallback(Probe(images(4, seed=1)[0], [0, 0, 1, 1], masks))]


def main(folder: Path, kind: str) -> None:
    torch.set_num_threads(1)
    seed_everything(7)
    run = Run(folder, ours if kind == "with" else list, Trace())
    trainer = run.trainer(
        before=[Seeds()], accelerator="cpu", devices=2, strategy="ddp_fork", accumulate_grad_batches=2, val_check_interval=2
    )
    trainer.callbacks.append(Keeps(run))
    trainer.fit(Net(), *loaders(4))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
