"""How a tensor holds the image's grid: maps, channels last, or tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

Grid = tuple[int, ...]
"""Cells along each axis of the image: ``(h, w)``, of volumes ``(d, h, w)``."""

MAPS, LAST, TOKENS, SEQUENCE, FLAT = "maps", "channels last", "tokens", "sequence", "flat maps"
"""``(N, K, h, w)``; ``(N, h, w, K)``; ``(N, T, K)``; ``(T, N, K)``; ``(N, K, h w)``."""

USUAL_PREFIX = 16
"""A class token, a token of distillation, registers: rarely more."""
FEWEST = 3
"""Rows in which axes are told apart: a batch axis has exactly so many."""


@dataclass(frozen=True)
class Layout:
    """Where the image's grid lies in a tensor.

    Attributes:
        kind: one of `MAPS`, `LAST`, `TOKENS`, `SEQUENCE`, `FLAT`.
        grid: cells along each axis of the image.
        prefix: of tokens, how many stand before the grid's and belong to no place.
        frames: of clips whose frames the network takes one by one, how many make a clip: ``(N frames, ...)``.
    """

    kind: str
    grid: Grid
    prefix: int = 0
    frames: int = 1

    @property
    def is_tokens(self) -> bool:
        """Whether each cell is a token of its own."""
        return self.kind not in (MAPS, LAST)

    @property
    def cells(self) -> int:
        """How many cells the grid has."""
        return math.prod(self.grid)

    def maps(self, tensor: Tensor) -> Tensor:
        """The same values as maps ``(N, K, h, w)``, of frames ``(N, K, frames, h, w)``; maps of another size stay so.

        Raises:
            ValueError: tokens of another number than the grid has cells.
        """
        if self.frames > 1:
            maps = replace(self, frames=1).maps(tensor)
            return maps.reshape(-1, self.frames, *maps.shape[1:]).movedim(1, 2)
        if self.kind == MAPS:
            return tensor
        if self.kind == LAST:
            return tensor.movedim(-1, 1)
        tokens = self._tokens(tensor)[:, self.prefix :]
        if tokens.shape[1] != self.cells:
            raise ValueError(
                f"there are {tokens.shape[1]} tokens where {self.cells} of a grid of {written(self.grid)} were expected:"
                " the images have another size than those that the layer was found with"
            )
        return tokens.movedim(-1, 1).reshape(len(tokens), -1, *self.grid)

    def before(self, tensor: Tensor) -> Tensor | None:
        """The prefix, ``(N, prefix, K)``; None where there is none."""
        return self._tokens(tensor)[:, : self.prefix] if self.prefix else None

    def _tokens(self, tensor: Tensor) -> Tensor:
        order = {SEQUENCE: (1, 0, 2), FLAT: (0, 2, 1)}
        return tensor.permute(order[self.kind]) if self.kind in order else tensor


def written(grid: Grid) -> str:
    """A grid in words: "14 x 14"."""
    return " x ".join(map(str, grid))


def layout_of_frames(shape: Sequence[int], rows: int, frames: int, size: Grid, *, is_last: bool) -> Layout | None:
    """The layout of a tensor whose rows are the frames of clips; tokens of frames are not told apart.

    Args:
        shape: of the tensor.
        rows: how many clips were run.
        frames: of a clip.
        size: of a frame, ``(H, W)``.
        is_last: as `layout_of`.
    """
    found = layout_of(shape, rows * frames, size, is_last=is_last) if len(shape) == 4 else None
    return None if found is None else replace(found, frames=frames)


def layout_of(
    shape: Sequence[int], rows: int, size: Grid, known: Iterable[Grid] = (), *, is_last: bool = False
) -> Layout | None:
    """The layout of a tensor, by its shape alone; None where the image's grid is not in it.

    Args:
        shape: of the tensor.
        rows: how many images were run, a number that nothing else in the network has.
        size: of the images, ``(H, W)`` or ``(D, H, W)``.
        known: grids that were met before, the latest one last.
        is_last: whether the layer that made it works on the last axis, as `torch.nn.LayerNorm` and `torch.nn.Linear` do.
    """
    shape, known = tuple(shape), list(known)
    if len(shape) == len(size) + 2 and shape[0] == rows:
        return _of_maps(shape, size, known, is_last=is_last)
    if len(shape) != 3:
        return None
    if shape[0] == rows:
        latest = next((grid for grid in reversed(known) if math.prod(grid) in shape[1:]), None)
        is_flat = not is_last and latest is not None and math.prod(latest) != shape[1]
        return Layout(FLAT, latest) if latest is not None and is_flat else _of_tokens(TOKENS, shape[1], size, known)
    return _of_tokens(SEQUENCE, shape[0], size, known) if shape[1] == rows else None


def _of_maps(shape: Grid, size: Grid, known: list[Grid], *, is_last: bool) -> Layout | None:
    first, last = shape[2:], shape[1:-1]
    if math.prod(last) > 1 and fits(last, size) and (is_last or not fits(first, size)):
        return Layout(LAST, last)
    if math.prod(first) == 1 or is_last:
        return None
    return Layout(MAPS, first)


def fits(grid: Grid, size: Grid) -> bool:
    """Whether a grid is the image's, each axis divided by one and the same number and rounded up or down."""
    least = max(length / (cells + 1) for length, cells in zip(size, grid, strict=True))
    most = min(length / (cells - 1) if cells > 1 else math.inf for length, cells in zip(size, grid, strict=True))
    return least < most and all(cells <= length for length, cells in zip(size, grid, strict=True))


def _of_tokens(kind: str, count: int, size: Grid, known: list[Grid]) -> Layout | None:
    found = next(_grids(count, size, known), None)
    return None if found is None else Layout(kind, found, count - math.prod(found))


def _grids(count: int, size: Grid, known: list[Grid]) -> Iterator[Grid]:
    """What grids so many tokens may be of, the likeliest first: one that was met, one made of it by merging, a plain division."""
    met = [grid for grid in reversed(known) if 1 < math.prod(grid) <= count]
    yield from (grid for grid in met if math.prod(grid) == count)
    merged = [tuple(-(-cells // 2**times) for cells in grid) for grid in reversed(known) for times in (1, 2, 3, 4)]
    yield from (grid for grid in merged if math.prod(grid) == count > 1)
    yield from (grid for grid in met if count - math.prod(grid) <= USUAL_PREFIX)
    divided = [tuple(length // step for length in size) for step in range(1, min(size) + 1) if not any(n % step for n in size)]
    near = [grid for grid in divided if 0 <= count - math.prod(grid) <= USUAL_PREFIX and math.prod(grid) > 1]
    yield from sorted(near, key=lambda grid: count - math.prod(grid))
    yield from (grid for grid in met if count < 2 * math.prod(grid))  # prompts stand before them, many
