"""Colour bars with ticks, and what a film of maps shows in words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image

from lightning_vis.constants import LOG_ODDS, MULTICLASS
from lightning_vis.frames import Array, Frame, Inputs, Maps, Scale
from lightning_vis.render.canvas.style import FAINT, GAP, PANEL, TEXT
from lightning_vis.render.canvas.text import paragraph, text_width, write
from lightning_vis.render.canvas.tiles import put
from lightning_vis.render.colormap import overlay

NARROWEST = 212
"""Pixels of the narrowest bar."""


def legend_of(maps: Maps, words: str, width: int) -> Array:
    """What stands below a film: the colour bar, where there is one, and what is to be said, ``(H, width, 3)`` uint8."""
    said = paragraph(words, width)
    if maps.scale.kind != "log":
        return said
    bar = Image.new("RGB", (width, TEXT + GAP), PANEL)
    legend(bar, (GAP, 0), min(340, width - 2 * GAP), maps.scale)
    return np.concatenate((np.asarray(bar), said))


def legend(sheet: Image.Image, corner: tuple[int, int], width: int, scale: Scale) -> None:
    """A colour bar with its ticks, on the log scale on which the maps are drawn."""
    x, y = corner
    shares = np.linspace(-1 if scale.signed else 0, 1, width)
    bar = np.repeat(overlay(np.zeros((1, width, 3), np.uint8), shares[None], scale.signed), 8, axis=0)
    put(sheet, (x, y), bar)
    for value, place in ticks_that_fit(scale):
        label = label_of(value)
        left = x + int(place * (width - 1)) - int(text_width(label) * place)
        write(sheet, (left, y + 8), label, FAINT, width)


@lru_cache  # the legends of a run have a few scales, and are drawn again and again
def ticks_that_fit(scale: Scale) -> tuple[tuple[float, float], ...]:
    """Ticks whose labels stand apart on the narrowest bar, each with its place from 0 to 1: all bars have the same.

    Those at the ends are always there, others where there is room, the smaller ones first, on both sides or on none.
    """
    by_size: dict[float, list[tuple[float, float]]] = {}
    for value in scale.ticks():
        by_size.setdefault(abs(value), []).append((value, _place(value, scale)))
    kept = by_size.pop(scale.limit)
    for size in sorted(by_size):
        if all(_gap(*sorted((tick, other))) >= GAP for tick in by_size[size] for other in kept):
            kept += by_size[size]
    return tuple(sorted(kept))


def label_of(value: float) -> str:
    """A value as it stands at a tick."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _place(value: float, scale: Scale) -> float:
    share = float(scale.share(np.asarray(value)))
    return (share + 1) / 2 if scale.signed else share


def _gap(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Pixels between the labels of two ticks, the left one first; a label lies as far to its tick's left as the tick to the
    bar's left."""
    (value, left), (other_value, right) = one, other
    labels = text_width(label_of(value)) * (1 - left) + text_width(label_of(other_value)) * right
    return (right - left) * (NARROWEST - 1) - labels


def reading_of(frames: Sequence[Frame], inputs: Inputs, key: str) -> str:
    """What a film of a view's maps shows, in words.

    Args:
        frames: all with this view.
        inputs: what people see of the probe.
        key: the view's key.
    """
    maps = [frame.maps[key] for frame in frames]
    unit = "" if maps[-1].unit == LOG_ODDS else unit_of(maps[-1])
    read = next((f" {frame.reading}" for frame in reversed(frames) if frame.reading), "")
    wrong = " Orange frame: wrong answer." * _may_be_wrong(frames, inputs)
    return f"{explaining(maps, inputs)}{unit}.{read}{wrong}"


def _may_be_wrong(frames: Sequence[Frame], inputs: Inputs) -> bool:
    return any((frame.task == MULTICLASS and not frame.said) or frame.count_right(inputs)[1] > 0 for frame in frames)


def unit_of(maps: Maps) -> str:
    """The unit behind a comma, where the colours have one: those of a density are multiples of its mean."""
    return f", {maps.unit}" if maps.unit and maps.scale.kind == "log" else ""


def explaining(maps: Sequence[Maps], inputs: Inputs) -> str:
    """What a view's maps explain: "evidence for the label", "saliency of the predicted class", "Grad-CAM of bird"."""
    words = {word for each in maps for word in each.explains}
    if maps[-1].is_output and len(words) != 1:
        return maps[-1].title
    return f"{maps[-1].title} {'for' if maps[-1].scale.signed else 'of'} {_whose(maps, inputs)}"


def _whose(maps: Sequence[Maps], inputs: Inputs) -> str:
    target, words = maps[-1].target, {word for each in maps for word in each.explains}
    if words:
        of_all = {"label": "what is true", "predicted": "what is answered"} if maps[-1].unit == LOG_ODDS else {}
        return words.pop() if len(words) == 1 else of_all.get(target, "what is explained")
    if all((each.classes < 0).all() for each in maps):
        return "the score"
    named = {"label": "the label", "predicted": "the predicted class", "runner_up": "the runner-up class"}
    return named.get(target) or inputs.class_name(int(target))
