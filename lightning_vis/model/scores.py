"""Class scores out of any model output, and the score that is explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from lightning_vis.arguments import class_indices_of, quoted
from lightning_vis.model.places import leaves

Score = Callable[[Any, Any], Tensor]
"""``(model output, classes (N,) or None) -> (N,)``: the number that is differentiated, one per image."""


Target = int | str
"""What is explained: ``"predicted"``, ``"label"``, ``"runner_up"`` or an index; of labels also ``"absent"``.

The index stands first: a command line tries one kind after the other, and takes everything for a text.
"""


TARGETS = ("predicted", "label", "runner_up")


PROBABILITIES = "the model returns probabilities: their logarithm is explained, as if it had returned logits"


SEGMENTATION = (
    "the output is read as a segmentation: scores are means over the pixels predicted as the largest class but the"
    " background, 0"
)


def log_odds(output: Any, classes: Tensor) -> Tensor:
    """The log-odds of one class per image: its logit minus the logsumexp of all the others.

    Unlike a logit it says for two networks, and for any number of classes, the same thing: how sure the answer is.

    Args:
        output: what the model returned; anything that `class_scores` reads.
        classes: ``(N,)`` class indices.

    Returns:
        ``(N,)`` in units of log-odds (nats); 0 = as likely as not.
    """
    scores = class_scores(output)
    classes = class_indices_of(classes, scores)
    own = scores.gather(1, classes[:, None])
    is_own = torch.zeros_like(scores, dtype=torch.bool).scatter(1, classes[:, None], True)
    return own.squeeze(1) - scores.masked_fill(is_own, -torch.inf).logsumexp(1)


def logit(output: Any, classes: Tensor) -> Tensor:
    """The score of one class per image as the model returned it, which is what most other tools differentiate.

    Args:
        output: what the model returned; anything that `class_scores` reads.
        classes: ``(N,)`` class indices.

    Returns:
        ``(N,)`` in the model's units.
    """
    scores = class_scores(output)
    return scores.gather(1, class_indices_of(classes, scores)[:, None]).squeeze(1)


def class_scores(output: Any) -> Tensor:
    """Reads logits ``(N, C)`` out of what a model returned.

    Read are tensors ``(N, C)``; one logit per image, ``(N,)`` or ``(N, 1)``, as two classes with logits -z/2 and z/2
    (so that probabilities are the sigmoid's and log-odds are -z and z); objects and dicts with ``logits`` or ``out``;
    tuples, lists and dicts that hold one such tensor. Probabilities are noticed (rows are nonnegative and sum to one)
    and their logarithm is taken.

    Of a segmentation ``(N, C, H, W)`` the mean logits over the pixels that are predicted as the image's largest
    foreground class are read, or over all pixels where none is predicted; class 0 is the background, and one logit per
    pixel, ``(N, 1, H, W)``, is two classes.

    Raises:
        ValueError: nothing in the output looks like class scores.
    """
    scores = _find(output)
    if scores is None:
        raise ValueError(
            f"cannot read class scores (N, C) from the model's output, {describe(output)}:"
            " pass score=, a function (output, classes) -> (N,) that gives one number per image, or, where nothing takes"
            f" one, let forward return the scores alone{_one_of_several(output)}"
        )
    if scores.ndim == 1 or scores.shape[1] == 1:
        scores = torch.cat((-scores / 2, scores / 2), 1) if scores.ndim == 4 else _two_classes(scores.reshape(-1))
    elif are_probabilities(scores):
        scores = scores.clamp_min(torch.finfo(scores.dtype).tiny).log()
    return _of_the_object(scores) if scores.ndim == 4 else scores


def _one_of_several(output: Any) -> str:
    """What reads one of several tensors, where a network has several answers."""
    found = [path for path, tensor in leaves(output) if tensor.is_floating_point() and tensor.ndim]
    if len(found) < 2:
        return ""
    path = found[0]
    return f"; look() reads one of several, head={path[0] if len(path) == 1 else '.'.join(map(str, path))!r}"


def are_probabilities(scores: Tensor) -> bool:
    """Whether the classes of ``(N, C)`` or ``(N, C, H, W)`` are nonnegative and sum to one, as after a softmax."""
    rows = scores.detach().float()
    several = rows.ndim in (2, 4) and rows.shape[1] > 1
    return several and bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < 1e-2).all())


def notes_of(output: Any) -> tuple[str, ...]:
    """What a reader should know of how an output was read, in sentences."""
    scores = _find(output)
    if scores is None:
        return ()
    notes = {PROBABILITIES: are_probabilities(scores), SEGMENTATION: scores.ndim == 4}
    return tuple(note for note, is_so in notes.items() if is_so)


def classes_of(target: Target, scores: Tensor, labels: Tensor | None) -> Tensor:
    """The explained class of each image.

    Args:
        target: ``"predicted"``, ``"label"`` (the predicted class where there are no labels), ``"runner_up"``, or an index.
        scores: ``(N, C)`` class scores.
        labels: ``(N,)`` true classes, if known.

    Returns:
        ``(N,)`` class indices, on the device of the scores.

    Raises:
        ValueError: a class that the scores do not have, or another word.
    """
    if isinstance(target, str) and target == "label" and labels is not None:
        return class_indices_of(labels, scores)
    if isinstance(target, int):
        return class_indices_of([target] * len(scores), scores)
    if isinstance(target, str) and target in ("predicted", "label"):
        return scores.argmax(1)
    if isinstance(target, str) and target == "runner_up" and scores.shape[1] > 1:
        return scores.topk(2, dim=1).indices[:, 1]
    raise ValueError(f"target={quoted(target)}: expected one of {', '.join(map(repr, TARGETS))} or a class index")


def describe(output: Any) -> str:
    """An output's types and shapes in a few words, for messages."""
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    if isinstance(output, Mapping):
        return f"a dict with {', '.join(f'{key!r}: {describe(value)}' for key, value in output.items())}"
    if isinstance(output, (tuple, list)):
        return f"a {type(output).__name__} of {', '.join(map(describe, output))}"
    return f"a {type(output).__name__}"


def _two_classes(z: Tensor) -> Tensor:
    return torch.stack((-z / 2, z / 2), dim=1)


def _of_the_object(scores: Tensor) -> Tensor:
    """Mean scores ``(N, C)`` over the pixels of ``(N, C, H, W)`` predicted as the largest foreground class."""
    said = scores.detach().argmax(1)
    areas = torch.stack([(said == each).sum((1, 2)) for each in range(1, scores.shape[1])], 1)
    where = (said == (areas.argmax(1) + 1)[:, None, None]) & (areas.amax(1) > 0)[:, None, None]
    where = where | ~where.any(2).any(1)[:, None, None]
    return (scores * where[:, None]).sum((2, 3)) / where.sum((1, 2))[:, None]


def _find(output: Any) -> Tensor | None:
    """The one tensor of scores in an output; None where there is none, or where several could be meant."""
    named = output
    for name in ("out", "logits"):  # as torchvision and transformers call them
        named = output[name] if isinstance(output, Mapping) and name in output else getattr(output, name, named)
    tensors = [value for value in _parts(named) if isinstance(value, Tensor) and value.is_floating_point()]
    for rank in (2, 1, 4):
        found = [value for value in tensors if value.ndim == rank and value.numel()]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _parts(output: Any) -> tuple[Any, ...]:
    if isinstance(output, Mapping):
        return tuple(output.values())
    return tuple(output) if isinstance(output, (tuple, list)) else (output,)
