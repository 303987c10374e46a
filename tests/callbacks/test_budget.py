"""What looking may cost, worked by hand: shares of a floor of 60 seconds."""

from __future__ import annotations

import ctypes
import math
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
from worlds import Classifier, Unvalidated, loader, twin_probe

from lightning_vis import FilterMaximizationCallback, ProbeCallback, grad_cam, saliency
from lightning_vis.callbacks.budget import Budget
from lightning_vis.render.gif import animated


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


@pytest.mark.parametrize(
    ("limit", "is_first", "seconds", "sentence"),
    [
        (math.inf, False, 60, "cost more than max_overhead=0.01 of the training time, and more than 60 s, in all: looks pause"),
        (math.inf, True, 15, "more in the first epoch than a quarter of max_overhead=0.01 of the training time, and of 60 s"),
        (400, False, 20, "looking would cost more than 5% of the 400 s that the training may take: looks pause"),
        (400, True, 5, "more in the first epoch than a quarter of 5% of the 400 s that the training may take: looks pause"),
        (3600, False, 60, "a larger max_overhead= gives more"),
    ],
)
def test_a_time_limit_and_the_first_epoch_leave_less(limit, is_first, seconds, sentence):
    budget, callbacks = spent(seconds, 0)
    budget.limit, budget.is_first = limit, is_first
    assert budget.refusal("looks", callbacks) == ""
    budget.count("pass", 0.01)
    assert sentence in budget.refusal("looks", callbacks)
    assert (limit == 400) is not ("a larger max_overhead= gives more" in budget.refusal("looks", callbacks))


class Notes(pl.Callback):
    """What the budget knows at each epoch."""

    def __init__(self, budget):
        self.budget, self.seen = budget, []

    def on_train_batch_end(self, *_):
        self.seen.append((self.budget.is_first, self.budget.limit))


@pytest.mark.parametrize("arguments", [{"max_time": "00:00:10:00"}, {"callbacks": [pl.callbacks.Timer({"minutes": 10})]}, {}])
def test_the_limit_and_the_epoch_are_those_of_the_trainer(trainer, arguments):
    watcher = ProbeCallback(twin_probe(), at_steps=(), images=False)
    notes = Notes(watcher.budget)
    others, more = arguments.get("callbacks", []), {key: each for key, each in arguments.items() if key != "callbacks"}
    trainer([watcher, notes, *others], max_epochs=2, limit_train_batches=2, **more).fit(
        Classifier(), loader(32, 1.0), loader(16, 1.0)
    )
    limit = 600 if arguments else math.inf
    assert notes.seen == [(True, limit), *[(False, limit)] * 3]


@pytest.mark.parametrize("sanity", [0, 1])
def test_reading_the_answer_and_finding_images_are_counted(trainer, sanity):
    watcher = ProbeCallback(images=False)
    data = loader(32, 1.0)
    trainer([watcher], max_epochs=1, num_sanity_val_steps=sanity).fit(Classifier(), data, data)
    assert watcher.seconds["reading"] > 0
    assert watcher.seconds["finding images"] > 0


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


NOW = ctypes.c_double()
"""The time; in a list it would be put back with everything else that a look finds."""


class Heavy(Classifier):
    """A network whose passes over images take as long as `seconds` says, on a clock that nobody else moves."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def forward(self, images):
        if not self.training:  # what the training takes is not counted here
            NOW.value += self.seconds
        return super().forward(images)

    def validation_step(self, batch, index):
        pass


@pytest.mark.filterwarnings("ignore:lightning_vis")
@pytest.mark.parametrize(
    ("seconds", "seen"),
    [(0.08, ["start", "epoch 1", "epoch 2"]), (0.3, ["epoch 1"]), (1, [])],
    ids=["cheap", "dear", "too dear"],
)
def test_a_film_that_cannot_be_afforded_is_measured_and_not_begun(trainer, monkeypatch, recwarn, seconds, seen):
    """Of 60 s the filters may have 42, and in the first epoch 10.5.

    64 steps take 64 passes, 16 more where nothing passes a rectifier at first, and what goes before and after them.
    """
    NOW.value = 0.0
    monkeypatch.setattr("lightning_vis.clock.perf_counter", lambda: NOW.value)
    filters = FilterMaximizationCallback(["net.3"], 2, twin_probe(), steps=64)
    data = loader(32, 1.0)
    trainer([filters], max_epochs=2).fit(Heavy(seconds), data, data)
    assert [frame.when for frame in filters.film.frames] == seen
    said = [str(each.message) for each in recwarn if "filters pause" in str(each.message)]
    assert len(said) == len(set(said)) == (0 if len(seen) == 3 else 2)  # in the first epoch, and after it
    assert filters.budget.spent < (42 if seen else 20)


@pytest.mark.filterwarnings("ignore:lightning_vis")
@pytest.mark.parametrize("seconds", [0.05, 0.4])
def test_with_a_time_limit_all_looking_stays_below_a_twentieth_of_it(trainer, monkeypatch, recwarn, seconds):
    """Of 100 s it may have 5; without a limit the same looks take more."""
    NOW.value, data = 0.0, loader(32, 1.0)
    monkeypatch.setattr("lightning_vis.clock.perf_counter", lambda: NOW.value)
    spent = []
    for arguments in ({"max_time": "00:00:01:40"}, {}):
        ours = [ProbeCallback(twin_probe()), FilterMaximizationCallback(["net.3"], 2, twin_probe(), steps=16)]
        trainer(ours, max_epochs=4, **arguments).fit(Heavy(seconds), data, data)
        spent.append(sum(each.budget.spent for each in ours))
        assert ours[0].film.frames[0].when == "start"
    assert spent[0] <= 5 < spent[1]
    ages = [each.message for each in recwarn if "leaves no time for it" in str(each.message)]
    assert len(ages) == (seconds == 0.4)  # what is monitored is logged all the same, and how old it is


@pytest.mark.parametrize("limit", [None, "00:00:01:40"])
def test_films_at_the_end_take_no_more_than_a_time_limit_leaves(trainer, monkeypatch, tmp_path, recwarn, limit):
    """A film takes 0.8 s for each of four looks; it is made in any case where nothing is limited."""
    NOW.value = 0.0
    monkeypatch.setattr("lightning_vis.clock.perf_counter", lambda: NOW.value)

    def slow(films, key):
        NOW.value += 0.8 * len(films[0][2])
        return animated(films, key)

    monkeypatch.setattr("lightning_vis.callbacks.session.frame_logger.animated", slow)
    watcher = ProbeCallback(twin_probe(), [grad_cam(), saliency()], at_steps=())
    trainer([watcher], max_epochs=3, max_time=limit).fit(Unvalidated(), loader(32, 1.0))
    assert watcher.film.count == 4
    assert len(list((tmp_path / "run").glob("*.gif"))) == (0 if limit else 2)
    said = [str(each.message) for each in recwarn if "no film and no summary" in str(each.message)]
    assert len(said) == bool(limit)


class Spends(pl.Callback):
    """Stands first: reading the answer takes half a second."""

    def __init__(self, watcher):
        self.watcher = watcher

    def on_sanity_check_end(self, trainer, pl_module):
        self.watcher.budget.count("reading", 0.5)


@pytest.mark.filterwarnings("ignore:lightning_vis")
@pytest.mark.parametrize(("limit", "seen"), [("00:00:00:08", []), ("00:00:10:00", ["start", "epoch 1"])])
def test_a_short_training_is_not_asked_what_there_is_to_see(trainer, limit, seen):
    """Of eight seconds looking may have 0.1 in the first epoch, and 0.4 in all."""
    watcher = ProbeCallback(images=False, at_steps=())
    data = loader(32, 1.0)
    made = trainer([Spends(watcher), watcher], max_epochs=1, num_sanity_val_steps=1, max_time=limit)
    made.fit(Classifier(), data, data)
    assert [frame.when for frame in watcher.film.frames] == seen
    assert ("finding images" in watcher.seconds) is bool(seen)


@pytest.mark.parametrize("spent", [0, 40])
def test_a_training_that_goes_on_has_the_time_that_is_left(trainer, spent):
    timer = pl.callbacks.Timer({"seconds": 100})
    timer.load_state_dict({"time_elapsed": {"train": spent}})
    watcher = ProbeCallback(twin_probe(), at_steps=(), images=False)
    trainer([watcher, timer], max_epochs=1).fit(Unvalidated(), loader(16, 1.0))
    assert watcher.budget.limit == pytest.approx(100 - spent, abs=1)


@pytest.mark.filterwarnings("ignore:lightning_vis")
def test_all_that_a_look_takes_is_counted_once_per_fit(trainer):
    watcher = ProbeCallback(twin_probe(), every_n_epochs=100, at_steps=(), images=False)
    trainer([watcher], max_epochs=5).fit(Classifier(), loader(32, 1.0), loader(16, 1.0, seed=1))
    assert {"pass", "twins", "watching over it", "storing"} <= set(watcher.seconds)
    assert watcher.budget.spent == pytest.approx(sum(watcher.seconds.values()))
