"""When to look, and at which step: facts about a Trainer, read in one place. No Lightning is imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def finished_steps(trainer: Any, moment: str) -> int:
    """Batches whose optimizer steps are finished, however many optimizers there are.

    Lightning counts them only after the hooks of the batch and of the validation behind it, so that at ``"step"`` and
    ``"validation"`` the running batch is still to be added, unless it only accumulates.
    """
    loop = trainer.fit_loop.epoch_loop
    running = moment in ("step", "validation") and not loop._should_accumulate()
    return int(loop._batches_that_stepped) + running


def log_step(trainer: Any, finished: int) -> int:
    """The step of Lightning's own epoch scalars: a logged ``step`` if there is one, else one less than what is finished.

    The untrained network stands at -1.
    """
    logged = logged_step(trainer)
    return finished - 1 if logged is None else logged


def logged_step(trainer: Any) -> int | None:
    """The value that the user logs under the name ``step`` in this loop, if they do.

    It is read from the sums that Lightning keeps, not through ``callback_metrics``, which would compute every metric.
    """
    for _, result in trainer._results.valid_items() if trainer._results is not None else ():
        if result.meta.name == "step" and result.is_tensor:
            total = result.value / result.cumulated_batch_size if result.meta.is_mean_reduction else result.value
            return int(total)
    return None


def is_early(finished: int, at_steps: Sequence[int] | None, epoch: int) -> bool:
    """Whether a step within an epoch is looked at: those asked for, or 1, 2, 4, 8, ... of the first epoch."""
    if at_steps is not None:
        return finished in at_steps
    return epoch == 0 < finished and finished & (finished - 1) == 0


def ends_epoch(trainer: Any) -> bool:
    """Whether the running batch is the last of its epoch."""
    return bool(trainer.is_last_batch)
