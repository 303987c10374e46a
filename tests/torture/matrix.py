"""All scenarios in one place."""

from __future__ import annotations

from . import scenarios_forward, scenarios_loops, scenarios_models, scenarios_schedules
from .scenario import SCENARIOS, judge

THEMES = (scenarios_loops, scenarios_schedules, scenarios_models, scenarios_forward)

__all__ = ["SCENARIOS", "THEMES", "judge"]
