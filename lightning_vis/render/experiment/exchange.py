"""Exchanges as pictures: an image, and its cut-out in other surroundings, in rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.constants import EXCHANGE
from lightning_vis.frames import Array, Frame, Pictures
from lightning_vis.render.canvas.style import FAINT, GAP, INK, PANEL, SMALL_TEXT, TEXT, WIDTH, WRONG
from lightning_vis.render.canvas.text import lines_of, lines_within, write
from lightning_vis.render.canvas.tiles import fit, put
from lightning_vis.render.experiment.matrix import matrix

SIDE = 160
"""Pixels of a stored picture at most: what is smaller is not enlarged to be stored."""
LINES = 3
"""Of small letters below a picture on a sheet."""
SAYS = ": says "
"""In a caption, between the picture and the answer."""
COLUMNS = ("image", "same class", "other class")

Said = Sequence[tuple[str, float]]
"""What is answered of each picture of a row, and its probability."""


def exchange_pictures(values: Array, classes: Sequence[tuple[str, str]], said: Sequence[Said]) -> Pictures:
    """Rows of three: the image, its cut-out in surroundings of the same class, and in those of another one.

    Args:
        values: ``(R, 3, H, W, 3)`` uint8.
        classes: of each row the object's, and that of the other surroundings.
        said: of each row what is answered.

    Returns:
        ``3 R`` pictures, framed where the answer is not the object's class, with a caption each; rows count from 1.
    """
    tiles, captions = [], []
    for number, (row, (label, host), answers) in enumerate(zip(values, classes, said, strict=True), 1):
        places = (label, f"{label}, surroundings of another {label}", f"{label}, surroundings of {host}")
        for picture, place, (answer, share) in zip(row, places, answers, strict=True):
            tiles.append(_tile(picture, answer != label))
            captions.append(f"{number}: {place}{SAYS}{answer} {share:.2f}")
    return Pictures(np.stack(tiles), tuple(captions))


def exchange_sheet(frame: Frame) -> Array | None:
    """The verdict, the rows that it speaks of, and the matrix of all classes, for the Images tab; None where nothing was exchanged.

    Args:
        frame: what a look found.

    Returns:
        ``(H, 700, 3)`` uint8.
    """
    pictures = frame.pictures.get(EXCHANGE)
    if pictures is None or frame.verdict is None:
        return None
    words = lines_of(frame.verdict.sentence, WIDTH - 2 * GAP, SMALL_TEXT)
    side = (WIDTH - 4 * GAP) // 3
    head, pitch = GAP + (len(words) + 1) * (SMALL_TEXT + 6) + TEXT, side + LINES * (SMALL_TEXT + 2) + 2 * GAP
    sheet = Image.new("RGB", (WIDTH, head + len(pictures.values) // 3 * pitch), PANEL)
    for line, said in enumerate((f"{frame.when}.", *words)):
        write(sheet, (GAP, GAP + line * (SMALL_TEXT + 6)), said, INK, WIDTH - 2 * GAP, SMALL_TEXT)
    for column, title in enumerate(COLUMNS):
        write(sheet, (GAP + column * (side + GAP), head - TEXT), title, FAINT, side, SMALL_TEXT)
    for index in range(len(pictures.values)):
        captioned(sheet, (GAP + index % 3 * (side + GAP), head + index // 3 * pitch), side, pictures, index)
    return np.concatenate([np.asarray(sheet), *([matrix(frame.verdict.cells, WIDTH)] if frame.verdict.cells else [])])


def captioned(sheet: Image.Image, corner: tuple[int, int], side: int, pictures: Pictures, index: int) -> None:
    """One picture of a row with its caption below."""
    x, y = corner
    put(sheet, corner, fit(pictures.values[index], side))
    place, _, answer = pictures.captions[index].rpartition(SAYS)
    write(sheet, (x, y + side + 2), f"says {answer}", INK, side, SMALL_TEXT)
    letters = next((size for size in PLACE if len(lines_of(place, side, size)) < LINES), PLACE[-1])
    for line, words in enumerate(lines_within(place, side, LINES - 1, letters)):
        write(sheet, (x, y + side + 4 + SMALL_TEXT + line * (letters + 2)), words, FAINT, side, letters)


PLACE = (SMALL_TEXT, 20, 18, 16)
"""Letters of what stands where, the largest that find room: what it stands in is read last."""


def _tile(picture: Array, leaves: bool) -> Array:
    """A picture in a square, framed where the answer leaves the object's class."""
    side = min(SIDE, max(picture.shape[:2]))
    tile = Image.fromarray(fit(picture, side))
    if leaves:
        ImageDraw.Draw(tile).rectangle((0, 0, side - 1, side - 1), outline=WRONG, width=max(1, side // 32))
    return np.asarray(tile)
