"""Colour bars with ticks, and what a film of maps shows in words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from lightning_vis.frames import Array, Inputs, Maps, Scale
from lightning_vis.render.canvas.style import FAINT, GAP, PANEL, TEXT
from lightning_vis.render.canvas.text import paragraph, text_width, write
from lightning_vis.render.canvas.tiles import put
from lightning_vis.render.colormap import overlay


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
    ticks: Iterable[int] = (-31, -3, 0, 3, 31) if scale.signed else (0, 1, 3, 7, 31)
    for tick in ticks:
        share = np.sign(tick) * np.log1p(abs(tick)) / np.log1p(scale.limit)
        position = (share + 1) / 2 if scale.signed else share
        label = str(tick)
        left = x + int(position * (width - 1)) - int(text_width(label) * position)
        write(sheet, (left, y + 8), label, FAINT, width)


def reading_of(maps: Maps, inputs: Inputs) -> str:
    """What a film of maps shows, in words."""
    return f"{explaining(maps, inputs)}. Orange frame: wrong answer."


def explaining(maps: Maps, inputs: Inputs) -> str:
    """What a view explains: "evidence for the label", "saliency of the predicted class", "Grad-CAM of bird"."""
    words = {"label": "the label", "predicted": "the predicted class", "runner_up": "the runner-up class"}
    which = words.get(maps.target) or inputs.class_name(int(maps.target))
    return f"{maps.title} {'for' if maps.scale.signed else 'of'} {which}"
