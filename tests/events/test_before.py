"""What was written before the package was divided into rooms is read, drawn, resumed and built as it was then."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from before_world import (
    BEFORE,
    Classifier,
    Data,
    expected,
    filters,
    flat_frames,
    flat_run,
    gif_pictures,
    loader,
    watcher,
)
from modules import SAFELY
from PIL import Image
from pytorch_lightning.cli import LightningCLI

from lightning_vis import Film, FilterMaximizationCallback, GradCAMCallback, ProbeCallback, SaliencyCallback
from lightning_vis.__main__ import main
from lightning_vis.events.frame_reader import frames_of, read_runs, whole_run
from lightning_vis.render.canvas.tiles import drawn
from lightning_vis.render.strips import strip

EVENTS = BEFORE / "events"
FROM_BEFORE = {"probe": [0, 1, 2, 4, 6, 12], "filters": [0, 6, 12]}
"""Finished steps of the looks in the checkpoints; an epoch has six."""


@pytest.fixture(scope="module")
def stored():
    (found,) = read_runs(EVENTS)
    return found


@pytest.fixture(scope="module")
def run(stored):
    return whole_run(stored)


def check(found, name):
    kept = expected(name)
    assert list(found) == list(kept)
    assert [key for key, value in found.items() if not same(value, kept[key])] == []


def same(one, other):
    is_number = np.issubdtype(other.dtype, np.number)
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=is_number)


# --- events --------------------------------------------------------------------------------------------------------


def test_every_look_is_read_as_it_was_in_its_order(run):
    check(flat_run(run), "run")


def test_a_later_fit_has_replaced_what_it_repeats(run):
    """Of the first fit's epoch 3, which ended at step 18, only the validation behind it is left."""
    when = ["start", "step 1", "step 2", "step 4", "epoch 1", "epoch 2", "epoch 3", "validate", "epoch 4"]
    assert [frame.when for frame in run.frames] == when
    assert [frame.finished_steps for frame in run.frames] == [0, 1, 2, 4, 6, 12, 17, 18, 22]
    assert [frame.finished_steps for frame in run.filters] == [0, 6, 12, 17, 22]


def test_a_film_is_that_of_the_one_probe(stored):
    (found,) = frames_of(stored, "probe")
    film = Film.from_logdir(EVENTS)
    check(flat_frames(found.frames), "run/frames")
    check(flat_frames(film.frames), "run/frames")
    assert frames_of(stored, "other") == []


def test_looks_are_those_that_the_page_joined(run):
    kept = json.loads((BEFORE / "expected_tab.json").read_text("utf-8"))[run.name]["looks"]
    joined = {stream["kind"]: stream["looks"] for stream in kept}
    assert set(joined) == {"frames", "sheets"}
    assert [look_of(frame) for frame in run.filters] == joined["sheets"]
    pictures = {steps: names for steps, *_, names in joined["sheets"]}  # the reader puts them into the look of the same step
    assert [look_of(frame) for frame in run.frames] == [[*look[:-1], pictures.get(look[0], [])] for look in joined["frames"]]


def look_of(frame):
    """As the page has it: a look outside of fit stands a fraction of a step behind."""
    place = frame.finished_steps + {"validate": 0.25, "test": 0.5}.get(frame.moment, 0)
    probability = [float(f"{each:.5g}") for each in frame.probability]
    answers = [frame.predicted.tolist(), probability]
    return [place, frame.when, frame.epoch, frame.moment, *answers, sorted(frame.maps), sorted(frame.pictures)]


# --- pictures ------------------------------------------------------------------------------------------------------


def test_tiles_are_drawn_as_they_were(run):
    tiles = {key: drawn(run.inputs.pictures[0], maps, 0) for key, maps in run.frames[-1].maps.items()}
    check(tiles, "drawn")


def test_the_strip_of_a_view_is_drawn_as_it_was(run):
    check({"evidence": strip(run.frames, run.inputs, "evidence")}, "strip")


def test_the_strip_of_a_layer_s_filters_is_drawn_as_it_was(tmp_path):
    assert main(["strip", str(EVENTS), "-o", str(tmp_path / "strip.png"), "--view", "filters/net.0"]) == 0
    found, kept = np.asarray(Image.open(tmp_path / "strip.png")), expected("filter_strip")["net.0"]
    assert np.array_equal(found[: len(kept)], kept)  # below it stands what it shows


@pytest.mark.parametrize(("view", "count"), [("evidence", 9), ("filters/net.0", 5)])
def test_the_gif_of_a_view_plays_as_it_did(view, count, tmp_path):
    assert main(["gif", str(EVENTS), "-o", str(tmp_path / "film.gif"), "--view", view]) == 0
    found, kept = gif_pictures((tmp_path / "film.gif").read_bytes()), expected(f"gif/{view}")
    assert len(found) == count
    check({at: found[int(at)] for at in kept}, f"gif/{view}")


# --- checkpoints ---------------------------------------------------------------------------------------------------


def kept_state(name, callback):
    return torch.load(BEFORE / f"checkpoint_{name}.ckpt", weights_only=True)["callbacks"][callback.state_key]


def resumed(trainer, name, callback):
    made = trainer([callback], max_epochs=4)
    path = BEFORE / f"checkpoint_{name}.ckpt"
    made.fit(Classifier(), loader(), loader(12, seed=2), ckpt_path=path, **SAFELY)
    assert made.current_epoch == 4
    return callback


@pytest.mark.parametrize(("name", "make"), [("probe", watcher), ("filters", lambda: filters(2))])
def test_a_film_goes_on_from_a_checkpoint_with_the_looks_of_before(name, make, trainer):
    film = resumed(trainer, name, make()).film
    before = FROM_BEFORE[name]
    assert [frame.finished_steps for frame in film.frames] == [*before, 18, 24]
    assert film.count == len(before) + 2
    check(flat_frames(film.frames[: len(before)]), f"film/{name}")


def test_the_alert_stays_red_and_knows_since_when(trainer):
    """A lost state would be off at epoch 3, and red, with a warning, at epoch 4."""
    callback = watcher()
    red = kept_state("probe", callback)["monitor"]["alert"]["red"]
    resumed(trainer, "probe", callback)
    assert [frame.numbers["reliance/alert"] for frame in callback.film.frames] == [0, 0, 0, 0, 0, 1, 1, 1]
    assert callback.state_dict()["monitor"]["alert"]["red"] == {**red, "when": ""}
    assert red["epoch"] == 1
    assert "as at every look from epoch 1 on" in callback.film.frames[-1].verdict.sentence


def test_weights_are_still_drawn_on_the_scale_of_the_first_look(trainer):
    callback = filters(2)
    before = kept_state("filters", callback)
    resumed(trainer, "filters", callback)
    after = callback.state_dict()
    (limit, last), (limit_after, last_after) = (state["weights"]["net.0"] for state in (before, after))
    assert limit_after == limit
    assert not torch.equal(last_after, last)
    assert (before["visits"], after["visits"]) == (3, 5)


# --- configurations ------------------------------------------------------------------------------------------------


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Builds what a CLI builds from a configuration of before, and fits."""

    def build(name):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PL_GLOBAL_SEED", "1")  # the CLI sets it, and it would stay
        monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # of what Lightning calls, not of ours
        monkeypatch.setattr(sys, "argv", ["train.py", "fit", "--config", str(BEFORE / f"{name}.yaml")])
        cli = LightningCLI(Classifier, Data)
        ours = (ProbeCallback, FilterMaximizationCallback)
        return [callback for callback in cli.trainer.callbacks if isinstance(callback, ours)]

    return build


ALL = (ProbeCallback, SaliencyCallback, GradCAMCallback, FilterMaximizationCallback)
VIEWS = [["evidence", "grad_cam.net.0"], ["saliency+label"], ["grad_cam.net.3+2"]]


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("config", ["net.0", "<output>"]),
        ("config_modules", ["net.0", "net.3"]),
        ("config_modules_saved", ["net.0", "net.3"]),
    ],
)
@pytest.mark.filterwarnings("ignore:lightning_vis.* has moved:DeprecationWarning")
def test_configurations_build_the_callbacks_that_they_built(name, layers, built):
    callbacks = built(name)
    assert tuple(map(type, callbacks)) == ALL
    *probes, last = callbacks
    assert [[view.key for view in callback.views] for callback in probes] == VIEWS
    assert [[frame.finished_steps for frame in callback.film.frames] for callback in callbacks] == [
        [0, 1, 2, 4, 6],
        [0, 1, 2, 4, 6],
        [0, 1, 2, 6],
        [0, 6],
    ]
    assert list(last.film.frames[-1].pictures) == [f"filters/{layer}" for layer in layers]


def test_a_configuration_of_defaults_builds_them_as_well(built):
    callbacks = built("config_defaults")
    assert tuple(map(type, callbacks)) == (ProbeCallback, FilterMaximizationCallback)
    assert [list(frame.maps) for frame in callbacks[0].film.frames[-1:]] == [["evidence", "grad_cam", "saliency"]]
    assert len(callbacks[1].film.frames) == 2
