"""Shapes in small binary pictures: components, holes, growth, and a threshold."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

BINS = 64
"""Of the histogram whose valley is looked for."""


def grown(masks: Tensor, steps: int = 1) -> Tensor:
    """Masks ``(N, H, W)`` bool with everything that lies at most so many steps (up, down, left, right) from them."""
    for _ in range(steps):
        padded = pad(masks.float(), (1, 1, 1, 1))
        sides = (padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:])
        masks = masks | (torch.stack(sides).amax(0) > 0)
    return masks


def shrunk(masks: Tensor, steps: int = 1) -> Tensor:
    """The inverse of growing what is left out; beyond the picture's border nothing is left out."""
    return ~grown(~masks, steps)


def opened(masks: Tensor) -> Tensor:
    """Without specks that are thinner than three pixels; beyond the border there is nothing."""
    inside = pad(masks, (1, 1, 1, 1))
    return grown(shrunk(inside))[:, 1:-1, 1:-1]


def flooded(seeds: Tensor, within: Tensor) -> Tensor:
    """All of `within` that is joined to `seeds`, side by side: ``(N, H, W)`` bool."""
    reached = seeds & within
    while True:
        further = grown(reached) & within
        if torch.equal(further, reached):
            return reached
        reached = further


def filled(masks: Tensor) -> Tensor:
    """Masks without holes: what cannot be reached from the picture's border belongs to them."""
    border = torch.zeros_like(masks)
    border[:, [0, -1], :], border[:, :, [0, -1]] = True, True
    return ~flooded(border, ~masks)


def components(masks: Tensor) -> Tensor:
    """Numbers ``(N, H, W)``, from 1 on, one for each part whose pixels are joined side by side; 0 beside them."""
    places = torch.arange(1, masks[0].numel() + 1).view_as(masks[0])
    numbers = torch.where(masks, places, 0)
    while True:
        padded = pad(numbers, (1, 1, 1, 1))
        sides = (padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:], numbers)
        # a number is a place of the same part: what that place has heard of since spreads at once
        heard = torch.where(masks, torch.stack(sides).amax(0), 0).flatten(1)
        further = pad(heard, (1, 0)).gather(1, heard).view_as(numbers)
        if torch.equal(further, numbers):
            return numbers
        numbers = further


def largest(masks: Tensor, share: float) -> Tensor:
    """The parts that are larger than this share of the largest one of their picture."""
    return torch.stack([_largest(each, share) for each in components(masks)])


def _largest(numbers: Tensor, share: float) -> Tensor:
    sizes = numbers.flatten().bincount()
    sizes[0] = 0
    kept = sizes > share * sizes.max()
    return torch.as_tensor(kept[numbers] & (numbers > 0))


def otsu(values: Tensor) -> Tensor:
    """The threshold that parts a picture's values best in two: ``(N,)`` of ``(N, M)``.

    Source: N. Otsu, 1979, "A Threshold Selection Method from Gray-Level Histograms".
    """
    return torch.stack([_otsu(each) for each in values])


def _otsu(values: Tensor) -> Tensor:
    low, high = values.min(), values.max()
    counts = torch.histc(values, BINS, float(low), float(high)).double()
    centres = low + (high - low) * (torch.arange(BINS).double() + 0.5) / BINS
    weight, mass = counts.cumsum(0), (counts * centres).cumsum(0)
    between = (mass[-1] * weight / weight[-1] - mass) ** 2 / (weight * (weight[-1] - weight)).clamp_min(1)
    return centres[between.argmax()].to(values.dtype)
