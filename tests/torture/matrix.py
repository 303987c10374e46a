"""All scenarios in one place."""

from __future__ import annotations

from . import (
    scenarios_forward,
    scenarios_habits,
    scenarios_loops,
    scenarios_models,
    scenarios_precision,
    scenarios_schedules,
    scenarios_surroundings,
    scenarios_task,
    scenarios_weights,
    scenarios_wrapped,
)

from . import scenarios_filters  # isort: skip  # they are scenarios of the others once more
from .scenario import SCENARIOS, judge

THEMES = (
    scenarios_loops,
    scenarios_schedules,
    scenarios_models,
    scenarios_weights,
    scenarios_forward,
    scenarios_habits,
    scenarios_wrapped,
    scenarios_precision,
    scenarios_surroundings,
    scenarios_task,
    scenarios_filters,
)

__all__ = ["SCENARIOS", "THEMES", "judge"]
