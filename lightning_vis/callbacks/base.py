"""Lightning's Callback, and the hooks through which a first batch is watched."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from torch import nn

from lightning_vis.probe.from_trainer import TrainerProbe

if TYPE_CHECKING:
    from pytorch_lightning import Callback as Callback
else:

    def _callback_bases() -> tuple[type, ...]:
        """Callback of the Lightning that is in use: it comes under two names, and either Trainer takes a child of both."""
        loaded = [sys.modules[name] for name in ("pytorch_lightning", "lightning.pytorch") if name in sys.modules]
        if not loaded:
            import pytorch_lightning

            loaded = [pytorch_lightning]
        return tuple(dict.fromkeys(module.Callback for module in loaded))

    Callback = type("Callback", _callback_bases(), {})


class FirstBatches:
    """Lets a batch be watched on its way through the network, in validation, test or training, whichever comes first.

    A class and not a function, because the Trainer calls hooks by their names.
    """

    @property
    def _finds(self) -> TrainerProbe:
        """What watches."""
        raise NotImplementedError

    def _watch(self, trainer: Any, module: nn.Module, batch: Any) -> None:
        """A batch comes: it is watched, if no images can be taken by index."""
        raise NotImplementedError

    def _find(self, trainer: Any, module: nn.Module, moment: str = "start") -> None:
        """The batch is through: what was found is taken."""
        raise NotImplementedError

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
        self._finds.stop()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Likewise."""
        self._finds.stop()
