"""Tensors of any range and any number of channels as RGB pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


GREY = 96
"""The panel that stands for pictures which are not to be shown."""


@dataclass(frozen=True)
class Display:
    """How images become pictures, one way for the whole probe: ``(mixed(image x std + mean) - low) / (high - low)``.

    Attributes:
        mean: undone first, per channel.
        std: likewise.
        mixing: ``(3, C)``, which channels make red, green and blue.
        low: shown black, per colour.
        high: shown at full strength, per colour.
        note: said on each card.
    """

    mean: Array
    std: Array
    mixing: Array
    low: Array
    high: Array
    note: str = ""

    def pictures(self, images: Array) -> Array:
        """``(N, C, H, W)`` as ``(N, H, W, 3)`` uint8; what is not finite is black."""
        values = _mixed(_undone(images, self.mean, self.std), self.mixing)
        values = (values - self.low) / np.maximum(self.high - self.low, 1e-12)
        pictures = np.rint(np.nan_to_num(values, posinf=0.0, neginf=0.0).clip(0, 1) * 255).astype(np.uint8)
        return np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))


def display_of(
    images: Array,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    window: tuple[float, float] | None = None,
    channels: Sequence[int] | None = None,
) -> Display:
    """How a probe is shown, decided once over all its images.

    Values that lie in 0..1 (after mean and std are undone) are shown as they are; others between the 1st and the 99th
    percentile of each colour, and so are those below 0.1, which would be black.

    Args:
        images: ``(N, C, H, W)`` float.
        mean: of the normalisation, one per channel.
        std: of the normalisation, one per channel.
        window: centre and width of the values that are shown, as radiology says it, in units before the normalisation.
        channels: one for grey, or the three for red, green and blue. Without it one channel is grey, two are red and
            cyan, three are red, green and blue, and of more the first three principal components are shown.

    Raises:
        ValueError: a channel that there is not, a window without width, mean or std for another number of channels.
    """
    count = images.shape[1]
    undo = _per_channel("mean", mean, 0.0, count), _per_channel("std", std, 1.0, count)
    values = _undone(np.nan_to_num(images.astype(np.float32), posinf=0.0, neginf=0.0), *undo)
    mixing, said = _mixing(values, channels)
    mixed = _mixed(values, mixing)
    low, high, rescaled = _range(mixed, window, is_mixture=count > 3 and channels is None)
    return Display(*undo, mixing, low, high, ", ".join(filter(None, (rescaled, said))))


def concealed(images: Array) -> Array:
    """Grey panels ``(N, H, W, 3)`` uint8 of the images' size, which say nothing about them."""
    return np.full((len(images), *images.shape[2:], 3), GREY, np.uint8)


def _range(values: Array, window: tuple[float, float] | None, is_mixture: bool) -> tuple[Array, Array, str]:
    """Black and white per colour ``(1, 3, 1, 1)``, and what is said about it."""
    zero = np.zeros((1, 3, 1, 1), np.float32)
    if window is not None:
        centre, width = (float(value) for value in window)
        if width <= 0:
            raise ValueError(f"Probe(window): expected (centre, width) with a width above 0; got {window}")
        return zero + centre - width / 2, zero + centre + width / 2, f"window {centre:g}, {width:g}"
    if not is_mixture and _is_displayable(values):
        return zero, zero + 1, ""
    low, high = np.percentile(values, (1, 99), axis=(0, 2, 3), keepdims=True)
    return low, high, "" if is_mixture else "display rescaled"


def _is_displayable(values: Array) -> bool:
    """Whether values lie in 0..1, but for the little that resizing adds, and are not so small that they show black."""
    beyond = ((values < -0.02) | (values > 1.02)).mean()
    return bool(beyond <= 0.01 and not 0 < values.max() < 0.1)


def _mixing(values: Array, channels: Sequence[int] | None) -> tuple[Array, str]:
    count = values.shape[1]
    if channels is not None:
        chosen = [int(each) for each in channels]
        if len(chosen) not in (1, 3) or not all(0 <= each < count for each in chosen):
            known = f"one or three of the channels 0 to {count - 1}"
            raise ValueError(f"Probe(channels): expected {known}; got {tuple(channels)}")
        return np.eye(count, dtype=np.float32)[chosen * (3 // len(chosen))], _said(chosen)
    if count == 2:
        return np.eye(2, dtype=np.float32)[[0, 1, 1]], "channel 0 red, 1 cyan"
    if count <= 3:
        return np.eye(count, dtype=np.float32)[[0, 0, 0] if count == 1 else [0, 1, 2]], ""
    return _components(values), f"{count} channels as 3 principal components"


def _said(channels: Sequence[int]) -> str:
    return f"channel{'s' if len(channels) > 1 else ''} {', '.join(map(str, channels))}"


def _components(values: Array) -> Array:
    """The first three principal components of the pixels ``(3, C)``; the largest share of each is positive."""
    pixels = values.transpose(1, 0, 2, 3).reshape(values.shape[1], -1)
    _, vectors = np.linalg.eigh(np.atleast_2d(np.cov(pixels)))
    first = vectors[:, ::-1][:, :3].T
    largest = np.take_along_axis(first, np.abs(first).argmax(1, keepdims=True), 1)
    return np.asarray(first * np.where(largest < 0, -1, 1), np.float32)


def _mixed(values: Array, mixing: Array) -> Array:
    if np.isin(mixing, (0, 1)).all():
        return values[:, mixing.argmax(1)]  # exact, where a sum would spread what is not finite
    mixed: Array = np.einsum("nchw,kc->nkhw", values, mixing)
    return mixed


def _undone(images: Array, mean: Array, std: Array) -> Array:
    values: Array = images.astype(np.float32) * std + mean
    return values


def _per_channel(name: str, values: Sequence[float] | None, default: float, count: int) -> Array:
    found = np.asarray([default] if values is None else values, dtype=np.float32).reshape(-1)
    if len(found) not in (1, count):
        raise ValueError(f"Probe({name}): expected one number per channel, {count}; got {len(found)}")
    return found.reshape(1, -1, 1, 1)
