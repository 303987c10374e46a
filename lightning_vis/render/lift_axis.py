"""A lift as a mark on a logarithmic axis."""

from __future__ import annotations

import numpy as np

from lightning_vis.frames import Array

HEIGHT = 16


REACH = 4.0


def lift_axis(
    lift: float, width: int, panel: tuple[int, int, int], line: tuple[int, int, int], mark: tuple[int, int, int]
) -> Array:
    """The axis ``(16, width, 3)`` uint8; a lift that is not finite leaves it without a mark.

    Args:
        lift: 1 = chance; beyond 1/4 and 4 the mark stands at the end.
        width: in pixels.
        panel: the colour behind.
        line: of the axis and of its tick at chance.
        mark: of the mark and of the bar from chance to it.
    """
    picture = np.full((HEIGHT, width, 3), panel, np.uint8)
    picture[7:9] = line
    picture[:, width // 2 - 1 : width // 2 + 1] = line
    if np.isfinite(lift):
        at = position(lift, width)
        picture[5:11, min(at, width // 2) : max(at, width // 2)] = mark
        picture[:, max(0, at - 3) : at + 3] = mark
    return picture


def position(lift: float, width: int) -> int:
    """Where a lift lies on the axis, in pixels from the left."""
    share = (np.log(max(lift, 1e-6)) / np.log(REACH) + 1) / 2
    return round(min(max(float(share), 0.0), 1.0) * (width - 1))
