"""Measures: by what answers on twins are compared, task by task; numbers out.

Answers of twins are ``(N, K, R, C)``: object, kind of background, plate of that kind, and what the task compares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_vis.reliance.metrics import (
    Distance,
    background_effects,
    between_objects,
    cosine_distance,
    effect_numbers,
    object_effects,
    of_background,
    only_background_accuracy,
    paste_control,
    total_variation,
    twin_numbers,
    variation_of_backgrounds,
    variation_of_objects,
)
from lightning_vis.reliance.twins import Twins


@dataclass(frozen=True)
class Measured:
    """What twins say, by tag: of all, and of each object ``(N,)``; the background effect of each stands first."""

    numbers: dict[str, float]
    per_object: dict[str, Tensor]


def of_classes(answers: Tensor, twins: Twins) -> Measured:
    """One class for each image: probabilities ``(M, C)``."""
    grid, shifted, plates = twins.split(answers)
    numbers, effects = twin_numbers(grid, twins.labels, twins.typical)
    if shifted is not None:
        numbers["reliance/paste_control"] = paste_control(grid, shifted)
    if plates is not None and twins.plate_kinds is not None and twins.typical is not None:
        accuracy = only_background_accuracy(plates, twins.plate_kinds, twins.typical)
        numbers["reliance/only_background_accuracy"] = accuracy
    means = grid.mean(2)
    says = {f"reliance/says/{kind}": means[:, k].argmax(1) for k, kind in enumerate(twins.kinds)}
    on = _on_kinds(_own(grid, twins.labels), twins)
    both = {tag: value for pair in zip(on.items(), says.items(), strict=True) for tag, value in pair}
    return Measured(numbers, {BACKGROUND: effects, **_of_objects(grid, twins), **both})


def of_shares(answers: Tensor, twins: Twins) -> Measured:
    """A share of its own for each class, ``(M, C)``: probabilities of labels, IoUs of masks.

    With the typical class of each background as classes are measured; without it the share of the object's own class is
    followed: what else an image has may well go with the background.
    """
    grid, shifted, _ = twins.split(answers)
    own, labels = _own(grid, twins.labels), twins.labels
    if twins.typical is None:
        between, within = variation_of_backgrounds(own[..., None], difference)
        of_own = (own[:, None] - grid[..., labels].movedim(3, 0)).abs().mean(dim=(2, 3))  # (whose class, object shown)
        numbers = _of_variations(between - within, within, *between_objects(of_own, labels))
        effects = between - within
    else:
        effects = background_effects(grid, twins.typical)
        numbers = effect_numbers(effects, object_effects(grid, labels))
    if shifted is not None:
        moved = shifted[torch.arange(len(labels)), labels]
        numbers["reliance/paste_control"] = paste_control(own[..., None], moved[:, None], difference)
    of_objects = {} if twins.typical is None else _of_objects(grid, twins)
    return Measured(numbers, {BACKGROUND: effects, **of_objects, **_on_kinds(own, twins)})


def of_distances(distance: Distance) -> Callable[[Tensor, Twins], Measured]:
    """How far answers lie apart: of one object on two backgrounds, of two objects on one, less what lies within a kind."""

    def measured(answers: Tensor, twins: Twins) -> Measured:
        grid, shifted, _ = twins.split(answers)
        between, within = variation_of_backgrounds(grid, distance)
        numbers = _of_variations(between - within, within, *variation_of_objects(grid, twins.labels, distance))
        if shifted is not None:
            numbers["reliance/paste_control"] = paste_control(grid, shifted, distance)
        return Measured(numbers, {BACKGROUND: between - within})

    return measured


def of_errors(answers: Tensor, twins: Twins) -> Measured:
    """The error on the object's own pixels ``(M, 1)``: on the background typical of its class minus that elsewhere.

    Without typical classes, and of objects at home on none of the kinds, how far it differs between kinds. What swapping the
    object does to an error on the object says nothing.
    """
    grid, shifted, _ = twins.split(answers)
    if twins.typical is None:
        between, within = variation_of_backgrounds(grid, difference)
        effects, numbers = between - within, {"reliance/within_kind": float(within.mean())}
    else:
        effects, numbers = here_minus_elsewhere(grid.mean(dim=(2, 3)), twins.labels, twins.typical), {}
    numbers |= of_background(effects)
    if shifted is not None:
        numbers["reliance/paste_control"] = paste_control(grid, shifted, difference)
    return Measured(numbers, {BACKGROUND: effects, **_on_kinds(grid[..., 0], twins)})


def here_minus_elsewhere(values: Tensor, labels: Tensor, typical: Tensor) -> Tensor:
    """Of values ``(N, K)`` the mean on the kinds typical of an object's class minus that on the others, ``(N,)``; NaN where
    one of them is missing."""
    here = (labels[:, None] == typical[None, :]).to(values.dtype)
    return (values * here).sum(1) / here.sum(1) - (values * (1 - here)).sum(1) / (1 - here).sum(1)


def difference(one: Tensor, other: Tensor) -> Tensor:
    """The summed difference over the last dimension."""
    return (one - other).abs().sum(-1)


BACKGROUND = "reliance/background_effect"


OBJECT = "reliance/object_effect"


HOME = "reliance/home_effect"
"""Of each object: how much more probable its class is on the background typical of it than on the others."""


SHARE = "reliance/background_share"


MEASURES: Mapping[str, Callable[[Tensor, Twins], Measured]] = {
    "multiclass": of_classes,
    "binary": of_classes,
    "multilabel": of_shares,
    "segmentation": of_shares,
    "ordinal": of_distances(total_variation),
    "regression": of_distances(total_variation),
    "embedding": of_distances(cosine_distance),
    "reconstruction": of_errors,
}
"""By task."""


def effects_of(task: str) -> tuple[str, ...]:
    """The numbers that can be monitored where the answers of a task are compared on twins."""
    return (BACKGROUND,) if MEASURES.get(task) is of_errors else (BACKGROUND, OBJECT, SHARE)


def _of_variations(effects: Tensor, within: Tensor, others: Tensor, own: Tensor) -> dict[str, float]:
    """Of an object that is alone in its class nothing is taken off: numbers may all differ."""
    found = {"reliance/within_kind": float(within.mean()), **effect_numbers(effects, others - own.nan_to_num(0.0))}
    return {tag: value for tag, value in found.items() if not math.isnan(value)}


def _of_objects(grid: Tensor, twins: Twins) -> dict[str, Tensor]:
    """Of each object, by tag, what classes are judged by: what swapping it moves, and what it loses away from home."""
    labels, typical = twins.labels, twins.typical
    if typical is None:
        others, own = variation_of_objects(grid, labels)
        return {OBJECT: others - own.nan_to_num(0.0)}
    home = here_minus_elsewhere(_own(grid, labels).mean(2), labels, typical)
    return {OBJECT: object_effects(grid, labels), HOME: home}


def _own(grid: Tensor, labels: Tensor) -> Tensor:
    """What is said of each object's own class, ``(N, K, R)``."""
    return grid[torch.arange(len(grid)), :, :, labels]


def _on_kinds(own: Tensor, twins: Twins) -> dict[str, Tensor]:
    """The mean over the plates of each kind, by tag."""
    return {f"reliance/on/{kind}": own[:, k].mean(1) for k, kind in enumerate(twins.kinds)}
