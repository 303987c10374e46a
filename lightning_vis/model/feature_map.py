"""The place that is looked at where none is named, chosen by a dry run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from lightning_vis.model.site.bottleneck import Choice
from lightning_vis.model.site.finder import find_sites
from lightning_vis.model.site.site import OUTPUT_SIDE, Site

ROWS = 3
"""Copies of one image in a dry run: a number that few other axes have."""


@dataclass(frozen=True)
class FeatureMap:
    """A place chosen by `last_feature_map`.

    Attributes:
        layer: its name, ``"layer4"`` for what the layer returns, ``"avgpool:input"`` for what enters it.
        shape: ``(K, h, w)``, of volumes ``(K, d, h, w)``.
        note: what to know about it.
        site: how the tensor there holds the image's grid.
        bypassed: the share of the answer's gradient at the image that does not come through it, 0 for a bottleneck.
        held: where evidence and Grad-CAM look instead, with attention held: by default the place in front of all attention,
            where a token still is of its own part of the image, of a layer of tokens that is named the same place. None where
            no attention mixes what is there.
    """

    layer: str
    shape: tuple[int, ...]
    note: str
    site: Site
    bypassed: float = 0.0
    held: Site | None = None

    @property
    def said_bypassed(self) -> str:
        """How much bypasses it, in words; "" where that is next to nothing."""
        share = f"{self.bypassed:.0%}"
        return "" if share == "0%" else f"{share} of the answer's gradient at the image bypasses layer {self.layer!r}"


def last_feature_map(
    model: nn.Module,
    images: Tensor,
    forward: Callable[[Tensor], Any] | None = None,
    read: Callable[[Any], Any] | None = None,
) -> FeatureMap:
    """The place that Grad-CAM looks at where none is named: the last bottleneck, found by one dry run.

    It is the last place with more than one cell through which all passes that the answer knows of the image, and on whose
    cells the answer depends; where there is none, the place that the smallest share of the gradient bypasses. The outputs of
    modules count, blocks rather than their last layers, and what enters them; what pooling or dropout made does not.

    Args:
        model: any network.
        images: ``(N, C, H, W)`` in the model's input scale, on its device; only the first is used.
        forward: how to run the model, if not by calling it.
        read: takes the answer out of the output, where there are several.

    Raises:
        ValueError: there is no such place.
    """
    found = feature_maps(model, images, [None], forward, read)[None]
    if isinstance(found, Exception):
        raise found
    return found


def feature_maps(
    model: nn.Module,
    images: Tensor,
    names: Iterable[str | None],
    forward: Callable[[Tensor], Any] | None = None,
    read: Callable[[Any], Any] | None = None,
) -> dict[str | None, FeatureMap | Exception]:
    """The places that names stand for, None for the default one, or why there is none; one dry run finds them all.

    Args:
        model: as `last_feature_map`.
        images: likewise.
        names: ``"layer4"``, ``"avgpool:input"``.
        forward: as `last_feature_map`.
        read: likewise.
    """
    rows = images[:1].expand(ROWS, *images.shape[1:])
    found = find_sites(model, rows, names, forward, read)
    return {name: each if isinstance(each, Exception) else _feature_map(each) for name, each in found.items()}


def _feature_map(choice: Choice) -> FeatureMap:
    site = choice.candidate.site
    shape = tuple(site.layout.maps(choice.candidate.tensor.detach()).shape[1:])
    held = None if choice.held is None else replace(choice.held.site, is_held=True)
    return FeatureMap(site.name, shape, _note(choice), site, choice.bypassed, held)


def _note(choice: Choice) -> str:
    module = choice.candidate.module
    linear = isinstance(module, (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm))
    is_made = choice.candidate.site.side == OUTPUT_SIDE
    return "taken before any activation function" if linear and is_made else ""
