"""Boxes around objects, as masks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lightning_vis.arguments import tensor_of


def masks_of_boxes(given: Any, images: Tensor) -> Tensor:
    """Masks ``(N, H, W)`` that are 1 within the box of each image.

    Args:
        given: ``(N, 4)`` pixels left, top, right, bottom; right and bottom are excluded.
        images: ``(N, C, H, W)``.

    Raises:
        ValueError: another shape, a box without a pixel, or one beyond the picture; the message quotes it.
    """
    boxes = tensor_of(given, "Probe(boxes)", "pixels (N, 4): left, top, right, bottom").detach().cpu().double()
    if boxes.shape != (len(images), 4):
        raise ValueError(
            f"Probe(boxes): expected ({len(images)}, 4), the left, top, right and bottom of one box for each image;"
            f" got {tuple(boxes.shape)}"
        )
    height, width = images.shape[2:]
    for at, (left, top, right, bottom) in enumerate(boxes.tolist()):
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ValueError(
                f"Probe(boxes): the box of image {at} is {[left, top, right, bottom]}: expected left < right and top < bottom"
                f" within {width} x {height} pixels"
            )
    x, y = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    across = (x >= boxes[:, :1]) & (x < boxes[:, 2:3])
    down = (y >= boxes[:, 1:2]) & (y < boxes[:, 3:])
    return (down[:, :, None] & across[:, None]).float()
