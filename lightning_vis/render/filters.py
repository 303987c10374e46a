"""Filters as pictures: a grid of one look, and the film below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.constants import FILTERS, OUTPUT
from lightning_vis.frames import Array, Filter, Frame, Pictures, filters_of
from lightning_vis.render.canvas.style import FAINT, GAP, INK, PANEL, SMALL_TEXT, TEXT, WIDTH, WRONG
from lightning_vis.render.canvas.text import fitting, paragraph, text_width, write
from lightning_vis.render.canvas.tiles import fit, put

COLUMNS = 4


FILM_SIDE = 56
"""Pictures are kept this large for the film."""


LOOKS = 10
"""Columns of the film at most."""


ORANGE = "Orange frame: a probe image excites it more, or it is dead."


@dataclass(frozen=True)
class _Layout:
    """Pixels of a film: a tile's side, from tile to tile, the letters, and the room for names however many looks there are."""

    side: int
    step: int
    letters: int
    names: int


_CARD = _Layout(FILM_SIDE, FILM_SIDE + 2, TEXT, 108)


_STRIP = _Layout(100, 100 + GAP, SMALL_TEXT, 240)


def filter_sheet(frame: Frame, layer: str) -> Array:
    """A layer's filters side by side, under each what it reaches and the best of the probe.

    Args:
        frame: with the pictures and numbers of this layer.
        layer: its name.

    Returns:
        ``(H, 700, 3)`` uint8.
    """
    filters, pictures = filters_of(frame, layer), frame.pictures[f"{FILTERS}{layer}"]
    side = (WIDTH - (COLUMNS + 1) * GAP) // COLUMNS
    rows = -(-len(filters) // COLUMNS)
    row_height = side + 2 * TEXT + 2 * GAP
    sheet = Image.new("RGB", (WIDTH, TEXT + 3 * GAP + rows * row_height), PANEL)
    end = write(sheet, (GAP, GAP), frame.when, INK, WIDTH // 2)
    what = "class" if layer == OUTPUT else "channel"
    write(sheet, (end + GAP, GAP), f"{what}: reached, best on the probe", FAINT, WIDTH - end - 2 * GAP)
    for position, each in enumerate(filters):
        x = GAP + position % COLUMNS * (side + GAP)
        y = TEXT + 3 * GAP + position // COLUMNS * row_height
        filter_tile(sheet, (x, y), side, pictures.values[position], each)
        write(sheet, (x, y + side + 2), f"{each.name}: {'' if each.dead else each.value}", INK, side)
        second = "dead" if each.dead else f"best {each.on_probe:.2g}"
        write(sheet, (x, y + side + 2 + TEXT), second, WRONG if each.is_marked else FAINT, side)
    return np.asarray(sheet)


def filter_film(frames: Sequence[Frame], layer: str) -> Array:
    """The film of a layer's filters: a row for each filter of the last look, a column for each look, by its epoch.

    Args:
        frames: in order, as many as there are to be columns, at most ten; those without this layer are left out.
        layer: its name.

    Returns:
        ``(H, 700, 3)`` uint8. A tile stays empty where another channel was looked at.
    """
    frames = _with_layer(frames, layer)
    heads = [frame.when if frame.moment == "step" else str(frame.epoch) for frame in frames]
    return _film(frames, layer, _CARD, "epoch", heads)


def filter_strip(frames: Sequence[Frame], layer: str) -> Array:
    """The same film to be seen by itself, wider, its columns named by their moments.

    Args:
        frames: as `filter_film`, however many.
        layer: its name.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    frames = _with_layer(frames, layer)
    return _film(frames, layer, _STRIP, "", [frame.when for frame in frames])


def filter_reading(layer: str) -> str:
    """What a film of filters shows, in words."""
    return f"What excites {'each class' if layer == OUTPUT else f'channels of {layer}'}. {ORANGE}"


def has_gaps(frames: Sequence[Frame], layer: str) -> bool:
    """Whether a film's last look shows filters that not all others show: their tiles are empty there."""
    shown = [{each.name for each in filters_of(frame, layer)} for frame in _with_layer(frames, layer)]
    return any(shown[-1] - names for names in shown)


def filter_card(frame: Frame, frames: Sequence[Frame], layer: str) -> Array:
    """A layer's filters today, below them their film, and what orange means: ``(H, 700, 3)`` uint8.

    Args:
        frame: today's, in full size.
        frames: the film, as `filter_film` takes it.
        layer: its name.
    """
    return np.concatenate((filter_sheet(frame, layer), filter_film(frames, layer), paragraph(ORANGE, WIDTH)))


def small(pictures: Pictures) -> Pictures:
    """Pictures as large as the film keeps them."""
    values = np.stack([fit(picture, FILM_SIDE) for picture in pictures.values])
    return replace(pictures, values=values)


def small_frame(frame: Frame) -> Frame:
    """A frame with its pictures as the film keeps them."""
    return replace(frame, pictures={name: small(each) for name, each in frame.pictures.items()})


def filter_tile(sheet: Image.Image, corner: tuple[int, int], side: int, picture: Array, each: Filter) -> None:
    """A filter's picture on a sheet, in an orange frame where it is no answer."""
    x, y = corner
    put(sheet, corner, fit(picture, side))
    if each.is_marked:
        ImageDraw.Draw(sheet).rectangle((x - 2, y - 2, x + side + 1, y + side + 1), outline=WRONG, width=2)


def _with_layer(frames: Sequence[Frame], layer: str) -> list[Frame]:
    return [frame for frame in frames if f"{FILTERS}{layer}" in frame.pictures]


def _film(frames: Sequence[Frame], layer: str, layout: _Layout, word: str, heads: Sequence[str]) -> Array:
    """Names left, moments above; the names take the room that looks leave."""
    names = [each.name for each in filters_of(frames[-1], layer)] if frames else []
    wanted = max(text_width(each, layout.letters) for each in [word, *names]) + 2 * GAP
    left = min(wanted, max(layout.names, WIDTH - GAP - len(frames) * layout.step))
    top = layout.letters + 2 * GAP
    size = (max(WIDTH, left + len(frames) * layout.step), top + len(names) * layout.step + GAP)
    sheet = Image.new("RGB", size, PANEL)
    _write_names(sheet, [word, *names], layout, left - 2 * GAP)
    letters = min((fitting(head, layout.side, (layout.letters, 20, 18)) for head in heads), default=layout.letters)
    for column, (frame, head) in enumerate(zip(frames, heads, strict=True)):
        x = left + column * layout.step
        write(sheet, (x, GAP), head, INK, layout.step, letters)
        for picture, each in zip(frame.pictures[f"{FILTERS}{layer}"].values, filters_of(frame, layer), strict=True):
            if each.name in names:
                filter_tile(sheet, (x, top + names.index(each.name) * layout.step), layout.side, picture, each)
    return np.asarray(sheet)


def _write_names(sheet: Image.Image, words: Sequence[str], layout: _Layout, width: int) -> None:
    """The word for the columns' heads, and a name beside the middle of each row."""
    top = layout.letters + 2 * GAP + (layout.side - layout.letters) // 2
    for row, word in enumerate(words):
        y = top + (row - 1) * layout.step if row else GAP
        write(sheet, (GAP, y), word, FAINT, width, layout.letters)
