"""A site: a named place in a network where the image's grid survives."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_vis.model.places import Path, written
from lightning_vis.model.site.layout import MAPS, Layout

OUTPUT_SIDE, INPUT_SIDE = "output", "input"
MARK = ":input"
"""After a layer's name: what enters it."""
HELD = " (held)"
"""After a site's name: its records with attention held."""


@dataclass(frozen=True)
class Site:
    """Where a module's output or input holds the image's grid, and how.

    Attributes:
        layer: the module's dotted name.
        side: `OUTPUT_SIDE` or `INPUT_SIDE`.
        place: where in the output, or in the arguments by position or keyword, the tensor stands.
        layout: how it holds the grid.
        is_held: whether its gradient is that with attention and norms behind it held constant (`lightning_vis.model.attention`).
    """

    layer: str
    side: str
    place: Path
    layout: Layout
    is_held: bool = False

    @property
    def name(self) -> str:
        """What it is called: as the layer, ``avgpool:input`` for what enters it."""
        return self.layer + (MARK if self.side == INPUT_SIDE else "")

    @property
    def key(self) -> str:
        """What its records are called: the same place may be read with attention held and without."""
        return self.name + (HELD if self.is_held else "")

    def __str__(self) -> str:
        where = written(self.place, "") if self.place else ""
        return f"{self.name}{where}"


def split(name: str) -> tuple[str, str]:
    """The layer and the side that a name means."""
    return (name.removesuffix(MARK), INPUT_SIDE) if name.endswith(MARK) else (name, OUTPUT_SIDE)


def place_of(key: str) -> str:
    """The name of the site whose records are called so."""
    return key.removesuffix(HELD)


def plain_site(name: str) -> Site:
    """What a name means where nobody has looked: maps that the layer returns, or that enter it as its first argument."""
    layer, side = split(name)
    return Site(layer, side, (0,) if side == INPUT_SIDE else (), Layout(MAPS, ()))
