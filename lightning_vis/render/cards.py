"""Cards for the Images tab: one probe image with all views on it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lightning_vis.frames import Array, Frame, Inputs, Maps
from lightning_vis.render.canvas.style import FAINT, GAP, INK, PANEL, TEXT, WIDTH, WRONG
from lightning_vis.render.canvas.text import cut, text_width, write
from lightning_vis.render.canvas.tiles import drawn, fit, mark, name_state, put
from lightning_vis.render.legend import legend
from lightning_vis.render.lift_axis import HEIGHT, lift_axis

SMALL = 3 * (TEXT + 4) + 2


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
    put(sheet, corner, fit(picture if maps is None else drawn(picture, maps, index), side))
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
    put(sheet, (x, y + TEXT + 4), lift_axis(lift, width, PANEL, FAINT, INK))


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
    put(sheet, corner, fit(drawn(inputs.pictures[index], maps, index), SMALL))
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
