"""Which filters are shown, and when: what moved most since the last look, what follows the background, what time allows."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from modules import SAFELY
from nets import Plain, images, trained_looking
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from worlds import Classifier, twin_probe
from worlds import loader as scenes_loader

from lightning_vis.attribution.views import grad_cam
from lightning_vis.callbacks.filters import FilterMaximizationCallback
from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.frames import filters_of
from lightning_vis.maximization.frame_builder import filter_pictures
from lightning_vis.probe.probe import Probe
from tests.callbacks.test_filters import Frozen, filters, loader, small


class Drifting(Frozen):
    """Forty channels whose biases move before each epoch, all by another amount, 20 and 31 far more, and back again."""

    def __init__(self, probe):
        super().__init__(rate=0.0)
        self.net[4], self.net[5], self.net[10] = nn.Conv2d(6, 40, 3), nn.BatchNorm2d(40), nn.Linear(40, 3)
        self.probe, self.answers = probe, {}

    def on_train_epoch_start(self):
        epoch = self.current_epoch
        self.answers[epoch] = answers(self.net, self.probe)
        amounts = torch.randn(40, generator=torch.Generator().manual_seed(epoch)) / 10
        amounts[20], amounts[31] = (2.0, -3.0) if epoch % 2 == 0 else (-2.0, 3.0)
        with torch.no_grad():
            self.net[4].bias += amounts
        self.answers[epoch + 1] = answers(self.net, self.probe)


def answers(net, probe):
    """What each channel answers to each probe image, by running the layers one after the other."""
    with torch.no_grad():
        return nn.Sequential(*list(net.eval())[:5])(probe.images).mean((2, 3)).tolist()


def moved_most(before, now):
    """The eight channels whose answers moved furthest, as a share of how large they are: slowly, in lists."""
    shares = []
    for index in range(len(now[0])):
        old, new = ([row[index] for row in rows] for rows in (before, now))
        lengths = [math.sqrt(sum(value**2 for value in values)) for values in (old, new)]
        distance = math.sqrt(sum((one - other) ** 2 for one, other in zip(old, new, strict=True)))
        shares.append((distance / max(lengths), index))
    return sorted(index for _, index in sorted(shares, reverse=True)[:8])


def drifting(probe):
    torch.manual_seed(0)
    return Drifting(probe)


def names(frame, layer="net.4"):
    return [int(each.name) for each in filters_of(frame, layer)]


def test_changed_shows_exactly_the_eight_whose_answers_moved_most_since_the_last_look(trainer):
    probe = Probe(images(4))
    callback, model = filters(layers=["net.4"], channels="changed", probe=probe, steps=1), drifting(probe)
    trainer([callback], max_epochs=3).fit(model, loader())
    first, *others = (names(frame) for frame in callback.film.frames)
    assert first == list(range(8))
    wanted = [moved_most(model.answers[epoch], model.answers[epoch + 1]) for epoch in range(3)]
    assert others == wanted
    assert all({20, 31} <= set(each) for each in wanted)
    assert wanted[2] != moved_most(model.answers[0], model.answers[3])  # the last look, not the first


def test_changed_after_a_resume_compares_with_the_look_before_the_checkpoint(trainer, tmp_path):
    probe = Probe(images(4))

    def run(epochs, **resumed):
        callback, model = filters(layers=["net.4"], channels="changed", probe=probe, steps=1), drifting(probe)
        saving = ModelCheckpoint(str(tmp_path / "kept"), save_last=True)
        trainer([callback, saving], max_epochs=epochs, enable_checkpointing=True).fit(model, loader(), **resumed)
        return callback, model

    run(1)
    callback, model = run(2, ckpt_path=tmp_path / "kept" / "last.ckpt", **SAFELY)
    assert [frame.epoch for frame in callback.film.frames] == [0, 1, 2]
    assert names(callback.film.frames[-1]) == moved_most(model.answers[1], model.answers[2]) != list(range(8))


@pytest.mark.filterwarnings("ignore:lightning_vis")
def test_channels_that_follow_the_background_come_most_driven_first(trainer):
    probe, layer = twin_probe(), "net.3"
    watcher = ProbeCallback(probe, [grad_cam()], at_steps=(), images=False)
    callback = FilterMaximizationCallback([layer], "background-driven", probe, steps=1)
    trainer([watcher, callback], max_epochs=1).fit(Classifier(), scenes_loader(32, 1.0), scenes_loader(16, 1.0, seed=1))
    shown = [names(frame, layer) for frame in callback.film.frames]
    for channels, frame in zip(shown, watcher.film.frames, strict=True):
        shares = frame.per_image[f"reliance/background_driven/{layer}"].tolist()
        assert channels == [index for share, index in sorted(zip(shares, range(8), strict=True), reverse=True) if share > 0.5]
    assert any(channels != sorted(channels) for channels in shown)


def test_a_look_that_would_take_too_long_is_not_begun(trainer, monkeypatch):
    """Filters may have 42 of the 60 seconds: of looks of 12.5 s there is room for three, and a fourth is not begun."""
    now = [0.0]

    def slow(*arguments, **named):
        now[0] += 12.5
        return filter_pictures(*arguments, **named)

    monkeypatch.setattr("lightning_vis.clock.perf_counter", lambda: now[0])
    monkeypatch.setattr("lightning_vis.callbacks.session.filter_looks.filter_pictures", slow)
    callback = filters(layers=["net.0"], channels=1, steps=1)
    with pytest.warns(UserWarning, match="filters pause until there is time again"):
        trainer([callback], max_epochs=4).fit(small(), loader())
    assert [frame.epoch for frame in callback.film.frames] == [0, 1, 2]
    assert callback.seconds["maximizing"] == pytest.approx(37.5)


@pytest.mark.parametrize("driven", [[1], [1, 4, 6], list(range(8))])
def test_as_many_rows_are_maximized_however_many_channels_follow_the_background(driven):
    """Kernels round by the number of rows: a film would move over frozen weights when that number changes."""
    model, rows = trained_looking(Plain()).eval(), []
    numbers = np.zeros(8)
    numbers[driven] = 0.9
    frame = SimpleNamespace(per_image={"reliance/background_driven/4": numbers})
    beside = ProbeCallback()
    beside.session.logger.last = frame
    callback = FilterMaximizationCallback(["4"], "background-driven", steps=1)
    callback.session.probe = Probe(images(3))
    found = callback.looks.look(model, lambda x: rows.append(len(x)) or model(x), [beside])
    assert max(rows) == 8
    assert len(found["4"].pictures.values) == len(found["4"].pictures.captions) == len(driven)
    assert {name.split("/")[2] for name in found["4"].numbers} == {str(index) for index in driven}
