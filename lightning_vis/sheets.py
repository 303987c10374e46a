"""What a sheet is drawn with: sizes, colours, text, tiles and marks. No torch, and no matplotlib figure."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lightning_vis.frames import Array, Maps

WIDTH = 700
"""Cards are drawn 700 pixels wide and shown at exactly half of it in the Images tab."""
TEXT = 30
"""No text on a card is smaller: at half the size digits are still read right."""
SMALL_TEXT = 22
"""Of pictures that are seen at their own size."""
GAP = 10
PANEL = (24, 26, 30)
INK = (236, 236, 236)
FAINT = (164, 168, 176)
WRONG = (255, 138, 76)
RIGHT = (120, 200, 140)

Colour = tuple[int, int, int]


def jpeg(picture: Array, quality: int = 82) -> bytes:
    """A picture ``(H, W, 3)`` uint8 as JPEG: a quarter of the bytes of PNG, and bytes are what logging costs."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def shorten(draw: ImageDraw.ImageDraw, text: str, width: int, font: Any) -> str:
    """The text, its middle left out as far as the width in pixels demands: both ends of a name tell it apart."""
    if draw.textlength(text, font=font) <= width:
        return text
    for keep in range(len(text) - 1, 1, -1):
        short = f"{text[: -(-keep // 2)]}…{text[len(text) - keep // 2 :]}"
        if draw.textlength(short, font=font) <= width:
            return short
    return text[:1]


def cut(text: str, width: int, size: int = TEXT) -> str:
    """The text as `write` would write it into `width` pixels."""
    return shorten(ImageDraw.Draw(Image.new("L", (1, 1))), text, width, _font(size))


def write(sheet: Image.Image, corner: tuple[int, int], text: str, colour: Colour, width: int, size: int = TEXT) -> int:
    """Writes one line that is at most `width` pixels wide; returns where it ends."""
    draw, font = ImageDraw.Draw(sheet), _font(size)
    text = shorten(draw, text, width, font)
    draw.text(corner, text, fill=colour, font=font)
    return corner[0] + int(draw.textlength(text, font=font))


def fitting(text: str, width: int, sizes: tuple[int, ...] = (24, 22, 20, 18)) -> int:
    """The largest of these sizes in which the text is not cut, else the smallest."""
    return next((size for size in sizes if text_width(text, size) <= width), sizes[-1])


def lines_of(text: str, width: int, size: int = TEXT) -> list[str]:
    """The text in lines of at most `width` pixels, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        lines[-1:] = [longer] if not lines[-1] or text_width(longer, size) <= width else [lines[-1], word]
    return lines


def paragraph(text: str, width: int, size: int = TEXT) -> Array:
    """What stands below a picture, in lines, ``(H, width, 3)`` uint8."""
    lines = lines_of(text, width - 2 * GAP, size)
    sheet = Image.new("RGB", (width, len(lines) * (size + GAP) + GAP), PANEL)
    for line, each in enumerate(lines):
        write(sheet, (GAP, line * (size + GAP)), each, FAINT, width - 2 * GAP, size)
    return np.asarray(sheet)


def text_width(text: str, size: int = TEXT) -> int:
    """How many pixels a line takes."""
    return int(_font(size).getlength(text))


def paste(sheet: Image.Image, corner: tuple[int, int], picture: Array) -> None:
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


def name_state(sheet: Image.Image, corner: tuple[int, int], maps: Maps, index: int) -> None:
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
    write(sheet, (corner[0] + 6, corner[1] + 6), state, WRONG, WIDTH)


@lru_cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
