"""What an ascent will take, measured on its first two steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from lightning_vis.maximization.presets import Recipe, Update, preset_of

MEASURED = 2
"""Steps that are taken to see how long one takes: from the first change of the image to the second."""


@dataclass
class Clock:
    """An update that notes when it is asked.

    Attributes:
        update: of the recipe.
        begun: when the rows that are climbing now were changed first.
        seconds: of one step, of all rows that have climbed.
    """

    update: Update
    begun: float = 0.0
    seconds: float = 0.0

    def __call__(self, gradient: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Changes nothing of the step."""
        gradient.flatten()[:1].cpu()  # whatever is still being computed is waited for
        now = time.perf_counter()
        if state is None:
            self.begun = now
        else:
            self.seconds += now - self.begun
        return self.update(gradient, state)


def seconds_of(ascend: Callable[..., Any], preset: str | Recipe, steps: int) -> float:
    """Seconds that an ascent will take; 0 for one that is hardly longer than its measurement.

    Args:
        ascend: takes ``preset=`` and ``steps=``, as `maximize` does.
        preset: of the ascent that is to come.
        steps: likewise.
    """
    if steps <= 2 * MEASURED:
        return 0.0
    recipe = preset_of(preset)
    clock, start = Clock(recipe.update), time.perf_counter()
    ascend(preset=replace(recipe, update=clock), steps=MEASURED)
    return time.perf_counter() - start + (steps - MEASURED) * clock.seconds
