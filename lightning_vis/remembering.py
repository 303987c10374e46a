"""What puts Python objects back as they were: the contents of containers, tensors, arrays, random generators."""

from __future__ import annotations

import argparse
import random
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

Restore = Callable[[], None]

LARGEST = 1000
"""A longer list or dict is put back itself, but what its items hold is not looked into: it is data, not state."""


def remember(roots: Iterable[Any], known: Iterable[Any] = (), *, values: bool = True) -> list[Restore]:
    """What puts everything reachable from `roots` back: attributes, containers, tensors, arrays, random generators.

    Reached are modules, data sets and objects of the user's own classes; not those of installed packages and of the
    standard library, behind which threads, files and the whole Trainer live.

    Args:
        roots: modules, or other objects whose attributes may change.
        known: tensors that are taken care of elsewhere.
        values: also copy tensors and arrays; without, only which ones there are is kept.
    """
    roots = list(roots)
    seen: dict[int, Any] = {id(value): value for value in known}
    restores: list[Restore] = []
    owners = frozenset(map(_package, roots))
    for root in roots:
        _remember(root, seen, restores, owners, values)
    return restores


def _remember(value: Any, seen: dict[int, Any], restores: list[Restore], owners: frozenset[str], values: bool) -> None:
    """Adds to `restores` what puts `value`, and everything in it, back; `seen` also keeps the objects alive, for their ids."""
    if id(value) in seen or isinstance(value, (int, float, str, bytes, type(None), type)):
        return
    seen[id(value)] = value
    restores.extend(keep(value) for keep in _keepers(type(value), values))
    for item in _items(value, owners):
        _remember(item, seen, restores, owners, values)


def _items(value: Any, owners: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return tuple(value.values()) if len(value) <= LARGEST else ()
    if isinstance(value, (list, tuple, set, deque)):
        return tuple(value) if len(value) <= LARGEST else ()
    if isinstance(value, nn.Module) or _is_own(value, owners):
        return (vars(value),)
    return ()


def _is_own(value: Any, owners: frozenset[str]) -> bool:
    """Whether this is an object of the user's own class, or of the package that the network comes from."""
    if not hasattr(value, "__dict__") or isinstance(value, (Tensor, types.ModuleType, types.FunctionType, types.MethodType)):
        return False
    if isinstance(value, (types.SimpleNamespace, argparse.Namespace)):
        return True
    homes = {base.__module__.partition(".")[0] for base in type(value).__mro__[:-1]} - _NEUTRAL
    # Data sets are of torch's, but hold the user's state; what else is of torch's or Lightning's is not.
    homes -= {"torch"} if isinstance(value, Dataset) else set()
    return all(home in owners or not _is_installed(home) for home in homes)


_NEUTRAL = {"abc", "typing", "collections", "enum", "dataclasses"}
_FRAMEWORKS = {"torch", "pytorch_lightning", "lightning", "lightning_fabric", "lightning_vis"}


def _is_installed(package: str) -> bool:
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    known = package in _FRAMEWORKS or package in sys.stdlib_module_names or package in sys.builtin_module_names
    return known or "site-packages" in file or "dist-packages" in file


def _package(value: Any) -> str:
    package = type(value).__module__.partition(".")[0]
    return "" if package in _FRAMEWORKS else package


def tensor(value: Tensor) -> Restore:
    """What puts a tensor back: its memory, bit by bit what it said there if that has changed, and no graph hanging on it."""
    return tensor_after(value, [contents(value)])


def tensor_after(value: Tensor, steps: list[Restore]) -> Restore:
    """What gives a tensor its memory back and then takes these steps."""
    same, was_leaf = value.detach(), value.is_leaf

    def restore() -> None:
        if was_leaf and not value.is_leaf:
            value.detach_()  # written to in place from an image that requires grad: the graph would live on in it
        if memory(value) != memory(same) or value.shape != same.shape:
            value.data = same
        for step in steps:
            step()

    return restore


def contents(value: Tensor) -> Restore:
    """What writes a tensor's present values to its memory again, if they have changed."""
    same, kept = value.detach(), value.detach().clone()

    def restore() -> None:
        with torch.no_grad():
            if not _same_bits(same, kept):
                same.copy_(kept)

    return restore


def memory(value: Tensor) -> int:
    """Tells apart where tensors keep their values; 0 for those that have no one place (sharded, sparse)."""
    plain = type(value.data) is Tensor and value.layout == torch.strided
    return int(value.untyped_storage()._cdata) if plain else 0


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """NaN equals NaN, and 0 is not -0: what has not changed is not written, so that a graph that needs it stays valid."""
    integer = _INTEGERS.get(one.element_size())
    if integer is None or one.layout != torch.strided or one.is_quantized or one.stride() != other.stride():
        return one.shape == other.shape and torch.equal(one, other)
    return torch.equal(one.view(integer), other.view(integer))


_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def _leaf(value: Tensor) -> Restore:
    """A tensor that is nobody's parameter: its values, and its gradient if it collects one."""
    values = tensor(value)
    if not value.is_leaf:
        return values
    gradient = value.grad
    inner = None if gradient is None else tensor(gradient)

    def restore() -> None:
        values()
        value.grad = gradient
        if inner is not None:
            inner()

    return restore


def _array(value: np.ndarray[Any, Any]) -> Restore:
    kept = value.copy()
    return lambda: None if np.array_equal(value, kept) else np.copyto(value, kept)


def _dict(value: dict[Any, Any]) -> Restore:
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


_STATE: tuple[tuple[Any, Callable[[Any], Restore]], ...] = (
    (dict, _dict),
    ((list, deque), _sequence),
    (set, _set_of),
    (torch.Generator, _torch_generator),
    (np.random.Generator, _bit_generator),
    (np.random.RandomState, _old_generator),
    (random.Random, _python_generator),
)

_VALUES: tuple[tuple[Any, Callable[[Any], Restore]], ...] = ((Tensor, _leaf), (np.ndarray, _array))


def _keepers(kind: type, values: bool) -> tuple[Callable[[Any], Restore], ...]:
    # Not cached by kind: a parametrized layer has a class of its own, which a cache would keep alive, and the layer with it.
    return tuple(keep for base, keep in (*_STATE, *(_VALUES if values else ())) if issubclass(kind, base))


def put_back(restores: Sequence[Restore]) -> None:
    """Takes all steps, the last one first; none depends on another, and the first error is raised after the last step."""
    errors: list[BaseException] = []
    for restore in reversed(restores):
        try:
            restore()
        except BaseException as error:  # Ctrl-C too: half of a network put back is worse than a moment more
            errors.append(error)
    if errors:
        raise errors[0]


def random_streams() -> Iterator[Restore]:
    """What puts the global random streams of Python, NumPy and torch back."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield lambda: random.setstate(python)
    yield lambda: np.random.set_state(numpy)
    yield lambda: torch.set_rng_state(cpu)
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        cuda = torch.cuda.get_rng_state_all()
        yield lambda: torch.cuda.set_rng_state_all(cuda)


def _none(_: Any) -> None:
    return None
