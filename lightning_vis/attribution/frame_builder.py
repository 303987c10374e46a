"""From recorded passes to a Frame: maps, predictions, metrics, notes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lightning_vis.attribution.maps import evidence_map, is_drawable
from lightning_vis.attribution.methods.correlation import rank_correlation
from lightning_vis.attribution.metrics import background_lift, edge_map, lift, pointing
from lightning_vis.attribution.records import Explained, Record, Recorded
from lightning_vis.attribution.tokens import token_notes, token_numbers
from lightning_vis.attribution.views import View
from lightning_vis.constants import BACKGROUND_CLASSES, INPUT, MULTICLASS, OUTPUT
from lightning_vis.frames import Array, Frame, Maps, Scale
from lightning_vis.model.answer.answer import CLASSES, NO_NUMBER, UNKNOWN, Answer
from lightning_vis.model.answer.masks import SEGMENTATION_TASK
from lightning_vis.model.answer.numbers import REGRESSION_TASK, number
from lightning_vis.model.answer.task import Facts, Said
from lightning_vis.model.scores import describe
from lightning_vis.probe.probe import Probe


def maps_of(view: View, recorded: Recorded, probe: Probe, answer: Answer) -> Maps:
    """What a view makes of the records of its layers.

    Args:
        view: makes the maps.
        recorded: what was found for it.
        probe: what was looked at.
        answer: what is known of the number that is explained.

    Raises:
        ValueError: it made no maps ``(N, h, w)``, of volumes and clips ``(N, d, h, w)``.
    """
    explained = recorded.explained[view.target]
    records = [_oriented(record, name, probe) for name, record in explained.records.items()]
    values = view.to_map(*records)
    count = len(explained.score)
    if isinstance(values, Tensor) and values.numel() and probe.slices is not None:
        values = probe.slices.of_maps(values, is_sum=view.scale.kind == "log")
    if not isinstance(values, Tensor) or values.ndim != 3 or len(values) != count or not values.numel():
        raise ValueError(
            f"the view {view.name!r} returned {describe(values)}, expected maps ({count}, h, w) of at least one cell"
        )
    chosen = None if answer.task == UNKNOWN else explained.chosen  # which a score of the user's own need not look at
    where = ", ".join(explained.records)
    maps = Maps(_numpy(values.float()), classes_of(chosen, count), where, view.scale, view.title or view.name, str(view.target))
    names = () if chosen is None else answer.kind.explains(answer.facts, chosen, _names_for(recorded.values, probe, answer))
    return replace(maps, explains=names, unit=answer.score_unit)


def _names_for(values: Tensor | None, probe: Probe, answer: Answer) -> tuple[str, ...]:
    """The names of the probe; classes have names where numbers have none of their own."""
    is_numbers = answer.task == REGRESSION_TASK.name and (values is None or values.shape[1] != len(probe.class_names))
    return () if is_numbers else probe.class_names


def _facts_as_explained(answer: Answer, found: Mapping[str, Recorded]) -> Facts:
    """The facts with the number that the maps explain: captions are to speak of the same one."""
    words = (each for one in found.values() for target, each in one.explained.items() if isinstance(target, str))
    chosen = next((each.chosen for each in words), None)
    if answer.task != REGRESSION_TASK.name or answer.facts.component is not None or chosen is None or chosen.ndim != 1:
        return answer.facts
    return replace(answer.facts, component=int(chosen[0]))


def _oriented(record: Record, name: str, probe: Probe) -> Record:
    """Channels before slices and frames, as layers have them."""
    return record if probe.slices is None or name != INPUT else probe.slices.oriented(record)


def classes_of(chosen: Tensor | None, count: int) -> Array:
    """The index that is explained in each image, -1 where it is none."""
    is_index = chosen is not None and chosen.ndim == 1 and not chosen.is_floating_point()
    return _numpy(chosen) if is_index and chosen is not None else np.full(count, -1)


def own_maps(values: Tensor, truth: Tensor | None, probe: Probe, answer: Answer) -> dict[str, Maps]:
    """The maps that a task has without any gradient: where it errs, what it predicts."""
    slices = probe.slices
    if slices is not None and slices.axis == 1 and values.ndim == 5 and answer.kind.score is None:  # channels before frames
        values, truth = values.movedim(1, 2), truth if truth is None or truth.ndim != 5 else truth.movedim(1, 2)
    found = answer.kind.maps(answer.facts, values, truth, probe.images.shape)
    flat = {key: each if slices is None else slices.of_maps(each, is_sum=False) for key, each in found.items()}
    none = np.full(len(probe), -1)
    words = {"error": ("the picture",) * len(probe), "mask": _mask_words(values, truth, probe, answer)}
    maps = {
        key: Maps(_numpy(each.float()), none, OUTPUT, Scale(limit=1.0), _TITLES[key], "label") for key, each in flat.items()
    }
    units = {"error": "squared error", "mask": ""}
    return {key: replace(each, explains=words[key], unit=units[key]) for key, each in maps.items() if each.values.ndim == 3}


_TITLES = {"error": "error", "mask": "predicted mask"}


def _mask_words(values: Tensor, truth: Tensor | None, probe: Probe, answer: Answer) -> tuple[str, ...]:
    """The class whose mask is shown of each image."""
    if answer.task != SEGMENTATION_TASK.name:
        return ()
    chosen = answer.kind.chosen(answer.facts, "label", values, truth)
    return () if chosen is None else answer.kind.explains(answer.facts, chosen, probe.class_names)


def build_frame(
    probe: Probe,
    maps: Mapping[str, Maps],
    views: Sequence[View],
    found: Mapping[str, Recorded],
    answer: Answer = CLASSES,
    values: Tensor | None = None,
) -> Frame:
    """The maps with what was answered, what they measure against masks, and what has to be said of them.

    Args:
        probe: what was looked at.
        maps: those that worked, by view key.
        views: what was looked through.
        found: what each view's recorder found, by view key.
        answer: what the output means.
        values: ``(N, ...)`` what was answered, in the numbers of the task; None where nobody knows.
    """
    truth = probe.truth_for(answer)
    facts = _facts_as_explained(answer, found)
    said = _numbers_of(found) if values is None else replace(answer, facts=facts).told(values, truth, probe.class_names)
    per_image, numbers = _measure(maps, probe, said)
    for view in views:
        if view.key in maps and view.to_map is evidence_map and probe.slices is None:
            share = _explained_share(maps[view.key].values, found[view.key].explained[view.target])
            numbers[f"attribution/{view.key}/explained"] = share
        rise = found[view.key].explained[view.target].rise if view.key in maps else None
        if rise is not None and probe.slices is None:
            numbers[f"attribution/{view.key}/completeness"] = _share(maps[view.key].values.sum(axis=(1, 2)), _numpy(rise))
    numbers |= token_numbers(maps, views, found)
    alike = _against_controls(maps, views)
    numbers |= {f"attribution/{view.key}/random_weights": each for view, each in alike.items()}
    of_controls = map(_said_of_control, alike, alike.values())
    of_answers = (*_of_names(probe, answer, values), *_of_shares(numbers), *_of_broken(values, answer))
    notes = (*_notes(maps, found), *of_controls, *of_answers, *token_notes(maps, views, found))
    frame = Frame(probe.name, *_classes(said, len(probe)), maps, numbers=numbers, per_image=per_image, notes=notes)
    captions = said.captions or (("",) * len(probe) if answer.task != MULTICLASS else ())
    wrong = said.wrong or ((None,) * len(probe) if answer.task != MULTICLASS else ())
    return replace(
        frame, task=answer.task, unit=answer.score_unit, answer=answer.said, said=captions, wrong=wrong, top=said.top
    )


def _numbers_of(found: Mapping[str, Recorded]) -> Said:
    """Of an answer that nobody knows the number that a user's score gives, if there is one."""
    scores = [explained.score for each in found.values() for explained in each.explained.values()]
    words = (number(each) if math.isfinite(each) else NO_NUMBER for each in (scores[0].float().tolist() if scores else ()))
    return Said(tuple(words))


def _classes(said: Said, count: int) -> tuple[Array, Array]:
    if said.predicted is None or said.probability is None:
        return np.full(count, -1), np.full(count, np.nan, np.float32)
    return _numpy(said.predicted), _numpy(said.probability)


def _measure(maps: Mapping[str, Maps], probe: Probe, said: Said) -> tuple[dict[str, Array], dict[str, float]]:
    per_image = {tag: _numpy(each) for tag, each in said.per_image.items()}
    numbers = dict(said.numbers)
    for key, each in maps.items():
        values = torch.from_numpy(each.values)
        numbers[f"attribution/{key}/empty"] = 1 - float(is_drawable(values).float().mean())
        if probe.masks is not None:
            per_image |= {f"attribution/{key}/{name}": found for name, found in _against(values, probe.masks).items()}
    if maps and probe.masks is not None and probe.slices is None:
        per_image["attribution/edges/lift"] = lift(edge_map(probe.images), probe.masks).numpy()
    means = {tag: float(np.nanmean(each)) if np.isfinite(each).any() else np.nan for tag, each in per_image.items()}
    return per_image, numbers | means


def _against(maps: Tensor, masks: Tensor) -> dict[str, Array]:
    """Maps against masks, ``(N,)`` each."""
    measures = {"lift": lift, "background_lift": background_lift, "pointing": pointing}
    return {name: measure(maps, masks).numpy() for name, measure in measures.items()}


def _explained_share(values: Array, explained: Explained) -> float:
    """How much of the score the mean of the evidence map accounts for: 1 for global average pooling + a linear head."""
    return _share(values.mean(axis=(1, 2)), _numpy(explained.score.float()))


def _share(found: Array, whole: Array) -> float:
    """How much of numbers ``(N,)`` others account for: 1 if all, 0 if they are as far off as nothing would be.

    NaN where there is no number but 0: of what is no number nothing is explained, and nothing is left out.
    """
    known = np.isfinite(whole) & np.isfinite(found)
    total = float(np.abs(whole[known]).sum())
    return max(0.0, 1 - float(np.abs(whole - found)[known].sum()) / total) if total > 0 else math.nan


def _against_controls(maps: Mapping[str, Maps], views: Sequence[View]) -> dict[View, float]:
    """How alike views and their controls are, the mean over the images whose maps show anything."""
    both = [(view, view.beside) for view in views if view.key in maps]
    pairs = {view: (maps[view.key].values, maps[other.key].values) for view, other in both if other and other.key in maps}
    found = {view: rank_correlation(*map(torch.from_numpy, pair)) for view, pair in pairs.items()}
    return {view: float(each.nanmean()) for view, each in found.items() if not each.isnan().all()}


def _said_of_control(view: View, alike: float) -> str:
    return (
        f"{view.title or view.name}: the rank correlation with the maps of shuffled weights beside it is {alike:.2f}"
        " (1: nothing of what was learned is in it)"
    )


def _notes(maps: Mapping[str, Maps], found: Mapping[str, Recorded]) -> tuple[str, ...]:
    broken = {key: int((~np.isfinite(each.values).all(axis=(1, 2))).sum()) for key, each in maps.items()}
    of_maps = [f"{count} of the maps of {key} are not finite" for key, count in broken.items() if count]
    return tuple(dict.fromkeys([*(note for recorded in found.values() for note in recorded.notes), *of_maps]))


def _of_names(probe: Probe, answer: Answer, values: Tensor | None) -> list[str]:
    """Whether the probe names other classes than the model tells apart: its names may then stand for the wrong ones."""
    names = len(probe.class_names)
    if values is None or values.ndim < 2 or answer.task not in _NAMED:
        return []
    if not names or names == values.shape[1] or probe.class_names == BACKGROUND_CLASSES:
        return []
    named, scored = _counted(names, "class name", "s"), _counted(values.shape[1], "class", "es")
    return [f"the probe has {named}, but the model gives scores for {scored}"]


def _of_broken(values: Tensor | None, answer: Answer) -> list[str]:
    broken = 0 if values is None else int((~answer.are_numbers(values)).sum())
    return (
        [f"{broken} of {len(values)} answers {'is' if broken == 1 else 'are'} not a number"]
        if broken and values is not None
        else []
    )


def _of_shares(numbers: Mapping[str, float]) -> list[str]:
    """Where evidence does not account for the score."""
    found = []
    for tag, share in numbers.items():
        key, what = tag.removeprefix("attribution/").rsplit("/", 1) if tag.startswith("attribution/") else ("", "")
        if what == "explained" and share < EXPLAINED:
            found.append(f"{key} accounts for {share:.0%} of the scores of all images together")
    return found


EXPLAINED = 0.9
"""A share below which it is said."""
_NAMED = (MULTICLASS, "binary", "multilabel", "segmentation")


def _counted(count: int, what: str, plural: str) -> str:
    return f"{count} {what}{plural if count != 1 else ''}"


def _numpy(tensor: Tensor) -> Array:
    own: Array = tensor.detach().cpu().numpy().copy()  # an array of its own: a frame keeps no tensor alive
    return own
