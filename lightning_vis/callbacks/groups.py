"""Which callbacks of a Trainer share one look, and which would clash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning_vis.callbacks.settings import Settings
from lightning_vis.model.answer.words import Words
from lightning_vis.probe.source.source import Asked, Choice


def sharers(callback: Any, callbacks: Sequence[Any]) -> list[Any]:
    """Those that share this one's looks, itself among them, in the Trainer's order: the first one looks for all."""
    mine = _look_of(callback, callbacks)
    return [other for other in callbacks if _look_of(other, callbacks) == mine]


def asked_of(callback: Any, callbacks: Sequence[Any]) -> Asked:
    """What is asked where this one looks: its own words, and where it has none, those of the first one that has some.

    A network has one answer, whoever of several callbacks was told what it means.
    """
    own: Asked = callback.asked
    told = [own, *(other.asked for other in callbacks)]
    speaker = next((each for each in told if each.words != Words() or each.others), own)
    choice = next((each.choice for each in told if each.choice != Choice()), own.choice)
    return Asked(speaker.words, choice, own.has_score, speaker.others)


def refuse_clashes(callback: Any, callbacks: Sequence[Any]) -> None:
    """Refuses callbacks that look on their own and would write under this one's names.

    Raises:
        ValueError: the same name of a probe, or twins in two probes.
    """
    mine = sharers(callback, callbacks)
    for other in callbacks[: callbacks.index(callback)]:
        if other in mine:
            continue
        if other.probe_name == callback.probe_name and asked_of(other, callbacks) != asked_of(callback, callbacks):
            raise ValueError(
                f"two callbacks were told different things of the answer or the images of the probe {callback.probe_name!r}"
                " (task=, head=, n=, choose=, ...): tell one of them, and it holds for both; several heads are"
                " head=['a', 'b']"
            )
        if other.probe_name == callback.probe_name:
            raise ValueError(
                f"two callbacks would write the pictures of the probe {callback.probe_name!r}: give them one probe and one"
                " cadence to share a look, or their probes different names (Probe(..., name=...))"
            )
        both = sorted(set(other.tags) & set(callback.tags))
        if both:
            raise ValueError(
                f"the probes {other.probe_name!r} and {callback.probe_name!r} would both log {both[0]!r}: only one probe of"
                " a Trainer can have twins"
            )


def settings_of(group: Sequence[Any]) -> Settings:
    """The settings that callbacks which share a look have in common: each the first that somebody has chosen."""
    usual = vars(Settings())
    chosen = [vars(other.settings) for other in group]
    return Settings(
        **{name: next((each[name] for each in chosen if each[name] != value), value) for name, value in usual.items()}
    )


def _look_of(callback: Any, callbacks: Sequence[Any]) -> tuple[Any, ...]:
    """What is looked at, when, and what is asked."""
    probe = callback.probe
    same = probe and (probe.name, probe.fingerprint, probe.masks is None, probe.twins is None)
    return same, callback.every_n_epochs, callback.at_steps, callback.score, asked_of(callback, callbacks)
