"""The scale on which map values become colour: logarithmic, or by density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Scale:
    """How a map's values become colour: one scale for the whole run and for all runs.

    Attributes:
        kind: ``"log"``: ``log1p(|value|) / log1p(limit)``; ``"density"``: ``value / mean of the map's |values| / limit``.
        limit: the value drawn at full strength.
        signed: values below 0 have colours of their own.
        by_area: values are multiplied by the map's own h w before they are drawn.
    """

    kind: str = "log"
    limit: float = 31.0
    signed: bool = False
    by_area: bool = False

    def share(self, values: Array) -> Array:
        """Where values lie on the scale: 0 is nothing, 1 its upper end, below 0 against. Those of a density are means of a map."""
        if self.kind == "density":
            return np.asarray((values / self.limit).clip(-1 if self.signed else 0, 1))
        shares = np.sign(values) * np.log1p(np.abs(values)) / np.log1p(self.limit)
        return np.asarray(shares.clip(-1 if self.signed else 0, 1))

    def ticks(self) -> list[float]:
        """The values at which a legend may have ticks, in order: both ends, the middle, and what is even on the scale."""
        if self.kind == "density":
            return sorted(value for value in {0.0, 1.0, self.limit / 2, self.limit} if value <= self.limit)
        even = [2.0**power - 1 for power in range(1, 64) if 2.0**power - 1 < self.limit]
        upper = [*even, self.limit]
        return [*(-value for value in reversed(upper)), 0, *upper] if self.signed else [0, *upper]
