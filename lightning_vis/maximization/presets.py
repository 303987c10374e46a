"""Presets: complete recipes of ours, of keras-vis and of Lucid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_vis.maximization.objectives import Prior, lp_norm, total_variation
from lightning_vis.maximization.parameterizations import IMAGENET_BASIS, Parameterization, fourier, normalised_basis, raw_pixels
from lightning_vis.maximization.transforms import Transform, jitter, pad, rotate, scale

Update = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""``(gradient (K, ...), state or None) -> (what is added to the parameters, new state)``; each row for itself."""


@dataclass(frozen=True)
class Recipe:
    """All that decides what a maximization looks like, beside the model and the objective.

    Attributes:
        parameterization: what the image is made of.
        transforms: size of the picture (height, width) -> the changes of the view, in order.
        update: the step along the gradient.
        priors: penalties on the image.
        priors_on_input: the priors see the image in the model's input scale, as in keras-vis; else in 0..1, so that
            their weights mean the same for every model.
        steps: how many, if nobody says otherwise.
        keeps_best: the result is the image after the best step instead of the last one.
        develop: images in the unit scale -> pictures in 0..1.
    """

    parameterization: Parameterization
    transforms: Callable[[int, int], tuple[Transform, ...]]
    update: Update
    priors: tuple[Prior, ...] = ()
    priors_on_input: bool = False
    steps: int = 64
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
    """keras-vis's step: the gradient over its own root mean square, then over the running root of its squares; rate 1.

    Source: keras-vis 0.4.1, ``vis/optimizer.py``.
    """

    def update(gradient: Tensor, state: Any) -> tuple[Tensor, Any]:
        size = gradient.flatten(1).square().mean(1).sqrt().view(-1, *[1] * (gradient.ndim - 1))
        gradient = gradient / (size + 1e-7)
        square = (torch.zeros_like(gradient) if state is None else state) * decay + (1 - decay) * gradient**2
        return gradient / (square + 1e-7).sqrt(), square

    return update


def default_recipe() -> Recipe:
    """Ours: a Fourier image in the data's own colours, a view that moves a little, 64 steps of Adam."""
    return Recipe(fourier(), _gentle, adam(0.05))


def keras_vis() -> Recipe:
    """keras-vis's defaults: raw pixels, L6 and total variation of weight 10, the best of 200 steps of RMSProp.

    It is ``visualize_activation(..., input_range=...)`` with the model's own range. Steps have the size 1 and the
    priors' weights were chosen for the inputs 0..255 and the large activations of VGG16: on a model of another range the
    image leaves that range (class scores of small digits: activation 1360 at pixels from -177 to 227), and a channel
    with small activations drowns in the priors (10 of 10 below what images reach). Its author advises to tune the weights.

    Source: R. Kotikalapudi, 2017, keras-vis 0.4.1.
    """
    return Recipe(
        raw_pixels(),
        lambda height, width: (),
        unit_rmsprop(),
        (lp_norm(10.0, 6.0), total_variation(10.0, 2.0)),
        priors_on_input=True,
        steps=200,
        keeps_best=True,
        develop=_standardised,
    )


def lucid() -> Recipe:
    """Lucid's and lucent's defaults: a Fourier image in ImageNet's colours, their transforms, 512 steps of Adam.

    Where the two differ: sizes are cut as in Lucid, the inverse transform of odd widths and Adam's epsilon are lucent's.
    Other than both, rotations continue the image's edge outwards, where they paint black, and the view is brought back to
    the picture's own size, because many networks take no other.

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


def preset_of(preset: str | Recipe) -> Recipe:
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
    margin = min(height, width) // 16
    if not margin:
        return ()  # of what one neuron of a first layer sees, the smallest move is half the picture
    sizes, angles = [0.95, 0.975, 1.0, 1.025, 1.05], [-5, -2.5, 0, 0, 2.5, 5]
    return pad(margin), jitter(margin), scale(sizes), rotate(angles), jitter(margin)


def _standardised(images: Tensor) -> Tensor:
    """keras-vis's ``deprocess_input``: mean 0.5, standard deviation 0.1, clipped."""
    flat = images.flatten(1)
    mean, sd = (value.view(-1, 1, 1, 1) for value in (flat.mean(1), flat.std(1, correction=0)))
    return ((images - mean) / (sd + 1e-7) * 0.1 + 0.5).clamp(0, 1)
