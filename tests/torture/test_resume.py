"""A run that goes on shows the same images with the same answer, though its step augments and writes into its batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lightning_vis import ProbeCallback

from .nets import Net, loaders
from .running import Run, seed_everything
from .scenarios_task import Busy

SANITY = (0, 2)


def fitted(folder: Path, model: Net, sanity: int, path: Path | None, **arguments: Any) -> tuple[Any, Any]:
    """The callback behind a fit, and its Trainer."""
    ours = ProbeCallback(images=False)
    trainer = Run(folder, list).trainer(ours, num_sanity_val_steps=sanity, enable_checkpointing=False, **arguments)
    trainer.fit(model, *loaders(), ckpt_path=path)
    return ours, trainer


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")  # of a run that goes on, without us too
@pytest.mark.parametrize("first", SANITY)
@pytest.mark.parametrize("then", SANITY)
def test_a_run_that_goes_on_shows_the_same(first: int, then: int, tmp_path: Path) -> None:
    seed_everything(7)
    before, trainer = fitted(tmp_path / "one", Busy(), first, None, max_epochs=-1, max_steps=2)
    trainer.save_checkpoint(tmp_path / "kept.ckpt")
    seed_everything(8)
    after, _ = fitted(tmp_path / "other", Busy(), then, tmp_path / "kept.ckpt", max_epochs=2)
    assert after.session.probe.indices == before.session.probe.indices
    assert after.session.probe.fingerprint == before.session.probe.fingerprint
    assert after.session.answer.state() == before.session.answer.state()  # NaN is not NaN
    steps = [frame.finished_steps for frame in after.film.frames]
    assert steps[: len(before.film.frames)] == [frame.finished_steps for frame in before.film.frames]
    assert len(steps) > len(before.film.frames)
