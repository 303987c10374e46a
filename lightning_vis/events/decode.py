"""Joins stored parts to looks: what was stored under many tags, in order again."""

from __future__ import annotations

import json
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
    """Looks at other images than the film's last ones, or under other names, as a probe of their own: no picture, no name
    stands for another. Of other images that nobody has looked at, nothing is left."""
    parts = list(parts)
    shown_to = _shown(parts)
    seen = [part for part in parts if "images" in part.facts and "steps" in part.facts]
    last = {part.facts["probe"]: shown_to(part) for part in sorted(seen, key=lambda part: not part.alone)}

    def is_other(part: Part) -> bool:
        return "images" in part.facts and shown_to(part) != last.get(part.facts["probe"], shown_to(part))

    others = _names_of(filter(is_other, seen), shown_to)
    named = [(part, others.get((_film(part), shown_to(part))) if is_other(part) else part.facts["probe"]) for part in parts]
    return [replace(part, facts={**part.facts, "probe": name}) for part, name in named if name is not None]


def _names_of(looks: Iterable[Part], shown_to: Callable[[Part], str]) -> dict[tuple[tuple[str, str], str], str]:
    """What other images are called, by the film and by what was shown."""
    films: dict[tuple[str, str], dict[str, list[int]]] = {}
    for part in looks:
        films.setdefault(_film(part), {}).setdefault(shown_to(part), []).append(part.facts["steps"])
    return {
        (film, shown): _name(film, steps, at) for film, own in films.items() for at, (shown, steps) in enumerate(own.items())
    }


def _shown(parts: Iterable[Part]) -> Callable[[Part], str]:
    """Tells apart what was looked at, and what it was called: by its fit, or by its images where a fit has not stored it."""
    words: dict[Any, str] = {}
    for part in parts:
        if part.name == "inputs" and "images" in part.facts:
            said = json.dumps([part.facts["images"], part.facts.get("class_names"), part.facts.get("truth")])
            words[part.facts["images"]] = words[part.facts["fit"], _film(part), part.facts["images"]] = said

    def shown_to(part: Part) -> str:
        images = part.facts["images"]
        return words.get((part.facts["fit"], _film(part), images)) or words.get(images, images)

    return shown_to


def _film(part: Part) -> tuple[str, str]:
    """Which looks stand behind each other: those of a probe in fits, or at one moment outside of them."""
    return part.facts["probe"], part.alone


def _name(film: tuple[str, str], steps: list[int], at: int) -> str:
    """What other images are called: by the moment outside of fit, in the order in which they came, or by when they were seen."""
    probe, alone = film
    if alone:
        return f"{probe}, {alone} {at + 1}" if at else f"{probe}, {alone}"
    first, last = min(steps), max(steps)
    return f"{probe}, steps {first} to {last}" if first < last else f"{probe}, step {first}"


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
