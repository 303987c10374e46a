"""Tensors in nests of batches, arguments and answers, and the paths to them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Path = tuple[str | int, ...]
"""Keys of mappings, names of fields or attributes, indices."""

DEEPEST = 5
"""Containers within containers."""
LONGEST = 4096
"""Items of a list that is opened: longer ones are data, not nests."""

PLAIN = frozenset({int, float, bool, str, bytes, type(None), slice, torch.dtype, torch.device, torch.Size})
"""What holds no tensors."""


class Field(str):
    """A name that is reached with a dot, not with brackets; equal to the plain word."""

    __slots__ = ()


def leaves(value: Any, path: Path = (), depth: int = 0) -> Iterator[tuple[Path, Tensor]]:
    """All tensors of a nest with the paths to them, in order.

    Opened are mappings, tuples, named tuples, lists, dataclasses and plain objects that hold tensors, at most five deep.
    """
    if isinstance(value, Tensor):
        yield path, value
    elif depth < DEEPEST and type(value) not in PLAIN:  # most arguments: asking costs more than a look at their kind
        for key, part in parts(value):
            yield from leaves(part, (*path, key), depth + 1)


def parts(value: Any) -> list[tuple[str | int, Any]]:
    """What stands directly in a container, by key; nothing if it is none."""
    if isinstance(value, Mapping):
        return [(key, part) for key, part in value.items() if isinstance(key, (str, int))]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [(Field(name), getattr(value, name)) for name in value._fields]
    if isinstance(value, (list, tuple)):
        return [*enumerate(value)] if len(value) <= LONGEST else []
    if isinstance(value, (nn.Module, type)) or callable(value):
        return []
    if dataclasses.is_dataclass(value):
        named = [(field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value)]
        return [(Field(name), part) for name, part in named]
    return [(Field(name), part) for name, part in _attributes(value).items()]


def _attributes(value: Any) -> dict[str, Any]:
    """Of an object that holds tensors itself or in a mapping: any other, a Trainer for instance, would be a long way."""
    found: dict[str, Any] = getattr(value, "__dict__", {})
    near = [part for each in found.values() for part in (each.values() if type(each) is dict else (each,))]
    return found if any(isinstance(part, Tensor) for part in near[:LONGEST]) else {}


def at(value: Any, path: Path, root: str = "batch") -> Any:
    """What stands at a place; names of mappings, fields and attributes are all found by plain words.

    Raises:
        LookupError: there is nothing; one sentence that names what there is instead.
    """
    for depth, key in enumerate(path):
        known = dict(parts(value))
        if key not in known and not (isinstance(key, int) and _has(value, key)):
            there = written(path[:depth], root)
            raise LookupError(f"there is no {written(path[: depth + 1], root)}: {there} is {_described(value, known)}")
        value = known[key] if key in known else value[key]
    return value


def canonical(value: Any, path: Path, root: str = "batch") -> Path:
    """A place as `leaves` names it: counted from the front, a field by its name.

    Raises:
        LookupError: as `at`.
    """
    at(value, path, root)
    found: Path = ()
    for key in path:
        keys = [each for each, _ in parts(value)]
        named = key if key in keys else keys[int(key)] if keys else int(key) % len(value)
        found, value = (*found, named), at(value, (key,))
    return found


def _has(value: Any, index: int) -> bool:
    return isinstance(value, (list, tuple)) and -len(value) <= index < len(value)


def _described(value: Any, known: dict[str | int, Any]) -> str:
    kind = type(value).__name__
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return f"a {kind} of {len(value)}"
    names = [f'"{key}"' if isinstance(key, str) else str(key) for key in known]
    return f"a {kind} with {', '.join(names[:12])}" if names else f"a {kind}"


def replaced(value: Any, path: Path, by: Any) -> Any:
    """The nest with one leaf exchanged: containers on the way are made anew, what was given stays as it is.

    Raises:
        LookupError: the place is not there.
    """
    if not path:
        return by
    at(value, path)
    known = dict(parts(value))
    key = path[0] if path[0] in known else int(path[0]) % len(value)  # counted from the end
    return rebuilt(value, known | {key: replaced(known[key], path[1:], by)})


def rebuilt(value: Any, by: dict[str | int, Any]) -> Any:
    """A container of the same kind with these parts."""
    if isinstance(value, tuple):
        return value._make(by.values()) if hasattr(value, "_make") else type(value)(by.values())
    try:
        new = copy.copy(value)
        for key, part in by.items():
            _put(new, key, part)
    except TypeError:
        if not isinstance(value, Mapping):
            raise
        return dict(value) | by  # it was a read-only one
    return new


def _put(container: Any, key: str | int, part: Any) -> None:
    if isinstance(container, Mapping) or isinstance(key, int):
        container[key] = part
    else:
        object.__setattr__(container, key, part)  # frozen dataclasses too


def rows_of(value: Any, rows: Tensor, count: int) -> Any:
    """The nest with rows picked: of tensors (count, ...) and of lists of `count` items; all else as it is.

    Args:
        value: any nest.
        rows: (M,) whole numbers below `count`.
        count: how many rows there are.
    """
    return _rows_of(value, rows, count, 0)


def _rows_of(value: Any, rows: Tensor, count: int, depth: int) -> Any:
    if isinstance(value, Tensor):
        return value[rows.to(value.device)] if value.ndim and len(value) == count else value
    if _is_column(value, count):
        return type(value)(value[row] for row in rows.tolist())
    known = dict(parts(value)) if depth < DEEPEST else {}
    picked = {key: _rows_of(part, rows, count, depth + 1) for key, part in known.items()}
    return rebuilt(value, picked) if any(picked[key] is not known[key] for key in known) else value


def _is_column(value: Any, count: int) -> bool:
    """A list with one item per row, not one of columns that have as many rows as there are columns."""
    if type(value) not in (list, tuple) or len(value) != count:
        return False
    return not any(isinstance(each, (Tensor, list)) and _length(each) == count for each in value)


def _length(value: Any) -> int:
    return (
        int(value.shape[0])
        if isinstance(value, torch.Tensor) and value.ndim
        else 0
        if isinstance(value, Tensor)
        else len(value)
    )


def on_cpu(value: Any, depth: int = 0) -> Any:
    """The nest with its tensors as copies on the CPU, without a graph."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    known = parts(value) if depth < DEEPEST else []
    return rebuilt(value, {key: on_cpu(part, depth + 1) for key, part in known}) if known else value


def thawed(value: Any) -> Any:
    """The nest with tensors that were made in inference mode as copies, made outside of it, which a graph may keep."""
    with torch.inference_mode(False):
        for path, tensor in leaves(value):
            if tensor.is_inference():
                value = replaced(value, path, tensor.clone())
    return value


def written(path: Path, root: str = "batch") -> str:
    """A place as one would write it in Python: ``batch["targets"]["age"]``, ``batch[1]``, ``batch.image``."""
    return root + "".join(_step(key) for key in path)


def _step(key: str | int) -> str:
    if isinstance(key, Field):
        return f".{key}"
    return f'["{key}"]' if isinstance(key, str) else f"[{key}]"
