"""Hard examples: what a network gets most wrong, or is least sure of."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.model.run import prepare
from lightning_vis.model.scores import class_scores, log_odds
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.dataset import Item, Key, read_item, stacked
from lightning_vis.progress_bar import progress_bar

CHOICES = ("mistakes", "unsure")


BATCH = 32


def check_choice(choose: str, model: Any, indices: Any) -> None:
    """ValueError if a choice cannot be made."""
    if choose not in CHOICES:
        raise ValueError(f"choose={choose!r}: expected {' or '.join(map(repr, CHOICES))}")
    if not isinstance(model, nn.Module):
        given = "none" if model is None else f"a {type(model).__name__}"
        raise ValueError(f"choose={choose!r}: expected model=, the network whose answers decide; got {given}")
    if indices is not None:
        raise ValueError(f"choose={choose!r} and indices= were given, and each says which images: give one of them")


def hard_examples(
    dataset: Any, model: nn.Module, choose: str, n: int, image_key: Key = None, label_key: Key = None
) -> list[Item]:
    """The `n` items with the lowest log-odds of their label (mistakes) or of the predicted class (unsure), in order.

    All items are looked at once, in batches, without gradients; the network is left as it was.

    Args:
        dataset: map-style.
        model: any network whose output `lightning_vis.model.scores.class_scores` reads.
        choose: ``"mistakes"`` or ``"unsure"``.
        n: how many.
        image_key: as `lightning_vis.probe.dataset.read_item`.
        label_key: as `lightning_vis.probe.dataset.read_item`.

    Raises:
        ValueError: mistakes are asked for, but an item has no label; an output that cannot be read.
    """
    of = type(dataset).__name__
    margins: list[Tensor] = []
    with preserve_state(model), torch.no_grad():
        for start in progress_bar(range(0, len(dataset), BATCH), desc=f"looking for {choose}", unit="batch", leave=False):
            batch = range(start, min(start + BATCH, len(dataset)))
            items = [read_item(dataset, at, image_key, label_key) for at in batch]
            margins.append(_margins(model, items, choose, of))
    worst = torch.cat(margins).argsort(stable=True)[:n].tolist() if margins else []
    return [read_item(dataset, index, image_key, label_key) for index in worst]


def _margins(model: nn.Module, items: list[Item], choose: str, of: str) -> Tensor:
    images, labels, _ = stacked(items, of)
    if labels is None and choose == "mistakes":
        unlabelled = next(item.index for item in items if item.label is None)
        raise ValueError(
            f"choose='mistakes': item {unlabelled} of {of} has no label to be wrong about; choose='unsure' needs none"
        )
    scores = class_scores(model(prepare(model, images).images))
    classes = scores.argmax(1) if choose == "unsure" or labels is None else labels.to(scores.device)
    if int(classes.max()) >= scores.shape[1]:
        raise ValueError(f"class {int(classes.max())} was asked for, but the model gives scores for {scores.shape[1]} classes")
    return log_odds(scores, classes).float().cpu()
