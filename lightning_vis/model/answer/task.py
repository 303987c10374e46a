"""A task: how an output is read, what of it is explained, in what words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lightning_vis.model.places import Path
from lightning_vis.model.scores import Target as Target

SIGMOID = "sigmoid"


Chosen = Tensor | None
"""What is explained in each image, one row for each: an index, a vector to be near to, a map of classes."""


@dataclass(frozen=True)
class Facts:
    """What is known of an output besides its task.

    Attributes:
        head: where in the output the answer is; None: it is the one tensor there.
        component: which of several numbers is explained; None: it is chosen.
        probabilities: whether the answer's numbers are probabilities; None where it is seen from them.
        is_dense: of numbers, whether there is one at each pixel.
        is_sigmoid: of classes, for each image or at each pixel, whether each is a yes or no of its own.
        spread: standard deviation of the targets, in their unit; NaN where it is not known.
        words: of no and yes.
        change: what the step makes of numbers before they meet their target; empty where nothing. After a "sigmoid", which is
            made here too, they are compared with it, after anything else they are not.
        unreadable: why the answer cannot be read as its task has it; empty if it can.
    """

    head: Path | None = None
    component: int | None = None
    probabilities: bool | None = None
    is_dense: bool = False
    is_sigmoid: bool = False
    spread: float = float("nan")
    words: tuple[str, str] = ("no", "yes")
    change: str = ""
    unreadable: str = ""

    @property
    def is_compared(self) -> bool:
        """Whether the answer's numbers are what the target's are."""
        return self.change in ("", SIGMOID)


Top = tuple[tuple[int, float], ...]
"""Classes of one image with their probabilities, the most probable first."""
MOST, LEAST = 5, 0.01


def likeliest(shares: Tensor) -> tuple[Top, ...]:
    """The most probable classes of each image, at most `MOST`, each with `LEAST` at least.

    Args:
        shares: ``(N, C)`` probabilities, NaN where an answer is no number.
    """
    values, indices = shares.detach().float().topk(min(MOST, shares.shape[1]))
    rows = zip(indices.tolist(), values.tolist(), strict=True)
    return tuple(tuple((at, share) for at, share in zip(*row, strict=True) if share >= LEAST) for row in rows)


@dataclass(frozen=True)
class Said:
    """What a network answers, in the words of its task.

    Attributes:
        captions: ``(N,)``; empty where class and probability say it.
        wrong: ``(N,)``, None where right and wrong are not known; empty where class and label say it.
        predicted: ``(N,)`` the class; None where there are none.
        probability: ``(N,)`` its probability.
        per_image: numbers ``(N,)`` by tag.
        numbers: of the whole probe, by tag.
        top: ``(N,)`` the most probable classes, as `likeliest` has them; empty where a task has none.
    """

    captions: tuple[str, ...] = ()
    wrong: tuple[bool | None, ...] = ()
    predicted: Tensor | None = None
    probability: Tensor | None = None
    per_image: Mapping[str, Tensor] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    top: tuple[Top, ...] = ()


def no_maps(*_: Any) -> dict[str, Tensor]:
    """Of tasks whose answers are no pictures."""
    return {}


@dataclass(frozen=True)
class Task:
    """One of the tasks that are known.

    Attributes:
        name: as torchmetrics calls it, where it does.
        unit: of the score.
        values: ``(facts, output) -> (N, ...)``, the answer in the numbers that the rest is made of.
        chosen: ``(facts, target, values, truth) -> (N, ...)``, what is explained.
        score: ``(values, chosen) -> (N,)``, the number that is differentiated; None: nothing is, unless a user says what.
        said: ``(facts, values, truth, names) -> Said``.
        explains: ``(facts, chosen, names) -> (N,)`` in words; empty where an index names a class.
        twins: ``(facts, values) -> (M, C)``, what answers on twins are compared by; None where nothing is, or where it takes
            more than answers.
        on_objects: ``(facts, values, images, masks) -> (M, C)``, likewise where it takes the twins and where the objects
            lie in them, ``(M, H, W)``.
        truth: ``(truth) -> (N,)`` in words, given names too; empty where it is a class.
        maps: ``(facts, values, truth, (N, C, H, W)) -> (N, h, w)`` by view key: maps that need no gradient.
        first: as `chosen`, while the first epoch runs; None: as later. Where there is one, what is chosen at its end is kept.
    """

    name: str
    unit: str
    values: Callable[[Facts, Any], Tensor]
    chosen: Callable[[Facts, Target, Tensor, Tensor | None], Chosen]
    score: Callable[[Tensor, Tensor], Tensor] | None
    said: Callable[[Facts, Tensor, Tensor | None, Sequence[str]], Said]
    explains: Callable[[Facts, Tensor, Sequence[str]], tuple[str, ...]]
    truth: Callable[[Facts, Tensor, Sequence[str]], tuple[str, ...]]
    twins: Callable[[Facts, Tensor], Tensor] | None = None
    on_objects: Callable[[Facts, Tensor, Tensor, Tensor], Tensor] | None = None
    maps: Callable[[Facts, Tensor, Tensor | None, Sequence[int]], Mapping[str, Tensor]] = no_maps
    first: Callable[[Facts, Target, Tensor, Tensor | None], Chosen] | None = None


def name_of(names: Sequence[str], index: int, kind: str = "class") -> str:
    """A name by its index, or its number where it has none."""
    return names[index] if 0 <= index < len(names) else f"{kind} {index}"


def no_words(*_: Any) -> tuple[str, ...]:
    """Where indices name what is meant."""
    return ()
