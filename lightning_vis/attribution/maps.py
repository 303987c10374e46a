"""Attribution methods: saliency, Grad-CAM and evidence maps of one layer's record."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

EMPTY = 1e-10
"""A map whose largest magnitude is below this is empty."""


class Recording(Protocol):
    """What a map is made of: activation and gradient, both ``(N, K, h, w)``."""

    @property
    def activation(self) -> Tensor: ...  # noqa: D102
    @property
    def gradient(self) -> Tensor: ...  # noqa: D102


def saliency_map(record: Recording) -> Tensor:
    """Where a small change of the image would change the score most: max over channels of ``|gradient|``.

    Source: K. Simonyan, A. Vedaldi, A. Zisserman, 2013, "Deep Inside Convolutional Networks".

    Args:
        record: of `INPUT`, ``(N, C, H, W)``.

    Returns:
        ``(N, H, W)``, at least 0, in score per unit of the model's input.
    """
    return record.gradient.abs().amax(dim=1)


def evidence_map(record: Recording) -> Tensor:
    """How much each place speaks for (+) or against (-) the class, in units of the score: signed Grad-CAM times h w.

    1 means: one unit of the score if the whole image were like this place. For global average pooling followed by a linear
    head, the mean of the map plus the head's bias is the score.

    Of tokens, and of a segmentation, each cell has its own gradient instead of the mean one: gradient times activation, times h w:
    where no pixel of the object looks the map is 0. With attention and
    norms held constant the mean of the map plus what lies in the prefix and in biases is the score.

    Source: after R. R. Selvaraju et al., 2017, "Grad-CAM", without its ReLU; for tokens A. Ali et al., 2022, "XAI for
    Transformers: Better Explanations through Conservative Propagation".

    Args:
        record: of a layer, ``(N, K, h, w)``.

    Returns:
        ``(N, h, w)``, signed.
    """
    check_maps(record)
    if getattr(record, "by_cell", False):
        return _products(record) * record.activation[0, 0].numel()
    weights = record.gradient.flatten(2).sum(2)
    return torch.einsum("nk,nk...->n...", weights, record.activation)


def grad_cam_map(record: Recording) -> Tensor:
    """ReLU of the sum over channels of (spatial mean of the gradient) x activation.

    Where attention and norms were held constant, of each cell's own gradient x activation: the mean of gradients of tokens
    says nothing of a class token's answer.

    Source: R. R. Selvaraju et al., 2017, "Grad-CAM: Visual Explanations from Deep Networks".

    Args:
        record: of a layer, ``(N, K, h, w)``.

    Returns:
        ``(N, h, w)``, at least 0, unscaled.
    """
    check_maps(record)
    if getattr(record, "is_held", False):
        return _products(record).relu()
    weights = record.gradient.flatten(2).mean(2)
    return torch.einsum("nk,nk...->n...", weights, record.activation).relu()


def _products(record: Recording) -> Tensor:
    """Gradient x activation of each cell, summed over channels, ``(N, h, w)``."""
    return (record.gradient * record.activation).sum(1)


def prefix_share(record: Recording) -> Tensor | None:
    """How much of gradient x activation lies in tokens that have no place in the image; None where there are none.

    Args:
        record: of a layer of tokens.

    Returns:
        ``(N,)`` in 0..1, by magnitude, 0 where there is nothing at all.
    """
    prefix: Recording | None = getattr(record, "prefix", None)
    if prefix is None:
        return None
    cells = _products(record).flatten(1).abs().sum(1)
    before = (prefix.gradient * prefix.activation).sum(2).abs().sum(1)
    return before / (before + cells).clamp_min(EMPTY)


def check_maps(record: Recording) -> None:
    """Refuses what holds no grid.

    Raises:
        ValueError: the layer returns no maps.
    """
    if record.activation.ndim not in (4, 5):
        shape = tuple(record.activation.shape)
        raise ValueError(f"the layer returns {shape}, no maps (N, K, h, w): name a convolution or a block before the pooling")


def is_drawable(maps: Tensor) -> Tensor:
    """Which maps ``(N, h, w)`` are finite and not empty: ``(N,)`` bool. The others are left out of every mean."""
    finite = maps.isfinite().all(dim=2).all(dim=1)
    return finite & (maps.nan_to_num().abs().amax(dim=(1, 2)) > EMPTY)
