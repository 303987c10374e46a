"""Replay: looks at checkpoints of a finished training as if we had been there."""

from __future__ import annotations

import importlib
import inspect
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis.attribution.views import View
from lightning_vis.callbacks.checkpoints import FILTERS, LOOKED, Checkpoint, checkpoint_files, kept_by, ordered, view_of
from lightning_vis.callbacks.failures import reason
from lightning_vis.callbacks.filters import FilterMaximizationCallback
from lightning_vis.callbacks.host.parents import HOMES, Callback
from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.callbacks.schedule import is_spaced
from lightning_vis.frames import Frame
from lightning_vis.probe.probe import Probe
from lightning_vis.progress_bar import progress_bar


def replay(
    checkpoints: str | Path,
    model: str,
    output: str | Path,
    *,
    data: str | None = None,
    probe: str | None = None,
    task: str | None = None,
    callbacks: str | None = None,
) -> list[str]:
    """Looks at the network of each checkpoint, and writes what callbacks would have written at their steps.

    Which views and filters, which images and what is explained for good, our state in the last checkpoint says, where a callback
    was there; else it is done as a `ProbeCallback` does it by itself.

    Args:
        checkpoints: a folder with ``*.ckpt`` in it, anywhere below, or one file.
        model: import path of a LightningModule: a class, a function that returns one, or one itself.
        output: the run's folder, for the event file.
        data: import path of a LightningDataModule, a loader, or what returns one; None: the model's own ``val_dataloader``, else
            the images of the probe.
        probe: import path of a `Probe`, or of a function that returns one; None takes images as `ProbeCallback` does.
        task: as `ProbeCallback`.
        callbacks: import path of the callbacks to look with, a `ProbeCallback`, a `FilterMaximizationCallback` or a list of
            them, or of what returns it; they bring probe and task themselves.

    Returns:
        What could not be looked at, in sentences.

    Raises:
        ValueError: nothing to import by such a path, no checkpoint that can be read, no data, or two words for one thing.
    """
    if callbacks is not None and (probe is not None or task is not None):
        raise ValueError("--callbacks bring their own probe and task: leave --probe and --task to them")
    paths, skipped = checkpoint_files(checkpoints), list[str]()
    network = made_of(model, "--model")  # classes that torch may have to know
    images, brought = (
        None if path is None else made_of(path, option) for path, option in ((probe, "--probe"), (callbacks, _THEY))
    )
    found = ordered(paths, skipped)
    if not found:
        raise ValueError(f"no checkpoint in {str(checkpoints)!r} can be read: {'; '.join(skipped)}")
    last, module = found[-1].read(), module_of(network, found[-1].path)
    watchers = _those_of(last, images, task, skipped) if brought is None else _told(watching(brought), last)
    known = next((each.probe for each in watchers if each.probe is not None), None)
    loaders = _loader(module, known) if data is None else made_of(data, "--data")
    _validate(module, [*watchers, Guide(found, skipped, watchers)], loaders, output, found)
    return skipped


_THEY = "--callbacks"


def _told(watchers: list[Watching], checkpoint: Mapping[str, Any]) -> list[Watching]:
    """Callbacks that were brought, each with what one like it has kept."""
    for each in watchers:
        kept = next(kept_by(LOOKED if isinstance(each, ProbeCallback) else FILTERS, checkpoint), None)
        if kept is not None:
            each.remember(kept.state)
    return watchers


class Guide(Callback):
    """Takes the looks of all callbacks in one ``trainer.validate``, whose first batch tells what the network answers.

    It stands behind those callbacks, which know their images by then.

    Args:
        found: checkpoints in order.
        skipped: gets a sentence for each that cannot be looked at.
        watchers: the callbacks, as `watching` makes them.
    """

    def __init__(self, found: Sequence[Checkpoint], skipped: list[str], watchers: Sequence[Watching]) -> None:
        super().__init__()
        self._checkpoints, self._skipped, self._watchers = found, skipped, watchers

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """All looks, checkpoint by checkpoint."""
        for each in progress_bar(self._checkpoints, desc="looking", unit="checkpoint", disable=not sys.stderr.isatty()):
            try:
                _put(each.read(), pl_module)
            except Exception as error:
                self._skipped.append(f"{each.path.name} is skipped: {reason(error)}")
                continue
            for watcher in self._watchers:
                watcher.visit(trainer, pl_module, dict(each.when))
        for watcher in self._watchers:
            watcher.leave(trainer)


class WatchingProbe(ProbeCallback):
    """A `ProbeCallback` that is told when to look.

    Args:
        callback: that it is otherwise.
    """

    def __init__(self, callback: ProbeCallback) -> None:
        vars(self).update(vars(callback))
        self._leader = self
        self.settings = replace(self.settings, max_overhead=math.inf, on_validate=True)

    def remember(self, state: Mapping[str, Any]) -> None:
        """Takes the images and what is explained for good from a checkpoint, and no film: that is what is made anew."""
        self.session.load(dict(state))
        self.session.logger.forget()
        self.looks.load(state.get("chosen", {}))

    def _look(self, trainer: Any, pl_module: nn.Module, moment: str, *, numbers_only: bool = False) -> Frame | None:
        """None: the network as it stands is no checkpoint."""
        return None

    def visit(self, trainer: Any, module: nn.Module, when: dict[str, Any]) -> None:
        """A look at what a checkpoint has."""
        if not self._served and self.looks.can_see(module):
            self.looks.look(trainer, module, self.monitor, when, numbers_only=False)

    def leave(self, trainer: Any) -> None:
        """All checkpoints have been looked at."""
        self._finish(trainer)


class WatchingFilters(FilterMaximizationCallback):
    """Likewise a `FilterMaximizationCallback`."""

    def __init__(self, callback: FilterMaximizationCallback) -> None:
        vars(self).update(vars(callback))
        self.budget.max_overhead = math.inf

    def remember(self, state: Mapping[str, Any]) -> None:
        """Likewise."""
        self.session.load(dict(state))
        self.session.logger.forget()

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """As in a fit that goes on."""
        self.fetch(trainer)
        self.session.prepare(trainer, is_new=False)
        self.looks.prepare(is_new=False)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """As when a fit starts."""
        self.on_fit_start(trainer, pl_module)

    def _may_look(self, trainer: Any) -> bool:
        return self.session.logger.is_open

    def visit(self, trainer: Any, module: nn.Module, when: dict[str, Any]) -> None:
        """Likewise, at spaced visits."""
        if self.session.probe is None and (probe := self._find(trainer, module)) is not None:
            self.session.take(probe)
        if self.session.probe is None or not self.session.can_see(module):
            return
        self.looks.choose(module, self._forward(trainer, module))
        self._count += 1
        if is_spaced(self._count, self._drawn) and self._look(trainer, module, when):
            self._drawn = self._count

    def leave(self, trainer: Any) -> None:
        """Likewise."""
        self.looks.draw()
        self._leave_page(trainer)


Watching = WatchingProbe | WatchingFilters


# --- which callbacks -----------------------------------------------------------------------------------------------------


def watching(given: Any) -> list[Watching]:
    """Callbacks that are told when to look, as those that were given look.

    Raises:
        ValueError: something else was given.
    """
    made = list[Watching]()
    for each in given if isinstance(given, (list, tuple)) else [given]:
        if isinstance(each, ProbeCallback):
            made.append(WatchingProbe(each))
        elif isinstance(each, FilterMaximizationCallback):
            made.append(WatchingFilters(each))
        else:
            got = type(each).__name__
            raise ValueError(
                f"--callbacks: expected a ProbeCallback, a FilterMaximizationCallback, or a list of them; got {got}"
            )
    return made


def _those_of(checkpoint: Mapping[str, Any], probe: Any, task: str | None, skipped: list[str]) -> list[Watching]:
    """The callbacks that were there, as far as their state tells; a `ProbeCallback` where there was none."""
    kept = next(kept_by(LOOKED, checkpoint), None)
    views = None if kept is None else _views_of(kept.told.get("views", ()), skipped)
    exchanged = kept is None or kept.state.get("exchange", {}).get("is_on", True)
    watcher = WatchingProbe(ProbeCallback(probe, views, task=task, exchange=None if exchanged else False))
    if kept is not None:
        watcher.remember(kept.state)
    return [watcher, *_filters_of(checkpoint, probe, skipped)]


def _views_of(keys: Sequence[str], skipped: list[str]) -> list[View] | None:
    """The views of these keys; None where there are none of this package's."""
    found = {key: view_of(key) for key in keys}
    own = [key for key, view in found.items() if view is None]
    if own:
        skipped.append(f"views of your own are not looked through ({', '.join(own)}): --callbacks brings them")
    return [view for view in found.values() if view is not None] or None


def _filters_of(checkpoint: Mapping[str, Any], probe: Any, skipped: list[str]) -> Iterator[WatchingFilters]:
    """Those that maximized filters as one does by itself."""
    for kept in kept_by(FILTERS, checkpoint):
        told = {word: kept.told[word] for word in ("layers", "channels") if word in kept.told}
        watcher = WatchingFilters(FilterMaximizationCallback(probe=probe, **told))
        changes = watcher.looks.changes(kept.state)
        if changes:
            skipped.append(
                f"filters are not maximized, because they were otherwise than usual ({changes}): --callbacks brings them"
            )
        else:
            yield watcher


# --- networks ------------------------------------------------------------------------------------------------------------


def _put(checkpoint: dict[str, Any], module: Any) -> None:
    """The weights of a checkpoint into the network."""
    module.on_load_checkpoint(checkpoint)
    module.load_state_dict(checkpoint["state_dict"], strict=getattr(module, "strict_loading", True))


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


def _validate(module: Any, callbacks: Sequence[Any], data: Any, output: str | Path, found: Sequence[Checkpoint]) -> None:
    """One validation of one batch, in the course of which all looks are taken."""
    home = str(_lightning(module))
    logger = importlib.import_module(f"{home}.loggers").TensorBoardLogger(output, name="", version="")
    trainer = importlib.import_module(home).Trainer(
        logger=logger,
        callbacks=[*callbacks],
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
