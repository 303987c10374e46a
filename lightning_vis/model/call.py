"""A call of a network with its other arguments: images in, its output out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from lightning_vis.model.places import Path, leaves, replaced, rows_of


@runtime_checkable
class ByRow(Protocol):
    """A way to run a network whose other arguments have a row for each image."""

    def __call__(self, images: Tensor) -> Any: ...  # noqa: D102

    def at(self, rows: Tensor) -> ByRow:
        """The same for images that go with these rows."""
        ...


@dataclass(frozen=True)
class Call:
    """A function of images and of what else it is given, a row of it for each image of the probe.

    Attributes:
        function: the network, or one of its submodules.
        args: by position, the images among them or among `kwargs`.
        kwargs: by name.
        image: where the images are in ``(args, kwargs)``.
        count: images of the probe: whatever has so many rows has one for each.
        rows: the probe images that the coming ones go with; None: the first, the second, ... and from the first again.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    image: Path
    count: int
    rows: Tensor | None = None

    def __call__(self, images: Tensor) -> Any:
        """Runs it on images."""
        wanted = rows_for(images, self.count, self.rows)
        args = tuple(rows_of(each, wanted, self.count) for each in self.args)
        kwargs = {name: rows_of(each, wanted, self.count) for name, each in self.kwargs.items()}
        args, kwargs = replaced(on_device((args, kwargs), images.device), self.image, images)
        return self.function(*args, **kwargs)

    def at(self, rows: Tensor) -> Call:
        """The same for images that go with these rows: of the probe, or of those that were named before."""
        return replace(self, rows=rows if self.rows is None else self.rows[rows])


def rows_for(images: Tensor, count: int, rows: Tensor | None) -> Tensor:
    """The rows of the probe that go with images: those that are known, else one after the other, from the first again."""
    return torch.arange(len(images)) % count if rows is None or len(rows) != len(images) else rows


def on_device(nest: Any, device: torch.device) -> Any:
    """A nest with its tensors on a device."""
    for path, value in leaves(nest):
        if value.device != device:
            nest = replaced(nest, path, value.to(device))
    return nest


def at_rows(forward: Callable[[Tensor], Any], rows: Tensor) -> Callable[[Tensor], Any]:
    """A way to run a network, for images that go with these rows of the probe."""
    return forward.at(rows) if isinstance(forward, ByRow) else forward
