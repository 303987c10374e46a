"""A pool: images and classes beside the probe, of which experiments are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_vis.model.answer.classes import classes_in
from lightning_vis.model.call import Call
from lightning_vis.probe.labels import Labels, known_labels
from lightning_vis.probe.selection import in_turn
from lightning_vis.probe.source.batches import collater, joined, shuffled
from lightning_vis.probe.source.images import Chosen, Taken, class_of, taken_from
from lightning_vis.probe.source.source import Asked, Source
from lightning_vis.probe.source.step_call import StepCall
from lightning_vis.probe.witness.testimony import Testimony

LEAST, MOST = 48, 96
"""Images of a pool, fewer where the data have no more."""
PER_CLASS = 12
"""Images of each class, more where there are few classes."""
CLASSES = 8
"""Classes, the most frequent ones: of more there would be too few images each."""
READ = 256
"""Items that are read at most where only reading tells their class."""
PART = 24
"""Images that the user's step is given at a time."""


@dataclass(frozen=True)
class Pool:
    """Images beside the probe, on the CPU, and how the network is run on them.

    Attributes:
        images: ``(P, C, H, W)`` in the model's input scale.
        labels: ``(P,)`` their classes.
        forward: images -> output, a row of its other arguments for each of the pool; None: by calling the model.
        note: which classes, where it does not hold all of them; else empty.
        masks: ``(P, H, W)`` in 0..1, 1 on the object, if they are known.
    """

    images: Tensor
    labels: Tensor
    forward: Callable[[Tensor], Any] | None = None
    note: str = ""
    masks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)


def pool_of(it: Testimony, module: nn.Module, source: Source, asked: Asked) -> Pool:
    """A pool out of a Trainer's data, by index; nothing is iterated, and the images are always the same ones.

    Args:
        it: what the step does with a batch.
        module: the Lightning module.
        source: of the Trainer.
        asked: what the user said.

    Raises:
        LookupError: there can be none, and what would help.
    """
    collate = collater(source.loader)
    if collate is None:
        raise LookupError("the data have no index: a validation set whose items can be had by index is needed")
    if not source.is_alone:
        raise LookupError("one of several processes does not run the step alone: trainer.validate in one process can")
    dataset = source.loader.dataset

    def made(items: Sequence[int]) -> Any:
        return source.transfer(collate([dataset[each] for each in items]))

    order, labels = _with_classes(it, dataset, made)
    kept = frequent(labels)
    picked = _picked(order, labels, kept)
    if not picked:
        raise LookupError("the images have no labels")
    parts = [picked[start : start + PART] for start in range(0, len(picked), PART)]
    taken = [taken_from(it, module, Chosen(made(part), len(part)), source, asked) for part in parts]
    count = len(np.unique(labels[labels >= 0]))
    return _joined(taken, f"the {len(kept)} most frequent of {count} classes" if count > len(kept) else "")


def frequent(labels: Labels, most: int = CLASSES) -> list[int]:
    """The most frequent classes, of equally frequent ones the first; negative numbers are none."""
    classes, counts = np.unique(labels[labels >= 0], return_counts=True)
    return sorted(int(classes[at]) for at in np.argsort(-counts, kind="stable")[:most])


def _with_classes(it: Testimony, dataset: Any, made: Callable[[Sequence[int]], Any]) -> tuple[Labels, Labels]:
    """Indices in an order that is always the same, and the classes there."""
    order = np.array(shuffled(len(dataset)), np.int64)
    labels = known_labels(dataset) if it.target == ((1,),) else None
    if labels is not None:
        return order, labels[order]
    few = order[:READ] if it.target else order[:0]
    return few, np.array([class_of(it, made([int(each)])) for each in few], np.int64)


def _picked(order: Labels, labels: Labels, kept: Sequence[int]) -> list[int]:
    """Indices of images of some classes, in turn."""
    is_kept = np.isin(labels, kept)
    if not is_kept.any():
        return []
    count = min(MOST, max(LEAST, PER_CLASS * len(kept)))
    return [int(each) for each in in_turn(order[is_kept], labels[is_kept], count)]


def _joined(taken: Sequence[Taken], note: str) -> Pool:
    """One pool of what was taken part after part.

    Raises:
        LookupError: volumes or clips; images of several sizes; labels that are no classes.
    """
    if taken[0].images.ndim != 4:
        raise LookupError("the images are volumes or clips, of which no objects are cut out")
    if len({each.images.shape[1:] for each in taken}) > 1:
        raise LookupError("the images have several sizes: a validation set of one size is needed")
    truths = [classes_in(each.truth) for each in taken]
    labels = torch.cat([torch.full((len(each.images),), -1) if t is None else t for each, t in zip(taken, truths, strict=True)])
    if not bool((labels >= 0).all()):
        raise LookupError("the images have no labels")
    return Pool(torch.cat([each.images for each in taken]), labels, _call_of(taken), note)


def _call_of(taken: Sequence[Taken]) -> Call | StepCall:
    """How the network is run on all of them: what else it is given has a row for each."""
    counts, calls = [len(each.images) for each in taken], [each.call for each in taken]
    first, total = calls[0], sum(counts)
    if isinstance(first, Call):
        nests = [(each.args, dict(each.kwargs)) for each in calls if isinstance(each, Call)]
        args, kwargs = joined(nests, counts)
        return replace(first, args=args, kwargs=kwargs, count=total)
    batches = [each.batch for each in calls if isinstance(each, StepCall)]
    return replace(first, batch=joined(batches, counts), count=total)
