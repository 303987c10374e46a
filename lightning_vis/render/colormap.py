"""Map values to colours, on the scale of their view."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lightning_vis.constants import COOL, DIM, INFERNO, OPAQUE, RISE, WARM
from lightning_vis.frames import Array, Maps, Scale


def strength(values: Array, scale: Scale, mean: float = 1.0, area: int = 1) -> Array:
    """Where values lie on a scale: 0 is nothing, 1 its upper end, below 0 against.

    Args:
        values: any shape.
        scale: how they are drawn.
        mean: of the whole map's magnitudes, for ``"density"``.
        area: h w of the map, for scales that multiply by it.
    """
    if scale.kind == "density":
        return scale.share(values / max(mean, 1e-30))
    return scale.share(values * area if scale.by_area else values)


def map_strength(maps: Maps, index: int, size: tuple[int, int]) -> Array:
    """One map on its scale at the size ``(H, W)``: first enlarged (bilinear), then scaled; 0 if not finite."""
    values = maps.values[index]
    if not np.isfinite(values).all():
        return np.zeros(size, np.float32)
    return strength(enlarged(values, size), maps.scale, float(np.abs(values).mean()), values.size)


def enlarged(values: Array, size: tuple[int, int]) -> Array:
    """A map ``(h, w)`` at the size ``(H, W)``, bilinear, corners not aligned."""
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))


def overlay(picture: Array, shares: Array, signed: bool = False) -> Array:
    """A map over the dimmed grey photo, its opacity growing with its magnitude and nothing cut off.

    Args:
        picture: ``(H, W, 3)`` uint8.
        shares: ``(H, W)`` in -1..1, as `strength` gives them.
        signed: warm and blue instead of inferno.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    return blend(dimmed(picture), colours(shares, signed), opacity(shares))


def dimmed(picture: Array) -> Array:
    """The photo in grey, darkened, ``(H, W, 3)`` float."""
    grey = picture.astype(np.float32) @ np.array((0.299, 0.587, 0.114), np.float32)
    return np.repeat(grey[..., None] * DIM, 3, axis=2)


def opacity(shares: Array) -> Array:
    """How much of the photo a map covers: nothing at 0, most of it from a half of the scale on, never all."""
    return np.asarray(OPAQUE * (1 - (1 - np.abs(shares)) ** RISE))


def blend(below: Array, above: Array, alpha: Array) -> Array:
    """One picture over another, ``(H, W, 3)`` uint8."""
    mixed = below * (1 - alpha[..., None]) + above * alpha[..., None]
    return np.asarray(np.rint(mixed).clip(0, 255), np.uint8)


def colours(shares: Array, signed: bool) -> Array:
    """Inferno for 0..1; for signed maps warm colours above 0 and blue ones below. ``(..., 3)`` float in 0..255."""
    if not signed:
        return _interpolated(shares, INFERNO)
    return np.asarray(np.where((shares < 0)[..., None], _interpolated(-shares, COOL), _interpolated(shares, WARM)))


def _interpolated(shares: Array, anchors: tuple[str, ...]) -> Array:
    table = np.array([[int(anchor[at : at + 2], 16) for at in (0, 2, 4)] for anchor in anchors], np.float32)
    positions = np.asarray(shares).clip(0, 1) * (len(table) - 1)
    low = np.minimum(positions.astype(int), len(table) - 2)
    part = (positions - low)[..., None]
    return np.asarray(table[low] * (1 - part) + table[low + 1] * part)
