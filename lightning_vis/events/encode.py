"""Frames and inputs to parts: JSON facts and pictures within a budget of bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from lightning_vis.constants import CONVINCES, EXCHANGE, LOG_ODDS, MULTICLASS, SURE
from lightning_vis.events.part import Part
from lightning_vis.events.quantise import Quantised, quantise, reduced
from lightning_vis.events.sprites import png, smaller, sprite
from lightning_vis.frames import Array, Filter, Frame, HeadAnswer, Inputs, Maps, Pictures, Verdict
from lightning_vis.render.canvas.tiles import jpeg

PHOTOGRAPHS = (EXCHANGE, CONVINCES, SURE)
"""Pictures that are kept as cameras do."""


MAP_SIDE = 112
"""Maps are stored with this many cells per edge at most."""


INPUT_SIDE = 224
"""The probe's pictures are stored this large at most."""


BUDGET = 150_000
"""Bytes of a part that holds pictures."""


MAP_BUDGET = 9_000
"""Bytes per probe image of a part that holds maps."""


TEXT_LIMIT = 240


SENTENCE_LIMIT = 2_000
"""Letters of a verdict, which is said whole: half a sentence may say the opposite."""


NAMES_LIMIT = 64_000

PicturePart = Callable[[str, Pictures], Part]


EXACT = 17
"""Significant digits of which every number comes back as it was."""


def frame_parts(frame: Frame, picture_part: PicturePart, digits: int = 5) -> dict[str, Callable[[], Part]]:
    """What makes the parts of a frame, by name: one that cannot be made takes no other along.

    Args:
        frame: what a look found.
        picture_part: how pictures are kept: `small_pictures`, or `exact_pictures`.
        digits: significant ones of all numbers; five are more than a page shows.
    """
    parts: dict[str, Callable[[], Part]] = {"facts": partial(facts_part, frame, digits)}
    parts |= {f"maps/{key}": partial(map_part, key, maps, digits) for key, maps in frame.maps.items()}
    return parts | {f"pictures/{key}": partial(picture_part, key, each) for key, each in frame.pictures.items()}


def facts_part(frame: Frame, digits: int = 5) -> Part:
    """When the look was, what the network answered, and all numbers."""
    facts = {
        "step": frame.log_step,
        "epoch": frame.epoch,
        "moment": frame.moment,
        "when": frame.when,
        "weights": frame.weights,
        "predicted": [int(each) for each in frame.predicted],
        "probability": rounded(frame.probability, digits),
        "numbers": {key: number(value, digits) for key, value in frame.numbers.items()},
        "per_image": {key: rounded(each, digits) for key, each in frame.per_image.items() if len(each) == len(frame.predicted)},
        "seconds": {key: number(value, digits) for key, value in frame.seconds.items()},
        "notes": [elided(note) for note in frame.notes[:10]],
    }
    return Part("facts", facts | _task_facts(frame, digits))


def _task_facts(frame: Frame, digits: int) -> dict[str, Any]:
    """What is not said of a network that tells classes apart: a reader of before tasks were known finds what it knows."""
    words = {"answer": elided(frame.answer), "said": [elided(each) for each in frame.said], "wrong": list(frame.wrong)}
    top = {"top": [[[index, number(share, digits)] for index, share in each] for each in frame.top]} if frame.top else {}
    known: dict[str, Any] = top | (
        {"task": frame.task, "unit": frame.unit} if (frame.task, frame.unit) != (MULTICLASS, LOG_ODDS) else {}
    )
    if frame.heads:
        known |= {"head": frame.head, "heads": {name: _head_facts(each) for name, each in frame.heads.items()}}
    if frame.verdict is not None:
        known |= {"verdict": _verdict_facts(frame.verdict)}
    return known | {name: value for name, value in words.items() if value}


def _verdict_facts(verdict: Verdict) -> dict[str, Any]:
    said = {"state": verdict.state, "sentence": verdict.sentence[:SENTENCE_LIMIT], "rows": list(verdict.rows)}
    cells = [[elided(each.label), elided(each.host), each.follows, each.of] for each in verdict.cells]
    return said | {"picture": verdict.picture} | ({"cells": cells} if cells else {})


def _head_facts(head: HeadAnswer) -> dict[str, Any]:
    words = {name: [elided(each) for each in getattr(head, name)] for name in ("said", "truth")}
    return {"task": head.task, "unit": head.unit, "answer": elided(head.answer), **words, "wrong": list(head.wrong)}


def map_part(key: str, maps: Maps, digits: int = 5) -> Part:
    """A view's maps as a grey PNG in 8 bits of each map's own maximum, with maximum and mean beside it."""
    codes, picture = _map_within_budget(maps)
    facts = {
        "size": list(codes.codes.shape[1:]),
        "area": int(np.prod(maps.values.shape[1:])),
        "maximum": rounded(codes.maximum, digits),
        "mean": rounded(codes.mean, digits),
        "classes": [int(each) for each in maps.classes],
        "layer": elided(maps.layer),
        "title": elided(maps.title),
        "target": elided(maps.target),
        "scale": asdict(maps.scale),
    }
    words: dict[str, Any] = {"explains": [elided(each) for each in maps.explains]} if maps.explains else {}
    unit = {"unit": maps.unit} if maps.unit != LOG_ODDS else {}
    head = {"head": maps.head} if maps.head else {}
    return Part(f"maps/{key}", facts | words | unit | head, picture)


def small_pictures(key: str, pictures: Pictures) -> Part:
    """Finished pictures as one JPEG, made smaller until they fit into the budget; photographs as cameras store them."""
    picture, size = _as_photographs(pictures.values) if key in PHOTOGRAPHS else _within_budget(pictures.values)
    return Part(f"pictures/{key}", _picture_facts(pictures, size), picture)


def exact_pictures(key: str, pictures: Pictures) -> Part:
    """Finished pictures as one PNG, as they are."""
    facts = _picture_facts(pictures, list(pictures.values.shape[1:3]))
    return Part(f"pictures/{key}", facts, png(sprite(pictures.values)))


def _picture_facts(pictures: Pictures, size: list[int]) -> dict[str, Any]:
    captions = [elided(caption) for caption in pictures.captions]
    filters = [_filter_facts(each) for each in pictures.filters]
    return {"count": len(pictures.values), "size": size, "captions": captions} | ({"filters": filters} if filters else {})


def _filter_facts(each: Filter) -> dict[str, Any]:
    reached = {name: number(getattr(each, name), EXACT) for name in ("reached", "on_probe")}
    return {"name": each.name, "kind": each.kind, "dead": each.dead, "prefers_probe": each.prefers_probe} | reached


def input_part(inputs: Inputs) -> Part:
    """What people see of the probe."""
    pictures = np.stack([smaller(picture, INPUT_SIDE) for picture in inputs.pictures])
    facts = {
        "count": len(pictures),
        "size": list(pictures.shape[1:3]),
        "full_size": list(inputs.pictures.shape[1:3]),
        "labels": None if inputs.labels is None else [int(label) for label in inputs.labels],
        "class_names": _within_limit(inputs.class_names),
        "note": elided(inputs.note),
    }
    facts |= {"truth": [elided(each) for each in inputs.truth]} if inputs.truth else {}
    return Part("inputs", facts, jpeg(sprite(pictures), 90, subsampling=0))


def mask_part(masks: Array) -> Part:
    """The masks, 255 on the object."""
    values = reduced(masks, MAP_SIDE)
    return Part("masks", {"size": list(values.shape[1:])}, png(sprite(np.rint(values * 255).astype(np.uint8))))


def twin_part(twins: Array, inputs: Inputs) -> Part:
    """The twins' pictures, which do not change; what is answered on them is among the facts of every look."""
    objects, kinds = twins.shape[:2]
    picture, size = _within_budget(twins.reshape(-1, *twins.shape[2:]))
    names = [elided(kind) for kind in inputs.kinds]
    return Part("twins", {"count": objects * kinds, "objects": objects, "kinds": names, "size": size}, picture)


def _map_within_budget(maps: Maps) -> tuple[Quantised, bytes]:
    for side in (MAP_SIDE, 3 * MAP_SIDE // 4, MAP_SIDE // 2):
        codes = quantise(reduced(maps.values, side), maps.scale.signed)
        picture = png(sprite(codes.codes))
        if len(picture) <= MAP_BUDGET * len(maps.values):
            break
    return codes, picture


def _as_photographs(pictures: Array) -> tuple[bytes, list[int]]:
    """Each look has them anew, and half of the bytes of edges in colour are not seen in them."""
    return jpeg(sprite(pictures), 80), list(pictures.shape[1:3])


def _within_budget(pictures: Array) -> tuple[bytes, list[int]]:
    for tiles, quality in _smaller_and_smaller(pictures):
        data = jpeg(sprite(tiles), quality, subsampling=0)
        if len(data) <= BUDGET:
            break
    return data, list(tiles.shape[1:3])


def _smaller_and_smaller(pictures: Array) -> Iterator[tuple[Array, int]]:
    side = max(pictures.shape[1:3])
    yield pictures, 90
    yield pictures, 80
    while side > 24:
        side = side * 3 // 4
        yield np.stack([smaller(picture, side) for picture in pictures]), 80


def _within_limit(names: tuple[str, ...]) -> list[str]:
    """The first names, as many as metadata has room for; classes behind them are shown by number."""
    kept = [elided(name) for name in names]
    ends = np.cumsum([len(name) for name in kept])
    return kept[: int(np.searchsorted(ends, NAMES_LIMIT, side="right"))]


def rounded(values: Array, digits: int = 5) -> list[float | None]:
    """Numbers with so many significant digits; None where they are not finite, which JSON cannot say."""
    return [number(value, digits) for value in np.asarray(values, np.float64)]


def number(value: float, digits: int = 5) -> float | None:
    """One number as `rounded` has it."""
    value = float(value)
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def elided(text: str) -> str:
    """The text, its middle left out where it is longer than metadata should be."""
    half = TEXT_LIMIT // 2
    return text if len(text) <= TEXT_LIMIT else f"{text[:half]}…{text[-half + 1 :]}"
