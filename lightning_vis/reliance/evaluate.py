"""Evaluates a network on all twins in one forward pass without gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lightning_vis.frames import Array
from lightning_vis.model.run import Pass
from lightning_vis.model.site.collector import kept_at
from lightning_vis.model.site.site import plain_site
from lightning_vis.reliance.metrics import background_driven, only_background_accuracy, paste_control, twin_numbers
from lightning_vis.reliance.twins import Twins


@dataclass(frozen=True)
class TwinResult:
    """What the twins say.

    Attributes:
        numbers: by tag, ``reliance/...``.
        per_image: by tag, one value per probe image ``(N,)``: ``reliance/background_effect``, and for each kind of
            background the probability of the object's class on it, ``reliance/on/<kind>``, and the class predicted
            there, ``reliance/says/<kind>``. Where a layer was named, also ``reliance/background_driven/<layer>``, one
            value per channel: how far it follows the background, 0..1.
    """

    numbers: dict[str, float]
    per_image: dict[str, Array] = field(default_factory=dict)


def evaluate_twins(run: Pass, twins: Twins, layer: str | None = None, chunk_size: int | None = None) -> TwinResult:
    """Runs the network once on ``twins.batch()`` and measures its answers.

    Args:
        run: the model, lent by `preserve_state`; its images are ``twins.batch()``, on its device.
        twins: what the images are.
        layer: where channels are compared, a layer that returns ``(N, channels, h, w)``; None for nowhere.
        chunk_size: at most this many images in one pass.

    Raises:
        ValueError: the output cannot be read as class scores, or is not finite, or has fewer classes than the twins.
    """
    probabilities, activations = _run(run, layer, chunk_size)
    if run.answer.task in NUMBERS:
        return _of_numbers(probabilities, twins)
    _check(probabilities, twins)
    grid, shifted, plates = twins.split(probabilities)
    numbers, effects = twin_numbers(grid, twins.labels, twins.typical)
    if shifted is not None:
        numbers["reliance/paste_control"] = paste_control(grid, shifted)
    if plates is not None and twins.plate_kinds is not None and twins.typical is not None:
        accuracy = only_background_accuracy(plates, twins.plate_kinds, twins.typical)
        numbers["reliance/only_background_accuracy"] = accuracy
    driven = None
    if activations is not None:
        driven = background_driven(twins.split(activations)[0], twins.labels).numpy()
        numbers["reliance/background_channels"] = float((driven > 0.5).mean())
    per_image = _per_object(grid, effects, twins)
    if driven is not None:
        per_image[f"reliance/background_driven/{layer}"] = driven
    return TwinResult(numbers, per_image)


NUMBERS = ("ordinal", "regression")
"""Tasks whose answers are compared by how far they move, and not by classes."""


def _of_numbers(moved: Tensor, twins: Twins) -> TwinResult:
    """How far a number moves with the background and with the object; of plates of one kind nothing is taken off."""
    if not moved.isfinite().all():
        raise ValueError("the network's answers are not finite")
    grid, shifted, _ = twins.split(moved)
    numbers, effects = twin_numbers(grid, twins.labels, None)
    numbers.pop("reliance/worst_group", None)
    if shifted is not None:
        numbers["reliance/paste_control"] = paste_control(grid, shifted)
    return TwinResult(numbers, {"reliance/background_effect": effects.repeat_interleave(twins.shown).numpy()})


def _run(run: Pass, layer: str | None, chunk_size: int | None) -> tuple[Tensor, Tensor | None]:
    """Probabilities ``(M, C)`` and, where a layer is named, spatial means of it ``(M, channels)``, on the CPU."""
    found: list[Tensor] = []
    with torch.no_grad(), _means_of(run, layer) as means:
        for part in run.parts(chunk_size):
            with part.context():
                output = part.forward(part.images.clone())
            found.append(_shares(part, output).cpu())
    return torch.cat(found), torch.cat(means) if means else None


def _shares(run: Pass, output: Any) -> Tensor:
    """What answers are compared by, ``(M, C)``, each in 0..1: probabilities of classes, of labels."""
    compare = run.answer.kind.twins
    if compare is None:
        raise ValueError(f"answers of a {run.answer.task} on twins cannot be compared")
    return compare(run.answer.facts, run.answer.values(output))


@contextmanager
def _means_of(run: Pass, layer: str | None) -> Iterator[list[Tensor]]:
    """Spatial means of a layer's channels ``(N, channels)``, part after part."""
    means: list[Tensor] = []
    sites = {} if layer is None else {layer: run.sites.get(layer) or plain_site(layer)}

    def keep(tensor: Any) -> None:
        if isinstance(tensor, Tensor) and tensor.ndim > 2:
            means.append(sites[str(layer)].layout.maps(tensor).float().flatten(2).mean(2).cpu())

    with kept_at(run.model, sites, dict.fromkeys(sites, keep)):
        yield means


def _check(probabilities: Tensor, twins: Twins) -> None:
    if not probabilities.isfinite().all():
        raise ValueError("the network's answers are not finite")
    asked = int(max(twins.labels.max(), -1 if twins.typical is None else twins.typical.max()))
    if asked >= probabilities.shape[1]:
        count = probabilities.shape[1]
        raise ValueError(f"the twins ask for class {asked}, but the model gives scores for {count} classes")


def _per_object(grid: Tensor, effects: Tensor, twins: Twins) -> dict[str, Array]:
    """One value per probe image: ready-made twins are that many probe images each."""
    answers = grid.mean(2)
    own = answers[torch.arange(len(answers)), :, twins.labels]
    values = {"reliance/background_effect": effects}
    for k, kind in enumerate(twins.kinds):
        values[f"reliance/on/{kind}"] = own[:, k]
        values[f"reliance/says/{kind}"] = answers[:, k].argmax(1)
    return {tag: value.repeat_interleave(twins.shown).numpy() for tag, value in values.items()}
