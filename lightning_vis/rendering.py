"""Frames to pictures: cards for TensorBoard's Images tab, film strips, JPEG. No torch, and no matplotlib figure."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lightning_vis.colours import colours, map_strength, overlay
from lightning_vis.frames import Array, Frame, Inputs, Maps, Scale
from lightning_vis.lift_axis import HEIGHT, lift_axis

WIDTH = 700
"""Cards are drawn 700 pixels wide and shown at exactly half of it in the Images tab."""
TEXT = 30
"""No text on a card is smaller: at half the size digits are still read right."""
GAP = 10
SMALL = 104
PANEL = (24, 26, 30)
INK = (236, 236, 236)
FAINT = (164, 168, 176)
WRONG = (255, 138, 76)
RIGHT = (120, 200, 140)

Colour = tuple[int, int, int]


def card(frame: Frame, inputs: Inputs, index: int) -> Array:
    """One probe image with all views on it.

    Args:
        frame: what a look found.
        inputs: what people see of the probe.
        index: which image.

    Returns:
        ``(H, 700, 3)`` uint8.
    """
    large = [each for each in frame.maps.values() if each.scale.kind == "log"]
    small = [each for each in frame.maps.values() if each.scale.kind != "log"]
    side = (WIDTH - 4 * GAP) // 3
    rows = -(-(1 + len(large)) // 3)
    row_height = side + 3 * TEXT + 2 * GAP + (0 if inputs.masks is None else TEXT + HEIGHT + GAP)
    height = TEXT + 3 * GAP + rows * row_height + (SMALL + GAP if small else 0)
    sheet = Image.new("RGB", (WIDTH, height), PANEL)
    _headline(sheet, frame, inputs, index)
    for position, each in enumerate([None, *large]):
        corner = (GAP + position % 3 * (side + GAP), TEXT + 2 * GAP + position // 3 * row_height)
        _large_tile(sheet, corner, side, frame, inputs, index, each)
    for position, each in enumerate(small):
        corner = (GAP + position * (WIDTH - GAP) // len(small), height - SMALL - GAP)
        _small_tile(sheet, corner, (WIDTH - GAP) // len(small) - GAP, frame, inputs, index, each)
    return np.asarray(sheet)


def strip(frames: Sequence[Frame], inputs: Inputs, key: str) -> Array:
    """A view's film: a row per probe image, a column per look; the first column shows the images.

    Args:
        frames: in order, as many as there are to be columns; those without this view are left out.
        inputs: what people see of the probe.
        key: the view's key.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    frames = [frame for frame in frames if key in frame.maps]
    side, head = 100, 2 * TEXT
    rows, columns = len(inputs.pictures), len(frames)
    size = (GAP + (columns + 1) * (side + GAP), head + rows * (side + GAP) + TEXT + 3 * GAP)
    sheet = Image.new("RGB", size, PANEL)
    for row in range(rows):
        y = head + row * (side + GAP)
        _paste(sheet, (GAP, y), _fit(inputs.pictures[row], side))
        for column, frame in enumerate(frames):
            x = GAP + (column + 1) * (side + GAP)
            _paste(sheet, (x, y), _fit(_drawn(inputs.pictures[row], frame.maps[key], row), side))
            _marks(sheet, (x, y), side, inputs, frame, frames[column - 1] if column else None, key, row)
    for column, frame in enumerate(frames):
        _text(sheet, (GAP + (column + 1) * (side + GAP), GAP), _short_when(frame), INK, side + GAP, 24)
    if frames:
        _strip_legend(sheet, frames[-1].maps[key])
    return np.asarray(sheet)


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


def _headline(sheet: Image.Image, frame: Frame, inputs: Inputs, index: int) -> None:
    """Label left, predicted class with a mark and its probability right, the moment between them."""
    predicted = int(frame.predicted[index])
    label = None if inputs.labels is None else int(inputs.labels[index])
    half = (WIDTH - 4 * GAP) // 2
    when = frame.when if label is None else f"{inputs.class_name(label)}, {frame.when}"
    _text(sheet, (GAP, GAP), when, INK, half)
    if predicted < 0:
        return
    wrong = label is not None and predicted != label
    said = f" {frame.probability[index]:.2f}"
    name = f"says {inputs.class_name(predicted)}"
    colour = WRONG if wrong else INK
    room = half - TEXT - _width(said)
    end = _text(sheet, (WIDTH // 2 + TEXT, GAP), name, colour, room)
    _text(sheet, (end, GAP), said, colour, half)
    if label is not None:
        _mark(sheet, (WIDTH // 2, GAP + 4), TEXT - 8, wrong)


def _large_tile(
    sheet: Image.Image, corner: tuple[int, int], side: int, frame: Frame, inputs: Inputs, index: int, maps: Maps | None
) -> None:
    x, y = corner
    picture = inputs.pictures[index]
    _paste(sheet, corner, _fit(picture if maps is None else _drawn(picture, maps, index), side))
    if maps is None:
        _text(sheet, (x, y + side + 4), inputs.note or "input", FAINT, side)
        return
    _state(sheet, corner, maps, index)
    _text(sheet, (x, y + side + 4), maps.title, INK, side)
    which = inputs.class_name(int(maps.classes[index])) if maps.classes[index] >= 0 else "the score"
    _text(sheet, (x, y + side + 4 + TEXT), f"{'for' if maps.scale.signed else 'of'} {which}", FAINT, side)
    _legend(sheet, (x, y + side + 10 + 2 * TEXT), side, maps.scale)
    lifts = frame.per_image.get(f"attribution/{_key(frame, maps)}/lift")
    if lifts is not None:
        _lift(sheet, (x, y + side + 10 + 3 * TEXT + GAP), side, float(lifts[index]))


def _lift(sheet: Image.Image, corner: tuple[int, int], width: int, lift: float) -> None:
    """How much of the map lies on the object, against chance."""
    x, y = corner
    said = f"on object {lift:.1f} x" if np.isfinite(lift) else "on object: -"
    _text(sheet, corner, said, INK, width)
    _paste(sheet, (x, y + TEXT + 4), lift_axis(lift, width, PANEL, FAINT, INK))


def _key(frame: Frame, maps: Maps) -> str:
    return next(key for key, each in frame.maps.items() if each is maps)


def _small_tile(
    sheet: Image.Image, corner: tuple[int, int], width: int, frame: Frame, inputs: Inputs, index: int, maps: Maps
) -> None:
    x, y = corner
    _paste(sheet, corner, _fit(_drawn(inputs.pictures[index], maps, index), SMALL))
    _state(sheet, corner, maps, index)
    room, left = width - SMALL - GAP, x + SMALL + GAP
    mean = maps.values[index].mean() if np.isfinite(maps.values[index]).all() else np.nan
    _text(sheet, (left, y), f"{maps.title}: where a small", FAINT, room)
    _text(sheet, (left, y + TEXT + 4), "change matters, not what the", FAINT, room)
    _text(sheet, (left, y + 2 * TEXT + 8), f"answer rests on (mean {mean:.2g})", FAINT, room)


def _drawn(picture: Array, maps: Maps, index: int) -> Array:
    """A picture under its map; saliency and other densities stand on black."""
    shares = map_strength(maps, index, picture.shape[:2])
    if maps.scale.kind == "log":
        return overlay(picture, shares, maps.scale.signed)
    return np.rint(colours(shares, maps.scale.signed)).astype(np.uint8)


def _state(sheet: Image.Image, corner: tuple[int, int], maps: Maps, index: int) -> None:
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
    _text(sheet, (corner[0] + 6, corner[1] + 6), state, WRONG, SMALL * 2)


def _legend(sheet: Image.Image, corner: tuple[int, int], width: int, scale: Scale) -> None:
    """A colour bar with its ticks, on the log scale on which the maps are drawn."""
    x, y = corner
    shares = np.linspace(-1 if scale.signed else 0, 1, width)
    bar = np.repeat(overlay(np.zeros((1, width, 3), np.uint8), shares[None], scale.signed), 8, axis=0)
    _paste(sheet, (x, y), bar)
    ticks: Iterable[int] = (-31, -3, 0, 3, 31) if scale.signed else (0, 1, 3, 7, 31)
    for tick in ticks:
        share = np.sign(tick) * np.log1p(abs(tick)) / np.log1p(scale.limit)
        position = (share + 1) / 2 if scale.signed else share
        label = str(tick)
        left = x + int(position * (width - 1)) - int(_width(label) * position)
        _text(sheet, (left, y + 8), label, FAINT, width)


def _strip_legend(sheet: Image.Image, maps: Maps) -> None:
    width = min(340, sheet.width - 2 * GAP)
    if maps.scale.kind == "log":
        _legend(sheet, (GAP, sheet.height - TEXT - 2 * GAP), width, maps.scale)
    left = 2 * GAP + width if maps.scale.kind == "log" else GAP
    text = (
        f"{maps.title} of the {maps.target.replace('_', ' ')} class"
        if maps.target != "label"
        else f"{maps.title} for the label"
    )
    _text(sheet, (left, sheet.height - TEXT - GAP), f"{text}; orange frame: wrong", FAINT, sheet.width - left - GAP)


def _marks(
    sheet: Image.Image,
    corner: tuple[int, int],
    side: int,
    inputs: Inputs,
    frame: Frame,
    before: Frame | None,
    key: str,
    row: int,
) -> None:
    """A frame and a cross where the prediction is wrong; the new name where another class is explained than before."""
    x, y = corner
    draw = ImageDraw.Draw(sheet)
    if inputs.labels is not None and frame.predicted[row] not in (-1, inputs.labels[row]):
        draw.rectangle((x - 2, y - 2, x + side + 1, y + side + 1), outline=WRONG, width=3)
        _mark(sheet, (x + side - 24, y + 4), 18, wrong=True)
    now = int(frame.maps[key].classes[row])
    if before is not None and now != int(before.maps[key].classes[row]) and now >= 0:
        draw.line((x - GAP // 2 - 1, y, x - GAP // 2 - 1, y + side), fill=INK, width=2)
        draw.rectangle((x, y + side - 26, x + side - 1, y + side - 1), fill=PANEL)
        _text(sheet, (x + 2, y + side - 26), inputs.class_name(now), INK, side - 4, 20)


def _short_when(frame: Frame) -> str:
    return "start" if frame.finished_steps == 0 else frame.when


def _mark(sheet: Image.Image, corner: tuple[int, int], side: int, wrong: bool) -> None:
    """A cross or a tick, drawn: the font has neither."""
    (x, y), draw = corner, ImageDraw.Draw(sheet)
    if wrong:
        draw.line((x, y, x + side, y + side), fill=WRONG, width=4)
        draw.line((x, y + side, x + side, y), fill=WRONG, width=4)
    else:
        draw.line((x, y + side // 2, x + side // 3, y + side, x + side, y), fill=RIGHT, width=4, joint="curve")


def _fit(picture: Array, side: int) -> Array:
    """A picture inside a square, its proportions kept, on the panel's colour."""
    height, width = picture.shape[:2]
    ratio = side / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    way = Image.Resampling.BICUBIC if ratio >= 1 else Image.Resampling.LANCZOS
    square = Image.new("RGB", (side, side), PANEL)
    square.paste(Image.fromarray(picture).resize(size, way), ((side - size[0]) // 2, (side - size[1]) // 2))
    return np.asarray(square)


def _paste(sheet: Image.Image, corner: tuple[int, int], picture: Array) -> None:
    sheet.paste(Image.fromarray(picture), corner)


def _text(sheet: Image.Image, corner: tuple[int, int], text: str, colour: Colour, width: int, size: int = TEXT) -> int:
    """Writes one line that is at most `width` pixels wide; returns where it ends."""
    draw, font = ImageDraw.Draw(sheet), _font(size)
    text = shorten(draw, text, width, font)
    draw.text(corner, text, fill=colour, font=font)
    return corner[0] + int(draw.textlength(text, font=font))


def _width(text: str, size: int = TEXT) -> int:
    return int(_font(size).getlength(text))


@lru_cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
