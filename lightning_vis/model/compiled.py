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
