"""One fit as ProbeCallback sees it: probe, layer, looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from lightning_vis.attribution.pipeline import TWINS, Attempt, choose_feature_map, try_look
from lightning_vis.attribution.views import View
from lightning_vis.callbacks.budget import Budget
from lightning_vis.callbacks.failures import Failures
from lightning_vis.callbacks.frame_logger import Gallery
from lightning_vis.callbacks.monitor import Monitor, lift_view, progress
from lightning_vis.callbacks.trainer import precision_of
from lightning_vis.frames import Frame
from lightning_vis.model.run import ForwardConfig
from lightning_vis.model.scores import SEGMENTATION, Score
from lightning_vis.probe.from_trainer import TrainerProbe
from lightning_vis.probe.probe import Probe


def as_tensors(state: Any) -> Any:
    """Dicts and lists with their arrays as tensors."""
    return _converted(state, np.ndarray, torch.as_tensor)


def as_arrays(state: Any) -> Any:
    """The inverse of `as_tensors`."""
    return _converted(state, torch.Tensor, lambda tensor: tensor.numpy())


def _converted(value: Any, kind: type, convert: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: _converted(item, kind, convert) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_converted(item, kind, convert) for item in value]
    return convert(value) if isinstance(value, kind) else value


class Visits:
    """The visits of one callback to a network in training.

    Args:
        given: the user's probe, if there is one.
        score: ``(output, classes) -> (N,)``, the number that is explained.
        failures: decides what happens when looking fails.
        budget: told what everything costs.
        images: whether cards, film strips and animations are drawn.

    Attributes:
        views: what is looked through.
        probe: the images, once they are known.
        layer: of the views that name none, once it is known.
        finder: finds images and how to run the network.
        gallery: where frames go.
        failed: why the last look gave no numbers; "" if it did.
    """

    def __init__(self, given: Probe | None, score: Score, failures: Failures, budget: Budget, images: bool) -> None:
        self.views: list[View] = []
        self.probe: Probe | None = None
        self.layer: str | None = None
        self.finder = TrainerProbe(given)
        self.gallery = Gallery(failures, budget, images)
        self.failed = ""
        self._why = ""  # a monitored view rests
        self._given, self._score, self._failures, self._budget = given, score, failures, budget
        self._resumed: dict[str, Any] = {}  # the probe of the checkpoint that this run goes on from

    # --- the images -------------------------------------------------------------------------------------------------

    def prepare(self, is_new: bool) -> None:
        """Another run begins, of a new training or of one that goes on: the images are looked for anew."""
        self.finder = TrainerProbe(self._given)
        self.probe = None
        if is_new:
            self.gallery.forget()
            self._resumed = {}

    def from_loader(self, trainer: Any, module: nn.Module) -> Probe | None:
        """Images of the Trainer's data, those of the checkpoint where there is one; None if a batch must be watched."""
        return self.finder.from_loader(trainer, module, self._running(trainer), self._resumed.get("indices"))

    def watch(self, trainer: Any, module: nn.Module, batch: Any) -> None:
        """A batch is about to go through the network: it is watched, if no images can be taken by index."""
        with self._failures.surviving("watching the first batch"):
            if self.from_loader(trainer, module) is None:
                self.finder.start(module, batch)

    def take(self, probe: Probe) -> None:
        """These are the images from now on."""
        self.probe = probe
        known, self._resumed = self._resumed, {}
        if any(len(frame.predicted) != len(probe) for frame in self.gallery.film.frames):
            self._failures.say(f"the probe {probe.name!r} has another number of images than before: its film begins anew")
            self.gallery.forget()
        elif known and known["fingerprint"] != probe.fingerprint:
            self._failures.say(
                f"this run goes on with other images in the probe {probe.name!r} than those in its checkpoint:"
                " earlier looks of the film show the ones, later looks the others"
            )
        self.gallery.inputs = probe.inputs()

    def summary(self) -> str:
        """What is looked at, through what, where."""
        keys = ", ".join(view.key for view in self.views)
        layer = f" at layer {self.layer!r}" if self.layer else ""
        within = f" of the submodule {self.finder.entry.name!r}" if self.finder.entry else ""
        notes = () if self.gallery.last is None else self.gallery.last.notes
        read = f"; {SEGMENTATION}" if SEGMENTATION in notes else ""
        return f"{0 if self.probe is None else len(self.probe)} images ({keys}){layer}{within}{read}"

    # --- the looks --------------------------------------------------------------------------------------------------

    def open(self, writers: Sequence[Any], views: Sequence[View]) -> None:
        """A fit begins: everything is tried again."""
        self.views = list(views)
        self.layer, self.failed, self._why = None, "", ""
        self._failures.forget()
        self._budget.start()
        self.gallery.open(writers)

    def can_see(self, module: nn.Module) -> bool:
        """Whether there is anything to see: not while all views rest, nor before lazy layers have their shapes."""
        if self.probe is None or any(is_lazy(value) for value in module.parameters()):
            return False
        return self.probe.twins is not None or bool(self._awake(self.views))

    def look(
        self, trainer: Any, module: nn.Module, monitor: Monitor, when: dict[str, Any], *, numbers_only: bool
    ) -> Frame | None:
        """One look.

        Args:
            trainer: whose precision is used.
            module: what is looked at.
            monitor: judges what the twins say.
            when: where in the training we are, as fields of a `Frame`.
            numbers_only: look only for what is monitored, and draw nothing.

        Returns:
            What it found, None if it failed.
        """
        assert self.probe is not None  # `can_see` has been asked
        spent = self._budget.spent
        with self._counted() as parts:
            found = self._attempt(trainer, module, bool(monitor.tags), self._monitored() if numbers_only else self.views)
            parts |= {} if found is None else found.seconds
        if found is None:
            return None
        frame = replace(found, **when)
        if frame.moment not in ("validate", "test"):
            shown = self.probe.twins.shown if self.probe.twins is not None else 1
            frame = monitor.judge(frame, *progress(trainer, frame.epoch), shown)
        if not numbers_only:
            self.gallery.keep(frame, has_time=not self.pauses("pictures", trainer))
            self.gallery.write_seconds(frame, self._budget.spent - spent)
        return frame

    @contextmanager
    def _counted(self) -> Iterator[dict[str, float]]:
        """Counts what is done inside: the parts that are named, and the rest as watching over the network."""
        started, parts = time.perf_counter(), dict[str, float]()
        try:
            yield parts
        finally:
            parts["watching over it"] = time.perf_counter() - started - sum(parts.values())
            for part, seconds in parts.items():
                self._budget.count(part, seconds)

    def pauses(self, kind: str, trainer: Any) -> bool:
        """Whether the budget is used up for this kind of work; said once."""
        refusal = self._budget.refusal(kind, trainer.callbacks)
        if refusal:
            self._failures.say(refusal)
        return bool(refusal)

    def _attempt(self, trainer: Any, module: nn.Module, monitored: bool, views: Sequence[View]) -> Frame | None:
        """A look whose failures are dealt with: a view rests, the twins are asked again next time."""
        assert self.probe is not None  # as in `look`
        self._choose_layer(trainer, module, self._awake(views))
        try:
            attempt = try_look(module, self.probe, self._awake(views), self._running(trainer), self.layer)
        except Exception as error:
            attempt = Attempt(None, {TWINS: error})
        failures = dict(attempt.failures)
        twins = failures.pop(TWINS, None)
        says_later = twins is not None and monitored and self._failures.on_error == "warn"
        self._why = next((str(failures[view.key]) for view in self._monitored() if view.key in failures), self._why)
        self.failed = str(twins) if says_later else self._why  # said when the numbers go out
        if twins is not None and not says_later:
            self._failures.tell("a look failed", twins)
        self._failures.rest(failures, self._layers_of(views))
        return attempt.frame

    def _choose_layer(self, trainer: Any, module: nn.Module, views: Sequence[View]) -> None:
        """The layer of the views that name none; if there is none, they rest and the others go on."""
        unnamed = [view.key for view in views if None in view.layers]
        if self.layer is not None or not unnamed or self.probe is None:
            return
        try:
            self.layer = choose_feature_map(module, self.probe, self._running(trainer)).layer
        except Exception as error:
            self._failures.rest(dict.fromkeys(unnamed, error), {})

    def _awake(self, views: Sequence[View]) -> list[View]:
        return [view for view in views if view.key not in self._failures.resting]

    def _monitored(self) -> list[View]:
        key = None if self.probe is None else lift_view(self.probe, [view.key for view in self.views])
        return [view for view in self.views if view.key == key]

    def _layers_of(self, views: Sequence[View]) -> dict[str, str]:
        named = {view.key: [self.layer if layer is None else layer for layer in view.layers] for view in views}
        return {key: ", ".join(repr(layer) for layer in layers if layer) for key, layers in named.items()}

    def _running(self, trainer: Any) -> ForwardConfig:
        context, convert = precision_of(trainer)
        return ForwardConfig(self.finder.entry, self._score, context, convert)

    # --- kept in checkpoints ----------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The film so far, and which images it shows."""
        probe = self.probe
        known = {} if probe is None else {"fingerprint": probe.fingerprint, "indices": probe.indices and [*probe.indices]}
        return {**as_tensors(self.gallery.state()), "probe": known}

    def load(self, state: dict[str, Any]) -> None:
        """The film goes on where it stopped."""
        self.gallery.load(as_arrays(state))
        self._resumed = dict(state.get("probe", {}))
