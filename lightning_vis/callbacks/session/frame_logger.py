"""Sends frames on: to the film, to every logger, to files left at the end."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lightning_vis.callbacks.budget import Budget
from lightning_vis.callbacks.failures import Failures
from lightning_vis.callbacks.session.drawings import Drawing
from lightning_vis.events.frame_writer import FrameWriter
from lightning_vis.events.loggers import encoded, film_tag, write_note, write_number, write_pictures
from lightning_vis.film import Film
from lightning_vis.frames import Frame, Inputs
from lightning_vis.render.gif import animated
from lightning_vis.render.summary import summary

_OF = {"looks": "a look", "filters": "the filters"}
"""What is stored and drawn, in words, by the work that a budget is for."""


class FrameLogger:
    """Keeps the film of one callback, stores every frame for the tab, and writes what is drawn of it.

    Args:
        failures: decides what happens when drawing or writing fails.
        budget: told what everything costs.

    Attributes:
        film: the looks so far.
        last: the look that was taken last.
        drawn: which look was drawn last, counted from 1.
        writers: what draws in each logger.
    """

    def __init__(self, failures: Failures, budget: Budget) -> None:
        self.film = Film()
        self.last: Frame | None = None
        self.drawn = 0
        self.writers: list[Any] = []
        self._failures, self._budget, self._what = failures, budget, _OF[budget.work]
        self._store = FrameWriter(())

    def __getstate__(self) -> dict[str, Any]:
        """Without writers, which belong to one process: a copy has none until a run begins with it."""
        return {**vars(self), "writers": [], "_store": FrameWriter(())}

    def forget(self) -> None:
        """Another training, or other images: the film begins anew."""
        self.go_on(Film(), 0)

    def go_on(self, film: Film, drawn: int) -> None:
        """The film goes on from here."""
        self.film, self.drawn = film, drawn
        self.last = film.frames[-1] if film.frames else None

    def open(self, writers: Sequence[Any]) -> None:
        """A run begins, and these are its writers."""
        self.writers = list(writers)
        self._store = FrameWriter(self.writers)

    def keep(self, frame: Frame, inputs: Inputs | None = None, small: Frame | None = None) -> None:
        """Takes a frame into the film and the tab.

        Args:
            frame: what a look found.
            inputs: what people see of the probe; None where the frame knows of none.
            small: what the film keeps of it, if not the frame itself.
        """
        before = self.film.count
        self.film.add(frame if small is None else small)
        self.drawn = min(self.drawn, self.film.count - 1) if self.film.count == before else self.drawn
        self.last = frame
        with self._failures.surviving(f"storing {self._what} for the tab"), self._budget.timed("storing"):
            self._tell(self._store.add(frame, inputs))

    def draw(self, frame: Frame, make: Callable[[Frame, Sequence[Frame]], Drawing]) -> None:
        """Writes what is drawn of a frame to all loggers.

        Args:
            frame: the last one.
            make: draws it, given the film too.
        """
        if not self.writers:
            return
        with self._failures.surviving(f"drawing {self._what}"):
            with self._budget.timed("drawing"):
                drawing = make(frame, self.film.frames)
            with self._budget.timed("encoding"):
                data = encoded(drawing.pictures)
            with self._budget.timed("writing"):
                for writer in self.writers:
                    write_note(writer, frame)
                    write_pictures(writer, data, frame.log_step, drawing.readings)
                    for tag, value in drawing.scalars.items():
                        write_number(writer, tag, value, frame.log_step)
            self.drawn = self.film.count

    def write_seconds(self, frame: Frame, seconds: float) -> None:
        """What the look cost in all, as a scalar beside the user's own."""
        with self._failures.surviving("writing what a look cost"):
            for writer in self.writers:
                write_number(writer, "lightning_vis/seconds", seconds, frame.log_step)

    def seconds_of_films(self, inputs: Inputs) -> float:
        """What films and summary will take, as a film of one look tells."""
        keys = list(self.film.frames[-1].maps) if self.film.frames else []
        start = time.perf_counter()
        with self._failures.surviving("measuring what the films will take"), self._budget.timed("films"):
            for key in keys[:1]:
                animated([("", inputs, self.film.frames[-1:])], key)
        return (time.perf_counter() - start) * len(self.film.frames) * len(keys)

    def leave(self, inputs: Inputs) -> list[Path]:
        """Leaves films and a summary in the run's folder, and returns the summaries."""
        if not self.film.frames:
            return []
        with self._failures.surviving("making the films to take along"), self._budget.timed("films"):
            for writer, _ in self._store.fits:
                leave_films(writer, self.film.frames, inputs)
        with self._failures.surviving("making the summary"), self._budget.timed("films"):
            folders = sorted({Path(writer.log_dir) for writer, _ in self._store.fits})
            return [leave_summary(folder, self._frames(), inputs) for folder in folders]
        return []

    def _frames(self) -> list[Frame]:
        """The film, the last look as it was: thumbnails have no pictures."""
        last = self.film.frames[-1] if self.last is None else self.last
        return [*self.film.frames[:-1], last]

    def _tell(self, failures: Mapping[str, Exception]) -> None:
        if failures:
            parts = ", ".join(map(repr, failures))
            what = f"of {self._what}, {parts} could not be stored for the tab"
            self._failures.tell(what, next(iter(failures.values())))


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
