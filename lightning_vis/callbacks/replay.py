"""Replay: looks at checkpoints of a finished training as if we had been there."""

from __future__ import annotations

import importlib
import inspect
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis.callbacks.failures import reason
from lightning_vis.callbacks.host.parents import HOMES
from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.frames import Frame
from lightning_vis.probe.probe import Probe
from lightning_vis.progress_bar import progress_bar


@dataclass(frozen=True)
class Checkpoint:
    """Where a checkpoint lies, and where in the training it was written: fields of a `Frame`."""

    path: Path
    when: Mapping[str, Any]

    def read(self) -> dict[str, Any]:
        """All that it holds; whatever runs code when it is read is refused by torch."""
        return read(self.path)


def replay(
    checkpoints: str | Path,
    model: str,
    output: str | Path,
    *,
    data: str | None = None,
    probe: str | None = None,
    task: str | None = None,
) -> list[str]:
    """Looks at the network of each checkpoint, and writes what a `ProbeCallback` would have written at their steps.

    Images and what is explained for good are those of our state in the last checkpoint, where there was a `ProbeCallback`.

    Args:
        checkpoints: a folder with ``*.ckpt`` in it, anywhere below, or one file.
        model: import path of a LightningModule: a class, a function that returns one, or one itself.
        output: the run's folder, for the event file.
        data: import path of a LightningDataModule, a loader, or what returns one; None: the model's own ``val_dataloader``, else
            the images of the probe.
        probe: import path of a `Probe`, or of a function that returns one; None takes images as `ProbeCallback` does.
        task: as `ProbeCallback`.

    Returns:
        What could not be looked at, in sentences.

    Raises:
        ValueError: nothing to import by such a path, no checkpoint that can be read, or no data.
    """
    paths, skipped = checkpoint_files(checkpoints), list[str]()
    given, made = (
        made_of(model, "--model"),
        None if probe is None else made_of(probe, "--probe"),
    )  # classes torch may have to know
    found = ordered(paths, skipped)
    if not found:
        raise ValueError(f"no checkpoint in {str(checkpoints)!r} can be read: {'; '.join(skipped)}")
    last = found[-1].read()
    module = module_of(given, found[-1].path)
    watcher = Replay(found, skipped, _state_of(last), made, task)
    loaders = None if data is None else made_of(data, "--data")
    _validate(module, watcher, loaders if loaders is not None else _loader(module, watcher.probe), output, found)
    return skipped


class Replay(ProbeCallback):
    """Takes a look at each checkpoint in one ``trainer.validate``, whose first batch tells what the network answers.

    Args:
        found: checkpoints in order.
        skipped: gets a sentence for each that cannot be looked at.
        state: of a `ProbeCallback` in the last one; {} where there was none.
        probe: as `ProbeCallback`.
        task: likewise.
    """

    def __init__(
        self, found: Sequence[Checkpoint], skipped: list[str], state: Mapping[str, Any], probe: Any, task: str | None
    ) -> None:
        super().__init__(probe, task=task, max_overhead=math.inf)
        self._checkpoints, self._skipped = found, skipped
        if state:
            self.session.load(dict(state))
            self.session.logger.forget()  # the film is what we are about to make
            self.looks.load(state.get("chosen", {}))

    def _look(self, trainer: Any, pl_module: nn.Module, moment: str, *, numbers_only: bool = False) -> Frame | None:
        """All looks, in place of the one at the end of a validation."""
        for each in progress_bar(self._checkpoints, desc="looking", unit="checkpoint", disable=not sys.stderr.isatty()):
            try:
                _put(each.read(), pl_module)
            except Exception as error:
                self._skipped.append(f"{each.path.name} is skipped: {reason(error)}")
                continue
            if self.looks.can_see(pl_module):
                self.looks.look(trainer, pl_module, self.monitor, dict(each.when), numbers_only=False)
        self.looks.finish(trainer)
        return self.session.logger.last


# --- checkpoints ---------------------------------------------------------------------------------------------------------


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
    found = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(found, dict) or not {"state_dict", "global_step", "epoch"} <= found.keys():
        raise ValueError("it is no checkpoint of Lightning's")
    return found


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


def _state_of(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Our state in it: that of the first callback that looked at images."""
    names = ("ProbeCallback", "SaliencyCallback", "GradCAMCallback")
    states = checkpoint.get("callbacks", {})
    return next((state for key, state in states.items() if key.partition("{")[0] in names), {})


def _put(checkpoint: dict[str, Any], module: Any) -> None:
    """The weights of a checkpoint into the network."""
    module.on_load_checkpoint(checkpoint)
    module.load_state_dict(checkpoint["state_dict"], strict=module.strict_loading)


# --- what is imported ----------------------------------------------------------------------------------------------------


def imported(path: str, option: str) -> Any:
    """What stands under an import path, ``package.module.Name`` or ``package.module:Name``.

    Raises:
        ValueError: nothing does.
    """
    module, _, name = path.replace(":", ".").rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{option} {path}: expected an import path like package.module.Name ({reason(error)})") from error


def made_of(path: str, option: str) -> Any:
    """What stands there, or what a function or class without arguments there returns; classes of modules stay classes."""
    found = imported(path, option)
    is_function = inspect.isfunction(found) or (inspect.isclass(found) and not issubclass(found, nn.Module))
    return found() if is_function else found


def module_of(given: Any, path: Path) -> Any:
    """The LightningModule itself; one of a class is made with the arguments that a checkpoint has."""
    make: Any = getattr(given, "load_from_checkpoint", None)
    module = make(path, map_location="cpu") if inspect.isclass(given) and make is not None else given
    if not isinstance(module, nn.Module) or _lightning(module) is None:
        raise ValueError(f"--model: expected a LightningModule, or what returns one; got {type(module).__name__}")
    if _is_lightnings(module, "validation_step"):
        raise ValueError(f"--model: one batch goes through validation_step, and {type(module).__name__} has none: give it one")
    return module


def _is_lightnings(module: Any, method: str) -> bool:
    """Whether a method is Lightning's own, which does nothing."""
    return str(getattr(type(module), method).__module__).startswith(tuple(f"{each.partition('.')[0]}." for each in HOMES))


def _lightning(module: nn.Module) -> str | None:
    """Under which name Lightning comes for this network."""
    homes = [home.removesuffix(".callbacks.callback") for home in HOMES]
    kinds = [kind.__module__ for kind in type(module).__mro__ if kind.__name__ == "LightningModule"]
    return next((home for kind in kinds for home in homes if kind.startswith(f"{home}.")), None)


def _loader(module: Any, probe: Probe | None) -> Any:
    """What is validated on where no data are given; None leaves it to the model's own ``val_dataloader``."""
    if not _is_lightnings(module, "val_dataloader"):
        return None
    if probe is None or probe.truth is None:
        raise ValueError(
            "there are no data: --data package.module.Name of a LightningDataModule or a loader, or --probe with labels"
        )
    return DataLoader(TensorDataset(probe.images, probe.truth), batch_size=len(probe))


def _validate(module: Any, watcher: Replay, data: Any, output: str | Path, found: Sequence[Checkpoint]) -> None:
    """One validation of one batch, in the course of which all looks are taken."""
    home = str(_lightning(module))
    logger = importlib.import_module(f"{home}.loggers").TensorBoardLogger(output, name="", version="")
    trainer = importlib.import_module(home).Trainer(
        logger=logger,
        callbacks=[watcher],
        devices=1,
        max_epochs=max(1, found[-1].when["epoch"]),
        limit_val_batches=1,
        inference_mode=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    beside = {"datamodule": data} if hasattr(data, "setup") else {"dataloaders": data}
    trainer.validate(module, **beside, verbose=False)
