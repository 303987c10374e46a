"""Cards for the Images tab: one probe image with all views on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from lightning_vis.constants import BINARY, LOG_ODDS, MULTICLASS, MULTILABEL, SENSITIVITIES, UNKNOWN
from lightning_vis.frames import Array, Frame, Inputs, Maps
from lightning_vis.render.canvas.style import FAINT, GAP, INK, PANEL, TEXT, WIDTH, WRONG
from lightning_vis.render.canvas.text import cut, lines_of, lines_within, text_width, write
from lightning_vis.render.canvas.tiles import drawn, fit, mark, name_state, put
from lightning_vis.render.error_bar import error_bar
from lightning_vis.render.legend import legend
from lightning_vis.render.lift_axis import HEIGHT, lift_axis

SMALL = 3 * (TEXT + 4) + 2


def card(frame: Frame, inputs: Inputs, index: int) -> Array:
    """One probe image with all views on it; of a network with several heads those of each below each other.

    Args:
        frame: what a look found.
        inputs: what people see of the probe.
        index: which image.

    Returns:
        ``(H, 700, 3)`` uint8.
    """
    return np.concatenate([_card(*seen, index) for seen in frame.each_head(inputs)])


def _card(frame: Frame, inputs: Inputs, index: int) -> Array:
    large = [each for each in frame.maps.values() if each.scale.kind == "log"]
    small = [each for each in frame.maps.values() if each.scale.kind != "log"]
    side = (WIDTH - 4 * GAP) // 3
    rows = -(-(1 + len(large)) // 3)
    row_height = side + 3 * TEXT + 2 * GAP + (0 if inputs.masks is None else TEXT + HEIGHT + GAP)
    foot, top = _foot(frame, large, len(small)), TEXT + 2 * GAP + _lines(frame) * (TEXT + GAP)
    height = top + GAP + rows * row_height + -(-len(small) // 2) * (SMALL + GAP) + len(foot) * (TEXT + GAP)
    sheet = Image.new("RGB", (WIDTH, height), PANEL)
    _headline(sheet, frame, inputs, index)
    for position, each in enumerate([None, *large]):
        corner = (GAP + position % 3 * (side + GAP), top + position // 3 * row_height)
        _large_tile(sheet, corner, side, frame, inputs, index, each)
    width = (WIDTH - GAP) // min(2, max(1, len(small)))
    for position, each in enumerate(small):
        corner = (GAP + position % 2 * width, top + GAP + rows * row_height + position // 2 * (SMALL + GAP))
        _small_tile(sheet, corner, width - GAP, frame, inputs, index, each)
    for line, words in enumerate(foot):
        write(sheet, (GAP, height - (len(foot) - line) * (TEXT + GAP)), words, FAINT, WIDTH - 2 * GAP)
    return np.asarray(sheet)


def _lines(frame: Frame) -> int:
    """Lines of their own that answers take: as many on all cards of a task. Those of classes stand beside the label."""
    if frame.task in (MULTICLASS, BINARY) or not any(frame.said):
        return 0
    return 2 if frame.task == MULTILABEL else 1


def _foot(frame: Frame, large: Sequence[Maps], small: int) -> list[str]:
    """What has to be said of all tiles together."""
    units = dict.fromkeys(each.unit for each in large if each.unit not in ("", LOG_ODDS))
    colours = [f"unit of the colours: {', '.join(units)}"] if units else []
    read = lines_of(frame.reading, WIDTH - 2 * GAP) if frame.task == UNKNOWN else []
    return [*colours, *read, *(["sensitivity: not what the answer rests on"] if small > 1 else [])]


def _headline(sheet: Image.Image, frame: Frame, inputs: Inputs, index: int) -> None:
    """What is true left, the moment behind it; right, or below where it needs the room, the answer with a mark."""
    beside = not _lines(frame)
    half = (WIDTH - 4 * GAP) // 2 if beside else WIDTH - 2 * GAP
    truth = ": ".join(filter(None, (frame.head, inputs.truth_of(index))))
    when = f", {frame.when}" if truth else frame.when
    named = cut(truth, half - text_width(when)) if truth else ""
    write(sheet, (GAP, GAP), named + when, INK, half)
    if beside:
        _answer_beside(sheet, frame, inputs, index, half)
    else:
        _answer_below(sheet, frame, inputs, index)


def _answer_beside(sheet: Image.Image, frame: Frame, inputs: Inputs, index: int, half: int) -> None:
    """The predicted class and its probability, of which nothing is left out."""
    name, _, share = frame.caption(index, inputs).rpartition(" ")
    if not share:
        return
    wrong = frame.is_wrong(index, inputs)
    colour = WRONG if wrong else INK
    room = half - TEXT - text_width(f" {share}")
    end = write(sheet, (WIDTH // 2 + TEXT, GAP), f"says {name}", colour, room)
    write(sheet, (end, GAP), f" {share}", colour, half)
    if wrong is not None:
        mark(sheet, (WIDTH // 2, GAP + 4), TEXT - 8, wrong)


def _answer_below(sheet: Image.Image, frame: Frame, inputs: Inputs, index: int) -> None:
    """The words of the task, behind a mark where it knows right and wrong; the error as a bar beside them where it has one."""
    wrong, error = frame.is_wrong(index, inputs), frame.error(index)
    left, top = GAP if wrong is None else GAP + TEXT, TEXT + 2 * GAP
    side = (WIDTH - 4 * GAP) // 3
    room = WIDTH - GAP - left - (0 if error is None else side + GAP)
    for line, words in enumerate(lines_within(frame.caption(index, inputs), room, _lines(frame))):
        write(sheet, (left, top + line * (TEXT + GAP // 2)), words, WRONG if wrong else INK, room)
    if wrong is not None:
        mark(sheet, (GAP, top + 4), TEXT - 8, wrong)
    if error is not None:
        put(sheet, (WIDTH - GAP - side, top + 6), error_bar(error, side, TEXT - 6))


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
    explained = inputs.explained(maps, index)
    which = f"{'for' if maps.scale.signed else 'of'} {explained}" if explained else "of the output"
    write(sheet, (x, y + side + 4 + TEXT), which, FAINT, side)
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
    """A view's name, with its layer where another one differs from it by that; the head stands above."""
    layers = {each.layer for each in frame.maps.values() if each.title == maps.title}
    title = maps.title.removesuffix(f" ({frame.head})")
    return title if len(layers) < 2 else f"{title} {maps.layer}"


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
    if width > WIDTH // 2 and maps.title in SENSITIVITIES:
        said = [f"{_title(frame, maps)}: where a small", "change matters, not what the", f"answer rests on (mean {mean:.2g})"]
    else:
        said = [_title(frame, maps), f"of {inputs.explained(maps, index)}", f"mean {mean:.2g}"]
    for line, words in enumerate(said):
        write(sheet, (left, y + line * (TEXT + 4)), words, FAINT, room)
