"""Frame, maps, inputs and filters: all that one look found, as NumPy arrays."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lightning_vis.constants import ALONE as ALONE
from lightning_vis.constants import ERROR, EXCHANGE, FILTERS, LOG_ODDS, MULTICLASS, OUTPUT, TWINS, UNKNOWN
from lightning_vis.constants import place_of as place_of
from lightning_vis.scale import Array as Array
from lightning_vis.scale import Scale as Scale


@dataclass(frozen=True)
class Maps:
    """One view's maps, unscaled.

    Attributes:
        values: ``(N, h, w)`` float32 at the layer's own resolution.
        classes: ``(N,)`` the class explained in each image, -1 where it is unknown.
        layer: where they were recorded.
        scale: how they are drawn.
        title: the view's name as people read it.
        target: the word for what is explained: ``"predicted"``, ``"label"``, ...
        explains: ``(N,)`` what is explained in each image in words ("cat", "the number"); empty where `classes` say it.
        unit: of the values.
        head: whose answer it is of, one of `Frame.heads`; empty where it is of the frame's own.
    """

    values: Array
    classes: Array
    layer: str
    scale: Scale
    title: str = ""
    target: str = "predicted"
    explains: tuple[str, ...] = ()
    unit: str = LOG_ODDS
    head: str = ""

    @property
    def is_output(self) -> bool:
        """Whether it shows the output itself, an error or a predicted mask, and does not explain it."""
        return self.layer == OUTPUT


@dataclass(frozen=True)
class Filter:
    """One filter or class: its name, the activation that its picture reaches, the best among the probe images, its state."""

    name: str
    reached: float
    on_probe: float
    dead: bool = False
    kind: str = "channel"

    @property
    def prefers_probe(self) -> bool:
        """Whether some probe image excites it more than its own picture does."""
        return self.on_probe > self.reached

    @property
    def is_marked(self) -> bool:
        """Whether pictures show it in orange: its own picture is no answer to what it wants to see."""
        return self.dead or self.prefers_probe

    @property
    def value(self) -> str:
        """What its picture reaches, as short as it goes below a picture."""
        if self.dead:
            return "dead"
        return f"{self.reached:.3g}" if abs(self.reached) >= 1 else f"{self.reached:.2g}"

    @property
    def caption(self) -> str:
        """The facts in words."""
        if self.dead:
            return f"{self.kind} {self.name}: dead (constant on all probe images, and nothing was found to excite it)"
        said = f"{self.kind} {self.name} reaches {self.reached:.3g}; the best probe image {self.on_probe:.3g}"
        return f"{said}: it prefers the probe image" if self.prefers_probe else said


@dataclass(frozen=True)
class Pictures:
    """Finished pictures ``(M, h, w, 3)`` uint8 with a caption each, and what is known of each where they show filters."""

    values: Array
    captions: tuple[str, ...]
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True)
class HeadAnswer:
    """What another head of the same network answers, all of it in words: classes of its own have no place in a frame.

    Attributes:
        task: as of `Frame`.
        unit: likewise.
        answer: likewise.
        said: ``(N,)``, empty texts where nothing could be read.
        wrong: ``(N,)``, None where right and wrong are not known.
        truth: ``(N,)`` what is true of each image, in words; empty texts where nobody knows.
    """

    task: str = UNKNOWN
    unit: str = ""
    answer: str = ""
    said: tuple[str, ...] = ()
    wrong: tuple[bool | None, ...] = ()
    truth: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """How often objects of one class are called by the class that their surroundings come from.

    Attributes:
        label: the objects' class, by name.
        host: the surroundings' class.
        follows: how many exchanges are answered by it.
        of: how many there were.
    """

    label: str
    host: str
    follows: int
    of: int


@dataclass(frozen=True)
class Verdict:
    """What the experiments on a network said at one look: twins, the exchange of surroundings, or both.

    Attributes:
        state: ``"red"``: the answer follows what surrounds the objects, at this look and at one before; ``"amber"``: likewise,
            a little (twins only); ``"seen"``: at this look; ``"nothing"``: nothing above a threshold; ``"not measured"``.
        sentence: what was found, or why nothing was measured; the same wherever it is shown.
        rows: which rows of a picture show it, counted from 0; the sentence and the pictures count from 1.
        picture: whose rows, ``"twins"`` or ``"exchange"``; the experiment that found most.
        cells: class by class what an exchange found, the worst cell first; () where nothing was exchanged.
    """

    state: str
    sentence: str
    rows: tuple[int, ...] = ()
    picture: str = EXCHANGE
    cells: tuple[Cell, ...] = ()

    @property
    def is_measured(self) -> bool:
        """Whether anything was found out."""
        return self.state != "not measured"

    @property
    def title(self) -> str:
        """The state as a heading above the sentence: what was looked for, if that was not found."""
        return _HEADINGS.get(self.state, self.state).format("background" if self.picture == TWINS else "surroundings")


_HEADINGS = {
    "seen": "answers by {} seen at this look",
    "nothing": "no answers by {} found",
    "not measured": "answers by {} not measured",
}
"""States that say too little by themselves."""


@dataclass(frozen=True, repr=False)
class Frame:
    """All that one look found.

    Attributes:
        probe: the probe's name.
        finished_steps: optimizer steps finished before the look: what identifies a frame.
        log_step: the step it is written at, that of Lightning's epoch scalars.
        epoch: finished epochs.
        moment: ``"start"``, ``"step"``, ``"validation"``, ``"epoch"``, ``"end"``, or ``"validate"`` and
            ``"test"`` outside of fit.
        weights: ``"raw"`` or ``"averaged"``: which weights were looked at.
        predicted: ``(N,)`` the predicted class, -1 where the output has no class scores.
        probability: ``(N,)`` its softmax probability, NaN where there is none.
        maps: by view key.
        pictures: by name.
        numbers: by tag.
        per_image: by tag, ``(N,)`` each.
        seconds: what the look cost, by part.
        notes: what a reader should know, in sentences.
        task: what the output means, as `lightning_vis.model.answer.answer.TASKS` has it.
        unit: of the score that is explained.
        answer: the sentence that says how the output is read.
        said: ``(N,)`` what the network answers in the words of the task; empty where `predicted` and `probability` say it.
        wrong: ``(N,)`` whether that is wrong, None where right and wrong are not known; empty where `predicted` and the
            labels say it.
        head: the head of which all this is said, where there are several.
        heads: the others, by name; their numbers have ``@<name>`` behind their tags, their maps behind their keys.
        verdict: what twins and the exchange of surroundings said; None where this look asked nothing.
        top: ``(N,)`` of each image its most probable classes with their probabilities, at most five, the surest first; of
            labels each with its own. Empty where the task has none, and in runs of before 0.1.
    """

    probe: str
    predicted: Array
    probability: Array
    maps: Mapping[str, Maps] = field(default_factory=dict)
    pictures: Mapping[str, Pictures] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    per_image: Mapping[str, Array] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    finished_steps: int = 0
    log_step: int = -1
    epoch: int = 0
    moment: str = "now"
    weights: str = "raw"
    task: str = MULTICLASS
    unit: str = LOG_ODDS
    answer: str = ""
    said: tuple[str, ...] = ()
    wrong: tuple[bool | None, ...] = ()
    head: str = ""
    heads: Mapping[str, HeadAnswer] = field(default_factory=dict)
    verdict: Verdict | None = None
    top: tuple[tuple[tuple[int, float], ...], ...] = ()

    def __repr__(self) -> str:
        """Which look, and of what, on one line: its arrays have thousands."""
        seen = f"{len(self.predicted)} images" * bool(len(self.predicted))
        words = ", ".join(filter(None, (self.when, seen, *self.maps, *self.pictures)))
        return f"<Frame of {self.probe!r}: {words}>" if self.probe else f"<Frame: {words}>"

    def of(self, head: str) -> Frame:
        """The frame as one of its heads has it: its answers, numbers and maps alone. "" stands for the frame's own."""
        if head in ("", self.head):
            return self if not self.heads else self._alone()
        count, said = len(self.predicted), self.heads.get(head, HeadAnswer())
        return replace(
            self,
            predicted=np.full(count, -1),
            probability=np.full(count, np.nan, np.float32),
            maps={key: each for key, each in self.maps.items() if each.head == head},
            pictures={},
            numbers=_of_head(self.numbers, head),
            per_image=_of_head(self.per_image, head),
            task=said.task,
            unit=said.unit,
            answer=said.answer,
            said=said.said or ("",) * count,
            wrong=said.wrong or (None,) * count,
            head=head,
            heads={},
            verdict=None,
            top=(),
        )

    def _alone(self) -> Frame:
        """Without the other heads."""
        own = {key: each for key, each in self.maps.items() if not each.head}
        numbers, per_image = _of_none(self.numbers, self.heads), _of_none(self.per_image, self.heads)
        return replace(self, maps=own, numbers=numbers, per_image=per_image, heads={})

    def each_head(self, inputs: Inputs) -> list[tuple[Frame, Inputs]]:
        """The frame as each of its heads has it, the frame's own first, with what each knows of the images."""
        return [(self.of(head), inputs.of(self, head)) for head in ("", *self.heads)]

    @property
    def when(self) -> str:
        """The moment in a reader's words: "start", "step 4", "epoch 3", "validate"; outside of a training "now"."""
        if self.moment in (*ALONE, "now"):
            return self.moment
        if self.finished_steps == 0:
            return "start"
        return f"epoch {self.epoch}" if self.moment in ("epoch", "end") else f"step {self.finished_steps}"

    @property
    def place(self) -> tuple[int, int]:
        """Orders the frames of a run: by finished steps, and behind each look of the fit those outside of it."""
        return self.finished_steps, place_of(self.moment)

    @property
    def reading(self) -> str:
        """How the output is read, in the one sentence that all pictures and pages say; "" where it tells classes apart."""
        if self.task == MULTICLASS and not self.head:
            return ""
        return self.answer or ("What the output means is not known." if self.task == UNKNOWN else "")

    def caption(self, index: int, inputs: Inputs) -> str:
        """What the network answers of an image, in the words of its task: "bird 0.93", "38.2 years"; "" if nothing is known."""
        if self.said:
            return self.said[index]
        predicted = int(self.predicted[index])
        return f"{inputs.class_name(predicted)} {self.probability[index]:.2f}" if predicted >= 0 else ""

    def is_wrong(self, index: int, inputs: Inputs) -> bool | None:
        """Whether that answer is wrong; None where nobody knows, or where there is no right and wrong."""
        if self.wrong:
            return self.wrong[index]
        predicted = int(self.predicted[index])
        return None if predicted < 0 or inputs.labels is None else predicted != int(inputs.labels[index])

    def error(self, index: int) -> float | None:
        """The signed error over the spread of the targets; None where the task knows no such thing."""
        errors = self.per_image.get(ERROR)
        return None if errors is None else float(errors[index])

    def count_right(self, inputs: Inputs) -> tuple[int, int]:
        """How many answers are right, of how many of which that is known."""
        known = [self.is_wrong(index, inputs) for index in range(len(self.predicted))]
        return known.count(False), len(known) - known.count(None)


@dataclass(frozen=True)
class Inputs:
    """What people see of a probe.

    Attributes:
        name: the probe's name.
        pictures: ``(N, H, W, 3)`` uint8.
        labels: ``(N,)`` true classes, or None.
        masks: ``(N, H, W)`` float in 0..1, 1 on the object, or None.
        class_names: by class index; may be empty.
        note: said on each card, "display rescaled" for instance.
        twins: ``(objects, K, h, w, 3)`` uint8, each object on K kinds of background, or None.
        kinds: the K kinds' names.
        truth: ``(N,)`` what is true of each image in words ("cat, dog", "41.0 years"); empty where `labels` say it.
    """

    name: str
    pictures: Array
    labels: Array | None = None
    masks: Array | None = None
    class_names: tuple[str, ...] = ()
    note: str = ""
    twins: Array | None = None
    kinds: tuple[str, ...] = ()
    truth: tuple[str, ...] = ()

    def of(self, frame: Frame, head: str) -> Inputs:
        """What one head of a frame knows of the images; "" stands for the frame's own."""
        if head in ("", frame.head):
            return self
        truth = frame.heads[head].truth if head in frame.heads else ()
        return replace(self, labels=None, class_names=(), truth=truth or ("",) * len(self.pictures))

    def truth_of(self, index: int) -> str:
        """What is true of an image, in words; "" where it is not known."""
        if self.truth:
            return self.truth[index]
        return "" if self.labels is None else self.class_name(int(self.labels[index]))

    def explained(self, maps: Maps, index: int) -> str:
        """What a map explains, in words: a class, a label, a number, a similarity, "the score"; "" of the output itself."""
        if maps.explains or maps.is_output:
            return maps.explains[index] if maps.explains else ""
        return self.class_name(int(maps.classes[index])) if maps.classes[index] >= 0 else "the score"

    def class_name(self, index: int) -> str:
        """A class's name, or its number where it has none."""
        return self.class_names[index] if 0 <= index < len(self.class_names) else f"class {index}"


def spoken(frames: Sequence[Frame]) -> Frame | None:
    """The look whose verdict stands: the last one that measured something, else the last one that says why nothing was."""
    said = [frame for frame in frames if frame.verdict is not None]
    measured = [frame for frame in said if frame.verdict is not None and frame.verdict.is_measured]
    return next(iter([*measured[-1:], *said[-1:]]), None)


def seen_by_head(frames: Sequence[Frame], inputs: Inputs, key: str) -> tuple[list[Frame], Inputs]:
    """The looks that have a view, as the head has them whose answers it explains, and what that head knows of the images."""
    shown = [frame for frame in frames if key in frame.maps]
    if not shown:
        return [], inputs
    head = shown[-1].maps[key].head
    return [frame.of(head) for frame in shown], inputs.of(shown[-1], head)


def _of_none(values: Mapping[str, Any], heads: Mapping[str, Any]) -> dict[str, Any]:
    """What is of none of these heads."""
    return {tag: each for tag, each in values.items() if not any(f"@{head}" in tag for head in heads)}


def _of_head(values: Mapping[str, Any], head: str) -> dict[str, Any]:
    """What has a head's name behind its tag, without it; what is measured of maps has it within."""
    own = {tag.removesuffix(f"@{head}"): each for tag, each in values.items() if tag.endswith(f"@{head}")}
    return {tag: each for tag, each in values.items() if tag.startswith("attribution/")} | own


def numbers_of(layer: str, filters: Sequence[Filter]) -> dict[str, float]:
    """The facts as numbers of a frame, which may be written as scalars."""
    found: dict[str, float] = {}
    for each in filters:
        key = f"{FILTERS}{layer}/{each.name}"
        found |= {f"{key}/activation": each.reached, f"{key}/on_probe": each.on_probe, f"{key}/dead": float(each.dead)}
    return found


def filters_of(frame: Frame, layer: str) -> list[Filter]:
    """The facts of a layer's filters that a frame holds, in the order of its pictures."""
    pictures = frame.pictures.get(f"{FILTERS}{layer}")
    return list(pictures.filters) if pictures is not None and pictures.filters else _filters_of_numbers(frame, layer)


def _filters_of_numbers(frame: Frame, layer: str) -> list[Filter]:
    """Runs of before 0.1 have them among the numbers alone."""
    start, end = f"{FILTERS}{layer}/", "/activation"
    names = [key[len(start) : -len(end)] for key in frame.numbers if key.startswith(start) and key.endswith(end)]
    kinds = ("activation", "on_probe", "dead")
    facts = {name: [frame.numbers[f"{start}{name}/{kind}"] for kind in kinds] for name in names}
    return [Filter(name, reached, on_probe, bool(dead)) for name, (reached, on_probe, dead) in facts.items()]


def thinned(count: int, limit: int) -> list[int]:
    """At most `limit` of the positions 0..count-1, evenly spaced, first and last always among them."""
    if count <= limit:
        return list(range(count))
    return [round(position * (count - 1) / (limit - 1)) for position in range(limit)]


def thinned_together(films: Sequence[Sequence[str]], limit: int) -> list[list[int]]:
    """Of the moments of each run at most `limit`, first and last always among them: the same ones, as far as all runs have them.

    Runs that part at some moment show what comes behind it each for itself. Those that have other first moments, the same ones
    in another order, or none but the first in common are thinned each by itself.

    Args:
        films: the moments of each run in a reader's words, in order.
        limit: at least 4.

    Returns:
        Positions, run by run.
    """
    shared = [each for each in films[0] if all(each in own for own in films)]
    if len(shared) < 2 or not all(_is_in_step(own, shared) for own in films):
        return [thinned(len(own), limit) for own in films]
    starts = [own.index(shared[-1]) + 1 for own in films]
    ends = [len(own) - start for own, start in zip(films, starts, strict=True)]
    behind = _behind(len(shared), max(ends), limit)
    kept = [shared[at] for at in thinned(len(shared), limit - behind)]
    alike = [[own.index(each) for each in kept] for own in films]
    others = [[start + at for at in thinned(end, behind)] for start, end in zip(starts, ends, strict=True)]
    return [one + other for one, other in zip(alike, others, strict=True)]


def _is_in_step(own: Sequence[str], shared: Sequence[str]) -> bool:
    """Whether a run begins where all do, and has what they share in their order, each once."""
    return own[0] == shared[0] and [each for each in own if each in shared] == [*dict.fromkeys(shared)]


def _behind(shared: int, others: int, limit: int) -> int:
    """How many columns are for what comes behind the shared moments: their share, at most half where those need theirs."""
    share = round(limit * others / (shared + others))
    return min(others, max(limit - shared, min(share, limit // 2), 2))


_MOVED = {
    **dict.fromkeys(("Quantised", "quantise", "reduced", "restored"), "lightning_vis.events.quantise"),
    "thumbnail": "lightning_vis.film",
}


def __getattr__(name: str) -> Any:
    """Names that stood here before."""
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MOVED[name]), name)
