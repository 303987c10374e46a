"""Replay: looks at checkpoints equal those of a callback that was there; what cannot be read is said, and takes nothing along."""

from __future__ import annotations

import pickle
from dataclasses import fields

import numpy as np
import pytest
import torch
from modules import TwoOptimizers
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader
from worlds import Classifier, Unvalidated, loader, twin_probe

from lightning_vis import FilterMaximizationCallback, ProbeCallback, View, evidence, grad_cam, saliency
from lightning_vis.attribution import grad_cam_map, hires_cam
from lightning_vis.callbacks.checkpoints import moment_in, read, view_of
from lightning_vis.cli import main
from lightning_vis.events.event_file import event_files
from lightning_vis.events.frame_reader import read_run, whole_run
from tests.callbacks.test_exchange import Sees, scenes

HERE = "tests.callbacks.test_replay"
EPOCHS = 3


def network():
    return Classifier()


def validation():
    return loader(16, 1.0, seed=1)


def other_probe():
    return twin_probe()


@pytest.fixture
def trained(trainer, tmp_path):
    """Trains with checkpoints, and with callbacks or without; returns the folder of checkpoints."""

    def train(*callbacks, module=None, **arguments):
        every = ModelCheckpoint(tmp_path / "kept", "{step}", save_top_k=-1, **arguments)
        made = trainer([*callbacks, every], max_epochs=EPOCHS, enable_checkpointing=True)
        made.fit(module or Classifier(), loader(32, 1.0), validation())
        return tmp_path / "kept"

    return train


def found_in(folder):
    """All looks of one run, at filters too."""
    ((name, paths),) = event_files(folder)
    return whole_run(read_run(name, paths))


def replayed(folder, output, *more, model="network"):
    words = ["replay", str(folder), "--model", f"{HERE}.{model}", "-o", str(output), *more]
    assert main(words) == 0
    return found_in(output)


def same(one, other):
    """Compares two frames field by field, arrays as they are; but for what the look cost."""
    for field in fields(one):
        if field.name not in ("seconds", "maps", "pictures", "per_image"):
            np.testing.assert_equal(getattr(one, field.name), getattr(other, field.name), field.name)
    np.testing.assert_equal(dict(one.per_image), dict(other.per_image))
    assert list(one.maps) == list(other.maps)
    for key, maps in one.maps.items():
        np.testing.assert_equal(vars(maps), vars(other.maps[key]), key)
    assert list(one.pictures) == list(other.pictures)
    for name, pictures in one.pictures.items():
        np.testing.assert_equal(vars(pictures), vars(other.pictures[name]), name)


def test_replay_equals_the_callback_frame_by_frame(trained, tmp_path):
    folder = trained(ProbeCallback(at_steps=()))
    there = found_in(tmp_path / "run")
    later = replayed(folder, tmp_path / "later", "--data", f"{HERE}.validation")
    assert [frame.when for frame in later.frames] == ["epoch 1", "epoch 2", "epoch 3"]
    for one, other in zip(there.frames[1:], later.frames, strict=True):
        same(one, other)
    np.testing.assert_equal(vars(there.inputs), vars(later.inputs))


@pytest.mark.filterwarnings("ignore:lightning_vis. the alert is")
def test_a_probe_with_twins_gives_the_same_numbers(trained, tmp_path):
    folder = trained(ProbeCallback(twin_probe(), at_steps=()))
    there = found_in(tmp_path / "run")
    later = replayed(folder, tmp_path / "later", "--data", f"{HERE}.validation", "--probe", f"{HERE}.other_probe")
    assert "reliance/background_effect" in later.frames[-1].numbers
    for one, other in zip(there.frames[1:], later.frames, strict=True):
        same(one, other)


def test_without_a_callback_and_without_data_the_probe_is_enough(trained, tmp_path):
    folder = trained()
    later = replayed(folder, tmp_path / "later", "--probe", f"{HERE}.other_probe", "--task", "multiclass")
    assert [frame.finished_steps for frame in later.frames] == [2, 4, 6]


def test_one_checkpoint_is_a_replay_of_one(trained, tmp_path):
    folder = trained()
    last = max(folder.glob("*.ckpt"))
    later = replayed(last, tmp_path / "later", "--data", f"{HERE}.validation", model="Classifier")
    assert [frame.when for frame in later.frames] == ["epoch 3"]


def all_views():
    return [evidence("net.0"), grad_cam(target="label"), hires_cam(), saliency(1)]


def filters(**arguments):
    return FilterMaximizationCallback(["net.2", "<output>"], [0, 1], twin_probe(), **arguments)


def brought():
    return [ProbeCallback(twin_probe(), [View("mine", ("net.2",), grad_cam_map)]), filters(steps=2)]


@pytest.mark.filterwarnings("ignore:lightning_vis. the alert is")
def test_the_views_of_a_callback_and_its_filters_are_known_from_its_checkpoints(trained, tmp_path):
    folder = trained(ProbeCallback(twin_probe(), all_views(), at_steps=(), exchange=False), filters())
    there = found_in(tmp_path / "run")
    later = replayed(folder, tmp_path / "later", "--data", f"{HERE}.validation", "--probe", f"{HERE}.other_probe")
    assert list(later.frames[-1].maps) == ["evidence.net.0", "grad_cam+label", "hires_cam", "saliency+1"]
    assert len(later.filters) == 3
    for one, other in [*zip(there.frames[1:], later.frames, strict=True), *zip(there.filters[1:], later.filters, strict=True)]:
        same(one, other)


def seer():
    return Sees()


def seen():
    return DataLoader(scenes(), 40)


def exchanger():
    return ProbeCallback(exchange=True, views=[], at_steps=())


@pytest.mark.filterwarnings("ignore:lightning_vis. the alert is")
def test_what_an_exchange_found_is_found_again(trainer, tmp_path):
    """Numbers, verdict and pictures, and that it was seen before."""
    every = ModelCheckpoint(tmp_path / "kept", "{step}", save_top_k=-1)
    made = trainer([exchanger(), every], max_epochs=EPOCHS, enable_checkpointing=True)
    made.fit(Sees(), DataLoader(scenes(32), 8), seen())
    there = found_in(tmp_path / "run")
    words = ["--data", f"{HERE}.seen", "--callbacks", f"{HERE}.exchanger"]
    later = replayed(tmp_path / "kept", tmp_path / "later", *words, model="seer")
    assert [frame.verdict.state for frame in later.frames if frame.verdict] == ["seen", "red", "red"]
    for one, other in zip(there.frames[1:], later.frames, strict=True):
        same(one, other)


@pytest.mark.filterwarnings("ignore:lightning_vis. the alert is")
def test_what_no_checkpoint_can_keep_is_said_and_brought(trained, tmp_path, capsys):
    folder = trained(*brought())
    there = found_in(tmp_path / "run")
    replayed(folder, tmp_path / "less", "--data", f"{HERE}.validation")
    said = capsys.readouterr().err
    assert "views of your own are not looked through (mine.net.2): --callbacks brings them" in said
    assert (
        "filters are not maximized, because they were otherwise than usual (steps=64, not 2): --callbacks brings them" in said
    )
    later = replayed(folder, tmp_path / "later", "--data", f"{HERE}.validation", "--callbacks", f"{HERE}.brought")
    ends = [frame for frame in there.frames if frame.moment == "epoch"]
    for one, other in [*zip(ends, later.frames, strict=True), *zip(there.filters[1:], later.filters, strict=True)]:
        same(one, other)


@pytest.mark.parametrize(
    "key", ["evidence", "grad_cam.layer3.0+label", "saliency+7", "smooth_grad", "attention_rollout", "mine", "lift"]
)
def test_views_are_known_by_their_keys(key):
    view = view_of(key)
    assert (None if view is None else view.key) == (None if key in ("mine", "lift") else key)


def test_checkpoints_within_an_epoch_stand_at_their_steps(trained):
    found = {read(path)["global_step"]: moment_in(read(path)) for path in trained(every_n_train_steps=1).glob("*.ckpt")}
    assert {steps: (each["finished_steps"], each["moment"], each["epoch"]) for steps, each in found.items()} == {
        1: (1, "step", 0), 2: (2, "epoch", 1), 3: (3, "step", 1), 4: (4, "epoch", 2), 5: (5, "step", 2), 6: (6, "epoch", 3),
    }  # fmt: skip


def test_several_optimizers_step_once_for_each_batch(trainer, tmp_path):
    from modules import loader as small

    made = trainer(max_epochs=1)
    made.fit(TwoOptimizers(), small(), small(8))
    made.save_checkpoint(tmp_path / "end.ckpt")
    assert moment_in(read(tmp_path / "end.ckpt")) | {"weights": ""} == {
        "finished_steps": 6, "log_step": 5, "epoch": 1, "moment": "epoch", "weights": "",
    }  # fmt: skip


def test_the_untrained_network_and_a_finished_one(trainer, tmp_path):
    made, module = trainer(max_epochs=1), Unvalidated()
    made.strategy.connect(module)
    made.save_checkpoint(tmp_path / "start.ckpt")
    assert moment_in(read(tmp_path / "start.ckpt"))["moment"] == "start"
    made.fit(module, loader(32, 1.0))
    made.save_checkpoint(tmp_path / "end.ckpt")
    assert [moment_in(read(tmp_path / "end.ckpt"))[name] for name in ("finished_steps", "epoch")] == [2, 1]


def test_a_folder_that_a_checkpoint_keeps_as_it_was_given_is_read(trained, tmp_path):
    """Lightning 2.0 keeps paths; what else is not plain is not let in."""
    path = max(trained().glob("*.ckpt"))
    content = read(path)
    known = set(torch.serialization.get_safe_globals())
    torch.save(content | {"callbacks": {"ModelCheckpoint": {"dirpath": tmp_path}}}, path)
    assert read(path)["callbacks"]["ModelCheckpoint"]["dirpath"] == tmp_path
    assert set(torch.serialization.get_safe_globals()) == known
    torch.save(content | {"callbacks": {"Strange": Strange()}}, path)
    with pytest.raises(pickle.UnpicklingError, match="Strange"):
        read(path)


class Strange:
    """No plain value."""


def test_broken_checkpoints_are_skipped_and_said(trained, tmp_path, capsys):
    folder = trained()
    whole = max(folder.glob("*.ckpt"))
    (folder / "cut.ckpt").write_bytes(whole.read_bytes()[:2000])
    torch.save({"weights": torch.zeros(2)}, folder / "bare.ckpt")
    other = read(whole) | {"state_dict": {}, "global_step": 9}
    torch.save(other, folder / "other.ckpt")
    later = replayed(folder, tmp_path / "later", "--data", f"{HERE}.validation")
    assert [frame.finished_steps for frame in later.frames] == [2, 4, 6]
    said = capsys.readouterr().err
    assert "bare.ckpt is skipped: it is no checkpoint of Lightning's" in said
    assert "cut.ckpt is skipped: " in said
    assert "other.ckpt is skipped: Error(s) in loading state_dict for Classifier" in said


REFUSALS = [
    (
        ["replay", "{kept}", "--model", "worlds.Unvalidated"],
        "--model: one batch goes through validation_step, and Unvalidated has none",
    ),
    (["replay", "none", "--model", "x"], "no checkpoints (*.ckpt) in 'none'"),
    (["replay", "{kept}", "--model", "Net"], "--model Net: expected an import path like package.module.Name"),
    (
        ["replay", "{kept}", "--model", f"{HERE}.validation"],
        "--model: expected a LightningModule, or what returns one; got DataLoader",
    ),
    (
        ["replay", "{kept}", "--model", f"{HERE}.network", "--callbacks", f"{HERE}.validation"],
        "--callbacks: expected a ProbeCallback, a FilterMaximizationCallback, or a list of them; got DataLoader",
    ),
    (
        ["replay", "{kept}", "--model", f"{HERE}.network", "--callbacks", f"{HERE}.brought", "--task", "binary"],
        "--callbacks bring their own probe and task: leave --probe and --task to them",
    ),
    (["replay", "{kept}", "--model", f"{HERE}.network"], "there are no data: --data package.module.Name of a"),
]


@pytest.mark.parametrize(("words", "sentence"), REFUSALS, ids=[sentence for _, sentence in REFUSALS])
def test_refusals_are_one_sentence(trained, words, sentence, capsys):
    kept = trained() if "{kept}" in words else ""
    assert main([word.format(kept=kept) for word in words]) == 2
    assert f"lightning_vis: {sentence}" in capsys.readouterr().err
