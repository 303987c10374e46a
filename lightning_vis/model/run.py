"""How a model is run: forward, device, precision, context, chunks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lightning_vis.model.scores import Score, log_odds


@dataclass(frozen=True)
class Pass:
    """One model and one batch, ready to be run by a recorder.

    Attributes:
        model: in eval mode, lent by `preserve_state`.
        images: ``(N, C, H, W)`` in the model's input scale, on its device.
        labels: ``(N,)`` true classes, if known.
        forward: images -> output.
        score: ``(output, classes) -> (N,)``.
        context: makes the context that forward runs in.
    """

    model: nn.Module
    images: Tensor
    forward: Callable[[Tensor], Any]
    labels: Tensor | None = None
    score: Score = log_odds
    context: Callable[[], AbstractContextManager[Any]] = nullcontext


@dataclass(frozen=True)
class ForwardConfig:
    """How a model is run: by what function, to what score, in what context, converted how, in chunks of what size."""

    forward: Callable[[Tensor], Any] | None = None
    score: Score = log_odds
    context: Callable[[], AbstractContextManager[Any]] = nullcontext
    convert: Callable[[Tensor], Tensor] | None = None
    chunk_size: int | None = None

    def prepare(self, model: nn.Module, images: Tensor, labels: Tensor | None = None) -> Pass:
        """Images on the model's device and in its precision."""
        return prepare(model, images, labels, self.forward, self.score, self.context, self.convert)


def prepare(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    forward: Callable[[Tensor], Any] | None = None,
    score: Score = log_odds,
    context: Callable[[], AbstractContextManager[Any]] = nullcontext,
    convert: Callable[[Tensor], Tensor] | None = None,
) -> Pass:
    """A `Pass` whose images are on the model's device and of its floating type."""
    return Pass(model, on_model(model, images, convert), forward or model, labels, score, context)


def on_model(model: nn.Module, images: Tensor, convert: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Images on the model's device, in the type of its weights, or as `convert` converts them."""
    weight = next((value for value in model.parameters() if value.is_floating_point()), None)
    if weight is None:
        return images.detach()
    images = images.detach().to(weight.device)
    return images.to(weight.dtype) if convert is None else convert(images)
