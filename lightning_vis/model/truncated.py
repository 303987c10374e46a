"""A model run up to one layer and no further."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.constants import OUTPUT
from lightning_vis.model.hooks import hooked
from lightning_vis.model.layers import find_layer, known_layers
from lightning_vis.model.scores import class_scores

Activation = Callable[[Tensor], Tensor]


def activation_of(model: nn.Module, layer: str, forward: Callable[[Tensor], Any] | None = None) -> Activation:
    """A function from images to one layer's output that computes nothing behind that layer.

    Args:
        model: any network.
        layer: a dotted name, or `OUTPUT` for the class scores.
        forward: how to run the model, if not by calling it.

    Raises:
        ValueError: there is no such layer; when called: forward never reaches it, or it does not return one tensor.
    """
    run = forward or model
    if layer == OUTPUT:
        return lambda images: class_scores(run(images.clone()))  # a clone, because some networks change what they get
    module = find_layer(model, layer)
    return lambda images: _reach(run, module, layer, images.clone(), model)


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


def _reach(run: Callable[[Tensor], Any], module: nn.Module, layer: str, images: Tensor, model: nn.Module) -> Tensor:
    def stop(_: nn.Module, __: Any, output: Any) -> None:
        raise _Reached(output)

    try:
        with hooked([module], stop):
            run(images)
    except _Reached as reached:
        return _one_tensor(reached.args[0], layer, module)
    raise ValueError(f"layer {layer!r} gave no output: forward never calls it; {known_layers(model, layer)}")


def _one_tensor(output: Any, layer: str, module: nn.Module) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim < 2:
        given = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"layer {layer!r} returns {given}: name a layer that returns one tensor (N, K, ...)")
    if output.ndim == 4 and isinstance(module, nn.LayerNorm) and tuple(module.normalized_shape) == output.shape[-1:]:
        given = tuple(output.shape)
        raise ValueError(f"layer {layer!r} returns {given}, its channels last: name a layer that returns maps (N, K, h, w)")
    return output
