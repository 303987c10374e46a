"""Objectives and priors: numbers per image, with gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_vis.arguments import quoted

Objective = Callable[[Tensor, Tensor], Tensor]
"""``(activation (K, C, ...), directions (K, C)) -> (K,)``: how much row k of a layer's output goes in direction k."""


Prior = Callable[[Tensor], Tensor]
"""``images (K, C, H, W) -> (K,)``: a penalty per image, taken off the objective."""


def channel(activation: Tensor, directions: Tensor) -> Tensor:
    """A channel's mean over all positions.

    Of a layer that is linear in the image (a first convolution before its activation) it knows the mean colour only,
    because edges cancel; there `neuron()` shows the filter.
    """
    return (pooled(activation) * directions).sum(1)


def log_odds(activation: Tensor, directions: Tensor) -> Tensor:
    """For class scores: the wanted logits minus logsumexp of the others, so that no other class may rise along."""
    scores = pooled(activation)
    others = scores.masked_fill(directions != 0, float("-inf")).logsumexp(1)
    return (scores * directions).sum(1) - others.nan_to_num(neginf=0.0)


def neuron(row: int | None = None, column: int | None = None) -> Objective:
    """A channel at one position of the map; its middle if none is named."""
    return Neuron((row, column))


@dataclass(frozen=True)
class Neuron:
    """What `neuron` returns: an object, because functions that are made in functions cannot be pickled.

    Attributes:
        position: row and column; what the crop to the receptive field asks for.
    """

    position: tuple[int | None, int | None]

    def __call__(self, activation: Tensor, directions: Tensor) -> Tensor:
        """What the neuron answers, one number for each image."""
        (row, column), (height, width) = self.position, map_size(activation)
        y, x = height // 2 if row is None else row, width // 2 if column is None else column
        if not (0 <= y < height and 0 <= x < width):
            raise ValueError(f"neuron({y}, {x}) lies outside the layer's map of {height} x {width}")
        return (activation[:, :, y, x] * directions).sum(1)


def map_size(activation: Tensor) -> tuple[int, int]:
    """Height and width of a layer's output ``(N, K, h, w)``.

    Raises:
        ValueError: it has no positions.
    """
    if activation.ndim != 4:
        raise ValueError(f"a neuron has a position, but the layer returns {tuple(activation.shape)}: not (N, K, h, w)")
    return activation.shape[2], activation.shape[3]


def directions(channels: Sequence[int | Sequence[int]], count: int) -> Tensor:
    """One row per image: 1 at its channel; several channels in one image share the 1.

    Args:
        channels: an index per image, or several indices for an image that excites all of them.
        count: how many channels the layer has.

    Raises:
        ValueError: an index is out of range, or there are none.
    """
    rows = torch.zeros(len(channels), count)
    for row, wanted in zip(rows, channels, strict=True):
        several = [wanted] if isinstance(wanted, int) else list(wanted)
        wrong = [index for index in several if not 0 <= index < count]
        if wrong or not several:
            raise ValueError(f"channels={quoted(list(channels))}: the layer has the {count} channels 0 to {count - 1}")
        row[several] = 1 / len(several)
    if not len(rows):
        raise ValueError("channels=[]: name at least one channel")
    return rows


def total_variation(weight: float, beta: float = 2.0) -> Prior:
    """Weighted sum of (squared differences to the two neighbours) ** (beta / 2), over C H W.

    Source: A. Mahendran, A. Vedaldi, 2015, "Understanding deep image representations by inverting them"; keras-vis.
    """

    def penalty(images: Tensor) -> Tensor:
        down = images[:, :, 1:, :-1] - images[:, :, :-1, :-1]
        right = images[:, :, :-1, 1:] - images[:, :, :-1, :-1]
        return weight * (down**2 + right**2).pow(beta / 2).flatten(1).sum(1) / images[0].numel()

    return penalty


def lp_norm(weight: float, p: float = 6.0) -> Prior:
    """Weighted L_p norm of the image, over C H W, as in keras-vis."""

    def penalty(images: Tensor) -> Tensor:
        flat = images.flatten(1)
        peak = flat.abs().amax(1).clamp_min(1e-12)  # taken out, or large powers would overflow
        return weight * peak * (flat / peak[:, None]).abs().pow(p).sum(1).pow(1 / p) / images[0].numel()

    return penalty


def pooled(activation: Tensor) -> Tensor:
    """A channel's mean over all positions, ``(N, K)``.

    Raises:
        ValueError: an output ``(N, T, C)``: which of the two are channels is not known.
    """
    if activation.ndim == 3 and activation.shape[1] > 1:
        raise ValueError(
            f"the layer returns {tuple(activation.shape)}, which may be tokens (N, T, C): name a layer that returns maps"
            " (N, K, h, w), or one number per channel (N, K)"
        )
    return activation if activation.ndim == 2 else activation.flatten(2).mean(2)
