"""A scenario, its expectations, and the verdict on it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from lightning_vis import GradCAMCallback, Probe, ProbeCallback, SaliencyCallback, grad_cam, saliency

from .nets import images
from .running import Makers, Outcome, Run, play
from .spy import differing, first_difference, without_lent_hooks

VIEWS = 4  # evidence, Grad-CAM, saliency, and Grad-CAM of the other callback's layer


def probe() -> Probe:
    """Two images, to be quick."""
    return Probe(*images(2, seed=1))


def ours() -> list[pl.Callback]:
    """All that look at the network. What is drawn of it afterwards knows no network, so that most scenarios go without."""
    shared = probe()
    views = ([saliency()], [grad_cam(target="label")])
    return [ProbeCallback(shared, images=False), *(ProbeCallback(shared, each, images=False) for each in views)]


def drawing() -> list[pl.Callback]:
    """As `ours`, with all pictures."""
    shared = probe()
    return [ProbeCallback(shared), SaliencyCallback(shared), GradCAMCallback(shared, target="label")]


def unconfigured() -> list[pl.Callback]:
    """The probe comes from the Trainer's data."""
    return [ProbeCallback(None, each, images=False) for each in (None, [saliency()], [grad_cam(target="label")])]


def as_people_start() -> list[pl.Callback]:
    """As `unconfigured`, with all pictures."""
    return [ProbeCallback(), SaliencyCallback(), GradCAMCallback(target="label")]


@dataclass(frozen=True)
class Scenario:
    """One training.

    Attributes:
        act: trains.
        theme: under which heading it stands in the table.
        frames: how many looks the film must hold; None for at least one.
        refusal: what must be said where something cannot be drawn, a regular expression; "" where all must be drawn.
        views: how many views each frame must hold.
        callbacks: makes the callbacks.
        raises: what the training raises, with us and without.
        lends_hooks: whether forward hooks may stand on the network until the end of its first batch: where no image can
            be taken by index, the first batch is watched to find one.
    """

    act: Callable[[Run], None]
    theme: str
    frames: int | None = None
    refusal: str = ""
    views: int = VIEWS
    callbacks: Makers = ours
    raises: str = ""
    lends_hooks: bool = False

    @property
    def name(self) -> str:
        return self.act.__name__


@dataclass(frozen=True)
class Verdict:
    """What came of a scenario: what is wrong (nothing, one hopes), how many frames there are, what was refused."""

    problems: tuple[str, ...]
    frames: int
    refusals: tuple[str, ...]


SCENARIOS: dict[str, Scenario] = {}


def scenario(theme: str, **expected: Any) -> Callable[[Callable[[Run], None]], Callable[[Run], None]]:
    """Adds a function to the matrix."""

    def add(act: Callable[[Run], None]) -> Callable[[Run], None]:
        if act.__name__ in SCENARIOS:
            raise ValueError(f"there are two scenarios of the name {act.__name__!r}")
        SCENARIOS[act.__name__] = Scenario(act, theme, **expected)
        return act

    return add


def judge(case: Scenario, folder: Path, callbacks: Makers | None = None) -> Verdict:
    """Trains without and with the callbacks and says what differs.

    Args:
        case: what to train.
        folder: for two runs.
        callbacks: others than the scenario's own, to see them caught.
    """
    without = play(case.act, folder / "without", list)
    watched = play(case.act, folder / "with", callbacks or case.callbacks)
    if case.lends_hooks:
        without.trace, watched.trace = (without_lent_hooks(each.trace) for each in (without, watched))
    found = [
        *_difference(without, watched),
        *watched.trace.stuck[:1],
        *_files(without, watched),
        *_left(without, watched),
        *_said(case, without, watched),
    ]
    drawn = _drawn(case, watched) if callbacks is None else []
    return Verdict((*found, *drawn), _frames(watched), tuple(dict.fromkeys(watched.warned)))


def _difference(without: Outcome, watched: Outcome) -> list[str]:
    at = first_difference(without.trace, watched.trace)
    ended = [] if without.raised == watched.raised else [f"ended with {watched.raised!r}, not {without.raised!r}"]
    return ([] if at is None else [f"first difference at {at}"]) + ended


def _files(without: Outcome, watched: Outcome) -> list[str]:
    return [f"another {name}" for name in differing(without.files, watched.files)]


def _left(without: Outcome, watched: Outcome) -> list[str]:
    more = {what: count - without.left[what] for what, count in watched.left.items() if count > without.left[what]}
    return [f"{count} {what} left behind" for what, count in more.items()]


def _said(case: Scenario, without: Outcome, watched: Outcome) -> list[str]:
    raised = [] if bool(without.raised) == bool(case.raises) else [f"raised {without.raised!r} without us"]
    new = [message for message in watched.others_warned if message not in without.others_warned]
    return raised + [f"a new warning: {message}" for message in new]


def _drawn(case: Scenario, watched: Outcome) -> list[str]:
    frames = _frames(watched)
    wanted = frames >= 1 if case.frames is None else frames == case.frames
    problems = [] if wanted else [f"{frames} frames, not {case.frames}"]
    views = {count for film in watched.films for count in film.views} - {0}  # filters have films without views
    if views - {case.views}:
        problems.append(f"frames of {sorted(views)} views, not {case.views}")
    if case.theme == "filters" and not all(film.looks for film in watched.films):
        problems.append("a film without a look")
    if not case.refusal:
        return problems + [f"said: {message}" for message in watched.warned]
    heard = [message for message in watched.warned if re.search(case.refusal, message)]
    others = [message for message in watched.warned if not re.search(case.refusal, message)]
    return problems + [f"said: {each}" for each in others] + ([] if heard else [f"never said {case.refusal!r}"])


def _frames(outcome: Outcome) -> int:
    return max((film.looks for film in outcome.films), default=0)
