"""The film of filters to take along: a GIF that plays anywhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from lightning_vis.animation import COLUMNS, HEAD, SIDE, played, seen
from lightning_vis.constants import OUTPUT
from lightning_vis.filter_facts import Filter, filters_of
from lightning_vis.filter_rendering import FILTERS, filter_reading, filter_tile
from lightning_vis.frames import Array, Frame
from lightning_vis.sheets import FAINT, GAP, INK, PANEL, SMALL_TEXT, WRONG, fitting, paragraph, write

LEAST = 5
"""Columns of a narrow film: its title needs them."""
LETTERS = 20
LINE = 24
BELOW = 2 * LINE + GAP
"""Room for two lines below a tile."""


def animated_filters(films: Sequence[tuple[str, Sequence[Frame]]], layer: str) -> bytes:
    """A film of a layer's filters as GIF, the runs below each other, in step with each other.

    Args:
        films: name and frames of each run; those without this layer are left out.
        layer: its name.

    Raises:
        ValueError: no frame has filters of this layer.
    """
    key = f"{FILTERS}{layer}"
    shown = [(name, [frame for frame in frames if key in frame.pictures]) for name, frames in films]
    shown = [film for film in shown if film[1]]
    if not shown:
        raise ValueError(f"no look has filters of {layer!r}")
    return played([frames for _, frames in shown], lambda moment: _blocks(shown, layer, moment))


def _blocks(films: Sequence[tuple[str, Sequence[Frame]]], layer: str, moment: tuple[int, int]) -> list[Array]:
    """All runs at one moment, and what they show."""
    blocks = [_block(name, frames, layer, seen(frames, moment)) for name, frames in films]
    said = f"{filter_reading(layer)} Below each its name, and what its picture reaches."
    return [*blocks, paragraph(said, max(block.shape[1] for block in blocks), SMALL_TEXT)]


def _block(name: str, frames: Sequence[Frame], layer: str, frame: Frame | None) -> Array:
    """One run: what was seen last, or nothing yet, with room for as many filters as any of its looks has."""
    most = max(len(each.pictures[f"{FILTERS}{layer}"].values) for each in frames)
    columns, pitch = max(LEAST, min(most, COLUMNS)), SIDE + BELOW
    sheet = Image.new("RGB", (GAP + columns * (SIDE + GAP), HEAD - (-most // columns) * pitch), PANEL)
    title = f"{name}: {'classes' if layer == OUTPUT else layer}, {frame.when if frame else 'not yet'}"
    write(sheet, (GAP, GAP), title, INK if frame else FAINT, sheet.width - 2 * GAP, SMALL_TEXT)
    pictures, filters = (frame.pictures[f"{FILTERS}{layer}"].values, filters_of(frame, layer)) if frame else ((), [])
    for at, (picture, each) in enumerate(zip(pictures, filters, strict=True)):
        corner = (GAP + at % columns * (SIDE + GAP), HEAD + at // columns * pitch)
        filter_tile(sheet, corner, SIDE, picture, each)
        _name(sheet, corner, each, min(fitting(other.name, SIDE, (LETTERS, 18, 16)) for other in filters))
    return np.asarray(sheet)


def _name(sheet: Image.Image, corner: tuple[int, int], each: Filter, letters: int) -> None:
    """A filter's name, and below it what its picture reaches."""
    x, y = corner
    write(sheet, (x, y + SIDE + 2), each.name, INK, SIDE, letters)
    write(sheet, (x, y + SIDE + 2 + LINE), each.value, WRONG if each.is_marked else FAINT, SIDE, LETTERS)
