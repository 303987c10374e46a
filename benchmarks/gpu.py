"""What holds on a GPU: the same weights with and without us, memory of a look, what an error leaves, milliseconds.

Prints gpu.md: ``make gpu``, which is ``python benchmarks/gpu.py > benchmarks/gpu.md``. Where there is no CUDA device it ends with an
error and prints nothing, so that nobody takes that for a pass; ``--device cpu`` runs what a CPU can, to see that the script works.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy, FSDPStrategy
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import lightning_vis
from lightning_vis import FilterMaximizationCallback, Probe, ProbeCallback, look, maximize

Row = tuple[str, str]
"""What was tried, and what came of it."""

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "32-true": {},
    "16-mixed": {"precision": "16-mixed"},
    "bf16-mixed": {"precision": "bf16-mixed"},
    "cudnn.benchmark": {"benchmark": True},
    "deterministic algorithms": {"deterministic": True},
}
"""Of the Trainer, under each of which the weights must be the same with and without us."""


class Net(pl.LightningModule):
    """A small network of convolutions, with what a GPU computes by libraries of its own."""

    def __init__(self, *, is_compiled: bool = False, is_recurrent: bool = False) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(inplace=True)),
        )
        self.rnn = nn.GRU(64, 64, batch_first=True) if is_recurrent else None
        self.head = nn.Linear(64, 4)
        if is_compiled:
            self.features.compile()

    def forward(self, images: Tensor) -> Any:
        """The columns of the maps are a sequence, where there is something recurrent."""
        maps = self.features(images)
        return self.head(maps.mean((2, 3)) if self.rnn is None else self.rnn(maps.mean(2).transpose(1, 2))[0][:, -1])

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """A step on images and classes."""
        return cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        """Adam."""
        return torch.optim.Adam(self.parameters(), 1e-3)


class RunsOut(Net):
    """Asks for more memory than there is, in the middle of each look."""

    def forward(self, images: Tensor) -> Any:
        """Likewise; a look lends the network in eval mode."""
        maps = self.features(images)
        return self.head((maps if self.training else maps + _too_much(images.device)).mean((2, 3)))


def _too_much(device: torch.device) -> Tensor:
    if device.type == "cpu":
        raise MemoryError("more than there is")
    return torch.empty(2**45, device=device)


def images(count: int = 64, side: int = 64) -> tuple[Tensor, Tensor]:
    """The same at every call."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, side, side, generator=generator), torch.randint(4, (count,), generator=generator)


def ours(on_error: str = "raise") -> list[pl.Callback]:
    """Both callbacks, with the task said: a dry run of a step is another test's."""
    probe = Probe(images(8)[0], images(8)[1])
    return [
        ProbeCallback(probe, task="multiclass", on_error=on_error),
        FilterMaximizationCallback(channels=2, steps=4, on_error=on_error),
    ]


def trained(device: str, make: Callable[[], Net], callbacks: list[pl.Callback], **settings: Any) -> tuple[Net, list[Tensor]]:
    """A network after two epochs, with the random stream of the device behind its weights."""
    torch.manual_seed(1)
    module = make()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        usual: dict[str, Any] = {"max_epochs": 2, "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        usual |= {"accelerator": device, "devices": 1, "enable_model_summary": False, "default_root_dir": folder}
        trainer = pl.Trainer(callbacks=callbacks, **{**usual, **settings})
        trainer.fit(module, DataLoader(TensorDataset(*images()), 16, shuffle=True))
    stream = torch.cuda.get_rng_state() if device == "cuda" else torch.get_rng_state()
    return module, [*(each.detach().cpu() for each in module.state_dict().values()), stream]


def is_same(one: list[Tensor], other: list[Tensor]) -> bool:
    """Bit by bit."""
    return all(map(torch.equal, one, other))


def law(device: str, make: Callable[[], Net] = Net, **settings: Any) -> str:
    """Whether weights and random stream are the same with us; two trainings without us come first, as they may differ."""
    first, second = (trained(device, make, [], **settings)[1] for _ in range(2))
    callbacks = ours()
    watched = trained(device, make, callbacks, **settings)[1]
    looks = ", ".join(str(each.film.count) for each in callbacks)
    if not is_same(first, second):
        return f"two trainings without us differ already, so nothing can be said ({looks} looks)"
    return f"{'the same' if is_same(first, watched) else 'DIFFERENT'} ({looks} looks)"


def after_an_error(device: str) -> str:
    """What is left where memory ends in the middle of each look."""
    plain, watched = (trained(device, RunsOut, callbacks)[1] for callbacks in ([], ours("warn")))
    return "the same" if is_same(plain, watched) else "DIFFERENT"


def laws(device: str) -> Iterator[Row]:
    """Weights with and without us."""
    for name, settings in SETTINGS.items():
        yield name, law(device, **settings)
    yield "torch.compile", law(device, lambda: Net(is_compiled=True))
    yield "a GRU, looked at in eval mode", law(device, lambda: Net(is_recurrent=True))
    yield "memory ends in the middle of each look", after_an_error(device)
    with rendezvous():
        backend = "nccl" if device == "cuda" else "gloo"
        yield f"DDP, one process, {backend}", law(device, strategy=DDPStrategy(process_group_backend=backend))
        if device == "cuda":
            yield "FSDP, one process, nccl", law(device, strategy=FSDPStrategy(process_group_backend=backend))


@contextmanager
def rendezvous() -> Iterator[None]:
    """The group that strategies make is taken apart again."""
    try:
        yield
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def peak(work: Callable[[], object]) -> tuple[float, float]:
    """MiB above what there was: at most while it works, and when it is done."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return tuple((each - before) / 2**20 for each in (torch.cuda.max_memory_allocated(), torch.cuda.memory_allocated()))  # type: ignore[return-value]


def memory() -> Iterator[Row]:
    """Of a training step, and of a look at eight images; what the frame holds lies on the CPU."""
    net, (inputs, classes) = Net().cuda(), (each.cuda() for each in images(64))
    optimizer = torch.optim.Adam(net.parameters())

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(net(inputs), classes).backward()
        optimizer.step()

    probe = Probe(images(8)[0], images(8)[1])
    for work in (step, lambda: look(net, probe)):  # libraries take their workspaces the first time
        work()
    for name, work in (("a training step, 64 images", step), ("a look, 8 images", lambda: look(net, probe))):
        most, kept = peak(work)
        yield name, f"{most:.1f} MiB at most, {kept:.1f} MiB kept"


def milliseconds(device: str, work: Callable[[], object], rounds: int = 10) -> float:
    """Median over rounds, after two that do not count."""
    taken = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken[2:])


def times(device: str) -> Iterator[Row]:
    """Of a look, and of one step of maximization, with the weights in either memory format."""
    pixels, classes = images(8)
    for name, layout in (("contiguous", torch.contiguous_format), ("channels last", torch.channels_last)):
        net = Net().to(device=device, memory_format=layout)
        seen = milliseconds(device, lambda net=net: look(net, Probe(pixels, classes)))  # type: ignore[misc]
        one, many = (
            milliseconds(device, lambda net=net, steps=steps: maximize(net, "features.4", 8, pixels, steps=steps), 5)  # type: ignore[misc]
            for steps in (2, 34)
        )
        yield name, f"{seen:.1f} ms a look at 8 images; {(many - one) / 32:.2f} ms a step of maximization of 8 channels"


def card(device: str) -> str:
    """What it was measured on."""
    return torch.cuda.get_device_name() if device == "cuda" else "a CPU: nothing below says anything of a GPU"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    device = parser.parse_args().device
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here: nothing was measured")
    versions = f"torch {torch.__version__}, pytorch-lightning {pl.__version__}, lightning_vis {lightning_vis.__version__}"
    print(f"# On a GPU\n\nMade on {datetime.date.today()} by `python {Path(__file__).name}` on {card(device)}, {versions}.")
    parts = {"Weights with and without us": laws(device), "Memory": memory() if device == "cuda" else (), "Time": times(device)}
    for title, rows in parts.items():
        print(f"\n## {title}\n\n| | |\n|---|---|", flush=True)
        for name, found in rows:
            print(f"| {name} | {found} |", flush=True)


if __name__ == "__main__":
    main()
