"""LightningCLI builds every callback from YAML: plain values, and import paths of functions that return a Probe or a View."""

from __future__ import annotations

import inspect
import sys

import pytest
import torch
import yaml
from modules import Classifier, loader
from pytorch_lightning import LightningDataModule
from pytorch_lightning.cli import LightningCLI

from lightning_vis.attribution.views import View, evidence, grad_cam
from lightning_vis.callbacks.filters import FilterMaximizationCallback
from lightning_vis.callbacks.probe import GradCAMCallback, ProbeCallback, SaliencyCallback
from lightning_vis.model.scores import logit
from lightning_vis.probe.probe import Probe
from lightning_vis.reliance.alert import Thresholds


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

    def build(kind, *words, config=None):
        monkeypatch.setenv("PL_GLOBAL_SEED", "1")
        monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
        monkeypatch.chdir(tmp_path)
        given = [f"--trainer.callbacks.{word}" for word in words]
        callback = f"--trainer.callbacks+=lightning_vis.{kind.__name__}" if config is None else f"--config={config}"
        monkeypatch.setattr(sys, "argv", ["train.py", callback, "--trainer.accelerator=cpu", *given])
        cli = LightningCLI(Model, Data, run=False)
        (found,) = [each for each in cli.trainer.callbacks if isinstance(each, kind)]
        return found

    return build


@pytest.mark.parametrize(("said", "key"), [("1", "+1"), ("label", "+label"), ("predicted", "")])
@pytest.mark.parametrize("kind", [SaliencyCallback, GradCAMCallback])
def test_a_target_on_the_command_line(told, kind, said, key):
    (view,) = told(kind, f"target={said}").views
    assert view.key == view.name + key


EVERY = {
    ProbeCallback: """
probe: null
views: [lightning_vis.evidence]
every_n_epochs: 2
at_steps: [1, 3]
task: [multiclass, regression]
head: [kind, age]
component: [null, 0]
labels_at: [y.kind, y.age]
unit: ['', years]
class_names: [a, b]
mean: [0.5]
std: 0.2
n: 4
choose: mistakes
score: null
on_error: raise
on_alert: stop
thresholds: {red_effect: 0.4}
images: false
loggers: all
on_validate: false
max_overhead: 0.5
exchange: true
boxes: boxes.json
""",
    FilterMaximizationCallback: """
layers: [net.0]
channels: [0, 2]
probe: by_name
every_n_epochs: 2
steps: 3
objective: lightning_vis.maximization.objectives.channel
preset: lucid
size: [8, 8]
seed: 1
scalars: true
weights: true
max_overhead: 0.5
on_error: raise
loggers: all
""",
    GradCAMCallback: "{probe: by_name, layer: net.0, target: runner_up, every_n_epochs: 3, at_steps: [1]}",
    SaliencyCallback: "{probe: by_name, target: 2, every_n_epochs: 3, at_steps: [1]}",
}


@pytest.mark.parametrize("kind", EVERY)
def test_every_argument_from_yaml(told, tmp_path, kind):
    given = yaml.safe_load(EVERY[kind])
    assert set(given) == set(inspect.signature(kind).parameters)  # a new argument belongs here
    callback = {"class_path": f"lightning_vis.{kind.__name__}", "init_args": given}
    (tmp_path / "more.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": [callback]}}))
    found = told(kind, config=tmp_path / "more.yaml")
    assert found.named == given["probe"]
    assert found.every_n_epochs == given["every_n_epochs"]
    for name, value in vars(found.settings).items():
        expected = given.get(name, value)
        assert value == (Thresholds(**expected) if name == "thresholds" and name in given else expected)


def test_a_word_that_is_no_argument_is_refused(built, capsys):
    with pytest.raises(SystemExit):
        built("- class_path: lightning_vis.SaliencyCallback\n  init_args: {lyer: net.0}")
    assert "lyer" in capsys.readouterr().err
