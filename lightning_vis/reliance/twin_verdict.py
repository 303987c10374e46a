"""The verdict on twins: what other backgrounds change, in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from lightning_vis.constants import TWINS
from lightning_vis.frames import Verdict
from lightning_vis.reliance.alert import AMBER, OFF, RED, AlertState, ClassEffect, Measurement, Thresholds, reaches
from lightning_vis.reliance.twins import Twins

LEAST = 6
"""Objects of a class by which it is judged alone."""
NAMED = 2
"""Twins that a sentence names, classes of which it says that they hold."""
ALIKE = 0.02
"""Of the range of colours, root mean square, the median over objects: backgrounds that differ by less are the same."""
MOVES = 0.2
"""Of both effects together: where neither object nor background moves the answer by more, nothing was learned from swapping."""

Named = Callable[[int], str]
"""What a class is called."""


@dataclass(frozen=True)
class Flips:
    """Objects of one class that one kind of background makes wrong, and that are right on another one.

    Attributes:
        label: their class.
        kind: the name of the background.
        said: what most of them are called there.
        objects: which ones, counted from 0.
        of: how many objects the class has.
    """

    label: int
    kind: str
    said: int
    objects: tuple[int, ...]
    of: int


@dataclass(frozen=True)
class TwinAnswers:
    """What a look heard of the twins, object by object.

    Attributes:
        labels: the objects' classes.
        says: what is answered on each kind of background, by its name; {} where the answers are no classes.
        effects: the background effect of each object.
        shown: how many objects the pictures show, the first ones.
    """

    labels: Sequence[int]
    says: Mapping[str, Sequence[int]]
    effects: Sequence[float]
    shown: int


def refusal_of(twins: Twins) -> str:
    """Why nothing can be swapped, and what would help, in a sentence; "" if something can."""
    images = twins.images[:, :, 0]
    outside = torch.ones_like(images[:, :, 0]) if twins.masks is None else (twins.masks < 0.5).to(images.dtype)
    both = outside[:, 1:] * outside[:, :-1]
    squares = ((images[:, 1:] - images[:, :-1]) ** 2).mean(2)
    differs = ((squares * both).sum((2, 3)) / both.sum((2, 3)).clamp_min(1)).sqrt().amax(1).median()
    if float(differs / (images.max() - images.min()).clamp_min(1e-6)) >= ALIKE:
        return ""
    return (
        "the backgrounds look alike, so that nothing was swapped. Backgrounds that differ would help:"
        " Probe(images, labels, masks, backgrounds={...})"
    )


def flips_of(answers: TwinAnswers) -> tuple[Flips, ...]:
    """What flips, the worst class on the worst background first."""
    found = [
        each
        for label in sorted(set(answers.labels))
        for kind in answers.says
        if (each := _flips(answers, label, kind)) is not None
    ]
    return tuple(sorted(found, key=lambda each: (-len(each.objects) / each.of, -len(each.objects))))


def _flips(answers: TwinAnswers, label: int, kind: str) -> Flips | None:
    own = [at for at, each in enumerate(answers.labels) if each == label]
    flips = [at for at in own if answers.says[kind][at] != label and any(says[at] == label for says in answers.says.values())]
    said = [int(answers.says[kind][at]) for at in flips]
    if not flips:
        return None
    most = max(sorted(set(said)), key=said.count)
    called = [at for at, each in zip(flips, said, strict=True) if each == most]
    return Flips(label, kind, most, tuple(sorted(called, key=lambda at: -abs(answers.effects[at]))), len(own))


def holding(answers: TwinAnswers) -> list[int]:
    """The classes all of whose objects are right in every twin; of other surroundings this says nothing."""
    pairs = [pair for says in answers.says.values() for pair in zip(answers.labels, says, strict=True)]
    return sorted({label for label, _ in pairs} - {label for label, said in pairs if said != label})


def verdict_of_twins(
    seen: Measurement, state: AlertState, answers: TwinAnswers, thresholds: Thresholds, named: Named, refusal: str = ""
) -> Verdict:
    """What is said of the twins at one look.

    Args:
        seen: the numbers.
        state: of the alert, this look included.
        answers: object by object.
        thresholds: of the alert.
        named: what a class is called.
        refusal: why nothing could be swapped, if so.
    """
    if refusal or abs(seen.effect) + abs(seen.object_effect) < MOVES:
        return Verdict("not measured", _refused(seen, refusal), (), TWINS)
    measured = measured_of(seen, named)
    if state.level == OFF and not _reached(seen, thresholds):
        return Verdict("nothing", f"{measured[:-1]}: {_nothing(seen, thresholds)}", (), TWINS)
    flips = flips_of(answers)
    rows = _telling(seen, flips, answers)
    words = [*_in_counts(flips, answers, named), measured, _judged(seen, state, thresholds, named), see(rows)]
    return Verdict(STATES[state.level], " ".join(filter(None, words)), rows, TWINS)


STATES = {OFF: "seen", AMBER: "amber", RED: "red"}
"""Where the answer follows the background at this look, by the level of the alert."""


def _reached(seen: Measurement, thresholds: Thresholds) -> bool:
    """Whether all objects reach amber at this look, or those of a class red."""
    classes = any(reaches(each.effect, each.share, thresholds, RED) for each in seen.classes)
    return classes or reaches(seen.effect, seen.share, thresholds, AMBER)


def _refused(seen: Measurement, refusal: str) -> str:
    if refusal:
        return f"Whether the answer follows the background was not measured: {refusal}."
    return (
        "Whether the answer follows the background cannot be said:"
        f" swapping the background moves the answer by {_counted(seen.effect)} and swapping the object by"
        f" {_points(seen.object_effect)}, so it follows neither. A network that has learned more would help."
    )


def _nothing(seen: Measurement, thresholds: Thresholds) -> str:
    largest = max(abs(seen.effect), *(abs(each.effect) for each in seen.classes), 0.0)
    if largest < thresholds.amber_effect:
        found = f"nothing above {_counted(thresholds.amber_effect)} was found"
    else:
        found = "less than its share for an answer by background, beside what the object moves"
    return f"{found}. What lies on the object itself is not tested."


def _in_counts(flips: Sequence[Flips], answers: TwinAnswers, named: Named) -> list[str]:
    """The worst class on the worst background, and those that hold."""
    if not flips:
        return []
    worst = flips[0]
    said = (
        f"{placed(worst.kind)}, {named(worst.label)} is called {named(worst.said)} in {len(worst.objects)} of {worst.of} twins"
    )
    held = holding(answers)
    names = " and ".join(map(named, held)) if len(held) <= NAMED else f"{len(held)} classes"
    verb = "is" if len(held) == 1 else "are"
    return [f"{said}; {names} {verb} right in every twin." if held else f"{said}."]


def placed(kind: str) -> str:
    """Where an object stands, at the beginning of a sentence: "On leaves", "On bird's background"."""
    return f"On {kind} background" if kind.endswith("'s") else f"On {kind}"


def _telling(seen: Measurement, flips: Sequence[Flips], answers: TwinAnswers) -> tuple[int, ...]:
    """The objects to look at, of those that pictures show: what the sentence counts, else those that move most."""
    objects = flips[0].objects if flips else seen.telling
    return tuple(each for each in objects if each < answers.shown)[:NAMED]


def _judged(seen: Measurement, state: AlertState, thresholds: Thresholds, named: Named) -> str:
    """What that makes of the network, or of one class of it; or what it takes to say so."""
    if state.level == OFF:
        lasting = f"all looks over {100 * thresholds.apart:.3g} % of the training, two at least,"
        looks = "two looks in a row" if seen.total is None else lasting
        return f"A network is said to answer by background when {looks} find that; none before epoch 1 counts."
    since = f", as at every look from {state.since()} on"
    if state.level == AMBER:
        return f"This network partly answers by background{since}."
    worst = seen.worst()
    who = "This network" if state.red is not None or worst is None else f"For {named(worst.label)} this network"
    return f"{who} answers by background{since}."


def measured_of(seen: Measurement, named: Named) -> str:
    """The numbers of a look in words.

    Args:
        seen: the numbers.
        named: what a class is called.
    """
    objects = f", {seen.objects} objects{_repeated(seen)}" if seen.objects else ""
    away = ", away from the class that is typical of it," if seen.effect < 0 else ""
    control = "" if seen.control is None else f"; moving the object by 3 pixels moves it by {_points(seen.control)}"
    return (
        f"Swapping the background moves the answer{away} by {_counted(seen.effect)}, swapping the object by"
        f" {_points(seen.object_effect)}{control} ({seen.when}{objects}){_most_for(seen, named)}."
    )


def _repeated(seen: Measurement) -> str:
    is_all = seen.different is None or seen.different == seen.objects
    return "" if is_all else f", {seen.different} of them different"


def _most_for(seen: Measurement, named: Named) -> str:
    """The class that moves most, where it moves more than all together."""
    worst = seen.worst()
    if worst is None or _points(worst.effect) <= _points(seen.effect):
        return ""
    return f", most for {named(worst.label)}: {_counted(worst.effect)} ({worst.objects} objects)"


def see(rows: Sequence[int]) -> str:
    """Where to look; pictures and sentences count from 1."""
    names = " and ".join(str(each + 1) for each in rows)
    return f"See {'twins' if len(rows) > 1 else 'twin'} {names}." if rows else ""


def classes_of(
    labels: Sequence[int], home: Sequence[float], effects: Sequence[float], objects: Sequence[float], once: Sequence[bool]
) -> tuple[ClassEffect, ...]:
    """The effects of each class of which there are enough different objects.

    Args:
        labels: of the objects.
        home: what each loses away from home; NaN where that is not known: the background effect stands for it.
        effects: the background effect of each.
        objects: the object effect of each.
        once: whether each is not another one over again; others do not count.
    """
    known = [effect if own != own else own for own, effect in zip(home, effects, strict=True)]
    found = []
    for label in sorted(set(labels)):
        rows = [at for at, each in enumerate(labels) if each == label and once[at]]
        if len(rows) >= LEAST:
            found.append(ClassEffect(label, _mean(known, rows), _mean(objects, rows), len(rows)))
    return tuple(found)


def _mean(values: Sequence[float], rows: Sequence[int]) -> float:
    return float(torch.tensor([values[at] for at in rows], dtype=torch.float64).nanmean())


def _counted(value: float) -> str:
    return f"{_points(value)} point{'' if _points(value) == 1 else 's'}"


def _points(value: float) -> int:
    return round(100 * abs(value))
