"""Background and object effects of twins: probabilities in, numbers out.

Probabilities of twins are ``(N, K, R, C)``: object, kind of background, plate of that kind, class. Swapping
backgrounds is the idea of K. Xiao, L. Engstrom, A. Ilyas, A. Madry, 2020, "Noise or Signal: The Role of Image
Backgrounds in Object Recognition"; probabilities stand here for their accuracies: they move before the answer flips.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Distance = Callable[[Tensor, Tensor], Tensor]
"""Between two answers, over their last dimension."""


FLOOR = 0.5
"""The least denominator of the share: a network that says nothing yet is not reliant on anything."""


def background_effects(probabilities: Tensor, typical: Tensor) -> Tensor:
    """How much more probable the class typical of a background is on it than on the others, for each object.

    Args:
        probabilities: ``(N, K, R, C)``.
        typical: ``(K,)`` the class typical of each kind of background.

    Returns:
        ``(N,)`` in -1..1, the mean over kinds; positive where the answer follows the background.
    """
    tracked = probabilities.mean(2)[:, :, typical]  # (N, kind it stands on, kind whose class is asked for)
    rivals = (typical[:, None] != typical[None, :]).to(tracked.dtype)
    elsewhere = (tracked * rivals).sum(1) / rivals.sum(0)
    return (tracked.diagonal(dim1=1, dim2=2) - elsewhere).mean(1)


def object_effects(probabilities: Tensor, labels: Tensor) -> Tensor:
    """How much more probable an object's class is for it than for objects of other classes, on the same backgrounds.

    Args:
        probabilities: ``(N, K, R, C)``.
        labels: ``(N,)`` the objects' classes.

    Returns:
        ``(N,)`` in -1..1; positive where the answer follows the object; NaN if all objects are of one class.
    """
    tracked = probabilities.mean(dim=(1, 2))[:, labels]  # (object shown, object whose class is asked for)
    rivals = (labels[:, None] != labels[None, :]).to(tracked.dtype)
    return tracked.diagonal() - (tracked * rivals).sum(0) / rivals.sum(0)


def total_variation(one: Tensor, other: Tensor) -> Tensor:
    """Half the summed difference of two distributions over the last dimension: 0 = the same answer, 1 = another one."""
    return (one - other).abs().sum(-1) / 2


def cosine_distance(one: Tensor, other: Tensor) -> Tensor:
    """1 minus the cosine of two vectors of length one: 0 = the same direction, 1 = none in common, 2 = the opposite one."""
    return 1 - (one * other).sum(-1)


def variation_of_backgrounds(probabilities: Tensor, distance: Distance = total_variation) -> tuple[Tensor, Tensor]:
    """Total variation between kinds of background and within a kind, for each object: ``(N,)`` each.

    Args:
        probabilities: ``(N, K, R, C)`` with K and R at least 2.
        distance: another one, of answers that are no probabilities.
    """
    _, kinds, plates, _ = probabilities.shape
    flat = probabilities.flatten(1, 2)
    distances = distance(flat[:, :, None], flat[:, None])
    kind = torch.arange(kinds, device=flat.device).repeat_interleave(plates)
    same = kind[:, None] == kind[None, :]
    itself = torch.eye(len(kind), dtype=torch.bool, device=flat.device)
    within = distances[:, same & ~itself].mean(1) if plates > 1 else torch.zeros(len(distances), device=flat.device)
    return distances[:, ~same].mean(1), within


def variation_of_objects(probabilities: Tensor, labels: Tensor, distance: Distance = total_variation) -> tuple[Tensor, Tensor]:
    """Total variation between objects of different classes and of one class, on one kind of background: ``(N,)`` each.

    Args:
        probabilities: ``(N, K, R, C)``.
        labels: ``(N,)``; NaN where an object has no other of its class, or none of another class.
        distance: another one.
    """
    return between_objects(distance(probabilities[:, None], probabilities[None]).mean(dim=(2, 3)), labels)


def between_objects(distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Of distances ``(N, N)`` of objects the mean to those of other classes and to the others of its own, ``(N,)`` each."""
    same = labels[:, None] == labels[None, :]
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return _mean_where(distances, ~same), _mean_where(distances, same & ~itself)


def background_share(background: float, obj: float) -> float:
    """The background's part of both effects, 0..1; near 0 while neither moves the answer."""
    return abs(background) / max(abs(background) + abs(obj), FLOOR)


def twin_numbers(probabilities: Tensor, labels: Tensor, typical: Tensor | None) -> tuple[dict[str, float], Tensor]:
    """All that the twins alone say, by tag, and the background effect of each object ``(N,)``.

    With `typical` effects are differences of a class's probability; without it, total variation between kinds (between
    classes of objects) minus that within one.

    Args:
        probabilities: ``(N, K, R, C)``, K at least 2; R at least 2 where `typical` is None.
        labels: ``(N,)``, of at least two classes.
        typical: ``(K,)`` or None.
    """
    numbers = {}
    if typical is None:
        between, within = variation_of_backgrounds(probabilities)
        others, own = variation_of_objects(probabilities, labels)
        effects, of_objects = between - within, others - own
        numbers["reliance/within_kind"] = float(within.mean())
    else:
        effects, of_objects = background_effects(probabilities, typical), object_effects(probabilities, labels)
        numbers["reliance/typical_gap"] = typical_gap(probabilities, labels, typical)
    numbers |= effect_numbers(effects, of_objects)
    numbers["reliance/worst_group"] = worst_group(probabilities, labels)
    return {tag: value for tag, value in numbers.items() if not math.isnan(value)}, effects


def effect_numbers(effects: Tensor, of_objects: Tensor) -> dict[str, float]:
    """Both effects, the error of the first, and the background's share, by tag.

    Args:
        effects: ``(N,)`` of the background on each object's answer.
        of_objects: ``(N,)`` of the object.
    """
    obj = float(of_objects.nanmean())
    share = background_share(float(effects.mean()), obj)
    return {**of_background(effects), "reliance/object_effect": obj, "reliance/background_share": share}


def of_background(effects: Tensor) -> dict[str, float]:
    """The background effect and its standard error over the objects, by tag; without those that say nothing of it."""
    known = effects[effects.isfinite()]
    error = float(known.std(correction=0)) / math.sqrt(len(known)) if len(known) else math.nan
    return {"reliance/background_effect": float(known.mean()), "reliance/background_effect_error": error}


def typical_gap(probabilities: Tensor, labels: Tensor, typical: Tensor) -> float:
    """Accuracy of objects on the background typical of their class minus that on the others; NaN if one is missing."""
    right = (probabilities.argmax(3) == labels[:, None, None]).float().mean(2)
    own = labels[:, None] == typical[None, :]
    return float(right[own].mean() - right[~own].mean())


def worst_group(probabilities: Tensor, labels: Tensor) -> float:
    """The smallest accuracy of all groups, a group being one class on one kind of background.

    Source: S. Sagawa, P. W. Koh, T. B. Hashimoto, P. Liang, 2020, "Distributionally Robust Neural Networks for Group
    Shifts".
    """
    right = (probabilities.argmax(3) == labels[:, None, None]).float().mean(2)
    return float(torch.stack([right[labels == label].mean(0) for label in torch.unique(labels)]).min())


def only_background_accuracy(probabilities: Tensor, kinds: Tensor, typical: Tensor) -> float:
    """How often an empty background ``(P, C)`` of a kind ``(P,)`` is called the class typical of it.

    Source: "Only-BG" of Xiao et al., 2020, on clean backgrounds instead of blacked-out objects.
    """
    return float((probabilities.argmax(1) == typical[kinds]).float().mean())


def paste_control(probabilities: Tensor, shifted: Tensor, distance: Distance = total_variation) -> float:
    """Total variation when the same object is pasted 3 pixels further on the same plate: what no background explains.

    Args:
        probabilities: ``(N, K, R, C)`` of the twins.
        shifted: ``(N, C)``: object i on kind i modulo K.
        distance: another one.
    """
    objects = torch.arange(len(shifted), device=shifted.device)
    return float(distance(probabilities[objects, objects % probabilities.shape[1], 0], shifted).mean())


def background_driven(activations: Tensor, labels: Tensor) -> Tensor:
    """How far each channel follows the background rather than the object: above 0.5 it is background-driven.

    A channel's mean activation varies between kinds of background, averaged over the objects, and between the classes
    of objects, averaged over the backgrounds; the result is the first standard deviation's part of the two.

    Args:
        activations: ``(N, K, R, channels)``, spatial means of a layer's output for the twins.
        labels: ``(N,)`` the objects' classes.

    Returns:
        ``(channels,)`` in 0..1; 0.5 for a channel that never moves.
    """
    of_kind = activations.mean(dim=(0, 2)).std(0, correction=0)
    means = activations.mean(dim=(1, 2))
    of_class = torch.stack([means[labels == label].mean(0) for label in torch.unique(labels)]).std(0, correction=0)
    total = of_kind + of_class
    return torch.where(total > 1e-12, of_kind / total.clamp_min(1e-12), 0.5)


def _mean_where(values: Tensor, where: Tensor) -> Tensor:
    return (values * where).sum(1) / where.sum(1)
