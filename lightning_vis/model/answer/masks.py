"""Segmentation: classes at each pixel, explained over the largest object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from lightning_vis.arguments import quoted
from lightning_vis.constants import LOG_ODDS
from lightning_vis.model.answer.output import answer_of, log_scores_of, logits_of
from lightning_vis.model.answer.task import Facts, Said, Target, Task, name_of

IGNORED = 255
"""In label maps, the value of pixels that belong to no class."""


def _scores(facts: Facts, output: Any) -> Tensor:
    """Log-odds of each class at each pixel, ``(N, C, h, w)``, of volumes ``(N, C, d, h, w)``."""
    values = answer_of(facts, output)
    if values.ndim not in (4, 5):
        raise ValueError(
            f"task='segmentation': expected scores of classes at each pixel, (N, C, H, W); got {tuple(values.shape)}"
        )
    if values.shape[1] == 1:
        z = logits_of(facts, values)
        return torch.cat((-z, z), 1)
    return logits_of(facts, values) if facts.is_sigmoid else _log_odds(log_scores_of(facts, values))


def _log_odds(scores: Tensor) -> Tensor:
    """Each class against all others: its logit minus the logsumexp of theirs."""
    classes = range(scores.shape[1])
    others = [scores[:, [each for each in classes if each != one]].logsumexp(1) for one in classes]
    return scores - torch.stack(others, 1)


def is_predicted(values: Tensor, is_sigmoid: bool) -> Tensor:
    """Where each class is the answer, ``(N, C, ...)`` bool."""
    if is_sigmoid:
        return values.detach() > 0
    best = values.detach().argmax(1, keepdim=True)
    return torch.zeros_like(values, dtype=torch.bool).scatter(1, best, True)


def largest(regions: Tensor, is_sigmoid: bool) -> Tensor:
    """The largest object of each image as a map ``(N, ...)``: its class where it is, -1 elsewhere; all -1 if there is none.

    Args:
        regions: ``(N, C, ...)`` bool, where each class is; class 0 is the background, unless each is a yes or no of its own.
        is_sigmoid: whether each is.
    """
    areas = regions.flatten(2).sum(2)
    if not is_sigmoid:
        areas[:, 0] = 0
    best = areas.argmax(1)
    found = regions[torch.arange(len(regions), device=regions.device), best] & _beside(areas.amax(1) > 0, regions.ndim - 1)
    return torch.where(found, _beside(best, regions.ndim - 1), -1)


def _beside(values: Tensor, dimensions: int) -> Tensor:
    """``(N,)`` that spreads over the other dimensions."""
    return values.reshape(-1, *(1,) * (dimensions - 1))


def objects_in(truth: Tensor, classes: int, is_sigmoid: bool) -> Tensor:
    """The largest true object as `largest` gives it, of label maps ``(N, H, W)`` or masks ``(N, C, H, W)``."""
    if truth.ndim > 3 and truth.shape[1] == 1:
        truth = truth[:, 0]
    if truth.ndim > 3 and truth.shape[1] == classes and (is_sigmoid or is_one_hot(truth)):
        return largest(truth > 0.5, is_sigmoid)
    index = torch.where(_is_known(truth), truth, 0).long()
    if int(index.max()) >= classes:
        raise ValueError(f"the label maps have class {int(index.max())}, but the model gives scores for {classes} classes")
    areas = torch.stack([row.bincount(minlength=classes) for row in index.flatten(1)])
    areas[:, 0] = 0
    best, area = areas.argmax(1), areas.amax(1)  # of the maps themselves: one mask for each class would be as large as scores
    found = (index == _beside(best, index.ndim)) & _beside(area > 0, index.ndim)
    return torch.where(found, index, -1)


def _true_objects(facts: Facts, values: Tensor, truth: Tensor) -> Tensor:
    """As `objects_in`, for an answer.

    Raises:
        ValueError: masks for each class, where each pixel has one class, that do not give it one.
    """
    are_masks = truth.ndim == values.ndim and truth.shape[1] > 1
    if are_masks and not (facts.is_sigmoid and truth.shape[1] == values.shape[1]) and not is_one_hot(truth):
        raise ValueError(
            f"task='segmentation': the answer has one of {values.shape[1]} classes at each pixel, and the masks"
            f" {tuple(truth.shape)} overlap, leave pixels to none of them, or are not as many"
        )
    return objects_in(truth.to(values.device), values.shape[1], facts.is_sigmoid)


def is_one_hot(truth: Tensor) -> bool:
    """Whether masks ``(N, C, H, W)`` give each pixel to one class: label maps of volumes, ``(N, D, H, W)``, do not."""
    return bool(((truth == 0) | (truth == 1)).all()) and bool((truth.sum(1) == 1).all())


def _is_known(truth: Tensor) -> Tensor:
    """Where pixels belong to a class: those that are ignored count nowhere."""
    return (truth >= 0) & (truth != IGNORED)


def _at_size(objects: Tensor, size: Sequence[int]) -> Tensor:
    return interpolate(objects[:, None].float(), size=tuple(size), mode="nearest")[:, 0].long()


def _chosen(facts: Facts, target: Target, values: Tensor, truth: Tensor | None) -> Tensor:
    """The largest true object, or the largest predicted one where there is none, as a map ``(N, h, w)`` of its class."""
    predicted = largest(is_predicted(values, facts.is_sigmoid), facts.is_sigmoid)
    if isinstance(target, int):
        return torch.where(is_predicted(values, facts.is_sigmoid)[:, _class(target, values)], target, -1)
    if target not in ("predicted", "label"):
        raise ValueError(f"target={quoted(target)}: expected 'label', 'predicted' or a class index")
    if truth is None or target == "predicted":
        return predicted
    true = _at_size(_true_objects(facts, values, truth), values.shape[2:])
    return torch.where(_beside((true >= 0).flatten(1).any(1), true.ndim), true, predicted)


def _class(target: int, values: Tensor) -> int:
    if not 0 <= target < values.shape[1]:
        raise ValueError(f"class {target} was asked for, but the model gives scores for {values.shape[1]} classes")
    return target


def _score(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean log-odds of the object's class over its pixels; over all pixels of class 1 where there is no object."""
    where = (chosen >= 0).flatten(1)
    where = where | ~where.any(1, keepdim=True)
    own = values.flatten(2)[torch.arange(len(values), device=values.device), classes_of_objects(chosen)]
    return (own * where).sum(1) / where.sum(1)


def classes_of_objects(chosen: Tensor) -> Tensor:
    """The class of each object ``(N,)``; 1 where there is none."""
    best = chosen.flatten(1).amax(1)
    return torch.where(best >= 0, best, 1)


def _said(facts: Facts, values: Tensor, truth: Tensor | None, names: Sequence[str]) -> Said:
    regions = is_predicted(values, facts.is_sigmoid)
    if truth is None:
        objects = largest(regions, facts.is_sigmoid).flatten(1).amax(1)
        return Said(tuple(_name(names, int(each)) for each in objects), (None,) * len(objects))
    true = _true_objects(facts, values, truth)
    regions = _at_known(regions, truth.to(values.device))
    shares = ious(regions, true)
    classes = true.flatten(1).amax(1).tolist()
    empty = largest(regions, facts.is_sigmoid).flatten(1).amax(1).tolist()
    rows = list(zip(classes, shares.tolist(), empty, strict=True))
    captions = tuple(_caption(names, *row) for row in rows)
    known = _are_told(truth).tolist()
    alone = largest(is_predicted(values, facts.is_sigmoid), facts.is_sigmoid).flatten(1).amax(1).tolist()
    captions = tuple(captions[at] if is_told else _name(names, alone[at]) for at, is_told in enumerate(known))
    wrong = tuple(
        None if not is_told else iou < 0.5 if one >= 0 else said >= 0
        for (one, iou, said), is_told in zip(rows, known, strict=True)
    )
    mean = {"answers/mean_iou": float(shares.nanmean())} if shares.isfinite().any() else {}
    return Said(captions, wrong, per_image={"answers/iou": shares}, numbers=mean)


def _are_told(truth: Tensor) -> Tensor:
    """Whether anything is known of each image, ``(N,)`` bool: not where all its pixels are ignored."""
    return _is_known(truth).flatten(1).any(1)


def _at_known(regions: Tensor, truth: Tensor) -> Tensor:
    """What is predicted ``(N, C, ...)`` in the size of the truth, without the pixels that it ignores."""
    maps = truth[:, 0] if truth.ndim > 3 and truth.shape[1] == 1 else truth
    if maps.ndim != regions.ndim - 1:  # a mask for each class, in which nothing is ignored
        return regions
    large = interpolate(regions.float(), size=maps.shape[1:], mode="nearest") > 0.5
    return large & _is_known(maps)[:, None]


def ious(regions: Tensor, true: Tensor) -> Tensor:
    """Intersection over union of each true object and what is predicted as its class, ``(N,)``; NaN without an object."""
    best = true.flatten(1).amax(1)
    own = regions[torch.arange(len(regions), device=regions.device), best.clamp_min(0)]
    own = interpolate(own[:, None].float(), size=true.shape[1:], mode="nearest")[:, 0] > 0.5
    both, either = (own & (true >= 0)).flatten(1).sum(1), (own | (true >= 0)).flatten(1).sum(1)
    return torch.where(best >= 0, both / either.clamp_min(1), torch.nan).float().cpu()


def _caption(names: Sequence[str], true: int, iou: float, said: int) -> str:
    if true < 0:
        return "nothing" if said < 0 else f"{_name(names, said)} where nothing is"
    return f"{_name(names, true)}, IoU {iou:.2f}"


def _name(names: Sequence[str], at: int) -> str:
    return "nothing" if at < 0 else name_of(names, at)


def _explains(facts: Facts, chosen: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name_of(names, int(each)) for each in classes_of_objects(chosen))


def _truth(facts: Facts, truth: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    most = int(torch.where(_is_known(truth), truth, 0).max())
    classes = truth.shape[1] if truth.ndim > 3 and truth.shape[1] > 1 and most < 2 else max(2, most + 1)
    objects = objects_in(truth, classes, facts.is_sigmoid).flatten(1).amax(1).tolist()
    told = zip(objects, _are_told(truth).tolist(), strict=True)
    return tuple(_name(names, each) if is_told else "" for each, is_told in told)


def _maps(facts: Facts, values: Tensor, truth: Tensor | None, size: Sequence[int]) -> Mapping[str, Tensor]:
    """How probable the explained class is at each pixel: the predicted mask before it is cut."""
    chosen = _chosen(facts, "label", values, truth)
    own = values[torch.arange(len(values), device=values.device), classes_of_objects(chosen)]
    return {"mask": own.detach().float().sigmoid()}


def _on_objects(facts: Facts, values: Tensor, images: Tensor, masks: Tensor) -> Tensor:
    """IoU of each object's mask and what is predicted as each class, ``(M, C)``."""
    regions, true = is_predicted(values, facts.is_sigmoid), masks[:, None] > 0.5
    if regions.shape[2:] != masks.shape[1:]:
        regions = interpolate(regions.float(), size=masks.shape[1:], mode="nearest") > 0.5
    both, either = (regions & true).flatten(2).sum(2), (regions | true).flatten(2).sum(2)
    return both / either.clamp_min(1)


SEGMENTATION_TASK = Task(
    "segmentation", LOG_ODDS, _scores, _chosen, _score, _said, _explains, _truth, on_objects=_on_objects, maps=_maps
)
