"""Parameterizations of an image: pixels, or a spectrum in decorrelated colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

IMAGENET_BASIS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Square root of the covariance of ImageNet's colours, as published with Lucid."""


@dataclass(frozen=True)
class Subject:
    """What is to be painted.

    Attributes:
        shape: ``(C, H, W)``.
        basis: ``(C, C)``, the colour basis of the data that it should look like.
        span: ``(1, C, 1, 1)``, each channel's brightest input less its darkest, in the model's input scale.
    """

    shape: tuple[int, int, int]
    basis: Tensor
    span: Tensor


@dataclass(frozen=True)
class Canvas:
    """The start of an optimization ``(1, ...)``, and the function from parameters to images.

    `paint` takes ``(K, ...)`` to ``(K, C, H, W)`` in the unit scale: 0 is the model's darkest input, 1 its brightest.
    """

    start: Tensor
    paint: Callable[[Tensor], Tensor]


Parameterization = Callable[[Subject, torch.Generator], Canvas]


def fourier(sd: float = 0.01, decay: float = 1.0, basis: Tensor | None = None) -> Parameterization:
    """A spectrum with 1/f decay in a decorrelated colour basis, through a sigmoid.

    Source: C. Olah, A. Mordvintsev, L. Schubert, 2017, "Feature visualization" (Lucid).

    Args:
        sd: of the random spectrum at the start.
        decay: amplitude falls as 1 / frequency ** decay.
        basis: colour basis ``(C, C)``; that of the data if None.
    """

    def parameterization(subject: Subject, generator: torch.Generator) -> Canvas:
        channels, height, width = subject.shape
        scale = _amplitudes(height, width, decay)
        colours = subject.basis if basis is None else basis

        def paint(spectrum: Tensor) -> Tensor:
            weighted = torch.view_as_complex(spectrum) * scale.to(spectrum)
            waves = torch.fft.irfft2(weighted, (height, width), norm="ortho") / 4.0
            # One small matrix product per image takes a ninth of the time of the same as an einsum.
            return torch.sigmoid(colours.to(waves) @ waves.flatten(2)).view(waves.shape)

        return Canvas(torch.randn(1, channels, *scale.shape, 2, generator=generator) * sd, paint)

    return parameterization


def pixels(sd: float = 0.01) -> Parameterization:
    """Pixels through a sigmoid, so that they stay in the model's range."""

    def parameterization(subject: Subject, generator: torch.Generator) -> Canvas:
        return Canvas(torch.randn(1, *subject.shape, generator=generator) * sd, torch.sigmoid)

    return parameterization


def raw_pixels(sd: float = 0.05) -> Parameterization:
    """Unbounded pixels in the model's input scale: keras-vis's way.

    Source: keras-vis 0.4.1, ``vis/utils/utils.py``, ``random_array``.

    Args:
        sd: of the uniform noise around mid-range at the start, as a share of the range.
    """

    def parameterization(subject: Subject, generator: torch.Generator) -> Canvas:
        noise = torch.rand(1, *subject.shape, generator=generator)
        noise = (noise - noise.mean()) / (noise.std(correction=0) + 1e-7)
        span = subject.span.cpu()
        return Canvas((0.5 + sd * noise) * span, lambda values: values / span.to(values))

    return parameterization


def colour_basis(images: Tensor, floor: float = 0.05) -> Tensor:
    """The basis in which the channels of images do not correlate, its longest column of length 1.

    Args:
        images: ``(N, C, H, W)``; any number of channels.
        floor: no direction is weaker than this share of the strongest, so that no colour is impossible.

    Returns:
        ``(C, C)`` float64: the square root of the covariance, normalised as Lucid does.
    """
    values = images.double().transpose(0, 1).flatten(1)
    values = values[:, torch.isfinite(values).all(0)]
    variances, axes = torch.linalg.eigh(values.cov(correction=0).reshape(len(values), len(values)))
    lengths = variances.clamp_min(0).sqrt()
    lengths = lengths.clamp_min(floor * float(lengths.max())) if float(lengths.max()) > 0 else torch.ones_like(lengths)
    signs = axes.sum(0).sign() + (axes.sum(0) == 0)  # eigenvectors have no sign of their own, and films must not jump
    return normalised_basis(axes * signs * lengths)


def normalised_basis(basis: Tensor) -> Tensor:
    """A colour basis divided by the length of its longest column."""
    return torch.as_tensor(basis / basis.norm(dim=0).max())


def _amplitudes(height: int, width: int, decay: float) -> Tensor:
    down, right = torch.fft.fftfreq(height, dtype=torch.float64), torch.fft.rfftfreq(width, dtype=torch.float64)
    frequencies = torch.hypot(down[:, None], right[None])
    return torch.as_tensor(1 / frequencies.clamp_min(1 / max(height, width)) ** decay)


def bounds(images: Tensor, mean: Sequence[float] | None = None, std: Sequence[float] | None = None) -> tuple[Tensor, Tensor]:
    """The darkest and the brightest input of each channel, ``(1, C, 1, 1)`` each.

    Args:
        images: ``(N, C, H, W)``: without mean and std, 0 and 1 if they lie between, else their own extremes.
        mean: per channel, of the normalisation (picture - mean) / std of pictures in 0..1.
        std: per channel.
    """
    working = torch.promote_types(images.dtype, torch.float32)
    values = images.to(working).nan_to_num().transpose(0, 1).flatten(1)
    zeros, ones = torch.zeros_like(values[:, 0]), torch.ones_like(values[:, 0])
    if mean is not None or std is not None:
        shift = zeros if mean is None else torch.as_tensor(mean).to(zeros)
        factor = ones if std is None else torch.as_tensor(std).to(ones)
        low, high = (zeros - shift) / factor, (ones - shift) / factor
    elif values.min() >= 0 and values.max() <= 1:
        low, high = zeros, ones
    else:
        low, high = values.amin(1), values.amax(1)
        high = torch.where(high > low, high, low + 1)
    return low.view(1, -1, 1, 1), high.view(1, -1, 1, 1)
