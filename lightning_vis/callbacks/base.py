"""LookCallback: a Lightning Callback with a session; watches a first batch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn

from lightning_vis.callbacks.budget import Budget
from lightning_vis.callbacks.failures import Failures, loggers_of, warn
from lightning_vis.callbacks.session.session import Session
from lightning_vis.callbacks.settings import Settings
from lightning_vis.callbacks.trainer import looks_here, refusal_of
from lightning_vis.events.loggers import image_writers
from lightning_vis.film import Film
from lightning_vis.probe.probe import Probe, given_probe

if TYPE_CHECKING:
    from pytorch_lightning import Callback
else:

    def _callback_bases() -> tuple[type, ...]:
        """Callback of the Lightning that is in use: it comes under two names, and either Trainer takes a child of both."""
        loaded = [sys.modules[name] for name in ("pytorch_lightning", "lightning.pytorch") if name in sys.modules]
        if not loaded:
            import pytorch_lightning

            loaded = [pytorch_lightning]
        return tuple(dict.fromkeys(module.Callback for module in loaded))

    Callback = type("Callback", _callback_bases(), {})


class LookCallback(Callback):
    """What all callbacks that look have in common; a class, because the Trainer calls hooks by their names.

    A batch may be watched on its way through the network, in validation, test or training, whichever comes first.

    Args:
        probe: the user's images, or a function that returns them, if there are any.
        settings: how it looks.
        work: what it spends its time on, as `Budget` calls it.
    """

    def __init__(self, probe: Probe | Callable[[], Probe] | None, settings: Settings, work: str) -> None:
        super().__init__()
        self.probe = given_probe(probe)
        self.settings = settings
        self.failures = Failures(settings.on_error)
        self.budget = Budget(settings.max_overhead, work)
        self.session = Session(self.probe, self.failures, self.budget)

    @property
    def film(self) -> Film:
        """The looks so far, at most 64 of them."""
        return self.session.logger.film

    @property
    def seconds(self) -> dict[str, float]:
        """What looking has cost since the fit began, by part."""
        return self.budget.seconds

    def _may_look(self, trainer: Any) -> bool:
        """Whether this callback looks for itself, in this process, and somebody wants to know."""
        raise NotImplementedError

    def _start(self, trainer: Any, module: nn.Module, probe: Probe, moment: str = "start") -> None:
        """The images are known."""
        raise NotImplementedError
        raise NotImplementedError

    def _open(self, trainer: Any, loggers: str, nothing_shown: str) -> None:
        """A run begins: where its frames go; and one sentence where they go nowhere."""
        self.failures.forget()
        self.budget.start()
        refusal = refusal_of(trainer)
        self.session.logger.open(image_writers(trainer.loggers, loggers) if looks_here(trainer) else [])
        if refusal and trainer.is_global_zero:
            warn(refusal)
        elif nothing_shown and not self.session.logger.writers and trainer.is_global_zero:
            warn(f"no logger of this Trainer takes images ({loggers_of(trainer)}), so {nothing_shown}")

    def _watch(self, trainer: Any, module: nn.Module, batch: Any) -> None:
        """A batch comes: it is watched, if no images can be taken by index."""
        if self.session.probe is None and self._may_look(trainer):
            with self.failures.surviving("watching the first batch"):
                self.session.watch(trainer, module, batch)

    def _find(self, trainer: Any, module: nn.Module, moment: str = "start") -> None:
        """The batch is through: what was found is taken."""
        probe = None
        if self.session.probe is None and self._may_look(trainer):
            with self.failures.surviving("finding images to look at"):
                probe = self.session.watched(trainer)
        if probe is not None and trainer.training:
            self._start(trainer, module, probe, moment)

    def on_validation_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Watches the first batch, where no images can be taken by index."""
        self._watch(trainer, pl_module, batch)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Takes what was watched."""
        self._find(trainer, pl_module)

    def on_test_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """As in validation."""
        self._watch(trainer, pl_module, batch)

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """As in validation."""
        self._find(trainer, pl_module)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """As in validation, where there was none."""
        self._watch(trainer, pl_module, batch)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Sees the untrained network, if the first batch has only now told how: its weights are still untouched."""
        self._find(trainer, pl_module)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Likewise, if no step was taken: gradients are accumulated."""
        self._find(trainer, pl_module, "step")

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Takes off what still watches, whatever ended the run."""
        self.session.finder.stop()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Likewise."""
        self.session.finder.stop()
