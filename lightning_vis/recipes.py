"""How images are optimized: the steps, and recipes of ours and of others, complete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_vis.objectives import Prior, lp_norm, total_variation
from lightning_vis.parameterizations import IMAGENET_BASIS, Parameterization, fourier, normalised_basis, raw_pixels
from lightning_vis.transforms import Transform, jitter, pad, rotate, scale

Update = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""``(gradient (K, ...), state or None) -> (what is added to the parameters, new state)``; each row for itself."""


@dataclass(frozen=True)
class Recipe:
    """All that decides what a maximization looks like, beside the model and the objective.

    Attributes:
        parameterization: what the image is made of.
        transforms: size of the picture (height, width) -> the changes of the view, in order.
        update: the step along the gradient.
        priors: penalties on the image, counted in `levels`.
        steps: how many, if nobody says otherwise.
        levels: the unit of the priors: 255 where a recipe counts 0..255, else 1.
        keeps_best: the result is the image after the best step instead of the last one.
        develop: images in the unit scale -> pictures in 0..1.
    """

    parameterization: Parameterization
    transforms: Callable[[int, int], tuple[Transform, ...]]
    update: Update
    priors: tuple[Prior, ...] = ()
    steps: int = 64
    levels: float = 1.0
    keeps_best: bool = False
    develop: Callable[[Tensor], Tensor] = lambda images: images.clamp(0, 1)


def adam(rate: float, decay: float = 0.9, square_decay: float = 0.999) -> Update:
    """D. P. Kingma, J. Ba, 2014, "Adam"."""

    def update(gradient: Tensor, state: Any) -> tuple[Tensor, Any]:
        mean, square, step = state or (torch.zeros_like(gradient), torch.zeros_like(gradient), 0)
        mean = mean.lerp(gradient, 1 - decay)
        square = square.lerp(gradient * gradient, 1 - square_decay)
        unbiased = (square / (1 - square_decay ** (step + 1))).sqrt_().add_(1e-8)
        return mean / unbiased * (rate / (1 - decay ** (step + 1))), (mean, square, step + 1)

    return update


def unit_rmsprop(decay: float = 0.95) -> Update:
    """keras-vis's step: the gradient divided by its own norm, then by the running root of its squares; rate 1."""

    def update(gradient: Tensor, state: Any) -> tuple[Tensor, Any]:
        norm = gradient.flatten(1).norm(dim=1).view(-1, *[1] * (gradient.ndim - 1))
        gradient = gradient / norm.clamp_min(1e-6)
        square = (torch.zeros_like(gradient) if state is None else state) * decay + (1 - decay) * gradient**2
        return gradient / (square + 1e-7).sqrt(), square

    return update


def default_recipe() -> Recipe:
    """Ours: a Fourier image in the data's own colours, a view that moves a little, 64 steps of Adam."""
    return Recipe(fourier(), _gentle, adam(0.05))


def keras_vis() -> Recipe:
    """keras-vis's defaults: raw pixels, L6 and total variation of weight 10, the best of 200 steps of RMSProp.

    Source: R. Kotikalapudi, 2017, keras-vis.
    """
    return Recipe(
        raw_pixels(),
        lambda height, width: (),
        unit_rmsprop(),
        (lp_norm(10.0, 6.0), total_variation(10.0, 2.0)),
        steps=200,
        levels=255.0,
        keeps_best=True,
        develop=_standardised,
    )


def lucid() -> Recipe:
    """Lucid's and lucent's defaults: a Fourier image in ImageNet's colours, their transforms, 512 steps of Adam.

    Source: C. Olah, A. Mordvintsev, L. Schubert, 2017, "Feature visualization".
    """
    colours = normalised_basis(torch.tensor(IMAGENET_BASIS, dtype=torch.float64))

    def parameterization(subject: Any, generator: torch.Generator) -> Any:
        return fourier(basis=colours if subject.shape[0] == 3 else None)(subject, generator)

    return Recipe(parameterization, lambda height, width: LUCID_TRANSFORMS, adam(0.05), steps=512)


LUCID_TRANSFORMS: tuple[Transform, ...] = (
    pad(12),
    jitter(8),
    scale([1 + (step - 5) / 50 for step in range(11)]),
    rotate([*range(-10, 11), 0, 0, 0, 0, 0]),
    jitter(4),
)

PRESETS: dict[str, Callable[[], Recipe]] = {"default": default_recipe, "keras-vis": keras_vis, "lucid": lucid}


def recipe_of(preset: str | Recipe) -> Recipe:
    """A recipe by its name.

    Raises:
        ValueError: there is none of this name.
    """
    if isinstance(preset, Recipe):
        return preset
    if not isinstance(preset, str) or preset not in PRESETS:
        raise ValueError(f"preset={preset!r}: expected one of {', '.join(map(repr, PRESETS))}, or a Recipe")
    return PRESETS[preset]()


def _gentle(height: int, width: int) -> tuple[Transform, ...]:
    margin = max(1, min(height, width) // 16)
    sizes, angles = [0.95, 0.975, 1.0, 1.025, 1.05], [-5, -2.5, 0, 0, 2.5, 5]
    return pad(margin), jitter(margin), scale(sizes), rotate(angles), jitter(margin)


def _standardised(images: Tensor) -> Tensor:
    """keras-vis's ``deprocess_input``: mean 0.5, standard deviation 0.1, clipped."""
    flat = images.flatten(1)
    mean, sd = (value.view(-1, 1, 1, 1) for value in (flat.mean(1), flat.std(1, correction=0)))
    return ((images - mean) / (sd + 1e-7 / 255) * 0.1 + 0.5).clamp(0, 1)
