"""Where images come from when nobody gave a probe: by index, or by watching a batch, which changes nothing."""

from __future__ import annotations

import random

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from modules import CLASSES, Classifier, TwoOptimizers, loader
from nets import images
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from lightning_vis.callbacks.probe import ProbeCallback, SaliencyCallback
from lightning_vis.probe.forward_tracer import ForwardTracer
from lightning_vis.probe.probe import Probe
from tests.callbacks.test_identical import Fingerprint, same

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
    pytest.mark.filterwarnings("ignore:Trying to infer the `batch_size`"),
]


class OnlyNet(Classifier):
    """Has no forward of its own: its steps call ``self.net`` on batches that are dicts."""

    forward = pl.LightningModule.forward

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self.net(batch["pixels"]), batch["kind"])

    def validation_step(self, batch, _):
        self.log("val_loss", nn.functional.cross_entropy(self.net(batch["pixels"]), batch["kind"]))


class OnGPU(Classifier):
    """Normalises whole batches after their transfer, as people do on the GPU."""

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return (batch[0] - 5) / 2, batch[1]


class Stream(IterableDataset):
    def __iter__(self):
        yield from loader(12).dataset


class OnlyNetTwice(TwoOptimizers):
    forward = pl.LightningModule.forward

    def training_step(self, batch, index):
        for optimizer in self.optimizers():
            optimizer.zero_grad()
            self.manual_backward(nn.functional.cross_entropy(self.net(batch["pixels"]), batch["kind"]))
            optimizer.step()


def dicts(count=24, shuffle=False):
    return DataLoader([{"pixels": x, "kind": y} for x, y in loader(count).dataset], 4, shuffle=shuffle)


def run(trainer, callbacks, module, train, validation=None, **arguments):
    torch.manual_seed(5)
    seen = Fingerprint()
    seen.on_train_batch_start = lambda *_: seen.seen.append(torch.get_rng_state())
    training = trainer([*callbacks, seen], **arguments)
    training.fit(module, train, validation)
    return seen.seen


SETUPS = {
    "dicts, sanity check": (OnlyNet, dicts, dicts, {"num_sanity_val_steps": 1}),
    "dicts, no sanity check": (OnlyNet, dicts, dicts, {}),
    "dicts, no validation": (OnlyNet, dicts, lambda: None, {}),
    "accumulation": (OnlyNet, dicts, lambda: None, {"accumulate_grad_batches": 3}),
    "bf16": (OnlyNet, dicts, dicts, {"precision": "bf16-true"}),
    "two optimizers": (OnlyNetTwice, dicts, lambda: None, {}),
    "normalised on the GPU": (OnGPU, loader, loader, {"num_sanity_val_steps": 1}),
    "iterable": (Classifier, lambda: DataLoader(Stream(), 4), lambda: None, {}),
}


@pytest.mark.parametrize("setup", SETUPS)
def test_training_is_bit_identical_and_the_untrained_network_is_seen_first(trainer, setup):
    module, train, validation, arguments = SETUPS[setup]
    callback = ProbeCallback(on_error="raise")
    without = run(trainer, [], module(), train(), validation(), **arguments)
    watched = module()
    assert same(run(trainer, [callback], watched, train(), validation(), **arguments), without)
    steps = [frame.finished_steps for frame in callback.film.frames]
    assert steps[:2] == [0, 1]
    assert all(set(frame.maps) == {"evidence", "grad_cam", "saliency"} for frame in callback.film.frames)
    assert not any(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in watched.modules())


def test_the_probe_is_what_the_network_really_got(trainer):
    callback = ProbeCallback()
    run(trainer, [callback], OnGPU(), loader(), loader(), num_sanity_val_steps=1)
    at = list(callback.session.probe.indices)
    expected, labels = (each[at] for each in loader().dataset.tensors)
    torch.testing.assert_close(callback.session.probe.images, (expected - 5) / 2)
    assert torch.equal(callback.session.probe.labels, labels)


def test_which_submodule_is_looked_at_is_said(trainer, caplog):
    run(trainer, [SaliencyCallback()], OnlyNet(), dicts(), dicts(), num_sanity_val_steps=1, max_epochs=1)
    said = [record.message for record in caplog.records if "tensorboard" in record.message]
    assert len(said) == 1
    assert "8 images (saliency); see them with: tensorboard" in said[0]
    assert 'Reads 3 classes: net(batch["pixels"])' in said[0]


def test_a_given_probe_is_looked_at_through_the_submodule_too(trainer, probe):
    callback = ProbeCallback(probe, on_error="raise")
    run(trainer, [callback], OnlyNet(), dicts(), dicts(), num_sanity_val_steps=1)
    assert callback.session.probe is probe
    assert callback.film.frames[0].finished_steps == 0


def test_validate_alone_looks_at_a_watched_batch_too(trainer):
    callback = ProbeCallback(on_error="raise")
    trainer([callback]).validate(OnlyNet(), dicts(), verbose=False)
    assert [frame.task for frame in callback.film.frames] == ["multiclass"]
    assert set(callback.film.frames[0].maps) == {"evidence", "grad_cam", "saliency"}
    assert callback.session.finder.step == "validation_step"


class Reweighted(Classifier):
    """Keeps a buffer that each of its validations makes anew; Lightning makes it in inference mode."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weights", torch.ones(CLASSES))

    def validation_step(self, batch, _):
        self.log("val_loss", nn.functional.cross_entropy(self(batch[0]) * self.weights, batch[1]))
        self.weights = self.weights * 1

    test_step = validation_step


@pytest.mark.parametrize("alone", ["validate", "test"])
def test_validate_and_test_alone_read_and_show_what_fit_does(trainer, alone):
    seen, callback, module = ProbeCallback(on_error="raise"), ProbeCallback(on_error="raise"), Reweighted()
    trainer([seen]).fit(Reweighted(), loader(), loader())
    training = trainer([callback])
    for _ in range(2):  # the second time the buffer is one of inference mode
        getattr(training, alone)(module, loader(), verbose=False)
        assert module.weights.is_inference()
        assert callback.session.finder.testimony.trouble == ()
    first, (one, again) = seen.film.frames[0], callback.film.frames
    for frame in (one, again):
        assert (frame.task, frame.said, frame.wrong, frame.answer) == (first.task, first.said, first.wrong, first.answer)
        assert set(frame.maps) == set(first.maps)
        assert all((frame.maps[key].values == first.maps[key].values).all() for key in first.maps)


class Chained(Classifier):
    """Its submodules return features, and the step makes the scores."""

    def __init__(self):
        super().__init__()
        self.net, self.head = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Linear(4, CLASSES)

    forward = pl.LightningModule.forward

    def training_step(self, batch, _):
        features = self.net(batch["pixels"]).mean((2, 3))
        return nn.functional.cross_entropy(self.head(features), batch["kind"])


def test_a_network_of_two_parts_is_run_by_its_step(trainer):
    callback = ProbeCallback(on_error="raise")
    without = run(trainer, [], Chained(), dicts())
    assert same(run(trainer, [callback], Chained(), dicts()), without)
    assert callback.film.frames[0].finished_steps == 0
    assert set(callback.film.frames[0].maps) == {"evidence", "grad_cam", "saliency"}
    assert 'net(batch["pixels"]), then head, meets batch["kind"]' in callback.film.frames[0].answer


class Drawn(Chained):
    """Its step draws from the global streams of Python, NumPy and torch."""

    def training_step(self, batch, _):
        drawn = random.random() + np.random.rand() + torch.rand(1).item()
        features = self.net(batch["pixels"] * drawn).mean((2, 3))
        return nn.functional.cross_entropy(self.head(features), batch["kind"])


def test_a_step_that_draws_shows_the_same_images_at_each_look_and_trains_as_without_us(trainer):
    def fitted(callbacks, module):
        random.seed(3)
        np.random.seed(3)
        return run(trainer, callbacks, module, dicts())

    callback, again = ProbeCallback(on_error="raise"), ProbeCallback(on_error="raise")
    without = fitted([], Drawn())
    assert same(fitted([callback], Drawn()), without)
    fitted([again], Drawn())
    assert torch.equal(callback.session.probe.images, again.session.probe.images)
    call, shown = callback.session.finder.forward(None, None), callback.session.probe.images
    outputs = []
    for seed in range(2):
        random.seed(seed)
        np.random.seed(seed)
        outputs.append(call(shown))
    assert torch.equal(*outputs)


# --- which submodule --------------------------------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, classes)

    def forward(self, pixels, labels=None):
        scores = self.fc(self.conv(pixels).mean((2, 3)))
        return {"loss": scores.mean(), "logits": scores}


class Parts(nn.Module):
    def __init__(self):
        super().__init__()
        self.normalise, self.net, self.teacher = nn.InstanceNorm2d(3), Net(), Net()
        self.segment = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 1))


BATCH = {"pixels": images(10), "kind": torch.arange(10) % 3, "id": torch.arange(10)}


@pytest.mark.parametrize(
    ("step", "name", "place"),
    [
        (lambda m, b: m.net(b["pixels"]), "net", (0, 0)),
        (lambda m, b: m.net(pixels=b["pixels"]), "net", (1, "pixels")),
        (lambda m, b: m.net(m.normalise(b["pixels"])), "net", (0, 0)),
        (lambda m, b: (m.teacher(b["pixels"]), m.net(b["pixels"])), "teacher", (0, 0)),
        (lambda m, b: m.segment(b["pixels"]), "segment", (0, 0)),
    ],
    ids=["by position", "by keyword", "normalised before", "first of two", "dense"],
)
def test_which_submodule_takes_images(step, name, place):
    model = Parts()
    tracer = ForwardTracer(model, BATCH)
    step(model, BATCH)
    tracer.stop()
    entry, found = tracer.entry()
    assert (entry.name, found) == (name, place)
    args, kwargs = tracer.kept(name, 0)
    assert len(args[0] if args else kwargs["pixels"]) == 8
    entry(BATCH["pixels"])


# --- a run that goes on -----------------------------------------------------------------------------------------------


def test_a_resumed_run_takes_the_same_images_and_says_so_if_it_cannot(trainer, tmp_path):
    first = SaliencyCallback()
    training = trainer([first], max_epochs=1)
    training.fit(Classifier(), loader(), loader(20))
    training.save_checkpoint(tmp_path / "last.ckpt")
    again = SaliencyCallback()
    trainer([again]).fit(Classifier(), loader(), loader(20), ckpt_path=tmp_path / "last.ckpt")
    assert again.session.probe.indices == first.session.probe.indices
    other = SaliencyCallback()
    sentence = (
        "lightning_vis: this run goes on with other images in the probe 'probe' than those in its checkpoint: earlier"
        " looks of the film show the ones, later looks the others"
    )
    with pytest.warns(UserWarning, match="goes on") as caught:
        trainer([other]).fit(Classifier(), loader(), loader(20, seed=9), ckpt_path=tmp_path / "last.ckpt")
    assert [str(each.message) for each in caught if "goes on" in str(each.message)] == [sentence]


def test_a_given_probe_that_has_changed_is_said(trainer, tmp_path):
    training = trainer([SaliencyCallback(Probe(images(2)))], max_epochs=1)
    training.fit(Classifier(), loader())
    training.save_checkpoint(tmp_path / "last.ckpt")
    with pytest.warns(UserWarning, match="this run goes on with other images in the probe 'probe'"):
        trainer([SaliencyCallback(Probe(images(2, seed=4)))]).fit(Classifier(), loader(), ckpt_path=tmp_path / "last.ckpt")
