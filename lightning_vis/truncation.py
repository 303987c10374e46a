"""Run a model up to one layer and no further."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.constants import OUTPUT as OUTPUT
from lightning_vis.layers import find_layer, hooked, known_layers
from lightning_vis.scores import class_scores

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
        return lambda images: class_scores(run(images))
    module = find_layer(model, layer)
    return lambda images: _reach(run, module, layer, images, model)


def on_model(model: nn.Module, images: Tensor) -> Tensor:
    """Images on the model's device, in the type of its weights."""
    weight = next((value for value in model.parameters() if value.is_floating_point()), images)
    return images.detach().to(weight.device, weight.dtype)


def channels_last(activation: Activation, images: Tensor) -> Activation:
    """The same function, faster: on a CPU most convolutions are, where an image's channels lie side by side in memory.

    Some take half the time, few take longer (`benchmarks/maximization.md`). A model that takes no such images, because it
    calls ``view()`` on its maps, is run as it is, and so is every model on other devices, where nothing was measured.
    """

    def run(images: Tensor) -> Tensor:
        return activation(images.contiguous(memory_format=torch.channels_last)).contiguous()

    if images.device.type != "cpu":
        return activation
    tried = images[:1].detach().requires_grad_()
    try:
        with torch.enable_grad():
            torch.autograd.grad(run(tried).sum(), tried)
    except RuntimeError:  # whatever else is wrong is met again by the function as it is, and said there
        return activation
    return run


def saved_bytes(activation: Activation, images: Tensor) -> int:
    """What autograd keeps for the backward pass of one call, in bytes: each storage counts once."""
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
        return _one_tensor(reached.args[0], layer)
    raise ValueError(f"layer {layer!r} gave no output: forward never calls it; {known_layers(model, layer)}")


def _one_tensor(output: Any, layer: str) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim < 2:
        given = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"layer {layer!r} returns {given}: name a layer that returns one tensor (N, K, ...)")
    return output
