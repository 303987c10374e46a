"""Callback: a child of Lightning's own, under whichever of its names it comes."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

HOMES = ("pytorch_lightning.callbacks.callback", "lightning.pytorch.callbacks.callback")
"""Where each Lightning keeps its Callback."""


def callbacks_loaded() -> list[type]:
    """The Callback of each Lightning that is in use."""
    return [sys.modules[home].Callback for home in HOMES if hasattr(sys.modules.get(home), "Callback")]


def first_callbacks() -> tuple[type, ...]:
    """Those of each Lightning that is in use; where none is yet, of the first one that is installed."""
    if not callbacks_loaded():
        importlib.import_module("pytorch_lightning" if find_spec("pytorch_lightning") else "lightning.pytorch")
    return tuple(callbacks_loaded())


class Arrival:
    """Listens to imports, and finds nothing: a Lightning that comes later has its Callback made a base of ours too.

    Each Lightning asks whether a callback is a child of its own Callback. To import both would cost everyone a quarter of a
    second, and those who have a broken one beside the one they use their training.
    """

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> None:
        """Called for each module that is imported: a Lightning has its Callback long before its last module."""
        new = [each for each in callbacks_loaded() if each not in Callback.__bases__]
        if new:
            with suppress(TypeError):  # a user's own class has bases in an order that does not allow it
                Callback.__bases__ = (*Callback.__bases__, *new)
        if new or len(Callback.__bases__) == len(HOMES):
            sys.meta_path.remove(Arrival)


if TYPE_CHECKING:
    from pytorch_lightning import Callback as Callback
else:
    Callback = type("Callback", first_callbacks(), {"__doc__": "What every Lightning here takes for a callback of its own."})
    sys.meta_path.insert(0, Arrival)
