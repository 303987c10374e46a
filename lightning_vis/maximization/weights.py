"""A layer's weights and feature maps as pictures, and their change over a film."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_vis.frames import Array
from lightning_vis.model.layers import find_layer
from lightning_vis.model.run import on_model
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.model.truncated import activation_of
from lightning_vis.probe.probe import Probe
from lightning_vis.render.colormap import colours

IMAGES = 4
"""So many images of the probe stand beside the weights."""


@dataclass(frozen=True)
class WeightLook:
    """What one look shows of a layer's filters, as pictures.

    Attributes:
        names: of the filters, ``K`` of them.
        pictures: of the first probe images, ``(N, H, W, 3)`` uint8.
        maps: ``(N, K, h, w, 3)`` uint8, what the filters answer to them.
        weights: ``(K, h, w, 3)`` uint8; None where the layer is no convolution.
        change: the same of the difference to the last look.
    """

    names: list[str]
    pictures: Array
    maps: Array
    weights: Array | None = None
    change: Array | None = None


@dataclass
class WeightFilm:
    """What the next look at one layer is compared with.

    Attributes:
        limit: the weight drawn at full strength, set by the first look at weights that are not all 0.
        last: the weights of the last look, ``(K, C, h, w)``; None before the first and without such weights.
    """

    limit: float = 0.0
    last: Tensor | None = None

    def look(
        self,
        model: nn.Module,
        layer: str,
        channels: Sequence[int],
        probe: Probe,
        forward: Callable[[Tensor], Any] | None = None,
    ) -> WeightLook | None:
        """Takes a look and remembers its weights.

        Args:
            model: any network.
            layer: any layer that returns maps; weights are drawn where it is a convolution.
            channels: which filters.
            probe: its first images are what the filters are applied to.
            forward: how to run the model, if not by calling it.

        Returns:
            None where there is nothing to draw.
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
            return WeightLook(names, pictures, drawn) if probe.shown else None
        self.limit = self.limit or (weight_limit(weights) if weights.any() else 0.0)
        change = weights - (weights if self.last is None else self.last.numpy())
        self.last = torch.from_numpy(weights)
        rows = list(channels)
        now, moved = (weight_pictures(each[rows], self.limit or 1.0) for each in (weights, change))
        return WeightLook(names, pictures, drawn, now, moved)


def filter_weights(model: nn.Module, layer: str) -> Array:
    """A convolution's weights ``(K, C, h, w)`` float32, a copy.

    Raises:
        ValueError: the layer has no such weights.
    """
    module = find_layer(model, layer)
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 4:
        given = "no weight" if not isinstance(weight, Tensor) else f"a weight of shape {tuple(weight.shape)}"
        raise ValueError(f"layer {layer!r} has {given}: only weights (K, C, h, w) of a convolution are drawn")
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        if module.groups > 1:
            raise ValueError(f"layer {layer!r} is a transposed convolution in {module.groups} groups, which is not drawn")
        weight = weight.transpose(0, 1)  # it keeps its inputs first
    return np.array(weight.detach().float().cpu().numpy())


def weight_limit(weights: Array) -> float:
    """The value drawn at full strength: four times the root mean square, taken once, so that a film has one scale."""
    return float(4 * np.sqrt(np.mean(np.square(weights)))) or 1.0


def weight_pictures(weights: Array, limit: float) -> Array:
    """Weights as pictures on a symmetric scale: 0 is the middle, and the sign is never lost.

    Args:
        weights: ``(K, C, h, w)``, or the difference of two of them.
        limit: drawn at full strength, in both directions; the same for a whole film.

    Returns:
        Of three input channels ``(K, h, w, 3)`` uint8, 0 being grey and the channels red, green and blue; of any other
        number ``(K, H, W, 3)``, the input channels row by row in a square of as many columns as rows, or one more, warm
        above 0 and blue below, with a grey line between them.
    """
    shares = np.nan_to_num(weights / limit).clip(-1, 1)
    if shares.shape[1] == 3:
        return np.asarray(np.rint(127.5 + 127.5 * shares.transpose(0, 2, 3, 1)), np.uint8)
    strength = np.abs(shares)[..., None]
    return _square(np.asarray(np.rint(strength * colours(shares, signed=True) + (1 - strength) * 24), np.uint8))


LINE = 72
"""Grey between the input channels."""


def _square(blocks: Array) -> Array:
    """``(K, C, h, w, 3)`` as ``(K, H, W, 3)``: the blocks of each filter in a square, with a line between them."""
    count, channels, height, width, _ = blocks.shape
    columns = math.ceil(math.sqrt(channels))
    rows = -(-channels // columns)
    sheet = np.full((count, rows * (height + 1) - 1, columns * (width + 1) - 1, 3), LINE, np.uint8)
    for at in range(channels):
        y, x = at // columns * (height + 1), at % columns * (width + 1)
        sheet[:, y : y + height, x : x + width] = blocks[:, at]
    return sheet


def feature_maps(
    model: nn.Module,
    layer: str,
    images: Tensor,
    channels: Sequence[int] | None = None,
    forward: Callable[[Tensor], Any] | None = None,
) -> Array:
    """What the filters of any layer answer to images, ``(N, K, h, w)`` float32. The model is left exactly as it was.

    Args:
        model: any network.
        layer: dotted name of a layer that returns ``(N, K, h, w)``.
        images: ``(N, C, H, W)`` in the model's input scale.
        channels: only these; all if None.
        forward: how to run the model, if not by calling it.

    Raises:
        ValueError: the layer does not exist or returns no maps, or channels are out of range.
    """
    with preserve_state(model), torch.no_grad():
        images = on_model(model, images)
        found = activation_of(model, layer, images, forward)(images).float().cpu()
    if found.ndim != 4:
        raise ValueError(f"layer {layer!r} returns {tuple(found.shape)}: only maps (N, K, h, w) are drawn")
    count = found.shape[1]
    if any(not 0 <= index < count for index in channels or ()):
        raise ValueError(f"channels={list(channels or ())!r}: the layer has the {count} channels 0 to {count - 1}")
    return np.array(found.numpy() if channels is None else found[:, list(channels)].numpy())


def map_limits(maps: Array) -> Array:
    """Each channel's greatest magnitude over all images, ``(K,)``: the scale its maps share."""
    return np.asarray(np.abs(maps).max(axis=(0, 2, 3), initial=0.0))


def map_pictures(maps: Array, limits: Array) -> Array:
    """Feature maps ``(N, K, h, w)`` as pictures ``(N, K, h, w, 3)`` uint8: black at 0, warm above, blue below."""
    limits = np.where(limits > 0, limits, 1.0)[None, :, None, None]
    shares = np.nan_to_num(maps / limits).clip(-1, 1)
    return np.asarray(np.rint(np.abs(shares)[..., None] * colours(shares, signed=True)), np.uint8)
