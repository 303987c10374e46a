"""Sends frames on: to the film, to every logger, to files left at the end."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from PIL import Image

from lightning_vis import clock
from lightning_vis.callbacks.budget import Budget
from lightning_vis.callbacks.failures import Failures
from lightning_vis.callbacks.session.drawings import Drawing
from lightning_vis.constants import CONVINCES, SURE
from lightning_vis.events.folder import absolute, event_files_in, file_in, joined, name_of, put
from lightning_vis.events.frame_writer import FrameWriter
from lightning_vis.events.loggers import (
    Encoded,
    encoded,
    film_tag,
    is_summary_writer,
    small,
    write_note,
    write_number,
    write_pictures,
)
from lightning_vis.film import Film
from lightning_vis.frames import Array, Frame, Inputs
from lightning_vis.page import PageRun, looks_within, write_page
from lightning_vis.render.experiment.sheets import SHEETS as EXPERIMENTS
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

    def open(self, writers: Sequence[Any], files: Sequence[Any]) -> None:
        """A run begins: what draws in its loggers, and what frames are written to."""
        self.writers = list(writers)
        self._store = FrameWriter(files)

    @property
    def is_open(self) -> bool:
        """Whether what is seen goes anywhere."""
        return bool(self.writers or self._store.fits)

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
            boards = [each for each in self.writers if is_summary_writer(each)]
            others = [each for each in self.writers if not is_summary_writer(each)]
            self._write(boards, frame, drawing.readings, partial(small if drawing.is_small else encoded, drawing.pictures))
            self._write(others, frame, drawing.readings, partial(encoded, drawing.pictures))
            self.drawn = self.film.count

    def _write(self, writers: Sequence[Any], frame: Frame, readings: Mapping[str, str], make: Callable[[], Encoded]) -> None:
        """Hands pictures to some loggers; one that fails takes no other along."""
        with self._budget.timed("encoding"):
            data = make() if writers else {}
        for writer in writers:
            with self._failures.surviving(f"drawing {self._what}"), self._budget.timed("writing"):
                write_note(writer, frame)
                write_pictures(writer, data, frame.log_step, readings)

    def seconds_of_films(self, inputs: Inputs) -> float:
        """What films and summary will take, as a film of one look tells."""
        keys = list(self.film.frames[-1].maps) if self.film.frames else []
        start = clock.perf_counter()
        with self._failures.surviving("measuring what the films will take"), self._budget.timed("films"):
            for key in keys[:1]:
                animated([("", inputs, self.film.frames[-1:])], key)
        return (clock.perf_counter() - start) * len(self.film.frames) * len(keys)

    def write_numbers(self, frame: Frame, numbers: Mapping[str, float]) -> None:
        """Writes scalars beside the user's own."""
        with self._failures.surviving("writing scalars"):
            for writer in self.writers:
                for tag, value in numbers.items():
                    write_number(writer, tag, value, frame.log_step)

    def write_seconds(self, frame: Frame, seconds: float) -> None:
        """What the look cost in all, as a scalar."""
        self.write_numbers(frame, {"lightning_vis/seconds": seconds})

    def leave(self, inputs: Inputs, played: bool, spoken: Frame | None = None) -> Left:
        """Leaves films, sheets and a summary in the run's folders, and returns where the pictures are.

        Args:
            inputs: what people see of the probe.
            played: whether the first film goes among the run's images, too.
            spoken: the look whose verdict stands, with its pictures.
        """
        if not self.film.frames:
            return Left()
        summaries: list[str] = []
        sheets: list[str] = []
        with self._failures.surviving("making the films to take along"), self._budget.timed("films"):
            for writer, _ in self._store.fits:
                films = leave_films(str(writer.log_dir), self.film.frames, inputs)
                if played and films and is_summary_writer(writer):
                    _write_film(writer, *next(iter(films.items())), self.film.frames[-1].log_step, inputs)
        with self._failures.surviving("making the sheets"), self._budget.timed("films"):
            for folder in self.folders:
                sheets += leave_sheets(folder, self._frames()[-1], inputs)
        with self._failures.surviving("making the summary"), self._budget.timed("films"):
            summaries += [leave_summary(folder, self._frames(spoken), inputs) for folder in self.folders]
        return Left(tuple(summaries), tuple(sheets))

    @property
    def folders(self) -> list[str]:
        """The folders of the run."""
        return sorted({str(writer.log_dir) for writer, _ in self._store.fits})

    def _frames(self, spoken: Frame | None = None) -> list[Frame]:
        """The film, the last look and the one whose verdict stands as they were: thumbnails have no pictures."""
        last = self.film.frames[-1] if self.last is None else self.last
        if spoken is None or _is_same(spoken, last):
            return [*self.film.frames[:-1], last]
        others = [each for each in self.film.frames[:-1] if not _is_same(each, spoken)]
        return [*sorted([*others, spoken], key=lambda each: each.place), last]

    def _tell(self, failures: Mapping[str, Exception]) -> None:
        if failures:
            parts = ", ".join(map(repr, failures))
            what = f"of {self._what}, {parts} could not be stored for the tab"
            self._failures.tell(what, next(iter(failures.values())))


class Left(NamedTuple):
    """Where pictures of a whole training were left, in all folders of the run."""

    summaries: tuple[str, ...] = ()
    sheets: tuple[str, ...] = ()


def _is_same(one: Frame, other: Frame) -> bool:
    """Whether both are of the same look."""
    return (one.place, one.weights) == (other.place, other.weights)


def leave_films(folder: str, frames: Sequence[Frame], inputs: Inputs) -> dict[str, bytes]:
    """Leaves a GIF of each view in the folder of a run, and returns them by view.

    Args:
        folder: of the run.
        frames: the film.
        inputs: what people see of the probe.
    """
    films = {}
    for key in dict.fromkeys(key for frame in frames for key in frame.maps):
        films[key] = animated([(name_of(folder), inputs, frames)], key)
        put(folder, f"film_{inputs.name}_{key}.gif".replace("/", "_"), films[key])
    return films


def _write_film(writer: Any, key: str, film: bytes, step: int, inputs: Inputs) -> None:
    """A GIF among the images of a run."""
    width, height = Image.open(io.BytesIO(film)).size
    tag = f"{film_tag(inputs.name, key)}, played"
    write_pictures(writer, {tag: (film, height, width)}, step, {tag: _READING})


_READING = """The whole training, look by look, on one scale that never changes. It lies in the run's folder too."""


def leave_summary(folder: str, frames: Sequence[Frame], inputs: Inputs) -> str:
    """Writes ``summary.png`` (1200 x 630) into a run's folder and returns where it is.

    Args:
        folder: of the run.
        frames: the film, at least one frame.
        inputs: what people see of the probe.
    """
    return _leave_picture(folder, "summary", summary(_run_name(folder), frames, inputs), inputs)


SHEETS = {CONVINCES: "what_convinces_it", SURE: "sure_and_wrong"}
"""What the sheets of the last look are called in a run's folder."""


def leave_sheets(folder: str, frame: Frame, inputs: Inputs) -> list[str]:
    """Writes ``what_convinces_it.png`` and ``sure_and_wrong.png`` (700 wide) into a run's folder and returns where they are.

    Args:
        folder: of the run.
        frame: the last look; what it does not have is not written.
        inputs: what people see of the probe.
    """
    drawn = {name: EXPERIMENTS[name](frame) for name in SHEETS}
    return [_leave_picture(folder, SHEETS[name], each, inputs) for name, each in drawn.items() if each is not None]


def _leave_picture(folder: str, stem: str, picture: Array, inputs: Inputs) -> str:
    """A PNG, named after the probe where that has a name of its own."""
    name = f"{stem}.png" if inputs.name == "probe" else f"{stem}_{inputs.name}.png".replace("/", "_")
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return put(folder, name, buffer.getvalue())


MOST = 10_000_000
"""Bytes of the page that is left in a run's folder."""


def leave_page(folder: str) -> str:
    """Writes ``film.html`` into a run's folder: the tab's page with all that its event files hold, thinned to 10 MB.

    Returns:
        Where it is; empty where there is nothing to show, or two looks take more than that already.
    """
    runs = [run for run in [PageRun(name_of(folder), event_files_in(folder))] if run.stored.parts]
    looks = looks_within(runs, MOST)
    if not runs or looks is None:
        return ""
    with file_in(folder, "film.html").open("wb") as file:
        write_page(file, runs, looks)
    return joined(folder, "film.html")


def _run_name(folder: str) -> str:
    """A run's folder; Lightning's own ``version_0`` says nothing without the one above."""
    above, _, name = absolute(folder).replace("\\", "/").rpartition("/")
    return f"{above.rpartition('/')[2]}/{name}" if name.startswith("version_") else name
