"""One look: model and probe in, a Frame out; no Lightning here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.arguments import quoted
from lightning_vis.attribution.frame_builder import build_frame, maps_of, own_maps
from lightning_vis.attribution.places import find_places, said_of_places
from lightning_vis.attribution.records import Recorded, Recorder, in_chunks
from lightning_vis.attribution.views import View, evidence, grad_cam, saliency, views_of
from lightning_vis.frames import Frame, Maps
from lightning_vis.model.answer.answer import UNKNOWN, Answer
from lightning_vis.model.answer.embedding import EMBEDDING_TASK, references
from lightning_vis.model.answer.numbers import REGRESSION_TASK
from lightning_vis.model.answer.words import Words
from lightning_vis.model.feature_map import FeatureMap
from lightning_vis.model.run import ForwardConfig, Pass, answered
from lightning_vis.model.scores import TARGETS, Score, Target
from lightning_vis.model.site.site import LAST_OF_ALL
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.probe import Probe, answer_of_labels
from lightning_vis.reliance.evaluate import TwinResult, evaluate_twins

TWINS = "twins"


@dataclass(frozen=True)
class Attempt:
    """A frame of what worked, and what went wrong, by view key; `TWINS` stands for the numbers of the twins.

    Where the views looked is told too, to be handed to the next look.
    """

    frame: Frame | None
    failures: dict[str, Exception] = field(default_factory=dict)
    places: Mapping[str | None, FeatureMap] = field(default_factory=dict)


def usual_views() -> tuple[View, ...]:
    """Evidence, Grad-CAM and saliency: what is shown where nothing else was asked for."""
    return evidence(), grad_cam(), saliency()


def look(
    model: nn.Module,
    probe: Probe,
    views: Sequence[View] | None = None,
    *,
    score: Score | None = None,
    forward: Callable[[Tensor], Any] | None = None,
    chunk_size: int | None = None,
    task: str | None = None,
    head: str | int | None = None,
    component: int | None = None,
    unit: str = "",
) -> Frame:
    """Looks once at what a model does with the probe, and leaves the model exactly as it was.

    Args:
        model: any network, on any device.
        probe: the images.
        views: what to look through; evidence, Grad-CAM and saliency if None. One-pass views share one forward pass.
        score: ``(output, classes) -> (N,)``, the number that is explained; None: that of the task.
        forward: how to run the model, if not by calling it.
        chunk_size: at most this many images in one pass, to save memory.
        task: what the output means, a name of `lightning_vis.model.answer.answer.TASKS`; None: what the labels of the
            probe are, and of a probe without labels one class for each image.
        head: the output's key, index or attribute, "a.b" for one within another, where it has several.
        component: which of several numbers is explained.
        unit: of the number, "years".

    Returns:
        A `Frame` of NumPy arrays.

    Raises:
        ValueError: as `record` and `last_feature_map`.
        TypeError: `probe` is no Probe.
    """
    if not isinstance(probe, Probe):
        raise TypeError(f"probe={quoted(probe)}: expected a Probe, like Probe(images, labels)")
    answer = Words(task, head, component, unit=unit).over(answer_of_labels(probe))
    running = ForwardConfig(probe.call(model, forward), score, chunk_size=chunk_size, answer=answer)
    views = views_of(answer, usual_views() if views is None else views, score)
    attempt = try_look(model, probe, views, running)
    for failure in attempt.failures.values():
        raise failure
    assert attempt.frame is not None  # no failure, so there is a frame
    return attempt.frame


def try_look(model: nn.Module, probe: Probe, views: Iterable[View], running: ForwardConfig) -> Attempt:
    """As `look`, but a view that fails takes no other along; places that are known spare the dry run."""
    start, views = time.perf_counter(), list(views)
    places, failures = find_places(model, probe, running, views)
    running, placed = replace(running, places=places), [view for view in views if view.key not in failures]
    try:
        frame = _look(model, probe, placed, running, failures, start)
    except Exception as error:  # before any view, or while the model was put back
        names = [view.key for view in views] + [TWINS] * (probe.twins is not None)
        failed = dict.fromkeys(names or [running.answer.task], error)  # a task without any view too
        return Attempt(None, failed | failures, places)
    return Attempt(frame, failures, places)


def _look(
    model: nn.Module,
    probe: Probe,
    views: list[View],
    running: ForwardConfig,
    failures: dict[str, Exception],
    start: float,
) -> Frame | None:
    places = running.places
    last_layer = places[None].layer if None in places else None
    with preserve_state(model):
        answer, run = running.answer, _run_of(model, probe, running)
        found = _record(run, views, last_layer, running.chunk_size, failures) if views else {}
        values = _values(run, found, running.chunk_size, is_needed=not (views and failures))
        own = {} if values is None else own_maps(values, probe.truth_for(answer), probe, answer)
        maps = _attempt_maps(views, found, last_layer, failures, probe, answer) | own
        frame = build_frame(probe, maps, views, found, answer, values) if maps or not views or values is not None else None
        seconds = {"pass": time.perf_counter() - start}
        answers = _attempt_twins(model, probe, running, _channels_layer(places), failures)
    if answers is not None:
        seconds["twins"] = time.perf_counter() - start - seconds["pass"]
        frame = _with_twin_result(frame or build_frame(probe, {}, [], {}, running.answer), answers)
    return None if frame is None else replace(frame, seconds=seconds, notes=(*frame.notes, *said_of_places(places, views)))


def _channels_layer(places: Mapping[str | None, FeatureMap]) -> str | None:
    return places[LAST_OF_ALL].layer if LAST_OF_ALL in places else None


def _run_of(model: nn.Module, probe: Probe, running: ForwardConfig) -> Pass:
    """The probe, ready to be run, with what is explained where that takes the whole of it."""
    run = running.prepare(model, probe.images, probe.truth_for(running.answer))
    if running.answer.kind is REGRESSION_TASK and running.chunk_size is not None and running.score is None:
        return _with_one_number(run, running.chunk_size)
    if running.answer.task != EMBEDDING_TASK.name:
        return run
    if running.score is not None:  # which knows by itself what is near to what
        labels = torch.full((len(run.images),), -1) if run.truth is None else run.truth
        return replace(run, chosen=dict.fromkeys(("label", "predicted", "runner_up"), labels))
    values = answered(run, running.chunk_size)
    copies = answered(replace(run, images=run.images.flip(-1)), running.chunk_size)
    near = references(values, copies, run.truth)
    return replace(run, chosen=dict.fromkeys(("label", "predicted", "runner_up"), near))


def _with_one_number(run: Pass, chunk_size: int) -> Pass:
    """The same number for all images: each chunk by itself might be farthest off in another one."""
    one = run.explained("label", answered(run, chunk_size))
    assert one is not None  # a number is always chosen
    same: dict[Target, Tensor] = dict.fromkeys(TARGETS, one)
    return replace(run, chosen={**same, **run.chosen})


def _values(run: Pass, found: Mapping[str, Recorded], chunk_size: int | None, *, is_needed: bool) -> Tensor | None:
    """What the network answers, as it was recorded, or, where nothing was, asked once more; None where nobody knows.

    Raises:
        ValueError: it cannot be read, and nothing else has failed that tells more.
    """
    if found:
        return next(iter(found.values())).values
    try:
        return None if run.answer.task == UNKNOWN else answered(run, chunk_size)
    except Exception:
        if is_needed:
            raise
        return None  # the views have said why


def look_at_twins(model: nn.Module, probe: Probe, running: ForwardConfig | None = None, layer: str | None = None) -> TwinResult:
    """Only the numbers of the twins: one forward pass without gradients, the model left as it was.

    Args:
        model: any network whose output `lightning_vis.model.scores.class_scores` reads.
        probe: with twins.
        running: how the model is run; by calling it, if None.
        layer: where channels are compared; None for nowhere.

    Raises:
        ValueError: the probe has no twins, or the output cannot be read.
    """
    if probe.twins is None:
        raise ValueError(f"the probe {probe.name!r} has no twins: give it masks and labels of at least two classes")
    running = running or ForwardConfig()
    with preserve_state(model):
        run = running.prepare(model, probe.twins.batch(), rows=probe.twins.rows())
        return evaluate_twins(run, probe.twins, layer, running.chunk_size)


def _attempt_twins(
    model: nn.Module, probe: Probe, running: ForwardConfig, layer: str | None, failures: dict[str, Exception]
) -> TwinResult | None:
    if probe.twins is None or running.answer.kind.twins is None:
        return None
    try:
        run = running.prepare(model, probe.twins.batch(), rows=probe.twins.rows())
        return evaluate_twins(run, probe.twins, layer, running.chunk_size)
    except Exception as error:
        failures[TWINS] = error
        return None


def _with_twin_result(frame: Frame, answers: TwinResult) -> Frame:
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
    views: list[View],
    found: Mapping[str, Recorded],
    last_layer: str | None,
    failures: dict[str, Exception],
    probe: Probe,
    answer: Answer,
) -> dict[str, Maps]:
    maps: dict[str, Maps] = {}
    for view in views:
        try:
            if view.key in found:
                maps[view.key] = maps_of(view, found[view.key], _layers(view, last_layer), probe, answer)
        except Exception as error:
            failures[view.key] = error
    return maps
