"""When to look, and on what: the callbacks. The only file that imports Lightning."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from lightning_vis.alert import Thresholds
from lightning_vis.failures import Failures
from lightning_vis.film import Film, is_spaced
from lightning_vis.frames import Frame, Inputs, thinned
from lightning_vis.layers import find_layer
from lightning_vis.looking import TWINS, Attempt, Running, attempt_look, choose_feature_map, usual_views
from lightning_vis.monitoring import Monitor, OnAlert, lift_view, monitored_tags, progress
from lightning_vis.probe import Probe
from lightning_vis.recording import INPUT, PROBABILITIES
from lightning_vis.rendering import card, strip
from lightning_vis.scores import Score, Target, log_odds
from lightning_vis.storing import Store
from lightning_vis.timing import ends_epoch, finished_steps, is_early, log_step
from lightning_vis.twin_pictures import twins_sheet, with_twins
from lightning_vis.views import View, grad_cam, saliency
from lightning_vis.writing import descriptions, encoded, film_tag, image_writers, write_pictures

if TYPE_CHECKING:
    from pytorch_lightning import Callback
else:

    def _callback_bases() -> tuple[type, ...]:
        """Callback of the Lightning that is in use: it comes under two names, and either Trainer takes a child of both."""
        loaded = [sys.modules[name] for name in ("pytorch_lightning", "lightning.pytorch") if name in sys.modules]
        if not loaded:
            import pytorch_lightning

            loaded = [pytorch_lightning]
        return tuple(dict.fromkeys(module.Callback for module in loaded))

    Callback = type("Callback", _callback_bases(), {})

COLUMNS = 10
"""Looks shown side by side in a film strip."""


class ProbeCallback(Callback):
    """Looks at a fixed probe while the network trains, and leaves the training exactly as it was.

    Looks are taken at the start (the untrained network), after steps 1, 2, 4, 8, ... of the first epoch, and after every
    epoch (after its validation, if there is one).

    Args:
        probe: the images, or a function that returns them; None takes some from the Trainer's validation data (else its
            training data), by index.
        views: what to look through, views or functions that return one; evidence, Grad-CAM and saliency if None.
        every_n_epochs: look after every so many epochs.
        at_steps: look after these optimizer steps too; None for 1, 2, 4, 8, ... within the first epoch, () for none.
        score: ``(output, classes) -> (N,)``, the number that is explained.
        on_error: what happens when something fails while looking: ``"warn"`` says so once per fit and the training goes on,
            ``"raise"`` stops it.
        on_alert: what happens when the alert changes, where the probe has twins: ``"warn"``; ``"stop"``, which also ends
            the training when it turns red; or a function of a `lightning_vis.alert.Alert`.
        thresholds: when the alert turns amber or red.

    Where the probe has masks and labels of several classes, these numbers go through the Trainer's log at the end of
    every epoch (and of every validation in between), and can be monitored: ``reliance/background_effect``,
    ``reliance/object_effect``, ``reliance/background_share``, ``reliance/alert``, ``attribution/grad_cam/lift``.

    Raises:
        ValueError: arguments out of range, or, when fit starts, layers that do not exist, data that no probe can be taken
            from, two callbacks that would write the same pictures.
    """

    def __init__(
        self,
        probe: Probe | Callable[[], Probe] | None = None,
        views: Sequence[View | Callable[[], View]] | None = None,
        *,
        every_n_epochs: int = 1,
        at_steps: Sequence[int] | None = None,
        score: Score = log_odds,
        on_error: str = "warn",
        on_alert: OnAlert = "warn",
        thresholds: Thresholds | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(every_n_epochs, int) or every_n_epochs < 1:
            raise ValueError(f"every_n_epochs={every_n_epochs!r}: expected a whole number of at least 1")
        self.probe = probe() if callable(probe) else probe
        self.views = [view if isinstance(view, View) else view() for view in (usual_views() if views is None else views)]
        self.every_n_epochs = every_n_epochs
        self.at_steps = None if at_steps is None else tuple(at_steps)
        self.score = score
        self.failures = Failures(on_error)
        self.monitor = Monitor(on_alert, thresholds or Thresholds())
        self.film = Film()
        self.seconds: dict[str, float] = {}
        self._joined: list[View] = []  # views of other callbacks that share this one's looks
        self._served = False  # another callback looks for this one
        self._drawn = 0
        self._last: Frame | None = None
        self._failed = ""  # why the last look gave no numbers
        self._published = -1  # finished steps when numbers went out last
        self._writers: list[Any] = []
        self._store = Store(())
        self._images: Probe | None = None
        self._inputs: Inputs | None = None
        self._layer: str | None = None

    @property
    def state_key(self) -> str:
        """Tells callbacks of one Trainer apart in a checkpoint."""
        return self._generate_state_key(
            probe=_name(self), views=[view.key for view in self.views], every_n_epochs=self.every_n_epochs, at_steps=self.at_steps
        )

    # --- when -------------------------------------------------------------------------------------------------------

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Shares looks with the other callbacks of this probe."""
        if stage == "fit":
            self._share(trainer)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Refuses what cannot work, before anything is trained."""
        if self._served:
            return
        for layer in {layer for view in self._all_views() for layer in view.layers if layer not in (None, INPUT)}:
            find_layer(pl_module, str(layer))
        self.failures.forget()
        self._layer = None
        self._published = -1
        self.monitor.tags = self._tags()
        self._writers = image_writers(trainer.loggers) if trainer.is_global_zero else []
        self._store = Store(self._writers)
        if not self._writers and not self.monitor.tags and trainer.is_global_zero:
            given = ", ".join(type(logger).__name__ for logger in trainer.loggers) or "none"
            _warn(f"no logger of this Trainer takes images (loggers: {given}), so nothing is shown: add a TensorBoardLogger")

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Takes the probe and looks at the untrained network."""
        if self._served or not trainer.is_global_zero or not (self._writers or self.monitor.tags):
            return
        self._images = self.probe or _probe_of(trainer)
        self._inputs = self._images.inputs()
        if trainer.global_step == 0:
            self._look(trainer, pl_module, "start")

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Looks after early steps; the last batch of an epoch that is looked at is left to that look."""
        finished = finished_steps(trainer, "step")
        left = ends_epoch(trainer) and self._due(trainer)
        if is_early(finished, self.at_steps, trainer.current_epoch) and not left:
            self._look(trainer, pl_module, "step")

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Looks after a validation inside fit."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._look_and_publish(trainer, pl_module, "validation")

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Looks after an epoch that no validation ended."""
        self._look_and_publish(trainer, pl_module, "epoch")

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Looks at the finished network, if no look has seen it, and draws the last look."""
        self._look(trainer, pl_module, "end")
        if self._writers and self._last is not None and self._drawn < self.film.count:
            with self.failures.surviving("drawing a look"):
                self._draw(self._last)

    def _due(self, trainer: Any) -> bool:
        return bool((trainer.current_epoch + 1) % self.every_n_epochs == 0)

    # --- what -------------------------------------------------------------------------------------------------------

    def _look_and_publish(self, trainer: Any, pl_module: Any, moment: str) -> None:
        """Numbers are measured and logged at every epoch and validation; `every_n_epochs` thins the pictures."""
        finished = finished_steps(trainer, moment)
        if self._served or self._published == finished:
            return
        self._published = finished
        frame = self._look(trainer, pl_module, moment, numbers_only=not self._due(trainer))
        self.monitor.publish(trainer, pl_module, frame, self._failed)

    def _look(self, trainer: Any, pl_module: nn.Module, moment: str, *, numbers_only: bool = False) -> Frame | None:
        """One look, if the network has changed since the last one; what it found, None if it failed or is not ours."""
        finished = finished_steps(trainer, moment)
        if self._served or self._images is None or (numbers_only and not self.monitor.tags):
            return None
        if any(is_lazy(value) for value in pl_module.parameters()):
            return None  # its layers get their shapes from the first batch: there is nothing to see yet
        if self._last is not None and self._last.finished_steps == finished:
            return self._last
        attempt = self._attempt(trainer, pl_module, self._monitored_views() if numbers_only else self._all_views())
        if attempt.frame is None:
            return None
        frame = replace(attempt.frame, **_moment(trainer, moment, finished))
        shown = self._images.twins.shown if self._images.twins is not None else 1
        frame = self.monitor.judge(frame, *progress(trainer, frame.epoch), shown)
        if not numbers_only:
            self._keep(frame if self._inputs is None else with_twins(frame, self._inputs))
        return frame

    def _attempt(self, trainer: Any, pl_module: nn.Module, views: Sequence[View]) -> Attempt:
        """A look whose failures are dealt with: a view rests, the twins are asked again next time."""
        assert self._images is not None  # `_look` has made sure
        self._failed = ""
        self._choose_layer(trainer, pl_module, views)
        awake = [view for view in views if view.key not in self.failures.resting]
        try:
            attempt = attempt_look(pl_module, self._images, awake, self._running(trainer), self._layer)
        except Exception as error:
            attempt = Attempt(None, {TWINS: error})
        failures = dict(attempt.failures)
        twins = failures.pop(TWINS, None)
        if twins is not None and self.monitor.tags and self.failures.on_error == "warn":
            self._failed = str(twins)  # said when the numbers go out
        elif twins is not None:
            self.failures.tell("a look failed", twins)
        self.failures.rest(failures, self._layers_of(views))
        return attempt

    def _choose_layer(self, trainer: Any, pl_module: nn.Module, views: Sequence[View]) -> None:
        """The layer of the views that name none; if there is none, they rest and the others go on."""
        unnamed = [view.key for view in views if None in view.layers and view.key not in self.failures.resting]
        if self._layer is not None or not unnamed or self._images is None:
            return
        try:
            self._layer = choose_feature_map(pl_module, self._images, self._running(trainer)).layer
        except Exception as error:
            self.failures.rest(dict.fromkeys(unnamed, error), {})

    def _layers_of(self, views: Sequence[View]) -> dict[str, str]:
        named = {view.key: [self._layer if layer is None else layer for layer in view.layers] for view in views}
        return {key: ", ".join(repr(layer) for layer in layers if layer) for key, layers in named.items()}

    def _monitored_views(self) -> list[View]:
        """What a look that is only for numbers looks through."""
        key = None if self._images is None else lift_view(self._images, self._keys())
        return [view for view in self._all_views() if view.key == key]

    def _tags(self) -> tuple[str, ...]:
        return () if self.probe is None else monitored_tags(self.probe, self._keys())

    def _keys(self) -> list[str]:
        return [view.key for view in self._all_views()]

    def _keep(self, frame: Frame) -> None:
        self.film.add(frame)
        self._last = frame
        if PROBABILITIES in frame.notes:
            self.failures.say(PROBABILITIES)
        self._count(frame.seconds)
        with self.failures.surviving("storing a look for the tab"):
            self._store_frame(frame)
        if self._writers and is_spaced(self.film.count, self._drawn):
            with self.failures.surviving("drawing a look"):
                self._draw(frame)

    def _store_frame(self, frame: Frame) -> None:
        """Every look goes to the tab, whether it is drawn or not."""
        started = time.perf_counter()
        failures = self._store.add(frame, self._inputs)
        if failures:
            parts = ", ".join(map(repr, failures))
            self.failures.tell(f"of a look, {parts} could not be stored for the tab", next(iter(failures.values())))
        self._count({"storing": time.perf_counter() - started})

    def _draw(self, frame: Frame) -> None:
        assert self._inputs is not None  # a frame exists, so a probe does
        started = time.perf_counter()
        pictures = {f"{self._inputs.name}/{index}": card(frame, self._inputs, index) for index in range(len(frame.predicted))}
        shown = [self.film.frames[at] for at in thinned(len(self.film.frames), COLUMNS)]
        pictures |= {film_tag(self._inputs.name, key): strip(shown, self._inputs, key) for key in frame.maps}
        twins = twins_sheet(frame, self._inputs)
        pictures |= {} if twins is None else {"twins": twins}
        drawn = time.perf_counter()
        data = encoded(pictures)
        done = time.perf_counter()
        for writer in self._writers:
            write_pictures(writer, data, frame.log_step, descriptions(frame, self._inputs))
        self._drawn = self.film.count
        self._count({"drawing": drawn - started, "encoding": done - drawn, "writing": time.perf_counter() - done})

    def _count(self, seconds: Mapping[str, float]) -> None:
        for part, spent in seconds.items():
            self.seconds[part] = self.seconds.get(part, 0.0) + spent

    def _running(self, trainer: Any) -> Running:
        """Under ``*-mixed`` the weights are fp32, and so is the look; under ``*-true`` the Trainer's precision rules."""
        plugin = trainer.precision_plugin
        if "true" not in str(plugin.precision) or plugin.precision == "32-true":
            return Running(score=self.score, context=nullcontext)
        return Running(score=self.score, context=plugin.forward_context, convert=plugin.convert_input)

    # --- with whom --------------------------------------------------------------------------------------------------

    def _all_views(self) -> list[View]:
        return list({view.key: view for view in (*self.views, *self._joined)}.values())

    def _share(self, trainer: Any) -> None:
        """The first callback of a probe and a cadence takes over the views of the others."""
        self._joined, self._served = [], False
        for other in trainer.callbacks:
            if not isinstance(other, ProbeCallback):
                continue
            if other._shares_with(self):
                self._served = other is not self
                break
            if _name(other) == _name(self):
                raise ValueError(
                    f"two callbacks would write the pictures of the probe {_name(self)!r}: give them one probe and one cadence"
                    " to share a look, or their probes different names (Probe(..., name=...))"
                )
            both = sorted(set(self._tags()) & set(other._tags()))
            if both:
                raise ValueError(
                    f"the probes {_name(other)!r} and {_name(self)!r} would both log {both[0]!r}: only one probe of a Trainer"
                    " can have twins"
                )
        mine = [other for other in trainer.callbacks if isinstance(other, ProbeCallback) and other._shares_with(self)]
        self.monitor = next((other.monitor for other in mine if other.monitor != Monitor()), self.monitor)
        self._joined = [] if self._served else [view for other in mine[1:] for view in other.views]

    def _shares_with(self, other: ProbeCallback) -> bool:
        mine = (self.every_n_epochs, self.at_steps, self.score)
        return self.probe is other.probe and mine == (other.every_n_epochs, other.at_steps, other.score)

    # --- kept in checkpoints ----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The film so far."""
        film = _convert(self.film.state(), np.ndarray, torch.as_tensor)
        return {"film": film, "drawn": self._drawn, "monitor": self.monitor.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The film goes on where it stopped."""
        self.film = Film.from_state(_convert(state_dict["film"], torch.Tensor, lambda tensor: tensor.numpy()))
        self._drawn = int(state_dict["drawn"])
        self._last = self.film.frames[-1] if self.film.frames else None
        self.monitor.load_state_dict(state_dict["monitor"])


class SaliencyCallback(ProbeCallback):
    """Shows where a small change of the image would matter (K. Simonyan, A. Vedaldi, A. Zisserman, 2013).

    Args:
        probe: as `ProbeCallback`.
        target: the explained class: ``"predicted"``, ``"label"``, ``"runner_up"`` or an index.
        every_n_epochs: as `ProbeCallback`.
        at_steps: as `ProbeCallback`.
    """

    def __init__(
        self,
        probe: Probe | Callable[[], Probe] | None = None,
        target: Target = "predicted",
        *,
        every_n_epochs: int = 1,
        at_steps: Sequence[int] | None = None,
    ) -> None:
        super().__init__(probe, [saliency(target)], every_n_epochs=every_n_epochs, at_steps=at_steps)


class GradCAMCallback(ProbeCallback):
    """Shows where the evidence for the predicted class lies (R. R. Selvaraju et al., 2017, "Grad-CAM").

    Args:
        probe: as `ProbeCallback`.
        layer: dotted name of a layer that returns ``(N, K, h, w)``; None for the last feature map.
        target: the explained class: ``"predicted"``, ``"label"``, ``"runner_up"`` or an index.
        every_n_epochs: as `ProbeCallback`.
        at_steps: as `ProbeCallback`.
    """

    def __init__(
        self,
        probe: Probe | Callable[[], Probe] | None = None,
        layer: str | None = None,
        target: Target = "predicted",
        *,
        every_n_epochs: int = 1,
        at_steps: Sequence[int] | None = None,
    ) -> None:
        super().__init__(probe, [grad_cam(layer, target)], every_n_epochs=every_n_epochs, at_steps=at_steps)


def _moment(trainer: Any, moment: str, finished: int) -> dict[str, Any]:
    """Where in the training a frame stands. At the end of fit Lightning has already counted the last epoch.

    An epoch that is cut short (``max_steps``) is none: its last look is called by its step.
    """
    whole = ends_epoch(trainer)
    if moment in ("epoch", "validation"):
        epoch, named = trainer.current_epoch + whole, "epoch" if whole else moment.replace("epoch", "step")
    else:
        cut = moment == "end" and not whole
        epoch, named = trainer.current_epoch - cut, "step" if cut else moment
    return {"finished_steps": finished, "log_step": log_step(trainer, finished), "epoch": epoch, "moment": named}


def _probe_of(trainer: Any) -> Probe:
    """Images of the Trainer's own data, by index: no loader is iterated and no random stream is touched."""
    # Neither `or` nor `if`: the truth of a loader is its length, which iterable data do not have.
    loaders = trainer.train_dataloader if trainer.val_dataloaders in (None, [], ()) else trainer.val_dataloaders
    loader = loaders[0] if isinstance(loaders, (list, tuple)) else loaders
    try:
        return Probe.from_dataset(loader.dataset)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"no probe= was given, and none can be taken from the Trainer's data: {error}") from error


def _name(callback: ProbeCallback) -> str:
    return callback.probe.name if callback.probe else "probe"


def _convert(value: Any, kind: type, convert: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: _convert(item, kind, convert) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_convert(item, kind, convert) for item in value]
    return convert(value) if isinstance(value, kind) else value


def _warn(message: str) -> None:
    warnings.warn(f"lightning_vis: {message}", UserWarning, stacklevel=3)
