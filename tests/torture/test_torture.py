"""Each scenario of the matrix, trained twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from . import matrix


@pytest.mark.parametrize("name", list(matrix.SCENARIOS))
def test_training_is_the_same_with_and_without(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    case = matrix.SCENARIOS[name]
    verdict = matrix.judge(case, tmp_path)
    record_property("torture", (case.theme, name, not verdict.problems, verdict.frames, "; ".join(verdict.refusals)))
    assert not verdict.problems, "\n".join(verdict.problems)
