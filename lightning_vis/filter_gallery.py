"""Where the filters of a training go: the film that is kept, the tab, and the pictures that are drawn."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lightning_vis.budget import Budget
from lightning_vis.failures import Failures
from lightning_vis.film import Film
from lightning_vis.filter_rendering import LOOKS, filter_card, small
from lightning_vis.frames import Array, Frame, thinned
from lightning_vis.gallery import Gallery
from lightning_vis.storing import Store
from lightning_vis.writing import encoded, write_note, write_number, write_pictures


class FilterGallery:
    """Keeps the film of one callback, stores every frame for the tab and draws it.

    Args:
        failures: decides what happens when drawing or writing fails.
        budget: told what everything costs.
        scalars: whether the activation reached is written as a scalar for each filter too.
    """

    def __init__(self, failures: Failures, budget: Budget, scalars: bool) -> None:
        self.film = Film()
        self.writers: list[Any] = []
        self._failures, self._budget, self._scalars = failures, budget, scalars
        self._store = Store(())

    @property
    def last_step(self) -> int:
        """Finished steps when filters were seen last; -1 before."""
        return self.film.frames[-1].finished_steps if self.film.frames else -1

    def open(self, writers: Sequence[Any]) -> None:
        """A fit begins, and these are its writers."""
        self.writers = list(writers)
        self._store = Store(self.writers)

    def keep(self, frame: Frame, cards: Mapping[str, Array]) -> None:
        """Takes a frame into the film and the tab, and draws it.

        Args:
            frame: the pictures and numbers of each layer.
            cards: by tag, what is written beside them.
        """
        started = time.perf_counter()
        self.film.add(replace(frame, pictures={name: small(each) for name, each in frame.pictures.items()}))
        with self._failures.surviving("storing the filters for the tab"):
            for part, failure in self._store.add(frame, None).items():
                self._failures.tell(f"of the filters, {part!r} could not be stored for the tab", failure)
        with self._failures.surviving("drawing the filters"):
            self._write(frame, {**cards, **self._pictures(frame)})
        self._budget.count("showing", time.perf_counter() - started)

    def _pictures(self, frame: Frame) -> dict[str, Array]:
        shown = [self.film.frames[at] for at in thinned(len(self.film.frames), LOOKS)]
        return {name: filter_card(frame, shown, name.removeprefix("filters/")) for name in frame.pictures}

    def _write(self, frame: Frame, pictures: Mapping[str, Array]) -> None:
        data = encoded(pictures)
        numbers = {tag: value for tag, value in frame.numbers.items() if tag.endswith("/activation") and self._scalars}
        readings = {tag: _WEIGHTS if tag.startswith("weights/") else _READING for tag in pictures}
        for writer in self.writers:
            write_note(writer, frame.log_step)
            write_pictures(writer, data, frame.log_step, readings)
            for tag, value in numbers.items():
                write_number(writer, tag, value, frame.log_step)


def make_room(callbacks: Iterable[Any], tags: int) -> None:
    """Tells those who draw beside the filters how many image tags these take."""
    for other in callbacks:
        gallery = getattr(other, "gallery", None)
        if isinstance(gallery, Gallery):
            gallery.neighbours = tags


_READING = """What excites each filter most, found by gradient ascent from the same noise at every look: what changes
from look to look has changed in the network. Under each picture: the channel or class, what the picture reaches (of a
channel the mean over the map, of a class its log-odds, unless the callback has another objective), and the most that a
probe image reaches. Orange: a probe image reaches more than the picture, which then does not show what the filter wants,
or the filter is dead. Below: the same filters over the whole training so far."""

_WEIGHTS = """A row for each filter. Its weights, on one scale for the whole training: three input channels as red, green
and blue around grey, others row by row in a square, warm above 0 and blue below. What moved in them since the last look, on the same
scale. Then what the filter answers to the first probe images, each row on the scale of its own largest answer."""
