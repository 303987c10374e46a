"""Objects pasted on backgrounds, with exact masks: the background tells the class as often as asked.

A *painter* draws one object: it takes the size of the picture and a generator and returns an RGBA picture
``(size, size, 4)`` with the object already at its place. *Plates* are the backgrounds, one array
``(P, height, width, 3)`` per kind. All values are float32 in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float32]
Integers = NDArray[np.int64]
Painter = Callable[[int, Generator], Array]


class Scenes(NamedTuple):
    """Images of objects on backgrounds.

    Attributes:
        images: ``(N, 3, size, size)``, in [0, 1].
        labels: ``(N,)``, the class of the object.
        masks: ``(N, size, size)``, the share of each pixel that the object covers.
        kinds: ``(N,)``, the kind of the background.
    """

    images: Array
    labels: Integers
    masks: Array
    kinds: Integers


class Twins(NamedTuple):
    """The same objects on every kind of background.

    Attributes:
        scenes: object after object, each of them on all kinds in turn: ``n * kinds`` images.
        plates: ``(kinds, n, 3, size, size)``, the backgrounds alone.
    """

    scenes: Scenes
    plates: Array


def compose(
    objects: Sequence[Painter], plates: Sequence[Array], n: int, correlation: float, size: int, rng: Generator
) -> Scenes:
    """Paste objects on backgrounds so that class c stands on kind c as often as asked.

    Objects, plates and the pairing have a random stream each: equal seeds give the same objects at the same places
    whatever the correlation.

    Args:
        objects: one painter per class.
        plates: one array ``(P, height, width, 3)`` per kind of background, at least as many kinds as classes.
        n: number of images; the classes share them evenly and stand in random order.
        correlation: share of class c's images on kind c (exact up to rounding); the other kinds share the rest evenly.
        size: height and width of the images in pixels.
        rng: the only source of randomness.

    Raises:
        ValueError: fewer kinds than classes, a correlation outside [0, 1], or a plate smaller than an image.
    """
    check(objects, plates, correlation, size)
    draw, cut, pair = rng.spawn(3)
    labels = pair.permutation(np.arange(n) % len(objects))
    kinds = paired(labels, len(plates), correlation, pair)
    painted = [objects[label](size, draw) for label in labels]
    return pasted(painted, [crop(plates[kind], size, cut) for kind in kinds], labels, kinds)


def twins(objects: Sequence[Painter], plates: Sequence[Array], n: int, size: int, rng: Generator) -> Twins:
    """Paste each of n objects, classes in turn, at the same place on one background of every kind.

    Args and errors as for `compose`.
    """
    check(objects, plates, 0.0, size)
    draw, cut = rng.spawn(2)
    labels = np.arange(n) % len(objects)
    painted = [objects[label](size, draw) for label in labels]
    clean = [[crop(kind, size, cut) for kind in plates] for _ in labels]
    scenes = pasted(
        [rgba for rgba in painted for _ in plates],
        [plate for row in clean for plate in row],
        labels.repeat(len(plates)),
        np.tile(np.arange(len(plates)), n),
    )
    return Twins(scenes, np.array(clean, np.float32).transpose(1, 0, 4, 2, 3).copy())


def paired(labels: Integers, kinds: int, correlation: float, rng: Generator) -> Integers:
    """The kind of background for each label: its own with the share asked for, the others in turn."""
    result = labels.copy()
    for label in np.unique(labels):
        places = rng.permutation(np.flatnonzero(labels == label))
        rest = places[round(correlation * len(places)) :]
        result[rest] = (label + 1 + np.arange(len(rest)) % (kinds - 1)) % kinds
    return result


def crop(plates: Array, size: int, rng: Generator) -> Array:
    """A random square of a random plate, ``(size, size, 3)``, mirrored half of the time."""
    plate = plates[rng.integers(len(plates))]
    top, left = rng.integers(np.array(plate.shape[:2]) - size + 1)
    square = plate[top : top + size, left : left + size]
    return square[:, ::-1] if rng.random() < 0.5 else square


def paste(rgba: Array, plate: Array) -> Array:
    """The picture ``(size, size, 3)`` with the object over it: untouched where alpha is 0, the object where it is 1."""
    alpha = rgba[..., 3:]
    return rgba[..., :3] * alpha + plate * (1 - alpha)


def pasted(painted: Sequence[Array], squares: Sequence[Array], labels: Integers, kinds: Integers) -> Scenes:
    images = np.array([paste(rgba, plate) for rgba, plate in zip(painted, squares, strict=True)], np.float32)
    masks = np.array([rgba[..., 3] for rgba in painted], np.float32)
    return Scenes(images.transpose(0, 3, 1, 2).copy(), labels.astype(np.int64), masks, kinds.astype(np.int64))


def check(objects: Sequence[Painter], plates: Sequence[Array], correlation: float, size: int) -> None:
    if len(plates) < max(2, len(objects)):
        raise ValueError(f"{len(objects)} classes need at least {max(2, len(objects))} kinds of background, got {len(plates)}")
    if not 0 <= correlation <= 1:
        raise ValueError(f"correlation is a share between 0 and 1, got {correlation}")
    smallest = min(min(plate.shape[:2]) for kind in plates for plate in kind)
    if smallest < size:
        raise ValueError(f"images of {size} pixels do not fit on a plate of {smallest} pixels")
