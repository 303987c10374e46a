"""What it costs to lend a model and to put everything back: milliseconds, runs of the garbage collector, Python objects.

Lending is entering and leaving the context manager that every look works in, with nothing done inside. It is measured against
one forward and one backward pass of two images of 8 pixels, which take turns with it in one process; the networks are small,
because what lending costs is a number of modules, not of pixels. A ratio is the median over rounds of the ratio within a round.

With ``--against PATH`` another checkout is measured too: both take turns, a process each, and what counts is the median over
pairs of neighbours of the ratio between them.

    python benchmarks/snapshot.py [--rounds 25] [--against PATH [--turns 5]] [--write]
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

import lightning_vis

HERE = Path(lightning_vis.__file__).parents[1]
if (HERE / "lightning_vis/observing.py").exists():  # an older checkout; trying an import could find another one's module
    from lightning_vis.observing import observing as preserve_state
else:
    from lightning_vis.model.snapshot.snapshot import preserve_state

NUMBERS = ("lending, ms", "forward + backward, ms", "ratio", "gc runs", "garbage, objects", "peak, KiB")
Numbers = dict[str, list[float]]
"""By network, in the order of `NUMBERS`."""


class Block(nn.Module):
    """The basic block of K. He et al., 2015, "Deep Residual Learning for Image Recognition"."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        narrow = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        self.downsample = narrow if before != width else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


def resnet18() -> nn.Module:
    """ResNet-18 with 10 classes: so large that its weights are watched and not copied."""
    stem = (nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
    shapes = ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))
    layers = [nn.Sequential(Block(*shape), Block(shape[1], shape[1], 1)) for shape in shapes]
    return nn.Sequential(*stem, *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def small(modules: int) -> nn.Module:
    """Convolution, norm and ReLU in turn, of three channels; the container is a module too."""
    kinds: tuple[Callable[[], nn.Module], ...] = (lambda: nn.Conv2d(3, 3, 3, 1, 1), lambda: nn.BatchNorm2d(3), nn.ReLU)
    return nn.Sequential(*(kinds[at % 3]() for at in range(modules - 1)))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "small modules": lambda: small(13),
    "many small modules": lambda: small(1201),
    "ResNet-18": resnet18,
}


def lend(net: nn.Module) -> None:
    """Nothing happens to it."""
    with preserve_state(net):
        pass


def step(net: nn.Module, images: Tensor) -> None:
    """One forward, one backward to the weights."""
    net(images).square().mean().backward()


def milliseconds(call: Callable[[], None]) -> float:
    """Processor time of this process, from an empty young generation on; what the collector takes is part of it."""
    gc.collect()
    start = time.process_time()
    call()
    return 1000 * (time.process_time() - start)


def collections() -> int:
    """How often the garbage collector has run so far."""
    return sum(each["collections"] for each in gc.get_stats())


def garbage(call: Callable[[], None]) -> tuple[int, int, float]:
    """Runs of the collector during a call, objects in cycles that it leaves, and the most KiB that Python's objects take."""
    gc.collect()
    before = collections()
    call()
    runs = collections() - before
    gc.collect()
    gc.disable()
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1] / 1024
    tracemalloc.stop()
    gc.enable()
    return runs, gc.collect(), peak


def measured(make: Callable[[], nn.Module], rounds: int) -> tuple[str, list[float]]:
    """The size of a network in training, and its numbers."""
    torch.manual_seed(0)
    net, images = make().train(), torch.randn(2, 3, 8, 8)
    calls = (lambda: lend(net), lambda: step(net, images))
    for call in (*calls, *calls):  # what is cached for good is there
        call()
    seconds = [[milliseconds(call) for call in calls] for _ in range(rounds)]
    ratio = statistics.median(one / other for one, other in seconds)
    return f"{len(list(net.modules()))} modules", [*medians(seconds), ratio, *garbage(calls[0])]


def numbers(rounds: int) -> Numbers:
    """Of all networks."""
    found: Numbers = {}
    for name, make in tqdm(NETWORKS.items(), desc="networks", file=sys.stderr, disable=None):
        size, values = measured(make, rounds)
        found[f"{name}, {size}"] = values
    return found


def elsewhere(root: Path, rounds: int) -> Numbers:
    """The same, of a checkout's package, in a process of its own."""
    command = [sys.executable, __file__, "--json", "--rounds", str(rounds), "--threads", str(torch.get_num_threads())]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(root)}, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    if Path(found["root"]) != root.resolve():
        raise RuntimeError(f"{root} holds no lightning_vis: another one was measured")
    return found["numbers"]


def side_by_side(other: Path, rounds: int, turns: int) -> list[str]:
    """Rows for the other checkout, for this one, and for how they compare."""
    pairs = [(elsewhere(other, rounds), elsewhere(HERE, rounds)) for _ in tqdm(range(turns), desc="turns", file=sys.stderr)]
    rows = []
    for name in pairs[0][0]:
        there, here = ([found[name] for found in side] for side in zip(*pairs, strict=True))
        ratios = [compared(*both) for both in zip(there, here, strict=True)]
        for kind, values in (("there", there), ("here", here), ("here / there", ratios)):
            rows.append(row(f"{name}, {kind}", medians(values)))
    return rows


def medians(rows: list[list[float]]) -> list[float]:
    """Of each column."""
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def compared(before: list[float], after: list[float]) -> list[float]:
    """The ratios; of nothing to nothing it is 1."""
    return [1.0 if one == other else other / one if one else float("inf") for one, other in zip(before, after, strict=True)]


def row(name: str, values: list[float]) -> str:
    """Of the table."""
    return f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + " |"


def table(arguments: argparse.Namespace) -> str:
    """The whole table, as markdown."""
    command = f"python benchmarks/snapshot.py --rounds {arguments.rounds} --threads {arguments.threads}"
    if arguments.against is None:
        rows = [row(name, values) for name, values in numbers(arguments.rounds).items()]
    else:
        rows = side_by_side(arguments.against, arguments.rounds, arguments.turns)
        command += f" --against PATH --turns {arguments.turns}"
    head = [f"| network | {' | '.join(NUMBERS)} |", "|:--|" + "--:|" * len(NUMBERS)]
    machine = platform.processor() or platform.machine()
    said = f"{datetime.date.today()}, {machine}, Python {platform.python_version()}, torch {torch.__version__}"
    return "\n".join([f"{said}: `{command}`", "", *head, *rows, ""])


def main() -> None:
    """Measures, prints, and with ``--write`` keeps the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--against", type=Path, help="another checkout, measured in turns with this one")
    parser.add_argument("--turns", type=int, default=5, help="processes of each checkout")
    parser.add_argument("--json", action="store_true", help="print the numbers for another process")
    parser.add_argument("--write", action="store_true", help="keep the table as snapshot.md")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.json:
        print(json.dumps({"root": str(HERE.resolve()), "numbers": numbers(arguments.rounds)}))
        return
    found = table(arguments)
    print(found)
    if arguments.write:
        Path(__file__).with_suffix(".md").write_text(f"# What lending a model costs\n\n{found}")


if __name__ == "__main__":
    main()
