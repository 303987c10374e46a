"""Validation of masks, labels and backgrounds for twins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lightning_vis.arguments import quoted, tensor_of

Typical = Mapping[str, str | int]
"""The class, by name or index, that goes with each kind of background."""


def compared(labels: Tensor | None, typical: Typical | None) -> Tensor:
    """The objects' classes, if they can be compared with each other."""
    if labels is None:
        raise ValueError(
            "Probe(labels): objects on several backgrounds need labels=, one for each image, that of the object in its mask: only"
            " so is its effect told from the background's"
        )
    counts = torch.bincount(labels)
    if int((counts > 0).sum()) < 2:
        raise ValueError(f"Probe(labels): all objects are of class {int(labels[0])}, so swapping the object means nothing")
    if typical is None and int(counts.max()) < 2:
        raise ValueError("Probe(labels): without typical= at least one class needs two objects; here every class has one")
    return labels


def class_indices(kinds: Sequence[str], typical: Typical | None, class_names: Sequence[str]) -> Tensor | None:
    """The class that is typical of each kind of background, ``(K,)``; None if nobody said.

    Raises:
        ValueError: fewer than two kinds, kinds without a class or vice versa, unknown names, one class for all.
    """
    if len(kinds) < 2:
        got = ", ".join(kinds) or "none"
        raise ValueError(f"Probe(backgrounds): expected at least two kinds to compare; got {got}")
    if typical is None:
        return None
    if not isinstance(typical, Mapping):
        raise TypeError(f"Probe(typical): expected a dict of one class for each background; got {quoted(typical)}")
    if set(typical) != set(kinds):
        raise ValueError(
            f"Probe(typical): expected one class for each background ({', '.join(kinds)});"
            f" got {', '.join(map(str, typical)) or 'none'}"
        )
    classes = [class_index(typical[kind], class_names) for kind in kinds]
    if len(set(classes)) == 1:
        only = typical[kinds[0]]
        raise ValueError(f"Probe(typical): all backgrounds are typical of {only!r}, so none can be compared")
    return torch.tensor(classes)


def class_index(name: str | int, class_names: Sequence[str]) -> int:
    """The index of a class given by name or index; ValueError if there is no such class."""
    if isinstance(name, int) and (name < len(class_names) or not class_names) and name >= 0:
        return name
    if name not in class_names:
        known = ", ".join(class_names) or "none: pass class_names= or a class index"
        raise ValueError(f"Probe(typical): {name!r} is no class; the classes are {known}")
    return list(class_names).index(str(name))


def cropped_plates(kind: str, plates: Tensor, images: Tensor, least: int) -> Tensor:
    """The middle of each plate at the size of the images, ``(P, C, H, W)``; ValueError if shapes do not fit."""
    given = tensor_of(plates, "Probe(backgrounds)", f"plates (P, C, H, W) for {kind!r}")
    plates = given.detach().cpu().to(images.dtype)
    channels, height, width = images.shape[1:]
    if plates.ndim != 4 or plates.shape[1] != channels or len(plates) < least:
        several = "two, because typical= is not given" if least == 2 else "one"
        raise ValueError(
            f"Probe(backgrounds): expected plates (P, {channels}, H, W) for {kind!r}, at least {several};"
            f" got {tuple(plates.shape)}"
        )
    if plates.shape[2] < height or plates.shape[3] < width:
        raise ValueError(
            f"Probe(backgrounds): the plates of {kind!r} are {plates.shape[2]} x {plates.shape[3]},"
            f" smaller than the images, which are {height} x {width}"
        )
    top, left = (plates.shape[2] - height) // 2, (plates.shape[3] - width) // 2
    return plates[:, :, top : top + height, left : left + width]


def check_masks(masks: Tensor) -> None:
    """ValueError if some image has no object, or no background."""
    for index, mask in enumerate(masks):
        if mask.max() == 0:
            raise ValueError(f"Probe(masks): the mask of image {index} is empty: there is no object to put elsewhere")
        if mask.min() > 0.98:
            raise ValueError(f"Probe(masks): the mask of image {index} covers everything: there is no background")
