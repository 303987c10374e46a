"""Labels that a user gives, as the step makes its targets of those in a batch."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lightning_vis.model.answer.words import Words
from lightning_vis.model.call import on_device
from lightning_vis.model.places import at, replaced
from lightning_vis.probe.source.batches import rows_in
from lightning_vis.probe.source.conclusion import makes_target, rows_in_truth, truth_in
from lightning_vis.probe.source.images import device_of
from lightning_vis.probe.source.source import Source
from lightning_vis.probe.witness.functions import LOOKED_UP
from lightning_vis.probe.witness.replay import captured
from lightning_vis.probe.witness.testimony import Testimony


def labels_met(it: Testimony, module: nn.Module, batch: Any, labels: Tensor, source: Source, words: Words) -> Tensor | None:
    """What the answers to a user's images are compared with ``(N, ...)``; None where nobody knows.

    Where the step makes something else of what a batch says (``y - 1``, standardised numbers), it is run on a batch that says
    what the user says, and what then meets the answer is true. Labels of another form than the batch's are taken as they are.

    Args:
        it: what was seen.
        module: the Lightning module.
        batch: that was watched.
        labels: ``(N, ...)``.
        source: of the Trainer.
        words: of the user.
    """
    if not it.image:
        return labels
    count = len(at(batch, it.image[0]))
    leaf = at(batch, it.target[0]) if makes_target(it, batch, count) and words.labels_at is None else None
    like = rows_in_truth(leaf, count) if leaf is not None else None
    if like is None or labels[0].numel() != like[0].numel():
        return labels
    if not source.is_alone or (LOOKED_UP in it.made and not _are_classes(like)):
        return None
    told = _saying(it, batch, count, labels)
    target = captured(module, source.step, on_device(told, device_of(module)), it, source.optimizers).target
    met = truth_in(it, told, target, len(labels), words)
    if met is not None and not met.is_floating_point() and bool((labels >= 0).all()) and bool((met < 0).any()):
        return None  # the step does not know these classes: they are counted otherwise than a batch's
    return met


def _are_classes(says: Tensor) -> bool:
    """Whether what a step looks up is a class: it stands for several images, as the number of an item does not."""
    return 2 * len({*map(str, says.tolist())}) <= len(says)


def _saying(it: Testimony, batch: Any, count: int, labels: Tensor) -> Any:
    """Rows of a batch, as many as there are labels, with these in the place of its own."""
    rows = rows_in(batch, [each % count for each in range(len(labels))], count)
    own = at(rows, it.target[0])
    if not isinstance(own, Tensor):
        return replaced(rows, it.target[0], labels.tolist())
    return replaced(rows, it.target[0], labels.to(own.dtype).reshape(len(labels), *own.shape[1:]))
