"""Which items of a data set are looked at: a few of each class, in turn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_vis.probe.dataset import Item, Key, read_item
from lightning_vis.probe.labels import Labels, known_labels


def pick(dataset: Any, n: int, seed: int = 0, image_key: Key = None, label_key: Key = None) -> list[Item]:
    """`n` items, the classes in turn, in an order that depends on the seed alone; of many classes, evenly spaced ones.

    Where labels can only be had by loading items, a few (8 n) are loaded. Left out, if there are others, are items
    without a label, and those whose mask shows no object, or nothing but the object.
    """
    order = np.random.default_rng(seed).permutation(len(dataset))
    labels = known_labels(dataset)
    if labels is not None:
        return [read_item(dataset, index, image_key, label_key) for index in in_turn(order, labels[order], n, seed)]
    items = [read_item(dataset, int(index), image_key, label_key) for index in order[: 8 * n]]
    items = [item for item in items if item.has_object] or items
    classes = np.array([-1 if item.label is None else item.label for item in items], dtype=np.int64)
    return [items[at] for at in in_turn(np.arange(len(items)), classes, n, seed)]


def in_turn(order: NDArray[Any], labels: Labels, n: int, seed: int = 0) -> list[int]:
    """At most `n` members of `order`, whose classes are `labels`, one of each class in turn."""
    known = np.unique(labels[labels >= 0])
    classes = _spaced(known, n, seed) if len(known) else [-1]
    queues = [order[labels == each][:n].tolist() for each in classes]
    rounds = [queue[at] for at in range(n) for queue in queues if at < len(queue)]
    return rounds[:n]


def _spaced(classes: Labels, n: int, seed: int) -> list[int]:
    """All classes, or `n` at equal distances, from where the seed says."""
    if len(classes) <= n:
        return [int(each) for each in classes]
    first = int(np.random.default_rng(seed).integers(len(classes)))
    return sorted(int(classes[(first + at * len(classes) // n) % len(classes)]) for at in range(n))
