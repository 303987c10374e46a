"""Film strips: a row per probe image, a column per look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.constants import ERROR
from lightning_vis.frames import Array, Frame, Inputs, Maps, Scale, seen_by_head, spoken
from lightning_vis.render.canvas.style import GAP, INK, PANEL, TEXT, WRONG
from lightning_vis.render.canvas.text import fitting, paragraph, write
from lightning_vis.render.canvas.tiles import drawn, fit, mark, name_state, put
from lightning_vis.render.error_bar import error_bar
from lightning_vis.render.legend import legend_of, reading_of


@dataclass(frozen=True)
class StripSize:
    """How large a strip is drawn.

    Attributes:
        side: of a tile.
        name: room for a name below a tile.
        moments: letters above a column, the largest that fit.
        names: letters below a tile, likewise.
        least: columns that a strip is wide at least, beside the images: what it says needs room.
        rows: images at most.
        words: letters of a verdict.
        repeats: whether every view's strip says the verdict, and not the first one's alone.
        where: said behind a verdict that points at a picture: where that is, if not beside the strip.
    """

    side: int = 100
    name: int = 24
    moments: tuple[int, ...] = (24, 22, 20, 18)
    names: tuple[int, ...] = (20, 18, 16)
    least: int = 5
    rows: int | None = None
    words: int = 22
    repeats: bool = True
    where: str = ""


WIDE = StripSize()
"""To be seen at its own size."""
NARROW = StripSize(
    side=128,
    name=36,
    moments=(30, 28, 26),
    names=(30, 28, 26),
    least=4,
    rows=4,
    words=TEXT,
    repeats=False,
    where=" Its picture is in the tab Lightning Vis.",
)
"""As wide as a card, which TensorBoard shows at half its width; where these are drawn, pictures of experiments are not."""


def strip(
    frames: Sequence[Frame], inputs: Inputs, key: str, size: StripSize = WIDE, film: Sequence[Frame] | None = None
) -> Array:
    """A view's film: a row per probe image, a column per look; the first column shows the images.

    Args:
        frames: in order, as many as there are to be columns; those without this view are left out.
        inputs: what people see of the probe.
        key: the view's key.
        size: how large.
        film: all looks, of which `frames` are shown: the verdict below may be of any of them; None where all are shown.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    looks = frames if film is None else film
    frames, inputs = seen_by_head(frames, inputs, key)
    side, head, pitch = size.side, 2 * TEXT, size.side + size.name + GAP
    rows, columns = min(len(inputs.pictures), size.rows or len(inputs.pictures)), len(frames)
    width, foot = GAP + (max(columns, size.least) + 1) * (side + GAP), head + rows * pitch + GAP
    says = size.repeats or (bool(frames) and key == next(iter(frames[-1].maps)))
    reading = "" if not frames else _strip_reading(frames, inputs, key) + _left_out(rows, len(inputs.pictures))
    below = legend_of(frames[-1].maps[key], reading, width) if frames else None
    sheet = Image.new("RGB", (width, foot + (GAP if below is None else len(below))), PANEL)
    for row in range(rows):
        y = head + row * pitch
        put(sheet, (GAP, y), fit(inputs.pictures[row], side))
        if inputs.truth_of(row):
            _name(sheet, (GAP, y + side), size, inputs.truth_of(row))
        for column, frame in enumerate(frames):
            x = GAP + (column + 1) * (side + GAP)
            put(sheet, (x, y), fit(drawn(inputs.pictures[row], frame.maps[key], row), side))
            name_state(sheet, (x, y + side - 12 - size.names[-1]), frame.maps[key], row, size.names[-1])
            _marks(sheet, (x, y), side, inputs, frame, row)
            before = frames[column - 1].maps[key] if column else None
            if not _name_explained(sheet, (x, y), size, inputs, frame.maps[key], before, row):
                _error(sheet, (x, y + side), side, frame.error(row))
    letters = min((fitting(frame.when, side, size.moments) for frame in frames), default=size.moments[0])
    for column, frame in enumerate(frames):
        write(sheet, (GAP + (column + 1) * (side + GAP), GAP), frame.when, INK, side, letters)
    if below is not None:
        put(sheet, (0, foot), below)
    return np.concatenate(
        [np.asarray(sheet), *(_verdict([each.of(frames[-1].head) for each in looks], width, size) if says and frames else [])]
    )


def _left_out(rows: int, count: int) -> str:
    """That there are more images than rows."""
    return f" The first {rows} of {count} images." if rows < count else ""


def _verdict(frames: Sequence[Frame], width: int, size: StripSize) -> list[Array]:
    """The verdict that stands, if there is one."""
    last = spoken(frames)
    if last is None or last.verdict is None:
        return []
    where = size.where if last.verdict.rows else ""
    return [paragraph(f"{last.when}: {last.verdict.sentence}{where}", width, size.words)]


def _strip_reading(frames: Sequence[Frame], inputs: Inputs, key: str) -> str:
    maps = frames[-1].maps[key]
    changes = maps.target in ("predicted", "runner_up") and bool((maps.classes >= 0).any())
    bar = " White bar: from here on another class is explained." * changes
    if maps.explains:
        changes = len({frame.maps[key].explains for frame in frames}) > 1
        bar = " White bar: from here on something else is explained." * changes
    error = any(ERROR in frame.per_image for frame in frames)
    below = " Bar below: the error, from -2 to 2 spreads of the targets." * error
    return reading_of(frames, inputs, key) + _colours(maps.scale) + bar + below


def _colours(scale: Scale) -> str:
    """What stands for a colour bar where values are multiples of a map's own mean."""
    signs = " Red: for it, blue: against it." if scale.signed else ""
    return f"{signs} Full colour: {scale.limit:g} times the map's mean." if scale.kind == "density" else ""


def _marks(sheet: Image.Image, corner: tuple[int, int], side: int, inputs: Inputs, frame: Frame, row: int) -> None:
    """A frame and a cross where the answer is wrong."""
    x, y = corner
    if frame.is_wrong(row, inputs):
        ImageDraw.Draw(sheet).rectangle((x - 2, y - 2, x + side + 1, y + side + 1), outline=WRONG, width=3)
        mark(sheet, (x + side - 24, y + 4), 18, wrong=True)


def _name_explained(
    sheet: Image.Image, corner: tuple[int, int], size: StripSize, inputs: Inputs, maps: Maps, before: Maps | None, row: int
) -> bool:
    """The new name where something else is explained than before, and at first where each image has its own; whether it is
    there."""
    (x, y), side = corner, size.side
    is_first = before is None and len(set(maps.explains)) > 1
    is_new = before is not None and _explained(maps, row) not in ("", _explained(before, row))
    if is_new:
        ImageDraw.Draw(sheet).line((x - GAP // 2 - 1, y, x - GAP // 2 - 1, y + side), fill=INK, width=2)
    if is_first or is_new:
        _name(sheet, (x, y + side), size, inputs.explained(maps, row))
    return is_first or is_new


def _explained(maps: Maps, row: int) -> str:
    """What tells apart what is explained; "" where that is not known."""
    if maps.explains:
        return maps.explains[row]
    return str(maps.classes[row]) if maps.classes[row] >= 0 else ""


def _error(sheet: Image.Image, corner: tuple[int, int], width: int, error: float | None) -> None:
    if error is not None:
        put(sheet, (corner[0], corner[1] + 6), error_bar(error, width, 14))


def _name(sheet: Image.Image, corner: tuple[int, int], size: StripSize, name: str) -> None:
    """A name below a tile."""
    write(sheet, (corner[0], corner[1] + 4), name, INK, size.side, fitting(name, size.side, size.names))
