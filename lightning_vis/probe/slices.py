"""Slices: which one of a volume is shown, or which frame of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lightning_vis.arguments import indices_of

CHANNELS = 4
"""An image has at most so many channels where nothing else says which dimension they are."""


@dataclass(frozen=True)
class Slices:
    """What is shown of images with five axes, which the network gets whole.

    Attributes:
        axis: 2 for volumes and clips ``(N, C, D, H, W)``, 1 for clips ``(N, T, C, H, W)``.
        depth: how many slices or frames there are.
        which: ``(N,)`` the one that is shown of each.
    """

    axis: int
    depth: int
    which: tuple[int, ...]

    @property
    def note(self) -> str:
        """Said on each card."""
        word = "frame" if self.axis == 1 else "slice"
        shown = sorted({each + 1 for each in self.which})
        return f"{word} {shown[0]} of {self.depth}" if len(shown) == 1 else f"one {word} of {self.depth} each"

    def of_images(self, images: Tensor) -> Tensor:
        """``(N, C, H, W)`` of volumes or clips."""
        return torch.stack([image.select(self.axis - 1, at) for image, at in zip(images, self.which, strict=True)])

    def oriented(self, record: Any) -> Any:
        """A record of the images with channels before the slices, as layers have them."""
        if self.axis == 2:
            return record
        return replace(record, activation=record.activation.movedim(1, 2), gradient=record.gradient.movedim(1, 2))

    def of_maps(self, values: Tensor, *, is_sum: bool) -> Tensor:
        """Maps ``(N, h, w)`` of what is shown.

        Args:
            values: ``(N, d, h, w)``, of which the nearest is taken; or ``(N T, h, w)``, of a network that sees each frame by
                itself; others as they are.
            is_sum: whether their mean over a whole image is its score: then those of one frame are its share of it.
        """
        count = len(self.which)
        if values.ndim == 3 and len(values) == count * self.depth:
            values = values.reshape(count, self.depth, *values.shape[1:]) * (self.depth if is_sum else 1)
        if values.ndim != 4 or len(values) != count:
            return values
        at = [which * values.shape[1] // self.depth for which in self.which]
        return values[torch.arange(count), torch.tensor(at)]


def slices_of(images: Tensor, given: int | Sequence[int] | None) -> Slices:
    """The middle slices of images with five axes, or those that are named.

    Args:
        images: ``(N, C, D, H, W)``, or ``(N, T, C, H, W)`` where only the third axis can be channels.
        given: one for all, or one for each.

    Raises:
        ValueError: there is no such slice, or there are not as many as images.
        TypeError: no whole numbers.
    """
    axis = 1 if images.shape[1] > CHANNELS >= images.shape[2] else 2
    depth = images.shape[axis]
    if given is None:
        return Slices(axis, depth, (depth // 2,) * len(images))
    wanted = [given] * len(images) if isinstance(given, int) else list(given)
    which = [each % depth for each in indices_of(wanted, depth, "Probe(slices)")]
    if len(which) != len(images):
        raise ValueError(f"Probe(slices): expected one for all or one for each of {len(images)} images; got {len(which)}")
    return Slices(axis, depth, tuple(which))
