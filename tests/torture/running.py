"""One training with or without the callbacks, and what is left of it afterwards."""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger

from .encoding import encoded
from .fingerprint import OURS
from .nets import Net, loaders
from .spy import Spy, Trace

Makers = Callable[[], Sequence[pl.Callback]]


@dataclass
class Run:
    """What a scenario trains with: it makes the Trainers, so that callbacks and spy are in their places.

    Attributes:
        folder: for logs and checkpoints.
        ours: makes the callbacks under test, afresh for every Trainer; none in the run without.
        trace: what the spy sees.
        made: the callbacks that `ours` has made.
    """

    folder: Path
    ours: Makers
    trace: Trace = field(default_factory=Trace)
    made: list[pl.Callback] = field(default_factory=list)

    def trainer(self, *users: pl.Callback, before: Sequence[pl.Callback] = (), **arguments: Any) -> pl.Trainer:
        """A Trainer with the users' callbacks before or after ours, and the spy behind all of them."""
        ours = list(self.ours())
        self.made += ours
        usual: dict[str, Any] = {
            "max_epochs": 2,
            "accelerator": "cpu",
            "log_every_n_steps": 1,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
            "default_root_dir": self.folder,
        }
        if "logger" not in arguments and not arguments.get("barebones"):
            arguments["logger"] = TensorBoardLogger(self.folder, name=None, version="")
        if arguments.get("barebones"):
            for key in ("log_every_n_steps", "enable_progress_bar", "enable_model_summary", "num_sanity_val_steps"):
                usual.pop(key)
        return pl.Trainer(callbacks=[*before, *ours, *users, Spy(self.trace, ours)], **{**usual, **arguments})

    def fit(
        self, model: pl.LightningModule | None = None, *users: pl.Callback, data: Any = None, **arguments: Any
    ) -> pl.Trainer:
        """Trains; the usual network on the usual data where none is given."""
        trainer = self.trainer(*users, **arguments)
        trainer.fit(model or Net(), *(data or loaders()))
        return trainer


@dataclass
class Drawn:
    """A film in short: how many looks, how many views in its frames, which weights."""

    looks: int
    views: set[int]
    weights: list[str]


@dataclass
class Outcome:
    """What one run did: the hooks, the files, what was said, what was drawn, what it left behind."""

    trace: Trace
    files: dict[str, Any]
    warned: list[str]
    raised: str
    films: list[Drawn]
    left: dict[str, int]
    others_warned: list[str]


def play(scenario: Callable[[Run], None], folder: Path, ours: Makers, seed: int = 7) -> Outcome:
    """Runs a scenario once from a seed, and counts what is left afterwards."""
    with _undisturbed(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
        gc.freeze()  # what lives now is counted no more, and collecting takes milliseconds instead of half a second
        before = leftovers()
        seed_everything(seed)
        run = Run(folder, ours)
        raised = _raised(scenario, run)
        films = [
            Drawn(film.count, {len(each.maps) for each in film.frames}, [each.weights for each in film.frames])
            for film in _films(run)
        ]
        trace = run.trace
        del run
        left = {key: count - before[key] for key, count in leftovers().items()}
    said = [str(each.message) for each in caught]
    mine = [each for each in said if each.startswith("lightning_vis: ")]
    files = _written(folder)
    return Outcome(trace, files, mine, raised, films, left, sorted(_relative(each, folder) for each in set(said) - set(mine)))


def _films(run: Run) -> list[Any]:
    return [each.film for each in run.made if hasattr(each, "film")]


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def leftovers() -> dict[str, int]:
    """Open files, threads, figures and live tensors."""
    gc.collect()
    plots = sys.modules.get("matplotlib.pyplot")
    return {
        "file descriptors": len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
        "threads": threading.active_count(),
        "figures": len(plots.get_fignums()) if plots else 0,
        "tensors": sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects()),
    }


def _raised(scenario: Callable[[Run], None], run: Run) -> str:
    try:
        scenario(run)
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return ""


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A scenario may set global switches of torch; the next one starts with the usual ones."""
    threads, dtype, precision = torch.get_num_threads(), torch.get_default_dtype(), torch.get_float32_matmul_precision()
    benchmark, environment, folder = torch.backends.cudnn.benchmark, dict(os.environ), os.getcwd()
    try:
        yield
    finally:
        torch.set_grad_enabled(True)
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(False)
        torch.autograd.set_detect_anomaly(False)
        torch.backends.cudnn.benchmark = benchmark
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)


def _written(folder: Path) -> dict[str, Any]:
    """Checkpoints without our own entries, and the scalars the user logged, by file."""
    checkpoints = {str(path.relative_to(folder)): _checkpoint(path, folder) for path in sorted(folder.rglob("*.ckpt"))}
    places = sorted({path.parent for path in folder.rglob("events.*")})
    scalars = {
        f"scalars of {at.relative_to(folder)}": found for at in places if (found := _scalars(at))
    }  # some files are ours alone
    tables = {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("metrics.csv"))}
    return {**checkpoints, **scalars, **tables}


def _checkpoint(path: Path, folder: Path) -> Any:
    content = torch.load(path, weights_only=True, map_location="cpu")
    kept = {key: value for key, value in content.get("callbacks", {}).items() if "Probe" not in key and "CAM" not in key}
    content["callbacks"] = {key: value for key, value in kept.items() if not key.startswith(("Saliency", "FilterMax"))}
    return _shortened(encoded(content, depth=9), folder)


def _shortened(value: Any, folder: Path) -> Any:
    if isinstance(value, str):
        return _relative(value, folder)
    return tuple(_shortened(item, folder) for item in value) if isinstance(value, tuple) else value


def _relative(text: str, folder: Path) -> str:
    return text.replace(str(folder), "<folder>")


def _scalars(folder: Path) -> list[tuple[str, int, str]]:
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    events = [event for path in sorted(folder.glob("events.*")) for event in LegacyEventFileLoader(str(path)).Load()]
    values = [(value.tag, event.step, _number(value)) for event in events for value in event.summary.value]
    return [each for each in values if each[2] and not each[0].startswith(OURS)]


def _number(value: Any) -> str:
    """A scalar as text, so that NaN equals NaN; "" for pictures and the like."""
    if value.HasField("tensor") and not value.tensor.string_val:
        return str(list(value.tensor.float_val))
    return repr(value.simple_value) if value.HasField("simple_value") else ""
