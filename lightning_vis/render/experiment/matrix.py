"""The class x class matrix of an exchange as a picture, the worst cells first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.frames import Array, Cell
from lightning_vis.render.canvas.style import FAINT, GAP, INK, PANEL, SMALL_TEXT, WRONG
from lightning_vis.render.canvas.text import fitting, text_width, write

NAMES = 170
"""Pixels for the names of the objects' classes."""
ROW = 40
"""Pixels of a row."""
WIDEST = 150
"""Pixels of a column at most."""
TITLE = "How often the class of the surroundings is answered; rows: objects"


def matrix(cells: Sequence[Cell], width: int) -> Array:
    """How often objects of each class are called by the class that their surroundings come from.

    Args:
        cells: the worst one first: rows and columns stand in the order in which their classes come there.
        width: of the picture.

    Returns:
        ``(H, width, 3)`` uint8: the more of the exchanges follow, the more orange; a cell that was not tried is empty.
    """
    labels, hosts = (list(dict.fromkeys(names)) for names in ([each.label for each in cells], [each.host for each in cells]))
    column = min(WIDEST, (width - NAMES - 2 * GAP) // max(1, len(hosts)))
    sheet = Image.new("RGB", (width, GAP + (SMALL_TEXT + 6) * 2 + len(labels) * ROW), PANEL)
    write(sheet, (GAP, 0), TITLE, FAINT, width - 2 * GAP, SMALL_TEXT)
    top = SMALL_TEXT + 6
    for at, host in enumerate(hosts):
        write(sheet, (GAP + NAMES + at * column, top), host, FAINT, column - GAP, fitting(host, column - GAP, (22, 18, 16)))
    for row, label in enumerate(labels):
        write(sheet, (GAP, top + SMALL_TEXT + 12 + row * ROW), label, INK, NAMES - GAP, SMALL_TEXT)
    for cell in cells:
        corner = (GAP + NAMES + hosts.index(cell.host) * column, top + SMALL_TEXT + 6 + labels.index(cell.label) * ROW)
        _cell(sheet, corner, column - 4, cell)
    return np.asarray(sheet)


def _cell(sheet: Image.Image, corner: tuple[int, int], width: int, cell: Cell) -> None:
    """A cell as bright as its share, and its counts."""
    (x, y), share, words = corner, cell.follows / cell.of, f"{cell.follows}/{cell.of}"
    colour = tuple(round(low + share * (high - low)) for low, high in zip(PANEL, WRONG, strict=True))
    ImageDraw.Draw(sheet).rectangle((x, y, x + width - 1, y + ROW - 5), fill=colour, outline=FAINT)
    size = fitting(words, width - 8, (22, 18, 14))
    left = x + max(4, (width - text_width(words, size)) // 2)
    write(sheet, (left, y + (ROW - 4 - size) // 2 - 2), words, PANEL if share > 0.5 else INK, width - 4, size)
