"""The frames of a run in order, thinned so that memory does not grow."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lightning_vis.events.decode import Look
from lightning_vis.events.encode import EXACT, exact_pictures, frame_parts
from lightning_vis.events.frame_builder import build_frame
from lightning_vis.events.part import Part
from lightning_vis.events.quantise import Quantised, quantise, reduced, restored
from lightning_vis.frames import Array, Frame, Inputs, Maps, Pictures, Scale, thinned

if TYPE_CHECKING:
    from matplotlib.figure import Figure


LIMIT = 64
"""How many looks are kept."""


COLUMNS = 10
"""Looks shown side by side where nobody said how many."""


@dataclass(repr=False)
class Film:
    """At most 64 looks as thumbnails: the stride doubles when it is full, the first and the last are always kept.

    Attributes:
        frames: thumbnails in order.
        positions: which look each of them was, counted from 0.
        count: how many looks there have been.
        stride: every so manyth look is kept.
        inputs: what people see of the probe; needed to be shown.
    """

    frames: list[Frame] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    count: int = 0
    stride: int = 1
    inputs: Inputs | None = None

    @classmethod
    def from_logdir(cls, path: str | Path, probe: str | None = None) -> Film:
        """The whole film of a run, every look, from its event files.

        Args:
            path: the run's folder.
            probe: the probe's name; None for the first one.

        Raises:
            ValueError: there is no such folder, no frames are in it, or those of several runs: the message names them.
        """
        from lightning_vis.events.frame_reader import read_frames
        from lightning_vis.render.notebook import pictured

        runs = read_frames(path, probe)
        if len(runs) > 1:
            raise ValueError(
                f"{str(path)!r} holds several runs ({', '.join(run.name for run in runs)}): give the folder of one"
            )
        for damage in runs[0].damage:
            warnings.warn(f"lightning_vis: {damage}", UserWarning, stacklevel=2)
        frames: list[Frame] = [pictured(frame, runs[0].inputs) for frame in runs[0].frames]
        return cls(frames, list(range(len(frames))), len(frames), inputs=runs[0].inputs)

    def __repr__(self) -> str:
        """How many looks, from when to when, through which views."""
        if not self.frames:
            return "<Film of 0 looks>"
        times = dict.fromkeys((self.frames[0].when, self.frames[-1].when))
        looks = f"{self.count} looks" if self.count > 1 else "1 look"
        kept = f", {len(self.frames)} kept" * (len(self.frames) < self.count)
        return f"<Film of {looks}{kept}: {' to '.join(times)}; {', '.join(self.views) or 'no maps'}>"

    @property
    def views(self) -> list[str]:
        """The keys of the views that were looked through."""
        return list(dict.fromkeys(key for frame in self.frames for key in frame.maps))

    def plot(self, view: str | None = None, columns: int = COLUMNS) -> Figure:
        """The film as a figure: a row per image, a column per look.

        Args:
            view: a view's key; None for the first one.
            columns: looks side by side at most; the first and the last are always among them.

        Raises:
            ValueError: there is no such view, or nothing to show.
            ModuleNotFoundError: matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("Film.plot() draws with matplotlib: pip install matplotlib", name=error.name) from error

        picture = self._strip(self._view(view), columns)
        height, width = picture.shape[:2]
        figure = Figure(figsize=(width / 100, height / 100), dpi=100)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(picture)
        axes.set_axis_off()
        return figure

    def _repr_html_(self) -> str:
        """The film for a notebook: every view's strip."""
        from lightning_vis.render.notebook import image, paragraph

        if self.inputs is None or not self.views:
            return paragraph(f"{self!r}, without pictures")
        return paragraph(repr(self)) + "".join(image(self._strip(view, COLUMNS), words=view) for view in self.views)

    def _view(self, view: str | None) -> str:
        if not self.views:
            raise ValueError("this film has no maps to show")
        if view is not None and view not in self.views:
            raise ValueError(f"view={view!r}: this film has {', '.join(self.views)}")
        return view or self.views[0]

    def _strip(self, view: str, columns: int) -> Any:
        from lightning_vis.render.strips import strip

        if self.inputs is None:
            raise ValueError("this film does not know its pictures: set film.inputs, or read it by Film.from_logdir")
        frames = [frame for frame in self.frames if view in frame.maps]
        return strip([frames[at] for at in thinned(len(frames), columns)], self.inputs, view, film=self.frames)

    def add(self, frame: Frame) -> None:
        """Adds a look; one more look at the end, at what the last one has seen, takes its place."""
        last = self.frames[-1] if self.frames else None
        if last is not None and frame.moment == "end" and (frame.place, frame.weights) == (last.place, last.weights):
            self.frames[-1] = thumbnail(frame)
            return
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
        """Plain values and arrays of bytes, for a checkpoint."""
        return {
            "frames": [_packed(frame) for frame in self.frames],
            "positions": list(self.positions),
            "count": self.count,
            "stride": self.stride,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Film:
        """The inverse of `state`; takes states of before 0.1 too.

        Raises:
            ValueError, KeyError, TypeError: this is no such state, or damaged.
        """
        frames = [_unpacked(packed) for packed in state["frames"]]
        return cls(frames, list(state["positions"]), int(state["count"]), int(state["stride"]))


def _packed(frame: Frame) -> dict[str, Any]:
    """A frame as an event file has it, part by part, but with all digits of its numbers and its pictures as they are."""
    parts = [make() for make in frame_parts(frame, exact_pictures, EXACT).values()]
    return {"probe": frame.probe, "steps": frame.finished_steps, "parts": [_packed_part(part) for part in parts]}


def _packed_part(part: Part) -> dict[str, Any]:
    return {"name": part.name, "facts": dict(part.facts), "picture": np.frombuffer(bytearray(part.picture), np.uint8)}


def _unpacked(packed: Mapping[str, Any]) -> Frame:
    if "parts" not in packed:
        return _of_former_state(packed)
    parts = [Part(each["name"], {**each["facts"], "stream": "frames"}, each["picture"].tobytes()) for each in packed["parts"]]
    damage: list[str] = []
    frame = build_frame(packed["probe"], Look(packed["steps"], "", parts), damage)
    if damage:
        raise ValueError(damage[0])
    return frame


def _of_former_state(packed: Mapping[str, Any]) -> Frame:
    """What checkpoints of before 0.1 hold of a frame: its fields one by one."""
    maps = {
        key: Maps(**{**each, "scale": Scale(**each["scale"]), "values": restored(Quantised(**each["values"]))})
        for key, each in packed["maps"].items()
    }
    pictures = {name: Pictures(each["values"], tuple(each["captions"])) for name, each in packed["pictures"].items()}
    plain = {key: value for key, value in packed.items() if key not in ("maps", "pictures", "notes")}
    return replace(Frame(**plain), maps=maps, pictures=pictures, notes=tuple(packed["notes"]))


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
