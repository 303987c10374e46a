"""The verdict as a picture: its sentence, and the pairs that show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from PIL import Image

from lightning_vis.constants import EXCHANGE, TWINS, VERDICT
from lightning_vis.frames import Array, Frame, Inputs
from lightning_vis.render.canvas.style import FAINT, GAP, INK, PANEL, SMALL_TEXT, WIDTH
from lightning_vis.render.canvas.text import lines_of, write
from lightning_vis.render.experiment.exchange import LINES, captioned, exchange_sheet
from lightning_vis.render.twins import telling_kinds, twin_shown, twins_sheet, was_asked

COLUMNS = 3
"""Pictures of one row."""
MOST = 2
"""Rows below a verdict."""

Draw = Callable[[Image.Image, tuple[int, int], int], None]
"""Draws one row on a sheet, at a corner, its pictures so many pixels wide."""


def proofs(frame: Frame, inputs: Inputs) -> list[Draw]:
    """What draws each of the rows that show what the verdict says; none where it says nothing of the kind."""
    verdict = frame.verdict
    if verdict is None:
        return []
    if verdict.picture == TWINS:
        is_known = inputs.twins is not None and was_asked(frame, inputs)
        return [partial(_twins, frame, inputs, row) for row in verdict.rows if is_known]
    known = frame.pictures.get(EXCHANGE)
    return [] if known is None else [partial(_exchange, frame, row) for row in verdict.rows]


def verdict_sheet(frame: Frame, inputs: Inputs) -> Array | None:
    """The verdict of a look in one picture; None where nothing was said.

    Args:
        frame: what the look found.
        inputs: with the twins' pictures.

    Returns:
        ``(H, 700, 3)`` uint8.
    """
    if frame.verdict is None:
        return None
    rows, side = proofs(frame, inputs)[:MOST], (WIDTH - 4 * GAP) // COLUMNS
    lines = [f"{frame.when}: {frame.verdict.title}.", *lines_of(frame.verdict.sentence, WIDTH - 2 * GAP, SMALL_TEXT)]
    head, pitch = GAP + len(lines) * (SMALL_TEXT + 6) + GAP, height_of(side)
    sheet = Image.new("RGB", (WIDTH, head + len(rows) * pitch), PANEL)
    for line, words in enumerate(lines):
        write(sheet, (GAP, GAP + line * (SMALL_TEXT + 6)), words, INK, WIDTH - 2 * GAP, SMALL_TEXT)
    for at, draw in enumerate(rows):
        draw(sheet, (GAP, head + at * pitch), side)
    return np.asarray(sheet)


SHEETS: Mapping[str, Callable[[Frame, Inputs], Array | None]] = {
    TWINS: twins_sheet,
    EXCHANGE: lambda frame, inputs: exchange_sheet(frame),
    VERDICT: verdict_sheet,
}
"""What an experiment found at a look as one picture, by the name of its view; None of a look that has no such thing."""


def height_of(side: int) -> int:
    """Of one row, its title and captions included."""
    return SMALL_TEXT + 6 + side + LINES * (SMALL_TEXT + 2) + GAP


def _exchange(frame: Frame, row: int, sheet: Image.Image, corner: tuple[int, int], side: int) -> None:
    """One row of an exchange."""
    _title(sheet, corner, f"exchange {row + 1}, {frame.when}: image, same class, other class", side)
    for column in range(COLUMNS):
        place = (corner[0] + column * (side + GAP), corner[1] + SMALL_TEXT + 6)
        captioned(sheet, place, side, frame.pictures[EXCHANGE], COLUMNS * row + column)


def _twins(frame: Frame, inputs: Inputs, row: int, sheet: Image.Image, corner: tuple[int, int], side: int) -> None:
    """One object on several backgrounds."""
    _title(sheet, corner, f"twin {row + 1}, {frame.when}: one object on several backgrounds", side)
    for column, kind in enumerate(telling_kinds(frame, inputs, row, COLUMNS)):
        place = (corner[0] + column * (side + GAP), corner[1] + SMALL_TEXT + 6)
        twin_shown(sheet, place, side, frame, inputs, row, kind)


def _title(sheet: Image.Image, corner: tuple[int, int], words: str, side: int) -> None:
    write(sheet, corner, words, FAINT, COLUMNS * (side + GAP), SMALL_TEXT)
