"""Twins: the same object pasted on several backgrounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from lightning_vis.reliance.paste import box_of, inpainted, over, paste, shifted, translated
from lightning_vis.reliance.validation import Typical, check_masks, class_indices, compared, cropped_plates

MOST_KINDS = 8
"""Backgrounds taken from the probe's own images are of at most so many kinds: every kind costs one image per object."""
SAME, SQUARE = 0.01, 16
"""Objects are the same where they differ by less of the range of colours, root mean square, in a square of so many pixels."""


@dataclass(frozen=True)
class Twins:
    """The same objects on every kind of background.

    Attributes:
        images: ``(N, K, R, C, H, W)``: object, kind of background, plate of that kind.
        labels: ``(N,)`` the objects' classes.
        kinds: the names of the K kinds.
        typical: ``(K,)`` the class that is typical of each kind; None where nobody said.
        shifted: ``(N, C, H, W)`` paste control: object i as in ``images[i, i % K, 0]``, but 3 pixels further; or None.
        plates: ``(P, C, H, W)`` clean backgrounds without any object; or None.
        plate_kinds: ``(P,)`` their kinds.
        shown: how many images of the probe each object is: one, or, for ready-made twins, one on each background.
        masks: ``(N, K, H, W)`` in 0..1, where each object lies on each kind of background; None where nobody said.
        shifted_masks: ``(N, H, W)`` likewise in the paste control.
    """

    images: Tensor
    labels: Tensor
    kinds: tuple[str, ...]
    typical: Tensor | None = None
    shifted: Tensor | None = None
    plates: Tensor | None = None
    plate_kinds: Tensor | None = None
    shown: int = 1
    masks: Tensor | None = None
    shifted_masks: Tensor | None = None

    def batch(self) -> Tensor:
        """All images in one batch ``(M, C, H, W)``: twins, paste control, plates; `split` takes its answers apart."""
        extra = [part for part in (self.shifted, self.plates) if part is not None]
        return torch.cat([self.images.flatten(0, 2), *extra])

    def rows(self) -> Tensor:
        """The probe image ``(M,)`` that each image of the batch is made of; of a plate some image that stands on it."""
        objects = torch.arange(len(self.images)) * self.shown
        extra = [objects] if self.shifted is not None else []
        plates = 0 if self.plates is None else len(self.plates)
        each = objects.repeat_interleave(self.images.shape[1] * self.images.shape[2])
        return torch.cat([each, *extra, objects[torch.arange(plates) % len(objects)]])

    def places(self) -> Tensor | None:
        """Where the object lies in each image of the batch, ``(M, H, W)``, on a plate nowhere; None where nobody said."""
        if self.masks is None:
            return None
        each = self.masks.repeat_interleave(self.images.shape[2], 1).flatten(0, 1)
        extra = [] if self.shifted_masks is None else [self.shifted_masks]
        plates = 0 if self.plates is None else len(self.plates)
        return torch.cat([each, *extra, each.new_zeros(plates, *each.shape[1:])])

    def once(self) -> list[bool]:
        """Of each object whether no earlier one looks the same, wherever it lies: one that comes several times counts once.

        Where nobody said where objects lie, whole twins are compared.
        """
        looks = [self._look(at) for at in range(len(self.images))]
        limit = SAME * float(self.images.max() - self.images.min())
        return [not any(_root(one - looks[at]) <= limit for one in looks[:at]) for at in range(len(looks))]

    def _look(self, at: int) -> Tensor:
        """An object in a square, nothing beside it; or its twins."""
        if self.masks is None:
            return self.images[at, :, 0]
        mask = self.masks[at, 0]
        top, bottom, left, right = box_of(mask)
        return adaptive_avg_pool2d((self.images[at, 0, 0] * mask)[:, top:bottom, left:right], SQUARE)

    def split(self, answers: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """What a network said about `batch`, ``(M, ...)``, as ``(N, K, R, ...)``, ``(N, ...)`` and ``(P, ...)``."""
        size = self.images.shape[:3]
        twins, rest = answers[: size.numel()], answers[size.numel() :]
        shifted = 0 if self.shifted is None else len(self.shifted)
        grid = twins.reshape(*size, *answers.shape[1:])
        return grid, rest[:shifted] if shifted else None, None if self.plates is None else rest[shifted:]


def twins_of(
    images: Tensor,
    labels: Tensor | None,
    masks: Tensor | None,
    backgrounds: Mapping[str, Tensor] | Sequence[str] | None,
    typical: Typical | None,
    class_names: Sequence[str],
) -> Twins | None:
    """The twins that can be made of what a probe was given: ready-made, on plates, on each other, or none.

    Args:
        images: ``(N, C, H, W)``, or ``(objects, backgrounds, C, H, W)`` for twins that somebody else has made.
        labels: ``(N,)`` or ``(objects,)`` classes.
        masks: ``(N, H, W)`` in 0..1, 1 on the object.
        backgrounds: plates by kind, or, for ready-made twins, the backgrounds' names.
        typical: the class that each kind of background is typical of.
        class_names: by class index.

    Raises:
        ValueError: something is missing or does not fit; the message quotes it.
    """
    if images.ndim == 5:
        names = None if backgrounds is None else list(backgrounds)
        return ready_made(images, compared(labels, typical), names, typical, class_names, masks)
    if backgrounds is not None:
        if masks is None or not isinstance(backgrounds, Mapping):
            raise ValueError(
                "Probe(backgrounds): expected plates by kind, {'leaves': (P, C, H, W), ...}, and masks= of the objects"
                f" to paste on them; got a {type(backgrounds).__name__} and {'no masks' if masks is None else 'masks'}"
            )
        return on_plates(images, compared(labels, typical), masks, backgrounds, typical, class_names)
    if typical is not None:
        raise ValueError("Probe(typical): it says which class is typical of each of backgrounds=, which are not given")
    return None if labels is None or masks is None else on_each_other(images, labels, masks, class_names)


def on_plates(
    images: Tensor,
    labels: Tensor,
    masks: Tensor,
    backgrounds: Mapping[str, Tensor],
    typical: Typical | None,
    class_names: Sequence[str],
) -> Twins:
    """Pastes each object at its place on each kind of background; object i takes plate i modulo their number.

    Args:
        images: ``(N, C, H, W)`` the objects as they stand in the probe.
        labels: ``(N,)`` their classes.
        masks: ``(N, H, W)`` in 0..1, 1 on the object.
        backgrounds: ``(P, C, H', W')`` by kind, in the scale of the images, at least as large; the middle is used.
        typical: the class that each kind is typical of, by name or index. Without it every object is pasted on two
            plates of each kind.
        class_names: by class index.

    Raises:
        ValueError: fewer than two kinds, wrong shapes, empty masks, masks that cover everything, unknown classes.
    """
    check_masks(masks)
    kinds, classes = tuple(backgrounds), class_indices(tuple(backgrounds), typical, class_names)
    repeats = 1 if classes is not None else 2
    plates = [cropped_plates(kind, backgrounds[kind], images, repeats) for kind in kinds]
    chosen = [[[each[(i + r) % len(each)] for r in range(repeats)] for each in plates] for i in range(len(images))]
    pairs = list(zip(images, masks, chosen, strict=True))
    pasted = [[torch.stack([paste(image, mask, plate) for plate in of]) for of in row] for image, mask, row in pairs]
    moved = [shifted(image, mask) for image, mask, _ in pairs]
    controls = [paste(*each, row[i % len(kinds)][0]) for i, (each, (_, _, row)) in enumerate(zip(moved, pairs, strict=True))]
    used = [each[: len(images)] for each in plates]
    return Twins(
        torch.stack([torch.stack(row) for row in pasted]),
        labels,
        kinds,
        classes,
        torch.stack(controls),
        torch.cat(used),
        torch.arange(len(kinds)).repeat_interleave(torch.tensor([len(each) for each in used])),
        masks=masks[:, None].repeat(1, len(kinds), 1, 1),
        shifted_masks=torch.stack([mask for _, mask in moved]),
    )


def on_each_other(images: Tensor, labels: Tensor, masks: Tensor, class_names: Sequence[str]) -> Twins | None:
    """Pastes each object on the backgrounds of the other images; a background's kind is the class that stood before it.

    The hole is filled from its surroundings, and the new object is laid over it, so that the old outline does not show.
    Wherever there is one, another image than the object's own gives the background, so that all twins are pasted alike.

    Args:
        images: ``(N, C, H, W)``.
        labels: ``(N,)`` their classes.
        masks: ``(N, H, W)`` in 0..1, 1 on the object.
        class_names: by class index.

    Returns:
        Twins; None if all the images are of one class.

    Raises:
        ValueError: empty masks, masks that cover everything.
    """
    classes = torch.unique(labels)
    classes = classes[torch.linspace(0, len(classes) - 1, min(len(classes), MOST_KINDS)).round().long()]
    if len(classes) < 2:
        return None
    check_masks(masks)
    empty = [inpainted(image, mask) for image, mask in zip(images, masks, strict=True)]
    boxes = [box_of(mask) for mask in masks]
    pasted, places, controls = [], [], []
    for i in range(len(images)):
        donors = [_donor(labels, int(kind), i) for kind in classes]
        there = [translated(images[i], masks[i], over(boxes[i], boxes[j], masks.shape[1:])) for j in donors]
        pasted.append(torch.stack([paste(*each, empty[j]) for each, j in zip(there, donors, strict=True)]))
        places.append(torch.stack([mask for _, mask in there]))
        control = shifted(*there[i % len(classes)])
        controls.append((paste(*control, empty[donors[i % len(classes)]]), control[1]))
    names = tuple(class_names[kind] if kind < len(class_names) else f"class {kind}" for kind in classes.tolist())
    kinds = tuple(f"{name}'s" for name in names)
    moved, where = (torch.stack(each) for each in zip(*controls, strict=True))
    grid = torch.stack(pasted)[:, :, None]
    return Twins(grid, labels, kinds, classes, moved, masks=torch.stack(places), shifted_masks=where)


def ready_made(
    images: Tensor,
    labels: Tensor,
    backgrounds: Sequence[str] | None,
    typical: Typical | None,
    class_names: Sequence[str],
    masks: Tensor | None = None,
) -> Twins:
    """Twins that somebody else has made.

    Args:
        images: ``(objects, backgrounds, C, H, W)``.
        labels: ``(objects,)`` the objects' classes.
        backgrounds: the name of each background; a name that comes several times is one kind with several plates.
        typical: the class that each kind is typical of.
        class_names: by class index.
        masks: ``(objects, H, W)``, if it is known where each object lies, on all its backgrounds alike.

    Raises:
        ValueError: names that do not fit the images, fewer than two kinds, unknown classes.
    """
    count = images.shape[1]
    names = [f"background {k}" for k in range(count)] if backgrounds is None else list(backgrounds)
    kinds = tuple(dict.fromkeys(names))
    if len(names) != count:
        raise ValueError(
            f"Probe(backgrounds): {len(names)} names were given for images on {count} backgrounds: {', '.join(names)}"
        )
    repeats = {names.count(kind) for kind in kinds}
    if len(repeats) != 1:
        raise ValueError(f"Probe(backgrounds): each kind needs the same number of backgrounds; got {', '.join(names)}")
    classes = class_indices(kinds, typical, class_names)
    if classes is None and repeats == {1}:
        raise ValueError(
            "Probe(typical): without it every object must stand on at least two backgrounds of each kind, so that a"
            " difference between kinds can be told from one within a kind; here each kind comes once"
        )
    order = [at for kind in kinds for at, name in enumerate(names) if name == kind]
    grid = images[:, order].reshape(len(images), len(kinds), repeats.pop(), *images.shape[2:])
    places = None if masks is None else masks[:, None].repeat(1, len(kinds), 1, 1)
    return Twins(grid, labels, kinds, classes, shown=count, masks=places)


def _root(difference: Tensor) -> float:
    return float((difference**2).mean().sqrt())


def _donor(labels: Tensor, kind: int, index: int) -> int:
    """The image that lends its background to object `index`: another one of the class, in turn, or itself."""
    candidates = [j for j in (labels == kind).nonzero().flatten().tolist() if j != index]
    return candidates[index % len(candidates)] if candidates else index
