"""What an ascent will take, on a clock that only the network moves: a second for each pass."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from nets import Residual

from lightning_vis.maximization.cost import Clock, seconds_of
from lightning_vis.maximization.frame_builder import filter_pictures
from lightning_vis.maximization.presets import PRESETS, preset_of
from lightning_vis.probe.probe import Probe


@pytest.fixture
def clock(monkeypatch):
    """The time now; it stands still until somebody moves it."""
    now = [0.0]
    monkeypatch.setattr("lightning_vis.clock.perf_counter", lambda: now[0])
    return now


def ascent(clock, channels, *, shut=False, **more):
    """An ascent of a network of which each pass takes a second; its rectifiers are shut, if asked for."""
    torch.manual_seed(0)
    model = Residual().eval()
    model.bn1.bias.data -= 100 * shut

    def forward(images):
        clock[0] += 1
        return model(images)

    images = torch.rand(3, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    return partial(filter_pictures, model, "layer2", range(channels), Probe(images), forward=forward, **more)


@pytest.mark.parametrize("preset", ["default", "keras-vis"])
@pytest.mark.parametrize(("channels", "memory"), [(1, 2**30), (5, 2**30), (5, 1)])
@pytest.mark.parametrize("shut", [False, True])
def test_two_steps_tell_what_the_whole_ascent_takes(clock, preset, channels, memory, shut):
    """Also where memory has the rows climb one after the other, and where nothing passes a rectifier at first."""
    climb = ascent(clock, channels, memory=memory, shut=shut)
    told = seconds_of(climb, preset, 24)
    assert clock[0] < told / 3
    before = clock[0]
    climb(preset=preset, steps=24)
    assert told == pytest.approx(clock[0] - before, rel=0.1)


def test_a_short_ascent_is_not_measured(clock):
    assert seconds_of(ascent(clock, 1), "default", 4) == 0
    assert clock[0] == 0


@pytest.mark.parametrize("preset", PRESETS)
def test_the_clock_changes_no_step(preset):
    plain = preset_of(preset)
    timed = Clock(plain.update).on(plain)
    one, other = (ascent([0.0], 2, preset=each, steps=3)()[0].values for each in (plain, timed))
    assert (one == other).all()
