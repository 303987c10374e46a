"""The doctor says on one screen what a report of a problem needs, and reads whatever lies in a log folder."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
from modules import Classifier, loader

import lightning_vis
from lightning_vis import ProbeCallback
from lightning_vis.cli import main
from lightning_vis.doctor import _problems, examined, is_older

BEFORE = Path(__file__).parent / "events" / "before"


def test_the_version_is_said(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert (left.value.code, capsys.readouterr().out) == (0, f"lightning_vis {lightning_vis.__version__}\n")


def test_versions_loggers_and_the_tab(capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert f"lightning_vis {lightning_vis.__version__}, Python {sys.version.split()[0]}" in said
    assert f"torch {torch.__version__}" in said
    assert f"tensorboard {metadata.version('tensorboard')}" in said
    assert "loggers: TensorBoard" in said
    assert "\ntab: a TensorBoard of this environment " in said


def test_what_a_training_left_is_found(trainer, probe, tmp_path, capsys):
    trainer([ProbeCallback(probe)], max_epochs=1).fit(Classifier(), loader(), loader(8))
    assert main(["doctor", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path}: 1 run, 1 with looks" in said
    assert re.search(r"run: 5 looks, start to epoch 1, \d\.\d MB, \d+\.\d s of looking", said)
    assert "4 images of the probe 'probe'; task multiclass" in said
    assert "Reads 3 classes" in said
    assert "evidence, grad_cam at 'net.2'" in said
    assert "verdict, epoch 1: Whether the answer follows" in said


def test_it_is_one_screen_whatever_lies_there(tmp_path):
    (original,) = sorted((BEFORE / "events").glob("*0.before"))
    for run in range(30):
        folder = tmp_path / f"run{run:02}"
        folder.mkdir()
        (folder / original.name).write_bytes(original.read_bytes())
    lines = examined(tmp_path).splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= max(100, len(str(tmp_path)) + 40)
    assert f"{tmp_path}: 30 runs, 30 with looks" in lines
    assert lines[-1] == "... and 26 before them"


def test_runs_of_before_and_their_filters():
    assert "filters of 'net.0', '<output>'" in examined(BEFORE)


def test_a_damaged_file_is_said_and_read_as_far_as_it_is_whole(tmp_path):
    (original,) = sorted((BEFORE / "events").glob("*0.before"))
    (tmp_path / original.name).write_bytes(original.read_bytes()[:-40])
    assert "damaged: events.out.tfevents.0.before: ends within a record" in " ".join(examined(tmp_path).split())


def test_folders_without_anything(tmp_path, capsys):
    assert main(["doctor", str(tmp_path / "none")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert "no event files; a Trainer's TensorBoardLogger writes them" in examined(tmp_path)


def test_a_run_without_looks_is_counted(trainer, tmp_path):
    trainer(max_epochs=1).fit(Classifier(), loader(), loader(8))
    assert "1 run, none with looks" in examined(tmp_path)


def test_what_is_missing_or_too_old_is_said():
    there = {"torch": "2.13.0+cpu", "tensorboard": "2.9.1", "lightning": "2.6"}.get
    least = {"torch": "2.13", "tensorboard": "2.20", "pytorch-lightning": "2.6", "pillow": "11"}
    assert _problems(there, least) == ["too old: tensorboard 2.9.1 (at least 2.20)", "missing: pillow (at least 11)"]


@pytest.mark.parametrize(
    ("version", "least", "older"),
    [
        ("2.13.0+cpu", "2.13", False),
        ("2.9", "2.10", True),
        ("2", "2.0.0", False),
        ("3.0rc1", "2.20", False),
        ("2.6.0.dev3", "2.6", False),
    ],
)
def test_versions_are_compared_number_by_number(version, least, older):
    assert is_older(version, least) is older


def test_it_works_where_torch_does_not():
    """Whoever has a broken environment needs it most."""
    code = "import sys; sys.modules.update(dict.fromkeys(('torch', 'pytorch_lightning', 'lightning')));"
    code += " from lightning_vis.cli import main; sys.exit(main(['doctor']))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
