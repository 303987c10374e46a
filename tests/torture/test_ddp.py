"""Two processes: no hang, each rank sees the training that it would have seen, and the ranks agree."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from .spy import Trace, first_difference

SCRIPT = Path(__file__).parent / "ddp_run.py"
OURS = ("reliance/", "attribution/")


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def ranks(folder: Path, kind: str, port: str) -> list[dict[str, Any]]:
    folder.mkdir()
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    subprocess.run([sys.executable, SCRIPT, folder, kind], check=True, timeout=240, capture_output=True, env=environment)
    return [pickle.loads((folder / f"rank{rank}.pickle").read_bytes()) for rank in (0, 1)]


def test_two_processes_train_as_without_us(tmp_path: Path) -> None:
    port = free_port()
    without, watched = (ranks(tmp_path / kind, kind, port) for kind in ("without", "with"))
    for one, other in zip(without, watched, strict=True):
        assert first_difference(Trace(one["hooks"]), Trace(other["hooks"])) is None
    for key, value in watched[0]["weights"].items():
        assert "running" in key or "num_batches" in key or torch.equal(value, watched[1]["weights"][key])
    assert [each["frames"] > 0 for each in watched] == [True, False]  # one process draws
    numbers = [{key: value for key, value in each["numbers"].items() if key.startswith(OURS)} for each in watched]
    assert numbers[0] == numbers[1]  # and all of them know its numbers
    assert "reliance/background_effect" in numbers[0]
