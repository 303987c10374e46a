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
    """Where a small change of the image would change the score most: max over channels of |gradient|.

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

    Where attention lies behind the layer, tokens do not speak with one voice: gradient x activation is taken at each of them,
    times h w, with attention and the divisors of norms held constant. What follows is then linear up to the layers behind the
    attention: without them the mean of the map, the prefix and the biases are the score.

    Sources: after R. R. Selvaraju et al., 2017, "Grad-CAM", without its ReLU; A. Ali et al., 2022, "XAI for Transformers:
    Better Explanations through Conservative Propagation".

    Args:
        record: of a layer, ``(N, K, h, w)``.

    Returns:
        ``(N, h, w)``, signed.
    """
    _check_maps(record)
    if is_held(record):
        return _contributions(record).sum(1) * record.activation[0, 0].numel()
    weights = record.gradient.flatten(2).sum(2)
    return torch.einsum("nk,nk...->n...", weights, record.activation)


def grad_cam_map(record: Recording) -> Tensor:
    """ReLU of the sum over channels of (spatial mean of the gradient) x activation.

    Where attention lies behind the layer: of gradient x activation, with attention held as in `evidence_map`.

    Sources: R. R. Selvaraju et al., 2017, "Grad-CAM: Visual Explanations from Deep Networks"; R. L. Draelos, L. Carin, 2020,
    "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks".

    Args:
        record: of a layer, ``(N, K, h, w)``.

    Returns:
        ``(N, h, w)``, at least 0, unscaled.
    """
    _check_maps(record)
    if is_held(record):
        return _contributions(record).sum(1).relu()
    weights = record.gradient.flatten(2).mean(2)
    return torch.einsum("nk,nk...->n...", weights, record.activation).relu()


def is_held(record: Recording) -> bool:
    """Whether attention lies behind the layer, and was held."""
    return getattr(record, "held", None) is not None


def prefix_share(record: Recording) -> Tensor | None:
    """How much of the evidence lies in tokens that have no place in the image, ``(N,)`` in 0..1; None where there are none.

    The share of the sum of magnitudes over all tokens; NaN where that is 0.
    """
    prefix = getattr(record, "prefix", None)
    if prefix is None:
        return None
    beside = _contributions(prefix).sum(-1).abs().sum(1)
    inside = evidence_map(record).abs().flatten(1).mean(1)
    return beside / (beside + inside)


def _contributions(record: Recording) -> Tensor:
    """What each number adds to the score in first order."""
    held: Tensor | None = getattr(record, "held", None)
    return record.activation * (record.gradient if held is None else held)


def _check_maps(record: Recording) -> None:
    if record.activation.ndim not in (4, 5):
        shape = tuple(record.activation.shape)
        raise ValueError(f"the layer returns {shape}, no maps (N, K, h, w): name a convolution or a block before the pooling")


def is_drawable(maps: Tensor) -> Tensor:
    """Which maps ``(N, h, w)`` are finite and not empty: ``(N,)`` bool. The others are left out of every mean."""
    finite = maps.isfinite().all(dim=2).all(dim=1)
    return finite & (maps.nan_to_num().abs().amax(dim=(1, 2)) > EMPTY)
