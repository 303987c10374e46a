"""Metrics in the Trainer's log, for EarlyStopping and ModelCheckpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from lightning_vis.attribution.views import View
from lightning_vis.callbacks.failures import warn
from lightning_vis.frames import Frame
from lightning_vis.model.answer.answer import Answer
from lightning_vis.probe.probe import Probe
from lightning_vis.reliance.alert import AMBER, OFF, RED, Alert, AlertState, Thresholds, advance
from lightning_vis.reliance.evaluate import can_ask
from lightning_vis.reliance.measures import BACKGROUND, OBJECT, SHARE, effects_of
from lightning_vis.reliance.sight import Sight
from lightning_vis.reliance.twin_verdict import verdict_of_twins
from lightning_vis.reliance.twins import Twins
from lightning_vis.reliance.verdict import TAGS as EXCHANGE_TAGS

OnAlert = Literal["warn", "stop"] | Callable[[Alert], Any]


ALERT = "reliance/alert"


AGE = "reliance/age"


TWIN_TAGS = (BACKGROUND, OBJECT, SHARE, ALERT)


@dataclass
class Monitor:
    """The monitored numbers of one fit: never missing, never NaN, and never old without its being said.

    Where a look gives no number, the last good one goes out again with a warning, and ``reliance/age`` counts the looks
    since; before the first good one it is 0 (chance, 1, for a lift).

    Attributes:
        on_alert: ``"warn"``, ``"stop"`` (a warning, and at red the training ends), or a function of an `Alert`.
        thresholds: of the alert.
        tags: what is monitored; set when fit starts.
        state: of the alert.
        values: what was logged last, by tag.
        age: looks since they were measured; None until a look has failed.
        told: the sentence with which this fit was stopped; "" if it was not.
    """

    on_alert: OnAlert = "warn"
    thresholds: Thresholds = field(default_factory=Thresholds)
    tags: tuple[str, ...] = ()
    state: AlertState = field(default_factory=AlertState)
    values: dict[str, float] = field(default_factory=dict)
    age: int | None = None
    told: str = ""
    _change: Alert | None = None

    def __post_init__(self) -> None:
        known = isinstance(self.on_alert, str) and self.on_alert in ("warn", "stop")
        if not known and not callable(self.on_alert):
            raise ValueError(f"on_alert={self.on_alert!r}: expected 'warn', 'stop' or a function of an Alert")

    def open(self, trainer: Any, tags: Sequence[str]) -> None:
        """A run begins: what is monitored, ages too from the first look on where something waits for them."""
        self.tags = tuple(tags)
        if any(key == AGE for _, key in waiting(trainer)):
            self.age = self.age or 0

    def judge(self, frame: Frame, at: float, total: float | None, sight: Sight) -> Frame:
        """Moves the alert by one look, and writes its level and the verdict into the frame.

        Args:
            frame: what the look found.
            at: how far the training is, as `progress` gives it.
            total: how long it will be.
            sight: what is known of the twins.
        """
        if TWIN_TAGS[0] not in frame.numbers or frame.task not in ALERTED:
            return frame
        seen, before = sight.measurement(frame, at, total), self.state
        self.state = advance(before, seen, self.thresholds)
        said = verdict_of_twins(seen, self.state, sight.answers(frame), self.thresholds, sight.named, sight.refusal)
        frame = replace(frame, numbers={**frame.numbers, ALERT: self.state.level}, verdict=said)
        if self.state.level != before.level:
            self._change = Alert(self.state.level, said.sentence, frame.epoch, dict(frame.numbers), said)
        return frame

    def seen(self, frame: Frame, sight: Sight) -> Frame:
        """The frame of a look outside of fit with what it alone saw of the twins: no alert is moved by it."""
        alone = Monitor(thresholds=self.thresholds).judge(frame, 0, None, sight)
        return replace(frame, verdict=alone.verdict)

    def publish(
        self,
        trainer: Any,
        pl_module: Any,
        frame: Frame | None,
        reason: str = "",
        beside: Mapping[str, float] = MappingProxyType({}),
        told: Sequence[Alert] = (),
    ) -> None:
        """Logs the monitored numbers on every rank; rank 0 knows them and hands them on.

        Args:
            trainer: its hook decides whether Lightning takes them for this validation or for this training epoch.
            pl_module: what is logged through.
            frame: what the look found, None if it failed.
            reason: why it failed.
            beside: numbers that go out with them, and say themselves how old they are.
            told: changes of another alert.
        """
        fresh = self._fresh({} if frame is None else frame.numbers, reason) if trainer.is_global_zero else None
        message = None if fresh is None else ({**fresh[0], **beside}, [*filter(None, fresh[1:]), *told])
        values, changes = trainer.strategy.broadcast(message) or ({}, ())  # one without others hands on what it is given
        if values:
            pl_module.log_dict(values, on_step=False, on_epoch=True, batch_size=1)
        for change in changes:
            self._tell(trainer, change)

    def state_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return {"alert": self.state.as_dict(), "values": dict(self.values), "age": self.age}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where a checkpoint stopped."""
        alert, values, age = AlertState.from_dict(state["alert"]), dict(state["values"]), state["age"]
        self.state, self.values, self.age = alert, values, age

    def _fresh(self, numbers: Mapping[str, float], reason: str) -> tuple[dict[str, float], Alert | None]:
        good = {tag: numbers[tag] for tag in self.tags if math.isfinite(numbers.get(tag, math.nan))}
        stale = [tag for tag in self.tags if tag not in good]
        if stale and not self.age:
            self._say_stale(stale, reason)
        if stale or self.age is not None:
            self.age = (self.age or 0) + 1 if stale else 0
        self.values = {tag: good.get(tag, self.values.get(tag, _neutral(tag))) for tag in self.tags}
        change, self._change = self._change, None
        return self.values if self.age is None else {**self.values, AGE: float(self.age)}, change

    def _say_stale(self, tags: list[str], reason: str) -> None:
        known = [tag for tag in tags if tag in self.values]
        which = "the last good values are" if known else "neutral values (an effect of 0, a lift of 1) are"
        warn(
            f"{', '.join(tags)} could not be measured ({reason or 'no map had any content'}): {which} logged instead,"
            f" and {AGE} counts the looks since"
        )

    def _tell(self, trainer: Any, change: Alert) -> None:
        stops = self.on_alert == "stop" and change.level == RED
        if stops:
            trainer.should_stop = True
        if not trainer.is_global_zero:
            return
        if callable(self.on_alert):
            _call(self.on_alert, change)
        else:
            ends = " The training stops here, because on_alert='stop'." if stops else ""
            self.told = change.sentence if stops else self.told
            warn(f"the alert is {LEVELS[change.level]}. {change.sentence}{ends}")


LEVELS = {OFF: "neither red nor amber any more", AMBER: "amber", RED: "red"}
"""Of an alert that has changed, in words; what that means says the verdict."""


def monitored_tags(probe: Probe, views: Sequence[View]) -> tuple[str, ...]:
    """The numbers that go through the log: those of the twins, and one lift where there are masks."""
    twins = TWIN_TAGS if probe.twins is not None else ()
    key = lift_view(probe, views)
    return twins if key is None else (*twins, _lift_of(key))


def tags_of(tags: Sequence[str], answer: Answer, twins: Twins | None, views: Sequence[View]) -> tuple[str, ...]:
    """Those of the monitored numbers that a task has: no alert of numbers whose thresholds nobody has calibrated.

    Args:
        tags: what the probe has numbers for.
        answer: what the output means.
        twins: those that the task is asked about.
        views: those through which it can be seen.
    """
    asked = twins is not None and can_ask(answer, twins)
    known = (*effects_of(answer.task), *([ALERT] if answer.task in ALERTED else [])) if asked else ()
    lifts = [_lift_of(view.key) for view in views]
    return tuple(tag for tag in tags if tag in (*known, *lifts))


ALERTED = ("multiclass", "binary", "multilabel")
"""Tasks for which the alert has thresholds."""


def waiting(trainer: Any) -> list[tuple[str, str]]:
    """Who waits for which number in a fit: callbacks, and schedulers that lower the rate where a number stays as it is."""
    if trainer.state.fn != "fit":
        return []
    schedulers = [each for each in trainer.lr_scheduler_configs if each.reduce_on_plateau]
    pairs = [*((other, getattr(other, "monitor", None)) for other in trainer.callbacks)]
    pairs += [(each.scheduler, each.monitor) for each in schedulers]
    return [(type(who).__name__, key) for who, key in pairs if isinstance(key, str)]


def refuse_missing(trainer: Any, tags: Sequence[str], left: Sequence[str], answer: Answer) -> None:
    """Refuses to train where something waits for a number that can never be there.

    Raises:
        ValueError: something monitors one of `tags` that is not `left`.
    """
    for who, key in waiting(trainer):
        if key in tags and key not in left:
            raise ValueError(
                f"{who} monitors {key!r}, which is never logged of a task that is {answer.task}:"
                f" monitor another number, or say task= if it is another task"
            )


def is_monitored(trainer: Any, tags: Sequence[str]) -> bool:
    """Whether something waits for one of these numbers."""
    return any(key in tags for _, key in waiting(trainer))


def refuse_unmeasured(trainer: Any, tags: Sequence[str], views: Sequence[View]) -> None:
    """Likewise, as far as the probes and the views tell it.

    Args:
        trainer: in fit.
        tags: what all its callbacks have numbers for.
        views: what is looked through.

    Raises:
        ValueError: something monitors a number of twins or of a map that no look logs.
    """
    own = [tag for tag in tags if tag not in EXCHANGE_TAGS]
    known = (*tags, AGE) if own else tags
    for who, key in waiting(trainer):
        if key.startswith((_OF_TWINS, _OF_MAPS)) and key not in known:
            raise ValueError(f"{who} monitors {key!r}, which is never logged: {_instead(key, own, views)}")


_OF_TWINS, _OF_MAPS = "reliance/", "attribution/"


def _instead(key: str, tags: Sequence[str], views: Sequence[View]) -> str:
    """What can be monitored, or what it takes."""
    prefix = _OF_TWINS if key.startswith(_OF_TWINS) else _OF_MAPS
    known = f"monitored are {', '.join(tags)}" if tags else ""
    if key in EXCHANGE_TAGS:
        return "it takes the exchange of surroundings, which exchange=False leaves out"
    if any(tag.startswith(prefix) for tag in tags):
        return known
    takes = _takes_twins() if prefix == _OF_TWINS else _takes_masks(key, views)
    return f"{takes}; {known}" if known else takes


def _takes_twins() -> str:
    return "it takes a probe with twins, as ProbeCallback(Probe(images, labels, masks)) has them"


def _takes_masks(key: str, views: Sequence[View]) -> str:
    """Of the views one has its lift logged."""
    own = _lift_view(views)
    what, given = ("", "") if own else (" and a view that each look has", ", [grad_cam()]")
    logged = _lift_of(own or "grad_cam")
    then = "" if key == logged else f": {logged!r} is logged then"
    return f"it takes a probe with masks{what}, as in ProbeCallback(Probe(images, labels, masks){given}){then}"


def lift_view(probe: Probe, views: Sequence[View]) -> str | None:
    """The view whose lift is logged: Grad-CAM, else the first that each look has; None without masks or such views."""
    return None if probe.masks is None else _lift_view(views)


def _lift_view(views: Sequence[View]) -> str | None:
    keys = [view.key for view in views if view.passes == 1]
    return None if not keys else "grad_cam" if "grad_cam" in keys else keys[0]


def _lift_of(key: str) -> str:
    return f"{_OF_MAPS}{key}/lift"


def progress(trainer: Any, epoch: int) -> tuple[float, float | None]:
    """How far a training is and how long it will be, in one unit: batches, steps or epochs; None where nobody knows.

    Args:
        trainer: in fit.
        epoch: finished epochs.
    """
    ways: list[tuple[float, float]] = []
    if trainer.max_steps is not None and trainer.max_steps > 0:
        ways.append((trainer.global_step, trainer.max_steps))
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        batches = trainer.num_training_batches * trainer.max_epochs
        known = batches and math.isfinite(batches)
        ways.append((trainer.fit_loop.epoch_loop.total_batch_idx + 1, batches) if known else (epoch, trainer.max_epochs))
    return max(ways, key=lambda way: way[0] / way[1]) if ways else (epoch, None)


def _neutral(tag: str) -> float:
    return 1.0 if tag.endswith("/lift") else 0.0


def _call(function: Callable[[Alert], Any], change: Alert) -> None:
    """Whatever the user's function does, the training goes on."""
    try:
        function(change)
    except Exception as error:
        warn(f"on_alert failed ({error}) when it was told: {change.sentence}")
