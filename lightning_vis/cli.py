"""The command line: export, gif, strip, replay, boxes, doctor."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lightning_vis import __version__
from lightning_vis.boxes.server import served
from lightning_vis.doctor import examined
from lightning_vis.export import export_gif, export_html, export_strip

VIEW_HELP = (
    "a view's key, evidence or filters/LAYER for instance, or what experiments found: twins, exchange, verdict"
    " (the first one if not given)"
)


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command; returns 0, or 2 where it cannot."""
    arguments = parser().parse_args(words)
    try:
        print(_done(arguments))  # noqa: T201
    except ValueError as error:
        _tell(error)
        return 2
    except OSError as error:
        _tell(f"{error.filename or arguments.output}: {error.strerror or error}")
        return 2
    return 0


def _done(arguments: argparse.Namespace) -> str:
    """Runs one command and returns what is to be said of it."""
    if arguments.command == "doctor":
        return examined(arguments.logdir)
    if arguments.command == "replay":
        return _replayed(arguments)
    if arguments.command == "boxes":
        return served(arguments.logdir, arguments.output, arguments.port, _tell)
    if arguments.command == "export":
        damage = export_html(arguments.logdir, arguments.output, arguments.looks)
    else:
        export = export_gif if arguments.command == "gif" else export_strip
        damage = export(arguments.logdir, arguments.output, arguments.view)
    for sentence in damage:
        _tell(sentence)
    return f"{arguments.output}: {Path(arguments.output).stat().st_size / 1e6:.1f} MB"


def _replayed(arguments: argparse.Namespace) -> str:
    """Looks at checkpoints; the other commands need no torch."""
    from lightning_vis.callbacks.replay import replay

    words = {name: getattr(arguments, name) for name in ("data", "probe", "task", "callbacks")}
    for sentence in replay(arguments.checkpoints, arguments.model, arguments.output, **words):
        _tell(sentence)
    return f"see them with: tensorboard --logdir {arguments.output}"


def _tell(words: object) -> None:
    print(f"lightning_vis: {words}", file=sys.stderr)  # noqa: T201


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m lightning_vis", description="Takes the film of a training along.")
    made.add_argument("--version", action="version", version=f"lightning_vis {__version__}")
    commands = made.add_subparsers(dest="command", required=True)
    export = _command(commands, "export", "film.html", "one HTML file with the tab's page and data, readable offline")
    export.add_argument("--looks", type=_at_least_two, help="at most so many looks of each run (all if not given)")
    for name, default, purpose in (("gif", "film.gif", "an animation"), ("strip", "strip.png", "a film strip")):
        command = _command(commands, name, default, f"{purpose} of one view, the runs below each other")
        command.add_argument("--view", help=VIEW_HELP)
    _add_replay(commands)
    purpose = "a page of this machine, on which boxes are drawn around the objects of images whose surroundings are exchanged"
    boxes = commands.add_parser("boxes", help=purpose, description=purpose)
    boxes.add_argument("logdir", help="a run's folder, or one with runs in it")
    boxes.add_argument("-o", "--output", default="boxes.json", help="the file that keeps them (boxes.json)")
    boxes.add_argument("--port", type=int, default=0, help="to listen on (a free one)")
    purpose = "what is installed and what a log folder holds, on one screen, for a report of a problem"
    doctor = commands.add_parser("doctor", help=purpose, description=purpose)
    doctor.add_argument("logdir", nargs="?", help="a run's folder, or one with runs in it")
    return made


def _add_replay(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    purpose = "looks at the checkpoints of a finished training as if callbacks had been there"
    command = commands.add_parser("replay", help=purpose, description=purpose)
    command.add_argument("checkpoints", help="a folder with *.ckpt in it, or one file")
    command.add_argument("--model", required=True, help="import path of the LightningModule: a class, or what returns one")
    command.add_argument("--data", help="import path of a LightningDataModule or a loader (the model's own if not given)")
    command.add_argument("--probe", help="import path of a Probe, or of a function that returns one")
    command.add_argument("--task", help="what the output means (read from the first batch if not given)")
    command.add_argument(
        "--callbacks",
        help="import path of a ProbeCallback, a FilterMaximizationCallback or a list of them, or of what returns it"
        " (those that the checkpoints know if not given)",
    )
    command.add_argument("-o", "--output", default="replay", help="the run's folder (replay)")


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, default: str, purpose: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=purpose, description=purpose)
    command.add_argument("logdir", nargs="+", help="a run's folder, or one with runs in it; or several of them")
    command.add_argument("-o", "--output", default=default, help=f"the file to write ({default})")
    return command


def _at_least_two(word: str) -> int:
    if not word.isdigit() or int(word) < 2:
        raise argparse.ArgumentTypeError(f"{word!r}: expected a whole number of at least 2")
    return int(word)
