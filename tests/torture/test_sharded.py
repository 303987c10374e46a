"""Two processes that hold a part of the weights each: as without us, seen whole, and nobody waits for ever."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_vis import Probe, look

from .nets import images
from .scenarios_task import IS_SLOW
from .sharded_run import Spread
from .spy import Trace, first_difference, without_lent_hooks
from .test_ddp import free_port

SCRIPT = Path(__file__).parent / "sharded_run.py"
SHARDED = ["fsdp", "fsdp2"]
OPTIONS = ["mixed", "recomputed", "gradients", "hybrid", "offloaded", "fsdp2-mixed", "fsdp2-offloaded"]
MORE = ["tensors", "flat", "whole", *OPTIONS] * IS_SLOW
STRATEGIES = ["ddp", *SHARDED, *["tensors"] * IS_SLOW]
DRAWN = SHARDED + MORE
UNCONFIGURED, FAILING, MONITORED, VALIDATED = (
    [f"{each} {what}" for each in (STRATEGIES if IS_SLOW else some)]
    for what, some in (
        ("unconfigured", ["fsdp"]),
        ("failing", ["ddp", "fsdp"]),
        ("monitored", ["ddp", "fsdp"]),
        ("alone", ["fsdp"]),
    )
)
Found = dict[str, list[dict[str, Any]]]


def played(folder: Path, seconds: float, *kinds: str) -> Found:
    """What each process found in trainings that run one after the other, by kind and "with" or "without"."""
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    command = [sys.executable, str(SCRIPT), str(folder), str(seconds), *kinds]
    subprocess.run(command, check=True, timeout=280, capture_output=True, env=environment)
    return {
        path.name: [pickle.loads((path / f"rank{rank}.pickle").read_bytes()) for rank in (0, 1)] for path in folder.iterdir()
    }


def without_attributes(trace: Trace) -> Trace:
    """FSDP sets itself up when it is met first: in a validation alone by our look."""
    return Trace([(hook, {key: each for key, each in seen.items() if "attribute" not in key}) for hook, seen in trace.hooks])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return played(tmp_path_factory.mktemp("sharded"), 120, *DRAWN, *UNCONFIGURED, *FAILING, *MONITORED, *VALIDATED)


@pytest.mark.parametrize("kind", DRAWN + UNCONFIGURED + FAILING + VALIDATED)
def test_each_process_trains_as_without_us(kind: str, found: Found) -> None:
    for one, other in zip(found[f"{kind}, without"], found[f"{kind}, with"], strict=True):
        traces = [without_lent_hooks(Trace(each["hooks"])) for each in (one, other)]
        traces = [without_attributes(each) for each in traces] if kind in VALIDATED else traces
        assert first_difference(*traces) is None
        assert other["stuck"] == []


@pytest.mark.parametrize("kind", DRAWN)
def test_one_process_draws_the_whole_network(kind: str, found: Found) -> None:
    """The maps of the untrained network are those of the same network in one process."""
    first, second = found[f"{kind}, with"]
    assert [len(looks) > 1 for looks in first["looks"]] == [True, True]  # filters, too
    assert second["looks"] == [[], []]
    net = Spread()
    net.load_state_dict(first["begun"])
    alone = look(net, Probe(images(4, seed=1)[0], [0, 0, 1, 1]))
    for key, values in first["maps"][0].items():
        expected = alone.maps[key].values
        np.testing.assert_allclose(values, expected, rtol=0, atol=np.abs(expected).max() / 200)  # a film has 8 bits


@pytest.mark.parametrize("kind", UNCONFIGURED)
def test_the_task_and_the_images_are_found_by_itself(kind: str, found: Found) -> None:
    first, second = found[f"{kind}, with"]
    assert [len(looks) > 1 for looks in first["looks"]] == [True, True]
    assert second["looks"] == [[], []]
    assert not [each for each in first["said"] if each.startswith("lightning_vis")]


@pytest.mark.parametrize("kind", VALIDATED)
def test_a_validation_alone_is_looked_at(kind: str, found: Found) -> None:
    first, second = found[f"{kind}, with"]
    assert (first["looks"], second["looks"]) == ([[("validate", 0)], []], [[], []])


@pytest.mark.parametrize("kind", FAILING)
def test_a_look_that_fails_in_one_process_keeps_no_other_waiting(kind: str, found: Found) -> None:
    first, second = found[f"{kind}, with"]
    assert [each for each in first["said"] if "the view 'fails.net.0' (layer 'net.0') rests" in each]
    assert [moment for moment, _ in first["looks"][0]][:2] == ["start", "step"]  # the other view goes on
    assert not [each for each in second["said"] if each.startswith("lightning_vis")]


@pytest.mark.parametrize("kind", MONITORED)
def test_all_processes_act_on_the_same_numbers_at_the_same_step(kind: str, found: Found) -> None:
    first, second = found[f"{kind}, with"]
    assert first["known"] == second["known"]
    assert all("reliance/background_effect" in numbers for _, numbers in first["known"])
    assert first["ended"] == second["ended"]
    _, best, epochs = first["ended"]
    is_shared = kind.startswith("tensors")  # both processes have the same batches, so that an epoch has two validations
    assert (epochs, len(first["known"])) == ([0 if is_shared else 1], 2)  # EarlyStopping has ended it at the second one
    assert best != ["None"]


if IS_SLOW:

    @pytest.mark.parametrize("name", STRATEGIES)
    def test_a_look_may_take_longer_than_the_process_group_waits(name: str, tmp_path: Path) -> None:
        first, second = played(tmp_path, WAIT, f"{name} slow")[f"{name} slow, with"]
        assert ([len(looks) for looks in first["looks"]], second["looks"]) == ([2], [[]])

    @pytest.mark.parametrize("name", STRATEGIES)
    def test_a_process_that_is_killed_ends_the_training(name: str, tmp_path: Path) -> None:
        with pytest.raises(subprocess.CalledProcessError):
            played(tmp_path, WAIT, f"{name} killed")


WAIT = 10
"""Seconds after which a process gives the others up."""
