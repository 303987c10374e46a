"""How far answers follow the surroundings, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LEAST = 0.2
"""Of both effects together: below it their ratio would be a ratio of noise."""
DRAWS = 1000
"""Of the bootstrap."""


@dataclass(frozen=True)
class Effect:
    """What an exchange found.

    Attributes:
        surroundings: how many parts of 1 of the label's probability are lost when the surroundings come from another class
            instead of the same one.
        error: its standard error, over images.
        object: likewise for the object.
        share: of the surroundings' effect in both, 0 where both are small.
    """

    surroundings: float
    error: float
    object: float
    share: float


def effect_of(own: Tensor) -> Effect:
    """The effect on some images.

    Args:
        own: ``(n, 2, 2)`` the mean probability of each image's label: with its own object or its own surroundings, the other
            part from the same class or from another one.
    """
    lost = own[:, :, 0] - own[:, :, 1]
    surroundings, obj = lost.mean(0).tolist()
    together = max(abs(surroundings) + abs(obj), LEAST)
    return Effect(surroundings, standard_error(lost[:, 0]), obj, surroundings / together)


def standard_error(values: Tensor) -> float:
    """Of a mean over images ``(n,)``, by drawing them again (B. Efron, 1979, "Bootstrap Methods"); NaN for fewer than two."""
    if len(values) < 2:
        return float("nan")
    rows = torch.randint(len(values), (DRAWS, len(values)), generator=torch.Generator().manual_seed(0))
    return float(values[rows].mean(1).std())


def own_probabilities(probabilities: Tensor, labels: Tensor) -> Tensor:
    """The mean over partners of each subject's label's probability, ``(n, 2, 2)``.

    Args:
        probabilities: ``(n, 2, 2, H, C)``.
        labels: ``(n,)`` the subjects' classes.
    """
    index = labels.view(-1, 1, 1, 1, 1).expand(*probabilities.shape[:4], 1)
    return probabilities.gather(4, index)[..., 0].mean(3)


def followed(probabilities: Tensor, labels: Tensor, hosts: Tensor) -> tuple[Tensor, Tensor]:
    """How often an object of one class in the surroundings of another is called by the surroundings' class.

    Args:
        probabilities: ``(M, C)`` answers to exchanges.
        labels: ``(M,)`` the objects' classes.
        hosts: ``(M,)`` the classes that the surroundings are from.

    Returns:
        Counts ``(C, C)`` by object's and surroundings' class: of those that follow, and of all.
    """
    count = probabilities.shape[1]
    follows = (probabilities.argmax(1) == hosts).long()
    cells = labels * count + hosts
    zeros = torch.zeros(count * count, dtype=torch.long)
    return zeros.scatter_add(0, cells, follows).view(count, count), cells.bincount(minlength=count**2).view(count, count)
