"""Evaluates a network on all twins in one forward pass without gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from lightning_vis.frames import Array
from lightning_vis.model.answer.answer import Answer
from lightning_vis.model.run import Pass
from lightning_vis.model.site.collector import kept_at
from lightning_vis.model.site.site import plain_site
from lightning_vis.reliance.measures import MEASURES, of_classes, of_shares
from lightning_vis.reliance.metrics import background_driven
from lightning_vis.reliance.twins import Twins


@dataclass(frozen=True)
class TwinResult:
    """What the twins say.

    Attributes:
        numbers: by tag, ``reliance/...``.
        per_image: by tag, one value per probe image ``(N,)``: ``reliance/background_effect``, and for each kind of
            background what is said of the object's own class on it, ``reliance/on/<kind>`` (its probability, the IoU of its
            mask; of a reconstruction the error), and, where one class is predicted, that one, ``reliance/says/<kind>``. Where a layer was named, also ``reliance/background_driven/<layer>``, one
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
        ValueError: the output cannot be read, or is not finite, or has fewer classes than the twins; the task compares no
            answers on twins, or not without knowing where the objects lie.
    """
    answers, activations = _run(replace(run, truth=twins.places()), layer, chunk_size)
    _check(run.answer, answers, twins)
    found = MEASURES[run.answer.task](answers, twins)
    numbers, per_image = found.numbers, _per_image(found.per_object, twins)
    if activations is not None:
        driven = background_driven(twins.split(activations)[0], twins.labels).numpy()
        numbers = {**numbers, "reliance/background_channels": float((driven > 0.5).mean())}
        per_image[f"reliance/background_driven/{layer}"] = driven
    return TwinResult(numbers, per_image)


def can_ask(answer: Answer, twins: Twins) -> bool:
    """Whether the answers of a task on twins can be compared: some take where the objects lie."""
    kind = answer.kind
    return kind.twins is not None or (kind.on_objects is not None and twins.masks is not None)


def _run(run: Pass, layer: str | None, chunk_size: int | None) -> tuple[Tensor, Tensor | None]:
    """What answers are compared by ``(M, C)`` and, where a layer is named, spatial means of it ``(M, channels)``, on the CPU."""
    found: list[Tensor] = []
    with torch.no_grad(), _means_of(run, layer) as means:
        for part in run.parts(chunk_size):
            with part.context():
                output = part.forward(part.images.clone())
            found.append(_compared(part, output).cpu())
    return torch.cat(found), torch.cat(means) if means else None


def _compared(run: Pass, output: Any) -> Tensor:
    """What answers are compared by, ``(M, C)``."""
    kind, facts, values = run.answer.kind, run.answer.facts, run.answer.values(output)
    if kind.twins is not None:
        return kind.twins(facts, values)
    if kind.on_objects is None or run.truth is None:
        needed = "" if kind.on_objects is None else ": it is not known where the objects lie, pass masks="
        raise ValueError(f"answers of a {run.answer.task} on twins cannot be compared{needed}")
    return kind.on_objects(facts, values, run.images, run.truth.to(run.images.device))


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


def _check(answer: Answer, answers: Tensor, twins: Twins) -> None:
    if not answers.isfinite().all():
        raise ValueError("the network's answers are not finite")
    if MEASURES[answer.task] not in (of_classes, of_shares):
        return
    asked = int(max(twins.labels.max(), -1 if twins.typical is None else twins.typical.max()))
    if asked >= answers.shape[1]:
        count = answers.shape[1]
        raise ValueError(f"the twins ask for class {asked}, but the model gives scores for {count} classes")


def _per_image(per_object: Mapping[str, Tensor], twins: Twins) -> dict[str, Array]:
    """One value per probe image: ready-made twins are that many probe images each."""
    return {tag: value.repeat_interleave(twins.shown).numpy() for tag, value in per_object.items()}
