"""Validation of what `maximize` is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lightning_vis.arguments import count_of, floats_of, quoted, tensor_of
from lightning_vis.constants import OUTPUT
from lightning_vis.maximization.objectives import Objective, Prior, channel, log_odds, neuron
from lightning_vis.maximization.parameterizations import Parameterization
from lightning_vis.maximization.presets import Recipe, preset_of
from lightning_vis.maximization.transforms import Transform
from lightning_vis.model import scores

_OF_SCORES: dict[Any, Objective] = {scores.log_odds: log_odds, scores.logit: channel}


def images_of(given: Any) -> Tensor:
    """Images ``(N, C, H, W)`` with something to see.

    Raises:
        TypeError: no numbers.
        ValueError: another shape, no images, or no finite value.
    """
    images = tensor_of(given, "images", "(N, C, H, W)")
    if images.ndim != 4 or not len(images):
        raise ValueError(f"images: expected (N, C, H, W), at least one; got {tuple(images.shape)}")
    if not torch.isfinite(images).all(1).any():
        raise ValueError(f"images: none of the {tuple(images.shape)} has a pixel that is finite in all channels")
    return images


def objective_of(given: Any, layer: str) -> Objective:
    """An objective; None is `channel`, and for classes `log_odds`. The scores of these names stand for them.

    Raises:
        ValueError: `neuron` without its parentheses.
        TypeError: no function.
    """
    if given is None:
        return log_odds if layer == OUTPUT else channel
    if given is neuron:
        raise ValueError("objective=neuron: write neuron() for the middle of the map, or neuron(row, column)")
    if not callable(given):
        raise TypeError(f"objective={quoted(given)}: expected a function like channel, log_odds or neuron()")
    known: Objective = _OF_SCORES.get(given, given)
    return known


def recipe_for(
    preset: str | Recipe,
    parameterization: Parameterization | None = None,
    transforms: Sequence[Transform] | None = None,
    priors: Sequence[Prior] | None = None,
    steps: int | None = None,
) -> Recipe:
    """A recipe, with what was given in place of its own parts.

    Raises:
        ValueError: an unknown preset, or no number of steps.
        TypeError: transforms or priors that are no list of functions.
    """
    recipe = preset_of(preset)
    fixed = None if transforms is None else functions_of(transforms, "transforms", "jitter(4)")
    return replace(
        recipe,
        parameterization=parameterization or recipe.parameterization,
        transforms=recipe.transforms if fixed is None else lambda height, width: fixed,
        priors=recipe.priors if priors is None else functions_of(priors, "priors", "total_variation(1.0)"),
        steps=recipe.steps if steps is None else count_of(steps, "steps"),
    )


def functions_of(given: Any, what: str, example: str) -> tuple[Callable[..., Any], ...]:
    """A list of functions; TypeError for anything else."""
    if callable(given) or not isinstance(given, Iterable):
        raise TypeError(f"{what}={quoted(given)}: expected a list of functions, like [{example}]")
    listed = tuple(given)
    if not all(callable(each) for each in listed):
        raise TypeError(f"{what}={quoted(given)}: expected a list of functions, like [{example}]")
    return listed


def size_of(given: Any) -> tuple[int, int] | None:
    """Height and width of the pictures; None for those of the images.

    Raises:
        ValueError: anything else.
    """
    if given is None:
        return None
    sides = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise ValueError(f"size={quoted(given)}: expected height and width, like (64, 64)")
    return sides[0], sides[1]


def normalisation_of(mean: Any, std: Any) -> tuple[list[float] | None, list[float] | None]:
    """Mean and standard deviation per channel, as far as they are given.

    Raises:
        TypeError: no numbers.
        ValueError: a standard deviation that is not above 0.
    """
    found = None if std is None else floats_of(std, "std")
    if found is not None and not all(each > 0 for each in found):
        raise ValueError(f"std={quoted(std)}: expected numbers above 0")
    return None if mean is None else floats_of(mean, "mean"), found


def channels_of(given: Any) -> list[int | tuple[int, ...]]:
    """One entry per picture: an index, or several for a picture that is to excite all of them.

    Raises:
        TypeError: neither a number nor a list of indices.
        ValueError: a number below 1.
    """
    if isinstance(given, int):
        return list(range(count_of(given, "channels")))
    try:
        listed = [tuple(int(one) for one in each) if isinstance(each, Sequence) else int(each) for each in given]
    except (TypeError, ValueError) as error:
        raise TypeError(f"channels={quoted(given)}: expected how many, or a list of indices, like [0, 5]") from error
    return listed
