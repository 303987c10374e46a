"""Where the frames of a training go: the film that is kept, the tab, and the pictures that are drawn."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning_vis.animation import leave_films
from lightning_vis.budget import Budget
from lightning_vis.failures import Failures
from lightning_vis.film import Film, is_spaced
from lightning_vis.frames import Array, Frame, Inputs, thinned
from lightning_vis.rendering import card, strip
from lightning_vis.scores import PROBABILITIES
from lightning_vis.storing import Store
from lightning_vis.summary import leave_summary
from lightning_vis.twin_pictures import twins_sheet, with_twins
from lightning_vis.writing import descriptions, encoded, film_tag, write_note, write_number, write_pictures

COLUMNS = 10
"""Looks shown side by side in a film strip."""
TAGS = 12
"""Image tags of all callbacks together, unless there are more than that without cards."""


class Gallery:
    """Keeps the film of one callback, stores every frame for the tab and draws the spaced ones.

    Args:
        failures: decides what happens when drawing or writing fails.
        budget: told what everything costs.
        images: whether cards, film strips and animations are drawn; the tab gets its frames in any case.

    Attributes:
        neighbours: image tags that other callbacks of the Trainer write.
    """

    def __init__(self, failures: Failures, budget: Budget, images: bool) -> None:
        self.film = Film()
        self.last: Frame | None = None
        self.drawn = 0
        self.writers: list[Any] = []
        self.inputs: Inputs | None = None
        self.neighbours = 0
        self._failures, self._budget, self.draws = failures, budget, images
        self._store = Store(())

    def forget(self) -> None:
        """Another training, or other images: the film begins anew."""
        self.film, self.last, self.drawn, self.inputs = Film(), None, 0, None

    def open(self, writers: Sequence[Any]) -> None:
        """A fit begins, and these are its writers."""
        self.writers = list(writers)
        self._store = Store(self.writers)

    def keep(self, frame: Frame, has_time: bool) -> None:
        """Takes a frame into the film and the tab, and draws it if its turn has come and there is time."""
        frame = frame if self.inputs is None else with_twins(frame, self.inputs)
        self.film.add(frame)
        self.last = frame
        if PROBABILITIES in frame.notes:
            self._failures.say(PROBABILITIES)
        with self._failures.surviving("storing a look for the tab"), self._timed("storing"):
            self._tell(self._store.add(frame, self.inputs))
        if has_time and is_spaced(self.film.count, self.drawn):
            self._draw(frame)

    def finish(self) -> list[Path]:
        """Draws the last look if that has not been done, and leaves films and a summary in the run's folder.

        Returns:
            The summaries.
        """
        summaries: list[Path] = []
        if self.last is not None and self.drawn < self.film.count:
            self._draw(self.last)
        if self.draws and self.inputs is not None and self.film.frames:
            with self._failures.surviving("making the films to take along"), self._timed("films"):
                for writer, _ in self._store.fits:
                    leave_films(writer, self.film.frames, self.inputs)
            with self._failures.surviving("making the summary"), self._timed("films"):
                folders = sorted({Path(writer.log_dir) for writer, _ in self._store.fits})
                summaries = [leave_summary(folder, self.film.frames, self.inputs) for folder in folders]
        return summaries

    def _draw(self, frame: Frame) -> None:
        if not self.writers or not self.draws or self.inputs is None:
            return
        with self._failures.surviving("drawing a look"):
            with self._timed("drawing"):
                pictures = self._pictures(frame, self.inputs)
            with self._timed("encoding"):
                data = encoded(pictures)
            with self._timed("writing"):
                for writer in self.writers:
                    write_note(writer, frame.log_step)
                    write_pictures(writer, data, frame.log_step, descriptions(frame, self.inputs))
            self.drawn = self.film.count

    def _pictures(self, frame: Frame, inputs: Inputs) -> dict[str, Array]:
        shown = [self.film.frames[at] for at in thinned(len(self.film.frames), COLUMNS)]
        count = min(len(frame.predicted), self._room_for_cards(inputs))
        cards = {f"{inputs.name}/{index}": card(frame, inputs, index) for index in range(count)}
        strips = {film_tag(inputs.name, key): strip(shown, inputs, key) for key in frame.maps}
        twins = twins_sheet(frame, inputs)
        return cards | strips | ({} if twins is None else {"twins": twins})

    def _room_for_cards(self, inputs: Inputs) -> int:
        """The first images have cards of their own; the strips show all of them."""
        strips = {key for frame in self.film.frames for key in frame.maps}
        others = len(strips) + bool(strips) + (inputs.twins is not None) + self.neighbours  # a strip is played, too
        return max(1, TAGS - others)

    def write_seconds(self, frame: Frame, seconds: float) -> None:
        """What the look cost in all, as a scalar beside the user's own."""
        with self._failures.surviving("writing what a look cost"):
            for writer in self.writers:
                write_number(writer, "lightning_vis/seconds", seconds, frame.log_step)

    def _tell(self, failures: dict[str, Exception]) -> None:
        if failures:
            parts = ", ".join(map(repr, failures))
            self._failures.tell(f"of a look, {parts} could not be stored for the tab", next(iter(failures.values())))

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._budget.count(part, time.perf_counter() - started)

    def state(self) -> dict[str, Any]:
        """Plain values and arrays, for a checkpoint."""
        return {"film": self.film.state(), "drawn": self.drawn}

    def load(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.film = Film.from_state(state["film"])
        self.drawn = int(state["drawn"])
        self.last = self.film.frames[-1] if self.film.frames else None
