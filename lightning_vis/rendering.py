"""Frames to pictures: cards for TensorBoard's Images tab, film strips, JPEG. No torch, and no matplotlib figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.colours import colours, map_strength, overlay
from lightning_vis.frames import Array, Frame, Inputs, Maps, Scale
from lightning_vis.lift_axis import HEIGHT, lift_axis
from lightning_vis.sheets import (
    FAINT,
    GAP,
    INK,
    PANEL,
    TEXT,
    WIDTH,
    WRONG,
    cut,
    fit,
    fitting,
    mark,
    name_state,
    paragraph,
    paste,
    text_width,
    write,
)

SMALL = 104
NAME = 24
"""Room for a name below a tile of a strip."""


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
    foot = TEXT + GAP if len(small) > 1 else 0
    height = TEXT + 3 * GAP + rows * row_height + -(-len(small) // 2) * (SMALL + GAP) + foot
    sheet = Image.new("RGB", (WIDTH, height), PANEL)
    _headline(sheet, frame, inputs, index)
    for position, each in enumerate([None, *large]):
        corner = (GAP + position % 3 * (side + GAP), TEXT + 2 * GAP + position // 3 * row_height)
        _large_tile(sheet, corner, side, frame, inputs, index, each)
    width = (WIDTH - GAP) // min(2, max(1, len(small)))
    for position, each in enumerate(small):
        corner = (GAP + position % 2 * width, TEXT + 3 * GAP + rows * row_height + position // 2 * (SMALL + GAP))
        _small_tile(sheet, corner, width - GAP, frame, inputs, index, each)
    if foot:
        write(sheet, (GAP, height - foot), "sensitivity: not what the answer rests on", FAINT, WIDTH - 2 * GAP)
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
    side, head, pitch = 100, 2 * TEXT, 100 + NAME + GAP
    rows, columns = len(inputs.pictures), len(frames)
    width, foot = GAP + (max(columns, 5) + 1) * (side + GAP), head + rows * pitch + GAP
    below = legend_of(frames[-1].maps[key], _strip_reading(frames[-1].maps[key], inputs), width) if frames else None
    sheet = Image.new("RGB", (width, foot + (GAP if below is None else len(below))), PANEL)
    for row in range(rows):
        y = head + row * pitch
        paste(sheet, (GAP, y), fit(inputs.pictures[row], side))
        if inputs.labels is not None:
            _name(sheet, (GAP, y + side), side, inputs.class_name(int(inputs.labels[row])))
        for column, frame in enumerate(frames):
            x = GAP + (column + 1) * (side + GAP)
            paste(sheet, (x, y), fit(drawn(inputs.pictures[row], frame.maps[key], row), side))
            _marks(sheet, (x, y), side, inputs, frame, frames[column - 1] if column else None, key, row)
    letters = min((fitting(frame.when, side) for frame in frames), default=TEXT)
    for column, frame in enumerate(frames):
        write(sheet, (GAP + (column + 1) * (side + GAP), GAP), frame.when, INK, side, letters)
    if below is not None:
        paste(sheet, (0, foot), below)
    return np.asarray(sheet)


def legend_of(maps: Maps, words: str, width: int) -> Array:
    """What stands below a film: the colour bar, where there is one, and what is to be said, ``(H, width, 3)`` uint8."""
    said = paragraph(words, width)
    if maps.scale.kind != "log":
        return said
    bar = Image.new("RGB", (width, TEXT + GAP), PANEL)
    legend(bar, (GAP, 0), min(340, width - 2 * GAP), maps.scale)
    return np.concatenate((np.asarray(bar), said))


def _headline(sheet: Image.Image, frame: Frame, inputs: Inputs, index: int) -> None:
    """Label left, predicted class with a mark and its probability right, the moment between them."""
    predicted = int(frame.predicted[index])
    label = None if inputs.labels is None else int(inputs.labels[index])
    half = (WIDTH - 4 * GAP) // 2
    when = frame.when if label is None else f", {frame.when}"
    named = "" if label is None else cut(inputs.class_name(label), half - text_width(when))
    write(sheet, (GAP, GAP), named + when, INK, half)
    if predicted < 0:
        return
    wrong = label is not None and predicted != label
    said = f" {frame.probability[index]:.2f}"
    name = f"says {inputs.class_name(predicted)}"
    colour = WRONG if wrong else INK
    room = half - TEXT - text_width(said)
    end = write(sheet, (WIDTH // 2 + TEXT, GAP), name, colour, room)
    write(sheet, (end, GAP), said, colour, half)
    if label is not None:
        mark(sheet, (WIDTH // 2, GAP + 4), TEXT - 8, wrong)


def _large_tile(
    sheet: Image.Image, corner: tuple[int, int], side: int, frame: Frame, inputs: Inputs, index: int, maps: Maps | None
) -> None:
    x, y = corner
    picture = inputs.pictures[index]
    paste(sheet, corner, fit(picture if maps is None else drawn(picture, maps, index), side))
    if maps is None:
        write(sheet, (x, y + side + 4), inputs.note or "input", FAINT, side)
        return
    name_state(sheet, corner, maps, index)
    write(sheet, (x, y + side + 4), _title(frame, maps), INK, side)
    which = inputs.class_name(int(maps.classes[index])) if maps.classes[index] >= 0 else "the score"
    write(sheet, (x, y + side + 4 + TEXT), f"{'for' if maps.scale.signed else 'of'} {which}", FAINT, side)
    legend(sheet, (x, y + side + 10 + 2 * TEXT), side, maps.scale)
    lifts = frame.per_image.get(f"attribution/{_key(frame, maps)}/lift")
    if lifts is not None:
        _lift(sheet, (x, y + side + 10 + 3 * TEXT + GAP), side, float(lifts[index]))


def _lift(sheet: Image.Image, corner: tuple[int, int], width: int, lift: float) -> None:
    """How much of the map lies on the object, against chance."""
    x, y = corner
    said = f"on object {lift:.1f} x" if np.isfinite(lift) else "on object: -"
    write(sheet, corner, said, INK, width)
    paste(sheet, (x, y + TEXT + 4), lift_axis(lift, width, PANEL, FAINT, INK))


def _title(frame: Frame, maps: Maps) -> str:
    """A view's name, with its layer where another one differs from it by that."""
    layers = {each.layer for each in frame.maps.values() if each.title == maps.title}
    return maps.title if len(layers) < 2 else f"{maps.title} {maps.layer}"


def _key(frame: Frame, maps: Maps) -> str:
    return next(key for key, each in frame.maps.items() if each is maps)


def _small_tile(
    sheet: Image.Image, corner: tuple[int, int], width: int, frame: Frame, inputs: Inputs, index: int, maps: Maps
) -> None:
    x, y = corner
    paste(sheet, corner, fit(drawn(inputs.pictures[index], maps, index), SMALL))
    name_state(sheet, corner, maps, index)
    room, left = width - SMALL - GAP, x + SMALL + GAP
    mean = maps.values[index].mean() if np.isfinite(maps.values[index]).all() else np.nan
    if width > WIDTH // 2:
        said = [f"{maps.title}: where a small", "change matters, not what the", f"answer rests on (mean {mean:.2g})"]
    else:
        which = inputs.class_name(int(maps.classes[index])) if maps.classes[index] >= 0 else "the score"
        said = [_title(frame, maps), f"of {which}", f"mean {mean:.2g}"]
    for line, words in enumerate(said):
        write(sheet, (left, y + line * (TEXT + 4)), words, FAINT, room)


def drawn(picture: Array, maps: Maps, index: int) -> Array:
    """A picture under its map; saliency and other densities stand on black."""
    shares = map_strength(maps, index, picture.shape[:2])
    if maps.scale.kind == "log":
        return overlay(picture, shares, maps.scale.signed)
    return np.rint(colours(shares, maps.scale.signed)).astype(np.uint8)


def legend(sheet: Image.Image, corner: tuple[int, int], width: int, scale: Scale) -> None:
    """A colour bar with its ticks, on the log scale on which the maps are drawn."""
    x, y = corner
    shares = np.linspace(-1 if scale.signed else 0, 1, width)
    bar = np.repeat(overlay(np.zeros((1, width, 3), np.uint8), shares[None], scale.signed), 8, axis=0)
    paste(sheet, (x, y), bar)
    ticks: Iterable[int] = (-31, -3, 0, 3, 31) if scale.signed else (0, 1, 3, 7, 31)
    for tick in ticks:
        share = np.sign(tick) * np.log1p(abs(tick)) / np.log1p(scale.limit)
        position = (share + 1) / 2 if scale.signed else share
        label = str(tick)
        left = x + int(position * (width - 1)) - int(text_width(label) * position)
        write(sheet, (left, y + 8), label, FAINT, width)


def reading_of(maps: Maps, inputs: Inputs) -> str:
    """What a film of maps shows, in words."""
    return f"{explaining(maps, inputs)}. Orange frame: wrong answer."


def explaining(maps: Maps, inputs: Inputs) -> str:
    """What a view explains: "evidence for the label", "saliency of the predicted class", "Grad-CAM of bird"."""
    words = {"label": "the label", "predicted": "the predicted class", "runner_up": "the runner-up class"}
    which = words.get(maps.target) or inputs.class_name(int(maps.target))
    return f"{maps.title} {'for' if maps.scale.signed else 'of'} {which}"


def _strip_reading(maps: Maps, inputs: Inputs) -> str:
    changes = maps.target in ("predicted", "runner_up")
    return reading_of(maps, inputs) + " White bar: from here on another class is explained." * changes


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
        mark(sheet, (x + side - 24, y + 4), 18, wrong=True)
    now = int(frame.maps[key].classes[row])
    if before is not None and now != int(before.maps[key].classes[row]) and now >= 0:
        draw.line((x - GAP // 2 - 1, y, x - GAP // 2 - 1, y + side), fill=INK, width=2)
        _name(sheet, (x, y + side), side, inputs.class_name(now))


def _name(sheet: Image.Image, corner: tuple[int, int], width: int, name: str) -> None:
    """A name below a tile."""
    write(sheet, (corner[0], corner[1] + 4), name, INK, width, fitting(name, width, (20, 18, 16)))
