"""Boxes around objects, kept in a file by what the images show."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from lightning_vis.boxes.box_file import Box as Box
from lightning_vis.boxes.box_file import read_boxes as read_boxes
from lightning_vis.boxes.box_file import write_boxes as write_boxes
from lightning_vis.probe.boxes import masks_of_boxes


def key_of(image: Tensor) -> str:
    """What an image ``(C, H, W)``, as the network gets it, is known by: a hash of its values, whatever its name or place."""
    values = image.detach().cpu().float()
    low, high = values.min(), values.max()
    codes = (255 * (values - low) / (high - low).clamp_min(1e-12)).round().to(torch.uint8)  # last digits may differ
    return hashlib.sha256(str(tuple(codes.shape)).encode() + codes.numpy().tobytes()).hexdigest()[:16]


def masks_of(images: Tensor, boxes: Mapping[str, Box]) -> tuple[Tensor, Tensor]:
    """Masks of the images whose boxes are known.

    Args:
        images: ``(P, C, H, W)`` as the network gets them.
        boxes: by key.

    Returns:
        ``(P, H, W)`` bool, and ``(P,)`` bool: which of them are known; others are empty.
    """
    height, width = images.shape[2:]
    keys = [key_of(each) for each in images] if boxes else [""] * len(images)
    sides = torch.tensor([width, height, width, height])
    given = torch.tensor([boxes.get(key, (0.0, 0.0, 1.0, 1.0)) for key in keys]) * sides
    is_known = torch.tensor([key in boxes for key in keys])
    masks = masks_of_boxes(given.minimum(sides), images) > 0
    return masks & is_known[:, None, None], is_known
