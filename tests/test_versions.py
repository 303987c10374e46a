"""What is too old is refused, what is missing on other systems is no reason to fail, and the bounds are said once."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_vis.callbacks import base
from lightning_vis.callbacks.host.versions import LEAST, refuse_old
from lightning_vis.callbacks.probe import ProbeCallback

ROOT = Path(__file__).parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", "utf-8")


def run(source):
    """Runs a source in a process of its own; returns what it printed."""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, cwd=ROOT, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(
    ("name", "installed"),
    [("torch", "2.3.1+cu121"), ("pytorch-lightning", "1.9.5"), ("pillow", "9.5.0"), ("tensorboard", "2.9.1"), ("torch", "?")],
)
def test_what_is_too_old_is_refused_in_one_sentence(name, installed):
    versions = {**dict.fromkeys(LEAST, "99.0"), name: installed}
    with pytest.raises(ImportError, match=f"takes {name} {LEAST[name]} or later, and ") as caught:
        refuse_old(versions.__getitem__)
    assert f"{installed} is installed" in str(caught.value)


def test_the_oldest_set_is_taken():
    refuse_old(LEAST.__getitem__)


def test_a_callback_refuses_at_construction(monkeypatch):
    def refuse():
        raise ImportError("too old")

    monkeypatch.setattr(base, "refuse_old", refuse)
    with pytest.raises(ImportError, match="too old"):
        ProbeCallback()


def test_the_bounds_of_the_metadata_are_those_that_are_asked_for():
    bounds = dict(line.split(">=") for line in SETUP["options"]["install_requires"].split())
    assert bounds == {name: least for name, least in LEAST.items() if name != "lightning"}


def test_the_oldest_set_that_is_tried_is_the_one_of_the_metadata():
    lines = (ROOT / "constraints-oldest.txt").read_text("utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert all(pinned[name].startswith(f"{least}.") for name, least in LEAST.items() if name != "lightning")


def test_every_module_imports_where_signals_and_processes_are_those_of_windows():
    """There is no Windows here: what it lacks is taken away before anything is imported."""
    assert "put back" in run(
        """
import os, signal, sys
import pytorch_lightning, torch.utils.tensorboard, PIL.Image, tensorboard.backend.http_util  # what others need they may have
for name in ("SIGALRM", "SIGKILL", "SIGHUP", "SIGUSR1", "setitimer", "alarm", "pthread_sigmask"):
    delattr(signal, name)
for name in ("fork", "register_at_fork", "getuid", "uname"):
    delattr(os, name)
sys.modules |= dict.fromkeys(("fcntl", "resource", "pwd", "grp", "termios"))
import importlib, pkgutil, lightning_vis
for each in pkgutil.walk_packages(lightning_vis.__path__, "lightning_vis."):
    if not each.name.endswith("__main__"):
        importlib.import_module(each.name)
from lightning_vis.model.snapshot.restore import restore_all
restore_all([lambda: print("put back")])
"""
    )


def test_a_machine_that_only_views_needs_neither_torch_nor_lightning_nor_a_bar(tmp_path):
    """The wheel installed with --no-deps beside TensorBoard, which brings NumPy and Pillow."""
    events = ROOT / "tests" / "events" / "before" / "events"
    said = run(
        f"""
import sys
sys.modules |= dict.fromkeys(("torch", "pytorch_lightning", "lightning", "tqdm", "tqdm.auto", "matplotlib"))
from lightning_vis.cli import main
sys.exit(sum(main([word, {str(events)!r}, "-o", {str(tmp_path)!r} + "/film." + kind])
             for word, kind in (("export", "html"), ("gif", "gif"), ("strip", "png"))))
"""
    )
    assert said.count(" MB") == 3
