"""Animals drawn with numpy alone: painters for `scenes`.

A shape is a signed distance in units of the animal (about 1.2 units long, x forward, y up), negative inside; its
coverage of a pixel follows from the distance of the pixel's centre. Colours come from one distribution for all animals,
so only the shape tells them apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from scenes import Array, Painter

Point = tuple[float, float]


class Palette(NamedTuple):
    """Colours ``(3, 1, 1)`` of one animal: coat, lighter belly, darker mark (wing, tail, patches) and limbs."""

    coat: Array
    belly: Array
    mark: Array
    limb: Array


class Sheet(NamedTuple):
    """The pixels' centres ``(size, size)`` in the animal's units, and the pixels per unit."""

    x: Array
    y: Array
    scale: float


class Layer(NamedTuple):
    """A signed distance ``(size, size)`` and its colour, ``(3, 1, 1)`` or ``(3, size, size)``."""

    distance: Array
    colour: Array


def palette(rng: Generator) -> Palette:
    """Any hue, of middle brightness."""
    coat = hue(rng.random(), rng.uniform(0.25, 0.85), rng.uniform(0.55, 0.95))
    other = hue(rng.random(), rng.uniform(0.25, 0.85), rng.uniform(0.55, 0.95))
    return Palette(coat, 0.7 * coat + 0.3 * np.float32(0.95), 0.75 * (0.6 * coat + 0.4 * other), 0.8 * other)


def hue(position: float, saturation: float, value: float) -> Array:
    """The RGB colour at a position in [0, 1) of the colour circle."""
    wheel = np.clip(np.abs((position + np.array([0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1, 0, 1)
    return (value * (1 - saturation * (1 - wheel))).astype(np.float32)[:, None, None]


def sheet(size: int, rng: Generator) -> Sheet:
    """A random place, size, tilt and direction: the animal fills three to four fifths of the picture's width."""
    scale = size * rng.uniform(0.58, 0.72)
    row, column = size * (0.5 + rng.uniform(-0.08, 0.08, 2))
    tilt, flip = np.float32(rng.uniform(-0.2, 0.2)), rng.choice([-1, 1])
    centres = np.arange(size, dtype=np.float32) + np.float32(0.5)
    x = (centres - np.float32(column)) / np.float32(flip * scale)
    y = (np.float32(row) - centres[:, None]) / np.float32(scale)
    return Sheet(np.cos(tilt) * x + np.sin(tilt) * y, np.cos(tilt) * y - np.sin(tilt) * x, scale)


def ellipse(s: Sheet, centre: Point, radii: Point, angle: float = 0.0) -> Array:
    """First-order distance: exact on the outline, where it decides on the coverage."""
    x, y = turned(s, centre, angle)
    near = length(x / radii[0], y / radii[1]) + np.float32(1e-6)
    steep = length(x / radii[0] ** 2, y / radii[1] ** 2) + np.float32(1e-6)
    return near * (near - 1) / steep


def limb(s: Sheet, start: Point, end: Point, radii: Point) -> Array:
    """A stroke with round ends whose radius changes from start to end."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((s.x - start[0]) * dx + (s.y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    away = length(s.x - start[0] - along * dx, s.y - start[1] - along * dy)
    return away - (radii[0] + along * (radii[1] - radii[0]))


def polygon(s: Sheet, *corners: Point) -> Array:
    """A convex polygon, corners counter-clockwise."""
    distance = np.full_like(s.x, -np.inf)
    for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        edge = math.hypot(x1 - x0, y1 - y0)
        distance = np.maximum(distance, ((s.x - x0) * (y1 - y0) - (s.y - y0) * (x1 - x0)) / edge)
    return distance


def melt(a: Array, b: Array, k: float) -> Array:
    """The union of two shapes with a rounded seam of width k (Quilez, "Smooth minimum")."""
    share = np.clip(0.5 + 0.5 * (b - a) / k, 0, 1)
    return b + (a - b) * share - k * share * (1 - share)


def length(x: Array, y: Array) -> Array:
    """Several times faster than `numpy.hypot`."""
    return np.sqrt(x * x + y * y)


def turned(s: Sheet, centre: Point, angle: float) -> tuple[Array, Array]:
    x, y, c, n = s.x - centre[0], s.y - centre[1], np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x + n * y, c * y - n * x


def lit(distance: Array, colour: Array, depth: float = 0.13) -> Array:
    """The colour ``(3, size, size)`` of a round body: dark at the outline, bright inside."""
    height = np.clip(-distance / depth, 0, 1)
    return colour * (0.5 + 0.55 * np.sqrt(height * (2 - height)))


def fur(s: Sheet, distance: Array, p: Palette, rng: Generator) -> Array:
    """A lit coat: lighter below, with soft patches of the mark on the back."""
    below = np.clip(-0.25 - s.y / 0.22, 0, 1)
    a, b, c, d = rng.uniform(0, 6.28, 4).tolist()
    wave = np.sin(13 * s.x + a + 2 * np.sin(9 * s.y + b)) * np.sin(17 * s.y + c + 2 * np.sin(11 * s.x + d))
    patch = rng.uniform(0, 0.9) * np.clip(5 * wave - 1.5, 0, 1) * (1 - below)
    return lit(distance, (p.coat * (1 - patch) + p.mark * patch) * (1 - below) + p.belly * below)


def over(layers: Sequence[Layer], scale: float) -> Array:
    """Lay the shapes over each other, the first at the back: RGBA ``(size, size, 4)``."""
    light, cover = np.zeros((3, *layers[0].distance.shape), np.float32), np.zeros_like(layers[0].distance)
    for distance, colour in layers:
        alpha = np.clip(0.5 - distance * scale, 0, 1)
        light, cover = light + (colour - light) * alpha, cover + (1 - cover) * alpha
    colour = np.clip(light / np.maximum(cover, np.float32(1e-6)), 0, 1)
    return np.concatenate([colour, cover[None]]).transpose(1, 2, 0)


def eye(s: Sheet, centre: Point) -> list[Layer]:
    white, pupil = ellipse(s, centre, (0.042, 0.042)), ellipse(s, (centre[0] + 0.008, centre[1]), (0.026, 0.026))
    return [Layer(white, np.float32(0.95)), Layer(pupil, np.float32(0.05))]


def painter(animal: Callable[[Sheet, Palette, Generator], list[Layer]]) -> Painter:
    def paint(size: int, rng: Generator) -> Array:
        colours, paper = palette(rng), sheet(size, rng)
        return over(animal(paper, colours, rng), paper.scale)

    return paint


def bird(s: Sheet, p: Palette, rng: Generator) -> list[Layer]:
    lean, legs, tail = rng.uniform(0.1, 0.55), rng.uniform(0.36, 0.48), rng.uniform(0.5, 0.68)
    ahead = (float(np.cos(lean)), float(np.sin(lean)))
    head = (0.33 * ahead[0] + 0.02, 0.33 * ahead[1] + rng.uniform(0.08, 0.15))
    body = melt(ellipse(s, (0, 0), (0.34, rng.uniform(0.19, 0.24)), lean), ellipse(s, head, (0.14, 0.135)), 0.1)
    return [
        *claw(s, -0.08, legs, 0.7 * p.limb), *claw(s, 0.05, legs, p.limb),
        *fan(s, p, lean + rng.uniform(-0.35, 0.15), tail),
        Layer(beak(s, head, rng.uniform(0.2, 0.3)), p.limb),
        Layer(body, fur(s, body, p, rng)),
        *wing(s, p, lean + rng.uniform(-0.15, 0.1)), *eye(s, (head[0] + 0.05, head[1] + 0.035)),
    ]  # fmt: skip


def beak(s: Sheet, head: Point, length: float) -> Array:
    x, y = head
    return polygon(s, (x + 0.08, y - 0.07), (x + 0.08 + length, y - 0.03), (x + 0.1, y + 0.06))


def claw(s: Sheet, x: float, length: float, colour: Array) -> list[Layer]:
    leg = limb(s, (x, -0.1), (x + 0.03, -length), (0.03, 0.022))
    toes = limb(s, (x - 0.03, -length - 0.01), (x + 0.13, -length - 0.01), (0.018, 0.018))
    return [Layer(np.minimum(leg, toes), colour)]


def fan(s: Sheet, p: Palette, angle: float, length: float) -> list[Layer]:
    back = turned(s, (0, 0), angle)
    turned_sheet = Sheet(*back, s.scale)
    tail = polygon(turned_sheet, (-0.1, -0.06), (-0.1, 0.06), (-length, 0.13), (-length - 0.03, 0), (-length, -0.13))
    feathers = 0.95 + 0.2 * np.sin(60 * back[1] / np.maximum(0.3 - back[0], 0.1))
    return [Layer(tail, p.mark * feathers)]


def wing(s: Sheet, p: Palette, angle: float) -> list[Layer]:
    x, y = turned(s, (-0.06, 0.0), angle)
    shape = np.maximum(length(x, y - 0.2) - 0.31, length(x, y + 0.16) - 0.30)
    feathers = 1.1 + 0.22 * np.sin(34 * x + 22 * y)
    return [Layer(shape, lit(shape, p.mark, 0.05) * feathers)]


def mammal(s: Sheet, p: Palette, rng: Generator) -> list[Layer]:
    s = Sheet(s.x + np.float32(0.07), s.y, s.scale)
    legs, thick = rng.uniform(0.4, 0.5), rng.uniform(0.14, 0.18)
    head = (rng.uniform(0.44, 0.5), rng.uniform(0.18, 0.32))
    trunk = melt(ellipse(s, (0.17, 0.0), (0.22, thick + 0.02)), ellipse(s, (-0.2, 0.0), (0.22, thick)), 0.12)
    neck = limb(s, (0.26, 0.04), (head[0] - 0.05, head[1]), (0.12, 0.08))
    face = limb(s, head, (head[0] + 0.13, head[1] - 0.07), (0.09, 0.055))
    body = melt(melt(trunk, neck, 0.08), face, 0.04)
    body = melt(melt(body, leg(s, -0.33, legs), 0.05), leg(s, 0.24, legs), 0.05)
    return [
        *[Layer(leg(s, x, legs - 0.02), 0.5 * p.coat) for x in (-0.22, 0.34)],
        Layer(limb(s, (-0.38, 0.06), (-0.52, rng.uniform(-0.25, 0.15)), (0.035, 0.028)), p.mark),
        *[Layer(ear(s, (head[0] + x, head[1] + 0.05)), p.mark) for x in (-0.03, -0.08)],
        Layer(body, fur(s, body, p, rng)),
        *[Layer(limb(s, (x, -legs), (x + 0.015, -legs), (0.048, 0.04)), p.limb) for x in (-0.33, 0.24)],
        *eye(s, (head[0] + 0.02, head[1] + 0.03)),
    ]  # fmt: skip


def ear(s: Sheet, root: Point) -> Array:
    x, y = root
    return polygon(s, root, (x + 0.08, y), (x - 0.01, y + 0.16))


def leg(s: Sheet, x: float, length: float) -> Array:
    return limb(s, (x, -0.05), (x, -length), (0.075, 0.04))


def fish(s: Sheet, p: Palette, rng: Generator) -> list[Layer]:
    tall, tail = rng.uniform(0.2, 0.28), rng.uniform(0.16, 0.26)
    body = ellipse(s, (0.07, 0), (0.43, tall))
    upper = polygon(s, (-0.25, 0.03), (-0.62, tail), (-0.5, 0), (-0.25, -0.03))
    lower = polygon(s, (-0.25, 0.03), (-0.5, 0), (-0.62, -tail), (-0.25, -0.03))
    back = polygon(s, (0.25, tall - 0.08), (-0.1, tall + 0.13), (-0.2, tall - 0.1))
    side = polygon(s, (0.12, -0.03), (-0.1, 0.0), (-0.08, -0.14))
    scales = 0.9 + 0.15 * np.sin(45 * s.x) * np.sin(45 * s.y)
    return [
        Layer(np.minimum(upper, lower), p.mark), Layer(back, p.limb),
        Layer(body, fur(s, body, p, rng) * scales), Layer(side, p.mark), *eye(s, (0.34, 0.05)),
    ]  # fmt: skip


def snail(s: Sheet, p: Palette, rng: Generator) -> list[Layer]:
    shell, lift = rng.uniform(0.26, 0.31), rng.uniform(0.15, 0.3)
    head = (0.44, lift - 0.25)
    foot = melt(limb(s, (-0.5, -0.32), (0.34, -0.3), (0.03, 0.09)), limb(s, (0.32, -0.28), head, (0.09, 0.08)), 0.06)
    x, y = s.x + 0.04, s.y - shell + 0.28
    house = length(x, y) - shell
    coil = np.sin(np.arctan2(y, x) + 6.28 * np.sqrt(np.clip(1 + house / shell, 0, None)) * 2.4)
    tips = [(head[0] + 0.08, head[1] + 0.24), (head[0] + 0.2, head[1] + 0.18)]
    return [
        *[Layer(limb(s, head, tip, (0.03, 0.02)), p.limb) for tip in tips],
        Layer(foot, fur(s, foot, p, rng)),
        Layer(house, lit(house, p.mark, 0.2) * (1.1 + 0.45 * coil)),
        *[layer for tip in tips for layer in eye(s, tip)],
    ]  # fmt: skip


PAINTERS: dict[str, Painter] = {animal.__name__: painter(animal) for animal in (bird, mammal, fish, snail)}
