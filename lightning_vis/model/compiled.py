"""What is known of torch.compile."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def eagerly() -> AbstractContextManager[Any]:
    """A context in which compiled modules run eagerly, so that hooks work."""
    # Importing dynamo takes seconds; if nobody has, nothing is compiled.
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def is_compiled() -> bool:
    """Whether anything at all has been compiled in this process, a function that no module knows included."""
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    # What ``torch.compile`` was given stands here until a reset; where torch has it no more, better too careful.
    backends: dict[Any, Any] = getattr(dynamo, "cached_backends", {0: True}) if dynamo is not None else {}
    return any(each is not None for each in backends.values())
