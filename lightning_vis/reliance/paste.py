"""Cut, shift, paste and inpaint objects: images and masks in, images out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

Box = tuple[int, int, int, int]


SHIFT = 3
"""How many pixels the object of the paste control is moved."""


def paste(image: Tensor, mask: Tensor, plate: Tensor) -> Tensor:
    """The plate with the masked part of the image over it, ``(C, H, W)``: the plate itself where the mask is 0."""
    return image * mask + plate * (1 - mask)


def inpainted(image: Tensor, mask: Tensor) -> Tensor:
    """An image ``(C, H, W)`` whose object is hidden under shifted copies of the rest, which keep its texture.

    Args:
        image: with an object.
        mask: ``(H, W)`` in 0..1, 1 on the object; everything above 0 and its rim is replaced.
    """
    hole = max_pool2d((mask > 0.02).float()[None, None], 3, 1, 1)[0, 0] > 0
    known, result = ~hole, image.clone()
    step = [max(1, side // 8) for side in mask.shape]
    shifts = [(y * step[0], x * step[1]) for y in range(-4, 5) for x in range(-4, 5)]
    shifts.sort(key=lambda shift: abs(shift[0]) + abs(shift[1]))
    while hole.any():
        best = max(shifts, key=lambda shift: int((hole & known.roll(shift, (0, 1))).sum()))
        fresh = hole & known.roll(best, (0, 1))
        if not fresh.any():
            result[:, hole] = image[:, known].mean(1, keepdim=True) if known.any() else 0.0
            break
        result[:, fresh] = image.roll(best, (1, 2))[:, fresh]
        hole = hole & ~fresh
    return result


def box_of(mask: Tensor) -> Box:
    """Top, bottom, left and right of what the mask shows (bottom and right excluded)."""
    shown = mask > 0
    rows, columns = shown.any(1).nonzero(), shown.any(0).nonzero()
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def over(own: Box, hole: Box, size: Sequence[int]) -> tuple[int, int]:
    """How far an object moves to lie in the middle of a hole, without leaving the picture."""
    moves = []
    for (start, end), (left, right), length in zip((own[:2], own[2:]), (hole[:2], hole[2:]), size, strict=True):
        wanted = (left + right - start - end) // 2
        moves.append(min(max(wanted, -start), length - end))
    return moves[0], moves[1]


def translated(image: Tensor, mask: Tensor, offset: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """An image and its mask, both moved; what leaves the picture on one side does not come back on the other."""
    kept = torch.ones_like(mask)
    for axis, step in enumerate(offset):
        if step:
            kept.narrow(axis, 0 if step > 0 else mask.shape[axis] + step, abs(step)).zero_()
    return image.roll(offset, (1, 2)), mask.roll(offset, (0, 1)) * kept


def shifted(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """For the paste control: the object and its mask a little further from the nearer side of the picture."""
    _, _, left, right = box_of(mask)
    step = SHIFT if left + right <= mask.shape[1] else -SHIFT
    return translated(image, mask, (0, step))
