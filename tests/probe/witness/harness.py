"""Fits a set-up with and without a witness, and compares what stays to the last bit."""

from __future__ import annotations

import hashlib
import random
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field, fields

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from lightning_vis.callbacks.trainer import source_of, trained_weights
from lightning_vis.model.compiled import eagerly
from lightning_vis.model.places import written
from lightning_vis.probe.from_trainer import TrainerProbe
from lightning_vis.probe.witness.testimony import Testimony
from lightning_vis.probe.witness.witness import Witness


@contextmanager
def watched(module, batch, weights, images=None):
    """A witness while a step runs."""
    witness = Witness(module, batch, weights, images)
    with eagerly():
        try:
            witness.start()
            yield witness
        finally:
            witness.stop()


class InSanityCheck(pl.Callback):
    """Watches the first batch of the sanity check, as the callbacks do."""

    def __init__(self):
        self._finder = TrainerProbe()

    @property
    def testimony(self):
        return self._finder.testimony

    def on_validation_batch_start(self, trainer, module, batch, index, dataloader_idx=0):
        if trainer.sanity_checking and self.testimony is None:
            self._finder.start(module, batch, trained_weights(trainer, module))

    def on_validation_batch_end(self, *args, **kwargs):
        self._finder.stop()


class InRehearsal(pl.Callback):
    """Runs the training step once more ahead of the first one, as the callbacks do."""

    def __init__(self):
        self._finder = TrainerProbe()

    @property
    def testimony(self):
        return self._finder.testimony

    def on_train_batch_start(self, trainer, module, batch, index):
        if self.testimony is None:
            self._finder.rehearse(module, batch, source_of(trainer, module, "training_step"), "training_step")


class Logged(pl.Callback):
    """Every epoch's numbers, to the last bit."""

    def __init__(self):
        self.seen = []

    def on_validation_epoch_end(self, trainer, module):
        if not trainer.sanity_checking:
            self.seen.append({name: float(value).hex() for name, value in trainer.callback_metrics.items()})


@dataclass(frozen=True)
class Left:
    """What a fit left behind."""

    weights: str
    optimizers: str
    random: str
    logged: list = field(default_factory=list)


def fitted(case, watcher=None, **options):
    """Fits a set-up for two epochs, with a watcher if there is one; what it left behind."""
    pl.seed_everything(0)
    module, data = case.make()
    logged = Logged()
    trainer = quiet_trainer([*([watcher] if watcher else []), logged], **(dict(case.options) | options))
    generator = torch.Generator().manual_seed(3)
    trainer.fit(module, DataLoader(data, 8, shuffle=True, generator=generator), DataLoader(data, 8))
    final = {name: float(value).hex() for name, value in trainer.callback_metrics.items()}
    streams = (torch.get_rng_state(), random.getstate(), np.random.get_state(legacy=True)[1].tolist())
    return Left(
        digest(module.state_dict()),
        digest([each.state_dict() for each in trainer.optimizers]),
        digest(streams),
        [*logged.seen, final],
    )


ROOT = tempfile.TemporaryDirectory()


def quiet_trainer(callbacks, **options):
    usual = {
        "max_epochs": 2,
        "logger": False,
        "default_root_dir": ROOT.name,  # what is left of a run without a logger
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
        "num_sanity_val_steps": 2,
    }
    return pl.Trainer(**(usual | options), callbacks=callbacks)


def digest(value):
    """One word for a nest of tensors and plain values; another one as soon as one bit differs."""
    found = hashlib.sha1()
    for part in flat(value):
        found.update(part)
    return found.hexdigest()


def flat(value):
    if isinstance(value, torch.Tensor):
        yield repr((value.dtype, tuple(value.shape))).encode()
        yield value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(value, dict):
        yield from (part for key, each in value.items() for one in (key, each) for part in flat(one))
    elif isinstance(value, (list, tuple)):
        yield from (part for each in value for part in flat(each))
    else:
        yield repr(value).encode()


def read(testimony: Testimony):
    """A testimony in the words of `Want`."""
    return {
        "task": testimony.task,
        "chain": " -> ".join(testimony.chain),
        "head": written(testimony.head, ""),
        "target": " and ".join(map(written, testimony.target)) or testimony.origin,
        "image": " and ".join(map(written, testimony.image)),
        "arguments": tuple(tuple(map(written, each.leaves)) for each in testimony.arguments),
        "values": testimony.values,
    }


def differences(testimony, want):
    """What was read otherwise than wanted: {word: (wanted, read)}."""
    found = read(testimony)
    if want.task == "unknown" or testimony.task == "unknown":
        return {} if want.task == testimony.task else {"task": (want.task, testimony.said())}
    asked = {each.name: getattr(want, each.name) for each in fields(want) if getattr(want, each.name) is not None}
    return {word: (value, found[word]) for word, value in asked.items() if not fits(word, found[word], value)}


def fits(word, found, wanted):
    return found == wanted or (word in ("task", "chain") and isinstance(wanted, tuple) and found in wanted)
