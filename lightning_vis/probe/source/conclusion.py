"""What follows from testimony: the answer, and what is true of each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lightning_vis.constants import MULTICLASS
from lightning_vis.model.answer.answer import UNKNOWN, Answer
from lightning_vis.model.answer.masks import is_one_hot
from lightning_vis.model.answer.numbers import spreads
from lightning_vis.model.answer.task import Facts
from lightning_vis.model.answer.words import Words, place_of
from lightning_vis.model.places import at
from lightning_vis.probe.source.source import Asked
from lightning_vis.probe.witness.testimony import Testimony

_SIGMOIDS = ("binary_cross_entropy_with_logits", "binary_cross_entropy", "multilabel_soft_margin_loss", "soft_margin_loss")


def answer_of(it: Testimony, truth: Tensor | None, asked: Asked, *, at_meeting: bool = False) -> Answer:
    """The answer that a testimony tells of, with the words of the user over it.

    Args:
        it: what was seen.
        truth: ``(N, ...)`` of the images that are taken, if it is known.
        asked: what the user said.
        at_meeting: whether the answer is taken where it meets its target, where it is no part of an output any more.
    """
    is_dense = it.task == "regression" and len(it.shape) > 3 and min(it.shape[2:]) > 1
    facts = Facts(
        head=() if at_meeting else it.head,
        probabilities=it.values == "probabilities",
        is_dense=is_dense,
        is_sigmoid=_is_each_for_itself(it, truth) if it.task == "segmentation" else _is_each_class(it),
        spread=_spread(it, truth, asked.words.component),
        words=("fake", "real") if it.task == "binary" and it.origin == "constant" else ("no", "yes"),
    )
    facts = replace(facts, change="" if at_meeting else it.change)
    unit = "standardised" if it.task == "regression" and not is_dense and it.made & _ARITHMETIC else ""
    unit = unit if facts.is_compared else "the network's own unit"
    words = asked.words
    read = Answer(it.task, facts, unit, _said(it, asked))
    if it.task == UNKNOWN and words.task is not None:
        is_sigmoid = words.task == "segmentation" and _do_overlap(truth)
        read = replace(read, facts=Facts(head=facts.head or None, is_sigmoid=is_sigmoid), said="")
    given = words.over(read)
    place = place_of(words.head, "head")
    if place is not None and it.is_called(place):  # the name of a submodule is no place
        given = replace(given, facts=replace(given.facts, head=facts.head))
    return given if given.task == it.task else replace(given, said=_said_by_user(it, given))


_ARITHMETIC = frozenset(("sub", "div", "true_divide", "__sub__", "__truediv__", "log", "log1p", "subtract", "divide"))


def _said(it: Testimony, asked: Asked) -> str:
    """How the output is read; of an unknown one what is explained all the same."""
    return f"Unknown: {it.why}. What score= returns is explained." if it.task == UNKNOWN and asked.has_score else it.said()


def _said_by_user(it: Testimony, given: Answer) -> str:
    """Whose word it is; what was read is said too, where it was something else."""
    said = f"Read as {given.task}, because task={given.task!r} says so."
    return said if it.task == UNKNOWN else f"{said} The step looks like {it.task}."


def _is_each_class(it: Testimony) -> bool:
    """Whether one class for each image is told by a yes or no for each class."""
    return it.task == MULTICLASS and it.loss in _SIGMOIDS


def _is_each_for_itself(it: Testimony, truth: Tensor | None) -> bool:
    """Whether several classes at each pixel are a yes or no each."""
    several = len(it.shape) > 3 and it.shape[1] > 1
    are_masks = truth is not None and truth.ndim == len(it.shape) and truth.shape[1:2] == it.shape[1:2]
    return several and (it.loss in _SIGMOIDS or (are_masks and _do_overlap(truth)))


def _do_overlap(truth: Tensor | None) -> bool:
    """Whether masks ``(N, C, H, W)`` overlap or leave pixels to no class: then they are no classes of which each pixel has one."""
    are_masks = truth is not None and truth.ndim > 3 and truth.shape[1] > 1
    return are_masks and truth is not None and not bool((truth.float().sum(1) == 1).all())


def _spread(it: Testimony, truth: Tensor | None, component: int | None) -> float:
    """Standard deviation of the targets; of several numbers that of the one that is named, since each has its own."""
    if it.task != "regression" or truth is None or len(truth) < 2:
        return float("nan")
    numbers = truth.reshape(len(truth), -1).float()
    at = 0 if numbers.shape[1] == 1 else component
    is_known = at is not None and 0 <= at < numbers.shape[1]
    return float(spreads(numbers)[at]) if is_known and at is not None else float("nan")


def truth_in(it: Testimony, batch: Any, target: Tensor | None, count: int, words: Words) -> Tensor | None:
    """What is true of the first images of a batch ``(count, ...)``; None where nobody knows.

    Args:
        it: what was seen.
        batch: that went through the step.
        target: what met the answer, if the step got so far.
        count: images of the batch.
        words: of the user, who may know where the labels are.
    """
    place = place_of(words.labels_at, "labels_at")
    if place is not None:
        return rows_in_truth(at(batch, place), count)
    if it.origin not in ("batch", "image") or it.task == UNKNOWN:
        return None
    met = rows_in_truth(target, count)
    if it.task in ("regression", "reconstruction"):
        return met if met is not None else _leaf(it, batch, count)
    leaf = _leaf(it, batch, count)
    best = met if leaf is None or _is_part(it, met, leaf) else leaf
    return _as_map(it, best)


def _is_part(it: Testimony, met: Tensor | None, leaf: Tensor) -> bool:
    """Whether the step takes the classes out of a larger tensor: a column of many, the greatest of soft ones."""
    return it.task in ("multiclass", "binary") and met is not None and met.numel() < leaf.numel()


def _as_map(it: Testimony, truth: Tensor | None) -> Tensor | None:
    """The label maps of one-hot ones, where a softmax is over the classes."""
    if truth is None or it.task != "segmentation" or truth.ndim < 4 or not 1 < truth.shape[1] == it.shape[1]:
        return truth
    return truth.argmax(1) if is_one_hot(truth) and it.loss not in _SIGMOIDS else truth


def _leaf(it: Testimony, batch: Any, count: int) -> Tensor | None:
    return rows_in_truth(at(batch, it.target[0]), count) if len(it.target) == 1 else None


def rows_in_truth(value: Any, count: int) -> Tensor | None:
    """What may be true of each image ``(count, ...)``, of tensors and lists of numbers; None for anything else."""
    if isinstance(value, (list, tuple)) and all(isinstance(each, (int, float)) for each in value):
        value = torch.tensor(value)
    if not isinstance(value, Tensor) or not value.ndim or len(value) != count:
        return None
    rows = value.detach().cpu()
    return rows.reshape(count) if rows.numel() == count else rows


def classes_in_turn(truth: Tensor | None, count: int) -> Sequence[int]:
    """A number for each image by which they are taken in turn: its class, the first label it has, -1 where there is none."""
    if truth is None or (truth.is_floating_point() and truth.ndim == 1 and bool((truth.remainder(1) != 0).any())):
        return [-1] * count
    if truth.ndim == 1:
        return [int(each) for each in truth]
    if truth.ndim == 2:
        return [int(row.argmax()) if bool((row > 0).any()) else -1 for row in truth]
    return [int(row.max()) if int(row.max()) > 0 else -1 for row in truth.flatten(1)]
