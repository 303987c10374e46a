"""Colour bars with ticks, and what a film of maps shows in words."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from lightning_vis.frames import Array, Inputs, Maps, Scale
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


def reading_of(maps: Maps, inputs: Inputs) -> str:
    """What a film of maps shows, in words."""
    return f"{explaining(maps, inputs)}. Orange frame: wrong answer."


def explaining(maps: Maps, inputs: Inputs) -> str:
    """What a view explains: "evidence for the label", "saliency of the predicted class", "Grad-CAM of bird"."""
    words = {"label": "the label", "predicted": "the predicted class", "runner_up": "the runner-up class"}
    which = words.get(maps.target) or inputs.class_name(int(maps.target))
    return f"{maps.title} {'for' if maps.scale.signed else 'of'} {which}"
