"""A file of boxes by what images show: read, checked, written whole; no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares of the picture's width and height."""
FORMAT = 1


def write_boxes(path: str | Path, boxes: Mapping[str, Sequence[float]]) -> None:
    """Writes a file that `read_boxes` reads; what stood there stays until all of it is written.

    Args:
        path: of the file.
        boxes: by key, as shares of the picture's sides.
    """
    known = {key: [round(float(each), 4) for each in box] for key, box in boxes.items()}
    part = Path(path).with_name(f"{Path(path).name}.part")
    part.write_text(json.dumps({"format": FORMAT, "boxes": known}, indent=1), "utf-8")
    part.replace(path)


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
    except (LookupError, TypeError, AttributeError, ValueError):  # of JSON and of UTF-8
        known = None
    if known is None:
        raise ValueError(f"boxes={str(path)!r}: it is no file of boxes, as write_boxes leaves it")
    return {str(key): checked(key, box) for key, box in known}


def checked(key: Any, given: Any) -> Box:
    """A box as it may stand in a file.

    Raises:
        ValueError: it is none; the message quotes it.
    """
    is_list = isinstance(given, list) and all(isinstance(each, (int, float)) for each in given)
    box = tuple(float(each) for each in given) if is_list else (given,)
    if len(box) != 4 or not all(map(math.isfinite, box)) or not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
        raise ValueError(f"boxes: the box of {key} is {list(box)}: expected left < right and top < bottom within 0..1")
    return box[0], box[1], box[2], box[3]
