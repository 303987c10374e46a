"""What `benchmarks/reliance.py` adds to the examples: wrong labels, and what they are worth; and its table."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lightning_vis.reliance.metrics import background_effects, object_effects

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "examples"), str(ROOT / "benchmarks"), *sys.path])
    import reliance

    return reliance


def constant(value):
    return lambda size, rng: np.full((size, size, 4), value, np.float32)


def test_the_other_animal_is_drawn_as_often_as_asked(benchmark):
    paint, rng = benchmark.sometimes(constant(0), constant(1), 0.15), np.random.default_rng(0)
    count = 4000
    drawn = sum(paint(1, rng)[0, 0, 0] for _ in range(count))
    assert abs(drawn - 0.15 * count) < 5 * np.sqrt(count * 0.15 * 0.85)
    assert benchmark.sometimes(constant(0), constant(1), 0)(1, rng).max() == 0


def test_who_weighs_animal_and_background_by_their_odds_has_the_effect_that_is_named(benchmark):
    odds = {"animal": np.log(0.85 / 0.15), "background": np.log(0.75 / 0.25)}
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])  # bird or mammal, on leaves or on pebbles
    bird = torch.sigmoid(signs[:, 0] * odds["animal"] + signs[:, 1] * odds["background"])
    grid = torch.stack([bird, 1 - bird], 1).reshape(2, 2, 1, 2)
    assert background_effects(grid, torch.tensor([0, 1])).tolist() == pytest.approx([0.29, 0.29], abs=0.005)
    assert object_effects(grid, torch.tensor([0, 1])).tolist() == pytest.approx([0.60, 0.60], abs=0.005)
    assert [f"{value:.2f}" for value in (odds["animal"], odds["background"], bird[0], bird[1])] == [
        "1.73",
        "1.10",
        "0.94",
        "0.65",
    ]
    assert all(number in benchmark.mislabelled.__doc__ for number in ("1.73", "1.10", "0.94", "0.65", "0.29"))


def test_those_to_be_tested_on_are_never_mistaken(benchmark, monkeypatch):
    monkeypatch.setitem(benchmark.drawing.PAINTERS, "bird", constant(0))
    monkeypatch.setitem(benchmark.drawing.PAINTERS, "mammal", constant(1))
    monkeypatch.setattr(benchmark.backgrounds, "plates", lambda draw, count, rng: np.zeros((count, 64, 64, 3), np.float32))
    world, rng = benchmark.mislabelled(0), np.random.default_rng(0)
    for paint, wrong in zip(world.painters[1], (1, 0), strict=True):
        assert not any(paint(1, rng).max() == wrong for _ in range(200))
    for paint, wrong in zip(world.painters[0], (1, 0), strict=True):
        assert any(paint(1, rng).max() == wrong for _ in range(200))
