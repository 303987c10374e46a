"""Forward hooks lent to modules, and taken off again whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn


class Lent:
    """A hook on one module: a copy of this module gets one that does nothing, and takes nothing along of what we know.

    Steps copy networks (a teacher, an average of the weights), also while we watch them, and what a hook of ours holds is
    not to be copied: torch frees a copied `StorageWeakRef` twice.
    """

    def __init__(self, hook: Callable[..., Any]) -> None:
        self._hook = hook

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the hook."""
        return self._hook(*args, **kwargs)

    def __reduce__(self) -> tuple[type[Lent], tuple[Callable[..., None]]]:
        return Lent, (nothing,)


def nothing(*args: Any, **kwargs: Any) -> None:
    """Does nothing."""


def before(module: nn.Module, hook: Callable[..., Any], *, first: bool = False) -> Callable[[], None]:
    """Lends a hook that sees what enters a module, keywords too, before all others or behind them; what takes it off."""
    handle = module.register_forward_pre_hook(Lent(hook), prepend=first, with_kwargs=True)
    return handle.remove


def after(module: nn.Module, hook: Callable[[nn.Module, Any, Any], Any]) -> Callable[[], None]:
    """Lends a hook that sees what leaves a module; what takes it off."""
    return module.register_forward_hook(Lent(hook)).remove


@contextmanager
def hooked(modules: Sequence[nn.Module], hook: Callable[[nn.Module, Any, Any], Any]) -> Iterator[None]:
    """Lends a forward hook to each module; scripted ones take none."""
    with ExitStack() as stack:
        for module in modules:
            if not isinstance(module, torch.jit.ScriptModule):
                stack.callback(after(module, hook))
        yield


@contextmanager
def entered(module: nn.Module, hook: Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Any]) -> Iterator[None]:
    """Lends a hook that sees what enters a module, keywords too; a scripted one takes none."""
    with ExitStack() as stack:
        if not isinstance(module, torch.jit.ScriptModule):
            stack.callback(before(module, hook))
        yield
