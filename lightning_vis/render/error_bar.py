"""A signed error as a bar on an axis around none."""

from __future__ import annotations

import numpy as np

from lightning_vis.frames import Array
from lightning_vis.render.canvas.style import FAINT, INK, PANEL

REACH = 2.0
"""Spreads of the targets: beyond them the bar stands at the end."""


def error_bar(error: float, width: int, height: int) -> Array:
    """The axis ``(height, width, 3)`` uint8; neither colour nor cross, for no error is wrong by itself.

    Args:
        error: over the spread of the targets; one that is not finite leaves the axis without a bar.
        width: in pixels.
        height: in pixels.
    """
    picture = np.full((height, width, 3), PANEL, np.uint8)
    middle = height // 2
    picture[middle - 1 : middle + 1] = FAINT
    for tick in (0, width - 2):
        picture[middle - height // 4 : middle + height // 4, tick : tick + 2] = FAINT
    picture[:, width // 2 - 1 : width // 2 + 1] = FAINT
    if np.isfinite(error):
        at = position(error, width)
        thick = max(2, height // 4)
        picture[middle - thick : middle + thick, min(at, width // 2) : max(at, width // 2)] = INK
        picture[:, max(0, at - 2) : at + 2] = INK
    return picture


def position(error: float, width: int) -> int:
    """Where an error lies on the axis, in pixels from the left."""
    share = (error / REACH + 1) / 2
    return round(min(max(float(share), 0.0), 1.0) * (width - 1))
