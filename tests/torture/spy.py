"""A last callback that notes the fingerprint at every hook, and the comparison of two runs."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytorch_lightning import Callback

from .encoding import encoded
from .fingerprint import Fingerprint, fingerprint

UNHEARD = (
    "on_save_checkpoint",
    "on_load_checkpoint",
)  # their argument holds our own state; checkpoints are compared as files


@dataclass
class Trace:
    """What was seen at each hook, in order, and which callbacks could not be copied there."""

    hooks: list[tuple[str, Fingerprint]] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    def note(self, hook: str, found: Fingerprint) -> None:
        self.hooks.append((hook, found))


class Spy(Callback):
    """Writes down the fingerprint at every hook; it stands last in the list of callbacks, and copies those under test."""

    def __init__(self, trace: Trace, ours: Sequence[Callback] = ()) -> None:
        self.trace, self.ours = trace, ours

    def copy(self, hook: str) -> None:
        """As a spawned worker or another callback may do at any moment: at the first of each hook."""
        if any(before.startswith(hook + " ") for before, _ in self.trace.hooks):
            return
        ways = [pickled, copy.deepcopy]
        ours = [each for each in self.ours if type(each).__module__.startswith("lightning_vis")]  # bad ones need not travel
        for callback, way in [(callback, way) for callback in ours for way in ways]:
            try:
                way(callback)
            except Exception as error:
                self.trace.stuck.append(f"{way.__name__} of {type(callback).__name__} at {hook}: {error!r}")


def pickled(callback: Callback) -> Callback:
    """A copy as another process gets it."""
    return pickle.loads(pickle.dumps(callback))


def _listener(name: str) -> Callable[..., None]:
    def hear(self: Spy, trainer: Any, pl_module: Any, *arguments: Any, **named: Any) -> None:
        self.copy(name)
        given = () if name in UNHEARD else encoded([*arguments, *named.values()])
        when = f"{name} (epoch {trainer.current_epoch}, step {trainer.global_step})"
        self.trace.note(when, {"arguments": given, **fingerprint(trainer, pl_module)})

    return hear


for _name in [name for name in dir(Callback) if name.startswith("on_") or name in ("setup", "teardown")]:
    setattr(Spy, _name, _listener(_name))


def first_difference(without: Trace, watched: Trace) -> str | None:
    """The first hook at which two runs differ, and in what; None if they never do."""
    for (hook, before), (other_hook, after) in zip(without.hooks, watched.hooks, strict=False):
        if hook != other_hook:
            return f"{hook}: came to {other_hook} instead"
        changed = differing(before, after)
        if changed:
            return f"{hook}: {', '.join(changed[:4])}{', ...' if len(changed) > 4 else ''}"
    if len(without.hooks) != len(watched.hooks):
        return f"after {_last(without.hooks, watched.hooks)}: {len(without.hooks)} hooks without, {len(watched.hooks)} with"
    return None


def without_lent_hooks(trace: Trace) -> Trace:
    """The trace without what watches up to the end of a run's first batch: hooks, a function mode, the compiler's stance."""
    cleaned, is_early = Trace(stuck=trace.stuck), True
    for hook, found in trace.hooks:
        is_early = (is_early or hook.startswith("setup")) and "_batch_end" not in hook
        cleaned.note(hook, {key: value for key, value in found.items() if not (is_early and _is_lent(key))})
    return cleaned


def _is_lent(channel: str) -> bool:
    """Metrics have their methods exchanged meanwhile."""
    return "hooks of" in channel or channel in ("flag dispatch", "flag stance") or channel.endswith((".update", ".forward"))


def differing(before: Fingerprint, after: Fingerprint) -> list[str]:
    """The channels in which two fingerprints differ."""
    return [channel for channel in {**before, **after} if before.get(channel, "absent") != after.get(channel, "absent")]


def _last(one: Sequence[tuple[str, Fingerprint]], other: Sequence[tuple[str, Fingerprint]]) -> str:
    return min(one, other, key=len)[-1][0] if min(len(one), len(other)) else "the start"
