"""Loggers, disks, switches, signals: what stands around a training."""

from __future__ import annotations

import errno
import os
import signal
import warnings
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis import ProbeCallback, View, grad_cam, saliency
from lightning_vis.attribution.maps import saliency_map
from lightning_vis.constants import INPUT

from .nets import Net, images
from .running import Run
from .scenario import drawing, probe, scenario


@scenario("loggers")
def no_logger(run: Run) -> None:
    run.fit(logger=False)


@scenario("loggers")
def csv_logger(run: Run) -> None:
    run.fit(logger=CSVLogger(run.folder, name=None, version=""))


@scenario("loggers", callbacks=drawing)
def two_loggers(run: Run) -> None:
    board = TensorBoardLogger(run.folder, name="board", version="")
    run.fit(logger=[CSVLogger(run.folder, name="table", version=""), board])


class BrokenWriter(TensorBoardLogger):
    """Its pictures meet a full disk; the user's scalars still fit."""

    @property
    def experiment(self) -> Any:
        writer = super().experiment
        writer._get_file_writer().add_summary = full_disk
        return writer

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Nothing is kept: what matters is that the training goes on."""


def full_disk(*arguments: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@scenario("loggers", refusal="[Nn]o space left", callbacks=drawing)
def disk_full_for_pictures(run: Run) -> None:
    run.fit(logger=BrokenWriter(run.folder, name=None, version=""))


@scenario("loggers", frames=3, callbacks=drawing)
def fast_dev_run(run: Run) -> None:
    run.fit(fast_dev_run=2)


@scenario("loggers", frames=0, refusal="barebones=True logs nothing")
def barebones(run: Run) -> None:
    run.fit(barebones=True)


@scenario("switches")
def deterministic_algorithms(run: Run) -> None:
    run.fit(deterministic=True)


@scenario("switches")
def detect_anomaly(run: Run) -> None:
    run.fit(detect_anomaly=True)


@scenario("switches")
def benchmark_and_matmul_precision(run: Run) -> None:
    torch.set_float32_matmul_precision("medium")
    run.fit(benchmark=True)


@scenario("switches", lends_hooks=True)
def no_inference_mode(run: Run) -> None:
    run.fit(inference_mode=False, num_sanity_val_steps=1)


@scenario("switches", callbacks=drawing)
def numpy_errors_raise(run: Run) -> None:
    with np.errstate(all="raise"):
        run.fit()


@scenario("switches")
def default_dtype_double(run: Run) -> None:
    torch.set_default_dtype(torch.float64)
    pixels, labels = images()
    loader = DataLoader(TensorDataset(pixels.double(), labels), 8)
    run.fit(data=(loader, loader))


@scenario("switches")
def profiler_and_other_callbacks(run: Run) -> None:
    run.fit(Net(), LearningRateMonitor(), profiler="simple")


@scenario("switches")
def default_device(run: Run) -> None:
    with torch.device("cpu"):
        run.fit()


@scenario("switches")
def warnings_are_errors(run: Run) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module="lightning_vis|matplotlib|PIL")
        run.fit()


class Signalled(Net):
    """Gets a SIGTERM in its second epoch, as a cluster sends it before it takes the machine back."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if self.current_epoch == 1 and batch_idx == 1:
            os.kill(os.getpid(), signal.SIGTERM)


@scenario("signals", raises="SIGTERM")
def sigterm_between_looks(run: Run) -> None:
    run.fit(Signalled())


class InterruptsLook(Net):
    """Ctrl-C comes while the probe is looked at; without us it comes at the same hook."""

    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        if len(x) == 2 and self.current_epoch == 1:
            raise self.error
        return super().forward(x)


class InterruptsHook(pl.Callback):
    """Raises where a look would have been."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 1:
            raise self.error


@scenario("signals", raises="SystemExit")
def ctrl_c_while_looking(run: Run) -> None:
    run.fit(InterruptsLook(KeyboardInterrupt), InterruptsHook(KeyboardInterrupt))


class GetsSignal(InterruptsLook):
    """The signal itself comes while the probe is looked at."""

    def __init__(self, number: int) -> None:
        super().__init__(KeyboardInterrupt)
        self.number = number

    def forward(self, x: Tensor) -> Tensor:
        if len(x) == 2 and self.current_epoch == 1:
            os.kill(os.getpid(), self.number)
        return Net.forward(self, x)


class GetsSignalInHook(pl.Callback):
    """Gets the signal where a look would have been."""

    def __init__(self, number: int) -> None:
        self.number = number

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 1:
            os.kill(os.getpid(), self.number)


@scenario("signals", raises="SystemExit")
def sigint_while_looking(run: Run) -> None:
    # A shell without job control starts its background jobs deaf to Ctrl-C, and Python leaves it at that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run.fit(GetsSignal(signal.SIGINT), GetsSignalInHook(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)


@scenario("signals", raises="SIGTERM")
def sigterm_while_looking(run: Run) -> None:
    run.fit(GetsSignal(signal.SIGTERM), GetsSignalInHook(signal.SIGTERM))


def broken_map(record: Any) -> Tensor:
    raise RuntimeError("the user's own view is broken")


def wrong_shape(record: Any) -> Tensor:
    return saliency_map(record)[:, 0]


def mutating(record: Any) -> Tensor:
    record.activation.zero_()
    record.gradient.mul_(2)
    return saliency_map(record)


def own_views(*functions: Any) -> list[pl.Callback]:
    views = [View(function.__name__, (INPUT,), function) for function in functions]
    return [ProbeCallback(probe(), [saliency(), *views])]


@scenario("views", views=1, refusal="'broken_map'.*own view is broken", callbacks=lambda: own_views(broken_map))
def view_of_the_users_own_breaks(run: Run) -> None:
    run.fit()


@scenario("views", views=1, refusal="wrong_shape", callbacks=lambda: own_views(wrong_shape))
def view_of_the_users_own_has_a_wrong_shape(run: Run) -> None:
    run.fit()


@scenario("views", views=2, callbacks=lambda: own_views(mutating))
def view_of_the_users_own_writes_into_its_record(run: Run) -> None:
    run.fit()


def unknown_target() -> list[pl.Callback]:
    return [ProbeCallback(probe(), [saliency(), grad_cam(target=99)])]


@scenario("views", views=1, refusal="class 99", callbacks=unknown_target)
def target_that_the_network_does_not_have(run: Run) -> None:
    run.fit()


class TwoHeads(Net):
    """The named layer is not on the way to the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.side = torch.nn.Conv2d(3, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.side(x)
        return super().forward(x)


def off_the_path() -> list[pl.Callback]:
    return [ProbeCallback(probe(), [saliency(), grad_cam("side")])]


@scenario("views", views=1, refusal="'side'", callbacks=off_the_path)
def layer_off_the_path(run: Run) -> None:
    run.fit(TwoHeads())


def thinly() -> list[pl.Callback]:
    return [ProbeCallback(probe(), every_n_epochs=2, at_steps=(5,))]


@scenario("views", frames=4, views=3, callbacks=thinly)
def other_cadence(run: Run) -> None:
    run.fit(Net(), ModelCheckpoint(run.folder / "often", every_n_epochs=1), max_epochs=4)
