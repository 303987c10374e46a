"""Objects and backgrounds from folders: cut-outs with alpha and photographs, as painters and plates for `scenes`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image
from scenes import Array, Painter

Cutout = Image.Image
SUFFIXES = {".png", ".webp", ".tif", ".tiff", ".gif", ".jpg", ".jpeg", ".bmp"}


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, by name: one per class, or one per kind of background.

    Raises:
        ValueError: fewer than two.
    """
    found = sorted(path for path in existing(folder).iterdir() if path.is_dir())
    if len(found) < 2:
        raise ValueError(f"{folder} needs at least two subfolders, one per class or kind, and has {len(found)}")
    return found


def load_cutouts(folder: Path, longest: int = 192) -> list[Cutout]:
    """All images of a folder and its subfolders, cut to what their alpha shows, with premultiplied colours.

    Args:
        folder: where PNG, WebP, TIFF or GIF files with a transparent background lie.
        longest: larger ones are reduced to this many pixels on the longer side while loading.

    Raises:
        ValueError: no images, or one without a transparent pixel or without a visible one.
    """
    return [load_cutout(path, longest) for path in pictures(folder)]


def load_cutout(path: Path, longest: int) -> Cutout:
    with Image.open(path) as file:
        image = file.convert("RGBA")
    alpha = image.getchannel("A")
    shown = alpha.getbbox()
    if alpha.getextrema()[0] == 255 or shown is None:
        raise ValueError(f"{path} is no cut-out: all its pixels are {'transparent' if shown is None else 'opaque'}")
    image = image.convert("RGBa").crop(shown)
    image.thumbnail((longest, longest))
    return image


def load_plates(folder: Path, count: int, size: int, rng: Generator) -> tuple[Array, Array]:
    """Random squares of photographs, for training from their left 62 %, for testing from their right 35 %.

    Args:
        folder: where the photographs lie.
        count: number of plates for training; half as many for testing.
        size: side of the plates in pixels; they show 11 to 34 % of a photograph's width.
        rng: the only source of randomness.

    Returns:
        Two arrays ``(plates, size, size, 3)``, float32 in [0, 1].

    Raises:
        ValueError: no images.
    """
    photographs = [load_photograph(path) for path in pictures(folder)]
    left, right = ([part(photo, *share) for photo in photographs] for share in ((0, 0.62), (0.65, 1)))
    return squares(left, count, size, rng), squares(right, count // 2, size, rng)


def load_photograph(path: Path, width: int = 640) -> Image.Image:
    with Image.open(path) as file:
        file.thumbnail((width, 4 * width))
        return file.convert("RGB")


def split(cutouts: Sequence[Cutout], rng: Generator, share: float = 0.75) -> tuple[list[Cutout], list[Cutout]]:
    """Cut-outs for training and others for testing.

    Raises:
        ValueError: fewer than two, so that one side would be empty.
    """
    if len(cutouts) < 2:
        raise ValueError(f"{len(cutouts)} cut-out cannot be split into some for training and others for testing")
    order = rng.permutation(len(cutouts)).tolist()
    cut = min(max(1, round(share * len(cutouts))), len(cutouts) - 1)
    return [cutouts[i] for i in order[:cut]], [cutouts[i] for i in order[cut:]]


def painter(cutouts: Sequence[Cutout]) -> Painter:
    """Draws a random cut-out, varied, at a random place."""

    def paint(size: int, rng: Generator) -> Array:
        image = varied(cutouts[rng.integers(len(cutouts))], size, rng)
        paper = Image.new("RGBa", (size, size))
        paper.paste(image, tuple(rng.integers(0, size - np.array(image.size) + 1).tolist()))
        return tinted(np.asarray(paper.convert("RGBA"), np.float32) / 255, rng)

    return paint


def varied(image: Cutout, size: int, rng: Generator) -> Cutout:
    """Mirrored, rotated up to 12 degrees, 62 to 95 % of the picture long."""
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = image.rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC, expand=True)
    image = image.crop(image.getchannel("a").getbbox())
    scale = size * rng.uniform(0.62, 0.95) / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR)


def tinted(rgba: Array, rng: Generator) -> Array:
    """Another brightness, saturation and tint; alpha stays."""
    grey = rgba[..., :3].mean(2, keepdims=True)
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.92, 1.08, 3).astype(np.float32)
    colour = np.clip((grey + rng.uniform(0.6, 1.2) * (rgba[..., :3] - grey)) * gain, 0, 1)
    return np.concatenate([colour, rgba[..., 3:]], axis=2).astype(np.float32)


def squares(images: Sequence[Image.Image], count: int, size: int, rng: Generator) -> Array:
    """Random squares of images in turn, ``(count, size, size, 3)``."""
    return np.stack([square(images[i % len(images)], size, rng) for i in range(count)])


def square(image: Image.Image, size: int, rng: Generator) -> Array:
    side = min(rng.uniform(70, 215), *image.size)
    left, top = (rng.uniform(0, length - side) for length in image.size)
    box = (left, top, left + side, top + side)
    light = np.float32(rng.uniform(0.8, 1.2))
    values = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box), np.float32) / 255
    return np.clip(values * light, 0, 1)


def part(image: Image.Image, start: float, end: float) -> Image.Image:
    return image.crop((round(start * image.width), 0, round(end * image.width), image.height))


def pictures(folder: Path) -> list[Path]:
    found = sorted(path for path in existing(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise ValueError(f"{folder} holds no images ({', '.join(sorted(SUFFIXES))})")
    return found


def existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    return folder
