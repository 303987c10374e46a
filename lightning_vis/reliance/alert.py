"""The alert: amber and red, from the twins' numbers of several looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

OFF, AMBER, RED = 0.0, 0.5, 1.0


@dataclass(frozen=True)
class Thresholds:
    """When the alert is amber or red: both numbers reached, with one sign, at every look over `apart` of the training.

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
        telling: the objects whose answer moved most.
        objects: how many objects there are.
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


@dataclass(frozen=True)
class Run:
    """Looks in a row that reached a level with one sign: where they began."""

    sign: int
    epoch: int
    at: float


@dataclass(frozen=True)
class AlertState:
    """The level (0, 0.5, 1), and since when the conditions of red and amber hold."""

    level: float = OFF
    red: Run | None = None
    amber: Run | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> AlertState:
        """The inverse of `as_dict`."""
        red, amber = (None if state[name] is None else Run(**state[name]) for name in ("red", "amber"))
        return cls(float(state["level"]), red, amber)


@dataclass(frozen=True)
class Alert:
    """A change of the alert, as it is handed to ``on_alert``.

    Attributes:
        level: 0 (off again), 0.5 (amber) or 1 (red).
        sentence: what was seen, in plain words.
        epoch: finished epochs.
        numbers: all numbers of this look, by tag.
    """

    level: float
    sentence: str
    epoch: int
    numbers: dict[str, float]


def advance(state: AlertState, seen: Measurement, thresholds: Thresholds) -> AlertState:
    """The state after one more look. Looks before the end of the first epoch do not count."""
    if seen.epoch < 1:
        return replace(state, level=OFF)
    red = _extend(state.red, seen, thresholds.red_effect, thresholds.red_share)
    amber = _extend(state.amber, seen, thresholds.amber_effect, thresholds.amber_share)
    level = RED if _lasts(red, seen, thresholds.apart) else AMBER if _lasts(amber, seen, thresholds.apart) else OFF
    return AlertState(level, red, amber)


def sentence(before: AlertState, after: AlertState, seen: Measurement) -> str:
    """What the look says, for people: with numbers, epochs, the control, and the twins to look at."""
    run = after.red if after.level == RED else after.amber
    said = _measured(seen, _when(run.epoch if run and after.level else seen.epoch, seen.epoch))
    if after.level == OFF:
        return f"{said} The alert is off again: the answer does not follow the background any more as it did."
    verdict = "answers by background" if after.level == RED else "partly answers by background"
    calmer = " (it did so more before)" if before.level > after.level else ""
    return f"{said} This network {verdict}{calmer}.{_see(seen.telling)}"


def most_telling(effects: Sequence[float], count: int = 2) -> tuple[int, ...]:
    """The objects whose answer the background moves most in the direction of the mean effect, strongest first."""
    sign = 1 if sum(effects) >= 0 else -1
    return tuple(sorted(range(len(effects)), key=lambda index: (-sign * effects[index], index))[:count])


def _extend(run: Run | None, seen: Measurement, effect: float, share: float) -> Run | None:
    if abs(seen.effect) < effect or seen.share < share:
        return None
    sign = 1 if seen.effect > 0 else -1
    return run if run is not None and run.sign == sign else Run(sign, seen.epoch, seen.at)


def _lasts(run: Run | None, seen: Measurement, apart: float) -> bool:
    """Whether the run began at an earlier look, long enough ago; an epoch is enough where the end is not known."""
    if run is None or seen.at <= run.at:
        return False
    return seen.total is None or seen.at - run.at >= apart * seen.total


def _measured(seen: Measurement, when: str) -> str:
    objects = f", {seen.objects} objects" if seen.objects else ""
    away = ", away from the class that is typical of it," if seen.effect < 0 else ""
    control = "" if seen.control is None else f"; moving the object by 3 pixels moves it by {_points(seen.control)}"
    return (
        f"Swapping the background moves the answer{away} by {_points(seen.effect)} points, swapping the object by"
        f" {_points(seen.object_effect)}{control} ({when}{objects})."
    )


def _points(value: float) -> int:
    return round(100 * abs(value))


def _when(first: int, last: int) -> str:
    if first == last:
        return f"epoch {last}"
    return f"epochs {first} and {last}" if last == first + 1 else f"epochs {first} to {last}"


def _see(telling: tuple[int, ...]) -> str:
    if not telling:
        return ""
    names = " and ".join(map(str, telling))
    return f" See {'twins' if len(telling) > 1 else 'twin'} {names}."
