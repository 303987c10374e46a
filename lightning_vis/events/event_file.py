"""TensorBoard event files: records read as far as they are whole, and written."""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_vis.events.folder import File, file_in


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_CRCS = tuple(map(_crc_of, range(256)))


AROUND = 16
"""Bytes around the content of each record: its length and two checksums."""


def event_files(logdir: str | Path) -> list[tuple[str, list[Path]]]:
    """The event files below a folder, oldest first, by the name of their run."""
    root = Path(logdir)
    if not root.is_dir():
        raise ValueError(f"there is no folder {str(logdir)!r}")
    runs: dict[str, list[Path]] = {}
    for path in sorted(_found(root), key=lambda path: (path.parent, path.name)):
        runs.setdefault(path.parent.relative_to(root).as_posix(), []).append(path)
    return [(name if name != "." else root.resolve().name, files) for name, files in runs.items()]


def _found(root: Path) -> Iterator[Path]:
    """Event files below a folder, symbolic links followed as TensorBoard does; a link to what lies above it leads nowhere."""
    for folder, inside, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in {os.path.realpath(parent) for parent in Path(folder).parents}:
            inside.clear()
            continue
        yield from (Path(folder) / name for name in names if "tfevents" in name)


def records(path: File) -> Iterator[bytes]:
    """The records of an event file.

    Raises:
        ValueError: the file ends within a record, or a length does not fit its checksum.
    """
    with path.open("rb") as file:
        while header := file.read(12):
            at = file.tell() - len(header)
            if len(header) < 12:
                raise ValueError(f"ends within a record, at byte {at}")
            if masked_crc(header[:8]) != struct.unpack("<I", header[8:])[0]:
                raise ValueError(f"damaged at byte {at}")
            (length,) = struct.unpack("<Q", header[:8])
            data = file.read(length + 4)
            if len(data) < length + 4:
                raise ValueError(f"ends within a record, at byte {at}")
            yield data[:-4]


def masked_crc(data: bytes) -> int:
    """CRC-32C as event files have it (read of lengths alone: of whole records it takes longer than all the rest)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRCS[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@dataclass(eq=False)
class EventFile:
    """An event file of our own, for where no logger has one: opened for each record, so that no thread and no file stays.

    Attributes:
        log_dir: the run's folder, a path or an address of fsspec.
        name: of the file.
    """

    log_dir: str
    name: str = field(default_factory=lambda: _fresh_name())

    def add_summary(self, summary: Any, step: int) -> None:
        """Writes a summary, which is on the disk when this returns."""
        from tensorboard.compat.proto import event_pb2

        file, is_new = file_in(self.log_dir, self.name), not self._has_begun
        first = [event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2")] if is_new else []
        events = [*first, event_pb2.Event(wall_time=time.time(), step=step, summary=summary)]
        with file.open("wb" if is_new else "ab") as opened:
            opened.write(b"".join(record(event.SerializeToString()) for event in events))
        self._has_begun = True

    _has_begun: bool = False


_COUNT = itertools.count()


def _fresh_name() -> str:
    """As TensorBoard names them, so that it finds them: no other process or file of this one has the same."""
    return f"events.out.tfevents.{time.time_ns() // 10**9}.{socket.gethostname()}.{os.getpid()}.{next(_COUNT)}.lightning_vis"


def record(data: bytes) -> bytes:
    """Data as a record: their length and two checksums around them."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data))
