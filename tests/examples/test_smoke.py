"""Examples run a few steps from their command line and out of a configuration, and leave the film that they say."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import hydra
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

RUNS = {
    "digits": ["."],
    "leaves": ["spurious", "balanced"],
    "multilabel": ["spurious", "balanced"],
    "regression": ["right", "shuffled"],
    "segmentation": ["spurious", "balanced"],
    "vit": ["spurious", "balanced"],
}
"""By example, the folders of its runs; photos and pretrained, which take packages of pictures, are commands of .ci/run."""
quiet = pytest.mark.filterwarnings(
    "ignore:lightning_vis. the alert is",
    "ignore:lightning_vis. attribution/grad_cam/lift could not be measured",
    "ignore:.*seed",
)


@pytest.fixture(autouse=True)
def _seed(monkeypatch, tmp_path):
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # Lightning sets it; this takes it back
    monkeypatch.chdir(tmp_path)


@quiet
@pytest.mark.parametrize("name", RUNS)
def test_an_example_runs(name, tmp_path, capsys):
    importlib.import_module(name).main(["--smoke", "--logdir", str(tmp_path / "logs")])
    assert f"tensorboard --logdir {tmp_path / 'logs'}" in capsys.readouterr().out
    for run in RUNS[name]:
        assert list((tmp_path / "logs" / run).glob("events.out.tfevents.*"))
        assert (tmp_path / "logs" / run / "film.html").exists()


SHORT = {"trainer.max_epochs": 1, "trainer.limit_train_batches": 2, "data.images": 60, "trainer.logger.save_dir": "logs"}


@quiet
def test_lightning_cli_makes_it_of_yaml(tmp_path, monkeypatch):
    import cli

    words = [f"--{key.replace('logger.', 'logger.init_args.')}={value}" for key, value in SHORT.items()]
    config = ["fit", "--config", str(EXAMPLES / "configs" / "lightning_cli.yaml"), *words]
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # of what LightningCLI takes of it
    monkeypatch.setattr(sys, "argv", ["cli.py", *config])  # LightningCLI warns of words from elsewhere
    cli.main()
    assert (tmp_path / "logs" / "cli" / "film.html").exists()


@quiet
def test_hydra_makes_it_of_yaml(tmp_path):
    import hydra_app

    with hydra.initialize_config_dir(str(EXAMPLES / "configs"), version_base=None):
        config = hydra.compose("hydra", [f"{'+' * ('limit' in key)}{key}={value}" for key, value in SHORT.items()])
    trainer = hydra_app.train(config)
    watcher, filters = trainer.callbacks[:2]
    assert [view.key for view in watcher.views] == ["evidence", "grad_cam+label", "saliency"]
    assert (watcher.settings.thresholds.red_effect, filters.film.count) == (0.4, 2)
    assert (tmp_path / "logs" / "hydra" / "film.html").exists()
