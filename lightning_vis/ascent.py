"""Climb: the optimization itself, a batch of images up one objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_vis.objectives import Objective, Prior
from lightning_vis.parameterizations import Canvas
from lightning_vis.recipes import Recipe
from lightning_vis.rescue import RedirectedReLU
from lightning_vis.transforms import Transform, resized
from lightning_vis.truncation import Activation, saved_bytes

RESCUE_STEPS = 16
"""For so many steps a gradient is let through shut rectifiers, as Lucid does."""


@dataclass(frozen=True)
class Task:
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
class Part:
    """What some rows gave: images in the unit scale, the objective reached and on the way, and what was shut last."""

    images: Tensor
    reached: Tensor
    history: Tensor
    shut: Tensor


def rows_at_once(task: Task, memory: int) -> int:
    """Row k is the same in any company, so that memory alone decides."""
    with torch.enable_grad():
        image = task.to_input(task.canvas.paint(task.canvas.start.clone().requires_grad_()))
        return max(1, memory // max(1, saved_bytes(task.activation, resized(image, *task.size))))


def ascend(task: Task, wanted: Tensor) -> Part:
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
    return Part(images, reached, torch.stack(history), shut)


def _differentiated(task: Task, parameters: Tensor, wanted: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradient for the parameters, which rows have none but the priors', the objective, and it less the priors."""
    parameters = parameters.detach().requires_grad_()
    generator = torch.Generator().manual_seed(task.seed * 1_000_003 + step)
    with torch.enable_grad():
        images = view = task.canvas.paint(parameters)
        for transform in task.transforms:
            view = transform(view, generator)
        output = task.activation(task.to_input(resized(view, *task.size)))
        value = task.objective(output.to(wanted), wanted)
        judged = task.to_input(images).to(images) if task.recipe.priors_on_input else images
        penalties = [_penalty(prior, judged) for prior in task.recipe.priors]
    if not value.requires_grad:
        raise ValueError(
            "the objective does not depend on the image through gradients (is the model's forward wrapped in no_grad?)"
        )
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
