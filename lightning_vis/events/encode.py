"""Frames and inputs to parts: JSON facts and pictures within a budget of bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lightning_vis.events.quantise import Quantised, quantise, reduced
from lightning_vis.events.sprites import png, smaller, sprite
from lightning_vis.frames import Array, Frame, Inputs, Maps, Pictures
from lightning_vis.render.canvas.tiles import jpeg

MAP_SIDE = 112
"""Maps are stored with this many cells per edge at most."""


INPUT_SIDE = 224
"""The probe's pictures are stored this large at most."""


BUDGET = 150_000
"""Bytes of a part that holds pictures."""


MAP_BUDGET = 9_000
"""Bytes per probe image of a part that holds maps."""


TEXT_LIMIT = 240


NAMES_LIMIT = 64_000


@dataclass(frozen=True)
class Part:
    """Something stored under a tag of its own, or read again.

    Attributes:
        name: ``"inputs"``, ``"masks"``, ``"twins"``, ``"facts"``, ``"maps/<view key>"`` or ``"pictures/<name>"``.
        facts: small enough for the metadata, JSON types only.
        picture: a PNG or a JPEG, empty where facts are all there is.
    """

    name: str
    facts: Mapping[str, Any]
    picture: bytes = b""


def facts_part(frame: Frame) -> Part:
    """When the look was, what the network answered, and all numbers."""
    facts = {
        "step": frame.log_step,
        "epoch": frame.epoch,
        "moment": frame.moment,
        "when": frame.when,
        "weights": frame.weights,
        "predicted": [int(each) for each in frame.predicted],
        "probability": rounded(frame.probability),
        "numbers": {key: number(value) for key, value in frame.numbers.items()},
        "per_image": {key: rounded(each) for key, each in frame.per_image.items() if len(each) == len(frame.predicted)},
        "seconds": {key: number(value) for key, value in frame.seconds.items()},
        "notes": [elided(note) for note in frame.notes[:10]],
    }
    return Part("facts", facts)


def map_part(key: str, maps: Maps) -> Part:
    """A view's maps as a grey PNG in 8 bits of each map's own maximum, with maximum and mean beside it."""
    codes, picture = _map_within_budget(maps)
    facts = {
        "size": list(codes.codes.shape[1:]),
        "area": int(np.prod(maps.values.shape[1:])),
        "maximum": rounded(codes.maximum),
        "mean": rounded(codes.mean),
        "classes": [int(each) for each in maps.classes],
        "layer": elided(maps.layer),
        "title": elided(maps.title),
        "target": elided(maps.target),
        "scale": asdict(maps.scale),
    }
    return Part(f"maps/{key}", facts, picture)


def picture_part(key: str, pictures: Pictures) -> Part:
    """Finished pictures as one JPEG, made smaller until they fit into the budget."""
    picture, size = _within_budget(pictures.values)
    captions = [elided(caption) for caption in pictures.captions]
    return Part(f"pictures/{key}", {"count": len(pictures.values), "size": size, "captions": captions}, picture)


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


def rounded(values: Array) -> list[float | None]:
    """Numbers with five digits; None where they are not finite, which JSON cannot say."""
    return [number(value) for value in np.asarray(values, np.float64)]


def number(value: float) -> float | None:
    """One number as `rounded` has it."""
    value = float(value)
    return float(f"{value:.5g}") if math.isfinite(value) else None


def elided(text: str) -> str:
    """The text, its middle left out where it is longer than metadata should be."""
    half = TEXT_LIMIT // 2
    return text if len(text) <= TEXT_LIMIT else f"{text[:half]}…{text[-half + 1 :]}"
