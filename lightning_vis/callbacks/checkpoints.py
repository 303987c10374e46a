"""Checkpoints of a finished training: where, of when, and what callbacks kept."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PosixPath, WindowsPath
from typing import Any

import torch

from lightning_vis.attribution.views import View
from lightning_vis.callbacks.failures import reason

LOOKED = ("ProbeCallback", "SaliencyCallback", "GradCAMCallback")
"""Classes of callbacks that look at images."""
FILTERS = ("FilterMaximizationCallback",)


@dataclass(frozen=True)
class Checkpoint:
    """Where a checkpoint lies, and where in the training it was written: fields of a `Frame`."""

    path: Path
    when: Mapping[str, Any]

    def read(self) -> dict[str, Any]:
        """All that it holds; whatever runs code when it is read is refused by torch."""
        return read(self.path)


@dataclass(frozen=True)
class Kept:
    """What one callback has kept in a checkpoint: what it was told, as far as its key says it, and its state."""

    told: Mapping[str, Any]
    state: Mapping[str, Any]


def checkpoint_files(where: str | Path) -> list[Path]:
    """The checkpoints below a folder, or the one that is named.

    Raises:
        ValueError: there are none.
    """
    path = Path(where)
    found = [path] if path.is_file() else sorted(path.rglob("*.ckpt"))
    if not found:
        raise ValueError(f"no checkpoints (*.ckpt) in {str(where)!r}")
    return found


def ordered(paths: Iterable[Path], skipped: list[str]) -> list[Checkpoint]:
    """Checkpoints in the order of the training, one for each number of finished steps; those that cannot be read are told."""
    found: dict[int, Checkpoint] = {}
    for path in paths:
        try:
            when = moment_in(read(path))
            found.setdefault(when["finished_steps"], Checkpoint(path, when))
        except Exception as error:
            skipped.append(f"{path.name} is skipped: {reason(error)}")
    return [found[steps] for steps in sorted(found)]


def read(path: Path) -> dict[str, Any]:
    """A checkpoint, its tensors on the CPU.

    Raises:
        ValueError: it holds no network of Lightning's; anything that torch raises where it cannot be read.
    """
    with _paths_allowed():
        found = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(found, dict) or not {"state_dict", "global_step", "epoch"} <= found.keys():
        raise ValueError("it is no checkpoint of Lightning's")
    return found


@contextmanager
def _paths_allowed() -> Iterator[None]:
    """Reads paths, too: Lightning 2.0 keeps the folder of checkpoints as it was given."""
    kept = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([PosixPath, WindowsPath])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(kept)


def moment_in(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Where in the training a checkpoint was written, as fields of a `Frame`.

    Lightning counts a batch only behind the hooks in which checkpoints are written within an epoch and after a validation.
    """
    loop = checkpoint.get("loops", {}).get("fit_loop", {})
    epoch = loop.get("epoch_progress", {}).get("current", {"ready": 0, "processed": 0, "completed": 0})
    batches = loop.get("epoch_loop.batch_progress", {})
    is_last = bool(batches.get("is_last_batch", True))
    finished, at = _finished(checkpoint, loop), int(checkpoint["epoch"])
    ended = (
        at if epoch["completed"] == epoch["ready"] else at + is_last
    )  # the hooks of an epoch's end come before it is counted
    moment = "start" if finished == 0 else "epoch" if is_last else "step"
    weights = "averaged" if "averaging_state" in checkpoint else "raw"
    return {
        "finished_steps": finished,
        "log_step": finished - 1,
        "epoch": ended if finished else 0,
        "moment": moment,
        "weights": weights,
    }


def _finished(checkpoint: Mapping[str, Any], loop: Mapping[str, Any]) -> int:
    """Batches whose steps are finished: of one optimizer its steps; of several, which the user steps, what Lightning counts."""
    optimizers = max(1, len(checkpoint.get("optimizer_states", ())))
    steps = int(checkpoint["global_step"])
    if optimizers == 1 or steps % optimizers == 0:
        return steps // optimizers
    return int(loop.get("epoch_loop.state_dict", {}).get("_batches_that_stepped", steps))


def kept_by(kinds: Iterable[str], checkpoint: Mapping[str, Any]) -> Iterator[Kept]:
    """What callbacks of these classes have kept in a checkpoint, in their order."""
    for key, state in checkpoint.get("callbacks", {}).items():
        name, _, told = key.partition("{")
        if name in kinds:
            yield Kept(_told(told), state)


def _told(words: str) -> Mapping[str, Any]:
    """The arguments in a key, ``{'views': [...]}`` without its first brace; {} of one that cannot be read."""
    try:
        found = ast.literal_eval("{" + words)
    except (SyntaxError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def view_of(key: str) -> View | None:
    """One of this package's views by the key that it has in pictures, ``grad_cam.layer3+label``; None of any other."""
    named, _, target = key.partition("+")
    name, _, layer = named.partition(".")
    make = getattr(importlib.import_module("lightning_vis.attribution"), name, None)
    if not inspect.isfunction(make) or inspect.signature(make).return_annotation != "View":
        return None
    said = {"layer": layer, "target": int(target) if target.isdigit() else target}
    view = make(**{word: value for word, value in said.items() if value})
    return view if isinstance(view, View) and view.key == key else None
