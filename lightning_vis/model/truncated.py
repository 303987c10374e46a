"""A model run up to one layer and no further."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.constants import OUTPUT
from lightning_vis.model.cut import through
from lightning_vis.model.cut_search import find_cuts
from lightning_vis.model.feature_map import FeatureMap, feature_maps
from lightning_vis.model.layers import find_layer, uncalled
from lightning_vis.model.scores import class_scores
from lightning_vis.model.site.collector import kept_at
from lightning_vis.model.site.finder import NoGridError
from lightning_vis.model.site.site import Site, plain_site, split

Activation = Callable[[Tensor], Tensor]


def activation_of(model: nn.Module, layer: str, images: Tensor, forward: Callable[[Tensor], Any] | None = None) -> Activation:
    """A function from images to what stands at one layer, laid out as maps, that computes nothing behind that layer.

    Args:
        model: any network.
        layer: a dotted name, ``"avgpool:input"`` for what enters one, or `OUTPUT` for the class scores.
        images: ``(N, C, H, W)`` as they will be run: one of them shows where the layer holds the image's grid.
        forward: how to run the model, if not by calling it.

    Raises:
        ValueError: there is no such layer; when called: forward never reaches it, or it does not return one tensor.
    """
    run = forward or model
    if layer == OUTPUT:
        return lambda images: class_scores(run(images.clone()))  # a clone, because some networks change what they get
    find_layer(model, split(layer)[0])
    found = _found(model, layer, images, run)
    site = found.site if isinstance(found, FeatureMap) else plain_site(layer)
    return lambda images: _with_channels(_reach(run, site, images.clone(), model), found)


def _found(model: nn.Module, layer: str, images: Tensor, run: Callable[[Tensor], Any]) -> FeatureMap | Exception:
    """Where the grid lies; a layer without one may give a number per channel, or maps at each of several calls."""
    try:
        return feature_maps(model, images, [layer], run)[layer]
    except Exception as error:  # the network fails, which is said where it is run
        return error


def _with_channels(activation: Tensor, found: FeatureMap | Exception) -> Tensor:
    """Refuses what has more axes than channels and no grid: which of them are channels is not known."""
    if isinstance(found, NoGridError) and activation[0, 0].numel() > 1:
        raise found
    return activation


def opened(
    model: nn.Module, layer: str, images: Tensor, forward: Callable[[Tensor], Any]
) -> tuple[Callable[[Tensor], Any], str]:
    """A way to run a network in which a gradient of what stands at a layer reaches the image, and why there is none.

    Args:
        model: any network.
        layer: as `activation_of`.
        images: likewise; one of them is run.
        forward: how to run the model; given back where nothing has to be opened, or can be.
    """
    if layer == OUTPUT:
        found = find_cuts(model, images[:1], forward)
    else:
        site = plain_site(layer)
        found = find_cuts(model, images[:1], lambda images: _stopped(model, site, forward, images))
    return through(forward, found.cuts), found.why


def _stopped(model: nn.Module, site: Site, run: Callable[[Tensor], Any], images: Tensor) -> Any:
    """What stands at a site, and nothing behind it computed."""

    def stop(tensor: Any) -> None:
        raise _Reached(tensor)

    try:
        with kept_at(model, {site.name: site}, {site.name: stop}):
            run(images)
    except _Reached as reached:
        return reached.args[0]
    raise uncalled(model, site.layer)


def channels_last(model: nn.Module, activation: Activation, images: Tensor) -> Activation:
    """The same function, faster: on a CPU most convolutions are, where the channels lie side by side in memory.

    Some take half the time (`benchmarks/maximization.md`). The weights are laid out anew: `preserve_state` puts them back. A model
    that answers otherwise so, or not at all, because it calls ``view()`` on its maps, is run as it is; so is every model on
    other devices, where nothing was measured.
    """

    def run(images: Tensor) -> Tensor:
        return activation(images.contiguous(memory_format=torch.channels_last)).contiguous()

    if images.device.type != "cpu":
        return activation
    tried = images[:1].expand(2, *images.shape[1:]).contiguous()  # one image alone passes many a view()
    with torch.no_grad():
        expected = activation(tried)
    weights = [(each, each.data) for each in model.parameters() if each.ndim == 4 and each.layout == torch.strided]
    for weight, data in weights:
        weight.data = data.contiguous(memory_format=torch.channels_last)
    if _agrees(run, tried, expected):
        return run
    for weight, data in weights:
        weight.data = data
    return activation


def _agrees(run: Activation, images: Tensor, expected: Tensor) -> bool:
    """Whether a function runs, forward and backward, and says what is expected, but for rounding."""
    try:
        with torch.enable_grad():
            tried = images.clone().requires_grad_()
            found = run(tried)
            torch.autograd.grad(found.sum(), tried)
    except Exception:
        return False
    close = torch.finfo(expected.dtype).eps ** 0.5 * float(expected.abs().max())
    return torch.allclose(found.detach(), expected, rtol=0.0, atol=close, equal_nan=True)


def saved_bytes(activation: Activation, images: Tensor) -> int:
    """What autograd keeps of one image more for the backward pass, in bytes; weights, which it keeps once, do not count."""
    return max(0, _kept(activation, images[:1].expand(2, *images.shape[1:])) - _kept(activation, images[:1]))


def _kept(activation: Activation, images: Tensor) -> int:
    """What autograd keeps of one call, in bytes: each storage counts once."""
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor.detach()  # the tensor itself would hold the graph that holds it, for ever

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        activation(images)
    return sum(sizes.values())


class _Reached(BaseException):
    """Carries the layer's output out of the forward pass; no ``except Exception`` of a user's forward catches it."""


def _reach(run: Callable[[Tensor], Any], site: Site, images: Tensor, model: nn.Module) -> Tensor:
    return site.layout.maps(_one_tensor(_stopped(model, site, run, images), site.name))


def _one_tensor(output: Any, layer: str) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim < 2:
        given = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"layer {layer!r} returns {given}: name a layer that returns one tensor (N, K, ...)")
    return output
