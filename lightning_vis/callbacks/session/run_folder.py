"""Where a run's frames and films lie, and the command that shows a run."""

from __future__ import annotations

import os
import shlex
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from lightning_vis.events.event_file import EventFile
from lightning_vis.events.folder import is_remote, joined
from lightning_vis.events.loggers import is_summary_writer

OWN = "lightning_vis"
"""Of the Trainer's root folder, where runs lie that no logger has a folder for, by number."""

_FILES: WeakKeyDictionary[Any, EventFile] = WeakKeyDictionary()


def frame_files(trainer: Any) -> list[Any]:
    """What frames are written to: TensorBoard's writers; where no logger has one, one event file for all callbacks.

    Nothing where Lightning itself leaves nothing, in ``fast_dev_run`` and ``barebones``.
    """
    if trainer.fast_dev_run or getattr(trainer, "barebones", False):
        return []
    experiments = [getattr(logger, "experiment", None) for logger in trainer.loggers]
    return [each for each in experiments if is_summary_writer(each)] or [_own_file(trainer)]


def _own_file(trainer: Any) -> EventFile:
    """The event file of a Trainer, in one folder for all its fits, unless its loggers have moved."""
    known, folder = _FILES.get(trainer), logged_folder(trainer)
    if known is None or (folder and folder != known.log_dir):
        known = _FILES[trainer] = EventFile(folder or _fresh_folder(str(trainer.default_root_dir)))
    return known


def leave_nothing_empty(trainer: Any) -> None:
    """Takes the folder away that was made for a run which wrote nothing into it, as where no images were found."""
    file = _FILES.get(trainer)
    if file is None or is_remote(file.log_dir) or logged_folder(trainer):  # a logger's folder is the logger's
        return
    with suppress(OSError):  # it is not empty
        os.rmdir(file.log_dir)
        del _FILES[trainer]
        os.rmdir(os.path.dirname(file.log_dir))


def logged_folder(trainer: Any) -> str:
    """The folder of the first logger that has one, where Lightning would put checkpoints too; empty where none has."""
    return next(filter(None, map(_folder_of, trainer.loggers)), "")


def _folder_of(logger: Any) -> str:
    own, root = getattr(logger, "log_dir", None), getattr(logger, "save_dir", None)
    if isinstance(own, (str, os.PathLike)):
        return os.fspath(own)
    if not isinstance(root, (str, os.PathLike)):
        return ""
    version = logger.version if isinstance(logger.version, str) else f"version_{logger.version}"
    return joined(os.fspath(root), str(logger.name), version)


def _fresh_folder(root: str) -> str:
    """The first number that no run has, taken at once: another process may be looking for one too."""
    if is_remote(root):
        return joined(root, OWN, str(os.getpid()))
    number = 0
    while True:
        folder = Path(root, OWN, str(number))
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return str(folder)


def shown_with(trainer: Any) -> str:
    """How to see a run, in words: the command, as a shell takes it; of a run in a process' memory what else shows it."""
    boards = [logger for logger in trainer.loggers if is_summary_writer(getattr(logger, "experiment", None))]
    folder = next((_root_of(logger) for logger in boards), None) or _own_file(trainer).log_dir
    if folder.startswith("memory://"):
        return (
            f"{folder} is in the memory of this process, where no tensorboard finds it: the callback's film has the looks, and"
            " film.html in the run's folder is there at the end"
        )
    shown = folder if is_remote(folder) else os.path.abspath(folder)
    return f"see them with: {_quoted('tensorboard', '--logdir', shown)}"


def boxes_command(folder: str) -> str:
    """The command whose page has a run's cut-outs corrected, as a shell takes it."""
    return _quoted("python", "-m", "lightning_vis", "boxes", os.path.abspath(folder))


def _root_of(logger: Any) -> str:
    """The folder that a TensorBoard logger puts all runs into."""
    return str(logger.save_dir or logger.log_dir)


def _quoted(*words: str) -> str:
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
