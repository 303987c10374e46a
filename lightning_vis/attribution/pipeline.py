"""One look: model and probe in, a Frame out; no Lightning here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis import clock
from lightning_vis.arguments import quoted
from lightning_vis.attribution.frame_builder import build_frame, maps_of, own_maps
from lightning_vis.attribution.heads import Head, joined
from lightning_vis.attribution.places import Places, find_places, looked_at, open_places, said_of_places
from lightning_vis.attribution.recorders import OffPathError
from lightning_vis.attribution.records import Recorded, Recorder, in_chunks, only
from lightning_vis.attribution.views import View, evidence, grad_cam, saliency, views_of
from lightning_vis.constants import INPUT, MULTICLASS
from lightning_vis.frames import Frame, Maps
from lightning_vis.model.answer.answer import UNKNOWN, Answer
from lightning_vis.model.answer.embedding import EMBEDDING_TASK, references
from lightning_vis.model.answer.masks import SEGMENTATION_TASK
from lightning_vis.model.answer.numbers import REGRESSION_TASK, numbers_in, spreads
from lightning_vis.model.answer.output import UNCLEAR, answer_of, are_shares, settled, squash_of
from lightning_vis.model.answer.task import Facts
from lightning_vis.model.answer.words import Words, check_component, words_of
from lightning_vis.model.cut import Cut, said_of_cuts, used_in
from lightning_vis.model.feature_map import FeatureMap
from lightning_vis.model.run import ForwardConfig, Kept, Pass, answered
from lightning_vis.model.scores import TARGETS, Score, Target
from lightning_vis.model.site.site import Site, plain_site
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.probe import Probe, answer_of_labels
from lightning_vis.reliance.evaluate import TwinResult, evaluate_twins
from lightning_vis.render.notebook import PicturedFrame, pictured

TWINS, ANSWER = "<twins>", "<answer>"
"""Among the keys of views: the numbers of the twins, and what the network says where there is no view."""


@dataclass(frozen=True)
class Attempt:
    """A frame of what worked, and what went wrong, by view key, or `TWINS` or `ANSWER`.

    Where the views looked, and what was opened for them, is told too, to be handed to the next look.
    """

    frame: Frame | None
    failures: dict[str, Exception] = field(default_factory=dict)
    places: Mapping[str | None, FeatureMap] = field(default_factory=dict)
    cuts: tuple[Cut, ...] | None = None


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
    task: str | Sequence[str | None] | None = None,
    head: str | int | Sequence[str | int] | None = None,
    component: int | Sequence[int | None] | None = None,
    unit: str | Sequence[str] = "",
) -> PicturedFrame:
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
        head: the output's key, index or attribute, "a.b" for one within another, where it has several; a list shows several
            of them in one frame, the first one as ever, the others beside it. Task, component and unit are the first one's
            then, or lists with one for each.
        component: which of several numbers is explained.
        unit: of the number, "years".

    Returns:
        A `Frame` of NumPy arrays that knows its pictures: ``look(model, probe).plot()`` is a Pillow image of them.

    Raises:
        ValueError: as `record` and `last_feature_map`.
        TypeError: `probe` is no Probe.
    """
    if not isinstance(probe, Probe):
        raise TypeError(f"probe={quoted(probe)}: expected a Probe, like Probe(images, labels)")
    said, probe = words_of(task, head, component, None, unit), probe.laid_out(model)
    probe.check_heads(head)
    run = probe.call(model, forward)
    asked = usual_views() if views is None else views
    heads = [
        _head_of(words, probe, ForwardConfig(run, None if at else score, chunk_size=chunk_size), asked, is_first=not at)
        for at, words in enumerate(said)
    ]
    attempt, _ = try_heads(model, heads)
    for failure in attempt.failures.values():
        raise failure
    assert attempt.frame is not None  # no failure, so there is a frame
    return pictured(attempt.frame, probe.inputs(heads[0].running.answer))


def _head_of(words: Words, probe: Probe, running: ForwardConfig, views: Sequence[View], *, is_first: bool) -> Head:
    """A head as the probe's labels tell of it; of all but the first class names are not known."""
    seen = probe if is_first else probe.of(probe.truths.get(str(words.head)))
    answer = words.over(answer_of_labels(seen))
    check_component(words.component, answer)
    return Head(str(words.head), seen, replace(running, answer=answer), views_of(answer, views, running.score))


def try_look(model: nn.Module, probe: Probe, views: Iterable[View], running: ForwardConfig) -> Attempt:
    """As `look`, but a view that fails takes no other along; places that are known spare the dry run."""
    start, views = clock.perf_counter(), list(views)
    running, failures = find_places(model, probe, _settled(model, probe, running, views), views)
    return _attempt(model, probe, views, running, failures, start)


def _attempt(
    model: nn.Module, probe: Probe, views: list[View], running: ForwardConfig, failures: dict[str, Exception], start: float
) -> Attempt:
    """What works of a look; if it turns out that no gradient reaches the image, another one through what keeps it off."""
    attempt = _attempt_once(model, probe, views, running, dict(failures), start)
    if running.cuts is not None or not any(isinstance(each, OffPathError) for each in attempt.failures.values()):
        return attempt
    opened, failures = open_places(model, probe, running, failures, views)
    if not opened.cuts and not failures:
        return replace(attempt, cuts=())
    return _attempt_once(model, probe, views, replace(opened, kept=None), failures, start)


def _attempt_once(
    model: nn.Module, probe: Probe, views: list[View], running: ForwardConfig, failures: dict[str, Exception], start: float
) -> Attempt:
    """What works of a look whose places are known."""
    places, placed = dict(running.places), [view for view in views if view.key not in failures]
    try:
        frame = _look(model, probe, placed, running, failures, start)
    except Exception as error:  # before any view, or while the model was put back
        names = [view.key for view in views] + [TWINS] * (probe.twins_for(running.answer) is not None)
        failed = dict.fromkeys(names or [ANSWER], error)
        return Attempt(None, failed | failures, places, running.cuts)
    return Attempt(frame, failures, places, running.cuts)


def _settled(model: nn.Module, probe: Probe, running: ForwardConfig, views: Sequence[View]) -> ForwardConfig:
    """Knows whether the output is probabilities already, where nobody has seen the loss: one image is run to see.

    Classes that only labels told of are seen in the pass that is recorded, if there is one.
    """
    answer = running.answer
    is_seen_later = answer.task == MULTICLASS and views
    if answer.facts.probabilities is not None or answer.task not in SIGMOIDS or is_seen_later or running.score is not None:
        return running
    try:
        with preserve_state(model), torch.enable_grad():
            run = running.prepare(model, probe.images[:1], rows=torch.zeros(1, dtype=torch.long))
            values = answer_of(answer.facts, run.output(run.images.clone().requires_grad_()))
            squash = squash_of(values)
            is_share = squash == UNCLEAR and _answers_shares(model, probe, running)
    except Exception:  # which is said where the whole probe is run
        return running
    return _with_facts(running, settled(answer.facts, answer.task, values, squash, is_share=is_share))


def _answers_shares(model: nn.Module, probe: Probe, running: ForwardConfig) -> bool:
    """Whether all answers to all images lie between 0 and 1."""
    run = replace(running, kept=None).prepare(model, probe.images)
    with torch.no_grad():
        outputs = (part.output(part.images.clone()) for part in run.parts(running.chunk_size))
        return all(are_shares(answer_of(running.answer.facts, each)) for each in outputs)


def _with_facts(running: ForwardConfig, facts: Facts) -> ForwardConfig:
    return replace(running, answer=replace(running.answer, facts=facts))


SIGMOIDS = ("binary", MULTICLASS, "multilabel", "ordinal", "segmentation")
"""Tasks that a sigmoid at the end of a network turns into probabilities."""


def try_heads(model: nn.Module, heads: Sequence[Head]) -> tuple[Attempt, tuple[Attempt, ...]]:
    """As `try_look` at several heads of a network, in one frame: the first one's as if there were no other.

    Heads that are run alike share one forward pass; each has one backward pass per explained target of its own. A head that
    fails takes no other along; failures have keys that name it.

    Returns:
        What was found, and what was found of each head.
    """
    if len(heads) == 1:
        attempt = try_look(model, heads[0].probe, heads[0].views, heads[0].running)
        return attempt, (attempt,)
    try:
        with preserve_state(model):
            found = _each(model, heads)
    except Exception as error:  # while the model was lent or put back
        found = [Attempt(None, dict.fromkeys((view.key for view in each.views), error), {}) for each in heads]
    named = {
        head.key(key): error for head, each in zip(heads[1:], found[1:], strict=True) for key, error in each.failures.items()
    }
    frame = joined(heads, [each.frame for each in found], [each.failures for each in found])
    return replace(found[0], frame=frame, failures={**found[0].failures, **named}), tuple(found)


def _each(model: nn.Module, heads: Sequence[Head]) -> list[Attempt]:
    """What a look at each head finds; those that are run as the first one is go back through its forward pass."""
    starts = [clock.perf_counter() for _ in heads]
    known = [_settled(model, head.probe, head.running, head.views) for head in heads]
    placed = [find_places(model, head.probe, run, head.views) for head, run in zip(heads, known, strict=True)]
    runs = [run for run, _ in placed]
    alike = [run.forward is runs[0].forward and run.cuts == runs[0].cuts for run in runs]
    shared: dict[str, Site] = {}
    for head, (run, failures), is_alike in zip(heads, placed, alike, strict=True):
        shared |= _sites(head, failures, run) if is_alike else {}
    kept = Kept(shared)
    return [
        _attempt(model, head.probe, [*head.views], replace(run, kept=kept if is_alike else None), dict(failures), start)
        for head, run, is_alike, (_, failures), start in zip(heads, runs, alike, placed, starts, strict=True)
    ]


def _sites(head: Head, failures: Mapping[str, Exception], running: ForwardConfig) -> dict[str, Site]:
    """Where the views of a head look that have a place, by name."""
    views = [view for view in head.views if view.key not in failures]
    names = {name for view in views for name in view.layers if name is not None and name != INPUT}
    return {**{name: plain_site(name) for name in names}, **running.sites}


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
        answer, run = running.answer, run_of(model, probe, running)
        found = _record(run, views, places, running.chunk_size, failures) if views else {}
        seen = next((each.facts for each in found.values() if each.facts is not None), None)
        if seen is not None:  # another answer than the labels told of
            return _look(model, probe, views, _with_facts(running, seen), failures, start)
        values = _values(run, found, running.chunk_size, is_needed=not (views and failures))
        _refuse_guesses(probe, answer, values)
        own = {} if values is None else own_maps(values, probe.truth_for(answer), probe, answer)
        maps = _beside_controls(_attempt_maps(views, found, places, failures, probe, running.meaning), views, failures) | own
        frame = build_frame(probe, maps, views, found, answer, values) if maps or not views or values is not None else None
        seconds = {"pass": clock.perf_counter() - start}
        answers = _attempt_twins(run, values, probe, running, last_layer, failures)
    if answers is not None:
        seconds["twins"] = clock.perf_counter() - start - seconds["pass"]
        frame = _with_twin_result(frame or build_frame(probe, {}, [], {}, running.answer), answers)
    notes = (*said_of_places(views, places), *said_of_cuts(used_in(run.forward)))
    return None if frame is None else replace(frame, seconds=seconds, notes=(*frame.notes, *notes))


def _refuse_guesses(probe: Probe, answer: Answer, values: Tensor | None) -> None:
    """Refuses what could only be guessed of the labels, or of which of many numbers is meant.

    Raises:
        ValueError: black and white masks for several classes, or a number at each pixel where one for each image is said.
    """
    if values is None:
        return
    is_several = answer.task == SEGMENTATION_TASK.name and not answer.facts.is_sigmoid and values.shape[1] > 2
    if probe.has_pictures and is_several:
        raise ValueError(
            f"Probe(labels): the label maps hold nothing but 0 and 255, and the answer has {values.shape[1]} classes: which of"
            " them is meant is not known, pass maps of class indices"
        )
    pixels, is_named = math.prod(probe.images.shape[-2:]), answer.facts.component is not None
    if answer.kind is REGRESSION_TASK and values.shape[1] == pixels > 1 and not is_named:
        raise ValueError(
            f"task='regression': expected numbers for each image, (N, K); got {pixels}, one at each pixel:"
            " task='reconstruction' compares them with a picture, component= explains one of them"
        )


def seconds_of_pass(model: nn.Module, probe: Probe, running: ForwardConfig) -> float:
    """What one pass forward and back will take, as far as a forward pass tells, in seconds; the model is left as it was.

    Args:
        model: to be looked at.
        probe: with as many images as there will be.
        running: how the model is run.
    """
    seconds = []
    with preserve_state(model):
        run = running.prepare(model, probe.images)
        for _ in range(2):  # the first one may have to warm up
            start = clock.perf_counter()
            with torch.no_grad():
                for part in run.parts(running.chunk_size):
                    part.output(part.images.clone())
            run.images.flatten()[:1].cpu()  # whatever is still being computed is waited for
            seconds.append(clock.perf_counter() - start)
    return BACK_AND_FORTH * min(seconds)


BACK_AND_FORTH = 3.0
"""Forward passes that one forward and backward pass takes about as long as."""


def run_of(model: nn.Module, probe: Probe, running: ForwardConfig) -> Pass:
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
        probe: with twins; what is compared on them is told by the task.
        running: how the model is run; by calling it, if None.
        layer: where channels are compared; None for nowhere.

    Raises:
        ValueError: the probe has no twins, or the output cannot be read.
    """
    if probe.twins is None:
        raise ValueError(f"the probe {probe.name!r} has no twins: give it masks and labels of at least two classes")
    running = running or ForwardConfig()
    running = replace(running, answer=_with_spread(running.answer, probe))
    with preserve_state(model):
        run = running.prepare(model, probe.twins.batch(), rows=probe.twins.rows())
        return evaluate_twins(run, probe.twins, layer, running.chunk_size)


def _attempt_twins(
    seen: Pass,
    values: Tensor | None,
    probe: Probe,
    running: ForwardConfig,
    layer: str | None,
    failures: dict[str, Exception],
) -> TwinResult | None:
    twins = probe.twins_for(running.answer)
    if twins is None:
        return None
    try:
        asked = replace(running, answer=_with_spread(_as_explained(seen, values), probe))
        run = asked.prepare(seen.model, twins.batch(), rows=twins.rows())
        return evaluate_twins(run, twins, layer, running.chunk_size)
    except Exception as error:
        failures[TWINS] = error
        return None


def _as_explained(run: Pass, values: Tensor | None) -> Answer:
    """The answer with the number that the maps explain: twins are asked for the same one."""
    answer = run.answer
    chosen = run.explained("label", values) if answer.kind is REGRESSION_TASK and values is not None else None
    return answer if chosen is None else replace(answer, facts=replace(answer.facts, component=int(chosen[0])))


def _with_spread(answer: Answer, probe: Probe) -> Answer:
    """The answer with the spread of the probe's own targets, where that of the training's is not known."""
    if answer.kind is not REGRESSION_TASK or probe.truth is None or math.isfinite(answer.facts.spread):
        return answer
    true = numbers_in(probe.truth)
    at = min(answer.facts.component or 0, true.shape[1] - 1)
    return replace(answer, facts=replace(answer.facts, spread=float(spreads(true)[at])))


def _with_twin_result(frame: Frame, answers: TwinResult) -> Frame:
    return replace(frame, numbers={**frame.numbers, **answers.numbers}, per_image={**frame.per_image, **answers.per_image})


def _record(
    run: Pass, views: list[View], places: Places, chunk_size: int | None, failures: dict[str, Exception]
) -> dict[str, Recorded]:
    """What each view's recorder found, by view key: all views at once, or, if that fails, one by one to find the culprit."""
    try:
        return _record_together(run, views, places, chunk_size)
    except Exception as error:
        if len(views) == 1:
            failures[views[0].key] = error
            return {}
    found: dict[str, Recorded] = {}
    for view in views:
        found.update(_record(run, [view], places, chunk_size, failures))
    return found


def _record_together(run: Pass, views: list[View], places: Places, chunk_size: int | None) -> dict[str, Recorded]:
    requests: dict[Recorder, dict[Target, list[str]]] = {}
    for view in views:
        layers = requests.setdefault(view.recorder, {}).setdefault(view.target, [])
        layers += [name for name in looked_at(view, places) if name not in layers]
    found = {recorder: in_chunks(recorder, run, wanted, chunk_size) for recorder, wanted in requests.items()}
    return {view.key: only(found[view.recorder], view.target, looked_at(view, places)) for view in views}


def _attempt_maps(
    views: list[View],
    found: Mapping[str, Recorded],
    places: Places,
    failures: dict[str, Exception],
    probe: Probe,
    answer: Answer,
) -> dict[str, Maps]:
    maps: dict[str, Maps] = {}
    for view in views:
        try:
            if view.key in found:
                maps[view.key] = maps_of(view, found[view.key], probe, answer)
        except Exception as error:
            failures[view.key] = error
    return maps


def _beside_controls(maps: dict[str, Maps], views: list[View], failures: dict[str, Exception]) -> dict[str, Maps]:
    """Without the views whose control failed, and the other way round: neither is shown alone."""
    for view in views:
        pair = [view.key] if view.beside is None else [view.key, view.beside.key]
        why = next((failures[key] for key in pair if key in failures), None)
        if why is not None:
            failures |= dict.fromkeys(pair, why)
    return {key: each for key, each in maps.items() if key not in failures}
