"""Filters as pictures: a grid of a look, and the film strip of a training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from lightning_vis.filter_facts import Filter, filters_of
from lightning_vis.frames import Array, Frame, Pictures
from lightning_vis.rendering import FAINT, GAP, INK, PANEL, TEXT, WIDTH, WRONG, _fit, _paste, _short_when, _text

COLUMNS = 4
STRIP_SIDE = 112
FILM_SIDE = 56
"""Pictures are kept this large for the film."""


def filter_sheet(frame: Frame, layer: str) -> Array:
    """A layer's filters side by side, under each the activation it reaches and the best of the probe.

    Args:
        frame: with the pictures and numbers of this layer.
        layer: its name.

    Returns:
        ``(H, 700, 3)`` uint8.
    """
    filters, pictures = filters_of(frame, layer), frame.pictures[f"filters/{layer}"]
    side = (WIDTH - (COLUMNS + 1) * GAP) // COLUMNS
    rows = -(-len(filters) // COLUMNS)
    row_height = side + 2 * TEXT + 2 * GAP
    sheet = Image.new("RGB", (WIDTH, TEXT + 3 * GAP + rows * row_height), PANEL)
    end = _text(sheet, (GAP, GAP), frame.when, INK, WIDTH // 2)
    _text(sheet, (end + GAP, GAP), "channel: activation, best on the probe", FAINT, WIDTH - end - 2 * GAP)
    for position, each in enumerate(filters):
        x = GAP + position % COLUMNS * (side + GAP)
        y = TEXT + 3 * GAP + position // COLUMNS * row_height
        _paste(sheet, (x, y), _fit(pictures.values[position], side))
        first, second = _lines(each)
        _text(sheet, (x, y + side + 2), first, INK, side)
        _text(sheet, (x, y + side + 2 + TEXT), second, WRONG if each.dead or each.prefers_probe else FAINT, side)
    return np.asarray(sheet)


def filter_strip(frames: Sequence[Frame], layer: str) -> Array:
    """The film of a layer's filters: a row per filter, a column per look, under each picture the activation it reaches.

    Args:
        frames: in order, as many as there are to be columns; those without this layer are left out.
        layer: its name.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    frames = [frame for frame in frames if f"filters/{layer}" in frame.pictures]
    rows = max((len(filters_of(frame, layer)) for frame in frames), default=0)
    head, row_height = 2 * TEXT, STRIP_SIDE + TEXT + GAP
    sheet = Image.new("RGB", (GAP + max(len(frames), 2) * (STRIP_SIDE + GAP), head + rows * row_height + GAP), PANEL)
    for column, frame in enumerate(frames):
        x = GAP + column * (STRIP_SIDE + GAP)
        _text(sheet, (x, GAP), _short_when(frame), INK, STRIP_SIDE, 24)
        pictures = frame.pictures[f"filters/{layer}"].values
        for row, each in enumerate(filters_of(frame, layer)):
            y = head + row * row_height
            _paste(sheet, (x, y), _fit(pictures[row], STRIP_SIDE))
            colour = WRONG if each.dead or each.prefers_probe else FAINT
            _text(sheet, (x, y + STRIP_SIDE + 2), _lines(each)[0], colour, STRIP_SIDE, 24)
    return np.asarray(sheet)


def small(pictures: Pictures) -> Pictures:
    """Pictures as large as the film keeps them."""
    values = np.stack([_fit(picture, FILM_SIDE) for picture in pictures.values])
    return Pictures(values, pictures.captions)


def _lines(each: Filter) -> tuple[str, str]:
    if each.dead:
        return f"{each.name}:", "dead"
    reached = f"{each.reached:.3g}" if abs(each.reached) >= 1 else f"{each.reached:.2f}"
    return f"{each.name}: {reached}", f"best {each.on_probe:.2g}"
