"""Which weights were looked at is said in the frame, and it is true: the frame's answers are those of these weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import StochasticWeightAveraging

from lightning_vis import ProbeCallback

from .nets import Net, images, loaders
from .running import Run, seed_everything
from .scenario import probe
from .scenarios_schedules import ema

PROBE = images(2, seed=1)[0]


class Probabilities(pl.Callback):
    """What the network answers at the end of a hook, where it stands in the list: the truth to compare with."""

    def __init__(self) -> None:
        self.seen: dict[int, torch.Tensor] = {}

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.seen[trainer.current_epoch + 1] = answers(pl_module)


def answers(model: Net) -> torch.Tensor:
    with torch.no_grad():
        return copy.deepcopy(model.net).eval()(PROBE).softmax(1).max(1).values


def trained(folder: Path, before: list[pl.Callback], behind: list[pl.Callback]) -> tuple[Any, Net, dict[int, Any]]:
    seed_everything(7)
    model, truth, ours = Net(), Probabilities(), ProbeCallback(probe(), images=False)
    Run(folder, list).trainer(*behind, before=[*before, truth, ours]).fit(model, *loaders())
    return ours.film.frames, model, truth.seen


@pytest.mark.parametrize("first", [True, False])
def test_average_is_seen_where_ours_stands_before_it(tmp_path: Path, first: bool) -> None:
    frames, _, truth = trained(tmp_path, [] if first else [ema()], [ema()] if first else [])
    validated = [frame for frame in frames if frame.finished_steps in (3, 6) and frame.moment == "epoch"]
    assert [frame.weights for frame in validated] == ["averaged" if first else "raw"] * 2
    assert {frame.weights for frame in frames if frame.finished_steps < 3} == {"raw"}
    for frame in validated:
        torch.testing.assert_close(torch.tensor(frame.probability), truth[frame.epoch])


@pytest.mark.parametrize("average", [ema, lambda: StochasticWeightAveraging(1e-2, swa_epoch_start=1)])
def test_the_last_frame_shows_the_average_that_is_left_in_the_network(tmp_path: Path, average: Any) -> None:
    frames, model, _ = trained(tmp_path, [average()], [])
    assert frames[-1].weights == "averaged"
    torch.testing.assert_close(torch.tensor(frames[-1].probability), answers(model))


def test_without_averages_all_weights_are_raw(tmp_path: Path) -> None:
    frames, _, _ = trained(tmp_path, [], [])
    assert {frame.weights for frame in frames} == {"raw"}
