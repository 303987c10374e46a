"""Restores tensors and arrays, writing only where something has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Restore = Callable[[], None]


def tensor(value: Tensor) -> Restore:
    """What puts a tensor back: its memory, bit by bit what it said there if that has changed, and no graph hanging on it."""
    same = value.detach()
    return tensor_after(value, same, [contents(same)])


def tensor_after(value: Tensor, same: Tensor, steps: list[Restore]) -> Restore:
    """What gives a tensor its memory back and then takes these steps; `same` is the tensor as it is, detached."""
    was_leaf = value.is_leaf

    def restore() -> None:
        if was_leaf and not value.is_leaf:
            value.detach_()  # written to in place from an image that requires grad: the graph would live on in it
        if memory(value) != memory(same) or value.shape != same.shape:
            value.data = same
        for step in steps:
            step()

    return restore


def contents(same: Tensor) -> Restore:
    """What writes the present values of a detached tensor to its memory again, if they have changed."""
    kept = same.clone()

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


def leaf(value: Tensor) -> Restore:
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


def array(value: np.ndarray[Any, Any]) -> Restore:
    """What puts an array's values back, bit by bit what they were if they have changed."""
    kept = value.copy()
    return lambda: None if _same_bytes(value, kept) else np.copyto(value, kept)


def _same_bytes(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    """As `_same_bits`; an array of objects holds addresses, so that the same bytes are the same objects."""
    if one.itemsize in _INTEGERS and not one.dtype.hasobject and one.dtype == other.dtype:
        return np.array_equal(one.view(f"i{one.itemsize}"), other.view(f"i{one.itemsize}"))  # spares copies of large ones
    return one.shape == other.shape and one.tobytes() == other.tobytes()
