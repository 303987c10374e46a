"""How this package speaks: warnings and log lines that begin with its name."""

from __future__ import annotations

import logging
import warnings
from typing import Any


def warn(message: str) -> None:
    """Warns, in the name of whoever called the caller."""
    warnings.warn(f"lightning_vis: {message}", UserWarning, stacklevel=3)


def log(trainer: Any, message: str) -> None:
    """Says something where the Trainer's Lightning says such things."""
    package = type(trainer).__module__.partition(".trainer")[0]
    logging.getLogger(f"{package}.lightning_vis").info(f"lightning_vis: {message}")


def loggers_of(trainer: Any) -> str:
    """The Trainer's loggers in a reader's words."""
    return "loggers: " + (", ".join(type(logger).__name__ for logger in trainer.loggers) or "none")
