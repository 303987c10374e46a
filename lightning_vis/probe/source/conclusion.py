"""What follows from testimony: the answer, and what is true of each image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lightning_vis.arguments import quoted
from lightning_vis.constants import MULTICLASS
from lightning_vis.model.answer.answer import UNKNOWN, Answer
from lightning_vis.model.answer.masks import IGNORED, is_one_hot
from lightning_vis.model.answer.numbers import spreads
from lightning_vis.model.answer.task import Facts
from lightning_vis.model.answer.words import Words, place_of
from lightning_vis.model.places import at, written
from lightning_vis.probe.source.source import Asked
from lightning_vis.probe.truth import are_pictures, without_signs
from lightning_vis.probe.witness.functions import LOOKED_UP, ORDERS, is_of_shape_only
from lightning_vis.probe.witness.testimony import STANDARDISED, Testimony

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
        head=() if at_meeting else it.head if it.in_eval is None else it.in_eval,
        probabilities=_are_probabilities(it, at_meeting),
        is_dense=is_dense,
        is_sigmoid=_is_each_for_itself(it, truth) if it.task == "segmentation" else _is_each_class(it),
        spread=_spread(it, truth, asked.words.component),
        words=("fake", "real") if it.task == "binary" and it.origin == "constant" else ("no", "yes"),
    )
    facts = replace(facts, change="" if at_meeting else it.change)
    unit = STANDARDISED if it.task == "regression" and not is_dense and it.made & _ARITHMETIC else ""
    unit = unit if facts.is_compared else "the network's own unit"
    words = asked.words
    read = Answer(it.task, facts, unit, _said(it, asked, words.unit or unit))
    if it.task == UNKNOWN and words.task is not None:
        is_sigmoid = words.task == "segmentation" and _do_overlap(truth)
        read = replace(read, facts=Facts(head=facts.head or None, is_sigmoid=is_sigmoid), said="")
    given = words.over(read)
    place = place_of(words.head, "head")
    if place is not None and it.is_called(place):  # the name of a submodule is no place
        given = replace(given, facts=replace(given.facts, head=facts.head))
    said = given.said if given.task == it.task else _said_by_user(it, given)
    return replace(given, said=" ".join(filter(None, (said, *_besides(asked, unit)))))


def _are_probabilities(it: Testimony, at_meeting: bool) -> bool | None:
    """Whether the answer's numbers are probabilities; where they meet their target the loss tells, or they do themselves."""
    if not at_meeting:
        return it.values == "probabilities"
    return None if it.task == MULTICLASS else it.loss == "binary_cross_entropy"


_ARITHMETIC = frozenset(("sub", "div", "true_divide", "__sub__", "__truediv__", "log", "log1p", "subtract", "divide"))


def _said(it: Testimony, asked: Asked, unit: str) -> str:
    """How the output is read; of an unknown one what is explained all the same."""
    return f"Unknown: {it.why}." if it.task == UNKNOWN and asked.has_score else it.said(unit)


def _besides(asked: Asked, unit: str) -> Iterator[str]:
    """What else is to be said of the number that is shown or explained, where the user has said something of it."""
    if asked.words.unit and unit == STANDARDISED:
        named = quoted(asked.words.unit)
        yield f"The step computes the target: where {named} is the unit in the batch, it is not that of the numbers shown."
    if asked.has_score:
        yield "What score= returns is explained."


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
        target: what met the answer; None where the step did not get so far, or is not run again.
        count: images of the batch.
        words: of the user, who may know where the labels are.
    """
    place = place_of(words.labels_at, "labels_at")
    if place is not None:
        return rows_in_truth(at(batch, place), count)
    if it.origin not in ("batch", "image") or it.task == UNKNOWN:
        return None
    met, leaf = rows_in_truth(target, count), _leaf(it, batch, count)
    if leaf is not None and makes_target(it, batch, count) and not _are_rows(it, leaf, target, count):
        return _as_map(it, _with_missing(it, _as_known(it, _like(leaf, target, met)), leaf))
    if it.task in ("regression", "reconstruction"):
        return met if met is not None else leaf
    return _as_map(it, met if leaf is None or _is_part(it, met, leaf) else leaf)


def left_open(it: Testimony, batch: Any, truth: Tensor | None, count: int) -> str:
    """Why it is not known what is true of the images, though the batch says something; "" where it is, or says nothing."""
    leaf = _leaf(it, batch, count)
    if truth is not None or leaf is None or not makes_target(it, batch, count):
        return ""
    made = ", ".join(sorted(_made_beside(it, leaf))[:3])
    what = f"the step makes its targets of {written(it.target[0])} ({made})"
    return f"{what} and is not run for these images: what is true of them is not known"


def makes_target(it: Testimony, batch: Any, count: int) -> bool:
    """Whether the step makes something else of what the batch says before the answer meets it."""
    leaf = _leaf(it, batch, count)
    return it.task != UNKNOWN and it.origin == "batch" and leaf is not None and bool(_made_beside(it, leaf))


def _are_rows(it: Testimony, leaf: Tensor, target: Tensor | None, count: int) -> bool:
    """Whether the step has only picked some of the images, as it does where labels are missing: the others keep theirs."""
    is_picked = isinstance(target, Tensor) and target.ndim > 0 and len(target) < count
    return is_picked and _made_beside(it, leaf) <= _ASKED


_AS_IT_IS = frozenset(
    "leaf alias data detach clone contiguous to type type_as long int short float double half bfloat16 bool cpu cuda"
    " view view_as reshape reshape_as flatten unflatten squeeze unsqueeze expand expand_as permute transpose movedim t T mT"
    " repeat repeat_interleave tile broadcast_to broadcast_tensors stack cat concat concatenate masked masked_select".split()
)
"""What says the same in another form."""
_WRITTEN_OUT = frozenset("one_hot scatter zeros ones empty full eye arange tensor interpolate".split())
"""What says the same class in a row for each image, or on a finer or coarser grid, and what that takes."""


_ASKED = frozenset("ge gt le lt ne eq __ge__ __gt__ __le__ __lt__ __ne__ __eq__ isnan isfinite logical_not __invert__".split())
"""How a step asks which labels are missing."""


def _made_beside(it: Testimony, leaf: Tensor) -> set[str]:
    """The functions that make something else of what the batch says ``(N, ...)``."""
    written_out = frozenset[str]() if it.task == "regression" else _WRITTEN_OUT
    alike = _AS_IT_IS | written_out | (ORDERS if it.task == "ordinal" else frozenset[str]())
    is_single = leaf.numel() == len(leaf) or (leaf.ndim > 2 and leaf.numel() == len(leaf) * leaf.shape[-2:].numel())
    rows = {LOOKED_UP} if "eye" in it.made else set[str]()  # of a unit matrix they say the same class
    other = {each for each in it.made - alike - rows if not is_of_shape_only(each)}
    return other - {"__getitem__"} if is_single else other  # of one number a part is that number


def _like(leaf: Tensor, target: Tensor | None, met: Tensor | None) -> Tensor | None:
    """What met the answer in the shape of what it is made of, where each number is made of one."""
    is_alike = isinstance(target, Tensor) and target.numel() == leaf.numel()
    return target.detach().cpu().reshape(leaf.shape) if is_alike and target is not None else met


def _with_missing(it: Testimony, truth: Tensor | None, leaf: Tensor) -> Tensor | None:
    """What is true, missing where the batch has nothing: a step that weighs it with zero may have put anything there."""
    if truth is None or truth.shape != leaf.shape:
        return truth
    missing = leaf.isnan() if it.task == "regression" else leaf.isnan() | (without_signs(leaf) < 0)
    if it.task == "segmentation" and not are_pictures(leaf):
        missing |= leaf == IGNORED
    return truth.masked_fill(missing, float("nan") if truth.is_floating_point() else -1)


def _as_known(it: Testimony, met: Tensor | None) -> Tensor | None:
    """What met the answer, in the form in which the task knows what is true."""
    if met is None or met.ndim != 2 or met.shape[1] == 1:
        return met
    if it.task == MULTICLASS:
        return (met if met.sum() >= 0 else -met).argmax(1)  # a product may be negative already
    return met.sum(1).long() if it.task == "ordinal" else met


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
