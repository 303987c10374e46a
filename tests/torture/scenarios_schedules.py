"""Averages, schedules, tuners, and the ways data comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BatchSizeFinder, LearningRateFinder, StochasticWeightAveraging, WeightAveraging
from pytorch_lightning.tuner import Tuner
from torch import Tensor
from torch.optim.swa_utils import get_ema_avg_fn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from .nets import Net, images, loaders
from .running import Run
from .scenario import scenario, unconfigured


def ema() -> pl.Callback:
    return WeightAveraging(avg_fn=get_ema_avg_fn(0.5))


@scenario("averages")
def ema_behind_ours(run: Run) -> None:
    run.fit(Net(), ema())


@scenario("averages")
def ema_before_ours(run: Run) -> None:
    run.fit(before=[ema()])


@scenario("averages")
def ema_without_validation(run: Run) -> None:
    run.fit(Net(), ema(), data=(loaders()[0],))


@scenario("averages")
def swa_behind_ours(run: Run) -> None:
    run.fit(Net(), StochasticWeightAveraging(1e-2, swa_epoch_start=1), max_epochs=4)


@scenario("averages")
def swa_before_ours(run: Run) -> None:
    run.fit(before=[StochasticWeightAveraging(1e-2, swa_epoch_start=1)], max_epochs=4)


class Scheduled(Net):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), 1e-2, momentum=0.9)
        if self.kind == "plateau":
            schedule: Any = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=12)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


@scenario("schedules")
def reduce_on_plateau(run: Run) -> None:
    run.fit(Scheduled("plateau"), max_epochs=4)


@scenario("schedules")
def one_cycle(run: Run) -> None:
    run.fit(Scheduled("one cycle"), max_epochs=4)


class Closure(Net):
    def configure_optimizers(self) -> Any:
        return torch.optim.LBFGS(self.parameters(), 1e-2, max_iter=3)


@scenario("schedules")
def lbfgs(run: Run) -> None:
    run.fit(Closure())


@scenario("tuners")
def lr_finder_callback(run: Run) -> None:
    run.fit(before=[LearningRateFinder(num_training_steps=5, attr_name="rate")])


@scenario("tuners")
def lr_find_then_fit(run: Run) -> None:
    model, data, trainer = Net(), loaders(), run.trainer()
    Tuner(trainer).lr_find(model, *data, num_training=5, attr_name="rate")
    trainer.fit(model, *data)


class Sized(pl.LightningDataModule):
    """Its batch size can be tuned."""

    def __init__(self) -> None:
        super().__init__()
        self.batch_size = 2

    def train_dataloader(self) -> Any:
        return loaders(self.batch_size)[0]

    def val_dataloader(self) -> Any:
        return [loaders(self.batch_size)[1]]


@scenario("tuners")
def batch_size_scaled_then_fit(run: Run) -> None:
    model, data, trainer = Net(), Sized(), run.trainer()
    Tuner(trainer).scale_batch_size(model, datamodule=data, max_trials=2, steps_per_trial=1)
    trainer.fit(model, datamodule=data)


@scenario("tuners")
def batch_size_finder_callback(run: Run) -> None:
    run.trainer(before=[BatchSizeFinder(max_trials=2, steps_per_trial=1)]).fit(Net(), datamodule=Sized())


@scenario("data", callbacks=unconfigured)
def datamodule(run: Run) -> None:
    run.trainer().fit(Net(), datamodule=Sized())


@scenario("data", callbacks=unconfigured)
def loaders_reloaded_every_epoch(run: Run) -> None:
    run.trainer(reload_dataloaders_every_n_epochs=1).fit(Net(), datamodule=Sized())


@scenario("data", callbacks=unconfigured)
def two_validation_loaders(run: Run) -> None:
    training, validation = loaders()

    class Two(Net):
        def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:  # type: ignore[override]
            self.log(f"val_{dataloader_idx}", self.loss(batch), add_dataloader_idx=False)

    run.fit(Two(), data=(training, [validation, validation]))


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield from zip(*images(24), strict=True)


@scenario("data")
def iterable_data(run: Run) -> None:
    run.fit(data=(DataLoader(Stream(), 8), DataLoader(Stream(), 8)))


class Augmented(Dataset[Any]):
    """Draws from the global stream and from a generator of its own, counts, and remembers."""

    def __init__(self) -> None:
        self.pixels, self.labels = images()
        self.generator = torch.Generator().manual_seed(3)
        self.drawn = 0
        self.kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> Any:
        self.drawn += 1
        shift = 0.1 * torch.rand((), generator=self.generator) + 0.1 * torch.rand(()) + 0.001 * self.drawn
        return self.kept.setdefault(index, self.pixels[index]) + shift, int(self.labels[index])


@scenario("data", callbacks=unconfigured)
def augmenting_data_with_its_own_generator(run: Run) -> None:
    data = Augmented()
    run.fit(data=(DataLoader(data, 8, shuffle=True), DataLoader(data, 8)))


@scenario("data", callbacks=unconfigured)
def worker_processes(run: Run) -> None:
    run.fit(data=loaders(num_workers=1, persistent_workers=True))


class Dicts(Net):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return super().training_step((batch["image"], batch["label"]), batch_idx)


class DictData(Dataset[Any]):
    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> Any:
        pixels, labels = images()
        return {"image": pixels[index], "label": labels[index]}


@scenario("data")
def dict_batches(run: Run) -> None:
    run.fit(Dicts(), data=(DataLoader(DictData(), 8),))


class Noisy(Net):
    """Normalises and augments on the device, before the batch reaches the step."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        noise = 0.05 * torch.randn_like(batch[0]) if self.trainer.training else 0
        return (batch[0] - 0.5) / 0.3 + noise, batch[1]


@scenario("data")
def augmentation_after_the_transfer(run: Run) -> None:
    run.fit(Noisy())


@scenario("data")
def unshuffled_with_a_private_generator(run: Run) -> None:
    data = TensorDataset(*images(24))
    generator = torch.Generator().manual_seed(5)
    run.fit(data=(DataLoader(data, 8, shuffle=True, generator=generator), DataLoader(data, 8)))


@scenario("data", callbacks=unconfigured, lends_hooks=True)
def iterable_data_nothing_configured(run: Run) -> None:
    run.fit(data=(DataLoader(Stream(), 8), DataLoader(Stream(), 8)))


@scenario("data", callbacks=unconfigured, lends_hooks=True)
def dict_batches_nothing_configured(run: Run) -> None:
    run.fit(Dicts(), data=(DataLoader(DictData(), 8),))


@scenario("data", callbacks=unconfigured, lends_hooks=True)
def augmentation_after_the_transfer_nothing_configured(run: Run) -> None:
    run.fit(Noisy())
