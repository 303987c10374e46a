"""When to look, and on what: the callbacks. The only file that imports Lightning."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn.parameter import is_lazy

from lightning_vis.alert import Thresholds
from lightning_vis.arguments import steps_of
from lightning_vis.budget import Budget
from lightning_vis.failures import Failures
from lightning_vis.film import Film
from lightning_vis.finding import Finder, loader_of
from lightning_vis.frames import Frame
from lightning_vis.gallery import Gallery
from lightning_vis.layers import find_layer
from lightning_vis.looking import TWINS, Attempt, Running, attempt_look, choose_feature_map, usual_views
from lightning_vis.monitoring import Monitor, OnAlert, lift_view, monitored_tags, progress
from lightning_vis.probe import Probe, given_probe
from lightning_vis.recording import INPUT
from lightning_vis.scores import Score, Target, log_odds
from lightning_vis.state import as_arrays, as_tensors
from lightning_vis.timing import ends_epoch, finished_steps, is_early, moment_of, precision_of, weights_looked_at, where
from lightning_vis.views import View, given_views, grad_cam, saliency
from lightning_vis.writing import image_writers

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


class ProbeCallback(Callback):
    """Looks at a fixed probe while the network trains, and leaves the training exactly as it was.

    Looks are taken at the start (the untrained network), after steps 1, 2, 4, 8, ... of the first epoch, and after every
    epoch (after its validation, if there is one); ``trainer.validate`` and ``trainer.test`` take one look each.

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
        images: draw cards, film strips and animations; the tab gets its frames in any case.
        loggers: ``"tensorboard"``, or ``"all"``: pictures go to every logger that takes images.
        on_validate: look in ``trainer.validate`` and ``trainer.test`` too.
        max_overhead: the share of the training time so far that all looks together may cost (or 60 seconds, whichever is
            more). Over it filters pause first, then pictures, then looks, and it is said.

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
        images: bool = True,
        loggers: str = "tensorboard",
        on_validate: bool = True,
        max_overhead: float = 0.01,
    ) -> None:
        super().__init__()
        if not isinstance(every_n_epochs, int) or every_n_epochs < 1:
            raise ValueError(f"every_n_epochs={every_n_epochs!r}: expected a whole number of at least 1")
        if loggers not in ("tensorboard", "all"):
            raise ValueError(f"loggers={loggers!r}: expected 'tensorboard' or 'all'")
        self.probe = given_probe(probe)
        self.views = given_views(usual_views() if views is None else views)
        self.every_n_epochs = every_n_epochs
        self.at_steps = None if at_steps is None else steps_of(at_steps, "at_steps")
        self.score = score
        self.failures = Failures(on_error)
        self.monitor = Monitor(on_alert, thresholds or Thresholds())
        self.budget = Budget(max_overhead)
        self.gallery = Gallery(self.failures, self.budget, images)
        self.loggers = loggers
        self.on_validate = on_validate
        self._joined: list[View] = []  # views of other callbacks that share this one's looks
        self._served = False  # another callback looks for this one
        self._failed = ""  # why the last look gave no numbers
        self._published = -1  # finished steps when numbers went out last
        self._images: Probe | None = None
        self._layer: str | None = None
        self._finder = Finder(self.probe)
        self._resumed: dict[str, Any] = {}  # the probe of the checkpoint that this run goes on from

    @property
    def film(self) -> Film:
        """The looks so far, at most 64 of them."""
        return self.gallery.film

    @property
    def seconds(self) -> dict[str, float]:
        """What looking has cost since the fit began, by part."""
        return self.budget.seconds

    @property
    def state_key(self) -> str:
        """Tells callbacks of one Trainer apart in a checkpoint."""
        return self._generate_state_key(
            probe=_name(self),
            views=[view.key for view in self.views],
            every_n_epochs=self.every_n_epochs,
            at_steps=self.at_steps,
        )

    # --- when -------------------------------------------------------------------------------------------------------

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Shares looks with the other callbacks of this probe."""
        if stage in ("fit", "validate", "test"):
            self._share(trainer)
            self._finder = Finder(self.probe)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Takes off what still watches, whatever ended the run."""
        self._finder.stop()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Likewise."""
        self._finder.stop()

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Refuses what cannot work, before anything is trained."""
        if not self._served:
            self._begin(trainer, pl_module)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Takes the probe and looks at the untrained network."""
        if self._served or not trainer.is_global_zero or not (self.gallery.writers or self.monitor.tags):
            return
        probe = self._finder.by_index(trainer, pl_module, self._running(trainer), self._resumed.get("indices"))
        if probe is not None:
            self._start(trainer, pl_module, probe)

    def _start(self, trainer: Any, pl_module: Any, probe: Probe) -> None:
        self._take(probe)
        if finished_steps(trainer, "start") == 0:
            self._look(trainer, pl_module, "start")
        self._announce(trainer)

    def on_validation_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Watches the first batch, where no images can be taken by index."""
        self._watch(trainer, pl_module, batch)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Takes what was watched."""
        self._find(trainer, pl_module)

    def on_test_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """As in validation."""
        self._watch(trainer, pl_module, batch)

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """As in validation."""
        self._find(trainer, pl_module)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """As in validation, where there was none."""
        self._watch(trainer, pl_module, batch)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Looks at the untrained network, if the first batch has only now told how: its weights are still untouched."""
        self._find(trainer, pl_module)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Looks after early steps; the last batch of an epoch that is looked at is left to that look."""
        self._find(trainer, pl_module)  # if no step was taken: gradients are accumulated
        finished = finished_steps(trainer, "step")
        left = ends_epoch(trainer) and self._due(trainer)
        if is_early(finished, self.at_steps, trainer.current_epoch) and not left:
            self._look(trainer, pl_module, "step")

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Looks after a validation, inside fit or alone."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._look_and_publish(trainer, pl_module, "validation")
        elif trainer.state.fn == "validate":
            self._look_alone(trainer, pl_module, "validate")

    def on_test_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Looks after a test."""
        self._look_alone(trainer, pl_module, "test")

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Looks after an epoch that no validation ended."""
        self._look_and_publish(trainer, pl_module, "epoch")

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Looks at the finished network, if no look has seen it, and leaves what is to be taken along."""
        self._look(trainer, pl_module, "end")
        if not self._served and self._images is not None:
            for path in self.gallery.finish():
                _log(trainer, f"what happened, in one picture: {path}")

    def _due(self, trainer: Any) -> bool:
        return bool((trainer.current_epoch + 1) % self.every_n_epochs == 0)

    def _begin(self, trainer: Any, pl_module: Any) -> None:
        for layer in {layer for view in self._all_views() for layer in view.layers if layer not in (None, INPUT)}:
            find_layer(pl_module, str(layer))
        self.failures.forget()
        self.budget.start()
        self._layer = None
        self._published = -1
        self.monitor.tags = self._tags()
        self.gallery.open(image_writers(trainer.loggers, self.loggers) if trainer.is_global_zero else [])
        if not self.gallery.writers and not self.monitor.tags and trainer.is_global_zero:
            given = ", ".join(type(logger).__name__ for logger in trainer.loggers) or "none"
            _warn(f"no logger of this Trainer takes images (loggers: {given}), so nothing is shown: add a TensorBoardLogger")

    def _take(self, probe: Probe) -> None:
        self._images = probe
        self.gallery.inputs = probe.inputs()
        known, self._resumed = self._resumed, {}
        if known and known["fingerprint"] != probe.fingerprint:
            self.failures.say(
                f"this run goes on with other images in the probe {probe.name!r} than those in its checkpoint:"
                " earlier looks of the film show the ones, later looks the others"
            )

    def _watch(self, trainer: Any, pl_module: nn.Module, batch: Any) -> None:
        alone = trainer.state.fn != "fit"
        if self._served or not trainer.is_global_zero or not (alone or self.gallery.writers or self.monitor.tags):
            return
        with self.failures.surviving("watching the first batch"):
            indices = self._resumed.get("indices")
            if self._finder.by_index(trainer, pl_module, self._running(trainer), indices) is None:
                self._finder.start(pl_module, batch)

    def _find(self, trainer: Any, pl_module: Any) -> None:
        with self.failures.surviving("finding images to look at"):
            probe = self._finder.finish(trainer)
            if probe is not None and trainer.training:
                self._start(trainer, pl_module, probe)

    def _announce(self, trainer: Any) -> None:
        """The one line that is said where nothing is wrong."""
        if self._images is None or not self.gallery.writers:
            return
        layer = f" at layer {self._layer!r}" if self._layer else ""
        layer += f" of the submodule {self._finder.entry.name!r}" if self._finder.entry else ""
        keys = ", ".join(self._keys())
        _log(trainer, f"{len(self._images)} images ({keys}){layer}; see them with: tensorboard --logdir {where(trainer)}")

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
        last = self.gallery.last
        if last is not None and last.finished_steps == finished and not self._is_new_average(trainer, last, moment):
            return last
        if moment not in ("start", "end") and self._pauses("looks", trainer):
            numbers_only = True  # what is monitored is measured all the same
            if not self.monitor.tags:
                return None
        started = self.budget.spent
        attempt = self._attempt(trainer, pl_module, self._monitored_views() if numbers_only else self._all_views())
        if attempt.frame is None:
            return None
        frame = replace(attempt.frame, **moment_of(trainer, self, moment, finished))
        shown = self._images.twins.shown if self._images.twins is not None else 1
        if moment not in ("validate", "test"):
            frame = self.monitor.judge(frame, *progress(trainer, frame.epoch), shown)
        if not numbers_only:
            self._keep(trainer, frame, started)
        return frame

    def _keep(self, trainer: Any, frame: Frame, spent_before: float) -> None:
        self.gallery.keep(frame, has_time=not self._pauses("pictures", trainer))
        self.gallery.write_seconds(frame, self.budget.spent - spent_before)

    def _pauses(self, kind: str, trainer: Any) -> bool:
        """Whether the budget is used up for this kind of work; said once."""
        refusal = self.budget.refusal(kind, trainer.callbacks)
        if refusal:
            self.failures.say(refusal)
        return bool(refusal)

    def _look_alone(self, trainer: Any, pl_module: Any, moment: str) -> None:
        """One look in ``trainer.validate`` or ``trainer.test``."""
        if self._served or not self.on_validate:
            return
        self._begin(trainer, pl_module)
        if self.gallery.writers:
            self.gallery.last = None  # it may be another network than the one seen last
            probe = self._finder.by_index(trainer, pl_module, self._running(trainer))
            if probe is None:
                return
            self._take(probe)
            self._look(trainer, pl_module, moment)

    def _is_new_average(self, trainer: Any, last: Frame, moment: str) -> bool:
        """Whether another callback has left an average of weights in the finished network that no look has seen."""
        return moment == "end" and last.weights == "raw" and weights_looked_at(trainer, self, moment) == "averaged"

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

    def _running(self, trainer: Any) -> Running:
        context, convert = precision_of(trainer)
        return Running(self._finder.entry, self.score, context, convert)

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
        probe = self._images
        known = {} if probe is None else {"fingerprint": probe.fingerprint, "indices": probe.indices and [*probe.indices]}
        return {**as_tensors(self.gallery.state()), "monitor": self.monitor.state_dict(), "probe": known}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The film goes on where it stopped."""
        self.gallery.load(as_arrays(state_dict))
        self.monitor.load_state_dict(state_dict["monitor"])
        self._resumed = dict(state_dict.get("probe", {}))


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


def _probe_of(trainer: Any) -> Probe:
    """Images of the Trainer's own data, by index: no loader is iterated and no random stream is touched."""
    try:
        return Probe.from_dataset(loader_of(trainer).dataset)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"no probe= was given, and none can be taken from the Trainer's data: {error}") from error


def _name(callback: ProbeCallback) -> str:
    return callback.probe.name if callback.probe else "probe"


def _log(trainer: Any, message: str) -> None:
    """Says something where Lightning says such things."""
    package = type(trainer).__module__.partition(".trainer")[0]
    logging.getLogger(f"{package}.lightning_vis").info(f"lightning_vis: {message}")


def _warn(message: str) -> None:
    warnings.warn(f"lightning_vis: {message}", UserWarning, stacklevel=3)
