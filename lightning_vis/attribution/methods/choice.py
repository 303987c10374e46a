"""What is explained, chosen at the images themselves before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from lightning_vis.attribution.records import Explained, Record, Recorded
from lightning_vis.model.run import Pass
from lightning_vis.model.scores import Target


def settled(run: Pass, recorded: Recorded) -> Pass:
    """The same run, in which each target goes on meaning what it means at these images, whatever becomes of them.

    Args:
        run: the model and the batch.
        recorded: what was found of them.
    """
    chosen = {target: each.chosen for target, each in recorded.explained.items() if each.chosen is not None}
    return replace(run, chosen={**run.chosen, **chosen})


def scores_at(run: Pass, images: Tensor, targets: Iterable[Target]) -> dict[Target, Tensor]:
    """The explained scores ``(N,)`` of other images in the place of the batch's, by target: one forward without gradients."""
    with torch.no_grad():
        output = run.output(images.clone())  # the model may change its input in place
        values = run.values(output)
        return {each: run.scored(output, values, run.explained(each, values)).detach().float() for each in targets}


def with_gradients(recorded: Recorded, gradients: Mapping[Target, Mapping[str, Tensor]]) -> Recorded:
    """What was recorded, with other numbers in the place of its gradients.

    Args:
        recorded: activations, answers and scores.
        gradients: by target and layer, each of its activation's shape.
    """

    def of(target: Target, each: Explained) -> Explained:
        records = {name: Record(old.activation, gradients[target][name]) for name, old in each.records.items()}
        return replace(each, records=records)

    return replace(recorded, explained={target: of(target, each) for target, each in recorded.explained.items()})
