"""Gradient ascent on a batch of images, with redirected ReLU gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from lightning_vis.maximization.objectives import Objective, Prior
from lightning_vis.maximization.parameterizations import Canvas
from lightning_vis.maximization.presets import Recipe
from lightning_vis.maximization.transforms import Transform, resized_views
from lightning_vis.model.truncated import Activation, saved_bytes

RESCUE_STEPS = 16
"""For so many steps a gradient is let through shut rectifiers, as Lucid does."""


@dataclass(frozen=True)
class AscentConfig:
    """One optimization, whatever its rows."""

    activation: Activation
    objective: Objective
    recipe: Recipe
    canvas: Canvas
    to_input: Callable[[Tensor], Tensor]
    transforms: tuple[Transform, ...]
    size: tuple[int, int]
    seed: int


@dataclass(frozen=True)
class AscentResult:
    """What some rows gave: images in the unit scale, the objective reached and on the way, and what was shut last."""

    images: Tensor
    reached: Tensor
    history: Tensor
    shut: Tensor


class UnreachedError(ValueError):
    """The objective does not depend on the image."""


def rows_at_once(task: AscentConfig, memory: int) -> int:
    """Row k is the same in any company, so that memory alone decides."""
    with torch.enable_grad():
        image = task.to_input(task.canvas.paint(task.canvas.start.clone().requires_grad_()))
        return max(1, memory // max(1, saved_bytes(task.activation, resized_views(image, *task.size))))


def ascend(task: AscentConfig, wanted: Tensor) -> AscentResult:
    """Climbs from the start, one row for each of the directions wanted ``(K, C)``."""
    parameters = task.canvas.start.expand(len(wanted), *task.canvas.start.shape[1:]).clone()
    best, best_gain = parameters, torch.full_like(wanted[:, 0], float("-inf"))
    state, history, shut = None, [], torch.zeros_like(best_gain, dtype=torch.bool)
    for step in range(task.recipe.steps):
        gradient, shut, value, gain = _differentiated(task, parameters, wanted, step)
        if step < RESCUE_STEPS and shut.any():
            with RedirectedReLU(shut):
                redirected, *_ = _differentiated(task, parameters, wanted, step)
            gradient = torch.where(_like(shut, gradient), redirected, gradient)
        change, state = task.recipe.update(gradient.nan_to_num(0.0, 0.0, 0.0), state)
        parameters = parameters + change
        best = torch.where(_like(gain > best_gain, parameters), parameters, best)
        best_gain = best_gain.maximum(gain)
        history.append(value)
    with torch.no_grad():
        images = task.canvas.paint(best if task.recipe.keeps_best else parameters)
        reached = task.objective(task.activation(task.to_input(images)).to(wanted), wanted)
    return AscentResult(images, reached, torch.stack(history), shut)


def _differentiated(task: AscentConfig, parameters: Tensor, wanted: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradient for the parameters, which rows have none but the priors', the objective, and it less the priors."""
    parameters = parameters.detach().requires_grad_()
    generator = torch.Generator().manual_seed(task.seed * 1_000_003 + step)
    with torch.enable_grad():
        images = view = task.canvas.paint(parameters)
        for transform in task.transforms:
            view = transform(view, generator)
        output = task.activation(task.to_input(resized_views(view, *task.size)))
        value = task.objective(output.to(wanted), wanted)
        judged = task.to_input(images).to(images) if task.recipe.priors_on_input else images
        penalties = [_penalty(prior, judged) for prior in task.recipe.priors]
    if not value.requires_grad:
        raise UnreachedError("the objective does not depend on the image through gradients")
    (gradient,) = torch.autograd.grad(value.sum(), parameters, retain_graph=bool(penalties))  # both paint the same image
    shut = _is_zero(gradient)
    if penalties:
        (against,) = torch.autograd.grad(sum(penalties, torch.zeros_like(value)).sum(), parameters)
        gradient = gradient - against
    return gradient, shut, value.detach(), value.detach() - sum(each.detach() for each in penalties)


def _penalty(prior: Prior, images: Tensor) -> Tensor:
    found = prior(images)
    if getattr(found, "shape", None) != (len(images),):
        given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"priors= returned {given} for {len(images)} images: one number per image")
    return found


def _is_zero(gradient: Tensor) -> Tensor:
    return gradient.flatten(1).abs().amax(1) == 0


def _like(rows: Tensor, values: Tensor) -> Tensor:
    return rows.view(-1, *[1] * (values.ndim - 1))


class RedirectedReLU(TorchFunctionMode):
    """Within it, the ReLUs of some rows let a gradient pass that would open them, where none gets through otherwise.

    Values stay what they are, and so do the gradients of all other rows.

    Source: Lucid, ``misc/redirected_relu_grad.py``.

    Args:
        rows: ``(K,)`` bool, the rows of the batch that need it.
    """

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = rows

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Replaces ReLU and ReLU6, under all their names."""
        kwargs = dict(kwargs or {})
        top = _CUT[function](*args, **kwargs) if function in _CUT else _RECTIFIERS.get(function)
        values = args[0] if args else None
        if top is None or not isinstance(values, Tensor) or not values.ndim or len(values) != len(self.rows):
            return function(*args, **kwargs)
        in_place = function in _IN_PLACE or kwargs.get("inplace", args[-1] is True)
        apply: Any = _Redirected.apply
        return apply(args[0], self.rows, top, bool(in_place))


class _Redirected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: Tensor, top: float, in_place: bool) -> Tensor:
        ctx.save_for_backward(values < 0, values > top, rows)
        if in_place:
            ctx.mark_dirty(values)
            return values.clamp_(0, top)
        return values.clamp(0, top)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = gradients
        below, above, rows = ctx.saved_tensors
        passed = gradient.masked_fill(below | above, 0)
        shut = rows & (passed.flatten(1).abs().amax(1) == 0)
        # The objective rises along the gradient: one that pushes what is shut further down is no help.
        opening = gradient.masked_fill((below & (gradient < 0)) | (above & (gradient > 0)), 0)
        return torch.where(shut.view(-1, *[1] * (gradient.ndim - 1)), opening, passed), None, None, None


def _hardtanh_top(values: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False, **_: Any) -> float | None:
    """Where a hardtanh that rectifies ends (``nn.ReLU6`` calls one); None if it is another."""
    return max_val if min_val == 0 else None


def _clamp_top(values: Any, min: Any = None, max: Any = None, **_: Any) -> float | None:
    """Likewise of a clamp."""
    rectifies = isinstance(min, (int, float)) and min == 0 and not isinstance(max, Tensor)
    return (float("inf") if max is None else float(max)) if rectifies else None


_CUT: dict[Any, Callable[..., float | None]] = {
    F.hardtanh: _hardtanh_top,
    **dict.fromkeys((torch.clamp, Tensor.clamp, torch.clamp_, Tensor.clamp_), _clamp_top),
    **dict.fromkeys((torch.clamp_min, Tensor.clamp_min, torch.clamp_min_, Tensor.clamp_min_), _clamp_top),
}


_IN_PLACE = (torch.relu_, Tensor.relu_, torch.clamp_, Tensor.clamp_, torch.clamp_min_, Tensor.clamp_min_)


_RECTIFIERS: dict[Any, float] = {
    **dict.fromkeys((F.relu, torch.relu, Tensor.relu, torch.relu_, Tensor.relu_), float("inf")),
    F.relu6: 6.0,
}
