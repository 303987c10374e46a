"""What is installed and what a log folder holds, on one screen, for reports."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from textwrap import wrap

from lightning_vis import __version__
from lightning_vis.constants import FILTERS
from lightning_vis.events.event_file import event_files
from lightning_vis.events.frame_reader import RunFrames, StoredRun, read_run, whole_run
from lightning_vis.frames import Frame, spoken

WIDTH = 100


MOST_RUNS = 4
"""Runs that are described: together with all else they fill a screen."""


PACKAGES = (
    "torch",
    "pytorch-lightning",
    "lightning",
    "tensorboard",
    "numpy",
    "pillow",
    "protobuf",
    "torchmetrics",
    "matplotlib",
)
"""Of which versions matter."""


LOGGERS = ("wandb", "mlflow", "comet-ml", "neptune", "aim", "clearml", "litlogger")
"""Whose loggers Lightning users have besides TensorBoard's."""


EITHER = ("pytorch-lightning", "lightning")
"""Two names of one package: one of them is enough."""


_PART = re.compile(r"^([\w.-]+)\s*>=\s*([\d.]+)$")


def examined(logdir: str | Path | None = None) -> str:
    """What a report of a problem should say, at most about forty lines.

    Args:
        logdir: a run's folder, or one with runs in it; None where nothing is to be read.

    Raises:
        ValueError: there is no such folder.
    """
    lines = [*_installed(), *_problems(version_of, required())]
    return "\n".join([*lines, *([] if logdir is None else ["", *_found(logdir)])])


def version_of(package: str) -> str | None:
    """The version that is installed; None where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def required() -> dict[str, str]:
    """The least version of each package that this one needs, as its own metadata say; {} where it runs uninstalled."""
    try:
        given = metadata.requires("lightning_vis") or []
    except metadata.PackageNotFoundError:
        return {}
    return {found[1]: found[2] for each in given if (found := _PART.match(each)) is not None}


def is_older(version: str, least: str) -> bool:
    """Whether a version lies below another one, by the numbers that both begin with."""
    return _numbers(version) < _numbers(least)


def _numbers(version: str) -> list[int]:
    """Without zeros at the end: 2.20 and 2.20.0 are one version."""
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(each) for each in found[0].split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def _installed() -> list[str]:
    packages, loggers = _versions(PACKAGES), _versions(LOGGERS)
    return [
        f"lightning_vis {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        *_wrapped(", ".join(packages) or "none of the packages that it needs"),
        *_wrapped(f"loggers: {', '.join(['TensorBoard', *loggers])}"),
        f"tab: {_tab()}",
    ]


def _versions(names: Iterable[str]) -> list[str]:
    """Those that are installed, each in letters that no line ends within."""
    return [f"{name}\N{NO-BREAK SPACE}{version}" for name in names if (version := version_of(name)) is not None]


def _tab() -> str:
    """Whether a TensorBoard of this environment has the tab."""
    points = metadata.entry_points(group="tensorboard_plugins")
    if any(point.name == "lightning_vis" for point in points):
        return "a TensorBoard of this environment has it"
    return "a TensorBoard of this environment does not have it: install lightning_vis beside it"


def _problems(version: Callable[[str], str | None], least: dict[str, str]) -> list[str]:
    """What is missing or too old."""
    found = []
    has_either = any(version(name) is not None for name in EITHER)
    for name, wanted in least.items():
        there = version(name)
        if there is None and not (name in EITHER and has_either):
            found.append(f"missing: {name} (at least {wanted})")
        elif there is not None and is_older(there, wanted):
            found.append(f"too old: {name} {there} (at least {wanted})")
    return found


def _found(logdir: str | Path) -> list[str]:
    """What lies in a log folder, run by run."""
    files = event_files(logdir)
    if not files:
        return [f"{logdir}: no event files; a Trainer's TensorBoardLogger writes them"]
    runs = [read_run(name, paths) for name, paths in files]
    sizes = {name: sum(path.stat().st_size for path in paths) for name, paths in files}
    seen = [run for run in runs if run.parts]
    title = f"{logdir}: {_count(len(runs), 'run')}, {len(seen) or 'none'} with looks"
    if not seen:
        return [title, *_wrapped("looks are written by a ProbeCallback or FilterMaximizationCallback while it trains")]
    described = [line for run in seen[-MOST_RUNS:] for line in _run(run, sizes[run.name])]
    return [title, *described, *([f"... and {len(seen) - MOST_RUNS} before them"] if len(seen) > MOST_RUNS else [])]


def _run(stored: StoredRun, size: int) -> list[str]:
    """One run: its looks, what the network was taken to answer, where it was looked at, what was found and what is damaged."""
    run = whole_run(stored)
    frames = [*run.frames, *run.filters]
    seconds = sum(value for _, value in stored.scalars.get("lightning_vis/seconds", []))
    cost = f", {seconds:.1f} s of looking" * (seconds > 0)
    said = f"{run.name}: {_looks(frames)}, {size / 1e6:.1f} MB{cost}"
    return [said, *(line for words in _facts(run) for line in _wrapped(words, 2))]


def _looks(frames: Sequence[Frame]) -> str:
    ordered = sorted(frames, key=lambda frame: frame.place)
    return f"{_count(len(frames), 'look')}, {ordered[0].when} to {ordered[-1].when}" if frames else "no looks"


def _facts(run: RunFrames) -> Iterable[str]:
    """What the last look says."""
    if run.frames:
        last = run.frames[-1]
        yield f"{_count(len(last.predicted), 'image')} of the probe {last.probe!r}; task {last.task}"
        yield last.answer
        yield from _sites(last)
        yield from last.notes
        found = spoken(run.frames)
        yield "" if found is None or found.verdict is None else f"verdict, {found.when}: {found.verdict.sentence}"
    if run.filters:
        layers = dict.fromkeys(name.removeprefix(FILTERS) for frame in run.filters for name in frame.pictures)
        yield f"filters of {', '.join(map(repr, layers))}"
    yield from (f"damaged: {each}" for each in run.damage)


def _sites(frame: Frame) -> list[str]:
    """Which views looked where."""
    places: dict[str, list[str]] = {}
    for key, maps in frame.maps.items():
        places.setdefault(maps.layer, []).append(key)
    return [f"{', '.join(keys)} at {layer!r}" for layer, keys in places.items()]


def _wrapped(words: str, indent: int = 0) -> list[str]:
    """Lines of a screen; one that goes on stands further in."""
    lines = wrap(words, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2)) if words else []
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
