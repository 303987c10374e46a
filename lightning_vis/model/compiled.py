"""What is known of torch.compile."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import torch
from torch import nn


class _Eagerness:
    """The compiler's stance, which several may borrow at once and give back in any order: the last one puts it back."""

    def __init__(self) -> None:
        self.borrowers = 0
        self._stance = ExitStack()

    def __enter__(self) -> None:
        if not self.borrowers:
            self._stance.enter_context(_force_eager())
        self.borrowers += 1

    def __exit__(self, *error: object) -> None:
        self.borrowers -= 1
        if not self.borrowers:
            self._stance.close()


def _force_eager() -> AbstractContextManager[None]:
    """Torch below 2.6 has no stances: what is compiled stays compiled there while it is looked at."""
    set_stance = getattr(torch.compiler, "set_stance", None)
    return nullcontext() if set_stance is None else set_stance("force_eager")


_EAGERNESS = _Eagerness()
"""Of this process, as the stance is."""


def eagerly() -> AbstractContextManager[None]:
    """A context in which compiled modules run eagerly, so that hooks work; several may overlap, and need not be nested."""
    # Importing dynamo takes seconds; if nobody has, nothing is compiled.
    return _EAGERNESS if "torch._dynamo" in sys.modules else nullcontext()


def can_run_eagerly(module: nn.Module) -> bool:
    """Whether what is compiled of a network can be run as it was written; torch below 2.6 would trace what watches it."""
    return hasattr(torch.compiler, "set_stance") or not any(map(_is_compiled, module.modules()))


def _is_compiled(module: nn.Module) -> bool:
    return hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None


def is_compiled() -> bool:
    """Whether anything at all has been compiled in this process, a function that no module knows included."""
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    # What ``torch.compile`` was given stands here until a reset; where torch has it no more, better too careful.
    backends: dict[Any, Any] = getattr(dynamo, "cached_backends", {0: True}) if dynamo is not None else {}
    return any(each is not None for each in backends.values())
