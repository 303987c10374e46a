"""The views of the methods that people look for by name."""

from __future__ import annotations

from lightning_vis.attribution.maps import saliency_map
from lightning_vis.attribution.methods.averages import NoisyGradients, PathGradients
from lightning_vis.attribution.methods.cells import ExchangedCells, cell_map
from lightning_vis.attribution.methods.controls import ShuffledWeights
from lightning_vis.attribution.methods.masks import ChannelScores, score_cam_map
from lightning_vis.attribution.methods.products import grad_cam_plus_plus_map, layer_cam_map, product_map
from lightning_vis.attribution.methods.rectifiers import DeconvolvedGradients, GuidedGradients
from lightning_vis.attribution.methods.rollout import attention_rollout as rolled_attention
from lightning_vis.attribution.methods.rollout import rollout_map
from lightning_vis.attribution.methods.windows import Occlusion, occlusion_map
from lightning_vis.attribution.views import View
from lightning_vis.constants import DENSITY_LIMIT, INPUT
from lightning_vis.frames import Scale
from lightning_vis.model.scores import Target

DENSITY = Scale("density", DENSITY_LIMIT)
"""Of maps in no unit that people know: drawn by their shape alone."""


WIDE = Scale("density", 5.0)
"""Of the same where places are large: a cloud is no more than some times as strong as its mean."""


PIXELS = Scale("density", DENSITY_LIMIT, signed=True)
"""Of shares of the score that single pixels have: of both signs side by side, so that no sum of them is near the score."""


PLACES = Scale(signed=True, by_area=True)
"""Of shares that a layer's places have: drawn as the score that there would be if the whole image were like one place."""


def input_x_gradient(target: Target = "predicted") -> View:
    """Which pixels' values speak for (+) or against (-) the class, as far as the score is linear in them.

    The image's zero, which gets no share, is the model's own: the mean colour where images are normalised.

    Source: A. Shrikumar et al., 2016, "Not Just a Black Box".

    Args:
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.methods.products.product_map`; it shares the one pass.
    """
    return View("input_x_gradient", (INPUT,), product_map, target=target, scale=PIXELS, title="input x gradient")


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
    return View("hires_cam", (layer,), product_map, target=target, scale=PLACES, title="HiResCAM")


def layer_cam(layer: str | None = None, target: Target = "predicted") -> View:
    """Each place weighted by its own positive gradient, fit for early layers too (P.-T. Jiang et al., 2021, "LayerCAM").

    Args:
        layer: as of `lightning_vis.attribution.views.grad_cam`.
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.methods.products.layer_cam_map`; it shares the one pass.
    """
    return View("layer_cam", (layer,), layer_cam_map, target=target, scale=Scale(by_area=True), title="LayerCAM")


def smooth_grad(target: Target = "predicted") -> View:
    """Saliency averaged over 50 noisy copies of each image; captum's NoiseTunnel (D. Smilkov et al., 2017, "SmoothGrad").

    The noise is 0.15 of the image's contrast, and the same at every look. Gradients are averaged with their signs, as in the
    paper. It takes 51 passes, so that a training has it at spaced looks.

    Args:
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.maps.saliency_map`.
    """
    recorder = NoisyGradients()
    return View("smooth_grad", (INPUT,), saliency_map, recorder, target, scale=DENSITY, title="SmoothGrad")


def integrated_gradients(target: Target = "predicted") -> View:
    """Shares of the score's rise from an empty image to this one (M. Sundararajan, A. Taly, Q. Yan, 2017).

    The shares add up to the rise; how nearly they do is told as ``attribution/integrated_gradients/completeness``, 1 = entirely.
    The empty image is the model's zero, 50 steps lead from it. It takes 52 passes, so that a training has it at spaced looks.

    Args:
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.methods.products.product_map`.
    """
    recorder = PathGradients()
    return View("integrated_gradients", (INPUT,), product_map, recorder, target, scale=PIXELS, title="integrated gradients")


def occlusion(target: Target = "predicted") -> View:
    """How far the score falls where a window lies over the image (M. D. Zeiler, R. Fergus, 2014).

    The window is a quarter of the image wide and high, filled with the model's zero. It takes at most 50 passes, so that a
    training has it at spaced looks.

    Args:
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.methods.windows.occlusion_map`.
    """
    return View("occlusion", (INPUT,), occlusion_map, Occlusion(), target, scale=Scale(signed=True), title="occlusion")


def exchange_map(target: Target = "label") -> View:
    """What each of 7 x 7 cells adds to the score in the place of that of an image of another class; to be read as a whole.

    No gradient is asked: it is for networks of which evidence explains little. A single cell is half noise, so that each is
    shared with its neighbours, and what lies on the object or around it is seen, no spot. The shares add up to what sets the
    image apart from its donors, two images of the probe; how nearly is told as ``attribution/exchange_map/completeness``, 1 =
    entirely. It takes 257 passes, so that a training has it at its last look.

    Args:
        target: the explained class; the label by default, the predicted class where there are no labels.

    Returns:
        A view of `lightning_vis.attribution.methods.cells.cell_map`.
    """
    recorder = ExchangedCells()
    return View("exchange_map", (INPUT,), cell_map, recorder, target, PLACES, "exchange map", usual_target="label")


def score_cam(layer: str | None = None, target: Target = "predicted") -> View:
    """Channels weighted by what the image scores where they are active, without gradients (H. Wang et al., 2020, "Score-CAM").

    It takes a pass for each channel, of the 64 that vary most if there are more, so that a training has it at spaced looks.

    Args:
        layer: as of `lightning_vis.attribution.views.grad_cam`.
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.methods.masks.score_cam_map`.
    """
    return View("score_cam", (layer,), score_cam_map, ChannelScores(), target, scale=WIDE, title="Score-CAM")


def guided_backprop(target: Target = "predicted") -> View:
    """Gradients that pass each ReLU where they are above 0 and it was active (J. T. Springenberg et al., 2014).

    Its maps are known to stay much as they are where the weights of upper layers are random (J. Adebayo et al., 2018): beside it
    stands the same of shuffled weights, and a note says how alike the two are.

    Args:
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.maps.saliency_map`.
    """
    recorder = GuidedGradients()
    control = ShuffledWeights(recorder)
    return View("guided_backprop", (INPUT,), saliency_map, recorder, target, DENSITY, "guided backprop", control=control)


def deconvolution(target: Target = "predicted") -> View:
    """Gradients that pass each ReLU where they are above 0, active or not; captum's Deconvolution (M. D. Zeiler, R. Fergus, 2014).

    Its maps are known to stay much as they are where the weights of upper layers are random (J. Adebayo et al., 2018): beside it
    stands the same of shuffled weights, and a note says how alike the two are.

    Args:
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.maps.saliency_map`.
    """
    recorder = DeconvolvedGradients()
    control = ShuffledWeights(recorder)
    return View("deconvolution", (INPUT,), saliency_map, recorder, target, DENSITY, "deconvolution", control=control)


def attention_rollout(layer: str | None = None, target: Target = "predicted") -> View:
    """Where attention leads from the patches to the answer, blind to what is explained (S. Abnar, W. Zuidema, 2020).

    It takes a transformer in which every patch may attend to every other, and a pass of its own.

    Args:
        layer: whose grid the map has, as of `lightning_vis.attribution.views.grad_cam`.
        target: named under the map, and of no effect on it.

    Returns:
        A view of `lightning_vis.attribution.methods.rollout.rollout_map`.
    """
    return View("attention_rollout", (layer,), rollout_map, rolled_attention, target, WIDE, "attention rollout")
