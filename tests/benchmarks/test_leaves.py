"""The tables of `benchmarks/leaves.py`: what they measure, by hand, and that they say what was not reached."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from lightning_vis.frames import Frame, Maps, Scale

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark(monkeypatch):
    """The script, under a name of its own: the example has the same one."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "benchmarks")])
    monkeypatch.syspath_prepend(ROOT / "examples")
    spec = spec_from_file_location("leaves_benchmark", ROOT / "benchmarks" / "leaves.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_heat_is_the_share_of_the_scale_on_the_weighted_pixels(benchmark):
    values = np.zeros((2, 4, 4), np.float32)
    values[0, :, :2] = -31 / 16  # the whole scale, against the label: on the left half of the first image
    values[1] = (np.sqrt(32) - 1) / 16  # half of the scale all over the second
    maps = Maps(values, np.zeros(2, int), "layer", Scale(signed=True, by_area=True))
    frame = Frame("probe", np.zeros(2, int), np.ones(2), {"evidence": maps})
    left = np.zeros((2, 4, 4), np.float32)
    left[0, :, :2] = 1
    assert benchmark.heat(frame, "evidence", left) == pytest.approx(1)
    assert benchmark.heat(frame, "evidence", 1 - left) == pytest.approx((8 * 0 + 16 * 0.5) / 24, abs=1e-6)


def run(arm, seed=1, **changes):
    good = {"accuracy": 0.95, "lift": 1.0, "worst": 0.1, "alerts": [0.0, 1.0, 1.0], "effects": [0.5, 0.75, 1.0], "share": 0.5}
    heats = {"grad_cam": 0.5, "evidence": 0.25}
    good |= {"heat": heats, "on object": heats, "untrained": {"grad_cam": 0.0, "evidence": 0.02}, "date": "2000-01-01"}
    if arm == "balanced":
        good |= {"lift": 1.5, "worst": 0.75, "alerts": [0.0, 0.0, 0.0]}
    return {"arm": arm, "seed": seed, **good, **changes}


def reached(benchmark, runs):
    rows = benchmark.criteria(runs).splitlines()[4:]
    return [row.split(" | ")[-1].removesuffix(" |") for row in rows]


def test_what_just_reaches_its_limit_is_counted(benchmark):
    assert reached(benchmark, [run("spurious"), run("balanced")]) == ["2 of 2", *["1 of 1"] * 9]


@pytest.mark.parametrize(
    ("arm", "changes", "row"),
    [
        ("balanced", {"accuracy": 0.9}, 0),
        ("spurious", {"worst": 0.2}, 1),
        ("balanced", {"worst": 0.7}, 2),
        ("spurious", {"lift": 1.01}, 3),
        ("spurious", {"heat": {"grad_cam": 0.24, "evidence": 0.3}}, 4),
        ("spurious", {"heat": {"grad_cam": 0.3, "evidence": 0.24}}, 5),
        ("spurious", {"untrained": {"grad_cam": 0.021, "evidence": 0.0}}, 6),
        ("spurious", {"untrained": {"grad_cam": 0.0, "evidence": 0.021}}, 7),
        ("spurious", {"alerts": [0.0, 0.5, 0.5, 1.0]}, 8),
        ("balanced", {"alerts": [0.0, 0.0, 0.5]}, 9),
    ],
)
def test_what_misses_its_limit_is_not(benchmark, arm, changes, row):
    pair = [run(each, 2, **(changes if each == arm else {})) for each in ("spurious", "balanced")]
    wanted = ["4 of 4", *["2 of 2"] * 9]
    wanted[row] = "1 of 2" if row else "3 of 4"
    assert reached(benchmark, [run("spurious"), run("balanced"), *pair]) == wanted


def test_the_page_shows_each_run_with_its_alerts_and_effects(benchmark):
    page = benchmark.page([run("spurious"), run("balanced", alerts=[0.0, 0.5, 0.0])])
    assert "| spurious | 1 | 0.95 | 0.10 | 1.00 | 0.50 / 0.50 | 0.25 / 0.25 | 0.000 0.020 | · R R |" in page
    assert "| balanced | 1 | 0.95 | 0.75 | 1.50 | 0.50 / 0.50 | 0.25 / 0.25 | 0.000 0.020 | · a · |" in page
    assert "| balanced | 0.50 [0.50, 0.50] | 0.75 [0.75, 0.75] | 1.00 [1.00, 1.00] | 0.50 [0.50, 0.50] |" in page
