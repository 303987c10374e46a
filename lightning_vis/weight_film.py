"""A layer's weights and feature maps over a training: one scale for the whole film, and what moved since the last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_vis.frames import Array
from lightning_vis.probe import Probe
from lightning_vis.weight_rendering import weight_sheet
from lightning_vis.weights import (
    feature_maps,
    filter_weights,
    map_limits,
    map_pictures,
    weight_limit,
    weight_pictures,
)

IMAGES = 4
"""So many images of the probe stand beside the weights."""


@dataclass
class WeightFilm:
    """What the next card of one layer is compared with.

    Attributes:
        limit: the weight drawn at full strength, set by the first look at weights that are not all 0.
        last: the weights of the last look, ``(K, C, h, w)``; None before the first and without such weights.
    """

    limit: float = 0.0
    last: Tensor | None = None

    def card(
        self,
        model: nn.Module,
        layer: str,
        channels: Sequence[int],
        probe: Probe,
        forward: Callable[[Tensor], Any] | None = None,
    ) -> Array | None:
        """Draws a look and remembers its weights.

        Args:
            model: any network.
            layer: any layer that returns maps; weights are drawn where it is a convolution.
            channels: which filters.
            probe: its first images are what the filters are applied to.
            forward: how to run the model, if not by calling it.

        Returns:
            ``(H, W, 3)`` uint8; None where there is nothing to draw.
        """
        pictures = probe.inputs().pictures[: IMAGES if probe.shown else 0]
        drawn = np.empty((0, len(channels), 1, 1, 3), np.uint8)  # a first layer's maps are nearly the images
        if probe.shown:
            maps = feature_maps(model, layer, probe.images[:IMAGES], channels, forward)
            drawn = map_pictures(maps, map_limits(maps))
        names = [str(index) for index in channels]
        try:
            weights = filter_weights(model, layer)
        except ValueError:  # a block, a norm, an activation: it has maps only
            return weight_sheet(names, pictures, drawn) if probe.shown else None
        self.limit = self.limit or (weight_limit(weights) if weights.any() else 0.0)
        change = weights - (weights if self.last is None else self.last.numpy())
        self.last = torch.from_numpy(weights)
        rows = list(channels)
        now, moved = (weight_pictures(each[rows], self.limit or 1.0) for each in (weights, change))
        return weight_sheet(names, pictures, drawn, now, moved)
