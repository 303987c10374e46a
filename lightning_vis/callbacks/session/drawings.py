"""What is drawn of a look, by tag, and how to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightning_vis.constants import EXCHANGE, FILTERS
from lightning_vis.events.loggers import descriptions, film_tag
from lightning_vis.frames import Array, Frame, Inputs, thinned
from lightning_vis.maximization.frame_builder import Found
from lightning_vis.render.cards import card
from lightning_vis.render.experiment.exchange import exchange_sheet
from lightning_vis.render.filters import LOOKS, filter_card
from lightning_vis.render.strips import NARROW, strip
from lightning_vis.render.twins import twins_sheet
from lightning_vis.render.weights import weight_sheet

COLUMNS = 10
"""Looks shown side by side in a film strip."""
FEW_COLUMNS = 4
"""Likewise in a strip as wide as a card."""
FEW_CARDS = 2
"""Cards where few pictures are drawn."""
TAGS = 12
"""Image tags of all callbacks together, unless there are more than that without cards."""


@dataclass(frozen=True)
class Drawing:
    """What is drawn of a look: pictures, and what TensorBoard says below them, by tag.

    Attributes:
        pictures: twice as wide as TensorBoard shows them.
        readings: how to read them.
        is_small: whether TensorBoard gets them no larger than it shows them.
    """

    pictures: Mapping[str, Array]
    readings: Mapping[str, str]
    is_small: bool = False


def of_maps(frame: Frame, frames: Sequence[Frame], inputs: Inputs, neighbours: int) -> Drawing:
    """Cards of the first images, a film strip of each view, the twins, and what was exchanged.

    Args:
        frame: what a look found.
        frames: the film, this look among it.
        inputs: what people see of the probe.
        neighbours: image tags that other callbacks of the Trainer write.
    """
    shown = [frames[at] for at in thinned(len(frames), COLUMNS)]
    count = min(len(frame.predicted), _room_for_cards(frames, inputs, neighbours))
    cards = {f"{inputs.name}/{index}": card(frame, inputs, index) for index in range(count)}
    strips = {film_tag(inputs.name, key): strip(shown, inputs, key, film=frames) for key in frame.maps}
    twins = twins_sheet(frame, inputs)
    sheets = {"twins": twins, EXCHANGE: exchange_sheet(frame)}
    found = {name: each for name, each in sheets.items() if each is not None}
    return Drawing(cards | strips | found, descriptions(frame, inputs))


def few_of_maps(frame: Frame, frames: Sequence[Frame], inputs: Inputs) -> Drawing:
    """A film strip of each view with the first images, made for the Images tab's width, and cards of two images.

    Args:
        frame: what a look found.
        frames: the film, this look among it.
        inputs: what people see of the probe.
    """
    shown = [frames[at] for at in thinned(len(frames), FEW_COLUMNS)]
    strips = {film_tag(inputs.name, key): strip(shown, inputs, key, NARROW, frames) for key in frame.maps}
    cards = {f"{inputs.name}/{index}": card(frame, inputs, index) for index in range(min(len(frame.predicted), FEW_CARDS))}
    return Drawing(strips | cards, descriptions(frame, inputs), is_small=True)


def _room_for_cards(frames: Sequence[Frame], inputs: Inputs, neighbours: int) -> int:
    """The first images have cards of their own; the strips show all of them."""
    strips = {key for frame in frames for key in frame.maps}
    others = len(strips) + bool(strips) + (inputs.twins is not None) + neighbours  # a strip is played, too
    return max(1, TAGS - others)


def of_filters(frame: Frame, frames: Sequence[Frame], found: Mapping[str, Found]) -> Drawing:
    """A card of each layer's filters, and of its weights where they were asked for.

    Args:
        frame: what a look found.
        frames: the film, this look among it.
        found: by layer.
    """
    shown = [frames[at] for at in thinned(len(frames), LOOKS)]
    weights = {
        f"weights/{layer}": weight_sheet(**vars(each.weights)) for layer, each in found.items() if each.weights is not None
    }
    filters = {name: filter_card(frame, shown, name.removeprefix(FILTERS)) for name in frame.pictures}
    readings = dict.fromkeys(weights, _WEIGHTS) | dict.fromkeys(filters, _FILTERS)
    return Drawing(weights | filters, readings, is_small=True)


_FILTERS = """What excites each filter most, found by gradient ascent from the same noise at every look: what changes
from look to look has changed in the network. Under each picture: the channel or class, what the picture reaches (of a
channel the mean over the map, of a class its log-odds, unless the callback has another objective), and the most that a
probe image reaches. Orange: a probe image reaches more than the picture, which then does not show what the filter wants,
or the filter is dead. Below: the same filters over the whole training so far."""

_WEIGHTS = """A row for each filter. Its weights, on one scale for the whole training: three input channels as red, green
and blue around grey, others row by row in a square, warm above 0 and blue below. What moved in them since the last look, on the same
scale. Then what the filter answers to the first probe images, each row on the scale of its own largest answer."""
