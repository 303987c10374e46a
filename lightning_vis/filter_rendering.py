"""Filters as pictures: a grid of a look, and below it the film of the training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.constants import OUTPUT
from lightning_vis.filter_facts import Filter, filters_of
from lightning_vis.frames import Array, Frame, Pictures
from lightning_vis.sheets import FAINT, GAP, INK, PANEL, TEXT, WIDTH, WRONG, fit, paste, write

COLUMNS = 4
FILM_SIDE = 56
"""Pictures are kept this large for the film."""
LOOKS = 10
"""Columns of the film at most."""
LABELS = 108
"""Pixels left of the film, for the channels."""


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
    end = write(sheet, (GAP, GAP), frame.when, INK, WIDTH // 2)
    what = "class: score" if layer == OUTPUT else "channel: activation"
    write(sheet, (end + GAP, GAP), f"{what}, best on the probe", FAINT, WIDTH - end - 2 * GAP)
    for position, each in enumerate(filters):
        x = GAP + position % COLUMNS * (side + GAP)
        y = TEXT + 3 * GAP + position // COLUMNS * row_height
        paste(sheet, (x, y), fit(pictures.values[position], side))
        first, second = _lines(each)
        write(sheet, (x, y + side + 2), first, INK, side)
        write(sheet, (x, y + side + 2 + TEXT), second, WRONG if each.dead or each.prefers_probe else FAINT, side)
    return np.asarray(sheet)


def filter_film(frames: Sequence[Frame], layer: str) -> Array:
    """The film of a layer's filters: a row for each filter of the last look, a column for each look, by its epoch.

    Args:
        frames: in order, as many as there are to be columns, at most ten; those without this layer are left out.
        layer: its name.

    Returns:
        ``(H, 700, 3)`` uint8. A tile stays empty where another channel was looked at.
    """
    frames = [frame for frame in frames if f"filters/{layer}" in frame.pictures]
    names = [each.name for each in filters_of(frames[-1], layer)] if frames else []
    step = FILM_SIDE + (WIDTH - LABELS - GAP - LOOKS * FILM_SIDE) // (LOOKS - 1)
    sheet = Image.new("RGB", (WIDTH, TEXT + 2 * GAP + len(names) * step), PANEL)
    write(sheet, (GAP, GAP), "epoch", FAINT, LABELS - GAP)
    for row, name in enumerate(names):
        write(sheet, (GAP, TEXT + 2 * GAP + row * step + (FILM_SIDE - TEXT) // 2), name, FAINT, LABELS - 2 * GAP)
    for column, frame in enumerate(frames):
        x = LABELS + column * step
        write(sheet, (x, GAP), "end" if frame.moment == "step" else str(frame.epoch), INK, step)
        for picture, each in zip(frame.pictures[f"filters/{layer}"].values, filters_of(frame, layer), strict=True):
            if each.name in names:
                _tile(sheet, (x, TEXT + 2 * GAP + names.index(each.name) * step), picture, each)
    return np.asarray(sheet)


def filter_card(frame: Frame, frames: Sequence[Frame], layer: str) -> Array:
    """A layer's filters today, and below them their film: ``(H, 700, 3)`` uint8.

    Args:
        frame: today's, in full size.
        frames: the film, as `filter_film` takes it.
        layer: its name.
    """
    return np.concatenate((filter_sheet(frame, layer), filter_film(frames, layer)))


def small(pictures: Pictures) -> Pictures:
    """Pictures as large as the film keeps them."""
    values = np.stack([fit(picture, FILM_SIDE) for picture in pictures.values])
    return Pictures(values, pictures.captions)


def _tile(sheet: Image.Image, corner: tuple[int, int], picture: Array, each: Filter) -> None:
    (x, y), side = corner, FILM_SIDE
    paste(sheet, corner, fit(picture, side))
    if each.dead or each.prefers_probe:
        ImageDraw.Draw(sheet).rectangle((x - 2, y - 2, x + side + 1, y + side + 1), outline=WRONG, width=2)


def _lines(each: Filter) -> tuple[str, str]:
    if each.dead:
        return f"{each.name}:", "dead"
    reached = f"{each.reached:.3g}" if abs(each.reached) >= 1 else f"{each.reached:.2f}"
    return f"{each.name}: {reached}", f"best {each.on_probe:.2g}"
