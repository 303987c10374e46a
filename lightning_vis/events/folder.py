"""A run's folder, on a disk or behind fsspec: what lies there, what is put there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias


@dataclass(frozen=True)
class RemoteFile:
    """A file behind fsspec, as far as it is used as a path is: ``memory://run/film.html``."""

    address: str

    @property
    def name(self) -> str:
        """Without the folder."""
        return self.address.rpartition("/")[2]

    def open(self, mode: str) -> IO[bytes]:
        """Opens it in a binary mode."""
        import fsspec

        file: IO[bytes] = fsspec.open(self.address, mode).open()
        return file


File: TypeAlias = "Path | RemoteFile"


def is_remote(folder: str) -> bool:
    """Whether a folder is an address and no path."""
    return "://" in folder


def joined(folder: str, *names: str) -> str:
    """A place inside a folder."""
    return "/".join((folder.rstrip("/"), *names)) if is_remote(folder) else str(Path(folder, *names))


def absolute(folder: str) -> str:
    """A folder as any process finds it."""
    return folder.rstrip("/") if is_remote(folder) else str(Path(folder).resolve())


def name_of(folder: str) -> str:
    """The last part of a folder's place."""
    return absolute(folder).replace("\\", "/").rpartition("/")[2]


def file_in(folder: str, name: str) -> File:
    """A file of a folder that is made if there is none."""
    if is_remote(folder):
        return RemoteFile(joined(folder, name))
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder, name)


def put(folder: str, name: str, data: bytes) -> str:
    """Writes a file into a folder and returns where it is."""
    with file_in(folder, name).open("wb") as file:
        file.write(data)
    return joined(folder, name)


def event_files_in(folder: str) -> list[File]:
    """The event files of one run, oldest first; none where there is no folder."""
    if is_remote(folder):
        return [RemoteFile(address) for address in _addresses(folder) if "tfevents" in address]
    return [*sorted(Path(folder).glob("*tfevents*"), key=lambda path: path.name)]


def _addresses(folder: str) -> list[str]:
    from fsspec.core import url_to_fs

    system, path = url_to_fs(folder)
    found: list[Any] = system.ls(path, detail=False) if system.isdir(path) else []
    return sorted(system.unstrip_protocol(each) for each in found)
