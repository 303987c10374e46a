"""LightningCLI builds every callback from YAML: plain values, and import paths of functions that return a Probe or a View."""

from __future__ import annotations

import sys

import pytest
import torch
from modules import Classifier, loader
from pytorch_lightning import LightningDataModule
from pytorch_lightning.cli import LightningCLI

from lightning_vis.attribution.views import View, evidence, grad_cam
from lightning_vis.callbacks.probe import GradCAMCallback, ProbeCallback, SaliencyCallback
from lightning_vis.model.scores import logit
from lightning_vis.probe.probe import Probe


class Data(LightningDataModule):
    """Six batches for training, three for validation."""

    def train_dataloader(self):
        return loader()

    def val_dataloader(self):
        return loader(12, seed=2)


class Model(Classifier):
    """Without arguments, as a CLI wants it."""

    def __init__(self):
        super().__init__()


def my_probe() -> Probe:
    """As a user writes it: an annotated function."""
    return Probe(torch.rand(2, 3, 12, 12), [0, 1], name="mine")


def my_view() -> View:
    """Likewise."""
    return grad_cam("net.0")


USUAL = """
seed_everything: 1
trainer:
  accelerator: cpu
  max_epochs: 1
  enable_progress_bar: false
  enable_model_summary: false
  enable_checkpointing: false
  num_sanity_val_steps: 0
  logger: {class_path: pytorch_lightning.loggers.TensorBoardLogger, init_args: {save_dir: FOLDER}}
  callbacks:
"""


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Makes the callbacks that a CLI builds from YAML, and fits with them."""

    def build(callbacks):
        config = tmp_path / "config.yaml"
        lines = "\n".join(f"  {line}" for line in callbacks.strip("\n").split("\n"))
        config.write_text(USUAL.replace("FOLDER", str(tmp_path / "logs")) + lines)
        monkeypatch.setenv("PL_GLOBAL_SEED", "1")  # the CLI sets it, and it would stay
        monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # of what Lightning calls, not of ours
        monkeypatch.setattr(sys, "argv", ["train.py", "fit", "--config", str(config)])
        cli = LightningCLI(Model, Data)
        # The CLI writes its whole configuration beside the events: the callbacks must survive that as well.
        assert (tmp_path / "logs" / "lightning_logs" / "version_0" / "config.yaml").exists()
        return [callback for callback in cli.trainer.callbacks if isinstance(callback, ProbeCallback)]

    return build


@pytest.mark.parametrize("kind", [ProbeCallback, SaliencyCallback, GradCAMCallback])
def test_without_arguments(built, kind):
    (callback,) = built(f"- class_path: lightning_vis.{kind.__name__}")
    assert type(callback) is kind
    assert [frame.finished_steps for frame in callback.film.frames] == [0, 1, 2, 4, 6]


def test_probe_callback_with_everything(built):
    (callback,) = built(
        """
- class_path: lightning_vis.ProbeCallback
  init_args:
    probe: tests.callbacks.test_yaml.my_probe
    views: [lightning_vis.evidence, tests.callbacks.test_yaml.my_view]
    every_n_epochs: 2
    at_steps: [3]
    score: lightning_vis.logit
""",
    )
    assert callback.probe.name == "mine"
    assert callback.views == [evidence(), grad_cam("net.0")]
    assert (callback.every_n_epochs, callback.at_steps, callback.score) == (2, (3,), logit)
    assert [frame.finished_steps for frame in callback.film.frames] == [0, 3, 6]


def test_saliency_and_grad_cam_with_everything(built):
    first, second = built(
        """
- class_path: lightning_vis.SaliencyCallback
  init_args: {target: label, every_n_epochs: 1, at_steps: []}
- class_path: lightning_vis.GradCAMCallback
  init_args: {probe: tests.callbacks.test_yaml.my_probe, layer: net.0, target: 2, at_steps: [1, 2]}
""",
    )
    assert [view.key for view in first.views + second.views] == ["saliency+label", "grad_cam.net.0+2"]
    assert first.at_steps == ()
    assert second.score is None
    assert set(second.film.frames[0].maps["grad_cam.net.0+2"].classes) == {2}


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Makes the callback that a CLI builds from words on the command line, and trains nothing."""

    def build(kind, *words):
        monkeypatch.setenv("PL_GLOBAL_SEED", "1")
        monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
        monkeypatch.chdir(tmp_path)
        given = [f"--trainer.callbacks.{word}" for word in words]
        callback = f"--trainer.callbacks+=lightning_vis.{kind.__name__}"
        monkeypatch.setattr(sys, "argv", ["train.py", "--trainer.accelerator=cpu", callback, *given])
        cli = LightningCLI(Model, Data, run=False)
        (found,) = [each for each in cli.trainer.callbacks if isinstance(each, kind)]
        return found

    return build


@pytest.mark.parametrize(("said", "key"), [("1", "+1"), ("label", "+label"), ("predicted", "")])
@pytest.mark.parametrize("kind", [SaliencyCallback, GradCAMCallback])
def test_a_target_on_the_command_line(told, kind, said, key):
    (view,) = told(kind, f"target={said}").views
    assert view.key == view.name + key


def test_a_word_that_is_no_argument_is_refused(built, capsys):
    with pytest.raises(SystemExit):
        built("- class_path: lightning_vis.SaliencyCallback\n  init_args: {lyer: net.0}")
    assert "lyer" in capsys.readouterr().err
