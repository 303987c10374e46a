"""Has other processes wait for what one does, however long that takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

PAUSE = 0.02
"""Seconds between two questions of a process that waits."""


@contextmanager
def awaited(trainer: Any, name: str) -> Iterator[None]:
    """The first process does its work inside, and the others, which have none, wait until it is done.

    Without this they wait in their next collective, which gives up after the process group's timeout and ends the training.
    Here they ask the store that all processes met at: if the first process dies, or has ended, so does the store, and they do not
    wait on.

    Args:
        trainer: of several processes, or of one, which waits for nobody.
        name: of this piece of work, the same in all processes, and of no other one.
    """
    store = _store(trainer)
    try:
        yield
    finally:
        if store is not None and trainer.global_rank == 0:
            store.set(f"lightning_vis/{name}", b"done")
        while store is not None and trainer.global_rank and not _is_done(store, f"lightning_vis/{name}"):
            time.sleep(PAUSE)


def _is_done(store: Any, name: str) -> bool:
    """Whether the first process says so, or is gone."""
    try:
        return bool(store.check([name]))
    except RuntimeError:
        return True


def _store(trainer: Any) -> Any:
    """Where the processes of a Trainer met; None for one process."""
    distributed = torch.distributed
    if trainer.world_size == 1 or not distributed.is_available() or not distributed.is_initialized():
        return None
    return distributed.distributed_c10d._get_default_store()
