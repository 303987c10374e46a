"""Finds the answer in an output: the head that was named, else the one tensor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lightning_vis.model.answer.task import Facts
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


def ends_in_sigmoid(values: Tensor) -> bool:
    """Whether numbers come straight from a sigmoid, as their graph tells; what only views, picks or copies lies between."""
    node = values.grad_fn
    while node is not None and type(node).__name__.removesuffix("0").removesuffix("1").removesuffix("Backward") in _HANDED_ON:
        node = node.next_functions[0][0]
    return type(node).__name__.startswith("SigmoidBackward")


_HANDED_ON = (
    *("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Select", "Slice", "T", "Transpose", "Permute", "Clone"),
    *("ToCopy", "Expand", "Alias", "Index"),
)
