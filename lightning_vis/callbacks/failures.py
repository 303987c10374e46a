"""Error handling: warn once per fit and go on, or raise; how messages begin."""

from __future__ import annotations

import errno
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lightning_vis.arguments import Mistake

ON_ERROR = ("warn", "raise")


@dataclass
class Failures:
    """The one place that decides what a failure leads to.

    Ctrl-C, SIGTERM and `SystemExit` are not failures and pass through.

    Attributes:
        on_error: ``"warn"``: say it once per fit and go on; ``"raise"``: stop the training with the error itself.
        resting: the views that failed in this fit, by key.
        said: what has been said in it; all callbacks of a Trainer share it.

    Raises:
        ValueError: another word for `on_error`.
    """

    on_error: str = "warn"
    resting: set[str] = field(default_factory=set)
    said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if not isinstance(self.on_error, str) or self.on_error not in ON_ERROR:
            raise ValueError(f"on_error={self.on_error!r}: expected 'warn' or 'raise'")

    def forget(self, said: set[str]) -> None:
        """A new fit: everything is tried again, and said again but for what others have said in it."""
        self.resting.clear()
        self.said = said

    @contextmanager
    def surviving(self, doing: str) -> Iterator[None]:
        """Lets nothing that fails inside end the training, but for mistakes of what was asked.

        Args:
            doing: what is tried, as the message calls it.
        """
        try:
            yield
        except Mistake:
            raise
        except Exception as error:
            self.tell(f"{doing} failed", error)

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Says what of a checkpoint cannot be read; it begins anew then: no checkpoint ends a training."""
        try:
            yield
        except Exception as error:
            self.say(f"{what} in the checkpoint cannot be read ({reason(error)}): it begins anew")

    def rest(self, failures: Mapping[str, Exception], layers: Mapping[str, str]) -> None:
        """Lets views rest until the next fit; those that failed of one reason share one sentence.

        Args:
            failures: why, by view key.
            layers: what each view looks at, by view key.
        """
        groups: dict[str, list[str]] = {}
        for key, error in failures.items():
            groups.setdefault(reason(error), []).append(key)
        self.resting.update(failures)
        for keys in groups.values():
            named = ", ".join(f"{key!r} (layer {layers[key]})" if layers.get(key) else repr(key) for key in keys)
            rest = "the view {} rests" if len(keys) == 1 else "the views {} rest"
            self.tell(f"{rest.format(named)} until the next fit, because looking failed", failures[keys[0]])

    def tell(self, what: str, error: Exception) -> None:
        """Warns once per fit, or raises, as `on_error` says."""
        if self.on_error == "raise":
            raise error
        self.say(f"{what}: {reason(error)}", f". {remedy(error)}")

    def say(self, message: str, more: str = "") -> None:
        """Warns once per fit; `more` is said too, but makes no other message."""
        if message not in self.said:
            self.said.add(message)
            warnings.warn(f"lightning_vis: {message}{more}", UserWarning, stacklevel=3)


def reason(error: Exception) -> str:
    """An error in a sentence: our own as they are, others with their kind."""
    text = str(error).strip().split("\n")[0].rstrip(".") or "no message"
    return text if isinstance(error, ValueError) else f"{text} ({type(error).__name__})"


def remedy(error: Exception) -> str:
    """What to do about an error."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or type(error).__name__ == "OutOfMemoryError":
        return "Look at fewer images (Probe.from_dataset(data, n=...)) or at smaller ones"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
        return "Make room for the log, or move it with the logger's save_dir; the next look tries again"
    if "inference tensor" in text:
        return "The network keeps a tensor made in inference mode: use Trainer(inference_mode=False), or fit first"
    return 'The training is untouched; on_error="raise" stops at the error and shows where it is'


def warn(message: str) -> None:
    """Warns, in the name of whoever called the caller."""
    warnings.warn(f"lightning_vis: {message}", UserWarning, stacklevel=3)


def log(trainer: Any, message: str) -> None:
    """Says something where the Trainer's Lightning says such things."""
    package = type(trainer).__module__.partition(".trainer")[0]
    logging.getLogger(f"{package}.lightning_vis").info(f"lightning_vis: {message}")
