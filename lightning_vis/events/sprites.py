"""Sprites: many pictures side by side in one PNG or JPEG, and back."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image

from lightning_vis.constants import SPRITE_COLUMNS
from lightning_vis.frames import Array


def sprite(pictures: Array) -> Array:
    """Tiles ``(N, h, w, ...)`` side by side in rows of eight, as one picture; what is left of the last row is 0."""
    columns = min(len(pictures), SPRITE_COLUMNS)
    missing = -len(pictures) % columns
    cells = np.concatenate((pictures, np.zeros((missing, *pictures.shape[1:]), pictures.dtype)))
    height, width = cells.shape[1:3]
    grid = cells.reshape(-1, columns, *cells.shape[1:]).swapaxes(1, 2)
    return np.reshape(grid, (-1, columns * width, *cells.shape[3:])) if height else grid


def tiles(picture: bytes, size: Iterable[int], count: int) -> Array:
    """The tiles ``(N, h, w, ...)`` of a stored picture: the inverse of `sprite`."""
    sheet = np.asarray(Image.open(io.BytesIO(picture)))
    height, width = size
    columns = min(count, SPRITE_COLUMNS)
    grid = sheet.reshape(-1, height, columns, width, *sheet.shape[2:]).swapaxes(1, 2)
    tiles: Array = grid.reshape(-1, height, width, *sheet.shape[2:])
    return tiles[:count]


def png(picture: Array) -> bytes:
    """A picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def smaller(picture: Array, side: int) -> Array:
    """A picture ``(H, W, 3)`` at `side` pixels per edge at most."""
    height, width = picture.shape[:2]
    ratio = side / max(height, width)
    if ratio >= 1:
        return picture
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
