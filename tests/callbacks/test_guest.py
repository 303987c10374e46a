"""A good guest at any moment: copies, limits of time, either Lightning, a line said once."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections import Counter
from typing import ClassVar

import pytest
import pytorch_lightning as pl
import torch
from modules import Classifier, loader
from nets import images
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch.utils.data import DataLoader, Dataset
from worlds import Unvalidated, twin_probe
from worlds import loader as scenes

from lightning_vis.callbacks.filters import FilterMaximizationCallback
from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.model.hooks import nothing


class Shifted(Dataset):
    """Keeps a method of its data module, and with it everything that hangs on the Trainer."""

    def __init__(self, transform):
        self.transform, self.rows = transform, loader(8).dataset

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        image, label = self.rows[index]
        return self.transform(image), label


class Data(pl.LightningDataModule):
    """Its loader spawns a worker, which is sent the data set."""

    def shift(self, image):
        return image + 0.1

    def val_dataloader(self):
        return loader(4)

    def train_dataloader(self):
        return DataLoader(Shifted(self.shift), 4, num_workers=1, multiprocessing_context="spawn", persistent_workers=True)


def guests():
    return [ProbeCallback(images=False), FilterMaximizationCallback(channels=1, steps=1)]


def test_a_spawned_worker_is_sent_the_trainer_with_us_on_it(tmp_path):
    """Spawn is the default of macOS and Windows."""
    ours = guests()
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    usual = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = pl.Trainer(max_epochs=1, callbacks=ours, logger=logger, log_every_n_steps=1000, **usual)
    trainer.fit(Classifier(), datamodule=Data())
    assert [each.film.count > 1 for each in ours] == [True, True]


class Copier(pl.Callback):
    """Copies the callbacks of its Trainer after the first step."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx == 0:
            ours = [each for each in trainer.callbacks if hasattr(each, "film")]
            self.copies = [copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))]


@pytest.mark.parametrize("at", [0, 1])
def test_a_copy_from_the_middle_of_a_fit_knows_its_film_and_trains_elsewhere(trainer, tmp_path, at):
    copier, ours = Copier(), guests()
    trainer([*ours, copier], max_epochs=1).fit(Classifier(), loader(), loader(4))
    probed, filters = copier.copies[at]
    assert (probed.film.count, filters.film.count) == (2, 1)  # as of that moment, however the fit went on
    assert probed.session.finder is filters.session.finder
    assert probed.session.answer.task == "multiclass"
    trainer([probed, filters], max_epochs=1, logger=TensorBoardLogger(tmp_path, name="", version="other")).fit(
        Classifier(), loader(), loader(4)
    )
    assert [frame.finished_steps for frame in probed.film.frames] == [0, 1, 2, 4, 6]
    assert [frame.finished_steps for frame in filters.film.frames] == [0, 6]
    assert any((tmp_path / "other").glob("events.*"))
    assert ours[0].film.count == 5


@pytest.mark.parametrize(
    ("before", "first", "seen"),
    [({"max_epochs": 1}, "epoch 1", [6, 12]), ({"max_epochs": -1, "max_steps": 4}, "step 4", [4, 10])],
)
def test_a_fit_that_goes_on_without_our_state_begins_with_a_look(trainer, tmp_path, before, first, seen):
    """Else the next look would have nothing to be compared with."""
    plain = trainer(**before)
    plain.fit(Classifier(), loader(), loader(4))
    plain.save_checkpoint(tmp_path / "plain.ckpt")
    ours = guests()
    trainer(ours).fit(Classifier(), loader(), loader(4), ckpt_path=tmp_path / "plain.ckpt")
    for each in ours:
        assert each.film.frames[0].when == first
        assert [frame.finished_steps for frame in each.film.frames] == seen
        assert [frame.log_step for frame in each.film.frames] == [step - 1 for step in seen]


class Vectors(Classifier):
    """What it is given are no images."""

    def forward(self, x):
        return self.net(x.reshape(-1, 3, 12, 12))


def vectors():
    data = loader().dataset
    return DataLoader([(image.flatten(), label) for image, label in zip(*data.tensors, strict=True)], 4)


def test_several_callbacks_say_one_reason_once_in_each_fit(trainer):
    ours = [ProbeCallback(), FilterMaximizationCallback(steps=1)]
    for _ in range(2):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            trainer(ours, max_epochs=1).fit(Vectors(), vectors(), vectors())
        assert len([each for each in said if "the batch holds no images" in str(each.message)]) == 1


def test_a_barebones_trainer_takes_no_looks_and_it_is_said_once(recwarn):
    ours = [ProbeCallback(twin_probe()), FilterMaximizationCallback(["net.0"], probe=twin_probe())]
    pl.Trainer(barebones=True, accelerator="cpu", max_epochs=1, callbacks=ours).fit(Unvalidated(), scenes(32, 1.0))
    assert [each.film.count for each in ours] == [0, 0]
    assert not any(each.seconds for each in ours)
    said = [str(each.message) for each in recwarn if str(each.message).startswith("lightning_vis: ")]
    assert said == ["lightning_vis: a Trainer with barebones=True logs nothing, so nothing is looked at"]


class Counts:
    """Counts how often its batches are transferred."""

    transferred = 0

    def on_before_batch_transfer(self, batch, dataloader_idx):
        self.transferred += 1
        return batch


class CountingModel(Counts, Classifier):
    pass


class CountingData(Counts, pl.LightningDataModule):
    def train_dataloader(self):
        return loader()

    def val_dataloader(self):
        return loader(4)


def counted(trainer, callbacks, by_data):
    module, data = Classifier() if by_data else CountingModel(), CountingData()
    given = {"datamodule": data} if by_data else {"train_dataloaders": loader(), "val_dataloaders": loader(4)}
    trainer(callbacks, max_epochs=1).fit(module, **given)
    return (data if by_data else module).transferred


@pytest.mark.parametrize("by_data", [True, False])
def test_what_hooks_of_a_transfer_count_is_put_back(trainer, by_data):
    """Lightning's own tests count them so."""
    assert counted(trainer, guests(), by_data) == counted(trainer, [], by_data) > 0


KEPT = []
keep = KEPT.append  # a list that the step itself names would be put back


class Teacher(Classifier):
    """Its step copies its network, as a step does that keeps an average or a teacher, where no look puts anything back."""

    def training_step(self, batch, batch_idx):
        keep(copy.deepcopy(self.net))
        return super().training_step(batch, batch_idx)


def test_a_copy_that_a_step_makes_of_its_network_takes_nothing_of_ours_along(trainer):
    """Copies of our notes ended trainings in segmentation faults."""
    KEPT.clear()
    trainer(guests(), max_epochs=1).fit(Teacher(), loader(), loader(4))
    modules = [each for net in KEPT for each in net.modules()]
    hooks = [hook for each in modules for hook in (*each._forward_hooks.values(), *each._forward_pre_hooks.values())]
    assert len(KEPT) > 6  # of the rehearsals, too
    assert {hook._hook for hook in hooks} == {nothing}
    first = KEPT[0].eval()
    assert torch.equal(pickle.loads(pickle.dumps(first))(images(4)), first(images(4)))


class Stopping(Classifier):
    """Its step ends the training, and says so."""

    said: ClassVar[Counter] = Counter()

    def training_step(self, batch, batch_idx):
        self.print("training_step")
        self.trainer.should_stop = True
        return super().training_step(batch, batch_idx)

    def print(self, *words, **options):
        self.said[words] += 1


@pytest.mark.parametrize("given", [list, guests])
def test_a_rehearsed_step_neither_stops_the_training_nor_prints(trainer, given):
    Stopping.said.clear()
    made = trainer(given(), max_epochs=3)
    made.fit(Stopping(), loader(), loader(4))
    assert (made.global_step, made.should_stop) == (1, True)
    assert Stopping.said == {("training_step",): 1}


class Second(SingleDeviceStrategy):
    """One process that says it is not the first, and hands on what it is given."""

    is_global_zero = False


def test_a_process_that_is_alone_and_not_the_first_trains_to_its_end(trainer):
    made = trainer(guests(), strategy=Second(device=torch.device("cpu")), max_epochs=1)
    made.fit(Classifier(), loader(), loader(4))
    assert made.global_step == 6


def test_no_clock_is_read_that_a_test_of_a_user_may_have_set(trainer, monkeypatch):
    """Lightning's own tests give `time.perf_counter` a list of times, one for each call of its own."""
    made = trainer([ProbeCallback(on_error="raise"), FilterMaximizationCallback(channels=1, steps=20)], max_epochs=1)
    monkeypatch.setattr("time.perf_counter", lambda: pytest.fail("somebody else's time was taken"))
    made.fit(Classifier(), loader(), loader(4))
    assert made.global_step == 6
