"""Text on a sheet: measured, cut, wrapped, written."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lightning_vis.frames import Array
from lightning_vis.render.canvas.style import FAINT, GAP, PANEL, TEXT, Colour

INSTEAD = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "×": "x", "✗": "x", "→": "->"}  # noqa: RUF001
    | {"µ": "u", "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "€": "EUR"}
)
"""What is written for letters that Pillow's font has not, where taking their accents off is not enough."""


@lru_cache(4096)
def printable(text: str) -> str:
    """The text in letters that the font has, on one line; a letter that nothing stands for stays, and is drawn as a box."""
    return "".join(_letter(letter) for letter in text)


@lru_cache(4096)
def _letter(letter: str) -> str:
    kind = unicodedata.category(letter)
    if letter.isspace() or kind in ("Cc", "Cf", "Cs"):
        return "" if kind == "Cf" else " "
    plain = "".join(each for each in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(each))
    for candidate in (letter, letter.translate(INSTEAD), plain.translate(INSTEAD)):
        if candidate and not any(map(_is_missing, candidate)):
            return candidate
    return letter


def _is_missing(letter: str) -> bool:
    font = _font(TEXT)
    return letter != " " and bytes(font.getmask(letter)) == bytes(font.getmask("\uffff"))


def elide(draw: ImageDraw.ImageDraw, text: str, width: int, font: Any) -> str:
    """The text, its middle left out as far as the width in pixels demands: both ends of a name tell it apart."""
    text = printable(text)
    if draw.textlength(text, font=font) <= width:
        return text
    for keep in range(len(text) - 1, 1, -1):
        short = f"{text[: -(-keep // 2)]}…{text[len(text) - keep // 2 :]}"
        if draw.textlength(short, font=font) <= width:
            return short
    return text[:1]


def cut(text: str, width: int, size: int = TEXT) -> str:
    """The text as `write` would write it into `width` pixels."""
    return elide(ImageDraw.Draw(Image.new("L", (1, 1))), text, width, _font(size))


def write(sheet: Image.Image, corner: tuple[int, int], text: str, colour: Colour, width: int, size: int = TEXT) -> int:
    """Writes one line that is at most `width` pixels wide; returns where it ends."""
    draw, font = ImageDraw.Draw(sheet), _font(size)
    text = elide(draw, text, width, font)
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


def lines_within(text: str, width: int, count: int, size: int = TEXT) -> list[str]:
    """The text in at most so many lines; what has no room is left out at the end of the last one."""
    lines = lines_of(text, width, size)
    return lines if len(lines) <= count else [*lines[: count - 1], _begun(" ".join(lines[count - 1 :]), width, size)]


def _begun(text: str, width: int, size: int) -> str:
    """As many words of a text as there is room for, and a mark that there are more."""
    words = text.split()
    fits = [count for count in range(1, len(words)) if text_width(f"{' '.join(words[:count])} …", size) <= width]
    return f"{' '.join(words[: fits[-1]])} …" if fits else text


def paragraph(text: str, width: int, size: int = TEXT) -> Array:
    """What stands below a picture, in lines, ``(H, width, 3)`` uint8."""
    lines = lines_of(text, width - 2 * GAP, size)
    sheet = Image.new("RGB", (width, paragraph_height(text, width, size)), PANEL)
    for line, each in enumerate(lines):
        write(sheet, (GAP, line * (size + GAP)), each, FAINT, width - 2 * GAP, size)
    return np.asarray(sheet)


def paragraph_height(text: str, width: int, size: int = TEXT) -> int:
    """How many pixels a `paragraph` takes from top to bottom."""
    return len(lines_of(text, width - 2 * GAP, size)) * (size + GAP) + GAP


@lru_cache(4096)
def text_width(text: str, size: int = TEXT) -> int:
    """How many pixels a line takes."""
    return int(_font(size).getlength(printable(text)))


@lru_cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
