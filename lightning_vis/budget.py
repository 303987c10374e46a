"""What looking may cost: all looks together stay below a share of the training time so far."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

FLOOR = 60.0
"""Seconds that looking may cost in any case: short trainings are to be seen too."""
SHARES = {"filters": 0.7, "pictures": 0.85, "looks": 1.0}
"""How much of the budget may be used before each kind of work pauses: filters go first, then pictures, then looks."""


@dataclass
class Budget:
    """The time that one callback has spent, and what is left for all callbacks of a Trainer together.

    Attributes:
        max_overhead: share of the training time so far that all looks together may cost.
        seconds: spent since the training started, by part.

    Raises:
        ValueError: a share that is not above 0.
    """

    max_overhead: float = 0.01
    seconds: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if not isinstance(self.max_overhead, (int, float)) or not self.max_overhead > 0:
            raise ValueError(f"max_overhead={self.max_overhead!r}: expected a share of the training time above 0, like 0.01")

    def start(self) -> None:
        """The training starts now."""
        self._started = time.monotonic()
        self.seconds.clear()

    def count(self, part: str, seconds: float) -> None:
        """Adds to what has been spent."""
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds

    @property
    def spent(self) -> float:
        """Seconds spent by this callback."""
        return sum(self.seconds.values())

    def refusal(self, kind: str, callbacks: Iterable[Any]) -> str:
        """Why there is no time for more work of a kind, in a sentence; empty while there is.

        Args:
            kind: ``"filters"``, ``"pictures"`` or ``"looks"``.
            callbacks: of the Trainer; those with a `Budget` share one.
        """
        spent = sum(each.budget.spent for each in callbacks if isinstance(getattr(each, "budget", None), Budget))
        allowed = max(FLOOR, self.max_overhead * (time.monotonic() - self._started))
        if spent <= SHARES[kind] * allowed:
            return ""
        return (
            f"looking costs more than max_overhead={self.max_overhead} of the training time and more than {FLOOR:.0f} s:"
            f" {kind} pause until there is time again"
        )
