"""One look: pass, maps, numbers. No Lightning here: notebooks and replay use it too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_vis.arguments import shortened
from lightning_vis.asking import Answers, ask_twins
from lightning_vis.attribution import background_lift, edge_map, evidence_map, is_drawable, lift, pointing
from lightning_vis.constants import BACKGROUND
from lightning_vis.frames import Array, Frame, Maps
from lightning_vis.layers import FeatureMap, last_feature_map
from lightning_vis.observing import observing
from lightning_vis.probe import Probe
from lightning_vis.recording import prepare
from lightning_vis.records import Explained, Pass, Recorded, Recorder, in_chunks
from lightning_vis.scores import Score, Target, describe, log_odds
from lightning_vis.views import View, evidence, grad_cam, saliency

TWINS = "twins"


@dataclass(frozen=True)
class Running:
    """How a model is run: by what function, to what score, in what context, converted how, in chunks of what size."""

    forward: Callable[[Tensor], Any] | None = None
    score: Score = log_odds
    context: Callable[[], AbstractContextManager[Any]] = nullcontext
    convert: Callable[[Tensor], Tensor] | None = None
    chunk_size: int | None = None

    def prepare(self, model: nn.Module, probe: Probe) -> Pass:
        """The probe on the model's device and in its precision."""
        return self.prepare_images(model, probe.images, probe.labels)

    def prepare_images(self, model: nn.Module, images: Tensor, labels: Tensor | None = None) -> Pass:
        """Any images, likewise."""
        return prepare(model, images, labels, self.forward, self.score, self.context, self.convert)


@dataclass(frozen=True)
class Attempt:
    """A frame of what worked, and what went wrong, by view key; `TWINS` stands for the numbers of the twins."""

    frame: Frame | None
    failures: dict[str, Exception] = field(default_factory=dict)


def usual_views() -> tuple[View, ...]:
    """Evidence, Grad-CAM and saliency: what is shown where nothing else was asked for."""
    return evidence(), grad_cam(), saliency()


def look(
    model: nn.Module,
    probe: Probe,
    views: Sequence[View] | None = None,
    *,
    score: Score = log_odds,
    forward: Callable[[Tensor], Any] | None = None,
    chunk_size: int | None = None,
) -> Frame:
    """Looks once at what a model does with the probe, and leaves the model exactly as it was.

    Args:
        model: any network whose output `lightning_vis.scores.class_scores` reads, on any device.
        probe: the images.
        views: what to look through; evidence, Grad-CAM and saliency if None. One-pass views share one forward pass.
        score: ``(output, classes) -> (N,)``, the number that is explained.
        forward: how to run the model, if not by calling it.
        chunk_size: at most this many images in one pass, to save memory.

    Returns:
        A `Frame` of NumPy arrays.

    Raises:
        ValueError: as `record` and `last_feature_map`.
        TypeError: `probe` is no Probe.
    """
    if not isinstance(probe, Probe):
        raise TypeError(f"probe={shortened(probe)}: expected a Probe, like Probe(images, labels)")
    running = Running(forward, score, chunk_size=chunk_size)
    attempt = attempt_look(model, probe, usual_views() if views is None else views, running)
    for failure in attempt.failures.values():
        raise failure
    assert attempt.frame is not None  # no failure, so there is a frame
    return attempt.frame


def choose_feature_map(model: nn.Module, probe: Probe, running: Running) -> FeatureMap:
    """The last feature map of the model as it will be run on this probe."""
    run = running.prepare(model, probe)

    def forward(images: Tensor) -> Any:
        with run.context():
            return run.forward(images)

    return last_feature_map(model, run.images, forward)


def attempt_look(
    model: nn.Module, probe: Probe, views: Iterable[View], running: Running, last_layer: str | None = None
) -> Attempt:
    """As `look`, but a view that fails takes no other along; `last_layer` spares the dry run."""
    views = list(views)
    failures: dict[str, Exception] = {}
    try:
        frame = _look(model, probe, views, running, last_layer, failures)
    except Exception as error:  # before any view, or while the model was put back
        names = [view.key for view in views] + [TWINS] * (probe.twins is not None)
        return Attempt(None, dict.fromkeys(names, error) | failures)
    return Attempt(frame, failures)


def _look(
    model: nn.Module,
    probe: Probe,
    views: list[View],
    running: Running,
    last_layer: str | None,
    failures: dict[str, Exception],
) -> Frame | None:
    start = time.perf_counter()
    if last_layer is None and any(None in view.layers for view in views):
        last_layer = choose_feature_map(model, probe, running).layer
    with observing(model):
        run = running.prepare(model, probe)
        found = _record(run, views, last_layer, running.chunk_size, failures) if views else {}
        maps = _attempt_maps(views, found, last_layer, failures)
        frame = _frame(probe, maps, views, found) if maps else None
        seconds = {"pass": time.perf_counter() - start}
        answers = _attempt_twins(model, probe, running, last_layer, failures)
    if answers is not None:
        seconds["twins"] = time.perf_counter() - start - seconds["pass"]
        frame = _with_answers(frame or _frame(probe, {}, [], {}), answers)
    return None if frame is None else replace(frame, seconds=seconds)


def look_at_twins(model: nn.Module, probe: Probe, running: Running | None = None, layer: str | None = None) -> Answers:
    """Only the numbers of the twins: one forward pass without gradients, the model left as it was.

    Args:
        model: any network whose output `lightning_vis.scores.class_scores` reads.
        probe: with twins.
        running: how the model is run; by calling it, if None.
        layer: where channels are compared; None for nowhere.

    Raises:
        ValueError: the probe has no twins, or the output cannot be read.
    """
    if probe.twins is None:
        raise ValueError(f"the probe {probe.name!r} has no twins: give it masks and labels of at least two classes")
    running = running or Running()
    with observing(model):
        run = running.prepare_images(model, probe.twins.batch())
        return ask_twins(run, probe.twins, layer, running.chunk_size)


def _attempt_twins(
    model: nn.Module, probe: Probe, running: Running, layer: str | None, failures: dict[str, Exception]
) -> Answers | None:
    if probe.twins is None:
        return None
    try:
        run = running.prepare_images(model, probe.twins.batch())
        return ask_twins(run, probe.twins, layer, running.chunk_size)
    except Exception as error:
        failures[TWINS] = error
        return None


def _with_answers(frame: Frame, answers: Answers) -> Frame:
    return replace(frame, numbers={**frame.numbers, **answers.numbers}, per_image={**frame.per_image, **answers.per_image})


def _record(
    run: Pass, views: list[View], last_layer: str | None, chunk_size: int | None, failures: dict[str, Exception]
) -> dict[str, Recorded]:
    """What each view's recorder found, by view key: all views at once, or, if that fails, one by one to find the culprit."""
    try:
        return _record_together(run, views, last_layer, chunk_size)
    except Exception as error:
        if len(views) == 1:
            failures[views[0].key] = error
            return {}
    found: dict[str, Recorded] = {}
    for view in views:
        found.update(_record(run, [view], last_layer, chunk_size, failures))
    return found


def _record_together(run: Pass, views: list[View], last_layer: str | None, chunk_size: int | None) -> dict[str, Recorded]:
    requests: dict[Recorder, dict[Target, list[str]]] = {}
    for view in views:
        layers = requests.setdefault(view.recorder, {}).setdefault(view.target, [])
        layers += [name for name in _layers(view, last_layer) if name not in layers]
    found = {recorder: in_chunks(recorder, run, wanted, chunk_size) for recorder, wanted in requests.items()}
    return {view.key: found[view.recorder] for view in views}


def _layers(view: View, last_layer: str | None) -> list[str]:
    return [str(last_layer if name is None else name) for name in view.layers]


def _attempt_maps(
    views: list[View], found: Mapping[str, Recorded], last_layer: str | None, failures: dict[str, Exception]
) -> dict[str, Maps]:
    maps: dict[str, Maps] = {}
    for view in views:
        try:
            if view.key in found:
                maps[view.key] = _maps(view, found[view.key], last_layer)
        except Exception as error:
            failures[view.key] = error
    return maps


def _maps(view: View, recorded: Recorded, last_layer: str | None) -> Maps:
    explained = recorded.explained[view.target]
    values = view.to_map(*(explained.records[name] for name in _layers(view, last_layer)))
    count = len(explained.score)
    if not isinstance(values, Tensor) or values.ndim != 3 or len(values) != count or not values.numel():
        raise ValueError(
            f"the view {view.name!r} returned {describe(values)}, expected maps ({count}, h, w) of at least one cell"
        )
    classes = np.full(len(values), -1) if explained.classes is None else _numpy(explained.classes)
    layer = ", ".join(_layers(view, last_layer))
    return Maps(_numpy(values.float()), classes, layer, view.scale, view.title or view.name, str(view.target))


def _frame(probe: Probe, maps: Mapping[str, Maps], views: list[View], found: Mapping[str, Recorded]) -> Frame:
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
    if scores is None or not names or names == scores.shape[1] or probe.class_names == BACKGROUND:
        return []
    named, scored = _counted(names, "class name", "s"), _counted(scores.shape[1], "class", "es")
    return [f"the probe has {named}, but the model gives scores for {scored}"]


def _counted(count: int, what: str, plural: str) -> str:
    return f"{count} {what}{plural if count != 1 else ''}"


def _numpy(tensor: Tensor) -> Array:
    return tensor.detach().cpu().numpy().copy()  # an array of its own: a frame keeps no tensor alive
