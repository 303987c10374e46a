"""Anything that a training holds, as plain values that can be compared between two runs."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

PLAIN = (bool, int, float, complex, bytes, type(None), torch.dtype, torch.device, torch.Size)


def encoded(value: Any, depth: int = 5) -> Any:
    """A value as nested tuples of strings: equal where the values are bit-identical."""
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, str):
        return value
    if isinstance(value, Tensor):
        return _tensor(value)
    if isinstance(value, np.ndarray):
        return ("array", str(value.dtype), value.shape, digest(np.ascontiguousarray(value).tobytes()))
    return _container(value, depth) if depth else type(value).__name__


def digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _tensor(value: Tensor) -> tuple[Any, ...]:
    if nn.parameter.is_lazy(value) or value.is_meta:
        return ("tensor without values", str(value.dtype))
    if value.layout != torch.strided:
        return ("sparse", _tensor(value.detach().to_dense()))
    if hasattr(value, "to_local"):
        return ("part", tuple(value.shape), _tensor(value.detach().to_local()))
    if value.numel() and not value.untyped_storage().nbytes():
        return ("tensor whose memory is given back", str(value.dtype), tuple(value.shape))
    # A copy: memory that NumPy has seen can be given back no more, which FSDP does.
    plain = value.detach().clone().cpu().contiguous().reshape(-1)
    data = b"" if not plain.numel() else plain.view(torch.uint8).numpy().tobytes()
    return ("tensor", str(value.dtype), tuple(value.shape), value.stride(), value.requires_grad, digest(data))


def _container(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return tuple((encoded(key, depth - 1), encoded(item, depth - 1)) for key, item in value.items())
    if isinstance(value, (list, tuple, deque)):
        return (type(value).__name__, *(encoded(item, depth - 1) for item in value))
    if isinstance(value, (set, frozenset)):
        return ("set", *sorted(map(repr, value)))
    if isinstance(value, torch.Generator):
        return _tensor(value.get_state())
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return repr(value.get_state())
    if isinstance(value, random.Random):
        return digest(repr(value.getstate()).encode())
    return _object(value, depth)


def _object(value: Any, depth: int) -> Any:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, nn.Module) or callable(value):
        return getattr(value, "__qualname__", kind)
    if "torture" in kind or "torchmetrics" in kind:
        names = vars(value) if hasattr(value, "__dict__") else type(value).__slots__
        return (kind, *((name, encoded(getattr(value, name), depth - 1)) for name in names))
    return kind
