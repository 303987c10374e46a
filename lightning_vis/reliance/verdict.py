"""The verdict on an exchange of surroundings, and that on both experiments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lightning_vis.frames import Cell as NamedCell
from lightning_vis.frames import Verdict
from lightning_vis.reliance.exchange.effect import Effect
from lightning_vis.reliance.exchange.experiment import RIGHT, Cell, Findings, OfClass
from lightning_vis.reliance.exchange.objects import Refusal

RED, AMBER, SEEN, NOTHING, NOT_MEASURED = "red", "amber", "seen", "nothing", "not measured"
"""States of a verdict, the worst one first; amber is of twins alone."""
EFFECT, SHARE, FRAME = 0.2, 0.3, 0.1
"""What the effect of the surroundings, its share and the effect of the frame have to reach; set before fresh networks were asked."""
FOUND = 30
"""Points of the exact effect that are found; half a reliance is missed."""

EFFECT_TAG, SHARE_TAG = "reliance/surroundings_effect", "reliance/surroundings_share"
ERROR_TAG, ALERT_TAG = "reliance/surroundings_effect_error", "reliance/surroundings_alert"
MEASURED_TAG, AGE_TAG = "reliance/surroundings_measured", "reliance/surroundings_age"
TAGS = (EFFECT_TAG, SHARE_TAG, ERROR_TAG, ALERT_TAG, MEASURED_TAG, AGE_TAG)
"""The numbers of an exchange; the last one counts the epochs and validations that ended since it was measured."""

Named = Callable[[int], str]


def verdict_of(found: Findings | Refusal, named: Named, *, was_seen: bool) -> Verdict:
    """What is said of an exchange.

    Args:
        found: what it found, or why nothing.
        named: what a class is called.
        was_seen: whether the exchange before it found the answer to follow the surroundings.
    """
    if isinstance(found, Refusal):
        return Verdict(NOT_MEASURED, _refused(found))
    doubt = doubt_of(found)
    if doubt is not None:
        said = Verdict(NOT_MEASURED, _doubtful_refusal(doubt), (0,) * bool(found.rows))
    elif follows(found):
        said = _seen(found, named, RED if was_seen else SEEN)
    else:
        said = Verdict(NOTHING, _nothing(found))
    return replace(said, cells=tuple(_named_cell(each, named) for each in found.cells))


def _named_cell(cell: Cell, named: Named) -> NamedCell:
    return NamedCell(named(cell.label), named(cell.host), cell.follows, cell.of)


def joined(twins: Verdict | None, exchange: Verdict | None) -> Verdict | None:
    """The verdict of both experiments: the worse one, twins first; the other one's sentence behind it where it found less.

    Args:
        twins: of the twins at this look, if there are any.
        exchange: likewise of the exchange.
    """
    if twins is None or exchange is None:
        return twins or exchange
    order = (RED, AMBER, SEEN, NOTHING, NOT_MEASURED)
    worse, other = sorted((twins, exchange), key=lambda each: order.index(each.state))
    is_news = other.state not in (worse.state, NOT_MEASURED)
    sentence = f"{worse.sentence} {other.sentence}" if is_news else worse.sentence
    return replace(worse, sentence=sentence, cells=exchange.cells)


def numbers_of(found: Findings, verdict: Verdict) -> dict[str, float]:
    """The numbers of an exchange that has measured something, by tag."""
    effect = found.effect
    known = {EFFECT_TAG: effect.surroundings, SHARE_TAG: effect.share, ERROR_TAG: effect.error}
    return known | {ALERT_TAG: float(verdict.state == RED), MEASURED_TAG: 1.0}


def follows(found: Findings) -> bool:
    """Whether the answer follows what surrounds the objects, of all images or of those of one class."""
    return _follows(found.effect, found.frame, found) or bool(_worst(found))


def doubt_of(found: Findings) -> Refusal | None:
    """Why cut-outs are not believed: only they say that the answer follows the surroundings, the frame does not."""
    reached = [each for each in (found.effect, *(one.effect for one in found.classes)) if _reaches(each)]
    if follows(found) or not reached:
        return None
    return Refusal(
        f"exchanging what surrounds the cut-outs moves the answer by {_counted(reached[0].surroundings)}, exchanging"
        f" the picture's frame by {_points(found.frame)}, so the cut-outs may miss the objects",
        found.remedy,
    )


def _reaches(effect: Effect) -> bool:
    return effect.surroundings >= EFFECT and effect.share >= SHARE


def _follows(effect: Effect, frame: float, found: Findings) -> bool:
    return _reaches(effect) and (frame >= FRAME or not found.is_automatic)


def _worst(found: Findings) -> OfClass | None:
    """The class that follows most, if one does: it may live on its surroundings while the others do not."""
    return next((each for each in found.classes if _follows(each.effect, each.frame, found)), None)


def _seen(found: Findings, named: Named, state: str) -> Verdict:
    cell = next((each for each in found.cells if each.of >= RIGHT and each.follows), None)
    rows = () if cell is None else _showing(found, cell)
    words = [_in_counts(cell, named)] if cell is not None else []
    words += [f"What surrounds the object moves the answer by {_measured(found)}{_most_for(found, named)}."]
    words += [see(rows)] if rows else []
    return Verdict(state, " ".join(words), rows)


def see(rows: tuple[int, ...]) -> str:
    """Where to look: all rows that show what is said; pictures and sentences count from 1."""
    *names, last = [str(each + 1) for each in rows]
    return f"See exchanges {', '.join(names)} and {last}." if names else f"See exchange {last}."


def _showing(found: Findings, cell: Cell) -> tuple[int, ...]:
    """The rows that show what a cell counts, from 0 on; pictures and sentences count from 1."""
    shown = [(each.label, each.host, each.said[2]) for each in found.rows]
    return tuple(at for at, each in enumerate(shown) if each == (cell.label, cell.host, cell.host))


def _in_counts(cell: Cell, named: Named) -> str:
    host = named(cell.host)
    return f"In the surroundings of {host}, {named(cell.label)} is called {host} in {cell.follows} of {cell.of} exchanges."


def _most_for(found: Findings, named: Named) -> str:
    """The class that moves most, where it is another story than the whole."""
    worst = found.classes[0] if found.classes else None
    if worst is None:
        return ""
    return f", most for {named(worst.label)}: {_counted(worst.effect.surroundings)} ({worst.images} images)"


def _nothing(found: Findings) -> str:
    effect = found.effect
    judged = f"nothing above {FOUND} points was found" if effect.surroundings < EFFECT else _less(effect)
    return (
        f"Exchanging what surrounds the object moves the answer by {_measured(found)}: {judged}."
        " What lies on the object itself is not tested."
    )


def _less(effect: Effect) -> str:
    return f"exchanging the object moves it by {_points(effect.object)}, so that the answer is not called one of surroundings"


def _measured(found: Findings) -> str:
    how = ", cut out automatically" if found.is_automatic else ""
    how += f" but for {found.boxed} in boxes" if found.boxed else ""
    of = f" of {found.note}" if found.note else ""
    return f"{_counted(found.effect.surroundings)} (+-{_points(found.effect.error)}, {found.images} images{of}{how})"


def _refused(refusal: Refusal) -> str:
    return f"Whether the answer follows what surrounds the object was not measured: {_reason(refusal)}."


def _doubtful_refusal(refusal: Refusal) -> str:
    return f"Whether the answer follows what surrounds the object cannot be said: {_reason(refusal)}."


def _reason(refusal: Refusal) -> str:
    remedy = f". {refusal.remedy[0].upper()}{refusal.remedy[1:]}" if refusal.remedy else ""
    return f"{refusal.reason}{remedy}"


def _counted(value: float) -> str:
    return f"{_points(value)} point{'' if abs(_points(value)) == 1 else 's'}"


def _points(value: float) -> int:
    return round(100 * value)
