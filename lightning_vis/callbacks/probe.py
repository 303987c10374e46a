"""ProbeCallback: looks at a fixed probe while a network trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lightning_vis.arguments import plain, steps_of
from lightning_vis.attribution.pipeline import usual_views
from lightning_vis.attribution.views import View, given_views, grad_cam, saliency
from lightning_vis.callbacks.base import LookCallback
from lightning_vis.callbacks.failures import log
from lightning_vis.callbacks.groups import asked_of, refuse_clashes, settings_of, sharers
from lightning_vis.callbacks.monitor import (
    Monitor,
    OnAlert,
    is_monitored,
    monitored_tags,
    refuse_missing,
    refuse_unmeasured,
    tags_of,
)
from lightning_vis.callbacks.schedule import begins_anew, ends_epoch, is_due, is_early
from lightning_vis.callbacks.session.exchange_looks import TASKS
from lightning_vis.callbacks.session.map_looks import MapLooks
from lightning_vis.callbacks.session.run_folder import shown_with
from lightning_vis.callbacks.session.session import Session
from lightning_vis.callbacks.settings import FEW, Images, Settings, thresholds_of
from lightning_vis.callbacks.trainer import finished_steps, looks_here, moment_of, refusal_of, weights_looked_at
from lightning_vis.constants import INPUT
from lightning_vis.film import Film
from lightning_vis.frames import Frame
from lightning_vis.model.answer.words import words_of
from lightning_vis.model.layers import find_layer
from lightning_vis.model.scores import Score, Target
from lightning_vis.model.site.site import split
from lightning_vis.probe.probe import Probe
from lightning_vis.probe.source.source import Asked, choice_of
from lightning_vis.reliance.alert import Thresholds
from lightning_vis.reliance.verdict import TAGS as EXCHANGE_TAGS


class ProbeCallback(LookCallback):
    """Looks at a fixed probe while the network trains, and leaves the training exactly as it was.

    Looks are taken at the start (the untrained network), after steps 1, 2, 4, 8, ... of the first epoch, and after every
    epoch (after its validation, if there is one); ``trainer.validate`` and ``trainer.test`` take one look each.

    Args:
        probe: the images, a function that returns them, or the name under which the datamodule has them, an attribute or a
            method; None takes some from the Trainer's validation data (else its training data), by index.
        views: what to look through, views or functions that return one; evidence, Grad-CAM and saliency if None.
        every_n_epochs: look after every so many epochs.
        at_steps: look after these optimizer steps too; None for 1, 2, 4, 8, ... within the first epoch, () for none.
        task: what the output means, a name of `lightning_vis.model.answer.answer.TASKS`; None: it is read from the first
            batch, and said. This and the four below are never overruled.
        head: where in the output the answer is, a key, an index, or "a.b"; None: what meets the first loss. A list shows
            several heads in one film: the first one as ever, with its twins, numbers and alert; of the others answers and
            maps. The words beside it are the first one's then, or lists with one for each.
        component: which of several numbers is explained; None: the one farthest off after the first epoch.
        labels_at: where in the batch the labels are, "targets.age" or 1.
        unit: of the number, "years".
        class_names: of the images that are taken by itself, by class index; None: those of the data.
        mean: of their normalisation, per channel, undone for the pictures; None: that of the data.
        std: likewise.
        n: how many images are taken.
        choose: ``"mistakes"`` or ``"unsure"``: the images that the network gets most wrong or is least sure of as it is when
            the fit starts; they are kept then, in checkpoints too. Of an untrained network that says little.
        score: ``(output, classes) -> (N,)``, the number that is explained; None: that of the task.
        on_error: what happens when something fails while looking: ``"warn"`` says so once per fit and the training goes on,
            ``"raise"`` stops it.
        on_alert: what happens when the alert changes, that of twins, or of the exchange where its numbers go through the log:
            ``"warn"``; ``"stop"``, which also ends the training when it turns red; or a function of a
            `lightning_vis.reliance.alert.Alert`.
        thresholds: when the alert turns amber or red.
        images: what is drawn beside the tab, which gets its frames in any case. ``"few"``: at ever wider moments (looks 1,
            6, 15, 38, 95, ...) and at the end a strip of each view and two cards, as small as the Images tab shows them;
            True: at looks 1 to 16 and then ever fewer cards, strips and twins in full size; False: nothing, and no films.
        loggers: ``"all"``: pictures go to every logger that takes images (`lightning_vis.events.loggers.WAYS`); or
            ``"tensorboard"`` alone. Frames and films lie in the run's folder whatever loggers there are, and where none has
            one, in ``default_root_dir/lightning_vis/<n>``.
        on_validate: look in ``trainer.validate`` and ``trainer.test`` too.
        max_overhead: the share of the training time so far that all looks together may cost (or 60 seconds, whichever is
            more). Over it filters pause first, then pictures, then looks, and it is said.
        exchange: whether the numbers of the exchange go through the log: of 48 to 96 labelled images what surrounds the
            object is exchanged with that of others, at spaced looks, and the network is asked again. None: they go through
            the log where something monitors one of them, and are said in `Frame.verdict` in any case; False: nothing is
            exchanged.
        boxes: a file of boxes around objects in place of cut-outs, as `lightning_vis.probe.box_file.write_boxes` leaves it:
            they are found by what the images show.

    Where the probe has masks and labels of several classes, these numbers go through the Trainer's log at the end of
    every epoch (and of every validation in between), and can be monitored: ``reliance/background_effect``,
    ``reliance/object_effect``, ``reliance/background_share``, ``reliance/alert``, ``attribution/grad_cam/lift``. Those of the
    exchange take labels alone: ``reliance/surroundings_effect``, ``_share``, ``_effect_error``, ``_alert``, ``_measured`` (0
    before the first one) and ``_age`` (epochs and validations that ended since).

    Raises:
        ValueError: arguments out of range, or, when fit starts, layers that do not exist, data that no probe can be taken
            from, two callbacks that would write the same pictures.
    """

    def __init__(
        self,
        probe: Probe | Callable[[], Probe] | str | None = None,
        views: Sequence[View | Callable[[], View]] | None = None,
        *,
        every_n_epochs: int = 1,
        at_steps: Sequence[int] | None = None,
        task: str | Sequence[str | None] | None = None,
        head: str | int | Sequence[str | int] | None = None,
        component: int | Sequence[int | None] | None = None,
        labels_at: str | int | Sequence[str | int | None] | None = None,
        unit: str | Sequence[str] = "",
        class_names: Sequence[str] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        n: int = 8,
        choose: str | None = None,
        score: Score | None = None,
        on_error: str = "warn",
        on_alert: OnAlert = "warn",
        thresholds: Thresholds | None = None,
        images: Images = FEW,
        loggers: str = "all",
        on_validate: bool = True,
        max_overhead: float = 0.01,
        exchange: bool | None = None,
        boxes: str | Path | None = None,
    ) -> None:
        views, task, head, component, labels_at, unit = map(plain, (views, task, head, component, labels_at, unit))
        settings = Settings(
            on_error=on_error,
            max_overhead=max_overhead,
            loggers=loggers,
            images=images,
            on_validate=on_validate,
            on_alert=on_alert,
            thresholds=thresholds_of(plain(thresholds)),
            exchange=exchange,
            boxes=None if boxes is None else str(boxes),
        )
        choice = choice_of(probe, n, choose, class_names, mean, std)
        words, *others = words_of(task, head, component, labels_at, unit)
        super().__init__(probe, settings, "looks", Asked(words, choice, score is not None, tuple(others)))
        self._head = head
        if self.probe is not None:
            self.probe.check_heads(head)
        if not isinstance(every_n_epochs, int) or every_n_epochs < 1:
            raise ValueError(f"every_n_epochs={every_n_epochs!r}: expected a whole number of at least 1")
        self.views = given_views(usual_views() if views is None else views)
        self.every_n_epochs = every_n_epochs
        self.at_steps = None if at_steps is None else steps_of(at_steps, "at_steps")
        self.score = score
        self.monitor = Monitor(on_alert, settings.thresholds)
        self.looks = MapLooks(self.session, score)
        self._common = settings  # with those of the callbacks that share the looks
        self._all_views = self.views  # likewise
        self._leader = self  # who looks for this one
        self._tried = -1  # finished steps when a look within an epoch was tried last
        self._published = -1  # finished steps when numbers went out last

    @property
    def film(self) -> Film:
        """The looks so far, at most 64 of them."""
        return self._leader.session.logger.film

    @property
    def _served(self) -> bool:
        return self._leader is not self

    @property
    def probe_name(self) -> str:
        """What stands before the tags of its pictures."""
        return self.probe.name if self.probe else "probe"

    def fetch(self, trainer: Any) -> None:
        """Likewise, with labels of every head that is looked at."""
        super().fetch(trainer)
        if self.named is not None and self.probe is not None:
            self.probe.check_heads(self._head)

    @property
    def tags(self) -> tuple[str, ...]:
        """The numbers that go through the Trainer's log."""
        return () if self.probe is None else monitored_tags(self.probe, self._all_views)

    @property
    def state_key(self) -> str:
        """Tells callbacks of one Trainer apart in a checkpoint."""
        head = {} if self.asked is None or self.asked.words.head is None else {"head": self.asked.words.head}
        return self._generate_state_key(
            probe=self.named or self.probe_name,  # a state is known by the name that is known before there are data
            views=[view.key for view in self.views],
            every_n_epochs=self.every_n_epochs,
            at_steps=self.at_steps,
            **head,
        )

    # --- when -------------------------------------------------------------------------------------------------------

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Shares looks with the other callbacks of this probe: the first takes over the views of the others."""
        if stage not in ("fit", "validate", "test"):
            return
        probes = [other for other in trainer.callbacks if isinstance(other, ProbeCallback)]
        if self is probes[0]:  # who shares a look is told by the images
            for each in probes:
                each.fetch(trainer)
        refuse_clashes(self, probes)
        self.session.asked = asked_of(self, probes)
        group = sharers(self, probes)
        self._leader = group[0]
        self._all_views = list({view.key: view for other in group for view in other.views}.values())
        self.looks.neighbours = 0  # filters beside this one say more when fit starts
        is_new = stage == "fit" and begins_anew(trainer)
        if is_new:
            self.looks.load({})  # what was explained belongs to the run before
            self.looks.exchanges.load({})
        self._settle(settings_of(group), is_new)
        self.session.prepare(trainer, is_new)
        self._tried = -1

    def _settle(self, settings: Settings, is_new: bool) -> None:
        """Whoever looks for several callbacks looks as any of them has asked for."""
        self._common, self.looks.images = settings, settings.images
        self.failures.on_error, self.budget.max_overhead = settings.on_error, settings.max_overhead
        before = Monitor() if is_new else self.monitor
        self.monitor = replace(before, on_alert=settings.on_alert, thresholds=settings.thresholds, told="")

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Refuses what cannot work, before anything is trained."""
        if not self._served:
            self._begin(trainer, pl_module)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Looks after early steps; the last batch of an epoch that is looked at is left to that look."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        finished = finished_steps(trainer, "step")
        left = ends_epoch(trainer) and is_due(trainer, self.every_n_epochs)
        if is_early(finished, self.at_steps, trainer.current_epoch) and not left:
            with self._awaited(trainer):
                self._look(trainer, pl_module, "step")

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        """Says that nothing is looked at."""
        log(trainer, "trainer.predict is not looked at: trainer.validate and trainer.test are")

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
        with self._awaited(trainer):
            self._look(trainer, pl_module, "end")
            self._finish(trainer)

    def _finish(self, trainer: Any) -> None:
        """Says what was found, and leaves what is to be taken along."""
        if not self._served and self.session.probe is not None:
            self._say_verdict(trainer)
            left = self.looks.finish(trainer)
            for path in left.summaries:
                log(trainer, f"what happened, in one picture: {path}")
            if left.sheets:
                log(trainer, f"sheets of the last look: {', '.join(left.sheets)}")
        self._leave_page(trainer)

    def _say_verdict(self, trainer: Any) -> None:
        """The verdict that stands, without what the warning said that stopped the training, and when it was found if not last."""
        found, last = self.looks.spoken, self.session.logger.last
        if found is None or found.verdict is None:
            return
        is_last = last is not None and last.finished_steps == found.finished_steps
        sentence = found.verdict.sentence.removeprefix(self.monitor.told).lstrip()
        if sentence:
            log(trainer, sentence if is_last else f"{found.when}: {sentence}")

    def _may_look(self, trainer: Any) -> bool:
        """Whether this callback looks for itself, in this process, and somebody wants to know."""
        if self._served or not looks_here(trainer):
            return False
        if trainer.state.fn != "fit":
            return self._common.on_validate
        return bool(self.session.logger.is_open or self.monitor.tags or self._exchange_tags(trainer))

    # --- what -------------------------------------------------------------------------------------------------------

    def _begin(self, trainer: Any, pl_module: Any) -> None:
        for layer in {layer for view in self._all_views for layer in view.layers if layer not in (None, INPUT)}:
            find_layer(pl_module, split(str(layer))[0])
        self._published = -1
        self.monitor.open(trainer, self.tags)
        measured = [tag for each in trainer.callbacks if isinstance(each, ProbeCallback) for tag in each.tags]
        exchanged = EXCHANGE_TAGS if exchanger_of(trainer.callbacks) else ()
        refuse_unmeasured(trainer, [*measured, *exchanged], self._all_views)
        self.looks.open(self._all_views)
        is_on, is_asked = exchanger_of(trainer.callbacks) is self, bool(self._exchange_tags(trainer))
        self.looks.exchanges.open(is_on=is_on, is_asked=is_asked, boxes=self._common.boxes)
        self._open(trainer, self._common.loggers)

    def _start(self, trainer: Any, module: nn.Module, probe: Probe, moment: str = "start") -> None:
        """The probe is known: the first look, and the one line that is said where nothing is wrong."""
        self.session.take(probe)
        self._settle_task(trainer, module)
        finished = finished_steps(trainer, moment)
        is_untrained = finished == 0
        # The first step of lazy layers was over before there was anything to look at, and nothing has changed since.
        is_late = self._waits and is_early(finished, self.at_steps, trainer.current_epoch)
        is_unseen = self.session.logger.last is None  # a fit that goes on, and no look has seen what it goes on from
        seen = self._look(trainer, module, "start") if is_untrained or is_late or is_unseen else None
        if self.session.logger.is_open and not trainer.fast_dev_run and (seen is not None or not is_untrained):
            log(trainer, f"{self.looks.summary()}; {shown_with(trainer)}. {self.looks.reading()}".rstrip(". "))

    def _settle_task(self, trainer: Any, module: nn.Module) -> None:
        """What is looked through and monitored, now that it is known what the network answers."""
        answer = self.session.answer
        self.session.check_labels(trainer, module)
        self.session.refuse_words(trainer, module)
        self.looks.settle(answer)
        probe = self.session.probe
        tags = tags_of(self.monitor.tags, answer, None if probe is None else probe.twins_for(answer), self.looks.views)
        refuse_missing(trainer, self.monitor.tags, tags, answer)
        refuse_missing(trainer, EXCHANGE_TAGS, EXCHANGE_TAGS if answer.task in TASKS else (), answer)
        self.monitor.tags = tags

    def _look_and_publish(self, trainer: Any, pl_module: Any, moment: str) -> None:
        """Numbers are measured and logged at every epoch and validation; `every_n_epochs` thins the pictures."""
        finished = finished_steps(trainer, moment)
        if self._served or self._published == finished or trainer.barebones:
            return
        self._published = finished
        with self._awaited(trainer):
            frame = self._look(trainer, pl_module, moment, numbers_only=not is_due(trainer, self.every_n_epochs))
        exchanges = self.looks.exchanges
        beside, told = (exchanges.numbers(), exchanges.told()) if self._exchange_tags(trainer) else ({}, ())
        self.monitor.publish(trainer, pl_module, frame, self.looks.failed, beside, told)

    def _exchange_tags(self, trainer: Any) -> tuple[str, ...]:
        """The numbers of the exchange, where they go through the log."""
        is_logged = bool(self._common.exchange) or is_monitored(trainer, EXCHANGE_TAGS)
        return EXCHANGE_TAGS if is_logged and exchanger_of(trainer.callbacks) is self else ()

    def _look(self, trainer: Any, pl_module: nn.Module, moment: str, *, numbers_only: bool = False) -> Frame | None:
        """One look, if the network has changed since the last one; what it found, None if it failed or is not ours."""
        if self._served or not self.looks.can_see(pl_module):
            return None
        finished = finished_steps(trainer, moment)
        last = self.session.logger.last
        if last is not None and last.finished_steps == finished and not self._is_worth_another(trainer, last, moment):
            return last
        is_over = self._pauses(trainer, moment)
        if is_over and self.budget.is_limited:
            self.looks.failed = "the time limit of the training leaves no time for it"
            return None
        numbers_only |= is_over
        again = moment == "step" and finished == self._tried  # gradients are accumulated
        self._tried = finished
        if again or (numbers_only and (moment == "step" or not self.monitor.tags)):
            return None
        when = moment_of(trainer, self, moment, finished)
        with self._lent(trainer, pl_module) as is_whole:
            look = partial(self.looks.look, trainer, pl_module, self.monitor, when, numbers_only=numbers_only)
            return look() if is_whole else None

    def _pauses(self, trainer: Any, moment: str) -> bool:
        """Whether there is no time for a look; the first and the last are taken, but for a training whose time is limited."""
        if moment in ("start", "end") and not self.budget.is_limited:
            return False
        return self.session.pauses("looks", trainer, self.looks.seconds)

    def _look_alone(self, trainer: Any, pl_module: Any, moment: str) -> None:
        """One look in ``trainer.validate`` or ``trainer.test``."""
        if self._served or not self._common.on_validate:
            return
        self._begin(trainer, pl_module)
        self.session.logger.last = None  # it may be another network than the one seen last
        with self._awaited(trainer):
            if self.session.logger.is_open and not refusal_of(trainer):
                with self._lent(trainer, pl_module) as is_whole:
                    if is_whole:
                        self._see(trainer, pl_module, moment)

    def _see(self, trainer: Any, pl_module: Any, moment: str) -> None:
        probe = self.session.probe or self._find(trainer, pl_module)
        if probe is not None:
            self.session.take(probe)
            self._settle_task(trainer, pl_module)
            self._look(trainer, pl_module, moment)

    def _is_worth_another(self, trainer: Any, last: Frame, moment: str) -> bool:
        """Whether the finished network is looked at once more, though a look has seen it."""
        return self._is_new_average(trainer, last, moment) or (moment == "end" and self.looks.owes(trainer, last))

    def _is_new_average(self, trainer: Any, last: Frame, moment: str) -> bool:
        """Whether another callback has left an average of weights in the finished network that no look has seen."""
        return moment == "end" and last.weights == "raw" and weights_looked_at(trainer, self, moment) == "averaged"

    # --- kept in checkpoints ----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The film so far, and what is compared with it later."""
        common = {**self.session.state(), "monitor": self.monitor.state_dict(), "by_channel": _by_channel(self.session)}
        return {**common, "chosen": self.looks.state(), "exchange": self.looks.exchanges.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The film goes on where it stopped."""
        with self.failures.reading("the state of the alert"):
            self.monitor.load_state_dict(state_dict["monitor"])
        self.session.load(state_dict)
        with self.failures.reading("what is explained"):
            self.looks.load(state_dict.get("chosen", {}))
        with self.failures.reading("what was exchanged"):
            self.looks.exchanges.load(state_dict.get("exchange", {}))
        with self.failures.reading("what channels follow"):
            self._take_back(state_dict.get("by_channel", {}))

    def _take_back(self, by_channel: dict[str, torch.Tensor]) -> None:
        last = self.session.logger.last
        if last is not None:
            numbers = {tag: values.numpy() for tag, values in by_channel.items()}
            self.session.logger.last = replace(last, per_image={**last.per_image, **numbers})


def exchanger_of(callbacks: Sequence[Any]) -> ProbeCallback | None:
    """The one callback of a Trainer that exchanges: the first that was asked to, else the first that may."""
    leaders = [each for each in callbacks if isinstance(each, ProbeCallback) and not each._served]
    may = [each for each in leaders if each._common.exchange is not False]
    return next((each for each in may if each._common.exchange), may[0] if may else None)


def _by_channel(session: Session) -> dict[str, torch.Tensor]:
    """Numbers of the last look that belong to channels and not to images: a film does not keep them."""
    last = session.logger.last
    found = {} if last is None else {tag: each for tag, each in last.per_image.items() if len(each) != len(last.predicted)}
    return {tag: torch.as_tensor(np.asarray(each)) for tag, each in found.items()}


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
        probe: Probe | Callable[[], Probe] | str | None = None,
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
        layer: dotted name of a layer that holds the image's grid (maps, channels last, tokens), or ``"avgpool:input"`` for
            what enters one; None for the last bottleneck.
        target: the explained class: ``"predicted"``, ``"label"``, ``"runner_up"`` or an index.
        every_n_epochs: as `ProbeCallback`.
        at_steps: as `ProbeCallback`.
    """

    def __init__(
        self,
        probe: Probe | Callable[[], Probe] | str | None = None,
        layer: str | None = None,
        target: Target = "predicted",
        *,
        every_n_epochs: int = 1,
        at_steps: Sequence[int] | None = None,
    ) -> None:
        super().__init__(probe, [grad_cam(layer, target)], every_n_epochs=every_n_epochs, at_steps=at_steps)
