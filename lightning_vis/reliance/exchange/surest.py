"""The surest answers of a network, wrong and right."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

SHOWN = 4
"""Images of each kind."""


@dataclass(frozen=True)
class Sure:
    """An image of which the network is sure: a row of the pool, its class, the one answered, and how sure."""

    row: int
    label: int
    said: int
    probability: float


@dataclass(frozen=True)
class Surest:
    """The surest mistakes and the surest hits, each the surest first, and how many there are of each kind."""

    wrong: tuple[Sure, ...]
    right: tuple[Sure, ...]
    mistakes: int
    hits: int


def surest_of(plain: Tensor, labels: Tensor) -> Surest:
    """The surest answers to images whose class is known.

    Args:
        plain: ``(P, classes)`` probabilities.
        labels: ``(P,)``, negative numbers where they do not count.
    """
    probability, said = plain.max(1)
    order = probability.argsort(descending=True, stable=True).tolist()
    known = [Sure(at, int(labels[at]), int(said[at]), float(probability[at])) for at in order if labels[at] >= 0]
    wrong, right = ([each for each in known if (each.label == each.said) is kind] for kind in (False, True))
    return Surest(tuple(wrong[:SHOWN]), tuple(right[:SHOWN]), len(wrong), len(right))
