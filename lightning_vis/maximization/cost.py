"""What an ascent will take, measured on its first two steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from lightning_vis import clock
from lightning_vis.maximization.ascent import RESCUE_STEPS
from lightning_vis.maximization.presets import Recipe, Update, preset_of
from lightning_vis.maximization.transforms import Transform

MEASURED = 2
"""Steps that are taken to see how long one takes: from the first change of the image to the second."""


@dataclass
class Clock:
    """An update that notes when it is asked, and a transform that counts passes; neither changes anything.

    Attributes:
        update: of the recipe.
        plain: seconds of a step, of all rows that have climbed.
        rescued: what it takes more where a gradient is let through shut rectifiers.
    """

    update: Update
    plain: float = 0.0
    rescued: float = 0.0
    _begun: float = 0.0  # when the rows that are climbing now were changed first
    _passes: int = 0  # since then

    def on(self, recipe: Recipe) -> Recipe:
        """The recipe with this clock in it."""

        def transforms(height: int, width: int) -> tuple[Transform, ...]:
            return (self._count, *recipe.transforms(height, width))

        return replace(recipe, update=self, transforms=transforms)

    def _count(self, view: Tensor, generator: Any) -> Tensor:
        self._passes += 1
        return view

    def __call__(self, gradient: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The recipe's own step."""
        gradient.flatten()[:1].cpu()  # whatever is still being computed is waited for
        now = clock.perf_counter()
        if state is None:
            self._begun, self._passes = now, 0
        else:
            seconds = (now - self._begun) / self._passes
            self.plain, self.rescued = self.plain + seconds, self.rescued + seconds * (self._passes > 1)
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
    watch, start = Clock(recipe.update), clock.perf_counter()
    ascend(preset=watch.on(recipe), steps=MEASURED)
    whole, rescues = clock.perf_counter() - start, min(steps, RESCUE_STEPS)
    return whole + (steps - MEASURED) * watch.plain + (rescues - MEASURED) * watch.rescued
