"""Whatever is wrong with what a checkpoint holds of ours, it is said, and no training ends of it."""

from __future__ import annotations

import copy

import pytest
from worlds import Classifier, loader, twin_probe

from lightning_vis import FilterMaximizationCallback, ProbeCallback

GONE = object()
JUNK = [GONE, None, "x", {}, [1], 7]


def filters():
    return FilterMaximizationCallback(["net.0"], 2, twin_probe(), steps=1, weights=True)


def probes():
    return ProbeCallback(twin_probe(), at_steps=(), images=False)


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    """What each callback has put into a checkpoint after a real epoch."""
    import pytorch_lightning as pl
    from pytorch_lightning.loggers import TensorBoardLogger

    made = [probes(), filters()]
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    logger = TensorBoardLogger(tmp_path_factory.mktemp("state"))
    trainer = pl.Trainer(accelerator="cpu", max_epochs=1, callbacks=made, logger=logger, log_every_n_steps=1000, **quiet)
    trainer.fit(Classifier(), loader(16, 0.95), loader(16, 0.95, seed=1))
    return {"probes": made[0].state_dict(), "filters": made[1].state_dict()}


def damaged(state, key, junk):
    changed = copy.deepcopy(state)
    changed.pop(key)
    return changed if junk is GONE else {**changed, key: junk}


@pytest.mark.filterwarnings("ignore:lightning_vis. .* in the checkpoint")
@pytest.mark.parametrize("make", [probes, filters])
def test_each_entry_may_be_missing_or_anything(states, make):
    state = states[make.__name__]
    for key in state:
        for junk in JUNK:
            callback = make()
            callback.load_state_dict(damaged(state, key, junk))
            assert callback.state_dict().keys() == state.keys(), (key, junk)


def test_a_whole_state_is_taken_back(states):
    for make in (probes, filters):
        callback = make()
        callback.load_state_dict(copy.deepcopy(states[make.__name__]))
        assert callback.film.count == len(callback.film.frames) > 0


def test_what_is_damaged_is_said_in_one_sentence(states):
    with pytest.warns(
        UserWarning, match="lightning_vis: the state of the alert in the checkpoint cannot be read .*begins anew"
    ):
        probes().load_state_dict(damaged(states["probes"], "monitor", "x"))
    with pytest.warns(UserWarning, match="lightning_vis: what filters are compared with in the checkpoint cannot be read"):
        filters().load_state_dict(damaged(states["filters"], "profiles", None))
