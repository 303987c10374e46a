"""What one look found, as plain arrays: it is what is drawn, written, kept and played. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ALONE = ("validate", "test")
"""Moments of looks outside of fit, in the order in which they stand behind a look of the fit at the same steps."""


@dataclass(frozen=True)
class Scale:
    """How a map's values become colour: one scale for the whole run and for all runs.

    Attributes:
        kind: ``"log"``: ``log1p(|value|) / log1p(limit)``; ``"density"``: ``value / mean of the map / limit``.
        limit: the value drawn at full strength.
        signed: values below 0 have colours of their own.
        by_area: values are multiplied by the map's own h w before they are drawn.
    """

    kind: str = "log"
    limit: float = 31.0
    signed: bool = False
    by_area: bool = False


@dataclass(frozen=True)
class Maps:
    """One view's maps, unscaled.

    Attributes:
        values: ``(N, h, w)`` float32 at the layer's own resolution.
        classes: ``(N,)`` the class explained in each image, -1 where it is unknown.
        layer: where they were recorded.
        scale: how they are drawn.
        title: the view's name as people read it.
        target: the word for what is explained: ``"predicted"``, ``"label"``, ...
    """

    values: Array
    classes: Array
    layer: str
    scale: Scale
    title: str = ""
    target: str = "predicted"


@dataclass(frozen=True)
class Pictures:
    """Finished pictures ``(M, h, w, 3)`` uint8 with a caption each."""

    values: Array
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Frame:
    """All that one look found.

    Attributes:
        probe: the probe's name.
        finished_steps: optimizer steps finished before the look: what identifies a frame.
        log_step: the step it is written at, that of Lightning's epoch scalars.
        epoch: finished epochs.
        moment: ``"start"``, ``"step"``, ``"validation"``, ``"epoch"``, ``"end"``, or ``"validate"`` and
            ``"test"`` outside of fit.
        weights: ``"raw"`` or ``"averaged"``: which weights were looked at.
        predicted: ``(N,)`` the predicted class, -1 where the output has no class scores.
        probability: ``(N,)`` its softmax probability, NaN where there is none.
        maps: by view key.
        pictures: by name.
        numbers: by tag.
        per_image: by tag, ``(N,)`` each.
        seconds: what the look cost, by part.
        notes: what a reader should know, in sentences.
    """

    probe: str
    predicted: Array
    probability: Array
    maps: Mapping[str, Maps] = field(default_factory=dict)
    pictures: Mapping[str, Pictures] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    per_image: Mapping[str, Array] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    finished_steps: int = 0
    log_step: int = -1
    epoch: int = 0
    moment: str = "now"
    weights: str = "raw"

    @property
    def when(self) -> str:
        """The moment in a reader's words: "start", "step 4", "epoch 3", "validate"; outside of a training "now"."""
        if self.moment in (*ALONE, "now"):
            return self.moment
        if self.finished_steps == 0:
            return "start"
        return f"epoch {self.epoch}" if self.moment in ("epoch", "end") else f"step {self.finished_steps}"

    @property
    def place(self) -> tuple[int, int]:
        """Orders the frames of a run: by finished steps, and behind each look of the fit those outside of it."""
        return self.finished_steps, place_of(self.moment)


def place_of(moment: str) -> int:
    """0 for looks of a fit, 1 and up for those outside of it."""
    return ALONE.index(moment) + 1 if moment in ALONE else 0


@dataclass(frozen=True)
class Inputs:
    """What people see of a probe.

    Attributes:
        name: the probe's name.
        pictures: ``(N, H, W, 3)`` uint8.
        labels: ``(N,)`` true classes, or None.
        masks: ``(N, H, W)`` float in 0..1, 1 on the object, or None.
        class_names: by class index; may be empty.
        note: said on each card, "display rescaled" for instance.
        twins: ``(objects, K, h, w, 3)`` uint8, each object on K kinds of background, or None.
        kinds: the K kinds' names.
    """

    name: str
    pictures: Array
    labels: Array | None = None
    masks: Array | None = None
    class_names: tuple[str, ...] = ()
    note: str = ""
    twins: Array | None = None
    kinds: tuple[str, ...] = ()

    def class_name(self, index: int) -> str:
        """A class's name, or its number where it has none."""
        return self.class_names[index] if 0 <= index < len(self.class_names) else f"class {index}"


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


def thumbnail(frame: Frame, side: int = 56) -> Frame:
    """The frame with its maps at `side` cells at most and rounded as `quantise` rounds them, without larger
    pictures."""
    maps = {
        key: replace(each, values=restored(quantise(_joined(each, side), each.scale.signed)))
        for key, each in frame.maps.items()
    }
    small = {name: each for name, each in frame.pictures.items() if max(each.values.shape[1:3]) <= side}
    return replace(frame, maps=maps, pictures=small)


def _joined(maps: Maps, side: int) -> Array:
    """Fewer cells; drawing multiplies some maps by the number of cells, and that product is to stay."""
    values = reduced(maps.values, side)
    lost = maps.values[0].size / max(1, values[0].size) if len(values) else 1.0
    return values * np.float32(lost) if maps.scale.by_area else values


def reduced(values: Array, side: int) -> Array:
    """Maps ``(N, h, w)`` at `side` cells at most per edge, each cell the mean of the values it covers."""
    step = -(-max(values.shape[1:]) // side)
    for axis in (1, 2):
        size = values.shape[axis]
        starts = np.arange(-(-size // step)) * size // -(-size // step)
        lengths = np.diff(np.append(starts, size)).reshape([-1 if axis == other else 1 for other in range(3)])
        values = np.add.reduceat(values, starts, axis=axis) / lengths
    return values.astype(np.float32)


def thinned(count: int, limit: int) -> list[int]:
    """At most `limit` of the positions 0..count-1, evenly spaced, first and last always among them."""
    if count <= limit:
        return list(range(count))
    return [round(position * (count - 1) / (limit - 1)) for position in range(limit)]
