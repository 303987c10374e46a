"""A whole training in one picture: two images, first and last look, sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.constants import ERROR, MULTICLASS, REGRESSION
from lightning_vis.frames import Array, Frame, Inputs, Maps, spoken
from lightning_vis.render.canvas.style import FAINT, GAP, INK, PANEL, WRONG, Colour
from lightning_vis.render.canvas.text import fitting, lines_of, lines_within, text_width, write
from lightning_vis.render.canvas.tiles import drawn, fit, name_state, put
from lightning_vis.render.experiment.verdict import proofs
from lightning_vis.render.legend import explaining, legend, unit_of

SIZE = (1200, 630)


SIDE = 208


CAPTION = 38


TOP = 64


HEAD = 92
"""Where the sentences begin, below the title."""


LEAST = 19
"""Letters of a caption on one line; smaller ones stand on two."""


def summary(run: str, frames: Sequence[Frame], inputs: Inputs) -> Array:
    """Two probe images, how they were seen first and last, and what happened in words: ``(630, 1200, 3)`` uint8.

    Where the answer follows what surrounds the objects, the twins or the exchange that show it stand in place of the second
    image.
    """
    said, shown = words(frames, inputs), proofs(spoken(frames) or frames[-1], inputs)
    key = next(iter(frames[-1].maps), "")
    head = frames[-1].maps[key].head if key else ""
    frames, inputs = [frame.of(head) for frame in frames], inputs.of(frames[-1], head)
    first, last = frames[0], frames[-1]
    sheet = Image.new("RGB", SIZE, PANEL)
    for column, title in enumerate(("input", first.when, last.when)):
        write(sheet, (GAP + column * (SIDE + GAP), 18), title, FAINT, SIDE)
    for row, index in enumerate(telling(frames, inputs)[: 1 if shown else 2]):
        corner = (GAP, TOP + row * (SIDE + CAPTION + GAP))
        put(sheet, corner, fit(inputs.pictures[index], SIDE))
        truth = inputs.truth_of(index)
        write(sheet, (corner[0] + 6, corner[1] + SIDE), truth, FAINT, SIDE, _letters(truth, last))
        for column, frame in enumerate((first, last)):
            if key in frame.maps:
                _draw_look(sheet, (corner[0] + (column + 1) * (SIDE + GAP), corner[1]), frame, inputs, key, index)
    left, bottom = 3 * (SIDE + GAP) + 2 * GAP, SIZE[1]
    is_scaled = bool(key) and last.maps[key].scale.kind == "log"
    reading = _reading([frame.maps[key] for frame in (first, last) if key in frame.maps], inputs) if is_scaled else ""
    if shown:
        shown[0](sheet, (GAP, TOP + SIDE + CAPTION), SIDE)
    if shown and is_scaled:  # what the colours mean stands below the sentences, where the pictures leave no room for it
        bottom -= 52 + 34
        write(sheet, (left, bottom), reading, FAINT, SIZE[0] - left - GAP, 22)
        legend(sheet, (left, SIZE[1] - 52), SIDE, last.maps[key].scale)
    elif is_scaled:
        legend(sheet, (GAP, SIZE[1] - 52), SIDE, last.maps[key].scale)
        write(sheet, (2 * GAP + SIDE, SIZE[1] - 48), reading, FAINT, 2 * SIDE, 24)
    _write_title(sheet, left, run, _subject(first, last))
    _write_sentences(sheet, (left, HEAD), bottom, said)
    return np.asarray(sheet)


def _subject(first: Frame, last: Frame) -> str:
    """What the picture is of, below the run's name."""
    key = next(iter(last.maps), "")
    what = {"": "what the network answered", "error": "where the network errs"}.get(key, "what the network looked at")
    return f"{what}, {last.when if first.when == last.when else f'{first.when} to {last.when}'}"


def _reading(maps: Sequence[Maps], inputs: Inputs) -> str:
    """What is explained by the colours, and in which unit."""
    return f"{explaining(maps, inputs)}{unit_of(maps[-1])}"


def telling(frames: Sequence[Frame], inputs: Inputs) -> list[int]:
    """Two images: of all pairs of one object the one whose answers differ most; without twins those that changed most."""
    last = frames[-1]
    count = len(inputs.pictures)
    if count < 2:
        return list(range(count))
    correct = _correctness(last, inputs)
    if not np.isfinite(correct).all():
        changed = _change(frames)
        return sorted(np.argsort(-changed, kind="stable")[:2].tolist())
    surest, wrongest = int(np.argmax(correct)), int(np.argmin(correct))
    return [surest, wrongest] if surest != wrongest else [0, 1]


def words(frames: Sequence[Frame], inputs: Inputs) -> list[str]:
    """What happened, a sentence each; only what was measured."""
    last = frames[-1]
    lift = last.numbers.get("attribution/grad_cam/lift", np.nan)
    on_object = [f"Grad-CAM on the object: {lift:.1f} x chance."] if np.isfinite(lift) else []
    notes = [f"{note[0].upper()}{note[1:]}." for note in last.notes]
    return [
        *filter(None, (last.reading, *_how_good(frames, inputs))),
        *_verdict(frames),
        *(_moved(last) if last.verdict is None or last.task not in JUDGED else []),
        *on_object,
        *_of_heads(frames, inputs),
        *notes,
    ]


def _verdict(frames: Sequence[Frame]) -> list[str]:
    """The verdict that stands, and when it was found if that was not the last look."""
    found = spoken(frames)
    if found is None or found.verdict is None:
        return []
    return [found.verdict.sentence if found is frames[-1] else f"{found.when}: {found.verdict.sentence}"]


def _how_good(frames: Sequence[Frame], inputs: Inputs) -> list[str]:
    """How good the answers are, at first and at last."""
    first, last = frames[0], frames[-1]
    return [each for each in (_right(first, last, inputs), _measured(first, last)) if each]


def _of_heads(frames: Sequence[Frame], inputs: Inputs) -> list[str]:
    """Likewise of the other heads."""
    seen = {head: ([frame.of(head) for frame in frames], inputs.of(frames[-1], head)) for head in frames[-1].heads}
    return [f"{head}: {said}" for head, each in seen.items() for said in _how_good(*each)]


def _moved(frame: Frame) -> list[str]:
    """What the twins showed, in the words of the task, where no verdict says it: numbers, masks, embeddings, errors, old runs."""
    effects = [frame.numbers.get(f"reliance/{name}_effect", np.nan) for name in ("background", "object")]
    if not np.isfinite(effects[0]):
        return []
    what, unit = MOVED.get(frame.task, MOVED[MULTICLASS])
    background, thing = (
        f"{each:.2g}" if unit in UNSCALED else str(round(100 * each)) if np.isfinite(each) else "" for each in effects
    )
    also = f", swapping the object by {thing}" if np.isfinite(effects[1]) else ""
    said = f"Swapping the background moves {what} by {background} {unit}{also}."
    alert = frame.numbers.get("reliance/alert", 0.0)
    return [said, *([f"The alert is {ALERTS[alert]}."] if alert in ALERTS else [])]


JUDGED = (MULTICLASS, "binary", "multilabel")
"""Tasks of which a verdict says what the twins showed."""
MOVED = {
    MULTICLASS: ("the answer", "points"),
    "ordinal": ("the answer", "% of the scale of grades"),
    REGRESSION: ("the answer", "spreads of the targets"),
    "segmentation": ("the IoU of the object", "points"),
    "embedding": ("the embedding", "in cosine"),
    "reconstruction": ("the error on the object", "in squared error"),
}
"""What swapping moves, and in what unit, by task."""


UNSCALED = ("spreads of the targets", "in cosine", "in squared error")
"""Units of numbers that are no shares."""


ALERTS = {0.5: "amber", 1.0: "red"}
"""Levels that say something: none at 0 is no proof of anything."""


IN_UNIT = "answers/mean_error"
"""What is measured in the unit of the task."""


MEASURES = {
    IN_UNIT: "Mean absolute error",
    "answers/mean_squared_error": "Mean squared error",
    "answers/mean_distance": "Mean distance from the truth",
    "answers/mean_iou": "Mean IoU",
}
"""What is known of answers that are more or less right, by tag."""


def _right(first: Frame, last: Frame, inputs: Inputs) -> str:
    """How many answers are right, where that is known."""
    (before, of), (after, known) = first.count_right(inputs), last.count_right(inputs)
    if not known:
        return ""
    later = f"{after} at last" if of == known else f"{after} of {known} at last"
    return (
        f"Right on {before} of {of} probe images at first, on {later}." if of else f"Right on {after} of {known} probe images."
    )


def _measured(first: Frame, last: Frame) -> str:
    """How far the answers are off, at first and at last, in the unit that they have."""
    tag = next((tag for tag in MEASURES if np.isfinite(last.numbers.get(tag, np.nan))), "")
    if not tag:
        return ""
    unit = f" ({last.unit})" if tag == IN_UNIT and last.unit else ""
    is_same = last.task != REGRESSION or _explained(first) == _explained(last)  # of several numbers one is chosen later
    before = first.numbers.get(tag, np.nan) if is_same else np.nan
    began = f"{before:.3g} at first, " if np.isfinite(before) else ""
    return f"{MEASURES[tag]}{unit}: {began}{last.numbers[tag]:.3g} at last."


def _explained(frame: Frame) -> set[int]:
    """Which of several numbers its maps explain."""
    return {int(each) for maps in frame.maps.values() for each in maps.classes if not maps.head}


def _correctness(frame: Frame, inputs: Inputs) -> Array:
    """How right each answer is, NaN where that is not known: only the order counts."""
    errors = frame.per_image.get(ERROR)
    if errors is not None:
        return -np.abs(errors)
    wrong = [frame.is_wrong(index, inputs) for index in range(len(frame.predicted))]
    right = np.array([np.nan if each is None else float(not each) for each in wrong])
    sure = frame.probability
    return right if frame.task != MULTICLASS and np.isnan(sure).all() else np.where(right == 0, 1 - sure, right * sure)


def _change(frames: Sequence[Frame]) -> Array:
    pair = [next(iter(frame.maps.values())).values for frame in (frames[0], frames[-1]) if frame.maps]
    if len(pair) < 2 or pair[0].shape != pair[1].shape:
        return np.zeros(len(frames[-1].predicted))
    return np.asarray(np.nan_to_num(np.abs(pair[1] - pair[0])).mean(axis=(1, 2)))


def _draw_look(sheet: Image.Image, corner: tuple[int, int], frame: Frame, inputs: Inputs, key: str, index: int) -> None:
    x, y = corner
    put(sheet, corner, fit(drawn(inputs.pictures[index], frame.maps[key], index), SIDE))
    name_state(sheet, corner, frame.maps[key], index)
    if len(set(frame.maps[key].explains)) > 1:  # each image has its own
        _write_within(sheet, (x + 4, y + SIDE - 26), f"for {inputs.explained(frame.maps[key], index)}")
    wrong = frame.is_wrong(index, inputs)
    text = f"{'x ' if wrong else ''}{frame.caption(index, inputs)}"
    _write_caption(sheet, (x + 6, y + SIDE), text, frame, WRONG if wrong else INK)
    if wrong:
        ImageDraw.Draw(sheet).rectangle((x, y, x + SIDE - 1, y + SIDE + CAPTION - 1), outline=WRONG, width=4)


def _write_within(sheet: Image.Image, corner: tuple[int, int], text: str) -> None:
    """Words on a picture, on a ground of their own."""
    size = fitting(text, SIDE - 16, (20, 18, 16))
    x, y = corner
    ImageDraw.Draw(sheet).rectangle((x, y, x + min(text_width(text, size), SIDE - 16) + 8, y + 22), fill=PANEL)
    write(sheet, (x + 4, y - 1), text, INK, SIDE - 16, size)


def _write_caption(sheet: Image.Image, corner: tuple[int, int], text: str, frame: Frame, colour: Colour) -> None:
    """One line, or two small ones where the words of a task are longer than that."""
    width, (x, y), size = SIDE - 12, corner, _letters(text, frame)
    if size >= LEAST or text_width(text, size) <= width:
        write(sheet, corner, text, colour, width, size)
        return
    for line, words in enumerate(lines_within(text, width, 2, size)):
        write(sheet, (x, y + line * (size - 1)), words, colour, width, size)


def _letters(text: str, frame: Frame) -> int:
    """How large a caption is written: of a class always alike."""
    return 26 if frame.task == MULTICLASS else fitting(text, SIDE - 12, (26, 22, LEAST, 16))


def _write_title(sheet: Image.Image, x: int, run: str, said: str) -> None:
    width = SIZE[0] - x - GAP
    write(sheet, (x, 8), run, INK, width, 36)
    write(sheet, (x, 50), said, FAINT, width, fitting(said, width))


def _write_sentences(sheet: Image.Image, corner: tuple[int, int], bottom: int, sentences: Sequence[str]) -> None:
    x, y = corner
    width = SIZE[0] - x - GAP
    letters = next((each for each in READABLE if _height(sentences, width, each) <= bottom - y), READABLE[-1])
    for lines in (lines_of(sentence, width, letters) for sentence in sentences):
        if y + _line(letters) * len(lines) > bottom:
            break  # half a sentence may say the opposite
        for line in lines:
            write(sheet, (x, y), line, INK, width, letters)
            y += _line(letters)
        y += BETWEEN


READABLE = (26, 24, 22, 20)
"""Letters of sentences, the largest at which all of them find room."""
BETWEEN = 16
"""Pixels between two."""


def _height(sentences: Sequence[str], width: int, letters: int) -> int:
    return sum(_line(letters) * len(lines_of(sentence, width, letters)) + BETWEEN for sentence in sentences) - BETWEEN


def _line(letters: int) -> int:
    return round(letters * 1.3)
