"""A pool with its objects cut out, and why nothing of it can be exchanged."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lightning_vis.reliance.exchange.composite import MARGIN, Parts, cut_parts, frame_parts
from lightning_vis.reliance.exchange.cut_out import contrasts, cut_outs, grown_cuts, strangeness

SMALLEST, LARGEST = 0.02, 0.8
"""Shares of the picture: a cut-out that is smaller or larger has found no object, and the middle is taken instead."""
ELLIPSE = 0.36
"""Half axes of that middle, in sides."""
CONTRAST = 3.0
"""As `contrasts` has it, the median over the pool: drawn backgrounds without any object have at most 2, with one at least 4."""
FILLED = 0.95
"""Share of the picture, margin included, the median over the pool."""
ALIKE = 0.02
"""Of the range of colours, root mean square: surroundings that differ by less, the median over pairs, are all the same."""


@dataclass(frozen=True)
class Refusal:
    """Why something was not measured, and what would help; both as they stand in a sentence, without its end."""

    reason: str
    remedy: str = ""


REMEDY = "masks or boxes would help: ProbeCallback(Probe(images, labels, boxes=boxes)) with at least six images of each class"
"""Against cut-outs that have not found the objects."""


@dataclass(frozen=True)
class Objects:
    """A pool that is ready to be exchanged.

    Attributes:
        labels: ``(P,)`` classes; -1 of an image that is another one over again.
        parts: objects and what surrounds them.
        frames: the frame against the rest of the picture.
        is_automatic: whether objects were cut out by the pictures themselves.
        boxed: how many of them lie in boxes that somebody has drawn, where others were cut out.
        refusal: why nothing is exchanged; None if it is.
    """

    labels: Tensor
    parts: Parts
    frames: Parts
    is_automatic: bool = True
    refusal: Refusal | None = None
    boxed: int = 0
    cuts: Tensor | None = None
    remedy: str = REMEDY

    def helped_by(self, remedy: str) -> Objects:
        """The same, where something else helps against cut-outs that have not found the objects."""
        refusal = self.refusal
        if refusal is not None and refusal.remedy == self.remedy:
            refusal = replace(refusal, remedy=remedy)
        return replace(self, remedy=remedy, refusal=refusal)


def objects_of(
    images: Tensor,
    pictures: Tensor,
    labels: Tensor,
    masks: Tensor | None = None,
    boxed: tuple[Tensor, Tensor] | None = None,
) -> Objects:
    """Cuts a pool's objects out, once.

    Args:
        images: ``(P, C, H, W)`` in the model's input scale.
        pictures: ``(P, 3, H, W)`` the same as people see them, in 0..1.
        labels: ``(P,)`` classes.
        masks: ``(P, H, W)`` in 0..1, 1 on the object; None: it is cut out by the picture itself.
        boxed: boxes that were drawn as masks ``(P, H, W)`` bool, and of which images they are known ``(P,)`` bool; masks are
            better.
    """
    cuts, strange = _cut(pictures) if masks is None else (masks > 0.5, None)
    found = cuts if masks is not None or boxed is None else torch.where(boxed[1][:, None, None], boxed[0], cuts)
    is_automatic = masks is None and (boxed is None or not bool(boxed[1].all()))
    labels = torch.where(is_first(images), labels, -1)
    parts = cut_parts(images, found)
    refusal = _refusal(strange if is_automatic else None, labels, found, parts)
    count = int(boxed[1].sum()) if is_automatic and boxed is not None else 0
    return Objects(labels, parts, frame_parts(images), is_automatic, refusal, count, cuts if masks is None else None)


def _cut(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """As `cut_outs`; the middle of a picture where no object was found ``(P, H, W)`` bool. And how strange each place is."""
    strange, (height, width) = strangeness(pictures), pictures.shape[2:]
    found = cut_outs(strange, (height, width))
    share = found.float().mean((1, 2))
    is_object = (share > SMALLEST) & (share < LARGEST)
    return torch.where(is_object[:, None, None], found, ellipse(height, width)), strange


def ellipse(height: int, width: int) -> Tensor:
    """The middle of a picture, ``(H, W)`` bool."""
    y, x = torch.linspace(-0.5, 0.5, height)[:, None], torch.linspace(-0.5, 0.5, width)[None]
    return torch.as_tensor(y**2 + x**2 < ELLIPSE**2)


def is_first(images: Tensor) -> Tensor:
    """Whether no earlier image is the same, ``(P,)`` bool: what is there several times counts once."""
    _, numbers = torch.unique(images.flatten(1), dim=0, return_inverse=True)
    earlier: Tensor = (numbers[:, None] == numbers[None]).tril(-1).any(1)
    return ~earlier


def _refusal(strange: Tensor | None, labels: Tensor, cuts: Tensor, parts: Parts) -> Refusal | None:
    if len(torch.unique(labels[labels >= 0])) < 2:
        return Refusal("the images are of one class", "a validation set of at least two classes would help")
    if float(parts.inside.float().mean((1, 2)).median()) > FILLED:
        return Refusal("the objects fill the images, so that next to nothing surrounds them")
    stands_out = torch.tensor(torch.inf) if strange is None else contrasts(strange, cuts).nanmedian()
    if not float(stands_out) >= CONTRAST:
        return Refusal("no objects stand out from what surrounds them", REMEDY)
    if float(difference(parts, cuts, labels)) < ALIKE:
        return Refusal(
            "what surrounds the objects looks alike in most images, so next to nothing of it can be exchanged",
            "images whose surroundings differ would help",
        )
    return None


def difference(parts: Parts, cuts: Tensor, labels: Tensor) -> Tensor:
    """How much the surroundings of images of two classes differ, in ranges of all values: root mean square, median of pairs.

    What lies within two margins of a cut is not asked, where anything lies farther off: there, pieces of objects that a cut has
    missed would count as surroundings, on plain black, too.
    """
    other = torch.stack([_next_of_another(labels, at) for at in range(len(labels))])
    near, far = (~(each | each[other]) for each in (parts.inside, grown_cuts(cuts, 2 * MARGIN)))
    outside = torch.where((far.float().mean((1, 2)) > 1 - FILLED)[:, None, None], far, near)
    squares = ((parts.rests - parts.rests[other]) ** 2).mean(1)
    found = ((squares * outside).sum((1, 2)) / outside.sum((1, 2)).clamp_min(1)).sqrt().median()
    return found / (parts.images.max() - parts.images.min()).clamp_min(1e-6)


def _next_of_another(labels: Tensor, at: int) -> Tensor:
    others = (labels != labels[at]).nonzero()[:, 0]
    return others[(others > at).nonzero()[0, 0]] if bool((others > at).any()) else others[0]
