"""Reads the frames of all runs below a folder from their event files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lightning_vis.constants import FILTERS, PLUGIN
from lightning_vis.events.decode import looks_of, with_own_names, without_repeated
from lightning_vis.events.event_file import AROUND, event_files, records
from lightning_vis.events.folder import File
from lightning_vis.events.frame_builder import build_frame, build_inputs, fitted
from lightning_vis.events.part import Part, part_of
from lightning_vis.frames import Frame, Inputs, filters_of


@dataclass
class StoredRun:
    """All that a run's event files hold of ours, and its scalars.

    Attributes:
        name: the folder below the log directory.
        parts: in the order in which they were written.
        scalars: ``(step, value)`` by tag.
        damage: what could not be read, in sentences.
    """

    name: str
    parts: list[Part] = field(default_factory=list)
    scalars: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RunFrames:
    """A probe's frames of one run, in order of their `place`.

    Attributes:
        name: of the run.
        inputs: what people see of the probe; black pictures where none were stored.
        frames: what was found, maps at their stored resolution.
        damage: what could not be read, in sentences.
        filters: the frames in which filters were seen, of whatever probe; only `whole_run` looks for them.
    """

    name: str
    inputs: Inputs
    frames: tuple[Frame, ...]
    damage: tuple[str, ...] = ()
    filters: tuple[Frame, ...] = ()


def read_frames(logdir: str | Path, probe: str | None = None) -> list[RunFrames]:
    """The frames of all runs below a folder.

    Args:
        logdir: a run's folder, or one with runs in it.
        probe: which probe's frames; None for the first one of each run, by name.

    Raises:
        ValueError: the folder does not exist, or no frames are in it; the message says what there is.
    """
    found = [run for stored in read_runs(logdir) for run in frames_of(stored, probe)]
    if not found:
        wanted = "" if probe is None else f" of a probe {probe!r}"
        raise ValueError(f"no frames{wanted} in {str(logdir)!r}: they are written by ProbeCallback while it trains")
    return found


def read_runs(logdir: str | Path) -> list[StoredRun]:
    """What the event files below a folder hold of ours, by run; runs without frames are left out."""
    return [run for folder, files in event_files(logdir) if (run := read_run(folder, files)).parts]


def read_run(
    name: str,
    files: Iterable[File],
    tell: Callable[[int], object] = lambda size: None,
    keep: Callable[[Part], Part] = lambda part: part,
) -> StoredRun:
    """Reads a run's event files, each up to its damage, if there is any.

    Args:
        name: of the run.
        files: its event files, oldest first.
        tell: gets the bytes of each record read.
        keep: what is kept of each part, in the order in which they were written.
    """
    run = StoredRun(name)
    for path in files:
        if isinstance(path, Path) and path.exists() and not path.is_file():
            run.damage.append(f"{path.name}: left out, as it is no file")  # whoever reads a pipe may wait for ever
            continue
        bad: list[str] = []
        try:
            for data in records(path):
                _take(run, _event_of(data, bad), keep)
                tell(len(data) + AROUND)
        except ValueError as error:
            run.damage.append(f"{path.name}: {error}; what lies before it was read")
        run.damage += [f"{path.name}: a record is no event ({error}); the others were read" for error in bad[:1]]
    return run


def _event_of(data: bytes, bad: list[str]) -> Any:
    """An event, an empty one of what is none: its length was right, so that the records behind it can be read."""
    from tensorboard.compat.proto import event_pb2

    try:
        return event_pb2.Event.FromString(data)
    except Exception as error:  # protobuf's own error has different names in different versions
        bad.append(str(error))
        return event_pb2.Event()


def _take(run: StoredRun, event: Any, keep: Callable[[Part], Part]) -> None:
    for value in event.summary.value:
        if value.metadata.plugin_data.plugin_name == PLUGIN:
            picture = value.tensor.string_val[0] if value.tensor.string_val else b""
            part = part_of(value.metadata.plugin_data.content, picture)
            run.parts += [keep(part)] if part is not None else []
        elif value.HasField("simple_value"):
            run.scalars.setdefault(value.tag, []).append((event.step, value.simple_value))


def frames_of(run: StoredRun, probe: str | None = None) -> list[RunFrames]:
    """The frames of one probe of a run, as a list of none or one."""
    parts = with_own_names(without_repeated(run.parts))
    probes = sorted({part.facts["probe"] for part in parts if part.facts["stream"] == "frames"})
    if not probes or (probe is not None and probe not in probes):
        return []
    chosen = probes[0] if probe is None else probe
    damage = list(run.damage)
    frames = _joined(chosen, [part for part in parts if part.facts["probe"] == chosen], damage)
    own = {part.name: part for part in parts if part.facts["probe"] == chosen and "steps" not in part.facts}
    inputs = build_inputs(chosen, own, frames, damage)
    frames = tuple(fitted(frame, len(inputs.pictures), damage) for frame in frames)
    return [RunFrames(run.name, inputs, frames, tuple(damage))]


def whole_run(run: StoredRun) -> RunFrames:
    """The frames of a run's first probe, if it has one, and those of its filters."""
    (found,) = frames_of(run) or [RunFrames(run.name, build_inputs("", {}, (), []), (), tuple(run.damage))]
    damage = list(found.damage)
    sheets = [part for part in without_repeated(run.parts) if part.facts["stream"] == "sheets"]
    filters = tuple(_with_known_filters(frame, damage) for frame in _joined("", sheets, damage))
    return replace(found, filters=filters, damage=tuple(dict.fromkeys(damage)))


def _joined(probe: str, parts: Iterable[Part], damage: list[str]) -> tuple[Frame, ...]:
    """Frames in order; to `damage` is added what cannot be read."""
    return tuple(build_frame(probe, look, damage) for look in looks_of(parts))


def _with_known_filters(frame: Frame, damage: list[str]) -> Frame:
    """Without pictures of which nobody can say what they show; those are added to `damage`."""
    known = {}
    for name, pictures in frame.pictures.items():
        count = len(filters_of(frame, name.removeprefix(FILTERS)))
        if count == len(pictures.values):
            known[name] = pictures
        else:
            damage.append(f"{name!r} after {frame.finished_steps} steps: {len(pictures.values)} pictures of {count} filters")
    return replace(frame, pictures=known)
