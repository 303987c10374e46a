"""The way of a look through the package: which functions, files and rooms it passes, and how often it changes between them.

A tiny network is trained by a real Trainer, and every call of a function of the package is noted during the third look of
`ProbeCallback`, with twins, cards and film strips, and during the third visit of `FilterMaximizationCallback`, with weights.
A room is the first folder below the package; the files beside it are in none. Comprehensions and generator expressions belong
to the function they stand in, and a generator that goes on is called again. Nothing is timed: two runs give the same numbers.

    python benchmarks/way_of_a_look.py [--write]
"""

from __future__ import annotations

import argparse
import datetime
import logging
import platform
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import wraps
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import lightning_vis
from lightning_vis import FilterMaximizationCallback, Probe, ProbeCallback

PACKAGE = Path(lightning_vis.__file__).parent
HOOKS = ("on_train_epoch_end", "on_validation_epoch_end")
LOOK = 3
ORDER = ("callbacks", "attribution", "maximization", "probe", "reliance", "events", "render", "model", "")
"""From left to right, as rooms may import each other; the files outside all rooms come last."""
SIZE = 16
NAMES = ["upright", "lying"]
TYPICAL = {"warm": "upright", "cold": "lying"}


class Net(pl.LightningModule):
    """Two convolutions, average pooling, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val_loss", cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def plates(kind: int, count: int) -> Tensor:
    """Noise, reddish or bluish."""
    noise = torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(kind))
    return 0.5 * noise + 0.5 * torch.tensor([[1.0, 0.2, 0.0], [0.0, 0.2, 1.0]])[kind][:, None, None]


def scenes(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """White bars, upright on warm noise and lying on cold noise, their labels and masks."""
    labels, masks = torch.arange(count) % 2, torch.zeros(count, SIZE, SIZE)
    masks[labels == 0, 3:13, 6:10] = 1
    masks[labels == 1, 6:10, 3:13] = 1
    behind = torch.stack([plates(0, count), plates(1, count)])[labels, torch.arange(count)]
    return torch.where(masks[:, None] > 0, torch.ones(()), behind), labels, masks


def probe_of(count: int = 4) -> Probe:
    """Bars that are seen on both kinds of background."""
    return Probe(*scenes(count), {"warm": plates(0, 2), "cold": plates(1, 2)}, TYPICAL, class_names=NAMES)


@dataclass
class Way:
    """The calls of functions of the package, in order: the file and line of each, and the file of who called."""

    called: list[tuple[str, int]] = field(default_factory=list)
    callers: list[str | None] = field(default_factory=list)

    def note(self, frame: FrameType, event: str, _: Any) -> None:
        """For `sys.setprofile`."""
        if event == "call" and is_ours(frame):
            self.called.append((file_of(frame), frame.f_code.co_firstlineno))
            self.callers.append(caller(frame))

    @property
    def files(self) -> list[str]:
        """Of each call."""
        return [file for file, _ in self.called]


def is_ours(frame: FrameType) -> bool:
    """Whether a function of the package runs in it."""
    name, path = frame.f_code.co_name, frame.f_code.co_filename
    return path.startswith(f"{PACKAGE}/") and (not name.startswith("<") or name == "<lambda>")


def file_of(frame: FrameType) -> str:
    """Relative to the package."""
    return str(Path(frame.f_code.co_filename).relative_to(PACKAGE))


def caller(frame: FrameType) -> str | None:
    """The file of the package's function that called, if only through others; None if nobody of the package did."""
    above = frame.f_back
    while above is not None and not is_ours(above):
        above = above.f_back
    return None if above is None else file_of(above)


def noted(hook: Callable[..., None], ways: list[Way]) -> Callable[..., None]:
    """The hook of a callback, which keeps its way if the third look was taken in it."""

    @wraps(hook)
    def run(self: Any, *arguments: Any) -> None:
        way, before = Way(), len(self.film.frames)
        sys.setprofile(way.note)
        try:
            hook(self, *arguments)
        finally:
            sys.setprofile(None)
        if (before, len(self.film.frames)) == (LOOK - 1, LOOK):
            ways.append(way)

    return run


def way_of(callback: pl.Callback) -> Way:
    """Trains with this callback and returns the way of its third look."""
    ways: list[Way] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name in HOOKS:
            stack.enter_context(patch.object(type(callback), name, noted(getattr(type(callback), name), ways)))
        train(callback, folder)
    if len(ways) != 1:
        raise RuntimeError(f"the look number {LOOK} was taken in {len(ways)} of the hooks {', '.join(HOOKS)}, not in one")
    return ways[0]


def train(callback: pl.Callback, folder: str) -> None:
    """One epoch more than it takes, since the first look is at the untrained network: the third is a look like any other."""
    pl.seed_everything(0)
    trainer = pl.Trainer(
        max_epochs=LOOK,
        accelerator="cpu",
        logger=TensorBoardLogger(folder, name=None, version=""),
        callbacks=[callback],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    images, labels, _ = scenes(16)
    loaders = [DataLoader(TensorDataset(images, labels), 8) for _ in ("training", "validation")]
    trainer.fit(Net(), *loaders)


def room(file: str) -> str:
    """The first folder below the package; "" if the file is in none."""
    return file.split("/")[0] if "/" in file else ""


def changes(sequence: list[str]) -> int:
    """How often two neighbours differ."""
    return sum(one != other for one, other in pairwise(sequence))


def climbs(rooms: list[str]) -> int:
    """Moves to a room that stands further left; a room that is not in the order is an error."""
    places = [ORDER.index(each) for each in rooms]
    return sum(other < one for one, other in pairwise(places))


def lines_of(paths: list[Path]) -> int:
    """In all."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def numbers(way: Way) -> dict[str, int]:
    """What the table says of one way."""
    entered = list(dict.fromkeys(way.files))
    rooms = [room(file) for file in entered]
    return {
        "calls": len(way.called),
        "functions": len(set(way.called)),
        "files entered": len(entered),
        "lines of those files": lines_of([PACKAGE / file for file in entered]),
        "calls from file to file": sum(above not in (None, file) for above, file in zip(way.callers, way.files, strict=True)),
        "changes of file in time": changes(way.files),
        "rooms entered": len(set(rooms) - {""}),
        "changes of room in time": changes([room(file) for file in way.files]),
        "moves between rooms, files in order of first entry": changes(rooms),
        "of them climbs back": climbs(rooms),
    }


def rooms_in_order(way: Way) -> str:
    """The rooms, each with its files in order of first entry, a stay after the other."""
    stays: list[tuple[str, list[str]]] = []
    for file in dict.fromkeys(way.files):
        if not stays or stays[-1][0] != room(file):
            stays.append((room(file), []))
        stays[-1][1].append(Path(file).stem)
    return "; ".join(f"**{name or 'in no room'}** {', '.join(files)}" for name, files in stays)


def size_of_package() -> str:
    """One sentence."""
    paths = sorted(PACKAGE.rglob("*.py"))
    modules = [path for path in paths if path.name != "__init__.py"]
    folder, most = Counter(path.parent for path in modules).most_common(1)[0]
    name = folder.relative_to(PACKAGE.parent)
    return (
        f"The package: {lines_of(paths)} lines of Python, {len(modules)} modules and {len(paths) - len(modules)} `__init__.py`;"
        f" the fullest folder is `{name}/` with {most} modules."
    )


def table() -> str:
    """The whole table, as markdown."""
    ways = {
        "third look of the probe": way_of(ProbeCallback(probe_of(), at_steps=(), max_overhead=10.0, on_error="raise")),
        "third visit of the filters": way_of(filters()),
    }
    found = [numbers(way) for way in ways.values()]
    rows = [f"| {name} | " + " | ".join(f"{each[name]}" for each in found) + " |" for name in found[0]]
    head = ["| | " + " | ".join(ways) + " |", "|:--|" + "--:|" * len(ways)]
    said = f"{datetime.date.today()}, Python {platform.python_version()}, torch {torch.__version__}, Lightning {pl.__version__}"
    order = [f"Files in order of first entry, {name}: {rooms_in_order(way)}." for name, way in ways.items()]
    return "\n\n".join(
        [f"{said}: `python benchmarks/way_of_a_look.py`", "\n".join([*head, *rows]), size_of_package(), *order, ""]
    )


def filters() -> FilterMaximizationCallback:
    """Two channels of one layer, and its weights."""
    return FilterMaximizationCallback(["features.2"], 2, probe_of(), steps=8, weights=True, max_overhead=10.0, on_error="raise")


def main() -> None:
    """Trains twice, prints, and with ``--write`` keeps the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="keep the table as way_of_a_look.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    found = table()
    print(found)
    if arguments.write:
        Path(__file__).with_suffix(".md").write_text(f"# The way of a look\n\n{found}")


if __name__ == "__main__":
    main()
