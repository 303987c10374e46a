"""From recorded passes to a Frame: maps, predictions, metrics, notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from lightning_vis.attribution.maps import evidence_map, is_drawable
from lightning_vis.attribution.metrics import background_lift, edge_map, lift, pointing
from lightning_vis.attribution.records import Explained, Recorded
from lightning_vis.attribution.views import View
from lightning_vis.constants import BACKGROUND_CLASSES
from lightning_vis.frames import Array, Frame, Maps
from lightning_vis.model.scores import describe
from lightning_vis.probe.probe import Probe


def maps_of(view: View, recorded: Recorded, layers: Sequence[str]) -> Maps:
    """What a view makes of the records of its layers.

    Raises:
        ValueError: it made no maps ``(N, h, w)``.
    """
    explained = recorded.explained[view.target]
    values = view.to_map(*(explained.records[name] for name in layers))
    count = len(explained.score)
    if not isinstance(values, Tensor) or values.ndim != 3 or len(values) != count or not values.numel():
        raise ValueError(
            f"the view {view.name!r} returned {describe(values)}, expected maps ({count}, h, w) of at least one cell"
        )
    classes = np.full(len(values), -1) if explained.classes is None else _numpy(explained.classes)
    title = view.title or view.name
    return Maps(_numpy(values.float()), classes, ", ".join(layers), view.scale, title, str(view.target))


def build_frame(probe: Probe, maps: Mapping[str, Maps], views: Sequence[View], found: Mapping[str, Recorded]) -> Frame:
    """The maps with what was answered, what they measure against masks, and what has to be said of them.

    Args:
        probe: what was looked at.
        maps: those that worked, by view key.
        views: what was looked through.
        found: what each view's recorder found, by view key.
    """
    scores = next(iter(found.values())).scores if found else None
    predicted, probability = _answers(scores, len(probe))
    per_image, numbers = _measure(maps, probe, scores)
    for view in views:
        if view.key in maps and view.to_map is evidence_map:
            share = _explained_share(maps[view.key].values, found[view.key].explained[view.target])
            numbers[f"attribution/{view.key}/explained"] = share
    notes = (*_notes(maps, found), *_of_names(probe, scores))
    return Frame(probe.name, predicted, probability, maps, numbers=numbers, per_image=per_image, notes=notes)


def _answers(scores: Tensor | None, count: int) -> tuple[Array, Array]:
    if scores is None:
        return np.full(count, -1), np.full(count, np.nan, np.float32)
    probability, predicted = scores.float().softmax(1).max(1)
    return _numpy(predicted), _numpy(probability)


def _measure(maps: Mapping[str, Maps], probe: Probe, scores: Tensor | None) -> tuple[dict[str, Array], dict[str, float]]:
    per_image = _of_labels(scores, probe.labels)
    numbers: dict[str, float] = {}
    for key, each in maps.items():
        values = torch.from_numpy(each.values)
        numbers[f"attribution/{key}/empty"] = 1 - float(is_drawable(values).float().mean())
        if probe.masks is not None:
            per_image |= {f"attribution/{key}/{name}": found for name, found in _against(values, probe.masks).items()}
    if maps and probe.masks is not None:
        per_image["attribution/edges/lift"] = lift(edge_map(probe.images), probe.masks).numpy()
    means = {tag: float(np.nanmean(each)) if np.isfinite(each).any() else np.nan for tag, each in per_image.items()}
    return per_image, numbers | means


def _of_labels(scores: Tensor | None, labels: Tensor | None) -> dict[str, Array]:
    """The probability of each image's label: where there are no masks, it shows how far the training is."""
    if scores is None or labels is None or int(labels.max()) >= scores.shape[1]:
        return {}
    probabilities = scores.float().softmax(1).cpu()
    return {"answers/label": _numpy(probabilities.gather(1, labels.cpu().long()[:, None]).squeeze(1))}


def _against(maps: Tensor, masks: Tensor) -> dict[str, Array]:
    """Maps against masks, ``(N,)`` each."""
    measures = {"lift": lift, "background_lift": background_lift, "pointing": pointing}
    return {name: measure(maps, masks).numpy() for name, measure in measures.items()}


def _explained_share(values: Array, explained: Explained) -> float:
    """How much of the score the mean of the evidence map accounts for: 1 for global average pooling + a linear head."""
    score = _numpy(explained.score.float())
    total = float(np.abs(score).sum())
    return max(0.0, 1 - float(np.abs(score - values.mean(axis=(1, 2))).sum()) / total) if total > 0 else 0.0


def _notes(maps: Mapping[str, Maps], found: Mapping[str, Recorded]) -> tuple[str, ...]:
    broken = {key: int((~np.isfinite(each.values).all(axis=(1, 2))).sum()) for key, each in maps.items()}
    of_maps = [f"{count} of the maps of {key} are not finite" for key, count in broken.items() if count]
    return tuple(dict.fromkeys([*(note for recorded in found.values() for note in recorded.notes), *of_maps]))


def _of_names(probe: Probe, scores: Tensor | None) -> list[str]:
    """Whether the probe names other classes than the model tells apart: its names may then stand for the wrong ones."""
    names = len(probe.class_names)
    if scores is None or not names or names == scores.shape[1] or probe.class_names == BACKGROUND_CLASSES:
        return []
    named, scored = _counted(names, "class name", "s"), _counted(scores.shape[1], "class", "es")
    return [f"the probe has {named}, but the model gives scores for {scored}"]


def _counted(count: int, what: str, plural: str) -> str:
    return f"{count} {what}{plural if count != 1 else ''}"


def _numpy(tensor: Tensor) -> Array:
    return tensor.detach().cpu().numpy().copy()  # an array of its own: a frame keeps no tensor alive
