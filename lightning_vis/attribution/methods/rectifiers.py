"""Guided backpropagation and deconvolution: other rules for the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.records import Recorded, Requests
from lightning_vis.model.run import Pass

RECTIFIERS = frozenset(
    "relu relu_ relu6 hardtanh hardtanh_ leaky_relu leaky_relu_ prelu elu elu_ celu celu_ selu selu_"
    " gelu silu mish hardswish softplus".split()
)
"""ReLU, for which the rules were made, and what is made like it, by torch's names: steep above 0 and about flat below."""

Call = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class GuidedGradients:
    """Records of gradients that go back through each ReLU only where they are above 0, and where what had entered it is.

    Through what is like ReLU (ReLU6, leaky, GELU, SiLU, ...) they go by its own derivative, only where they are above 0. It is
    met as a module and as a function of torch, in our own passes alone; ``clamp`` and ``maximum`` are not.

    Source: J. T. Springenberg et al., 2014, "Striving for Simplicity: The All Convolutional Net".
    """

    passes: ClassVar[int] = 2
    """One of its own, which the other views cannot share."""

    def __call__(self, run: Pass, requests: Requests) -> Recorded:
        """Records as `lightning_vis.attribution.recorders.gradients` does, by this rule."""
        return _by(guided, run, requests)


@dataclass(frozen=True)
class DeconvolvedGradients:
    """Records of gradients that go back through each ReLU where they are above 0, whatever had entered it.

    Through what is like ReLU likewise, as if it were not there.

    Source: M. D. Zeiler, R. Fergus, 2014, "Visualizing and Understanding Convolutional Networks".
    """

    passes: ClassVar[int] = 2

    def __call__(self, run: Pass, requests: Requests) -> Recorded:
        """Records as `lightning_vis.attribution.recorders.gradients` does, by this rule."""
        return _by(deconvolved, run, requests)


def _by(rule: Callable[[Call, Tensor], Tensor], run: Pass, requests: Requests) -> Recorded:
    if any(isinstance(module, torch.jit.ScriptModule) for module in run.model.modules()):
        raise ValueError("a scripted network hides its ReLUs, and this method has a rule for each: it takes one run by Python")
    with _Rectified(rule) as met:  # also on the way back: where there are checkpoints the network runs once more there
        found = gradients(run, requests)
    if not met.count:
        raise ValueError("the network has no ReLU, nor anything like it: this method would give the plain gradient, saliency")
    return found


class _Rectified(TorchFunctionMode):
    """While it lasts, gradients go back by a rule through all that is called of `RECTIFIERS`."""

    def __init__(self, rule: Callable[[Call, Tensor], Tensor]) -> None:
        super().__init__()
        self._rule = rule
        self.count = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if not _is_rectifier(func, named):
            return func(*args, **named)
        self.count += 1
        given, rest = (args[0], args[1:]) if args else (named.pop("input"), ())
        return self._rule(lambda each: func(each, *rest, **named), given)


def _is_rectifier(func: Callable[..., Any], named: Mapping[str, Any]) -> bool:
    name = getattr(func, "__name__", "")
    return name in RECTIFIERS and not (name.startswith("hardtanh") and named.get("min_val") != 0)  # ReLU6 is one from 0


def guided(function: Call, given: Tensor) -> Tensor:
    """What a function makes of a tensor, on whose way back only gradients above 0 come through."""
    out = function(given)
    if out.requires_grad:
        out.register_hook(torch.relu)  # type: ignore[no-untyped-call]
    return out


def deconvolved(function: Call, given: Tensor) -> Tensor:
    """What a function makes of a tensor, on whose way back gradients above 0 pass it by."""
    copy = given.detach().clone()
    with torch.no_grad():
        value = function(copy)
    out: Tensor = _Straight.apply(given, value)  # type: ignore[no-untyped-call]
    return given.copy_(out) if value is copy else out  # in place


class _Straight(torch.autograd.Function):
    """Another value in a tensor's place; gradients above 0 go to the tensor."""

    @staticmethod
    def forward(_: Any, given: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].relu(), None
