"""What a checkpoint keeps: it is loaded with ``weights_only=True``, which knows tensors but no arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def as_tensors(state: Any) -> Any:
    """Dicts and lists with their arrays as tensors."""
    return _converted(state, np.ndarray, torch.as_tensor)


def as_arrays(state: Any) -> Any:
    """The inverse of `as_tensors`."""
    return _converted(state, torch.Tensor, lambda tensor: tensor.numpy())


def _converted(value: Any, kind: type, convert: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: _converted(item, kind, convert) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_converted(item, kind, convert) for item in value]
    return convert(value) if isinstance(value, kind) else value
