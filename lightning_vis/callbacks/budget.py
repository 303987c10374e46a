"""Time budget: the share of the training time that all looks may take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lightning_vis import clock

FLOOR = 60.0
"""Seconds that looking may cost in any case: short trainings are to be seen too."""

OF_LIMIT = 0.05
"""Of the time that a training may take at most, what all looking may cost."""


OF_FIRST = 0.25
"""Of what is allowed, what the looks of the first epoch may use."""


MANY = "views of many passes"


SHARES = {MANY: 0.7, "filters": 0.7, "pictures": 0.85, "looks": 1.0, "films": 1.0}
"""How much of the budget may be used before each kind of work pauses: filters and views of many passes go first, looks last."""


_PAUSES = {"films": "no film and no summary are left in the run's folder"}


@dataclass
class Budget:
    """The time that one callback has spent, and what is left for all callbacks of a Trainer together.

    Attributes:
        max_overhead: share of the training time so far that all looks together may cost.
        work: ``"looks"`` or ``"filters"``: what this callback spends it on.
        seconds: spent since the training started, by part.
        limit: seconds that the training may take.
        is_first: whether this is the first epoch.

    Raises:
        ValueError: a share that is not above 0.
    """

    max_overhead: float = 0.01
    work: str = "looks"
    seconds: dict[str, float] = field(default_factory=dict)
    limit: float = math.inf
    is_first: bool = False
    _started: float = field(default_factory=clock.monotonic)

    def __post_init__(self) -> None:
        if not isinstance(self.max_overhead, (int, float)) or not self.max_overhead > 0:
            raise ValueError(f"max_overhead={self.max_overhead!r}: expected a share of the training time above 0, like 0.01")

    def start(self, limit: float = math.inf) -> None:
        """The training starts now, and may take so many seconds."""
        self._started, self.limit = clock.monotonic(), limit
        self.seconds.clear()

    def count(self, part: str, seconds: float) -> None:
        """Adds to what has been spent."""
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Counts what is done inside."""
        started = clock.perf_counter()
        try:
            yield
        finally:
            self.count(part, clock.perf_counter() - started)

    @property
    def spent(self) -> float:
        """Seconds spent by this callback."""
        return sum(self.seconds.values())

    def refusal(self, kind: str, callbacks: Iterable[Any], coming: float = 0.0) -> str:
        """Why there is no time for more work of a kind, in a sentence; empty while there is.

        Args:
            kind: one of `SHARES`.
            callbacks: of the Trainer; those with a `Budget` share one. Films of filters that have taken more than is
                theirs take nothing from the looks.
            coming: seconds that the work will take, as far as that is known.
        """
        allowed = self._allowed
        budgets = [each.budget for each in callbacks if isinstance(getattr(each, "budget", None), Budget)]
        films, looks = (sum(each.spent for each in budgets if each.work == work) for work in ("filters", "looks"))
        spent = looks + (films if kind == "filters" else min(films, SHARES["filters"] * allowed))
        return (
            ""
            if spent + coming <= SHARES[kind] * allowed
            else f"{self._too_much}: {_PAUSES.get(kind, f'{kind} pause until there is time again')}{self._more}"
        )

    @property
    def is_limited(self) -> bool:
        """Whether a time limit of the training leaves less than it would have: then nothing is looked at beyond it."""
        return OF_LIMIT * self.limit < self._usual

    @property
    def _usual(self) -> float:
        return max(FLOOR, self.max_overhead * (clock.monotonic() - self._started))

    @property
    def _allowed(self) -> float:
        """Seconds that all looking may have cost by now."""
        return min(self._usual, OF_LIMIT * self.limit) * (OF_FIRST if self.is_first else 1)

    @property
    def _too_much(self) -> str:
        start = (
            "looking would cost more in the first epoch than a quarter of" if self.is_first else "looking would cost more than"
        )
        if self.is_limited:
            return f"{start} {OF_LIMIT:.0%} of the {self.limit:.0f} s that the training may take"
        either, both = ("of", "the more of the two") if self.is_first else ("more than", "in all")
        return f"{start} max_overhead={self.max_overhead} of the training time, and {either} {FLOOR:.0f} s, {both}"

    @property
    def _more(self) -> str:
        return "" if self.is_limited else "; a larger max_overhead= gives more"
