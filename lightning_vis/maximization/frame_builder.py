"""From maximized images to the pictures and facts of a Frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from lightning_vis.constants import FILTERS, OUTPUT
from lightning_vis.frames import Array, Filter, Frame, Pictures
from lightning_vis.maximization.maximizer import Maximized, maximize
from lightning_vis.maximization.weights import WeightLook
from lightning_vis.probe.probe import Probe


@dataclass(frozen=True)
class Found:
    """What one look found in one layer: its pictures, their numbers, its weights where they were asked for, what to know."""

    pictures: Pictures
    numbers: dict[str, float]
    weights: WeightLook | None = None
    notes: tuple[str, ...] = ()


def build_frame(probe: Probe, found: Mapping[str, Found], when: Mapping[str, Any]) -> Frame:
    """What was found in all layers, as a frame without predictions.

    Args:
        probe: the images.
        found: by layer.
        when: where in the training we are, as fields of a `Frame`.
    """
    pictures = {f"{FILTERS}{layer}": each.pictures for layer, each in found.items()}
    numbers = {tag: value for each in found.values() for tag, value in each.numbers.items()}
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    notes = tuple(dict.fromkeys(note for each in found.values() for note in each.notes))
    return Frame(probe.name, *nobody, pictures=pictures, numbers=numbers, notes=notes, **when)


def first_of(pictures: Pictures, count: int) -> Pictures:
    """The first `count` of some pictures."""
    return Pictures(pictures.values[:count], pictures.captions[:count], pictures.filters[:count])


def filter_pictures(
    model: nn.Module, layer: str, channels: Sequence[int], probe: Probe, **arguments: Any
) -> tuple[Pictures, list[Filter]]:
    """Maximizes channels of a layer, with the arguments of `maximize`."""
    found = maximize(model, layer, channels, probe.images, mean=probe.mean, std=probe.std, **arguments)
    filters = facts_of(found, probe.class_names if layer == OUTPUT else None)
    is_plain = found.pictures.shape[1] in (1, 3)  # other images are shown as mixtures of their channels, and so are these
    pictures = shown(found.pictures) if is_plain else probe.painted(found.images)
    return Pictures(pictures, tuple(each.caption for each in filters), tuple(filters)), filters


def facts_of(found: Maximized, class_names: Sequence[str] | None = None) -> list[Filter]:
    """The facts of each row.

    Args:
        found: what was maximized.
        class_names: where channels are classes, what they are called, as far as that is known; None elsewhere.
    """
    kind = "channel" if class_names is None else "class"
    known = dict(enumerate(class_names or ())) if len(set(class_names or ())) == len(class_names or ()) else {}
    channels = [(each,) if isinstance(each, int) else each for each in found.channels]
    names = ["+".join(known.get(index, str(index)) for index in each) for each in channels]
    if len(set(names)) < len(names):  # a class is called by the number of another that has no name
        names = ["+".join(map(str, each)) for each in channels]
    rows = zip(names, found.activation.tolist(), found.on_images.tolist(), found.dead.tolist(), strict=True)
    return [Filter(*row, kind) for row in rows]


def shown(pictures: Tensor) -> Array:
    """Pictures ``(K, C, H, W)`` in 0..1 as ``(K, H, W, 3)`` uint8: of two channels one, of more the first three."""
    pictures = pictures if pictures.shape[1] >= 3 else pictures[:, :1].expand(-1, 3, -1, -1)
    values = (pictures[:, :3].nan_to_num() * 255).round().clamp(0, 255).byte()
    return np.ascontiguousarray(values.permute(0, 2, 3, 1).numpy())
