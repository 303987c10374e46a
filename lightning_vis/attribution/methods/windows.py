"""Occlusion: how the score falls when a window slides over the image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from lightning_vis.attribution.maps import Recording
from lightning_vis.attribution.methods.choice import scores_at, settled, with_gradients
from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.records import Recorded, Requests
from lightning_vis.model.run import Pass

ACROSS = 8
"""Steps of the window across the image, and two of them its side."""


@dataclass(frozen=True)
class Occlusion:
    """Records whose "gradient" is how far the score falls where a window of the model's zero lies, the mean of all that do.

    The window's side is a quarter of the image's, its step an eighth, rounded up: 49 windows or a few less. It goes through all channels, and through
    all slices of a volume. The model's zero is the mean colour, the paper's grey, where images are normalised.

    Source: M. D. Zeiler, R. Fergus, 2014, "Visualizing and Understanding Convolutional Networks".
    """

    @property
    def passes(self) -> int:
        """Forward passes at the most."""
        return (ACROSS - 1) ** 2 + 1

    def __call__(self, run: Pass, requests: Requests) -> Recorded:
        """Records as `lightning_vis.attribution.recorders.gradients` does, and occludes."""
        found = gradients(run, requests)
        run = settled(run, found)
        height, width = run.images.shape[-2:]
        covered = run.images.new_zeros((height, width))
        falls = {target: run.images.new_zeros((len(run.images), height, width)) for target in requests}
        for rows, columns in windows(height, width):
            covered[rows, columns] += 1
            images = run.images.clone()
            images[..., rows, columns] = 0
            for target, score in scores_at(run, images, requests).items():
                fall = found.explained[target].score.float() - score
                falls[target][:, rows, columns] += fall[:, None, None]
        return with_gradients(found, _spread(run.images, requests, {key: each / covered for key, each in falls.items()}))


def windows(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of each window; those that would stand out end at the image's edge."""
    down, across = math.ceil(height / ACROSS), math.ceil(width / ACROSS)
    for top in range(_count(height, down)):
        for left in range(_count(width, across)):
            yield slice(top * down, (top + 2) * down), slice(left * across, (left + 2) * across)


def _count(length: int, step: int) -> int:
    return max(1, math.ceil((length - 2 * step) / step) + 1)


def _spread(images: Tensor, requests: Requests, maps: dict[str | int, Tensor]) -> dict[str | int, dict[str, Tensor]]:
    """Maps ``(N, H, W)`` as wide as the images, the same in every channel."""
    shape = (len(images), *(1 for _ in images.shape[1:-2]), *images.shape[-2:])
    return {key: {name: maps[key].reshape(shape).expand(images.shape) for name in names} for key, names in requests.items()}


def occlusion_map(record: Recording) -> Tensor:
    """How far the score falls where something lies over the image.

    Args:
        record: of `INPUT` by `Occlusion`, ``(N, C, H, W)``.

    Returns:
        ``(N, H, W)``, in units of the score: above 0 where what is covered speaks for the class.
    """
    return record.gradient.mean(dim=1)
