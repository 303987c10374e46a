"""A file of boxes around objects, kept by what the images show."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_vis.probe.boxes import masks_of_boxes

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares of the picture's width and height."""
FORMAT = 1


def key_of(image: Tensor) -> str:
    """What an image ``(C, H, W)``, as the network gets it, is known by: a hash of its values, whatever its name or place."""
    values = image.detach().cpu().float()
    low, high = values.min(), values.max()
    codes = (255 * (values - low) / (high - low).clamp_min(1e-12)).round().to(torch.uint8)  # last digits may differ
    return hashlib.sha256(str(tuple(codes.shape)).encode() + codes.numpy().tobytes()).hexdigest()[:16]


def write_boxes(path: str | Path, boxes: Mapping[str, Sequence[float]]) -> None:
    """Writes a file that `read_boxes` reads.

    Args:
        path: of the file.
        boxes: by key, as shares of the picture's sides.
    """
    known = {key: [round(float(each), 4) for each in box] for key, box in boxes.items()}
    Path(path).write_text(json.dumps({"format": FORMAT, "boxes": known}, indent=1), "utf-8")


def read_boxes(path: str | Path) -> dict[str, Box]:
    """The boxes of a file, by key.

    Raises:
        ValueError: there is no such file, or it is of another kind, or a box is none; the message quotes it.
    """
    try:
        found = json.loads(Path(path).read_text("utf-8"))
        known = found["boxes"].items() if found["format"] == FORMAT else None
    except OSError as error:
        raise ValueError(f"boxes={str(path)!r}: the file cannot be read ({error.strerror})") from error
    except (LookupError, TypeError, AttributeError, json.JSONDecodeError):
        known = None
    if known is None:
        raise ValueError(f"boxes={str(path)!r}: it is no file of boxes, as write_boxes leaves it")
    return {str(key): _box(key, box) for key, box in known}


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


def _box(key: Any, given: Any) -> Box:
    box = tuple(float(each) for each in given) if isinstance(given, list) else (given,)
    if len(box) != 4 or not all(map(math.isfinite, box)) or not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
        raise ValueError(f"boxes: the box of {key} is {list(box)}: expected left < right and top < bottom within 0..1")
    return box[0], box[1], box[2], box[3]
