"""The probe: the fixed images looked at every time, with what people see of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_vis.checking import Typical
from lightning_vis.frames import Inputs
from lightning_vis.observing import keeping_randomness
from lightning_vis.twins import twins_of


class Probe:
    """The images that are looked at every time, with what people see of them.

    Args:
        images: ``(N, C, H, W)`` float, in the model's input scale; or ready-made twins, the same objects on several
            backgrounds, ``(objects, backgrounds, C, H, W)``, with one label and one mask per object.
        labels: ``(N,)`` true classes, if known.
        masks: ``(N, H, W)`` bool or 0..1, 1 on the object, if known. With labels of at least two classes they are enough
            to put each object on the backgrounds of the others.
        backgrounds: by kind, clean plates ``(P, C, H', W')`` in the scale of the images and at least as large, on which
            the objects are pasted; for ready-made twins the names of their backgrounds.
        typical: the class, by name or index, that goes with each kind of background. Without it every object is pasted on
            two plates of each kind, and differences between kinds are measured against those within one.
        name: the first word of its tags in TensorBoard.
        class_names: by class index.
        mean: per channel, undone for the pictures: picture = image x std + mean, in 0..1.
        std: per channel.

    Raises:
        ValueError: shapes that do not fit each other; the message quotes them.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | Sequence[int] | None = None,
        masks: Tensor | None = None,
        backgrounds: Mapping[str, Tensor] | Sequence[str] | None = None,
        typical: Typical | None = None,
        *,
        name: str = "probe",
        class_names: Sequence[str] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        given = _images(images)
        count = given.shape[1] if given.ndim == 5 else 1
        objects = given[:, 0] if given.ndim == 5 else given
        labels = None if labels is None else _labels(labels, len(objects))
        masks = None if masks is None else _masks(masks, objects)
        self.name = name
        self.class_names = tuple(class_names or ())
        self.twins = twins_of(given, labels, masks, backgrounds, typical, self.class_names)
        self.images = given.flatten(0, 1) if given.ndim == 5 else given
        self.labels = None if labels is None else labels.repeat_interleave(count)
        self.masks = None if masks is None else masks.repeat_interleave(count, 0)
        self.mean, self.std = mean, std

    @classmethod
    def from_dataset(
        cls, dataset: Any, n: int = 8, *, indices: Sequence[int] | None = None, seed: int = 0, **arguments: Any
    ) -> Probe:
        """A probe of `n` images of a map-style ``(image, label)`` data set: by index, the classes in turn, seeded.

        Args:
            dataset: with ``__len__`` and ``__getitem__``.
            n: how many images, if no indices are given.
            indices: these images and no others.
            seed: of the choice; no random stream but a private one is touched.
            arguments: the other arguments of `Probe` (``mean=``, ``std=``, ``class_names=``, ``name=``).

        Raises:
            ValueError: items that are not ``(image, label)`` with image a tensor, images of different sizes, no images.
            TypeError: the data set cannot be indexed.
        """
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(
                f"a {type(dataset).__name__} cannot be indexed, so no fixed images can be taken from it:"
                " collect some yourself and pass probe=Probe(images, labels)"
            )
        with keeping_randomness(dataset):
            chosen = list(indices) if indices is not None else _choose(dataset, n, seed)
            items = [_item(dataset, index) for index in chosen]
        shapes = sorted({tuple(image.shape) for image, _ in items})
        if len(shapes) != 1:
            raise ValueError(f"the images of a probe need one size, but those of {type(dataset).__name__} have {shapes or 'none'}")
        labels = [label for _, label in items]
        arguments.setdefault("class_names", getattr(dataset, "classes", None))
        known = None if any(label is None for label in labels) else torch.tensor(labels)
        return cls(torch.stack([image for image, _ in items]), known, **arguments)

    def __len__(self) -> int:
        return len(self.images)

    def inputs(self) -> Inputs:
        """What people see of the probe, as plain arrays."""
        pictures, note = _pictures(self.images, self.mean, self.std)
        labels = None if self.labels is None else self.labels.numpy()
        masks = None if self.masks is None else self.masks.numpy()
        seen = Inputs(self.name, pictures, labels, masks, self.class_names, note)
        if self.twins is None:
            return seen
        grid = self.twins.images[:, :, 0]
        twins, _ = _pictures(grid.flatten(0, 1), self.mean, self.std)
        return replace(seen, twins=twins.reshape(*grid.shape[:2], *twins.shape[1:]), kinds=self.twins.kinds)


def _images(images: Any) -> Tensor:
    images = torch.as_tensor(images)
    if images.ndim not in (4, 5) or not images.numel() or not images.is_floating_point():
        raise ValueError(
            f"Probe(images): expected floating point images (N, C, H, W), at least one; got {images.dtype} {tuple(images.shape)}"
        )
    return images.detach().cpu().clone()


def _labels(labels: Any, count: int) -> Tensor:
    labels = torch.as_tensor(labels).detach().cpu()
    if labels.is_floating_point() and labels.ndim == 2 and labels.shape[1] > 1:
        labels = labels.argmax(1)  # soft labels: the class they favour
    if labels.shape != (count,):
        raise ValueError(f"Probe(labels): expected one class index per image, ({count},); got {tuple(labels.shape)}")
    return labels.long()


def _masks(masks: Any, images: Tensor) -> Tensor:
    masks = torch.as_tensor(masks).detach().cpu().float()
    masks = masks[:, 0] if masks.ndim == 4 and masks.shape[1] == 1 else masks
    expected = (len(images), *images.shape[2:])
    if masks.shape != expected or masks.min() < 0 or masks.max() > 1:
        raise ValueError(f"Probe(masks): expected {expected} with values in 0..1; got {tuple(masks.shape)}")
    return masks.clone()


def _item(dataset: Any, index: int) -> tuple[Tensor, int | None]:
    item = dataset[index]
    image, label = (item[0], item[1] if len(item) > 1 else None) if isinstance(item, (tuple, list)) else (item, None)
    if not isinstance(image, (Tensor, np.ndarray)):
        raise ValueError(
            f"item {index} of {type(dataset).__name__} is a {type(item).__name__} whose image is a {type(image).__name__}:"
            " expected (image, label) with the image a tensor (C, H, W); or pass probe=Probe(images, labels)"
        )
    image = torch.as_tensor(image)
    return image.float() if not image.is_floating_point() else image, _label(label)


def _label(label: Any) -> int | None:
    value = None if label is None else torch.as_tensor(label)
    return int(value) if value is not None and value.numel() == 1 else None


def _choose(dataset: Any, n: int, seed: int) -> list[int]:
    """Classes in turn, in an order that depends on the seed alone."""
    order = np.random.default_rng(seed).permutation(len(dataset)).tolist()
    labels = _known_labels(dataset)
    if labels is None:
        order = order[: 8 * n]  # labels can only be had by loading images: look at a few
        labels = {index: _item(dataset, index)[1] for index in order}
    else:
        labels = {index: labels[index] for index in order}
    return list(_in_turn(order, labels, n))


def _in_turn(order: list[int], labels: dict[int, Any], n: int) -> Iterator[int]:
    classes = sorted({label for label in labels.values() if label is not None}) or [None]
    classes = [classes[round(step)] for step in np.linspace(0, len(classes) - 1, min(n, len(classes)))]
    queues = {label: [index for index in order if labels[index] == label] for label in classes}
    taken = 0
    while taken < n and any(queues.values()):
        for label in classes:
            if queues[label] and taken < n:
                taken += 1
                yield queues[label].pop(0)


def _known_labels(dataset: Any) -> list[int] | None:
    labels = getattr(dataset, "targets", None)
    if labels is None and getattr(dataset, "samples", None) is not None:
        labels = [label for _, label in dataset.samples]
    if labels is None or len(labels) != len(dataset):
        return None
    values = torch.as_tensor(labels)
    return [int(value) for value in values] if values.ndim == 1 else None


def _pictures(images: Tensor, mean: Sequence[float] | None, std: Sequence[float] | None) -> tuple[np.ndarray[Any, Any], str]:
    """Images as ``(N, H, W, 3)`` uint8, and what to say about it."""
    values = images.float().numpy()
    note = ""
    if mean is not None or std is not None:
        values = values * _per_channel(std, 1.0) + _per_channel(mean, 0.0)
    elif values.min() < 0 or values.max() > 1:
        low, high = np.percentile(values, (1, 99), axis=(0, 2, 3), keepdims=True)
        values = (values - low) / np.maximum(high - low, 1e-12)
        note = "display rescaled"
    channels = values.shape[1]
    if channels not in (1, 3):
        values = values[:, :1] if channels == 2 else values[:, :3]
        note = ", ".join(filter(None, (note, f"{values.shape[1]} of {channels} channels shown")))
    values = np.repeat(values, 3, axis=1) if values.shape[1] == 1 else values
    pictures = np.rint(np.nan_to_num(values).clip(0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(pictures.transpose(0, 2, 3, 1)), note


def _per_channel(values: Sequence[float] | None, default: float) -> np.ndarray[Any, Any]:
    return np.asarray([default] if values is None else values, dtype=np.float32).reshape(1, -1, 1, 1)
