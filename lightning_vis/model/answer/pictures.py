"""Reconstruction and numbers at each pixel: the error map is the map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_vis.model.answer.numbers import number
from lightning_vis.model.answer.output import answer_of, as_compared
from lightning_vis.model.answer.task import Facts, Said, Target, Task, no_words

ERROR = "error"
"""The view of it."""


def _picture(facts: Facts, output: Any) -> Tensor:
    return as_compared(facts, answer_of(facts, output))


def _chosen(facts: Facts, target: Target, values: Tensor, truth: Tensor | None) -> Tensor:
    return torch.full((len(values),), -1, device=values.device)


def _said(facts: Facts, values: Tensor, truth: Tensor | None, names: Sequence[str]) -> Said:
    errors = squared(values, truth) if facts.is_compared else None
    if errors is None:
        return Said(("",) * len(values), (None,) * len(values))
    means = errors.flatten(1).mean(1).cpu()
    captions = tuple(f"error {number(each)}" for each in means.tolist())
    return Said(captions, (None,) * len(means), numbers={"answers/mean_squared_error": float(means.mean())})


def squared(values: Tensor, truth: Tensor | None) -> Tensor | None:
    """Squared differences in the shape of the truth; None where nothing can be compared."""
    if truth is None or truth.numel() != values.numel() or (truth.ndim == values.ndim and truth.shape != values.shape):
        return None
    return (values.detach().float().reshape(truth.shape) - truth.to(values.device).float()) ** 2


def _maps(facts: Facts, values: Tensor, truth: Tensor | None, size: Sequence[int]) -> Mapping[str, Tensor]:
    """Squared error at each pixel, the mean over channels, where the answer has the image's pixels."""
    errors = squared(values, truth) if facts.is_compared else None
    if errors is None:
        return {}
    if errors.ndim < 4 and errors[0].numel() == math.prod(size[1:]):
        errors = errors.reshape(len(errors), *size[1:])
    if errors.ndim == 3 and errors.shape[1:] == tuple(size[-2:]):  # one number at each pixel, of images in colour too
        return {ERROR: errors}
    return {ERROR: errors.mean(1)} if errors.ndim >= 4 else {}


def _on_objects(facts: Facts, values: Tensor, images: Tensor, masks: Tensor) -> Tensor:
    """Mean squared error over the pixels of each object, ``(M, 1)``.

    Raises:
        ValueError: the answer has not the image's shape.
    """
    errors = squared(values, images) if facts.is_compared else None
    if errors is None:
        raise ValueError(f"an answer {tuple(values.shape)} cannot be compared with twins {tuple(images.shape)}")
    per_pixel = errors.mean(1)
    return ((per_pixel * masks).flatten(1).sum(1) / masks.flatten(1).sum(1).clamp_min(1e-12))[:, None]


RECONSTRUCTION_TASK = Task(
    "reconstruction",
    "squared error",
    _picture,
    _chosen,
    None,
    _said,
    no_words,
    no_words,
    on_objects=_on_objects,
    maps=_maps,
)


DENSE_TASK = Task("regression", "squared error", _picture, _chosen, None, _said, no_words, no_words, maps=_maps)
"""Numbers at each pixel, depth for instance."""
