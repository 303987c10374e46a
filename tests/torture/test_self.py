"""The comparison proves itself: it catches bad callbacks, and ours without any one of its precautions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from . import matrix
from .ablations import ABLATIONS
from .bad_callbacks import BAD, tidy

Note = Callable[[str, object], None]


@pytest.mark.parametrize("what", list(BAD))
def test_a_bad_callback_is_caught(what: str, tmp_path: Path, record_property: Note) -> None:
    callbacks, name = BAD[what]
    try:
        verdict = matrix.judge(matrix.SCENARIOS[name], tmp_path, callbacks)
    finally:
        tidy()
    record_property("caught", (what, bool(verdict.problems), name))
    assert verdict.problems, f"nothing was noticed in {name}"


def test_every_file_of_scenarios_is_collected() -> None:
    files = {path.stem for path in Path(__file__).parent.glob("scenarios_*.py")}
    assert {theme.__name__.rpartition(".")[2] for theme in matrix.THEMES} == files


def test_no_callback_at_all_is_not_caught(tmp_path: Path) -> None:
    assert matrix.judge(matrix.SCENARIOS["plain"], tmp_path, list).problems == ()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of what is left behind without a precaution
@pytest.mark.parametrize("missing", list(ABLATIONS))
def test_each_precaution_is_needed(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Note
) -> None:
    cut, name = ABLATIONS[missing]
    cut(monkeypatch)
    verdict = matrix.judge(matrix.SCENARIOS[name], tmp_path)
    record_property("caught", (f"without {missing}", bool(verdict.problems), name))
    assert verdict.problems, f"nothing was noticed in {name}"
