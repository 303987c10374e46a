"""The film: the frames of a run in order, thinned so that memory does not grow with the number of looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lightning_vis.frames import Frame, Maps, Pictures, Quantised, Scale, quantise, restored, thumbnail

LIMIT = 64
"""How many looks are kept."""


@dataclass
class Film:
    """At most 64 looks as thumbnails: the stride doubles when it is full, the first and the last are always kept.

    Attributes:
        frames: thumbnails in order.
        positions: which look each of them was, counted from 0.
        count: how many looks there have been.
        stride: every so manyth look is kept.
    """

    frames: list[Frame] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    count: int = 0
    stride: int = 1

    def add(self, frame: Frame) -> None:
        """Adds a look."""
        self._drop(lambda position: position % self.stride != 0)  # the one that was only there because it was the last
        self.frames.append(thumbnail(frame))
        self.positions.append(self.count)
        self.count += 1
        if len(self.frames) > LIMIT:
            self.stride *= 2
            self._drop(lambda position: position % self.stride != 0 and position != self.count - 1)

    def _drop(self, is_dropped: Any) -> None:
        kept = [at for at, position in enumerate(self.positions) if not is_dropped(position)]
        self.frames = [self.frames[at] for at in kept]
        self.positions = [self.positions[at] for at in kept]

    def state(self) -> dict[str, Any]:
        """Plain values and arrays, for a checkpoint."""
        return {
            "frames": [_packed(frame) for frame in self.frames],
            "positions": list(self.positions),
            "count": self.count,
            "stride": self.stride,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Film:
        """The inverse of `state`."""
        frames = [_unpacked(packed) for packed in state["frames"]]
        return cls(frames, list(state["positions"]), int(state["count"]), int(state["stride"]))


def is_spaced(count: int, drawn: int) -> bool:
    """Whether look number `count` (from 1) is drawn when number `drawn` was the last: 16, then every 10 % more."""
    return count <= 16 or count >= 1.1 * drawn


def _packed(frame: Frame) -> dict[str, Any]:
    plain = {key: value for key, value in vars(frame).items() if key not in ("maps", "pictures", "notes")}
    maps = {
        key: {**vars(each), "scale": asdict(each.scale), "values": _coded(each)} for key, each in frame.maps.items()
    }
    plain = {key: dict(value) if isinstance(value, Mapping) else value for key, value in plain.items()}
    pictures = {
        name: {"values": each.values, "captions": list(each.captions)} for name, each in frame.pictures.items()
    }
    return {**plain, "maps": maps, "pictures": pictures, "notes": list(frame.notes)}


def _coded(maps: Maps) -> dict[str, Any]:
    return dict(vars(quantise(maps.values, maps.scale.signed)))


def _unpacked(packed: Mapping[str, Any]) -> Frame:
    maps = {
        key: Maps(**{**each, "scale": Scale(**each["scale"]), "values": restored(Quantised(**each["values"]))})
        for key, each in packed["maps"].items()
    }
    pictures = {name: Pictures(each["values"], tuple(each["captions"])) for name, each in packed["pictures"].items()}
    plain = {key: value for key, value in packed.items() if key not in ("maps", "pictures", "notes")}
    return replace(Frame(**plain), maps=maps, pictures=pictures, notes=tuple(packed["notes"]))
