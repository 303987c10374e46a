"""Copies large weights only when an operation is about to write to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_vis.model.snapshot.tensors import Restore, contents, memory, tensor, tensor_after

LARGE = 8 * 2**20
"""Bytes from which on weights are watched: watching costs some microseconds an operation, a copy its size in memory."""


class CopyOnWrite(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation of PyTorch, and copies a watched tensor before the first one that writes to its memory.

    What writes to memory without PyTorch (through ``numpy()``, or a kernel that does not say so) is not seen.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._unwritten: dict[int, list[Callable[[], None]]] = {}

    def keep(self, value: Tensor) -> Restore:
        """What puts a tensor back: its memory, what it said, and that no graph hung on it."""
        if not memory(value):  # sharded or otherwise special: there is no one memory to watch
            return tensor(value)
        same = value.detach()
        steps: list[Restore] = []
        first_write = self._unwritten.setdefault(memory(same), [])
        first_write.append(lambda: steps.append(contents(same)))
        return tensor_after(value, same, steps)

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for position, name in _written(func):
            self._before_writing(args[position] if position < len(args) else kwargs.get(name))
        return func(*args, **kwargs)

    def _before_writing(self, value: Any) -> None:
        for each in value if isinstance(value, (list, tuple)) else (value,):
            if type(each) in (Tensor, nn.Parameter):
                for copy in self._unwritten.pop(memory(each), ()):
                    copy()


_WRITTEN: dict[Any, tuple[tuple[int, str], ...]] = {}


def _written(func: Any) -> tuple[tuple[int, str], ...]:
    """The arguments that an operation writes to, by position and name."""
    if func not in _WRITTEN:
        _WRITTEN[func] = tuple(_find_written(func))
    return _WRITTEN[func]


def _find_written(func: Any) -> Iterator[tuple[int, str]]:
    for position, argument in enumerate(getattr(getattr(func, "_schema", None), "arguments", ())):
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield position, argument.name
