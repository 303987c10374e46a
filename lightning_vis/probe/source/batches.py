"""Batches of chosen items: by index, else out of further batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from lightning_vis.model.places import leaves, on_cpu, rebuilt, rows_of
from lightning_vis.model.places import parts as parts_of

MOST = 16
"""Further batches that are read."""


def is_stream(loader: Any) -> bool:
    """Whether data can be read once only, as far as one can know without reading."""
    dataset = getattr(loader, "dataset", None)
    return isinstance(dataset, IterableDataset) or not hasattr(loader, "__iter__") or hasattr(loader, "__next__")


def collater(loader: Any) -> Any:
    """What makes a batch of a list of items; None where a loader does not make its batches so."""
    is_batched = getattr(loader, "batch_size", None) or getattr(loader, "batch_sampler", None) is not None
    return _collate(loader) if is_batched else None


def _collate(loader: Any) -> Any:
    """What makes a batch of whatever has an index; None where nothing has one."""
    dataset, collate = getattr(loader, "dataset", None), getattr(loader, "collate_fn", None)
    is_map = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__") and not isinstance(dataset, IterableDataset)
    return collate if is_map and callable(collate) else None


def batch_size_of(loader: Any, otherwise: int = 8) -> int:
    """How many items a batch has, as far as a loader or its batch sampler tells."""
    told = getattr(loader, "batch_size", None) or getattr(getattr(loader, "batch_sampler", None), "batch_size", None)
    return told if isinstance(told, int) else otherwise


def has_same_form(one: Any, other: Any) -> bool:
    """Whether two batches hold the same kinds of tensors at the same places, however many rows each has."""
    forms = [{path: (tensor.dtype, tensor.shape[1:]) for path, tensor in leaves(each)} for each in (one, other)]
    return bool(forms[0]) and forms[0] == forms[1]


def can_begin(loader: Any, *, is_read: bool) -> bool:
    """Whether the first batches can be had again without anybody's noticing.

    Args:
        loader: that no stream is behind.
        is_read: whether somebody is reading it; a fresh iterator may then end the one that is being read.
    """
    return not is_read or isinstance(loader, (list, tuple)) or _collate(loader) is not None


def further(loader: Any, most: int = MOST) -> Iterator[Any]:
    """Batches from the first: of data whose items are batches by index, else of a fresh iterator."""
    collate = _collate(loader)
    if collate is None:
        return islice(iter(loader), most)
    return (collate(loader.dataset[each]) for each in range(min(most, len(loader.dataset))))


def owners_of(loader: Any) -> tuple[Any, ...]:
    """What may draw and count when batches are made of items, or begun anew."""
    dataset = getattr(loader, "dataset", None)
    return (dataset,) if isinstance(loader, DataLoader) else (dataset, loader)  # torch's own is never iterated


def shuffled(count: int, seed: int = 0) -> list[int]:
    """All indices, in an order of its own that touches no random stream."""
    return [int(each) for each in np.random.default_rng(seed).permutation(count)]


def rows_in(batch: Any, rows: Sequence[int], count: int) -> Any:
    """Some rows of a batch, on the CPU, as copies."""
    return on_cpu(rows_of(batch, torch.tensor(list(rows)), count))


def joined(batches: Sequence[Any], counts: Sequence[int]) -> Any:
    """Several batches as one: tensors and lists with a row for each image one behind the other, others as in the first."""
    first = batches[0]
    if isinstance(first, Tensor):
        is_by_row = all(each.ndim and len(each) == count for each, count in zip(batches, counts, strict=True))
        return torch.cat(list(batches)) if is_by_row else first
    is_column = isinstance(first, list) and not any(isinstance(part, Tensor) for part in first)
    if is_column and all(len(each) == count for each, count in zip(batches, counts, strict=True)):
        return [part for each in batches for part in each]
    known = parts_of(first)
    if not known:
        return first
    others = [dict(parts_of(each)) for each in batches]
    return rebuilt(first, {key: joined([each[key] for each in others], counts) for key, _ in known})
