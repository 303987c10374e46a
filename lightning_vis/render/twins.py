"""Twins as pictures, with what the network answers on each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.constants import TWINS
from lightning_vis.frames import Array, Frame, Inputs, Pictures
from lightning_vis.render.canvas.style import FAINT, GAP, INK, PANEL, SMALL_TEXT, TEXT, WIDTH, WRONG
from lightning_vis.render.canvas.text import lines_of, text_width, write
from lightning_vis.render.canvas.tiles import fit, mark, put

MOST = 16
"""Objects in a frame."""


ROWS = 8
"""Rows of a sheet."""


TILE = 96


BAR = 8


def pictured(kinds: int) -> int:
    """How many objects, the first ones, stand on all pictures of twins on so many kinds of background."""
    return min(MOST, _count(kinds))


def _count(kinds: int) -> int:
    """Objects on a sheet."""
    return ROWS * max(1, 4 // kinds)


def with_twins(frame: Frame, inputs: Inputs) -> Frame:
    """The frame with its twins as pictures: object after object, each on all backgrounds in turn, captions below."""
    if inputs.twins is None or not was_asked(frame, inputs):
        return frame
    tiles, captions = [], []
    for index in range(min(len(inputs.twins), MOST)):
        for kind, (wrong, flips) in enumerate(_verdicts(frame, inputs, index)):
            tiles.append(_tile(inputs.twins[index, kind], TILE, wrong, flips))
            captions.append(_caption(frame, inputs, index, kind, flips))
    return replace(frame, pictures={**frame.pictures, TWINS: Pictures(np.stack(tiles), tuple(captions))})


def twins_sheet(frame: Frame, inputs: Inputs) -> Array | None:
    """One picture of all twins, for the Images tab; None if the frame does not know what was answered.

    Args:
        frame: what a look found.
        inputs: with the twins' pictures.

    Returns:
        ``(H, 700, 3)`` uint8: the verdict; under each twin the probability of its own class; a cross where the answer is wrong,
        and a frame too where it is right on another background.
    """
    if inputs.twins is None or not was_asked(frame, inputs):
        return None
    kinds = len(inputs.kinds)
    beside = max(1, 4 // kinds)
    count = min(len(inputs.twins), _count(kinds))
    side = (WIDTH - GAP * (1 + beside)) // (beside * kinds) - GAP // 2
    said = lines_of(frame.verdict.sentence, WIDTH - 2 * GAP, SMALL_TEXT) if frame.verdict is not None else []
    top = len(said) * (SMALL_TEXT + 6)
    head, row_height = top + 4 * TEXT + 2 * GAP, side + BAR + TEXT + 2 * GAP
    sheet = Image.new("RGB", (WIDTH, head + -(-count // beside) * row_height + GAP), PANEL)
    for line, words in enumerate(said):
        write(sheet, (GAP, GAP + line * (SMALL_TEXT + 6)), words, INK, WIDTH - 2 * GAP, SMALL_TEXT)
    _headline(sheet, top + GAP, frame, inputs, count)
    for index in range(count):
        left = GAP + index % beside * ((WIDTH - GAP) // beside)
        corner = (left, head + index // beside * row_height)
        _row(sheet, corner, side, frame, inputs, index)
    for column in range(min(beside, count)):
        for kind, name in enumerate(inputs.kinds):
            x = GAP + column * ((WIDTH - GAP) // beside) + kind * (side + GAP // 2)
            write(sheet, (x, head - TEXT - GAP // 2), name, FAINT, side)
    return np.asarray(sheet)


def _headline(sheet: Image.Image, top: int, frame: Frame, inputs: Inputs, count: int) -> None:
    assert inputs.twins is not None
    of = f", {count} of {len(inputs.twins)} objects" if count < len(inputs.twins) else ""
    write(sheet, (GAP, top), f"{frame.when}{of}. Points by which the answer moves:", INK, WIDTH - 2 * GAP)
    parts = {"background": "background_effect", "object": "object_effect", "moved 3 px": "paste_control"}
    known = {name: frame.numbers.get(f"reliance/{tag}") for name, tag in parts.items()}
    said = "   ".join(f"{name} {round(100 * value)}" for name, value in known.items() if value is not None)
    write(sheet, (GAP, top + TEXT + 4), said, INK, WIDTH - 2 * GAP)


def twin_shown(
    sheet: Image.Image, corner: tuple[int, int], side: int, frame: Frame, inputs: Inputs, index: int, kind: int
) -> None:
    """One twin, and below it what it is, what is answered, and how probable its own class is."""
    assert inputs.twins is not None
    x, y = corner
    wrong, flips = _verdicts(frame, inputs, index)[kind]
    put(sheet, corner, _tile(inputs.twins[index, kind], side, wrong, flips))
    said = inputs.class_name(int(_answer(frame, inputs, "says", index, kind)))
    write(sheet, (x, y + side + 2), f"says {said}", WRONG if wrong else INK, side, SMALL_TEXT)
    name = _label(inputs, index)
    where = (f"on {inputs.kinds[kind]}", f"{name} {_answer(frame, inputs, 'on', index, kind):.2f}")
    for line, words in enumerate(where, 1):
        write(sheet, (x, y + side + 2 + line * (SMALL_TEXT + 2)), words, FAINT, side, SMALL_TEXT)


def telling_kinds(frame: Frame, inputs: Inputs, index: int, most: int) -> list[int]:
    """The kinds of background on which to show an object: one on which it is right, those that flip it, then the others."""
    states = _verdicts(frame, inputs, index)
    order = sorted(range(len(states)), key=lambda kind: (not states[kind][1], states[kind][0]))
    right = [kind for kind, (wrong, _) in enumerate(states) if not wrong][:1]
    return sorted([*right, *(kind for kind in order if kind not in right)][:most])


def _row(sheet: Image.Image, corner: tuple[int, int], side: int, frame: Frame, inputs: Inputs, index: int) -> None:
    assert inputs.twins is not None
    x, y = corner
    draw = ImageDraw.Draw(sheet)
    for kind, (wrong, flips) in enumerate(_verdicts(frame, inputs, index)):
        left = x + kind * (side + GAP // 2)
        put(sheet, (left, y), _tile(inputs.twins[index, kind], side, wrong, flips))
        share = _answer(frame, inputs, "on", index, kind)
        draw.rectangle((left, y + side + 3, left + side - 1, y + side + 2 + BAR), fill=(52, 55, 62))
        if share > 0.01:
            end = left + max(1, round(side * share)) - 1
            draw.rectangle((left, y + side + 3, end, y + side + 2 + BAR), fill=WRONG if wrong else INK)
        _share(sheet, (left, y + side + BAR + 4), side, _label(inputs, index), share, WRONG if wrong else INK)
    number = str(index + 1)
    draw.rectangle((x, y, x + text_width(number) + 8, y + TEXT + 2), fill=PANEL)
    write(sheet, (x + 4, y), number, INK, side)


def _share(
    sheet: Image.Image, corner: tuple[int, int], side: int, name: str, share: float, colour: tuple[int, int, int]
) -> None:
    """The class and its probability, or the probability alone where there is no room for both."""
    said = f"{share:.2f}"
    room = side - text_width(f" {said}")
    if room >= 2 * TEXT:
        end = write(sheet, corner, name, colour, room)
        write(sheet, (end, corner[1]), f" {said}", colour, side)
    else:
        write(sheet, corner, said, colour, side)


def _tile(picture: Array, side: int, wrong: bool, flips: bool) -> Array:
    """A twin in a square; with a cross where the answer is wrong, and a frame where only this background makes it so."""
    tile = Image.fromarray(fit(picture, side))
    draw, size = ImageDraw.Draw(tile), side // 6
    if flips:
        draw.rectangle((0, 0, side - 1, side - 1), outline=WRONG, width=max(3, side // 32))
    if wrong:
        draw.rectangle((side - size - 14, 0, side - 1, size + 13), fill=PANEL)
        mark(tile, (side - size - 7, 7), size, wrong=True)
    return np.asarray(tile)


def _verdicts(frame: Frame, inputs: Inputs, index: int) -> list[tuple[bool, bool]]:
    """For each background, whether the answer is wrong there, and whether it is right on another one besides."""
    said = [int(_answer(frame, inputs, "says", index, kind)) for kind in range(len(inputs.kinds))]
    label = _label_index(inputs, index)
    return [(answer != label, answer != label and label in said) for answer in said]


def _caption(frame: Frame, inputs: Inputs, index: int, kind: int, flipped: bool) -> str:
    share = _answer(frame, inputs, "on", index, kind)
    said = inputs.class_name(int(_answer(frame, inputs, "says", index, kind)))
    flips = f", says {said}: the answer flips" if flipped else f", says {said}"
    return f"{index + 1}: {_label(inputs, index)} on {inputs.kinds[kind]}: {share:.2f}{flips}"


def was_asked(frame: Frame, inputs: Inputs) -> bool:
    """Whether the frame knows what class is answered on each background: a number has none."""
    is_of_classes = inputs.labels is not None and bool((frame.predicted >= 0).all())
    return is_of_classes and all(f"reliance/on/{kind}" in frame.per_image for kind in inputs.kinds)


def _answer(frame: Frame, inputs: Inputs, word: str, index: int, kind: int) -> float:
    return float(frame.per_image[f"reliance/{word}/{inputs.kinds[kind]}"][index * _shown(inputs)])


def _label(inputs: Inputs, index: int) -> str:
    return inputs.class_name(_label_index(inputs, index))


def _label_index(inputs: Inputs, index: int) -> int:
    assert inputs.labels is not None  # twins have labels
    return int(inputs.labels[index * _shown(inputs)])


def _shown(inputs: Inputs) -> int:
    """Probe images per object: ready-made twins are several each."""
    assert inputs.twins is not None
    return max(1, len(inputs.pictures) // len(inputs.twins))
