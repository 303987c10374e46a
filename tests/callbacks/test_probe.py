"""The callbacks in real Trainers: shared looks, loggers of every kind, mistakes at fit start, failures while looking."""

from __future__ import annotations

import pickle
import warnings
from contextlib import suppress

import numpy as np
import pytest
import torch
from modules import Classifier, loader
from nets import images
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader

from lightning_vis.attribution.views import View, evidence, grad_cam, saliency
from lightning_vis.callbacks.probe import GradCAMCallback, ProbeCallback, SaliencyCallback
from lightning_vis.constants import INPUT
from lightning_vis.probe.probe import Probe
from tests.attribution.test_pipeline import breaks
from tests.attribution.test_recorders import counting


def fit(trainer, callbacks, module=None, train=None, validation=None, **arguments):
    training = trainer(callbacks, **arguments)
    training.fit(module or Classifier(), train or loader(), loader(12, seed=2) if validation is None else validation)
    return training


def tags(events):
    return sorted(events().Tags()["images"])


# --- nothing to configure ---------------------------------------------------------------------------------------------


def test_without_arguments_it_shows_eight_images_of_the_validation_data(trainer, events):
    callback = ProbeCallback()
    fit(trainer, [callback])
    frame = callback.film.frames[-1]
    assert list(frame.maps) == ["evidence", "grad_cam", "saliency"]
    assert tags(events) == ["film/evidence", "film/grad_cam", "film/saliency", "probe/0", "probe/1"]


def test_the_probe_comes_from_the_training_data_where_there_is_no_other(trainer):
    callback = SaliencyCallback()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You defined a `validation_step` but have no")
        trainer([callback]).fit(Classifier(), loader())
    assert len(callback.film.frames[0].predicted) == 8


@pytest.mark.parametrize(
    ("callback", "keys"),
    [
        (ProbeCallback, ["evidence", "grad_cam", "saliency"]),
        (SaliencyCallback, ["saliency"]),
        (GradCAMCallback, ["grad_cam"]),
        (lambda probe: SaliencyCallback(probe, "label"), ["saliency+label"]),
        (lambda probe: GradCAMCallback(probe, "net.0", 1), ["grad_cam.net.0+1"]),
        (lambda probe: ProbeCallback(probe, [evidence, grad_cam("net.2")]), ["evidence", "grad_cam.net.2"]),
    ],
)
def test_each_callback_has_its_views(trainer, probe, callback, keys):
    made = callback(probe)
    fit(trainer, [made], max_epochs=1)
    assert list(made.film.frames[-1].maps) == keys


@pytest.mark.parametrize("given", [0, -1, 1.5, "2"])
def test_every_n_epochs_is_a_whole_number(given):
    with pytest.raises(ValueError, match=f"every_n_epochs={given!r}: expected a whole number of at least 1"):
        ProbeCallback(every_n_epochs=given)


# --- several callbacks, one look --------------------------------------------------------------------------------------


def looks_cost(trainer, monkeypatch, callbacks):
    """Forward passes and calls of autograd in all looks of one training, less what the training itself needs."""
    module = Classifier()
    training = trainer(callbacks, max_epochs=1)
    with counting(module.net, monkeypatch) as counts:
        training.fit(module, loader(), loader(12, seed=2))
    own = 6 + 3  # batches of training and validation; Lightning goes backward without autograd.grad
    return counts["forward"] - own, counts["grad"]


def test_three_callbacks_with_one_probe_cost_what_one_with_three_views_costs(trainer, monkeypatch):
    probe = Probe(images(4))  # without labels, so that all explain the predicted class; what is exchanged costs passes too
    one = looks_cost(trainer, monkeypatch, [ProbeCallback(probe, exchange=False)])
    three = [ProbeCallback(probe, [evidence()], exchange=False), GradCAMCallback(probe), SaliencyCallback(probe)]
    assert looks_cost(trainer, monkeypatch, three) == one
    # Looks at 0, 1, 2, 4 and 6 finished steps; once a dry run of the step, which tells what is answered, once a pass that finds
    # the same in eval mode, and once one that asks autograd which layer leads to the answer.
    assert one == (5 + 1 + 1 + 1, 5 + 1)
    alone = looks_cost(trainer, monkeypatch, [ProbeCallback(probe, [saliency()], exchange=False)])
    assert alone == (5 + 1 + 1, 5)
    assert [list(frame.maps) for frame in three[0].film.frames] == [["evidence", "grad_cam", "saliency"]] * 5


def test_each_other_explained_class_costs_one_backward_more(trainer, monkeypatch, probe):
    views = [saliency(), saliency(0), saliency(1), saliency(2)]
    forward, backward = looks_cost(trainer, monkeypatch, [ProbeCallback(probe, views, exchange=False)])
    assert forward == 5 + 1 + 1  # a dry run tells what is answered, a pass in eval mode finds it there
    assert 15 <= backward <= 20  # the predicted class is sometimes the same in all images as one of the others


def test_shared_looks_are_written_once_under_the_tags_of_all(trainer, probe, events):
    fit(trainer, [GradCAMCallback(probe), ProbeCallback(probe, [saliency()], images=True)], max_epochs=1)
    films = ["film/grad_cam", "film/grad_cam, played", "film/saliency"]
    assert tags(events) == [*films, *(f"probe/{index}" for index in range(4))]
    assert [event.step for event in events().Images("probe/0")] == [-1, 0, 1, 3, 5]


@pytest.mark.parametrize(
    "second",
    [
        lambda probe: ProbeCallback(probe, every_n_epochs=2),
        lambda probe: SaliencyCallback(probe, at_steps=[3]),
        lambda probe: SaliencyCallback(Probe(images(4))),
        lambda probe: SaliencyCallback(),
    ],
)
def test_two_callbacks_that_would_write_one_tag_are_refused(trainer, probe, second):
    with pytest.raises(ValueError, match="two callbacks would write the pictures of the probe 'probe': give them one probe"):
        fit(trainer, [ProbeCallback(probe), second(probe)])


def test_two_probes_of_other_names_do_not_write_one_tag(trainer, probe, events):
    other = Probe(images(3, seed=4), name="other")
    fit(trainer, [ProbeCallback(each, [saliency()], images=True) for each in (probe, other)], max_epochs=1)
    found = events()
    for tag in found.Tags()["images"]:  # each look would otherwise stand twice in one film
        steps = [event.step for event in found.Images(tag)]
        assert steps == ([5] if tag.endswith("played") else [-1, 0, 1, 3, 5]), tag
    cards = {*(f"probe/{index}" for index in range(4)), *(f"other/{index}" for index in range(3))}
    films = {"film/saliency", "film/other/saliency"}
    assert set(found.Tags()["images"]) == cards | films | {f"{film}, played" for film in films}


# --- loggers ----------------------------------------------------------------------------------------------------------


def test_every_tensorboard_logger_gets_the_pictures(trainer, probe, tmp_path, events):
    loggers = [TensorBoardLogger(tmp_path, "", "a"), CSVLogger(tmp_path), TensorBoardLogger(tmp_path, "", "b")]
    fit(trainer, [SaliencyCallback(probe)], logger=loggers, max_epochs=1)
    for name in ("a", "b"):
        assert [event.step for event in events(tmp_path / name).Images("probe/0")] == [-1, 5]


# --- mistakes, said before anything is trained --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("callback", "data", "message"),
    [
        (lambda: GradCAMCallback(layer="net.layer4"), None, "layer 'net.layer4' is not in the model; its layers are net"),
    ],
    ids=["layer"],
)
def test_mistakes_stop_at_fit_start_with_one_sentence(trainer, callback, data, message):
    module = Classifier()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises((ValueError, TypeError)) as caught:
        fit(trainer, [callback()], module, train=loader(), validation=data)
    assert str(caught.value).startswith(message)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


# --- failures while looking -------------------------------------------------------------------------------------------


def test_a_view_that_fails_is_said_once_and_rests_while_others_go_on(trainer, probe, events):
    callback = ProbeCallback(probe, [View("broken", (INPUT,), breaks), saliency()], images=True)
    with pytest.warns(UserWarning, match="'broken'") as caught:
        training = fit(trainer, [callback])
    ours = [str(each.message) for each in caught if "lightning_vis" in str(each.message)]
    assert len(ours) == 1
    assert "the view 'broken'" in ours[0]
    assert "rests until the next fit" in ours[0]
    assert "no such luck" in ours[0]
    assert training.global_step == 12
    assert [event.step for event in events().Images("film/saliency")] == [-1, 0, 1, 3, 5, 11]
    assert "film/broken" not in events().Tags()["images"]


def test_a_view_that_rests_is_tried_again_in_the_next_fit(trainer, probe):
    callback = ProbeCallback(probe, [View("broken", (INPUT,), breaks), saliency()])
    training, module = trainer([callback], max_epochs=1), Classifier()
    for epochs in (1, 2):
        training.fit_loop.max_epochs = epochs
        with pytest.warns(UserWarning, match="'broken'"):
            training.fit(module, loader(), loader(12, seed=2))


def test_a_forward_that_refuses_the_probe_stops_nothing(trainer, probe):
    class Refuses(Classifier):
        def forward(self, x):
            if len(x) == 3:
                raise RuntimeError("out of memory, or so")
            return super().forward(x)

    callback = ProbeCallback(Probe(images(3)))
    with pytest.warns(UserWarning, match="out of memory, or so"):
        training = fit(trainer, [callback], Refuses())
    assert training.global_step == 12
    assert callback.film.count == 0


def test_weights_that_are_not_finite_stop_nothing_and_are_said_on_the_pictures(trainer, probe, events):
    class Explodes(Classifier):
        def on_train_batch_end(self, *_):
            with torch.no_grad():
                self.net[-1].weight.fill_(torch.nan)

    callback = ProbeCallback(probe, images=True)
    assert fit(trainer, [callback], Explodes()).global_step == 12
    assert any("not finite" in note for note in callback.film.frames[-1].notes)
    assert [event.step for event in events().Images("film/evidence")] == [-1, 0, 1, 3, 5, 11]


def test_a_model_that_ends_in_softmax_is_said_once(trainer, probe):
    class Softmax(Classifier):
        def forward(self, x):
            return self.net(x).softmax(1)

    with pytest.warns(UserWarning, match="the model returns probabilities: their logarithm is explained") as caught:
        fit(trainer, [SaliencyCallback(probe)], Softmax())
    assert sum("probabilities" in str(each.message) for each in caught) == 1


def test_ctrl_c_while_looking_ends_the_training_and_leaves_the_network_as_it_was(trainer, probe):
    class Interrupted(Classifier):
        def forward(self, x):
            if len(x) == 4 and not self.training and torch.is_grad_enabled():
                self.net[0].weight.data.zero_()
                raise KeyboardInterrupt
            return super().forward(x)

    module = Interrupted()
    before = module.net[0].weight.clone()
    made = trainer([SaliencyCallback(probe)])
    with suppress(KeyboardInterrupt, SystemExit):  # early Lightning 2 ends the fit and raises nothing
        made.fit(module, loader(), loader(12, seed=2))
    assert (made.interrupted, made.global_step) == (True, 0)
    assert torch.equal(module.net[0].weight, before)
    assert module.training


# --- checkpoints, long runs, pickles ----------------------------------------------------------------------------------


def test_the_film_is_in_the_checkpoint_which_loads_with_weights_only(trainer, probe, tmp_path):
    callback = ProbeCallback(probe)
    fit(trainer, [callback]).save_checkpoint(tmp_path / "last.ckpt")
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"][callback.state_key]
    loaded = ProbeCallback(probe)
    loaded.load_state_dict(state)
    assert [frame.finished_steps for frame in loaded.film.frames] == [0, 1, 2, 4, 6, 12]
    for one, other in zip(loaded.film.frames, callback.film.frames, strict=True):
        np.testing.assert_array_equal(one.maps["evidence"].values, other.maps["evidence"].values)


def test_state_keys_tell_probe_views_and_cadence_apart(probe):
    callbacks = [
        ProbeCallback(probe),
        ProbeCallback(probe, every_n_epochs=2),
        ProbeCallback(probe, at_steps=[3]),
        ProbeCallback(probe, [saliency()]),
        ProbeCallback(Probe(images(2), name="other")),
        SaliencyCallback(probe),
    ]
    assert len({callback.state_key for callback in callbacks}) == len(callbacks)


@pytest.mark.parametrize("pictures", [True, "few"])
def test_a_long_run_keeps_64_looks_and_draws_ever_less_often(trainer, events, pictures):
    callback = ProbeCallback(Probe(images(2, 8)), [saliency()], at_steps=(), images=pictures, max_overhead=10.0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    few = DataLoader(torch.utils.data.TensorDataset(images(3, 8), torch.arange(3)), 3)
    fit(trainer, [callback], Classifier(net), train=few, validation=few, max_epochs=299)
    assert callback.film.count == 300
    assert len(callback.film.frames) <= 64
    assert [callback.film.positions[0], callback.film.positions[-1]] == [0, 299]
    drawn = [event.step for event in events().Images("probe/0")]
    assert drawn[-1] == 298
    assert len(drawn) < 50
    assert drawn[:16] == (list(range(-1, 15)) if pictures is True else [-1, 4, 13, 36, 93, 236, 298])


def test_few_pictures_are_as_wide_as_the_images_tab_shows_them(trainer, probe, events):
    fit(trainer, [ProbeCallback(probe, at_steps=())])
    found = events()
    assert sorted(found.Tags()["images"]) == ["film/evidence", "film/grad_cam", "film/saliency", "probe/0", "probe/1"]
    for tag in found.Tags()["images"]:
        assert {event.width for event in found.Images(tag)} == {350}
        assert all(len(event.encoded_image_string) < 100_000 for event in found.Images(tag))


@pytest.mark.parametrize("given", ["some", 2, None])
def test_images_are_few_all_or_none(given):
    with pytest.raises(ValueError, match=f"images={given!r}: expected 'few', True or False"):
        ProbeCallback(images=given)


def test_callbacks_pickle(probe):
    again = pickle.loads(pickle.dumps(ProbeCallback(probe)))
    assert again.views == ProbeCallback(probe).views
