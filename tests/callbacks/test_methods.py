"""Views that cost many passes, in a real training: bit-identical, at spaced looks and the last one, within the budget."""

from __future__ import annotations

import warnings

import pytest
import torch
from modules import Classifier, loader
from nets import images

from lightning_vis import Film, ProbeCallback
from lightning_vis.attribution import (
    attention_rollout,
    deconvolution,
    evidence,
    exchange_map,
    grad_cam_plus_plus,
    guided_backprop,
    hires_cam,
    input_x_gradient,
    integrated_gradients,
    layer_cam,
    occlusion,
    score_cam,
    smooth_grad,
)
from lightning_vis.callbacks.budget import MANY
from lightning_vis.callbacks.session import map_looks
from lightning_vis.probe.probe import Probe
from tests.callbacks.test_identical import Drawing, PartlyCompiled, Tokenized, fingerprint, same

ALL = [
    *(input_x_gradient, grad_cam_plus_plus, hires_cam, layer_cam),
    *(smooth_grad, integrated_gradients, occlusion, score_cam, guided_backprop, deconvolution),
]
KEYS = {
    *(make().key for make in ALL),
    *(f"{key} (random weights)" for key in ("guided_backprop", "deconvolution")),
}
pytestmark = [pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")]


SETUPS = {
    "maps": (Classifier, {}),
    "maps, bf16-mixed": (Classifier, {"precision": "bf16-mixed"}),
    "tokens": (Tokenized, {}),
    "tokens, bf16-mixed": (Tokenized, {"precision": "bf16-mixed"}),
    "tokens, blocks compiled": (PartlyCompiled, {"num_sanity_val_steps": 1}),
    "random streams in forward": (Drawing, {}),
}


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # of dynamo itself
@pytest.mark.parametrize("setup", SETUPS)
def test_training_is_bit_identical_with_and_without(trainer, probe, setup):
    module, more = SETUPS[setup]
    of_tokens = [attention_rollout] * setup.startswith("tokens")
    callback = ProbeCallback(probe, [*ALL, *of_tokens], on_error="raise")
    arguments = {"max_epochs": 1, **more}
    without = fingerprint(trainer, [], module, **arguments)
    assert same(fingerprint(trainer, [callback], module, **arguments), without)
    assert all(set(frame.maps) == KEYS | {make().key for make in of_tokens} for frame in callback.film.frames)


def fit(trainer, callback, epochs=24, **arguments):
    """One batch an epoch, so that there are many looks, and the last one a look that is not spaced."""
    training = trainer([callback], max_epochs=epochs, limit_train_batches=1, **arguments)
    training.fit(Classifier(), loader())
    return training


def having(frames, key):
    return [frame.finished_steps for frame in frames if key in frame.maps]


def test_spaced_looks_and_the_last_one_have_them_and_the_others_say_so(trainer, probe, tmp_path):
    callback = ProbeCallback(probe, [evidence(), occlusion()])
    fit(trainer, callback)
    frames = callback.film.frames
    assert [frame.finished_steps for frame in frames] == list(range(25))
    assert having(frames, "evidence") == list(range(25))
    # looks 1 to 16 (steps 0 to 15), 18 = 1.1 x 16, 20 = 1.1 x 18, 22, 25 = 1.1 x 22 and more
    assert having(frames, "occlusion") == [*range(16), 17, 19, 21, 24]
    for frame in frames:
        said = any(note.startswith("no maps of occlusion at this look: they take 50 passes") for note in frame.notes)
        assert said == ("occlusion" not in frame.maps)
    stored = Film.from_logdir(tmp_path / "run")
    assert having(stored.frames, "occlusion") == having(frames, "occlusion")


def test_where_the_last_look_had_none_the_finished_network_is_looked_at_once_more(trainer, probe, tmp_path):
    callback = ProbeCallback(probe, [evidence(), occlusion()])
    fit(trainer, callback, epochs=23)
    frames = callback.film.frames
    assert [frame.finished_steps for frame in frames] == list(range(24))
    assert having(frames, "occlusion") == [*range(16), 17, 19, 21, 23]
    stored = Film.from_logdir(tmp_path / "run")
    assert [frame.finished_steps for frame in stored.frames] == list(range(24))
    assert having(stored.frames, "occlusion")[-1] == 23


def test_the_exchange_map_is_made_at_the_last_look_alone_and_changes_nothing(trainer, tmp_path):
    """257 passes are too many for every look; of the finished network they are made, by one more look at it."""
    callback = ProbeCallback(two_classes(), [evidence(), exchange_map()], on_error="raise")
    without = fingerprint(trainer, [], Classifier, max_epochs=2)
    assert same(fingerprint(trainer, [callback], Classifier, max_epochs=2), without)
    frames = callback.film.frames
    assert [("exchange_map" in frame.maps) for frame in frames] == [False] * (len(frames) - 1) + [True]
    late = "no maps of exchange map at this look: they take 257 passes, and are made at the last look if there is time"
    assert [late in frame.notes for frame in frames] == [True] * (len(frames) - 1) + [False]
    assert frames[-1].maps["exchange_map"].values.shape == (4, 7, 7)
    assert having(Film.from_logdir(tmp_path / "run").frames, "exchange_map") == [frames[-1].finished_steps]


def two_classes():
    return Probe(images(4, 12), [0, 1, 0, 1])


def test_without_time_there_is_none_and_the_looks_say_so(trainer, monkeypatch):
    monkeypatch.setattr(map_looks, "seconds_of_pass", lambda *_: 1.0)
    callback = ProbeCallback(two_classes(), [evidence(), exchange_map()])
    with pytest.warns(UserWarning, match=f"{MANY} pause until there is time again"):
        fit(trainer, callback, epochs=2)
    assert having(callback.film.frames, "exchange_map") == []


def test_no_more_looks_without_such_views(trainer, probe):
    callback = ProbeCallback(probe, [evidence(), hires_cam()])
    fit(trainer, callback, epochs=23)
    assert [frame.moment for frame in callback.film.frames][-1] != "end"


def test_they_pause_where_they_would_cost_too_much(trainer, probe, monkeypatch):
    monkeypatch.setattr(map_looks, "seconds_of_pass", lambda *_: 1.0)  # 50 passes, of 42 seconds
    callback = ProbeCallback(probe, [evidence(), occlusion()])
    with pytest.warns(UserWarning, match=f"{MANY} pause until there is time again"):
        fit(trainer, callback, epochs=3)
    frames = callback.film.frames
    assert having(frames, "occlusion") == []
    assert having(frames, "evidence") == [0, 1, 2, 3]
    assert all(any("no maps of occlusion" in note for note in frame.notes) for frame in frames)


def test_what_a_pass_takes_is_measured_before_the_first_look(trainer, probe):
    callback = ProbeCallback(probe, [occlusion()])
    fit(trainer, callback, epochs=1)
    assert 0 < callback.looks._pass_seconds < 1


def test_one_that_fails_rests_and_takes_no_other_along(trainer, probe):
    class Smooth(Classifier):
        def __init__(self):
            super().__init__()
            self.net[2] = torch.nn.Tanh()

    callback = ProbeCallback(probe, [evidence(), guided_backprop(), occlusion()])
    training = trainer([callback], max_epochs=1)
    with pytest.warns(UserWarning, match="the network has no ReLU") as said:
        training.fit(Smooth(), loader())
    assert [str(each.message) for each in said if "rest" in str(each.message)] == [
        "lightning_vis: the views 'guided_backprop' (layer '<input>'), 'guided_backprop (random weights)' (layer '<input>')"
        " rest until the next fit, because looking failed: the network has no ReLU, nor anything like it: this method would give the plain gradient, saliency. The training"
        ' is untouched; on_error="raise" stops at the error and shows where it is'
    ]
    assert all(set(frame.maps) == {"evidence", "occlusion"} for frame in callback.film.frames)


def test_a_view_of_many_passes_is_never_the_one_whose_lift_is_logged_at_every_epoch(trainer, probe):
    masks = torch.zeros(4, 12, 12)
    masks[:, 3:9, 3:9] = 1
    callback = ProbeCallback(Probe(probe.images, masks=masks), [occlusion(), layer_cam()], every_n_epochs=2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*could not be measured")
        training = fit(trainer, callback, epochs=2)
    assert "attribution/layer_cam/lift" in training.callback_metrics
    assert "attribution/occlusion/lift" not in training.callback_metrics
