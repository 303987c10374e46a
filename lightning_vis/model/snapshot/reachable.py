"""All Python objects that a model's forward may change."""

from __future__ import annotations

import argparse
import functools
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import Dataset

from lightning_vis.constants import LIGHTNING
from lightning_vis.model.snapshot.restore import Slots, Variables, attributes_of, contents_of, slots_of

Items = Callable[[Any], Iterable[Any]]

LARGEST = 1000
"""A longer list or dict is put back itself, but what its items hold is not looked into: it is data, not state."""


SMALL = 2**16
"""Bytes up to which tensors and arrays are copied that only code or a data set leads to: more of them is data, too."""


def reachable(roots: Iterable[Any], known: Iterable[Any] = ()) -> list[tuple[Any, float]]:
    """Every object that can be reached from `roots`, with the bytes up to which its values are worth a copy.

    Reached are modules, data sets, objects of the user's own classes, what these classes and the user's own functions keep
    (hooks, methods: their closures, and the globals that they name); not objects of installed packages and of the standard
    library, behind which threads, files and the whole Trainer live.

    Args:
        roots: modules, or other objects whose attributes may change.
        known: tensors that are taken care of elsewhere.
    """
    roots = list(roots)
    kinds = _Kinds(frozenset(map(_package, roots)))
    seen: dict[Any, Any] = {id(value): value for value in known}  # keeps the objects alive, for their ids
    state, data = deque(roots), deque[Any]()
    found: list[tuple[Any, float]] = []
    # What is state is walked first: what is met on both ways is copied, whatever its size.
    for queue, most in ((state, float("inf")), (data, float(SMALL))):
        while queue:
            value = queue.popleft()
            kind = kinds[type(value)]
            # A module may lead to itself, and its variables are put together anew each time.
            key = (id(value.space), value.names) if kind.items_of is _of_namespace else id(value)
            if kind.items_of is None or key in seen:
                continue
            seen[key] = value
            if kind.is_class and not _is_users(value):
                continue
            found.append((value, most))
            for item in kind.items_of(value):
                of_item = kinds[type(item)]
                if of_item.items_of is not None and id(item) not in seen:
                    (data if of_item.is_data else queue).append(item)
    return found


_LEADS_TO_DATA = (Dataset, Variables, type, types.FunctionType, types.MethodType, types.CellType, functools.partial)


@dataclass(frozen=True)
class _Kind:
    """What is known of all values of one kind.

    Attributes:
        items_of: reads the values that one of them leads to; None where they keep nothing.
        is_data: whether what they lead to is data, and not state.
        is_class: whether they are classes.
    """

    items_of: Items | None
    is_data: bool
    is_class: bool


class _Kinds(dict[type, _Kind]):
    """Looks at each kind once, since a network has thousands of values.

    Not kept for longer than a walk: a parametrized layer has a class of its own, which would live on.
    """

    def __init__(self, owners: frozenset[str]) -> None:
        super().__init__()
        self._owners = owners

    def __missing__(self, kind: type) -> _Kind:
        self[kind] = _Kind(_items_of(kind, self._owners), issubclass(kind, _LEADS_TO_DATA), issubclass(kind, type))
        return self[kind]


def _items_of(kind: type, owners: frozenset[str]) -> Items | None:
    if issubclass(kind, (int, float, str, bytes, type(None))):
        return None
    for base, items_of in _ITEMS:
        if issubclass(kind, base):
            return items_of
    if not (issubclass(kind, nn.Module) or _is_own(kind, owners)):
        return lambda value: ()
    around = (*((Slots,) if slots_of(kind) else ()),)
    bases = kind.__mro__
    return lambda value: (*((vars(value),) if hasattr(value, "__dict__") else ()), *(each(value) for each in around), *bases)


def _of_container(value: Any) -> Iterable[Any]:
    return () if len(value) > LARGEST else tuple(value.values() if isinstance(value, dict) else value)


def _of_slots(value: Slots) -> Iterable[Any]:
    return value.present().values()


def _of_class(value: type) -> Iterable[Any]:
    for each in attributes_of(value).values():
        if isinstance(each, property):
            yield from (each.fget, each.fset)
        else:
            yield each.__func__ if isinstance(each, (staticmethod, classmethod)) else each


def _of_code(value: Any) -> Iterable[Any]:
    if isinstance(value, types.MethodType):
        return (value.__self__, value.__func__)
    if isinstance(value, functools.partial):
        return (value.func, value.args, value.keywords)
    if isinstance(value, types.CellType):
        return contents_of(value)
    if not _is_users(value):
        return (getattr(value, "__wrapped__", None),)  # a decorator's: what it decorates may be the user's
    named = Variables(value.__globals__, frozenset(_named(value.__code__)))
    return (vars(value), named, *(value.__closure__ or ()), value.__defaults__, value.__kwdefaults__)


def _of_namespace(value: Variables) -> Iterable[Any]:
    for each in value.present().values():
        if not isinstance(each, types.ModuleType):
            yield each
        elif not _is_installed(each.__name__):
            yield Variables(vars(each), value.names)  # what is written as `module.name`


def _named(code: types.CodeType) -> Iterator[str]:
    """The names that a function looks up, in itself and in the functions written inside it."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _named(inner)


def _is_users(value: type | types.FunctionType) -> bool:
    """Whether a class or a function comes from the user's own code, and not from an installed package."""
    # Wrappers take over the name of the module of what they wrap, but not its globals.
    home = value.__module__ if isinstance(value, type) else value.__globals__.get("__name__", "builtins")
    return not _is_installed(home)


def _is_own(kind: type, owners: frozenset[str]) -> bool:
    """Whether objects of this class are the user's own, or of the package that the network comes from."""
    if issubclass(kind, (Tensor, types.ModuleType)):
        return False
    if issubclass(kind, (types.SimpleNamespace, argparse.Namespace)):
        return True
    homes = {base.__module__.partition(".")[0] for base in kind.__mro__[:-1]} - _NEUTRAL
    # Data sets and modes are of torch's, but hold the user's state; what else is of torch's or Lightning's is not.
    homes -= {"torch"} if issubclass(kind, (Dataset, TorchFunctionMode, TorchDispatchMode)) else set()
    return all(home in owners or not _is_installed(home) for home in homes)


_NEUTRAL = {"abc", "typing", "collections", "enum", "dataclasses"}


_FRAMEWORKS = {*LIGHTNING, "torch", "lightning_fabric", "lightning_vis"}


def _is_installed(module: str) -> bool:
    package = module.partition(".")[0]
    found = sys.modules.get(package)
    file = getattr(found, "__file__", None) or str(getattr(found, "__path__", ""))
    if package == "__main__":
        return False  # even if a launcher of some package runs it
    known = package in _FRAMEWORKS or package in sys.stdlib_module_names or package in sys.builtin_module_names
    return known or "site-packages" in file or "dist-packages" in file


def _package(value: Any) -> str:
    package = type(value).__module__.partition(".")[0]
    return "" if package in _FRAMEWORKS else package


_ITEMS: tuple[tuple[Any, Items], ...] = (
    ((dict, list, tuple, set, deque), _of_container),
    (type, _of_class),
    ((types.FunctionType, types.MethodType, functools.partial, types.CellType), _of_code),
    (Variables, _of_namespace),
    (Slots, _of_slots),
)
"""How values of these kinds lead to others; the first that fits."""
