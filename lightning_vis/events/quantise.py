"""Maps in 8 bits of their own maximum, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightning_vis.frames import Array


@dataclass(frozen=True)
class Quantised:
    """Maps in 8 bits of their own maximum.

    Attributes:
        codes: ``(N, h, w)`` uint8; value = (code - zero) / (255 - zero) x maximum.
        maximum: ``(N,)`` float32, the largest magnitude; NaN for a map that is not finite.
        mean: ``(N,)`` float32, of the exact values.
        signed: zero is 128 instead of 0.
    """

    codes: Array
    maximum: Array
    mean: Array
    signed: bool


def quantise(values: Array, signed: bool = False) -> Quantised:
    """8 bits of each map's own maximum, with maximum and mean beside it; `restored` is the inverse.

    Args:
        values: ``(N, h, w)`` float; at least 0 unless signed.
        signed: keep the sign, at half the resolution.
    """
    magnitude = np.abs(values).max(axis=(1, 2), initial=0.0).astype(np.float32)
    usable = np.where(np.isfinite(magnitude) & (magnitude > 0), magnitude, 1.0)[:, None, None]
    zero = 128 if signed else 0
    codes = np.rint(np.nan_to_num(values, posinf=0.0, neginf=0.0) / usable * (255 - zero)) + zero
    maximum = np.where(np.isfinite(magnitude), magnitude, np.nan).astype(np.float32)
    with np.errstate(invalid="ignore"):  # of infinities of both signs; it is NaN then, as it should be
        mean = values.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)
    return Quantised(codes.clip(0, 255).astype(np.uint8), maximum, mean, signed)


def restored(quantised: Quantised) -> Array:
    """The maps ``(N, h, w)`` float32 that were quantised, to within half a code; NaN where they were not finite."""
    zero = 128 if quantised.signed else 0
    shares = (quantised.codes.astype(np.float32) - zero) / (255 - zero)
    return (shares * quantised.maximum[:, None, None]).astype(np.float32)


def reduced(values: Array, side: int) -> Array:
    """Maps ``(N, h, w)`` at `side` cells at most per edge, each cell the mean of the values it covers."""
    step = -(-max(values.shape[1:]) // side)
    for axis in (1, 2):
        size = values.shape[axis]
        starts = np.arange(-(-size // step)) * size // -(-size // step)
        lengths = np.diff(np.append(starts, size)).reshape([-1 if axis == other else 1 for other in range(3)])
        values = np.add.reduceat(values, starts, axis=axis) / lengths
    return values.astype(np.float32)
