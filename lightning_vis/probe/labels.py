"""Class labels out of labels of any kind; class names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_vis.arguments import plain

IGNORED = 255
"""In label maps, the value of pixels that belong to no class."""


Labels = NDArray[np.int64]


def read_label(value: Any, size: tuple[int, int] = (0, 0)) -> tuple[int | None, Tensor | None]:
    """The class that a label means, and the mask ``(H, W)`` of a label map of the image's size; None where unknown.

    Classes are single numbers of any type, one-hot and soft vectors (the class they favour), and label maps (the
    largest foreground class; 0 is the background, 255 and what is below 0 no class, but for 255 beside nothing but 0).
    """
    try:
        label = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return None, None
    if label.ndim >= 2 and tuple(label.shape[-2:]) == size and label.numel() == size[0] * size[1] > 1:
        return _read_map(label.reshape(size))
    return _read_class(label), None


def known_labels(dataset: Any) -> Labels | None:
    """The classes of all items, ``(len,)``, negative where unknown; None if only loading the items would tell.

    Read are ``.targets``, ``.labels``, the second of ``.samples`` and of ``TensorDataset.tensors``, also through
    ``Subset``, ``ConcatDataset`` and wrappers that have the whole data set as ``.dataset``.
    """
    for values in _columns(dataset):
        labels = _as_classes(values)
        if labels is not None and len(labels) == len(dataset):
            return labels
    parts = getattr(dataset, "datasets", None)
    if isinstance(parts, (list, tuple)) and parts:
        found = [known_labels(part) for part in parts]
        every = [each for each in found if each is not None]
        return np.concatenate(every) if len(every) == len(parts) else None
    inner = inner_of(dataset)
    labels = None if inner is None else known_labels(inner)
    if labels is not None and getattr(dataset, "indices", None) is not None:
        labels = labels[np.asarray(dataset.indices, dtype=np.int64)]
    return labels if labels is not None and len(labels) == len(dataset) else None


def class_names_of(owner: Any) -> tuple[str, ...]:
    """Class names as data sets and datamodules keep them; empty if there are none, or if parts of a data set differ."""
    for name in ("class_names", "classes"):
        names = plain(getattr(owner, name, None))
        if isinstance(names, (list, tuple)) and names:
            return tuple(str(each[0] if isinstance(each, (list, tuple)) and each else each) for each in names)
    parts = getattr(owner, "datasets", None) or ()
    found = {class_names_of(part) for part in parts} if isinstance(parts, (list, tuple)) else set()
    if len(found) == 1:
        return found.pop()
    inner = inner_of(owner)
    return () if inner is None else class_names_of(inner)


def inner_of(dataset: Any) -> Any:
    """The data set that a subset or a wrapper takes its items from."""
    own = getattr(dataset, "__dict__", {})
    return own.get("dataset", own.get("subset"))


def _read_class(label: Tensor) -> int | None:
    if label.numel() == 1:
        number = float(label)
        return int(number) if number >= 0 and number.is_integer() else None
    shares = label.float()
    if label.ndim != 1 or not label.numel() or float(shares.min()) < 0 or abs(float(shares.sum()) - 1) > 1e-3:
        return None
    return int(shares.argmax())


def _read_map(label: Tensor) -> tuple[int | None, Tensor | None]:
    values, counts = torch.unique(label, return_counts=True)
    if label.is_floating_point() and not set(values.tolist()) <= {0.0, 1.0}:
        return None, None  # depth, say, but no classes
    if set(values.tolist()) == {0, IGNORED}:
        label, values = (label == IGNORED).long(), values.clamp(max=1)
    else:
        counts = counts * ((values != IGNORED) & (values > 0))
    counts = counts * (values > 0)
    largest = int(values[counts.argmax()]) if int(counts.max()) > 0 else 0
    return largest, (label == largest).float() * (largest > 0)


def _columns(dataset: Any) -> Iterator[Any]:
    for name in ("targets", "labels"):
        if getattr(dataset, name, None) is not None:
            yield getattr(dataset, name)
    samples, tensors = getattr(dataset, "samples", None), getattr(dataset, "tensors", None)
    if isinstance(samples, (list, tuple)) and all(isinstance(each, (list, tuple)) for each in samples):
        yield [each[1] if len(each) > 1 else -1 for each in samples]
    if isinstance(tensors, (list, tuple)) and len(tensors) > 1:
        yield tensors[1]


def _as_classes(values: Any) -> Labels | None:
    try:
        found = np.asarray(values)
    except (TypeError, ValueError, RuntimeError):
        return None
    if found.ndim == 2:
        found = found[:, 0] if found.shape[1] == 1 else found.argmax(1) if found.dtype.kind == "f" else found
    if found.ndim != 1 or found.dtype.kind not in "iubf" or (found.dtype.kind == "f" and (found % 1 != 0).any()):
        return None
    return found.astype(np.int64)
