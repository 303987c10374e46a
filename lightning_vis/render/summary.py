"""A whole training in one picture: two images, first and last look, sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.frames import Array, Frame, Inputs
from lightning_vis.render.canvas.style import FAINT, GAP, INK, PANEL, WRONG
from lightning_vis.render.canvas.text import lines_of, write
from lightning_vis.render.canvas.tiles import drawn, fit, name_state, put
from lightning_vis.render.legend import explaining, legend

SIZE = (1200, 630)


SIDE = 212


CAPTION = 34


TOP = 64


def summary(run: str, frames: Sequence[Frame], inputs: Inputs) -> Array:
    """Two probe images, how they were seen first and last, and what happened in words: ``(630, 1200, 3)`` uint8."""
    first, last = frames[0], frames[-1]
    key = next(iter(last.maps), "")
    sheet = Image.new("RGB", SIZE, PANEL)
    for column, title in enumerate(("input", first.when, last.when)):
        write(sheet, (GAP + column * (SIDE + GAP), 18), title, FAINT, SIDE)
    for row, index in enumerate(telling(frames, inputs)):
        corner = (GAP, TOP + row * (SIDE + CAPTION + GAP))
        put(sheet, corner, fit(inputs.pictures[index], SIDE))
        if inputs.labels is not None:
            write(sheet, (corner[0] + 6, corner[1] + SIDE), inputs.class_name(int(inputs.labels[index])), FAINT, SIDE, 26)
        for column, frame in enumerate((first, last)):
            if key in frame.maps:
                _draw_look(sheet, (corner[0] + (column + 1) * (SIDE + GAP), corner[1]), frame, inputs, key, index)
    if key and last.maps[key].scale.kind == "log":
        legend(sheet, (GAP, SIZE[1] - 52), SIDE, last.maps[key].scale)
        write(sheet, (2 * GAP + SIDE, SIZE[1] - 48), f"{explaining(last.maps[key], inputs)}, log-odds", FAINT, 2 * SIDE, 24)
    _write_sentences(sheet, (3 * (SIDE + GAP) + 2 * GAP, 18), run, words(frames, inputs))
    return np.asarray(sheet)


def telling(frames: Sequence[Frame], inputs: Inputs) -> list[int]:
    """Two images: of all pairs of one object the one whose answers differ most; without twins those that changed most."""
    last = frames[-1]
    count = len(inputs.pictures)
    if count < 2:
        return list(range(count))
    correct = np.where(last.predicted == inputs.labels, last.probability, 1 - last.probability)
    if inputs.labels is None or not np.isfinite(correct).all():
        changed = _change(frames)
        return sorted(np.argsort(-changed, kind="stable")[:2].tolist())
    surest, wrongest = int(np.argmax(correct)), int(np.argmin(correct))
    return [surest, wrongest] if surest != wrongest else [0, 1]


def words(frames: Sequence[Frame], inputs: Inputs) -> list[str]:
    """What happened, a sentence each; only what was measured."""
    last = frames[-1]
    said = []
    if inputs.labels is not None and (last.predicted >= 0).all():
        right = [int((frame.predicted == inputs.labels).sum()) for frame in (frames[0], last)]
        said.append(f"Right on {right[0]} of {len(last.predicted)} probe images at first, on {right[1]} at last.")
    numbers = last.numbers
    if "reliance/background_effect" in numbers:
        background, thing = (round(100 * numbers[f"reliance/{name}_effect"]) for name in ("background", "object"))
        said.append(f"Swapping the background moves the answer by {background} points, swapping the object by {thing}.")
        alert = {0.0: "off", 0.5: "amber", 1.0: "red"}[numbers.get("reliance/alert", 0.0)]
        said.append(f"The alert is {alert}.")
    lift = numbers.get("attribution/grad_cam/lift", np.nan)
    if np.isfinite(lift):
        said.append(f"Grad-CAM on the object: {lift:.1f} x chance.")
    return [*said, *(f"{note[0].upper()}{note[1:]}." for note in last.notes)]


def _change(frames: Sequence[Frame]) -> Array:
    pair = [next(iter(frame.maps.values())).values for frame in (frames[0], frames[-1]) if frame.maps]
    if len(pair) < 2 or pair[0].shape != pair[1].shape:
        return np.zeros(len(frames[-1].predicted))
    return np.asarray(np.nan_to_num(np.abs(pair[1] - pair[0])).mean(axis=(1, 2)))


def _draw_look(sheet: Image.Image, corner: tuple[int, int], frame: Frame, inputs: Inputs, key: str, index: int) -> None:
    x, y = corner
    put(sheet, corner, fit(drawn(inputs.pictures[index], frame.maps[key], index), SIDE))
    name_state(sheet, corner, frame.maps[key], index)
    predicted = int(frame.predicted[index])
    if predicted < 0:
        return
    wrong = inputs.labels is not None and predicted != int(inputs.labels[index])
    draw = ImageDraw.Draw(sheet)
    text = f"{'x ' if wrong else ''}{inputs.class_name(predicted)} {frame.probability[index]:.2f}"
    write(sheet, (x + 6, y + SIDE), text, WRONG if wrong else INK, SIDE - 12, 26)
    if wrong:
        draw.rectangle((x, y, x + SIDE - 1, y + SIDE + CAPTION - 1), outline=WRONG, width=4)


def _write_sentences(sheet: Image.Image, corner: tuple[int, int], run: str, sentences: Sequence[str]) -> None:
    x, y = corner
    write(sheet, (x, y), run, INK, SIZE[0] - x - GAP, 40)
    y += 70
    for sentence in sentences:
        lines = lines_of(sentence, SIZE[0] - x - GAP, 26)
        if y + 34 * len(lines) > SIZE[1]:
            break  # half a sentence may say the opposite
        for line in lines:
            write(sheet, (x, y), line, INK, SIZE[0] - x - GAP, 26)
            y += 34
        y += 16
