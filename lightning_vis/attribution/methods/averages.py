"""Gradients averaged over images around, or on the way to, the probe's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lightning_vis.attribution.methods.choice import scores_at, settled, with_gradients
from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.records import Recorded, Requests
from lightning_vis.model.run import Pass


@dataclass(frozen=True)
class NoisyGradients:
    """Records whose gradients are means over copies of the images with noise on them.

    The noise comes from a generator of its own and is the same for each image and at every look: what changes from look to
    look has changed in the network.

    Source: D. Smilkov et al., 2017, "SmoothGrad: removing noise by adding noise".

    Attributes:
        samples: how many copies; the paper's 50.
        spread: the noise's standard deviation over the image's largest minus smallest value; of the paper's 0.1 to 0.2.
    """

    samples: int = 50
    spread: float = 0.15

    @property
    def passes(self) -> int:
        """Forward and backward passes."""
        return self.samples + 1

    def __call__(self, run: Pass, requests: Requests) -> Recorded:
        """Records as `lightning_vis.attribution.recorders.gradients` does, and averages."""
        found = gradients(run, requests)
        weight = 1 / self.samples
        around = ((run.images + each, weight) for each in noises(run.images, self.samples, self.spread))
        return _averaged(settled(run, found), found, requests, around)


@dataclass(frozen=True)
class PathGradients:
    """Records whose gradients are means over the straight way from the model's zero to the images.

    The zero is that of the model's input: black where images are in 0..1, the mean colour where they are normalised.

    Source: M. Sundararajan, A. Taly, Q. Yan, 2017, "Axiomatic Attribution for Deep Networks" (integrated gradients).

    Attributes:
        steps: places on the way, those of the Gauss-Legendre rule; of the paper's 20 to 300.
    """

    steps: int = 50

    @property
    def passes(self) -> int:
        """Forward and backward passes."""
        return self.steps + 2

    def __call__(self, run: Pass, requests: Requests) -> Recorded:
        """Records as `lightning_vis.attribution.recorders.gradients` does, and averages; says what should be explained."""
        found = gradients(run, requests)
        run = settled(run, found)
        places, weights = np.polynomial.legendre.leggauss(self.steps)
        way = ((run.images * (1 + at) / 2, weight / 2) for at, weight in zip(places.tolist(), weights.tolist(), strict=True))
        found = _averaged(run, found, requests, way)
        before = scores_at(run, torch.zeros_like(run.images), requests)
        rises = {target: each.score.float() - before[target] for target, each in found.explained.items()}
        return replace(found, explained={key: replace(each, rise=rises[key]) for key, each in found.explained.items()})


def noises(images: Tensor, samples: int, spread: float) -> Iterable[Tensor]:
    """Normal noise for each of the images ``(N, ...)``, one pattern after the other, its size that of the image's contrast.

    Args:
        images: ``(N, C, H, W)``.
        samples: how many.
        spread: standard deviation over largest minus smallest value.
    """
    generator = torch.Generator().manual_seed(0)
    flat = images.flatten(1)
    size = spread * (flat.amax(1) - flat.amin(1)).reshape(-1, *(1 for _ in images.shape[1:]))
    for _ in range(samples):
        yield size * torch.randn(images.shape[1:], generator=generator).to(images)


def _averaged(run: Pass, found: Recorded, requests: Requests, others: Iterable[tuple[Tensor, float]]) -> Recorded:
    """The mean of the gradients at other images, each with its weight."""
    sums = {
        target: {name: torch.zeros_like(record.gradient) for name, record in each.records.items()}
        for target, each in found.explained.items()
    }
    for images, weight in others:
        there = gradients(replace(run, images=images), requests)
        for target, by_layer in sums.items():
            for name, total in by_layer.items():
                total.add_(there.explained[target].records[name].gradient, alpha=weight)
    return with_gradients(found, sums)
