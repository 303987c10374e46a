"""Forward hooks lent to modules, and taken off again whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def hooked(modules: Sequence[nn.Module], hook: Callable[[nn.Module, Any, Any], Any]) -> Iterator[None]:
    """Lends a forward hook to each module; scripted ones take none."""
    with ExitStack() as stack:
        for module in modules:
            if not isinstance(module, torch.jit.ScriptModule):
                stack.callback(module.register_forward_hook(hook).remove)
        yield


@contextmanager
def entered(module: nn.Module, hook: Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Any]) -> Iterator[None]:
    """Lends a hook that sees what enters a module, keywords too; a scripted one takes none."""
    with ExitStack() as stack:
        if not isinstance(module, torch.jit.ScriptModule):
            stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        yield
