"""Restores the random streams of Python, NumPy and torch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from lightning_vis.model.snapshot.reachable import reachable
from lightning_vis.model.snapshot.restore import restore_all, restorers_of
from lightning_vis.model.snapshot.tensors import Restore


@contextmanager
def preserve_rng(*owners: Any) -> Iterator[None]:
    """Puts the random streams of Python, NumPy and torch back, whatever is drawn inside.

    Args:
        owners: data sets whose generators, counters and lists are put back too; their large tensors are not copied.
    """
    restores = [*random_streams(), *restorers_of(reachable(owners))]
    try:
        yield
    finally:
        restore_all(restores)


def random_streams() -> Iterator[Restore]:
    """What puts the global random streams of Python, NumPy and torch back."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield lambda: random.setstate(python)
    yield lambda: np.random.set_state(numpy)
    yield lambda: torch.set_rng_state(cpu)
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        cuda = torch.cuda.get_rng_state_all()
        yield lambda: torch.cuda.set_rng_state_all(cuda)


def begin_streams() -> None:
    """Begins the global random streams of Python, NumPy and torch anew; the caller puts them back."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
