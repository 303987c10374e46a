"""Images put together: one image's object in another one's surroundings."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_vis.reliance.exchange.cut_out import grown_cuts, painted_out
from lightning_vis.reliance.exchange.morphology import grown

MARGIN = 0.09
"""Of the side: cuts are grown by it, since an object's rim must not count as surroundings."""
FRAME = 1 / 7
"""Of the side: the width of the frame, the second witness, which no cut can spoil."""


@dataclass(frozen=True)
class Parts:
    """A pool of images and how each is parted.

    Attributes:
        images: ``(P, C, H, W)`` in the model's input scale.
        inside: ``(P, H, W)`` bool: what is taken along as the object.
        rests: ``(P, C, H, W)`` the images without their object.
    """

    images: Tensor
    inside: Tensor
    rests: Tensor

    def exchanged(self, objects: Tensor, hosts: Tensor) -> Tensor:
        """Objects of some images in the surroundings of others: ``(M, C, H, W)`` for ``(M,)`` rows each."""
        inside = self.inside[objects, None]
        return torch.where(inside, self.images[objects], self.rests[hosts])


def cut_parts(images: Tensor, cuts: Tensor, margin: float = MARGIN) -> Parts:
    """Objects with a margin; under them, the surroundings are painted over.

    Args:
        images: ``(P, C, H, W)``.
        cuts: ``(P, H, W)`` bool, as `cut_outs` finds them.
        margin: of the side.
    """
    inside = grown_cuts(cuts, margin)
    return Parts(images, inside, painted_out(images, grown(inside)))


def frame_parts(images: Tensor) -> Parts:
    """Everything but a frame is the object: where no cut can be wrong."""
    inside = torch.zeros(images.shape[2:], dtype=torch.bool)
    height, width = (round(FRAME * side) for side in inside.shape)
    inside[height : inside.shape[0] - height, width : inside.shape[1] - width] = True
    return Parts(images, inside.expand(len(images), -1, -1), images)
