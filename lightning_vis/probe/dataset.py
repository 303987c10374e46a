"""Items of a data set: images and labels by index, classes in turn, scaling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from lightning_vis.constants import BACKGROUND_CLASSES
from lightning_vis.probe.labels import read_label

Scaling = tuple[tuple[float, ...], tuple[float, ...]]


Key = str | int | None


@dataclass(frozen=True)
class Item:
    """One item of a data set: its index, image ``(C, H, W)``, class and mask ``(H, W)``, as far as they are known."""

    index: int
    image: Tensor
    label: int | None = None
    mask: Tensor | None = None

    @property
    def has_object(self) -> bool:
        """Whether its mask shows an object in front of something; True without a mask."""
        return self.mask is None or 0 < float(self.mask.mean()) <= 0.98


def check_indexable(dataset: Any) -> None:
    """TypeError if no item can be had by its index."""
    can = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
    if not can or isinstance(dataset, (IterableDataset, Mapping, str)) or getattr(dataset, "shape", True) == ():
        raise TypeError(
            f"a {type(dataset).__name__} cannot be indexed, so no fixed images can be taken from it:"
            " collect some yourself and pass probe=Probe(images, labels)"
        )


def read_item(dataset: Any, index: int, image_key: Key = None, label_key: Key = None) -> Item:
    """One item; a label map ``(H, W)`` becomes the mask of its largest foreground class, and that class the label.

    Args:
        dataset: with ``(image, label)`` items, dicts, or images alone.
        index: which one.
        image_key: where the image is in an item, if not first.
        label_key: where the label is, if not second.

    Raises:
        ValueError: there is no image ``(C, H, W)`` where it should be.
    """
    item = dataset[index]
    image = _part(item, 0, image_key)
    if isinstance(item, dict):
        _check_keys(item, f"item {index} of {type(dataset).__name__}", image_key, label_key)
    if not isinstance(image, (Tensor, np.ndarray)):
        raise ValueError(
            f"item {index} of {type(dataset).__name__} is a {type(item).__name__} whose image is a"
            f" {type(image).__name__}: expected (image, label) with the image a tensor (C, H, W);"
            " or pass probe=Probe(images, labels)"
        )
    image = torch.as_tensor(image)
    image = image if image.is_floating_point() else image.float()
    size = (int(image.shape[-2]), int(image.shape[-1])) if image.ndim > 1 else (0, 0)
    return Item(index, image, *read_label(_part(item, 1, label_key), size))


def _check_keys(item: dict[Any, Any], of: str, image_key: Key, label_key: Key) -> None:
    wrong = {"image_key": image_key, "label_key": label_key}.items()
    missing = "".join(f", without {name}={key!r}" for name, key in wrong if key is not None and key not in item)
    if image_key is None or missing:
        raise ValueError(
            f"{of} is a dict with {', '.join(map(repr, item))}{missing}:"
            " say where image and label are with Probe.from_dataset(data, image_key=..., label_key=...)"
        )


def scaling_of(dataset: Any) -> Scaling | None:
    """Mean and standard deviation of the normalisation among a data set's transforms; None if there is none.

    It is anything with numbers in ``.mean`` and ``.std`` that is reached through ``.transform`` and ``.transforms``.
    """
    for each in _transforms(dataset, set()):
        mean, std = _numbers(getattr(each, "mean", None)), _numbers(getattr(each, "std", None))
        if mean and std:
            return mean, std
    return None


def _part(item: Any, position: int, key: Key) -> Any:
    """The image or the label of an item; None where there is none."""
    if key is not None:
        return item[key] if not isinstance(item, dict) or key in item else None
    if isinstance(item, (tuple, list)):
        return item[position] if len(item) > position else None
    return item if position == 0 else None


def _transforms(owner: Any, seen: set[int]) -> Iterator[Any]:
    if owner is None or id(owner) in seen or isinstance(owner, (str, bytes, Tensor, np.ndarray)):
        return
    seen.add(id(owner))
    yield owner
    for name in ("transform", "transforms", "dataset", "subset", "datasets"):
        yield from _transforms(getattr(owner, name, None), seen)
    if isinstance(owner, (list, tuple, torch.nn.Sequential)):
        for each in owner:
            yield from _transforms(each, seen)


def _numbers(values: Any) -> tuple[float, ...] | None:
    if isinstance(values, (Tensor, np.ndarray)):
        values = values.reshape(-1).tolist()
    values = [values] if isinstance(values, (int, float)) else values
    is_numbers = isinstance(values, Sequence) and all(isinstance(each, (int, float)) for each in values)
    return tuple(map(float, values)) if is_numbers and not isinstance(values, str) else None


def named(class_names: Sequence[str], items: Iterable[Item]) -> tuple[str, ...]:
    """Class names; where nobody knows them but labels are label maps, the first is the background."""
    return tuple(class_names) or (BACKGROUND_CLASSES if any(item.mask is not None for item in items) else ())


def stacked(items: Iterable[Item], of: str) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Images ``(N, C, H, W)``, labels ``(N,)`` and masks ``(N, H, W)``; None for what is not known of every item.

    Masks are None too if one of them shows no object: then nothing can be measured against them.

    Args:
        items: in order.
        of: the data set's name, for the message.

    Raises:
        ValueError: images of different sizes, or none.
    """
    items = list(items)
    shapes = sorted({tuple(item.image.shape) for item in items})
    if not shapes:
        raise ValueError(f"a probe needs at least one image, but {of} has none")
    if len(shapes) != 1:
        raise ValueError(f"the images of a probe need one size, but those of {of} have {shapes}")
    labels = [item.label for item in items if item.label is not None]
    masks = [item.mask for item in items if item.mask is not None and item.has_object]
    complete = len(items)
    return (
        torch.stack([item.image for item in items]),
        torch.tensor(labels) if len(labels) == complete else None,
        torch.stack(masks) if len(masks) == complete else None,
    )
