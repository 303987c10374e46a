"""TensorBoard event files: their records, read as far as they are whole."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path


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


def records(path: Path) -> Iterator[bytes]:
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
    """CRC-32C as event files have it (of lengths alone: of whole records it takes longer than all the rest)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRCS[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
