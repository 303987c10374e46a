"""The alert: amber and red, from the twins' numbers of several looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lightning_vis.frames import Verdict
from lightning_vis.reliance.metrics import background_share

OFF, AMBER, RED = 0.0, 0.5, 1.0


@dataclass(frozen=True)
class Thresholds:
    """When the alert is amber or red: both numbers reached, with one sign, at every look over `apart` of the training.

    They are those of all objects; red is also where those of the six or more of one class are: it may live on the background
    while the others do not.
    The values were set on small networks with two classes; they are starting points.

    Attributes:
        red_effect: least magnitude of the background effect.
        red_share: least background share.
        amber_effect: as `red_effect`.
        amber_share: as `red_share`.
        apart: how much of the training lies between the first and the last of these looks at least, 0..1; two or more.
    """

    red_effect: float = 0.25
    red_share: float = 0.5
    amber_effect: float = 0.2
    amber_share: float = 0.25
    apart: float = 0.05

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"Thresholds({name}={value!r}): expected a number in 0..1")
        for red, amber in (("red_effect", "amber_effect"), ("red_share", "amber_share")):
            if getattr(self, red) < getattr(self, amber):
                given = f"{red}={getattr(self, red)!r}, {amber}={getattr(self, amber)!r}"
                raise ValueError(f"Thresholds({given}): red begins below amber; raise the one or lower the other")


@dataclass(frozen=True)
class ClassEffect:
    """What one look saw of the twins of one class.

    Attributes:
        label: the class.
        effect: how much of its own class's probability an object loses away from the background that is typical of it; where
            that is not known the background effect.
        object_effect: the object effect.
        objects: how many different ones there are.
    """

    label: int
    effect: float
    object_effect: float
    objects: int

    @property
    def share(self) -> float:
        """The background's part of both."""
        return background_share(self.effect, self.object_effect)


@dataclass(frozen=True)
class Measurement:
    """What one look saw of the twins.

    Attributes:
        effect: the background effect.
        object_effect: the object effect.
        share: the background share.
        epoch: finished epochs.
        at: how far the training is, in batches, steps or epochs.
        total: how long it will be, in the same unit; None if nobody knows: then `at` is in epochs.
        control: the paste control, if there is one.
        telling: the objects whose answer moved most, counted from 0.
        objects: how many objects there are.
        different: how many of them are not another one over again; None: all.
        classes: each class with enough different objects.
        when: the moment in a reader's words, as `Frame.when`.
    """

    effect: float
    object_effect: float
    share: float
    epoch: int
    at: float = 0
    total: float | None = None
    control: float | None = None
    telling: tuple[int, ...] = ()
    objects: int = 0
    different: int | None = None
    classes: tuple[ClassEffect, ...] = ()
    when: str = ""

    def worst(self) -> ClassEffect | None:
        """The class that the background moves most."""
        return max(self.classes, key=lambda each: abs(each.effect), default=None)


@dataclass(frozen=True)
class Run:
    """Looks in a row that reached a level with one sign: where they began."""

    sign: int
    epoch: int
    at: float
    when: str = ""

    @property
    def beginning(self) -> str:
        """The moment in words; checkpoints of before 0.1 know its epoch alone."""
        return self.when or f"epoch {self.epoch}"


@dataclass(frozen=True)
class AlertState:
    """The level (0, 0.5, 1), and since when the conditions of red and amber hold of all objects, those of red of each class."""

    level: float = OFF
    red: Run | None = None
    amber: Run | None = None
    classes: tuple[tuple[int, Run | None], ...] = ()

    def since(self) -> str:
        """The look, in words, from which on each one found what the level says; "" where it says nothing."""
        runs = [self.red, *(red for _, red in self.classes)] if self.level == RED else [self.amber]
        known = [run for run in runs if run is not None] if self.level != OFF else []
        return min(known, key=lambda run: run.at).beginning if known else ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> AlertState:
        """The inverse of `as_dict`."""
        classes = tuple((int(each), _run(red)) for each, red in state.get("classes", ()))
        return cls(float(state["level"]), _run(state["red"]), _run(state["amber"]), classes)


@dataclass(frozen=True)
class Alert:
    """A change of the alert, as it is handed to ``on_alert``.

    Attributes:
        level: 0 (no longer red or amber), 0.5 (amber) or 1 (red).
        sentence: what was seen, in plain words: that of the verdict.
        epoch: finished epochs.
        numbers: all numbers of this look, by tag.
        verdict: of the experiment whose alert has changed, with the pictures that show it.
    """

    level: float
    sentence: str
    epoch: int
    numbers: dict[str, float]
    verdict: Verdict | None = None


def advance(state: AlertState, seen: Measurement, thresholds: Thresholds) -> AlertState:
    """The state after one more look. Looks before the end of the first epoch do not count."""
    if seen.epoch < 1:
        return replace(state, level=OFF)
    before = dict(state.classes)
    red, amber = (
        _extended(run, seen, seen.effect, seen.share, thresholds, level)
        for run, level in ((state.red, RED), (state.amber, AMBER))
    )
    classes = tuple(
        (each.label, _extended(before.get(each.label), seen, each.effect, each.share, thresholds, RED)) for each in seen.classes
    )
    is_red = any(_lasts(run, seen, thresholds.apart) for run in (red, *(run for _, run in classes)))
    level = RED if is_red else AMBER if _lasts(amber, seen, thresholds.apart) else OFF
    return AlertState(level, red, amber, classes)


def most_telling(effects: Sequence[float], count: int = 2) -> tuple[int, ...]:
    """The objects whose answer the background moves most in the direction of the mean effect, strongest first."""
    sign = 1 if sum(effects) >= 0 else -1
    return tuple(sorted(range(len(effects)), key=lambda index: (-sign * effects[index], index))[:count])


def reaches(effect: float, share: float, thresholds: Thresholds, level: float) -> bool:
    """Whether an effect of either sign and its share are large enough for a level."""
    limits = (
        (thresholds.red_effect, thresholds.red_share) if level == RED else (thresholds.amber_effect, thresholds.amber_share)
    )
    return abs(effect) >= limits[0] and share >= limits[1]


def _extended(
    run: Run | None, seen: Measurement, effect: float, share: float, thresholds: Thresholds, level: float
) -> Run | None:
    """The run, one look later; None where the level is not reached."""
    sign = 1 if effect > 0 else -1
    if not reaches(effect, share, thresholds, level):
        return None
    return run if run is not None and run.sign == sign else Run(sign, seen.epoch, seen.at, seen.when)


def _lasts(run: Run | None, seen: Measurement, apart: float) -> bool:
    """Whether the run began at an earlier look, long enough ago; an epoch is enough where the end is not known."""
    if run is None or seen.at <= run.at:
        return False
    return seen.total is None or seen.at - run.at >= apart * seen.total


def _run(state: dict[str, Any] | None) -> Run | None:
    return None if state is None else Run(**state)
