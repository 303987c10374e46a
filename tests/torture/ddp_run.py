"""One training on two processes; each rank leaves what its spy saw in a file: ``python ddp_run.py FOLDER with|without KIND``."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).parents[2]))

from lightning_vis import FilterMaximizationCallback, Probe, ProbeCallback, View, attribution
from lightning_vis.attribution.maps import grad_cam_map
from tests.nets import Tokens
from tests.torture.nets import CLASSES, Net, body, images, loaders
from tests.torture.running import Run, seed_everything
from tests.torture.scenarios_task import WithMetadata
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


def unconfigured() -> list[pl.Callback]:
    """Two that ask for themselves, of whom the second must not ask one process only."""
    return [ProbeCallback(images=False), FilterMaximizationCallback(channels=1, steps=2)]


class Gathers(Net):
    """Each step waits for the other process."""

    def loss(self, batch: Any) -> Tensor:
        return super().loss(batch) * (1 + 0.01 * self.all_gather(batch[0].mean()).sum())


class GathersUnknown(Gathers):
    """Nobody can read what it answers."""

    def loss(self, batch: Any) -> Tensor:
        out = self(batch[0])
        return out.sin().mul(out.roll(1, 0)).sum().square() * self.all_gather(batch[0].mean()).sum()


class NormalizesInStep(Net):
    """Norms that talk to the other process, as SyncBatchNorm does, which takes no CPU tensors."""

    def __init__(self) -> None:
        super().__init__(nn.Sequential(Shared(), *body()))


class Shared(nn.Module):
    """Subtracts the mean of all processes."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((0, 2, 3), keepdim=True).detach()
        if self.training:
            torch.distributed.all_reduce(mean)
            mean /= torch.distributed.get_world_size()
        return x - mean


class Attends(Net):
    """A transformer, whose attention is held on the way back."""

    def __init__(self) -> None:
        super().__init__(Tokens())
        self.net.head = nn.Linear(16, CLASSES)


class Frozen(Net):
    """A backbone that training sends no gradient through, and that is opened in our own pass."""

    def __init__(self) -> None:
        super().__init__()
        self.net[:-1].requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.net[:-1](x)
        return self.net[-1](features)


METHODS = [
    *("input_x_gradient", "grad_cam_plus_plus", "hires_cam", "layer_cam", "smooth_grad", "integrated_gradients"),
    *("occlusion", "score_cam", "guided_backprop", "deconvolution", "evidence", "saliency"),
]


def methods() -> list[pl.Callback]:
    """All views there are."""
    probe = Probe(images(4, seed=1)[0], [0, 0, 1, 1])
    return [ProbeCallback(probe, [getattr(attribution, each) for each in METHODS], on_error="raise", images=False)]


def frozen() -> list[pl.Callback]:
    """The usual views, of which none may fail."""
    return [ProbeCallback(Probe(images(4, seed=1)[0], [0, 0, 1, 1]), on_error="raise", images=False)]


class SlowMap:
    """A view that takes longer than the process group waits."""

    def __call__(self, record: Any) -> Tensor:
        time.sleep(WAIT + 3)
        return grad_cam_map(record)


WAIT = 10.0
"""Seconds after which a process gives the others up, where one is slow."""


def slow() -> list[pl.Callback]:
    """One slow view, at the start and after the epoch."""
    probe = Probe(images(4, seed=1)[0], [0, 0, 1, 1])
    view = View("slow", ("net.0",), SlowMap())
    return [ProbeCallback(probe, [view], at_steps=(), on_error="raise", images=False, exchange=False)]


class Killed(Net):
    """Its second process dies in the middle of the training."""

    def loss(self, batch: Any) -> Tensor:
        if self.trainer.global_rank == 1 and self.trainer.global_step == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(batch)


class Unused(Net):
    """Half of its weights are used in no step."""

    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(4, 4)


OURS = {"slow": slow, "plain": ours, "methods": methods, "frozen": frozen}
NETS = {
    "slow": Net,
    "static": Net,
    "unused": Unused,
    "killed": Killed,
    "methods": Attends,
    "frozen": Frozen,
    "plain": Net,
    "gathers": Gathers,
    "unknown": GathersUnknown,
    "norms": NormalizesInStep,
    "metadata": WithMetadata,
}


def data(net: str) -> tuple[Any, Any]:
    """With metadata where the network takes them."""
    rows = TensorDataset(images(24)[0], torch.randn(24, 2), images(24)[1])
    return (DataLoader(rows, 4, shuffle=True), DataLoader(rows, 4)) if net == "metadata" else loaders(4)


def strategy(net: str) -> DDPStrategy:
    """As the network wants it."""
    more = {"static_graph": net == "static", "find_unused_parameters": net == "unused"}
    wait = {"timeout": timedelta(seconds=WAIT)} if net == "slow" else {}
    return DDPStrategy(start_method="fork", process_group_backend="gloo", **more, **wait)


def main(folder: Path, kind: str, net: str, sanity: int) -> None:
    torch.set_num_threads(1)
    seed_everything(7)
    run = Run(folder, list if kind == "without" else OURS.get(net, unconfigured), Trace())
    accumulated = 1 if net == "static" else 2  # torch itself fails where a static graph accumulates
    usual = {"accelerator": "cpu", "devices": 2, "strategy": strategy(net), "accumulate_grad_batches": accumulated}
    shorter = {} if net == "plain" else {"max_epochs": 1}
    trainer = run.trainer(before=[Seeds()], val_check_interval=2, num_sanity_val_steps=sanity, **usual, **shorter)
    trainer.callbacks.append(Keeps(run))
    trainer.fit(NETS[net](), *data(net))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
