"""Films as GIF: of a view's maps, and of a layer's filters."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.constants import FILTERS, OUTPUT
from lightning_vis.frames import Array, Filter, Frame, Inputs, filters_of, seen_by_head, spoken, thinned
from lightning_vis.render.canvas.style import FAINT, GAP, INK, PANEL, SMALL_TEXT, WRONG
from lightning_vis.render.canvas.text import fitting, paragraph, paragraph_height, write
from lightning_vis.render.canvas.tiles import drawn, fit, name_state, put
from lightning_vis.render.filters import filter_reading, filter_tile
from lightning_vis.render.legend import legend_of, reading_of

SIDE = 96


COLUMNS = 8


HEAD = 40


MOST_LOOKS = 48
"""More would make the file larger than what chats and issue trackers take."""


SECONDS = 0.25
"""How long a look is seen; the first and the last one stay for a second and a half."""
LEAST = 5
"""Columns of a narrow film: its title needs them."""


LETTERS = 20


LINE = 24


BELOW = 2 * LINE + GAP
"""Room for two lines below a tile."""


def animated(films: Sequence[tuple[str, Inputs, Sequence[Frame]]], key: str) -> bytes:
    """A film of one view as GIF, the runs below each other, in step with each other.

    Args:
        films: name, inputs and frames of each run, one probe for all.
        key: the view's key.

    Raises:
        ValueError: no frame has this view.
    """
    seen = [(name, *seen_by_head(frames, inputs, key)) for name, inputs, frames in films]
    shown = [(name, inputs, frames) for name, frames, inputs in seen if frames]
    if not shown:
        raise ValueError(f"no look has a view {key!r}")
    return played([frames for _, _, frames in shown], lambda moment: _blocks(shown, key, moment))


def played(films: Sequence[Sequence[Frame]], blocks: Callable[[tuple[int, int]], Sequence[Array]]) -> bytes:
    """A GIF of all moments of some films.

    Args:
        films: frames of each run.
        blocks: what is seen at a moment, from top to bottom; always of the same sizes.
    """
    moments = sorted({frame.place for frames in films for frame in frames})
    moments = [moments[at] for at in thinned(len(moments), MOST_LOOKS)]
    return gif([_sheet(blocks(moment), at / max(1, len(moments) - 1)) for at, moment in enumerate(moments)])


def frame_at(frames: Sequence[Frame], moment: tuple[int, int]) -> Frame | None:
    """What was seen last at a moment; None before the first look."""
    return next((frame for frame in reversed(frames) if frame.place <= moment), None)


def gif(sheets: Sequence[Array]) -> bytes:
    """Pictures ``(H, W, 3)`` uint8 as an endless GIF with one palette, so that no colour flickers from look to look."""
    images = [Image.fromarray(sheet) for sheet in sheets]
    sample = np.concatenate([sheets[at][::2, ::2] for at in thinned(len(sheets), 12)])
    palette = Image.fromarray(sample).quantize(255, method=Image.Quantize.MEDIANCUT)
    played = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    durations = [int(1000 * SECONDS)] * len(played)
    durations[0] = durations[-1] = int(6000 * SECONDS)
    buffer = io.BytesIO()
    played[0].save(buffer, "GIF", save_all=True, append_images=played[1:], duration=durations, loop=0, optimize=True)
    return buffer.getvalue()


def _blocks(films: Sequence[tuple[str, Inputs, Sequence[Frame]]], key: str, moment: tuple[int, int]) -> list[Array]:
    """The inputs, all runs at one moment, and what the colours mean."""
    blocks = [_block("input", films[0][1], None, key), *(_run_block(*film, key, moment) for film in films)]
    width = max(block.shape[1] for block in blocks)
    _, inputs, frames = films[0]
    said = [verdict_below(frames, moment, width) for _, _, frames in films]
    legend = legend_of(frames[0].maps[key], reading_of(frames, inputs, key), width)
    return [blocks[0], *(each for pair in zip(blocks[1:], said, strict=True) for each in pair if each is not None), legend]


Sheet = Callable[[Frame], Array | None]


def animated_sheets(films: Sequence[tuple[str, Sequence[Frame], Sheet]]) -> bytes:
    """A film of whole pictures as GIF, the runs below each other, in step with each other.

    Args:
        films: name and frames of each run, and what draws one of them; None of a frame that has no such picture.

    Raises:
        ValueError: no frame has one.
    """
    drawn_by = [(name, [(each, sheet) for each in frames if (sheet := draw(each)) is not None]) for name, frames, draw in films]
    shown = [(name, sheets) for name, sheets in drawn_by if sheets]
    if not shown:
        raise ValueError("no look has such a picture")
    frames = [[each for each, _ in sheets] for _, sheets in shown]
    return played(frames, lambda moment: [each for name, sheets in shown for each in _sheet_block(name, sheets, moment)])


def _sheet_block(name: str, sheets: Sequence[tuple[Frame, Array]], moment: tuple[int, int]) -> list[Array]:
    """A run's name, and what was seen last of it, with room for the largest picture of any look."""
    height, width = (max(sheet.shape[axis] for _, sheet in sheets) for axis in (0, 1))
    frame = frame_at([each for each, _ in sheets], moment)
    block = np.full((height, width, 3), PANEL, np.uint8)
    for each, sheet in sheets:
        if each is frame:
            block[: sheet.shape[0], : sheet.shape[1]] = sheet
    return [paragraph(name, width, SMALL_TEXT), block]


def verdict_below(frames: Sequence[Frame], moment: tuple[int, int], width: int) -> Array | None:
    """What was said last at a moment, and when, with room for the longest that is said; None where no look says anything."""
    said = [frame for frame in frames if frame.verdict is not None]
    if not said:
        return None
    now = spoken([frame for frame in said if frame.place <= moment])
    longest = max(paragraph_height(_said(each), width, SMALL_TEXT) for each in said)
    words = paragraph("no verdict yet" if now is None else _said(now), width, SMALL_TEXT)
    return np.pad(words, ((0, longest - len(words)), (0, 0), (0, 0)), "edge")


def _said(frame: Frame) -> str:
    assert frame.verdict is not None  # others say nothing
    return f"{frame.when}: {frame.verdict.sentence}"


def _sheet(blocks: Sequence[Array], share: float) -> Array:
    """Blocks below each other, and a bar that says how far the training is."""
    width = max(block.shape[1] for block in blocks)
    height = sum(block.shape[0] for block in blocks) + GAP
    sheet = Image.new("RGB", (width, height), PANEL)
    top = 0
    for block in blocks:
        put(sheet, (0, top), block)
        top += block.shape[0]
    ImageDraw.Draw(sheet).rectangle((0, height - 5, round(share * width), height - 1), fill=WRONG)
    return np.asarray(sheet)


def _run_block(name: str, inputs: Inputs, frames: Sequence[Frame], key: str, moment: tuple[int, int]) -> Array:
    """One run at one moment: what was seen last, or nothing yet."""
    frame = frame_at(frames, moment)
    title = f"{name}: {frames[0].maps[key].title}, {frame.when if frame else 'not yet'}"
    return _block(title, inputs, frame, key)


def _block(title: str, inputs: Inputs, frame: Frame | None, key: str) -> Array:
    count = len(inputs.pictures)
    columns = min(count, COLUMNS)
    sheet = Image.new("RGB", (GAP + columns * (SIDE + GAP), HEAD + -(-count // columns) * (SIDE + GAP)), PANEL)
    write(sheet, (GAP, GAP), title, FAINT if frame is None else INK, sheet.width - 2 * GAP, 22)
    for index in range(count):
        corner = (GAP + index % columns * (SIDE + GAP), HEAD + index // columns * (SIDE + GAP))
        _tile(sheet, corner, inputs, frame, key, index)
    return np.asarray(sheet)


def _tile(sheet: Image.Image, corner: tuple[int, int], inputs: Inputs, frame: Frame | None, key: str, index: int) -> None:
    picture = inputs.pictures[index]
    put(sheet, corner, fit(picture if frame is None else drawn(picture, frame.maps[key], index), SIDE))
    if frame is None:
        return
    name_state(sheet, corner, frame.maps[key], index)
    if frame.is_wrong(index, inputs):
        x, y = corner
        ImageDraw.Draw(sheet).rectangle((x - 3, y - 3, x + SIDE + 2, y + SIDE + 2), outline=WRONG, width=3)


def animated_filters(films: Sequence[tuple[str, Sequence[Frame]]], layer: str) -> bytes:
    """A film of a layer's filters as GIF, the runs below each other, in step with each other.

    Args:
        films: name and frames of each run; those without this layer are left out.
        layer: its name.

    Raises:
        ValueError: no frame has filters of this layer.
    """
    key = f"{FILTERS}{layer}"
    shown = [(name, [frame for frame in frames if key in frame.pictures]) for name, frames in films]
    shown = [film for film in shown if film[1]]
    if not shown:
        raise ValueError(f"no look has filters of {layer!r}")
    return played([frames for _, frames in shown], lambda moment: _filter_blocks(shown, layer, moment))


def _filter_blocks(films: Sequence[tuple[str, Sequence[Frame]]], layer: str, moment: tuple[int, int]) -> list[Array]:
    """All runs at one moment, and what they show."""
    blocks = [_filter_block(name, frames, layer, frame_at(frames, moment)) for name, frames in films]
    said = f"{filter_reading(layer)} Below each its name, and what its picture reaches."
    return [*blocks, paragraph(said, max(block.shape[1] for block in blocks), SMALL_TEXT)]


def _filter_block(name: str, frames: Sequence[Frame], layer: str, frame: Frame | None) -> Array:
    """One run: what was seen last, or nothing yet, with room for as many filters as any of its looks has."""
    most = max(len(each.pictures[f"{FILTERS}{layer}"].values) for each in frames)
    columns, pitch = max(LEAST, min(most, COLUMNS)), SIDE + BELOW
    sheet = Image.new("RGB", (GAP + columns * (SIDE + GAP), HEAD - (-most // columns) * pitch), PANEL)
    title = f"{name}: {'classes' if layer == OUTPUT else layer}, {frame.when if frame else 'not yet'}"
    write(sheet, (GAP, GAP), title, INK if frame else FAINT, sheet.width - 2 * GAP, SMALL_TEXT)
    pictures, filters = (frame.pictures[f"{FILTERS}{layer}"].values, filters_of(frame, layer)) if frame else ((), [])
    for at, (picture, each) in enumerate(zip(pictures, filters, strict=True)):
        corner = (GAP + at % columns * (SIDE + GAP), HEAD + at // columns * pitch)
        filter_tile(sheet, corner, SIDE, picture, each)
        _name_filter(sheet, corner, each, min(fitting(other.name, SIDE, (LETTERS, 18, 16)) for other in filters))
    return np.asarray(sheet)


def _name_filter(sheet: Image.Image, corner: tuple[int, int], each: Filter, letters: int) -> None:
    """A filter's name, and below it what its picture reaches."""
    x, y = corner
    write(sheet, (x, y + SIDE + 2), each.name, INK, SIDE, letters)
    write(sheet, (x, y + SIDE + 2 + LINE), each.value, WRONG if each.is_marked else FAINT, SIDE, LETTERS)
