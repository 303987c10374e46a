"""Runs as one HTML file, a GIF or a strip."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from lightning_vis.constants import EXCHANGE, FILTERS, TWINS, VERDICT
from lightning_vis.events.event_file import event_files
from lightning_vis.events.frame_reader import RunFrames, StoredRun, read_run, whole_run
from lightning_vis.frames import Array, Frame, thinned_together
from lightning_vis.page import PageRun, write_page
from lightning_vis.progress_bar import progress_bar
from lightning_vis.render.canvas.style import GAP, INK, PANEL, SMALL_TEXT, TEXT
from lightning_vis.render.canvas.text import paragraph, write
from lightning_vis.render.canvas.tiles import put
from lightning_vis.render.experiment.verdict import SHEETS
from lightning_vis.render.filters import filter_reading, filter_strip, has_gaps
from lightning_vis.render.gif import animated, animated_filters, animated_sheets
from lightning_vis.render.strips import strip

COLUMNS = 10

Folders = str | Path | Sequence[str | Path]
"""A run's folder, or one with runs in it; or several such."""


def export_html(logdir: Folders, output: str | Path, looks: int | None = None) -> list[str]:
    """Writes one self-contained HTML file: the tab's page with all frames of all runs below a folder.

    Args:
        logdir: a run's folder, or one with runs in it; or several such.
        output: the file to write.
        looks: at most this many looks of each run, first and last always among them; None for all.

    Returns:
        What could not be read, in sentences.

    Raises:
        ValueError: the folder does not exist, or no frames are in it.
        OSError: the file cannot be written.
    """
    files = _files(logdir)
    size = sum(path.stat().st_size for paths in files.values() for path in paths)
    with _bar(2 * size) as bar:
        read = [PageRun(name, paths, bar.update) for name, paths in files.items()]
        runs = [run for run in read if run.stored.parts]
        _refuse_nothing(runs, logdir)
        with _whole(Path(output)) as file:
            write_page(file, runs, looks, bar.update)
    return [*_without(logdir), *(f"{run.stored.name}: {damage}" for run in read for damage in run.stored.damage)]


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its place when all of it has been written; what stood there before stays until then.

    Through a link it takes the place of what the link leads to, and what is no file, a pipe or a device, is written into.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def export_gif(logdir: Folders, output: str | Path, view: str | None = None) -> list[str]:
    """Writes a GIF of one view (the first one if None), all runs below each other. Otherwise as `export_html`."""
    known, empty = _stored(logdir)
    runs = [whole_run(stored) for stored in known]
    key = view_key(runs, view)
    if key in SHEETS:
        data = animated_sheets([(run.name, run.frames, partial(_sheet, key, run)) for run in runs])
    elif key.startswith(FILTERS):
        data = animated_filters([(run.name, run.filters) for run in runs], key.removeprefix(FILTERS))
    else:
        data = animated([(run.name, run.inputs, run.frames) for run in runs], key)
    Path(output).write_bytes(data)
    return [*_without(logdir), *empty, *(f"{run.name}: {damage}" for run in runs for damage in run.damage)]


def export_strip(logdir: Folders, output: str | Path, view: str | None = None) -> list[str]:
    """Writes a strip of one view (the first one if None), all runs below each other. Otherwise as `export_html`."""
    known, empty = _stored(logdir)
    runs = [whole_run(stored) for stored in known]
    key = view_key(runs, view)
    shown = [run for run in runs if key in (*_views(run), *_filters(run), *_experiments(run))]
    strips = _strips(shown, key)
    named = [_named(run.name, each) for run, each in zip(shown, strips, strict=True)] if len(shown) > 1 else strips
    Image.fromarray(_stacked([*named, *_below(shown, key, max(each.shape[1] for each in named))])).save(output)
    return [*_without(logdir), *empty, *(f"{run.name}: {damage}" for run in runs for damage in run.damage)]


def view_key(runs: Sequence[RunFrames], view: str | None) -> str:
    """The view to show: the one that was asked for, else the first one; filters stand behind all maps, experiments last.

    Raises:
        ValueError: no run has it; the message names those there are.
    """
    there = list(dict.fromkeys(key for views in (_views, _filters, _experiments) for run in runs for key in views(run)))
    if not there:
        raise ValueError("these runs have no maps, no filters and no verdict")
    if view is not None and view not in there:
        raise ValueError(f"no view {view!r} in these runs: there are {', '.join(there)}{_needs(view)}")
    return view or there[0]


def _views(run: RunFrames) -> list[str]:
    return list(dict.fromkeys(key for frame in run.frames for key in frame.maps))


def _filters(run: RunFrames) -> list[str]:
    return list(dict.fromkeys(name for frame in run.filters for name in frame.pictures))


def _needs(view: str) -> str:
    """What an experiment's view is made of, for whoever knows its name and has none."""
    twins = "a probe with masks and backgrounds (twins)"
    known = {TWINS: twins, EXCHANGE: _CLASSES, VERDICT: f"{twins} or {_CLASSES}"}
    return f"; it takes {known[view]}" if view in known else ""


_CLASSES = "a network that gives each image one class, and labels (exchange)"


def _experiments(run: RunFrames) -> list[str]:
    """What experiments found, as views."""
    return [key for key in SHEETS if any(_sheet(key, run, frame) is not None for frame in run.frames)]


def _sheet(key: str, run: RunFrames, frame: Frame) -> Array | None:
    return SHEETS[key](frame, run.inputs)


def _strips(runs: Sequence[RunFrames], key: str) -> list[Array]:
    """A strip of each run, their columns at the same moments as far as they have these."""
    if key in SHEETS:
        return [_last_sheet(key, run) for run in runs]
    films = [_looks(run, key) for run in runs]
    kept = thinned_together([[frame.when for frame in film] for film in films], COLUMNS)
    shown = [[film[at] for at in columns] for film, columns in zip(films, kept, strict=True)]
    if key.startswith(FILTERS):
        return [filter_strip(frames, key.removeprefix(FILTERS)) for frames in shown]
    return [strip(frames, run.inputs, key, film=run.frames) for frames, run in zip(shown, runs, strict=True)]


def _looks(run: RunFrames, key: str) -> list[Frame]:
    """The looks of a run that have a view."""
    frames = run.filters if key.startswith(FILTERS) else run.frames
    return [frame for frame in frames if key in {**frame.maps, **frame.pictures}]


def _last_sheet(key: str, run: RunFrames) -> Array:
    return next(sheet for frame in reversed(run.frames) if (sheet := _sheet(key, run, frame)) is not None)


def _below(runs: Sequence[RunFrames], key: str, width: int) -> list[Array]:
    """What is to be said below all strips: those of maps have their own legends."""
    if not key.startswith(FILTERS):
        return []
    layer = key.removeprefix(FILTERS)
    is_gappy = any(has_gaps(run.filters, layer) for run in runs)
    said = filter_reading(layer) + " Empty: that look was at other filters." * is_gappy
    return [paragraph(said, width, SMALL_TEXT)]


def _named(name: str, picture: Array) -> Array:
    """A picture below its run's name."""
    sheet = Image.new("RGB", (picture.shape[1], picture.shape[0] + TEXT + 2 * GAP), PANEL)
    write(sheet, (GAP, GAP), name, INK, picture.shape[1] - 2 * GAP)
    put(sheet, (0, TEXT + 2 * GAP), picture)
    return np.asarray(sheet)


def _stacked(pictures: Sequence[Array]) -> Array:
    width = max(picture.shape[1] for picture in pictures)
    return np.concatenate([np.pad(each, ((0, 0), (0, width - each.shape[1]), (0, 0)), "edge") for each in pictures])


def _bar(size: int) -> Any:
    """A bar that counts bytes, where somebody watches."""
    return progress_bar(total=size, desc="reading runs", unit="B", unit_scale=True, disable=not sys.stderr.isatty())


def _stored(logdir: Folders) -> tuple[list[StoredRun], list[str]]:
    """What the runs below a folder hold, read with a bar that counts bytes; and why some hold nothing, in sentences."""
    files = _files(logdir)
    size = sum(path.stat().st_size for paths in files.values() for path in paths)
    with _bar(size) as bar:
        read = [read_run(name, paths, bar.update) for name, paths in files.items()]
    runs = [run for run in read if run.parts]
    _refuse_nothing(runs, logdir)
    return runs, [f"{run.name}: {damage}" for run in read if not run.parts for damage in run.damage]


def _files(logdir: Folders) -> dict[str, list[Path]]:
    """The event files below some folders, by run: of several folders, a run is named from where they part."""
    folders = _folders(logdir)
    found = [run for folder in folders for run in event_files(folder)]
    if len(folders) == 1:
        return dict(found)
    root = os.path.commonpath([os.path.abspath(folder) for folder in folders])
    return {_name_from(root, files[0].parent): files for _, files in found}


def _folders(logdir: Folders) -> list[str | Path]:
    return [logdir] if isinstance(logdir, (str, Path)) else list(logdir)


def _without(logdir: Folders) -> list[str]:
    """Those of several folders that have nothing, in sentences."""
    return [f"{folder}: there is no run in it" for folder in _folders(logdir) if not event_files(folder)]


def _name_from(root: str, folder: Path) -> str:
    path = Path(os.path.abspath(folder))
    return path.relative_to(root).as_posix() if str(path) != root else path.name


def _refuse_nothing(runs: Sequence[object], logdir: Folders) -> None:
    if not runs:
        named = ", ".join(repr(str(each)) for each in _folders(logdir))
        raise ValueError(f"no frames in {named}: they are written by ProbeCallback while it trains")
