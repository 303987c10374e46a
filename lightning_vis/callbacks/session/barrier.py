"""Has other processes wait for what one does, however long that takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch

PAUSE = 0.02
"""Seconds between two questions of a process that waits."""

_WORKS = count()
"""Pieces of work of this process; each process counts them alike, since all come to the same hooks."""


@contextmanager
def awaited(trainer: Any, help_out: Callable[[], Any]) -> Iterator[Callable[[], None]]:
    """The first process does its work inside, and the others, which have none, wait until it is done.

    Without this they wait in their next collective, which gives up after the process group's timeout and ends the training.
    Here they ask the store that all processes met at: if the first process dies, or has ended, so does the store, and they do not
    wait on.

    Args:
        trainer: of several processes, or of one, which waits for nobody.
        help_out: what those that wait do when they are asked to; it talks to the first process, which does the same.

    Yields:
        What the first process calls to ask them.
    """
    store, name, asked = _store(trainer), f"lightning_vis/{next(_WORKS)}", count()
    try:
        yield lambda: None if store is None else store.set(f"{name}/{next(asked)}", b"help")
    finally:
        if store is not None and trainer.global_rank == 0:
            store.set(f"{name}/done", b"done")
        elif store is not None:
            _wait(store, name, help_out)


def _wait(store: Any, name: str, help_out: Callable[[], Any]) -> None:
    for turn in count():
        while not _knows(store, f"{name}/{turn}", False):
            if _knows(store, f"{name}/done", True):
                return
            time.sleep(PAUSE)
        help_out()


def _knows(store: Any, name: str, at_end: bool) -> bool:
    """Whether the first process has said so; `at_end` if it is gone."""
    try:
        return bool(store.check([name]))
    except RuntimeError:
        return at_end


def _store(trainer: Any) -> Any:
    """Where the processes of a Trainer met; None for one process."""
    distributed = torch.distributed
    if trainer.world_size == 1 or not distributed.is_available() or not distributed.is_initialized():
        return None
    return distributed.distributed_c10d._get_default_store()
