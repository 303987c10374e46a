"""What convinces a network, and where it is sure: tiles with captions, and sheets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from lightning_vis.constants import CONVINCES, DIM, EXCHANGE, SURE
from lightning_vis.frames import Array, Frame, Pictures
from lightning_vis.render.canvas.style import FAINT, GAP, INK, PANEL, SMALL_TEXT, WIDTH, WRONG
from lightning_vis.render.canvas.text import fitting, lines_of, lines_within, write
from lightning_vis.render.canvas.tiles import fit, put
from lightning_vis.render.experiment.exchange import SAYS, exchange_sheet

SIDE = 160
"""Pixels of a stored tile."""
ACROSS = 4
"""Tiles of a row: two patches, each beside an image that it is pasted on; or four images."""

TITLES = {
    CONVINCES: "What convinces it. Left: the patch, bright, of an image of the class. Right: pasted on an image of another class;"
    " an orange frame: it is answered the patch's class.",
    SURE: "The surest mistakes, and below them the surest hits.",
}
"""How each sheet is read."""
NOTHING_WRONG = "No image of these is wrong."
WRONG_WORD, RIGHT_WORD = "wrong", "right"


def patch_pictures(
    shown: Sequence[tuple[Array, tuple[slice, slice], Array]],
    headers: Sequence[str],
    says: Sequence[str],
    turned: Sequence[bool],
) -> Pictures:
    """Two tiles of each patch: its image, all but the patch dimmed, and another image with the patch on it.

    Args:
        shown: of each patch its image ``(H, W, 3)`` uint8, its rows and columns, and the other image.
        headers: of each patch what is known of its class.
        says: what is answered of the other image.
        turned: whether that is the patch's class, which is framed.
    """
    tiles, captions = [], []
    for (source, place, pasted), header, said, is_turned in zip(shown, headers, says, turned, strict=True):
        other = _tile(_outlined(pasted, place))
        tiles += [_tile(_lit(source, place)), _framed(other) if is_turned else other]
        captions += [header, said]
    return Pictures(np.stack(tiles), tuple(captions))


def sure_pictures(shown: Sequence[Array], captions: Sequence[str]) -> Pictures:
    """A tile of each image; those whose captions begin so are framed as wrong."""
    tiles = [_tile(picture) for picture in shown]
    framed = [_framed(tile) if words.startswith(WRONG_WORD) else tile for tile, words in zip(tiles, captions, strict=True)]
    return Pictures(np.stack(framed), tuple(captions))


def patch_sheet(frame: Frame) -> Array | None:
    """The patches of each class, its sentence above them; None where none were pasted.

    Args:
        frame: what a look found.

    Returns:
        ``(H, 700, 3)`` uint8.
    """
    pictures = frame.pictures.get(CONVINCES)
    if pictures is None or not len(pictures.values):
        return None
    by_class: dict[str, list[int]] = {}
    for at in range(0, len(pictures.values), 2):
        by_class.setdefault(pictures.captions[at], []).extend((at, at + 1))
    blocks = [_block(pictures, header, tiles) for header, tiles in by_class.items()]
    return np.concatenate([_words(f"{frame.when}. {TITLES[CONVINCES]}", FAINT), *blocks])


def sure_sheet(frame: Frame) -> Array | None:
    """The surest mistakes over the surest hits; None where no image was asked.

    Args:
        frame: what a look found.

    Returns:
        ``(H, 700, 3)`` uint8.
    """
    pictures = frame.pictures.get(SURE)
    if pictures is None or not len(pictures.values):
        return None
    wrong = [at for at, words in enumerate(pictures.captions) if words.startswith(WRONG_WORD)]
    right = [at for at in range(len(pictures.values)) if at not in wrong]
    above = _row(pictures, wrong) if wrong else _words(NOTHING_WRONG, INK)
    return np.concatenate([_words(f"{frame.when}. {TITLES[SURE]}", FAINT), above, *([_row(pictures, right)] if right else [])])


SHEETS: Mapping[str, Callable[[Frame], Array | None]] = {EXCHANGE: exchange_sheet, CONVINCES: patch_sheet, SURE: sure_sheet}
"""What was found with a pool of images, as one picture each, by name."""


def _block(pictures: Pictures, header: str, tiles: Sequence[int]) -> Array:
    """A class: its sentence, and its patches beside the images that they are pasted on."""
    return np.concatenate([_words(header, INK), _row(pictures, tiles, header)])


def _row(pictures: Pictures, tiles: Sequence[int], header: str = "") -> Array:
    """Tiles side by side with their captions; those that have the header's stand without."""
    side, letters = (WIDTH - (ACROSS + 1) * GAP) // ACROSS, 20
    sheet = Image.new("RGB", (WIDTH, side + 3 * (letters + 4) + GAP), PANEL)
    for column, at in enumerate(tiles[:ACROSS]):
        x, caption = GAP + column * (side + GAP), pictures.captions[at]
        put(sheet, (x, 0), fit(pictures.values[at], side))
        place, _, answer = caption.rpartition(SAYS) if caption != header else ("its patch", "", "")
        for line, words in enumerate([*([f"says {answer}"] if answer else []), *lines_within(place, side, 2, letters)]):
            size = fitting(words, side, (letters, 18, 16, 14))
            write(sheet, (x, side + 2 + line * (letters + 4)), words, FAINT if line else INK, side, size)
    return np.asarray(sheet)


def _words(text: str, colour: tuple[int, int, int]) -> Array:
    lines = lines_of(text, WIDTH - 2 * GAP, SMALL_TEXT)
    sheet = Image.new("RGB", (WIDTH, len(lines) * (SMALL_TEXT + 6) + GAP), PANEL)
    for line, words in enumerate(lines):
        write(sheet, (GAP, GAP // 2 + line * (SMALL_TEXT + 6)), words, colour, WIDTH - 2 * GAP, SMALL_TEXT)
    return np.asarray(sheet)


def _lit(picture: Array, place: tuple[slice, slice]) -> Array:
    """A picture in dim grey but for a patch."""
    grey = picture.astype(np.float32).mean(axis=2, keepdims=True) * DIM
    found = np.broadcast_to(grey, picture.shape).astype(np.uint8)
    found[place] = picture[place]
    return _outlined(found, place)


def _outlined(picture: Array, place: tuple[slice, slice]) -> Array:
    """A picture, enlarged to a tile's size where it is smaller, with a line around a patch."""
    times = max(1, round(SIDE / max(picture.shape[:2])))
    large = Image.fromarray(picture.repeat(times, 0).repeat(times, 1))
    (top, bottom), (left, right) = ((each.start * times, each.stop * times - 1) for each in place)
    ImageDraw.Draw(large).rectangle((left, top, right, bottom), outline=INK, width=max(1, large.width // 80))
    return np.asarray(large)


def _framed(tile: Array) -> Array:
    sheet = Image.fromarray(tile)
    ImageDraw.Draw(sheet).rectangle((0, 0, sheet.width - 1, sheet.height - 1), outline=WRONG, width=max(1, sheet.width // 32))
    return np.asarray(sheet)


def _tile(picture: Array) -> Array:
    return fit(picture, SIDE)
