"""What looking may cost, worked by hand: shares of a floor of 60 seconds."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
from worlds import Classifier, loader, twin_probe

from lightning_vis import FilterMaximizationCallback, ProbeCallback
from lightning_vis.callbacks.budget import Budget


def spent(looks, filters):
    """Two callbacks that have spent so many seconds, and the first one's budget."""
    budgets = Budget(), Budget(0.01, "filters")
    budgets[0].count("pass", looks)
    budgets[1].count("maximizing", filters)
    return budgets[0], [SimpleNamespace(budget=each) for each in budgets]


@pytest.mark.parametrize(
    ("looks", "filters", "paused"),
    [
        (0, 42, []),
        (0, 43, ["filters"]),
        (8, 42, ["filters"]),
        (10, 42, ["filters", "pictures"]),
        (19, 42, ["filters", "pictures", "looks"]),
        (0, 600, ["filters"]),  # a film that has run over takes nothing from the looks
        (18, 600, ["filters", "pictures"]),
        (61, 0, ["filters", "pictures", "looks"]),
    ],
)
def test_filters_pause_first_then_pictures_then_looks(looks, filters, paused):
    budget, callbacks = spent(looks, filters)
    assert [kind for kind in ("filters", "pictures", "looks") if budget.refusal(kind, callbacks)] == paused


def test_work_that_would_take_too_long_is_not_begun():
    budget, callbacks = spent(0, 30)
    assert not budget.refusal("filters", callbacks, coming=12)
    assert "filters pause until there is time again" in budget.refusal("filters", callbacks, coming=13)


def test_a_long_training_may_look_longer():
    budget, callbacks = spent(100, 0)
    budget._started -= 20_000
    assert not budget.refusal("looks", callbacks)


class Slow(pl.Callback):
    """A machine on which the first film of filters takes ten minutes more."""

    def __init__(self, filters):
        self.filters = filters

    def on_train_start(self, trainer, pl_module):
        self.filters.budget.count("maximizing", 600)


@pytest.mark.filterwarnings("ignore:lightning_vis")
def test_a_film_that_took_too_long_leaves_the_looks_their_time(trainer):
    watcher = ProbeCallback(twin_probe(), at_steps=(), images=False)
    filters = FilterMaximizationCallback(["net.3"], 2, steps=1)
    made = trainer([watcher, filters, Slow(filters)], max_epochs=3)
    with pytest.warns(UserWarning, match="filters pause until there is time again"):
        made.fit(Classifier(), loader(32, 1.0), loader(16, 1.0, seed=1))
    assert [frame.when for frame in filters.film.frames] == ["start"]
    assert [frame.when for frame in watcher.film.frames] == ["start", "epoch 1", "epoch 2", "epoch 3"]


@pytest.mark.filterwarnings("ignore:lightning_vis")
def test_all_that_a_look_takes_is_counted_once_per_fit(trainer):
    watcher = ProbeCallback(twin_probe(), every_n_epochs=100, at_steps=(), images=False)
    trainer([watcher], max_epochs=5).fit(Classifier(), loader(32, 1.0), loader(16, 1.0, seed=1))
    assert {"pass", "twins", "watching over it", "storing"} <= set(watcher.seconds)
    assert watcher.budget.spent == pytest.approx(sum(watcher.seconds.values()))
