"""The answer: what this network's output means, known once for a Trainer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from lightning_vis.arguments import quoted
from lightning_vis.constants import LOG_ODDS, MULTICLASS
from lightning_vis.model.answer.classes import BINARY_TASK, EACH_CLASS_TASK, MULTICLASS_TASK
from lightning_vis.model.answer.embedding import EMBEDDING_TASK
from lightning_vis.model.answer.grades import ORDINAL_TASK
from lightning_vis.model.answer.labels import MULTILABEL_TASK
from lightning_vis.model.answer.masks import SEGMENTATION_TASK
from lightning_vis.model.answer.numbers import NOT_KNOWN, REGRESSION_TASK
from lightning_vis.model.answer.pictures import DENSE_TASK, RECONSTRUCTION_TASK
from lightning_vis.model.answer.task import Facts, Said, Task, name_of
from lightning_vis.model.answer.unknown import UNKNOWN_TASK

_TASKS = (
    *(BINARY_TASK, MULTICLASS_TASK, MULTILABEL_TASK, REGRESSION_TASK, ORDINAL_TASK, SEGMENTATION_TASK),
    *(EMBEDDING_TASK, RECONSTRUCTION_TASK, UNKNOWN_TASK),
)


TASKS: Mapping[str, Task] = {task.name: task for task in _TASKS}
"""By name."""


UNKNOWN = UNKNOWN_TASK.name


NO_NUMBER = "not a number"


def check_task(task: Any) -> str:
    """A task by its name.

    Raises:
        ValueError: there is none of this name.
    """
    if not isinstance(task, str) or task not in TASKS:
        raise ValueError(f"task={quoted(task)}: expected one of {', '.join(map(repr, TASKS))}")
    return task


@dataclass(frozen=True)
class Answer:
    """What a network's output means, and the sentence that says it.

    Attributes:
        task: one of `TASKS`.
        facts: what is known besides.
        unit: of the explained number, where the task's own is not enough: "years".
        said: how the output is read and how that is known, for people.

    Raises:
        ValueError: there is no such task.
    """

    task: str = UNKNOWN
    facts: Facts = field(default_factory=Facts)
    unit: str = ""
    said: str = ""

    def __post_init__(self) -> None:
        check_task(self.task)

    @property
    def kind(self) -> Task:
        """Its task with all that it can do."""
        variants = {
            REGRESSION_TASK.name: (self.facts.is_dense, DENSE_TASK),
            MULTICLASS: (self.facts.is_sigmoid, EACH_CLASS_TASK),
        }
        is_other, variant = variants.get(self.task, (False, UNKNOWN_TASK))
        return variant if is_other else TASKS[self.task]

    @property
    def score_unit(self) -> str:
        """Of the explained score and of the maps that add up to it."""
        return self.unit or self.kind.unit

    def values(self, output: Any) -> Tensor:
        """The answer in an output; raises ValueError as the task does."""
        if self.facts.unreadable:
            raise ValueError(self.facts.unreadable)
        return self.kind.values(self.facts, output)

    def told(self, values: Tensor, truth: Tensor | None, names: Sequence[str]) -> Said:
        """What a network answers, in the words of its task; an answer that is no number is neither right nor wrong.

        Args:
            values: ``(N, ...)`` in the numbers of the task.
            truth: ``(N, ...)`` what is true, if it is known.
            names: of classes, labels, grades or numbers.
        """
        are_numbers = self.are_numbers(values)
        rows = are_numbers.nonzero()[:, 0]
        if len(rows) == len(values):
            return self.kind.said(self.facts, values, truth, names)
        if self.task == EMBEDDING_TASK.name:  # nearness speaks of several images at once
            return _without(self.kind.said(self.facts, values, truth, names), are_numbers.tolist())
        if not len(rows):
            return Said((NO_NUMBER,) * len(values), (None,) * len(values))
        some = self.kind.said(self.facts, values[rows], None if truth is None else truth[rows.to(truth.device)], names)
        return _among(_in_words(some, names), rows.tolist(), len(values))

    def truth(self, truth: Tensor, names: Sequence[str]) -> tuple[str, ...]:
        """What is true of each image, in the words of the task: a number with its unit, where it is the one that has it.

        Args:
            truth: ``(N, ...)``.
            names: of classes, labels, grades or numbers.
        """
        words = self.kind.truth(self.facts, truth, names)
        has_unit = self.kind is REGRESSION_TASK and self.unit and not self.facts.change and truth.numel() == len(truth)
        return tuple(f"{each} {self.unit}" if each != NOT_KNOWN else each for each in words) if has_unit else words

    def are_numbers(self, values: Tensor) -> Tensor:
        """Whether each answer can be read, ``(N,)`` bool: only what is more or less likely can be ruled out."""
        return answers_are_numbers(values, may_rule_out=self.kind.unit == LOG_ODDS)

    def state(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        facts = asdict(self.facts)
        # A checkpoint that is loaded with weights_only=True takes no words of a class of ours.
        head = None if self.facts.head is None else [str(key) if isinstance(key, str) else key for key in self.facts.head]
        spread = self.facts.spread if math.isfinite(self.facts.spread) else None
        return {"task": self.task, "unit": self.unit, "said": self.said, "facts": facts | {"head": head, "spread": spread}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Answer:
        """The inverse of `state`."""
        facts = dict(state["facts"])
        head = None if facts["head"] is None else tuple(facts["head"])
        spread = math.nan if facts["spread"] is None else float(facts["spread"])
        known = replace(Facts(), **(facts | {"head": head, "spread": spread, "words": tuple(facts["words"])}))
        return cls(str(state["task"]), known, str(state["unit"]), str(state["said"]))


CLASSES = Answer(MULTICLASS)
"""One class for each image, wherever in the output its scores are."""


def answers_are_numbers(values: Tensor, *, may_rule_out: bool = True) -> Tensor:
    """Whether each answer can be read: ``(N,)`` bool.

    Args:
        values: ``(N, ...)`` in the numbers of a task.
        may_rule_out: whether some of an image's numbers may be minus infinity, as scores are of what a network has ruled out.
    """
    flat = values.detach().reshape(len(values), -1)
    if not may_rule_out:
        return flat.isfinite().all(1)
    is_broken = flat.isnan() | (flat == torch.inf)
    return ~is_broken.any(1) & ~(flat == -torch.inf).all(1)


def _in_words(said: Said, names: Sequence[str]) -> Said:
    """With captions also where class and probability say it: a class that is not there would say nothing."""
    if said.captions or said.predicted is None or said.probability is None:
        return said
    answers = zip(said.predicted.tolist(), said.probability.tolist(), strict=True)
    return replace(said, captions=tuple(f"{name_of(names, each)} {share:.2f}" for each, share in answers))


def _without(said: Said, are_numbers: Sequence[bool]) -> Said:
    """The same, where nothing is known of those that are no numbers."""
    captions = tuple(each if is_one else NO_NUMBER for each, is_one in zip(said.captions, are_numbers, strict=True))
    wrong = tuple(each if is_one else None for each, is_one in zip(said.wrong, are_numbers, strict=True))
    return replace(said, captions=captions, wrong=wrong)


def _among(some: Said, rows: Sequence[int], count: int) -> Said:
    """The same for all images, where nothing is known of the others."""
    at = {row: position for position, row in enumerate(rows)}
    captions = tuple(some.captions[at[row]] if row in at else NO_NUMBER for row in range(count)) if some.captions else ()
    wrong = tuple(some.wrong[at[row]] if row in at else None for row in range(count)) if some.wrong else ()
    predicted = None if some.predicted is None else _filled(some.predicted, rows, count, -1)
    probability = None if some.probability is None else _filled(some.probability, rows, count, torch.nan)
    per_image = {tag: _filled(each, rows, count, torch.nan) for tag, each in some.per_image.items()}
    top = tuple(some.top[at[row]] if row in at else () for row in range(count)) if some.top else ()
    return Said(captions, wrong, predicted, probability, per_image, some.numbers, top)


def _filled(values: Tensor, rows: Sequence[int], count: int, other: float) -> Tensor:
    whole = torch.full((count, *values.shape[1:]), other, dtype=values.dtype, device=values.device)
    whole[torch.tensor(rows, device=values.device)] = values
    return whole
