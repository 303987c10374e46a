"""Sends frames on: to the film, to every logger, to files left at the end."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from lightning_vis.callbacks.budget import Budget
from lightning_vis.callbacks.failures import Failures
from lightning_vis.callbacks.schedule import is_spaced
from lightning_vis.events.frame_writer import FrameWriter
from lightning_vis.events.loggers import descriptions, encoded, film_tag, write_note, write_number, write_pictures
from lightning_vis.film import Film
from lightning_vis.frames import Array, Frame, Inputs, thinned
from lightning_vis.model.scores import PROBABILITIES
from lightning_vis.render.cards import card
from lightning_vis.render.filters import LOOKS, filter_card, small
from lightning_vis.render.gif import animated
from lightning_vis.render.strips import strip
from lightning_vis.render.summary import summary
from lightning_vis.render.twins import twins_sheet, with_twins


def leave_films(writer: Any, frames: Sequence[Frame], inputs: Inputs) -> list[Path]:
    """Leaves a GIF of each view in the folder of a run, and the first one among its images.

    Args:
        writer: a ``torch.utils.tensorboard.SummaryWriter``.
        frames: the film.
        inputs: what people see of the probe.

    Returns:
        The files.
    """
    folder = Path(writer.log_dir)
    keys = list(dict.fromkeys(key for frame in frames for key in frame.maps))
    paths = []
    for key in keys:  # without tqdm's bar, whose thread would outlive the training
        data = animated([(folder.resolve().name, inputs, frames)], key)
        paths.append(folder / f"film_{inputs.name}_{key}.gif".replace("/", "_"))
        paths[-1].write_bytes(data)
        if key == keys[0]:
            width, height = Image.open(io.BytesIO(data)).size
            tag = f"{film_tag(inputs.name, key)}, played"
            write_pictures(writer, {tag: (data, height, width)}, frames[-1].log_step, {tag: _READING})
    return paths


_READING = """The whole training, look by look, on one scale that never changes. It lies in the run's folder too."""


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
        self._store = FrameWriter(())

    @property
    def last_step(self) -> int:
        """Finished steps when filters were seen last; -1 before."""
        return self.film.frames[-1].finished_steps if self.film.frames else -1

    def open(self, writers: Sequence[Any]) -> None:
        """A fit begins, and these are its writers."""
        self.writers = list(writers)
        self._store = FrameWriter(self.writers)

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
        readings = {tag: _WEIGHTS if tag.startswith("weights/") else _FILTERS_READING for tag in pictures}
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


_FILTERS_READING = """What excites each filter most, found by gradient ascent from the same noise at every look: what changes
from look to look has changed in the network. Under each picture: the channel or class, what the picture reaches (of a
channel the mean over the map, of a class its log-odds, unless the callback has another objective), and the most that a
probe image reaches. Orange: a probe image reaches more than the picture, which then does not show what the filter wants,
or the filter is dead. Below: the same filters over the whole training so far."""


_WEIGHTS = """A row for each filter. Its weights, on one scale for the whole training: three input channels as red, green
and blue around grey, others row by row in a square, warm above 0 and blue below. What moved in them since the last look, on the same
scale. Then what the filter answers to the first probe images, each row on the scale of its own largest answer."""


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
        self._store = FrameWriter(())

    def forget(self) -> None:
        """Another training, or other images: the film begins anew."""
        self.film, self.last, self.drawn, self.inputs = Film(), None, 0, None

    def open(self, writers: Sequence[Any]) -> None:
        """A fit begins, and these are its writers."""
        self.writers = list(writers)
        self._store = FrameWriter(self.writers)

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


def leave_summary(folder: Path, frames: Sequence[Frame], inputs: Inputs) -> Path:
    """Writes ``summary.png`` (1200 x 630) into a run's folder and returns its path.

    Args:
        folder: of the run.
        frames: the film, at least one frame.
        inputs: what people see of the probe.
    """
    name = "summary.png" if inputs.name == "probe" else f"summary_{inputs.name}.png".replace("/", "_")
    Image.fromarray(summary(_run_name(folder.resolve()), frames, inputs)).save(folder / name)
    return folder / name


def _run_name(folder: Path) -> str:
    """A run's folder; Lightning's own ``version_0`` says nothing without the one above."""
    return f"{folder.parent.name}/{folder.name}" if folder.name.startswith("version_") else folder.name
