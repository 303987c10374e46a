"""Maps that are a gradient times what it belongs to, added over channels."""

from __future__ import annotations

from torch import Tensor

from lightning_vis.attribution.maps import Recording, check_maps


def product_map(record: Recording) -> Tensor:
    """Activation (of `INPUT`: the image) times gradient, added over channels.

    Sources: A. Shrikumar et al., 2016, "Not Just a Black Box: Learning Important Features Through Propagating Activation
    Differences" (of the image: gradient x input); R. L. Draelos, L. Carin, 2020, "Use HiResCAM instead of Grad-CAM for
    faithful explanations of convolutional neural networks" (of a layer's maps: HiResCAM, without a ReLU).

    Args:
        record: ``(N, K, h, w)``.

    Returns:
        ``(N, h, w)``, signed: shares of the score, which they add up to where the score is linear in what is recorded.
    """
    check_maps(record)
    return (record.activation * record.gradient).sum(1)


def layer_cam_map(record: Recording) -> Tensor:
    """ReLU of the sum over channels of (positive part of the gradient) x activation, place by place.

    Source: P.-T. Jiang et al., 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization".

    Args:
        record: of a layer, ``(N, K, h, w)``.

    Returns:
        ``(N, h, w)``, at least 0, unscaled.
    """
    check_maps(record)
    return (record.gradient.relu() * record.activation).sum(1).relu()


def grad_cam_plus_plus_map(record: Recording) -> Tensor:
    """ReLU of the sum over channels of weight x activation; a weight is the sum of a x (positive part of the gradient).

    With g the gradient and A the activation of a channel, a = g^2 / (2 g^2 + g^3 x sum of A over places), 0 where g is 0: what
    is left of the paper's second and third derivatives where a ReLU network's score is put through an exponential. That
    exponential's own factor, one number for a whole image, is left out.

    Source: A. Chattopadhyay et al., 2018, "Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks".

    Args:
        record: of a layer, ``(N, K, h, w)``.

    Returns:
        ``(N, h, w)``, at least 0, unscaled.
    """
    check_maps(record)
    activation, gradient = record.activation.flatten(2), record.gradient.flatten(2)
    # g^2 / (2 g^2 + g^3 s) = 1 / (2 + g s): where gradients are small their squares and cubes would be 0.
    below = 2 + gradient * activation.sum(2, keepdim=True)
    share = (1 / below).where((gradient != 0) & (below != 0), 0)
    weights = (share * gradient.relu()).sum(2)
    return (weights[..., None] * activation).sum(1).relu().reshape(record.activation[:, 0].shape)
