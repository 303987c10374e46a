"""What was found of filters, by layer, as a frame and as cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lightning_vis.frames import Array, Frame, Pictures
from lightning_vis.probe import Probe


@dataclass(frozen=True)
class Found:
    """What one look found in one layer: its pictures, their numbers, and the card of its weights if one is drawn."""

    pictures: Pictures
    numbers: dict[str, float]
    card: Array | None = None


def frame_of(probe: Probe, found: Mapping[str, Found], when: Mapping[str, Any]) -> Frame:
    """What was found in all layers, as a frame without predictions.

    Args:
        probe: the images.
        found: by layer.
        when: where in the training we are, as fields of a `Frame`.
    """
    pictures = {f"filters/{layer}": each.pictures for layer, each in found.items()}
    numbers = {tag: value for each in found.values() for tag, value in each.numbers.items()}
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    return Frame(probe.name, *nobody, pictures=pictures, numbers=numbers, **when)


def first_of(pictures: Pictures, count: int) -> Pictures:
    """The first `count` of some pictures."""
    return Pictures(pictures.values[:count], pictures.captions[:count])


def cards_of(found: Mapping[str, Found]) -> dict[str, Array]:
    """The cards of weights, by tag."""
    return {f"weights/{layer}": each.card for layer, each in found.items() if each.card is not None}
