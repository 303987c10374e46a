"""What watching costs: a sanity check's first batch that is watched, a dry run of a step, and all batches after it.

The batch of the sanity check is watched live; it is measured against the same batch unwatched. A dry run is measured against
one training step: forward, backward, optimizer. Both take turns in one process; a ratio is the median over rounds of the ratio
within a round. Later batches are those of a Trainer from the third on, with the callback, which looks at no step, and without:
two fits take turns, and the ratio is the median over turns of that between their median batches.

    python benchmarks/watched_batch.py [--rounds 15] [--batch 16] [--size 64] [--turns 5] [--write]
"""

from __future__ import annotations

import argparse
import datetime
import logging
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

from lightning_vis import ProbeCallback
from lightning_vis.probe.forward_tracer import ForwardTracer
from lightning_vis.probe.from_trainer import TrainerProbe
from lightning_vis.probe.witness.dry_run import dry_run

CLASSES = 10
BATCHES, FIRST = 14, 2
"""Of a fit, and those of them that are no later batches."""
HEAD = """| network | batch of the sanity check, ms | watched, ms | ratio | training step, ms | dry run, ms | ratio | later steps, ratio |
|:--|--:|--:|--:|--:|--:|--:|--:|"""


class Block(nn.Module):
    """The basic block of a residual network."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.narrow = nn.Conv2d(before, width, 1, stride, bias=False) if before != width else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + self.narrow(x))


def resnet() -> nn.Module:
    """Six blocks."""
    widths = ((16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1))
    stem = (nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
    return nn.Sequential(
        *stem, *(Block(*each) for each in widths), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES)
    )


class ViT(nn.Module):
    """Four blocks on patches of 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 96, 8, 8)
        layer = nn.TransformerEncoderLayer(96, 4, 192, batch_first=True, norm_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), nn.Linear(96, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class Module(nn.Module):
    """A module with the steps of a Lightning module; the Trainer, which costs the same either way, is left out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def step(self, batch: Any) -> Tensor:
        return cross_entropy(self.net(batch[0]), batch[1])


class Measured:
    """A network, its batch, and what is done with both."""

    def __init__(self, net: nn.Module, batch: Any) -> None:
        self.module, self.batch = Module(net), batch
        self.weights = {id(each) for each in self.module.parameters()}
        self.optimizer = torch.optim.SGD(self.module.parameters(), 1e-3)

    def sanity(self) -> None:
        self.module.eval()
        with torch.inference_mode():
            self.module.step(self.batch)
        self.module.train()

    def watched(self) -> None:
        """As `TrainerProbe` watches, verdict included."""
        self.module.eval()
        finder = TrainerProbe()
        with torch.inference_mode():
            finder.start(self.module, self.batch, self.weights)
            self.module.step(self.batch)
            finder.stop()
        self.module.train()

    def training(self) -> None:
        self.optimizer.zero_grad()
        self.module.step(self.batch).backward()
        self.optimizer.step()

    def rehearsed(self) -> None:
        """As `TrainerProbe` rehearses, verdict included."""
        tracer = ForwardTracer(self.module, self.batch)
        dry_run(self.module, lambda: self.module.step(self.batch), self.batch, self.weights, [self.optimizer])
        tracer.stop()


class Trained(pl.LightningModule):
    """The same network under a Trainer."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 1e-3)


class Clock(pl.Callback):
    """Stands last: from one batch to the next lies all that any callback does."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.times.append(time.perf_counter())

    def later(self) -> float:
        """The median batch, in seconds."""
        spans = [after - before for before, after in zip(self.times, self.times[1:], strict=False)]
        return statistics.median(spans[FIRST:])


def fitted(net: nn.Module, batch: Any, *ours: pl.Callback) -> float:
    """Seconds of a later batch."""
    clock, count = Clock(), len(batch[0])
    data = TensorDataset(*(each.repeat(BATCHES, *[1] * (each.ndim - 1)) for each in batch))
    with tempfile.TemporaryDirectory() as folder:
        quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
        logger = TensorBoardLogger(folder, name=None, version="")
        trainer = pl.Trainer(callbacks=[*ours, clock], max_epochs=1, accelerator="cpu", logger=logger, **quiet)
        trainer.fit(Trained(net), DataLoader(data, count))
    return clock.later()


def later(make: Callable[[], nn.Module], batch: Any, turns: int) -> float:
    """How batches after the watched one compare with those of a training without the callback."""
    ratios = []
    for _ in tqdm(range(turns), desc="fits", file=sys.stderr):
        without = fitted(make(), batch)
        ratios.append(fitted(make(), batch, ProbeCallback(images=False, at_steps=())) / without)
    return statistics.median(ratios)


def milliseconds(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def row(name: str, make: Callable[[], nn.Module], arguments: argparse.Namespace) -> str:
    """Measures one network."""
    torch.manual_seed(0)
    batch = [torch.rand(arguments.batch, 3, arguments.size, arguments.size), torch.arange(arguments.batch) % CLASSES]
    it = Measured(make().train(), batch)
    acts = (it.sanity, it.watched, it.training, it.rehearsed)
    for act in (*acts, *acts):  # what is cached for good is there
        act()
    rounds = [[milliseconds(act) for act in acts] for _ in tqdm(range(arguments.rounds), desc=name, file=sys.stderr)]
    sanity, watched, training, rehearsed = (statistics.median(each) for each in zip(*rounds, strict=True))
    ratios = [statistics.median(each[one] / each[other] for each in rounds) for one, other in ((1, 0), (3, 2))]
    numbers = (sanity, watched, ratios[0], training, rehearsed, ratios[1], later(make, batch, arguments.turns))
    return f"| {name} | " + " | ".join(f"{each:.2f}" for each in numbers) + " |"


def table(arguments: argparse.Namespace) -> str:
    """The whole table, as markdown."""
    torch.set_num_threads(1)
    rows = [row(name, make, arguments) for name, make in (("ResNet, 6 blocks", resnet), ("ViT, 4 blocks", ViT))]
    machine = platform.processor() or platform.machine()
    said = f"{datetime.date.today()}, {machine}, Python {platform.python_version()}, torch {torch.__version__}, one thread"
    given = " ".join(f"--{key} {getattr(arguments, key)}" for key in ("rounds", "batch", "size", "turns"))
    command = f"python benchmarks/watched_batch.py {given}"
    return "\n".join([f"{said}: `{command}`", "", HEAD, *rows, ""])


def main() -> None:
    """Measures, prints, and with ``--write`` keeps the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--turns", type=int, default=5, help="fits with the callback, and as many without")
    parser.add_argument("--write", action="store_true", help="keep the table as watched_batch.md")
    arguments = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    found = table(arguments)
    print(found)
    if arguments.write:
        Path(__file__).with_suffix(".md").write_text(f"# What it costs to watch a batch\n\n{found}")


if __name__ == "__main__":
    main()
