"""Finds the answer in an output, and whether its numbers are probabilities."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lightning_vis.constants import MULTICLASS
from lightning_vis.model.answer.task import SIGMOID, Facts
from lightning_vis.model.places import at, leaves, written
from lightning_vis.model.scores import are_probabilities, describe


def answer_of(facts: Facts, output: Any) -> Tensor:
    """The tensor that is the answer.

    Raises:
        ValueError: there is none at the head, or several and no head.
    """
    if facts.head is None:
        return _only_tensor(output)
    try:
        found = at(output, facts.head, "output")
    except LookupError as error:
        raise ValueError(f"head={written(facts.head, '')}: {error}") from error
    if not isinstance(found, Tensor) or not found.is_floating_point():
        raise ValueError(f"head={written(facts.head, '')}: expected a tensor of numbers there; got {describe(found)}")
    return found


def _only_tensor(output: Any) -> Tensor:
    named = output
    for name in ("out", "logits"):  # as torchvision and transformers call them
        named = output[name] if isinstance(output, dict) and name in output else getattr(output, name, named)
    found = [tensor for _, tensor in leaves(named) if tensor.is_floating_point() and tensor.ndim]
    if len(found) != 1:
        raise ValueError(
            f"the model returned {describe(output)}, and which tensor is its answer is not known: name it with head="
        )
    return found[0]


def as_compared(facts: Facts, values: Tensor) -> Tensor:
    """Numbers as they meet their target, as far as that is known."""
    return values.sigmoid() if facts.change == SIGMOID else values


def logits_of(facts: Facts, values: Tensor) -> Tensor:
    """Logits of yes or no, also of probabilities of yes."""
    if not facts.probabilities:
        return values
    sure = torch.finfo(values.dtype).eps
    return values.clamp(sure, 1 - sure).logit()


def log_scores_of(facts: Facts, values: Tensor) -> Tensor:
    """Scores of classes in dimension 1 whose softmax are their probabilities."""
    is_so = are_probabilities(values) if facts.probabilities is None else facts.probabilities
    return values.clamp_min(torch.finfo(values.dtype).tiny).log() if is_so else values


PROBABILITIES, SHARES, LOGARITHMS, OPEN, UNCLEAR = "probabilities", "shares", "logarithms", "open", "unclear"
"""Of a yes or no each; of a softmax; logarithms of either; numbers without bounds; nobody knows what."""


def squash_of(values: Tensor) -> str:
    """How the numbers of an output come about: one of the five above; without a graph it is unclear."""
    origins = _origins(values, _HANDED_ON)
    if origins <= {"Sigmoid", "Hardsigmoid"}:
        return PROBABILITIES
    if origins == {"Softmax"}:
        return SHARES
    if origins <= {"LogSigmoid", "LogSoftmax", "Log"}:
        return LOGARITHMS
    return OPEN if any(_UNBOUNDED.search(each) for each in _origins(values, _HANDED_ON | _ARITHMETIC)) else UNCLEAR


def are_shares(values: Tensor) -> bool:
    """Whether all numbers lie between 0 and 1, as probabilities do and logits may."""
    return bool(((values >= 0) & (values <= 1)).all())


def settled(facts: Facts, task: str, values: Tensor, squash: str, *, is_share: bool) -> Facts:
    """What is known of an output beside its task, once it has been seen.

    Args:
        facts: what was known before.
        task: as of `Answer`.
        values: ``(N, ...)``, the output of some images.
        squash: how it came about.
        is_share: whether all numbers, of all images, lie between 0 and 1.
    """
    is_single = values.numel() == len(values) or (values.ndim > 3 and values.shape[1] == 1)
    if squash == PROBABILITIES:
        return replace(facts, probabilities=True, is_sigmoid=facts.is_sigmoid or (task == MULTICLASS and not is_single))
    if squash == SHARES and is_single:  # one column of two: the probability of yes
        return replace(facts, probabilities=True)
    return replace(facts, unreadable=_unreadable(task, squash, is_single, is_share))


def _unreadable(task: str, squash: str, is_single: bool, is_share: bool) -> str:
    """Why an output cannot be read as its task has it; "" if it can."""
    if squash == SHARES and task in ("multilabel", "ordinal"):
        return (
            f"task={task!r}: expected a yes or no of each number; the output ends in a softmax: task='multiclass' reads it so"
        )
    if squash == LOGARITHMS and (is_single or task in ("multilabel", "ordinal")):
        return f"task={task!r}: the output ends in a logarithm, which is no logit: let forward return logits, or torch.sigmoid"
    if squash == UNCLEAR and is_share and (is_single or task in ("multilabel", "ordinal")):
        return (
            f"task={task!r}: all numbers lie between 0 and 1, and whether they are probabilities or logits cannot be seen:"
            " let forward return logits, or end in torch.sigmoid"
        )
    return ""


def _origins(values: Tensor, through: frozenset[str]) -> frozenset[str]:
    """The operations that numbers come from, those that they only pass through left out; "" for a constant."""
    todo, seen, found = [values.grad_fn], set[object](), set[str]()
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        kind = "" if node is None else re.sub(r"Backward\d*$", "", type(node).__name__)
        before = [] if node is None else [each for each, _ in node.next_functions if each is not None]
        if kind in through and before:
            todo += before
        else:
            found.add(kind)
    return frozenset(found)


_HANDED_ON = frozenset(
    "View UnsafeView ReshapeAlias Squeeze Unsqueeze Select Slice T Transpose Permute Clone ToCopy Expand Alias Index"
    " Unbind Split SplitWithSizes Cat Stack Clamp ClampMin ClampMax Mean Max Amax MaxPool2DWithIndices AdaptiveAvgPool2D"
    " AvgPool2D UpsampleBilinear2D UpsampleNearest2D UpsampleBicubic2D UpsampleTrilinear3D".split()
)
"""What is between 0 and 1 stays there, and it means the same."""


_ARITHMETIC = frozenset("Add Sub Rsub Mul Div Neg Pow Relu".split())
"""What has no bounds has none behind it, whatever it is added to or multiplied by."""


_UNBOUNDED = re.compile("[Mm]m$|Conv|Norm|Sum|elu|Linear|Dot$")
