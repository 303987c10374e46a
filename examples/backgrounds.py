"""Backgrounds drawn with numpy alone: leaves, pebbles, sand and planks, as plates for `scenes`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from drawing import length
from numpy.random import Generator
from scenes import Array

Stamp = tuple[Array, Array, Array]
BORDER = 24


def plates(draw: Callable[[int, Generator], Array], count: int, rng: Generator, side: int = 256) -> Array:
    """Plates ``(count, side, side, 3)`` of one kind, float32 in [0, 1], each under its own light."""
    return np.stack([exposed(draw(side, rng), rng) for _ in range(count)])


def exposed(plate: Array, rng: Generator) -> Array:
    """Another brightness, light from one side, and the grain of a camera."""
    y, x = grid(len(plate))
    slope = rng.uniform(-0.15, 0.15, 2).tolist()
    light = rng.uniform(0.85, 1.15) + slope[0] * (2 * x / len(plate) - 1) + slope[1] * (2 * y / len(plate) - 1)
    grain = 0.015 * rng.standard_normal(plate.shape, np.float32)
    return np.clip(plate * light[..., None] + grain, 0, 1)


def leaves(side: int, rng: Generator) -> Array:
    """Litter of pointed leaves, green to brown, the upper ones brighter."""
    return litter(side, leaf, side * side // 110, (0.05, 0.1, 0.03), rng)


def pebbles(side: int, rng: Generator) -> Array:
    """A bed of round grey stones."""
    return litter(side, pebble, side * side // 70, (0.2, 0.19, 0.18), rng)


def litter(
    side: int, thing: Callable[[float, Generator], Stamp], count: int, ground: tuple[float, ...], rng: Generator
) -> Array:
    """Things dropped in random places, each with its shadow; what lies lower is darker."""
    full = side + 2 * BORDER
    plate = np.ones((3, full, full), np.float32) * np.array(ground, np.float32)[:, None, None]
    for height in np.linspace(0, 1, round(count * (full / side) ** 2)).tolist():
        colour, alpha, shadow = thing(height, rng)
        top, left = rng.integers(0, full - len(alpha) + 1, 2)
        place = plate[:, top : top + len(alpha), left : left + len(alpha)]
        place *= 1 - shadow
        place += (colour - place) * alpha
    return plate[:, BORDER:-BORDER, BORDER:-BORDER].transpose(1, 2, 0)


def leaf(height: float, rng: Generator) -> Stamp:
    half, angle = rng.uniform(13, 22), rng.uniform(0, 2 * np.pi)
    width, bend = half * rng.uniform(0.24, 0.36), rng.uniform(-0.25, 0.25)
    along, across = turned(2 * int(half) + 6, angle)
    t = along / half
    across = across + bend * half * t * t
    outline = np.abs(across) - width * (1 - t * t) * (1 - 0.35 * t)
    alpha = np.clip(0.5 - outline, 0, 1) * (np.abs(t) < 1)
    shadow = np.clip(0.5 - (outline - 1.5) / 5, 0, 0.6) * (np.abs(t) < 1.1)
    return foliage(height, rng) * veined(along, across, outline, angle), alpha, shadow


def foliage(height: float, rng: Generator) -> Array:
    """One leaf's colour: mostly green, one in six withered."""
    withered = np.array([0.55, 0.38, 0.16]) + rng.uniform(-0.1, 0.1, 3)
    fresh = np.array([rng.uniform(0.12, 0.5), rng.uniform(0.5, 0.8), rng.uniform(0.05, 0.2)])
    return ((withered if rng.random() < 1 / 6 else fresh) * (0.4 + 0.6 * height)).astype(np.float32)[:, None, None]


def veined(along: Array, across: Array, outline: Array, angle: float) -> Array:
    """Brightness: one half turned to the light, a bright midrib, dark side veins, a dark rim."""
    fold = 1 + np.float32(0.16 * np.cos(angle)) * np.sign(across)
    side_veins = np.clip(np.sin(1.3 * (along - 0.9 * np.abs(across))) - 0.5, 0, 0.5)
    midrib = np.clip(1.1 - np.abs(across), 0, 1)
    return (fold - 0.3 * side_veins) * np.clip(0.75 - outline / 8, 0.6, 1.05) + 0.35 * midrib


def pebble(height: float, rng: Generator) -> Stamp:
    radius, flat, angle = rng.uniform(4.5, 10.5), rng.uniform(0.65, 1), rng.uniform(0, 2 * np.pi)
    x, y = turned(2 * int(radius) + 8, angle)
    near = length(x + rng.uniform(-0.01, 0.01) * y * y, (y + rng.uniform(-0.02, 0.02) * x * x) / flat) / radius
    alpha = np.clip(0.5 - (near - 1) * radius * flat, 0, 1)
    shadow = np.clip(0.5 - (near - 1.1) * radius / 4, 0, 0.7)
    bump = 0.75 * np.sqrt(np.clip(1 - near * near, 0, 1)) + 0.3 * facing(x, y, angle) / radius
    speckle = 0.05 * rng.standard_normal(near.shape, np.float32)
    colour = rng.uniform(0.45, 0.9) + rng.uniform(-0.05, 0.05, (3, 1, 1)).astype(np.float32)
    return colour * ((0.5 + 0.5 * height) * (0.45 + bump + speckle)), alpha, shadow


def facing(x: Array, y: Array, angle: float) -> Array:
    """How far a point lies towards the light at the upper left."""
    return -(np.float32(np.cos(angle + 0.9)) * x - np.float32(np.sin(angle + 0.9)) * y)


def sand(side: int, rng: Generator) -> Array:
    """Wind ripples on fine sand."""
    x, y = turned(side, rng.uniform(-0.6, 0.6))
    phase = 2 * np.pi * (y + 2.5 * waves(x, y, 35, rng) + waves(x, y, 13, rng)) / rng.uniform(9, 14)
    light = 0.72 + 0.13 * np.sin(phase) + 0.06 * np.sin(2 * phase + 1) + 0.03 * waves(x, y, 40, rng)
    grain = 0.04 * rng.standard_normal(x.shape, np.float32)
    return np.array([1.0, 0.83, 0.6], np.float32) * (light + grain)[..., None]


def planks(side: int, rng: Generator) -> Array:
    """Weathered boards with grain and dark gaps."""
    x, y = turned(side, rng.uniform(-0.3, 0.3) + rng.choice([0, np.pi / 2]))
    board = y / rng.uniform(17, 26) + 16
    tone = rng.uniform(0.75, 1.1, 32).astype(np.float32)[board.astype(int)]
    grain = np.sin(1.7 * (y + 1.5 * waves(x, y, 45, rng)) + 40 * tone) + waves(x, y * 6, 20, rng)
    gap = np.clip(8 * np.abs(board % 1 - 0.5) - 3.4, 0, 0.6)
    return np.array([0.62, 0.45, 0.33], np.float32) * (tone * (1 + 0.12 * grain) * (1 - gap))[..., None]


def waves(x: Array, y: Array, spacing: float, rng: Generator, count: int = 6) -> Array:
    """A smooth random surface of about unit amplitude: plane waves of one length in all directions."""
    pairs = rng.uniform(0, 2 * np.pi, (count, 2)).astype(np.float32)
    rate = np.float32(2 * np.pi / spacing)
    heights = [np.sin((x * np.cos(angle) + y * np.sin(angle)) * rate + phase) for angle, phase in pairs]
    return sum(heights) / 2


def grid(side: int) -> tuple[Array, Array]:
    steps = np.arange(side, dtype=np.float32)
    return steps[:, None], steps


def turned(side: int, angle: float) -> tuple[Array, Array]:
    """Coordinates along and across a direction, from the middle."""
    y, x = grid(side)
    x, y, c, s = x - (side - 1) / 2, y - (side - 1) / 2, np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x + s * y, c * y - s * x
