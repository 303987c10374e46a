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
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_vis.model.snapshot.tensors import Restore, array, leaf


def restorers_of(found: Iterable[tuple[Any, float]]) -> list[Restore]:
    """What puts all that was found back: attributes, containers, variables, tensors, arrays, random generators."""
    kept = [value for value, most in found if _size_of(value) <= most]
    # Not known for longer: a parametrized layer has a class of its own, which would live on, and the layer with it.
    known = {kind: makers_of(kind) for kind in set(map(type, kept))}
    return [keep(value) for value in kept for keep in known[type(value)]]


def _size_of(value: Any) -> int:
    """Bytes, of what can be large."""
    if isinstance(value, bytearray):
        return len(value)
    return value.nbytes if isinstance(value, (Tensor, np.ndarray)) else 0


def restore_all(restores: Sequence[Restore]) -> None:
    """Takes all steps, the last one first; none depends on another, and the first error is raised after the last step."""
    errors: list[BaseException] = []
    with _uninterrupted():
        for restore in reversed(restores):
            try:
                restore()
            except BaseException as error:
                errors.append(error)
    if errors:
        raise errors[0]


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


_SIGNALS: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


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
        bases = [vars(base) for base in type(self.owner).__mro__ if "__slots__" in vars(base)]
        slots = [each for base in bases for each in base.values() if isinstance(each, types.MemberDescriptorType)]
        found = {slot: _got(slot, self.owner) for slot in slots}
        return {slot: each for slot, each in found.items() if each is not _MISSING}


def _got(slot: Any, owner: Any) -> Any:
    try:
        return slot.__get__(owner)
    except AttributeError:
        return _MISSING


def makers_of(kind: type) -> list[Callable[[Any], Restore]]:
    """Each makes what puts one side of a value of this kind back."""
    return [keep for base, keep in _RESTORERS if issubclass(kind, base)]


def mapping(value: dict[Any, Any]) -> Restore:
    """What puts the items of a dict back, and their order."""
    kept = dict(value)

    def restore() -> None:
        if not _same_items([*value.items()], [*kept.items()]):
            value.clear()
            value.update(kept)

    return restore


def _sequence(value: list[Any] | deque[Any]) -> Restore:
    kept = list(value)

    def restore() -> None:
        if not _same_items([(None, item) for item in value], [(None, item) for item in kept]):
            value.clear()
            value.extend(kept)

    return restore


def _bytes(value: bytearray) -> Restore:
    kept = bytes(value)

    def restore() -> None:
        if value != kept:
            value[:] = kept

    return restore


def _set_of(value: set[Any]) -> Restore:
    kept = set(value)

    def restore() -> None:
        if value != kept:
            value.clear()
            value.update(kept)

    return restore


def _same_items(now: list[tuple[Any, Any]], then: list[tuple[Any, Any]]) -> bool:
    return len(now) == len(then) and all(
        key is other_key and value is other for (key, value), (other_key, other) in zip(now, then, strict=True)
    )


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


_RESTORERS: tuple[tuple[Any, Callable[[Any], Restore]], ...] = (
    (dict, mapping),
    ((list, deque), _sequence),
    (set, _set_of),
    (bytearray, _bytes),
    (type, _class),
    (types.CellType, _cell),
    (Variables, _variables),
    (Slots, _slots),
    (torch.Generator, _torch_generator),
    (np.random.Generator, _bit_generator),
    (np.random.RandomState, _old_generator),
    (random.Random, _python_generator),
    (Tensor, leaf),
    (np.ndarray, array),
)
