"""How alike two sets of maps are: the rank correlation of their places."""

from __future__ import annotations

import torch
from torch import Tensor


def rank_correlation(maps: Tensor, others: Tensor) -> Tensor:
    """Spearman's correlation of each map with another one: 1 if they put the places in the same order, 0 if by chance.

    Source: C. Spearman, 1904, "The proof and measurement of association between two things"; ties share their ranks.

    Args:
        maps: ``(N, h, w)``.
        others: ``(N, h, w)``.

    Returns:
        ``(N,)``, NaN where one of the two is constant or not finite.
    """
    pairs = zip(maps.flatten(1), others.flatten(1), strict=True)
    return torch.stack([_of_ranks(_ranks(one), _ranks(other)) for one, other in pairs])


def _ranks(values: Tensor) -> Tensor:
    """Ranks ``(M,)`` from 1, ties at the middle of theirs; NaN where a value is."""
    if not values.isfinite().all():
        return torch.full(values.shape, torch.nan, dtype=torch.float64)
    _, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
    middles: Tensor = counts.cumsum(0) - (counts - 1) / 2
    return middles.double()[place]


def _of_ranks(one: Tensor, other: Tensor) -> Tensor:
    one, other = one - one.mean(), other - other.mean()
    return torch.dot(one, other) / (torch.dot(one, one) * torch.dot(other, other)).sqrt()
