"""A good guest at any moment: copies, limits of time, either Lightning, a line said once."""

from __future__ import annotations

import copy
import pickle

import pytest
import pytorch_lightning as pl
from modules import Classifier, loader
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.data import DataLoader, Dataset

from lightning_vis.callbacks.filters import FilterMaximizationCallback
from lightning_vis.callbacks.probe import ProbeCallback


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
