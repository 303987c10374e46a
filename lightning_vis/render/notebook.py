"""What a notebook shows: a frame that knows its pictures, and small PNGs in HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image

from lightning_vis.constants import TWINS
from lightning_vis.frames import Array, Frame, Inputs
from lightning_vis.render.canvas.style import GAP, PANEL, WIDTH
from lightning_vis.render.canvas.tiles import fit, put
from lightning_vis.render.cards import card
from lightning_vis.render.experiment.sheets import SHEETS

COLUMNS = 2
"""Cards side by side: as wide together as a notebook's page is on a screen of twice as many points."""


SHOWN = 8
"""Pictures at most that appear unasked."""


THUMBNAIL = 96


@dataclass(frozen=True, kw_only=True, repr=False)
class PicturedFrame(Frame):
    """What one look found, with what people see of the images it was looked at with.

    Attributes:
        inputs: the images, and what is true of them.
    """

    inputs: Inputs

    def plot(self) -> Image.Image:
        """The cards of all images as TensorBoard shows them, two side by side: a Pillow image, which needs no matplotlib."""
        return Image.fromarray(_sheet([card(self, self.inputs, index) for index in range(len(self.predicted))]))

    def of(self, head: str) -> Frame:
        """As `Frame.of`, with what that head knows of the images."""
        found = super().of(head)
        return pictured(found, self.inputs.of(self, head))

    def _repr_html_(self) -> str:
        """For a notebook: the first cards at half their size, and what is to be said of all."""
        count = min(SHOWN, len(self.predicted))
        cards = [image(card(self, self.inputs, index), WIDTH // 2) for index in range(count)]
        more = f"<p>and {len(self.predicted) - count} more: .plot() shows all</p>" if count < len(self.predicted) else ""
        verdict = () if self.verdict is None else (self.verdict.sentence,)
        said = paragraphs((self.reading, *verdict, *self.notes))
        return paragraph(repr(self)) + "".join(cards) + more + said + "".join(map(self._sheet, SHEETS))

    def _sheet(self, name: str) -> str:
        """What was found with a pool of images, half as wide as it is drawn; "" where nothing of the kind was asked."""
        sheet = SHEETS[name](self)
        return "" if sheet is None else f"<div>{image(sheet, WIDTH // 2, name)}</div>"


def pictured(frame: Frame, inputs: Inputs) -> PicturedFrame:
    """A frame together with the pictures of its images."""
    return PicturedFrame(**{**vars(frame), "inputs": inputs})


def pictures_html(inputs: Inputs) -> str:
    """The first images of a probe, each with what is true of it."""
    truths = [inputs.truth_of(index) for index in range(len(inputs.pictures))]
    tiles = [_tile(fit(picture, THUMBNAIL), truth) for picture, truth in zip(inputs.pictures[:SHOWN], truths, strict=False)]
    more = f"<p>and {len(truths) - SHOWN} more</p>" if len(truths) > SHOWN else ""
    return "".join(tiles) + more + _twins(inputs)


def _twins(inputs: Inputs) -> str:
    """The first objects on all backgrounds."""
    if inputs.twins is None:
        return ""
    rows = [
        "".join(_tile(fit(picture, THUMBNAIL), kind) for picture, kind in zip(row, inputs.kinds, strict=True))
        for row in inputs.twins[:2]
    ]
    return paragraph(f"{TWINS}:") + "".join(f"<div>{row}</div>" for row in rows)


def _tile(picture: Array, words: str) -> str:
    return (
        f'<figure style="display: inline-block; margin: 4px">{image(picture)}<figcaption>{escape(words)}</figcaption></figure>'
    )


def image(picture: Array, width: int | None = None, words: str = "") -> str:
    """A picture ``(H, W, 3)`` uint8 as a PNG within the page, at most as wide as that; drawn smaller, not only shown so."""
    drawn, buffer = Image.fromarray(picture), io.BytesIO()
    if width is not None and width < drawn.width:
        drawn = drawn.resize((width, round(drawn.height * width / drawn.width)), Image.Resampling.LANCZOS)
    drawn.save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img style="max-width: 100%" alt="{escape(words)}" src="data:image/png;base64,{data}">'


def paragraphs(sentences: Iterable[str]) -> str:
    """Sentences in HTML, each by itself; empty ones are left out."""
    return "".join(paragraph(each) for each in sentences if each)


def paragraph(words: str) -> str:
    """Words in HTML: what users have named stays text."""
    return f"<p>{escape(words)}</p>"


def _sheet(cards: Sequence[Array]) -> Array:
    """Cards below and beside each other; all cards of a frame are alike in size."""
    height, columns = len(cards[0]) + GAP, min(COLUMNS, len(cards))
    rows = -(-len(cards) // columns)
    sheet = Image.new("RGB", (columns * (WIDTH + GAP) - GAP, rows * height - GAP), PANEL)
    for at, each in enumerate(cards):
        put(sheet, (at % columns * (WIDTH + GAP), at // columns * height), each)
    return np.asarray(sheet)
