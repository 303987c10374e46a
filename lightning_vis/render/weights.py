"""A layer's filters in rows: weights, their change, and feature maps."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lightning_vis.frames import Array
from lightning_vis.render.canvas.style import FAINT, GAP, INK, PANEL, TEXT
from lightning_vis.render.canvas.text import write
from lightning_vis.render.canvas.tiles import fit, put

SIDE = 104


def weight_sheet(
    names: list[str], pictures: Array, maps: Array, weights: Array | None = None, change: Array | None = None
) -> Array:
    """One row per filter: weights and their change where there are any, then its maps of the images above.

    Args:
        names: of the filters, ``K`` of them.
        pictures: of the images, ``(N, H, W, 3)`` uint8.
        maps: ``(N, K, h, w, 3)`` uint8, as `lightning_vis.maximization.weights.map_pictures` gives them.
        weights: ``(K, h, w, 3)`` uint8, as `lightning_vis.maximization.weights.weight_pictures` gives them.
        change: the same of the difference to the last look.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    columns = [(word, each) for word, each in (("weights", weights), ("change", change)) if each is not None]
    left = 2 * GAP + TEXT * 2
    width = left + (len(columns) + len(pictures)) * (SIDE + GAP)
    sheet = Image.new("RGB", (width, SIDE + 2 * GAP + len(names) * (SIDE + GAP)), PANEL)
    for position, (word, each) in enumerate(columns):
        x = left + position * (SIDE + GAP)
        write(sheet, (x, SIDE - TEXT), word, FAINT, SIDE, 24)
        for row in range(len(names)):
            put(sheet, (x, SIDE + 2 * GAP + row * (SIDE + GAP)), _blocks(each[row]))
    for number in range(len(pictures)):
        x = left + (len(columns) + number) * (SIDE + GAP)
        put(sheet, (x, GAP), fit(pictures[number], SIDE))
        for row in range(len(names)):
            put(sheet, (x, SIDE + 2 * GAP + row * (SIDE + GAP)), fit(maps[number, row], SIDE))
    for row, name in enumerate(names):
        write(sheet, (GAP, SIDE + 2 * GAP + row * (SIDE + GAP) + SIDE // 2 - TEXT // 2), name, INK, left - GAP)
    return np.asarray(sheet)


def _blocks(picture: Array) -> Array:
    """Enlarged without smoothing: a weight is a square, not a blur."""
    height, width = picture.shape[:2]
    ratio = min(SIDE / height, SIDE / width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    square = Image.new("RGB", (SIDE, SIDE), PANEL)
    enlarged = Image.fromarray(picture).resize(size, Image.Resampling.NEAREST)
    square.paste(enlarged, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return np.asarray(square)
