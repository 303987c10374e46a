"""Random transforms of the image: jitter, scale, rotation, padding.

Each takes ``(K, C, H, W)`` in the unit scale and a generator, and treats all rows alike: row k depends on no other.
The image itself is not moved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Transform = Callable[[Tensor, torch.Generator], Tensor]


def pad(margin: int, value: float = 0.5) -> Transform:
    """A margin of one grey on all sides."""
    return lambda images, _: F.pad(images, (margin,) * 4, value=value)


def jitter(distance: int) -> Transform:
    """A random window that is `distance` smaller than the image."""

    def transform(images: Tensor, generator: torch.Generator) -> Tensor:
        height, width = (max(1, size - distance) for size in images.shape[2:])
        top, left = (_below(size - kept + 1, generator) for size, kept in zip(images.shape[2:], (height, width), strict=True))
        return images[:, :, top : top + height, left : left + width]

    return transform


def roll(distance: int) -> Transform:
    """A random shift by up to `distance` pixels; what leaves on one side comes back on the other."""

    def transform(images: Tensor, generator: torch.Generator) -> Tensor:
        shifts = [_below(2 * distance + 1, generator) - distance for _ in range(2)]
        return images.roll(shifts, (2, 3))

    return transform


def scale(factors: Sequence[float]) -> Transform:
    """A random one of these sizes, bilinear; parts of a pixel are dropped, as in Lucid."""

    def transform(images: Tensor, generator: torch.Generator) -> Tensor:
        factor = factors[_below(len(factors), generator)]
        return resized_views(images, *(max(1, int(size * factor)) for size in images.shape[2:]))

    return transform


def rotate(degrees: Sequence[float]) -> Transform:
    """A random one of these angles, bilinear; the image's edge is continued outwards."""

    def transform(images: Tensor, generator: torch.Generator) -> Tensor:
        angle = math.radians(degrees[_below(len(degrees), generator)])
        if angle == 0:
            return images
        height, width = images.shape[2:]
        cosine, sine, ratio = math.cos(angle), math.sin(angle), height / width
        matrix = torch.tensor([[[cosine, -sine * ratio, 0], [sine / ratio, cosine, 0]]]).to(images)
        # One grid for all rows; grid_sample wants one per row.
        grid = F.affine_grid(matrix, [1, 1, height, width], align_corners=False).expand(len(images), -1, -1, -1)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)

    return transform


def resized_views(images: Tensor, height: int, width: int) -> Tensor:
    """Images at another size, bilinear."""
    if tuple(images.shape[2:]) == (height, width):
        return images
    # As channels of one image, because the kernel is then twice as fast, and the same but for rounding.
    planes = images.flatten(0, 1)[None]
    planes = F.interpolate(planes, (height, width), mode="bilinear", align_corners=False)
    return planes.view(*images.shape[:2], height, width)


def _below(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
