"""Slices: which one of a volume is shown, or which frame of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.arguments import indices_of, quoted

CHANNELS = 4
"""An image has at most so many channels where nothing else says which dimension they are."""


@dataclass(frozen=True)
class Slices:
    """What is shown of images with five axes, which the network gets whole.

    Attributes:
        axis: 2 for volumes and clips ``(N, C, D, H, W)``, 1 for clips ``(N, T, C, H, W)``.
        depth: how many slices or frames there are.
        which: ``(N,)`` the one that is shown of each.
        is_doubtful: whether another axis might be that of slices or frames.
    """

    axis: int
    depth: int
    which: tuple[int, ...]
    is_doubtful: bool = False

    @property
    def note(self) -> str:
        """Said on each card."""
        word = "frame" if self.axis == 1 else "slice"
        shown = sorted({each + 1 for each in self.which})
        said = f"{word} {shown[0]} of {self.depth}" if len(shown) == 1 else f"one {word} of {self.depth} each"
        return f"{said}, if axis {3 - self.axis} holds channels" if self.is_doubtful else said

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


def is_clip(shape: Sequence[int]) -> bool:
    """Whether five axes are frames with channels each, ``(N, T, C, H, W)``: where only the third can be channels.

    Where both can, three of them are colours; else the second is, as volumes have it.
    """
    if shape[1] > CHANNELS or shape[2] > CHANNELS:
        return shape[1] > CHANNELS >= shape[2]
    return shape[2] == COLOURS != shape[1] and shape[1] > 1


COLOURS = 3


def axis_of(shape: Sequence[int], model: nn.Module) -> int | None:
    """The axis of slices or frames where the shape leaves it open and the first convolution of a network does not."""
    first = next((each for each in model.modules() if isinstance(each, (nn.Conv2d, nn.Conv3d))), None)
    if first is None or max(shape[1], shape[2]) > CHANNELS:
        return None
    fitting = [axis for axis, channels in ((2, shape[1]), (1, shape[2])) if channels == first.in_channels]
    is_certain = len(fitting) == 1 or isinstance(first, nn.Conv3d)  # whose own order is channels, slices
    return fitting[0] if fitting and is_certain else None


def _is_doubtful(shape: Sequence[int]) -> bool:
    """Whether either axis may be channels: neither is too long, nor alone as long as colours are."""
    both = shape[1], shape[2]
    return max(both) <= CHANNELS and not (COLOURS in both and both[0] != both[1] and min(both) > 1)


def _wanted(given: Any, count: int) -> list[Any]:
    """One for each image.

    Raises:
        TypeError: no whole numbers.
    """
    plain = given.tolist() if hasattr(given, "tolist") else given
    wanted = list(plain) if isinstance(plain, (list, tuple, range)) else [plain] * count
    if any(isinstance(each, bool) or not isinstance(each, int) for each in wanted):
        raise TypeError(f"Probe(slices): expected a whole number, or one for each of {count} images; got {quoted(given)}")
    return wanted


def slices_of(images: Tensor, given: Any, axis: int | None = None) -> Slices:
    """The middle slices of images with five axes, or those that are named.

    Args:
        images: ``(N, C, D, H, W)``, or ``(N, T, C, H, W)`` where only the third axis can be channels.
        given: one for all, or one for each, as numbers, a list or a tensor.
        axis: of slices or frames, where more than their shape tells it.

    Raises:
        ValueError: there is no such slice, or there are not as many as images.
        TypeError: no whole numbers.
    """
    doubt = axis is None and _is_doubtful(images.shape)
    axis = axis or (1 if is_clip(images.shape) else 2)
    depth = images.shape[axis]
    if given is None:
        return Slices(axis, depth, (depth // 2,) * len(images), doubt)
    which = [each % depth for each in indices_of(_wanted(given, len(images)), depth, "Probe(slices)")]
    if len(which) != len(images):
        raise ValueError(f"Probe(slices): expected one for all or one for each of {len(images)} images; got {len(which)}")
    return Slices(axis, depth, tuple(which), doubt)
