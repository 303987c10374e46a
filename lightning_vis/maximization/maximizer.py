"""`maximize`: images that excite channels and classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.maximization.arguments import channels_of, images_of, normalisation_of, objective_of, recipe_for, size_of
from lightning_vis.maximization.ascent import AscentConfig, AscentResult, UnreachedError, ascend, rows_at_once
from lightning_vis.maximization.objectives import Objective, Prior, directions, map_size, neuron
from lightning_vis.maximization.parameterizations import Parameterization, Subject, bounds, colour_basis
from lightning_vis.maximization.presets import Recipe
from lightning_vis.maximization.receptive_field import receptive_window
from lightning_vis.maximization.transforms import Transform
from lightning_vis.model.run import on_model
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.model.truncated import Activation, activation_of, channels_last, opened


@dataclass(frozen=True)
class Maximized:
    """One image per channel; row k depends on channel k alone, but for rounding.

    Which the ascent enlarges: in float32 the kernels differ with the size of the batch, and 64 steps later so do the pictures,
    in where they show what they show, and by some percent in what they reach. The same call gives the same pictures.

    Attributes:
        images: ``(K, C, H, W)`` in the model's input scale.
        pictures: the same in 0..1, to be shown.
        channels: what row k excites.
        activation: ``(K,)`` the objective that the image reaches, without transforms and priors, in the layer's units.
        on_images: ``(K,)`` the highest objective among the images given.
        history: ``(steps, K)`` the objective before each step, under that step's transforms.
        dead: ``(K,)`` bool: the same on all images given and on its own, and no gradient has opened it.
    """

    images: Tensor
    pictures: Tensor
    channels: tuple[int | tuple[int, ...], ...]
    activation: Tensor
    on_images: Tensor
    history: Tensor
    dead: Tensor


def maximize(
    model: nn.Module,
    layer: str,
    channels: int | Sequence[int | Sequence[int]],
    images: Tensor,
    *,
    objective: Objective | None = None,
    preset: str | Recipe = "default",
    parameterization: Parameterization | None = None,
    transforms: Sequence[Transform] | None = None,
    priors: Sequence[Prior] | None = None,
    steps: int | None = None,
    size: tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    seed: int = 0,
    forward: Callable[[Tensor], Any] | None = None,
    memory: int = 2**30,
) -> Maximized:
    """Images that excite channels of a layer, or classes, as much as they can. The model is left exactly as it was.

    All images are optimized at once from one random start, the forward pass stops at the layer, and gradients are taken
    for the images only. The same seed gives the same images.

    Source: D. Erhan et al., 2009, "Visualizing higher-layer features of a deep network"; C. Olah, A. Mordvintsev,
    L. Schubert, 2017, "Feature visualization".

    Args:
        model: any network, on any device.
        layer: dotted name of a layer that returns ``(N, K)``, maps ``(N, K, h, w)``, channels last or tokens,
            ``"avgpool:input"`` for what enters one, or `OUTPUT` for the class scores; of one that is called several times,
            the first call counts.
        channels: an index per picture (or several, for a picture that is to excite all of them), or how many from 0 on.
        images: ``(N, C, H, W)`` images that the network takes, in its input scale: they give size, colours and, without
            mean and std, the range; and what channels reach on them is what the pictures are compared with.
        objective: what is to rise: `channel` (the mean over the map), `neuron`, for classes `log_odds`, or your own
            ``(activation (K, C, ...), directions (K, C)) -> (K,)``; None: `channel`, and for classes `log_odds`. They are
            in `lightning_vis.maximization.objectives`.
        preset: ``"default"``, ``"keras-vis"``, ``"lucid"`` or a `Recipe`; the arguments below replace parts of it.
        parameterization: what the images are made of: `fourier()`, `pixels()`, ... of `lightning_vis.maximization.parameterizations`.
        transforms: random changes of the view, a list: `jitter(4)`, `rotate([-5, 5])`, ... of `lightning_vis.maximization.transforms`;
            ``[]`` for none.
        priors: penalties, a list: `total_variation(1.0)`, `lp_norm(1.0)` of `lightning_vis.maximization.objectives`, or
            ``images (K, C, H, W) -> (K,)``.
        steps: of the optimization.
        size: height and width of the pictures; those of `images` if None. `neuron` crops to what the neuron sees.
        mean: per channel, of the normalisation that the model expects: (picture - mean) / std.
        std: per channel.
        seed: of the start and the transforms.
        forward: how to run the model, if not by calling it.
        memory: bytes that one forward pass may keep for its backward pass; more pictures are made in several goes.

    Returns:
        A `Maximized`: ``.pictures`` ``(K, C, H, W)`` in 0..1 are to be shown, ``.activation`` is what they reach,
        ``.on_images`` the most that one of `images` reaches, ``.dead`` what nothing excites.

    Raises:
        ValueError: the layer does not exist or gives no usable output, channels are out of range, arguments do not fit.
        TypeError: arguments of another kind.
    """
    images, named, size, normalisation = images_of(images), channels_of(channels), size_of(size), normalisation_of(mean, std)
    recipe = recipe_for(preset, parameterization, transforms, priors, steps)
    aim = objective_of(objective, layer)
    with preserve_state(model, copied=memory // 4):  # thousands of operations: watching each would cost more than a copy
        model.requires_grad_(False)  # taken back by preserve_state
        torch.manual_seed(seed)  # of layers that draw in eval mode too; likewise
        images = on_model(model, images)

        def climb(run: Callable[[Tensor], Any]) -> Maximized:
            activation = channels_last(model, activation_of(model, layer, images, run), images)
            wanted, on_images = _on_images(activation, images, named, aim)
            objective, shape = _cropped(activation, images, aim, size)
            task = _task(activation, objective, recipe, images, shape, normalisation, seed)
            rows = _rows_at_once(task, memory, layer, images)
            return _collected([ascend(task, part) for part in torch.split(wanted, rows)], task, on_images, named)

        return _seen_through(climb, lambda: opened(model, layer, images, forward or model), forward or model)


def _seen_through(
    climb: Callable[[Callable[[Tensor], Any]], Maximized],
    find: Callable[[], tuple[Callable[[Tensor], Any], str]],
    forward: Callable[[Tensor], Any],
) -> Maximized:
    """The ascent, once more through what keeps its first gradient from the image, if anything does."""
    try:
        return climb(forward)
    except UnreachedError as error:
        run, why = find()
        if run is forward:
            raise UnreachedError(why or str(error)) from error
        return climb(run)


def _on_images(
    activation: Activation, images: Tensor, channels: Sequence[int | tuple[int, ...]], objective: Objective
) -> tuple[Tensor, Tensor]:
    """The directions ``(K, C)``, and what the objective is on the images ``(N, K)``."""
    with torch.no_grad():
        found = activation(images).float()
    wanted = directions(channels, found.shape[1]).to(found)
    columns = [objective(found, row.expand(len(found), -1)) for row in wanted]
    if columns[0].shape != (len(found),):
        given = tuple(columns[0].shape)
        raise ValueError(f"objective= returned shape {given} for {len(found)} images: one number per image")
    return wanted, torch.stack(columns, 1)


def _cropped(
    activation: Activation, images: Tensor, objective: Objective, size: tuple[int, int] | None
) -> tuple[Objective, tuple[int, int, int]]:
    """For a neuron: the same neuron on no more of the image than it sees."""
    count = images.shape[1]
    height, width = size or (images.shape[2], images.shape[3])
    if not hasattr(objective, "position"):
        return objective, (count, height, width)
    blank = torch.zeros(1, count, height, width).to(images)
    with torch.no_grad():
        rows, columns = map_size(activation(blank))
    row, column = objective.position
    row, column = rows // 2 if row is None else row, columns // 2 if column is None else column
    window = receptive_window(activation, blank, row, column)
    return neuron(window.row, window.column), (count, window.height, window.width)


def _task(
    activation: Activation,
    objective: Objective,
    recipe: Recipe,
    images: Tensor,
    shape: tuple[int, int, int],
    normalisation: tuple[Sequence[float] | None, Sequence[float] | None],
    seed: int,
) -> AscentConfig:
    low, high = bounds(images, *normalisation)
    working = torch.promote_types(images.dtype, torch.float32)
    basis = colour_basis((images.to(working) - low) / (high - low))
    canvas = recipe.parameterization(Subject(shape, basis, high - low), torch.Generator().manual_seed(seed))
    return AscentConfig(
        activation,
        objective,
        recipe,
        replace(canvas, start=canvas.start.to(images.device, working)),
        lambda unit: (low + unit * (high - low)).to(images.dtype),
        recipe.transforms(*shape[1:]),
        shape[1:],
        seed,
    )


def _rows_at_once(task: AscentConfig, memory: int, layer: str, images: Tensor) -> int:
    """As `rows_at_once`, which is the first to run the network on images of the size wanted."""
    try:
        return rows_at_once(task, memory)
    except RuntimeError as error:
        if task.size == images.shape[2:]:
            raise
        (height, width), reason = task.size, str(error).partition("\n")[0]
        raise ValueError(
            f"size={task.size}: the network takes {images.shape[2]} x {images.shape[3]} images, but gets not as far as"
            f" {layer!r} with {height} x {width}: {reason}"
        ) from error


def _collected(
    parts: list[AscentResult], task: AscentConfig, on_images: Tensor, channels: list[int | tuple[int, ...]]
) -> Maximized:
    images, reached = (torch.cat([getattr(part, name) for part in parts]).cpu() for name in ("images", "reached"))
    shut = torch.cat([part.shut for part in parts]).cpu()
    on_images = on_images.cpu()
    return Maximized(
        images=torch.cat([task.to_input(part.images) for part in parts]).cpu(),
        pictures=task.recipe.develop(images).float(),
        channels=tuple(channels),
        activation=reached,
        on_images=on_images.amax(0),
        history=torch.cat([part.history for part in parts], 1).cpu(),
        dead=shut & (on_images == reached).all(0),
    )
