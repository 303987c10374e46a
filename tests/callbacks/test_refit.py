"""A callback that is used again, and users' habits that ended a training or were passed over in silence."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import pytorch_lightning as pl
from pytorch_lightning.strategies import SingleDeviceStrategy
from worlds import Classifier, Unvalidated, loader, twin_probe

from lightning_vis import FilterMaximizationCallback, GradCAMCallback, Probe, ProbeCallback, SaliencyCallback, saliency
from lightning_vis.attribution.pipeline import look
from lightning_vis.reliance.alert import Thresholds

pytestmark = pytest.mark.filterwarnings("ignore:lightning_vis. the alert is")
TRAIN, VALIDATION = loader(32, 1.0), loader(16, 1.0, seed=1)


def fit(trainer, callbacks, module=None, **arguments):
    made = trainer(callbacks, **{"max_epochs": 2} | arguments)
    made.fit(module or Classifier(), TRAIN, VALIDATION)
    return made


def moments(callback):
    return [frame.when for frame in callback.film.frames]


def test_a_second_training_has_a_film_of_its_own(trainer):
    watcher = ProbeCallback(twin_probe(), at_steps=())
    filters = FilterMaximizationCallback(["net.3"], 2, steps=1, weights=True)
    for _ in range(2):
        fit(trainer, [watcher, filters])
        assert moments(watcher) == moments(filters) == ["start", "epoch 1", "epoch 2"]
        assert not filters.failures.resting


def test_the_same_training_goes_on_with_its_film(trainer):
    watcher = ProbeCallback(twin_probe(), at_steps=())
    made, module = trainer([watcher], max_epochs=1), Classifier()
    made.fit(module, TRAIN, VALIDATION)
    made.fit_loop.max_epochs = 2
    made.fit(module, TRAIN, VALIDATION)
    assert moments(watcher) == ["start", "epoch 1", "epoch 2"]


def test_a_validation_before_the_training_is_no_part_of_its_film(trainer):
    watcher = ProbeCallback(twin_probe(), at_steps=())
    made, module = trainer([watcher], max_epochs=1), Classifier()
    made.validate(module, VALIDATION, verbose=False)
    made.fit(module, TRAIN, VALIDATION)
    assert moments(watcher) == ["start", "epoch 1"]


def test_the_alert_of_one_training_is_not_that_of_the_next(trainer):
    watcher = ProbeCallback(twin_probe(), at_steps=(), thresholds=Thresholds(0, 0, 0, 0))
    fit(trainer, [watcher], max_epochs=3)
    assert watcher.monitor.state.level == 1
    known = []
    noted = pl.callbacks.LambdaCallback(
        on_fit_start=lambda *_: known.append((watcher.monitor.state.level, watcher.monitor.values))
    )
    fit(trainer, [watcher, noted], max_epochs=1)
    assert known == [(0, {})]


def test_another_callbacks_settings_of_the_alert_hold_at_every_training(trainer):
    probe = twin_probe()
    callbacks = [GradCAMCallback(probe), ProbeCallback(probe, on_alert="stop", thresholds=Thresholds(0, 0, 0, 0))]
    for _ in range(2):
        assert fit(trainer, callbacks, max_epochs=8).current_epoch < 8


class WeightAveraging(pl.Callback):
    """A user's own, and none of Lightning's."""


def test_a_users_own_callback_may_be_called_weight_averaging(trainer):
    watcher = ProbeCallback(twin_probe(), at_steps=())
    fit(trainer, [WeightAveraging(), watcher])
    assert {frame.weights for frame in watcher.film.frames} == {"raw"}


class Picky(Classifier):
    """Takes batches of its training's size only."""

    def forward(self, images):
        if len(images) != 16:
            raise ValueError(f"a batch of {len(images)}")
        return super().forward(images)


def test_a_network_that_refuses_the_probe_goes_on_training(trainer):
    with pytest.warns(UserWarning, match="choosing the layers of the filters failed: a batch of 8"):
        made = fit(trainer, [FilterMaximizationCallback(["net.3"], probe=twin_probe())], Picky())
    assert made.current_epoch == 2


class Raw(Unvalidated):
    """Steps its optimizer itself, without Lightning's hooks; only its own training step knows how it is run."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return batch

    def training_step(self, batch, batch_idx):
        optimizer = self.optimizers(use_pl_optimizer=False)
        optimizer.zero_grad()
        self.manual_backward(super().training_step(batch, batch_idx))
        optimizer.step()
        self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.increment_completed()


def test_the_start_is_the_untrained_network_whoever_steps(trainer):
    watcher, module = ProbeCallback(at_steps=()), Raw()
    untrained = copy.deepcopy(module)
    trainer([watcher], max_epochs=1).fit(module, TRAIN)
    assert moments(watcher) == ["start", "epoch 1"]
    expected = look(untrained, watcher.session.probe, [saliency()], forward=untrained.net)
    np.testing.assert_array_equal(watcher.film.frames[0].probability, expected.probability)


def test_a_film_begins_anew_where_the_number_of_images_is_another(trainer, tmp_path):
    class Kept(ProbeCallback):
        state_key = "kept"

    first = Kept(Probe(twin_probe(4).images), [saliency()])
    made = fit(trainer, [first], max_epochs=1)
    made.save_checkpoint(tmp_path / "kept.ckpt")
    more = Kept(Probe(twin_probe(6).images), [saliency()])
    again = trainer([more], max_epochs=2)
    with pytest.warns(UserWarning, match="another number of images than before: its film begins anew"):
        again.fit(Classifier(), TRAIN, VALIDATION, ckpt_path=tmp_path / "kept.ckpt")
    assert {len(frame.predicted) for frame in more.film.frames} == {6}


def test_two_filter_callbacks_would_write_the_classes(trainer):
    callbacks = [FilterMaximizationCallback(), FilterMaximizationCallback(["<output>"])]
    with pytest.raises(ValueError, match="would write the pictures of the layers <output>: give one of them other layers"):
        fit(trainer, callbacks)


@pytest.mark.parametrize("on_validate", [True, False])
def test_on_validate_false_reads_nothing(trainer, on_validate):
    callback = ProbeCallback(on_validate=on_validate, on_error="raise")
    trainer([callback]).validate(Classifier(), VALIDATION, verbose=False)
    assert (callback.session.finder.testimony is not None) is on_validate
    assert len(callback.film.frames) == on_validate


@pytest.mark.filterwarnings("ignore:lightning_vis")
def test_the_reason_of_a_missing_number_is_that_of_its_view(trainer):
    def breaks(record):
        raise RuntimeError("boom")

    from lightning_vis.attribution.views import View

    watcher = ProbeCallback(twin_probe(), [View("mine", (None,), breaks)], at_steps=())
    with pytest.warns(UserWarning, match=r"attribution/mine/lift could not be measured \(boom\)"):
        fit(trainer, [watcher])


def test_callbacks_share_a_look_if_their_probes_are_alike(trainer):
    first, second = GradCAMCallback(twin_probe()), SaliencyCallback(twin_probe())
    fit(trainer, [first, second])
    assert list(first.film.frames[-1].maps) == ["grad_cam", "saliency"]
    assert second.film is first.film


def test_whoever_looks_for_others_looks_as_they_have_asked_for(trainer):
    probe = Probe(twin_probe().images)
    first = GradCAMCallback(probe)
    fit(trainer, [first, ProbeCallback(probe, on_error="raise", images=False, max_overhead=0.5)])
    assert (first.failures.on_error, first.looks.images, first.budget.max_overhead) == ("raise", False, 0.5)
    fit(trainer, [first])
    assert (first.failures.on_error, first.looks.images, first.budget.max_overhead) == ("warn", "few", 0.01)


class DeepSpeedStrategy(SingleDeviceStrategy):
    """Called as the one that was never tried."""


@pytest.mark.filterwarnings("ignore:lightning_vis. reliance")
def test_nobody_looks_under_a_strategy_that_was_never_tried(trainer):
    watcher, filters = ProbeCallback(twin_probe()), FilterMaximizationCallback(["net.3"], steps=1)
    with pytest.warns(UserWarning, match="under DeepSpeedStrategy, which was never tried with it, nothing is looked at"):
        made = fit(trainer, [watcher, filters], strategy=DeepSpeedStrategy("cpu"))
    assert moments(watcher) == moments(filters) == []
    assert made.callback_metrics["reliance/alert"] == 0  # a monitored number is never missing


class FSDPStrategy(SingleDeviceStrategy):
    """Called as the one that spreads weights over processes, of which there is one; tests/torture has two."""


def test_one_process_that_may_hold_a_part_of_the_weights_looks(trainer):
    watcher, filters = ProbeCallback(on_error="raise"), FilterMaximizationCallback(["net.3"], steps=1, on_error="raise")
    fit(trainer, [watcher, filters], strategy=FSDPStrategy("cpu"))
    assert moments(watcher)[:2] == ["start", "step 1"]
    assert moments(filters)[0] == "start"


def test_steps_that_only_accumulate_are_looked_at_once(trainer):
    tried = []
    watcher = ProbeCallback(twin_probe(), [saliency()])
    original = watcher.looks.look
    watcher.looks.look = lambda *arguments, **more: (
        tried.append(arguments[3]["finished_steps"]),
        original(*arguments, **more),
    )[1]
    fit(trainer, [watcher], accumulate_grad_batches=8, max_epochs=3)
    assert len(tried) == len(set(tried))
