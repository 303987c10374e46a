"""The filters of networks that do not come as a forward and a list of images: what is watched is maximized."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from modules import SAFELY, Classifier, TwoOptimizers, loader
from nets import images
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis import Probe, maximize
from lightning_vis.callbacks.filters import FilterMaximizationCallback
from lightning_vis.callbacks.probe import ProbeCallback
from tests.callbacks.test_identical import same
from tests.probe.test_from_trainer import SETUPS, OnGPU, OnlyNet, OnlyNetTwice, dicts, run

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
    pytest.mark.filterwarnings("ignore:Trying to infer the `batch_size`"),
]


def filters(**arguments):
    return FilterMaximizationCallback(**({"channels": 3, "steps": 2, "on_error": "raise"} | arguments))


@pytest.mark.parametrize("setup", SETUPS)
def test_zero_arguments_do_and_training_is_bit_identical(trainer, setup):
    module, train, validation, arguments = SETUPS[setup]
    callback = filters()
    without = run(trainer, [], module(), train(), validation(), **arguments)
    watched = module()
    assert same(run(trainer, [callback], watched, train(), validation(), **arguments), without)
    first = callback.film.frames[0]
    assert (first.finished_steps, len(first.pictures)) == (0, 2)
    assert "filters/net.2" in first.pictures  # the last feature map
    assert not any(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in watched.modules())


@pytest.mark.parametrize("in_order", [list, reversed])
def test_two_callbacks_watch_the_same_batch_and_change_nothing(trainer, in_order):
    """Each finds all images, whoever comes first: the first one's look is no batch that the second one watches."""
    callbacks = [*in_order([ProbeCallback(on_error="raise"), filters()])]
    without = run(trainer, [], OnlyNetTwice(), dicts())
    assert same(run(trainer, callbacks, OnlyNetTwice(), dicts()), without)
    first, second = (callback.session.probe for callback in callbacks)
    assert first is second
    assert len(first) == 8
    assert [callback.film.frames[0].finished_steps for callback in callbacks] == [0, 0]


@pytest.mark.parametrize("in_order", [list, reversed])
def test_a_probe_of_the_user_s_is_looked_at_where_another_s_batch_is_watched(trainer, in_order):
    given = Probe(images(3), [0, 1, 2])
    callbacks = [*in_order([ProbeCallback(given, on_error="raise"), filters()])]
    run(trainer, callbacks, OnlyNetTwice(), dicts())
    probes = {type(callback).__name__: callback.session.probe for callback in callbacks}
    assert probes["ProbeCallback"] is given
    assert len(probes["FilterMaximizationCallback"]) == 8


class TwoAnswers(nn.Module):
    """Returns scores and keeps the features that they are made of."""

    def __init__(self, features, head):
        super().__init__()
        self.features, self.head, self.kept = features, head, None

    def forward(self, x):
        self.kept = self.features(x)
        return self.head(self.kept)


class SharedForward(TwoOptimizers):
    """One forward pass, whose graph both losses go through; the untrained network is seen between them."""

    forward = pl.LightningModule.forward

    def __init__(self):
        super().__init__()
        self.both = TwoAnswers(self.net[:-1], self.net[-1])

    def training_step(self, batch, _):
        head, rest = self.optimizers()
        loss = nn.functional.cross_entropy(self.both(batch["pixels"]), batch["kind"])
        features = self.both.kept
        self.manual_backward(loss, retain_graph=True)
        head.step()
        self.manual_backward(features.square().mean())
        rest.step()
        rest.zero_grad()
        head.zero_grad()


def test_a_graph_that_is_used_again_after_the_look_gives_the_same_gradients(trainer):
    callback = filters()
    without = run(trainer, [], SharedForward(), dicts())
    assert same(run(trainer, [callback], SharedForward(), dicts()), without)
    assert callback.film.frames[0].finished_steps == 0


def test_the_pictures_are_those_of_the_submodule_on_what_it_really_got(trainer):
    callback, module = filters(layers=["net.0"]), OnGPU()
    untrained = copy.deepcopy(module)
    run(trainer, [callback], module, loader(), loader(), num_sanity_val_steps=1)
    got = (loader().dataset.tensors[0][list(callback.session.probe.indices)] - 5) / 2
    expected = maximize(untrained.net, "0", 3, got, steps=2)
    numbers = callback.film.frames[0].numbers
    assert [numbers[f"filters/net.0/{at}/activation"] for at in range(3)] == pytest.approx(expected.activation.tolist())
    assert [numbers[f"filters/net.0/{at}/on_probe"] for at in range(3)] == pytest.approx(expected.on_images.tolist())


def test_a_given_probe_is_used_through_the_submodule_too(trainer, probe):
    callback = filters(probe=probe)
    run(trainer, [callback], OnlyNet(), dicts(), dicts(), num_sanity_val_steps=1)
    assert callback.session.probe is probe
    assert [frame.finished_steps for frame in callback.film.frames] == [0, 6, 12]


class NoImages(Classifier):
    """Its batches hold vectors, out of which it makes pictures itself."""

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self(batch[0].reshape(-1, 3, 12, 12)), batch[1])


def vectors(count=24):
    images, labels = loader(count).dataset.tensors
    return DataLoader(TensorDataset(images.flatten(1), labels), 4)


def test_where_there_are_no_images_one_sentence_says_so_and_training_goes_on(trainer):
    sentence = (
        "lightning_vis: finding images to look at failed: no images were found to look at (the batch holds no images"
        ' (N, C, H, W)): pass probe=Probe(images, labels). The training is untouched; on_error="raise" stops at the error'
        " and shows where it is"
    )
    callback = filters(on_error="warn")
    with pytest.warns(UserWarning, match="finding images") as caught:
        run(trainer, [callback], NoImages(), vectors())
    assert [str(each.message) for each in caught if "lightning_vis" in str(each.message)] == [sentence]
    assert callback.film.frames == []


def test_its_remedy_shows_filters(trainer):
    callback = filters(probe=Probe(images(3), [0, 1, 2]))
    run(trainer, [callback], NoImages(), vectors())
    assert callback.film.frames


def test_channels_that_a_watched_network_does_not_have_stop_the_fit_before_the_first_step(trainer):
    module = OnlyNet()
    before = copy.deepcopy(dict(module.named_parameters()))
    with pytest.raises(ValueError, match=r"channels=\[9\]: the layer has the 4 channels 0 to 3"):
        run(trainer, [filters(layers=["net.0"], channels=[9], on_error="warn")], module, dicts())
    assert all(torch.equal(value, before[name]) for name, value in module.named_parameters())


class Lazy(Classifier):
    def __init__(self):
        super().__init__(nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(3)))


def test_lazy_layers_are_seen_as_soon_as_they_have_shapes(trainer):
    callback = filters()
    run(trainer, [callback], Lazy(), loader())
    assert [frame.finished_steps for frame in callback.film.frames] == [1, 6, 12]
    assert all("filters/net.1" in frame.pictures for frame in callback.film.frames)


def test_a_network_that_cannot_be_run_alone_is_said_and_trains_on(trainer):
    class Moody(Classifier):
        def forward(self, x):
            if not self.training:
                raise RuntimeError("not in eval")
            return super().forward(x)

    callback = filters(on_error="warn", probe=Probe(loader().dataset.tensors[0][:2]))
    with pytest.warns(UserWarning, match="lightning_vis: choosing the layers of the filters failed: not in eval") as caught:
        run(trainer, [callback], Moody(), loader())
    assert len([each for each in caught if "lightning_vis" in str(each.message)]) == 1


def test_a_full_disk_stops_nothing(trainer, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightning_vis.callbacks.session.frame_logger.write_pictures", full)
    callback = filters(on_error="warn")
    with pytest.warns(UserWarning, match="drawing the filters failed: .*No space left.*Make room for the log"):
        run(trainer, [callback], Classifier(), loader())
    assert np.isfinite(list(callback.film.frames[-1].numbers.values())).all()


# --- several callbacks, one finder ---------------------------------------------------------------------------------------


def test_who_brings_a_probe_is_told_nothing_of_images_that_others_miss(trainer):
    given, other = ProbeCallback(Probe(images(3), [0, 1, 2]), on_error="raise"), filters(on_error="warn")
    with pytest.warns(UserWarning, match="pass probe=") as caught:
        run(trainer, [given, other], NoImages(), vectors())
    assert len([each for each in caught if "lightning_vis" in str(each.message)]) == 1
    assert given.film.frames
    assert other.film.frames == []


@pytest.mark.filterwarnings("ignore:lightning_vis")
@pytest.mark.parametrize("in_order", [list, reversed])
def test_each_callback_is_told_that_nothing_was_found_as_it_has_asked_for(trainer, in_order):
    callbacks = [*in_order([ProbeCallback(), filters(on_error="raise")])]
    with pytest.raises(ValueError, match="pass probe="):
        run(trainer, callbacks, NoImages(), vectors())


@pytest.mark.parametrize("sanity", [0, 2])
@pytest.mark.parametrize("other", [lambda: ProbeCallback(every_n_epochs=1), filters])
def test_a_resumed_callback_keeps_its_own_images_beside_a_probe_of_the_user_s(trainer, tmp_path, sanity, other):
    def callbacks():
        mine = Probe.from_dataset(loader(24).dataset, indices=[20, 21, 22, 23], name="mine")
        return [ProbeCallback(mine), other()]

    first = callbacks()
    made = trainer(first, max_epochs=1)
    made.fit(Classifier(), loader(24), loader(16))
    made.save_checkpoint(tmp_path / "one.ckpt")
    again = callbacks()
    trainer(again, max_epochs=2, num_sanity_val_steps=sanity).fit(
        Classifier(), loader(24), loader(16), ckpt_path=tmp_path / "one.ckpt", **SAFELY
    )
    assert [each.session.probe.indices for each in again] == [each.session.probe.indices for each in first]
    assert again[1].film.frames[0].finished_steps == 0
