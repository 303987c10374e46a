"""Event files to frames: what `storing` has written, read again and joined. No torch."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lightning_vis.constants import FORMAT, PLUGIN, SPRITE_COLUMNS
from lightning_vis.frames import Array, Frame, Inputs, Maps, Pictures, Quantised, Scale, restored


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_CRCS = tuple(map(_crc_of, range(256)))


@dataclass(frozen=True)
class StoredPart:
    """One part as it lies in the event file: its facts, its picture, and when it was written."""

    facts: dict[str, Any]
    picture: bytes
    wall_time: float


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
    parts: list[StoredPart] = field(default_factory=list)
    scalars: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RunFrames:
    """A probe's frames of one run, in order of finished steps.

    Attributes:
        name: of the run.
        inputs: what people see of the probe; black pictures where none were stored.
        frames: what was found, maps at their stored resolution.
        damage: what could not be read, in sentences.
    """

    name: str
    inputs: Inputs
    frames: tuple[Frame, ...]
    damage: tuple[str, ...] = ()


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


def event_files(logdir: str | Path) -> list[tuple[str, list[Path]]]:
    """The event files below a folder, oldest first, by the name of their run."""
    root = Path(logdir)
    if not root.is_dir():
        raise ValueError(f"there is no folder {str(logdir)!r}")
    runs: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*tfevents*"), key=lambda path: (path.parent, path.name)):
        runs.setdefault(path.parent.relative_to(root).as_posix(), []).append(path)
    return [(name if name != "." else root.resolve().name, files) for name, files in runs.items()]


def read_run(name: str, files: Iterable[Path]) -> StoredRun:
    """Reads a run's event files, each up to its damage, if there is any."""
    from tensorboard.compat.proto import event_pb2

    run = StoredRun(name)
    for path in files:
        try:
            for data in records(path):
                _take(run, event_pb2.Event.FromString(data))
        except ValueError as error:
            run.damage.append(f"{path.name}: {error}; what lies before it was read")
        except Exception as error:  # protobuf's own error has different names in different versions
            run.damage.append(f"{path.name}: a record is no event ({error}); what lies before it was read")
    return run


def records(path: Path) -> Iterator[bytes]:
    """The records of an event file.

    Raises:
        ValueError: the file ends within a record, or a length does not fit its checksum.
    """
    with path.open("rb") as file:
        while header := file.read(12):
            at = file.tell() - len(header)
            if len(header) < 12 or masked_crc(header[:8]) != struct.unpack("<I", header[8:])[0]:
                raise ValueError(f"damaged at byte {at}")
            (length,) = struct.unpack("<Q", header[:8])
            data = file.read(length + 4)
            if len(data) < length + 4:
                raise ValueError(f"ends within a record, at byte {at}")
            yield data[:-4]


def masked_crc(data: bytes) -> int:
    """CRC-32C as event files have it (of lengths alone: of whole records it takes longer than all the rest)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRCS[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _take(run: StoredRun, event: Any) -> None:
    for value in event.summary.value:
        if value.metadata.plugin_data.plugin_name == PLUGIN:
            part = _part(value, event.wall_time)
            run.parts += [part] if part is not None else []
        elif value.HasField("simple_value"):
            run.scalars.setdefault(value.tag, []).append((event.step, value.simple_value))


def _part(value: Any, wall_time: float) -> StoredPart | None:
    """A part; None where it is of a later version than this reader, or none of ours after all."""
    try:
        facts = json.loads(value.metadata.plugin_data.content)
    except ValueError:
        return None
    if not isinstance(facts, dict) or not isinstance(facts.get("format"), int) or facts["format"] > FORMAT:
        return None
    if facts["part"] == "latest":
        return None
    return StoredPart(facts, value.tensor.string_val[0] if value.tensor.string_val else b"", wall_time)


def without_repeated(parts: Iterable[StoredPart]) -> list[StoredPart]:
    """The parts without those that a later fit in the same folder has repeated, whoever wrote them."""
    kept: list[StoredPart] = []
    parts = list(parts)
    for fit in sorted({str(part.facts["fit"]) for part in parts}):
        own = [part for part in parts if str(part.facts["fit"]) == fit]
        first = min((part.facts["steps"] for part in own if "steps" in part.facts), default=np.inf)
        kept = [part for part in kept if part.facts.get("steps", -1) < first] + own
    return kept


def frames_of(run: StoredRun, probe: str | None = None) -> list[RunFrames]:
    """The frames of one probe of a run, as a list of none or one."""
    parts = without_repeated(run.parts)
    probes = sorted({part.facts["probe"] for part in parts if part.facts["stream"] == "frames"})
    if not probes or (probe is not None and probe not in probes):
        return []
    chosen = probes[0] if probe is None else probe
    damage = list(run.damage)
    looks: dict[int, list[StoredPart]] = {}
    for part in parts:
        if part.facts["probe"] == chosen and "steps" in part.facts:
            looks.setdefault(part.facts["steps"], []).append(part)
    frames = tuple(_frame(chosen, steps, looks[steps], damage) for steps in sorted(looks))
    own = {part.facts["part"]: part for part in parts if part.facts["probe"] == chosen and "steps" not in part.facts}
    return [RunFrames(run.name, _inputs(chosen, own, frames, damage), frames, tuple(damage))]


def _frame(probe: str, steps: int, parts: list[StoredPart], damage: list[str]) -> Frame:
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    frame = Frame(probe, *nobody, finished_steps=steps, log_step=steps - 1)
    for part in sorted(parts, key=lambda part: part.facts["stream"] == "frames"):  # whose facts count
        try:
            frame = _with(frame, part)
        except (OSError, ValueError, KeyError, TypeError, SyntaxError) as error:
            damage.append(f"{part.facts['part']!r} after {steps} steps cannot be read: {error}")
    return frame


def _with(frame: Frame, part: StoredPart) -> Frame:
    kind, _, name = part.facts["part"].partition("/")
    if kind == "maps":
        return replace(frame, maps={**frame.maps, name: _maps(part)})
    if kind == "pictures":
        return replace(frame, pictures={**frame.pictures, name: _pictures(part)})
    return _with_facts(frame, part.facts) if kind == "facts" else frame


def _with_facts(frame: Frame, facts: dict[str, Any]) -> Frame:
    return replace(
        frame,
        predicted=np.asarray(facts["predicted"], np.int64),
        probability=numbers(facts["probability"]),
        numbers={key: float(number_of(value)) for key, value in facts["numbers"].items()},
        per_image={key: numbers(values) for key, values in facts["per_image"].items()},
        seconds={key: float(number_of(value)) for key, value in facts["seconds"].items()},
        notes=tuple(facts["notes"]),
        log_step=int(facts["step"]),
        epoch=int(facts["epoch"]),
        moment=str(facts["moment"]),
        weights=str(facts["weights"]),
    )


def _maps(part: StoredPart) -> Maps:
    facts = part.facts
    scale = Scale(**facts["scale"])
    codes = tiles(part.picture, facts["size"], len(facts["maximum"]))
    values = restored(Quantised(codes, numbers(facts["maximum"]), numbers(facts["mean"]), scale.signed))
    # Drawing multiplies by the number of cells; where they were joined for storing, there are fewer of them now.
    values = values * np.float32(facts["area"] / (codes.shape[1] * codes.shape[2])) if scale.by_area else values
    return Maps(values, np.asarray(facts["classes"], np.int64), facts["layer"], scale, facts["title"], facts["target"])


def _pictures(part: StoredPart) -> Pictures:
    return Pictures(tiles(part.picture, part.facts["size"], part.facts["count"]), tuple(part.facts["captions"]))


def _inputs(probe: str, parts: dict[str, StoredPart], frames: tuple[Frame, ...], damage: list[str]) -> Inputs:
    if "inputs" not in parts:
        count = max((len(frame.predicted) for frame in frames), default=0)
        return Inputs(probe, np.zeros((count, 112, 112, 3), np.uint8), note="no pictures were stored")
    facts = parts["inputs"].facts
    labels = None if facts["labels"] is None else np.asarray(facts["labels"], np.int64)
    pictures = tiles(parts["inputs"].picture, facts["size"], facts["count"])
    masks = None
    if "masks" in parts:
        try:
            masks = _masks(parts["masks"], facts)
        except (OSError, ValueError, SyntaxError) as error:
            damage.append(f"the masks cannot be read: {error}")
    seen = Inputs(probe, pictures, labels, masks, tuple(facts["class_names"]), facts["note"])
    return _with_twins(seen, parts["twins"]) if "twins" in parts else seen


def _with_twins(inputs: Inputs, part: StoredPart) -> Inputs:
    pictures = tiles(part.picture, part.facts["size"], part.facts["count"])
    kinds = tuple(part.facts["kinds"])
    return replace(inputs, twins=pictures.reshape(-1, len(kinds), *pictures.shape[1:]), kinds=kinds)


def _masks(part: StoredPart, inputs: dict[str, Any]) -> Array:
    """The masks at the size of the pictures."""
    height, width = inputs["size"]
    small = tiles(part.picture, part.facts["size"], inputs["count"])
    large = [Image.fromarray(mask).resize((width, height), Image.Resampling.BILINEAR) for mask in small]
    return np.stack([np.asarray(mask) for mask in large]).astype(np.float32) / 255


def tiles(picture: bytes, size: Iterable[int], count: int) -> Array:
    """The tiles ``(N, h, w, ...)`` of a stored picture: the inverse of `storing.sprite`."""
    sheet = np.asarray(Image.open(io.BytesIO(picture)))
    height, width = size
    columns = min(count, SPRITE_COLUMNS)
    grid = sheet.reshape(-1, height, columns, width, *sheet.shape[2:]).swapaxes(1, 2)
    return grid.reshape(-1, height, width, *sheet.shape[2:])[:count]


def numbers(values: Iterable[float | None]) -> Array:
    """Stored numbers as an array; None was NaN."""
    return np.array([number_of(value) for value in values], np.float32)


def number_of(value: float | None) -> float:
    """One number as `numbers` has it."""
    return float("nan") if value is None else value
