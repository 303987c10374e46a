"""Joins stored parts to looks: what was stored under many tags, in order again."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lightning_vis.constants import FILTERS, place_of
from lightning_vis.events.part import Part

IN_PLACE = ("captions", "filters", "format", "seconds", "fit", "images", "probe", "stream", "steps", "alone", "part")
"""Facts of a part that its place in a stream says already, or that are left out until somebody looks at the part."""
CAPTION = re.compile(
    r"\w+ (?P<name>.*)(?: reaches \S+; the best probe image \S+?(?P<prefers>: it prefers the probe image)?|(?P<dead>: dead \(.*))",
    re.DOTALL,
)
"""What runs of before 0.1 say of a filter, in its caption alone."""


@dataclass
class Look:
    """What one look has left.

    Attributes:
        steps: finished optimizer steps.
        alone: the moment, outside of fit; else an empty text.
        parts: in the order in which they were written.
    """

    steps: int
    alone: str
    parts: list[Part] = field(default_factory=list)

    @property
    def place(self) -> tuple[int, int]:
        """Orders looks: by finished steps, and behind each look of the fit those outside of it."""
        return self.steps, place_of(self.alone)


@dataclass(frozen=True)
class Stream:
    """What one callback saw of one probe.

    Attributes:
        probe: its name.
        kind: ``"frames"``, or ``"sheets"`` of pictures alone.
        own: what belongs to the probe and to no look, by name: ``"inputs"``, ``"masks"``, ``"twins"``.
        looks: in order.
    """

    probe: str
    kind: str
    own: Mapping[str, Part]
    looks: tuple[Look, ...]


def streams_of(parts: Iterable[Part]) -> list[Stream]:
    """All that was stored of a run, by probe and kind."""
    found: dict[tuple[str, str], list[Part]] = {}
    for part in with_own_names(without_repeated(parts)):
        found.setdefault((part.facts["probe"], part.facts["stream"]), []).append(part)
    return [Stream(probe, kind, _own(each), looks_of(each)) for (probe, kind), each in found.items()]


def _own(parts: Iterable[Part]) -> dict[str, Part]:
    return {part.name: part for part in parts if "steps" not in part.facts}


def looks_of(parts: Iterable[Part]) -> tuple[Look, ...]:
    """The looks that parts belong to, in order."""
    looks: dict[tuple[int, int], Look] = {}
    for part in parts:
        if "steps" in part.facts:
            look = Look(part.facts["steps"], part.alone)
            looks.setdefault(look.place, look).parts.append(part)
    return tuple(looks[place] for place in sorted(looks))


# --- several fits in one folder ------------------------------------------------------------------------------------------


def without_repeated(parts: Iterable[Part]) -> list[Part]:
    """The parts without those that a later fit in the same folder has repeated, whoever wrote them.

    What was seen outside of fit neither replaces the film nor goes with it: only the same moment at the same steps does, of
    the same images.
    """
    fits: dict[str, list[Part]] = {}
    for part in parts:
        fits.setdefault(str(part.facts["fit"]), []).append(part)
    kept: list[Part] = []
    for fit in sorted(fits):
        own = fits[fit]
        first = min((part.facts["steps"] for part in own if "steps" in part.facts and not part.alone), default=math.inf)
        again = {_look(part) for part in own if part.alone and "steps" in part.facts}
        kept = [
            part for part in kept if (_look(part) not in again if part.alone else part.facts.get("steps", -1) < first)
        ] + own
    return kept


def with_own_names(parts: Iterable[Part]) -> list[Part]:
    """Looks outside of fit at other images than the film's, under a name of their own: no picture stands for another."""
    parts = list(parts)
    inside_last = sorted(parts, key=lambda part: not part.alone)
    known = {part.facts["probe"]: part.facts["images"] for part in inside_last if "images" in part.facts}
    others: dict[str, list[str]] = {}
    return [_named(part, others) if _is_other(part, known) else part for part in parts]


def _is_other(part: Part, known: Mapping[str, str]) -> bool:
    return bool(part.alone) and "images" in part.facts and part.facts["images"] != known[part.facts["probe"]]


def _named(part: Part, others: dict[str, list[str]]) -> Part:
    name, images = f"{part.facts['probe']}, {part.alone}", part.facts["images"]
    known = others.setdefault(name, [])
    known += [images] if images not in known else []
    number = known.index(images) + 1
    return replace(part, facts={**part.facts, "probe": name if number == 1 else f"{name} {number}"})


def _look(part: Part) -> tuple[Any, ...]:
    return tuple(part.facts.get(name) for name in ("probe", "stream", "steps", "alone", "images"))


# --- for the page --------------------------------------------------------------------------------------------------------


def page_streams(parts: Iterable[Part], is_fresh: Callable[[Look], bool] = lambda look: True) -> list[dict[str, Any]]:
    """All streams as the page takes them; where each look stands, but of the looks only those with something fresh.

    Args:
        parts: of one run, each with a ``"key"`` among its facts, under which its picture is asked for.
        is_fresh: whether a look is to be sent.
    """
    return [_page_stream(stream, is_fresh) for stream in streams_of(parts)]


def _page_stream(stream: Stream, is_fresh: Callable[[Look], bool]) -> dict[str, Any]:
    own = {name: _page_part(stream.own[name]) if name in stream.own else None for name in ("inputs", "masks", "twins")}
    if own["inputs"] is not None and "images" in stream.own["inputs"].facts:
        own["inputs"]["images"] = stream.own["inputs"].facts["images"]  # runs of the same photos stand below one row of them
    fresh = [_page_look(look) for look in stream.looks if is_fresh(look)]
    places = [_page_place(look) for look in stream.looks]
    return {"probe": stream.probe, "kind": stream.kind, **own, "places": places, "looks": fresh}


def _page_place(look: Look) -> float:
    """One number: a look outside of fit stands a fraction of a step behind that of the fit."""
    steps, behind = look.place
    return steps + behind / 4


def _page_look(look: Look) -> dict[str, Any]:
    found: dict[str, Any] = {"maps": {}, "pictures": {}}
    facts: dict[str, Any] = {}
    for part in look.parts:
        kind, _, name = part.name.partition("/")
        if kind in found:
            found[kind][name] = _page_part(part)
        elif kind == "facts":
            facts |= _page_part(part)
    when = look.alone or ("start" if look.steps == 0 else f"step {look.steps}")
    unknown: dict[str, Any] = {"predicted": [], "probability": [], "numbers": {}, "per_image": {}, "notes": []}
    place = {"steps": _page_place(look), "alone": look.alone or None}
    return {"when": when, "step": look.steps - 1, **unknown, **facts, **place, **found}


def _page_part(part: Part) -> dict[str, Any]:
    kept = {name: value for name, value in part.facts.items() if name not in IN_PLACE}
    if not part.name.startswith(f"pictures/{FILTERS}"):
        return kept
    try:
        return kept | page_filters(part.facts)
    except (TypeError, KeyError):  # whatever wrote that: its picture can still be shown
        return kept


def page_filters(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What each filter is called, and by index which of them are dead or answer to a probe image more than to their picture."""
    filters = facts.get("filters") or [_of_caption(str(caption)) for caption in facts.get("captions", ())]
    return {
        "names": [each["name"] for each in filters],
        "dead": [at for at, each in enumerate(filters) if each["dead"]],
        "prefers_probe": [at for at, each in enumerate(filters) if each["prefers_probe"]],
    }


def _of_caption(caption: str) -> dict[str, Any]:
    found = CAPTION.fullmatch(caption)
    if found is None:
        return {"name": caption, "dead": False, "prefers_probe": False}
    return {"name": found["name"], "dead": bool(found["dead"]), "prefers_probe": bool(found["prefers"])}


def finite(value: float) -> float | None:
    """A number for JSON, which cannot say NaN."""
    return value if math.isfinite(value) else None
