"""Frames of every task, made by hand: four drawn pictures, and what the words of the task say of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.frames import Frame, HeadAnswer, Inputs, Maps, Pictures, Scale

COUNT = 4
SIGNED, CAM, DENSITY = Scale(signed=True), Scale(by_area=True), Scale("density", 12.0)


@dataclass(frozen=True)
class Task:
    """What a task's first and last look say of four images, as those who fill frames in say it."""

    name: str
    unit: str
    answer: str
    first: tuple[str, ...]
    last: tuple[str, ...]
    wrong_first: tuple[bool | None, ...] = (None,) * COUNT
    wrong_last: tuple[bool | None, ...] = (None,) * COUNT
    truth: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    explains_last: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    number: str = ""
    numbers: tuple[float, float] = (0.0, 0.0)


LONG = "cat 0.98, dog 0.31 missed, bicycle 0.77, traffic light 0.66 too many, potted plant 0.12 missed"
TASKS = {
    task.name: task
    for task in (
        Task("multiclass", "log-odds", "", (), (), class_names=("bird", "mammal")),
        Task(
            "binary",
            "log-odds",
            "One number for each image, read as the log-odds of “yes”.",
            ("yes 0.52", "yes 0.51", "no 0.53", "yes 0.55"),
            ("no 0.97", "yes 0.93", "no 0.88", "no 0.61"),
            (True, False, False, False),
            (False, False, False, True),
            ("no", "yes", "no", "yes"),
            ("yes",) * COUNT,
            class_names=("no", "yes"),
        ),
        Task(
            "multilabel",
            "log-odds",
            "A number for each label, each read as log-odds of its own; several labels may be true of one image.",
            ("nothing, cat 0.42 missed", "dog 0.55 too many", "nothing", "tree 0.51"),
            ("cat 0.98, dog 0.31 missed", "cat 0.91", "nothing", LONG),
            (True, True, False, False),
            (True, False, False, True),
            ("cat, dog", "cat", "nothing", "cat, dog, bicycle, potted plant"),
            ("cat", "dog", "tree", "tree"),
            ("cat", "cat", "tree", "bicycle"),
        ),
        Task(
            "ordinal",
            "log-odds",
            "Three thresholds between four grades.",
            ("grade 1 (true 4)", "grade 1", "grade 2 (true 3)", "grade 1 (true 2)"),
            ("grade 3 (true 4)", "grade 1", "grade 3", "grade 2"),
            (True, False, True, True),
            (True, False, False, False),
            ("grade 4", "grade 1", "grade 3", "grade 2"),
            ("grade above 1",) * COUNT,
            ("grade above 3", "grade above 1", "grade above 2", "grade above 1"),
            number="answers/mean_distance",
            numbers=(1.25, 0.25),
        ),
        Task(
            "regression",
            "years",
            "One number for each image, in years.",
            ("20.0 (true 41.0, -21.0)", "20.4 (true 18.5, +1.9)", "19.8 (true 67.0, -47.2)", "20.1 (true 33.0, -12.9)"),
            ("38.2 (true 41.0, -2.8)", "24.9 (true 18.5, +6.4)", "66.1 (true 67.0, -0.9)", "33.0 (true 33.0, 0.0)"),
            truth=("41.0 years", "18.5 years", "67.0 years", "33.0 years"),
            explains=("the number",) * COUNT,
            number="answers/mean_error",
            numbers=(20.75, 2.525),
        ),
        Task(
            "segmentation",
            "log-odds",
            "Class scores for each pixel; the score explained is their mean over the pixels of one class.",
            ("class 1, IoU 0.08", "class 1, IoU 0.11", "class 3, IoU 0.02", "class 1, IoU 0.05"),
            ("class 3, IoU 0.71", "class 1, IoU 0.83", "class 3, IoU 0.64", "class 2, IoU 0.12"),
            (True, True, True, True),
            (False, False, False, True),
            ("class 3", "class 1", "class 3", "class 1"),
            ("class 1", "class 1", "class 3", "class 1"),
            ("class 3", "class 1", "class 3", "class 2"),
            number="answers/mean_iou",
            numbers=(0.065, 0.575),
        ),
        Task(
            "embedding",
            "cosine",
            "A vector for each image; the score explained is the cosine to the nearest other image.",
            ("nearest: image 3, 0.99", "nearest: image 1, 0.98", "nearest: image 1, 0.99", "nearest: image 1, 0.97"),
            ("nearest: image 4, 0.83", "nearest: image 3, 0.71", "nearest: image 2, 0.71", "nearest: image 1, 0.83"),
            (True, None, False, None),
            (False, None, True, None),
            ("bird", "", "bird", ""),
            ("image 3", "image 1", "image 1", "image 1"),
            ("image 4", "image 3", "image 2", "image 1"),
        ),
        Task(
            "reconstruction",
            "squared error",
            "The picture itself, drawn again; the map shows where it differs.",
            ("error 0.412", "error 0.387", "error 0.401", "error 0.398"),
            ("error 0.012", "error 0.034", "error 0.020", "error 0.117"),
            explains=("the picture",) * COUNT,
            number="answers/mean_squared_error",
            numbers=(0.4, 0.046),
        ),
        Task(
            "unknown",
            "",
            "What the output (4, 7, 3) means is not known; its mean is explained.",
            ("0.03", "-0.01", "0.02", "0.00"),
            ("3.71", "-1.20", "", "12.5"),
        ),
    )
}
PLAIN = "multiclass"
CLASSES = ("multiclass", "binary")
NUMBERS = ("regression", "reconstruction", "unknown")
"""Tasks that know no right and wrong."""
ERRORS = np.array([-0.19, 0.43, -2.9, 0.0], np.float32)
LABELS = np.array([0, 1, 0, 1])


def drawn_pictures(size=64):
    """Each image its own shape in its own place: what is drawn for it can be told from what is drawn for another."""
    return np.stack([_drawn(index, size) for index in range(COUNT)])


def _drawn(index, size):
    ground = ((70, 110, 150), (120, 140, 90), (150, 120, 100), (100, 100, 130))[index]
    picture = Image.new("RGB", (size, size), ground)
    draw, (left, top) = ImageDraw.Draw(picture), _corner(index, size)
    place = (left, top, left + size // 2, top + size // 2)
    paint = (draw.ellipse, draw.rectangle, draw.pieslice, draw.rounded_rectangle)[index]
    more = {2: {"start": 20, "end": 300}, 3: {"radius": size // 8}}.get(index, {})
    paint(place, fill=((230, 200, 80), (220, 90, 70), (240, 240, 230), (90, 200, 160))[index], **more)
    return np.asarray(picture)


def _corner(index, size):
    return size // 8 + size // 4 * (index % 2), size // 8 + size // 4 * (index // 2)


def masks(size=64):
    """Where the shapes are, roughly."""
    found = np.zeros((COUNT, size, size), np.float32)
    for index in range(COUNT):
        left, top = _corner(index, size)
        found[index, top : top + size // 2, left : left + size // 2] = 1
    return found


def inputs_for(name, *, masked=False):
    """What people see of the four images, with what is true of them in the words of the task."""
    task = TASKS[name]
    labels = LABELS if name in CLASSES else None
    truth = masks() if masked else None
    return Inputs("probe", drawn_pictures(), labels, truth, task.class_names, truth=() if name == PLAIN else task.truth)


def frame_for(name, steps=30, share=1.0, **more):
    """One look; the first one where there have been no steps."""
    task, is_first = TASKS[name], steps == 0
    said, wrong = (task.first, task.wrong_first) if is_first else (task.last, task.wrong_last)
    predicted = np.array([0, 1, 0, 0] if name in CLASSES else [-1] * COUNT)
    probability = np.array([0.9, 0.8, 0.93, 0.61] if name in CLASSES else [np.nan] * COUNT, np.float32)
    words = {} if name == PLAIN else {"task": name, "answer": task.answer, "unit": task.unit, "said": said, "wrong": wrong}
    errors = {"answers/error": ERRORS if not is_first else ERRORS * 3} if name == "regression" else {}
    numbers = {task.number: task.numbers[0 if is_first else 1]} if task.number else {}
    numbers |= {tag: float(each.mean()) for tag, each in errors.items()}  # as means of all images stand among the numbers
    place = {"finished_steps": steps, "log_step": steps - 1, "epoch": steps // 10, "moment": "epoch" if steps else "start"}
    maps = maps_for(name, is_first, share)
    return Frame("probe", predicted, probability, maps, numbers=numbers, per_image=errors, **(words | place | more))


def maps_for(name, is_first=False, share=1.0):
    """The views of the task: bumps where the shapes are."""
    task = TASKS[name]
    if name == "reconstruction":
        return {
            "error": Maps(0.4 * _bumps(56, share), _nobody(), "<output>", Scale(limit=1.0), "error", **_words(task, is_first))
        }
    classes = LABELS if name == PLAIN else _nobody()
    words = _words(task, is_first)
    evidence = share * (14 * _bumps(7) - 3)
    return {
        "evidence": Maps(evidence.astype(np.float32), classes, "conv3", SIGNED, "Evidence", "label", **words),
        "grad_cam": Maps(np.maximum(evidence, 0) / 49, classes, "conv3", CAM, "Grad-CAM", **words),
        "saliency": Maps(_bumps(32, 2.0), classes, "<input>", DENSITY, "Saliency", **words),
    }


def _words(task, is_first):
    explains = task.explains if is_first or not task.explains_last else task.explains_last
    return {"explains": explains, "unit": task.unit}


def _nobody():
    return np.full(COUNT, -1)


def _bumps(cells, height=1.0):
    rows, columns = np.mgrid[:cells, :cells] / cells
    places = [np.add(_corner(index, 64), 16) / 64 for index in range(COUNT)]
    bumps = [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 0.03) for x, y in places]
    return (height * np.stack(bumps)).astype(np.float32)


def film_for(name, looks=4, **more):
    """Looks from the untrained network to the trained one."""
    return [frame_for(name, 10 * at, 0.3 + 0.7 * at / max(1, looks - 1), **more) for at in range(looks)]


def with_head(frame, other, head, first):
    """The frame with what another one says as another head of the same network."""
    inputs = inputs_for(other.task)
    said = HeadAnswer(
        other.task,
        other.unit,
        other.answer,
        tuple(other.caption(at, inputs) for at in range(COUNT)),
        tuple(other.is_wrong(at, inputs) for at in range(COUNT)),
        tuple(inputs.truth_of(at) for at in range(COUNT)),
    )
    own = {key: replace(each, title=f"{each.title} ({first})") for key, each in frame.maps.items()}
    explains = {key: tuple(inputs.explained(each, at) for at in range(COUNT)) for key, each in other.maps.items()}
    named = {
        key: {"head": head, "title": f"{each.title} ({head})", "explains": explains[key]} for key, each in other.maps.items()
    }
    maps = {f"{key}@{head}": replace(each, **named[key]) for key, each in other.maps.items()}
    numbers = frame.numbers | {f"{tag}@{head}": value for tag, value in other.numbers.items()}
    per_image = {**frame.per_image, **{f"{tag}@{head}": value for tag, value in other.per_image.items()}}
    return replace(frame, head=first, heads={head: said}, maps=own | maps, numbers=numbers, per_image=per_image)


def heads_film(name, other, looks=4):
    """A film of two heads: `kind` of one task, `age` of another."""
    pairs = zip(film_for(name, looks), film_for(other, looks), strict=True)
    answer = "Reads two classes, kind."
    return [replace(with_head(one, two, "age", "kind"), answer=one.answer or answer) for one, two in pairs]


def with_predicted(frame, inputs):
    """The frame with pictures of what it predicts: a mask in red over each image."""
    painted = inputs.pictures.copy()
    painted[masks() > 0] = (200, 30, 30)
    return replace(frame, pictures={"predicted": Pictures(painted, tuple(frame.said))})


def with_lifts(frame):
    """The frame with what lies on the object."""
    lifts = {f"attribution/{key}/lift": np.linspace(0.6, 2.4, COUNT).astype(np.float32) for key in frame.maps}
    means = {tag: float(values.mean()) for tag, values in lifts.items()}
    return replace(frame, per_image={**frame.per_image, **lifts}, numbers={**frame.numbers, **means})
