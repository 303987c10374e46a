"""Restores containers, attributes, variables, generators as they were."""

from __future__ import annotations

import random
import signal
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import is_
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_vis.model.snapshot.tensors import Restore, array, leaf


def restorers_of(found: Iterable[tuple[Any, float]]) -> list[Restore]:
    """What puts all that was found back: attributes, containers, variables, tensors, arrays, random generators."""
    # Not known for longer: a parametrized layer has a class of its own, which would live on, and the layer with it.
    by_kind: dict[type, list[Any]] = {}
    for value, most in found:
        if most == _ALL or _size_of(value) <= most:
            by_kind.setdefault(type(value), []).append(value)
    return [
        restore
        for kind, values in by_kind.items()
        for base, make in _RESTORERS
        if issubclass(kind, base)
        for restore in make(values)
    ]


_ALL = float("inf")


def _size_of(value: Any) -> int:
    """Bytes, of what can be large."""
    if isinstance(value, bytearray):
        return len(value)
    return value.nbytes if isinstance(value, (Tensor, np.ndarray)) else 0


def restore_all(restores: Sequence[Restore]) -> None:
    """Takes all steps, the last one first; none depends on another, and the first error is raised after the last step."""
    with _uninterrupted():
        _collected(reversed(restores))


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C and the like wait until the end: half of a network put back is worse than a moment more."""
    waiting: list[tuple[int, Any]] = []
    handlers: dict[int, Callable[..., Any]] = {}
    try:
        for number in _SIGNALS if threading.current_thread() is threading.main_thread() else ():  # no other may ask for them
            handler = signal.getsignal(number)
            if callable(handler):
                handlers[number] = handler
                signal.signal(number, lambda *heard: waiting.append(heard))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for heard in waiting:
            handlers[heard[0]](*heard)


_SIGNALS: tuple[int, ...] = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGALRM")
    if hasattr(signal, name)  # Windows has no alarms
)


_MISSING = object()


@dataclass(frozen=True, eq=False)
class Variables:
    """Some variables of a namespace: those globals that a function names."""

    space: dict[str, Any]
    names: frozenset[str]

    def present(self) -> dict[str, Any]:
        """Those that there are."""
        return {name: self.space[name] for name in self.names if name in self.space}


@dataclass(frozen=True, eq=False)
class Slots:
    """The attributes of an object that has them in slots, and not in a dict."""

    owner: Any

    def present(self) -> dict[Any, Any]:
        """Those that are set, by slot."""
        found = {slot: _got(slot, self.owner) for slot in slots_of(type(self.owner))}
        return {slot: each for slot, each in found.items() if each is not _MISSING}


def slots_of(kind: type) -> list[Any]:
    """The attributes that values of a class have in slots."""
    bases = [vars(base) for base in kind.__mro__ if "__slots__" in vars(base)]
    return [each for base in bases for each in base.values() if isinstance(each, types.MemberDescriptorType)]


def _got(slot: Any, owner: Any) -> Any:
    try:
        return slot.__get__(owner)
    except AttributeError:
        return _MISSING


def mappings(values: Iterable[dict[Any, Any]]) -> list[Restore]:
    """What puts the items of dicts back, and their order: one step for all, since a network has fifteen for each module."""
    kept = [(value, tuple(value), tuple(value.values())) if value else (value, (), ()) for value in values]

    def restore() -> None:
        _collected(
            _put_back(value, dict(zip(keys, items, strict=True)))  # a Counter would count pairs
            for value, keys, items in kept
            if (value or keys) and not _same(value, keys, items)
        )

    return [restore]


def _same(value: dict[Any, Any], keys: tuple[Any, ...], items: tuple[Any, ...]) -> bool:
    return len(value) == len(keys) and all(map(is_, value, keys)) and all(map(is_, value.values(), items))


def sequences(values: Iterable[list[Any] | deque[Any]]) -> list[Restore]:
    """What puts the items of lists back, in one step."""
    kept = [(value, tuple(value)) for value in values]

    def restore() -> None:
        _collected(
            _refill(value, items) for value, items in kept if len(value) != len(items) or not all(map(is_, value, items))
        )

    return [restore]


def sets(values: Iterable[set[Any]]) -> list[Restore]:
    """What puts the items of sets back, in one step."""
    kept = [(value, set(value)) for value in values]

    def restore() -> None:
        _collected(_put_back(value, items) for value, items in kept if value != items)

    return [restore]


def _put_back(value: Any, items: Iterable[Any]) -> Restore:
    def restore() -> None:
        value.clear()
        value.update(items)

    return restore


def _refill(value: Any, items: Iterable[Any]) -> Restore:
    def restore() -> None:
        value.clear()
        value.extend(items)

    return restore


def _collected(steps: Iterable[Restore]) -> None:
    """Takes all steps; the first error is raised after the last one."""
    errors: list[BaseException] = []
    for step in steps:
        try:
            step()
        except BaseException as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _bytes(value: bytearray) -> Restore:
    kept = bytes(value)

    def restore() -> None:
        if value != kept:
            value[:] = kept

    return restore


def _variables(value: Variables) -> Restore:
    kept = value.present()

    def restore() -> None:
        now = value.present()
        for name in value.names:
            if now.get(name, _MISSING) is not kept.get(name, _MISSING):
                value.space.pop(name, None)
        value.space.update({name: each for name, each in kept.items() if now.get(name, _MISSING) is not each})

    return restore


def _cell(value: types.CellType) -> Restore:
    kept = contents_of(value)

    def restore() -> None:
        if kept and not any(each is kept[0] for each in contents_of(value)):
            value.cell_contents = kept[0]

    return restore


def contents_of(value: types.CellType) -> tuple[Any, ...]:
    """What a variable of a closure holds; nothing before it is set."""
    try:
        return (value.cell_contents,)
    except ValueError:
        return ()


def _class(value: type) -> Restore:
    kept = attributes_of(value)

    def restore() -> None:
        now = attributes_of(value)
        for name in now.keys() - kept.keys():
            delattr(value, name)
        for name, attribute in kept.items():
            if now.get(name, _MISSING) is not attribute:
                setattr(value, name, attribute)

    return restore


def attributes_of(value: type) -> dict[str, Any]:
    """What a class itself keeps, but for what Python keeps there."""
    return {name: each for name, each in vars(value).items() if not name.startswith(("__", "_abc_"))}


def _slots(value: Slots) -> Restore:
    kept = value.present()

    def restore() -> None:
        now = value.present()
        for slot in now.keys() - kept.keys():
            slot.__delete__(value.owner)
        for slot, attribute in kept.items():
            if now.get(slot, _MISSING) is not attribute:
                slot.__set__(value.owner, attribute)  # not setattr: the class may be frozen

    return restore


def _bit_generator(value: np.random.Generator) -> Restore:
    kept = value.bit_generator.state
    return lambda: setattr(value.bit_generator, "state", kept)


def _old_generator(value: np.random.RandomState) -> Restore:
    kept = value.get_state()
    return lambda: value.set_state(kept)


def _torch_generator(value: torch.Generator) -> Restore:
    kept = value.get_state()
    return lambda: _none(value.set_state(kept))


def _python_generator(value: random.Random) -> Restore:
    kept = value.getstate()
    return lambda: value.setstate(kept)


def _none(_: Any) -> None:
    return None


def _each(make: Callable[[Any], Restore]) -> Callable[[Iterable[Any]], list[Restore]]:
    return lambda values: [make(value) for value in values]


_RESTORERS: tuple[tuple[Any, Callable[[list[Any]], list[Restore]]], ...] = (
    (dict, mappings),
    ((list, deque), sequences),
    (set, sets),
    (bytearray, _each(_bytes)),
    (type, _each(_class)),
    (types.CellType, _each(_cell)),
    (Variables, _each(_variables)),
    (Slots, _each(_slots)),
    (torch.Generator, _each(_torch_generator)),
    (np.random.Generator, _each(_bit_generator)),
    (np.random.RandomState, _each(_old_generator)),
    (random.Random, _each(_python_generator)),
    (Tensor, _each(leaf)),
    (np.ndarray, _each(array)),
)
