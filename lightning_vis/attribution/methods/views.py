"""The views of the methods that people look for by name."""

from __future__ import annotations

from lightning_vis.attribution.methods.products import grad_cam_plus_plus_map, layer_cam_map, product_map
from lightning_vis.attribution.views import View
from lightning_vis.constants import INPUT
from lightning_vis.frames import Scale
from lightning_vis.model.scores import Target

SHARES = Scale(signed=True, by_area=True)
"""Of maps that are shares of the score: drawn as the score that there would be if the whole image were like one place."""


def input_x_gradient(target: Target = "predicted") -> View:
    """Which pixels' values speak for (+) or against (-) the class, as far as the score is linear in them.

    The image's zero, which gets no share, is the model's own: the mean colour where images are normalised.

    Source: A. Shrikumar et al., 2016, "Not Just a Black Box".

    Args:
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.methods.products.product_map`; it shares the one pass.
    """
    return View("input_x_gradient", (INPUT,), product_map, target=target, scale=SHARES, title="input x gradient")


def grad_cam_plus_plus(layer: str | None = None, target: Target = "predicted") -> View:
    """Grad-CAM whose weights count places by how they raise the score (A. Chattopadhyay et al., 2018, "Grad-CAM++").

    Args:
        layer: as of `lightning_vis.attribution.views.grad_cam`.
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.methods.products.grad_cam_plus_plus_map`; it shares the one pass.
    """
    return View("grad_cam_plus_plus", (layer,), grad_cam_plus_plus_map, target=target, title="Grad-CAM++")


def hires_cam(layer: str | None = None, target: Target = "predicted") -> View:
    """Each place's own share of the score, for (+) and against (-): no mean over places (R. L. Draelos, L. Carin, 2020).

    Args:
        layer: as of `lightning_vis.attribution.views.grad_cam`.
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.methods.products.product_map`; it shares the one pass.
    """
    return View("hires_cam", (layer,), product_map, target=target, scale=SHARES, title="HiResCAM")


def layer_cam(layer: str | None = None, target: Target = "predicted") -> View:
    """Each place weighted by its own positive gradient, fit for early layers too (P.-T. Jiang et al., 2021, "LayerCAM").

    Args:
        layer: as of `lightning_vis.attribution.views.grad_cam`.
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.methods.products.layer_cam_map`; it shares the one pass.
    """
    return View("layer_cam", (layer,), layer_cam_map, target=target, scale=Scale(by_area=True), title="LayerCAM")
