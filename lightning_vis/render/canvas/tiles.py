"""Tiles and marks on a sheet: a picture under its map, crosses, ticks, JPEG."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.frames import Array, Maps
from lightning_vis.render.canvas.style import PANEL, RIGHT, TEXT, WIDTH, WRONG
from lightning_vis.render.canvas.text import write
from lightning_vis.render.colormap import colours, map_strength, overlay


def drawn(picture: Array, maps: Maps, index: int) -> Array:
    """A picture under its map; saliency and other densities stand on black."""
    shares = map_strength(maps, index, picture.shape[:2])
    if maps.scale.kind == "log":
        return overlay(picture, shares, maps.scale.signed)
    return np.rint(colours(shares, maps.scale.signed)).astype(np.uint8)


def jpeg(picture: Array, quality: int = 82, subsampling: int = 2) -> bytes:
    """A picture ``(H, W, 3)`` uint8 as JPEG: a quarter of the bytes of PNG, and bytes are what logging costs.

    Args:
        picture: any size.
        quality: as Pillow counts it.
        subsampling: of colours, as Pillow counts it: 2 keeps one of four, 0 all.
    """
    shared = {"quality": quality, "subsampling": subsampling}
    try:
        return _saved(picture, **shared, optimize=True, progressive=True)
    except OSError:  # Pillow keeps too little room for noise that is to be optimised
        return _saved(picture, **shared)


def _saved(picture: Array, **words: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", **words)
    return buffer.getvalue()


def halved(picture: Array) -> Array:
    """A picture half as wide and half as high."""
    height, width = picture.shape[:2]
    size = (max(1, width // 2), max(1, height // 2))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def put(sheet: Image.Image, corner: tuple[int, int], picture: Array) -> None:
    """Puts a picture on a sheet."""
    sheet.paste(Image.fromarray(picture), corner)


def fit(picture: Array, side: int) -> Array:
    """A picture inside a square, its proportions kept, on the panel's colour."""
    height, width = picture.shape[:2]
    ratio = side / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    way = Image.Resampling.BICUBIC if ratio >= 1 else Image.Resampling.LANCZOS
    square = Image.new("RGB", (side, side), PANEL)
    square.paste(Image.fromarray(picture).resize(size, way), ((side - size[0]) // 2, (side - size[1]) // 2))
    return np.asarray(square)


def mark(sheet: Image.Image, corner: tuple[int, int], side: int, wrong: bool) -> None:
    """A cross or a tick, drawn: the font has neither."""
    (x, y), draw = corner, ImageDraw.Draw(sheet)
    if wrong:
        draw.line((x, y, x + side, y + side), fill=WRONG, width=4)
        draw.line((x, y + side, x + side, y), fill=WRONG, width=4)
    else:
        draw.line((x, y + side // 2, x + side // 3, y + side, x + side, y), fill=RIGHT, width=4, joint="curve")


def name_state(sheet: Image.Image, corner: tuple[int, int], maps: Maps, index: int, letters: int = TEXT) -> None:
    """Names a map that says nothing, so that nobody reads anything into it."""
    values = maps.values[index]
    if not np.isfinite(values).all():
        state = "not finite"
    elif np.abs(values).max() <= 1e-10:
        state = "empty"
    elif np.ptp(values) <= 1e-6 * np.abs(values).max():
        state = "constant"
    else:
        return
    write(sheet, (corner[0] + 6, corner[1] + 6), state, WRONG, WIDTH, letters)
