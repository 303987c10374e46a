"""The schedule: which steps and epochs are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SECOND = 6
"""The second of the ever wider moments: the looks before it lie within the first steps."""
WIDENING = 2.5
"""How much later each next one is."""


def is_spaced(count: int, drawn: int) -> bool:
    """Whether look number `count` (from 1) has what is costly, pictures say, when number `drawn` had it last: 16, then every 10 % more."""
    return count <= 16 or count >= 1.1 * drawn


def is_wide(count: int, drawn: int) -> bool:
    """Whether look number `count` (from 1) is one of the ever wider moments: 1, 6, 15, 38, 95, ..., nine in 3,000 looks.

    Args:
        count: of looks, this one among them.
        drawn: which of them was one last, 0 before the first.
    """
    return count >= max(WIDENING * drawn, SECOND) if drawn else count > 0


def begins_anew(trainer: Any) -> bool:
    """Whether a fit that is being set up begins a training; a checkpoint that it goes on from is loaded only later."""
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped) == 0


def is_due(trainer: Any, every_n_epochs: int) -> bool:
    """Whether the running epoch is one that is looked at."""
    return bool((trainer.current_epoch + 1) % every_n_epochs == 0)


def is_early(finished: int, at_steps: Sequence[int] | None, epoch: int) -> bool:
    """Whether a step within an epoch is looked at: those asked for, or 1, 2, 4, 8, ... of the first epoch."""
    if at_steps is not None:
        return finished in at_steps
    return epoch == 0 < finished and finished & (finished - 1) == 0


def ends_epoch(trainer: Any) -> bool:
    """Whether the running batch is the last of its epoch."""
    # Lightning 2.0 does not know it of an epoch that `limit_train_batches` ends
    return bool(trainer.is_last_batch or trainer.fit_loop.epoch_loop.batch_idx + 1 >= trainer.num_training_batches)
