"""The last feature map of a network, chosen by a dry run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.model.hooks import hooked
from lightning_vis.model.layers import known_layers, named_layers
from lightning_vis.model.scores import describe
from lightning_vis.model.snapshot.snapshot import preserve_state


@dataclass(frozen=True)
class FeatureMap:
    """A layer chosen by `last_feature_map`: its dotted name, its output's shape ``(K, h, w)`` (of volumes
    ``(K, d, h, w)``) and what to know about it."""

    layer: str
    shape: tuple[int, ...]
    note: str = ""


def last_feature_map(model: nn.Module, images: Tensor, forward: Callable[[Tensor], Any] | None = None) -> FeatureMap:
    """The layer that Grad-CAM looks at where none is named, found by one dry run.

    It is the last of the smallest feature maps ``(N, K, h, w)`` above 1 x 1 that no pooling or dropout produced, that is
    computed once, and on which the output depends. A container's output counts (a residual block is more than its last norm).

    Args:
        model: any network.
        images: ``(N, C, H, W)`` in the model's input scale, on its device; only the first is used.
        forward: how to run the model, if not by calling it.

    Raises:
        ValueError: there is no such map, or token outputs ``(N, T, C)`` follow it.
    """
    with preserve_state(model):
        calls, output = _dry_run(model, images[:1].detach().clone().requires_grad_(), forward or model)
        maps = [call for call in calls if call.is_map(calls)]
        if not maps:
            raise ValueError(f"no layer of the model gives a feature map (N, K, h, w) above 1 x 1; {known_layers(model)}")
        for call in sorted(reversed(maps), key=lambda call: call.area):
            if _depends(output, call.output):
                return _chosen(call, calls)
    raise ValueError(
        f"the model's output, {describe(output)}, does not depend on any feature map through gradients"
        " (is its forward wrapped in torch.no_grad()?)"
    )


@dataclass(frozen=True)
class _Call:
    """One module's one output during the dry run."""

    name: str
    module: nn.Module
    output: Any
    times: int

    @property
    def area(self) -> int:
        return math.prod(self.output.shape[2:])

    def is_map(self, calls: list[_Call]) -> bool:
        return (
            isinstance(self.output, Tensor)
            and self.output.ndim in (4, 5)
            and self.area > 1
            and self.times == 1
            and not isinstance(self.module, nn.Identity)
            and "parametrizations" not in self.name.split(".")  # its output is a weight
            and not self.reduces
            and not self.ends_reduced(calls)
        )

    def ends_reduced(self, calls: list[_Call]) -> bool:
        """Whether pooling made this container's output; dropout in eval mode hands on the very tensor that it got."""
        makers = [other for other in calls if other.output is self.output and other.name.startswith(f"{self.name}.")]
        leaves = [other for other in makers if not any(other.module.children())]
        return bool(leaves) and all(leaf.reduces for leaf in leaves)

    @property
    def reduces(self) -> bool:
        kind = type(self.module).__name__.lower()
        return "pool" in kind or "drop" in kind

    @property
    def is_tokens(self) -> bool:
        """Tokens (N, T, C), or channels last (N, h, w, C): neither is a map of channels."""
        if not isinstance(self.output, Tensor):
            return False
        last = isinstance(self.module, nn.LayerNorm) and tuple(self.module.normalized_shape) == self.output.shape[-1:]
        return (self.output.ndim == 3 and self.output.shape[1] > 1) or (self.output.ndim == 4 and last)


def _dry_run(model: nn.Module, image: Tensor, forward: Callable[[Tensor], Any]) -> tuple[list[_Call], Any]:
    names = {id(module): name for name, module in named_layers(model).items()}
    seen: list[tuple[nn.Module, Any]] = []
    modules = [module for module in model.modules() if id(module) in names]
    with hooked(modules, lambda module, _, output: seen.append((module, output))):
        output = forward(image.clone())
    times = {id(module): sum(other is module for other, _ in seen) for module, _ in seen}
    return [_Call(names[id(module)], module, out, times[id(module)]) for module, out in seen], output


def _depends(output: Any, tensor: Tensor) -> bool:
    tensors = [value for value in _tensors(output) if value.requires_grad]
    if not tensors or not tensor.requires_grad:
        return False
    total = torch.stack([value.float().sum() for value in tensors]).sum()
    try:
        return torch.autograd.grad(total, tensor, retain_graph=True, allow_unused=True)[0] is not None
    except RuntimeError as error:
        if "use_reentrant=True" not in str(error):
            raise
        return True  # such checkpoints refuse the question; what takes part in a graph most likely leads to the output


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    parts = (
        output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else vars(output).values()
    )
    return [value for value in parts if isinstance(value, Tensor)]


def _chosen(call: _Call, calls: list[_Call]) -> FeatureMap:
    later = calls[calls.index(call) + 1 :]
    tokens = next((other for other in later if other.is_tokens), None)
    if tokens is not None:
        raise ValueError(
            f"layer {tokens.name!r} gives tokens {tuple(tokens.output.shape)}, and the last feature map before it,"
            f" {call.name!r}, says little about the answer: name a layer that returns (N, K, h, w), or use saliency()"
        )
    return FeatureMap(call.name, tuple(call.output.shape[1:]), _note(call))


def _note(call: _Call) -> str:
    linear = isinstance(call.module, (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm))
    return "taken before any activation function" if linear else ""
