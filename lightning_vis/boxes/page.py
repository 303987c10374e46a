"""What the page of boxes asks and is answered: images, cut-outs, boxes, one file."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_vis.boxes.box_file import Box, checked, read_boxes, write_boxes
from lightning_vis.boxes.pool_file import PoolFile


class BoxPage:
    """The images of some pools, each once, and the file that their boxes are kept in.

    The file is read anew whenever something is asked or saved: two pages, or a hand that edits it, do not undo each other.

    Args:
        pools: the newest first.
        path: of the file; there may be one already, and boxes of other images stay in it.

    Raises:
        ValueError: what lies there is no file of boxes, or a symbolic link; or there is no such folder.
    """

    def __init__(self, pools: Sequence[PoolFile], path: Path) -> None:
        self.pools, self.path = pools, path
        self._lock = threading.Lock()
        if path.is_symlink():
            raise ValueError(f"{str(path)!r} is a symbolic link: name the file that it leads to, -o {path.resolve()}")
        if not path.parent.is_dir():
            raise ValueError(f"there is no folder {str(path.parent)!r} to save boxes in")
        self.boxes()

    def boxes(self) -> dict[str, Box]:
        """All boxes of the file by key, those of other images too."""
        return read_boxes(self.path) if self.path.exists() else {}

    def facts(self) -> dict[str, Any]:
        """What the page begins with."""
        boxes = self.boxes()
        images = {key: image for at, pool in reversed([*enumerate(self.pools)]) for key, image in _images(at, pool).items()}
        shown = [{**image, "box": boxes.get(key)} for key, image in images.items()]
        return {"file": self.path.name, "images": shown}

    def save(self, change: Mapping[str, Any]) -> int:
        """Saves boxes by key, None for one that is taken away, and returns how many images of the page have one now.

        Raises:
            ValueError: one is no box, or of no image of the page.
            OSError: the file cannot be written.
        """
        known = {key for pool in self.pools for key in pool.keys}
        for key in change:
            if key not in known:
                raise ValueError(f"there is no image {key[:40]!r} here")
        new = {key: None if box is None else checked(key, box) for key, box in change.items()}
        with self._lock:
            boxes = {key: box for key, box in {**self.boxes(), **new}.items() if box is not None}
            write_boxes(self.path, boxes)
        return len(known & boxes.keys())


def _images(at: int, pool: PoolFile) -> dict[str, dict[str, Any]]:
    """Of each image by key: where its tile lies, its class, and the box around its cut-out."""
    boxes = pool.boxes()
    return {
        key: {"key": key, "pool": at, "place": place, "size": pool.size, "name": pool.classes[place], "cut": boxes[place]}
        for place, key in enumerate(pool.keys)
    }
