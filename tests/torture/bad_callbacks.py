"""Callbacks that change a training, and what is left of ours without one of its precautions: each must be caught."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lightning_vis.probe.witness.witness import Witness

from .nets import images

KEPT: list[Any] = []
Act = Callable[[Any, Any], Any]


def at_epoch_end(act: Act) -> Callable[[], list[pl.Callback]]:
    """Makes callbacks that do one thing at the end of every training epoch."""

    class Bad(pl.Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            act(trainer, pl_module)

    return lambda: [Bad()]


class NaiveWatch(pl.Callback):
    """Watches a training batch live, mode and hooks on it, and leaves the compiler to it."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.witness = Witness(pl_module, batch, {id(each) for each in pl_module.parameters()})
        self.witness.start()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.witness.stop()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self.witness.stop()


def naive_watch() -> list[pl.Callback]:
    return [NaiveWatch()]


def blog(trainer: Any, model: Any) -> None:
    """As many a tutorial: a batch of the loader, eval and train, backward, a hook that stays."""
    pixels, labels = next(iter(trainer.train_dataloader))
    model.eval()
    model.net[4].register_forward_hook(lambda *arguments: None)
    cross_entropy(model(pixels), labels).backward()
    model.train()


def backward(trainer: Any, model: Any) -> None:
    """Careful about everything but the gradients."""
    pixels, labels = images(2)
    modes = [each.training for each in model.modules()]
    model.eval()
    cross_entropy(model(pixels), labels).backward()
    for module, mode in zip(model.modules(), modes, strict=True):
        module.training = mode


def eval_and_train(trainer: Any, model: Any) -> None:
    model.eval()
    model.train()


def forward_in_train_mode(trainer: Any, model: Any) -> None:
    state = torch.get_rng_state()
    with torch.no_grad():
        model(images(2)[0])
    torch.set_rng_state(state)


def next_batch(trainer: Any, model: Any) -> None:
    next(iter(trainer.val_dataloaders))


def open_file(trainer: Any, model: Any) -> None:
    KEPT.append(open("/dev/null"))  # noqa: SIM115


def start_thread(trainer: Any, model: Any) -> None:
    KEPT.append(threading.Timer(600, lambda: None))
    KEPT[-1].start()


def log_another_metric(trainer: Any, model: Any) -> None:
    model.log("another", 1.0)


def hook_all_modules(trainer: Any, model: Any) -> None:
    KEPT.append(nn.modules.module.register_module_forward_hook(lambda *arguments: None))


def nudge_a_weight(trainer: Any, model: Any) -> None:
    with torch.no_grad():
        model.net[9].bias[0] = torch.nextafter(model.net[9].bias[0], torch.tensor(9.0))


def replace_a_parameter(trainer: Any, model: Any) -> None:
    """An equal one, which the optimizer does not know."""
    model.net[9].weight = nn.Parameter(model.net[9].weight.detach().clone())


def leave_a_state(checkpoint_key: str = "mine") -> Callable[[], list[pl.Callback]]:
    class Bad(pl.Callback):
        def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
            checkpoint[checkpoint_key] = 1

    return lambda: [Bad()]


# what: (callbacks, the scenario that must catch it)
BAD: dict[str, tuple[Callable[[], list[pl.Callback]], str]] = {
    "a tutorial's callback": (at_epoch_end(blog), "plain"),
    "backward": (at_epoch_end(backward), "no_validation"),
    "backward in mid-accumulation": (at_epoch_end(backward), "manual_accumulation_across_epochs"),
    "eval() and train()": (at_epoch_end(eval_and_train), "partly_eval_by_hand"),
    "eval() and train() of a model that counts": (at_epoch_end(eval_and_train), "frozen_norms_by_overriding_train"),
    "a forward pass in train mode": (at_epoch_end(forward_in_train_mode), "plain"),
    "a batch of an unshuffled loader": (at_epoch_end(next_batch), "plain"),
    "a random number of torch": (at_epoch_end(lambda *_: torch.rand(1)), "plain"),
    "a random number of NumPy": (at_epoch_end(lambda *_: np.random.rand()), "plain"),
    "a figure left open": (at_epoch_end(lambda *_: plt.figure()), "plain"),
    "a file left open": (at_epoch_end(open_file), "plain"),
    "a thread left running": (at_epoch_end(start_thread), "plain"),
    "a tensor kept": (at_epoch_end(lambda *_: KEPT.append(torch.zeros(3))), "plain"),
    "a metric of the same logger": (at_epoch_end(log_another_metric), "plain"),
    "a global hook": (at_epoch_end(hook_all_modules), "plain"),
    "a weight moved by one bit": (at_epoch_end(nudge_a_weight), "plain"),
    "an equal parameter in place of another": (at_epoch_end(replace_a_parameter), "plain"),
    "a frozen weight": (at_epoch_end(lambda _, model: model.net[0].requires_grad_(False)), "plain"),
    "an attribute": (at_epoch_end(lambda _, model: setattr(model, "seen", 1)), "plain"),
    "a global flag": (at_epoch_end(lambda *_: torch.use_deterministic_algorithms(True)), "plain"),
    "NumPy's error state": (at_epoch_end(lambda *_: np.seterr(all="ignore")), "plain"),
    "a style of matplotlib": (at_epoch_end(lambda *_: plt.rcParams.update({"font.size": 9})), "plain"),
    "a handler of the root logger": (at_epoch_end(lambda *_: logging.root.addHandler(logging.NullHandler())), "plain"),
    "a filter of warnings": (at_epoch_end(lambda *_: warnings.simplefilter("ignore", BytesWarning)), "plain"),
    "a stop": (at_epoch_end(lambda trainer, _: setattr(trainer, "should_stop", True)), "plain"),
    "an entry in the checkpoint": (leave_a_state(), "plain"),
    "a watch left on a training batch": (naive_watch, "plain"),
    "a watch left on a compiled training batch": (naive_watch, "compiled_block"),
    "an exception": (at_epoch_end(lambda *_: 1 / 0), "plain"),
}


def tidy() -> None:
    """Takes back what the callbacks above have left in the process."""
    for each in KEPT:
        for end in ("close", "remove", "cancel", "join"):  # a thread that outlives its test ends in the middle of another
            getattr(each, end, lambda: None)()
    KEPT.clear()
    plt.close("all")
    plt.rcdefaults()
    logging.root.handlers = [each for each in logging.root.handlers if not isinstance(each, logging.NullHandler)]
    np.seterr(all="warn", under="ignore")
