"""Two processes: no hang, each rank sees the training that it would have seen, and the ranks agree."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from .scenarios_task import IS_SLOW
from .spy import Trace, first_difference, without_lent_hooks

SCRIPT = Path(__file__).parent / "ddp_run.py"
OURS = ("reliance/", "attribution/")


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def ranks(folder: Path, kind: str, port: str, net: str = "plain", sanity: int = 0) -> list[dict[str, Any]]:
    folder.mkdir()
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, SCRIPT, folder, kind, net, str(sanity)]
    subprocess.run(command, check=True, timeout=240, capture_output=True, env=environment)
    return [pickle.loads((folder / f"rank{rank}.pickle").read_bytes()) for rank in (0, 1)]


def both(folder: Path, *how: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Without us and with us, compared rank by rank."""
    port = free_port()
    without, watched = (ranks(folder / kind, kind, port, *how) for kind in ("without", "with"))
    for one, other in zip(without, watched, strict=True):
        traces = [without_lent_hooks(Trace(each["hooks"])) for each in (one, other)]
        assert first_difference(*traces) is None
    return without, watched


def test_two_processes_train_as_without_us(tmp_path: Path) -> None:
    _, watched = both(tmp_path)
    for key, value in watched[0]["weights"].items():
        assert "running" in key or "num_batches" in key or torch.equal(value, watched[1]["weights"][key])
    assert [each["frames"] > 0 for each in watched] == [True, False]  # one process draws
    numbers = [{key: value for key, value in each["numbers"].items() if key.startswith(OURS)} for each in watched]
    assert numbers[0] == numbers[1]  # and all of them know its numbers
    assert "reliance/background_effect" in numbers[0]


@pytest.mark.parametrize("net", ["methods", "frozen"])
def test_all_views_and_what_is_opened_leave_two_processes_alone(net: str, tmp_path: Path) -> None:
    _, watched = both(tmp_path, net)
    assert watched[0]["frames"] > 1
    assert watched[1]["frames"] == 0


@pytest.mark.parametrize("net", ["static", "unused"])
def test_a_static_graph_and_unused_weights_are_no_matter(net: str, tmp_path: Path) -> None:
    _, watched = both(tmp_path, net)
    assert [each["frames"] > 1 for each in watched] == [True, False]


def test_a_look_may_take_longer_than_the_process_group_waits(tmp_path: Path) -> None:
    """The others wait outside of any collective, which would give up and end the training."""
    watched = ranks(tmp_path / "with", "with", free_port(), "slow")
    assert [each["frames"] for each in watched] == [2, 0]
    for key, value in watched[0]["weights"].items():
        assert "running" in key or "num_batches" in key or torch.equal(value, watched[1]["weights"][key])


def test_a_process_that_is_killed_ends_the_training_as_without_us(tmp_path: Path) -> None:
    for kind in ("without", "with"):
        with pytest.raises(subprocess.CalledProcessError) as ended:
            ranks(tmp_path / kind, kind, free_port(), "killed")
        assert b"SIGKILL" in ended.value.stderr


# Where steps wait for each other: the worst is where two callbacks ask what nobody can read.
WAITING = [("unknown", 0)]
SLOWLY = [("gathers", 0), ("gathers", 2), ("unknown", 2), ("norms", 0), ("norms", 2), ("metadata", 0), ("metadata", 2)]


@pytest.mark.parametrize(("net", "sanity"), WAITING + SLOWLY * IS_SLOW)
def test_steps_that_wait_for_each_other_do_not_hang(net: str, sanity: int, tmp_path: Path) -> None:
    _, watched = both(tmp_path, net, sanity)
    drawn = [each["frames"] > 0 for each in watched]
    assert drawn[1] is False
    assert drawn[0] or net == "unknown"  # where one process does not run the step alone, it may say so
