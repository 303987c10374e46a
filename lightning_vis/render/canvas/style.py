"""Sizes and colours of everything drawn."""

from __future__ import annotations

WIDTH = 700
"""Cards are drawn 700 pixels wide and shown at exactly half of it in the Images tab."""


TEXT = 30
"""No text on a card is smaller: at half the size digits are still read right."""


SMALL_TEXT = 22
"""Of pictures that are seen at their own size."""


GAP = 10


PANEL = (24, 26, 30)


INK = (236, 236, 236)


FAINT = (164, 168, 176)


WRONG = (255, 138, 76)


RIGHT = (120, 200, 140)


Colour = tuple[int, int, int]
