"""What the tests share: probes, and Trainers that are quiet and write under the test's own folder."""

from __future__ import annotations

import os

import pytest
import pytorch_lightning as pl
import torch
from nets import images
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_vis.probe.probe import Probe

torch.set_num_threads(1)

# other engines take their time, and are tested by `make slow`
collect_ignore = [] if os.environ.get("LIGHTNING_VIS_SLOW") else ["tab/test_engines.py"]


@pytest.fixture(autouse=True)
def _seeded():
    """The global stream starts at one place in every test, whatever ran before."""
    torch.manual_seed(0)


@pytest.fixture
def probe():
    """Four random images of 12 x 12 with labels 0, 1, 2, 0."""
    return Probe(images(4), labels=[0, 1, 2, 0])


@pytest.fixture
def masked():
    """Four random images of 12 x 12 with masks in the middle; no labels, so no twins."""
    masks = torch.zeros(4, 12, 12)
    masks[:, 4:8, 4:8] = 1
    return Probe(images(4), masks=masks)


@pytest.fixture
def trainer(tmp_path):
    """Makes Trainers: CPU, silent, no sanity check, TensorBoard events under the test's folder."""

    def make(callbacks=(), **arguments):
        usual = {
            "accelerator": "cpu",
            "max_epochs": 2,
            "default_root_dir": tmp_path,
            "logger": TensorBoardLogger(tmp_path, name="", version="run"),
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 1000,
        }
        return pl.Trainer(**(usual | arguments), callbacks=list(callbacks))

    return make


@pytest.fixture
def events(tmp_path):
    """Reads the events of the one run of a test with TensorBoard's own reader."""

    def read(folder=tmp_path / "run"):
        found = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
        found.Reload()
        return found

    return read
