"""The images that a run exchanges, small, with their cut-outs, as a file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lightning_vis.boxes.box_file import Box
from lightning_vis.events.folder import is_remote, put
from lightning_vis.events.sprites import png, smaller, sprite, tiles
from lightning_vis.frames import Array
from lightning_vis.render.canvas.tiles import jpeg

FORMAT = 1
SIDE = 128
"""Pixels of a picture's longer side, at most."""
PREFIX = "exchange_pool_"


@dataclass(frozen=True)
class PoolFile:
    """Images that are exchanged, as people see them.

    Attributes:
        keys: what each image is known by.
        classes: what the class of each is called.
        size: height and width of a tile.
        pictures: a JPEG, tiles in rows of eight.
        cuts: a PNG likewise, 255 on the cut-out.
    """

    keys: tuple[str, ...]
    classes: tuple[str, ...]
    size: tuple[int, int]
    pictures: bytes
    cuts: bytes

    def boxes(self) -> list[Box | None]:
        """The box around each cut-out, in shares of the sides; None where nothing is cut out."""
        return [box_around(each > 0) for each in tiles(self.cuts, self.size, len(self.keys))]


def pool_file(keys: Sequence[str], classes: Sequence[str], pictures: Array, cuts: Array) -> PoolFile:
    """A pool made small.

    Args:
        keys: of the images.
        classes: their names.
        pictures: ``(P, H, W, 3)`` uint8.
        cuts: ``(P, H, W)`` bool.
    """
    small = np.stack([smaller(each, SIDE) for each in pictures])
    height, width = small.shape[1:3]
    masks = np.stack([_small_mask(each, (width, height)) for each in cuts])
    return PoolFile(tuple(keys), tuple(classes), (height, width), jpeg(sprite(small)), png(sprite(masks)))


def _small_mask(cut: Array, size: tuple[int, int]) -> Array:
    """255 where at least half of a pixel is covered."""
    shares = np.asarray(Image.fromarray(255 * cut.astype(np.uint8)).resize(size, Image.Resampling.BOX))
    return np.asarray(255 * (shares > 127), np.uint8)


def box_around(mask: Array) -> Box | None:
    """The smallest box ``left, top, right, bottom`` around what a mask ``(H, W)`` shows, in shares of its sides."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    height, width = mask.shape
    left, right, top, bottom = map(int, (columns[0], columns[-1] + 1, rows[0], rows[-1] + 1))
    return left / width, top / height, right / width, bottom / height


def leave_pool(folder: str, pool: PoolFile) -> None:
    """Writes a pool into a run's folder, once: its name is told by what it holds, and nothing is replaced.

    Args:
        folder: a path, or an address of fsspec.
        pool: small.
    """
    content = hashlib.sha256(" ".join(pool.keys).encode() + pool.cuts).hexdigest()
    name = f"{PREFIX}{content[:8]}.json"
    if is_remote(folder) or not Path(folder, name).exists():
        put(folder, name, json.dumps(_facts(pool)).encode())


def _facts(pool: PoolFile) -> dict[str, Any]:
    pictures = {name: base64.b64encode(data).decode() for name, data in (("pictures", pool.pictures), ("cuts", pool.cuts))}
    return {"format": FORMAT, "keys": pool.keys, "classes": pool.classes, "size": pool.size, **pictures}


def read_pools(logdir: str) -> tuple[list[PoolFile], list[str]]:
    """All pools below a folder, the newest first, and what could not be read, in sentences.

    Raises:
        ValueError: there is no such folder on this machine, or no pool in it; one sentence.
    """
    if is_remote(logdir):
        raise ValueError(
            f"{logdir!r}: the folder is not on this machine; copy its {PREFIX}*.json here, and name where they lie"
        )
    if not Path(logdir).is_dir():
        raise ValueError(f"there is no folder {logdir!r}")
    pools, damage = list[PoolFile](), list[str]()
    for path in sorted(_paths(logdir), key=lambda path: -path.stat().st_mtime):
        try:
            pools.append(_pool(path))
        except (OSError, LookupError, TypeError, ValueError) as error:
            damage.append(f"{path}: cannot be read ({error or type(error).__name__})")
    if damage and not pools:
        raise ValueError(damage[0])
    if not pools:
        raise ValueError(
            f"no images to draw boxes on in {logdir!r}: a ProbeCallback leaves them when it first exchanges what surrounds the"
            " objects of labelled validation images, and not where nobody may see them (inputs=False)"
        )
    return pools, damage


def _paths(logdir: str) -> Iterator[Path]:
    """Files below a folder, symbolic links followed as TensorBoard does; a link to what lies above it leads nowhere."""
    for folder, inside, names in os.walk(logdir, followlinks=True):
        if os.path.realpath(folder) in {os.path.realpath(parent) for parent in Path(folder).parents}:
            inside.clear()
            continue
        found = (Path(folder, name) for name in names if name.startswith(PREFIX) and name.endswith(".json"))
        yield from (path for path in found if path.is_file())


def _pool(path: Path) -> PoolFile:
    """One file.

    Raises:
        ValueError, LookupError, TypeError: it is of another kind, or damaged.
    """
    facts = json.loads(path.read_text("utf-8"))
    if facts["format"] != FORMAT:
        raise ValueError(f"it is of format {facts['format']}, and this version reads {FORMAT}")
    height, width = map(int, facts["size"])
    keys, classes = tuple(map(str, facts["keys"])), tuple(map(str, facts["classes"]))
    pool = PoolFile(keys, classes, (height, width), _bytes(facts["pictures"]), _bytes(facts["cuts"]))
    if not len(keys) == len(classes) == len(pool.boxes()) > 0:
        raise ValueError("its images and names are not as many")
    Image.open(io.BytesIO(pool.pictures)).load()
    return pool


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"a picture is damaged: {error}") from error
