"""Film strips: a row per probe image, a column per look."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.frames import Array, Frame, Inputs, Maps
from lightning_vis.render.canvas.style import GAP, INK, PANEL, TEXT, WRONG
from lightning_vis.render.canvas.text import fitting, write
from lightning_vis.render.canvas.tiles import drawn, fit, mark, put
from lightning_vis.render.legend import legend_of, reading_of

NAME = 24
"""Room for a name below a tile of a strip."""


def strip(frames: Sequence[Frame], inputs: Inputs, key: str) -> Array:
    """A view's film: a row per probe image, a column per look; the first column shows the images.

    Args:
        frames: in order, as many as there are to be columns; those without this view are left out.
        inputs: what people see of the probe.
        key: the view's key.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    frames = [frame for frame in frames if key in frame.maps]
    side, head, pitch = 100, 2 * TEXT, 100 + NAME + GAP
    rows, columns = len(inputs.pictures), len(frames)
    width, foot = GAP + (max(columns, 5) + 1) * (side + GAP), head + rows * pitch + GAP
    below = legend_of(frames[-1].maps[key], _strip_reading(frames[-1].maps[key], inputs), width) if frames else None
    sheet = Image.new("RGB", (width, foot + (GAP if below is None else len(below))), PANEL)
    for row in range(rows):
        y = head + row * pitch
        put(sheet, (GAP, y), fit(inputs.pictures[row], side))
        if inputs.labels is not None:
            _name(sheet, (GAP, y + side), side, inputs.class_name(int(inputs.labels[row])))
        for column, frame in enumerate(frames):
            x = GAP + (column + 1) * (side + GAP)
            put(sheet, (x, y), fit(drawn(inputs.pictures[row], frame.maps[key], row), side))
            _marks(sheet, (x, y), side, inputs, frame, frames[column - 1] if column else None, key, row)
    letters = min((fitting(frame.when, side) for frame in frames), default=TEXT)
    for column, frame in enumerate(frames):
        write(sheet, (GAP + (column + 1) * (side + GAP), GAP), frame.when, INK, side, letters)
    if below is not None:
        put(sheet, (0, foot), below)
    return np.asarray(sheet)


def _strip_reading(maps: Maps, inputs: Inputs) -> str:
    changes = maps.target in ("predicted", "runner_up")
    return reading_of(maps, inputs) + " White bar: from here on another class is explained." * changes


def _marks(
    sheet: Image.Image,
    corner: tuple[int, int],
    side: int,
    inputs: Inputs,
    frame: Frame,
    before: Frame | None,
    key: str,
    row: int,
) -> None:
    """A frame and a cross where the prediction is wrong; the new name where another class is explained than before."""
    x, y = corner
    draw = ImageDraw.Draw(sheet)
    if inputs.labels is not None and frame.predicted[row] not in (-1, inputs.labels[row]):
        draw.rectangle((x - 2, y - 2, x + side + 1, y + side + 1), outline=WRONG, width=3)
        mark(sheet, (x + side - 24, y + 4), 18, wrong=True)
    now = int(frame.maps[key].classes[row])
    if before is not None and now != int(before.maps[key].classes[row]) and now >= 0:
        draw.line((x - GAP // 2 - 1, y, x - GAP // 2 - 1, y + side), fill=INK, width=2)
        _name(sheet, (x, y + side), side, inputs.class_name(now))


def _name(sheet: Image.Image, corner: tuple[int, int], width: int, name: str) -> None:
    """A name below a tile."""
    write(sheet, (corner[0], corner[1] + 4), name, INK, width, fitting(name, width, (20, 18, 16)))
